"""ModelServer and ServingNamespace: what they declare, what waits for what, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from components.model_server import ModelServer, ModelServerArgs
from components.serving_namespace import ServingNamespace, ServingNamespaceArgs
from tests.components.fake_bundle import sign_bundle, write_bundle
from tests.components.recording import UNKNOWN

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
CONFIG = "kubernetes:core/v1:ConfigMap"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_bundle(tmp_path, version=1, content=b"one")
    write_bundle(tmp_path, version=2, content=b"two")
    return tmp_path


def arguments(folder: Path, **changes: Any) -> ModelServerArgs:
    values: dict[str, Any] = {
        "model": "scenes",
        "version": 1,
        "bundle_folder": str(folder),
        "object_key": "bundles/scenes/one.tar",
        "namespace": "serving",
        "service_account": "model-server",
        "store_kind": "s3",
        "store_bucket": "models",
        "store_region": "us-east-1",
    }
    return ModelServerArgs(**{**values, **changes})


def cluster() -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(provider=k8s.Provider("cluster"))


def pod(recording: Any) -> dict[str, Any]:
    return recording.one(DEPLOYMENT).inputs["spec"]["template"]["spec"]


def environment(recording: Any) -> dict[str, Any]:
    (puller,) = pod(recording)["initContainers"]
    return {each["name"]: each["value"] for each in puller["env"]}


def test_every_object_is_a_child_with_the_callers_provider(run, preview, folder):
    recording = run(lambda: ModelServer("m", arguments(folder), cluster()).service_name, preview=preview)
    assert {row.name: row.type.rpartition(":")[2] for row in recording.children()} == {
        "m-config": "ConfigMap",
        "m-deployment": "Deployment",
        "m-service": "Service",
        "m-disruption-budget": "PodDisruptionBudget",
        "m-network-policy": "NetworkPolicy",
    }
    assert {(row.parent, row.provider) for row in recording.children()} == {("m", "cluster")}
    assert recording.value == "scenes-v1"


def test_an_autoscaler_comes_only_with_room_to_scale(run, folder):
    hpa = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
    fixed = run(lambda: ModelServer("m", arguments(folder, min_replicas=2)).service_name)
    assert not fixed.all(hpa)
    assert fixed.one(DEPLOYMENT).inputs["spec"]["replicas"] == 2
    scaled = run(lambda: ModelServer("m", arguments(folder, min_replicas=2, max_replicas=5)).service_name)
    bounds = scaled.one(hpa).inputs["spec"]
    assert (bounds["minReplicas"], bounds["maxReplicas"]) == (2, 5)
    assert "replicas" not in scaled.one(DEPLOYMENT).inputs["spec"]


def test_the_pods_wait_for_the_archive_and_their_configuration_and_nothing_else_does(run, folder):
    def build():
        uploaded = k8s.core.v1.ConfigMap("uploaded", metadata={"name": "key-of-the-archive"})
        ModelServer("m", arguments(folder, object_key=uploaded.metadata.name))

    recording = run(build)
    uploaded = recording.one(CONFIG, "uploaded").urn
    deployment = recording.one(DEPLOYMENT)
    assert {uploaded, recording.one(CONFIG, "m-config").urn} <= deployment.depends_on
    assert environment(recording)["BUNDLE_KEY"] == "key-of-the-archive"
    others = [row for row in recording.children() if row.parent == "m" and row is not deployment]
    assert len(others) == 4
    assert not any(row.depends_on for row in others)


def test_a_preview_does_not_know_the_key_before_the_archive_is_stored(run, folder):
    def build():
        uploaded = k8s.core.v1.ConfigMap("uploaded")
        ModelServer("m", arguments(folder, object_key=uploaded.id))

    assert environment(run(build, preview=True))["BUNDLE_KEY"] == UNKNOWN
    assert environment(run(build))["BUNDLE_KEY"] == "uploaded-id"


def test_pods_get_as_long_as_a_gpu_machine_takes(run, folder):
    waits: dict[str, Any] = {}

    def watch(args: pulumi.ResourceTransformationArgs) -> None:
        waits[args.type_] = args.opts.custom_timeouts

    run(lambda: ModelServer("m", arguments(folder), pulumi.ResourceOptions(transformations=[watch])).service_name)
    assert (waits[DEPLOYMENT].create, waits[DEPLOYMENT].update) == ("30m", "30m")


@pytest.mark.parametrize(
    ("kind", "account", "expected"),
    [
        ("s3", None, {"RCLONE_CONFIG_STORE_TYPE": "s3", "RCLONE_CONFIG_STORE_REGION": "us-east-1"}),
        ("gcs", None, {"RCLONE_CONFIG_STORE_TYPE": "google cloud storage"}),
        ("azureblob", "acme", {"RCLONE_CONFIG_STORE_TYPE": "azureblob", "RCLONE_CONFIG_STORE_ACCOUNT": "acme"}),
    ],
)
def test_the_puller_is_told_its_clouds_store(run, folder, kind, account, expected):
    recording = run(lambda: ModelServer("m", arguments(folder, store_kind=kind, store_account=account)).service_name)
    found = environment(recording)
    assert found.items() >= {**expected, "STORE_BUCKET": "models"}.items()
    assert found["BUNDLE_SHA256"] == "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    assert ("RCLONE_CONFIG_STORE_ACCOUNT" in found) == (kind == "azureblob")


def test_a_pool_decides_where_pods_run_and_whether_they_get_a_gpu(run, folder):
    gpu = pod(run(lambda: ModelServer("m", arguments(folder, pool="t4")).service_name))
    assert gpu["nodeSelector"] == {"tricorn.dev/pool": "t4"}
    assert gpu["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    cpu = pod(run(lambda: ModelServer("m", arguments(folder)).service_name))
    assert cpu["nodeSelector"] == {"tricorn.dev/pool": "system"}
    assert "nvidia.com/gpu" not in cpu["containers"][0]["resources"]["limits"]


def test_what_is_given_reaches_the_server_and_the_rest_keeps_its_default(run, folder):
    recording = run(
        lambda: ModelServer(
            "m",
            arguments(
                folder, cpu=3, memory_mib=2048, batch_timeout_micros=0, grpc_max_threads=32,
                server_image="example.com/server:9", pod_labels={"identity": "on"},
            ),
        ).service_name
    )  # fmt: skip
    template = recording.one(DEPLOYMENT).inputs["spec"]["template"]
    (server,) = template["spec"]["containers"]
    assert server["image"] == "example.com/server:9"
    assert server["resources"]["requests"] == {"cpu": "3", "memory": "2048Mi"}
    assert {"--grpc_max_threads=32", "--num_request_iterations_for_warmup=3"} <= set(server["args"])
    assert "batch_timeout_micros { value: 0 }" in recording.one(CONFIG).inputs["data"]["batching.config"]
    assert template["spec"]["initContainers"][0]["image"] == "docker.io/rclone/rclone:1.75.1"
    assert template["metadata"]["labels"]["identity"] == "on"


def test_memory_follows_the_bundles_measurement(run, folder):
    (server,) = pod(run(lambda: ModelServer("m", arguments(folder)).service_name))["containers"]
    assert server["resources"]["requests"]["memory"] == "768Mi"


def test_two_versions_live_side_by_side(run, preview, folder):
    def build():
        first = ModelServer("a-v1", arguments(folder, version=1), cluster())
        second = ModelServer("a-v2", arguments(folder, version=2))
        return [first.service_name, second.service_name]

    recording = run(build, preview=preview)
    assert recording.value == ["scenes-v1", "scenes-v2"]
    assert len({row.inputs["metadata"]["name"] for row in recording.all(DEPLOYMENT)}) == 2


@pytest.mark.parametrize(
    ("changes", "path", "text"),
    [
        ({"min_replicas": 0}, "minReplicas", "must be greater than or equal to 1, got 0"),
        ({"min_replicas": 3, "max_replicas": 2}, "maxReplicas", "must be >= minReplicas (3), got 2"),
        ({"max_replicas": 5000}, "maxReplicas", "must be less than or equal to 1000, got 5000"),
        ({"cpu": 0}, "cpu", "must be greater than or equal to 1, got 0"),
        ({"memory_mib": 100}, "memoryMib", "must be greater than or equal to 256, got 100"),
        ({"warmup_iterations": 0}, "warmupIterations", "must be greater than or equal to 1, got 0"),
        ({"request_timeout_ms": 0}, "requestTimeoutMs", "must be greater than or equal to 100, got 0"),
        ({"store_kind": "ftp"}, "storeKind", "must be s3, gcs, azureblob or http, got 'ftp'"),
        ({"store_kind": "azureblob"}, "storeAccount", "is needed for azureblob"),
        ({"store_account": "acme"}, "storeAccount", "for nothing else, got storeKind 's3'"),
        ({"server_image": "tensorflow/serving"}, "serverImage", "got 'tensorflow/serving'"),
        ({"puller_image": "docker.io/rclone/rclone:latest"}, "pullerImage", "moving tag 'latest'"),
    ],
)
def test_a_bad_value_is_refused_by_name_with_its_rule(folder, changes, path, text):
    with pytest.raises(pulumi.InputPropertiesError) as refusal:
        arguments(folder, **changes)
    assert f"  {path}: " in str(refusal.value)
    assert text in str(refusal.value)


def test_all_bad_values_are_named_at_once(folder):
    with pytest.raises(pulumi.InputPropertiesError) as refusal:
        arguments(folder, min_replicas=0, cpu=0, grpc_max_threads=1, store_kind="ftp")
    assert str(refusal.value).count("\n  ") == 4


def refused(run, args: ModelServerArgs) -> tuple[str, list[str]]:
    """The refusal's text, and the names of resources declared in spite of it."""
    declared: list[str] = []

    def watch(seen: pulumi.ResourceTransformationArgs) -> None:
        declared.append(seen.name)

    with pytest.raises(pulumi.InputPropertiesError) as refusal:
        run(lambda: ModelServer("m", args, pulumi.ResourceOptions(transformations=[watch])).service_name)
    return str(refusal.value), [name for name in declared if name != "m"]


