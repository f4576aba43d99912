"""The sample texts in many languages."""

import numpy as np
import pytest

from model_export import datasets
from model_export.datasets.translations import LANGUAGES, plain
from model_export.registry import Task


@pytest.fixture(scope="module")
def languages():
    return datasets.load("languages", 0)


def texts(dataset):
    return [part.content(row).decode() for part in (dataset.train, dataset.test) for row in range(len(part))]


def test_every_language_has_its_share(languages):
    assert languages.task is Task.LABEL
    assert languages.classes == tuple(LANGUAGES.values())
    counts = np.bincount(languages.train.targets["label"])
    assert len(counts) == 15
    assert counts.min() > 0.6 * counts.max()
    assert len(texts(languages)) > 4000


def test_no_text_occurs_twice_or_holds_a_placeholder(languages):
    found = texts(languages)
    assert len(set(found)) == len(found)
    assert not [text for text in found if "%(" in text or "{" in text or "<a" in text or "\n" in text]
    assert not [text for text in found if text.startswith("Please ")]  # left in English by the translators
    assert min(sum(map(str.isalpha, text)) for text in found) == 20


def test_the_seed_changes_the_split_and_not_the_texts(languages):
    other = datasets.load("languages", 1)
    assert sorted(texts(other)) == sorted(texts(languages))
    assert other.digest != languages.digest
    assert datasets.load("languages", 0).digest == languages.digest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%(name)s is not “%s”.", "is not “ ”."),
        ("Delete {count} <b>objects</b>\nof&nbsp;all", "Delete objects of all"),
        ("100%% from https://example.org/a", "100 from"),
    ],
)
def test_what_is_not_language_is_taken_out(text, expected):
    assert plain(text) == expected
