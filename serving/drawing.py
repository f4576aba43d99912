"""Drawing what a detector or a segmenter answered into a copy of its picture."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL import Image

SMALLEST_SCORE = 0.3
"""Boxes with a lower score are not drawn."""
_LEAST_SIDE = 480
"""Smaller pictures are enlarged, so that labels can be read."""
_COLORS = ((230, 25, 75), (0, 130, 200), (60, 180, 75), (255, 160, 0), (145, 30, 180), (0, 170, 170), (240, 50, 230))
_MASK_ALPHA = 0.5


def can_draw(outputs: Mapping[str, npt.NDArray[Any]]) -> bool:
    """Say whether an answer holds boxes or a mask."""
    return "boxes" in outputs or "mask" in outputs


def draw(picture: bytes, outputs: Mapping[str, npt.NDArray[Any]], file: Path) -> None:
    """Write a picture with the boxes or the mask of its answer as a PNG file.

    Args:
        picture: The encoded picture that was asked about.
        outputs: The answer to a batch of one: `boxes` float32 [1, n, 4] (ymin, xmin, ymax, xmax in [0, 1]) with
            `scores` and `labels` [1, n], or `mask` integers [1, height, width] with `labels` [1, classes].
        file: Written whole or not at all; its folder is made if missing.

    Raises:
        OSError: If the picture cannot be read here or the file cannot be written.
    """
    from PIL import Image

    image = Image.open(io.BytesIO(picture)).convert("RGB")
    scale = max(1, -(-_LEAST_SIDE // min(image.size)))
    image = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    if "mask" in outputs:
        image = _with_mask(image, outputs["mask"][0], _texts(outputs["labels"][0]))
    if "boxes" in outputs:
        _draw_boxes(image, outputs)
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.part")
    image.save(part, "PNG")
    part.replace(file)


def _texts(values: npt.NDArray[Any]) -> list[str]:
    return [each.decode(errors="replace") if isinstance(each, bytes) else str(each) for each in values.tolist()]


def _color(number: int) -> tuple[int, int, int]:
    return _COLORS[number % len(_COLORS)]


def _draw_boxes(image: Image.Image, outputs: Mapping[str, npt.NDArray[Any]]) -> None:
    labels, scores = _texts(outputs["labels"][0]), outputs["scores"][0].tolist()
    names = sorted(set(labels))
    for box, label, score in zip(outputs["boxes"][0].tolist(), labels, scores, strict=True):
        if score >= SMALLEST_SCORE:
            corners = [each * side for each, side in zip(box, (image.height, image.width) * 2, strict=True)]
            _draw_box(image, corners, f"{label} {score:.0%}", _color(names.index(label)))


def _draw_box(image: Image.Image, corners: list[float], text: str, color: tuple[int, int, int]) -> None:
    from PIL import ImageDraw

    pen = ImageDraw.Draw(image)
    top, left, bottom, right = corners
    pen.rectangle((left, top, right, bottom), outline=color, width=3)
    width, height = pen.textbbox((0, 0), text, font_size=14)[2:]
    # Above the box, or inside it where the picture ends.
    above = top - height - 4 if top >= height + 4 else top
    pen.rectangle((left, above, left + width + 4, above + height + 4), fill=color)
    pen.text((left + 2, above + 1), text, fill=(255, 255, 255), font_size=14)


def _with_mask(image: Image.Image, mask: npt.NDArray[Any], labels: list[str]) -> Image.Image:
    """Return the picture under the colours of its classes, with their names; class 0 is the background and stays."""
    from PIL import Image, ImageDraw

    colors = np.array([_color(number - 1) for number in range(256)], np.uint8)
    classes = Image.fromarray(mask.astype(np.uint8)).resize(image.size, Image.Resampling.NEAREST)
    chosen = np.asarray(classes)
    pixels = np.asarray(image, np.float32)
    blended = np.where((chosen > 0)[..., None], pixels * (1 - _MASK_ALPHA) + colors[chosen] * _MASK_ALPHA, pixels)
    result = Image.fromarray(blended.round().astype(np.uint8))
    pen = ImageDraw.Draw(result)
    for row, number in enumerate(each for each in np.unique(chosen).tolist() if 0 < each < len(labels)):
        width, height = pen.textbbox((0, 0), labels[number], font_size=14)[2:]
        top = 4 + row * (height + 6)
        pen.rectangle((4, top, 8 + width, top + height + 4), fill=_color(number - 1))
        pen.text((6, top + 1), labels[number], fill=(255, 255, 255), font_size=14)
    return result
