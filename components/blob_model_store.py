"""Model store on Azure."""

import ipaddress
from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_azure_native as azure_native

from components._azure_roles import KEY_USER, assign
from components._base import coerce, protected, reject, token
from components._naming import physical, stack_scope, tags
from components.azure_key_vault import AzureEncryptionKey
from components.azure_private_link import AzurePrivateLink, AzurePrivateLinkArgs

CONTAINER = "models"
RETENTION_DAYS = 7


@dataclass(frozen=True, kw_only=True)
class BlobModelStoreArgs:
    """Arguments of `BlobModelStore`."""

    subscription_id: str
    """Azure subscription id."""
    resource_group_name: pulumi.Input[str]
    """Resource group that holds the storage account."""
    location: str
    """Azure location. A change replaces the account."""
    network_id: Optional[pulumi.Input[str]] = None
    """Virtual network that reaches the store through a private endpoint. Default none."""
    endpoint_subnet_id: Optional[pulumi.Input[str]] = None
    """Subnet of that network for the private endpoint."""
    subnet_ids: Optional[list[pulumi.Input[str]]] = None
    """Subnets that reach the store by the service endpoint `Microsoft.Storage`. Default none."""
    authorized_ranges: Optional[list[str]] = None
    """Public IPv4 ranges that reach the store over the internet, such as those of pipelines. Default none."""
    key: Optional[AzureEncryptionKey] = None
    """Key that encrypts the store. Default a key of the platform."""
    protect: Optional[bool] = None
    """Refuse to delete the account, the container and the blobs in it. Default True."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""

    def __post_init__(self) -> None:
        if (self.network_id is None) != (self.endpoint_subnet_id is None):
            reject(
                "BlobModelStore", [("endpointSubnetId", "must be given together with networkId, got one of the two")]
            )


class BlobModelStore(pulumi.ComponentResource):
    """A storage account with one private, versioned container for model bundles, over TLS 1.2 only.

    Only the networks named reach it; uploads come from where `pulumi` runs, which must be in one of them. Grants
    access to nobody; see `AksWorkloadIdentity`. Needs the roles `Contributor` and `User Access Administrator`.

    One door is open that should not be: the account's keys work. The provider uploads blobs with them and has no
    other way (pulumi/pulumi-azure-native#2015). They are the choice of no client (`defaultToOAuthAuthentication`),
    no component reads them, and nobody without `Contributor` can.
    """

    account_id: pulumi.Output[str]
    """ARM id of the storage account."""
    account_name: pulumi.Output[str]
    """Physical name of the storage account."""
    container_name: pulumi.Output[str]
    """Name of the container."""
    container_id: pulumi.Output[str]
    """ARM id of the container, the scope for role assignments."""

    def __init__(self, name: str, args: BlobModelStoreArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(BlobModelStore), name, {}, opts)
        a = coerce(BlobModelStoreArgs, args)
        self._name = name
        self._resource_group_name = a.resource_group_name
        closed = not a.subnet_ids and not a.authorized_ranges
        storage = azure_native.storage
        own = tags("BlobModelStore", a.labels)
        identity, granted = self._key_identity(name, a, own)
        account = storage.StorageAccount(
            f"{name}-account",
            account_name=physical("azure", "storage_account", name, stack_scope(a.subscription_id)),
            resource_group_name=a.resource_group_name,
            location=a.location,
            kind="StorageV2",
            sku=storage.SkuArgs(name="Standard_ZRS"),
            allow_blob_public_access=False,
            # Pulumi uploads blobs with the account's key and cannot do without (pulumi-azure-native#2015).
            allow_shared_key_access=True,
            default_to_o_auth_authentication=True,
            enable_https_traffic_only=True,
            minimum_tls_version="TLS1_2",
            allow_cross_tenant_replication=False,
            public_network_access="Disabled" if closed else "Enabled",
            network_rule_set=storage.NetworkRuleSetArgs(
                default_action="Deny",
                bypass="None",
                virtual_network_rules=[
                    storage.VirtualNetworkRuleArgs(virtual_network_resource_id=subnet) for subnet in a.subnet_ids or []
                ],
                ip_rules=_ip_rules(a.authorized_ranges),
            ),
            identity=storage.IdentityArgs(type="UserAssigned", user_assigned_identities=[identity.id])
            if identity is not None
            else None,
            encryption=storage.EncryptionArgs(
                key_source="Microsoft.Keyvault",
                # Without a version of the key, Azure follows its rotation.
                key_vault_properties=storage.KeyVaultPropertiesArgs(
                    key_name=a.key.key_name, key_vault_uri=a.key.vault_uri
                ),
                encryption_identity=storage.EncryptionIdentityArgs(encryption_user_assigned_identity=identity.id),
            )
            if a.key is not None and identity is not None
            else None,
            tags=own,
            opts=protected(self, a.protect, depends_on=granted),
        )
        service = storage.BlobServiceProperties(
            f"{name}-service",
            account_name=account.name,
            blob_services_name="default",
            resource_group_name=a.resource_group_name,
            is_versioning_enabled=True,
            delete_retention_policy=storage.DeleteRetentionPolicyArgs(enabled=True, days=RETENTION_DAYS),
            container_delete_retention_policy=storage.DeleteRetentionPolicyArgs(enabled=True, days=RETENTION_DAYS),
            opts=pulumi.ResourceOptions(parent=self),
        )
        container = storage.BlobContainer(
            f"{name}-container",
            account_name=account.name,
            container_name=CONTAINER,
            resource_group_name=a.resource_group_name,
            public_access="None",
            opts=protected(self, a.protect, depends_on=[service]),
        )
        self._link: list[pulumi.Resource] = []
        if a.network_id is not None and a.endpoint_subnet_id is not None:
            self._link.append(
                AzurePrivateLink(
                    f"{name}-link",
                    AzurePrivateLinkArgs(
                        resource_group_name=a.resource_group_name,
                        location=a.location,
                        network_id=a.network_id,
                        subnet_id=a.endpoint_subnet_id,
                        resource_id=account.id,
                        group="blob",
                        labels=a.labels,
                    ),
                    pulumi.ResourceOptions(parent=self),
                )
            )
        self.account_id = account.id
        self.account_name = account.name
        self.container_name = container.name
        self.container_id = container.id
        self.register_outputs(
            {
                "account_id": self.account_id,
                "account_name": self.account_name,
                "container_name": self.container_name,
                "container_id": self.container_id,
            }
        )

    def upload(self, model: str, key: str, archive: str) -> pulumi.Output[str]:
        """Put a bundle archive into the store.

        Args:
            model: Name of the model, part of the logical name.
            key: Object key, `bundles/<model>/<digest>.tar`.
            archive: Path of the archive on this machine, relative to the project.

        Returns:
            The key, known once the object is there.
        """
        digest = key.rpartition("/")[2].removesuffix(".tar")
        stored = azure_native.storage.Blob(
            f"{self._name}-{model}-{digest[:12]}",
            account_name=self.account_name,
            container_name=self.container_name,
            resource_group_name=self._resource_group_name,
            blob_name=key,
            source=pulumi.FileAsset(archive),
            content_type="application/x-tar",
            # Inside a network that is all there is, the account's name leads nowhere before the link does.
            opts=pulumi.ResourceOptions(parent=self, depends_on=self._link),
        )
        uploaded: pulumi.Output[str] = stored.name
        return uploaded

    def _key_identity(
        self, name: str, a: BlobModelStoreArgs, own: dict[str, str]
    ) -> tuple[Optional[azure_native.managedidentity.UserAssignedIdentity], list[pulumi.Resource]]:
        """Identity with which the account uses its key, which must be there before the account; none without a key."""
        if a.key is None:
            return None, []
        child = pulumi.ResourceOptions(parent=self)
        identity = azure_native.managedidentity.UserAssignedIdentity(
            f"{name}-identity",
            resource_group_name=a.resource_group_name,
            location=a.location,
            tags=own,
            opts=child,
        )
        granted = assign(
            name,
            "key",
            subscription_id=a.subscription_id,
            role=KEY_USER,
            principal_id=identity.principal_id,
            scope=a.key.vault_id,
            opts=child,
        )
        return identity, [granted]


def _ip_rules(ranges: Optional[list[str]]) -> list[azure_native.storage.IPRuleArgs]:
    """Rules that let ranges in; storage accounts take no prefix of 31 or 32, so these become single addresses."""
    networks = [ipaddress.IPv4Network(each) for each in ranges or []]
    written = [
        each
        for network in networks
        for each in ([str(network)] if network.prefixlen < 31 else [str(address) for address in network])
    ]
    return [azure_native.storage.IPRuleArgs(i_p_address_or_range=each) for each in written]
