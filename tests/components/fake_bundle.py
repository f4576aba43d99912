"""Writes bundles that pass every check of `serving.bundles` and hold no model."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PEAK_MEMORY_MIB = 300.0


def sign_bundle(folder: Path, key: Ed25519PrivateKey, version: int = 1) -> str:
    """Sign a version; return the key's public half in PEM."""
    public = key.public_key()
    content = {
        "format": 1,
        "key": f"sha256:{hashlib.sha256(public.public_bytes_raw()).hexdigest()}",
        "signature": base64.b64encode(key.sign((folder / f"{version}.json").read_bytes())).decode(),
    }
    (folder / f"{version}.sig").write_text(json.dumps(content))
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def write_bundle(folder: Path, name: str = "scenes", version: int = 1, content: bytes = b"archive") -> str:
    """Write a version's manifest and archive; return the archive's digest in hexadecimal digits."""
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(content).hexdigest()
    (folder / f"{digest}.tar").write_bytes(content)
    tensor = {"dtype": "string", "shape": [None]}
    manifest = {
        "format": 1,
        "name": name,
        "version": version,
        "digest": f"sha256:{digest}",
        "archive": f"{digest}.tar",
        "size": len(content),
        "unpacked_size": len(content),
        "files": {"saved_model.pb": {"sha256": digest, "size": len(content)}},
        "signatures": {"serving_default": {"method": "predict", "inputs": {"x": tensor}, "outputs": {"y": tensor}}},
        "batching": {"max_batch_size": 32, "allowed_batch_sizes": [1, 32]},
        "labels": None,
        "source": {"family": "efficientnet-lite0", "weights": "none", "url": "none"},
        "framework": {"tensorflow": "2.20.0", "keras": "3.15.1", "server": "2.20.0"},
        "license": "Apache-2.0",
        "parameters": 1,
        "measured": {"peak_memory_mib": PEAK_MEMORY_MIB, "load_s": 1.0, "latency_ms": 1.0, "machine": "none"},
    }
    (folder / f"{version}.json").write_text(json.dumps(manifest))
    return digest
