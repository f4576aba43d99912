"""LSTM: a recurrent network that reads a text from left to right; https://arxiv.org/abs/1409.2329."""

from __future__ import annotations

from typing import Any

from model_export.registry import FULL, SMALL, Family, Preset, Recipe, Task, TextInput

_FULL_TEXT = TextInput(length=128, vocabulary=10_000)
_SMALL_TEXT = TextInput(length=24, vocabulary=5_000)


def full(classes: int) -> Any:
    """Return the paper's large regularised LSTM: two layers of 1500 units, 66,022,000 parameters for 10,000 classes.

    The paper predicts the next of 10,000 words; for a class of the whole text the last state goes into the same dense
    layer. Dropout of 0.65 lies between the layers and never on the way from a word to the next.
    """
    import keras

    layers = keras.layers
    tokens = keras.Input((_FULL_TEXT.length,), dtype="int32")
    x = layers.Embedding(_FULL_TEXT.vocabulary, 1500, mask_zero=True)(tokens)
    # cuDNN's kernel refuses texts without a token.
    for last in (False, True):
        x = layers.Dropout(0.65)(x)
        x = layers.LSTM(1500, return_sequences=not last, use_cudnn=False)(x)
    x = layers.Dropout(0.65)(x)
    return keras.Model(tokens, layers.Dense(classes, dtype="float32")(x), name="lstm")


def small(classes: int) -> Any:
    """Return one layer of 64 units over the first 24 words."""
    import keras

    layers = keras.layers
    tokens = keras.Input((_SMALL_TEXT.length,), dtype="int32")
    x = layers.Embedding(_SMALL_TEXT.vocabulary, 64, mask_zero=True)(tokens)
    x = layers.LSTM(64, use_cudnn=False)(layers.SpatialDropout1D(0.5)(x))
    x = layers.Dropout(0.3)(x)
    return keras.Model(tokens, layers.Dense(classes, dtype="float32")(x), name="lstm_small")


FAMILY = Family(
    name="lstm",
    title="LSTM, text classifier: 128 words, two layers of 1500 units; small: 24 words",
    task=Task.LABEL,
    paper="https://arxiv.org/abs/1409.2329",
    presets={
        FULL: Preset(
            input=_FULL_TEXT,
            network=full,
            recipe=Recipe(
                epochs=55, batch_size=20, learning_rate=1.0, optimizer="sgd", schedule="step", weight_decay=0.0
            ),
            # https://arxiv.org/abs/1609.07843, table 2, gives 66M for this network.
            parameters=66_022_000,
            classes=10_000,
        ),
        SMALL: Preset(
            input=_SMALL_TEXT, network=small, recipe=Recipe(epochs=8, batch_size=64, learning_rate=1e-2)
        ),
    },
)  # fmt: skip
