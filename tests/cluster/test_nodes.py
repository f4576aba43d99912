"""Nodes and pods on a real control plane: what the kubelet and the autoscaler of a cloud do."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys

import psutil
import pytest

import toolchain
from localcloud import processes
from localcloud.clusters.access import admin_kubeconfig_file
from localcloud.context import CloudContext
from localcloud.nodes import registries
from localcloud.objects.workloads import NotAuthenticated, Workload, workload_of
from localcloud.store import Pool, Resource

from .conftest import CLOUD, ROOT, wait_until

pytestmark = pytest.mark.cluster
NAMESPACE = "nodes-test"
IMAGE = "docker.io/rclone/rclone:1.75.1"
TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
RESTRICTED = {"runAsNonRoot": True, "runAsUser": 1000, "runAsGroup": 1000}


class Nodes:
    """The node daemon, as a process of its own, and the test's view of the cluster."""

    def __init__(self, managed, cluster):
        self.managed, self.cluster, self.process = managed, cluster, None

    def start(self):
        environment = {**os.environ, "TRICORN_LOCAL": str(self.managed.paths.root)}
        self.process = processes.start(
            self.managed.paths, CLOUD, "nodes", [sys.executable, "-m", "tests.cluster.run_parts", CLOUD, "nodes"],
            environment=environment, directory=ROOT,
        )  # fmt: skip

    def kubectl(self, *arguments, **options):
        return self.managed.kubectl(self.cluster, *arguments, **options).stdout

    def apply(self, *objects):
        kubeconfig = admin_kubeconfig_file(self.managed.paths, CLOUD, self.cluster.id)
        done = subprocess.run(
            [str(toolchain.find("kubectl")), f"--kubeconfig={kubeconfig}", "apply", "-f", "-"],
            input=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}),
            capture_output=True, text=True, timeout=30,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def pod(self, name):
        text = self.kubectl("get", "pod", name, "-n", NAMESPACE, "-o", "json", check=False)
        return json.loads(text) if text else {}

    def log(self, name, container):
        annotations = self.pod(name)["metadata"]["annotations"]
        with open(f"{annotations['localcloud.tricorn.dev/logs']}/{container}.log") as file:
            return file.read()

    def wait_ready(self, name, seconds=30.0):
        def ready():
            conditions = self.pod(name).get("status", {}).get("conditions", [])
            return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

        wait_until(ready, seconds, f"pod {name} to be ready, it is {self.pod(name).get('status')}")
        return self.pod(name)

    def nodes(self, pool):
        items = json.loads(self.kubectl("get", "nodes", "-l", f"tricorn.dev/pool={pool}", "-o", "json"))["items"]
        return [each["metadata"]["name"] for each in items]


def pool(cluster, name, **spec):
    base = {
        "machine_type": f"m-{name}", "gpus": 0, "labels": {"tricorn.dev/pool": name}, "taints": [], "min": 0, "max": 2,
        "zones": ["us-east-1a", "us-east-1b"], "spot": False, "vcpus": 8, "memory_gib": 32,
    }  # fmt: skip
    return Pool(CLOUD, f"{cluster.id}/{name}", cluster.id, name, base | spec, "creating", "")


def pod(name, script="exec sleep 600", **spec):
    security = {"readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False}
    container = {
        "name": "main", "image": IMAGE, "command": ["/bin/sh", "-c", script], "securityContext": security,
        **spec.pop("main", {}),
    }  # fmt: skip
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "terminationGracePeriodSeconds": 2, "securityContext": RESTRICTED, "containers": [container],
            "nodeSelector": {"tricorn.dev/pool": "system"}, **spec,
        },
    }  # fmt: skip


