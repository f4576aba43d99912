"""Access of a Kubernetes service account to a Blob model store."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_azure_native as azure_native

from components._azure_roles import BLOB_DATA_READER, assign
from components._base import coerce, token
from components._naming import tags


@dataclass(frozen=True, kw_only=True)
class AksWorkloadIdentityArgs:
    """Arguments of `AksWorkloadIdentity`."""

    subscription_id: str
    """Azure subscription id."""
    resource_group_name: pulumi.Input[str]
    """Resource group that holds the identity."""
    location: str
    """Azure location of the identity."""
    issuer_url: pulumi.Input[str]
    """OIDC issuer of the cluster."""
    namespace: str
    """Namespace of the service account."""
    service_account: str
    """Name of the service account; it needs the annotation `azure.workload.identity/client-id`."""
    container_id: pulumi.Input[str]
    """ARM id of the blob container the service account may read."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""


class AksWorkloadIdentity(pulumi.ComponentResource):
    """Read access to one blob container for one service account, through a federated identity without a secret.

    Makes no service account. Needs `Managed Identity Contributor` and `User Access Administrator`.
    """

    client_id: pulumi.Output[str]
    """Client id for the service account's annotation; known once access is granted."""

    def __init__(self, name: str, args: AksWorkloadIdentityArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(AksWorkloadIdentity), name, {}, opts)
        a = coerce(AksWorkloadIdentityArgs, args)
        child = pulumi.ResourceOptions(parent=self)
        identity = azure_native.managedidentity.UserAssignedIdentity(
            f"{name}-identity",
            resource_group_name=a.resource_group_name,
            location=a.location,
            tags=tags("AksWorkloadIdentity", a.labels),
            opts=child,
        )
        credential = azure_native.managedidentity.FederatedIdentityCredential(
            f"{name}-federation",
            resource_group_name=a.resource_group_name,
            resource_name_=identity.name,
            issuer=a.issuer_url,
            subject=f"system:serviceaccount:{a.namespace}:{a.service_account}",
            audiences=["api://AzureADTokenExchange"],
            opts=child,
        )
        reader = assign(
            name,
            "read",
            subscription_id=a.subscription_id,
            role=BLOB_DATA_READER,
            principal_id=identity.principal_id,
            scope=a.container_id,
            opts=child,
        )
        self.client_id = pulumi.Output.all(identity.client_id, credential.id, reader.id).apply(
            lambda values: str(values[0])
        )
        self.register_outputs({"client_id": self.client_id})
