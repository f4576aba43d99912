"""EfficientNet-B0: inverted residual blocks found by architecture search; https://arxiv.org/abs/1905.11946."""

from __future__ import annotations

from typing import Any

from model_export.registry import FULL, SMALL, Augmentation, Family, ImageInput, Preset, Recipe, Task


def full(classes: int) -> Any:
    """Return the paper's network: 224 x 224 pixels, 5,330,571 parameters for 1000 classes.

    Keras counts the seven values of its normalisation layer, too.
    """
    import keras

    return keras.applications.EfficientNetB0(weights=None, classes=classes, classifier_activation=None)


def small(classes: int) -> Any:
    """Return the same blocks for 32 x 32 pixels."""
    import keras

    body = keras.applications.EfficientNetB0(
        weights=None, include_top=False, input_shape=(32, 32, 3), pooling="avg", name="efficientnet_b0_body"
    )
    for layer in body.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            # A small set has few steps; with the paper's 0.99 the averages would lag behind the weights.
            layer.momentum = 0.9
    x = keras.layers.Dropout(0.2)(body.output)
    return keras.Model(body.input, keras.layers.Dense(classes, dtype="float32")(x), name="efficientnet_b0_small")


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
            recipe=Recipe(epochs=12, batch_size=64, learning_rate=3e-3, augmentation=Augmentation(shift=0.08)),
        ),
    },
    batch_sizes=(1, 2, 4, 8, 16),
)  # fmt: skip
