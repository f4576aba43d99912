"""A small Kubernetes API client over urllib3; quick to import, safe to use from many threads."""

from __future__ import annotations

import json
import ssl
import threading
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import urllib3

from localcloud.providers.kubernetes.kubeconfig import Access, Credentials, KubeconfigError

FIELD_MANAGER = "pulumi-kubernetes"
_APPLY = "application/apply-patch+yaml"
_CONNECT_TIMEOUT_S = 3.0
_READ_TIMEOUT_S = 30.0
_ATTEMPTS = 4
_BACKOFF_S = 0.25
_PROBE_REMEMBERED_S = 5.0
_CONNECTIONS = 16


class ApiError(Exception):
    """The API server refused a request."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        self.status = status
        self.reason = str(body.get("reason", ""))
        self.details: Mapping[str, Any] = body.get("details") or {}
        super().__init__(str(body.get("message") or f"HTTP status {status}"))


class Unreachable(Exception):
    """The cluster's API server cannot be asked."""


class KindNotServed(Exception):
    """The API server does not know a kind."""


@dataclass(frozen=True)
class ResourceInfo:
    """Where the objects of a kind are found."""

    prefix: str
    plural: str
    namespaced: bool

    def path(self, namespace: str | None, name: str | None = None) -> str:
        """Return the URL path of an object or, without name, of the collection."""
        scope = f"/namespaces/{urllib.parse.quote(namespace)}" if self.namespaced and namespace else ""
        return f"{self.prefix}{scope}/{self.plural}" + (f"/{urllib.parse.quote(name)}" if name else "")


class Api:
    """Requests to one cluster."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._credentials = Credentials(access)
        context = ssl.create_default_context(cadata=access.ca)
        self._pool = urllib3.PoolManager(
            num_pools=1,
            maxsize=_CONNECTIONS,
            ssl_context=context,
            retries=False,
            timeout=urllib3.Timeout(connect=_CONNECT_TIMEOUT_S, read=_READ_TIMEOUT_S),
        )
        self._kinds: dict[tuple[str, str], ResourceInfo] = {}
        self._lock = threading.Lock()
        self._down_until = 0.0
        self._down_reason = ""

    def reachable(self) -> str:
        """Return an empty string when the API server answers, else the reason; remembered for a moment."""
        with self._lock:
            if time.monotonic() < self._down_until:
                return self._down_reason
            try:
                self.request("GET", "/version", attempts=1)
            except (Unreachable, ApiError) as error:
                self._down_reason = str(error)
                self._down_until = time.monotonic() + _PROBE_REMEMBERED_S
                return self._down_reason
        return ""

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
        attempts: int = _ATTEMPTS,
    ) -> dict[str, Any]:
        """Send a request and return the answer's object.

        Every request this client makes can be repeated without harm, so it tries again when the connection fails or
        the server asks it to. A `body` of bytes is sent as it is, anything else as JSON.

        Raises:
            ApiError: If the server refuses.
            Unreachable: If it cannot be asked.
        """
        url = self.access.server + path + ("?" + urllib.parse.urlencode(query) if query else "")
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        renew = False
        for attempt in range(attempts):
            if attempt:
                time.sleep(_BACKOFF_S * 2**attempt)
            try:
                headers = {
                    "Authorization": f"Bearer {self._credentials.token(renew=renew)}",
                    "Accept": "application/json",
                }
                if data is not None:
                    headers["Content-Type"] = content_type
                response = self._pool.request(method, url, body=data, headers=headers, redirect=False)
            except KubeconfigError as error:
                raise Unreachable(str(error)) from None
            except urllib3.exceptions.HTTPError as error:
                if attempt + 1 < attempts:
                    continue
                raise Unreachable(f"the API server {self.access.server} does not answer: {_short(error)}") from None
            if response.status == 401 and not renew:
                renew = True
                continue
            if response.status in (429, 503) and attempt + 1 < attempts:
                continue
            return _answer(response.status, response.data)
        raise Unreachable(f"the API server {self.access.server} refuses the credentials of the kubeconfig")

    def kind(self, api_version: str, kind: str, *, wait_s: float = 0.0) -> ResourceInfo:
        """Return where a kind's objects are, waiting up to `wait_s` seconds for it to be served.

        Raises:
            KindNotServed: If the server does not know it.
        """
        deadline = time.monotonic() + wait_s
        while (api_version, kind) not in self._kinds:
            self._discover(api_version)
            if (api_version, kind) in self._kinds:
                break
            if time.monotonic() >= deadline:
                raise KindNotServed(
                    f"the cluster serves no {kind} in {api_version}; install its CustomResourceDefinition first and "
                    "let this resource depend on it"
                )
            time.sleep(0.25)
        return self._kinds[api_version, kind]

    def _discover(self, api_version: str) -> None:
        prefix = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        try:
            listing = self.request("GET", prefix)
        except ApiError as error:
            if error.status == 404:
                return
            raise
        for item in listing.get("resources") or []:
            if "/" not in item["name"]:
                self._kinds[api_version, item["kind"]] = ResourceInfo(prefix, item["name"], bool(item["namespaced"]))

    def apply(
        self, info: ResourceInfo, manifest: dict[str, Any], *, force: bool = False, dry_run: bool = False
    ) -> dict[str, Any]:
        """Apply an object server-side with strict field validation and return it as stored."""
        metadata = manifest["metadata"]
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict", "force": str(force).lower()}
        if dry_run:
            query["dryRun"] = "All"
        path = info.path(metadata.get("namespace"), metadata["name"])
        return self.request("PATCH", path, query=query, body=manifest, content_type=_APPLY)

    def get(self, info: ResourceInfo, namespace: str | None, name: str) -> dict[str, Any] | None:
        """Return an object, or None when there is none."""
        try:
            return self.request("GET", info.path(namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def items(self, path: str, **query: str) -> list[dict[str, Any]]:
        """Return the objects of a collection."""
        return list(self.request("GET", path, query=query).get("items") or [])


def _short(error: Exception) -> str:
    text = str(error)
    for known in ("Connection refused", "timed out", "CERTIFICATE_VERIFY_FAILED", "Connection reset"):
        if known in text:
            return known
    return type(error).__name__


def _answer(status: int, data: bytes) -> dict[str, Any]:
    try:
        body = json.loads(data)
    except ValueError:
        body = {"message": data.decode(errors="replace")[:500].strip()}
    if status >= 400:
        raise ApiError(status, body)
    return dict(body)
