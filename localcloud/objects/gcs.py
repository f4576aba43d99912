"""Google Cloud Storage's read operations over the JSON API: objects.get and objects.list."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from aiohttp import web

from localcloud.context import CloudContext
from localcloud.objects.access import Denied, Reader
from localcloud.objects.content import iso_date, md5_base64, send
from localcloud.objects.tokens import InvalidToken, Signer
from localcloud.store import StoredObject


class Gcs:
    """Requests for objects, checked against the grants of the token's principal."""

    def __init__(self, context: CloudContext) -> None:
        self._reader = Reader(context)
        self._signer = Signer.of(context)

    def routes(self) -> list[web.RouteDef]:
        """Return the paths it answers."""
        return [
            web.get("/storage/v1/b/{bucket}/o/{key:.+}", self._get),
            web.get("/storage/v1/b/{bucket}/o", self._list),
            web.get("/download/storage/v1/b/{bucket}/o/{key:.+}", self._download),
        ]

    async def _find(self, request: web.Request) -> StoredObject | web.Response:
        """Return the requested object, or the answer to give instead of it."""
        bucket, key = request.match_info["bucket"], request.match_info["key"]
        principal = self._principal(request)
        if isinstance(principal, web.Response):
            return principal
        try:
            stored = await self._reader.find(principal, bucket, key)
        except Denied:
            return _denied(principal, "storage.objects.get")
        return stored or _error(404, "notFound", f"No such object: {bucket}/{key}")

    def _principal(self, request: web.Request) -> str | web.Response:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return _error(401, "required", "Anonymous caller does not have storage.objects.get access.")
        try:
            return self._signer.claims(token)["principal"]
        except InvalidToken as error:
            return _error(401, "authError", f"Invalid Credentials: {error}")

    async def _get(self, request: web.Request) -> web.StreamResponse:
        found = await self._find(request)
        if isinstance(found, web.Response):
            return found
        if request.query.get("alt") == "media":
            return await _send(request, found)
        return web.json_response(_resource(request, found))

    async def _download(self, request: web.Request) -> web.StreamResponse:
        found = await self._find(request)
        return found if isinstance(found, web.Response) else await _send(request, found)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        bucket, prefix = request.match_info["bucket"], request.query.get("prefix", "")
        delimiter = request.query.get("delimiter", "")
        principal = self._principal(request)
        if isinstance(principal, web.Response):
            return principal
        try:
            objects, folders = await self._reader.listing(principal, bucket, prefix, delimiter)
        except Denied:
            return _denied(principal, "storage.objects.list")
        items = [_resource(request, each) for each in objects]
        return web.json_response({"kind": "storage#objects", "items": items, "prefixes": folders})


async def _send(request: web.Request, stored: StoredObject) -> web.StreamResponse:
    headers = {"x-goog-hash": f"md5={md5_base64(stored)}", "x-goog-generation": _generation(stored)}
    try:
        return await send(request, stored, headers)
    except ValueError as error:
        return _error(416, "requestedRangeNotSatisfiable", str(error))


def _generation(stored: StoredObject) -> str:
    return str(int(stored.modified * 1_000_000))


def _resource(request: web.Request, stored: StoredObject) -> dict[str, Any]:
    # The path is built by hand: quoting keeps the slashes of the key inside one path segment, as Google's links do.
    base = f"{request.scheme}://{request.host}"
    path = f"b/{stored.bucket}/o/{quote(stored.key, safe='')}"
    return {
        "kind": "storage#object",
        "id": f"{stored.bucket}/{stored.key}/{_generation(stored)}",
        "selfLink": f"{base}/storage/v1/{path}",
        "mediaLink": f"{base}/download/storage/v1/{path}?generation={_generation(stored)}&alt=media",
        "name": stored.key,
        "bucket": stored.bucket,
        "generation": _generation(stored),
        "metageneration": "1",
        "contentType": "application/octet-stream",
        "storageClass": "STANDARD",
        "size": str(stored.size),
        "md5Hash": md5_base64(stored),
        "timeCreated": iso_date(stored.modified),
        "updated": iso_date(stored.modified),
    }


def _denied(principal: str, permission: str) -> web.Response:
    return _error(
        403, "forbidden",
        f"{principal} does not have {permission} access to the Google Cloud Storage object. "
        f"Permission '{permission}' denied on resource (or it may not exist).",
    )  # fmt: skip


def _error(status: int, reason: str, message: str) -> web.Response:
    one = {"domain": "global", "reason": reason, "message": message}
    return web.json_response({"error": {"code": status, "message": message, "errors": [one]}}, status=status)
