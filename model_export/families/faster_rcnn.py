"""Faster R-CNN over a feature pyramid: regions first, then their classes and boxes; https://arxiv.org/abs/1506.01497.

The pyramid is that of https://arxiv.org/abs/1612.03144, the regions' features are those of RoIAlign,
https://arxiv.org/abs/1703.06870. The full network is torchvision's `fasterrcnn_resnet50_fpn`, for square pictures and
with the paper's 300 regions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from model_export.regions import detector as outputs
from model_export.regions.anchors import Pyramid
from model_export.regions.detector import TwoStageDetector
from model_export.regions.layers import propose, roi_align
from model_export.registry import FULL, SMALL, Augmentation, Family, ImageInput, Preset, Recipe, Task


@dataclass(frozen=True, kw_only=True)
class _Heads:
    """Sizes of what stands on the backbone."""

    pyramid: Pyramid
    channels: int
    """Channels of every level."""
    finest: float
    """See `roi_align`, in pixels."""
    before: int
    """Anchors that are looked at before overlapping ones are left out."""
    regions: int
    bins: int
    samples: int
    units: int
    """Width of the two dense layers of the second stage."""


_FULL = _Heads(
    pyramid=Pyramid(size=800, strides=(4, 8, 16, 32, 64), sides=(32, 64, 128, 256, 512)),
    channels=256, finest=56, before=2000, regions=300, bins=7, samples=2, units=1024,
)  # fmt: skip
_SMALL = _Heads(
    pyramid=Pyramid(size=96, strides=(4, 8), sides=(18, 28)),
    channels=48, finest=12, before=200, regions=32, bins=5, samples=1, units=128,
)  # fmt: skip


def _lambda(function: Any, name: str) -> Any:
    """Return a layer without weights that computes in float32."""
    import keras

    return keras.layers.Lambda(function, dtype="float32", name=name)


def _pyramid(stages: Sequence[Any], channels: int) -> list[Any]:
    """Return maps of equal depth, fine ones first: each stage and, added to it, what lies above."""
    import keras

    layers = keras.layers
    above: Any = None
    found: list[Any] = []
    for stage in reversed(stages):
        x = layers.Conv2D(channels, 1)(stage)
        above = x if above is None else layers.Add()([x, layers.UpSampling2D()(above)])
        found.insert(0, layers.Conv2D(channels, 3, padding="same")(above))
    return found


def _detecting(image: Any, maps: Sequence[Any], roi_maps: int, heads: _Heads, classes: int, name: str) -> Any:
    """Return the model of both stages; the first `roi_maps` maps give the regions' features."""
    import keras

    layers = keras.layers
    per_place = len(heads.pyramid.ratios)
    shared = layers.Conv2D(heads.channels, 3, padding="same", activation="relu", name="anchors")
    judge = layers.Conv2D(per_place, 1, dtype="float32", name="anchors_object")
    change = layers.Conv2D(4 * per_place, 1, dtype="float32", name="anchors_box")
    logits, changes = [], []
    for each in maps:
        x = shared(each)
        logits.append(layers.Reshape((-1,))(judge(x)))
        changes.append(layers.Reshape((-1, 4))(change(x)))
    anchor_logits = layers.Concatenate(axis=1, dtype="float32")(logits)
    anchor_changes = layers.Concatenate(axis=1, dtype="float32")(changes)
    anchors = heads.pyramid.anchors()

    def proposed(given: Any) -> Any:
        return propose(given[0], given[1], anchors, before=heads.before, count=heads.regions)

    def cut(given: Any) -> Any:
        finest = heads.finest / heads.pyramid.size
        return roi_align(given[:-1], given[-1], bins=heads.bins, samples=heads.samples, finest=finest)

    regions = _lambda(proposed, "regions")([anchor_logits, anchor_changes])
    x = layers.Reshape((heads.regions, -1))(_lambda(cut, "roi_align")([*maps[:roi_maps], regions]))
    for _ in range(2):
        x = layers.Dense(heads.units, activation="relu")(x)
    class_logits = layers.Dense(1 + classes, dtype="float32", name="classes")(x)
    box_changes = layers.Dense(4 * (1 + classes), dtype="float32", name="boxes")(x)
    return keras.Model(
        image,
        {
            outputs.LOGITS: anchor_logits,
            outputs.CHANGES: anchor_changes,
            outputs.REGIONS: regions,
            outputs.NAMES: class_logits,
            outputs.BOXES: layers.Reshape((heads.regions, 1 + classes, 4), dtype="float32")(box_changes),
        },
        name=name,
    )


