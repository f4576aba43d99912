"""The local clouds' Pulumi plug-ins, installed where the run's own Pulumi looks for them.

An installed plug-in is found without a word, one on PATH costs a warning at every start. `PULUMI_HOME` of a local run
is its own, so no other use of Pulumi on the machine ever sees them.
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from localcloud.paths import RunPaths
from toolchain.pins import TOOLS

_HERE = Path(__file__).resolve().parent
_PROVIDERS = ("aws", "azure-native", "gcp", "kubernetes")


def _plugins() -> dict[str, str]:
    """Return the program of every plug-in by the directory name under which Pulumi looks for it."""
    found = {
        f"resource-{name}-v{importlib.metadata.version(f'pulumi-{name}')}": f"pulumi-resource-{name}"
        for name in _PROVIDERS
    }
    pulumi = next(tool for tool in TOOLS if tool.name == "pulumi")
    return {**found, f"language-python-v{pulumi.version}": "pulumi-language-python"}


def install(paths: RunPaths) -> None:
    """Link every plug-in into the run's `PULUMI_HOME`; again changes nothing."""
    for directory, program in _plugins().items():
        target = paths.pulumi_home / "plugins" / directory / program
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.is_symlink():
            target.symlink_to(_HERE / program)
