import json
import os
import ssl
import stat
import time
import urllib.error
import urllib.request

import psutil
import pytest

from localcloud.clusters.access import admin_token, cluster_client, directory

from .conftest import CLOUD, SCRATCH, wait_until

pytestmark = pytest.mark.cluster
PROGRAMS = {"etcd", "kube-apiserver", "kube-scheduler", "kube-controller-manager"}


def programs(managed, number):
    """Return the running programs of one control plane by name."""
    address = f"127.0.1.{number}"
    return {p.name()[:23]: p for p in managed.running() if any(address in each for each in p.cmdline())}


@pytest.fixture
def scratch(managed):
    """A cluster that a test may break."""
    id_ = "scratch"
    managed.add(id_, SCRATCH)
    yield managed.wait_active(id_)
    if managed.store.cluster(CLOUD, id_) is not None:
        managed.store.set_cluster(CLOUD, id_, status="deleting")
        wait_until(lambda: managed.store.cluster(CLOUD, id_) is None, 30, "the scratch cluster to be gone")


def test_a_cluster_becomes_active_and_answers_kubectl(managed, cluster):
    assert cluster.endpoint == "https://127.0.1.7:6443"
    assert "BEGIN CERTIFICATE" in cluster.ca
    version = json.loads(managed.kubectl(cluster, "version", "-o", "json").stdout)
    assert version["serverVersion"]["gitVersion"] == "v1.36.3"
    assert "kube-system" in managed.kubectl(cluster, "get", "namespaces", "-o", "name").stdout


def test_controllers_and_scheduler_work(managed, cluster):
    managed.kubectl(cluster, "create", "namespace", "work")
    managed.kubectl(cluster, "-n", "work", "create", "deployment", "d", "--image=example.com/i:1", "--replicas=2")

    def pods():
        listed = json.loads(managed.kubectl(cluster, "-n", "work", "get", "pods", "-o", "json").stdout)
        return listed["items"]

    wait_until(lambda: len(pods()) == 2, 20, "two pods of the deployment")

    def judged():
        return [p for p in pods() if any(c["reason"] == "Unschedulable" for c in p["status"].get("conditions", []))]

    wait_until(lambda: len(judged()) == 2, 20, "the scheduler to look at them")
    managed.kubectl(cluster, "delete", "namespace", "work", "--wait=true", "--timeout=40s")


def test_nothing_listens_outside_the_loopback_network(managed, cluster):
    listening = {}
    for process in managed.running():
        for connection in process.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                listening.setdefault(process.name(), set()).add(connection.laddr.ip)
    assert "kube-apiserver" in listening
    outside = {(name, ip) for name, ips in listening.items() for ip in ips if not ip.startswith("127.")}
    assert outside == set()
    assert {ip for ips in listening.values() for ip in ips} >= {"127.0.1.7"}


def test_secrets_are_private_files_and_not_on_command_lines(managed, cluster):
    root = directory(managed.paths, CLOUD, cluster.id)
    assert root.parent == managed.paths.root / CLOUD / "clusters"
    token = admin_token(managed.paths, CLOUD, cluster.id)
    assert len(token) > 30
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    secret = [f for f in root.iterdir() if f.is_file()]
    assert len(secret) > 6
    assert {stat.S_IMODE(f.stat().st_mode) for f in secret} == {0o600}
    for process in managed.running():
        assert token not in " ".join(process.cmdline())
    for log in managed.paths.logs(CLOUD).iterdir():
        assert token not in log.read_text(errors="replace")


def test_nobody_gets_in_without_a_token_or_etcd_without_a_certificate(managed, cluster):
    context = ssl.create_default_context(cadata=cluster.ca)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{cluster.endpoint}/api/v1/namespaces", context=context, timeout=5)
    assert refused.value.code == 401
    with pytest.raises((ssl.SSLError, urllib.error.URLError, ConnectionError)):
        urllib.request.urlopen("https://127.0.1.7:2379/version", context=context, timeout=5)


def test_service_account_tokens_name_the_cluster_as_issuer(managed, cluster):
    from kubernetes import client

    api = client.CoreV1Api(cluster_client(managed.paths, cluster))
    request = {"spec": {"audiences": ["sts.example.com"], "expirationSeconds": 600}}
    wait_until(
        lambda: any(a.metadata.name == "default" for a in api.list_namespaced_service_account("default").items), 20,
        "the default service account",
    )  # fmt: skip
    token = api.create_namespaced_service_account_token("default", "default", request).status.token
    review = client.AuthenticationV1Api(cluster_client(managed.paths, cluster)).create_token_review(
        {"spec": {"token": token, "audiences": ["sts.example.com"]}}
    )
    assert review.status.authenticated
    assert review.status.user.username == "system:serviceaccount:default:default"
    wrong = client.AuthenticationV1Api(cluster_client(managed.paths, cluster)).create_token_review(
        {"spec": {"token": token, "audiences": ["other"]}}
    )
    assert not wrong.status.authenticated


def test_a_program_that_dies_is_started_again(managed, scratch):
    before = programs(managed, SCRATCH)["kube-scheduler"]
    before.kill()

    def back():
        now = programs(managed, SCRATCH).get("kube-scheduler")
        return now is not None and now.pid != before.pid

    wait_until(back, 15, "another kube-scheduler")


def test_everything_is_back_after_sigkill_of_the_whole_cloud(managed, scratch):
    managed.kubectl(scratch, "create", "configmap", "kept", "--from-literal=key=value")
    token = admin_token(managed.paths, CLOUD, scratch.id)
    managed.kill()
    assert managed.running() == []
    started = time.monotonic()
    managed.start()

    def answers():
        return managed.kubectl(scratch, "get", "configmap", "kept", check=False).returncode == 0

    wait_until(answers, 60, "the API server to be back")
    print(f"back in {time.monotonic() - started:.1f} s")
    read = managed.kubectl(scratch, "get", "configmap", "kept", "-o", "jsonpath={.data.key}").stdout
    assert read == "value"
    assert admin_token(managed.paths, CLOUD, scratch.id) == token
    assert managed.cluster(scratch.id).status == "active"
    wait_until(lambda: set(programs(managed, SCRATCH)) == PROGRAMS, 30, "all programs")


def test_deleting_a_cluster_leaves_no_process_and_no_file(managed, scratch):
    pids = [p.pid for p in programs(managed, SCRATCH).values()]
    assert len(pids) == 4
    managed.store.set_cluster(CLOUD, scratch.id, status="deleting")
    wait_until(lambda: managed.store.cluster(CLOUD, scratch.id) is None, 30, "the row to vanish")
    assert not directory(managed.paths, CLOUD, scratch.id).exists()
    assert programs(managed, SCRATCH) == {}
    assert not any((managed.paths.processes / f"{pid}.json").exists() for pid in pids)
    assert all(not psutil.pid_exists(pid) for pid in pids)
    assert os.path.isdir(managed.paths.root)
