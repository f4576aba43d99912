"""The cloud components, without what needs a running cluster, through the real engine and the simulated vendors."""

import json

import pytest

from localcloud import ledger
from tests.daemon import Daemon
from tests.engine.engine_project import ROOT, Alive, Project

pytestmark = pytest.mark.engine

PROGRAM = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import pulumi, pulumi_aws as aws, pulumi_gcp as gcp, pulumi_azure_native as az
from components.ecr_registry import EcrRegistry, EcrRegistryArgs
from components.eks_address import EksAddress, EksAddressArgs
from components.eks_cluster import EksCluster, EksClusterArgs
from components.eks_gpu_pool import EksGpuPool, EksGpuPoolArgs
from components.eks_network import EksNetwork, EksNetworkArgs
from components.eks_node_pool import EksNodePool, EksNodePoolArgs
from components.eks_workload_identity import EksWorkloadIdentity, EksWorkloadIdentityArgs
from components.s3_model_store import S3ModelStore, S3ModelStoreArgs
from components.artifact_registry import ArtifactRegistry, ArtifactRegistryArgs
from components.gcs_model_store import GcsModelStore, GcsModelStoreArgs
from components.gke_address import GkeAddress, GkeAddressArgs
from components.gke_cluster import GkeCluster, GkeClusterArgs
from components.gke_gpu_pool import GkeGpuPool, GkeGpuPoolArgs
from components.gke_network import GkeNetwork, GkeNetworkArgs
from components.gke_node_pool import GkeNodePool, GkeNodePoolArgs
from components.gke_workload_identity import GkeWorkloadIdentity, GkeWorkloadIdentityArgs
from components.acr_registry import AcrRegistry, AcrRegistryArgs
from components.aks_address import AksAddress, AksAddressArgs
from components.aks_cluster import AksCluster, AksClusterArgs
from components.aks_gpu_pool import AksGpuPool, AksGpuPoolArgs
from components.aks_network import AksNetwork, AksNetworkArgs
from components.aks_workload_identity import AksWorkloadIdentity, AksWorkloadIdentityArgs
from components.blob_model_store import BlobModelStore, BlobModelStoreArgs
from components.aws_dns_zone import AwsDnsZone, AwsDnsZoneArgs
from components.gcp_dns_zone import GcpDnsZone, GcpDnsZoneArgs
from components._endpoint import EndpointRecords, SiteTarget

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
on_aws = pulumi.ResourceOptions(providers=[aws.Provider("aws", region="us-east-1")])
on_gcp = pulumi.ResourceOptions(providers=[gcp.Provider("gcp", project="tricorn-local", region="us-central1")])
on_az = pulumi.ResourceOptions(providers=[az.Provider("azure", subscription_id=SUBSCRIPTION, location="eastus")])
WHO = dict(namespace="serving", service_account="models")

net = EksNetwork("aws-net", EksNetworkArgs(zones=["us-east-1a", "us-east-1b"]), on_aws)
eks = EksCluster("aws", EksClusterArgs(region="us-east-1", kubernetes_version="1.36", protect=False,
                                       subnet_ids=net.private_subnet_ids), on_aws)
nodes = dict(cluster_name=eks.cluster_name, node_role_arn=eks.node_role_arn, subnet_ids=net.private_subnet_ids,
             security_group_id=eks.security_group_id)
EksNodePool("aws-system", EksNodePoolArgs(min_nodes=1, max_nodes=2, **nodes), on_aws)
EksGpuPool("aws-t4", EksGpuPoolArgs(pool="t4", gpu_class="T4-class", max_nodes=2, **nodes), on_aws)
s3 = S3ModelStore("aws-models", S3ModelStoreArgs(protect=False), on_aws)
EksWorkloadIdentity("aws-identity", EksWorkloadIdentityArgs(cluster_name=eks.cluster_name, bucket_arn=s3.bucket_arn,
                                                            **WHO), on_aws)
EcrRegistry("aws-registry", EcrRegistryArgs(protect=False), on_aws)
ips = {{"aws": EksAddress("aws-ip", EksAddressArgs(zones=["us-east-1a"], protect=False), on_aws)}}

gnet = GkeNetwork("gcp-net", GkeNetworkArgs(region="us-central1"), on_gcp)
gke = GkeCluster("gcp", GkeClusterArgs(project="tricorn-local", region="us-central1", kubernetes_version="1.36",
                 network_id=gnet.network_id, subnetwork_id=gnet.subnetwork_id, protect=False), on_gcp)
system = GkeNodePool("gcp-system", GkeNodePoolArgs(cluster_id=gke.cluster_id, min_nodes=1, max_nodes=2,
                     node_service_account=gke.node_service_account), on_gcp)
after = pulumi.Output.all(gke.cluster_id, system.pool_name).apply(lambda values: values[0])
GkeGpuPool("gcp-t4", GkeGpuPoolArgs(cluster_id=after, node_service_account=gke.node_service_account, pool="t4",
                                    gpu_class="T4-class", max_nodes=2), on_gcp)
gcs = GcsModelStore("gcp-models", GcsModelStoreArgs(project="tricorn-local", location="us-central1", protect=False),
                    on_gcp)
