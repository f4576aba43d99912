"""How closed an Azure site is: production by default, and what each switch changes."""

import re

import pulumi
import pytest

from components._hardening import Hardening
from components.aks_gpu_pool import AksGpuPool, AksGpuPoolArgs
from tests.components.azure_sites import site
from tests.components.cloud_answers import TENANT
from tests.components.clusters import declare_all_of

CLUSTER, POOL = "azure-native:containerservice:ManagedCluster", "azure-native:containerservice:AgentPool"
REGISTRY, ACCOUNT = "azure-native:containerregistry:Registry", "azure-native:storage:StorageAccount"
WORKSPACE = "azure-native:operationalinsights:Workspace"
ENDPOINT = "azure-native:network:PrivateEndpoint"
GROUP = "/subscriptions/s/resourceGroups/r/providers/Microsoft.Compute/capacityReservationGroups/gpus"


def cluster(hardening=None, **changes):
    """Inputs of the recorded cluster."""
    return site(hardening, **changes).one(CLUSTER).inputs


def test_people_come_in_by_group_and_no_local_account_exists():
    found = cluster(admin_group_ids=["0000-admins"])
    assert found["disableLocalAccounts"] is True
    assert found["aadProfile"] == {"managed": True, "enableAzureRBAC": True, "adminGroupObjectIDs": ["0000-admins"]}
    assert found["sku"] == {"name": "Base", "tier": "Standard"}


def test_the_api_server_is_private_and_in_the_sites_network():
    recording = site()
    access = recording.one(CLUSTER).inputs["apiServerAccessProfile"]
    assert access["enablePrivateCluster"] is True
    assert access["disableRunCommand"] is True
    assert "authorizedIPRanges" not in access
    subnet = recording.one("azure-native:network:Subnet", "site-network-api")
    assert access["enableVnetIntegration"] is True
    assert access["subnetId"].endswith(subnet.name + "x1")
    assert subnet.inputs["delegations"][0]["serviceName"] == "Microsoft.ContainerService/managedClusters"
    assert "networkSecurityGroup" not in subnet.inputs


def test_a_public_api_server_lets_only_the_named_ranges_in():
    recording = site(Hardening(public_endpoint=True, authorized_ranges=["198.51.100.0/24", "203.0.113.6/31"]))
    access = recording.one(CLUSTER).inputs["apiServerAccessProfile"]
    assert access["enablePrivateCluster"] is False
    assert access["authorizedIPRanges"] == ["198.51.100.0/24", "203.0.113.6/31"]
    # The same ranges upload bundles; storage accounts take no prefix of 31 or 32.
    account = recording.one(ACCOUNT).inputs
    assert account["publicNetworkAccess"] == "Enabled"
    rules = account["networkRuleSet"]
    assert rules["defaultAction"] == "Deny"
    assert [rule["iPAddressOrRange"] for rule in rules["ipRules"]] == ["198.51.100.0/24", "203.0.113.6", "203.0.113.7"]


def test_policies_upgrades_and_the_nodes_group_are_set():
    found = cluster()
    assert found["networkProfile"]["networkPolicy"] == "cilium"
    assert found["networkProfile"]["outboundType"] == "userAssignedNATGateway"
    assert found["addonProfiles"]["azurepolicy"] == {"enabled": True}
    assert found["autoUpgradeProfile"] == {"upgradeChannel": "patch", "nodeOSUpgradeChannel": "NodeImage"}
    assert found["nodeResourceGroupProfile"] == {"restrictionLevel": "ReadOnly"}
    assert found["securityProfile"]["imageCleaner"]["enabled"] is True
    assert found["securityProfile"]["workloadIdentity"] == {"enabled": True}
    assert found["oidcIssuerProfile"] == {"enabled": True}
    # Legacy for this version of Kubernetes; its successor is a preview.
    assert "azureKeyVaultKms" not in found["securityProfile"]


def test_upgrades_have_a_window_each():
    rows = site().all("azure-native:containerservice:MaintenanceConfiguration")
    assert {row.inputs["configName"] for row in rows} == {
        "aksManagedAutoUpgradeSchedule",
        "aksManagedNodeOSUpgradeSchedule",
    }
    days = {row.inputs["maintenanceWindow"]["schedule"]["weekly"]["dayOfWeek"] for row in rows}
    assert len(days) == 2
    assert all(row.inputs["maintenanceWindow"]["durationHours"] >= 4 for row in rows)


def test_audit_logs_are_kept_for_as_long_as_asked_and_at_least_for_what_azure_allows():
    recording = site()
    setting = recording.one("azure-native:monitor:DiagnosticSetting").inputs
    kept = {log["category"] for log in setting["logs"] if log["enabled"]}
    assert {"kube-audit-admin", "guard"} <= kept
    assert "kube-audit" not in kept
    assert "/managedClusters/" in setting["resourceUri"]
    assert "/workspaces/" in setting["workspaceId"]
    assert recording.one(WORKSPACE).inputs["retentionInDays"] == 90
    assert site(Hardening(log_retention_days=7)).one(WORKSPACE).inputs["retentionInDays"] == 30
    assert site(Hardening(log_retention_days=365)).one(WORKSPACE).inputs["retentionInDays"] == 365


