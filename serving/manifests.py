"""Kubernetes objects of one model version in one cluster.

Pure functions: values that only a cloud knows, such as a bucket's name, may be outputs of an engine; they are placed in
the objects and never looked at. A version never changes in place: each is a Deployment of its own.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serving.bundles import BundleManifest
from serving.cluster import GPU_RESOURCE, GRPC_PORT, HTTP_PORT, POOL_LABEL, server_name, topology_spread
from serving.model_config import (
    BASE_PATH,
    METRICS_PATH,
    batching_config,
    models_config,
    monitoring_config,
)
from serving.namespace import PULL_SCRIPT, PULLER
from serving.network import server_traffic
from serving.settings_sections import Replicas, Resources, Serving
from serving.settings_sites import SYSTEM_POOL

Manifest = dict[str, Any]
STOP_S = 10
"""Seconds from the end of the drain until SIGKILL."""
PROGRESS_DEADLINE_S = 1800
"""Seconds until a Deployment whose pods do not get ready counts as failed."""
USER_ID = 1000
_MEMORY_STEP_MIB = 256
_STARTUP_PERIOD_S = 5
_STARTUP_FAILURES = 120
_PULL_MEMORY_MIB = 512
_CPU_TARGET_PERCENT = 70
_SCALE_DOWN_WINDOW_S = 300
_STORE_TYPES = {"s3": "s3", "gcs": "google cloud storage", "azureblob": "azureblob", "http": "http"}


@dataclass(frozen=True, kw_only=True)
class StoreLocation:
    """Where a cluster's bundles lie."""

    kind: str
    """`s3`, `gcs`, `azureblob` or `http`."""
    bucket: object
    """Name of the bucket or container, or address of the folder for `http`; may be an output."""
    account: object | None = None
    """Name of the Azure storage account; None elsewhere."""
    region: str
    """Region or location of the store."""

    def __post_init__(self) -> None:
        if self.kind not in _STORE_TYPES:
            raise ValueError(f"kind must be one of {', '.join(_STORE_TYPES)}, got {self.kind!r}")
        if (self.account is not None) != (self.kind == "azureblob"):
            raise ValueError(
                f"account is for azureblob stores and for those only, got {self.account!r} for {self.kind}"
            )


@dataclass(frozen=True, kw_only=True)
class ModelServerSpec:
    """Everything the objects of one model version are made from."""

    model: str
    version: int
    namespace: str
    service_account: str
    server_image: object
    """May be an output."""
    puller_image: object
    """May be an output."""
    bundle: BundleManifest
    object_key: object
    """Key of the archive in the store; an output that is known once the object is there makes the pods wait for it."""
    store: StoreLocation
    pool: str | None
    """GPU pool, or None for the pool without GPUs."""
    replicas: Replicas
    resources: Resources
    serving: Serving
    pod_labels: Mapping[str, str]
    priority_class: str | None = None
    """PriorityClass of the pods; None for the cluster's default."""

    @property
    def name(self) -> str:
        """Name of every object of this version."""
        return server_name(self.model, self.version)

    @property
    def memory_mib(self) -> int:
        """Memory of a pod in MiB."""
        return server_memory_mib(self.resources, self.bundle)

    @property
    def selector(self) -> dict[str, str]:
        """Labels that pods of this version have and no others."""
        return {"app.kubernetes.io/name": self.model, "tricorn.dev/version": str(self.version)}

    @property
    def labels(self) -> dict[str, str]:
        """Labels of every object."""
        return {**self.selector, "app.kubernetes.io/component": "model-server", "app.kubernetes.io/part-of": "tricorn"}


def server_memory_mib(resources: Resources, bundle: BundleManifest) -> int:
    """Memory of a pod in MiB: as configured, else twice the measured peak, in whole steps of 256."""
    if resources.memory_mib is not None:
        return resources.memory_mib
    return math.ceil(2 * bundle.measured.peak_memory_mib / _MEMORY_STEP_MIB) * _MEMORY_STEP_MIB


