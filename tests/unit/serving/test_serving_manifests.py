import copy
import itertools
import json
import re

import pytest
from bundle_files import archive_bytes, manifest_document
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st

from serving.bundles import BundleManifest
from serving.manifests import ModelServerSpec, StoreLocation, model_server_objects, server_arguments, server_name
from serving.namespace import namespace_objects
from serving.protos import model_server_config_pb2
from serving.settings_sections import Replicas, Resources, Serving

MANIFEST = BundleManifest.model_validate(manifest_document(archive_bytes()))
STORES = {
    "s3": StoreLocation(kind="s3", bucket="models", region="us-east-1"),
    "gcs": StoreLocation(kind="gcs", bucket="models", region="us-central1"),
    "azureblob": StoreLocation(kind="azureblob", bucket="models", account="acct", region="eastus"),
}


class Opaque:
    """A value known later: looking at it in any way is an error."""

    def _refuse(self, *_: object) -> object:
        raise AssertionError("an output was looked at")

    __str__ = __repr__ = __format__ = __bool__ = __eq__ = __hash__ = __len__ = __iter__ = _refuse


def spec(**changes: object) -> ModelServerSpec:
    base = {
        "model": "scenes", "version": 3, "namespace": "serving", "service_account": "model-server",
        "server_image": "docker.io/tensorflow/serving:2.20.0-gpu", "puller_image": "docker.io/rclone/rclone:1.75.1",
        "bundle": MANIFEST, "object_key": "bundles/scenes/x.tar", "store": STORES["s3"], "pool": "l4",
        "replicas": Replicas(), "resources": Resources(), "serving": Serving(), "pod_labels": {},
    }  # fmt: skip
    return ModelServerSpec(**(base | changes))


def pod(**changes: object) -> dict:
    return model_server_objects(spec(**changes))["deployment"]["spec"]["template"]


def server(**changes: object) -> dict:
    return pod(**changes)["spec"]["containers"][0]


def variables(container: dict) -> dict:
    return {each["name"]: each["value"] for each in container["env"]}


def flags(**changes: object) -> dict[str, str]:
    return dict(each.removeprefix("--").split("=", 1) for each in server_arguments(spec(**changes)))


