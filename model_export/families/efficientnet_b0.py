"""EfficientNet-B0: inverted residual blocks found by architecture search; https://arxiv.org/abs/1905.11946."""

from __future__ import annotations

from typing import Any, NamedTuple

from model_export.registry import FULL, SMALL, Augmentation, Family, ImageInput, Preset, Recipe, Task


def full(classes: int) -> Any:
    """Return the paper's network: 224 x 224 pixels, 5,330,571 parameters for 1000 classes.

    Keras counts the seven values of its normalisation layer, too.
    """
    import keras

    return keras.applications.EfficientNetB0(weights=None, classes=classes, classifier_activation=None)


class _Stage(NamedTuple):
    """Inverted residual blocks of the paper's table 1; the stride is the first one's."""

    kernel: int
    stride: int
    expansion: int
    channels: int


_STAGES = (
    _Stage(3, 1, 1, 16),
    _Stage(3, 2, 6, 24),
    _Stage(5, 2, 6, 40),
    _Stage(3, 2, 6, 80),
    _Stage(5, 1, 6, 112),
    _Stage(5, 2, 6, 192),
    _Stage(3, 1, 6, 320),
)
_STEM, _HEAD = 32, 1280
_SMALL_WIDTH = 0.35
"""Width coefficient of the small preset; its depth is one block per stage."""
_SQUEEZE = 0.25


def _scaled(channels: int) -> int:
    """Return a number of channels in the small preset, a multiple of 8."""
    return max(8, round(channels * _SMALL_WIDTH / 8) * 8)


def _normalised(x: Any, *, activate: bool = True) -> Any:
    import keras

    # A small set has few steps; with the paper's momentum of 0.99 the averages would lag behind the weights.
    x = keras.layers.BatchNormalization(momentum=0.9)(x)
    return keras.layers.Activation("swish")(x) if activate else x


def _block(x: Any, stage: _Stage) -> Any:
    import keras

    layers = keras.layers
    narrow = int(x.shape[-1])
    wide = narrow * stage.expansion
    y = _normalised(layers.Conv2D(wide, 1, use_bias=False)(x)) if stage.expansion > 1 else x
    y = _normalised(layers.DepthwiseConv2D(stage.kernel, stage.stride, padding="same", use_bias=False)(y))
    gate = layers.GlobalAveragePooling2D(keepdims=True)(y)
    gate = layers.Conv2D(max(1, int(narrow * _SQUEEZE)), 1, activation="swish")(gate)
    y = layers.Multiply()([y, layers.Conv2D(wide, 1, activation="sigmoid")(gate)])
    y = _normalised(layers.Conv2D(_scaled(stage.channels), 1, use_bias=False)(y), activate=False)
    return layers.Add()([x, y]) if x.shape == y.shape else y


def small(classes: int) -> Any:
    """Return the paper's stages for 32 x 32 pixels, about a third as wide and of one block each."""
    import keras

    layers = keras.layers
    image = keras.Input((32, 32, 3), dtype="float32")
    x = layers.Rescaling(1 / 127.5, offset=-1)(image)
    x = _normalised(layers.Conv2D(_scaled(_STEM), 3, 2, padding="same", use_bias=False)(x))
    for stage in _STAGES:
        x = _block(x, stage)
    x = _normalised(layers.Conv2D(_scaled(_HEAD), 1, use_bias=False)(x))
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, layers.Dense(classes, dtype="float32")(x), name="efficientnet_b0_small")


FAMILY = Family(
    name="efficientnet-b0",
    title="EfficientNet-B0, image classifier: 224 x 224 pixels, 5.3 million parameters; small: 32 x 32 pixels",
    task=Task.CLASSIFY,
    paper="https://arxiv.org/abs/1905.11946",
    presets={
        FULL: Preset(
            input=ImageInput(size=224, crop=0.875),
            network=full,
            recipe=Recipe(
                epochs=350, batch_size=256, learning_rate=1e-3, label_smoothing=0.1,
                augmentation=Augmentation(shift=0.1, flip=True, brightness=0.2),
            ),
            parameters=5_330_571,
        ),
        SMALL: Preset(
            input=ImageInput(size=32),
            network=small,
            recipe=Recipe(epochs=16, batch_size=64, learning_rate=3e-3, augmentation=Augmentation(shift=0.08)),
        ),
    },
    batch_sizes=(1, 2, 4, 8, 16),
)  # fmt: skip
