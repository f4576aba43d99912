"""GKE control plane."""

import hashlib
from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_gcp as gcp

from components._base import coerce, protected, reject, token
from components._gke_control_plane import anonymous_health_only, endpoint, logging, maintenance, monitoring, reach
from components._hardening import PRODUCTION, Hardening
from components._limits import Problems, version_problems
from components._naming import physical, stack_scope, tags
from components.gke_network import PODS_RANGE, SERVICES_RANGE

NODE_ROLES = ("roles/container.defaultNodeServiceAccount", "roles/serviceusage.serviceUsageConsumer")
"""Logs, metrics and the like; the second one is what image streaming asks of an account that is not the default."""
ADMIN_ROLE = "roles/container.admin"


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
    zones: Optional[list[str]] = None
    """Zones of the nodes. Default three that GKE chooses."""
    hardening: Optional[Hardening] = None
    """How closed and how well kept the cluster is. Default that of production."""
    secrets_key: Optional[pulumi.Input[str]] = None
    """Id of the Cloud KMS key that encrypts Kubernetes secrets. Default none: Google's own encrypts the disk alone."""
    disk_key: Optional[pulumi.Input[str]] = None
    """Id of the Cloud KMS key of the first nodes' disks, which live for minutes. Default Google's own."""
    admin_groups: Optional[list[str]] = None
    """E-mail addresses of Google groups that administer this cluster, which they must name: they see no list of them.
    Default none."""
    protect: Optional[bool] = None
    """Refuse to delete the cluster. Default True."""
    labels: Optional[dict[str, str]] = None
    """Labels of every resource, beside the component's own."""

    def __post_init__(self) -> None:
        bad = version_problems(self.kubernetes_version)
        reject("GkeCluster", [*bad, *zone_problems(self.region, self.zones), *group_problems(self.admin_groups)])


def zone_problems(region: str, zones: Optional[list[str]]) -> Problems:
    """Problems of a cluster's zones, which must be different ones of its region."""
    bad: Problems = []
    if zones is not None and (not zones or len({*zones}) < len(zones)):
        bad.append(("zones", f"must be different zones, at least one, got {zones}"))
    bad += [
        ("zones", f"must be zones of the region {region}, got {zone!r}")
        for zone in zones or []
        if zone.rpartition("-")[0] != region
    ]
    return bad


def group_problems(groups: Optional[list[str]]) -> Problems:
    """Problems of the administrators' groups, which must be different e-mail addresses."""
    bad = [("adminGroups", f"must be e-mail addresses, got {each!r}") for each in groups or [] if "@" not in each]
    if groups is not None and len({*groups}) < len(groups):
        bad.append(("adminGroups", f"must differ, got {groups}"))
    return bad


