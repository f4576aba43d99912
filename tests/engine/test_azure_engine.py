"""A whole Azure site as production has it, and the identities of a pipeline, through the real engine."""

import json

import pytest

from tests.daemon import Daemon
from tests.engine.engine_project import ROOT, Alive, Project

pytestmark = pytest.mark.engine

LOCK = "azure-native:authorization:ManagementLockByScope"
POOL = "azure-native:containerservice:AgentPool"
SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
PROGRAM = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import pulumi, pulumi_azure_native as az
from components._hardening import Hardening
from components.aks_gpu_pool import AksGpuPool, AksGpuPoolArgs
from components.aks_serving_cluster import AksServingCluster, AksServingClusterArgs
from components.azure_ci_identity import AzureCiIdentity, AzureCiIdentityArgs

config = pulumi.Config()
protect = config.get_bool("protect")
public = Hardening(public_endpoint=True, authorized_ranges=["198.51.100.0/24", "203.0.113.9/32"])
on_az = pulumi.ResourceOptions(
    providers=[az.Provider("azure", subscription_id="{SUBSCRIPTION}", location="eastus")]
)
site = AksServingCluster(
    "site",
    AksServingClusterArgs(
        subscription_id="{SUBSCRIPTION}", location="eastus", kubernetes_version="1.36", namespace="serving",
        service_account="models", system_min_nodes=1, system_max_nodes=2, mirror=True, protect=protect,
        docker_hub_vault_id="/subscriptions/{SUBSCRIPTION}/resourceGroups/shared/providers/Microsoft.KeyVault/vaults/hub",
        hardening=public if config.get_bool("public") else None,
    ),
    on_az,
)
site.upload("scenes", "bundles/scenes/" + "a" * 64 + ".tar", "bundle.tar")
AzureCiIdentity(
    "ci",
    AzureCiIdentityArgs(
        subscription_id="{SUBSCRIPTION}", location="eastus", issuer="https://token.actions.githubusercontent.com",
        preview_subject="repo:example/ml:pull_request", deploy_subject="repo:example/ml:environment:prod",
    ),
    on_az,
)
pulumi.export("image", site.image("docker.io/tensorflow/serving:2.20.0-gpu@sha256:" + "b" * 64))
pulumi.export("issuer", site.issuer_url)
"""


@pytest.fixture
def project(tmp_path):
    alive = Alive("azure")
    made = Project(tmp_path, PROGRAM)
    (made.directory / "bundle.tar").write_bytes(b"model")
    daemon = Daemon(made.store, "azure")
    yield made
    daemon.stop()
    alive.die()


def types(project):
    return [row.type for row in project.store.resources("azure")]


def test_a_production_site_is_made_changed_and_unmade_although_it_is_locked(project):
    project.config(protect="true")
    project.run("preview", expect=0)
    assert project.rows() == set()
    project.up()
    assert project.leaked() == set()
    outputs = json.loads(project.run("stack", "output", "--json", expect=0).out)
    host, _, path = outputs["image"].partition("/")
    assert host.endswith(".azurecr.io")
    assert path == "docker-hub/tensorflow/serving:2.20.0-gpu@sha256:" + "b" * 64
    assert outputs["issuer"].startswith("https://eastus.oic.prod-aks.azure.com/")
    assert types(project).count(LOCK) == 3
    project.run("preview", "--expect-no-changes", expect=0)
    project.run("refresh", "--yes", "--skip-preview", "--expect-no-changes", expect=0)

    refused = project.run("destroy", "--yes", "--skip-preview")
    assert refused.code != 0
    assert "protect" in refused.text

    # Public and back: the same cluster, because its API servers are in the network.
    project.config(public="true")
    assert "replace" not in project.up().out
    project.config(public="false", protect="false")
    assert "replace" not in project.up().out
    assert types(project).count(LOCK) == 0
    project.run("destroy", "--yes", "--skip-preview", expect=0)
    assert project.rows() == set()
    assert project.store.clusters("azure") == []

    # The name of the deleted vault stays taken for 90 days, and a new site must not need it.
    project.config(protect="true")
    project.up()
    assert project.leaked() == set()
    # Locks go first, or nothing else could.
    project.run("state", "unprotect", "--all", "--yes", expect=0)
    project.run("destroy", "--yes", "--skip-preview", expect=0)
    assert project.rows() == set()
