"""`python -m deploy` on the real engine: policies by the settings, and frozen sites left exactly as they are."""

import json

import pytest
import yaml

from deploy import __main__ as deploy
from tests.engine.engine_project import Alive, Project

pytestmark = pytest.mark.engine
SITES = {
    "iowa": {"cloud": "gcp", "project": "acme-models", "region": "us-central1", "weight": 50},
    "iowa2": {"cloud": "gcp", "project": "acme-models", "region": "us-central1", "weight": 50},
}
# As the stack does it: what is frozen is not declared at all.
PROGRAM = """
import pulumi
import pulumi_gcp as gcp

config = pulumi.Config("tricorn")
settings = config.require_object("settings")
note = pulumi.Config().get("note") or "first"


class Site(pulumi.ComponentResource):
    def __init__(self, name):
        super().__init__("tricorn:index:GkeServingCluster", name)
        provider = gcp.Provider(f"{name}-gcp", project="tricorn-local", region="us-central1")
        gcp.storage.Bucket(f"{name}-models", location="US", labels={"note": note}, uniform_bucket_level_access=True,
                           versioning=gcp.storage.BucketVersioningArgs(enabled=True),
                           public_access_prevention=pulumi.Config().get("prevention") or "enforced",
                           opts=pulumi.ResourceOptions(parent=self, provider=provider))


for name in settings["sites"]:
    if name not in settings.get("frozen", []):
        Site(name)
"""


class Deployed(Project):
    """A project whose stack file has settings, and the command that deploys it."""

    def settings(self, **changes):
        file = self.directory / "Pulumi.dev.yaml"
        document = yaml.safe_load(file.read_text()) if file.exists() else {}
        own = {key: value for key, value in (document.get("config") or {}).items() if key != "tricorn:settings"}
        settings = {"domain": "serve.example.com", "sites": SITES, **changes}
        file.write_text(yaml.safe_dump({**document, "config": {**own, "tricorn:settings": settings}}))

    def deploy(self, monkeypatch, operation, *arguments):
        with monkeypatch.context() as patch:
            for key, value in self.environment.items():
                patch.setenv(key, value)
            flags = ["--yes"] if operation != "preview" else []
            return deploy.main(
                [operation, "-s", "dev", "--", "--non-interactive", "--color=never", *flags, *arguments], self.directory
            )

    def notes(self):
        """Return the label of every bucket that the clouds hold, by the name of its site."""
        found = {}
        for each in self.state().values():
            if each["type"] == "gcp:storage/bucket:Bucket":
                site = each["urn"].rpartition("::")[2].removesuffix("-models")
                found[site] = each["outputs"]["labels"]["note"]
        return found

    def kept(self, site):
        """Return what the state says of a site, without times and encrypted outputs, which change as it is written."""
        mine = [each for each in self.state().values() if each["urn"].rpartition("::")[2].startswith(f"{site}-")]
        assert mine
        return [{key: each[key] for key in ("urn", "id", "inputs", "parent", "provider")} for each in mine]


@pytest.fixture
def project(tmp_path):
    alive = Alive("gcp")
    yield Deployed(tmp_path, PROGRAM)
    alive.die()


def test_the_settings_decide_whether_a_finding_stops_the_stack(project, monkeypatch, capfd):
    project.config(prevention="inherited")
    project.settings(protect=True)
    assert project.deploy(monkeypatch, "preview") != 0
    assert "iowa-models: publicAccessPrevention must be enforced" in " ".join(capfd.readouterr().out.split())
    assert project.deploy(monkeypatch, "up") != 0
    assert not project.rows()
    project.settings(protect=False)
    assert project.deploy(monkeypatch, "up") == 0
    assert project.notes() == {"iowa": "first", "iowa2": "first"}


def test_a_frozen_site_is_left_alone_by_every_operation_and_comes_back_without_repair(project, monkeypatch, capfd):
    project.settings()
    assert project.deploy(monkeypatch, "up") == 0
    before = project.kept("iowa")

    project.settings(frozen=["iowa"])
    project.config(note="second")
    assert project.deploy(monkeypatch, "preview") == 0
    assert "frozen: 3 resources of iowa are left as they are" in capfd.readouterr().err
    assert project.deploy(monkeypatch, "up") == 0
    assert project.notes() == {"iowa": "first", "iowa2": "second"}
    assert project.kept("iowa") == before
    assert project.deploy(monkeypatch, "refresh") == 0
    assert not project.leaked()

    project.settings()
    assert project.deploy(monkeypatch, "up") == 0
    assert project.notes() == {"iowa": "second", "iowa2": "second"}
    assert project.deploy(monkeypatch, "preview", "--expect-no-changes") == 0


def test_without_the_command_a_frozen_site_would_be_deleted(project, monkeypatch):
    """What the exclusions are for; the stack's own program refuses to run without them."""
    project.settings()
    assert project.deploy(monkeypatch, "up") == 0
    project.settings(frozen=["iowa"])
    digest = json.loads(project.run("preview", "--json", expect=0).out)
    assert digest["changeSummary"]["delete"] >= 2
