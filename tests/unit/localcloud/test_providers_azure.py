import base64
import json

import pytest
from provider_client import Refusal, asset, provider

from localcloud import ledger

GROUP = "azure-native:resources:ResourceGroup"
CLUSTER, POOL = "azure-native:containerservice:ManagedCluster", "azure-native:containerservice:AgentPool"
IDENTITY = "azure-native:managedidentity:UserAssignedIdentity"
CREDENTIAL = "azure-native:managedidentity:FederatedIdentityCredential"
ASSIGNMENT = "azure-native:authorization:RoleAssignment"
ACCOUNT, CONTAINER = "azure-native:storage:StorageAccount", "azure-native:storage:BlobContainer"
BLOB, ADDRESS = "azure-native:storage:Blob", "azure-native:network:PublicIPAddress"
READER = "/providers/Microsoft.Authorization/roleDefinitions/2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
RG = {"resourceGroupName": "rg"}
SYSTEM = {"name": "system", "mode": "System", "vmSize": "Standard_D4s_v5", "count": 1}


@pytest.fixture
def azure(tmp_path, monkeypatch):
    with provider("azure", tmp_path, monkeypatch) as client:
        client.create(GROUP, {**RG, "location": "East US"})
        yield client


def cluster(azure, **more):
    inputs = {
        **RG, "resourceName": "one", "dnsPrefix": "one", "kubernetesVersion": "1.36", "agentPoolProfiles": [SYSTEM],
        "oidcIssuerProfile": {"enabled": True}, **more,
    }  # fmt: skip
    return azure.create(CLUSTER, inputs)


def storage(azure):
    account = {**RG, "accountName": "models01", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
    account_id, _ = azure.create(ACCOUNT, account)
    container_id, _ = azure.create(CONTAINER, {**RG, "accountName": "models01", "containerName": "bundles"})
    return account_id, container_id


def test_names_follow_the_place_in_the_tree(azure):
    group, _ = azure.check(GROUP, "site", {"location": "eastus"})
    assert group["resourceGroupName"].startswith("site")
    assert len(group["resourceGroupName"]) == len("site") + 8
    network, _ = azure.check("azure-native:network:VirtualNetwork", "net", {**RG})
    assert network["virtualNetworkName"] != "net"
    subnet, _ = azure.check("azure-native:network:Subnet", "nodes", {**RG, "virtualNetworkName": "net"})
    assert subnet["subnetName"] == "nodes"
    registry, _ = azure.check("azure-native:containerregistry:Registry", "My-Images", {**RG, "sku": {"name": "Basic"}})
    assert registry["registryName"].startswith("myimages")


def test_a_cluster_comes_with_its_system_pool_and_a_kubeconfig(azure):
    id_, outputs = cluster(azure)
    assert id_.endswith("/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/one")
    assert outputs["location"] == "eastus"
    assert outputs["oidcIssuerProfile"]["issuerURL"].startswith("https://eastus.oic.prod-aks.azure.com/")
    assert outputs["identityProfile"]["kubeletidentity"]["objectId"]
    (pool,) = azure.store.pools("azure", "one")
    assert (pool.name, pool.status, pool.spec["min"]) == ("system", "active", 1)
    assert pool.spec["labels"]["kubernetes.azure.com/mode"] == "system"
    answer = azure.invoke(
        "azure-native:containerservice:listManagedClusterUserCredentials", {**RG, "resourceName": "one"}
    )
    config = json.loads(base64.b64decode(answer["kubeconfigs"][0]["value"]))
    assert config["clusters"][0]["cluster"]["server"] == azure.store.cluster("azure", "one").endpoint
    assert base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]) == b"PEM"
    assert "token" not in config["users"][0]["user"]
    azure.delete(CLUSTER, id_)
    assert azure.store.clusters("azure") == []
    assert azure.store.pools("azure") == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"agentPoolProfiles": []}, "needs a pool of mode System"),
        ({"dnsPrefix": ""}, "dnsPrefix is required"),
        ({"agentPoolProfiles": [{**SYSTEM, "vmSize": "Huge"}]}, "no machine type 'Huge'"),
        ({"resourceGroupName": "gone"}, "ResourceGroupNotFound"),
    ],
)
def test_a_cluster_that_aks_would_refuse_is_refused(azure, change, message):
    with pytest.raises(Refusal, match=message):
        cluster(azure, **change)
    assert azure.store.clusters("azure") == []


def test_a_spot_gpu_pool_gets_labels_and_taints(azure):
    cluster(azure)
    pool = {
        **RG, "resourceName": "one", "agentPoolName": "t4spot", "vmSize": "Standard_NC4as_T4_v3",
        "enableAutoScaling": True, "minCount": 0, "maxCount": 2, "scaleSetPriority": "Spot",
        "nodeTaints": ["nvidia.com/gpu=present:NoSchedule"], "nodeLabels": {"tricorn.dev/pool": "t4"},
    }  # fmt: skip
    id_, outputs = azure.create(POOL, pool)
    assert outputs["name"] == "t4spot"
    spec = next(pool.spec for pool in azure.store.pools("azure") if pool.name == "t4spot")
    assert (spec["gpus"], spec["min"], spec["max"], spec["spot"]) == (1, 0, 2, True)
    assert [taint["key"] for taint in spec["taints"]] == ["nvidia.com/gpu", "kubernetes.azure.com/scalesetpriority"]
    azure.update(POOL, id_, pool, {**pool, "gpuProfile": {"driver": "None"}})
    assert next(p.spec for p in azure.store.pools("azure") if p.name == "t4spot")["gpus"] == 0
    for change, message in (
        ({"agentPoolName": "Not_valid"}, "must match"),
        ({"agentPoolName": "a", "nodeTaints": ["x"]}, "node taint 'x'"),
        ({"agentPoolName": "a", "mode": "System"}, "cannot have priority Spot"),
    ):
        with pytest.raises(Refusal, match=message):
            azure.create(POOL, {**pool, **change})
    azure.delete(POOL, id_)
    assert [pool.name for pool in azure.store.pools("azure")] == ["system"]


