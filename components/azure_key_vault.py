"""A key of the stack's own on Azure, in a vault that nobody can empty."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_azure_native as azure_native

from components._base import coerce, protected, token
from components._naming import physical, stack_scope, tags

KEY_NAME = "data"
KEY_BITS = 3072
SOFT_DELETE_DAYS = 90
_ROTATE_AFTER = "P1Y"


@dataclass(frozen=True, kw_only=True)
class AzureEncryptionKey:
    """A key of a vault, with which a component encrypts what it holds."""

    vault_id: pulumi.Input[str]
    """ARM id of the vault, the scope for role assignments."""
    vault_uri: pulumi.Input[str]
    """Address of the vault, with a final slash."""
    key_name: pulumi.Input[str]
    """Name of the key."""
    key_url: pulumi.Input[str]
    """Address of the key's current version."""


@dataclass(frozen=True, kw_only=True)
class AzureKeyVaultArgs:
    """Arguments of `AzureKeyVault`."""

    subscription_id: str
    """Azure subscription id."""
    resource_group_name: pulumi.Input[str]
    """Resource group that holds the vault; part of what the vault's name is made from."""
    location: str
    """Azure location. A change replaces the vault."""
    protect: Optional[bool] = None
    """Refuse to delete the vault and the key. Default True."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""


class AzureKeyVault(pulumi.ComponentResource):
    """A vault with one RSA key that is rotated every year. Grants access to nobody.

    The vault is closed to every network: only Azure's own storage and disk services pass its firewall, and only for
    identities with a role on it. Purge protection keeps a deleted vault, and its name, for 90 days; a new resource
    group gives a new name. Needs `Contributor`.
    """

    vault_id: pulumi.Output[str]
    """ARM id of the vault."""
    vault_uri: pulumi.Output[str]
    """Address of the vault, with a final slash."""
    key_name: pulumi.Output[str]
    """Name of the key."""
    key_url: pulumi.Output[str]
    """Address of the key's current version."""

    def __init__(self, name: str, args: AzureKeyVaultArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(AzureKeyVault), name, {}, opts)
        a = coerce(AzureKeyVaultArgs, args)
        own = tags("AzureKeyVault", a.labels)
        service = azure_native.keyvault
        caller = azure_native.authorization.get_client_config_output(opts=pulumi.InvokeOutputOptions(parent=self))
        group = pulumi.Output.from_input(a.resource_group_name)
        vault = service.Vault(
            f"{name}-vault",
            # A deleted vault keeps its name; the group's, which Pulumi makes up anew, is in it.
            vault_name=group.apply(lambda g: physical("azure", "key_vault", name, stack_scope(a.subscription_id, g))),
            resource_group_name=a.resource_group_name,
            location=a.location,
            properties=service.VaultPropertiesArgs(
                tenant_id=caller.tenant_id,
                sku=service.SkuArgs(family="A", name=service.SkuName.STANDARD),
                enable_rbac_authorization=True,
                enable_soft_delete=True,
                soft_delete_retention_in_days=SOFT_DELETE_DAYS,
                enable_purge_protection=True,
                public_network_access="Disabled",
                network_acls=service.NetworkRuleSetArgs(default_action="Deny", bypass="AzureServices"),
            ),
            tags=own,
            opts=protected(self, a.protect),
        )
        key = service.Key(
            f"{name}-key",
            key_name=KEY_NAME,
            vault_name=vault.name,
            resource_group_name=a.resource_group_name,
            properties=service.KeyPropertiesArgs(
                kty=service.JsonWebKeyType.RSA,
                key_size=KEY_BITS,
                key_ops=["wrapKey", "unwrapKey"],
                attributes=service.KeyAttributesArgs(enabled=True),
                rotation_policy=service.RotationPolicyArgs(
                    lifetime_actions=[
                        service.LifetimeActionArgs(
                            action=service.ActionArgs(type=service.KeyRotationPolicyActionType.ROTATE),
                            trigger=service.TriggerArgs(time_after_create=_ROTATE_AFTER),
                        )
                    ]
                ),
            ),
            tags=own,
            opts=protected(self, a.protect),
        )
        self.vault_id = vault.id
        self.vault_uri = pulumi.Output.concat("https://", vault.name, ".vault.azure.net/")
        self.key_name = key.name
        self.key_url = key.key_uri_with_version
        self.register_outputs(
            {
                "vault_id": self.vault_id,
                "vault_uri": self.vault_uri,
                "key_name": self.key_name,
                "key_url": self.key_url,
            }
        )

    def key(self) -> AzureEncryptionKey:
        """Return the key in the form in which other components take it."""
        return AzureEncryptionKey(
            vault_id=self.vault_id, vault_uri=self.vault_uri, key_name=self.key_name, key_url=self.key_url
        )
