"""What the simulated Azure refuses as the real one does: keys, locks, networks, private links, caches."""

import pytest
from provider_client import Refusal, provider

RG = {"resourceGroupName": "rg"}
GROUP, LOCK = "azure-native:resources:ResourceGroup", "azure-native:authorization:ManagementLockByScope"
VAULT, KEY = "azure-native:keyvault:Vault", "azure-native:keyvault:Key"
DISKS, IDENTITY = "azure-native:compute:DiskEncryptionSet", "azure-native:managedidentity:UserAssignedIdentity"
ASSIGNMENT, ACCOUNT = "azure-native:authorization:RoleAssignment", "azure-native:storage:StorageAccount"
CLUSTER, POOL = "azure-native:containerservice:ManagedCluster", "azure-native:containerservice:AgentPool"
CREDENTIAL = "azure-native:managedidentity:FederatedIdentityCredential"
NETWORK, SUBNET = "azure-native:network:VirtualNetwork", "azure-native:network:Subnet"
ENDPOINT, ZONE = "azure-native:network:PrivateEndpoint", "azure-native:privatedns:PrivateZone"
LINK = "azure-native:privatedns:VirtualNetworkLink"
REGISTRY, RULE = "azure-native:containerregistry:Registry", "azure-native:containerregistry:CacheRule"
WORKSPACE, DIAGNOSTICS = "azure-native:operationalinsights:Workspace", "azure-native:monitor:DiagnosticSetting"
KEY_USER = "/providers/Microsoft.Authorization/roleDefinitions/e147488a-f6f5-4113-8e2d-b22465e65bf6"
PROPERTIES = {"tenantId": "t", "sku": {"family": "A", "name": "standard"}}
SYSTEM = {"name": "system", "mode": "System", "vmSize": "Standard_D4s_v5", "count": 1}


@pytest.fixture
def azure(tmp_path, monkeypatch):
    with provider("azure", tmp_path, monkeypatch) as client:
        client.create(GROUP, {**RG, "location": "eastus"})
        yield client


def vault(azure, name="keys"):
    id_, _ = azure.create(VAULT, {**RG, "vaultName": name, "properties": PROPERTIES})
    _, key = azure.create(KEY, {**RG, "vaultName": name, "keyName": "data", "properties": {"kty": "RSA"}})
    return id_, key["keyUriWithVersion"]


def network(azure):
    space = {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}
    id_, _ = azure.create(NETWORK, {**RG, "virtualNetworkName": "net", **space})
    return id_


def subnet(azure, name, prefix, **more):
    given = {**RG, "virtualNetworkName": "net", "subnetName": name, "addressPrefix": prefix, **more}
    return azure.create(SUBNET, given, name)[0]


def cluster(azure, **more):
    return azure.create(
        CLUSTER, {**RG, "resourceName": "one", "dnsPrefix": "one", "agentPoolProfiles": [SYSTEM], **more}
    )


def grant(azure, principal, scope):
    azure.create(ASSIGNMENT, {"principalId": principal, "roleDefinitionId": KEY_USER, "scope": scope})


def test_a_deleted_vault_keeps_its_name(azure):
    id_, _ = vault(azure)
    azure.delete(VAULT, id_)
    with pytest.raises(Refusal, match="VaultAlreadyExists"):
        vault(azure)
    vault(azure, "keys2")


def test_disks_and_accounts_need_the_role_on_their_key_first(azure):
    vault_id, url = vault(azure)
    set_ = {**RG, "diskEncryptionSetName": "disks", "identity": {"type": "SystemAssigned"}}
    with pytest.raises(Refusal, match="KeyVaultKeyNotFound"):
        azure.create(DISKS, {**set_, "activeKey": {"keyUrl": "https://keys.vault.azure.net/keys/other/1"}})
    id_, outputs = azure.create(DISKS, {**set_, "activeKey": {"keyUrl": url}})
    with pytest.raises(Refusal, match="KeyVaultAccessForbidden"):
        cluster(azure, diskEncryptionSetID=id_)
    grant(azure, outputs["identity"]["principalId"], vault_id)
    cluster(azure, diskEncryptionSetID=id_)

    identity, who = azure.create(IDENTITY, {**RG, "resourceName": "store"})
    account = {
        **RG, "accountName": "models01", "kind": "StorageV2", "sku": {"name": "Standard_ZRS"},
        "encryption": {
            "keySource": "Microsoft.Keyvault",
            "keyVaultProperties": {"keyName": "data", "keyVaultUri": "https://keys.vault.azure.net/"},
            "encryptionIdentity": {"encryptionUserAssignedIdentity": identity},
        },
    }  # fmt: skip
    with pytest.raises(Refusal, match="KeyVaultAuthenticationFailure"):
        azure.create(ACCOUNT, account)
    grant(azure, who["principalId"], vault_id)
    azure.create(ACCOUNT, account)


