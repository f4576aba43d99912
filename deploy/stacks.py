"""Stack files: their settings, and what a user may have meant by another name."""

import difflib
from collections.abc import Mapping
from pathlib import Path

import yaml

from deploy.errors import DeployError
from serving.settings import Settings, SettingsError, parse_settings

_KEY = "tricorn:settings"


def stack_settings(project: Path, stack: str) -> Settings:
    """Read and check the settings of a stack.

    Args:
        project: Directory of Pulumi.yaml.
        stack: Name of the stack; an organization and a project before it, as in `acme/tricorn/prod`, are left aside.

    Raises:
        DeployError: If there is no such file, or it is not valid; with every mistake.
    """
    name = stack.rpartition("/")[2]
    file = project / f"Pulumi.{name}.yaml"
    try:
        document = yaml.safe_load(file.read_text())
    except FileNotFoundError:
        raise DeployError(_missing(project, name)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DeployError(f"{file.name}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    except yaml.YAMLError as error:
        raise DeployError(f"{file.name}: is not valid YAML: {' '.join(str(error).split())}") from None
    config = document.get("config") if isinstance(document, Mapping) else None
    raw = config.get(_KEY) if isinstance(config, Mapping) else None
    if raw is None:
        raise DeployError(
            f"{file.name}: has no {_KEY}; copy the block from Pulumi.dev.yaml and set its domain and sites"
        )
    try:
        return parse_settings(raw)
    except SettingsError as error:
        lines = "\n".join(f"  {_KEY}.{line}" for line in error.problems)
        raise DeployError(f"{file.name} is not valid:\n{lines}") from None


def _missing(project: Path, name: str) -> str:
    known = sorted(each.name[len("Pulumi.") : -len(".yaml")] for each in project.glob("Pulumi.*.yaml"))
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(known) or 'none'}"
    return f"Pulumi.{name}.yaml: there is no such stack file; {hint}"
