"""Tokens: the same in training and in the exported graph."""

import numpy as np
import pytest

from model_export import tokens
from model_export.datasets.records import Examples, objects
from model_export.datasets.texts import TextPipeline
from model_export.errors import ExportError
from model_export.registry import TextInput

TRAINING = [b"The cat sat.", b"the dog sat", "der Hündin the Größe".encode(), b"the  cat\n"]
ODD = [
    b"", b" \t\n", "\u00a0\u3000".encode(), b"THE Cat unknown word", "HÜNDIN\u2028größe".encode(),
    b"\xff\xfe the\x00cat", "👩\u200d🚀 the 🎉".encode(), "Привет 你好 the".encode(), b"the " * 5000, b"cat" * 6666,
    "gro\u0308ße".encode(),
]  # fmt: skip
WORDS = TextInput(length=6, vocabulary=8)
CHARACTERS = TextInput(length=9, vocabulary=30, characters=True)


def ids_of(texts, vocabulary, text):
    return np.asarray(tokens.encode(texts, tokens.table_in_memory(vocabulary), text))


def test_words_are_the_most_frequent_ones_first_then_in_order_of_their_bytes():
    assert tokens.vocabulary_of(TRAINING, WORDS) == ("the", "cat", "sat", "der", "dog", "größe")


def test_the_order_of_the_texts_does_not_change_the_vocabulary():
    assert tokens.vocabulary_of(TRAINING[::-1], WORDS) == tokens.vocabulary_of(TRAINING, WORDS)


def test_padding_unknown_and_known_words_have_their_ids():
    vocabulary = tokens.vocabulary_of(TRAINING, WORDS)
    found = ids_of([b"Sat, THE bird!", b"", "größe".encode(), b"the cat sat the cat sat dog dog"], vocabulary, WORDS)
    assert found.dtype == np.int32
    assert found.tolist() == [[4, 2, 1, 0, 0, 0], [0] * 6, [7, 0, 0, 0, 0, 0], [2, 3, 4, 2, 3, 4]]


def test_characters_are_code_points_and_spaces_of_every_kind_are_one():
    vocabulary = ("a", " ", "é", "🎉")
    found = ids_of(["Aé \u00a0\n🎉\u2028x ".encode()], vocabulary, CHARACTERS)
    assert found.tolist() == [[2, 4, 3, 5, 3, 1, 0, 0, 0]]


@pytest.mark.parametrize("text", [WORDS, CHARACTERS], ids=["words", "characters"])
def test_training_and_exported_graph_read_the_same_ids(tmp_path, monkeypatch, text):
    import tensorflow as tf

    vocabulary = tokens.vocabulary_of(TRAINING, text)
    examples = Examples(inputs=objects(ODD), targets={"label": np.zeros(len(ODD), np.int32)})
    trained = np.concatenate([np.asarray(batch) for batch in TextPipeline(examples, text, vocabulary, 4).evaluation()])
    monkeypatch.chdir(tmp_path)
    module = tf.Module()
    module.table = tokens.table_of_file(vocabulary)

    def serve(texts):
        return {"ids": tokens.encode(texts, module.table, text)}

    signature = tf.function(serve, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    tf.saved_model.save(module, "saved", signatures=signature)
    # Tables of the same file are one in a process, so that the other input's would answer here.
    del signature, module.table
    (tmp_path / "vocabulary.txt").unlink()
    served = tf.saved_model.load("saved").signatures["serving_default"](tf.constant(ODD))["ids"]
    np.testing.assert_array_equal(np.asarray(served), trained)
    assert (tmp_path / "saved/assets/vocabulary.txt").read_text().splitlines() == list(vocabulary)
    known = (trained > tokens.UNKNOWN).any(axis=1).tolist()
    assert known == [False, False, False, *[True] * 6, text is CHARACTERS, text is CHARACTERS]


def test_a_text_that_is_too_long_is_refused_by_the_graph():
    import tensorflow as tf

    table = tokens.table_in_memory(("a",))
    encode = tf.function(lambda texts: tokens.encode(texts, table, WORDS), autograph=False)
    assert encode(tf.constant([b"a" * tokens.MAX_BYTES])).shape == (1, 6)
    with pytest.raises(tf.errors.InvalidArgumentError, match="a text has more than 20000 bytes"):
        encode(tf.constant([b"a", b"a" * (tokens.MAX_BYTES + 1)]))


def test_texts_without_a_token_are_refused_for_training():
    with pytest.raises(ExportError, match="no training text has a letter"):
        tokens.vocabulary_of([b"...", b""], WORDS)


def test_an_epoch_has_an_order_of_its_own_that_comes_again():
    examples = Examples(inputs=objects(TRAINING), targets={"label": np.arange(4, dtype=np.int32)})
    pipeline = TextPipeline(examples, WORDS, tokens.vocabulary_of(TRAINING, WORDS), 2)

    def epoch(number, seed):
        return [np.asarray(labels).tolist() for _, labels in pipeline.training(range(number, number + 1), seed)]

    assert pipeline.steps == 2
    assert sorted(label for labels in epoch(0, 0) for label in labels) == [0, 1, 2, 3]
    assert epoch(1, 0) == epoch(1, 0)
    assert len({str(epoch(number, 0)) for number in range(6)}) > 1
    on_end = [np.asarray(labels).tolist() for _, labels in pipeline.training(range(1, 4), 0)]
    assert on_end == [*epoch(1, 0), *epoch(2, 0), *epoch(3, 0)]
    ids, labels = next(iter(pipeline.training(range(1), 0)))
    expected = ids_of([TRAINING[row] for row in np.asarray(labels)], tokens.vocabulary_of(TRAINING, WORDS), WORDS)
    np.testing.assert_array_equal(np.asarray(ids), expected)
