"""What a cloud adds to the pods on its nodes: where its API is, and the identity of the pod's service account.

On real clouds the API's address comes from DNS and the identity from admission webhooks (EKS Pod Identity, Azure
Workload Identity) or from the node's metadata server (GKE). Here the node agent adds both when a pod starts, so that
manifests stay those of production.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from localcloud.addresses import ENDPOINT_HTTP_PORT, ENDPOINT_HTTPS_PORT, endpoint_address
from localcloud.ledger import Identity

Object = dict[str, Any]
METADATA_PORT = 9880
"""Port of the metadata server on a GKE pod's own address; GKE's own, 988, would need root."""
CA_FILE = "/run/localcloud/ca.crt"
"""Where a container finds the authority that signed the cloud's certificates."""
EKS_AUDIENCE = "pods.eks.amazonaws.com"
AZURE_AUDIENCE = "api://AzureADTokenExchange"
TENANT = "00000000-0000-0000-0000-0000000000aa"
"""Entra tenant of the simulated Azure, the one its provider reports."""
_EKS_MOUNT = "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount"
_AZURE_MOUNT = "/var/run/secrets/azure/tokens"
_TOKEN_S = 86400


def with_edge(
    pod: Object, cloud: str, region: str, address: str, identities: Sequence[Identity], service_account: Object | None
) -> Object:
    """Return a copy of the pod as it runs in the cloud; what its manifest sets stays as it is.

    Args:
        pod: The pod.
        cloud: aws, gcp or azure.
        region: Region of its cluster.
        address: Loopback address of the pod.
        identities: Identities of the pod's cluster.
        service_account: The pod's ServiceAccount object, None when unknown.
    """
    changed = copy.deepcopy(pod)
    metadata, spec = changed["metadata"], changed["spec"]
    account = spec.get("serviceAccountName", "default")
    mine = next(
        (each for each in identities if (each.namespace, each.service_account) == (metadata["namespace"], account)),
        None,
    )
    if cloud == "aws":
        _aws(spec, region, mine)
    elif cloud == "gcp":
        _add(spec, _google(address))
    else:
        _azure(spec, metadata, mine, service_account)
    return changed


def _aws(spec: Object, region: str, identity: Identity | None) -> None:
    endpoint = f"http://{endpoint_address('aws')}:{ENDPOINT_HTTP_PORT}"
    variables = {
        "RCLONE_S3_ENDPOINT": endpoint,
        "RCLONE_S3_FORCE_PATH_STYLE": "true",
        # Nodes of the platform allow one hop to the instance's metadata, which keeps pods away from it.
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": endpoint,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
    }
    if identity is not None:
        token = "eks-pod-identity-token"  # noqa: S105 - a file name
        variables["AWS_STS_REGIONAL_ENDPOINTS"] = "regional"
        variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"{endpoint}/eks/credentials"
        variables["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = f"{_EKS_MOUNT}/{token}"
        _project_token(spec, token, EKS_AUDIENCE, token, _EKS_MOUNT)
    _add(spec, variables)


def _google(address: str) -> dict[str, str]:
    return {
        "RCLONE_GCS_ENDPOINT": f"http://{endpoint_address('gcp')}:{ENDPOINT_HTTP_PORT}/storage/v1/",
        "GCE_METADATA_HOST": f"{address}:{METADATA_PORT}",
    }


def _azure(spec: Object, metadata: Object, identity: Identity | None, service_account: Object | None) -> None:
    endpoint = f"https://{endpoint_address('azure')}:{ENDPOINT_HTTPS_PORT}"
    _add(spec, {"SSL_CERT_FILE": CA_FILE, "RCLONE_AZUREBLOB_DISABLE_INSTANCE_DISCOVERY": "true"})
    for container in _containers(spec):
        # A storage account's name is part of its host name; here it is the first part of the path.
        own = {each["name"]: each.get("value", "") for each in container.get("env") or []}
        account = next((own[name] for name in own if name.startswith("RCLONE_") and name.endswith("_ACCOUNT")), "")
        _add_to(container, {"RCLONE_AZUREBLOB_ENDPOINT": f"{endpoint}/{account}".rstrip("/")})
    if (metadata.get("labels") or {}).get("azure.workload.identity/use") != "true":
        return
    annotations = ((service_account or {}).get("metadata") or {}).get("annotations") or {}
    client = annotations.get("azure.workload.identity/client-id") or (identity.principal if identity else "")
    if client:
        _project_token(spec, "azure-identity-token", AZURE_AUDIENCE, "azure-identity-token", _AZURE_MOUNT)
        _add(
            spec,
            {
                "AZURE_CLIENT_ID": client,
                "AZURE_TENANT_ID": TENANT,
                "AZURE_FEDERATED_TOKEN_FILE": f"{_AZURE_MOUNT}/azure-identity-token",
                "AZURE_AUTHORITY_HOST": f"{endpoint}/",
            },
        )


def _containers(spec: Object) -> list[Object]:
    return [*(spec.get("initContainers") or []), *spec["containers"]]


def _project_token(spec: Object, volume: str, audience: str, file: str, mount: str) -> None:
    source = {"serviceAccountToken": {"audience": audience, "expirationSeconds": _TOKEN_S, "path": file}}
    spec.setdefault("volumes", []).append({"name": volume, "projected": {"sources": [source]}})
    for container in _containers(spec):
        container.setdefault("volumeMounts", []).append({"name": volume, "mountPath": mount, "readOnly": True})


def _add(spec: Object, variables: dict[str, str]) -> None:
    for container in _containers(spec):
        _add_to(container, variables)


def _add_to(container: Object, variables: dict[str, str]) -> None:
    present = {each["name"] for each in container.get("env") or []}
    added = [{"name": name, "value": value} for name, value in variables.items() if name not in present]
    container["env"] = added + list(container.get("env") or [])
