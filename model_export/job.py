"""The Kubernetes Job that trains: one pod, or several that train one model together.

Several pods are an Indexed Job (https://kubernetes.io/docs/concepts/workloads/controllers/job/#completion-mode) with a
headless Service, which gives each pod a name that the others find: `<job>-<index>.<job>`. TF_CONFIG is made from that.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from model_export.errors import ExportError

GPU_RESOURCE = "nvidia.com/gpu"
"""Resource of a GPU, also the key of the taint that keeps other pods off GPU nodes."""
RUNS_PATH = "/runs"
"""Where the volume is mounted."""
_PORT = 2222
_USER_ID = 1000
_BACKOFF_LIMIT = 6
_INDEX_ANNOTATION = "batch.kubernetes.io/job-completion-index"
_MAX_NAME = 50
_NAME_RULE = f"1 to {_MAX_NAME} lower-case letters, digits and -, beginning with a letter and not ending with -"
_QUANTITY = re.compile(r"[1-9][0-9]*(m|Ki|Mi|Gi|Ti)?")


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """What a Job trains and with what."""

    name: str
    image: str
    """Container image with this package, its libraries, and Python as `python`."""
    claim: str
    """PersistentVolumeClaim of the run's folder; several workers need one that all can mount (ReadWriteMany)."""
    family: str
    preset: str
    data: str
    """As `train --data`; a path must be in the image or on the volume."""
    namespace: str = "default"
    workers: int = 1
    gpus: int = 0
    """GPUs of each worker."""
    cpu: str = "2"
    memory: str = "4Gi"
    arguments: tuple[str, ...] = ()
    """More arguments of `train`."""

    def __post_init__(self) -> None:
        for field in ("name", "claim", "namespace"):
            value = getattr(self, field)
            if len(value) > _MAX_NAME or not re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", value):
                raise ExportError(f"--{field}: must be {_NAME_RULE}, got {value!r}")
        if not self.image or re.search(r"\s", self.image):
            raise ExportError(f"--image: must be the name of a container image, got {self.image!r}")
        for field, least in (("workers", 1), ("gpus", 0)):
            if getattr(self, field) < least:
                raise ExportError(f"--{field}: must be at least {least}, got {getattr(self, field)}")
        for field in ("cpu", "memory"):
            if not _QUANTITY.fullmatch(getattr(self, field)):
                raise ExportError(f"--{field}: must be a quantity such as 2 or 4Gi, got {getattr(self, field)!r}")


def manifests(job: TrainingJob) -> list[dict[str, Any]]:
    """Return the Job, and before it the Service that its workers find each other by, if there are several."""
    labels = {
        "app.kubernetes.io/name": job.name, "app.kubernetes.io/component": "training",
        "app.kubernetes.io/part-of": "tricorn",
    }  # fmt: skip
    metadata = {"name": job.name, "namespace": job.namespace, "labels": labels}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {
            "clusterIP": "None",
            # Workers look each other up before any of them is ready.
            "publishNotReadyAddresses": True,
            "selector": labels,
            "ports": [{"name": "workers", "port": _PORT, "targetPort": _PORT, "protocol": "TCP"}],
        },
    }
    batch = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            "completionMode": "Indexed",
            "completions": job.workers,
            "parallelism": job.workers,
            "backoffLimit": _BACKOFF_LIMIT,
            "template": {"metadata": {"labels": labels}, "spec": _pod(job)},
        },
    }
    return [service, batch] if job.workers > 1 else [batch]


def text(job: TrainingJob) -> str:
    """Return the manifests as YAML."""
    import yaml

    class Plain(yaml.SafeDumper):
        """Without anchors: people read this."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    return yaml.dump_all(manifests(job), Dumper=Plain, sort_keys=False, width=120)


def _pod(job: TrainingJob) -> dict[str, Any]:
    several = {"subdomain": job.name} if job.workers > 1 else {}
    return several | {
        # A container that is started again goes on after the last finished epoch.
        "restartPolicy": "OnFailure",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "tolerations": [{"key": GPU_RESOURCE, "operator": "Exists", "effect": "NoSchedule"}] if job.gpus else [],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER_ID,
            "runAsGroup": _USER_ID,
            "fsGroup": _USER_ID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(job)],
        "volumes": [
            {"name": "runs", "persistentVolumeClaim": {"claimName": job.claim}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }


def _container(job: TrainingJob) -> dict[str, Any]:
    strategy = "multi-worker" if job.workers > 1 else "mirrored" if job.gpus > 1 else "none"
    gpus = {GPU_RESOURCE: str(job.gpus)} if job.gpus else {}
    return {
        "name": "train",
        "image": job.image,
        "command": [
            "python", "-m", "model_export", "train", job.family, "--preset", job.preset, "--data", job.data,
            "--out", f"{RUNS_PATH}/{job.name}", "--strategy", strategy, *job.arguments,
        ],
        "env": _environment(job),
        "ports": [{"name": "workers", "containerPort": _PORT, "protocol": "TCP"}] if job.workers > 1 else [],
        "resources": {
            "requests": {"cpu": job.cpu, "memory": job.memory},
            "limits": {"memory": job.memory, **gpus},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "runs", "mountPath": RUNS_PATH},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
        ],
    }  # fmt: skip


def _environment(job: TrainingJob) -> list[dict[str, Any]]:
    # Matplotlib and Keras want a home that can be written to.
    home = [{"name": "HOME", "value": "/tmp"}]  # noqa: S108
    if job.workers == 1:
        return home
    workers = [f"{job.name}-{index}.{job.name}:{_PORT}" for index in range(job.workers)]
    # The index stays unquoted: it is a number, and Kubernetes writes it in where $(INDEX) stands. It must come first.
    config = json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": "$(INDEX)"}})
    return [
        *home,
        {"name": "INDEX", "valueFrom": {"fieldRef": {"fieldPath": f"metadata.annotations['{_INDEX_ANNOTATION}']"}}},
        {"name": "TF_CONFIG", "value": config.replace('"$(INDEX)"', "$(INDEX)")},
    ]
