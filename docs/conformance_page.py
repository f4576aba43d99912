"""The page about what the inputs of each resource type were checked against, from the tests that do it."""

import importlib
import importlib.util
from collections.abc import Mapping

from docs.tables import cell, code, table

_MODULES = {
    "AWS": "tests.conformance.aws_api",
    "Google Cloud": "tests.conformance.gcp_api",
    "Azure": "tests.conformance.azure_api",
    "Kubernetes": "tests.conformance.kubernetes_api",
}
_INTRODUCTION = """# What resources are checked against

Every input that a component sends is checked against the Pulumi SDK's types (`tests/conformance/test_sdk_inputs.py`),
and against what the vendor itself publishes about its API, as listed here. This shows that the inputs are well formed;
whether a cloud accepts their combination only an account can show.
"""


def conformance_page() -> str:
    """Return the page."""
    parts = [_INTRODUCTION]
    for cloud, module in _MODULES.items():
        covered, left_out = _tables(module)
        rows = [(code(token), cell(against)) for token, against in sorted(covered.items())]
        rows += [(code(token), f"not compared: {cell(why)}") for token, why in sorted(left_out.items())]
        if rows:
            parts.append(f"## {cloud}\n\n{table(('resource type', 'checked against'), rows)}")
    return "\n".join(parts)


def _tables(module: str) -> tuple[Mapping[str, str], Mapping[str, str]]:
    if importlib.util.find_spec(module) is None:
        return {}, {}
    found = importlib.import_module(module)
    left_out = getattr(found, "NOT_COMPARED", {})
    return found.COVERAGE, left_out if isinstance(left_out, Mapping) else {}
