"""What clouds add to the inputs of a resource, for the types the components read outputs of.

Only outputs that a component uses are here: a component that reads another one gets None and the test shows it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import yaml

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
GCP_PROJECT = "acme-models"
GCP_PROJECT_NUMBER = "424242424242"
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

FUNCTIONS: dict[str, Mapping[str, Any]] = {
    "gcp:organizations/getProject:getProject": {"number": GCP_PROJECT_NUMBER, "projectId": GCP_PROJECT},
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
    "aws:ec2/eip:Eip": _named("publicIp", "allocationId"),
    "aws:ecr/repository:Repository": _named("repositoryUrl", "arn"),
    "aws:eks/cluster:Cluster": lambda name, inputs: {
        **_arn(name, inputs),
        "endpoint": f"https://{name}.eks.amazonaws.com",
        "certificateAuthority": {"data": CA},
    },
    "aws:eks/nodeGroup:NodeGroup": _named("nodeGroupName"),
    "aws:iam/role:Role": _arn,
    "aws:s3/bucket:Bucket": lambda name, inputs: {"bucket": f"{name}-x1", "arn": f"arn:aws:s3:::{name}-x1"},
    "gcp:artifactregistry/repository:Repository": _gcp("locations/us-central1/repositories"),
    "gcp:compute/address:Address": _gcp("regions/us-central1/addresses", address="203.0.113.7"),
    "gcp:compute/network:Network": _gcp("global/networks"),
    "gcp:compute/router:Router": _gcp("regions/us-central1/routers"),
    "gcp:compute/subnetwork:Subnetwork": _gcp("regions/us-central1/subnetworks"),
    "gcp:container/cluster:Cluster": _gcp(
        "locations/us-central1/clusters", endpoint="198.51.100.9", masterAuth={"clusterCaCertificate": CA}
    ),
    "gcp:container/nodePool:NodePool": _gcp("locations/us-central1/clusters/c/nodePools"),
    "gcp:serviceaccount/account:Account": lambda name, inputs: {
        "email": f"{inputs['accountId']}@{inputs['project']}.iam.gserviceaccount.com",
        "member": f"serviceAccount:{inputs['accountId']}@{inputs['project']}.iam.gserviceaccount.com",
    },
    "gcp:storage/bucket:Bucket": _gcp("buckets"),
    "gcp:storage/bucketObject:BucketObject": _gcp("objects", md5hash="bWQ1"),
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
    "azure-native:managedidentity:UserAssignedIdentity": _arm(
        "Microsoft.ManagedIdentity",
        "userAssignedIdentities",
        clientId=lambda n: f"{n}-client",
        principalId=lambda n: f"{n}-principal",
    ),
    "azure-native:network:NatGateway": _arm("Microsoft.Network", "natGateways"),
    "azure-native:network:PublicIPAddress": _arm("Microsoft.Network", "publicIPAddresses", ipAddress="203.0.113.8"),
    "azure-native:network:Subnet": _arm("Microsoft.Network", "subnets"),
    "azure-native:network:VirtualNetwork": _arm("Microsoft.Network", "virtualNetworks"),
    "azure-native:resources:ResourceGroup": _arm("", "resourceGroups"),
    "azure-native:storage:Blob": _arm("Microsoft.Storage", "blobs", property_="blobName"),
    "azure-native:storage:BlobContainer": _arm("Microsoft.Storage", "containers", property_="containerName"),
    "azure-native:storage:StorageAccount": _arm("Microsoft.Storage", "storageAccounts", property_="accountName"),
    "kubernetes:cert-manager.io/v1:CertificateRequest": lambda name, inputs: {
        "status": {"ca": base64.b64encode(f"-----BEGIN CERTIFICATE-----\n{name}\n".encode()).decode()}
    },
    "kubernetes:helm.sh/v3:Release": lambda name, inputs: {"name": f"{name}-x1", "status": {"status": "deployed"}},
}
"""Computed outputs by type token; `id` is the resource's id."""

RESHAPED: dict[str, Mapping[str, Any]] = {
    "azure-native:containerservice:ManagedCluster": {
        "identity": {"type": "UserAssigned", "userAssignedIdentities": {}}
    },
}
"""Outputs by type token that share a name with an input but not its shape, so that the input cannot stand for them."""
