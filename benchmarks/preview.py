"""What Tricorn adds to a preview: the local stack against the same resources declared bare, in one run.

Usage: `python -m benchmarks.preview [rounds]`. Starts three local clouds without clusters, takes the resources of a
first preview of the local stack, and times that preview and one of a program that declares the same number of
resources of the same types, inputs and providers, without components, settings or bundles. The rounds alternate.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from localcloud import engine, lifecycle
from localcloud.paths import CLOUDS, RunPaths

ROOT = Path(__file__).resolve().parent.parent
FLOOR = Path(__file__).resolve().parent / "floor"
COMMAND = ["pulumi", "preview", "--non-interactive", "--color=never"]


def preview(directory: Path, stack: str, environment: dict[str, str], *flags: str) -> tuple[float, str]:
    """Preview a stack; return the seconds it took and what it printed.

    Raises:
        SystemExit: If the preview fails.
    """
    started = time.monotonic()
    done = subprocess.run(
        [*COMMAND, "--stack", stack, *flags], cwd=directory, env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"the preview of {stack} failed:\n{done.stdout}\n{done.stderr}")
    return time.monotonic() - started, done.stdout


def bare_resources(document: str) -> list[dict[str, Any]]:
    """Return type, name, provider and inputs of every resource of a JSON preview that is no component."""
    found = []
    for step in json.loads(document)["steps"]:
        state = step["newState"]
        if state.get("custom") and not state["type"].startswith("pulumi:pulumi"):
            provider = state.get("provider", "").split("::")[-2] if "::" in state.get("provider", "") else ""
            name = f"{len(found)}-{state['urn'].rsplit('::', 1)[-1]}"
            found.append(
                {"type": state["type"], "name": name, "urn_name": state["urn"].rsplit("::", 1)[-1],
                 "provider": provider, "inputs": state.get("inputs") or {}}
            )  # fmt: skip
    return found


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as directory:
        paths = RunPaths(Path(directory) / "local")
        os.environ["TRICORN_LOCAL"] = str(paths.root)
        try:
            lifecycle.ensure_bundles(print)
            lifecycle.create_run(paths)
            for cloud in CLOUDS:
                lifecycle.start_cloud(paths, cloud)
            environment = engine.environment(paths)
            engine.pulumi(paths, "stack", "init", "local")
            _, document = preview(ROOT, "local", environment, "--json")
            resources = bare_resources(document)
            floor = Path(directory) / "floor"
            shutil.copytree(FLOOR, floor)
            (floor / "build").symlink_to(ROOT / "build")  # the archive is an input by its path in the project
            (floor / "resources.json").write_text(json.dumps(resources))
            subprocess.run(
                ["pulumi", "stack", "init", "floor", "--non-interactive"], cwd=floor, env=environment, check=True,
                capture_output=True,
            )  # fmt: skip
            ours, bare = [], []
            preview(floor, "floor", environment)
            for _ in range(rounds):
                ours.append(preview(ROOT, "local", environment)[0])
                seconds, text = preview(floor, "floor", environment)
                bare.append(seconds)
            created = int(re.findall(r"\+ (\d+) to create", text)[0]) - 1
        finally:
            lifecycle.down(paths)
    ratios = [mine / other for mine, other in zip(ours, bare, strict=True)]
    print(f"{len(resources)} resources beside components; the bare program declares {created}; {rounds} rounds of both")
    for name, values in (("local stack, s", ours), ("bare resources, s", bare), ("ratio", ratios)):
        print(f"{name:20} median {statistics.median(values):6.2f}   min {min(values):6.2f}   max {max(values):6.2f}")


if __name__ == "__main__":
    main()
