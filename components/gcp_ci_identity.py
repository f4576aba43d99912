"""Identities of the pipeline on Google Cloud."""

import json
from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_gcp as gcp

from components._base import coerce, reject, token
from components._naming import physical, stack_scope
from components.gke_cluster import ADMIN_ROLE, NODE_ROLES
from components.gke_services import GkeServices, GkeServicesArgs

SERVICES = ["cloudresourcemanager", "iam", "iamcredentials", "sts"]
MAX_SUBJECT = 127
"""Longest `google.subject` in bytes (https://cloud.google.com/iam/docs/workload-identity-federation)."""
PREVIEW_ROLES = (
    "roles/artifactregistry.reader",
    "roles/cloudkms.viewer",
    "roles/compute.viewer",
    "roles/container.viewer",
    "roles/dns.reader",
    "roles/iam.securityReviewer",
    "roles/iam.serviceAccountViewer",
    "roles/iam.workloadIdentityPoolViewer",
    "roles/logging.viewer",
    "roles/serviceusage.serviceUsageViewer",
)
"""Enough to compare the stack with the cloud, quotas included. Not the models themselves, and no secret."""
DEPLOY_ROLES = (
    "roles/artifactregistry.admin",
    "roles/cloudkms.admin",
    "roles/compute.networkAdmin",
    "roles/compute.securityAdmin",
    "roles/container.admin",
    "roles/dns.admin",
    "roles/iam.serviceAccountAdmin",
    "roles/iam.serviceAccountUser",
    "roles/iam.workloadIdentityPoolViewer",
    "roles/logging.configWriter",
    "roles/serviceusage.serviceUsageAdmin",
    "roles/storage.admin",
)
"""One per service that the components declare resources of. It cannot change this component: that takes a person."""
IAM_ADMIN_ROLE = "roles/resourcemanager.projectIamAdmin"
GRANTABLE = (*NODE_ROLES, ADMIN_ROLE)
"""The only roles in the project that the deploying pipeline may grant or take: those that the components grant."""


@dataclass(frozen=True, kw_only=True)
class GcpCiIdentityArgs:
    """Arguments of `GcpCiIdentity`."""

    project: str
    """Google Cloud project id."""
    issuer: str
    """Issuer of the pipeline's OpenID Connect tokens, without a final slash."""
    preview_subject: str
    """Exact subject of tokens that may preview."""
    deploy_subject: str
    """Exact subject of tokens that may deploy."""
    labels: Optional[dict[str, str]] = None
    """Accepted like on other clouds; nothing here can be labelled."""

    def __post_init__(self) -> None:
        bad = []
        if not self.issuer.startswith("https://") or self.issuer.endswith("/"):
            bad.append(("issuer", f"must be an https address without a final slash, got {self.issuer!r}"))
        subjects = {"previewSubject": self.preview_subject, "deploySubject": self.deploy_subject}
        for path, subject in subjects.items():
            if not 1 <= len(subject.encode()) <= MAX_SUBJECT:
                bad.append((path, f"must have 1 to {MAX_SUBJECT} bytes, got {len(subject.encode())}"))
            if "*" in subject:
                bad.append((path, f"must be one exact subject, without *, got {subject!r}"))
        if self.preview_subject == self.deploy_subject:
            bad.append(("deploySubject", f"must differ from previewSubject, got {self.deploy_subject!r} for both"))
        reject("GcpCiIdentity", bad)


class GcpCiIdentity(pulumi.ComponentResource):
    """A workload identity pool that trusts two subjects of one issuer, and a service account for each; no key exists.

    Google Cloud keeps the name of a deleted pool for 30 days, in which it can be had back but not made again: after a
    destroy, undelete and import it, or give the component another name. Needs the roles
    `roles/iam.workloadIdentityPoolAdmin`, `roles/iam.serviceAccountAdmin`, `roles/resourcemanager.projectIamAdmin` and
    `roles/serviceusage.serviceUsageAdmin`.
    """

    preview_service_account: pulumi.Output[str]
    """Email of the account that reads; known once it has its roles."""
    deploy_service_account: pulumi.Output[str]
    """Email of the account that deploys; known once it has its roles."""
    provider_name: pulumi.Output[str]
    """Full name of the pool's provider, as the pipeline's login step wants it."""

    def __init__(self, name: str, args: GcpCiIdentityArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(GcpCiIdentity), name, {}, opts)
        a = coerce(GcpCiIdentityArgs, args)
        services = GkeServices(
            f"{name}-services",
            GkeServicesArgs(project=a.project, names=SERVICES),
            pulumi.ResourceOptions(parent=self),
        )
        self._name, self._project, self._child = name, a.project, services.first(self)
        child = self._child
        self._pool = gcp.iam.WorkloadIdentityPool(
            f"{name}-pool",
            project=a.project,
            # Google Cloud reserves names that begin with gcp-.
            workload_identity_pool_id=physical("gcp", "identity_pool", f"ci-{name}", stack_scope(a.project)),
            display_name="Pipeline",
            opts=child,
        )
        subjects = json.dumps([a.preview_subject, a.deploy_subject])
        provider = gcp.iam.WorkloadIdentityPoolProvider(
            f"{name}-provider",
            project=a.project,
            workload_identity_pool_id=self._pool.workload_identity_pool_id,
            workload_identity_pool_provider_id="pipeline",
            attribute_mapping={"google.subject": "assertion.sub"},
            attribute_condition=f"assertion.sub in {subjects}",
            oidc=gcp.iam.WorkloadIdentityPoolProviderOidcArgs(issuer_uri=a.issuer),
            opts=child,
        )
        only = json.dumps(list(GRANTABLE))
        limited = gcp.projects.IAMMemberConditionArgs(
            title="known-roles",
            description="Grants of the roles that the stack grants, and of no other",
            expression=f"api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly({only})",
        )
        self.preview_service_account = self._account("preview", a.preview_subject, PREVIEW_ROLES)
        self.deploy_service_account = self._account("deploy", a.deploy_subject, DEPLOY_ROLES, {IAM_ADMIN_ROLE: limited})
        self.provider_name = provider.name
        self.register_outputs(
            {
                "preview_service_account": self.preview_service_account,
                "deploy_service_account": self.deploy_service_account,
                "provider_name": self.provider_name,
            }
        )

    def _account(
        self,
        use: str,
        subject: str,
        roles: tuple[str, ...],
        conditional: Optional[dict[str, gcp.projects.IAMMemberConditionArgs]] = None,
    ) -> pulumi.Output[str]:
        """Declare a service account that one subject may act as; returns its email."""
        name, child = f"{self._name}-{use}", self._child
        account = gcp.serviceaccount.Account(
            f"{name}-account",
            account_id=physical("gcp", "service_account", name, stack_scope(self._project)),
            display_name=f"Pipeline, {use}",
            project=self._project,
            opts=child,
        )
        grants = [
            gcp.projects.IAMMember(
                f"{name}-{role.partition('/')[2].replace('.', '-').lower()}",
                project=self._project,
                role=role,
                member=account.member,
                condition=condition,
                opts=child,
            )
            for role, condition in {**dict.fromkeys(roles), **(conditional or {})}.items()
        ]
        user = gcp.serviceaccount.IAMMember(
            f"{name}-subject",
            service_account_id=account.name,
            role="roles/iam.workloadIdentityUser",
            member=pulumi.Output.concat("principal://iam.googleapis.com/", self._pool.name, f"/subject/{subject}"),
            opts=child,
        )
        return pulumi.Output.all(account.email, user.id, *[grant.id for grant in grants]).apply(
            lambda values: str(values[0])
        )
