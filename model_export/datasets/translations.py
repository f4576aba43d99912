"""Texts in fifteen languages that Django ships: the translations of its own user interface.

Some languages are close relatives (Spanish, Portuguese and Italian; Danish, Norwegian and Swedish), so that a
model has to look at more than the alphabet, which is Latin for all of them.
"""

from __future__ import annotations

import importlib.util
import re
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from model_export.datasets.records import Dataset, Examples, objects, split
from model_export.errors import ExportError
from model_export.registry import Task

LANGUAGES = {
    "cs": "Czech", "da": "Danish", "de": "German", "es": "Spanish", "fi": "Finnish", "fr": "French", "hu": "Hungarian",
    "it": "Italian", "nb": "Norwegian", "nl": "Dutch", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian",
    "sv": "Swedish", "tr": "Turkish",
}  # fmt: skip
"""Class names by Django's code of the language."""
MOST = 500
"""Most texts of a language."""
_SHORTEST = 20
"""Letters a text must have; a single "Nej" or "Total" belongs to many languages."""
_MAGIC = 0x950412DE
_PLACEHOLDER = re.compile(r"%(\(\w+\))?[.\d]*[a-z%]|\{[^{}]*\}|<[^<>]*>|&\w+;|https?://\S+|[\w./-]+@[\w.-]+")
_SPACE = re.compile(r"\s+")


def languages(seed: int) -> Dataset:
    """Return the translations; texts that two languages share are in neither.

    Args:
        seed: Decides which quarter of each language is kept for evaluation.

    Raises:
        ExportError: If Django is not installed.
    """
    found = [_texts(code) for code in LANGUAGES]
    times = Counter(text for own in found for text in own)
    random = np.random.default_rng(0)  # the seed of the split does not change which texts there are
    texts = [_some(sorted(text for text in own if times[text] == 1), random) for own in found]
    labels = np.repeat(np.arange(len(texts), dtype=np.int32), [len(own) for own in texts])
    inputs = objects([text.encode() for own in texts for text in own])
    train, test = split(Examples(inputs=inputs, targets={"label": labels}), labels, seed)
    return Dataset(
        name="languages",
        task=Task.LABEL,
        classes=tuple(LANGUAGES.values()),
        train=train,
        test=test,
        license="BSD-3-Clause",
        source="the translations in Django's package, https://github.com/django/django",
    )


def _texts(code: str) -> set[str]:
    """Return the distinct texts of a language that are long enough, without placeholders and mark-up."""
    found = importlib.util.find_spec("django")
    if found is None or not found.submodule_search_locations:
        raise ExportError("--data: languages needs Django's translations; install the extra `export`")
    folder = Path(found.submodule_search_locations[0])
    texts: set[str] = set()
    for file in sorted(folder.glob(f"**/locale/{code}/LC_MESSAGES/*.mo")):
        texts.update(plain(text) for text in _messages(file.read_bytes()))
    return {text for text in texts if sum(map(str.isalpha, text)) >= _SHORTEST}


def _some(texts: list[str], random: np.random.Generator) -> list[str]:
    return [texts[row] for row in sorted(random.permutation(len(texts))[:MOST])]


def plain(text: str) -> str:
    """Return a text without placeholders, mark-up and addresses, on one line."""
    return _SPACE.sub(" ", _PLACEHOLDER.sub(" ", text)).strip()


def _messages(catalog: bytes) -> Iterator[str]:
    """Yield the translations of a compiled catalogue that differ from their originals.

    The layout is https://www.gnu.org/software/gettext/manual/html_node/MO-Files.html: an original that is empty is the
    header, a context ends with a byte of 4, and forms of singular and plural are separated by zero bytes.
    """
    magic, _, count, originals, translations = struct.unpack_from("<5I", catalog)
    if magic != _MAGIC:
        raise ExportError("--data: a catalogue of Django's translations is damaged; install Django again")
    for number in range(count):
        original = _entry(catalog, originals + 8 * number).rpartition("\4")[2]
        if original:
            translated = _entry(catalog, translations + 8 * number).split("\0")
            yield from (text for text in translated if text not in original.split("\0"))


def _entry(catalog: bytes, at: int) -> str:
    size, start = struct.unpack_from("<2I", catalog, at)
    return catalog[start : start + size].decode()
