"""Objects of buckets, the same for every vendor: files below the run's directory and rows of the ledger."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import IO

from localcloud import ledger
from localcloud.providers.calls import ApiError, Call
from localcloud.store import JsonDict, StoredObject

_CHUNK = 1 << 20


class _Digests:
    def __init__(self) -> None:
        self.sha256 = hashlib.sha256()
        self.md5 = hashlib.md5(usedforsecurity=False)
        self.size = 0

    def copy(self, source: IO[bytes], target: IO[bytes]) -> None:
        while chunk := source.read(_CHUNK):
            self.sha256.update(chunk)
            self.md5.update(chunk)
            self.size += len(chunk)
            target.write(chunk)


def file_of(call: Call, bucket: str, key: str) -> Path:
    """Return the file of an object.

    Raises:
        ApiError: If the key would leave the bucket's directory.
    """
    parts = key.split("/")
    if not key or any(part in ("", ".", "..") for part in parts):
        raise ApiError(f"object key {key!r} must consist of non-empty parts other than . and ..", "INVALID_ARGUMENT")
    return call.paths.objects(call.cloud) / bucket / key


def put(call: Call, bucket: str, key: str, inputs: JsonDict) -> StoredObject:
    """Store the content of `source` (an asset) or `content` (text), whole or not at all.

    Raises:
        ApiError: If the file of the asset is missing or there is no content.
    """
    target = file_of(call, bucket, key)
    source = inputs.get("source")
    digests = _Digests()
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=target.parent, prefix=".part-")
    try:
        with os.fdopen(handle, "wb") as stream:
            if isinstance(source, dict) and source.get("path"):
                with Path(source["path"]).open("rb") as origin:
                    digests.copy(origin, stream)
            else:
                content = source.get("text") if isinstance(source, dict) else inputs.get("content")
                if content is None and inputs.get("contentBase64") is None:
                    raise ApiError(f"object {key!r} has no content: give it a source or content", "INVALID_ARGUMENT")
                data = base64.b64decode(inputs["contentBase64"]) if content is None else str(content).encode()
                stream.write(data)
                digests.sha256.update(data)
                digests.md5.update(data)
                digests.size = len(data)
        Path(part).chmod(0o644)
        os.replace(part, target)
    except OSError as error:
        raise ApiError(f"object {key!r}: its source cannot be read: {error}", "INVALID_ARGUMENT") from None
    finally:
        Path(part).unlink(missing_ok=True)
    stored = StoredObject(
        call.cloud, bucket, key, str(target), digests.size,
        digests.sha256.hexdigest(), digests.md5.hexdigest(), time.time(),
    )  # fmt: skip
    ledger.put_object(call.store, stored)
    return stored


def delete(call: Call, bucket: str, key: str) -> None:
    """Delete an object; one that is gone is fine."""
    ledger.delete_object(call.store, call.cloud, bucket, key)
    file_of(call, bucket, key).unlink(missing_ok=True)


def empty(call: Call, bucket: str, force: bool) -> None:
    """Make sure a bucket is empty before it is deleted.

    Raises:
        ApiError: If it holds objects and `force` is not set.
    """
    held = ledger.find_objects(call.store, call.cloud, bucket)
    if held and not force:
        raise ApiError(f"BucketNotEmpty: {bucket} holds {len(held)} objects and may not be emptied by force")
    for each in held:
        delete(call, bucket, each.key)
    shutil.rmtree(call.paths.objects(call.cloud) / bucket, ignore_errors=True)


def md5_base64(stored: StoredObject) -> str:
    """Return an object's MD5 as Google Cloud and Azure spell it."""
    return base64.b64encode(bytes.fromhex(stored.md5)).decode()
