"""From a pod's specification to what its containers see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from localcloud.ledger import Identity
from localcloud.nodes import images, plan
from localcloud.nodes.edge import TENANT, with_edge
from localcloud.nodes.volumes import contents
from localcloud.paths import project_directory
from localcloud.providers import azure_names

IDENTITY = Identity("aws", "i", "c1", "serving", "puller", "arn:aws:iam::1:role/r")


def pod(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "p", "namespace": "serving", "uid": "u", "labels": {"app": "x"}},
        "spec": {"nodeName": "n", "serviceAccountName": "puller", "containers": [{"name": "c", "image": "i"}], **spec},
        "status": {"podIP": "10.111.0.2", "hostIP": "10.111.255.1"},
    }


def variables(container: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in container.get("env") or []}


def test_the_container_decides_its_user_before_the_pod() -> None:
    container = {"name": "c", "securityContext": {"runAsUser": 7}}
    assert plan.user(pod(securityContext={"runAsUser": 1000, "runAsGroup": 1001}), container) == (7, 1001)


def test_run_as_non_root_refuses_an_image_that_runs_as_root() -> None:
    with pytest.raises(plan.ConfigError, match="runAsNonRoot"):
        plan.user(pod(securityContext={"runAsNonRoot": True}), {"name": "c"})


def test_references_in_commands_are_expanded_and_unknown_ones_stay() -> None:
    assert plan.expand("--a=$(A) $(B) $$(A) $x", {"A": "1"}) == "--a=1 $(B) $(A) $x"


def test_environment_takes_values_fields_and_references_in_order() -> None:
    container = {
        "name": "c",
        "resources": {"limits": {"cpu": "1500m"}},
        "env": [
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
            {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
            {"name": "KEY", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}},
            {"name": "URL", "value": "http://$(IP)/$(KEY)"},
            {"name": "HOME", "value": "/mine"},
        ],
    }
    data = {("configmaps", "m"): {"k": "v"}}
    found = plan.environment(pod(), container, {"HOME": "/", "PATH": "/bin"}, data)
    assert found == {
        "HOME": "/mine", "PATH": "/bin", "IP": "10.111.0.2", "LABEL": "x", "CPU": "2", "KEY": "v",
        "URL": "http://10.111.0.2/v",
    }  # fmt: skip


def test_a_missing_key_is_named_unless_it_is_optional() -> None:
    reference: dict[str, Any] = {"name": "m", "key": "k"}
    container = {"name": "c", "env": [{"name": "A", "valueFrom": {"secretKeyRef": reference}}]}
    with pytest.raises(plan.ConfigError, match="'k' of secret 'm'"):
        plan.environment(pod(), container, {}, {})
    reference["optional"] = True
    assert plan.environment(pod(), container, {}, {}) == {}


def test_mounts_are_read_only_when_the_mount_or_the_kind_of_volume_says_so(tmp_path: Path) -> None:
    container = {
        "name": "c",
        "volumeMounts": [
            {"name": "models", "mountPath": "/models", "readOnly": True},
            {"name": "models", "mountPath": "/w"},
            {"name": "config", "mountPath": "/config"},
        ],
    }
    found = plan.mounts(container, {"models": (tmp_path, False), "config": (tmp_path, True)})
    assert [(each.target, each.read_only) for each in found] == [("/models", True), ("/w", False), ("/config", True)]


def test_a_mount_of_a_volume_that_the_pod_lacks_or_that_leaves_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(plan.ConfigError, match="'x', which the pod lacks"):
        plan.mounts({"name": "c", "volumeMounts": [{"name": "x", "mountPath": "/x"}]}, {})
    escaping = {"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/x", "subPath": "../.."}]}
    with pytest.raises(plan.ConfigError, match="subPath"):
        plan.mounts(escaping, {"v": (tmp_path, False)})


@pytest.mark.parametrize(
    "reference",
    [
        "docker.io/tensorflow/serving:2.20.0-gpu",
        "tensorflow/serving@sha256:" + "0" * 64,
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/tricorn/tensorflow/serving:2.20.0",
        "us-central1-docker.pkg.dev/p/r/tensorflow/serving:1",
        "localhost:5000/tensorflow/serving",
    ],
)
def test_images_are_found_by_repository_in_any_registry(reference: str) -> None:
    assert images.find(reference, str).repository == "tensorflow/serving"


@pytest.mark.parametrize(
    "reference", ["docker.io/library/nginx:1", "evil/tensorflow-serving:1", "xtensorflow/serving:1"]
)
def test_images_without_a_stand_in_are_refused_by_name(reference: str) -> None:
    with pytest.raises(images.UnknownImage, match="no stand-in"):
        images.find(reference, str)


def test_the_model_server_is_replaced_and_other_programs_of_its_image_are_refused() -> None:
    image = images.find("tensorflow/serving:2", str)
    command = image.command(["/usr/bin/tensorflow_model_server"], ["--port=8500"])
    assert command[1:] == ["-m", "localcloud.modelserver", "--port=8500"]
    assert image.command(["/bin/sh"], ["-c", "x"]) == ["/bin/sh", "-c", "x"]
    with pytest.raises(images.UnknownImage, match="tf_serving_entrypoint"):
        image.command([], [])


def test_the_model_server_image_shows_no_files_of_the_run() -> None:
    sources = [each.source for each in images.find("tensorflow/serving:2", str).mounts]
    assert project_directory() not in sources
    assert all(each.read_only for each in images.find("tensorflow/serving:2", str).mounts)


def test_aws_gives_credentials_only_to_an_associated_service_account() -> None:
    changed = with_edge(pod(), "aws", "us-east-1", "127.111.0.2", [IDENTITY], None)
    found = variables(changed["spec"]["containers"][0])
    assert found["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == "http://127.0.1.250:9000/eks/credentials"
    assert found["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"].endswith("/eks-pod-identity-token")
    audience = changed["spec"]["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"]["audience"]
    assert audience == "pods.eks.amazonaws.com"
    without = with_edge(pod(serviceAccountName="other"), "aws", "us-east-1", "127.111.0.2", [IDENTITY], None)
    assert "AWS_CONTAINER_CREDENTIALS_FULL_URI" not in variables(without["spec"]["containers"][0])
    assert "volumes" not in without["spec"]


def test_what_the_manifest_sets_wins_and_the_pod_itself_stays_as_it_is() -> None:
    original = pod(containers=[{"name": "c", "image": "i", "env": [{"name": "AWS_REGION", "value": "mine"}]}])
    changed = with_edge(original, "aws", "us-east-1", "127.111.0.2", [IDENTITY], None)
    assert variables(changed["spec"]["containers"][0])["AWS_REGION"] == "mine"
    assert "volumes" not in original["spec"]


def test_azure_asks_for_the_label_and_takes_the_client_id_from_the_annotation() -> None:
    account = {"metadata": {"annotations": {"azure.workload.identity/client-id": "client"}}}
    env = [{"name": "RCLONE_CONFIG_STORE_ACCOUNT", "value": "acct"}]
    labelled = pod(containers=[{"name": "c", "image": "i", "env": env}])
    assert "AZURE_CLIENT_ID" not in variables(
        with_edge(labelled, "azure", "eastus", "127.131.0.2", [], account)["spec"]["containers"][0]
    )
    labelled["metadata"]["labels"]["azure.workload.identity/use"] = "true"
    found = variables(with_edge(labelled, "azure", "eastus", "127.131.0.2", [], account)["spec"]["containers"][0])
    assert found["AZURE_CLIENT_ID"] == "client"
    assert found["AZURE_AUTHORITY_HOST"] == "https://127.0.3.250:9443/"
    assert found["RCLONE_AZUREBLOB_ENDPOINT"] == "https://127.0.3.250:9443/acct"


def test_pods_see_the_tenant_that_the_provider_reports() -> None:
    assert azure_names.TENANT == TENANT


def test_google_points_each_pod_to_a_metadata_server_of_its_own() -> None:
    found = variables(with_edge(pod(), "gcp", "us-central1", "127.121.0.9", [], None)["spec"]["containers"][0])
    assert found["GCE_METADATA_HOST"] == "127.121.0.9:9880"


def test_secrets_are_decoded_and_config_maps_are_not() -> None:
    assert contents({"kind": "Secret", "data": {"a": "aGk="}}) == {"a": b"hi"}
    assert contents({"kind": "ConfigMap", "data": {"a": "hi"}, "binaryData": {"b": "aGk="}}) == {"a": b"hi", "b": b"hi"}
