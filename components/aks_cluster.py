"""AKS control plane with its system pool."""

import base64
from dataclasses import dataclass
from typing import Any, Optional

import pulumi
import pulumi_azure_native as azure_native
import yaml

from components import _aks_profiles as profiles
from components._azure_roles import KEY_USER, NETWORK_CONTRIBUTOR, READER, assign
from components._base import coerce, protected, reject, token
from components._hardening import PRODUCTION, Hardening
from components._kubernetes import exec_kubeconfig
from components._limits import node_problems, version_problems
from components._naming import tags
from components.aks_network import DNS_ADDRESS, PODS_CIDR, SERVICES_CIDR
from components.azure_key_vault import AzureEncryptionKey

DEFAULT_MACHINE_TYPE = "Standard_D4s_v5"
SERVER_APPLICATION = "6dae42f8-4368-4678-94ff-3960e28e3630"
"""Application id of every AKS API server in Microsoft Entra ID."""
SYSTEM_POOL_NAME = "system"
LEAST_RETENTION_DAYS = 30
"""A Log Analytics workspace keeps nothing for a shorter time."""


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
    api_subnet_id: Optional[pulumi.Input[str]] = None
    """Subnet handed over to the API servers. Default none: AKS connects them by a private link of its own.

    Once given, it cannot be taken away.
    """
    zones: Optional[list[str]] = None
    """Zones of the system nodes, of `1`, `2` and `3`. Default none asked for. A change replaces the cluster."""
    hardening: Optional[Hardening] = None
    """How closed and how well kept the cluster is. Default that of production."""
    key: Optional[AzureEncryptionKey] = None
    """Key that encrypts the nodes' disks. Default a key of the platform. A change replaces the cluster."""
    protect: Optional[bool] = None
    """Refuse to delete the cluster. Default True."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""

    def __post_init__(self) -> None:
        bad = node_problems(self.system_min_nodes, self.system_max_nodes, "system")
        reject("AksCluster", [*version_problems(self.kubernetes_version), *bad, *profiles.zone_problems(self.zones)])


class AksCluster(pulumi.ComponentResource):
    """An AKS control plane with one system pool, workload identity, and Entra ID as the only way in.

    Its API server is private unless `hardening` says otherwise, so that `pulumi` must run in its network. The system
    pool is part of the cluster, and only its bounds can change in place; every other pool is an `AgentPool`. Local
    accounts are off, so no lasting credential exists. The group that AKS makes for nodes and load balancers is closed
    to people; public addresses stay outside of it. Audit logs are kept in a workspace, for 30 days at least. Needs the
    feature `EncryptionAtHost` of `Microsoft.Compute`, `Azure Kubernetes Service Contributor Role`, `Log Analytics
    Contributor`, `User Access Administrator` on the resource group and, to use the cluster, `Azure Kubernetes Service
    RBAC Cluster Admin`.
    """

    cluster_name: pulumi.Output[str]
    """Physical name of the cluster."""
    cluster_id: pulumi.Output[str]
    """ARM id of the cluster."""
    issuer_url: pulumi.Output[str]
    """OIDC issuer of the cluster's service accounts."""
    kubelet_principal_id: pulumi.Output[str]
    """Object id of the identity with which nodes pull images."""
    identity_principal_id: pulumi.Output[str]
    """Object id of the identity that manages the cluster's networks, such as for access to reserved capacity."""
    workspace_id: pulumi.Output[str]
    """ARM id of the Log Analytics workspace with the audit logs."""
    kubeconfig: pulumi.Output[str]
    """Kubeconfig (JSON) that calls `kubelogin`; holds no credentials."""

    def __init__(self, name: str, args: AksClusterArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(AksCluster), name, {}, opts)
        a = coerce(AksClusterArgs, args)
        hardening = a.hardening or PRODUCTION
        own = tags("AksCluster", a.labels)
        child = pulumi.ResourceOptions(parent=self)
        place = {"resource_group_name": a.resource_group_name, "location": a.location}
        service = azure_native.containerservice
        identity = azure_native.managedidentity.UserAssignedIdentity(f"{name}-identity", tags=own, opts=child, **place)
        # The load balancer takes a public address of our resource group, and nodes join our subnet.
        allowed = [
            assign(
                name,
                "network",
                subscription_id=a.subscription_id,
                role=NETWORK_CONTRIBUTOR,
                principal_id=identity.principal_id,
                scope=a.resource_group_id,
                opts=child,
            )
        ]
        workspace = azure_native.operationalinsights.Workspace(
            f"{name}-logs",
            sku=azure_native.operationalinsights.WorkspaceSkuArgs(name="PerGB2018"),
            retention_in_days=max(LEAST_RETENTION_DAYS, hardening.retention_days),
            tags=own,
            opts=protected(self, a.protect),
            **place,
        )
        disks: Optional[azure_native.compute.DiskEncryptionSet] = None
        if a.key is not None:
            disks = self._disk_encryption(name, a.key, own, **place)
            for purpose, role, principal, scope in (
                ("disk-key", KEY_USER, disks.identity.apply(lambda found: str(found.principal_id)), a.key.vault_id),
                ("disks", READER, identity.principal_id, disks.id),
            ):
                allowed.append(
                    assign(
                        name,
                        purpose,
                        subscription_id=a.subscription_id,
                        role=role,
                        principal_id=principal,
                        scope=scope,
                        opts=child,
                    )
                )
        cluster = service.ManagedCluster(
            f"{name}-aks",
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
            api_server_access_profile=profiles.api_access(hardening, a.api_subnet_id),
            oidc_issuer_profile=service.ManagedClusterOIDCIssuerProfileArgs(enabled=True),
            security_profile=profiles.security(hardening, workspace.id),
            addon_profiles={"azurepolicy": service.ManagedClusterAddonProfileArgs(enabled=True)},
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
            node_resource_group_profile=service.ManagedClusterNodeResourceGroupProfileArgs(
                restriction_level="ReadOnly"
            ),
            auto_upgrade_profile=service.ManagedClusterAutoUpgradeProfileArgs(
                upgrade_channel="patch", node_os_upgrade_channel="NodeImage"
            ),
            disk_encryption_set_id=disks.id if disks is not None else None,
            agent_pool_profiles=[
                profiles.system_pool(
                    name=SYSTEM_POOL_NAME,
                    machine_type=a.system_machine_type or DEFAULT_MACHINE_TYPE,
                    bounds=(a.system_min_nodes, a.system_max_nodes),
                    subnet_id=a.subnet_id,
                    zones=a.zones,
                )
            ],
            tags=own,
            opts=protected(
                self,
                a.protect,
                depends_on=allowed,
                # The autoscaler owns the count; upgrades change the version of the pool.
                ignore_changes=["agentPoolProfiles[0].count", "agentPoolProfiles[0].orchestratorVersion"],
            ),
            **place,
        )
        azure_native.monitor.DiagnosticSetting(
            f"{name}-audit",
            name="audit",
            resource_uri=cluster.id,
            workspace_id=workspace.id,
            log_analytics_destination_type="Dedicated",
            logs=[
                azure_native.monitor.DiagnosticsLogSettingsArgs(category=category, enabled=True)
                for category in profiles.AUDIT_CATEGORIES
            ],
            opts=child,
        )
        for which, day in profiles.MAINTENANCE_DAYS.items():
            service.MaintenanceConfiguration(
                f"{name}-{which}",
                config_name=which,
                resource_group_name=a.resource_group_name,
                resource_name_=cluster.name,
                maintenance_window=profiles.maintenance_window(day),
                opts=child,
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
        self.identity_principal_id = identity.principal_id
        self.workspace_id = workspace.id
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
                "identity_principal_id": self.identity_principal_id,
                "workspace_id": self.workspace_id,
                "kubeconfig": self.kubeconfig,
            }
        )

    def _disk_encryption(
        self, name: str, key: AzureEncryptionKey, own: dict[str, str], **place: pulumi.Input[str]
    ) -> azure_native.compute.DiskEncryptionSet:
        compute = azure_native.compute
        return compute.DiskEncryptionSet(
            f"{name}-disks",
            encryption_type="EncryptionAtRestWithCustomerKey",
            active_key=compute.KeyForDiskEncryptionSetArgs(key_url=key.key_url),
            rotation_to_latest_key_version_enabled=True,
            identity=compute.EncryptionSetIdentityArgs(type="SystemAssigned"),
            tags=own,
            # Azure moves to the new version of the key after each rotation.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["activeKey.keyUrl"]),
            **place,
        )


def _cluster_entry(encoded: str) -> dict[str, Any]:
    """Server and CA of a user kubeconfig; with Entra ID it holds no credential, and its user is not looked at."""
    document = yaml.safe_load(base64.b64decode(encoded))
    return dict(document["clusters"][0]["cluster"])
