"""The signatures of a text classifier.

`serving_default` takes `text`, string [batch], UTF-8 of at most 20,000 bytes each, and returns `scores` float32,
`class_ids` int32 and `labels` string, each [batch, 5] (or as many as there are classes), best first; scores are
probabilities in [0, 1]. `classify` takes `inputs`, string [batch], serialized tf.Example with the feature "text", and
returns `classes` string and `scores` float32, of the same shape. A text that is too long fails its whole batch;
an empty one is answered as well, with low scores.
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from model_export import tokens
from model_export.datasets.records import objects
from model_export.exportable import Exportable
from model_export.served import Endpoint
from model_export.served.ranking import classify_of_examples, ranked
from model_export.signatures import TEXT_FEATURE, example_of

_WARMUP = b"The quick brown fox jumps over the lazy dog."
_PROBES = (
    "Das Passwort ist zu kurz.",
    "",
    " \t\n\u00a0",
    "word " * (tokens.MAX_BYTES // 5),
    "👩‍🚀 🎉 !!! 42",
    "Привет, мир! 你好。 مرحبا بالعالم",
    "CRÈME BRÛLÉE, cre\u0300me bru\u0302le\u0301e",
)


def endpoints(network: Any, labels: Any, model: Exportable) -> dict[str, Endpoint]:
    """See `Served`."""
    import tensorflow as tf

    table = tokens.table_of_file(model.vocabulary)

    def serving_default(text: Any) -> dict[str, Any]:
        scores = network(tokens.encode(text, table, model.text), training=False)
        return ranked(scores, labels, len(model.labels))

    classify = classify_of_examples(TEXT_FEATURE, serving_default)
    return {
        "serving_default": Endpoint(serving_default, [tf.TensorSpec([None], tf.string, name="text")], (table,)),
        "classify": Endpoint(classify, [tf.TensorSpec([None], tf.string, name="inputs")], (table,)),
    }


def warmup_input(model: Exportable) -> bytes:
    """See `Served`."""
    return _WARMUP


def probes(model: Exportable) -> dict[str, npt.NDArray[Any]]:
    """See `Served`: texts of several scripts, empty, longest and odd ones, and bytes that are no UTF-8."""
    texts = [*(text.encode() for text in _PROBES), b"\xff\xfe\x00 caf\xe9"]
    return {"serving_default": objects(texts), "classify": objects([example_of(TEXT_FEATURE, text) for text in texts])}
