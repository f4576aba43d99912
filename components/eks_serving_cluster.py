"""Everything a serving site needs on AWS."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_aws as aws

from components._base import coerce, token
from components._capacity import CapacityPolicy, plans
from components._hardening import Hardening
from components._kubernetes import cluster_provider
from components._naming import tags
from components._serving_cluster import refuse
from components.ecr_registry import EcrRegistry, EcrRegistryArgs
from components.eks_address import EksAddress, EksAddressArgs
from components.eks_cluster import EksCluster, EksClusterArgs, admin_problems
from components.eks_gpu_pool import EksGpuPool, EksGpuPoolArgs
from components.eks_network import EksNetwork, EksNetworkArgs, zone_problems
from components.eks_node_pool import EksNodePool, EksNodePoolArgs
from components.eks_workload_identity import EksWorkloadIdentity, EksWorkloadIdentityArgs
from components.nvidia_device_plugin import NvidiaDevicePlugin, NvidiaDevicePluginArgs
from components.s3_model_store import S3ModelStore, S3ModelStoreArgs

_ANNOTATION = "service.beta.kubernetes.io/aws-load-balancer"


@dataclass(frozen=True, kw_only=True)
class EksServingClusterArgs:
    """Arguments of `EksServingCluster`."""

    region: str
    """AWS region, the one of the provider."""
    zones: list[str]
    """Availability zones, 2 to 8."""
    kubernetes_version: str
    """Minor version, e.g. `1.36`."""
    namespace: str
    """Namespace of the model servers."""
    service_account: str
    """Service account of the model servers; may read the model store."""
    system_min_nodes: int
    """Fewest CPU nodes; at least 1."""
    system_max_nodes: int
    """Most CPU nodes."""
    system_machine_type: Optional[str] = None
    """EC2 instance type of CPU nodes. Default m7i.xlarge."""
    gpu_pools: Optional[dict[str, CapacityPolicy]] = None
    """GPU pools by name. Default none."""
    cidr: Optional[str] = None
    """IPv4 range of the network. Default 10.10.0.0/16."""
    admin_role_arns: Optional[list[str]] = None
    """IAM roles that administer the cluster, beside the creator."""
    hardening: Optional[Hardening] = None
    """How closed and how well kept the cluster is. Default that of production."""
    mirror: Optional[bool] = None
    """Cache public images in the registry. Default False."""
    docker_hub_secret_arn: Optional[str] = None
    """Secret with a Docker Hub token, named `ecr-pullthroughcache/...`; needed to cache images of Docker Hub."""
    protect: Optional[bool] = None
    """Refuse to delete the cluster, the stores and the addresses. Default True."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the components' own."""

    def __post_init__(self) -> None:
        refuse(
            "EksServingCluster",
            "aws",
            kubernetes_version=self.kubernetes_version,
            system_nodes=(self.system_min_nodes, self.system_max_nodes),
            gpu_pools=self.gpu_pools,
            cidr=self.cidr,
            others=[*zone_problems(self.zones), *admin_problems(self.admin_role_arns)],
        )