def test_scanning_watches_the_cluster_unless_it_is_off():
    assert cluster()["securityProfile"]["defender"]["securityMonitoring"] == {"enabled": True}
    assert "defender" not in cluster(Hardening(scanning=False))["securityProfile"]


def test_no_node_has_a_public_address_and_every_host_encrypts():
    recording = site()
    profiles = [*recording.one(CLUSTER).inputs["agentPoolProfiles"], *(row.inputs for row in recording.all(POOL))]
    assert len(profiles) == 3
    for profile in profiles:
        assert profile["enableEncryptionAtHost"] is True
        assert profile["enableNodePublicIP"] is False
    for subnet in recording.all("azure-native:network:Subnet"):
        assert subnet.inputs["defaultOutboundAccess"] is False


def test_disks_and_the_store_have_a_key_in_a_vault_that_nobody_can_empty():
    recording = site()
    vault = recording.one("azure-native:keyvault:Vault")
    properties = vault.inputs["properties"]
    assert properties["enablePurgeProtection"] is True
    assert properties["enableRbacAuthorization"] is True
    assert properties["publicNetworkAccess"] == "Disabled"
    assert properties["networkAcls"] == {"defaultAction": "Deny", "bypass": "AzureServices"}
    assert properties["tenantId"] == TENANT
    key = recording.one("azure-native:keyvault:Key").inputs["properties"]
    assert key["rotationPolicy"]["lifetimeActions"][0]["action"] == {"type": "rotate"}
    encryption = recording.one(ACCOUNT).inputs["encryption"]
    assert encryption["keySource"] == "Microsoft.Keyvault"
    # A version here would stop the rotation.
    assert encryption["keyVaultProperties"] == {
        "keyName": "data",
        "keyVaultUri": f"https://{vault.inputs['vaultName']}.vault.azure.net/",
    }
    disks = recording.one("azure-native:compute:DiskEncryptionSet")
    assert disks.inputs["rotationToLatestKeyVersionEnabled"] is True
    assert recording.one(CLUSTER).inputs["diskEncryptionSetID"].endswith("/diskEncryptionSets/site-cluster-disksx1")


def test_who_uses_a_key_may_use_it_before_it_is_used():
    recording = site()
    roles = {row.name: row for row in recording.all("azure-native:authorization:RoleAssignment")}
    assert roles["site-cluster-disk-key"].urn in recording.one(CLUSTER).depends_on
    assert roles["site-models-key"].urn in recording.one(ACCOUNT).depends_on
    vault = recording.one("azure-native:keyvault:Vault").inputs["vaultName"]
    for name in ("site-cluster-disk-key", "site-models-key"):
        assert roles[name].inputs["scope"].endswith(f"/vaults/{vault}")


def test_without_customer_keys_there_is_no_vault():
    recording = site(Hardening(customer_keys=False))
    assert not [row for row in recording.rows if "keyvault" in row.type or "DiskEncryptionSet" in row.type]
    assert "encryption" not in recording.one(ACCOUNT).inputs
    assert "diskEncryptionSetID" not in recording.one(CLUSTER).inputs
    assert len(recording.all("azure-native:authorization:ManagementLockByScope")) == 2


def test_the_registry_and_the_store_are_reached_from_the_network_only():
    recording = site()
    registry, account = recording.one(REGISTRY).inputs, recording.one(ACCOUNT).inputs
    assert registry["sku"] == {"name": "Premium"}
    assert registry["publicNetworkAccess"] == "Disabled"
    assert (registry["dataEndpointEnabled"], registry["zoneRedundancy"]) == (True, "Enabled")
    assert account["publicNetworkAccess"] == "Disabled"
    assert account["networkRuleSet"]["defaultAction"] == "Deny"
    groups = {row.inputs["privateLinkServiceConnections"][0]["groupIds"][0] for row in recording.all(ENDPOINT)}
    assert groups == {"registry", "blob"}
    zones = {row.inputs["privateZoneName"] for row in recording.all("azure-native:privatedns:PrivateZone")}
    assert zones == {"privatelink.azurecr.io", "privatelink.blob.core.windows.net"}
    links = recording.all("azure-native:privatedns:VirtualNetworkLink")
    assert {row.inputs["virtualNetwork"]["id"].rpartition("/")[2] for row in links} == {"site-network-vnetx1"}


