import json

import yaml

from localcloud import engine, lifecycle
from localcloud.certificates import authority_file
from localcloud.paths import RunPaths


def test_kubectl_trusts_a_cluster_that_the_whole_world_would_trust(tmp_path, monkeypatch):
    def config(**cluster):
        entry = {"name": "cluster", "cluster": {"server": "https://127.0.2.1:6443", **cluster}}
        return json.dumps({"clusters": [entry], "users": [{"name": "user", "user": {"exec": {}}}]})

    kubeconfigs = {"named": config(), "pinned": config(**{"certificate-authority-data": "UEVN"})}
    monkeypatch.setattr(engine, "pulumi", lambda *arguments: json.dumps({"kubeconfigs": kubeconfigs}))
    paths = RunPaths(tmp_path)
    lifecycle._write_kubeconfig(paths)
    file = tmp_path / "kubeconfig"
    clusters = {each["name"]: each["cluster"] for each in yaml.safe_load(file.read_text())["clusters"]}
    assert clusters["named"]["certificate-authority"] == str(authority_file(paths))
    assert clusters["pinned"] == {"server": "https://127.0.2.1:6443", "certificate-authority-data": "UEVN"}
    assert file.stat().st_mode & 0o777 == 0o600