def test_a_missing_version_is_refused_before_any_object_is_declared(run, folder):
    text, declared = refused(run, arguments(folder, version=9))
    assert "bundleFolder" in text
    assert "9.json: there is no such manifest" in text
    assert not declared


def test_an_altered_archive_is_refused_before_any_object_is_declared(run, folder):
    for archive in folder.glob("*.tar"):
        archive.write_bytes(b"TWO")
    text, declared = refused(run, arguments(folder))
    assert "does not have the SHA-256" in text
    assert not declared


def test_a_bundle_of_another_model_is_refused(run, folder):
    text, declared = refused(run, arguments(folder, model="faces"))
    assert "model: must be 'scenes'" in text
    assert "got 'faces'" in text
    assert not declared


def test_a_bundle_without_a_trusted_signature_is_refused_before_any_object_is_declared(run, folder):
    trusted = sign_bundle(folder, Ed25519PrivateKey.generate())
    run(lambda: ModelServer("m", arguments(folder, signers=[trusted])))
    text, declared = refused(run, arguments(folder, version=2, signers=[trusted]))
    assert "2.json is not signed" in text
    text, more = refused(run, arguments(folder, signers=["no.pem"]))
    assert "signers: no.pem cannot be read" in text
    assert not declared + more


def test_a_namespace_is_restricted_closed_and_first(run, preview):
    def build():
        args = ServingNamespaceArgs(
            namespace="serving", service_account="model-server", service_account_annotations={"client-id": "c"}
        )
        return ServingNamespace("s", args, cluster()).namespace

    recording = run(build, preview=preview)
    namespace = recording.one("kubernetes:core/v1:Namespace")
    assert namespace.inputs["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    others = [row for row in recording.children() if row is not namespace]
    assert {row.name for row in others} == {"s-service-account", "s-puller", "s-default-deny", "s-priority"}
    assert all(namespace.urn in row.depends_on for row in others)
    assert {(row.parent, row.provider) for row in recording.children()} == {("s", "cluster")}
    account = recording.one("kubernetes:core/v1:ServiceAccount").inputs
    assert account["metadata"]["annotations"] == {"client-id": "c"}
    policy = recording.one("kubernetes:networking.k8s.io/v1:NetworkPolicy").inputs["spec"]
    assert policy == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert recording.value == "serving"


def test_a_second_namespace_of_a_cluster_shares_the_priority_of_the_first(run):
    def build():
        for name, owns in (("a", None), ("b", False)):
            args = ServingNamespaceArgs(namespace=name, service_account="model-server", priority_class=owns)
            ServingNamespace(name, args, cluster() if name == "a" else None)

    assert run(build).one("kubernetes:scheduling.k8s.io/v1:PriorityClass").parent == "a"


def test_images_of_a_clouds_own_registry_may_be_known_later(run, preview, folder):
    def build():
        registry = k8s.core.v1.ConfigMap("registry")
        image = registry.id.apply(lambda host: f"{host}/serving:2")
        ModelServer("m", arguments(folder, server_image=image, puller_image=image, priority_class="model-server"))

    recording = run(build, preview=preview)
    expected = UNKNOWN if preview else "registry-id/serving:2"
    assert {each["image"] for key in ("containers", "initContainers") for each in pod(recording)[key]} == {expected}
    assert pod(recording)["priorityClassName"] == "model-server"