def full(classes: int) -> Any:
    """Return ResNet-50 with a pyramid for 800 x 800 pixels: 41,888,086 parameters for 90 classes.

    torchvision's has 41,755,286: it folds the normalisation into constants (106,240 values here) and its convolutions
    before a normalisation have no bias (26,560 here). It, too, has 91 sets of box changes, one of them unused.
    """
    import keras

    image = keras.Input((_FULL.pyramid.size, _FULL.pyramid.size, 3), dtype="float32")
    body = keras.applications.ResNet50(
        include_top=False, weights=None, input_tensor=keras.layers.Rescaling(1 / 127.5, offset=-1)(image)
    )
    stages = [
        body.get_layer(f"conv{stage}_block{block}_out").output for stage, block in ((2, 3), (3, 4), (4, 6), (5, 3))
    ]
    maps = _pyramid(stages, _FULL.channels)
    coarsest = keras.layers.MaxPooling2D(1, 2)(maps[-1])
    return _detecting(image, [*maps, coarsest], len(maps), _FULL, classes, "faster_rcnn")


def small(classes: int) -> Any:
    """Return a narrow residual body with a pyramid of two levels for 96 x 96 pixels."""
    import keras

    layers = keras.layers

    def convolved(x: Any, channels: int, kernel: int = 3, stride: int = 1) -> Any:
        x = layers.Conv2D(channels, kernel, stride, padding="same", use_bias=False)(x)
        return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))

    image = keras.Input((_SMALL.pyramid.size, _SMALL.pyramid.size, 3), dtype="float32")
    x = layers.Rescaling(1 / 127.5, offset=-1)(image)
    stages = []
    for channels in (16, 32, 64):
        x = convolved(x, channels, stride=2)
        x = layers.Add()([x, convolved(convolved(x, channels // 2, 1), channels)])
        stages.append(x)
    maps = _pyramid(stages[1:], _SMALL.channels)
    return _detecting(image, maps, len(maps), _SMALL, classes, "faster_rcnn_small")


FAMILY = Family(
    name="faster-rcnn",
    title="Faster R-CNN, two-stage detector: ResNet-50, 800 x 800 pixels, 42 million parameters; small: 96 x 96 pixels",
    task=Task.DETECT,
    paper="https://arxiv.org/abs/1506.01497",
    presets={
        FULL: Preset(
            input=ImageInput(size=_FULL.pyramid.size),
            network=full,
            recipe=Recipe(
                epochs=26, batch_size=16, learning_rate=2e-2, optimizer="sgd", schedule="step",
                augmentation=Augmentation(flip=True),
            ),
            parameters=41_888_086,
            classes=90,
            detector=lambda classes: TwoStageDetector(classes, _FULL.pyramid),
        ),
        SMALL: Preset(
            input=ImageInput(size=_SMALL.pyramid.size),
            network=small,
            recipe=Recipe(
                epochs=22, batch_size=16, learning_rate=5e-3,
                augmentation=Augmentation(shift=0.1, flip=True, brightness=0.1),
            ),
            detector=lambda classes: TwoStageDetector(classes, _SMALL.pyramid),
        ),
    },
    batch_sizes=(1, 2, 4),
)  # fmt: skip
