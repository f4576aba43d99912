"""Small valid bundles for tests: a manifest and the archive it names."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

CONTENT = {"saved_model.pb": b"graph", "variables/variables.index": b"index", "assets/labels.txt": b"cat\ndog\n"}


def archive_bytes(content: dict[str, bytes] = CONTENT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in sorted({str(parent) for each in content for parent in Path(each).parents} - {"."}):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for name, data in sorted(content.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def manifest_document(archive: bytes, name: str = "scenes", version: int = 1) -> dict:
    digest = hashlib.sha256(archive).hexdigest()
    return {
        "format": 1, "name": name, "version": version, "digest": f"sha256:{digest}", "archive": f"{digest}.tar",
        "size": len(archive), "unpacked_size": sum(map(len, CONTENT.values())),
        "files": {
            file: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for file, data in CONTENT.items()
        },
        "signatures": {
            "serving_default": {
                "method": "predict",
                "inputs": {"image_bytes": {"dtype": "string", "shape": [None]}},
                "outputs": {"scores": {"dtype": "float32", "shape": [None, 5]}},
            }
        },
        "batching": {"max_batch_size": 32, "allowed_batch_sizes": [1, 2, 4, 8, 16, 32]},
        "labels": {"file": "assets/labels.txt", "count": 2},
        "source": {"family": "efficientnet-lite0", "weights": "some", "url": "https://example.com"},
        "framework": {"tensorflow": "2.20.0", "keras": "3.15.1", "server": "2.20.0"},
        "license": "Apache-2.0", "parameters": 4652008,
        "measured": {
            "peak_memory_mib": 700.5, "load_s": 1.5, "latency_ms": 17, "latency_ms_by_batch": {"1": 17, "2": 31.5},
            "machine": "two cores",
        },
    }  # fmt: skip


def write_bundle(folder: Path, **changes: object) -> dict:
    """Write version 1 of a bundle, its manifest with `changes`; return the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = archive_bytes()
    document = manifest_document(archive) | changes
    (folder / "1.json").write_text(json.dumps(document))
    (folder / f"{hashlib.sha256(archive).hexdigest()}.tar").write_bytes(archive)
    return document
