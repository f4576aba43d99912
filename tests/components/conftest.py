"""Fixtures of the component tests. Components run in this process, without engine or cloud; see recording.py.

`run`           run(build, preview=False, outputs=None, answers=None) -> Recording. `build` is a function without
                arguments that declares resources; what it returns, Outputs resolved, is `Recording.value`.
`preview`       Parameter with both modes: a test that takes it runs once with unknown outputs and once with known ones.
`golden`        golden("name", recording): compares with snapshots/name.json; `pytest --update-golden` writes it.
`gives`         gives("aws:ec2/vpc:Vpc", arn="...") -> {token: function}: more computed outputs, for `outputs=`.

    def test_every_child_gets_the_callers_provider(run, preview):
        def build():
            mine = aws.Provider("mine", region="us-east-1")
            EksAddress("a", EksAddressArgs(zones=["us-east-1a"]), pulumi.ResourceOptions(provider=mine))
        recording = run(build, preview=preview)
        assert {row.provider for row in recording.children()} == {"mine"}

A Row has type, name, parent, provider, protect, aliases, ignore_changes, depends_on and inputs (camelCase; `<unknown>`
where a value is not known). The same URN twice, or a function call without a listed answer, fails the test. Computed
outputs of the types in use are in cloud_answers.py; anything else a component reads is None, so declare it.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.components import recording as harness

SNAPSHOTS = Path(__file__).with_name("snapshots")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--update-golden`."""
    parser.addoption("--update-golden", action="store_true", help="write the snapshots instead of comparing with them")


def pytest_configure(config: pytest.Config) -> None:
    """Importing a module of an SDK warns about every deprecated class in it, used or not."""
    for sdk in ("pulumi_aws", "pulumi_gcp"):
        config.addinivalue_line("filterwarnings", f"ignore:.*has been deprecated in favor of:DeprecationWarning:{sdk}")


@pytest.fixture(scope="session")
def run() -> Callable[..., harness.Recording]:
    return harness.run


@pytest.fixture(params=[False, True], ids=["up", "preview"])
def preview(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="session")
def gives() -> Callable[..., dict[str, harness.Computed]]:
    def declare(token: str, **outputs: Any) -> dict[str, harness.Computed]:
        return {token: lambda name, inputs: outputs}

    return declare


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, harness.Recording], None]:
    def compare(name: str, recording: harness.Recording) -> None:
        path = SNAPSHOTS / f"{name}.json"
        text = json.dumps(recording.snapshot(), indent=1, sort_keys=True) + "\n"
        if request.config.getoption("--update-golden", default=False):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            return
        assert path.exists(), f"{path.name} is missing; write it with: pytest tests/components --update-golden"
        old = path.read_text()
        diff = "\n".join(
            difflib.unified_diff(old.splitlines(), text.splitlines(), "committed", "now", lineterm="", n=6)
        )
        assert old == text, f"{path.name} changed; read the difference as a plan, then --update-golden\n{diff}"

    return compare
