"""Identities of a pipeline on Azure, known by its own tokens."""

import re
from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_azure_native as azure_native

from components import _azure_roles as roles
from components._base import coerce, reject, token
from components._naming import tags

AUDIENCE = "api://AzureADTokenExchange"
"""Audience that Microsoft Entra accepts in a token that stands for an identity."""


@dataclass(frozen=True, kw_only=True)
class AzureCiIdentityArgs:
    """Arguments of `AzureCiIdentity`."""

    subscription_id: str
    """Azure subscription id."""
    location: str
    """Azure location of the identities. A change replaces them."""
    issuer: str
    """Issuer of the pipeline's OpenID Connect tokens, without a final slash."""
    preview_subject: str
    """Exact subject of tokens that may preview."""
    deploy_subject: str
    """Exact subject of tokens that may deploy."""
    resource_group_name: Optional[pulumi.Input[str]] = None
    """Resource group that holds the identities. Default one of their own."""
    scope: Optional[str] = None
    """ARM id of what may be deployed to, a subscription or resource group. Default the subscription.

    The serving cluster makes a resource group, so its pipeline needs the subscription.
    """
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""

    def __post_init__(self) -> None:
        bad = []
        if re.fullmatch(r"https://\S*[^/\s]", self.issuer) is None:
            bad.append(("issuer", f"must be an https address without a final slash, got {self.issuer!r}"))
        for path, subject in (("previewSubject", self.preview_subject), ("deploySubject", self.deploy_subject)):
            if not subject.strip() or re.search(r"[*?]", subject):
                bad.append((path, f"must be one exact subject without wildcards, got {subject!r}"))
        if self.preview_subject == self.deploy_subject:
            bad.append(("deploySubject", "must differ from previewSubject: a pull request must not be able to deploy"))
        if self.scope is not None and not self.scope.startswith("/subscriptions/"):
            bad.append(("scope", f"must begin with /subscriptions/, got {self.scope!r}"))
        reject("AzureCiIdentity", bad)


class AzureCiIdentity(pulumi.ComponentResource):
    """Two identities for a pipeline's own tokens, so that no key is stored: one that reads, and one that deploys.

    The first reads resources and Kubernetes objects (no Secrets), which a preview needs. The second is `Contributor`,
    administers the clusters, and may lock resources and give or take the roles that the components give to
    identities, and no other role, so that it cannot make itself or anybody an owner. Needs `Owner`, once and by hand.
    """

    preview_client_id: pulumi.Output[str]
    """Client id of the identity for previews; known once its access is granted."""
    deploy_client_id: pulumi.Output[str]
    """Client id of the identity for deployments; known once its access is granted."""

    def __init__(self, name: str, args: AzureCiIdentityArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(AzureCiIdentity), name, {}, opts)
        a = coerce(AzureCiIdentityArgs, args)
        group: pulumi.Input[str]
        if a.resource_group_name is not None:
            group = a.resource_group_name
        else:
            group = azure_native.resources.ResourceGroup(
                f"{name}-group",
                location=a.location,
                tags=tags("AzureCiIdentity", a.labels),
                opts=pulumi.ResourceOptions(parent=self),
            ).name
        self.preview_client_id = self._identity(
            name,
            "preview",
            a,
            group,
            a.preview_subject,
            {"reader": roles.READER, "kubeconfig": roles.AKS_CLUSTER_USER, "objects": roles.AKS_RBAC_READER},
        )
        self.deploy_client_id = self._identity(
            name,
            "deploy",
            a,
            group,
            a.deploy_subject,
            {
                "contributor": roles.CONTRIBUTOR,
                "access": roles.USER_ACCESS_ADMINISTRATOR,
                "objects": roles.AKS_RBAC_CLUSTER_ADMIN,
            },
        )
        self.register_outputs({"preview_client_id": self.preview_client_id, "deploy_client_id": self.deploy_client_id})

    def _identity(
        self,
        name: str,
        purpose: str,
        a: AzureCiIdentityArgs,
        group: pulumi.Input[str],
        subject: str,
        given: dict[str, str],
    ) -> pulumi.Output[str]:
        """Declare one identity with its roles; return its client id."""
        child = pulumi.ResourceOptions(parent=self)
        identity = azure_native.managedidentity.UserAssignedIdentity(
            f"{name}-{purpose}",
            resource_group_name=group,
            location=a.location,
            tags=tags("AzureCiIdentity", a.labels),
            opts=child,
        )
        credential = azure_native.managedidentity.FederatedIdentityCredential(
            f"{name}-{purpose}-federation",
            resource_group_name=group,
            resource_name_=identity.name,
            issuer=a.issuer,
            subject=subject,
            audiences=[AUDIENCE],
            opts=child,
        )
        assigned = [
            roles.assign(
                name,
                f"{purpose}-{what}",
                subscription_id=a.subscription_id,
                role=role,
                principal_id=identity.principal_id,
                scope=a.scope or f"/subscriptions/{a.subscription_id}",
                condition=assignable_condition() if role == roles.USER_ACCESS_ADMINISTRATOR else None,
                opts=child,
            ).id
            for what, role in given.items()
        ]
        return pulumi.Output.all(identity.client_id, credential.id, *assigned).apply(lambda known: str(known[0]))


def assignable_condition() -> str:
    """ABAC condition: only the roles that the components assign, and only to identities of programs.

    https://learn.microsoft.com/azure/role-based-access-control/delegate-role-assignments-examples (2026-08)
    """
    allowed = ", ".join(sorted(roles.ASSIGNED_BY_COMPONENTS))
    subject = "Microsoft.Authorization/roleAssignments"
    return " AND ".join(
        f"((!(ActionMatches{{'{subject}/{verb}'}})) OR "
        f"(@{source}[{subject}:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {{{allowed}}} AND "
        f"@{source}[{subject}:PrincipalType] ForAnyOfAnyValues:StringEqualsIgnoreCase {{'ServicePrincipal'}}))"
        for verb, source in (("write", "Request"), ("delete", "Resource"))
    )
