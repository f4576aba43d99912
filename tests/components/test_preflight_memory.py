"""The memory that models took when they were verified, against containers and pools, through the program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.components.preflight_program import starter
from tests.components.preflight_settings import SITES, raw


@pytest.fixture
def program(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    return starter(run, tmp_path, monkeypatch)


def test_a_container_smaller_than_the_measured_model_ends_the_preview(program):
    models = {"scenes": {"bundle": "build/bundles/scenes", "stable": 1, "resources": {"memoryMib": 256}}}
    lines = program(raw(pools={}, models=models)).lines
    assert [line.partition(" (")[2] for line in lines] == [
        f"have 256 MiB, need 300 MiB, at {site}); leave models.scenes.resources.memoryMib out, which gives twice what "
        "was measured, or raise it"
        for site in SITES
    ]


def test_pods_without_a_pool_that_the_system_pool_cannot_hold_end_the_preview(program):
    scenes = {"bundle": "build/bundles/scenes", "stable": 1, "replicas": {"min": 4, "max": 4}}
    models = {"scenes": {**scenes, "resources": {"memoryMib": 9000}}}
    lines = program(raw(pools={}, models=models, systemPool={"max": 2})).lines
    for site in SITES:
        (line,) = (line for line in lines if f"at {site})" in line)
        assert "systemPool.max: the models' fewest pods do not fit the memory of the most nodes" in line
        assert "version 1 of scenes 4 x 9000 MiB (300 MiB measured)" in line
