"""FCN: a classifier made convolutional, its coarse answers added up over three scales; https://arxiv.org/abs/1411.4038."""

from __future__ import annotations

from typing import Any

from model_export.families.vgg16 import centred
from model_export.registry import FULL, SMALL, Augmentation, Family, ImageInput, Preset, Recipe, Task


def _scored(scales: list[Any], classes: int, last: int) -> Any:
    """Return logits at `last` times the size of the finest scale: scales are scored, doubled and added, coarse first."""
    import keras

    layers = keras.layers
    fine, *coarser = scales
    x = layers.Conv2D(classes, 1)(coarser[-1])
    for scale in [*reversed(coarser[:-1]), fine]:
        x = layers.Conv2DTranspose(classes, 4, 2, padding="same", use_bias=False)(x)
        x = layers.Add()([x, layers.Conv2D(classes, 1)(scale)])
    return layers.Conv2DTranspose(classes, 2 * last, last, padding="same", use_bias=False, dtype="float32")(x)


def full(classes: int) -> Any:
    """Return FCN-8s over VGG16 for 512 x 512 pixels: 134,489,759 parameters for 21 classes; the paper says 134 million.

    VGG16's convolutions have 14,714,688, its dense layers as convolutions 7 x 7 x 512 x 4096 + 4096 and 4096 x 4096 +
    4096; the three scores (4096 + 1) c, (512 + 1) c and (256 + 1) c; the upsamplings 2 x 16 c c + 256 c c.
    """
    import keras

    layers = keras.layers
    image = keras.Input((512, 512, 3), dtype="float32")
    body = keras.applications.VGG16(weights=None, include_top=False, input_tensor=centred(image))
    x = body.get_layer("block5_pool").output
    for kernel in (7, 1):
        x = layers.Dropout(0.5)(layers.Conv2D(4096, kernel, padding="same", activation="relu")(x))
    scales = [body.get_layer(f"block{block}_pool").output for block in (3, 4)]
    return keras.Model(image, _scored([*scales, x], classes, 8), name="fcn")


def small(classes: int) -> Any:
    """Return the same adding up over a narrow body for 96 x 96 pixels, from half the size on."""
    import keras

    layers = keras.layers
    image = keras.Input((96, 96, 3), dtype="float32")
    x = layers.Rescaling(1 / 127.5, offset=-1)(image)
    scales = []
    for channels in (16, 32, 64, 96):
        for _ in range(2):
            x = layers.Conv2D(channels, 3, padding="same", use_bias=False)(x)
            x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
        x = layers.MaxPooling2D()(x)
        scales.append(x)
    return keras.Model(image, _scored(scales, classes, 2), name="fcn_small")


FAMILY = Family(
    name="fcn",
    title="FCN-8s over VGG16, segmenter: 512 x 512 pixels, 134 million parameters; small: 96 x 96 pixels",
    task=Task.SEGMENT,
    paper="https://arxiv.org/abs/1411.4038",
    presets={
        FULL: Preset(
            input=ImageInput(size=512),
            network=full,
            recipe=Recipe(
                epochs=175, batch_size=20, learning_rate=1e-4, optimizer="sgd", schedule="constant", weight_decay=5e-4,
                augmentation=Augmentation(flip=True),
            ),
            parameters=134_489_759,
            classes=21,
        ),
        SMALL: Preset(
            input=ImageInput(size=96),
            network=small,
            recipe=Recipe(epochs=14, batch_size=16, learning_rate=4e-3, augmentation=Augmentation(flip=True)),
        ),
    },
    batch_sizes=(1, 2, 4, 8),
)  # fmt: skip
