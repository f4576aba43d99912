"""One model version in one cluster."""

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import pulumi
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from components._base import coerce, reject, token
from components._kubernetes import manifest_resource
from components._refusals import section_problems
from serving.bundles import BundleError, load_bundle
from serving.cluster import server_name
from serving.images import parse_image
from serving.manifests import ModelServerSpec, StoreLocation, model_server_objects
from serving.settings_sections import Images, Replicas, Resources, Serving
from serving.signatures import SignatureError, load_signer

READY_TIMEOUT = "30m"
"""Longest wait for pods. From zero nodes a GPU machine, its image and the model's load take longer than the provider's
default of 10 minutes."""


@dataclass(frozen=True, kw_only=True)
class ModelServerArgs:
    """Arguments of `ModelServer`."""

    model: str
    """Name callers use."""
    version: int
    """Version of the bundle. A change makes a new Deployment before the old one goes."""
    bundle_folder: str
    """Folder with the model's bundles, relative to the project; its manifest and archive are checked first."""
    signers: Optional[list[str]] = None
    """Ed25519 public keys, PEM texts or files, one of which must have signed the manifest. Default none: any bundle."""
    object_key: pulumi.Input[str]
    """Key of the archive in the model store; an output that is known once the archive is there."""
    namespace: str
    """Namespace of the model servers, made by `ServingNamespace`."""
    service_account: str
    """Service account that may read the model store."""
    store_kind: str
    """`s3`, `gcs`, `azureblob` or `http`."""
    store_bucket: pulumi.Input[str]
    """Bucket or container of the model store; the address of its folder for `http`."""
    store_region: str
    """Region or location of the model store."""
    store_account: Optional[pulumi.Input[str]] = None
    """Storage account; needed for `azureblob` and for nothing else."""
    pool: Optional[str] = None
    """GPU pool. Default none: the pool without GPUs."""
    min_replicas: Optional[int] = None
    """Fewest pods. Default 1."""
    max_replicas: Optional[int] = None
    """Most pods; more than `min_replicas` turns the autoscaler on. Default `min_replicas`."""
    cpu: Optional[int] = None
    """Whole CPUs of a pod, also TensorFlow's threads. Default 1."""
    memory_mib: Optional[int] = None
    """Memory of a pod in MiB. Default twice the peak that the bundle's verification measured."""
    server_image: Optional[pulumi.Input[str]] = None
    """Image of TensorFlow Serving. Default docker.io/tensorflow/serving:2.20.0-gpu."""
    puller_image: Optional[pulumi.Input[str]] = None
    """Image of rclone. Default docker.io/rclone/rclone:1.75.1."""
    priority_class: Optional[str] = None
    """PriorityClass of the pods, such as `model-server` of `ServingNamespace`. Default none: the cluster's default."""
    pod_labels: Optional[dict[str, str]] = None
    """Further labels of the pods, such as Azure's. Default none."""
    warmup_iterations: Optional[int] = None
    """Replays of each warm-up record. Default 3."""
    batch_timeout_micros: Optional[int] = None
    """Longest wait for a batch to fill, in microseconds. Default 2000."""
    request_timeout_ms: Optional[int] = None
    """Longest REST request in milliseconds. Default 10000."""
    grpc_max_threads: Optional[int] = None
    """Requests held at once by one server. Default 256."""
    drain_s: Optional[int] = None
    """Seconds a pod goes on serving after it has been taken out of the answers. Default 20."""

    def __post_init__(self) -> None:
        bounds = {"min": "minReplicas", "max": "maxReplicas"}
        bad = section_problems(Replicas, {"min": self.min_replicas, "max": self.max_replicas}, bounds)
        least = self.min_replicas or 1
        if self.max_replicas is not None and self.max_replicas < least:
            bad.append(("maxReplicas", f"must be >= minReplicas ({least}), got {self.max_replicas}"))
        bad += section_problems(Resources, {"cpu": self.cpu, "memory_mib": self.memory_mib})
        bad += section_problems(Serving, _serving_fields(self))
        if self.store_kind not in ("s3", "gcs", "azureblob", "http"):
            bad.append(("storeKind", f"must be s3, gcs, azureblob or http, got {self.store_kind!r}"))
        if (self.store_account is not None) != (self.store_kind == "azureblob"):
            bad.append(
                ("storeAccount", f"is needed for azureblob and for nothing else, got storeKind {self.store_kind!r}")
            )
        for path, image in (("serverImage", self.server_image), ("pullerImage", self.puller_image)):
            # One in a cloud's registry may be known later only; what it is a copy of has been checked.
            if isinstance(image, str):
                try:
                    parse_image(image)
                except ValueError as error:
                    bad.append((path, f"{error}, got {image!r}"))
        reject("ModelServer", bad)


