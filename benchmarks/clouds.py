"""Local clouds of a benchmark's own, without a stack."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from localcloud import lifecycle
from localcloud.paths import CLOUDS, RUN_DIRECTORY_VARIABLE, RunPaths


@contextlib.contextmanager
def local_clouds() -> Iterator[tuple[RunPaths, Path]]:
    """Start three local clouds; yields the run and a folder beside it, and takes both away at the end."""
    with tempfile.TemporaryDirectory() as directory:
        paths = RunPaths(Path(directory) / "local")
        os.environ[RUN_DIRECTORY_VARIABLE] = str(paths.root)
        try:
            lifecycle.ensure_bundles(print)
            lifecycle.create_run(paths)
            for cloud in CLOUDS:
                lifecycle.start_cloud(paths, cloud)
            yield paths, Path(directory)
        finally:
            lifecycle.down(paths)