def test_a_lock_covers_what_is_below_it_until_it_is_gone(azure):
    id_, _ = cluster(azure)
    pool = {**RG, "resourceName": "one", "agentPoolName": "cpu", "vmSize": "Standard_D4s_v5", "count": 1}
    pool_id, _ = azure.create(POOL, pool)
    lock, _ = azure.create(LOCK, {"scope": id_, "lockName": "keep", "level": "CanNotDelete"})
    for type_, held in ((CLUSTER, id_), (POOL, pool_id)):
        with pytest.raises(Refusal, match="ScopeLocked"):
            azure.delete(type_, held)
    azure.delete(LOCK, lock)
    azure.delete(POOL, pool_id)
    azure.delete(CLUSTER, id_)
    with pytest.raises(Refusal, match="ResourceNotFound"):
        azure.create(LOCK, {"scope": id_, "lockName": "keep", "level": "CanNotDelete"})


def test_subnets_lie_in_their_network_beside_each_other(azure):
    network(azure)
    subnet(azure, "a", "10.0.0.0/17")
    with pytest.raises(Refusal, match="NetcfgSubnetRangesOverlap"):
        subnet(azure, "b", "10.0.64.0/20")
    with pytest.raises(Refusal, match="NetcfgSubnetRangeOutsideVnet"):
        subnet(azure, "c", "10.1.0.0/24")


def test_api_servers_need_a_delegated_subnet_which_stays_as_long_as_they_do(azure):
    network(azure)
    delegations = [{"name": "aks", "serviceName": "Microsoft.ContainerService/managedClusters"}]
    api, plain = subnet(azure, "api", "10.0.0.0/28", delegations=delegations), subnet(azure, "plain", "10.0.1.0/24")
    for access, message in (
        ({"enableVnetIntegration": True, "subnetId": plain}, "must be delegated"),
        ({"enablePrivateCluster": True, "authorizedIPRanges": ["198.51.100.0/24"]}, "has no authorizedIPRanges"),
    ):
        with pytest.raises(Refusal, match=message):
            cluster(azure, apiServerAccessProfile=access)
    id_, _ = cluster(azure, apiServerAccessProfile={"enableVnetIntegration": True, "subnetId": api})
    with pytest.raises(Refusal, match="InUseSubnetCannotBeDeleted"):
        azure.delete(SUBNET, api)
    azure.delete(CLUSTER, id_)
    azure.delete(SUBNET, api)


def test_private_endpoints_lead_to_a_part_of_something_that_exists(azure):
    net = network(azure)
    place = subnet(azure, "endpoints", "10.0.2.0/26")
    store, _ = azure.create(
        ACCOUNT, {**RG, "accountName": "models01", "kind": "StorageV2", "sku": {"name": "Standard_ZRS"}}
    )

    def endpoint(target, group):
        connections = [{"name": group, "privateLinkServiceId": target, "groupIds": [group]}]
        given = {"privateEndpointName": "link", "subnet": {"id": place}, "privateLinkServiceConnections": connections}
        return azure.create(ENDPOINT, {**RG, **given})[0]

    with pytest.raises(Refusal, match="is no part of"):
        endpoint(store, "registry")
    with pytest.raises(Refusal, match="PrivateEndpointTargetNotFound"):
        endpoint(f"{store}x", "blob")
    id_ = endpoint(store, "blob")
    with pytest.raises(Refusal, match="InUseSubnetCannotBeDeleted"):
        azure.delete(SUBNET, place)
    azure.delete(ENDPOINT, id_)
    azure.delete(SUBNET, place)

    zone = {**RG, "privateZoneName": "privatelink.blob.core.windows.net"}
    with pytest.raises(Refusal, match="is global"):
        azure.create(ZONE, {**zone, "location": "eastus"})
    zone_id, _ = azure.create(ZONE, {**zone, "location": "Global"})
    link = {**zone, "location": "Global", "virtualNetwork": {"id": net}}
    azure.create(LINK, {**link, "virtualNetworkLinkName": "one"})
    with pytest.raises(Refusal, match="linked to a zone of this name already"):
        azure.create(LINK, {**link, "virtualNetworkLinkName": "two"})
    with pytest.raises(Refusal, match="CannotDeleteResource"):
        azure.delete(ZONE, zone_id)


