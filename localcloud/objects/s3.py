"""Amazon S3's read operations, path style: GetObject, HeadObject, ListObjectsV2."""

from __future__ import annotations

import hashlib
import hmac
import re
import urllib.parse
from collections.abc import Mapping
from xml.sax.saxutils import escape

from aiohttp import web

from localcloud.context import CloudContext
from localcloud.objects.access import Denied, Reader
from localcloud.objects.content import iso_date, send
from localcloud.objects.tokens import InvalidToken, Signer

_AUTHORIZATION = re.compile(
    r"^AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<scope>[^,]+),\s*SignedHeaders=(?P<headers>[^,]+),\s*"
    r"Signature=(?P<signature>[0-9a-f]{64})$"
)


class Refused(Exception):
    """The request is refused, with S3's code."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class S3:
    """Requests for objects, checked against the grants of the signer's role."""

    def __init__(self, context: CloudContext) -> None:
        self._reader = Reader(context)
        self._signer = Signer.of(context)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a GET or HEAD of `/<bucket>` or `/<bucket>/<key>`."""
        bucket, _, key = request.path.removeprefix("/").partition("/")
        try:
            principal = self._principal(request)
            if not key:
                return await self._list(request, principal, bucket)
            return await self._object(request, principal, bucket, key)
        except Refused as refused:
            return _error(request, refused)

    def _principal(self, request: web.Request) -> str:
        found = _AUTHORIZATION.match(request.headers.get("Authorization", ""))
        if found is None:
            raise Refused(403, "AccessDenied", "Anonymous users cannot access this resource.")
        try:
            claims = self._signer.claims(request.headers.get("X-Amz-Security-Token", ""))
        except InvalidToken as error:
            code = "ExpiredToken" if "expired" in str(error) else "InvalidAccessKeyId"
            raise Refused(400 if code == "ExpiredToken" else 403, code, str(error)) from None
        if claims.get("access_key") != found["key"]:
            raise Refused(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist.")
        path, _, query = request.raw_path.partition("?")
        expected = signature(
            self._signer.secret(found["key"]), request.method, path, query, request.headers,
            found["headers"].split(";"), found["scope"],
        )  # fmt: skip
        if not hmac.compare_digest(expected, found["signature"]):
            raise Refused(403, "SignatureDoesNotMatch", "The request signature we calculated is a different one.")
        return claims["principal"]

    async def _object(self, request: web.Request, principal: str, bucket: str, key: str) -> web.StreamResponse:
        try:
            stored = await self._reader.find(principal, bucket, key)
        except Denied:
            raise _denied(principal, "s3:GetObject", f"{bucket}/{key}") from None
        if stored is None:
            raise Refused(404, "NoSuchKey", "The specified key does not exist.")
        headers = {"ETag": f'"{stored.md5}"', "x-amz-server-side-encryption": "AES256"}
        try:
            return await send(request, stored, headers)
        except ValueError as error:
            raise Refused(416, "InvalidRange", f"The requested range is not satisfiable: {error}") from None

    async def _list(self, request: web.Request, principal: str, bucket: str) -> web.StreamResponse:
        prefix, delimiter = request.query.get("prefix", ""), request.query.get("delimiter", "")
        try:
            objects, folders = await self._reader.listing(principal, bucket, prefix, delimiter)
        except Denied:
            raise _denied(principal, "s3:ListBucket", bucket) from None
        body = "".join(
            f"<Contents><Key>{escape(each.key)}</Key><LastModified>{iso_date(each.modified)}</LastModified>"
            f"<ETag>&quot;{each.md5}&quot;</ETag><Size>{each.size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            for each in objects
        ) + "".join(f"<CommonPrefixes><Prefix>{escape(each)}</Prefix></CommonPrefixes>" for each in folders)
        return _xml(
            200,
            f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>{escape(bucket)}</Name>'
            f"<Prefix>{escape(prefix)}</Prefix><KeyCount>{len(objects) + len(folders)}</KeyCount>"
            f"<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>{body}</ListBucketResult>",
        )


def signature(
    secret: str, method: str, path: str, query: str, headers: Mapping[str, str], signed: list[str], scope: str
) -> str:
    """Return the Signature Version 4 of a request, as its hexadecimal digits.

    Args:
        secret: Secret access key.
        method: HTTP method.
        path: Path as it was sent.
        query: Query string as it was sent.
        headers: Headers of the request.
        signed: Lower-case names of the signed headers, in order.
        scope: `<date>/<region>/<service>/aws4_request`.
    """
    pairs = sorted(tuple(each.partition("=")[::2]) for each in query.split("&") if each)
    encoded = [
        f"{urllib.parse.quote(urllib.parse.unquote(name), safe='-_.~')}="
        f"{urllib.parse.quote(urllib.parse.unquote(value), safe='-_.~')}"
        for name, value in pairs
    ]
    lines = [f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in signed]
    canonical = "\n".join(
        [method, path, "&".join(encoded), "".join(lines), ";".join(signed), headers.get("x-amz-content-sha256", "")]
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", headers.get("x-amz-date", ""), scope, digest])
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _denied(principal: str, action: str, resource: str) -> Refused:
    text = f'User: {principal} is not authorized to perform: {action} on resource: "arn:aws:s3:::{resource}"'
    return Refused(403, "AccessDenied", text)


def _error(request: web.Request, refused: Refused) -> web.Response:
    if request.method == "HEAD":
        return web.Response(status=refused.status)
    return _xml(
        refused.status,
        f"<Error><Code>{refused.code}</Code><Message>{escape(str(refused))}</Message>"
        f"<Resource>{escape(request.path)}</Resource></Error>",
    )


def _xml(status: int, body: str) -> web.Response:
    return web.Response(
        status=status, body=f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'.encode(), content_type="application/xml"
    )
