"""Running the Pulumi CLI for a stack."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import toolchain
from deploy.errors import DeployError
from policy.registry import configuration
from serving.frozen import EXCLUDE_VARIABLE, frozen_resources
from serving.settings import Settings

OPERATIONS = {
    "preview": "show what would change, checked against the policy pack",
    "up": "change it, after a preview and a question",
    "refresh": "take over what was changed by other means",
    "destroy": "delete everything of the stack",
}
_WITH_POLICY = ("preview", "up")
_LONGEST_VARIABLE = 120_000
"""Characters; Linux takes no argument or variable above 128 KiB."""


def find_pulumi() -> str:
    """Return the Pulumi CLI: the one on PATH, else the one of `make tools`, which comes without a language host.

    Raises:
        DeployError: If there is neither.
    """
    found = shutil.which("pulumi")
    if found is not None:
        return found
    try:
        return str(toolchain.find("pulumi"))
    except toolchain.ToolchainError:
        raise DeployError(
            "pulumi: must be on PATH (got nothing); install it from https://www.pulumi.com/docs/install/"
        ) from None


def operate(project: Path, stack: str, operation: str, settings: Settings, arguments: Sequence[str]) -> int:
    """Run an operation with everything that the settings ask for.

    Args:
        project: Directory of Pulumi.yaml.
        stack: Name of the stack.
        operation: One of `OPERATIONS`.
        settings: The stack's settings.
        arguments: More arguments of the CLI.

    Returns:
        The CLI's exit code.

    Raises:
        DeployError: If the CLI is missing, or the stack's state cannot be read where it is needed.
    """
    pulumi = find_pulumi()
    environment = dict(os.environ)
    if settings.frozen:
        frozen = _frozen(_state(pulumi, project, stack), settings)
        environment[EXCLUDE_VARIABLE] = _variable([urn for urns in frozen.values() for urn in urns])
        for name, urns in frozen.items():
            print(f"frozen: {len(urns)} resources of {name} are left as they are", file=sys.stderr)
    with _policy(operation, settings) as policy:
        return _run([pulumi, operation, "--stack", stack, *policy, *arguments], project, environment)


@contextlib.contextmanager
def _policy(operation: str, settings: Settings) -> Iterator[list[str]]:
    """Arguments that bring in the policy pack, with a configuration that lives as long as the context."""
    if operation not in _WITH_POLICY:
        yield []
        return
    pack = Path(__file__).resolve().parent.parent / "policy" / "run"
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "policy.json"
        file.write_text(json.dumps(configuration(production=settings.protect)))
        yield ["--policy-pack", str(pack), "--policy-pack-config", str(file)]


def _state(pulumi: str, project: Path, stack: str) -> dict[str, Any]:
    command = [pulumi, "stack", "export", "--stack", stack, "--non-interactive", "--color=never"]
    done = subprocess.run(command, cwd=project, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        reason = " ".join((done.stderr or done.stdout).split())
        raise DeployError(f"{stack}: the stack's state, which says what is frozen, cannot be read: {reason}")
    try:
        state: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise DeployError(f"{stack}: `pulumi stack export` printed no JSON; run it by hand") from None
    return state


def _frozen(state: Mapping[str, Any], settings: Settings) -> dict[str, list[str]]:
    resources = (state.get("deployment") or {}).get("resources") or []
    found = frozen_resources((each["urn"] for each in resources), settings)
    if absent := [name for name, urns in found.items() if not urns]:
        raise DeployError(
            f"frozen: {', '.join(absent)} must be deployed already (got no resource of it in the stack's state); "
            "remove it from frozen, or the site from sites until its cloud answers"
        )
    return found


def _variable(urns: list[str]) -> str:
    text = ",".join(urns)
    if len(text) > _LONGEST_VARIABLE:
        raise DeployError(
            f"frozen: must name at most {_LONGEST_VARIABLE} characters of resources (got {len(text)} for {len(urns)} "
            "resources); freeze fewer sites at once"
        )
    return text


def _run(command: list[str], project: Path, environment: dict[str, str]) -> int:
    """Run to the end, also after Ctrl-C: the engine has got it, too, and saves its state first."""
    with contextlib.ExitStack() as stack:
        previous = signal.signal(signal.SIGINT, lambda *_: None)
        stack.callback(signal.signal, signal.SIGINT, previous)
        code = subprocess.Popen(command, cwd=project, env=environment).wait()
    return code if code >= 0 else 128 - code
