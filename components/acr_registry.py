"""Container registry on Azure."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_azure_native as azure_native

from components._base import coerce, protected, token
from components._naming import physical, stable_uuid, stack_scope, tags
from components.aks_cluster import role_definition_id

ACR_PULL = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
"""https://learn.microsoft.com/azure/role-based-access-control/built-in-roles (2026-08)"""


@dataclass(frozen=True, kw_only=True)
class AcrRegistryArgs:
    """Arguments of `AcrRegistry`."""

    subscription_id: str
    """Azure subscription id."""
    resource_group_name: pulumi.Input[str]
    """Resource group that holds the registry."""
    location: str
    """Azure location. A change replaces the registry."""
    puller_principal_id: Optional[pulumi.Input[str]] = None
    """Object id of an identity that may pull images, such as the nodes'. Default none."""
    protect: Optional[bool] = None
    """Refuse to delete the registry and the images in it. Default True."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""


class AcrRegistry(pulumi.ComponentResource):
    """A registry without an admin account or anonymous pulls. Needs `Contributor` and `User Access Administrator`."""

    registry_url: pulumi.Output[str]
    """Address images are pushed to and pulled from, without a scheme."""

    def __init__(self, name: str, args: AcrRegistryArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(AcrRegistry), name, {}, opts)
        a = coerce(AcrRegistryArgs, args)
        registry = azure_native.containerregistry.Registry(
            f"{name}-images",
            registry_name=physical("azure", "registry", name, stack_scope(a.subscription_id)),
            resource_group_name=a.resource_group_name,
            location=a.location,
            sku=azure_native.containerregistry.SkuArgs(name="Standard"),
            admin_user_enabled=False,
            anonymous_pull_enabled=False,
            tags=tags("AcrRegistry", a.labels),
            opts=protected(self, a.protect),
        )
        if a.puller_principal_id is not None:
            azure_native.authorization.RoleAssignment(
                f"{name}-pull",
                role_assignment_name=stable_uuid(name, "pull"),
                principal_id=a.puller_principal_id,
                principal_type="ServicePrincipal",
                role_definition_id=role_definition_id(a.subscription_id, ACR_PULL),
                scope=registry.id,
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.registry_url = registry.login_server
        self.register_outputs({"registry_url": self.registry_url})
