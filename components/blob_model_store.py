"""Model store on Azure."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_azure_native as azure_native

from components._base import coerce, protected, token
from components._naming import physical, stack_scope, tags

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
    protect: Optional[bool] = None
    """Refuse to delete the account, the container and the blobs in it. Default True."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""


class BlobModelStore(pulumi.ComponentResource):
    """A storage account with one private, versioned container for model bundles, over TLS 1.2 only.

    Grants access to nobody; see `AksWorkloadIdentity`. Needs the role `Contributor`.
    """

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
        account = azure_native.storage.StorageAccount(
            f"{name}-account",
            account_name=physical("azure", "storage_account", name, stack_scope(a.subscription_id)),
            resource_group_name=a.resource_group_name,
            location=a.location,
            kind="StorageV2",
            sku=azure_native.storage.SkuArgs(name="Standard_ZRS"),
            allow_blob_public_access=False,
            # Pulumi uploads blobs with the account's key and cannot do without (pulumi-azure-native#2015).
            allow_shared_key_access=True,
            default_to_o_auth_authentication=True,
            enable_https_traffic_only=True,
            minimum_tls_version="TLS1_2",
            tags=tags("BlobModelStore", a.labels),
            opts=protected(self, a.protect),
        )
        service = azure_native.storage.BlobServiceProperties(
            f"{name}-service",
            account_name=account.name,
            blob_services_name="default",
            resource_group_name=a.resource_group_name,
            is_versioning_enabled=True,
            delete_retention_policy=azure_native.storage.DeleteRetentionPolicyArgs(enabled=True, days=RETENTION_DAYS),
            opts=pulumi.ResourceOptions(parent=self),
        )
        container = azure_native.storage.BlobContainer(
            f"{name}-container",
            account_name=account.name,
            container_name=CONTAINER,
            resource_group_name=a.resource_group_name,
            public_access="None",
            opts=protected(self, a.protect, depends_on=[service]),
        )
        self.account_name = account.name
        self.container_name = container.name
        self.container_id = container.id
        self.register_outputs(
            {
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
            opts=pulumi.ResourceOptions(parent=self),
        )
        uploaded: pulumi.Output[str] = stored.name
        return uploaded
