"""The kubernetes provider, as a plugin process, against a real API server."""

import base64
import json
import os
import threading
import time

import grpc
import pytest

from localcloud.certificates import authority_file
from localcloud.clusters.access import admin_token
from localcloud.providers.kubernetes.protocol import provider_pb2
from localcloud.providers.kubernetes.values import UNKNOWN, Secret, reveal
from tests.kubernetes_provider import CONFIG_MAP, DEPLOYMENT, NAMESPACE, RELEASE, SECRET, SERVICE, Refusal, plugin

from .conftest import CLOUD, wait_until

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def provider(managed, cluster):
    authority = base64.b64encode(authority_file(managed.paths).read_bytes()).decode()
    token = admin_token(managed.paths, CLOUD, cluster.id)
    kubeconfig = {
        "clusters": [{"name": "c", "cluster": {"server": cluster.endpoint, "certificate-authority-data": authority}}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    with plugin(managed.paths.root) as client:
        client.configure(kubeconfig=json.dumps(kubeconfig), enableConfigMapMutable="true")
        yield client


@pytest.fixture
def namespace(managed, cluster):
    """A namespace of the test's own; what is in it goes with it."""
    name = f"t-{os.urandom(4).hex()}"
    managed.kubectl(cluster, "create", "namespace", name)
    yield name
    managed.kubectl(cluster, "delete", "namespace", name, "--wait=false")


def config_map(namespace, name="settings", **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


def deployment(namespace, **container):
    labels = {"app": "web"}
    pod = {"containers": [{"name": "main", "image": "example.com/web:1", **container}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def get(managed, cluster, *arguments):
    return json.loads(managed.kubectl(cluster, "get", *arguments, "-o", "json").stdout)


def test_a_config_map_is_created_changed_read_and_deleted(provider, managed, cluster, namespace):
    inputs = config_map(namespace, a="1", b="2")
    id_, outputs = provider.create(CONFIG_MAP, inputs)
    assert id_ == f"{namespace}/settings"
    assert outputs["metadata"]["uid"]
    assert "managedFields" not in outputs["metadata"]
    assert provider.diff(CONFIG_MAP, inputs, inputs).changes == provider_pb2.DiffResponse.DIFF_NONE

    changed = config_map(namespace, a="1", c="3")
    diff = provider.diff(CONFIG_MAP, inputs, changed)
    assert sorted(diff.detailedDiff) == ["data.b", "data.c"]
    assert not diff.replaces
    outputs = provider.update(CONFIG_MAP, id_, outputs, changed)
    assert outputs["data"] == {"a": "1", "c": "3"}, "what the program no longer says is gone"
    assert get(managed, cluster, "-n", namespace, "configmap", "settings")["data"] == {"a": "1", "c": "3"}

    assert provider.read(CONFIG_MAP, id_, changed, outputs)[:2] == (id_, changed)
    provider.delete(CONFIG_MAP, id_, outputs)
    assert provider.read(CONFIG_MAP, id_, changed, outputs)[0] == ""
    provider.delete(CONFIG_MAP, id_, outputs)


def test_drift_is_seen_by_a_refresh_and_mended_by_an_update(provider, managed, cluster, namespace):
    inputs = config_map(namespace, a="1")
    id_, outputs = provider.create(CONFIG_MAP, inputs)
    managed.kubectl(cluster, "-n", namespace, "patch", "configmap", "settings", "--patch", '{"data":{"a":"9","x":"y"}}')
    _, seen, _ = provider.read(CONFIG_MAP, id_, inputs, outputs)
    assert seen["data"] == {"a": "9"}, "a key of somebody else is no drift"
    outputs = provider.update(CONFIG_MAP, id_, outputs, inputs)
    assert outputs["data"] == {"a": "1", "x": "y"}


def test_the_servers_own_spelling_of_a_quantity_is_no_drift(provider, namespace):
    inputs = deployment(namespace, resources={"limits": {"cpu": "0.5", "memory": "1024Mi"}})
    inputs["metadata"]["annotations"] = {"pulumi.com/skipAwait": "true"}
    id_, outputs = provider.create(DEPLOYMENT, inputs)
    assert provider.read(DEPLOYMENT, id_, inputs, outputs)[1] == inputs


def test_an_existing_object_is_imported_as_it_is(provider, managed, cluster, namespace):
    managed.kubectl(cluster, "-n", namespace, "create", "configmap", "old", "--from-literal=k=v")
    id_, inputs, outputs = provider.read(CONFIG_MAP, f"{namespace}/old")
    assert id_ == f"{namespace}/old"
    assert inputs["data"] == {"k": "v"}
    assert inputs["metadata"] == {"name": "old", "namespace": namespace}
    assert outputs["metadata"]["uid"]


def test_creating_does_not_overwrite_what_somebody_else_made(provider, managed, cluster, namespace):
    managed.kubectl(cluster, "-n", namespace, "create", "configmap", "settings", "--from-literal=a=theirs")
    with pytest.raises(Refusal, match="conflict"):
        provider.create(CONFIG_MAP, config_map(namespace, a="ours"))
    assert get(managed, cluster, "-n", namespace, "configmap", "settings")["data"] == {"a": "theirs"}


def test_an_unknown_field_is_refused_by_name_in_preview_and_update(provider, managed, cluster, namespace):
    inputs = deployment(namespace)
    inputs["spec"]["replicaz"] = 2
    for preview in (True, False):
        with pytest.raises(Refusal, match=r"Deployment .*/web: .*spec\.replicaz"):
            provider.create(DEPLOYMENT, inputs, preview=preview)
    listed = get(managed, cluster, "-n", namespace, "deployments")["items"]
    assert listed == []


def test_a_preview_changes_nothing_and_knows_what_it_cannot_know(provider, managed, cluster, namespace):
    inputs = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s", "namespace": namespace},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}], "selector": {"app": "web"}},
    }
    id_, outputs = provider.create(SERVICE, inputs, preview=True)
    assert id_ == ""
    assert outputs["status"] is UNKNOWN
    assert outputs["spec"]["clusterIP"] is UNKNOWN
    assert outputs["spec"]["sessionAffinity"] == "None", "defaults of the server are known"
    assert get(managed, cluster, "-n", namespace, "services")["items"] == []
    # Before its namespace exists an object can only be shown as it is written.
    _, outputs = provider.create(SERVICE, {**inputs, "metadata": {"name": "s", "namespace": "not-yet"}}, preview=True)
    assert outputs["spec"]["type"] == "LoadBalancer"


def test_a_load_balancer_is_waited_for(provider, managed, cluster, namespace):
    inputs = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s", "namespace": namespace},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}], "selector": {"app": "web"}},
    }
    with pytest.raises(Refusal) as failed:
        provider.create(SERVICE, inputs, timeout=1)
    assert failed.value.id == f"{namespace}/s", "the engine must keep what exists"
    assert failed.value.reasons[0].endswith("timeout after 1 s")
    assert "no address yet" in failed.value.reasons[1]
    patch = '{"status":{"loadBalancer":{"ingress":[{"ip":"203.0.113.20"}]}}}'
    managed.kubectl(cluster, "-n", namespace, "patch", "service", "s", "--subresource=status", "--patch", patch)
    outputs = provider.update(SERVICE, failed.value.id, failed.value.outputs, inputs, timeout=10)
    assert outputs["status"]["loadBalancer"]["ingress"][0]["ip"] == "203.0.113.20"


def pod_status(managed, cluster, namespace, **status):
    """Play the kubelet: set the status of the namespace's pods, binding them to no node."""

    def pods():
        return get(managed, cluster, "-n", namespace, "pods")["items"]

    wait_until(lambda: pods() != [], 20, "pods")
    for pod in pods():
        managed.kubectl(
            cluster, "-n", namespace, "patch", "pod", pod["metadata"]["name"], "--subresource=status", "--patch",
            json.dumps({"status": status}),
        )  # fmt: skip


def test_a_deployment_is_ready_once_its_pods_are(provider, managed, cluster, namespace):
    result = {}

    def create():
        result["created"] = provider.create(DEPLOYMENT, deployment(namespace), timeout=60)
        result["at"] = time.monotonic()

    thread = threading.Thread(target=create)
    thread.start()
    time.sleep(2)
    assert "created" not in result, "it must wait"
    ready_at = time.monotonic()
    pod_status(managed, cluster, namespace, phase="Running", conditions=[{"type": "Ready", "status": "True"}])
    thread.join(30)
    assert result["at"] > ready_at
    assert result["created"][1]["status"]["availableReplicas"] == 1


def test_a_deployment_whose_image_cannot_be_had_says_so(provider, managed, cluster, namespace):
    failed = {}

    def create():
        try:
            provider.create(DEPLOYMENT, deployment(namespace), timeout=6)
        except Refusal as error:
            failed["error"] = error

    thread = threading.Thread(target=create)
    thread.start()
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    container = {
        "name": "main", "image": "example.com/web:1", "imageID": "", "ready": False, "restartCount": 0,
        "state": waiting,
    }  # fmt: skip
    pod_status(managed, cluster, namespace, phase="Pending", containerStatuses=[container])
    thread.join(30)
    error = failed["error"]
    assert error.id == f"{namespace}/web"
    assert any("image example.com/web:1 cannot be had (ImagePullBackOff)" in each for each in error.reasons)
    assert any("0 of 1 pods" in each for each in error.reasons)


def test_a_privileged_pod_is_refused_in_a_restricted_namespace(provider, managed, cluster, namespace):
    label = "pod-security.kubernetes.io/enforce=restricted"
    managed.kubectl(cluster, "label", "namespace", namespace, label)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": namespace},
        "spec": {"containers": [{"name": "c", "image": "i", "securityContext": {"privileged": True}}]},
    }
    with pytest.raises(Refusal, match=r"violates PodSecurity.*privileged") as refused:
        provider.create("kubernetes:core/v1:Pod", pod)
    assert refused.value.code == grpc.StatusCode.PERMISSION_DENIED
    with pytest.raises(Refusal) as failed:
        provider.create(DEPLOYMENT, deployment(namespace, securityContext={"privileged": True}), timeout=4)
    assert any("pods are refused" in each and "PodSecurity" in each for each in failed.value.reasons)


def test_a_namespace_is_created_named_automatically_and_deleted(provider, managed, cluster):
    inputs = provider.checked(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace"}, name="Serving")
    name = inputs["metadata"]["name"]
    assert name.startswith("serving-")
    assert len(name) == len("serving-") + 7
    id_, outputs = provider.create(NAMESPACE, inputs)
    assert id_ == name
    assert outputs["status"]["phase"] == "Active"
    provider.create(CONFIG_MAP, config_map(name))
    provider.delete(NAMESPACE, id_, outputs, timeout=60)
    assert managed.kubectl(cluster, "get", "namespace", name, check=False).returncode != 0


def test_secrets_stay_secret_and_out_of_errors(provider, namespace):
    inputs = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": namespace},
        "stringData": {"key": Secret("hunter2-is-secret")},
    }
    id_, outputs = provider.create(SECRET, inputs)
    assert isinstance(outputs["data"], Secret)
    assert base64.b64decode(reveal(outputs["data"])["key"]) == b"hunter2-is-secret"
    assert provider.read(SECRET, id_, inputs, outputs)[1] == inputs
    bad = {**config_map(namespace), "data": {"a key/": Secret("hunter2-is-secret")}, "nonsense": Secret("hunter3-too")}
    with pytest.raises(Refusal) as refused:
        provider.create(CONFIG_MAP, bad)
    assert "nonsense" in str(refused.value)
    assert "hunter" not in str(refused.value)


def test_the_gateway_chart_brings_its_kinds_quickly(provider, managed, cluster):
    inputs = {
        "chart": "oci://docker.io/envoyproxy/gateway-helm",
        "version": "v1.9.0",
        "name": "eg",
        "namespace": "envoy-gateway-system",
        "createNamespace": True,
    }
    started = time.monotonic()
    id_, outputs = provider.create(RELEASE, inputs)
    seconds = time.monotonic() - started
    print(f"gateway-helm took {seconds:.1f} s")
    assert id_ == "envoy-gateway-system/eg"
    assert outputs["status"]["status"] == "deployed"
    gateway_class = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": {"name": "tricorn"},
        "spec": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"},
    }
    token = "kubernetes:gateway.networking.k8s.io/v1:GatewayClass"
    assert provider.create(token, gateway_class)[0] == "tricorn"
    proxy = {
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": "EnvoyProxy",
        "metadata": {"name": "p", "namespace": "envoy-gateway-system"},
        "spec": {"providr": {"type": "Kubernetes"}},
    }
    with pytest.raises(Refusal, match=r"EnvoyProxy envoy-gateway-system/p: .*spec\.providr"):
        provider.create("kubernetes:gateway.envoyproxy.io/v1alpha1:EnvoyProxy", proxy)
    definitions = managed.kubectl(cluster, "get", "crd", "-o", "name").stdout.split()
    assert len(definitions) > 15
    marker = get(managed, cluster, "-n", "envoy-gateway-system", "configmaps", "-l", "localcloud.tricorn.dev/chart")
    assert marker["items"][0]["data"]["chart"] == "gateway-helm"
    provider.delete(RELEASE, id_, outputs)
    assert provider.read(RELEASE, id_, inputs, outputs)[0] == ""
    assert seconds < 30


def test_the_device_plugin_chart_says_that_gpus_are_simulated(provider, managed, cluster):
    inputs = {
        "chart": "nvidia-device-plugin", "version": "0.17.4", "name": "gpu", "namespace": "nvidia-device-plugin",
        "createNamespace": True, "values": {"affinity": {}},
    }  # fmt: skip
    id_, outputs = provider.create(RELEASE, inputs)
    marker = get(managed, cluster, "-n", "nvidia-device-plugin", "configmap", "helm-release-gpu")
    assert "simulated GPUs" in marker["data"]["note"]
    outputs = provider.update(RELEASE, id_, outputs, {**inputs, "values": {"affinity": {"x": {}}}})
    assert outputs["status"]["revision"] == 2
    provider.delete(RELEASE, id_, outputs)


def test_an_object_of_a_kind_that_is_not_served_is_refused_with_the_remedy(provider, namespace):
    widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": namespace}}
    assert provider.create("kubernetes:example.com/v1:Widget", widget, preview=True)[1]["kind"] == "Widget"
    started = time.monotonic()
    with pytest.raises(Refusal, match=r"serves no Widget in example\.com/v1; install its CustomResourceDefinition"):
        provider.create("kubernetes:example.com/v1:Widget", widget, timeout=1)
    assert 1 <= time.monotonic() - started < 10
