"""The table of a text model's worst mistakes, and the vocabulary a run keeps."""

from dataclasses import replace

import numpy as np

from model_export.datasets.records import Examples, objects
from model_export.evaluation.texts import mistakes, shown
from model_export.registry import Recipe
from model_export.training.run import Order, read_order, write_order


def examples(labels):
    texts = objects([f"text {row}\nnext line".encode() for row in range(len(labels))])
    return Examples(inputs=texts, targets={"label": np.array(labels, np.int32)})


def test_the_most_certain_mistake_is_first_and_right_answers_are_missing():
    scores = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]], np.float32)
    found = mistakes(scores, examples([0, 0, 0, 1]), ("no", "yes"))
    assert found.text == "2 of 4 are wrong; the most certain ones:"
    assert [(row["text"], row["truth"], row["answer"]) for row in found.table] == [
        ("text 2 next line", "no", "yes"),
        ("text 1 next line", "no", "yes"),
    ]
    assert [round(row["certainty"], 3) for row in found.table] == [0.8, 0.6]


def test_without_a_mistake_there_is_no_section():
    assert mistakes(np.array([[0.9, 0.1]], np.float32), examples([0]), ("no", "yes")) is None


def test_long_texts_are_cut_and_what_is_not_utf8_is_shown_all_the_same():
    assert shown(b"a" * 121) == "a" * 120 + "…"
    assert shown(b"a" * 120) == "a" * 120
    assert shown(b"caf\xe9") == "caf\N{REPLACEMENT CHARACTER}"


def test_a_run_keeps_its_vocabulary(tmp_path):
    order = Order(
        family="lstm", preset="small", data="languages", data_digest="0", classes=("a", "b"), license="unknown", seed=0,
        recipe=Recipe(epochs=1, batch_size=1, learning_rate=0.1), vocabulary=("größe", " ", "\u2028", '"'),
    )  # fmt: skip
    write_order(tmp_path, order)
    assert read_order(tmp_path) == order
    assert read_order(tmp_path) != replace(order, vocabulary=())
