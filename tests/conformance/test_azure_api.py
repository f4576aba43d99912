"""What the program sends to Azure is in the models of Azure's own SDKs: names, kinds, allowed values, required ones."""

import pytest

from components._hardening import Hardening
from components.azure_ci_identity import AzureCiIdentity, AzureCiIdentityArgs
from tests.components import recording
from tests.components.cloud_answers import SUBSCRIPTION
from tests.components.clusters import CLOUDS, declare_all_of
from tests.conformance.azure_api import COVERAGE, NOT_COMPARED, Unlisted, problems

HUB = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/shared/providers/Microsoft.KeyVault/vaults/hub"
POOL, ACCOUNT = "azure-native:containerservice:AgentPool", "azure-native:storage:StorageAccount"
CLUSTER, RULE = "azure-native:containerservice:ManagedCluster", "azure-native:containerregistry:CacheRule"


def _everything() -> list[recording.Row]:
    def open_cluster():
        CLOUDS["azure"].declare(
            mirror=True,
            docker_hub_vault_id=HUB,
            zones=["1", "2"],
            admin_group_ids=["group"],
            hardening=Hardening(
                public_endpoint=True,
                authorized_ranges=["198.51.100.0/24"],
                customer_keys=False,
                private_links=False,
                scanning=False,
            ),
        )
        AzureCiIdentity(
            "ci",
            AzureCiIdentityArgs(
                subscription_id=SUBSCRIPTION,
                location="eastus",
                issuer="https://token.example.com",
                preview_subject="preview",
                deploy_subject="deploy",
            ),
        )

    rows = [*recording.run(lambda: declare_all_of("azure")).children(), *recording.run(open_cluster).rows]
    return [row for row in rows if row.type.startswith("azure-native:")]


@pytest.fixture(scope="module")
def rows() -> list[recording.Row]:
    return _everything()


def test_everything_sent_is_in_azures_own_models(rows):
    found = [f"{row.name}: {line}" for row in rows for line in problems(row.type, row.inputs)]
    assert len(rows) >= 80
    assert not found, "\n".join(found)


def test_every_declared_type_is_compared_or_listed_with_a_reason(rows):
    declared = {row.type for row in rows}
    assert declared <= set(COVERAGE) | set(NOT_COMPARED)
    # Nor does a table go on listing what nothing declares any more.
    assert set(COVERAGE) | set(NOT_COMPARED) <= declared
    assert all(len(reason) > 20 for reason in NOT_COMPARED.values())


def test_the_coverage_names_distribution_and_model():
    assert COVERAGE[POOL] == "azure-mgmt-containerservice AgentPool"
    assert COVERAGE[ACCOUNT] == "azure-mgmt-storage StorageAccountCreateParameters"
    assert COVERAGE["azure-native:managedidentity:UserAssignedIdentity"] == "azure-mgmt-msi Identity"


def test_a_type_that_nobody_listed_fails():
    with pytest.raises(Unlisted, match="eventhub:Namespace is compared with no model"):
        problems("azure-native:eventhub:Namespace", {})


ACCOUNT_INPUTS = {"kind": "StorageV2", "location": "eastus", "sku": {"name": "Standard_ZRS"}}


@pytest.mark.parametrize(
    ("token", "given", "problem"),
    [
        (POOL, {"vmSise": "a"}, "AgentPool.vmSise does not exist"),
        (POOL, {"mode": "Gpu"}, "AgentPool.mode must be one of System, User"),
        (POOL, {"nodeTaints": "a"}, "AgentPool.nodeTaints must not be 'a'"),
        (POOL, {"maxCount": "3"}, "AgentPool.maxCount must not be '3'"),
        (POOL, {"nodeLabels": ["a"]}, "AgentPool.nodeLabels must not be a list"),
        (POOL, {"gpuProfile": {"driver": "Latest"}}, "AgentPool.gpuProfile.driver must be one of Install, None"),
        (POOL, {"provisioningState": "Succeeded"}, "AgentPool.provisioningState is set by Azure only"),
        (CLUSTER, {"location": "a", "agentPoolProfiles": [{}]}, "ManagedCluster.agentPoolProfiles[0].name is required"),
        (
            CLUSTER,
            {"location": "a", "networkProfile": {"outboundType": "natGateway"}},
            "ManagedCluster.networkProfile.outboundType must be one of",
        ),
        (CLUSTER, {}, "ManagedCluster.location is required"),
        (RULE, {"sourceRepo": "a"}, "CacheRule.sourceRepo does not exist"),
        (ACCOUNT, {"location": "eastus", "kind": "StorageV2"}, "StorageAccount.sku is required"),
        (ACCOUNT, {**ACCOUNT_INPUTS, "minimumTlsVersion": "TLS1_4"}, "StorageAccount.minimumTlsVersion must be one of"),
        (
            ACCOUNT,
            {**ACCOUNT_INPUTS, "networkRuleSet": {"defaultAction": "Deny", "rules": []}},
            "StorageAccount.networkRuleSet.rules does not exist",
        ),
        (
            "azure-native:authorization:RoleAssignment",
            {"principalId": "a", "scope": "b"},
            "RoleAssignment.roleDefinitionId is required",
        ),
        (
            "azure-native:managedidentity:FederatedIdentityCredential",
            {"audience": "a"},
            "FederatedIdentityCredential.audience does not exist",
        ),
        ("azure-native:keyvault:Vault", {"location": "a", "properties": {}}, "Vault.properties.tenantId is required"),
        ("azure-native:keyvault:Vault", {"location": "a"}, "Vault.tenantId is required"),
        (
            ACCOUNT,
            {**ACCOUNT_INPUTS, "networkRuleSet": {"defaultAction": "Deny", "ipRules": [{"action": "Deny"}]}},
            "StorageAccount.networkRuleSet.ipRules[0].action must be one of Allow",
        ),
        (
            "azure-native:keyvault:Vault",
            {"location": "a", "properties": {"tenantId": "t", "sku": {"family": "A", "name": "gold"}}},
            "Vault.properties.sku.name must be one of",
        ),
    ],
)
def test_a_wrong_input_is_noticed(token, given, problem):
    found = problems(token, given)
    assert any(line.startswith(problem) for line in found), found
