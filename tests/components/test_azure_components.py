"""The Azure components that are not parts of a cluster: image cache, private links, identities of pipelines."""

import json
import re

import pulumi
import pytest

from components import _azure_roles as roles
from components._image_cache import cached_path
from components.acr_registry import OPEN_UPSTREAMS, AcrRegistry, AcrRegistryArgs
from components.azure_ci_identity import AzureCiIdentity, AzureCiIdentityArgs
from components.azure_private_link import AzurePrivateLinkArgs
from components.blob_model_store import BlobModelStoreArgs
from tests.components.azure_sites import site
from tests.components.cloud_answers import SUBSCRIPTION

RULE, ASSIGNMENT = "azure-native:containerregistry:CacheRule", "azure-native:authorization:RoleAssignment"
CREDENTIAL = "azure-native:managedidentity:FederatedIdentityCredential"
HUB = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/shared/providers/Microsoft.KeyVault/vaults/Hub"
DIGEST = "sha256:" + "c" * 64
ISSUER = "https://token.actions.githubusercontent.com"
SUBJECTS = {"preview_subject": "repo:acme/ml:pull_request", "deploy_subject": "repo:acme/ml:environment:prod"}
PLACE = {"subscription_id": SUBSCRIPTION, "location": "eastus"}


@pytest.mark.parametrize(
    ("reference", "path"),
    [
        ("docker.io/tensorflow/serving:2.20.0-gpu", "hub/tensorflow/serving:2.20.0-gpu"),
        (f"tensorflow/serving:2.20.0@{DIGEST}", f"hub/tensorflow/serving:2.20.0@{DIGEST}"),
        ("index.docker.io/rclone/rclone:1", "hub/rclone/rclone:1"),
        ("busybox", "hub/library/busybox"),
        (f"docker.io/busybox@{DIGEST}", f"hub/library/busybox@{DIGEST}"),
        ("quay.io/jetstack/cert-manager-webhook:v1", "quay/jetstack/cert-manager-webhook:v1"),
        ("nvcr.io/nvidia/k8s-device-plugin:v0.17", None),
        ("localhost/mine:1", None),
        ("localhost:5000/mine:1", None),
        ("quay.io.example.com/a/b", None),
    ],
)
def test_the_path_of_an_image_in_a_cache(reference, path):
    assert cached_path(reference, {"docker.io": "hub", "quay.io": "quay"}) == path


def images(run, *references, **changes):
    def build():
        registry = AcrRegistry("site-registry", AcrRegistryArgs(**PLACE, resource_group_name="g", **changes))
        return [registry.image(reference) for reference in references], registry.registry_url

    return run(build)


def test_images_of_covered_registries_come_from_the_sites_own(run):
    recording = images(
        run, f"docker.io/tensorflow/serving:2@{DIGEST}", "quay.io/a/b:1", "nvcr.io/a/b:1",
        mirror=True, docker_hub_vault_id=HUB,
    )  # fmt: skip
    (hub, quay, other), registry = recording.value
    assert hub == f"{registry}/docker-hub/tensorflow/serving:2@{DIGEST}"
    assert quay == f"{registry}/quay/a/b:1"
    assert other == "nvcr.io/a/b:1"
    rules = {row.inputs["sourceRepository"]: row.inputs for row in recording.all(RULE)}
    assert set(rules) == {f"{host}/*" for host in (*OPEN_UPSTREAMS, "docker.io")}
    assert rules["docker.io/*"]["targetRepository"] == "docker-hub/*"
    assert all(5 <= len(rule["cacheRuleName"]) <= 50 for rule in rules.values())
    assert {host for host, rule in rules.items() if "credentialSetResourceId" in rule} == {"docker.io/*"}


def test_without_an_account_images_of_docker_hub_keep_their_name(run):
    recording = images(run, "docker.io/tensorflow/serving:2", "ghcr.io/a/b", mirror=True)
    (hub, ghcr), registry = recording.value
    assert hub == "docker.io/tensorflow/serving:2"
    assert ghcr == f"{registry}/ghcr/a/b"


def test_without_a_mirror_every_image_keeps_its_name(run):
    recording = images(run, "quay.io/a/b:1")
    assert recording.value[0] == ["quay.io/a/b:1"]
    assert not recording.all(RULE)


def test_the_account_of_docker_hub_is_read_by_the_registry_and_never_by_the_program():
    recording = site(mirror=True, docker_hub_vault_id=HUB)
    (credentials,) = recording.all("azure-native:containerregistry:CredentialSet")
    assert credentials.inputs["authCredentials"] == [
        {
            "name": "Credential1",
            "usernameSecretIdentifier": "https://hub.vault.azure.net/secrets/docker-hub-username",
            "passwordSecretIdentifier": "https://hub.vault.azure.net/secrets/docker-hub-token",
        }
    ]
    role = recording.one(ASSIGNMENT, "site-registry-docker-hub-secrets").inputs
    assert role["scope"] == HUB
    assert role["roleDefinitionId"].endswith(roles.SECRETS_USER)
    assert role["principalId"] == "docker-hub-principal"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"docker_hub_vault_id": HUB}, "dockerHubVaultId: is for a cache only"),
        ({"docker_hub_vault_id": "hub", "mirror": True}, "dockerHubVaultId: must be the ARM id of a vault, got 'hub'"),
        ({"network_id": "n"}, "endpointSubnetId: must be given together with networkId"),
    ],
)
def test_an_impossible_registry_is_refused(changes, line):
    with pytest.raises(pulumi.InputPropertiesError, match=re.escape(line)):
        AcrRegistryArgs(**PLACE, resource_group_name="g", **changes)


