"""Reusable Pulumi components: networks, clusters, GPU pools, registries, model stores and what serves models on them.

Names are imported when they are first used, so that a stack on one cloud needs the SDK of no other.
"""

import importlib
from typing import Any

_MODULES = {
    "AcrRegistry": "acr_registry",
    "AksAddress": "aks_address",
    "AksCluster": "aks_cluster",
    "AksGpuPool": "aks_gpu_pool",
    "AksNetwork": "aks_network",
    "AksNodePool": "aks_node_pool",
    "AksServingCluster": "aks_serving_cluster",
    "AksWorkloadIdentity": "aks_workload_identity",
    "ArtifactRegistry": "artifact_registry",
    "AwsAcmeIdentity": "aws_acme_identity",
    "AwsCiIdentity": "aws_ci_identity",
    "AwsDnsZone": "aws_dns_zone",
    "AwsKmsKey": "aws_kms_key",
    "AzureCiIdentity": "azure_ci_identity",
    "AzureKeyVault": "azure_key_vault",
    "AzureLock": "azure_lock",
    "AzurePrivateLink": "azure_private_link",
    "BlobModelStore": "blob_model_store",
    "ClusterAutoscaler": "eks_cluster_autoscaler",
    "CertManager": "cert_manager",
    "CiIdentity": "ci_identity",
    "EcrRegistry": "ecr_registry",
    "EksAddons": "eks_addons",
    "EksAddress": "eks_address",
    "EksCluster": "eks_cluster",
    "EksGpuPool": "eks_gpu_pool",
    "EksNetwork": "eks_network",
    "EksNodePool": "eks_node_pool",
    "EksServingCluster": "eks_serving_cluster",
    "EksWorkloadIdentity": "eks_workload_identity",
    "ExistingServingCluster": "existing_serving_cluster",
    "GatewayIngress": "gateway_ingress",
    "GcpAuditLogs": "gcp_audit_logs",
    "GcpCiIdentity": "gcp_ci_identity",
    "GcpDnsZone": "gcp_dns_zone",
    "GcpKmsKeys": "gcp_kms_keys",
    "GcsModelStore": "gcs_model_store",
    "GkeAddress": "gke_address",
    "GkeCluster": "gke_cluster",
    "GkeFirewall": "gke_firewall",
    "GkeGpuPool": "gke_gpu_pool",
    "GkeNetwork": "gke_network",
    "GkeNodePool": "gke_node_pool",
    "GkeServices": "gke_services",
    "GkeServingCluster": "gke_serving_cluster",
    "GkeWorkloadIdentity": "gke_workload_identity",
    "GlobalEndpoint": "global_endpoint",
    "LoadBalancerController": "eks_load_balancer_controller",
    "ModelRoutes": "model_routes",
    "ModelServer": "model_server",
    "NvidiaDevicePlugin": "nvidia_device_plugin",
    "PeerBackends": "peer_backends",
    "PeerIdentity": "peer_identity",
    "S3ModelStore": "s3_model_store",
    "ServingNamespace": "serving_namespace",
    "SiteCertificate": "site_certificate",
}
_VALUES = {
    **_MODULES,
    **{f"{name}Args": module for name, module in _MODULES.items()},
    "EndpointRecords": "_endpoint",
    "AzureEncryptionKey": "azure_key_vault",
    "CapacityPolicy": "_capacity",
    "Hardening": "_hardening",
    "Peer": "peer_backends",
    "SiteTarget": "_endpoint",
}

__all__ = sorted(_VALUES)


def __getattr__(name: str) -> Any:
    """Import a class from its module."""
    if name not in _VALUES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"components.{_VALUES[name]}"), name)
