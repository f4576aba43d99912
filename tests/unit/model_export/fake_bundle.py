"""A bundle with a fake model, for tests that do not load TensorFlow."""

import hashlib
from pathlib import Path

from model_export import archive
from model_export.manifest import Manifest

TENSOR = {"dtype": "string", "shape": [None]}


def fill(folder: Path, model: bytes = b"graph") -> Path:
    """Make a version folder."""
    (folder / "assets").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(model)
    (folder / "assets" / "labels.txt").write_text("cat\ndog\n")
    (folder / "batching_params.pbtxt").write_text("max_batch_size { value: 2 }\n")
    return folder


def manifest_of(folder: Path, packed: Path, *, name: str = "scenes", version: int = 1) -> Manifest:
    """Pack a version folder and return its manifest."""
    archive.pack(folder, packed)
    digest = hashlib.sha256(packed.read_bytes()).hexdigest()
    files = archive.list_files(folder)
    return Manifest.model_validate(
        {
            "format": 1,
            "name": name,
            "version": version,
            "digest": f"sha256:{digest}",
            "archive": f"{digest}.tar",
            "size": packed.stat().st_size,
            "unpacked_size": sum(entry.size for entry in files.values()),
            "files": files,
            "signatures": {"serving_default": {"method": "predict", "inputs": {"x": TENSOR}, "outputs": {"y": TENSOR}}},
            "batching": {"max_batch_size": 2, "allowed_batch_sizes": [1, 2]},
            "labels": {"file": "assets/labels.txt", "count": 2},
            "source": {"family": "fake", "weights": "none", "url": "https://example.com"},
            "framework": {"tensorflow": "2.20.0", "keras": "3.15.1", "server": "2.20.0"},
            "license": "Apache-2.0",
            "parameters": 1,
            "measured": {"peak_memory_mib": 1.0, "load_s": 1.0, "latency_ms": 1.0, "machine": "none"},
        }
    )
