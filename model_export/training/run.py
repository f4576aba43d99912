"""A training run's folder: what was asked for, how far it is, and its weights, each file whole or not there.

`run.json` says what is trained on what; `state.npz` holds everything to go on from the last finished epoch; `best.npz`
the weights with the best result; `history.jsonl` one line per epoch; `tensorboard/` the same for TensorBoard. An
evaluation adds `results.json` and `report/`.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_export.errors import ExportError
from model_export.files import sync, write_whole
from model_export.registry import Augmentation, Recipe

RUN, STATE, BEST, HISTORY = "run.json", "state.npz", "best.npz", "history.jsonl"
RESULTS, REPORT = "results.json", "report"
FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a run was asked to do."""

    family: str
    preset: str
    data: str
    data_digest: str
    classes: tuple[str, ...]
    license: str
    seed: int
    recipe: Recipe
    mixed_precision: bool = False
    vocabulary: tuple[str, ...] = ()
    """Tokens that a text model tells apart, from the training texts; empty for images."""


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    epoch: int
    """Finished epochs."""
    best: float
    """Best result so far; higher is better."""
    best_epoch: int
    """Epoch of the best result, from 1; 0 before the first."""


def write_order(folder: Path, order: Order) -> None:
    """Write what a run does."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / RUN, (json.dumps({"format": FORMAT, **asdict(order)}, indent=2) + "\n").encode())


def read_order(folder: Path) -> Order:
    """Return what a run does.

    Raises:
        ExportError: If the folder holds no run.
    """
    try:
        content = json.loads((folder / RUN).read_text(encoding="utf-8"))
        if content.pop("format") != FORMAT:
            raise ValueError("it was written by another version")
        recipe = content.pop("recipe")
        recipe["augmentation"] = Augmentation(**recipe["augmentation"])
        classes = tuple(content.pop("classes"))
        vocabulary = tuple(content.pop("vocabulary", ()))
        return Order(recipe=Recipe(**recipe), classes=classes, vocabulary=vocabulary, **content)
    except FileNotFoundError:
        raise ExportError(f"{folder}: holds no training run; give the folder that `train` wrote") from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ExportError(f"{folder / RUN}: cannot be read: {error}; train again into another folder") from None


def save_state(folder: Path, variables: Sequence[Any], progress: Progress) -> None:
    """Write everything that the next epoch needs."""
    _save(folder / STATE, variables, asdict(progress))


def load_state(folder: Path, variables: Sequence[Any]) -> Progress:
    """Set variables to those of the last finished epoch, if there is one, and return how far the run is."""
    if not (folder / STATE).exists():
        return Progress(0, -np.inf, 0)
    return Progress(**_load(folder / STATE, variables))


def save_best(folder: Path, variables: Sequence[Any], metrics: Mapping[str, float]) -> None:
    """Write the weights with the best result, and the result."""
    _save(folder / BEST, variables, dict(metrics))


def load_best(folder: Path, variables: Sequence[Any]) -> dict[str, float]:
    """Set variables to the best ones and return their result.

    Raises:
        ExportError: If the run has none yet.
    """
    if not (folder / BEST).exists():
        raise ExportError(f"{folder}: has no weights yet; let `train` finish an epoch")
    return _load(folder / BEST, variables)


def append_history(folder: Path, line: Mapping[str, float]) -> None:
    """Add an epoch to the history, dropping what a killed run wrote of later ones."""
    kept = [each for each in history(folder) if each["epoch"] < line["epoch"]]
    write_whole(folder / HISTORY, "".join(json.dumps(each) + "\n" for each in [*kept, dict(line)]).encode())


def history(folder: Path) -> list[dict[str, float]]:
    """Return the epochs of a run."""
    file = folder / HISTORY
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def _save(file: Path, variables: Sequence[Any], facts: Mapping[str, Any]) -> None:
    arrays: dict[str, Any] = {f"v{number:05}": np.asarray(each) for number, each in enumerate(variables)}
    part = file.with_name(f".{file.stem}.part.npz")
    np.savez(part, facts=np.array(json.dumps(facts)), **arrays)
    sync(part)
    part.replace(file)


def _load(file: Path, variables: Sequence[Any]) -> dict[str, Any]:
    try:
        with np.load(file) as found:
            arrays = [found[name] for name in sorted(found.files) if name != "facts"]
            facts: dict[str, Any] = json.loads(str(found["facts"]))
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ExportError(f"{file}: cannot be read: {error}; train again into another folder") from None
    if [each.shape for each in arrays] != [tuple(each.shape) for each in variables]:
        raise ExportError(f"{file}: holds another model's weights; train again into another folder")
    for variable, value in zip(variables, arrays, strict=True):
        variable.assign(value)
    return facts
