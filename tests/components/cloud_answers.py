"""What clouds add to the inputs of a resource, for the types the components read outputs of.

Only outputs that a component uses are here: a component that reads another one gets None and the test shows it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

AWS_ACCOUNT = "123456789012"
SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
TENANT = "99999999-2222-3333-4444-555555555555"
GCP_PROJECT = "acme-models"
GCP_PROJECT_NUMBER = "424242424242"
GKE_DNS_ENDPOINT = "gke-0123456789abcdef-424242424242.us-central1.gke.goog"
CA = base64.b64encode(b"certificate authority").decode()
INLINE_SECRET = "a-token-that-must-not-travel"
"""Stands in the credentials AKS hands out; no resource may carry it."""

USER_KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [
        {
            "name": "aks",
            "cluster": {"server": "https://aks.hcp.eastus.azmk8s.io:443", "certificate-authority-data": CA},
        }
    ],
    "users": [{"name": "clusterUser", "user": {"token": INLINE_SECRET, "client-key-data": INLINE_SECRET}}],
}


@dataclass(frozen=True)
class Refused:
    """The answer of a cloud that does not let the caller ask, or does not answer."""

    reason: str


Answer = Mapping[str, Any] | Refused | Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""What a provider function gives: always the same, an error, or something made from its arguments (camelCase)."""


def _offerings(args: Mapping[str, Any]) -> dict[str, Any]:
    """Every instance type in every zone."""
    types = next(each["values"] for each in args["filters"] if each["name"] == "instance-type")
    pairs = [(name, f"us-east-1{zone}") for name in types for zone in "abcdef"]
    return {"instanceTypes": [name for name, _ in pairs], "locations": [zone for _, zone in pairs]}


def _machine_types(args: Mapping[str, Any]) -> dict[str, Any]:
    """Every machine type that the filter names."""
    names = re.findall(r'name = "([^"]+)"', args["filter"])
    return {"machineTypes": [{"name": name, "guestCpus": 4, "memoryMb": 16384} for name in names]}


FUNCTIONS: dict[str, Answer] = {
    "aws:ec2/getInstanceType:getInstanceType": {"defaultVcpus": 4, "memorySize": 16384},
    "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": _offerings,
    "aws:eks/getClusterVersions:getClusterVersions": {
        "clusterVersions": [
            {"clusterVersion": f"1.{minor}", "versionStatus": "STANDARD_SUPPORT"} for minor in range(34, 37)
        ]
    },
    "aws:servicequotas/getServiceQuota:getServiceQuota": {"value": 1000},
    "gcp:cloudquota/getSQuotaInfo:getSQuotaInfo": {
        "dimensionsInfos": [
            {"dimensions": {}, "applicableLocations": ["us-central1", "global"], "details": [{"value": "1000"}]}
        ]
    },
    "gcp:compute/getMachineTypes:getMachineTypes": _machine_types,
    "gcp:compute/getZones:getZones": {"names": [f"us-central1-{zone}" for zone in "abcf"]},
    "gcp:container/getEngineVersions:getEngineVersions": {"validMasterVersions": ["1.36.1-gke.5", "1.35.4-gke.7"]},
    "azure-native:authorization:getClientConfig": {
        "clientId": "client",
        "objectId": "object",
        "subscriptionId": SUBSCRIPTION,
        "tenantId": TENANT,
    },
    "azure-native:containerservice:listManagedClusterUserCredentials": {
        "kubeconfigs": [
            {"name": "clusterUser", "value": base64.b64encode(yaml.safe_dump(USER_KUBECONFIG).encode()).decode()}
        ]
    },
}
"""Results of provider functions by token."""


def _named(kind: str, *computed: str) -> Any:
    """Outputs of an AWS resource: a physical name under `kind`, and a made-up value per further output."""
    return lambda name, inputs: {kind: f"{name}-x1", **{key: f"{name}-{key}" for key in computed}}