class ModelServer(pulumi.ComponentResource):
    """TensorFlow Serving with one version of one model: configuration, pods, Service, and what protects them.

    A version never changes in place; traffic moves by the weights of `ModelRoutes`. Makes no namespace and no route.
    """

    service_name: pulumi.Output[str]
    """Name of the Service, known once pods are available."""

    def __init__(self, name: str, args: ModelServerArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(ModelServer), name, {}, opts)
        a = coerce(ModelServerArgs, args)
        signers = _signers(a.signers or [])
        try:
            bundle = load_bundle(Path(a.bundle_folder), a.version, signers)
        except BundleError as error:
            reject("ModelServer", [("bundleFolder", str(error))])
            raise  # reject has raised already; this tells the type checker
        if bundle.manifest.name != a.model:
            reject(
                "ModelServer",
                [("model", f"must be {bundle.manifest.name!r}, the model in {a.bundle_folder}, got {a.model!r}")],
            )
        least = a.min_replicas or 1
        images = Images()
        spec = ModelServerSpec(
            model=a.model,
            version=a.version,
            namespace=a.namespace,
            service_account=a.service_account,
            server_image=images.server if a.server_image is None else a.server_image,
            puller_image=images.puller if a.puller_image is None else a.puller_image,
            bundle=bundle.manifest,
            object_key=a.object_key,
            store=StoreLocation(
                kind=a.store_kind, bucket=a.store_bucket, account=a.store_account, region=a.store_region
            ),
            pool=a.pool,
            replicas=Replicas(min=least, max=a.max_replicas or least),
            resources=Resources.model_validate({"cpu": a.cpu or 1, "memory_mib": a.memory_mib}, by_name=True),
            serving=_serving(a),
            pod_labels=a.pod_labels or {},
            priority_class=a.priority_class,
        )
        objects = model_server_objects(spec)
        made = {
            role: manifest_resource(f"{name}-{role}", manifest, pulumi.ResourceOptions(parent=self))
            for role, manifest in objects.items()
            if role != "deployment"
        }
        deployment = manifest_resource(
            f"{name}-deployment",
            objects["deployment"],
            pulumi.ResourceOptions(
                parent=self,
                # Pods mount the configuration; everything else may come at the same time.
                depends_on=[made["config"]],
                custom_timeouts=pulumi.CustomTimeouts(create=READY_TIMEOUT, update=READY_TIMEOUT),
            ),
        )
        self.service_name = deployment.urn.apply(lambda _: server_name(a.model, a.version))
        self.register_outputs({"service_name": self.service_name})


def _signers(values: list[str]) -> list[Ed25519PublicKey]:
    try:
        return [load_signer(value) for value in values]
    except SignatureError as error:
        reject("ModelServer", [("signers", str(error))])
        raise  # reject has raised already; this tells the type checker


def _serving_fields(a: ModelServerArgs) -> dict[str, Optional[int]]:
    """Arguments that are fields of the settings' section, by its names."""
    return {
        "warmup_iterations": a.warmup_iterations,
        "batch_timeout_micros": a.batch_timeout_micros,
        "request_timeout_ms": a.request_timeout_ms,
        "grpc_max_threads": a.grpc_max_threads,
        "drain_s": a.drain_s,
    }


def _serving(a: ModelServerArgs) -> Serving:
    """The server's settings; what is not given keeps the default of the settings."""
    given = {field: value for field, value in _serving_fields(a).items() if value is not None}
    return Serving.model_validate(given, by_name=True)
