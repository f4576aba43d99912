"""U-Net: a contracting and an expanding path of 3 x 3 convolutions with skips; https://arxiv.org/abs/1505.04597."""

from __future__ import annotations

from typing import Any

from model_export.registry import FULL, SMALL, Augmentation, Family, ImageInput, Preset, Recipe, Task

_FULL_SIZE = 512
_SMALL_SIZE = 64


def _network(classes: int, size: int, widths: tuple[int, ...], *, normalised: bool, name: str) -> Any:
    """Return the network; its convolutions pad, so that the output is as large as the input (the paper's shrinks)."""
    import keras

    layers = keras.layers

    def twice(x: Any, width: int) -> Any:
        for _ in range(2):
            x = layers.Conv2D(width, 3, padding="same", use_bias=not normalised, kernel_initializer="he_normal")(x)
            if normalised:
                x = layers.BatchNormalization(momentum=0.9)(x)
            x = layers.ReLU()(x)
        return x

    image = keras.Input((size, size, 3), dtype="float32")
    x = layers.Rescaling(1 / 127.5, offset=-1)(image)
    skips = []
    for width in widths[:-1]:
        x = twice(x, width)
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = twice(x, widths[-1])
    if not normalised:
        # As in the paper, at the end of the contracting path.
        x = layers.Dropout(0.5)(x)
    for width, skip in zip(reversed(widths[:-1]), reversed(skips), strict=True):
        x = layers.Conv2DTranspose(width, 2, strides=2)(x)
        x = twice(layers.Concatenate()([skip, x]), width)
    return keras.Model(image, layers.Conv2D(classes, 1, dtype="float32")(x), name=name)


def full(classes: int) -> Any:
    """Return the paper's network for colour images: 512 x 512 pixels, 31,031,810 parameters for 2 classes."""
    return _network(classes, _FULL_SIZE, (64, 128, 256, 512, 1024), normalised=False, name="unet")


def small(classes: int) -> Any:
    """Return a quarter of the width and one level less for 64 x 64 pixels, with batch normalisation."""
    return _network(classes, _SMALL_SIZE, (16, 32, 64, 96), normalised=True, name="unet_small")


FAMILY = Family(
    name="unet",
    title="U-Net, segmenter: 512 x 512 pixels, 31 million parameters; small: 64 x 64 pixels",
    task=Task.SEGMENT,
    paper="https://arxiv.org/abs/1505.04597",
    presets={
        FULL: Preset(
            input=ImageInput(size=_FULL_SIZE),
            network=full,
            recipe=Recipe(
                epochs=60, batch_size=1, learning_rate=1e-4, optimizer="adam",
                augmentation=Augmentation(shift=0.1, flip=True, brightness=0.1),
            ),
            parameters=31_031_810,
            classes=2,
        ),
        SMALL: Preset(
            input=ImageInput(size=_SMALL_SIZE),
            network=small,
            recipe=Recipe(
                epochs=18, batch_size=10, learning_rate=3e-3,
                augmentation=Augmentation(shift=0.06, flip=True, brightness=0.05),
            ),
        ),
    },
    batch_sizes=(1, 2, 4, 8),
)  # fmt: skip