GkeWorkloadIdentity("gcp-identity", GkeWorkloadIdentityArgs(project="tricorn-local", cluster_id=gke.cluster_id,
                                                            project_number=gcs.project_number,
                                                            bucket_name=gcs.bucket_name, **WHO), on_gcp)
ArtifactRegistry("gcp-registry", ArtifactRegistryArgs(project="tricorn-local", region="us-central1", protect=False),
                 on_gcp)
ips["gcp"] = GkeAddress("gcp-ip", GkeAddressArgs(project="tricorn-local", region="us-central1", protect=False), on_gcp)

group = az.resources.ResourceGroup("azure", location="eastus",
                                   opts=pulumi.ResourceOptions(provider=on_az.providers[0]))
place = dict(resource_group_name=group.name, location="eastus")
anet = AksNetwork("azure-net", AksNetworkArgs(**place), on_az)
aks = AksCluster("azure", AksClusterArgs(subscription_id=SUBSCRIPTION, resource_group_id=group.id, protect=False,
                 kubernetes_version="1.36", subnet_id=anet.subnet_id, system_min_nodes=1, system_max_nodes=2, **place),
                 on_az)
AksGpuPool("azure-t4", AksGpuPoolArgs(resource_group_name=group.name, cluster_name=aks.cluster_name, pool="t4",
                                      subnet_id=anet.subnet_id, gpu_class="T4-class", max_nodes=2), on_az)
blob = BlobModelStore("azure-models", BlobModelStoreArgs(subscription_id=SUBSCRIPTION, protect=False, **place), on_az)
AksWorkloadIdentity("azure-identity", AksWorkloadIdentityArgs(subscription_id=SUBSCRIPTION, issuer_url=aks.issuer_url,
                                                              container_id=blob.container_id, **place, **WHO), on_az)
AcrRegistry("azure-registry", AcrRegistryArgs(subscription_id=SUBSCRIPTION, protect=False,
                                              puller_principal_id=aks.kubelet_principal_id, **place), on_az)
ips["azure"] = AksAddress("azure-ip", AksAddressArgs(protect=False, **place), on_az)

stored = [store.upload("scenes", "bundles/scenes/" + "a" * 64 + ".tar", "bundle.tar") for store in (s3, gcs, blob)]
records = EndpointRecords(domain="serve.tricorn.test", port=8080, ttl=5, health_path="/-/local-health/scenes",
    sites={{site: SiteTarget(weight=1, addresses=address.addresses) for site, address in ips.items()}})
AwsDnsZone("dns-aws", AwsDnsZoneArgs(records=records, protect=False), on_aws)
GcpDnsZone("dns-gcp", GcpDnsZoneArgs(records=records, project="tricorn-local", protect=False), on_gcp)
pulumi.export("kubeconfigs", {{"aws": eks.kubeconfig, "gcp": gke.kubeconfig, "azure": aks.kubeconfig}})
pulumi.export("stored", stored)
"""
CLOUDS = ("aws", "gcp", "azure")


@pytest.fixture
def project(tmp_path):
    alive = [Alive(cloud) for cloud in CLOUDS]
    made = Project(tmp_path, PROGRAM)
    (made.directory / "bundle.tar").write_bytes(b"model")
    daemons = [Daemon(made.store, cloud) for cloud in CLOUDS]
    yield made
    for each in daemons:
        each.stop()
    for each in alive:
        each.die()


def test_the_components_of_all_clouds_can_be_made_and_unmade(project):
    project.run("preview", expect=0)
    assert project.rows() == set()
    project.up()
    assert project.leaked() == set()
    outputs = json.loads(project.run("stack", "output", "--json", expect=0).out)
    for cloud in CLOUDS:
        (cluster,) = project.store.clusters(cloud)
        server = json.loads(outputs["kubeconfigs"][cloud])["clusters"][0]["cluster"]["server"]
        assert server == cluster.endpoint
        (identity,) = ledger.identities(project.store, cloud)
        assert (identity.cluster_id, identity.namespace, identity.service_account) == (cluster.id, "serving", "models")
        with project.store.connect() as db:
            (stored,) = db.execute("select bucket, key from objects where cloud=?", (cloud,)).fetchall()
        assert ledger.may_read(project.store, cloud, identity.principal, stored["bucket"], stored["key"])
        gpus = [pool.spec for pool in project.store.pools(cloud) if pool.spec["gpus"]]
        assert [(spec["gpus"], spec["max"], spec["labels"]["tricorn.dev/pool"]) for spec in gpus] == [(1, 2, "t4")]
        assert [taint["key"] for taint in gpus[0]["taints"]] == ["nvidia.com/gpu"]
    project.run("destroy", "--yes", "--skip-preview", expect=0)
    assert project.rows() == set()
    assert all(project.store.clusters(cloud) == [] for cloud in CLOUDS)
    assert all(ledger.addresses(project.store, cloud) == [] for cloud in CLOUDS)
    with project.store.connect() as db:
        assert all(db.execute(f"select count(*) from {table}").fetchone()[0] == 0  # noqa: S608 - names written here
                   for table in ("pools", "objects", "identities", "grants"))  # fmt: skip
