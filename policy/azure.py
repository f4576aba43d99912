"""Checks of resources on Azure."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from policy.check import (
    UNKNOWN,
    Check,
    Finding,
    Resource,
    Rule,
    StackCheck,
    at,
    equals,
    expect,
    given,
    items,
    not_true,
    open_to_all,
    refers,
    true,
)

CLUSTER = "azure-native:containerservice:ManagedCluster"
AGENT_POOL = "azure-native:containerservice:AgentPool"
_ACCOUNT, _BLOB = "azure-native:storage:StorageAccount", "azure-native:storage:Blob"
_DIAGNOSTICS = "azure-native:monitor:DiagnosticSetting"
_GPU_SIZE = re.compile(r"^standard_n[cdv]", re.IGNORECASE)
"""Families with NVIDIA GPUs; NP has FPGAs."""
_GPU_TAINT = "nvidia.com/gpu="
_AUDIT = ("kube-audit", "kube-audit-admin")
_AUDIT_GROUPS = ("audit", "allLogs")


def _endpoint(cluster: Resource, production: bool) -> Iterator[Finding]:
    private = at(cluster.props, "apiServerAccessProfile.enablePrivateCluster")
    path = "apiServerAccessProfile.authorizedIPRanges"
    ranges = at(cluster.props, path)
    if true(private) or UNKNOWN in (private, ranges):
        return
    if not ranges or open_to_all(ranges):
        yield Finding(
            cluster,
            path,
            ranges,
            "must name ranges other than the whole internet where the API server is public",
            "set enablePrivateCluster, or name the ranges of your offices and runners",
        )


def _system_pools(cluster: Resource, production: bool) -> Iterator[Finding]:
    for position, pool in enumerate(items(at(cluster.props, "agentPoolProfiles"))):
        for path, finding in (("enableNodePublicIP", not_true), ("enableEncryptionAtHost", true)):
            value = at(pool, path)
            if value is UNKNOWN or finding(value) or (path == "enableEncryptionAtHost" and not production):
                continue
            rule, fix = _POOL_RULES[path]
            yield Finding(cluster, f"agentPoolProfiles.{position}.{path}", value, rule, fix)


_POOL_RULES = {
    "enableNodePublicIP": ("must not be true", "nodes reach the internet through NAT"),
    "enableEncryptionAtHost": ("must be true", "turn it on; the subscription needs the feature EncryptionAtHost"),
}


def _gpu_pool(pool: Resource, production: bool) -> Iterator[Finding]:
    size, taints = at(pool.props, "vmSize"), at(pool.props, "nodeTaints")
    if not isinstance(size, str) or not _GPU_SIZE.match(size):
        return
    texts = items(taints)
    if UNKNOWN not in [taints, *texts] and not any(str(each).startswith(_GPU_TAINT) for each in texts):
        yield Finding(
            pool,
            "nodeTaints",
            taints,
            f"must keep pods without GPUs away from {size}",
            f"add {_GPU_TAINT}present:NoSchedule",
        )
    secure, driver = at(pool.props, "securityProfile.enableSecureBoot"), at(pool.props, "gpuProfile.driver")
    if true(secure) and driver not in ("None", UNKNOWN):
        yield Finding(
            pool,
            "securityProfile.enableSecureBoot",
            secure,
            "must not be true with the driver that AKS installs",
            "turn secure boot off, or set gpuProfile.driver to None and bring a signed driver",
        )


def _audited(resources: Sequence[Resource], production: bool) -> Iterator[Finding]:
    for cluster in (each for each in resources if each.type == CLUSTER):
        yield from expect(
            cluster, "oidcIssuerProfile.enabled", "must be true", true, "pods get their identities by its tokens"
        )
        yield from expect(
            cluster, "securityProfile.workloadIdentity.enabled", "must be true", true, "turn on workload identity"
        )
        logs = [
            at(each.props, "logs")
            for each in resources
            if each.type == _DIAGNOSTICS and refers(each, "resourceUri", cluster, "id")
        ]
        if not any(kept is UNKNOWN or any(_audit_log(log) for log in items(kept)) for kept in logs):
            yield Finding(
                cluster,
                "DiagnosticSetting",
                [at(log, "category") for kept in logs for log in items(kept)] or None,
                f"must keep {' or '.join(_AUDIT)}",
                "add a DiagnosticSetting with the category on",
            )


def _audit_log(log: Any) -> bool:
    named = at(log, "category") in _AUDIT or at(log, "categoryGroup") in _AUDIT_GROUPS
    return log is UNKNOWN or (named and (true(at(log, "enabled")) or at(log, "enabled") is UNKNOWN))


def _shared_keys(resources: Sequence[Resource], production: bool) -> Iterator[Finding]:
    """Pulumi uploads blobs with the account's key and has no other way (pulumi/pulumi-azure-native#2015)."""
    uploads = [each for each in resources if each.type == _BLOB]
    for account in (each for each in resources if each.type == _ACCOUNT):
        if not any(refers(each, "accountName", account, "accountName", "name") for each in uploads):
            yield from expect(account, "allowSharedKeyAccess", "must be false", equals(False), "use Azure roles")


