"""Everything a serving site needs on AWS."""

from dataclasses import dataclass
from typing import Optional

import pulumi

from components._base import coerce, token
from components._capacity import CapacityPolicy, plans
from components._eks_machines import machine_problems
from components._hardening import PRODUCTION, Hardening
from components._kubernetes import cluster_provider
from components._limits import Problems
from components._serving_cluster import refuse
from components.aws_kms_key import AwsKmsKey, AwsKmsKeyArgs
from components.ecr_registry import EcrRegistry, EcrRegistryArgs, secret_problems
from components.eks_addons import EksAddons, EksAddonsArgs
from components.eks_address import EksAddress, EksAddressArgs
from components.eks_cluster import EksCluster, EksClusterArgs, admin_problems
from components.eks_cluster_autoscaler import IMAGE as AUTOSCALER_IMAGE
from components.eks_cluster_autoscaler import ClusterAutoscaler, ClusterAutoscalerArgs
from components.eks_gpu_pool import EksGpuPool, EksGpuPoolArgs, reservation_problems
from components.eks_load_balancer_controller import IMAGE as BALANCER_IMAGE
from components.eks_load_balancer_controller import (
    LOAD_BALANCER_CLASS,
    LoadBalancerController,
    LoadBalancerControllerArgs,
)
from components.eks_network import DEFAULT_CIDR, EksNetwork, EksNetworkArgs, zone_problems
from components.eks_node_pool import EksNodePool, EksNodePoolArgs
from components.eks_workload_identity import EksWorkloadIdentity, EksWorkloadIdentityArgs
from components.nvidia_device_plugin import IMAGE, NvidiaDevicePlugin, NvidiaDevicePluginArgs
from components.s3_model_store import S3ModelStore, S3ModelStoreArgs

_ANNOTATION = "service.beta.kubernetes.io/aws-load-balancer"
_TARGETS = {"preserve_client_ip.enabled": "true", "deregistration_delay.connection_termination.enabled": "true"}
_BALANCER = {"load_balancing.cross_zone.enabled": "true"}


def _pool_problems(zones: list[str], pools: Optional[dict[str, CapacityPolicy]]) -> Problems:
    """Problems of GPU pools that only AWS has."""
    bad: Problems = []
    for name, policy in (pools or {}).items():
        path = f"gpuPools.{name}."
        bad += machine_problems(f"{path}machineTypes", policy.machine_types, gpu=True)
        foreign = sorted(set(policy.zones or []) - set(zones))
        if foreign:
            bad.append((f"{path}zones", f"must be zones of the cluster ({', '.join(zones)}), got {', '.join(foreign)}"))
        try:
            found = plans("aws", policy)
        except ValueError:
            continue  # A class that AWS lacks is refused by name elsewhere.
        for plan in found:
            bad += reservation_problems(
                plan.reservation_id, plan.reservation_kind, plan.zones, plan.machine_types, prefix=path
            )
    return bad


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
    """IAM roles that administer the cluster. Default none: the role or user that creates the cluster does.

    Once there are any, whoever runs the stack must be one of them or `deployer_role_arn`: EKS lets nobody else in.
    """
    deployer_role_arn: Optional[pulumi.Input[str]] = None
    """IAM role that runs the stack, such as a pipeline's, if `admin_role_arns` does not name it. Default none."""
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
            others=[
                *zone_problems(self.zones),
                *admin_problems(self.admin_role_arns),
                *secret_problems(self.docker_hub_secret_arn),
                *machine_problems(
                    "systemMachineType", [self.system_machine_type] if self.system_machine_type else None, gpu=False
                ),
                *_pool_problems(self.zones, self.gpu_pools),
            ],
        )