def marked(mark):
    """Return the processes whose command line carries a mark."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if mark in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


@pytest.fixture(scope="module")
def nodes(managed, cluster):
    managed.store.put_pool(pool(cluster, "system", min=1))
    running = Nodes(managed, cluster)
    running.start()
    try:
        wait_until(lambda: status(managed, cluster, "system") == "active", 30, "the system pool")
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": NAMESPACE},
        }
        running.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        running.apply(account)
        yield running
    finally:
        running.kubectl("delete", "namespace", NAMESPACE, "--wait=false", check=False)
        running.process.terminate()
        running.process.wait(20)
        managed.store.delete_pool(CLOUD, f"{cluster.id}/system")


def status(managed, cluster, name):
    return next(each.status for each in managed.store.pools(CLOUD, cluster.id) if each.name == name)


def test_a_pools_minimum_of_nodes_is_registered_and_ready(nodes):
    (name,) = nodes.nodes("system")
    found = json.loads(nodes.kubectl("get", "node", name, "-o", "json"))
    assert found["metadata"]["labels"]["node.kubernetes.io/instance-type"] == "m-system"
    assert nodes.kubectl("get", "lease", name, "-n", "kube-node-lease", "-o", "name").strip()


def test_a_pod_runs_after_its_init_container_with_the_manifests_user_volumes_and_environment(nodes):
    nodes.apply(
        {
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": NAMESPACE},
            "data": {"k": "configured"},
        },
        pod(
            "whole",
            'echo "user $(id -u)"; cat /models/made; cat /config/k; echo "$GREETING from $POD_IP"; '
            "touch /models/x /x /tmp/x 2>/dev/null || echo read-only; exec sleep 600",
            volumes=[{"name": "models", "emptyDir": {}}, {"name": "config", "configMap": {"name": "c"}}],
            initContainers=[
                {
                    "name": "pull", "image": IMAGE,
                    "command": ["/bin/sh", "-c", "rclone version >/dev/null && echo pulled > /models/made"],
                    "volumeMounts": [{"name": "models", "mountPath": "/models"}],
                }
            ],
            main={
                "env": [
                    {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                    {"name": "GREETING", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
                ],
                "volumeMounts": [
                    {"name": "models", "mountPath": "/models", "readOnly": True},
                    {"name": "config", "mountPath": "/config"},
                ],
            },
        ),
    )  # fmt: skip
    found = nodes.wait_ready("whole")
    assert found["status"]["initContainerStatuses"][0]["state"]["terminated"]["reason"] == "Completed"
    ip = found["status"]["podIP"]
    wait_until(lambda: "read-only" in nodes.log("whole", "main"), 10, "the pod's log")
    assert nodes.log("whole", "main").split("\n")[:3] == ["user 1000", "pulled", f"configuredconfigured from {ip}"]
    token = nodes.managed.paths.pod(CLOUD, found["metadata"]["uid"]) / "volumes"
    assert any(token.glob("kube-api-access-*/token"))


def test_an_unknown_image_waits_with_a_reason_that_says_why(nodes):
    nodes.apply(pod("unknown", main={"image": "docker.io/library/nginx:1"}))

    def waiting():
        states = nodes.pod("unknown").get("status", {}).get("containerStatuses") or [{}]
        return states[0].get("state", {}).get("waiting", {})

    wait_until(lambda: waiting().get("reason") == "ImagePullBackOff", 20, "the image to be refused")
    assert "no stand-in" in waiting()["message"]


DIGEST = "sha256:" + "ab" * 32
CACHED = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/hub/rclone/rclone:1.75.1@{DIGEST}"


@pytest.fixture
def cache(managed):
    """The registry of the cloud caches Docker Hub, which can be cut off."""
    inputs = {"ecrRepositoryPrefix": "hub", "upstreamRegistryUrl": "registry-1.docker.io"}
    kind = "aws:ecr/pullThroughCacheRule:PullThroughCacheRule"
    managed.store.put_resource(Resource(CLOUD, kind, "hub", "urn", "active", inputs, {}))
    yield
    registries.reconnect(managed.store, "docker.io")
    managed.store.delete_resource(CLOUD, kind, "hub")


def test_without_docker_hub_pods_start_from_the_clouds_own_registry_and_no_others(nodes, managed, cache):
    always = {"imagePullPolicy": "Always"}
    nodes.apply(pod("first", main={"image": CACHED, **always}))
    nodes.wait_ready("first")
    registries.cut_off(managed.store, "docker.io")
    uncached = CACHED.replace("ab" * 32, "cd" * 32)
    nodes.apply(
        pod("again", main={"image": CACHED, **always}), pod("uncached", main={"image": uncached, **always}),
        pod("direct", main={"image": IMAGE, **always}),
    )  # fmt: skip
    found = nodes.wait_ready("again")["status"]["containerStatuses"][0]
    assert found["image"] == CACHED
    assert found["imageID"] == CACHED.replace(":1.75.1@", "@")

    def waiting(name):
        states = nodes.pod(name).get("status", {}).get("containerStatuses") or [{}]
        return states[0].get("state", {}).get("waiting", {})

    for name, told in (("uncached", "is not cached yet"), ("direct", "docker.io: connection timed out")):
        wait_until(lambda name=name: waiting(name).get("reason") == "ImagePullBackOff", 20, f"{name} to be refused")
        assert told in waiting(name)["message"]
    events = nodes.kubectl("get", "events", "-n", NAMESPACE)
    assert "Back-off pulling image" in events
    assert "Successfully pulled image" in events
    registries.reconnect(managed.store, "docker.io")
    nodes.wait_ready("uncached")
    nodes.wait_ready("direct")


def test_a_failing_container_is_restarted_with_back_off(nodes):
    nodes.apply(pod("failing", "exit 3"))

    def restarts():
        states = nodes.pod("failing").get("status", {}).get("containerStatuses") or [{}]
        return states[0].get("restartCount", 0)

    wait_until(lambda: restarts() >= 2, 30, "two restarts")
    last = nodes.pod("failing")["status"]["containerStatuses"][0]
    assert (last.get("lastState") or last["state"])["terminated"]["exitCode"] == 3
    assert "BackOff" in nodes.kubectl("get", "events", "-n", NAMESPACE)


def test_a_deleted_pods_processes_end_within_the_grace_period_and_the_pod_goes(nodes):
    nodes.apply(pod("doomed", "sleep 7654321 & wait"))
    uid = nodes.wait_ready("doomed")["metadata"]["uid"]
    assert marked("7654321")
    nodes.kubectl("delete", "pod", "doomed", "-n", NAMESPACE, "--wait=false")
    wait_until(lambda: not nodes.pod("doomed"), 15, "the pod to be gone")
    assert not marked("7654321")
    wait_until(lambda: not nodes.managed.paths.pod(CLOUD, uid).exists(), 5, "the pod's files to be gone")


def test_a_gpu_pod_gets_a_machine_and_a_second_one_gets_the_next(nodes, managed, cluster):
    managed.store.put_pool(pool(cluster, "t4", gpus=1, taints=[TAINT]))
    gpu = {
        "nodeSelector": {"tricorn.dev/pool": "t4"}, "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
        "main": {"resources": {"limits": {"nvidia.com/gpu": "1"}}},
    }  # fmt: skip
    try:
        assert nodes.nodes("t4") == []
        nodes.apply(pod("gpu-a", **dict(gpu)), pod("gpu-b", **dict(gpu)))
        hosts = {nodes.wait_ready(name)["spec"]["nodeName"] for name in ("gpu-a", "gpu-b")}
        assert hosts == set(nodes.nodes("t4"))
        assert len(hosts) == 2
        nodes.apply(pod("gpu-c", **dict(gpu)))
        wait_until(
            lambda: "at its maximum of 2" in nodes.kubectl("get", "events", "-n", NAMESPACE),
            20,
            "the refusal to be said",
        )
    finally:
        managed.store.set_pool(CLOUD, f"{cluster.id}/t4", status="deleting")
    wait_until(lambda: not [p for p in managed.store.pools(CLOUD) if p.name == "t4"], 20, "the pool to go")
    assert nodes.nodes("t4") == []
    wait_until(lambda: not nodes.pod("gpu-a"), 20, "the pods of the deleted machines to go")


def test_a_stock_out_is_a_message_of_the_pool(nodes, managed, cluster):
    with managed.store.connect() as db:
        db.execute("insert into capacity values(?,?,?,?)", (CLOUD, "us-east-1a", "m-scarce", 0))
    managed.store.put_pool(pool(cluster, "scarce", min=1))
    try:
        wait_until(lambda: status(managed, cluster, "scarce") == "failed", 20, "the stock-out")
        found = next(each for each in managed.store.pools(CLOUD) if each.name == "scarce")
        assert "zone us-east-1a has no m-scarce left" in found.message
        with managed.store.connect() as db:
            db.execute("update capacity set free=1 where cloud=? and machine_type='m-scarce'", (CLOUD,))
        wait_until(lambda: status(managed, cluster, "scarce") == "active", 20, "the machine that became free")
    finally:
        managed.store.set_pool(CLOUD, f"{cluster.id}/scarce", status="deleting")


def test_after_sigkill_of_the_daemon_containers_are_dead_and_come_back_restarted(nodes):
    nodes.apply(pod("survivor", "sleep 7654322 & wait"))
    before = nodes.wait_ready("survivor")
    assert marked("7654322")
    nodes.process.kill()
    nodes.process.wait()
    wait_until(lambda: not marked("7654322"), 10, "the containers to die with their daemon")
    nodes.start()

    def restarted():
        states = nodes.pod("survivor")["status"]["containerStatuses"]
        return states[0]["restartCount"] == 1 and states[0]["ready"]

    wait_until(restarted, 30, "the pod to be ready again")
    after = nodes.pod("survivor")
    assert after["status"]["podIP"] == before["status"]["podIP"]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert marked("7654322")


def test_a_cluster_says_whose_service_account_token_it_is_and_for_whom(nodes, managed, cluster):
    context = CloudContext.open(CLOUD, managed.paths)
    audience = "pods.eks.amazonaws.com"
    token = nodes.kubectl("create", "token", "default", "-n", NAMESPACE, f"--audience={audience}").strip()
    found = asyncio.run(workload_of(context, token, audience))
    assert found == Workload(cluster.id, NAMESPACE, "default")
    for shown, meant in ((token, "someone-else"), (token[:-4] + "AAAA", audience)):
        with pytest.raises(NotAuthenticated):
            asyncio.run(workload_of(context, shown, meant))
