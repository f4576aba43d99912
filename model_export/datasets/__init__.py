"""Training data: sample sets without downloads, loaders for the usual formats, the pipeline into the network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from model_export.datasets.boxes import coco, voc
from model_export.datasets.digits import digits
from model_export.datasets.image_folder import image_folder
from model_export.datasets.mask_pairs import mask_pairs
from model_export.datasets.records import Dataset
from model_export.datasets.shapes import shapes
from model_export.datasets.shapes_masks import shapes_masks
from model_export.datasets.text_files import csv_file, jsonl_file
from model_export.datasets.translations import languages
from model_export.errors import ExportError

SAMPLES: dict[str, Callable[[int], Dataset]] = {
    "digits": digits,
    "languages": languages,
    "shapes": shapes,
    "shapes-masks": shapes_masks,
}
"""Sample sets by name; each takes the seed of its split."""
LOADERS: dict[str, Callable[[Path, int], Dataset]] = {
    "folder": image_folder,
    "coco": coco,
    "voc": voc,
    "masks": mask_pairs,
    "csv": csv_file,
    "jsonl": jsonl_file,
}
"""Formats by name; each takes a path and the seed of its split."""


def load(text: str, seed: int) -> Dataset:
    """Return a data set.

    Args:
        text: Name of a sample set, or `format:path`.
        seed: Decides which examples are kept for evaluation where the data does not say.

    Raises:
        ExportError: If there is no such set, format or path, or too little in it.
    """
    if text in SAMPLES:
        return SAMPLES[text](seed)
    kind, colon, path = text.partition(":")
    if not colon or kind not in LOADERS:
        known = [*SAMPLES, *(f"{name}:PATH" for name in LOADERS)]
        raise ExportError(f"--data: {text!r} is not known; use one of: {', '.join(known)}")
    if not Path(path).exists():
        raise ExportError(f"--data: {path} does not exist; check the path")
    return LOADERS[kind](Path(path), seed)
