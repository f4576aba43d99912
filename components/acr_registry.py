"""Container registry on Azure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_azure_native as azure_native

from components._azure_roles import ACR_PULL, SECRETS_USER, assign
from components._base import coerce, protected, reject, token
from components._image_cache import DOCKER_HUB, cached_path
from components._naming import physical, stack_scope, tags
from components.azure_private_link import AzurePrivateLink, AzurePrivateLinkArgs

OPEN_UPSTREAMS = {
    "ghcr.io": "ghcr",
    "public.ecr.aws": "ecr-public",
    "quay.io": "quay",
    "registry.k8s.io": "k8s",
}
"""Registries that ACR fetches from without credentials, and the path each gets here.

https://learn.microsoft.com/azure/container-registry/artifact-cache-overview (2026-08)
"""
DOCKER_HUB_PATH = "docker-hub"
USERNAME_SECRET, TOKEN_SECRET = "docker-hub-username", "docker-hub-token"
UNTAGGED_DAYS = 30
_VAULT_ID = r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.KeyVault/vaults/([A-Za-z0-9-]{3,24})"


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
    network_id: Optional[pulumi.Input[str]] = None
    """Virtual network that alone reaches the registry. Default none: every network reaches it."""
    endpoint_subnet_id: Optional[pulumi.Input[str]] = None
    """Subnet of that network for the private endpoint."""
    mirror: Optional[bool] = None
    """Cache images of public registries at their first pull. Default False."""
    docker_hub_vault_id: Optional[str] = None
    """ARM id of a key vault with the secrets `docker-hub-username` and `docker-hub-token`. Default none.

    ACR caches images of Docker Hub only with an account there; without it they are not cached.
    """
    protect: Optional[bool] = None
    """Refuse to delete the registry and the images in it. Default True."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""

    def __post_init__(self) -> None:
        bad = []
        if (self.network_id is None) != (self.endpoint_subnet_id is None):
            bad.append(("endpointSubnetId", "must be given together with networkId, got one of the two"))
        if self.docker_hub_vault_id is not None:
            if re.fullmatch(_VAULT_ID, self.docker_hub_vault_id, re.IGNORECASE) is None:
                bad.append(("dockerHubVaultId", f"must be the ARM id of a vault, got {self.docker_hub_vault_id!r}"))
            if not self.mirror:
                bad.append(("dockerHubVaultId", "is for a cache only; set mirror to True or leave it out"))
        reject("AcrRegistry", bad)


