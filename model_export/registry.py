"""The model families: one file each in `model_export/families/`; adding a family is adding a file."""

from __future__ import annotations

import enum
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from model_export import families
from model_export.errors import ExportError

BATCH_SIZES = (1, 2, 4, 8, 16, 32)
SMALL = "small"
"""Preset that two CPU cores train in minutes."""
FULL = "full"
"""Preset of the paper."""


class Task(enum.StrEnum):
    """What a model does; it decides data, losses, metrics and signatures."""

    CLASSIFY = "classify"
    """One class per image."""
    DETECT = "detect"
    """Boxes with classes in an image."""
    SEGMENT = "segment"
    """One class per pixel."""
    LABEL = "label"
    """One class per text."""


@dataclass(frozen=True, kw_only=True)
class ImageInput:
    """How an encoded image becomes the network's input."""

    size: int
    """Side of the square input in pixels."""
    crop: float = 1.0
    """Part of each side that is kept, cut from the centre, in (0, 1]."""


@dataclass(frozen=True, kw_only=True)
class TextInput:
    """How a text becomes the network's input: int32 [length], ids of tokens, 0 after the last one."""

    length: int
    """Tokens that are read; what is longer is cut."""
    vocabulary: int
    """Most tokens that are told apart, with the two for padding (0) and for unknown ones (1)."""
    characters: bool = False
    """Tokens are characters in place of words."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Random changes of training images; 0 turns one off."""

    shift: float = 0.0
    """Largest shift along each side, as a part of it."""
    flip: bool = False
    """Mirror left and right in half of the cases."""
    brightness: float = 0.0
    """Largest change of all values, as a part of their range."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a preset is trained unless the user says otherwise."""

    epochs: int
    batch_size: int
    learning_rate: float
    """Highest rate of the schedule."""
    optimizer: str = "adamw"
    """sgd (with momentum 0.9), adam or adamw."""
    schedule: str = "cosine"
    """cosine, step (a tenth after 60% and 85% of the steps) or constant; each begins with a linear warm-up."""
    weight_decay: float = 1e-4
    warmup: float = 0.05
    """Part of the steps in which the rate rises from 0."""
    label_smoothing: float = 0.0
    augmentation: Augmentation = Augmentation()
    patience: int = 0
    """Epochs without a better result after which training stops; 0 never stops early."""


class Detector(Protocol):
    """What the outputs of a detection network mean. Boxes are ymin, xmin, ymax, xmax in [0, 1] of the input's sides."""

    def loss(self, boxes: Any, labels: Any, outputs: Any) -> Any:
        """Return float32 [], the loss of a batch.

        Args:
            boxes: float32 [batch, n, 4]; rows beyond the objects of an image are 0.
            labels: int32 [batch, n], class ids; -1 beyond the objects of an image.
            outputs: What the network returned.
        """
        ...

    def candidates(self, outputs: Any) -> tuple[Any, Any]:
        """Return boxes and scores, unsuppressed.

        Returns:
            float32 [batch, n, q, 4], q is 1 where all classes share a box and otherwise the number of classes; and
            float32 [batch, n, classes] in [0, 1].
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Preset:
    """One size of a family."""

    input: ImageInput | TextInput
    network: Callable[[int], Any]
    """Builds the untrained Keras model for a number of classes. Imports Keras only when called.

    An image network takes float32 [batch, size, size, 3], RGB in [0, 255], a text network int32 [batch, length]. A
    classifier of images or texts returns float32 [batch, classes], logits; a segmenter float32
    [batch, size, size, classes], logits; a detector whatever its `detector` reads."""
    recipe: Recipe
    parameters: int | None = None
    """Parameters for `classes` classes, as the paper or its reference code has them."""
    classes: int = 1000
    detector: Callable[[int], Detector] | None = None
    """What a detector's outputs mean, for a number of classes; None for other tasks."""

    def detecting(self, classes: int) -> Detector:
        """Return what a detector's outputs mean."""
        if self.detector is None:
            raise TypeError("this preset is of no detector")
        return self.detector(classes)

    @property
    def image(self) -> ImageInput:
        """The input of an image network."""
        if not isinstance(self.input, ImageInput):
            raise TypeError("this preset reads texts")
        return self.input

    @property
    def text(self) -> TextInput:
        """The input of a text network."""
        if not isinstance(self.input, TextInput):
            raise TypeError("this preset reads images")
        return self.input


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """Published weights of a family."""

    image: ImageInput
    labels: Path
    """UTF-8 text file, line n names class n."""
    weights: str
    """Where the weights come from: package and version."""
    url: str
    """Page of the weights."""
    license: str
    """SPDX identifier of the weights' licence."""
    network: Callable[[], Any]
    """Builds the Keras model with its weights: float32 [batch, size, size, 3], RGB in [0, 255] -> float32
    [batch, classes], each row a probability distribution. Imports Keras only when called."""

    def read_labels(self) -> list[str]:
        """Return the class names in order.

        Raises:
            ExportError: If a name is empty or occurs twice.
        """
        return checked_labels(self.labels.name, self.labels.read_text(encoding="utf-8").splitlines())


@dataclass(frozen=True, kw_only=True)
class Family:
    """A kind of model; its module in `model_export/families/` names it `FAMILY`."""

    name: str
    """What the user types, e.g. `vgg16`."""
    title: str
    """One line for `list`."""
    task: Task
    paper: str
    """Where the architecture is described."""
    presets: Mapping[str, Preset] = field(default_factory=dict)
    """Sizes that can be trained, by name; `small` is one of them unless the family cannot be trained."""
    pretrained: Pretrained | None = None
    batch_sizes: tuple[int, ...] = field(default=BATCH_SIZES)
    """Batch sizes the server may run, ascending; the last is the largest batch. Each is warmed up."""

    def preset(self, name: str) -> Preset:
        """Return a preset by name.

        Raises:
            ExportError: If there is none, listing those there are.
        """
        if name not in self.presets:
            known = ", ".join(self.presets) or "none: this family comes with its weights only"
            raise ExportError(f"preset: {self.name} has no preset {name!r}; choose one of: {known}")
        return self.presets[name]


def checked_labels(source: str, names: list[str]) -> list[str]:
    """Return class names as they are.

    Raises:
        ExportError: If a name is empty or occurs twice.
    """
    for number, name in enumerate(names, 1):
        if not name or name in names[: number - 1]:
            raise ExportError(f"{source}: line {number}: {name!r} must be a class name that occurs once")
    return names


def all_families() -> dict[str, Family]:
    """Return every family by name, sorted."""
    found: dict[str, Family] = {}
    for module in pkgutil.iter_modules(families.__path__):
        family: Family = importlib.import_module(f"{families.__name__}.{module.name}").FAMILY
        found[family.name] = family
    return dict(sorted(found.items()))


def find(name: str) -> Family:
    """Return a family by name.

    Raises:
        ExportError: If there is none, listing those there are.
    """
    known = all_families()
    if name not in known:
        raise ExportError(f"family: {name!r} is not known; choose one of: {', '.join(known)}")
    return known[name]
