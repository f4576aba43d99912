"""Images in folders: `PATH/<class>/<image>`, or `PATH/train/<class>/...` and `PATH/test/<class>/...`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from model_export.datasets.records import BadRecord, Dataset, Examples, objects, split
from model_export.errors import ExportError
from model_export.images import MAX_PIXELS
from model_export.registry import Task

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
TRAIN, TEST = "train", "test"


def image_folder(path: Path, seed: int) -> Dataset:
    """Read a folder of images, one folder per class.

    Images that cannot be decoded are left out and listed. Without `train` and `test` a quarter of each class is kept
    for evaluation.

    Args:
        path: The folder.
        seed: Decides which images are kept for evaluation.

    Raises:
        ExportError: If it has no class folders, or `train` and `test` have different ones.
    """
    parts = (path / TRAIN, path / TEST)
    fixed = all(part.is_dir() for part in parts)
    classes = _classes(parts[0] if fixed else path)
    if fixed and _classes(parts[1]) != classes:
        raise ExportError(f"{path}: {TRAIN} and {TEST} must have the same class folders; add or remove the difference")
    bad: list[BadRecord] = []
    if fixed:
        train, test = (_read(part, classes, bad) for part in parts)
    else:
        everything = _read(path, classes, bad)
        train, test = split(everything, everything.targets["label"], seed)
    return Dataset(
        name=path.name, task=Task.CLASSIFY, classes=classes, train=train, test=test, license="unknown",
        source=str(path), bad=tuple(bad),
    )  # fmt: skip


def _classes(path: Path) -> tuple[str, ...]:
    found = tuple(sorted(each.name for each in path.iterdir() if each.is_dir() and not each.name.startswith(".")))
    if not found:
        raise ExportError(f"{path}: has no folders; put the images of each class into a folder with its name")
    return found


def _read(path: Path, classes: tuple[str, ...], bad: list[BadRecord]) -> Examples:
    files = [(file, label) for label, name in enumerate(classes) for file in sorted((path / name).rglob("*"))]
    files = [(file, label) for file, label in files if file.is_file() and not file.name.startswith(".")]
    with ThreadPoolExecutor() as pool:
        reasons = list(pool.map(lambda each: problem(each[0]), files))
    bad += [BadRecord(str(file), None, reason) for (file, _), reason in zip(files, reasons, strict=True) if reason]
    good = [each for each, reason in zip(files, reasons, strict=True) if not reason]
    labels = np.array([label for _, label in good], np.int32)
    return Examples(inputs=objects([str(file) for file, _ in good]), targets={"label": labels}, files=True)


def size_of(file: Path) -> tuple[int, int]:
    """Return width and height of an image, from its header alone."""
    from PIL import Image

    with Image.open(file) as image:
        return image.size


def problem(file: Path) -> str:
    """Return why an image cannot be used; empty when it can."""
    from PIL import Image, UnidentifiedImageError

    if file.suffix.lower() not in SUFFIXES:
        return f"is not one of {', '.join(SUFFIXES)}"
    try:
        with Image.open(file) as image:
            if image.width * image.height > MAX_PIXELS:
                return f"has more than {MAX_PIXELS} pixels"
            if image.format not in ("JPEG", "PNG", "BMP", "GIF"):
                return f"is a {image.format} file, whatever its name says"
            image.load()
    except UnidentifiedImageError:
        return "is not an image"
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return f"cannot be decoded: {error}"
    return ""
