"""Rules of the real providers that no SDK states: automatic names, and which changes replace a resource."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.providers.inputs import Schema
from localcloud.providers.wire import is_asset
from localcloud.store import JsonDict

DEFAULTS_KEY = "__defaults"
"""Input that lists the properties the provider filled in itself, as the real bridged providers record them."""


@dataclass(frozen=True)
class AutoName:
    """How a provider names a resource whose program gives no name: the logical name and random digits."""

    property: str
    max_length: int = 64
    separator: str = "-"
    digits: int = 7
    lower: bool = False
    """Lower-case the name and turn what is not a letter, digit or dash into a dash."""
    letters_only: bool = False
    """Drop what is not a letter or digit."""

    def make(self, logical_name: str, seed: bytes) -> str:
        """Return the name for a logical name; `seed` comes from the engine and decides the digits."""
        random = hashlib.sha256(seed + logical_name.encode()).hexdigest()[: self.digits] if self.digits else ""
        base = logical_name
        if self.lower or self.letters_only:
            base = re.sub(r"[^a-z0-9]+", "" if self.letters_only else "-", base.lower())
        suffix = f"{self.separator}{random}" if random else ""
        return base[: self.max_length - len(suffix)].rstrip("-") + suffix


_LOWER_63 = AutoName("name", 63, lower=True)
_NAMES: Mapping[str, AutoName | None] = {
    "aws:ecr/repository:Repository": AutoName("name", 256, lower=True),
    "aws:eks/cluster:Cluster": AutoName("name", 100),
    "aws:eks/nodeGroup:NodeGroup": AutoName("nodeGroupName", 63),
    "aws:iam/policy:Policy": AutoName("name", 128),
    "aws:iam/rolePolicy:RolePolicy": AutoName("name", 128),
    "aws:route53/record:Record": None,
    "aws:route53/zone:Zone": None,
    "aws:s3/bucket:Bucket": AutoName("bucket", 63, lower=True),
    "gcp:container/cluster:Cluster": AutoName("name", 40, lower=True),
    "gcp:container/nodePool:NodePool": AutoName("name", 40, lower=True),
    "gcp:storage/bucketObject:BucketObject": AutoName("name", 1024),
    "gcp:dns/recordSet:RecordSet": None,
    "gcp:iam/workloadIdentityPool:WorkloadIdentityPool": None,
    "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider": None,
}


def bridged_name(token: str, schema: Schema) -> AutoName | None:
    """Return the automatic name of an aws or gcp type: `name`, where the type has an optional one."""
    if token in _NAMES:
        return _NAMES[token]
    described = schema["inputs"].get("name")
    if described is None or described["required"]:
        return None
    return _LOWER_63 if token.startswith("gcp:") else AutoName("name")


def with_name(rule: AutoName | None, logical_name: str, seed: bytes, olds: JsonDict, news: JsonDict) -> JsonDict:
    """Return inputs with the automatic name: the one it has already, else a new one."""
    if rule is None or news.get(rule.property) is not None or news.get(f"{rule.property}Prefix") is not None:
        return news
    kept = olds.get(rule.property) if rule.property in olds.get(DEFAULTS_KEY, ()) else None
    name = kept or rule.make(logical_name, seed)
    return {**news, rule.property: name, DEFAULTS_KEY: [rule.property]}


_EVERYTHING = ("*",)
_BUCKET_PART = ("bucket",)
_GCP_PLACE = ("name", "project", "region", "location")
_ARM_PLACE = ("resourceGroupName", "location")
REPLACES: Mapping[str, tuple[str, ...]] = {
    "aws:cloudwatch/logGroup:LogGroup": ("name", "namePrefix", "logGroupClass"),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": ("vpcId",),
    "aws:ec2/flowLog:FlowLog": (
        "vpcId", "trafficType", "logDestination", "logDestinationType", "iamRoleArn", "logFormat",
        "maxAggregationInterval",
    ),
    "aws:ec2/securityGroup:SecurityGroup": ("name", "namePrefix", "description", "vpcId"),
    "aws:ec2/vpcEndpoint:VpcEndpoint": ("vpcId", "serviceName", "vpcEndpointType"),
    "aws:ec2/vpc:Vpc": ("cidrBlock", "instanceTenancy"),
    "aws:ec2/subnet:Subnet": ("vpcId", "cidrBlock", "availabilityZone"),
    "aws:ec2/routeTable:RouteTable": ("vpcId",),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": ("subnetId", "gatewayId"),
    "aws:ec2/eip:Eip": ("domain", "networkBorderGroup"),
    "aws:ec2/natGateway:NatGateway": ("allocationId", "subnetId", "connectivityType"),
    "aws:ec2/launchTemplate:LaunchTemplate": ("name",),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": ("repository", "policy"),
    "aws:ecr/pullThroughCacheRule:PullThroughCacheRule": ("ecrRepositoryPrefix", "upstreamRegistryUrl"),
    "aws:ecr/repository:Repository": ("name", "encryptionConfigurations"),
    "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate": ("prefix",),
    "aws:eks/accessEntry:AccessEntry": ("clusterName", "principalArn", "type"),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": _EVERYTHING,
    "aws:eks/addon:Addon": ("clusterName", "addonName"),
    "aws:eks/cluster:Cluster": (
        "name", "roleArn", "bootstrapSelfManagedAddons", "kubernetesNetworkConfig.ipFamily", "encryptionConfig",
        "kubernetesNetworkConfig.serviceIpv4Cidr", "accessConfig.bootstrapClusterCreatorAdminPermissions",
        "outpostConfig",
    ),
    "aws:eks/nodeGroup:NodeGroup": (
        "amiType", "capacityType", "clusterName", "diskSize", "instanceTypes", "launchTemplate.id",
        "launchTemplate.name", "nodeGroupName", "nodeRoleArn", "remoteAccess", "subnetIds",
    ),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": ("clusterName", "namespace", "serviceAccount"),
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": ("url",),
    "aws:iam/role:Role": ("name", "path"),
    "aws:iam/rolePolicy:RolePolicy": ("name", "role"),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": _EVERYTHING,
    "aws:kms/key:Key": ("keyUsage", "customerMasterKeySpec", "multiRegion", "customKeyStoreId"),
    "aws:route53/healthCheck:HealthCheck": ("type", "requestInterval", "measureLatency", "referenceName"),
    "aws:route53/record:Record": ("name", "type", "zoneId", "setIdentifier"),
    "aws:route53/zone:Zone": ("name", "delegationSetId"),
    "aws:s3/bucket:Bucket": ("bucket",),
    "aws:s3/bucketObjectv2:BucketObjectv2": ("bucket", "key"),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _BUCKET_PART,
    "aws:s3/bucketLogging:BucketLogging": _BUCKET_PART,
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": _BUCKET_PART,
    "aws:s3/bucketPolicy:BucketPolicy": _BUCKET_PART,
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _BUCKET_PART,
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": _BUCKET_PART,
    "aws:s3/bucketVersioning:BucketVersioning": _BUCKET_PART,
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": ("securityGroupId",),
    "gcp:artifactregistry/repository:Repository": (
        "repositoryId", "location", "project", "format", "kmsKeyName", "mode",
        "remoteRepositoryConfig.commonRepository", "remoteRepositoryConfig.dockerRepository",
        "remoteRepositoryConfig.description",
    ),
    "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember": _EVERYTHING,
    "gcp:compute/address:Address": (*_GCP_PLACE, "addressType", "networkTier", "address", "subnetwork", "purpose"),
    "gcp:compute/firewall:Firewall": ("name", "project", "network", "direction"),
    "gcp:compute/network:Network": ("name", "project", "autoCreateSubnetworks"),
    "gcp:compute/router:Router": (*_GCP_PLACE, "network"),
    "gcp:compute/routerNat:RouterNat": (*_GCP_PLACE, "router"),
    "gcp:compute/subnetwork:Subnetwork": (*_GCP_PLACE, "network", "ipCidrRange", "purpose"),
    "gcp:container/cluster:Cluster": (
        *_GCP_PLACE, "network", "subnetwork", "networkingMode", "ipAllocationPolicy", "datapathProvider",
        "initialNodeCount", "nodeConfig", "enableAutopilot", "privateClusterConfig.masterIpv4CidrBlock",
    ),
    "gcp:container/nodePool:NodePool": (
        *_GCP_PLACE, "cluster", "namePrefix", "initialNodeCount", "maxPodsPerNode", "placementPolicy",
        "queuedProvisioning", "nodeConfig.machineType", "nodeConfig.guestAccelerators", "nodeConfig.spot",
        "nodeConfig.preemptible", "nodeConfig.serviceAccount", "nodeConfig.oauthScopes", "nodeConfig.diskSizeGb",
        "nodeConfig.diskType", "nodeConfig.shieldedInstanceConfig", "nodeConfig.metadata",
        "nodeConfig.reservationAffinity", "nodeConfig.bootDiskKmsKey", "nodeConfig.flexStart", "nodeConfig.gvnic",
    ),
    "gcp:dns/managedZone:ManagedZone": ("name", "project", "dnsName", "visibility"),
    "gcp:dns/recordSet:RecordSet": ("name", "managedZone", "project"),
    "gcp:iam/workloadIdentityPool:WorkloadIdentityPool": ("workloadIdentityPoolId", "project", "mode"),
    "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider": (
        "workloadIdentityPoolId", "workloadIdentityPoolProviderId", "project",
    ),
    "gcp:kms/cryptoKey:CryptoKey": (
        "name", "keyRing", "purpose", "importOnly", "cryptoKeyBackend", "destroyScheduledDuration",
    ),
    "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember": _EVERYTHING,
    "gcp:kms/keyRing:KeyRing": _GCP_PLACE,
    "gcp:logging/projectBucketConfig:ProjectBucketConfig": ("project", "location", "bucketId"),
    "gcp:projects/iAMAuditConfig:IAMAuditConfig": ("project", "service"),
    "gcp:projects/iAMMember:IAMMember": _EVERYTHING,
    "gcp:projects/service:Service": ("project", "service"),
    "gcp:projects/serviceIdentity:ServiceIdentity": ("project", "service"),
    "gcp:serviceaccount/iAMMember:IAMMember": _EVERYTHING,
    "gcp:serviceaccount/account:Account": ("accountId", "project"),
    "gcp:storage/bucket:Bucket": _GCP_PLACE,
    "gcp:storage/bucketIAMMember:BucketIAMMember": _EVERYTHING,
    "gcp:storage/bucketObject:BucketObject": ("bucket", "name", "source", "content", "contentType"),
    "azure-native:authorization:ManagementLockByScope": ("lockName", "scope"),
    "azure-native:authorization:RoleAssignment": _EVERYTHING,
    "azure-native:containerregistry:CacheRule": (
        "resourceGroupName", "registryName", "cacheRuleName", "sourceRepository", "targetRepository",
    ),
    "azure-native:containerregistry:CredentialSet": (
        "resourceGroupName", "registryName", "credentialSetName", "loginServer",
    ),
    "azure-native:containerregistry:Registry": (*_ARM_PLACE, "registryName"),
    "azure-native:containerservice:AgentPool": (
        "resourceGroupName", "resourceName", "agentPoolName", "vmSize", "osType", "osDiskSizeGB", "osDiskType",
        "gpuInstanceProfile", "gpuProfile.driver", "scaleSetPriority", "scaleSetEvictionPolicy", "spotMaxPrice",
        "vnetSubnetID", "podSubnetID", "availabilityZones", "maxPods", "capacityReservationGroupID",
        "enableEncryptionAtHost",
    ),
    "azure-native:containerservice:ManagedCluster": (
        *_ARM_PLACE, "resourceName", "dnsPrefix", "fqdnSubdomain", "nodeResourceGroup", "networkProfile.podCidr",
        "networkProfile.serviceCidr", "networkProfile.dnsServiceIP", "networkProfile.networkPlugin",
        "diskEncryptionSetID",
    ),
    "azure-native:keyvault:Key": ("resourceGroupName", "vaultName", "keyName", "properties.kty", "properties.keySize"),
    "azure-native:keyvault:Vault": (*_ARM_PLACE, "vaultName", "properties.tenantId"),
    "azure-native:managedidentity:UserAssignedIdentity": (*_ARM_PLACE, "resourceName"),
    "azure-native:monitor:DiagnosticSetting": ("name", "resourceUri"),
    "azure-native:network:PrivateEndpoint": (
        *_ARM_PLACE, "privateEndpointName", "subnet", "privateLinkServiceConnections",
    ),
    "azure-native:network:PublicIPAddress": (*_ARM_PLACE, "publicIpAddressName", "sku", "zones"),
    "azure-native:privatedns:PrivateZone": ("resourceGroupName", "privateZoneName"),
    "azure-native:privatedns:VirtualNetworkLink": (
        "resourceGroupName", "privateZoneName", "virtualNetworkLinkName", "virtualNetwork",
    ),
    "azure-native:resources:ResourceGroup": ("resourceGroupName", "location"),
    "azure-native:storage:Blob": ("resourceGroupName", "accountName", "containerName", "blobName", "source", "type"),
    "azure-native:storage:StorageAccount": (*_ARM_PLACE, "accountName", "kind"),
}  # fmt: skip
_ARM_NAMES = re.compile(r"^(resourceGroupName|location|\w+Name)$")


def replaces(token: str, path: str) -> bool:
    """Return whether a change at a property path makes the provider replace the resource."""
    plain = re.sub(r"\[\d+\]", "", path)
    listed = REPLACES.get(token)
    if listed is None:
        # An ARM id is made of names, so a change of any of them is another resource.
        return token.startswith("azure-native:") and bool(_ARM_NAMES.match(plain))
    if listed == _EVERYTHING:
        return True
    return any(plain == rule or plain.startswith(f"{rule}.") or rule.startswith(f"{plain}.") for rule in listed)


def changes(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the property paths at which two values differ, each with `add`, `update` or `delete`.

    Lists of different length differ as a whole. Assets are the same when their contents are.
    """
    if is_asset(old) and is_asset(new):
        if (old.get("hash"), old.get("text")) != (new.get("hash"), new.get("text")):
            yield path, "update"
    elif isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            here = f"{path}.{key}" if path else key
            if key == DEFAULTS_KEY:
                continue
            if key not in new or key not in old:
                yield here, "delete" if key not in new else "add"
            else:
                yield from changes(old[key], new[key], here)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from changes(before, after, f"{path}[{index}]")
    elif old != new or isinstance(old, bool) != isinstance(new, bool):
        yield path, "update"


def name_would_clash(rule: AutoName | None, old: JsonDict, new: JsonDict, changed: set[str]) -> bool:
    """Return whether the replacement would have the old one's name, so that the old one must be deleted first."""
    if rule is None or rule.property in changed:
        return False
    if not rule.digits:
        return True
    return new.get(rule.property) is not None and rule.property not in new.get(DEFAULTS_KEY, ())


def top_level(paths: Iterator[str] | list[str]) -> list[str]:
    """Return the distinct first parts of property paths, in order."""
    return list(dict.fromkeys(re.split(r"[.\[]", path, maxsplit=1)[0] for path in paths))
