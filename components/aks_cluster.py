"""AKS control plane with its system pool."""

import base64
from dataclasses import dataclass
from typing import Any, Optional

import pulumi
import pulumi_azure_native as azure_native
import yaml

from components._base import coerce, protected, reject, token
from components._kubernetes import exec_kubeconfig
from components._limits import node_problems, version_problems
from components._naming import stable_uuid, tags
from components.aks_network import DNS_ADDRESS, PODS_CIDR, SERVICES_CIDR
from serving.cluster import POOL_LABEL
from serving.settings_sites import SYSTEM_POOL

DEFAULT_MACHINE_TYPE = "Standard_D4s_v5"
SERVER_APPLICATION = "6dae42f8-4368-4678-94ff-3960e28e3630"
"""Application id of every AKS API server in Microsoft Entra ID."""
NETWORK_CONTRIBUTOR = "4d97b98b-1d4f-4787-a291-c67834d212e7"
"""https://learn.microsoft.com/azure/role-based-access-control/built-in-roles (2026-08)"""
SYSTEM_POOL_NAME = "system"


def role_definition_id(subscription_id: str, role: str) -> str:
    """Full id of a built-in role in a subscription."""
    return f"/subscriptions/{subscription_id}/providers/Microsoft.Authorization/roleDefinitions/{role}"


