"""The program as the preflight's tests run it, with one bundle and the clouds' answers."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pulumi
import pytest

from tests.components.cloud_answers import Answer
from tests.components.fake_bundle import write_bundle
from tests.components.recording import Recording

ROOT = Path(__file__).resolve().parents[2]
ZONES = {"aws:index/getAvailabilityZones:getAvailabilityZones": {"names": [f"us-east-1{zone}" for zone in "abcdef"]}}


class Outcome:
    """A program that ran: what it said and what it registered."""

    def __init__(self, recording: Recording | None, error: str, warnings: list[str]):
        self.recording, self.error, self.warnings = recording, error, warnings
        self.lines = error.splitlines()[1:]

    def warned(self, *words: str) -> bool:
        return any(all(word in line for word in words) for line in self.warnings)


def starter(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function (settings, answers=None, preview=True) -> Outcome that runs `__main__.py`."""
    monkeypatch.chdir(tmp_path)
    write_bundle(tmp_path / "build" / "bundles" / "scenes")

    def start(settings: dict[str, Any], answers: dict[str, Answer] | None = None, *, preview: bool = True) -> Outcome:
        warnings: list[str] = []
        registered: list[str] = []
        original = pulumi.Resource.__init__

        def counting(self: Any, t: str, name: str, *args: Any, **options: Any) -> None:
            registered.append(t)
            original(self, t, name, *args, **options)

        monkeypatch.setattr(pulumi.log, "warn", warnings.append)
        monkeypatch.setattr(pulumi, "export", lambda name, value: None)
        pulumi.runtime.set_all_config({"tricorn:settings": json.dumps(settings)})

        def build() -> None:
            runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pulumi.Resource, "__init__", counting)
            try:
                recording = run(build, preview=preview, answers={**ZONES, **(answers or {})})
                error = ""
            except pulumi.RunError as refused:
                recording, error = None, str(refused)
                made = {t for t in registered if not t.startswith("pulumi:")}
                assert not made, f"declared before the preflight: {made}"
            finally:
                pulumi.runtime.set_all_config({})
        return Outcome(recording, error, warnings)

    return start
