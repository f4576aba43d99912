"""CPU nodes of an AKS cluster, beside its system pool."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_azure_native as azure_native

from components._aks_profiles import zone_problems
from components._base import coerce, reject, token
from components._limits import node_problems, pool_problems
from components._naming import physical, stack_scope, tags
from serving.cluster import POOL_LABEL

DEFAULT_MACHINE_TYPE = "Standard_D4s_v5"


@dataclass(frozen=True, kw_only=True)
class AksNodePoolArgs:
    """Arguments of `AksNodePool`."""

    resource_group_name: pulumi.Input[str]
    """Resource group of the cluster."""
    cluster_name: pulumi.Input[str]
    """Physical name of the cluster."""
    subnet_id: pulumi.Input[str]
    """Subnet of the nodes. A change replaces the pool."""
    pool: str
    """Value of the node label `tricorn.dev/pool`: up to 8 lower-case letters and digits, a letter first.

    Not `system`, which is the pool that every AKS cluster already has.
    """
    min_nodes: int
    """Fewest nodes; at least 1."""
    max_nodes: int
    """Most nodes."""
    machine_type: Optional[str] = None
    """VM size. Default Standard_D4s_v5. A change replaces the pool, new nodes first."""
    zones: Optional[list[str]] = None
    """Zones of the nodes, of `1`, `2` and `3`. Default none asked for. A change replaces the pool."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""

    def __post_init__(self) -> None:
        bad = [*pool_problems("pool", self.pool), *node_problems(self.min_nodes, self.max_nodes)]
        bad += zone_problems(self.zones)
        reject("AksNodePool", bad)


class AksNodePool(pulumi.ComponentResource):
    """An agent pool without GPUs. The autoscaler owns its count. Needs vCPU quota of the size's family."""

    pool_name: pulumi.Output[str]
    """Physical name of the agent pool, at most 12 letters and digits."""

    def __init__(self, name: str, args: AksNodePoolArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(AksNodePool), name, {}, opts)
        a = coerce(AksNodePoolArgs, args)
        machine_type = a.machine_type or DEFAULT_MACHINE_TYPE
        pool = azure_native.containerservice.AgentPool(
            f"{name}-nodes",
            # The name holds what cannot be changed in place, so that a replacement can be made before the old one goes.
            agent_pool_name=physical("azure", "agent_pool", a.pool, stack_scope(name, machine_type, *(a.zones or []))),
            resource_group_name=a.resource_group_name,
            resource_name_=a.cluster_name,
            mode="User",
            vm_size=machine_type,
            availability_zones=a.zones,
            enable_encryption_at_host=True,
            enable_node_public_ip=False,
            os_type="Linux",
            enable_auto_scaling=True,
            count=a.min_nodes,
            min_count=a.min_nodes,
            max_count=a.max_nodes,
            node_labels={POOL_LABEL: a.pool},
            vnet_subnet_id=a.subnet_id,
            tags=tags("AksNodePool", a.labels),
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["count", "orchestratorVersion"]),
        )
        self.pool_name = pool.name
        self.register_outputs({"pool_name": self.pool_name})
