import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from localcloud.clusters.access import admin_token_file
from localcloud.paths import RunPaths
from localcloud.store import Store

BIN = Path(__file__).resolve().parents[3] / "localcloud" / "bin"
SERVERS = {"aws": "https://127.0.1.1:6443", "gcp": "https://127.0.2.1:6443", "azure": "https://127.0.3.1:6443"}
REGIONS = {"aws": "us-east-1", "gcp": "us-central1", "azure": "eastus"}


@pytest.fixture
def paths(tmp_path):
    paths = RunPaths(tmp_path / "run")
    store = Store(paths.database)
    store.create()
    for cloud, server in SERVERS.items():
        store.add_cluster(cloud, "site", "site", "1.36", REGIONS[cloud], {})
        store.set_cluster(cloud, "site", status="active", endpoint=server)
        file = admin_token_file(paths, cloud, "site")
        file.parent.mkdir(parents=True)
        file.write_text(f"token-of-{cloud}\n")
    return paths


def ask(paths, program, *arguments, server=""):
    info = {"apiVersion": "client.authentication.k8s.io/v1", "spec": {"cluster": {"server": server}}} if server else {}
    environment = {
        **os.environ, "TRICORN_LOCAL": str(paths.root), "PULUMI_PYTHON_CMD": sys.executable,
        "KUBERNETES_EXEC_INFO": json.dumps(info),
    }  # fmt: skip
    return subprocess.run([BIN / program, *arguments], env=environment, capture_output=True, text=True, timeout=20)


@pytest.mark.parametrize(
    ("cloud", "program", "arguments"),
    [
        ("aws", "aws", ["eks", "get-token", "--cluster-name", "site", "--region", "us-east-1"]),
        ("gcp", "gke-gcloud-auth-plugin", []),
        ("azure", "kubelogin", ["get-token", "--login", "azurecli", "--server-id", "x"]),
    ],
)
def test_a_credential_program_prints_the_token_of_its_cluster(paths, cloud, program, arguments):
    done = ask(paths, program, *arguments, server=SERVERS[cloud])
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["kind"] == "ExecCredential"
    assert answer["apiVersion"] == "client.authentication.k8s.io/v1"
    assert answer["status"]["token"] == f"token-of-{cloud}"


@pytest.mark.parametrize(
    ("program", "arguments", "code", "message"),
    [
        ("aws", ["s3", "ls"], 2, "knows only `aws eks get-token"),
        ("aws", ["eks", "get-token", "--cluster-name"], 2, "knows only"),
        ("aws", ["eks", "get-token", "--cluster-name", "other", "--region", "us-east-1"], 1, "'other'"),
        ("aws", ["eks", "get-token", "--cluster-name", "site", "--region", "eu-west-1"], 1, "eu-west-1"),
        ("gke-gcloud-auth-plugin", ["--version"], 2, "without arguments"),
        ("gke-gcloud-auth-plugin", [], 1, "provideClusterInfo"),
        ("kubelogin", ["convert-kubeconfig"], 2, "kubelogin get-token"),
    ],
)
def test_anything_else_gets_one_clear_line_and_no_token(paths, program, arguments, code, message):
    done = ask(paths, program, *arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_a_server_of_no_cluster_gets_no_token(paths):
    done = ask(paths, "kubelogin", "get-token", server=SERVERS["aws"])
    assert done.returncode == 1
    assert "has no azure cluster with the server https://127.0.1.1:6443" in done.stderr


def test_a_cluster_that_has_not_started_has_no_token_yet(paths):
    admin_token_file(paths, "aws", "site").unlink()
    done = ask(paths, "aws", "eks", "get-token", "--cluster-name", "site")
    assert done.returncode == 1
    assert "has no token yet" in done.stderr