def test_a_bundle_is_uploaded_once_the_stores_name_leads_to_it(run):
    recording = run(lambda: declare_all_of("azure"))
    (blob,) = recording.all("azure-native:storage:Blob")
    names = recording.one("azure-native:network:PrivateDnsZoneGroup", "site-models-link-names")
    assert names.urn in blob.depends_on


def test_without_private_links_the_nodes_subnet_alone_reaches_the_store():
    recording = site(Hardening(private_links=False))
    assert not recording.all(ENDPOINT)
    assert recording.one(REGISTRY).inputs["sku"] == {"name": "Standard"}
    account = recording.one(ACCOUNT).inputs
    assert account["networkRuleSet"]["defaultAction"] == "Deny"
    (rule,) = account["networkRuleSet"]["virtualNetworkRules"]
    subnet = recording.one("azure-native:network:Subnet", "site-network-nodes")
    assert rule["virtualNetworkResourceId"].endswith(f"/{subnet.name}x1")
    assert {each["service"] for each in subnet.inputs["serviceEndpoints"]} == {"Microsoft.Storage"}


@pytest.mark.parametrize("hardening", [None, Hardening(private_links=False, customer_keys=False)])
def test_nobody_without_an_identity_gets_in(hardening):
    recording = site(hardening)
    registry, account = recording.one(REGISTRY).inputs, recording.one(ACCOUNT).inputs
    assert (registry["adminUserEnabled"], registry["anonymousPullEnabled"]) == (False, False)
    assert account["allowBlobPublicAccess"] is False
    assert account["minimumTlsVersion"] == "TLS1_2"
    assert account["enableHttpsTrafficOnly"] is True
    assert recording.one("azure-native:storage:BlobContainer").inputs["publicAccess"] == "None"
    service = recording.one("azure-native:storage:BlobServiceProperties").inputs
    assert service["isVersioningEnabled"] is True
    assert service["containerDeleteRetentionPolicy"]["enabled"] is True


def test_the_keys_of_the_account_work_for_uploads_alone_and_are_nobodys_default():
    """pulumi/pulumi-azure-native#2015: an exception to be dropped with the issue."""
    account = site().one(ACCOUNT).inputs
    assert account["allowSharedKeyAccess"] is True
    assert account["defaultToOAuthAuthentication"] is True
    assert account["allowCrossTenantReplication"] is False


def test_the_model_servers_read_one_container_and_nothing_else():
    recording = site()
    role = recording.one("azure-native:authorization:RoleAssignment", "site-identity-read").inputs
    assert role["scope"].endswith("/containers/models")
    credentials = recording.all("azure-native:managedidentity:FederatedIdentityCredential")
    assert len(credentials) == 1  # an identity has twenty at most
    assert credentials[0].inputs["audiences"] == ["api://AzureADTokenExchange"]


def test_a_pool_uses_the_first_size_its_zones_and_its_reservation(run):
    def build():
        AksGpuPool(
            "p",
            AksGpuPoolArgs(
                resource_group_name="g",
                cluster_name="c",
                subnet_id="s",
                pool="a100",
                gpu_class="A100-80",
                max_nodes=2,
                machine_types=["Standard_NC96ads_A100_v4", "Standard_NC24ads_A100_v4"],
                zones=["3"],
                reservation_id=GROUP,
            ),
        )

    found = run(build).one(POOL).inputs
    assert found["vmSize"] == "Standard_NC96ads_A100_v4"
    assert found["availabilityZones"] == ["3"]
    assert found["capacityReservationGroupID"] == GROUP


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"zones": ["eastus-1"]}, "zones: must be of 1, 2 and 3, got 'eastus-1'"),
        ({"reservation_id": "gpus"}, "reservationId: must be the ARM id of a capacityReservationGroup, got 'gpus'"),
        ({"reservation_id": GROUP, "spot": True}, "reservationId: is for on-demand nodes only"),
    ],
)
def test_an_impossible_pool_is_refused(changes, line):
    given = {"resource_group_name": "g", "cluster_name": "c", "subnet_id": "s", "pool": "t4", "gpu_class": "T4-class"}
    with pytest.raises(pulumi.InputPropertiesError, match=re.escape(line)):
        AksGpuPoolArgs(**given, max_nodes=1, **changes)


def test_zones_are_those_of_the_system_nodes_and_of_the_addresses():
    recording = site(zones=["1", "2"])
    assert recording.one(CLUSTER).inputs["agentPoolProfiles"][0]["availabilityZones"] == ["1", "2"]
    addresses = recording.all("azure-native:network:PublicIPAddress")
    assert [row.inputs["zones"] for row in addresses] == [["1", "2"]] * 2
    # In one zone at most; in none of them, Azure chooses.
    assert "zones" not in recording.one("azure-native:network:NatGateway").inputs
    with pytest.raises(pulumi.InputPropertiesError, match="zones: must be of 1, 2 and 3"):
        site(zones=["4"])
