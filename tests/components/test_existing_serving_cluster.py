"""ExistingServingCluster, and that a further cloud is a matter of adding files."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components._serving_cluster import ServingCluster
from components.existing_serving_cluster import ExistingServingCluster, ExistingServingClusterArgs

ROOT = Path(__file__).resolve().parents[2]
OWN_FILES = {"kubernetes_site.py", "existing_serving_cluster.py"}
REGISTRATION = {"_stack.py", "__init__.py"}


def arguments(**changes: Any) -> ExistingServingClusterArgs:
    values: dict[str, Any] = {
        "kubeconfig_path": "premises.kubeconfig",
        "addresses": ["203.0.113.9"],
        "store_url": "https://files.example.com/models",
    }
    return ExistingServingClusterArgs(**{**values, **changes})


def test_it_makes_nothing_but_a_provider_that_reads_the_kubeconfig_from_its_file(run, preview):
    recording = run(lambda: ExistingServingCluster("p", arguments(context="office")).kubeconfig, preview=preview)
    assert not recording.children()
    provider = recording.one("pulumi:providers:kubernetes", "p-k8s")
    assert (provider.parent, provider.inputs["kubeconfig"]) == ("p", "premises.kubeconfig")
    assert provider.inputs["context"] == "office"
    # Another path, or another certificate in the file, must not replace what is in the cluster.
    assert provider.inputs["clusterIdentifier"] == "p"
    assert recording.value == "premises.kubeconfig"


def test_it_has_every_attribute_of_a_serving_cluster(run):
    def build():
        cluster = ExistingServingCluster(
            "p", arguments(load_balancer_annotations={"metallb.io/address-pool": "public"})
        )
        names = [*ServingCluster.__annotations__, *(key for key in vars(ServingCluster) if not key.startswith("_"))]
        missing = [name for name in names if not hasattr(cluster, name)]
        plain = [cluster.store_kind, cluster.load_balancer_annotations, cluster.issuer_url, cluster.store_account]
        return [
            cluster.addresses, cluster.store_bucket, cluster.image("docker.io/a/b:1"),
            cluster.upload("scenes", "bundles/scenes/abc.tar", "/nowhere.tar"), missing, plain,
        ]  # fmt: skip

    recording = run(build)
    addresses, store, image, key, missing, plain = recording.value
    assert missing == []
    assert (addresses, store) == (["203.0.113.9"], "https://files.example.com/models/")
    assert (image, key) == ("docker.io/a/b:1", "bundles/scenes/abc.tar")
    assert plain == ["http", {"metallb.io/address-pool": "public"}, None, None]
    assert not recording.children()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"kubeconfig_path": ""}, "kubeconfigPath: must be the path of a file, got ''"),
        ({"addresses": []}, "addresses: must name at least one address"),
        ({"addresses": ["a.example.com"]}, "addresses[0]: must be an IPv4 address such as 203.0.113.10"),
        ({"store_url": "files.example.com"}, "storeUrl: must begin with https:// or http://"),
    ],
)
def test_a_bad_value_is_refused_by_name_with_its_rule(changes, text):
    with pytest.raises(pulumi.InputPropertiesError) as refusal:
        arguments(**changes)
    assert text in str(refusal.value)


@pytest.mark.parametrize("given", ["apiVersion: v1\nusers: [{token: s3cr3t}]\n", json.dumps({"token": "s3cr3t"})])
def test_the_contents_of_a_kubeconfig_are_refused_and_not_repeated(given):
    with pytest.raises(pulumi.InputPropertiesError) as refusal:
        arguments(kubeconfig_path=given)
    assert "kubeconfigPath: must be the path of a file" in str(refusal.value)
    assert "s3cr3t" not in str(refusal.value)


def test_a_further_cloud_is_new_files_and_a_line_of_registration_and_nothing_else_knows_of_it():
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "components/*.py"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    mention = re.compile(
        r"""["']kubernetes["']|kubernetes_site|KubernetesSite|ExistingServingCluster|existing_serving"""
    )
    found = {
        Path(name).name: [line.strip() for line in (ROOT / name).read_text().splitlines() if mention.search(line)]
        for name in listed
    }
    knowing = {name: lines for name, lines in found.items() if lines and name not in OWN_FILES}
    assert knowing.keys() == REGISTRATION
    assert [len(lines) for lines in knowing.values()] == [1, 1]