def restricted_problems(template: dict) -> list[str]:
    """What Pod Security's `restricted` standard (Kubernetes 1.36) would say."""
    found = []
    body = template["spec"]
    found += [key for key in ("hostNetwork", "hostPID", "hostIPC") if body.get(key)]
    allowed = {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
    found += [f"volume {v['name']}" for v in body["volumes"] if not (v.keys() - {"name"}) <= allowed]
    whole = body["securityContext"]
    for container in body["containers"] + body["initContainers"]:
        own = container["securityContext"]
        effective = whole | own
        if own.get("privileged") or own.get("allowPrivilegeEscalation") is not False:
            found.append(f"{container['name']}: privilege")
        if own["capabilities"].get("drop") != ["ALL"] or own["capabilities"].get("add"):
            found.append(f"{container['name']}: capabilities")
        if effective.get("runAsNonRoot") is not True or effective.get("runAsUser") == 0:
            found.append(f"{container['name']}: root")
        if effective.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
            found.append(f"{container['name']}: seccomp")
        found += [f"{container['name']}: host port" for port in container.get("ports", []) if "hostPort" in port]
    return found


@pytest.mark.parametrize(("kind", "pool"), [*itertools.product(STORES, ["l4", None])])
def test_pods_pass_the_restricted_standard_and_have_read_only_roots(kind: str, pool: str | None):
    template = pod(store=STORES[kind], pool=pool)
    assert restricted_problems(template) == []
    for container in template["spec"]["containers"] + template["spec"]["initContainers"]:
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert template["spec"]["securityContext"]["runAsUser"] == 1000


def test_the_check_of_the_restricted_standard_sees_what_it_should():
    good = pod()
    for path, value in (
        (("securityContext", "runAsNonRoot"), False),
        (("securityContext", "seccompProfile"), {}),
        (("hostNetwork",), True),
    ):
        bad = copy.deepcopy(good)
        here = bad["spec"]
        for step in path[:-1]:
            here = here[step]
        here[path[-1]] = value
        assert restricted_problems(bad)


def test_the_namespace_enforces_the_restricted_standard_and_is_closed():
    objects = namespace_objects("serving", "model-server", {"a": "b"})
    labels = objects["namespace"]["metadata"]["labels"]
    assert {labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "warn", "audit")} == {"restricted"}
    assert objects["default-deny"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert objects["service-account"]["metadata"]["annotations"] == {"a": "b"}
    assert objects["service-account"]["automountServiceAccountToken"] is False
    assert set(objects) == {"namespace", "service-account", "puller", "default-deny", "priority"}


def test_servers_come_before_batch_work_and_behind_what_the_cluster_needs():
    priority = namespace_objects("serving", "model-server", {})["priority"]
    assert 0 < priority["value"] < 1_000_000_000  # from there on it is the system's
    assert pod(priority_class=priority["metadata"]["name"])["spec"]["priorityClassName"] == "model-server"
    assert "priorityClassName" not in pod()["spec"]


def test_pods_of_a_version_are_spread_over_zones_and_nodes_where_there_are_several():
    spread = pod()["spec"]["topologySpreadConstraints"]
    assert [each["topologyKey"] for each in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    assert {each["whenUnsatisfiable"] for each in spread} == {"ScheduleAnyway"}


def test_every_selector_finds_the_pods_of_its_version_and_of_no_other():
    ours = model_server_objects(spec())
    labels = ours["deployment"]["spec"]["template"]["metadata"]["labels"]
    others = pod(version=4)["metadata"]["labels"]
    selectors = [
        ours["deployment"]["spec"]["selector"]["matchLabels"],
        ours["service"]["spec"]["selector"],
        ours["disruption-budget"]["spec"]["selector"]["matchLabels"],
        ours["network-policy"]["spec"]["podSelector"]["matchLabels"],
        pod()["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ]
    for selector in selectors:
        assert selector == {"app.kubernetes.io/name": "scenes", "tricorn.dev/version": "3"}
        assert selector.items() <= labels.items()
        assert not selector.items() <= others.items()


def test_pod_labels_of_a_cloud_are_added_to_pods_and_not_to_selectors():
    objects = model_server_objects(spec(pod_labels={"azure.workload.identity/use": "true"}))
    template = objects["deployment"]["spec"]["template"]
    assert template["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    assert "azure.workload.identity/use" not in objects["deployment"]["spec"]["selector"]["matchLabels"]


def test_the_service_speaks_http2_to_the_grpc_port():
    ports = {each["name"]: each for each in model_server_objects(spec())["service"]["spec"]["ports"]}
    assert (ports["grpc"]["port"], ports["grpc"]["appProtocol"]) == (8500, "kubernetes.io/h2c")
    assert ports["http"]["port"] == 8501


def test_a_gpu_pod_asks_for_one_gpu_and_tolerates_its_taint_and_a_cpu_pod_does_not():
    gpu, cpu = pod(), pod(pool=None)
    assert gpu["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert gpu["spec"]["nodeSelector"] == {"tricorn.dev/pool": "l4"}
    (toleration,) = gpu["spec"]["tolerations"]
    assert (toleration["key"], toleration["operator"], toleration["effect"]) == (
        "nvidia.com/gpu",
        "Exists",
        "NoSchedule",
    )
    assert "nvidia.com/gpu" not in json.dumps(cpu)
    assert cpu["spec"]["nodeSelector"] == {"tricorn.dev/pool": "system"}


def test_memory_is_what_settings_say_or_twice_the_measured_peak_in_steps_of_256_mib():
    assert server()["resources"]["requests"]["memory"] == "1536Mi"  # 2 x 700.5 MiB
    assert server()["resources"]["limits"]["memory"] == "1536Mi"
    assert server(resources=Resources.model_validate({"memoryMib": 3000}))["resources"]["limits"]["memory"] == "3000Mi"


@given(st.floats(1, 60_000))
def test_derived_memory_is_at_least_twice_the_peak_and_less_than_a_step_more(peak: float):
    measured = MANIFEST.measured.model_copy(update={"peak_memory_mib": peak})
    memory = spec(bundle=MANIFEST.model_copy(update={"measured": measured})).memory_mib
    assert 2 * peak <= memory < 2 * peak + 256
    assert memory % 256 == 0


def test_cpus_are_requested_without_a_limit_and_are_tensorflows_threads():
    resources = server(resources=Resources(cpu=4))["resources"]
    assert resources["requests"]["cpu"] == "4"
    assert "cpu" not in resources["limits"]
    found = flags(resources=Resources(cpu=4))
    assert found["tensorflow_intra_op_parallelism"] == found["tensorflow_inter_op_parallelism"] == "4"


def test_the_flags_are_those_of_a_server_that_never_changes_what_it_serves():
    found = flags(serving=Serving.model_validate({"requestTimeoutMs": 5000, "grpcMaxThreads": 64}))
    expected = {
        "port": "8500", "rest_api_port": "8501", "model_config_file_poll_wait_seconds": "0",
        "file_system_poll_wait_seconds": "0", "enable_batching": "true", "enable_profiler": "false",
        "enable_grpc_healthcheck_service": "true", "num_load_threads": "1", "num_unload_threads": "1",
        "max_num_load_retries": "1", "load_retry_interval_micros": "5000000", "enable_model_warmup": "true",
        "num_request_iterations_for_warmup": "3", "rest_api_timeout_in_ms": "5000", "rest_api_num_threads": "64",
        "grpc_max_threads": "64",
    }  # fmt: skip
    assert expected.items() <= found.items()
    assert "grpc.max_connection_age_ms=300000" in found["grpc_channel_arguments"]
    assert server()["command"] == ["/usr/bin/tensorflow_model_server"]


def test_every_file_that_flags_name_is_in_the_mounted_config_map():
    objects = model_server_objects(spec())
    data = objects["config"]["data"]
    named = {value for name, value in flags().items() if name.endswith("_file")}
    assert named == {f"/config/{name}" for name in data}
    mounts = {each["mountPath"]: each for each in server()["volumeMounts"]}
    assert mounts["/config"]["readOnly"] is True
    volumes = {each["name"]: each for each in pod()["spec"]["volumes"]}
    assert volumes[mounts["/config"]["name"]]["configMap"]["name"] == objects["config"]["metadata"]["name"]
    parsed = text_format.Parse(data["models.config"], model_server_config_pb2.ModelServerConfig())
    assert parsed.model_config_list.config[0].base_path == "/models/scenes"


def test_a_changed_configuration_rolls_the_pods_and_the_same_one_does_not():
    def checksum(**changes: object) -> str:
        return pod(**changes)["metadata"]["annotations"]["tricorn.dev/config"]

    assert checksum() == checksum(replicas=Replicas(min=2, max=2))
    assert checksum() != checksum(serving=Serving.model_validate({"batchTimeoutMicros": 1}))
    assert checksum() != checksum(resources=Resources(cpu=2))


def test_pods_say_which_bundle_they_serve_and_where_their_metrics_are():
    annotations = pod()["metadata"]["annotations"]
    assert annotations["tricorn.dev/bundle"] == MANIFEST.digest
    assert annotations["prometheus.io/scrape"] == "true"
    assert annotations["prometheus.io/port"] == "8501"
    assert annotations["prometheus.io/path"] in model_server_objects(spec())["config"]["data"]["monitoring.config"]


def test_probes_ask_the_grpc_port_and_start_up_may_take_ten_minutes():
    container = server()
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["grpc"] == {"port": 8500}
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] == 600


def test_pods_drain_before_they_are_killed():
    assert server()["lifecycle"] == {"preStop": {"sleep": {"seconds": 20}}}
    assert pod()["spec"]["terminationGracePeriodSeconds"] == 30
    longest = Serving.model_json_schema()["properties"]["requestTimeoutMs"]["maximum"]
    assert longest < 1000 * Serving().drain_s  # the longest request ends within the drain


def test_the_drain_is_as_long_as_the_settings_say_and_may_be_left_out():
    longer = Serving.model_validate({"drainS": 90})
    assert server(serving=longer)["lifecycle"] == {"preStop": {"sleep": {"seconds": 90}}}
    assert pod(serving=longer)["spec"]["terminationGracePeriodSeconds"] == 100
    none = Serving.model_validate({"drainS": 0})
    assert "lifecycle" not in server(serving=none)
    assert pod(serving=none)["spec"]["terminationGracePeriodSeconds"] == 10


def test_a_fixed_number_of_pods_has_no_autoscaler_and_a_range_has_no_fixed_number():
    fixed = model_server_objects(spec(replicas=Replicas(min=2, max=2)))
    assert fixed["deployment"]["spec"]["replicas"] == 2
    assert "autoscaler" not in fixed
    ranged = model_server_objects(spec(replicas=Replicas(min=1, max=8)))
    assert "replicas" not in ranged["deployment"]["spec"]
    scaler = ranged["autoscaler"]["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (1, 8)
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "scenes-v3"}
    assert [each["resource"]["name"] for each in scaler["metrics"]] == ["cpu"]


@pytest.mark.parametrize("least", [1, 3])
def test_a_node_can_always_be_drained_one_pod_at_a_time(least: int):
    budget = model_server_objects(spec(replicas=Replicas(min=least, max=least)))["disruption-budget"]["spec"]
    assert budget["maxUnavailable"] == 1
    assert "minAvailable" not in budget


def test_a_new_template_never_takes_capacity_away():
    strategy = model_server_objects(spec())["deployment"]["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def test_the_puller_knows_object_digest_place_and_store_and_holds_no_secret():
    expected = {
        "s3": {"TYPE": "s3", "PROVIDER": "AWS", "ENV_AUTH": "true", "REGION": "us-east-1"},
        "gcs": {"TYPE": "google cloud storage", "ENV_AUTH": "true", "BUCKET_POLICY_ONLY": "true"},
        "azureblob": {"TYPE": "azureblob", "ENV_AUTH": "true", "ACCOUNT": "acct"},
    }
    for kind, remote in expected.items():
        (puller,) = pod(store=STORES[kind])["spec"]["initContainers"]
        found = variables(puller)
        assert {
            k.removeprefix("RCLONE_CONFIG_STORE_"): v for k, v in found.items() if k.startswith("RCLONE_")
        } == remote
        assert found["STORE_BUCKET"] == "models"
        assert found["BUNDLE_KEY"] == "bundles/scenes/x.tar"
        assert found["BUNDLE_SHA256"] == MANIFEST.digest_hex
        assert (found["MODEL_DIR"], found["MODEL_VERSION"]) == ("/models/scenes", "3")
        assert puller["command"] == ["/bin/sh", "/scripts/pull.sh"]
        assert not re.search("secret|password|key_id|token", json.dumps(puller).lower())


def test_the_puller_writes_where_the_server_only_reads():
    template = pod()["spec"]
    mounts = [{m["mountPath"]: m for m in each["volumeMounts"]} for each in (template["initContainers"][0], server())]
    assert not mounts[0]["/models"].get("readOnly")
    assert mounts[1]["/models"]["readOnly"] is True
    assert mounts[0]["/models"]["name"] == mounts[1]["/models"]["name"]


def test_every_mount_has_a_volume_and_every_volume_a_mount():
    body = pod()["spec"]
    mounted = {m["name"] for c in body["containers"] + body["initContainers"] for m in c["volumeMounts"]}
    assert mounted == {each["name"] for each in body["volumes"]}


def test_the_model_volume_holds_the_archive_and_what_comes_out_of_it():
    bundle = MANIFEST.model_copy(update={"unpacked_size": 100 * 2**20, "size": 101 * 2**20})
    volumes = {each["name"]: each for each in pod(bundle=bundle)["spec"]["volumes"]}
    assert volumes["models"]["emptyDir"]["sizeLimit"] == "300Mi"


def test_caches_go_to_a_volume_for_the_root_is_read_only():
    found = variables(server())
    mounts = {each["mountPath"] for each in server()["volumeMounts"] if not each.get("readOnly")}
    assert found["HOME"] in mounts
    assert found["CUDA_CACHE_PATH"].startswith("/tmp/")
    assert "/tmp" in mounts


def test_pods_get_no_token_of_the_cluster_and_no_variables_of_other_services():
    body = pod()["spec"]
    assert body["automountServiceAccountToken"] is False
    assert body["enableServiceLinks"] is False
    assert body["serviceAccountName"] == "model-server"


def test_values_that_are_known_later_are_placed_and_never_looked_at():
    bucket, account, key = Opaque(), Opaque(), Opaque()
    store = StoreLocation(kind="azureblob", bucket=bucket, account=account, region="eastus")
    (puller,) = pod(store=store, object_key=key)["spec"]["initContainers"]
    found = variables(puller)
    assert found["STORE_BUCKET"] is bucket
    assert found["BUNDLE_KEY"] is key
    assert found["RCLONE_CONFIG_STORE_ACCOUNT"] is account


def test_a_store_location_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="kind must be one of s3, gcs, azureblob, http, got 'ftp'"):
        StoreLocation(kind="ftp", bucket="b", region="r")
    with pytest.raises(ValueError, match="account is for azureblob"):
        StoreLocation(kind="s3", bucket="b", account="a", region="r")
    with pytest.raises(ValueError, match="account is for azureblob"):
        StoreLocation(kind="azureblob", bucket="b", region="r")


MODELS = st.from_regex(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True)


@given(MODELS, st.integers(1, 2**31 - 1))
def test_names_and_labels_fit_kubernetes_limits(model: str, version: int):
    name = server_name(model, version)
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name)
    assert len(name) <= 63
    for each in model_server_objects(spec(model=model, version=version)).values():
        assert each["metadata"]["name"] == name
        assert all(len(value) <= 63 for value in each["metadata"]["labels"].values())


def test_every_object_is_json_and_has_its_namespace():
    for each in model_server_objects(spec(replicas=Replicas(min=1, max=2))).values():
        assert each["metadata"]["namespace"] == "serving"
        assert json.loads(json.dumps(each)) == each


def test_a_file_server_is_known_by_its_address_and_needs_no_credential():
    store = StoreLocation(kind="http", bucket="https://files.example.com/models/", region="")
    (puller,) = pod(store=store)["spec"]["initContainers"]
    found = variables(puller)
    assert found["RCLONE_CONFIG_STORE_TYPE"] == "http"
    assert found["RCLONE_CONFIG_STORE_URL"] == "https://files.example.com/models/"
