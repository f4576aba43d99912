"""Sending a stored object's bytes, whole or a range of them."""

from __future__ import annotations

import asyncio
import base64
import re
import time
from collections.abc import Mapping
from pathlib import Path

from aiohttp import web

from localcloud.store import StoredObject

_CHUNK = 1 << 20
_RANGE = re.compile(r"^bytes=(\d*)-(\d*)$")


def http_date(seconds: float) -> str:
    """Return a time as HTTP headers write it."""
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(seconds))


def iso_date(seconds: float) -> str:
    """Return a time as ISO 8601 in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds))


def md5_base64(stored: StoredObject) -> str:
    """Return the object's MD5 as base64, from the ledger's hexadecimal digits."""
    return base64.b64encode(bytes.fromhex(stored.md5)).decode()


def requested_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return first byte and length of a Range header, None when there is none.

    Raises:
        ValueError: If the range lies outside the object.
    """
    if not header:
        return None
    found = _RANGE.match(header.strip())
    if found is None or not (found[1] or found[2]):
        return None  # other units and several ranges are ignored, as HTTP allows
    if not found[1]:
        length = min(int(found[2]), size)
        return size - length, length
    first = int(found[1])
    last = min(int(found[2]), size - 1) if found[2] else size - 1
    if first >= size or last < first:
        raise ValueError(f"range {header} of an object of {size} bytes")
    return first, last - first + 1


async def send(
    request: web.Request, stored: StoredObject, headers: Mapping[str, str], range_header: str | None = None
) -> web.StreamResponse:
    """Send an object, without its bytes for HEAD.

    Raises:
        ValueError: If the requested range lies outside the object.
        FileNotFoundError: If the object's file is gone.
    """
    wanted = requested_range(range_header or request.headers.get("Range"), stored.size)
    first, length = wanted or (0, stored.size)
    response = web.StreamResponse(status=206 if wanted else 200)
    response.headers.update(headers)
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["Last-Modified"] = http_date(stored.modified)
    response.headers.setdefault("Content-Type", "application/octet-stream")
    if wanted:
        response.headers["Content-Range"] = f"bytes {first}-{first + length - 1}/{stored.size}"
    response.content_length = length
    with Path(stored.path).open("rb") as file:
        file.seek(first)
        await response.prepare(request)
        while length and request.method != "HEAD":
            chunk = await asyncio.to_thread(file.read, min(_CHUNK, length))
            if not chunk:
                break
            await response.write(chunk)
            length -= len(chunk)
    await response.write_eof()
    return response
