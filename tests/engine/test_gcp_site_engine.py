"""A whole site on Google Cloud with everything of production, through the real engine and the simulated vendor."""

import json

import pytest

from localcloud import ledger
from tests.daemon import Daemon
from tests.engine.engine_project import ROOT, Alive, Project

pytestmark = pytest.mark.engine

PROGRAM = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import pulumi, pulumi_gcp as gcp
from components._capacity import CapacityPolicy
from components._hardening import Hardening
from components.gcp_ci_identity import GcpCiIdentity, GcpCiIdentityArgs
from components.gke_serving_cluster import GkeServingCluster, GkeServingClusterArgs

config = pulumi.Config()
sites, providers = {{}}, {{}}
for name, region in (("iowa", "us-central1"), ("belgium", "europe-west1")):
    if name == "belgium" and not config.get_bool("two"):
        continue
    cloud = gcp.Provider(f"{{name}}-gcp", project="tricorn-local", region=region)
    providers[name] = pulumi.ResourceOptions(providers=[cloud])
    policy = CapacityPolicy(gpu_class="L4-class", max_nodes=2, spot_percent=50, zones=[f"{{region}}-b"],
                            reservation_id="l4-block")
    public = Hardening(public_endpoint=True, authorized_ranges=["198.51.100.0/24"])
    sites[name] = GkeServingCluster(name, GkeServingClusterArgs(
        project="tricorn-local", region=region, kubernetes_version="1.36", namespace="serving",
        service_account="models", system_min_nodes=1, system_max_nodes=2, gpu_pools={{"l4": policy}},
        zones=[f"{{region}}-a", f"{{region}}-b"], mirror=True, protect=False, admin_groups=["platform@example.com"],
        hardening=public if config.get_bool("public") else None), providers[name])
    sites[name].upload("scenes", "bundles/scenes/" + "a" * 64 + ".tar", "bundle.tar")
ci = GcpCiIdentity("pipeline", GcpCiIdentityArgs(
    project="tricorn-local", issuer="https://token.actions.githubusercontent.com",
    preview_subject="repo:acme/models:pull_request", deploy_subject="repo:acme/models:environment:production",
), providers["iowa"])
pulumi.export("kubeconfigs", {{name: site.kubeconfig for name, site in sites.items()}})
pulumi.export("issuers", {{name: site.issuer_url for name, site in sites.items()}})
pulumi.export("image", sites["iowa"].image("docker.io/tensorflow/serving:2.20.0@sha256:" + "ab" * 32))
pulumi.export("accounts", [ci.preview_service_account, ci.deploy_service_account, ci.provider_name])
"""
KEPT = ("gcp:projects/iAMAuditConfig:IAMAuditConfig", "gcp:logging/projectBucketConfig:ProjectBucketConfig")
"""Settings of the project that outlive a site on purpose."""


@pytest.fixture
def project(tmp_path):
    alive = Alive("gcp")
    made = Project(tmp_path, PROGRAM)
    (made.directory / "bundle.tar").write_bytes(b"model")
    daemon = Daemon(made.store, "gcp")
    yield made
    daemon.stop()
    alive.die()


def outputs(project):
    return json.loads(project.run("stack", "output", "--json", expect=0).out)


def test_a_site_of_production_comes_changes_and_goes(project):
    project.run("preview", expect=0)
    assert project.rows() == set()
    project.up()
    assert project.leaked() == set()
    (cluster,) = project.store.clusters("gcp")
    found = outputs(project)
    entry = json.loads(found["kubeconfigs"]["iowa"])["clusters"][0]["cluster"]
    assert entry == {"server": cluster.endpoint}
    assert found["issuers"]["iowa"] == cluster.attributes["issuer"]
    assert found["image"].startswith("us-central1-docker.pkg.dev/tricorn-local/iowa-registry-docker-")
    assert found["image"].endswith("/tensorflow/serving:2.20.0@sha256:" + "ab" * 32)
    (identity,) = ledger.identities(project.store, "gcp")
    with project.store.connect() as db:
        (stored,) = db.execute("select bucket, key from objects where cloud='gcp'").fetchall()
    assert ledger.may_read(project.store, "gcp", identity.principal, stored["bucket"], stored["key"])
    assert not ledger.may_read(project.store, "gcp", identity.principal, stored["bucket"], "secrets/plan.txt")
    gpus = {pool.spec["spot"]: pool.spec for pool in project.store.pools("gcp") if pool.spec["gpus"]}
    assert gpus[False]["zones"] == gpus[True]["zones"] == ["us-central1-b"]
    assert all([taint["key"] for taint in spec["taints"]] == ["nvidia.com/gpu"] for spec in gpus.values())
    project.run("preview", "--expect-no-changes", expect=0)
    project.run("refresh", "--yes", "--skip-preview", "--expect-no-changes", expect=0)

    project.config(public="true")
    project.up()
    entry = json.loads(outputs(project)["kubeconfigs"]["iowa"])["clusters"][0]["cluster"]
    assert entry["server"] == cluster.endpoint
    assert entry["certificate-authority-data"]
    assert [each.id for each in project.store.clusters("gcp")] == [cluster.id]

    project.run("destroy", "--yes", "--skip-preview", expect=0)
    assert {row.type for row in project.store.resources("gcp")} == set(KEPT)
    assert project.store.clusters("gcp") == []
    assert ledger.addresses(project.store, "gcp") == []


def test_two_sites_share_a_project_and_one_may_go(project):
    project.config(two="true")
    project.up()
    assert {each.region for each in project.store.clusters("gcp")} == {"us-central1", "europe-west1"}
    project.config(two="false")
    project.up()
    assert {each.region for each in project.store.clusters("gcp")} == {"us-central1"}
    # What both declare of the project, such as its services, is still there for the one that stays.
    project.run("refresh", "--yes", "--skip-preview", "--expect-no-changes", expect=0)