class AcrRegistry(pulumi.ComponentResource):
    """A registry without an admin account or anonymous pulls. Needs `Contributor` and `User Access Administrator`.

    With a network it is of the tier Premium, spread over zones, and reached through a private endpoint only. Its
    contents are encrypted with keys of the platform: a registry cannot be created with a key in a vault that is closed
    to networks (MicrosoftDocs/azure-docs#61064), and what a cache holds is public.
    """

    registry_url: pulumi.Output[str]
    """Address images are pushed to and pulled from, without a scheme."""

    def __init__(self, name: str, args: AcrRegistryArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(AcrRegistry), name, {}, opts)
        a = coerce(AcrRegistryArgs, args)
        service = azure_native.containerregistry
        child = pulumi.ResourceOptions(parent=self)
        private = a.network_id is not None
        policies = service.PoliciesArgs(
            # A cached image was pulled by its digest and has no tag: this rule would take it from a cluster that
            # must start pods while the rest of the world is down.
            retention_policy=service.RetentionPolicyArgs(days=UNTAGGED_DAYS, status="enabled")
        )
        registry = service.Registry(
            f"{name}-images",
            registry_name=physical("azure", "registry", name, stack_scope(a.subscription_id)),
            resource_group_name=a.resource_group_name,
            location=a.location,
            sku=service.SkuArgs(name="Premium" if private else "Standard"),
            admin_user_enabled=False,
            anonymous_pull_enabled=False,
            public_network_access="Disabled" if private else "Enabled",
            data_endpoint_enabled=True if private else None,
            zone_redundancy="Enabled" if private else None,
            policies=policies if private and not a.mirror else None,
            tags=tags("AcrRegistry", a.labels),
            opts=protected(self, a.protect),
        )
        if a.network_id is not None and a.endpoint_subnet_id is not None:
            AzurePrivateLink(
                f"{name}-link",
                AzurePrivateLinkArgs(
                    resource_group_name=a.resource_group_name,
                    location=a.location,
                    network_id=a.network_id,
                    subnet_id=a.endpoint_subnet_id,
                    resource_id=registry.id,
                    group="registry",
                    labels=a.labels,
                ),
                child,
            )
        if a.puller_principal_id is not None:
            assign(
                name,
                "pull",
                subscription_id=a.subscription_id,
                role=ACR_PULL,
                principal_id=a.puller_principal_id,
                scope=registry.id,
                opts=child,
            )
        self._prefixes: Mapping[str, str] = {}
        if a.mirror:
            self._prefixes = self._cache(name, a, registry)
        self.registry_url = registry.login_server
        self.register_outputs({"registry_url": self.registry_url})

    def image(self, reference: str) -> pulumi.Output[str]:
        """Name of a public image here, tag and digest kept; the same name where its registry is not cached.

        Args:
            reference: Image as clients write it; one without a registry is of Docker Hub.
        """
        path = cached_path(reference, self._prefixes)
        return (
            pulumi.Output.from_input(reference) if path is None else pulumi.Output.concat(self.registry_url, "/", path)
        )

    def _cache(
        self, name: str, a: AcrRegistryArgs, registry: azure_native.containerregistry.Registry
    ) -> dict[str, str]:
        """Declare the rules of the cache; return the registries it covers with their paths."""
        prefixes = dict(OPEN_UPSTREAMS)
        credentials: Optional[azure_native.containerregistry.CredentialSet] = None
        if a.docker_hub_vault_id is not None:
            prefixes[DOCKER_HUB] = DOCKER_HUB_PATH
            credentials = self._docker_hub(name, a, a.docker_hub_vault_id, registry)
        for host, path in sorted(prefixes.items()):
            azure_native.containerregistry.CacheRule(
                f"{name}-cache-{path}",
                cache_rule_name=f"cache-{path}",  # Azure wants five letters at least
                registry_name=registry.name,
                resource_group_name=a.resource_group_name,
                source_repository=f"{host}/*",
                target_repository=f"{path}/*",
                credential_set_resource_id=credentials.id if credentials is not None and host == DOCKER_HUB else None,
                opts=pulumi.ResourceOptions(parent=self),
            )
        return prefixes

    def _docker_hub(
        self, name: str, a: AcrRegistryArgs, vault_id: str, registry: azure_native.containerregistry.Registry
    ) -> azure_native.containerregistry.CredentialSet:
        """Declare where the registry reads its account of Docker Hub; no secret passes through the program."""
        service = azure_native.containerregistry
        secrets = f"https://{vault_id.rpartition('/')[2].lower()}.vault.azure.net/secrets"
        credentials = service.CredentialSet(
            f"{name}-docker-hub",
            credential_set_name=DOCKER_HUB_PATH,
            registry_name=registry.name,
            resource_group_name=a.resource_group_name,
            login_server=DOCKER_HUB,
            identity=service.IdentityPropertiesArgs(type="SystemAssigned"),
            auth_credentials=[
                service.AuthCredentialArgs(
                    name="Credential1",
                    username_secret_identifier=f"{secrets}/{USERNAME_SECRET}",
                    password_secret_identifier=f"{secrets}/{TOKEN_SECRET}",
                )
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
        assign(
            name,
            "docker-hub-secrets",
            subscription_id=a.subscription_id,
            role=SECRETS_USER,
            principal_id=credentials.identity.apply(lambda identity: str(identity.principal_id)),
            scope=vault_id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return credentials
