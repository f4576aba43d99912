"""Cases of Azure."""

from __future__ import annotations

from tests.unit.policy.policy_cases import REMOVED, Bad, Case

CLUSTER, NODES = "azure-native:containerservice:ManagedCluster", "azure-native:containerservice:AgentPool"
SYSTEM = {"name": "system", "mode": "System", "enableEncryptionAtHost": True, "enableNodePublicIP": False}

CASES = (
    Case(
        "azure-aks-identity", CLUSTER,
        {"disableLocalAccounts": True, "aadProfile": {"managed": True, "enableAzureRBAC": True}},
        (
            Bad("disableLocalAccounts", False),
            Bad("aadProfile.managed", False),
            Bad("aadProfile.enableAzureRBAC", REMOVED),
        ),
    ),
    Case(
        "azure-aks-endpoint", CLUSTER, {"apiServerAccessProfile": {"authorizedIPRanges": ["198.51.100.0/24"]}},
        (
            Bad("apiServerAccessProfile.authorizedIPRanges", ["0.0.0.0/0"]),
            Bad("apiServerAccessProfile.authorizedIPRanges", []),
            Bad("apiServerAccessProfile", REMOVED, "apiServerAccessProfile.authorizedIPRanges"),
        ),
        (("apiServerAccessProfile", {"enablePrivateCluster": True}),),
    ),
    Case(
        "azure-aks-upkeep", CLUSTER,
        {
            "networkProfile": {"networkPolicy": "cilium"}, "addonProfiles": {"azurepolicy": {"enabled": True}},
            "sku": {"name": "Base", "tier": "Standard"}, "autoUpgradeProfile": {"upgradeChannel": "patch"},
        },
        (
            Bad("networkProfile.networkPolicy", REMOVED),
            Bad("addonProfiles.azurepolicy.enabled", False, production=True),
            Bad("sku.tier", "Free", production=True),
            Bad("sku", REMOVED, "sku.tier", production=True),
            Bad("autoUpgradeProfile.upgradeChannel", "none"),
            Bad("autoUpgradeProfile", REMOVED, "autoUpgradeProfile.upgradeChannel"),
        ),
    ),
    Case(
        "azure-aks-system-pool", CLUSTER, {"agentPoolProfiles": [SYSTEM]},
        (
            Bad("agentPoolProfiles.0.enableNodePublicIP", True),
            Bad("agentPoolProfiles.0.enableEncryptionAtHost", REMOVED, production=True),
        ),
    ),
    Case(
        "azure-agent-pool", NODES,
        {
            "vmSize": "Standard_NC4as_T4_v3", "enableEncryptionAtHost": True, "enableNodePublicIP": False,
            "nodeTaints": ["nvidia.com/gpu=present:NoSchedule"], "gpuProfile": {"driver": "Install"},
            "securityProfile": {"enableSecureBoot": False},
        },
        (
            Bad("enableNodePublicIP", True),
            Bad("enableEncryptionAtHost", False, production=True),
            Bad("nodeTaints", ["sku=gpu:NoSchedule"]),
            Bad("nodeTaints", REMOVED),
            Bad("securityProfile.enableSecureBoot", True),
        ),
        (("vmSize", "Standard_D4s_v5"), ("vmSize", "Standard_NP10s"),
         ("gpuProfile.driver", "None")),
    ),
    Case(
        "azure-registry", "azure-native:containerregistry:Registry",
        {"adminUserEnabled": False, "anonymousPullEnabled": False, "publicNetworkAccess": "Disabled"},
        (
            Bad("adminUserEnabled", True),
            Bad("anonymousPullEnabled", True),
            Bad("publicNetworkAccess", "Enabled", production=True),
            Bad("publicNetworkAccess", REMOVED, production=True),
        ),
    ),
    Case(
        "azure-storage-account", "azure-native:storage:StorageAccount",
        {
            "allowBlobPublicAccess": False, "minimumTlsVersion": "TLS1_2",
            "networkRuleSet": {"defaultAction": "Deny"},
        },
        (
            Bad("allowBlobPublicAccess", True),
            Bad("minimumTlsVersion", "TLS1_0"),
            Bad("networkRuleSet.defaultAction", "Allow", production=True),
            Bad("networkRuleSet", REMOVED, "networkRuleSet.defaultAction", production=True),
        ),
    ),
)  # fmt: skip