class GkeCluster(pulumi.ComponentResource):
    """A regional, VPC-native GKE control plane with private nodes and workload identity.

    Its API server is reached by the cluster's DNS name, which checks every caller's IAM permissions before a request
    gets there and needs no VPN, or, with `public_endpoint`, by address from the authorized ranges. Makes no lasting
    node pool; makes the service account its pools use. Needs the roles `roles/container.admin`,
    `roles/iam.serviceAccountAdmin`, `roles/iam.serviceAccountUser` and `roles/resourcemanager.projectIamAdmin`.
    """

    cluster_id: pulumi.Output[str]
    """Full id, `projects/P/locations/L/clusters/C`."""
    cluster_name: pulumi.Output[str]
    """Physical name of the cluster."""
    node_service_account: pulumi.Output[str]
    """Email of the service account for node pools."""
    kubeconfig: pulumi.Output[str]
    """Kubeconfig (JSON) that calls `gke-gcloud-auth-plugin`; holds no credentials."""
    issuer_url: pulumi.Output[str]
    """OpenID Connect issuer of the cluster's service accounts."""

    def __init__(self, name: str, args: GkeClusterArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(GkeCluster), name, {}, opts)
        a = coerce(GkeClusterArgs, args)
        hard = a.hardening or PRODUCTION
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
            node_locations=a.zones,
            min_master_version=a.kubernetes_version,
            network=a.network_id,
            subnetwork=a.subnetwork_id,
            networking_mode="VPC_NATIVE",
            ip_allocation_policy=gcp.container.ClusterIpAllocationPolicyArgs(
                cluster_secondary_range_name=PODS_RANGE, services_secondary_range_name=SERVICES_RANGE
            ),
            datapath_provider="ADVANCED_DATAPATH",
            enable_intranode_visibility=True,
            workload_identity_config=gcp.container.ClusterWorkloadIdentityConfigArgs(
                workload_pool=f"{a.project}.svc.id.goog"
            ),
            database_encryption=gcp.container.ClusterDatabaseEncryptionArgs(
                state="DECRYPTED" if a.secrets_key is None else "ENCRYPTED", key_name=a.secrets_key
            ),
            binary_authorization=gcp.container.ClusterBinaryAuthorizationArgs(
                evaluation_mode="PROJECT_SINGLETON_POLICY_ENFORCE"
            ),
            # Its vulnerability mode is no longer supported; the registry scans images instead.
            security_posture_config=gcp.container.ClusterSecurityPostureConfigArgs(
                mode="DISABLED" if hard.scanning is False else "BASIC"
            ),
            enable_legacy_abac=False,
            enable_shielded_nodes=True,
            master_auth=gcp.container.ClusterMasterAuthArgs(
                client_certificate_config=gcp.container.ClusterMasterAuthClientCertificateConfigArgs(
                    issue_client_certificate=False
                )
            ),
            **reach(hard),
            **anonymous_health_only(),
            logging_config=logging(),
            monitoring_config=monitoring(),
            maintenance_policy=maintenance(),
            release_channel=gcp.container.ClusterReleaseChannelArgs(channel="REGULAR"),
            remove_default_node_pool=True,
            initial_node_count=1,
            # The default pool lives for minutes only, but must not run as the all-powerful default account either.
            node_config=gcp.container.ClusterNodeConfigArgs(
                service_account=account.email, boot_disk_kms_key=a.disk_key
            ),
            deletion_protection=a.protect is not False,
            resource_labels=tags("GkeCluster", a.labels),
            opts=protected(self, a.protect, depends_on=grants, ignore_changes=["nodeConfig", "initialNodeCount"]),
        )
        self._admit(name, a, cluster)
        self.cluster_id = cluster.id
        self.cluster_name = cluster.name
        self.node_service_account = pulumi.Output.all(account.email, *[grant.id for grant in grants]).apply(
            lambda values: str(values[0])
        )
        self.kubeconfig = endpoint(hard, cluster)
        self.issuer_url = pulumi.Output.concat("https://container.googleapis.com/v1/", cluster.id)
        self.register_outputs(
            {
                "cluster_id": self.cluster_id,
                "cluster_name": self.cluster_name,
                "node_service_account": self.node_service_account,
                "kubeconfig": self.kubeconfig,
                "issuer_url": self.issuer_url,
            }
        )

    def _admit(self, name: str, a: GkeClusterArgs, cluster: gcp.container.Cluster) -> None:
        """Make groups administrators of this cluster and of no other, by IAM alone: no RBAC object can be forgotten.

        Nothing is granted in the project as a whole: two clusters would share that grant, and the first one that goes
        would take it along.
        """
        for group in a.admin_groups or []:
            gcp.projects.IAMMember(
                f"{name}-admin-{hashlib.sha256(group.encode()).hexdigest()[:8]}",
                project=a.project,
                role=ADMIN_ROLE,
                member=f"group:{group}",
                condition=gcp.projects.IAMMemberConditionArgs(
                    title=f"cluster-{name}",
                    description=f"The cluster {name} alone",
                    expression=pulumi.Output.concat('resource.name.startsWith("', cluster.id, '")'),
                ),
                opts=pulumi.ResourceOptions(parent=self),
            )
