"""Exports a preset with untrained weights into its working folder: `benchmarks.untrained FAMILY PRESET KIND...`.

Kinds, each a folder of that name: `variables` is what a bundle holds, `frozen` the same with constants in place of
variables, `keras` what `keras.Model.export` writes for the same network. A family that comes with published weights has
the preset `weights`. It runs in a process of its own, as every export does.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from benchmarks.models import WEIGHTS, sample
from model_export import registry, saved_model
from model_export.children import child
from model_export.datasets.texts import vocabulary
from model_export.exportable import exportable
from model_export.registry import SMALL, Family, TextInput
from model_export.training import run as runs
from model_export.training.run import Order

VARIABLES, FROZEN, KERAS = "variables", "frozen", "keras"
_RUN = "run"


def write_run(family: Family, preset_name: str) -> str:
    """Write a training run of no step and return its folder."""
    preset = family.preset(preset_name)
    if preset_name == SMALL:
        dataset = sample(family)
        classes, tokens = dataset.classes, vocabulary(dataset, preset)
    else:
        classes = tuple(f"class {number}" for number in range(preset.classes))
        known = preset.text.vocabulary - 2 if isinstance(preset.input, TextInput) else 0
        tokens = tuple(f"word{number}" for number in range(known))
    network = preset.network(len(classes))
    folder = Path(_RUN).resolve()
    runs.write_order(
        folder,
        Order(
            family=family.name, preset=preset_name, data="", data_digest="", classes=classes, license="CC0-1.0",
            seed=0, recipe=preset.recipe, vocabulary=tokens,
        ),
    )  # fmt: skip
    runs.save_best(folder, network.variables, {})
    return str(folder)


def build(family: Family, preset_name: str, kinds: list[str]) -> dict[str, Any]:
    """Write the folders and return the number of parameters."""
    source = family.name if preset_name == WEIGHTS else write_run(family, preset_name)
    model = exportable(source)
    parameters = 0
    for kind in kinds:
        if kind == KERAS:
            print("exporting with keras.Model.export", flush=True)
            model.network().export(KERAS, verbose=False)
            continue
        facts = saved_model.build(model, "model", freeze=kind == FROZEN)
        parameters = facts["parameters"]
        Path(saved_model.VERSION_FOLDER).rename(kind)
    return {"parameters": parameters}


if __name__ == "__main__":
    with child() as report:
        report(build(registry.find(sys.argv[1]), sys.argv[2], sys.argv[3:]))
