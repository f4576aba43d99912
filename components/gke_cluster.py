"""GKE control plane."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_gcp as gcp

from components._base import coerce, protected, reject, token
from components._kubernetes import exec_kubeconfig
from components._limits import version_problems
from components._naming import physical, stack_scope, tags
from components.gke_network import PODS_RANGE, SERVICES_RANGE

NODE_ROLES = ("roles/container.defaultNodeServiceAccount", "roles/artifactregistry.reader")


@dataclass(frozen=True, kw_only=True)
class GkeClusterArgs:
    """Arguments of `GkeCluster`."""

    project: str
    """Google Cloud project id."""
    region: str
    """Region of the control plane and the nodes. A change replaces the cluster."""
    kubernetes_version: str
    """Oldest minor version of the control plane, e.g. `1.36`; the release channel may be ahead of it."""
    network_id: pulumi.Input[str]
    """Id of the network."""
    subnetwork_id: pulumi.Input[str]
    """Id of the subnetwork, with secondary ranges `pods` and `services`."""
    protect: Optional[bool] = None
    """Refuse to delete the cluster. Default True."""
    labels: Optional[dict[str, str]] = None
    """Labels of every resource, beside the component's own."""

    def __post_init__(self) -> None:
        reject("GkeCluster", version_problems(self.kubernetes_version))


class GkeCluster(pulumi.ComponentResource):
    """A regional, VPC-native GKE control plane with private nodes and workload identity.

    Makes no lasting node pool; makes the service account its pools use. Needs the roles `roles/container.admin`,
    `roles/iam.serviceAccountAdmin` and `roles/resourcemanager.projectIamAdmin`.
    """

    cluster_id: pulumi.Output[str]
    """Full id, `projects/P/locations/L/clusters/C`."""
    cluster_name: pulumi.Output[str]
    """Physical name of the cluster."""
    node_service_account: pulumi.Output[str]
    """Email of the service account for node pools."""
    kubeconfig: pulumi.Output[str]
    """Kubeconfig (JSON) that calls `gke-gcloud-auth-plugin`; holds no credentials."""

    def __init__(self, name: str, args: GkeClusterArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(GkeCluster), name, {}, opts)
        a = coerce(GkeClusterArgs, args)
        child = pulumi.ResourceOptions(parent=self)
        account = gcp.serviceaccount.Account(
            f"{name}-nodes",
            account_id=physical("gcp", "service_account", f"{name}-nodes", stack_scope(a.project)),
            display_name=f"Nodes of {name}",
            project=a.project,
            opts=child,
        )
        grants = [
            gcp.projects.IAMMember(
                f"{name}-nodes-{role.rpartition('.')[2]}",
                project=a.project,
                role=role,
                member=account.member,
                opts=child,
            )
            for role in NODE_ROLES
        ]
        cluster = gcp.container.Cluster(
            f"{name}-gke",
            project=a.project,
            location=a.region,
            min_master_version=a.kubernetes_version,
            network=a.network_id,
            subnetwork=a.subnetwork_id,
            networking_mode="VPC_NATIVE",
            ip_allocation_policy=gcp.container.ClusterIpAllocationPolicyArgs(
                cluster_secondary_range_name=PODS_RANGE, services_secondary_range_name=SERVICES_RANGE
            ),
            private_cluster_config=gcp.container.ClusterPrivateClusterConfigArgs(
                enable_private_nodes=True, enable_private_endpoint=False
            ),
            datapath_provider="ADVANCED_DATAPATH",
            workload_identity_config=gcp.container.ClusterWorkloadIdentityConfigArgs(
                workload_pool=f"{a.project}.svc.id.goog"
            ),
            release_channel=gcp.container.ClusterReleaseChannelArgs(channel="REGULAR"),
            enable_shielded_nodes=True,
            remove_default_node_pool=True,
            initial_node_count=1,
            # The default pool lives for minutes only, but must not run as the all-powerful default account either.
            node_config=gcp.container.ClusterNodeConfigArgs(service_account=account.email),
            deletion_protection=a.protect is not False,
            resource_labels=tags("GkeCluster", a.labels),
            opts=protected(self, a.protect, depends_on=grants, ignore_changes=["nodeConfig", "initialNodeCount"]),
        )
        self.cluster_id = cluster.id
        self.cluster_name = cluster.name
        self.node_service_account = pulumi.Output.all(account.email, *[grant.id for grant in grants]).apply(
            lambda values: str(values[0])
        )
        self.kubeconfig = exec_kubeconfig(
            server=pulumi.Output.concat("https://", cluster.endpoint),
            certificate_authority=cluster.master_auth.apply(lambda auth: auth.cluster_ca_certificate),
            command="gke-gcloud-auth-plugin",
            arguments=[],
            install_hint="Install the component gke-gcloud-auth-plugin of the Google Cloud CLI.",
        )
        self.register_outputs(
            {
                "cluster_id": self.cluster_id,
                "cluster_name": self.cluster_name,
                "node_service_account": self.node_service_account,
                "kubeconfig": self.kubeconfig,
            }
        )
