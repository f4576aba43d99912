"""Mistakes in a stack's settings are refused by the program before anything is created, in words a person can use."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from localcloud import lifecycle
from localcloud.environment import variables
from localcloud.paths import RunPaths

pytestmark = pytest.mark.engine
ROOT = Path(__file__).resolve().parents[2]
BUNDLES = ROOT / "build" / "bundles" / "scenes"


class Stack:
    """The project's own stack `local` on clouds that are not running: nothing can be created by accident."""

    def __init__(self, root: Path) -> None:
        paths = RunPaths(root)
        os.environ["TRICORN_LOCAL"] = str(root)
        try:
            lifecycle.create_run(paths)
            self.environment = {**os.environ, **variables(paths)}
        finally:
            del os.environ["TRICORN_LOCAL"]
        self._config = root / "Pulumi.trial.yaml"
        self._run("stack", "init", "local")

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["pulumi", *arguments, "--non-interactive", "--color=never"], cwd=ROOT, env=self.environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    def preview(self, change) -> subprocess.CompletedProcess[str]:
        document = yaml.safe_load((ROOT / "Pulumi.local.yaml").read_text())
        change(document["config"]["tricorn:settings"])
        self._config.write_text(yaml.safe_dump(document))
        return self._run("preview", "--stack", "local", "--config-file", str(self._config))

    def resources(self) -> list[dict]:
        deployment = json.loads(self._run("stack", "export", "--stack", "local").stdout)["deployment"]
        return deployment.get("resources") or []


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    lifecycle.ensure_bundles(print)
    return Stack(tmp_path_factory.mktemp("stack") / "run")


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    text = done.stdout + done.stderr
    assert done.returncode != 0, text
    for word in words:
        assert word in text, text
    assert "Traceback" not in text, text


def test_mistakes_are_told_together_each_with_path_value_rule_and_fix(stack):
    def change(settings):
        settings["sites"]["aws"]["wieght"] = 3
        settings["ingress"]["port"] = "8080"
        del settings["sites"]["gcp"]["project"]
        small = settings["pools"]["t4"]
        settings["pools"] |= {
            "unknown": {**small, "gpu": "T5-class"},
            "newer": {**small, "gpu": "B200"},
        }

    done = stack.preview(change)
    refused(done)
    lines = (done.stdout + done.stderr).splitlines()
    for path, *words in (
        ("settings.sites.aws.wieght", "weight"),
        ("settings.ingress.port", "whole number", "8080"),
        ("settings.sites.gcp.project", "required"),
        ("settings.pools.unknown.gpu", "T5-class", "T4-class"),
        ("settings.pools.newer.gpu", "B200", "Blackwell", "T4-class"),
    ):
        # The engine prints the program's message and its own, which repeats it.
        said = {each.strip() for each in lines if path in each}
        assert said, path
        assert all(word in line for line in said for word in words), said
    assert stack.resources() == []


def test_a_gpu_that_a_cloud_lacks_is_named_with_what_there_is(stack):
    def change(settings):
        settings["pools"]["t4"]["gpu"] = "L4-class"

    refused(stack.preview(change), "pools.t4.gpu", "L4-class", "azure", "use one of")
    assert stack.resources() == []


def test_a_missing_bundle_is_one_message_with_its_fix(stack):
    def change(settings):
        settings["models"]["scenes"]["bundle"] = "build/bundles/nothing"

    done = stack.preview(change)
    refused(done, "settings.models.scenes.stable", "build/bundles/nothing/1.json", "model_export export")
    assert stack.resources() == []


def test_a_bundle_altered_by_one_byte_is_refused(stack, tmp_path):
    shutil.copytree(BUNDLES, tmp_path / "scenes")
    (archive,) = (tmp_path / "scenes").glob("*.tar")
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)

    def change(settings):
        settings["models"]["scenes"]["bundle"] = str(tmp_path / "scenes")

    refused(stack.preview(change), "settings.models.scenes.stable", archive.name, "SHA-256", "altered")
    assert stack.resources() == []


def test_a_stack_without_settings_says_where_to_get_them(stack):
    done = stack.preview(lambda settings: settings.clear())
    refused(done, "settings", "domain")
