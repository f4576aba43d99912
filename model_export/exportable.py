"""What can be exported: a family with published weights, or the best weights of a training run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model_export.errors import ExportError
from model_export.registry import Detector, Family, ImageInput, Task, TextInput, checked_labels, find
from model_export.training import run as runs


@dataclass(frozen=True, kw_only=True)
class Exportable:
    """A trained model and what is known about it."""

    family: Family
    input: ImageInput | TextInput
    labels: list[str]
    """Class names in order."""
    network: Callable[[], Any]
    """Builds the Keras model with its weights; a classifier returns float32 [batch, classes], each row a probability
    distribution."""
    weights: str
    """Where the weights come from."""
    url: str
    license: str
    vocabulary: tuple[str, ...] = ()
    """Tokens that a text model tells apart; the n-th has the id n + 2, from 0."""
    outputs: Detector | None = None
    """What a detector's outputs mean; None for other tasks."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Results of the evaluation; empty when there was none."""
    data: str = ""
    """Name of the data it was trained on; empty for published weights."""
    data_digest: str = ""
    seed: int | None = None

    @property
    def detector(self) -> Detector:
        """What a detector's outputs mean."""
        if self.outputs is None:
            raise TypeError("this model is no detector")
        return self.outputs

    @property
    def image(self) -> ImageInput:
        """The input of an image network."""
        if not isinstance(self.input, ImageInput):
            raise TypeError("this model reads texts")
        return self.input

    @property
    def text(self) -> TextInput:
        """The input of a text network."""
        if not isinstance(self.input, TextInput):
            raise TypeError("this model reads images")
        return self.input


def exportable(source: str) -> Exportable:
    """Return what a name or a path stands for.

    Args:
        source: Name of a family with published weights, or the folder of a training run.

    Raises:
        ExportError: If it is neither, or the run has no weights.
    """
    if (Path(source) / runs.RUN).is_file():
        return _of_run(Path(source))
    family = find(source)
    if family.pretrained is None:
        raise ExportError(
            f"family: {source} has no published weights; train it first and export the run: "
            f"python -m model_export train {source} --out runs/{source}"
        )
    known = family.pretrained
    return Exportable(
        family=family, input=known.image, labels=known.read_labels(), network=known.network, weights=known.weights,
        url=known.url, license=known.license,
    )  # fmt: skip


def _of_run(folder: Path) -> Exportable:
    order = runs.read_order(folder)
    family = find(order.family)
    preset = family.preset(order.preset)
    if not (folder / runs.BEST).exists():
        raise ExportError(f"{folder}: has no weights yet; let `train` finish an epoch")

    def network() -> Any:
        import keras

        body = preset.network(len(order.classes))
        runs.load_best(folder, body.variables)
        if family.task not in (Task.CLASSIFY, Task.LABEL):
            return body
        return keras.Model(body.input, keras.layers.Softmax(dtype="float32")(body.output))

    return Exportable(
        family=family,
        input=preset.input,
        labels=checked_labels(f"{folder / runs.RUN}: classes", list(order.classes)),
        network=network,
        weights=f"trained: preset {order.preset}, seed {order.seed}, data {order.data} {order.data_digest[:12]}",
        url=family.paper,
        license=order.license,
        vocabulary=order.vocabulary,
        outputs=preset.detecting(len(order.classes)) if family.task is Task.DETECT else None,
        metrics=_metrics(folder),
        data=order.data,
        data_digest=order.data_digest,
        seed=order.seed,
    )


def _metrics(folder: Path) -> dict[str, float]:
    file = folder / runs.RESULTS
    if not file.exists():
        return {}
    found = json.loads(file.read_text(encoding="utf-8"))
    return {name: value for name, value in found.items() if isinstance(value, float)}
