"""Anchors of a feature pyramid, and boxes as changes of other boxes; all boxes are ymin, xmin, ymax, xmax in [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_LARGEST = math.log(1000 / 16)
"""Most that a side grows, as a power of e; Detectron's bound, which keeps a wild prediction finite."""


@dataclass(frozen=True, kw_only=True)
class Pyramid:
    """Square feature maps of a square picture, fine ones first, and the anchors at each of their places."""

    size: int
    """Side of the picture in pixels."""
    strides: Sequence[int]
    """Pixels from one place to the next, by level."""
    sides: Sequence[float]
    """Side in pixels of the square with an anchor's area, by level."""
    ratios: Sequence[float] = (0.5, 1.0, 2.0)
    """Heights of the anchors over their widths."""

    @property
    def grids(self) -> list[int]:
        """Places along a side, by level."""
        return [math.ceil(self.size / stride) for stride in self.strides]

    def anchors(self) -> npt.NDArray[np.float32]:
        """Return float32 [n, 4], level by level, row by row, place by place, in the order of the ratios.

        They are not cut at the picture's edge.
        """
        found = []
        for stride, side, grid in zip(self.strides, self.sides, self.grids, strict=True):
            centres = (np.arange(grid) + 0.5) * stride
            heights = [side * math.sqrt(ratio) / 2 for ratio in self.ratios]
            halves = np.array([[height, side * side / 4 / height] for height in heights])
            places = np.stack(np.meshgrid(centres, centres, indexing="ij"), axis=-1)[:, :, None]
            found.append(np.concatenate([places - halves, places + halves], axis=-1).reshape(-1, 4))
        return (np.concatenate(found) / self.size).astype(np.float32)


def encode(boxes: Any, references: Any, scales: Sequence[float] = (1.0, 1.0)) -> Any:
    """Return boxes as changes of others, the parameters of https://arxiv.org/abs/1311.2524, appendix C.

    Args:
        boxes: float32 [..., 4].
        references: float32 [..., 4], with sides above 0.
        scales: Factors of the moves and of the logarithms of the growth.

    Returns:
        float32 [..., 4]: moves down and across over the reference's sides, logarithms of height and width over them.
    """
    import tensorflow as tf

    centre, sides = _centre_and_sides(boxes)
    there, over = _centre_and_sides(references)
    growth = tf.math.log(tf.maximum(sides, 1e-6) / tf.maximum(over, 1e-6))
    return tf.concat([(centre - there) / tf.maximum(over, 1e-6) * scales[0], growth * scales[1]], axis=-1)


def decode(changes: Any, references: Any, scales: Sequence[float] = (1.0, 1.0)) -> Any:
    """Return the boxes, float32 [..., 4], that `encode` made changes of; what reaches out of the picture is cut."""
    import tensorflow as tf

    there, over = _centre_and_sides(references)
    centre = there + changes[..., :2] / scales[0] * over
    half = tf.exp(tf.minimum(changes[..., 2:] / scales[1], _LARGEST)) * over / 2
    return tf.clip_by_value(tf.concat([centre - half, centre + half], axis=-1), 0.0, 1.0)


def _centre_and_sides(boxes: Any) -> tuple[Any, Any]:
    return (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