def model_server_objects(spec: ModelServerSpec) -> dict[str, Manifest]:
    """Return the objects by role; `autoscaler` only where the number of replicas may vary."""
    config = {
        "models.config": models_config(spec.model, spec.version),
        "batching.config": batching_config(
            spec.bundle.batching.max_batch_size,
            spec.bundle.batching.allowed_batch_sizes,
            spec.serving.batch_timeout_micros,
            spec.resources.cpu,
        ),
        "monitoring.config": monitoring_config(),
    }
    objects = {
        "config": {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": _metadata(spec),
            "data": config,
        },
        "service": {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": _metadata(spec),
            "spec": {
                "type": "ClusterIP",
                "selector": spec.selector,
                "ports": [
                    {
                        "name": "grpc",
                        "port": GRPC_PORT,
                        "targetPort": GRPC_PORT,
                        "protocol": "TCP",
                        "appProtocol": "kubernetes.io/h2c",
                    },
                    {"name": "http", "port": HTTP_PORT, "targetPort": HTTP_PORT, "protocol": "TCP"},
                ],
            },
        },
        "deployment": _deployment(spec, hashlib.sha256(repr(sorted(config.items())).encode()).hexdigest()[:16]),
        "disruption-budget": {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": _metadata(spec),
            # Of a single pod one must be allowed to go, or no node could ever be drained.
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": spec.selector}},
        },
        "network-policy": {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": _metadata(spec),
            "spec": server_traffic(spec.selector, spec.store.kind),
        },
    }
    if spec.replicas.max > spec.replicas.min:
        objects["autoscaler"] = _autoscaler(spec)
    return objects


def _metadata(spec: ModelServerSpec) -> Manifest:
    return {"name": spec.name, "namespace": spec.namespace, "labels": spec.labels}


def _autoscaler(spec: ModelServerSpec) -> Manifest:
    metric = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": _CPU_TARGET_PERCENT}}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": _metadata(spec),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": spec.name},
            "minReplicas": spec.replicas.min,
            "maxReplicas": spec.replicas.max,
            "metrics": [{"type": "Resource", "resource": metric}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": _SCALE_DOWN_WINDOW_S}},
        },
    }


def _deployment(spec: ModelServerSpec, config_checksum: str) -> Manifest:
    annotations = {
        "tricorn.dev/bundle": spec.bundle.digest,
        "tricorn.dev/config": config_checksum,
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(HTTP_PORT),
        "prometheus.io/path": METRICS_PATH,
    }
    body: Manifest = {
        "selector": {"matchLabels": spec.selector},
        # A GPU node that has to be bought first, and a model that has to be loaded, take their time.
        "progressDeadlineSeconds": PROGRESS_DEADLINE_S,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": {
            "metadata": {"labels": {**spec.labels, **spec.pod_labels}, "annotations": annotations},
            "spec": _pod(spec),
        },
    }
    if spec.replicas.max == spec.replicas.min:
        body["replicas"] = spec.replicas.min
    metadata = _metadata(spec)
    # Pulumi goes on while the pods of a deleted version drain; only the namespace's deletion waits for them.
    metadata["annotations"] = {"pulumi.com/deletionPropagationPolicy": "background"}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": body}


def _pod(spec: ModelServerSpec) -> Manifest:
    tolerations = [{"key": GPU_RESOURCE, "operator": "Exists", "effect": "NoSchedule"}] if spec.pool else []
    pod = {
        "serviceAccountName": spec.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "nodeSelector": {POOL_LABEL: spec.pool or SYSTEM_POOL},
        "tolerations": tolerations,
        "topologySpreadConstraints": topology_spread(spec.selector),
        "terminationGracePeriodSeconds": spec.serving.drain_s + STOP_S,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "fsGroup": USER_ID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [_puller(spec)],
        "containers": [_server(spec)],
        "volumes": [
            # The archive and what is unpacked from it lie there together for a moment.
            {"name": "models", "emptyDir": {"sizeLimit": f"{math.ceil(3 * spec.bundle.unpacked_size / 2**20)}Mi"}},
            {"name": "tmp", "emptyDir": {}},
            {"name": "config", "configMap": {"name": spec.name}},
            {"name": "scripts", "configMap": {"name": PULLER}},
        ],
    }
    return pod if spec.priority_class is None else {**pod, "priorityClassName": spec.priority_class}


def _security() -> Manifest:
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def _puller(spec: ModelServerSpec) -> Manifest:
    store = spec.store
    prefix = "RCLONE_CONFIG_STORE"
    values: dict[str, object] = {
        "HOME": "/tmp",  # noqa: S108 - the pod's own volume
        "STORE_BUCKET": store.bucket,
        "BUNDLE_KEY": spec.object_key,
        "BUNDLE_SHA256": spec.bundle.digest_hex,
        "MODEL_DIR": f"{BASE_PATH}/{spec.model}",
        "MODEL_VERSION": str(spec.version),
        f"{prefix}_TYPE": _STORE_TYPES[store.kind],
        f"{prefix}_ENV_AUTH": "true",
    }
    if store.kind == "s3":
        values |= {f"{prefix}_PROVIDER": "AWS", f"{prefix}_REGION": store.region}
    elif store.kind == "gcs":
        values |= {f"{prefix}_BUCKET_POLICY_ONLY": "true"}
    elif store.kind == "http":
        values |= {f"{prefix}_URL": store.bucket}
    else:
        values |= {f"{prefix}_ACCOUNT": store.account}
    return {
        "name": "pull",
        "image": spec.puller_image,
        "command": ["/bin/sh", f"/scripts/{PULL_SCRIPT}"],
        "env": [{"name": name, "value": value} for name, value in values.items()],
        "resources": {
            "requests": {"cpu": "250m", "memory": f"{_PULL_MEMORY_MIB}Mi"},
            "limits": {"memory": f"{_PULL_MEMORY_MIB}Mi"},
        },
        "securityContext": _security(),
        "volumeMounts": [
            {"name": "models", "mountPath": BASE_PATH},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
            {"name": "scripts", "mountPath": "/scripts", "readOnly": True},
        ],
    }


