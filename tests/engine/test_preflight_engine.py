"""The preflight of the project's own stack on the real engine: what the clouds' tables say decides a preview."""

import os

import pytest

from localcloud import lifecycle
from localcloud.paths import RunPaths
from localcloud.providers.gcp_quotas import ALL_REGIONS
from localcloud.providers.machines import NOT_OFFERED
from localcloud.store import Store
from tests.engine.engine_project import Alive
from tests.engine.test_stack_bad_input import Stack

pytestmark = pytest.mark.engine

CLOUDS = ("aws", "gcp", "azure")
QUOTA = "aws:servicequotas/getServiceQuota:getServiceQuota"


class LivingStack(Stack):
    """The stack on clouds whose APIs answer; no cluster ever starts."""

    def __init__(self, root):
        super().__init__(root)
        self.store = Store(RunPaths(root).database)

    def up(self):
        return self._run("up", "--yes", "--skip-preview", "--stack", "local", "--config-file", str(self._config))

    def made(self):
        return {row.type for cloud in CLOUDS for row in self.store.resources(cloud)}

    def allow(self, cloud, region, code, maximum):
        with self.store.connect() as db:
            db.execute("insert or replace into quotas values(?,?,?,?)", (cloud, region, code, maximum))

    def offer(self, cloud, zone, machine_type, free):
        with self.store.connect() as db:
            db.execute("insert or replace into capacity values(?,?,?,?)", (cloud, zone, machine_type, free))


@pytest.fixture
def stack(tmp_path):
    os.environ.pop("TRICORN_LOCAL", None)
    lifecycle.ensure_bundles(print)
    alive = [Alive(cloud) for cloud in CLOUDS]
    yield LivingStack(tmp_path / "run")
    for each in alive:
        each.die()


def nothing(settings):
    """Change no setting."""


def test_quotas_that_are_too_small_are_one_report_at_preview_and_an_update_makes_nothing(stack):
    stack.allow("aws", "us-east-1", "L-DB2E81BA", 4)
    stack.allow("aws", "us-east-1", "L-1216C47A", 5)
    stack.allow("gcp", ALL_REGIONS, "GPUS_ALL_REGIONS", 0)
    for zone in "abcf":
        stack.offer("gcp", f"us-central1-{zone}", "e2-standard-4", NOT_OFFERED)

    def old(settings):
        settings["kubernetesVersion"] = "1.31"

    preview = stack.preview(old)
    text = preview.stdout + preview.stderr
    assert preview.returncode != 0, text
    for words in (
        "asks for what the clouds cannot give",
        "pools.t4.max: the quota L-DB2E81BA of us-east-1 is too small for vCPUs of on-demand G and VT",
        "systemPool.max: the quota L-1216C47A of us-east-1 is too small for vCPUs of on-demand standard",
        "instances (have 4, need 8, at aws); lower max, or ask for more: aws service-quotas request-",
        "instances (have 5, need 12, at aws)",
        "pools.t4.max: the quota GPUS_ALL_REGIONS of tricorn-local is too small",
        "systemPool.machine.gcp: e2-standard-4 is not offered in us-central1-a",
        "kubernetesVersion: EKS has no Kubernetes 1.31 in us-east-1 (have 1.32",
        "kubernetesVersion: GKE has no Kubernetes 1.31 in us-central1",
    ):
        assert words in text, text
    assert "Traceback" not in text

    update = stack.up()
    assert update.returncode != 0
    assert "L-DB2E81BA" in update.stdout + update.stderr
    assert stack.made() == set()
    assert {each["type"] for each in stack.resources()} <= {
        "pulumi:pulumi:Stack", "pulumi:providers:aws", "pulumi:providers:gcp", "pulumi:providers:azure-native",
    }  # fmt: skip


def test_a_missing_permission_and_an_api_that_fails_are_warnings_and_the_preview_goes_on(stack):
    stack.store.add_fault("aws", "invoke", QUOTA, "denied", "servicequotas:GetServiceQuota", times=9)
    stack.store.add_fault("gcp", "invoke", "gcp:cloudquota/*", "error", "cloudquotas.googleapis.com", times=9)
    preview = stack.preview(nothing)
    text = preview.stdout + preview.stderr
    assert preview.returncode == 0, text
    for words in (
        "warning: preflight: quotas of us-east-1 are not known",
        "AccessDenied: the caller may not do this: servicequotas:GetServiceQuota",
        "8 vCPUs of on-demand G and VT instances (L-DB2E81BA)",
        "warning: preflight: quotas of tricorn-local/us-central1 are not known",
        "the cloud could not do it: cloudquotas.googleapis.com",
        "az vm list-usage",
    ):
        assert words in text, text
    assert "gcp:container:Cluster" in text
    assert stack.made() == set()
