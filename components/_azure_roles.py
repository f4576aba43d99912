"""Built-in roles that the components assign on Azure, and how they assign them.

https://learn.microsoft.com/azure/role-based-access-control/built-in-roles (2026-08)
"""

from typing import Optional

import pulumi
import pulumi_azure_native as azure_native

from components._naming import stable_uuid

READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"
USER_ACCESS_ADMINISTRATOR = "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9"
NETWORK_CONTRIBUTOR = "4d97b98b-1d4f-4787-a291-c67834d212e7"
ACR_PULL = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
BLOB_DATA_READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
KEY_USER = "e147488a-f6f5-4113-8e2d-b22465e65bf6"
"""Key Vault Crypto Service Encryption User: wraps and unwraps with a key, and cannot read it."""
SECRETS_USER = "4633458b-17de-408a-b874-0445c86b69e6"
"""Key Vault Secrets User."""
AKS_CLUSTER_USER = "4abbcc35-e782-43d8-92c5-2d3f1bd2253f"
"""Azure Kubernetes Service Cluster User Role: may ask for the kubeconfig that holds no credentials."""
AKS_RBAC_READER = "7f6c6a51-bcf8-42ba-9220-52d62157d7db"
AKS_RBAC_CLUSTER_ADMIN = "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b"

ASSIGNED_BY_COMPONENTS = (NETWORK_CONTRIBUTOR, ACR_PULL, BLOB_DATA_READER, KEY_USER, SECRETS_USER, READER)
"""Roles that a serving cluster gives to its own identities; a pipeline that deploys it must be able to give these."""


def role_definition_id(subscription_id: str, role: str) -> str:
    """Full id of a built-in role in a subscription."""
    return f"/subscriptions/{subscription_id}/providers/Microsoft.Authorization/roleDefinitions/{role}"


def assign(
    name: str,
    purpose: str,
    *,
    subscription_id: str,
    role: str,
    principal_id: pulumi.Input[str],
    scope: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
    condition: Optional[str] = None,
) -> azure_native.authorization.RoleAssignment:
    """Declare that an identity has a role on a scope.

    Args:
        name: Name of the component that declares it.
        purpose: Added to the name; with it decides the assignment's UUID, so that it stays the same.
        subscription_id: Subscription of the scope.
        role: One of the roles of this module.
        principal_id: Object id of the identity.
        scope: Id of what the role is for, with everything below it.
        opts: Options of the resource.
        condition: ABAC condition, version 2.0. Default none.
    """
    return azure_native.authorization.RoleAssignment(
        f"{name}-{purpose}",
        role_assignment_name=stable_uuid(name, purpose),
        principal_id=principal_id,
        # Without it Azure looks the principal up in a directory that does not know it yet.
        principal_type="ServicePrincipal",
        role_definition_id=role_definition_id(subscription_id, role),
        scope=scope,
        condition=condition,
        condition_version="2.0" if condition else None,
        opts=opts,
    )
