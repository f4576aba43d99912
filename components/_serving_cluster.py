"""What the serving clusters of all clouds have in common."""

from dataclasses import dataclass
from typing import Optional, Protocol

import pulumi

from components._base import reject
from components._capacity import GpuPoolSpec
from components._gpu_catalog import refusal

SERVING_NAMESPACE = "serving"
"""Namespace of the model servers and the Gateway."""
SERVICE_ACCOUNT = "model-server"
"""Service account of the model servers."""


class ServingCluster(Protocol):
    """Attributes that every cloud's serving cluster has, so that nothing after it needs to know the cloud."""

    provider: pulumi.ProviderResource
    """Kubernetes provider of the cluster."""
    kubeconfig: pulumi.Output[str]
    """Kubeconfig (JSON) without credentials."""
    addresses: list[pulumi.Output[str]]
    """Static public IPv4 addresses of the cluster's load balancer."""
    registry_url: pulumi.Output[str]
    """Address of the cloud's container registry, without a scheme."""
    store_kind: str
    """Kind of the model store: `s3`, `gcs` or `azureblob`."""
    store_bucket: pulumi.Output[str]
    """Bucket or container of the model store."""
    store_account: Optional[pulumi.Output[str]]
    """Storage account of the container; None where there is no such thing."""
    store_region: str
    """Region or location of the model store."""
    load_balancer_annotations: dict[str, pulumi.Input[str]]
    """Annotations that put a `LoadBalancer` service on the static addresses."""
    service_account_annotations: dict[str, pulumi.Input[str]]
    """Annotations of the service account that reads the model store."""
    pod_labels: dict[str, str]
    """Labels of the pods that read the model store."""

    def upload(self, model: str, key: str, archive: str) -> pulumi.Output[str]:
        """Put a bundle archive into the model store; the result is the key, known once it is there."""
        ...


@dataclass(frozen=True)
class Site:
    """A declared site."""

    cluster: ServingCluster
    """Its cluster, with the model store, the registry and the addresses."""
    provider: pulumi.ProviderResource
    """Provider of its cloud."""


def refuse_pools(owner: str, cloud: str, pools: Optional[dict[str, GpuPoolSpec]], system_min: int) -> None:
    """Refuse pools a cloud cannot have, all at once and before any resource is declared.

    Raises:
        pulumi.InputPropertiesError: Naming every pool with its reason.
    """
    bad = []
    for pool, spec in (pools or {}).items():
        reason = refusal(cloud, spec.gpu_class)
        if reason is not None:
            bad.append((f"gpuPools.{pool}.gpuClass", reason))
    if system_min < 1:
        bad.append(("systemMinNodes", f"must be >= 1, got {system_min}"))
    reject(owner, bad)
