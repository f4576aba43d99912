"""What Tricorn adds to a preview: the stack of production against the same resources declared bare, in one run.

Usage: `python -m benchmarks.preview [rounds]`. Starts three local clouds without clusters, takes the resources of a
first preview of Pulumi.prod.yaml, and times that preview and one of a program that declares the same number of
resources of the same types, inputs and providers, without components, settings or bundles. The rounds alternate. Then
previews the stack with twice the sites and prints the exponent of the time's growth with the resources.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import shutil
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

import yaml

from benchmarks.clouds import local_clouds
from localcloud import engine

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


def production(file: Path, copies: int) -> None:
    """Write the stack file of production, marked for the local clouds, with each of its sites `copies` times."""
    content = yaml.safe_load((ROOT / "Pulumi.prod.yaml").read_text())
    settings = content["config"]["tricorn:settings"]
    sites = {}
    for copy in range(copies):
        for number, (name, site) in enumerate(settings["sites"].items()):
            network = f"10.{10 * (number + 1) + copy}.0.0/16"
            sites[name if copy == 0 else f"{'xyz'[copy]}-{name}"] = {**site, "cidr": network}
    settings["sites"] = sites
    file.write_text(yaml.safe_dump({"config": {**content["config"], "localcloud:run": "true"}}))


def growth(directory: Path, environment: dict[str, str], rounds: int) -> None:
    """Print how the time grows with the resources."""
    times: dict[int, float] = {}
    for copies in (1, 2):
        file = directory / f"Pulumi.times{copies}.yaml"
        production(file, copies)
        taken = [preview(ROOT, "prod", environment, "--config-file", str(file)) for _ in range(rounds)]
        count = int(re.findall(r"\+ (\d+) to create", taken[0][1])[0])
        times[count] = statistics.median(seconds for seconds, _ in taken)
        print(f"{count:5} resources: median {times[count]:6.2f} s of {rounds}")
    (few, short), (many, long) = times.items()
    print(f"growth exponent {math.log(long / short) / math.log(many / few):.2f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rounds", nargs="?", type=int, default=5)
    rounds = parser.parse_args().rounds
    with local_clouds() as (paths, directory):
        environment = engine.environment(paths)
        engine.pulumi(paths, "stack", "init", "prod")
        file = directory / "Pulumi.prod.yaml"
        production(file, 1)
        stack = ("--config-file", str(file))
        _, document = preview(ROOT, "prod", environment, "--json", *stack)
        resources = bare_resources(document)
        floor = directory / "floor"
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
            ours.append(preview(ROOT, "prod", environment, *stack)[0])
            seconds, text = preview(floor, "floor", environment)
            bare.append(seconds)
        growth(directory, environment, min(rounds, 3))
        created = int(re.findall(r"\+ (\d+) to create", text)[0]) - 1
    ratios = [mine / other for mine, other in zip(ours, bare, strict=True)]
    print(f"{len(resources)} resources beside components; the bare program declares {created}; {rounds} rounds of both")
    for name, values in (("prod stack, s", ours), ("bare resources, s", bare), ("ratio", ratios)):
        print(f"{name:20} median {statistics.median(values):6.2f}   min {min(values):6.2f}   max {max(values):6.2f}")


if __name__ == "__main__":
    main()
