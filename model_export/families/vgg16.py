"""VGG16: thirteen 3 x 3 convolutions in five blocks and three dense layers; https://arxiv.org/abs/1409.1556."""

from __future__ import annotations

from typing import Any

from model_export.registry import FULL, SMALL, Augmentation, Family, ImageInput, Preset, Recipe, Task

_BLOCKS = (2, 2, 3, 3, 3)
"""Convolutions per block; a pooling layer ends each."""
_MEANS = (103.939, 116.779, 123.68)
"""Means of ImageNet's blue, green and red, which the published model subtracts."""


def centred(image: Any) -> Any:
    """Return RGB in [0, 255] as the published VGG networks take it: blue, green, red around 0."""
    import keras

    blue_green_red = keras.layers.Lambda(lambda pixels: pixels[..., ::-1], dtype="float32", name="bgr")(image)
    return keras.layers.Normalization(mean=_MEANS, variance=(1.0, 1.0, 1.0), name="centred")(blue_green_red)


def full(classes: int) -> Any:
    """Return the paper's network: 224 x 224 pixels, 138,357,544 parameters for 1000 classes."""
    import keras

    image = keras.Input((224, 224, 3), dtype="float32")
    body = keras.applications.VGG16(weights=None, classes=classes, classifier_activation=None)
    return keras.Model(image, body(centred(image)), name="vgg16")


def small(classes: int) -> Any:
    """Return the same blocks an eighth as wide for 32 x 32 pixels, with batch normalisation to train in minutes."""
    import keras

    layers = keras.layers
    image = keras.Input((32, 32, 3), dtype="float32")
    x = layers.Rescaling(1 / 127.5, offset=-1)(image)
    for block, count in enumerate(_BLOCKS):
        for _ in range(count):
            x = layers.Conv2D(min(8 * 2**block, 64), 3, padding="same", use_bias=False)(x)
            x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
        x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)
    for _ in range(2):
        x = layers.Dropout(0.2)(layers.Dense(128, activation="relu")(x))
    return keras.Model(image, layers.Dense(classes, dtype="float32")(x), name="vgg16_small")


FAMILY = Family(
    name="vgg16",
    title="VGG16, image classifier: 224 x 224 pixels, 138 million parameters; small: 32 x 32 pixels",
    task=Task.CLASSIFY,
    paper="https://arxiv.org/abs/1409.1556",
    presets={
        FULL: Preset(
            input=ImageInput(size=224, crop=0.875),
            network=full,
            recipe=Recipe(
                epochs=74, batch_size=256, learning_rate=0.01, optimizer="sgd", schedule="step", weight_decay=5e-4,
                augmentation=Augmentation(shift=0.1, flip=True, brightness=0.1),
            ),
            parameters=138_357_544,
        ),
        SMALL: Preset(
            input=ImageInput(size=32),
            network=small,
            recipe=Recipe(epochs=12, batch_size=64, learning_rate=3e-3, augmentation=Augmentation(shift=0.08)),
        ),
    },
    batch_sizes=(1, 2, 4, 8, 16),
)  # fmt: skip