def test_a_federated_identity_reads_the_container_it_is_assigned_to(azure):
    _, container = storage(azure)
    _, outputs = cluster(azure)
    _, identity = azure.create(IDENTITY, {**RG, "resourceName": "reader"})
    credential = {
        **RG, "resourceName": "reader", "issuer": outputs["oidcIssuerProfile"]["issuerURL"],
        "subject": "system:serviceaccount:serving:models", "audiences": ["api://AzureADTokenExchange"],
    }  # fmt: skip
    credential_id, _ = azure.create(CREDENTIAL, credential)
    assignment = {"principalId": identity["principalId"], "roleDefinitionId": READER, "scope": container}
    assignment_id, _ = azure.create(ASSIGNMENT, assignment)
    (found,) = ledger.identities(azure.store, "azure")
    assert (found.cluster_id, found.namespace, found.principal) == ("one", "serving", identity["clientId"])
    assert ledger.may_read(azure.store, "azure", found.principal, "models01/bundles", "x")
    with pytest.raises(Refusal, match="RoleAssignmentExists"):
        azure.create(ASSIGNMENT, assignment, "again")
    azure.delete(ASSIGNMENT, assignment_id)
    assert not ledger.may_read(azure.store, "azure", found.principal, "models01/bundles", "x")
    azure.delete(CREDENTIAL, credential_id)
    assert ledger.identities(azure.store, "azure") == []


def test_an_assignment_to_the_account_covers_containers_made_later(azure):
    account, _ = storage(azure)
    _, identity = azure.create(IDENTITY, {**RG, "resourceName": "reader"})
    azure.create(ASSIGNMENT, {"principalId": identity["principalId"], "roleDefinitionId": READER, "scope": account})
    azure.create(CONTAINER, {**RG, "accountName": "models01", "containerName": "later"})
    assert ledger.may_read(azure.store, "azure", identity["clientId"], "models01/bundles", "x")
    assert ledger.may_read(azure.store, "azure", identity["clientId"], "models01/later", "x")
    acr_pull = READER.replace("2a2b9908-6ea1-4ae2-8e65-a410df84e7d1", "7f951dda-4ed3-4680-a7ca-43fe172d538d")
    _, other = azure.create(IDENTITY, {**RG, "resourceName": "puller"})
    azure.create(ASSIGNMENT, {"principalId": other["principalId"], "roleDefinitionId": acr_pull, "scope": account}, "p")
    assert not ledger.may_read(azure.store, "azure", other["clientId"], "models01/bundles", "x")


def test_a_blob_is_stored_under_account_and_container(azure, tmp_path):
    file = tmp_path / "b.tar"
    file.write_bytes(b"abc")
    storage(azure)
    blob = {**RG, "accountName": "models01", "containerName": "bundles", "blobName": "a/b.tar", "source": asset(file)}
    id_, outputs = azure.create(BLOB, blob)
    assert outputs["url"] == "https://models01.blob.core.windows.net/bundles/a/b.tar"
    (stored,) = ledger.find_objects(azure.store, "azure", "models01/bundles")
    assert stored.path == str(azure.paths.objects("azure") / "models01/bundles/a/b.tar")
    azure.delete(BLOB, id_)
    assert ledger.find_objects(azure.store, "azure", "models01/bundles") == []
    with pytest.raises(Refusal, match="ContainerNotFound"):
        azure.create(BLOB, {**blob, "containerName": "gone"})


def test_a_public_address_is_static_and_given_back(azure):
    inputs = {**RG, "publicIpAddressName": "ip", "publicIPAllocationMethod": "Static", "sku": {"name": "Standard"}}
    id_, outputs = azure.create(ADDRESS, inputs)
    assert outputs["ipAddress"].startswith("203.0.113.")
    with pytest.raises(Refusal, match="already existing resource"):
        azure.create(ADDRESS, inputs)
    assert len(ledger.addresses(azure.store, "azure")) == 1
    azure.delete(ADDRESS, id_)
    assert ledger.addresses(azure.store, "azure") == []


def test_a_group_with_something_in_it_is_not_deleted(azure):
    storage(azure)
    group = azure.ids(GROUP)[0]
    with pytest.raises(Refusal, match="still contains resources"):
        azure.delete(GROUP, group)


def test_a_type_without_behaviour_of_its_own_gets_an_arm_id(azure):
    id_, outputs = azure.create("azure-native:eventhub:Namespace", {**RG, "sku": {"name": "Basic"}}, "events")
    assert "/resourceGroups/rg/providers/Microsoft.Eventhub/namespaces/events" in id_
    assert outputs["location"] == "eastus"
