"""Seeded pictures of circles, rectangles and triangles on a textured background, with the class of every pixel."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from model_export.datasets.records import Dataset, Examples, objects, split
from model_export.registry import Task

CLASSES = ("background", "circle", "rectangle", "triangle")
COUNT = 400
SIDE = 64
_DRAWN_WITH = 1505
"""Seed of the pictures, which are the same for every split."""
_MOST_SHAPES = 3
_TRIES = 20
_HIDDEN = 0.1
"""Most of a shape's pixels that may lie on other shapes."""
_TILT = 0.4
"""Largest angle by which a shape is turned, in radians."""
_CONTRAST = 90.0
"""Smallest distance of a shape's colour from the background's mean, in RGB."""


def shapes_masks(seed: int) -> Dataset:
    """Return 400 pictures of 64 x 64 pixels and their masks as PNG files in memory.

    Args:
        seed: Decides which quarter is kept for evaluation; the pictures are always the same.
    """
    random = np.random.default_rng(_DRAWN_WITH)
    drawn = [_picture(random) for _ in range(COUNT)]
    examples = Examples(
        inputs=objects([png(pixels) for pixels, _ in drawn]),
        targets={"mask": objects([png(mask) for _, mask in drawn])},
    )
    train, test = split(examples, np.zeros(COUNT, np.int32), seed)
    return Dataset(
        name="shapes-masks",
        task=Task.SEGMENT,
        classes=CLASSES,
        train=train,
        test=test,
        license="CC0-1.0",
        source="synthetic shapes with masks, drawn by model_export",
    )


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Return uint8 [height, width] or [height, width, 3] as a PNG file."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def _picture(random: np.random.Generator) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return uint8 [64, 64, 3] and its mask, uint8 [64, 64]; later shapes hide earlier ones."""
    ground = random.uniform(40, 215, 3)
    pixels = ground + _texture(random)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    for _ in range(random.integers(1, _MOST_SHAPES + 1)):
        kind = int(random.integers(1, len(CLASSES)))
        for _ in range(_TRIES):
            inside = _SHAPES[kind](random)
            if (mask[inside] > 0).mean() <= _HIDDEN:
                pixels[inside] = _colour(random, ground) + random.normal(0, 8, (int(inside.sum()), 3))
                mask[inside] = kind
                break
    pixels += random.normal(0, 6, pixels.shape)
    return pixels.round().clip(0, 255).astype(np.uint8), mask


def _texture(random: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return float64 [64, 64, 3]: square patches and fine grain."""
    cells = 8
    coarse = random.normal(0, 16, (cells, cells, 3))
    return np.kron(coarse, np.ones((SIDE // cells, SIDE // cells, 1))) + random.normal(0, 8, (SIDE, SIDE, 3))


def _colour(random: np.random.Generator, ground: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    while True:
        found = random.uniform(0, 255, 3)
        if np.linalg.norm(found - ground) >= _CONTRAST:
            return found


def _turned(random: np.random.Generator) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return coordinates of every pixel around a random centre, turned by a random angle."""
    y, x = np.mgrid[:SIDE, :SIDE] - random.uniform(12, SIDE - 12, 2)[:, None, None]
    angle = random.uniform(-_TILT, _TILT)
    return y * np.cos(angle) - x * np.sin(angle), y * np.sin(angle) + x * np.cos(angle)


def _circle(random: np.random.Generator) -> npt.NDArray[np.bool_]:
    y, x = _turned(random)
    return np.asarray(y**2 + x**2 <= random.uniform(8, 14) ** 2)


def _rectangle(random: np.random.Generator) -> npt.NDArray[np.bool_]:
    y, x = _turned(random)
    half_height, half_width = random.uniform(7, 13, 2)
    return np.asarray((np.abs(y) <= half_height) & (np.abs(x) <= half_width))


def _triangle(random: np.random.Generator) -> npt.NDArray[np.bool_]:
    y, x = _turned(random)
    inner = random.uniform(6, 9)
    sides = [y * np.cos(angle) + x * np.sin(angle) <= inner for angle in np.arange(3) * 2 * np.pi / 3]
    return np.asarray(np.logical_and.reduce(sides))


_SHAPES: dict[int, Callable[[np.random.Generator], npt.NDArray[np.bool_]]] = {1: _circle, 2: _rectangle, 3: _triangle}
