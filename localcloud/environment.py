"""The environment of a local run: what `make env` prints and what `up` runs the engine with."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import yaml

import toolchain
from localcloud.addresses import RESOLVER_ADDRESS, RESOLVER_PORT
from localcloud.errors import LocalCloudError
from localcloud.paths import RUN_DIRECTORY_VARIABLE, RunPaths, project_directory

STACK = "local"
_MARK = "localcloud:run"
_DEFAULT_PORT = 80


def stack_config(stack: str = STACK) -> dict[str, Any]:
    """Return the configuration of `Pulumi.<stack>.yaml`.

    Raises:
        LocalCloudError: If the file is missing, or the stack is not marked as one for the local clouds. The mark keeps
            a stack that is meant for real clouds from ever being brought up against simulated ones by mistake.
    """
    file = project_directory() / f"Pulumi.{stack}.yaml"
    try:
        config = (yaml.safe_load(file.read_text()) or {}).get("config") or {}
    except FileNotFoundError:
        raise LocalCloudError(f"{file.name}: there is no such stack file in {file.parent}") from None
    except yaml.YAMLError as error:
        raise LocalCloudError(f"{file.name}: is not valid YAML: {' '.join(str(error).split())}") from None
    if str(config.get(_MARK, "")).lower() != "true":
        raise LocalCloudError(
            f'{file.name}: stack {stack!r} is not marked for the local clouds (config {_MARK}: "true"); '
            "only stack `local` is meant to run on them"
        )
    return dict(config)


def public_endpoint(stack: str = STACK) -> tuple[str, int]:
    """Return domain and port of the stack's global endpoint, as its settings state them."""
    settings = stack_config(stack).get("tricorn:settings") or {}
    ingress = settings.get("ingress") or {}
    return str(settings.get("domain", "")), int(ingress.get("port", _DEFAULT_PORT))


def model_bundles(stack: str = STACK) -> list[tuple[str, Path, int]]:
    """Return name, bundle folder and stable version of every model of the stack's settings."""
    models = (stack_config(stack).get("tricorn:settings") or {}).get("models") or {}
    return [(name, project_directory() / model["bundle"], int(model["stable"])) for name, model in models.items()]


def variables(paths: RunPaths) -> dict[str, str]:
    """Return the variables that make `pulumi`, `kubectl` and `python -m serving` work on the local clouds."""
    domain, port = public_endpoint()
    project = project_directory()
    search = [str(project / "localcloud" / "bin"), str(toolchain.tools_dir()), str(Path(sys.executable).parent)]
    inherited = [each for each in os.environ.get("PATH", "").split(os.pathsep) if each and each not in search]
    return {
        "PATH": os.pathsep.join(search + inherited),
        RUN_DIRECTORY_VARIABLE: str(paths.root),
        "KUBECONFIG": str(paths.root / "kubeconfig"),
        "PULUMI_BACKEND_URL": f"file://{paths.backend}",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(paths.passphrase_file),
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_HOME": str(paths.pulumi_home),
        "PULUMI_PYTHON_CMD": sys.executable,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "TRICORN_DNS": f"{RESOLVER_ADDRESS}:{RESOLVER_PORT}",
        "TRICORN_DOMAIN": domain,
        "TRICORN_MODELS": " ".join(name for name, _, _ in model_bundles()),
        "TRICORN_PORT": str(port),
    }