def test_a_registry_caches_what_azure_can_cache(azure):
    for more in ({"publicNetworkAccess": "Disabled"}, {"zoneRedundancy": "Enabled"}):
        with pytest.raises(Refusal, match="SkuNotSupported"):
            azure.create(REGISTRY, {**RG, "registryName": "images", "sku": {"name": "Standard"}, **more})
    azure.create(REGISTRY, {**RG, "registryName": "images", "sku": {"name": "Standard"}})

    def rule(name, source, target):
        given = {"cacheRuleName": name, "sourceRepository": source, "targetRepository": target}
        azure.create(RULE, {**RG, "registryName": "images", **given}, name)

    rule("cache-quay", "quay.io/*", "quay/*")
    for given, message in (
        (("quay", "ghcr.io/*", "ghcr/*"), "must match"),
        (("cache-hub", "docker.io/*", "hub/*"), "CredentialsRequired"),
        (("cache-nvidia", "nvcr.io/*", "nvidia/*"), "UnsupportedUpstream"),
        (("cache-again", "ghcr.io/*", "quay/more/*"), "CacheRuleOverlap"),
    ):
        with pytest.raises(Refusal, match=message):
            rule(*given)


def test_logs_need_a_workspace_and_thirty_days(azure):
    id_, _ = cluster(azure)
    workspace = {**RG, "workspaceName": "logs"}
    with pytest.raises(Refusal, match="from 30 to 730, got 7"):
        azure.create(WORKSPACE, {**workspace, "retentionInDays": 7})
    logs, _ = azure.create(WORKSPACE, {**workspace, "retentionInDays": 30})
    with pytest.raises(Refusal, match="is required"):
        azure.create(DIAGNOSTICS, {"resourceUri": id_, "name": "audit"})
    made, _ = azure.create(DIAGNOSTICS, {"resourceUri": id_, "name": "audit", "workspaceId": logs})
    assert made == f"{id_}/providers/Microsoft.Insights/diagnosticSettings/audit"


def test_an_identity_trusts_pipelines_too_and_twenty_at_most(azure):
    azure.create(IDENTITY, {**RG, "resourceName": "ci"})

    def trust(number, **more):
        given = {
            **RG, "resourceName": "ci", "issuer": "https://token.example.com", "subject": f"repo:acme/{number}",
            "audiences": ["api://AzureADTokenExchange"], **more,
        }  # fmt: skip
        azure.create(CREDENTIAL, given, f"c{number}")

    with pytest.raises(Refusal, match="must be an https address"):
        trust(0, issuer="http://token.example.com")
    for number in range(20):
        trust(number)
    with pytest.raises(Refusal, match="LimitExceeded"):
        trust(20)


def test_what_replaces_a_resource_and_what_does_not(azure):
    access = {"enablePrivateCluster": True, "enableVnetIntegration": True, "subnetId": "s"}
    open_ = {**access, "enablePrivateCluster": False, "authorizedIPRanges": ["198.51.100.0/24"]}
    changed = azure.diff(CLUSTER, {"apiServerAccessProfile": access}, {"apiServerAccessProfile": open_})
    assert changed.diffs
    assert not changed.replaces
    assert list(azure.diff(CLUSTER, {}, {"diskEncryptionSetID": "d"}).replaces) == ["diskEncryptionSetID"]
    assert list(azure.diff(POOL, {}, {"capacityReservationGroupID": "c"}).replaces) == ["capacityReservationGroupID"]
    assert not azure.diff(ACCOUNT, {"publicNetworkAccess": "Enabled"}, {"publicNetworkAccess": "Disabled"}).replaces
