"""Run every layer of the tests, cheap ones first: `python -m tests.run`, or one by name: `python -m tests.run unit`.

Each layer is a pytest run of its own, so that heavy ones never share the machine. A layer that collects no test, or
whose tests are all skipped, fails: silence is not success. The last line counts what passed in all layers together.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree  # our own pytest's report, not foreign input
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAVY = "engine or cluster or e2e or model or tools"
LAYERS: dict[str, list[str]] = {
    "unit": ["tests/unit", "-m", f"not ({HEAVY})", "-n", "2"],
    "components": ["tests/components", "-m", f"not ({HEAVY})", "-n", "2"],
    "conformance": ["tests/conformance", "-n", "2"],
    "toolchain": ["tests/unit", "tests/cluster", "-m", "tools"],
    "model": ["tests/model_export", "tests/modelserver", "-m", "model", "-n", "2", "--dist", "worksteal"],
    "engine": ["tests/engine", "-m", "engine"],
    "cluster": ["tests/cluster", "-m", "cluster"],
    "e2e": ["tests/e2e", "-m", "e2e"],
}
STATIC = (
    ["ruff", "check", "."],
    ["ruff", "format", "--check", "."],
    ["mypy", "--no-error-summary"],
)
NO_TESTS = 5  # pytest's exit code when it collected nothing


@dataclass
class Result:
    """What one layer did."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether the layer proved something and nothing failed."""
        return self.failed == 0 and self.passed > 0


def run_static() -> bool:
    """Run the linters and the type checker; return whether all are content."""
    good = True
    for command in STATIC:
        started = time.monotonic()
        code = subprocess.run([sys.executable, "-m", *command], cwd=ROOT).returncode
        print(
            f"{' '.join(command)}: {'ok' if code == 0 else 'FAILED'} in {time.monotonic() - started:.0f} s", flush=True
        )
        good &= code == 0
    return good


def run_layer(name: str) -> Result:
    """Run one layer and count its outcomes from pytest's own report."""
    print(f"\n== {name}", flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", *LAYERS[name], f"--junit-xml={report}"]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"}
        code = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, env=environment).returncode
        result = Result()
        if report.exists():
            for suite in ElementTree.parse(report).getroot().iter("testsuite"):  # noqa: S314 - written by the run above
                bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
                skipped = int(suite.get("skipped", 0))
                result.failed += bad
                result.skipped += skipped
                result.passed += int(suite.get("tests", 0)) - bad - skipped
        if code not in (0, 1, NO_TESTS) and result.failed == 0:
            result.failed = 1
    result.seconds = time.monotonic() - started
    return result


def main(arguments: list[str]) -> int:
    """Run the named layers, or the static checks and all layers; return the exit code."""
    if unknown := [each for each in arguments if each not in (*LAYERS, "--static")]:
        print(f"unknown layer {unknown[0]!r}; layers: {', '.join(LAYERS)}, --static", file=sys.stderr)
        return 2
    good = run_static() if not arguments or "--static" in arguments else True
    names = [each for each in arguments if each in LAYERS] if arguments else list(LAYERS)
    results = {name: run_layer(name) for name in names}
    print()
    for name, result in results.items():
        verdict = "ok" if result.good else "FAILED" if result.failed else "FAILED: no test ran"
        counts = f"{result.passed} passed, {result.failed} failed, {result.skipped} skipped"
        print(f"{name:12} {counts:44} {result.seconds:6.0f} s  {verdict}")
    if not names:
        return 0 if good else 1
    total = [sum(getattr(result, kind) for result in results.values()) for kind in ("passed", "failed", "skipped")]
    print(f"static checks: {'ok' if good else 'FAILED'}")
    print(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped")
    return 0 if good and all(result.good for result in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