CHECKS = (
    Check(
        "azure-aks-identity",
        "People and pipelines come into AKS through Entra ID and Azure roles alone.",
        "CKV_AZURE_141, CKV_AZURE_5",
        (CLUSTER,),
        (
            Rule("disableLocalAccounts", "must be true", true, "turn off the shared administrator"),
            Rule("aadProfile.managed", "must be true", true, "use Entra ID"),
            Rule("aadProfile.enableAzureRBAC", "must be true", true, "give rights by Azure roles"),
        ),
    ),
    Check(
        "azure-aks-endpoint",
        "The API server of an AKS cluster is private, or open to named ranges only.",
        "CKV_AZURE_115, CKV_AZURE_6",
        (CLUSTER,),
        judge=_endpoint,
    ),
    Check(
        "azure-aks-upkeep",
        "An AKS cluster enforces network policies and Azure Policy, has an SLA, and is upgraded.",
        "CKV_AZURE_7, CKV_AZURE_116, CKV_AZURE_170, CKV_AZURE_171",
        (CLUSTER,),
        (
            Rule("networkProfile.networkPolicy", "must be set", given, "use cilium, at the cluster's creation"),
            Rule("addonProfiles.azurepolicy.enabled", "must be true", true, "turn on the add-on", production=True),
            Rule(
                "sku.tier",
                "must be Standard or Premium",
                equals("Standard", "Premium"),
                "take the tier with an SLA",
                production=True,
            ),
            Rule(
                "autoUpgradeProfile.upgradeChannel",
                "must be an upgrade channel",
                lambda value: given(value) and value != "none",
                "use patch or stable",
            ),
        ),
    ),
    Check(
        "azure-aks-system-pool",
        "Nodes of AKS's own pool have encrypted disks and no public address.",
        "CKV_AZURE_227, CKV_AZURE_143",
        (CLUSTER,),
        judge=_system_pools,
        judged_for_production=("agentPoolProfiles.enableEncryptionAtHost",),
    ),
    Check(
        "azure-agent-pool",
        "Nodes of AKS have encrypted disks and no public address; GPU nodes have the taint, and a driver that boots.",
        "CKV_AZURE_227, CKV_AZURE_143, Tricorn",
        (AGENT_POOL,),
        (
            Rule(
                "enableNodePublicIP",
                _POOL_RULES["enableNodePublicIP"][0],
                not_true,
                _POOL_RULES["enableNodePublicIP"][1],
            ),
            Rule(
                "enableEncryptionAtHost",
                _POOL_RULES["enableEncryptionAtHost"][0],
                true,
                _POOL_RULES["enableEncryptionAtHost"][1],
                production=True,
            ),
        ),
        _gpu_pool,
    ),
    Check(
        "azure-registry",
        "A container registry has no shared password, no anonymous reader, and in production no public address.",
        "CKV_AZURE_137, CKV_AZURE_138, CKV_AZURE_139",
        ("azure-native:containerregistry:Registry",),
        (
            Rule("adminUserEnabled", "must not be true", not_true, "give nodes the role AcrPull"),
            Rule("anonymousPullEnabled", "must not be true", not_true, "turn it off"),
            Rule(
                "publicNetworkAccess",
                "must be Disabled",
                equals("Disabled"),
                "reach it by a private endpoint",
                production=True,
            ),
        ),
    ),
    Check(
        "azure-storage-account",
        "A storage account has no public data, and in production an allow list of networks.",
        "CKV_AZURE_59, CKV_AZURE_190, CKV_AZURE_35, CKV_AZURE_44",
        (_ACCOUNT,),
        (
            Rule("allowBlobPublicAccess", "must be false", equals(False), "turn it off"),
            Rule("minimumTlsVersion", "must be TLS1_2 or later", equals("TLS1_2", "TLS1_3"), "set it"),
            Rule(
                "networkRuleSet.defaultAction",
                "must be Deny",
                equals("Deny"),
                "name the networks that may read, or use a private endpoint",
                production=True,
            ),
        ),
    ),
)
STACK_CHECKS = (
    StackCheck(
        "azure-aks-audit",
        "An AKS cluster keeps its audit log, and its pods have identities of their own.",
        "CKV_AZURE_4",
        _audited,
    ),
    StackCheck(
        "azure-storage-keys",
        "A storage account has no shared key, unless this stack uploads blobs to it, which Pulumi does with the key.",
        "CKV2_AZURE_40",
        _shared_keys,
    ),
)
