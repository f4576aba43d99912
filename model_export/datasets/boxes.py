"""Pictures with boxes from COCO and Pascal VOC annotations."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from model_export.datasets.image_folder import problem, size_of
from model_export.datasets.records import BadRecord, Dataset, Examples, objects, split
from model_export.errors import ExportError
from model_export.registry import Task

MOST = 100
"""Most objects of a picture; further ones are left out and listed."""
_IMAGES = "images"
_Object = tuple[str, float, float, float, float]
"""Class, left, top, right, bottom in pixels."""


class _Picture:
    """A picture in the making."""

    def __init__(self, file: Path, width: float, height: float) -> None:
        self.file, self.width, self.height = file, width, height
        self.objects: list[_Object] = []

    def add(self, found: _Object, bad: Callable[[str], None]) -> None:
        _, left, top, right, bottom = found
        # Tools disagree whether pixels count from 0 or 1; a pixel beyond the picture is cut off below.
        inside = max(0, left) < min(right, self.width) and max(0, top) < min(bottom, self.height)
        inside &= left >= -1 and top >= -1 and right <= self.width + 1 and bottom <= self.height + 1
        if not inside:
            bad(
                f"the box {left:g}, {top:g}, {right:g}, {bottom:g} is empty or outside {self.width:g} x {self.height:g}"
            )
        elif len(self.objects) == MOST:
            bad(f"the picture has more than {MOST} objects")
        else:
            self.objects.append(found)


def coco(path: Path, seed: int) -> Dataset:
    """Read a COCO annotation file; its pictures lie beside it or in `images/` beside it.

    Crowds are left out; pictures without objects stay, as examples of nothing. Pictures and objects that cannot be used
    are left out and listed.

    Args:
        path: The JSON file.
        seed: Decides which quarter of the pictures is kept for evaluation.

    Raises:
        ExportError: If the file is not COCO's JSON, or too little is left.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        categories = {each["id"]: str(each["name"]) for each in content["categories"]}
        images, annotations = content["images"], content["annotations"]
        if not isinstance(images, list) or not isinstance(annotations, list):
            raise TypeError("images and annotations must be lists")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ExportError(
            f"{path}: is not a COCO annotation file: {type(error).__name__}: {error}; it needs images, annotations and "
            "categories"
        ) from None
    bad: list[BadRecord] = []
    pictures: dict[Any, _Picture] = {}
    for number, image in enumerate(images):
        try:
            file = _beside(path.parent, str(image["file_name"]))
            pictures[image["id"]] = _Picture(file, float(image["width"]), float(image["height"]))
        except (KeyError, TypeError, ValueError) as error:
            bad.append(BadRecord(str(path), None, f"images[{number}]: {type(error).__name__}: {error}"))
    for number, annotation in enumerate(annotations):

        def refuse(reason: str, number: int = number) -> None:
            bad.append(BadRecord(str(path), None, f"annotations[{number}]: {reason}"))

        try:
            if annotation.get("iscrowd"):
                continue
            left, top, width, height = (float(each) for each in annotation["bbox"])
            if annotation["category_id"] not in categories:
                refuse(f"the category {annotation['category_id']!r} is not among the categories")
            elif annotation["image_id"] not in pictures:
                refuse(f"the image {annotation['image_id']!r} is not among the images")
            else:
                name = categories[annotation["category_id"]]
                pictures[annotation["image_id"]].add((name, left, top, left + width, top + height), refuse)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            refuse(f"{type(error).__name__}: {error}")
    return _dataset(path, path.stem, pictures.values(), tuple(sorted(set(categories.values()))), bad, seed)


