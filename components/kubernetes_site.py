"""A site on an existing cluster, from the stack's settings."""

from typing import Optional

import pulumi

from components._capacity import CapacityPolicy
from components._hardening import Hardening
from components._serving_cluster import Site
from components.existing_serving_cluster import ExistingServingCluster, ExistingServingClusterArgs
from serving.settings import KubernetesSite, Settings


def declare_provider(name: str, site: KubernetesSite) -> Optional[pulumi.ProviderResource]:
    """Declare no provider: there is no cloud around the cluster."""
    return None


def declare(
    name: str,
    site: KubernetesSite,
    settings: Settings,
    pools: dict[str, CapacityPolicy],
    hardening: Hardening,
    provider: Optional[pulumi.ProviderResource],
) -> Site:
    """Declare the cluster of a site; its pools and how closed it is are its owner's."""
    cluster = ExistingServingCluster(
        name,
        ExistingServingClusterArgs(
            kubeconfig_path=site.kubeconfig,
            context=site.context,
            addresses=list(site.addresses),
            store_url=site.store,
            load_balancer_annotations=dict(site.load_balancer_annotations),
        ),
    )
    return Site(cluster, provider)
