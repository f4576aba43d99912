"""A recurrent network in both directions whose states are weighed by additive attention.

Encoder and attention are those of https://arxiv.org/abs/1409.0473; for a class of the whole text a learned query takes
the place of the decoder's state, as in https://aclanthology.org/P16-2034.
"""

from __future__ import annotations

from typing import Any

from model_export.registry import FULL, SMALL, Family, Preset, Recipe, Task, TextInput

_FULL_TEXT = TextInput(length=128, vocabulary=30_000)
_SMALL_TEXT = TextInput(length=24, vocabulary=5_000)
_HIDDEN = -1e9
"""Added to the score of a place without a token; finite, so that a text without any is answered too."""


def pooled(tokens: Any, states: Any, units: int) -> Any:
    """Return float32 [batch, 2 units], the mean of states weighed by v . tanh(W state + b)."""
    import keras

    layers, ops = keras.layers, keras.ops
    scores = layers.Dense(1, use_bias=False, name="score")(layers.Dense(units, activation="tanh", name="align")(states))

    def weigh(given: tuple[Any, Any, Any]) -> Any:
        read, every, weights = given
        gone = ops.cast(ops.equal(read, 0), weights.dtype)[..., None] * _HIDDEN
        return ops.sum(ops.softmax(weights + gone, axis=1) * every, axis=1)

    # The mean has no places left that could be masked.
    attention = layers.Lambda(weigh, (states.shape[-1],), mask=lambda inputs, mask: None, name="attention")
    return attention((tokens, states, scores))


def full(classes: int) -> Any:
    """Return the paper's encoder of 2 x 1000 gated units with its attention: 30,332,002 parameters for 2 classes."""
    import keras

    layers = keras.layers
    tokens = keras.Input((_FULL_TEXT.length,), dtype="int32")
    x = layers.Embedding(_FULL_TEXT.vocabulary, 620, mask_zero=True)(tokens)
    # The paper's unit resets the state before it is multiplied.
    cell = layers.GRU(1000, return_sequences=True, reset_after=False, use_cudnn=False)
    x = pooled(tokens, layers.Bidirectional(cell)(x), 1000)
    return keras.Model(tokens, layers.Dense(classes, dtype="float32")(x), name="attention")


def small(classes: int) -> Any:
    """Return 2 x 48 gated units over the first 24 words."""
    import keras

    layers = keras.layers
    tokens = keras.Input((_SMALL_TEXT.length,), dtype="int32")
    x = layers.Embedding(_SMALL_TEXT.vocabulary, 64, mask_zero=True)(tokens)
    x = layers.SpatialDropout1D(0.4)(x)
    x = layers.Bidirectional(layers.GRU(48, return_sequences=True, use_cudnn=False))(x)
    x = layers.Dropout(0.3)(pooled(tokens, x, 48))
    return keras.Model(tokens, layers.Dense(classes, dtype="float32")(x), name="attention_small")


FAMILY = Family(
    name="attention",
    title="GRU in both directions with attention, text classifier: 128 words, 2 x 1000 units; small: 24 words",
    task=Task.LABEL,
    paper="https://arxiv.org/abs/1409.0473",
    presets={
        FULL: Preset(
            input=_FULL_TEXT,
            network=full,
            recipe=Recipe(epochs=10, batch_size=80, learning_rate=1e-3, optimizer="adam"),
            # The paper gives sizes and no sum: 30,000 x 620 words; per direction 3 (620 + 1000 + 1) 1000 gates;
            # (2000 + 1) 1000 + 1000 attention; (2000 + 1) per class.
            parameters=30_332_002,
            classes=2,
        ),
        SMALL: Preset(
            input=_SMALL_TEXT, network=small, recipe=Recipe(epochs=6, batch_size=64, learning_rate=1e-2)
        ),
    },
)  # fmt: skip
