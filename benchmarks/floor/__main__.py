"""Declares the resources of `resources.json` with their SDK classes: no components, no settings."""

import importlib
import importlib.util
import inspect
import json
import re
from pathlib import Path
from typing import Any

import pulumi
import pulumi._types as types

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
PACKAGES = {
    "aws": "pulumi_aws",
    "gcp": "pulumi_gcp",
    "azure-native": "pulumi_azure_native",
    "kubernetes": "pulumi_kubernetes",
}


def registry(package: str) -> dict[str, tuple[str, str]]:
    """Return module and class of every type token of an SDK."""
    spec = importlib.util.find_spec(package)
    text = Path(spec.origin).read_text()
    listed = json.loads(re.search(r'resource_modules="""\n(.*?)"""', text, re.DOTALL)[1])
    return {token: (entry["fqn"], name) for entry in listed for token, name in entry["classes"].items()}


def known(value: Any, unknown: pulumi.Output) -> Any:
    """Put real unknowns where the recorded preview had them, and assets where it had assets."""
    if isinstance(value, dict):
        if value.get("4dabf18193072939515e22adb298388d") == "c44067f5952c0a294b673a41bacd8c17":
            return pulumi.FileAsset(value["path"])
        return {key: known(each, unknown) for key, each in value.items() if not key.startswith("__")}
    if isinstance(value, list):
        return [known(each, unknown) for each in value]
    if isinstance(value, str) and UNKNOWN in value:
        return unknown
    return value


def declare(entry: dict[str, Any], unknown: Any, options: pulumi.ResourceOptions) -> pulumi.Resource:
    """Declare one resource."""
    package, _, rest = entry["type"].partition(":")
    inputs = known(entry["inputs"], unknown)
    found = REGISTRIES[package].get(entry["type"])
    if found is None:
        import pulumi_kubernetes as k8s

        group, _, kind = rest.rpartition(":")
        fields = {key: value for key, value in inputs.items() if key not in ("apiVersion", "kind")}
        return k8s.apiextensions.CustomResource(entry["name"], api_version=group, kind=kind, opts=options, **fields)
    cls = getattr(importlib.import_module(found[0]), found[1])
    module = importlib.import_module(cls.__module__)
    # Where another resource has a nested type of the name, the resource's own arguments are called InitArgs.
    arguments = getattr(module, f"{found[1]}InitArgs", None) or getattr(module, f"{found[1]}Args")
    names = {wire: name for name, wire in types.input_type_py_to_pulumi_names(arguments).items()}
    given = {names[key]: value for key, value in inputs.items() if key in names and value is not None}
    # A recorded preview leaves out what was not known yet.
    required = (p.name for p in inspect.signature(arguments.__init__).parameters.values() if p.default is p.empty)
    missing = {name: unknown for name in required if name not in given and name in names.values()}
    # Every resource has an argument `resource_name`, its logical name; a property of that name gets an underscore.
    values = {f"{name}_" if name == "resource_name" else name: each for name, each in {**given, **missing}.items()}
    return cls(entry["name"], opts=options, **values)


REGISTRIES = {key: registry(package) for key, package in PACKAGES.items()}
entries = json.loads((Path(__file__).parent / "resources.json").read_text())
providers: dict[str, pulumi.ProviderResource] = {}
unknown: Any = None
for entry in entries:
    kind, _, package = entry["type"].rpartition(":")
    if kind == "pulumi:providers":
        module = importlib.import_module(PACKAGES[package])
        values = {re.sub("([A-Z])", lambda m: "_" + m[1].lower(), key): value for key, value in entry["inputs"].items()}
        values.pop("version", None)
        providers[entry["urn_name"]] = module.Provider(entry["name"], **known(values, unknown))
        continue
    options = pulumi.ResourceOptions(provider=providers.get(entry["provider"]))
    resource = declare(entry, unknown, options)
    if unknown is None:
        unknown = resource.id
