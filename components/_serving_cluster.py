"""What the serving clusters of all clouds have in common."""

from dataclasses import dataclass, field
from typing import Optional, Protocol

import pulumi

from components._base import reject
from components._capacity import CapacityPolicy, policy_problems
from components._limits import Problems, network_problems, node_problems, pool_problems, version_problems

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
    """Kind of the model store: `s3`, `gcs`, `azureblob` or `http`."""
    store_bucket: pulumi.Output[str]
    """Bucket or container of the model store; the address of its folder for `http`."""
    store_account: Optional[pulumi.Output[str]]
    """Storage account of the container; None where there is no such thing."""
    store_region: str
    """Region or location of the model store."""
    load_balancer_annotations: dict[str, pulumi.Input[str]]
    """Annotations that put a `LoadBalancer` service on the static addresses."""
    load_balancer_class: Optional[str]
    """Class of a `LoadBalancer` service; None for the cloud's default."""
    service_account_annotations: dict[str, pulumi.Input[str]]
    """Annotations of the service account that reads the model store."""
    pod_labels: dict[str, str]
    """Labels of the pods that read the model store."""
    issuer_url: Optional[pulumi.Output[str]]
    """OpenID Connect issuer of the cluster's service accounts; None where it is not known."""

    def image(self, reference: str) -> pulumi.Output[str]:
        """Name of a public image in the cloud's own registry, its cache included; the same name where there is none.

        Args:
            reference: `registry/repository[:tag][@sha256:digest]`; tag and digest are kept.
        """
        ...

    def upload(self, model: str, key: str, archive: str) -> pulumi.Output[str]:
        """Put a bundle archive into the model store; the result is the key, known once it is there."""
        ...


@dataclass(frozen=True)
class Site:
    """A declared site."""

    cluster: ServingCluster
    """Its cluster, with the model store, the registry and the addresses."""
    provider: Optional[pulumi.ProviderResource]
    """Provider of its cloud; None where a site has no cloud."""
    ready: list[pulumi.Resource] = field(default_factory=list)
    """What must be there before the public name may lead to the site."""


def refuse(
    owner: str,
    cloud: str,
    *,
    kubernetes_version: str,
    system_nodes: tuple[int, int],
    gpu_pools: Optional[dict[str, CapacityPolicy]],
    cidr: Optional[str],
    others: Problems,
) -> None:
    """Refuse what a serving cluster or one of its parts cannot have, all at once and before any resource is declared.

    Args:
        owner: Class name of the component.
        cloud: `aws`, `gcp` or `azure`.
        kubernetes_version: Minor version.
        system_nodes: Fewest and most CPU nodes.
        gpu_pools: GPU pools by name.
        cidr: IPv4 range of the network.
        others: Problems of the arguments that only this cloud has.

    Raises:
        pulumi.InputPropertiesError: Naming every argument with its reason.
    """
    bad = [
        *others,
        *version_problems(kubernetes_version),
        *node_problems(*system_nodes, prefix="system"),
        *network_problems(cidr),
    ]
    for pool, spec in (gpu_pools or {}).items():
        bad += pool_problems(f"gpuPools.{pool}", pool)
        bad += [(f"gpuPools.{pool}.{argument}", reason) for argument, reason in policy_problems(cloud, spec)]
    reject(owner, bad)
