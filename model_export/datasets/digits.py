"""Handwritten digits that scikit-learn ships: 1797 images of 8 x 8 pixels, 10 classes."""

from __future__ import annotations

import io

import numpy as np

from model_export.datasets.records import Dataset, Examples, objects, split
from model_export.registry import Task

_BRIGHTEST = 16


def digits(seed: int) -> Dataset:
    """Return the digits as PNG files in memory.

    Args:
        seed: Decides which quarter is kept for evaluation.
    """
    from PIL import Image
    from sklearn.datasets import load_digits

    loaded = load_digits()
    encoded = []
    for image in loaded.images:
        stream = io.BytesIO()
        Image.fromarray((image * (255 / _BRIGHTEST)).round().astype(np.uint8)).save(stream, "PNG")
        encoded.append(stream.getvalue())
    labels = loaded.target.astype(np.int32)
    train, test = split(Examples(inputs=objects(encoded), targets={"label": labels}), labels, seed)
    return Dataset(
        name="digits",
        task=Task.CLASSIFY,
        classes=tuple(str(each) for each in loaded.target_names),
        train=train,
        test=test,
        license="CC-BY-4.0",
        source="scikit-learn's digits, https://archive.ics.uci.edu/dataset/80",
    )
