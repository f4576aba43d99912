"""Turning texts into the network's input, inside the graph, with a limit.

Training and the exported graph call the same `encode`. Texts are not normalised first: TensorFlow has no operation for
Unicode's forms, so "é" as one code point and as two are different tokens; clients that send both should send NFC.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model_export.errors import ExportError
from model_export.registry import TextInput

MAX_BYTES = 20_000
"""Longest text that is taken, in bytes of UTF-8."""
VOCABULARY_FILE = "vocabulary.txt"
PADDING, UNKNOWN = 0, 1
_FIRST = 2
"""Id of the first token of the vocabulary."""
# What separates: spaces of every script, control characters, and for words all but letters, their marks and digits.
_SPACES = r"[\s\pZ\pC]+"
_NO_WORD = r"[^\pL\pM\pN]+"


def split(texts: Any, text: TextInput) -> Any:
    """Split texts into lower-case tokens.

    Args:
        texts: string [batch], UTF-8; bytes that are not become U+FFFD.
        text: The network's input.

    Returns:
        Ragged string [batch, tokens]: words, or with `characters` code points, of which runs of spaces are one.

    Raises:
        tf.errors.InvalidArgumentError: In the graph, if a text has more than 20,000 bytes.
    """
    import tensorflow as tf

    longest = tf.reduce_max(tf.concat([[0], tf.strings.length(texts)], axis=0))
    short = tf.debugging.Assert(longest <= MAX_BYTES, [f"a text has more than {MAX_BYTES} bytes"])
    with tf.control_dependencies([short]):
        valid = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
    lower = tf.strings.lower(valid, encoding="utf-8")
    spaced = tf.strings.strip(tf.strings.regex_replace(lower, _SPACES if text.characters else _NO_WORD, " "))
    return tf.strings.unicode_split(spaced, "UTF-8") if text.characters else tf.strings.split(spaced)


def encode(texts: Any, table: Any, text: TextInput) -> Any:
    """Return the ids of the tokens of texts, int32 [batch, length]: cut after `length`, 0 after the last token.

    Args:
        texts: string [batch]; see `split`.
        table: Lookup table of `table_in_memory` or `table_of_file`.
        text: The network's input.
    """
    import tensorflow as tf

    tokens = split(texts, text)[:, : text.length]
    # The table answers -1 for a token it does not know.
    ids = tf.cast(tf.ragged.map_flat_values(table.lookup, tokens) + _FIRST, tf.int32)
    padded = ids.to_tensor(PADDING, shape=[None, text.length])
    return tf.ensure_shape(padded, [None, text.length])


def vocabulary_of(texts: Iterable[bytes], text: TextInput) -> tuple[str, ...]:
    """Return the tokens that a network tells apart: the most frequent ones of the training texts, first of all.

    Args:
        texts: The training texts alone; tokens that only evaluation has must stay unknown.
        text: The network's input; its `vocabulary` counts the ids of padding and unknown ones too.

    Raises:
        ExportError: If no text has a token.
    """
    import tensorflow as tf

    tokens = np.asarray(split(tf.constant(list(texts), tf.string), text).flat_values)
    if not len(tokens):
        raise ExportError("--data: no training text has a letter or a digit; give texts with words")
    found, counts = np.unique(tokens.astype(bytes), return_counts=True)
    order = np.lexsort((found, -counts))[: text.vocabulary - _FIRST]
    return tuple(found[row].decode() for row in order)


def table_in_memory(vocabulary: Sequence[str]) -> Any:
    """Return the lookup table string token -> int64 place in the vocabulary, -1 for others."""
    import tensorflow as tf

    places = tf.range(len(vocabulary), dtype=tf.int64)
    initializer = tf.lookup.KeyValueTensorInitializer(tf.constant(list(vocabulary), tf.string), places)
    return tf.lookup.StaticHashTable(initializer, UNKNOWN - _FIRST)


def table_of_file(vocabulary: Sequence[str]) -> Any:
    """Write the vocabulary into the working folder and return the same table, for export: its file is an asset.

    The path is relative because the graph keeps it as it was given.
    """
    import tensorflow as tf

    Path(VOCABULARY_FILE).write_bytes("".join(f"{token}\n" for token in vocabulary).encode())
    initializer = tf.lookup.TextFileInitializer(
        VOCABULARY_FILE,
        key_dtype=tf.string,
        key_index=tf.lookup.TextFileIndex.WHOLE_LINE,
        value_dtype=tf.int64,
        value_index=tf.lookup.TextFileIndex.LINE_NUMBER,
    )
    return tf.lookup.StaticHashTable(initializer, UNKNOWN - _FIRST)
