"""Images with masks: `PATH/images/*`, `PATH/masks/<same stem>.png`, and class names in `PATH/classes.txt`.

Or `PATH/train/` and `PATH/test/` with `images/` and `masks/` each.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from model_export.datasets.augment import IGNORED
from model_export.datasets.image_folder import TEST, TRAIN, problem, size_of
from model_export.datasets.records import BadRecord, Dataset, Examples, objects, split
from model_export.datasets.shapes_masks import png
from model_export.errors import ExportError
from model_export.registry import Task, checked_labels

IMAGES, MASKS, CLASSES = "images", "masks", "classes.txt"


def mask_pairs(path: Path, seed: int) -> Dataset:
    """Read images and their masks, one-channel PNG files of class ids, where 255 marks pixels that do not count.

    Line n of `classes.txt`, from 0, names class n. Pairs that cannot be used are left out and listed. Without `train`
    and `test` a quarter is kept for evaluation.

    Args:
        path: The folder.
        seed: Decides which pairs are kept for evaluation.

    Raises:
        ExportError: If `images`, `masks` or `classes.txt` is missing, or the class names are wrong.
    """
    parts = (path / TRAIN, path / TEST)
    bad: list[BadRecord] = []
    classes = _classes(path / CLASSES)
    if all(part.is_dir() for part in parts):
        train, test = (_pairs(part, classes, bad) for part in parts)
    else:
        everything = _pairs(path, classes, bad)
        train, test = split(everything, np.zeros(len(everything), np.int32), seed)
    return Dataset(
        name=path.name, task=Task.SEGMENT, classes=classes, train=train, test=test, license="unknown",
        source=str(path), bad=tuple(bad),
    )  # fmt: skip


def _pairs(path: Path, classes: tuple[str, ...], bad: list[BadRecord]) -> Examples:
    """Return the pairs of a folder, adding those that cannot be used to `bad`."""
    for folder in (IMAGES, MASKS):
        if not (path / folder).is_dir():
            raise ExportError(f"{path}: has no folder {folder}; put images into {IMAGES} and masks into {MASKS}")
    files: list[str] = []
    masks: list[bytes] = []
    stems = set()
    for file in _files(path / IMAGES):
        stems.add(file.stem)
        mask = path / MASKS / f"{file.stem}.png"
        if reason := problem(file):
            bad.append(BadRecord(str(file), None, reason))
        elif not mask.is_file():
            bad.append(BadRecord(str(file), None, f"has no mask {mask.name} in {MASKS}"))
        else:
            try:
                masks.append(png(_read(mask, size_of(file), len(classes))))
            except ValueError as error:
                bad.append(BadRecord(str(mask), None, str(error)))
            else:
                files.append(str(file))
    bad += [BadRecord(str(file), None, "has no image") for file in _files(path / MASKS) if file.stem not in stems]
    return Examples(inputs=objects(files), targets={"mask": objects(masks)}, files=True)


def _classes(file: Path) -> tuple[str, ...]:
    try:
        names = checked_labels(str(file), file.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"{file}: cannot be read: {error}; write one class name per line, UTF-8") from None
    if len(names) > IGNORED:
        raise ExportError(f"{file}: has {len(names)} classes; a mask tells at most {IGNORED} apart")
    return tuple(names)


def _files(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if each.is_file() and not each.name.startswith("."))


def _read(file: Path, size: tuple[int, int], classes: int) -> npt.NDArray[np.uint8]:
    """Return a mask's class ids, uint8 [height, width].

    Raises:
        ValueError: With the reason why it cannot be used.
    """
    from PIL import Image

    if reason := problem(file):
        raise ValueError(reason)
    with Image.open(file) as image:
        if image.format != "PNG" or image.mode not in ("L", "P"):
            raise ValueError(f"must be a PNG file with one channel of 8 bits, is {image.format} {image.mode}")
        if image.size != size:
            raise ValueError(
                f"has {image.size[0]} x {image.size[1]} pixels, its image {size[0]} x {size[1]}; they must be the same"
            )
        # Of a palette image these are the indices, which are the ids; a decoder would return the colours.
        ids = np.asarray(image, np.uint8)
    wrong = np.unique(ids[(ids >= classes) & (ids != IGNORED)])
    if len(wrong):
        raise ValueError(f"has the class id {wrong[0]}; there are {classes} classes, from 0, and {IGNORED} for ignored")
    return ids
