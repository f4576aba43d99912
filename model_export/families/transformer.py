"""Transformer encoder of https://arxiv.org/abs/1706.03762 in the sizes of BERT-base, https://arxiv.org/abs/1810.04805.

Layers are normalised before attention and dense layers, which trains without a long warm-up
(https://arxiv.org/abs/2002.04745); positions are learned.
"""

from __future__ import annotations

from typing import Any

from model_export.registry import FULL, SMALL, Family, Preset, Recipe, Task, TextInput

_FULL_TEXT = TextInput(length=512, vocabulary=30_522)
_SMALL_TEXT = TextInput(length=24, vocabulary=5_000)


def _encoded(text: TextInput, *, width: int, blocks: int, heads: int, inner: int, dropout: float) -> tuple[Any, Any]:
    """Return the tokens, int32 [batch, length], and the mean of their encodings, float32 [batch, width]."""
    import keras

    layers, ops = keras.layers, keras.ops
    tokens = keras.Input((text.length,), dtype="int32")
    places = layers.Lambda(
        lambda read: ops.zeros_like(read) + ops.arange(text.length, dtype="int32"),
        output_shape=(text.length,), dtype="int32", name="places",
    )  # fmt: skip
    is_token = layers.Lambda(
        lambda read: ops.not_equal(read, 0), output_shape=(text.length,), dtype="bool", name="is_token"
    )(tokens)
    x = layers.Embedding(text.vocabulary, width, name="words")(tokens)
    x = layers.Add()([x, layers.Embedding(text.length, width, name="positions")(places(tokens))])
    x = layers.Dropout(dropout)(x)
    for _ in range(blocks):
        normal = layers.LayerNormalization(epsilon=1e-6)(x)
        attention = layers.MultiHeadAttention(heads, width // heads, dropout=dropout, flash_attention=False)
        found = attention(normal, normal, key_mask=is_token)
        x = layers.Add()([x, layers.Dropout(dropout)(found)])
        normal = layers.LayerNormalization(epsilon=1e-6)(x)
        found = layers.Dense(width)(layers.Dense(inner, activation="gelu")(normal))
        x = layers.Add()([x, layers.Dropout(dropout)(found)])
    x = layers.LayerNormalization(epsilon=1e-6)(x)

    def mean(given: tuple[Any, Any]) -> Any:
        every, counts = given[0], ops.cast(given[1], given[0].dtype)[..., None]
        return ops.sum(every * counts, axis=1) / ops.maximum(ops.sum(counts, axis=1), 1)

    return tokens, layers.Lambda(mean, output_shape=(width,), name="mean")((x, is_token))


def full(classes: int) -> Any:
    """Return twelve blocks of BERT-base: 109,482,242 parameters for 2 classes.

    The published body has 109,482,240; its two embeddings of token types (1,536) are missing here, as there is one kind
    of text, and the head has 769 per class.
    """
    import keras

    tokens, x = _encoded(_FULL_TEXT, width=768, blocks=12, heads=12, inner=3072, dropout=0.1)
    x = keras.layers.Dense(768, activation="tanh", name="pooler")(x)
    return keras.Model(tokens, keras.layers.Dense(classes, dtype="float32")(x), name="transformer")


def small(classes: int) -> Any:
    """Return two blocks of 64 values over the first 24 words."""
    import keras

    tokens, x = _encoded(_SMALL_TEXT, width=64, blocks=2, heads=4, inner=128, dropout=0.3)
    x = keras.layers.Dropout(0.3)(x)
    return keras.Model(tokens, keras.layers.Dense(classes, dtype="float32")(x), name="transformer_small")


FAMILY = Family(
    name="transformer",
    title="Transformer encoder, text classifier: 512 words, twelve blocks of BERT-base; small: 24 words",
    task=Task.LABEL,
    paper="https://arxiv.org/abs/1810.04805",
    presets={
        FULL: Preset(
            input=_FULL_TEXT,
            network=full,
            recipe=Recipe(epochs=40, batch_size=256, learning_rate=1e-4, weight_decay=0.01, warmup=0.01),
            parameters=109_482_242,
            classes=2,
        ),
        SMALL: Preset(
            input=_SMALL_TEXT, network=small, recipe=Recipe(epochs=8, batch_size=64, learning_rate=3e-3)
        ),
    },
    batch_sizes=(1, 2, 4, 8, 16),
)  # fmt: skip
