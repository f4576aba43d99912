"""Parts of a GKE control plane's configuration: who reaches it, what it reports, when it changes."""

from typing import Any

import pulumi
import pulumi_gcp as gcp

from components._hardening import Hardening
from components._kubernetes import exec_kubeconfig

LOGS = ["APISERVER", "CONTROLLER_MANAGER", "SCHEDULER", "SYSTEM_COMPONENTS", "WORKLOADS"]
"""Beside these, Google Cloud always keeps the API server's audit log of changes."""
METRICS = [
    "APISERVER", "CADVISOR", "CONTROLLER_MANAGER", "DAEMONSET", "DCGM", "DEPLOYMENT", "HPA", "KUBELET", "POD",
    "SCHEDULER", "STATEFULSET", "STORAGE", "SYSTEM_COMPONENTS",
]  # fmt: skip
WINDOW = ("2026-01-03T02:00:00Z", "2026-01-03T08:00:00Z", "FREQ=WEEKLY;BYDAY=SA,SU")
"""First maintenance window and its repetition; GKE wants at least 48 hours of them in 32 days, and this gives 54."""


def reach(hard: Hardening) -> dict[str, Any]:
    """Arguments of the cluster that say how its API server is reached; nodes never have public addresses."""
    public = bool(hard.public_endpoint)
    endpoints = gcp.container.ClusterControlPlaneEndpointsConfigArgs(
        dns_endpoint_config=gcp.container.ClusterControlPlaneEndpointsConfigDnsEndpointConfigArgs(
            allow_external_traffic=not public
        ),
        ip_endpoints_config=gcp.container.ClusterControlPlaneEndpointsConfigIpEndpointsConfigArgs(enabled=public),
    )
    if not public:
        # Authorized networks and a choice of endpoint would switch the access by address on again
        # (terraform-google-modules/terraform-google-kubernetes-engine#2216).
        return {
            "control_plane_endpoints_config": endpoints,
            "private_cluster_config": gcp.container.ClusterPrivateClusterConfigArgs(enable_private_nodes=True),
        }
    return {
        "control_plane_endpoints_config": endpoints,
        "private_cluster_config": gcp.container.ClusterPrivateClusterConfigArgs(
            enable_private_nodes=True, enable_private_endpoint=False
        ),
        "master_authorized_networks_config": gcp.container.ClusterMasterAuthorizedNetworksConfigArgs(
            cidr_blocks=[
                gcp.container.ClusterMasterAuthorizedNetworksConfigCidrBlockArgs(cidr_block=each)
                for each in hard.authorized_ranges or []
            ],
            gcp_public_cidrs_access_enabled=False,
        ),
    }


def endpoint(hard: Hardening, cluster: gcp.container.Cluster) -> pulumi.Output[str]:
    """Kubeconfig of the cluster by the endpoint that `reach` opens; the DNS name has a certificate that all trust."""
    public = bool(hard.public_endpoint)
    # By way of the id, because in the preview of a new cluster these endpoints are there but have no name yet.
    named = cluster.id.apply(lambda _: cluster.control_plane_endpoints_config)
    host = cluster.endpoint if public else named.apply(lambda config: config.dns_endpoint_config.endpoint)
    return exec_kubeconfig(
        server=pulumi.Output.concat("https://", host),
        certificate_authority=cluster.master_auth.apply(lambda auth: auth.cluster_ca_certificate) if public else None,
        command="gke-gcloud-auth-plugin",
        arguments=[],
        install_hint="Install the component gke-gcloud-auth-plugin of the Google Cloud CLI.",
    )


def anonymous_health_only() -> dict[str, Any]:
    """Arguments of the cluster that show strangers its health alone, and let no role be bound to everybody."""
    return {
        "anonymous_authentication_config": gcp.container.ClusterAnonymousAuthenticationConfigArgs(mode="LIMITED"),
        "rbac_binding_config": gcp.container.ClusterRbacBindingConfigArgs(
            enable_insecure_binding_system_authenticated=False, enable_insecure_binding_system_unauthenticated=False
        ),
    }


def logging() -> gcp.container.ClusterLoggingConfigArgs:
    """Logs of the control plane and of everything that runs."""
    return gcp.container.ClusterLoggingConfigArgs(enable_components=LOGS)


def monitoring() -> gcp.container.ClusterMonitoringConfigArgs:
    """Metrics of the control plane, the workloads and the GPUs."""
    return gcp.container.ClusterMonitoringConfigArgs(
        enable_components=METRICS,
        managed_prometheus=gcp.container.ClusterMonitoringConfigManagedPrometheusArgs(enabled=True),
        advanced_datapath_observability_config=(
            gcp.container.ClusterMonitoringConfigAdvancedDatapathObservabilityConfigArgs(
                enable_metrics=True, enable_relay=False
            )
        ),
    )


def maintenance() -> gcp.container.ClusterMaintenancePolicyArgs:
    """Upgrades at weekends alone."""
    start, end, recurrence = WINDOW
    return gcp.container.ClusterMaintenancePolicyArgs(
        recurring_window=gcp.container.ClusterMaintenancePolicyRecurringWindowArgs(
            start_time=start, end_time=end, recurrence=recurrence
        )
    )
