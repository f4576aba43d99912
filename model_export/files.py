"""Files that outlast a power failure and that nobody sees half-written."""

from __future__ import annotations

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Make a file or folder outlast a power failure."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_whole(file: Path, content: bytes) -> None:
    """Write or replace a file in one step.

    What a killed writer leaves beside the file goes away with the next write.
    """
    part = file.with_name(f".{file.name}.part")
    try:
        part.write_bytes(content)
        sync(part)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    sync(file.parent)
