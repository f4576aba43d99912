"""The command `sample`: examples of a data set as files, to look at and to ask a served model about."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from model_export import datasets
from model_export.registry import Task

_SUFFIXES = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"GIF8": ".gif", b"BM": ".bmp"}


def sample(
    data: Annotated[str, typer.Argument(help="a sample set, or format:PATH, as `train` takes it")],
    out: Annotated[Path, typer.Option(help="folder for the files, made if missing")],
    count: Annotated[int, typer.Option(min=1, max=1000, help="number of examples")] = 5,
    seed: Annotated[int, typer.Option(min=0, max=2000, help="seed of the split, as in `train`")] = 0,
) -> None:
    """Write examples that a run with this seed does not train on: pictures, or texts."""
    dataset = datasets.load(data, seed)
    out.mkdir(parents=True, exist_ok=True)
    for row in range(min(count, len(dataset.test))):
        content = dataset.test.content(row)
        suffix = ".txt" if dataset.task is Task.LABEL else _suffix(content)
        file = out / f"{dataset.name}-{row}{suffix}"
        file.write_bytes(content)
        print(file)


def _suffix(content: bytes) -> str:
    return next((suffix for magic, suffix in _SUFFIXES.items() if content.startswith(magic)), "")
