"""FCN-8s: VGG16 as convolutions, its scores upsampled in three steps with skips; https://arxiv.org/abs/1411.4038."""

from __future__ import annotations

from typing import Any

from model_export.families.vgg16 import centred
from model_export.registry import FULL, SMALL, Augmentation, Family, ImageInput, Preset, Recipe, Task

_FULL_SIZE = 512
_SMALL_SIZE = 64


def _bilinear(shape: tuple[int, ...], dtype: Any = None) -> Any:
    """Return the kernel [side, side, classes, classes] that upsamples each class on its own."""
    import numpy as np

    side, _, classes, _ = shape
    factor = (side + 1) // 2
    centre = factor - 0.5 if side % 2 == 0 else factor - 1
    line = 1 - np.abs(np.arange(side) - centre) / factor
    return (np.outer(line, line)[..., None, None] * np.eye(classes)).astype("float32")


def _upsampled(scores: Any, classes: int, factor: int, *, trainable: bool = True, dtype: str | None = None) -> Any:
    import keras

    return keras.layers.Conv2DTranspose(
        classes, 2 * factor, strides=factor, padding="same", use_bias=False, kernel_initializer=_bilinear,
        trainable=trainable, dtype=dtype,
    )(scores)  # fmt: skip


def _head(pools: list[Any], top: Any, classes: int) -> Any:
    """Return logits at the input's size.

    Args:
        pools: Features at an eighth and a sixteenth of the input's sides.
        top: Features at a thirty-second.
        classes: Number of classes.
    """
    import keras

    def scores(features: Any, start: str) -> Any:
        return keras.layers.Conv2D(classes, 1, kernel_initializer=start)(features)

    # The paper starts the skips at zero and upsamples bilinearly; the last upsampling is never trained.
    third, fourth = (scores(each, "zeros") for each in pools)
    x = _upsampled(scores(top, "glorot_uniform"), classes, 2)
    x = _upsampled(keras.layers.Add()([x, fourth]), classes, 2)
    return _upsampled(keras.layers.Add()([x, third]), classes, 8, trainable=False, dtype="float32")


def full(classes: int) -> Any:
    """Return the paper's network: 512 x 512 pixels, 134,489,759 parameters for PASCAL VOC's 21 classes.

    Padding is "same" where the reference code pads the image by 100 pixels and crops the result.
    """
    import keras

    layers = keras.layers
    image = keras.Input((_FULL_SIZE, _FULL_SIZE, 3), dtype="float32")
    body = keras.applications.VGG16(include_top=False, weights=None, input_tensor=centred(image))
    third, fourth, x = (body.get_layer(f"block{number}_pool").output for number in (3, 4, 5))
    for side in (7, 1):
        x = layers.Dropout(0.5)(layers.Conv2D(4096, side, padding="same", activation="relu")(x))
    return keras.Model(image, _head([third, fourth], x, classes), name="fcn")


def small(classes: int) -> Any:
    """Return a narrow body with batch normalisation for 64 x 64 pixels, its steps a quarter as coarse."""
    import keras

    layers = keras.layers
    image = keras.Input((_SMALL_SIZE, _SMALL_SIZE, 3), dtype="float32")
    x = layers.Rescaling(1 / 127.5, offset=-1)(image)
    levels = []
    for width in (16, 32, 64, 96):
        for _ in range(2):
            x = layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
            x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
        levels.append(x)
        x = layers.MaxPooling2D()(x)
    # Scores at half, a quarter and an eighth of the sides: shapes of 20 pixels vanish in the paper's coarser ones.
    scores = [layers.Conv2D(classes, 1)(each) for each in levels]
    found = scores.pop()
    while scores:
        found = layers.Add()([_upsampled(found, classes, 2), scores.pop()])
    return keras.Model(image, layers.Activation("linear", dtype="float32")(found), name="fcn_small")


FAMILY = Family(
    name="fcn",
    title="FCN-8s, segmenter over VGG16: 512 x 512 pixels, 134 million parameters; small: 64 x 64 pixels",
    task=Task.SEGMENT,
    paper="https://arxiv.org/abs/1411.4038",
    presets={
        FULL: Preset(
            input=ImageInput(size=_FULL_SIZE),
            network=full,
            recipe=Recipe(
                epochs=175, batch_size=20, learning_rate=1e-4, optimizer="sgd", weight_decay=5e-4,
                augmentation=Augmentation(flip=True),
            ),
            parameters=134_489_759,
            classes=21,
        ),
        SMALL: Preset(
            input=ImageInput(size=_SMALL_SIZE),
            network=small,
            recipe=Recipe(
                epochs=18, batch_size=10, learning_rate=5e-3,
                augmentation=Augmentation(shift=0.06, flip=True, brightness=0.05),
            ),
        ),
    },
    batch_sizes=(1, 2, 4, 8),
)  # fmt: skip
