"""Drawn shapes on noisy ground with their boxes, made from a seed.

Nothing is downloaded and the truth is exact, so that a result says something about the model and not about its labels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from model_export.datasets.records import Dataset, Examples, objects, split
from model_export.datasets.shapes_masks import png
from model_export.registry import Task

KINDS = ("circle", "rectangle", "triangle")
SIDE = 96
"""Side of the pictures in pixels."""
MOST = 4
"""Most shapes of a picture."""
_PICTURES = 600
_SMALLEST, _LARGEST = 14, 34
_OVERLAP = 0.05
_TRIES = 20
_NOISE = 12.0
_CONTRAST = 70.0
"""Least distance of a shape's colour from the ground's, in the sum over the channels."""


def shapes(seed: int) -> Dataset:
    """Return pictures with the boxes of their shapes.

    Args:
        seed: Decides which quarter is kept for evaluation; the pictures are always the same.
    """
    pictures, boxes, labels = _drawn(_PICTURES)
    examples = Examples(inputs=pictures, targets={"boxes": boxes, "labels": labels})
    train, test = split(examples, np.zeros(len(examples), int), seed)
    return Dataset(
        name="shapes",
        task=Task.DETECT,
        classes=KINDS,
        train=train,
        test=test,
        license="CC0-1.0",
        source="synthetic shapes with boxes, drawn by model_export",
    )


def _drawn(count: int) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """Return PNG files, boxes float32 [n, 4, 4] and labels int32 [n, 4]."""
    random = np.random.default_rng(0)
    boxes = np.zeros((count, MOST, 4), np.float32)
    labels = np.full((count, MOST), -1, np.int32)
    pictures = []
    for row in range(count):
        picture = _ground(random)
        ground = picture.mean(axis=(0, 1))
        for place, (kind, box) in enumerate(_layout(random)):
            inside = _inside(kind, box)
            picture[inside] = _color(random, ground)
            rows, columns = np.nonzero(inside)
            ends = (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)
            boxes[row, place], labels[row, place] = np.array(ends) / SIDE, kind
        noisy = picture + random.normal(0, _NOISE, picture.shape)
        pictures.append(png(noisy.clip(0, 255).astype(np.uint8)))
    return objects(pictures), boxes, labels


def _ground(random: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return a soft slope between two colours, float64 [side, side, 3]."""
    ends = random.uniform(30, 225, (2, 3))
    angle = random.uniform(0, 2 * np.pi)
    across = np.linspace(-0.5, 0.5, SIDE)
    slope = 0.5 + 0.5 * (np.cos(angle) * across[:, None] + np.sin(angle) * across[None, :])
    return np.asarray(ends[0] + slope[..., None] * 0.5 * (ends[1] - ends[0]))


def _layout(random: np.random.Generator) -> list[tuple[int, tuple[float, float, float, float]]]:
    """Return kinds and boxes (top, left, bottom, right in pixels) that hardly overlap; at least one."""
    found: list[tuple[int, tuple[float, float, float, float]]] = []
    wanted = int(random.integers(1, MOST + 1))
    for _ in range(_TRIES):
        if len(found) == wanted:
            break
        kind = int(random.integers(len(KINDS)))
        height, width = random.uniform(_SMALLEST, _LARGEST, 2)
        if kind == 0:
            width = height
        top, left = random.uniform(0, SIDE - height), random.uniform(0, SIDE - width)
        box = (float(top), float(left), float(top + height), float(left + width))
        if all(_shared(box, other) <= _OVERLAP * height * width for _, other in found):
            found.append((kind, box))
    return found


def _shared(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> float:
    height = min(one[2], other[2]) - max(one[0], other[0])
    width = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, height) * max(0.0, width)


def _inside(kind: int, box: tuple[float, float, float, float]) -> npt.NDArray[np.bool_]:
    """Return which pixels a shape that fills a box covers, bool [side, side]."""
    top, left, bottom, right = box
    y, x = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    down, along = (y - top) / (bottom - top), (x - left) / (right - left)
    within = (down >= 0) & (down <= 1) & (along >= 0) & (along <= 1)
    if KINDS[kind] == "circle":
        return np.asarray((down - 0.5) ** 2 + (along - 0.5) ** 2 <= 0.25)
    if KINDS[kind] == "triangle":
        return np.asarray(within & (np.abs(along - 0.5) <= down / 2))
    return np.asarray(within)


def _color(random: np.random.Generator, ground: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    while True:
        color = random.uniform(0, 255, 3)
        if np.abs(color - ground).sum() >= _CONTRAST:
            return color
