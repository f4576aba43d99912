"""A serving site on a cluster that exists already, such as one on premises."""

import ipaddress
from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_kubernetes as k8s

from components._base import coerce, reject, token


@dataclass(frozen=True, kw_only=True)
class ExistingServingClusterArgs:
    """Arguments of `ExistingServingCluster`."""

    kubeconfig_path: str
    """Path of the cluster's kubeconfig, absolute or relative to the project; its contents stay out of the state."""
    addresses: list[str]
    """Public IPv4 addresses that lead to the cluster's load balancer; at least one."""
    store_url: str
    """Address of a folder that pods can read, with the bundle archives in it under their keys."""
    context: Optional[str] = None
    """Context of the kubeconfig. Default its current one."""
    load_balancer_annotations: Optional[dict[str, str]] = None
    """Annotations that put a `LoadBalancer` service on the addresses, such as MetalLB's. Default none."""

    def __post_init__(self) -> None:
        bad = [] if self.kubeconfig_path else [("kubeconfigPath", "must be the path of a file, got ''")]
        if self.kubeconfig_path.lstrip().startswith("{") or "\n" in self.kubeconfig_path:
            # Not shown: what was given may hold a credential.
            bad.append(("kubeconfigPath", "must be the path of a file, got the contents of a kubeconfig"))
        if not self.addresses:
            bad.append(("addresses", "must name at least one address"))
        for position, address in enumerate(self.addresses):
            try:
                ipaddress.IPv4Address(address)
            except ValueError:
                bad.append((f"addresses[{position}]", f"must be an IPv4 address such as 203.0.113.10, got {address!r}"))
        if not self.store_url.startswith(("http://", "https://")):
            bad.append(("storeUrl", f"must begin with https:// or http://, got {self.store_url!r}"))
        reject("ExistingServingCluster", bad)


class ExistingServingCluster(pulumi.ComponentResource):
    """An existing cluster, known by a kubeconfig file; makes nothing outside it and no node in it.

    Has every attribute of `ServingCluster`. Whoever runs the cluster provides nodes with the label
    `tricorn.dev/pool: <pool>` for every pool in use (`system` for the one without GPUs), GPU nodes with NVIDIA's device
    plugin and the taint `nvidia.com/gpu=present:NoSchedule`, a load balancer for Services, and a file server with the
    bundle archives. The kubeconfig needs an administrator's rights.

    The component's name stands for the cluster: give a site on another cluster another name.
    """

    kubeconfig: pulumi.Output[str]
    """Path of the kubeconfig file."""
    addresses: list[pulumi.Output[str]]
    """Public IPv4 addresses, as given."""
    registry_url: pulumi.Output[str]
    """Empty: there is no registry of its own."""
    store_bucket: pulumi.Output[str]
    """Address of the folder with the archives, with a final slash."""

    store_kind = "http"
    store_account: Optional[pulumi.Output[str]] = None
    """Always absent: a file server has no accounts."""

    def __init__(
        self, name: str, args: ExistingServingClusterArgs, opts: Optional[pulumi.ResourceOptions] = None
    ) -> None:
        super().__init__(token(ExistingServingCluster), name, {}, opts)
        a = coerce(ExistingServingClusterArgs, args)
        self.provider: pulumi.ProviderResource = k8s.Provider(
            f"{name}-k8s",
            kubeconfig=a.kubeconfig_path,
            context=a.context,
            # A file that moves, or a new certificate in it, must not replace everything in the cluster.
            cluster_identifier=name,
            enable_server_side_apply=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.issuer_url: Optional[pulumi.Output[str]] = None
        self.kubeconfig = pulumi.Output.from_input(a.kubeconfig_path)
        self.addresses = [pulumi.Output.from_input(each) for each in a.addresses]
        self.registry_url = pulumi.Output.from_input("")
        self.store_bucket = pulumi.Output.from_input(a.store_url.rstrip("/") + "/")
        self.store_region = ""
        self.load_balancer_annotations: dict[str, pulumi.Input[str]] = dict(a.load_balancer_annotations or {})
        self.load_balancer_class: Optional[str] = None
        self.service_account_annotations: dict[str, pulumi.Input[str]] = {}
        self.pod_labels: dict[str, str] = {}
        self.register_outputs(
            {
                "kubeconfig": self.kubeconfig,
                "addresses": self.addresses,
                "registry_url": self.registry_url,
                "store_bucket": self.store_bucket,
            }
        )

    def upload(self, model: str, key: str, archive: str) -> pulumi.Output[str]:
        """Return where the pods look for a bundle archive; whoever runs the file server has put it there."""
        return pulumi.Output.from_input(key)

    def image(self, reference: str) -> pulumi.Output[str]:
        """Name of a public image; see `ServingCluster.image`."""
        return pulumi.Output.from_input(reference)