def server_arguments(spec: ModelServerSpec) -> list[str]:
    """Return the flags of tensorflow_model_server for a pod that serves one version for its whole life."""
    flags = {
        "port": GRPC_PORT,
        "rest_api_port": HTTP_PORT,
        "model_config_file": "/config/models.config",
        "model_config_file_poll_wait_seconds": 0,
        "file_system_poll_wait_seconds": 0,
        "enable_batching": "true",
        "batching_parameters_file": "/config/batching.config",
        "monitoring_config_file": "/config/monitoring.config",
        "grpc_max_threads": spec.serving.grpc_max_threads,
        "rest_api_num_threads": 64,
        "rest_api_timeout_in_ms": spec.serving.request_timeout_ms,
        "tensorflow_intra_op_parallelism": spec.resources.cpu,
        "tensorflow_inter_op_parallelism": spec.resources.cpu,
        "num_load_threads": 1,
        "num_unload_threads": 1,
        "max_num_load_retries": 1,
        "load_retry_interval_micros": 5_000_000,
        "enable_model_warmup": "true",
        "num_request_iterations_for_warmup": spec.serving.warmup_iterations,
        "enable_grpc_healthcheck_service": "true",
        "enable_profiler": "false",
        # Long-lived channels come back to DNS and see new pods and new weights.
        "grpc_channel_arguments": "grpc.max_connection_age_ms=300000,grpc.max_connection_age_grace_ms=60000,"
        "grpc.http2.min_ping_interval_without_data_ms=30000",
    }
    return [f"--{name}={value}" for name, value in flags.items()]


def _server(spec: ModelServerSpec) -> Manifest:
    memory = f"{spec.memory_mib}Mi"
    limits: dict[str, str] = {"memory": memory}
    if spec.pool:
        limits[GPU_RESOURCE] = "1"
    probe = {"grpc": {"port": GRPC_PORT}}
    return {
        "name": "server",
        "image": spec.server_image,
        # The image's entry point is a shell script that does not exec the server.
        "command": ["/usr/bin/tensorflow_model_server"],
        "args": server_arguments(spec),
        "env": [
            {"name": "HOME", "value": "/tmp"},  # noqa: S108
            {"name": "TF_CPP_MIN_LOG_LEVEL", "value": "1"},
            {"name": "CUDA_CACHE_PATH", "value": "/tmp/cuda"},  # noqa: S108
            {"name": "CUDA_CACHE_MAXSIZE", "value": "4294967296"},
        ],
        "ports": [
            {"name": "grpc", "containerPort": GRPC_PORT, "protocol": "TCP"},
            {"name": "http", "containerPort": HTTP_PORT, "protocol": "TCP"},
        ],
        "resources": {"requests": {"cpu": str(spec.resources.cpu), "memory": memory}, "limits": limits},
        # Ports open once the model is loaded and warm, so the first success means ready.
        "startupProbe": {**probe, "periodSeconds": _STARTUP_PERIOD_S, "failureThreshold": _STARTUP_FAILURES},
        "readinessProbe": {**probe, "periodSeconds": 5, "failureThreshold": 2, "timeoutSeconds": 3},
        "livenessProbe": {**probe, "periodSeconds": 10, "failureThreshold": 3, "timeoutSeconds": 5},
        **_drain(spec.serving.drain_s),
        "securityContext": _security(),
        "volumeMounts": [
            {"name": "models", "mountPath": BASE_PATH, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
            {"name": "config", "mountPath": "/config", "readOnly": True},
        ],
    }


def _drain(seconds: int) -> Manifest:
    """Keep a pod serving after it has left the endpoints: the server ignores SIGTERM (tensorflow/serving#1853)."""
    # Kubernetes before 1.33 refuses a sleep of no time.
    return {"lifecycle": {"preStop": {"sleep": {"seconds": seconds}}}} if seconds else {}