class EksServingCluster(pulumi.ComponentResource):
    """A network, an EKS cluster with CPU and GPU nodes, a registry, a model store and static addresses.

    Has every attribute of `ServingCluster`. Deploys no model and no gateway.
    """

    kubeconfig: pulumi.Output[str]
    """Kubeconfig (JSON) without credentials."""
    addresses: list[pulumi.Output[str]]
    """Static public IPv4 addresses, one per zone."""
    registry_url: pulumi.Output[str]
    """Address of the ECR repository, without a scheme."""
    store_bucket: pulumi.Output[str]
    """Name of the model store's bucket."""

    store_kind = "s3"
    store_account: Optional[pulumi.Output[str]] = None
    """Always absent: a bucket has no storage account."""

    def __init__(self, name: str, args: EksServingClusterArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(EksServingCluster), name, {}, opts)
        a = coerce(EksServingClusterArgs, args)
        child = pulumi.ResourceOptions(parent=self)
        network = EksNetwork(f"{name}-network", EksNetworkArgs(zones=a.zones, cidr=a.cidr, labels=a.labels), child)
        cluster = EksCluster(
            f"{name}-cluster",
            EksClusterArgs(
                region=a.region,
                kubernetes_version=a.kubernetes_version,
                subnet_ids=network.private_subnet_ids,
                admin_role_arns=a.admin_role_arns,
                protect=a.protect,
                labels=a.labels,
            ),
            child,
        )
        system = EksNodePool(
            f"{name}-system",
            EksNodePoolArgs(
                cluster_name=cluster.cluster_name,
                node_role_arn=cluster.node_role_arn,
                subnet_ids=network.private_subnet_ids,
                min_nodes=a.system_min_nodes,
                max_nodes=a.system_max_nodes,
                machine_type=a.system_machine_type,
                labels=a.labels,
            ),
            child,
        )
        # Unlike the other add-ons it is a Deployment: it stays degraded until there are nodes.
        dns = aws.eks.Addon(
            f"{name}-coredns",
            cluster_name=cluster.cluster_name,
            addon_name="coredns",
            resolve_conflicts_on_update="PRESERVE",
            tags=tags("EksServingCluster", a.labels),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[system]),
        )
        for pool, spec in (a.gpu_pools or {}).items():
            for plan in plans("aws", spec):
                EksGpuPool(
                    f"{name}-{pool}{plan.suffix}",
                    EksGpuPoolArgs(
                        cluster_name=cluster.cluster_name,
                        node_role_arn=cluster.node_role_arn,
                        subnet_ids=network.private_subnet_ids,
                        pool=pool,
                        gpu_class=plan.gpu_class,
                        min_nodes=plan.min_nodes,
                        max_nodes=plan.max_nodes,
                        spot=plan.spot,
                        labels=a.labels,
                    ),
                    child,
                )
        address = EksAddress(
            f"{name}-address", EksAddressArgs(zones=a.zones, protect=a.protect, labels=a.labels), child
        )
        registry = EcrRegistry(f"{name}-registry", EcrRegistryArgs(protect=a.protect, labels=a.labels), child)
        self._store = S3ModelStore(f"{name}-models", S3ModelStoreArgs(protect=a.protect, labels=a.labels), child)
        identity = EksWorkloadIdentity(
            f"{name}-identity",
            EksWorkloadIdentityArgs(
                cluster_name=cluster.cluster_name,
                namespace=a.namespace,
                service_account=a.service_account,
                bucket_arn=self._store.bucket_arn,
                labels=a.labels,
            ),
            child,
        )
        self.provider = cluster_provider(
            name,
            cluster.kubeconfig,
            cluster.cluster_arn,
            pulumi.ResourceOptions(parent=self, depends_on=[dns, identity]),
        )
        if a.gpu_pools:
            NvidiaDevicePlugin(
                f"{name}-nvidia",
                NvidiaDevicePluginArgs(pools=list(a.gpu_pools)),
                pulumi.ResourceOptions(parent=self, provider=self.provider),
            )
        self.issuer_url: Optional[pulumi.Output[str]] = None
        self.kubeconfig = cluster.kubeconfig
        self.addresses = address.addresses
        self.registry_url = registry.registry_url
        self.store_bucket = self._store.bucket_name
        self.store_region = a.region
        self.load_balancer_annotations: dict[str, pulumi.Input[str]] = {
            f"{_ANNOTATION}-type": "nlb",
            f"{_ANNOTATION}-scheme": "internet-facing",
            f"{_ANNOTATION}-eip-allocations": address.allocation_ids,
        }
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
        """Put a bundle archive into the model store; see `S3ModelStore.upload`."""
        return self._store.upload(model, key, archive)

    def image(self, reference: str) -> pulumi.Output[str]:
        """Name of a public image in the registry; see `ServingCluster.image`."""
        return pulumi.Output.from_input(reference)
