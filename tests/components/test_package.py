"""The package as other stacks see it: names, types, schema, and which SDKs an import pulls in."""

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pulumi
import pytest
from pulumi.provider.experimental.component import ComponentProvider

import components
from components._base import token

ROOT = Path(__file__).resolve().parents[2]
CLASSES = {
    name: value
    for name in components.__all__
    if inspect.isclass(value := getattr(components, name)) and issubclass(value, pulumi.ComponentResource)
}


def test_every_component_is_offered_with_its_arguments():
    modules = {path.stem for path in (ROOT / "components").glob("*.py") if not path.stem.startswith("_")}
    offered = {cls.__module__.rpartition(".")[2] for cls in CLASSES.values()}
    inner = {f"{cloud}_{part}" for cloud in ("aws", "gcp", "azure") for part in ("site", "preflight")}
    assert modules - offered == inner | {"kubernetes_site"}
    assert len(CLASSES) >= 34
    for name in CLASSES:
        assert inspect.isclass(getattr(components, f"{name}Args")), name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'components' has no attribute 'EksClutser'"):
        _ = components.EksClutser


@pytest.mark.parametrize("name", CLASSES)
def test_a_type_token_is_the_class_name_and_the_signature_can_be_hosted(name):
    cls = CLASSES[name]
    assert token(cls) == f"tricorn:index:{name}"
    parameters = inspect.signature(cls.__init__).parameters
    assert list(parameters) == ["self", "name", "args", "opts"]
    assert parameters["args"].annotation is getattr(components, f"{name}Args")


def test_a_component_host_can_describe_every_component():
    schema = json.loads(ComponentProvider(list(CLASSES.values()), "tricorn").schema)
    assert set(schema["resources"]) == {token(cls) for cls in CLASSES.values()}
    cluster = schema["resources"]["tricorn:index:GkeServingCluster"]
    assert "gpuPools" in cluster["inputProperties"]
    assert "gpuPools" not in cluster["requiredInputs"]
    assert cluster["inputProperties"]["systemMinNodes"]["type"] == "integer"
    undescribed = [
        f"{resource}.{name}"
        for resource, definition in schema["resources"].items()
        for name, value in {**definition["inputProperties"], **definition["properties"]}.items()
        if not value.get("description")
    ]
    assert not undescribed


def test_a_stack_on_one_cloud_needs_the_sdk_of_no_other():
    program = """
import sys, json, components
own = {"aws": "Eks", "gcp": "Gke", "azure": "Aks"}
sdks = {"pulumi_aws", "pulumi_gcp", "pulumi_azure_native"}
before = sdks & set(sys.modules)
getattr(components, sys.argv[1])
print(json.dumps([sorted(before), sorted(sdks & set(sys.modules))]))
"""
    for name, sdk in (("EksServingCluster", "pulumi_aws"), ("GkeServingCluster", "pulumi_gcp")):
        done = subprocess.run(
            [sys.executable, "-c", program, name], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
        )
        assert json.loads(done.stdout) == [[], [sdk]]
