"""U-Net: an encoder and a decoder with bridges between equal sizes; https://arxiv.org/abs/1505.04597."""

from __future__ import annotations

from typing import Any

from model_export.registry import FULL, SMALL, Augmentation, Family, ImageInput, Preset, Recipe, Task


def _network(size: int, width: int, depth: int, classes: int, name: str, *, normalised: bool) -> Any:
    """Return a U-Net whose convolutions keep the size, where the paper's lose a border that its crops make up for."""
    import keras

    layers = keras.layers

    def twice(x: Any, channels: int) -> Any:
        for _ in range(2):
            x = layers.Conv2D(channels, 3, padding="same", use_bias=not normalised)(x)
            x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x) if normalised else x)
        return x

    image = keras.Input((size, size, 3), dtype="float32")
    x = layers.Rescaling(1 / 127.5, offset=-1)(image)
    bridges = []
    for level in range(depth):
        x = twice(x, width << level)
        bridges.append(x)
        x = layers.MaxPooling2D()(x)
    x = twice(x, width << depth)
    for level in reversed(range(depth)):
        x = layers.Conv2DTranspose(width << level, 2, 2)(x)
        x = twice(layers.Concatenate()([bridges[level], x]), width << level)
    return keras.Model(image, layers.Conv2D(classes, 1, dtype="float32")(x), name=name)


def full(classes: int) -> Any:
    """Return the paper's network for three channels of 512 x 512 pixels: 31,031,810 parameters for 2 classes.

    The paper's own has one channel and 1,152 parameters less (9 x 64 for each of the two others); its sum is that of the
    channels in its figure 1.
    """
    return _network(512, 64, 4, classes, "unet", normalised=False)


def small(classes: int) -> Any:
    """Return three levels of 16 to 128 channels for 96 x 96 pixels, with batch normalisation."""
    return _network(96, 12, 3, classes, "unet_small", normalised=True)


FAMILY = Family(
    name="unet",
    title="U-Net, segmenter: 512 x 512 pixels, 31 million parameters; small: 96 x 96 pixels",
    task=Task.SEGMENT,
    paper="https://arxiv.org/abs/1505.04597",
    presets={
        FULL: Preset(
            input=ImageInput(size=512),
            network=full,
            recipe=Recipe(
                epochs=100, batch_size=8, learning_rate=1e-3,
                augmentation=Augmentation(shift=0.1, flip=True, brightness=0.1),
            ),
            parameters=31_031_810,
            classes=2,
        ),
        SMALL: Preset(
            input=ImageInput(size=96),
            network=small,
            recipe=Recipe(epochs=8, batch_size=16, learning_rate=4e-3, augmentation=Augmentation(flip=True)),
        ),
    },
    batch_sizes=(1, 2, 4, 8),
)  # fmt: skip