def voc(path: Path, seed: int) -> Dataset:
    """Read a folder in the form of Pascal VOC: `Annotations/*.xml` and `JPEGImages/`.

    Objects marked as difficult stay. Arguments and errors are those of `coco`.
    """
    files = sorted((path / "Annotations").glob("*.xml"))
    if not files:
        raise ExportError(f"{path}: has no Annotations/*.xml; give the folder that holds Annotations and JPEGImages")
    bad: list[BadRecord] = []
    pictures = [found for file in files if (found := _voc_picture(path, file, bad)) is not None]
    classes = tuple(sorted({name for picture in pictures for name, *_ in picture.objects}))
    return _dataset(path, path.name, pictures, classes, bad, seed)


def _voc_picture(path: Path, file: Path, bad: list[BadRecord]) -> _Picture | None:
    try:
        # As text, so that no other encoding hides what is looked for.
        text = file.read_bytes().decode("utf-8-sig")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            # Entities can unfold to gigabytes, and annotations have none.
            raise ValueError("declares entities or a document type")
        root = ElementTree.fromstring(text)  # noqa: S314 - without declarations there is nothing to unfold
        size = {side: float(root.findtext(f"size/{side}", "")) for side in ("width", "height")}
        picture = _Picture(path / "JPEGImages" / root.findtext("filename", ""), size["width"], size["height"])
    except ElementTree.ParseError as error:
        bad.append(BadRecord(str(file), error.position[0], f"is not XML: {error}"))
        return None
    except (OSError, ValueError) as error:
        bad.append(BadRecord(str(file), None, f"cannot be used: {error}"))
        return None
    for number, each in enumerate(root.iter("object"), 1):

        def refuse(reason: str, number: int = number) -> None:
            bad.append(BadRecord(str(file), None, f"object {number}: {reason}"))

        try:
            sides = [float(each.findtext(f"bndbox/{side}", "")) for side in ("xmin", "ymin", "xmax", "ymax")]
        except ValueError as error:
            refuse(f"has no whole box: {error}")
            continue
        if name := each.findtext("name", "").strip():
            # Pixels are counted from 1 there, and by many tools from 0.
            picture.add((name, sides[0] - 1, sides[1] - 1, sides[2], sides[3]), refuse)
        else:
            refuse("has no name")
    return picture


def _beside(folder: Path, name: str) -> Path:
    within = folder / _IMAGES / name
    return within if _is_file(within) else folder / name


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False


def _dataset(
    path: Path, name: str, pictures: Iterable[_Picture], classes: tuple[str, ...], bad: list[BadRecord], seed: int
) -> Dataset:
    good = []
    for picture in pictures:
        reason = problem(picture.file) if _is_file(picture.file) else "the picture is missing"
        if reason:
            bad.append(BadRecord(str(picture.file), None, reason))
        elif picture.width <= 0 or picture.height <= 0:
            bad.append(BadRecord(str(picture.file), None, "the annotation gives it no size"))
        elif (size := size_of(picture.file)) != (picture.width, picture.height):
            stated = f"{picture.width:g} x {picture.height:g}"
            reason = f"has {size[0]} x {size[1]} pixels, its annotation says {stated}; boxes would be misplaced"
            bad.append(BadRecord(str(picture.file), None, reason))
        else:
            good.append(picture)
    most = max((len(picture.objects) for picture in good), default=0)
    boxes = np.zeros((len(good), max(1, most), 4), np.float32)
    labels = np.full(boxes.shape[:2], -1, np.int32)
    for row, picture in enumerate(good):
        for place, (kind, left, top, right, bottom) in enumerate(picture.objects):
            sides = np.array([picture.height, picture.width] * 2)
            boxes[row, place] = np.clip(np.array([top, left, bottom, right]) / sides, 0, 1)
            labels[row, place] = classes.index(kind)
    inputs = objects([str(picture.file) for picture in good])
    examples = Examples(inputs=inputs, targets={"boxes": boxes, "labels": labels}, files=True)
    train, test = split(examples, np.zeros(len(good), np.int32), seed)
    return Dataset(
        name=name, task=Task.DETECT, classes=classes, train=train, test=test, license="unknown",
        source=str(path), bad=tuple(bad),
    )  # fmt: skip