def _arn(name: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {"arn": f"arn:aws:test::123456789012:{name}", "name": f"{name}-x1"}


def _arm(provider: str, kind: str, *, property_: str | None = None, **extra: Any) -> Any:
    """Outputs of an Azure resource: its ARM id and physical name, from the input that sets the name if there is one."""

    def outputs(name: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        physical = inputs.get(property_ or "") or f"{name}x1"
        group = inputs.get("resourceGroupName", f"{name}x1")
        place = "" if kind == "resourceGroups" else f"/providers/{provider}"
        middle = f"/resourceGroups/{group}{place}/{kind}" if kind != "resourceGroups" else "/resourceGroups"
        made = {key: value(name) if callable(value) else value for key, value in extra.items()}
        return {"id": f"/subscriptions/{SUBSCRIPTION}{middle}/{physical}", "name": physical, **made}

    return outputs


def _gcp(path: str, **extra: Any) -> Any:
    """Outputs of a Google Cloud resource: its id and physical name."""

    def outputs(name: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        physical = inputs.get("name") or inputs.get("repositoryId") or f"{name}-x1"
        made = {key: value(name) if callable(value) else value for key, value in extra.items()}
        return {"id": f"projects/{GCP_PROJECT}/{path}/{physical}", "name": physical, **made}

    return outputs


COMPUTED: dict[str, Any] = {
    "aws:cloudwatch/logGroup:LogGroup": _arn,
    "aws:ec2/eip:Eip": lambda name, inputs: {
        "publicIp": f"{name}-x1",
        "allocationId": f"{name}-allocationId",
        "arn": f"arn:aws:ec2:us-east-1:{AWS_ACCOUNT}:elastic-ip/{name}",
    },
    "aws:ec2/launchTemplate:LaunchTemplate": lambda name, inputs: {"latestVersion": 1},
    "aws:ec2/vpc:Vpc": lambda name, inputs: {"ownerId": AWS_ACCOUNT},
    "aws:ecr/repository:Repository": lambda name, inputs: {
        "name": f"{name}-x1",
        "repositoryUrl": f"{AWS_ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/{name}-x1",
        "arn": f"arn:aws:ecr:us-east-1:{AWS_ACCOUNT}:repository/{name}-x1",
    },
    "aws:eks/cluster:Cluster": lambda name, inputs: {
        "endpoint": f"https://{name}.eks.amazonaws.com",
        "certificateAuthority": {"data": CA},
        "name": inputs["name"],
        "arn": f"arn:aws:eks:us-east-1:{AWS_ACCOUNT}:cluster/{inputs['name']}",
        "vpcConfig": {**inputs["vpcConfig"], "clusterSecurityGroupId": f"{name}-group"},
        "identities": [{"oidcs": [{"issuer": f"https://oidc.eks.us-east-1.amazonaws.com/id/{name}"}]}],
    },
    "aws:eks/nodeGroup:NodeGroup": _named("nodeGroupName"),
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": lambda name, inputs: {
        "arn": f"arn:aws:iam::{AWS_ACCOUNT}:oidc-provider/{inputs['url'].removeprefix('https://')}"
    },
    "aws:iam/role:Role": _arn,
    "aws:kms/key:Key": lambda name, inputs: {"arn": f"arn:aws:kms:us-east-1:{AWS_ACCOUNT}:key/{name}"},
    "aws:route53/zone:Zone": lambda name, inputs: {"zoneId": f"Z{name}", "nameServers": ["ns-1.awsdns.com"]},
    "aws:s3/bucket:Bucket": lambda name, inputs: {"bucket": f"{name}-x1", "arn": f"arn:aws:s3:::{name}-x1"},
    "gcp:artifactregistry/repository:Repository": _gcp("locations/us-central1/repositories"),
    "gcp:compute/address:Address": _gcp("regions/us-central1/addresses", address="203.0.113.7"),
    "gcp:compute/firewall:Firewall": _gcp("global/firewalls"),
    "gcp:compute/network:Network": _gcp("global/networks"),
    "gcp:compute/router:Router": _gcp("regions/us-central1/routers"),
    "gcp:compute/subnetwork:Subnetwork": _gcp("regions/us-central1/subnetworks"),
    "gcp:container/cluster:Cluster": _gcp("locations/us-central1/clusters", endpoint="198.51.100.9"),
    "gcp:container/nodePool:NodePool": _gcp("locations/us-central1/clusters/c/nodePools"),
    "gcp:iam/workloadIdentityPool:WorkloadIdentityPool": lambda name, inputs: {
        "name": f"projects/{GCP_PROJECT_NUMBER}/locations/global/workloadIdentityPools/"
        + inputs["workloadIdentityPoolId"],
    },
    "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider": lambda name, inputs: {
        "name": f"projects/{GCP_PROJECT_NUMBER}/locations/global/workloadIdentityPools/"
        f"{inputs['workloadIdentityPoolId']}/providers/{inputs['workloadIdentityPoolProviderId']}",
    },
    "gcp:kms/cryptoKey:CryptoKey": _gcp("locations/us-central1/keyRings/r/cryptoKeys"),
    "gcp:kms/keyRing:KeyRing": _gcp("locations/us-central1/keyRings"),
    "gcp:projects/serviceIdentity:ServiceIdentity": lambda name, inputs: {
        "email": f"service-{GCP_PROJECT_NUMBER}@{inputs['service'].partition('.')[0]}.iam.gserviceaccount.com"
    },
    "gcp:dns/managedZone:ManagedZone": _gcp("managedZones", nameServers=["ns-a1.googledomains.com."]),
    "gcp:serviceaccount/account:Account": lambda name, inputs: {
        "email": f"{inputs['accountId']}@{inputs['project']}.iam.gserviceaccount.com",
        "member": f"serviceAccount:{inputs['accountId']}@{inputs['project']}.iam.gserviceaccount.com",
        "name": f"projects/{GCP_PROJECT}/serviceAccounts/{inputs['accountId']}",
    },
    "gcp:storage/bucket:Bucket": _gcp("buckets", projectNumber=int(GCP_PROJECT_NUMBER)),
    "gcp:storage/bucketObject:BucketObject": _gcp("objects", md5hash="bWQ1"),
    "azure-native:compute:DiskEncryptionSet": _arm("Microsoft.Compute", "diskEncryptionSets"),
    "azure-native:containerregistry:CredentialSet": _arm(
        "Microsoft.ContainerRegistry", "credentialSets", property_="credentialSetName"
    ),
    "azure-native:containerregistry:Registry": _arm(
        "Microsoft.ContainerRegistry", "registries", property_="registryName", loginServer=lambda n: f"{n}.azurecr.io"
    ),
    "azure-native:containerservice:AgentPool": _arm(
        "Microsoft.ContainerService", "agentPools", property_="agentPoolName"
    ),
    "azure-native:containerservice:ManagedCluster": _arm(
        "Microsoft.ContainerService",
        "managedClusters",
        oidcIssuerProfile={"enabled": True, "issuerURL": "https://eastus.oic.prod-aks.azure.com/tenant/cluster/"},
        identityProfile={"kubeletidentity": {"objectId": "kubelet-object-id"}},
    ),
    "azure-native:keyvault:Key": _arm(
        "Microsoft.KeyVault",
        "keys",
        property_="keyName",
        keyUriWithVersion=lambda n: f"https://{n}.vault.azure.net/keys/data/0123",
    ),
    "azure-native:keyvault:Vault": _arm("Microsoft.KeyVault", "vaults", property_="vaultName"),
    "azure-native:managedidentity:UserAssignedIdentity": _arm(
        "Microsoft.ManagedIdentity",
        "userAssignedIdentities",
        clientId=lambda n: f"{n}-client",
        principalId=lambda n: f"{n}-principal",
    ),
    "azure-native:network:NatGateway": _arm("Microsoft.Network", "natGateways"),
    "azure-native:network:NetworkSecurityGroup": _arm("Microsoft.Network", "networkSecurityGroups"),
    "azure-native:network:PrivateEndpoint": _arm("Microsoft.Network", "privateEndpoints"),
    "azure-native:network:PublicIPAddress": _arm("Microsoft.Network", "publicIPAddresses", ipAddress="203.0.113.8"),
    "azure-native:network:Subnet": _arm("Microsoft.Network", "subnets"),
    "azure-native:network:VirtualNetwork": _arm("Microsoft.Network", "virtualNetworks"),
    "azure-native:operationalinsights:Workspace": _arm("Microsoft.OperationalInsights", "workspaces"),
    "azure-native:privatedns:PrivateZone": _arm("Microsoft.Network", "privateDnsZones", property_="privateZoneName"),
    "azure-native:resources:ResourceGroup": _arm("", "resourceGroups"),
    "azure-native:storage:Blob": _arm("Microsoft.Storage", "blobs", property_="blobName"),
    "azure-native:storage:BlobContainer": _arm("Microsoft.Storage", "containers", property_="containerName"),
    "azure-native:storage:StorageAccount": _arm("Microsoft.Storage", "storageAccounts", property_="accountName"),
    "kubernetes:cert-manager.io/v1:Certificate": lambda name, inputs: {"status": {"revision": 3}},
    "kubernetes:cert-manager.io/v1:CertificateRequest": lambda name, inputs: {
        "status": {"ca": base64.b64encode(f"-----BEGIN CERTIFICATE-----\n{name}\n".encode()).decode()}
    },
    "kubernetes:helm.sh/v3:Release": lambda name, inputs: {"name": f"{name}-x1", "status": {"status": "deployed"}},
}
"""Computed outputs by type token; `id` is the resource's id."""

RESHAPED: dict[str, Mapping[str, Any]] = {
    "gcp:container/cluster:Cluster": {
        "masterAuth": {"clusterCaCertificate": CA},
        "controlPlaneEndpointsConfig": {"dnsEndpointConfig": {"endpoint": GKE_DNS_ENDPOINT}},
    },
    "azure-native:containerservice:ManagedCluster": {
        "identity": {"type": "UserAssigned", "userAssignedIdentities": {}}
    },
    "azure-native:compute:DiskEncryptionSet": {
        "identity": {"type": "SystemAssigned", "principalId": "disks-principal"}
    },
    "azure-native:containerregistry:CredentialSet": {
        "identity": {"type": "SystemAssigned", "principalId": "docker-hub-principal"}
    },
    "azure-native:storage:StorageAccount": {"identity": {"type": "UserAssigned", "userAssignedIdentities": {}}},
}
"""Outputs by type token that share a name with an input but not its shape, so that the input cannot stand for them."""