class EksServingCluster(pulumi.ComponentResource):
    """A network, an EKS cluster with CPU and GPU nodes, a registry, a model store and static addresses.

    Has every attribute of `ServingCluster`. Deploys no model and no gateway. With a private endpoint, the default, the
    stack must be run from inside the network or from one connected to it.
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
        hardening = a.hardening or PRODUCTION
        child = pulumi.ResourceOptions(parent=self)
        address = EksAddress(
            f"{name}-address", EksAddressArgs(zones=a.zones, protect=a.protect, labels=a.labels), child
        )
        key: Optional[pulumi.Output[str]] = None
        if hardening.customer_keys is not False:
            key = AwsKmsKey(
                f"{name}-key",
                AwsKmsKeyArgs(account_id=address.account_id, region=a.region, protect=a.protect, labels=a.labels),
                child,
            ).key_arn
        network = EksNetwork(
            f"{name}-network",
            EksNetworkArgs(zones=a.zones, cidr=a.cidr, hardening=hardening, key_arn=key, labels=a.labels),
            child,
        )
        cluster = EksCluster(
            f"{name}-cluster",
            EksClusterArgs(
                region=a.region,
                kubernetes_version=a.kubernetes_version,
                subnet_ids=network.private_subnet_ids,
                admin_role_arns=a.admin_role_arns,
                deployer_role_arn=a.deployer_role_arn,
                network_cidr=a.cidr or DEFAULT_CIDR,
                hardening=hardening,
                key_arn=key,
                protect=a.protect,
                labels=a.labels,
            ),
            child,
        )
        addons = self._declare_nodes(name, a, network, cluster, key)
        self._registry = EcrRegistry(
            f"{name}-registry",
            EcrRegistryArgs(
                key_arn=key,
                mirror=a.mirror,
                docker_hub_secret_arn=a.docker_hub_secret_arn,
                puller_role_name=cluster.node_role_name,
                protect=a.protect,
                labels=a.labels,
            ),
            child,
        )
        self._store = S3ModelStore(
            f"{name}-models", S3ModelStoreArgs(key_arn=key, protect=a.protect, labels=a.labels), child
        )
        identity = EksWorkloadIdentity(
            f"{name}-identity",
            EksWorkloadIdentityArgs(
                cluster_name=cluster.cluster_name,
                namespace=a.namespace,
                service_account=a.service_account,
                bucket_arn=self._store.bucket_arn,
                key_arn=key,
                labels=a.labels,
            ),
            child,
        )
        self.provider = cluster_provider(
            name,
            cluster.kubeconfig,
            cluster.cluster_arn,
            pulumi.ResourceOptions(parent=self, depends_on=[addons, identity]),
        )
        balancers = self._declare_controllers(name, a, network, cluster)
        self.issuer_url: Optional[pulumi.Output[str]] = cluster.issuer_url
        self.kubeconfig = cluster.kubeconfig
        self.addresses = address.addresses
        self.registry_url = self._registry.registry_url
        self.store_bucket = self._store.bucket_name
        self.store_region = a.region
        self.load_balancer_annotations: dict[str, pulumi.Input[str]] = {
            f"{_ANNOTATION}-scheme": "internet-facing",
            f"{_ANNOTATION}-nlb-target-type": "ip",
            f"{_ANNOTATION}-subnets": network.public_subnet_ids.apply(",".join),
            # Known once the controller runs: a Service with it is made after the controller and ended before it.
            f"{_ANNOTATION}-eip-allocations": pulumi.Output.all(address.allocation_ids, balancers.release_name).apply(
                lambda values: str(values[0])
            ),
            f"{_ANNOTATION}-attributes": _pairs(_BALANCER),
            f"{_ANNOTATION}-target-group-attributes": _pairs(_TARGETS),
        }
        self.load_balancer_class: Optional[str] = LOAD_BALANCER_CLASS
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
        """Name of a public image in the registry; see `EcrRegistry.image`."""
        return self._registry.image(reference)

    def _declare_nodes(
        self,
        name: str,
        a: EksServingClusterArgs,
        network: EksNetwork,
        cluster: EksCluster,
        key: Optional[pulumi.Output[str]],
    ) -> EksAddons:
        child = pulumi.ResourceOptions(parent=self)
        system = EksNodePool(
            f"{name}-system",
            EksNodePoolArgs(
                cluster_name=cluster.cluster_name,
                node_role_arn=cluster.node_role_arn,
                subnet_ids=network.private_subnet_ids,
                security_group_id=cluster.security_group_id,
                kubernetes_version=a.kubernetes_version,
                min_nodes=a.system_min_nodes,
                max_nodes=a.system_max_nodes,
                machine_type=a.system_machine_type,
                key_arn=key,
                labels=a.labels,
            ),
            child,
        )
        for pool, policy in (a.gpu_pools or {}).items():
            for plan in plans("aws", policy):
                EksGpuPool(
                    f"{name}-{pool}{plan.suffix}",
                    EksGpuPoolArgs(
                        cluster_name=cluster.cluster_name,
                        node_role_arn=cluster.node_role_arn,
                        subnet_ids=_subnets_of(plan.zones, a.zones, network),
                        security_group_id=cluster.security_group_id,
                        kubernetes_version=a.kubernetes_version,
                        pool=pool,
                        gpu_class=plan.gpu_class,
                        machine_types=plan.machine_types,
                        min_nodes=plan.min_nodes,
                        max_nodes=plan.max_nodes,
                        spot=plan.spot,
                        zones=plan.zones,
                        reservation_id=plan.reservation_id,
                        reservation_kind=plan.reservation_kind,
                        key_arn=key,
                        labels=a.labels,
                    ),
                    child,
                )
        return EksAddons(
            f"{name}-addons",
            EksAddonsArgs(cluster_name=cluster.cluster_name, labels=a.labels),
            pulumi.ResourceOptions(parent=self, depends_on=[system]),
        )

    def _declare_controllers(
        self, name: str, a: EksServingClusterArgs, network: EksNetwork, cluster: EksCluster
    ) -> LoadBalancerController:
        inside = pulumi.ResourceOptions(parent=self, providers=[self.provider])
        if a.gpu_pools:
            NvidiaDevicePlugin(
                f"{name}-nvidia", NvidiaDevicePluginArgs(pools=list(a.gpu_pools), image=self.image(IMAGE)), inside
            )
        ClusterAutoscaler(
            f"{name}-autoscaler",
            ClusterAutoscalerArgs(
                cluster_name=cluster.cluster_name,
                cluster_arn=cluster.cluster_arn,
                region=a.region,
                image_repository=self._cached_repository(a, AUTOSCALER_IMAGE),
                labels=a.labels,
            ),
            inside,
        )
        return LoadBalancerController(
            f"{name}-balancers",
            LoadBalancerControllerArgs(
                cluster_name=cluster.cluster_name,
                cluster_arn=cluster.cluster_arn,
                region=a.region,
                vpc_id=network.vpc_id,
                image_repository=self._cached_repository(a, BALANCER_IMAGE),
                labels=a.labels,
            ),
            inside,
        )

    def _cached_repository(self, a: EksServingClusterArgs, repository: str) -> Optional[pulumi.Output[str]]:
        if not a.mirror:
            return None
        # The tag is the chart's; any will do to find the repository.
        return self.image(f"{repository}:any").apply(lambda image: image.removesuffix(":any"))


def _pairs(values: dict[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in values.items())


def _subnets_of(wanted: Optional[list[str]], zones: list[str], network: EksNetwork) -> pulumi.Output[list[str]]:
    """Private subnets of some zones of the network, of all when none are named."""
    if wanted is None:
        return network.private_subnet_ids
    places = [zones.index(zone) for zone in wanted]
    return network.private_subnet_ids.apply(lambda ids: [ids[place] for place in places])