@dataclass(frozen=True, kw_only=True)
class AksClusterArgs:
    """Arguments of `AksCluster`."""

    subscription_id: str
    """Azure subscription id."""
    resource_group_name: pulumi.Input[str]
    """Resource group that holds the cluster."""
    resource_group_id: pulumi.Input[str]
    """Its id; the cluster may manage networks and addresses in it."""
    location: str
    """Azure location, e.g. `eastus`. A change replaces the cluster."""
    kubernetes_version: str
    """Minor version, e.g. `1.36`."""
    subnet_id: pulumi.Input[str]
    """Subnet of the system nodes. A change replaces the cluster."""
    system_min_nodes: int
    """Fewest nodes of the system pool; at least 1."""
    system_max_nodes: int
    """Most nodes of the system pool."""
    system_machine_type: Optional[str] = None
    """VM size of the system nodes. Default Standard_D4s_v5. A change replaces the cluster."""
    admin_group_ids: Optional[list[str]] = None
    """Object ids of Microsoft Entra groups that administer the cluster. Default none: Azure RBAC roles decide alone."""
    protect: Optional[bool] = None
    """Refuse to delete the cluster. Default True."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""

    def __post_init__(self) -> None:
        bad = node_problems(self.system_min_nodes, self.system_max_nodes, "system")
        reject("AksCluster", [*version_problems(self.kubernetes_version), *bad])


class AksCluster(pulumi.ComponentResource):
    """An AKS control plane with one system pool, workload identity, and Entra ID as the only way in.

    The system pool is part of the cluster, and only its bounds can change in place; every other pool is an `AgentPool`.
    Local accounts are off, so no lasting credential exists. Needs `Azure Kubernetes Service Contributor Role`, `User
    Access Administrator` on the resource group and, to use the cluster, `Azure Kubernetes Service RBAC Cluster Admin`.
    """

    cluster_name: pulumi.Output[str]
    """Physical name of the cluster."""
    cluster_id: pulumi.Output[str]
    """ARM id of the cluster."""
    issuer_url: pulumi.Output[str]
    """OIDC issuer of the cluster's service accounts."""
    kubelet_principal_id: pulumi.Output[str]
    """Object id of the identity with which nodes pull images."""
    kubeconfig: pulumi.Output[str]
    """Kubeconfig (JSON) that calls `kubelogin`; holds no credentials."""

    def __init__(self, name: str, args: AksClusterArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(AksCluster), name, {}, opts)
        a = coerce(AksClusterArgs, args)
        own = tags("AksCluster", a.labels)
        child = pulumi.ResourceOptions(parent=self)
        service = azure_native.containerservice
        identity = azure_native.managedidentity.UserAssignedIdentity(
            f"{name}-identity",
            resource_group_name=a.resource_group_name,
            location=a.location,
            tags=own,
            opts=child,
        )
        # The load balancer takes a public address of our resource group, and nodes join our subnet.
        contributor = azure_native.authorization.RoleAssignment(
            f"{name}-network",
            role_assignment_name=stable_uuid(name, "network"),
            principal_id=identity.principal_id,
            principal_type="ServicePrincipal",
            role_definition_id=role_definition_id(a.subscription_id, NETWORK_CONTRIBUTOR),
            scope=a.resource_group_id,
            opts=child,
        )
        cluster = service.ManagedCluster(
            f"{name}-aks",
            resource_group_name=a.resource_group_name,
            location=a.location,
            dns_prefix=name,
            kubernetes_version=a.kubernetes_version,
            identity=service.ManagedClusterIdentityArgs(
                type=service.ResourceIdentityType.USER_ASSIGNED, user_assigned_identities=[identity.id]
            ),
            sku=service.ManagedClusterSKUArgs(name="Base", tier="Standard"),
            aad_profile=service.ManagedClusterAADProfileArgs(
                managed=True, enable_azure_rbac=True, admin_group_object_ids=a.admin_group_ids
            ),
            disable_local_accounts=True,
            enable_rbac=True,
            oidc_issuer_profile=service.ManagedClusterOIDCIssuerProfileArgs(enabled=True),
            security_profile=service.ManagedClusterSecurityProfileArgs(
                workload_identity=service.ManagedClusterSecurityProfileWorkloadIdentityArgs(enabled=True)
            ),
            network_profile=service.ContainerServiceNetworkProfileArgs(
                network_plugin="azure",
                network_plugin_mode="overlay",
                network_dataplane="cilium",
                network_policy="cilium",
                outbound_type="userAssignedNATGateway",
                pod_cidr=PODS_CIDR,
                service_cidr=SERVICES_CIDR,
                dns_service_ip=DNS_ADDRESS,
                load_balancer_sku="standard",
            ),
            auto_upgrade_profile=service.ManagedClusterAutoUpgradeProfileArgs(
                upgrade_channel="patch", node_os_upgrade_channel="NodeImage"
            ),
            agent_pool_profiles=[
                service.ManagedClusterAgentPoolProfileArgs(
                    name=SYSTEM_POOL_NAME,
                    mode="System",
                    vm_size=a.system_machine_type or DEFAULT_MACHINE_TYPE,
                    os_type="Linux",
                    enable_auto_scaling=True,
                    count=a.system_min_nodes,
                    min_count=a.system_min_nodes,
                    max_count=a.system_max_nodes,
                    node_labels={POOL_LABEL: SYSTEM_POOL},
                    vnet_subnet_id=a.subnet_id,
                )
            ],
            tags=own,
            opts=protected(
                self,
                a.protect,
                depends_on=[contributor],
                # The autoscaler owns the count; upgrades change the version of the pool.
                ignore_changes=["agentPoolProfiles[0].count", "agentPoolProfiles[0].orchestratorVersion"],
            ),
        )
        credentials = service.list_managed_cluster_user_credentials_output(
            resource_group_name=a.resource_group_name,
            resource_name=cluster.name,
            opts=pulumi.InvokeOutputOptions(parent=self),
        )
        entry = credentials.kubeconfigs.apply(lambda found: _cluster_entry(found[0].value))
        self.cluster_name = cluster.name
        self.cluster_id = cluster.id
        self.issuer_url = cluster.oidc_issuer_profile.apply(lambda profile: str(profile.issuer_url))
        self.kubelet_principal_id = cluster.identity_profile.apply(
            lambda profiles: str(profiles["kubeletidentity"].object_id)
        )
        self.kubeconfig = exec_kubeconfig(
            server=entry.apply(lambda found: str(found["server"])),
            certificate_authority=entry.apply(lambda found: str(found["certificate-authority-data"])),
            command="kubelogin",
            arguments=["get-token", "--login", "azurecli", "--server-id", SERVER_APPLICATION],
            install_hint="Install kubelogin for Azure and log in with the Azure CLI.",
        )
        self.register_outputs(
            {
                "cluster_name": self.cluster_name,
                "cluster_id": self.cluster_id,
                "issuer_url": self.issuer_url,
                "kubelet_principal_id": self.kubelet_principal_id,
                "kubeconfig": self.kubeconfig,
            }
        )


def _cluster_entry(encoded: str) -> dict[str, Any]:
    """Server and CA of a user kubeconfig; with Entra ID it holds no credential, and its user is not looked at."""
    document = yaml.safe_load(base64.b64decode(encoded))
    return dict(document["clusters"][0]["cluster"])
