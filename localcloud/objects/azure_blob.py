"""Azure Blob Storage's read operations: Get Blob, Get Blob Properties, List Blobs.

The storage account is the first part of the path, as with a custom endpoint, instead of part of the host name.
"""

from __future__ import annotations

import uuid
from xml.sax.saxutils import escape

from aiohttp import web

from localcloud.context import CloudContext
from localcloud.objects.access import Denied, Reader
from localcloud.objects.content import http_date, md5_base64, send
from localcloud.objects.tokens import InvalidToken, Signer
from localcloud.store import StoredObject

_VERSION = "2024-11-04"


class AzureBlob:
    """Requests for blobs, checked against the role assignments of the token's identity."""

    def __init__(self, context: CloudContext) -> None:
        self._reader = Reader(context)
        self._signer = Signer.of(context)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a GET or HEAD of `/<account>/<container>` or `/<account>/<container>/<blob>`."""
        account, _, rest = request.path.removeprefix("/").partition("/")
        container, _, key = rest.partition("/")
        bucket = f"{account}/{container}"
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return _error(401, "NoAuthenticationInformation", "Server failed to authenticate the request.")
        try:
            principal = self._signer.claims(token)["principal"]
        except InvalidToken as error:
            return _error(401, "InvalidAuthenticationInfo", f"Server failed to authenticate the request: {error}")
        if not key:
            return await self._list(request, principal, bucket)
        return await self._blob(request, principal, bucket, key)

    async def _blob(self, request: web.Request, principal: str, bucket: str, key: str) -> web.StreamResponse:
        try:
            stored = await self._reader.find(principal, bucket, key)
        except Denied:
            return _denied()
        if stored is None:
            return _error(404, "BlobNotFound", "The specified blob does not exist.")
        headers = {
            "ETag": _etag(stored),
            "Content-MD5": md5_base64(stored),
            "x-ms-blob-type": "BlockBlob",
            "x-ms-creation-time": http_date(stored.modified),
            "x-ms-access-tier": "Hot",
            "x-ms-server-encrypted": "true",
            **_common(),
        }
        try:
            return await send(request, stored, headers, request.headers.get("x-ms-range"))
        except ValueError:
            return _error(416, "InvalidRange", "The range specified is invalid for the current size of the resource.")

    async def _list(self, request: web.Request, principal: str, bucket: str) -> web.StreamResponse:
        prefix, delimiter = request.query.get("prefix", ""), request.query.get("delimiter", "")
        try:
            objects, folders = await self._reader.listing(principal, bucket, prefix, delimiter)
        except Denied:
            return _denied()
        entries = [_entry(each) for each in objects]
        entries += [f"<BlobPrefix><Name>{escape(each)}</Name></BlobPrefix>" for each in folders]
        return _xml(
            200,
            f'<EnumerationResults ContainerName="{escape(bucket.partition("/")[2])}"><Prefix>{escape(prefix)}</Prefix>'
            f"<Blobs>{''.join(entries)}</Blobs><NextMarker/></EnumerationResults>",
        )


def _entry(stored: StoredObject) -> str:
    return (
        f"<Blob><Name>{escape(stored.key)}</Name><Properties><Creation-Time>{http_date(stored.modified)}</Creation-Time>"
        f"<Last-Modified>{http_date(stored.modified)}</Last-Modified><Etag>{escape(_etag(stored))}</Etag>"
        f"<Content-Length>{stored.size}</Content-Length><Content-Type>application/octet-stream</Content-Type>"
        f"<Content-MD5>{md5_base64(stored)}</Content-MD5><BlobType>BlockBlob</BlobType><AccessTier>Hot</AccessTier>"
        "</Properties></Blob>"
    )


def _etag(stored: StoredObject) -> str:
    return f'"0x{stored.sha256[:15].upper()}"'


def _common() -> dict[str, str]:
    return {"x-ms-version": _VERSION, "x-ms-request-id": str(uuid.uuid4())}


def _denied() -> web.Response:
    return _error(
        403,
        "AuthorizationPermissionMismatch",
        "This request is not authorized to perform this operation using this permission.",
    )


def _error(status: int, code: str, message: str) -> web.Response:
    answer = _xml(status, f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>")
    answer.headers["x-ms-error-code"] = code
    return answer


def _xml(status: int, body: str) -> web.Response:
    text = f'<?xml version="1.0" encoding="utf-8"?>{body}'
    return web.Response(status=status, body=text.encode(), content_type="application/xml", headers=_common())