def test_half_a_private_network_and_an_unknown_part_are_refused():
    with pytest.raises(pulumi.InputPropertiesError, match="endpointSubnetId: must be given together"):
        BlobModelStoreArgs(**PLACE, resource_group_name="g", endpoint_subnet_id="s")
    with pytest.raises(pulumi.InputPropertiesError, match="group: must be one of blob, registry, vault, got 'queue'"):
        AzurePrivateLinkArgs(
            resource_group_name="g", location="l", network_id="n", subnet_id="s", resource_id="r", group="queue"
        )


def pipeline(run, **changes):
    def build():
        made = AzureCiIdentity("ci", AzureCiIdentityArgs(**{**PLACE, "issuer": ISSUER, **SUBJECTS, **changes}))
        return made.preview_client_id, made.deploy_client_id

    return run(build)


def given(recording):
    """Roles by the identity that has them."""
    found = {}
    for row in recording.all(ASSIGNMENT):
        role = row.inputs["roleDefinitionId"].rpartition("/")[2]
        found.setdefault(row.inputs["principalId"], {})[role] = row.inputs
    return found


def test_a_pipeline_is_known_by_exact_subjects_and_has_no_key(run):
    recording = pipeline(run)
    assert {row.inputs["subject"] for row in recording.all(CREDENTIAL)} == set(SUBJECTS.values())
    assert {row.inputs["issuer"] for row in recording.all(CREDENTIAL)} == {ISSUER}
    assert recording.value == ("ci-preview-client", "ci-deploy-client")
    types = {row.type for row in recording.rows}
    assert not [each for each in types if "Secret" in each or "Application" in each or "Password" in each]


def test_a_preview_only_reads(run):
    found = given(pipeline(run))["ci-preview-principal"]
    assert set(found) == {roles.READER, roles.AKS_CLUSTER_USER, roles.AKS_RBAC_READER}


def test_a_deployment_cannot_make_itself_an_owner(run):
    found = given(pipeline(run))["ci-deploy-principal"]
    assert set(found) == {roles.CONTRIBUTOR, roles.USER_ACCESS_ADMINISTRATOR, roles.AKS_RBAC_CLUSTER_ADMIN}
    access = found[roles.USER_ACCESS_ADMINISTRATOR]
    assert access["conditionVersion"] == "2.0"
    condition = access["condition"]
    for verb, source in (("write", "Request"), ("delete", "Resource")):
        assert f"(!(ActionMatches{{'Microsoft.Authorization/roleAssignments/{verb}'}})) OR" in condition
        assert f"@{source}[Microsoft.Authorization/roleAssignments:RoleDefinitionId]" in condition
        assert f"@{source}[Microsoft.Authorization/roleAssignments:PrincipalType]" in condition
    assert condition.count("(") == condition.count(")")
    allowed = set(re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", condition))
    assert allowed == set(roles.ASSIGNED_BY_COMPONENTS)
    assert not allowed & {roles.CONTRIBUTOR, roles.USER_ACCESS_ADMINISTRATOR, roles.AKS_RBAC_CLUSTER_ADMIN}


def test_a_deployment_may_give_every_role_that_a_site_gives_and_no_other():
    recording = site(mirror=True, docker_hub_vault_id=HUB)
    needed = {row.inputs["roleDefinitionId"].rpartition("/")[2] for row in recording.all(ASSIGNMENT)}
    assert needed == set(roles.ASSIGNED_BY_COMPONENTS)


def test_the_scope_can_be_one_resource_group(run):
    scope = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/ml"
    recording = pipeline(run, scope=scope, resource_group_name="shared")
    assert {row.inputs["scope"] for row in recording.all(ASSIGNMENT)} == {scope}
    assert not recording.all("azure-native:resources:ResourceGroup")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"issuer": "http://token.example.com"}, "issuer: must be an https address"),
        ({"issuer": ISSUER + "/"}, "issuer: must be an https address without a final slash"),
        ({"preview_subject": "repo:acme/*"}, "previewSubject: must be one exact subject without wildcards"),
        ({"deploy_subject": " "}, "deploySubject: must be one exact subject"),
        ({"deploy_subject": SUBJECTS["preview_subject"]}, "deploySubject: must differ from previewSubject"),
        ({"scope": "ml"}, "scope: must begin with /subscriptions/"),
    ],
)
def test_a_pipeline_that_too_much_would_match_is_refused(changes, line):
    with pytest.raises(pulumi.InputPropertiesError, match=re.escape(line)):
        AzureCiIdentityArgs(**{**PLACE, "issuer": ISSUER, **SUBJECTS, **changes})


def test_two_pipelines_live_in_one_stack_and_the_preview_knows_their_graph(run, preview):
    def build():
        for name in ("one", "two"):
            AzureCiIdentity(name, AzureCiIdentityArgs(**PLACE, issuer=ISSUER, **SUBJECTS))

    recording = run(build, preview=preview)
    names = [row.inputs["roleAssignmentName"] for row in recording.all(ASSIGNMENT)]
    assert len(set(names)) == len(names) == 12
    assert "secret" not in json.dumps(recording.snapshot()).lower()
