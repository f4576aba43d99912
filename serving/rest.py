"""One request to one address, over TensorFlow Serving's REST interface."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from typing import Any

from serving.protocol import SITE_HEADER, status_path
from serving.transports import CONNECT_S, Answer, Request, RequestError, Signatures

_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    412: "FAILED_PRECONDITION",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_ONE_OUTPUT = "output"


class RestTransport:
    """TensorFlow Serving's REST interface, one connection per request.

    Args:
        authority: Name that servers are asked for, and that their certificates must be valid for.
        tls: Whether to speak TLS.
        ca: PEM certificates to trust; the system's when None.
        headers: Headers of every request, such as an API key.
    """

    def __init__(
        self, authority: str, tls: bool, ca: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        self._authority = authority
        self._context = ssl.create_default_context(cadata=ca.decode() if ca else None) if tls else None
        self._headers = dict(headers or {})

    def exchange(
        self, address: str, port: int, method: str, path: str, body: bytes | None, timeout_s: float
    ) -> tuple[bytes, str]:
        """Send one HTTP request; return the body and the site that answered.

        Raises:
            RequestError: If nothing answers, or with a status of 400 or more.
        """
        connection = _Connection(address, port, self._authority, self._context, timeout_s)
        headers = {"Host": self._authority, "Content-Type": "application/json", **self._headers}
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            data = answer.read()
        except _NotConnected as error:
            raise RequestError("UNAVAILABLE", str(error)) from None
        except TimeoutError:
            raise RequestError("DEADLINE_EXCEEDED", f"no answer within {timeout_s:.1f} s") from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise RequestError("UNAVAILABLE", f"the connection broke: {reason}") from None
        finally:
            connection.close()
        if answer.status >= 400:
            code = _CODES.get(answer.status, "UNKNOWN")
            text = _error_text(data) or f"HTTP status {answer.status}"
            if code == "NOT_FOUND":
                text += f" (asked for {path}; check the model's name)"
            raise RequestError(code, text)
        return data, answer.headers.get(SITE_HEADER, "")

    def _document(self, data: bytes) -> dict[str, Any]:
        try:
            document = json.loads(data)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise RequestError("INTERNAL", "the answer is not what TensorFlow Serving sends; check domain and port")
        return document

    def predict(self, address: str, port: int, request: Request, timeout_s: float) -> Answer:
        """Send one request; see `Transport`."""
        version = "" if request.version is None else f"/versions/{request.version}"
        body = {
            "signature_name": request.signature,
            "inputs": {name: _jsonable(value) for name, value in request.inputs.items()},
        }
        path = f"{status_path(request.model)}{version}:predict"
        data, site = self.exchange(address, port, "POST", path, json.dumps(body).encode(), timeout_s)
        outputs = self._document(data).get("outputs")
        # A signature with one output gives it without its name.
        named = outputs if isinstance(outputs, dict) else {_ONE_OUTPUT: outputs}
        return Answer({name: _array(value) for name, value in named.items()}, site)

    def signatures(self, address: str, port: int, model: str, timeout_s: float) -> Signatures:
        """Ask for the inputs of a model's signatures; see `Transport`."""
        data, _ = self.exchange(address, port, "GET", f"{status_path(model)}/metadata", None, timeout_s)
        try:
            found = self._document(data)["metadata"]["signature_def"]["signature_def"]
            return {
                name: {key: str(info["dtype"]) for key, info in sorted(signature["inputs"].items())}
                for name, signature in sorted(found.items())
            }
        except (KeyError, TypeError, AttributeError):
            raise RequestError("INTERNAL", "the answer holds no signatures; check domain and port") from None

    def close(self) -> None:
        """Nothing to give back: connections end with their request."""


class _NotConnected(OSError):
    """There is no connection to the address."""


class _Connection(http.client.HTTPConnection):
    """A connection to an address; a certificate is checked against the public name."""

    def __init__(self, address: str, port: int, name: str, context: ssl.SSLContext | None, timeout_s: float) -> None:
        super().__init__(address, port, timeout=timeout_s)
        self._name = name
        self._context = context

    def connect(self) -> None:
        """Connect, and check the certificate."""
        wait = CONNECT_S if self.timeout is None else min(CONNECT_S, self.timeout)
        try:
            plain = socket.create_connection((self.host, self.port), wait)
            plain.settimeout(self.timeout)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sock = plain if self._context is None else self._context.wrap_socket(plain, server_hostname=self._name)
        except TimeoutError:
            raise _NotConnected(f"no connection within {wait:.1f} s") from None
        except OSError as error:
            raise _NotConnected(f"cannot connect: {error.strerror or error}") from None


def _jsonable(value: Any) -> Any:
    to_list = getattr(value, "tolist", None)
    if to_list is not None:
        value = to_list()
    if isinstance(value, list | tuple):
        return [_jsonable(each) for each in value]
    return {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _array(value: Any) -> Any:
    import numpy as np

    if _is_binary(value):
        return _bytes_array(value)
    array = np.array(value)
    if array.dtype.kind == "U":
        return np.array([each.encode() for each in array.reshape(-1).tolist()], dtype=object).reshape(array.shape)
    return array


def _is_binary(value: Any) -> bool:
    while isinstance(value, list) and value:
        value = value[0]
    return isinstance(value, dict)


def _bytes_array(value: Any) -> Any:
    import numpy as np

    def decoded(each: Any) -> Any:
        return [decoded(one) for one in each] if isinstance(each, list) else base64.b64decode(each["b64"])

    return np.array(decoded(value), dtype=object)


def _error_text(data: bytes) -> str:
    try:
        return str(json.loads(data)["error"])
    except (ValueError, KeyError, TypeError):
        return data.decode(errors="replace").strip()[:300]
