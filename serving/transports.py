"""One prediction request to one address, over gRPC or REST; errors have TensorFlow Serving's status names."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from serving.routes import MODEL_HEADER, SITE_HEADER

MAX_MESSAGE_BYTES = 64 << 20
RETRIABLE = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "CANCELLED"})
"""Codes after which another site may well answer."""
_HTTP_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    412: "FAILED_PRECONDITION",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class RequestError(Exception):
    """One attempt failed; `code` is a gRPC status name."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Request:
    """What to ask; `inputs` are arrays or nested lists by input name."""

    model: str
    signature: str
    version: int | None
    inputs: Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """Arrays by output name (strings as bytes), and the site that computed them, empty if nobody told."""

    outputs: dict[str, Any]
    site: str


class Transport(Protocol):
    """Sends requests to addresses."""

    def predict(self, address: str, port: int, request: Request, timeout_s: float) -> Answer:
        """Send one request.

        Raises:
            RequestError: If it fails.
        """
        ...

    def close(self) -> None:
        """Give connections back."""
        ...


class GrpcTransport:
    """PredictionService over gRPC, one channel per address."""

    def __init__(self, authority: str, tls: bool) -> None:
        self._authority = authority
        self._tls = tls
        self._channels: dict[tuple[str, int], Any] = {}
        self._lock = threading.Lock()

    def _channel(self, address: str, port: int) -> Any:
        import grpc  # 0.1 s to import, and REST callers do without

        options = [
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            ("grpc.initial_reconnect_backoff_ms", 200),
            ("grpc.max_reconnect_backoff_ms", 2_000),
            # Retries go to other addresses, which a channel to one address cannot know.
            ("grpc.enable_retries", 0),
            ("grpc.default_authority", self._authority),
            ("grpc.ssl_target_name_override", self._authority),
        ]
        with self._lock:
            channel = self._channels.get((address, port))
            if channel is None:
                target = f"ipv4:{address}:{port}"
                if self._tls:
                    channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(), options=options)
                else:
                    channel = grpc.insecure_channel(target, options=options[:-1])
                self._channels[(address, port)] = channel
            return channel

    def _call(self, address: str, port: int, method: str, message: Any, timeout_s: float) -> tuple[Any, str]:
        import grpc

        from serving.protos import prediction_service_pb2_grpc

        stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel(address, port))
        metadata = ((MODEL_HEADER, message.model_spec.name),)
        try:
            answer, call = getattr(stub, method).with_call(message, timeout=timeout_s, metadata=metadata)
        except grpc.RpcError as error:
            details = (error.details() or "no details").strip()
            raise RequestError(error.code().name, details) from None
        headers = dict(call.initial_metadata() or ())
        return answer, str(headers.get(SITE_HEADER, ""))

    def predict(self, address: str, port: int, request: Request, timeout_s: float) -> Answer:
        """Send one request; see `Transport`."""
        from serving.protos import predict_pb2
        from serving.tensors import from_proto, to_proto

        message = predict_pb2.PredictRequest()
        message.model_spec.name = request.model
        message.model_spec.signature_name = request.signature
        if request.version is not None:
            message.model_spec.version.value = request.version
        for name, value in request.inputs.items():
            message.inputs[name].CopyFrom(to_proto(value))
        answer, site = self._call(address, port, "Predict", message, timeout_s)
        return Answer({name: from_proto(value) for name, value in answer.outputs.items()}, site)

    def signatures(self, address: str, port: int, model: str, timeout_s: float) -> dict[str, dict[str, int]]:
        """Return the inputs of every signature: name to the number of TensorFlow's dtype.

        Raises:
            RequestError: If the request fails.
        """
        from serving.protos import get_model_metadata_pb2

        message = get_model_metadata_pb2.GetModelMetadataRequest()
        message.model_spec.name = model
        message.metadata_field.append("signature_def")
        answer, _ = self._call(address, port, "GetModelMetadata", message, timeout_s)
        found = get_model_metadata_pb2.SignatureDefMap()
        answer.metadata["signature_def"].Unpack(found)
        return {
            name: {key: info.dtype for key, info in signature.inputs.items()}
            for name, signature in found.signature_def.items()
        }

    def close(self) -> None:
        """Close every channel."""
        with self._lock:
            for channel in self._channels.values():
                channel.close()
            self._channels.clear()


class RestTransport:
    """TensorFlow Serving's REST interface, one connection per request."""

    def __init__(self, authority: str, tls: bool) -> None:
        self._authority = authority
        self._tls = tls

    def exchange(
        self, address: str, port: int, method: str, path: str, body: bytes | None, timeout_s: float
    ) -> tuple[bytes, str]:
        """Send one HTTP request; return the body and the site that answered.

        Raises:
            RequestError: If nothing answers, or with a status of 400 or more.
        """
        connection: http.client.HTTPConnection
        if self._tls:
            connection = _PinnedHttps(address, port, self._authority, timeout_s)
        else:
            connection = http.client.HTTPConnection(address, port, timeout=timeout_s)
        headers = {"Host": self._authority, "Content-Type": "application/json"}
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            data = answer.read()
        except TimeoutError:
            raise RequestError("DEADLINE_EXCEEDED", f"no answer within {timeout_s:.1f} s") from None
        except (OSError, http.client.HTTPException) as error:
            raise RequestError("UNAVAILABLE", f"{type(error).__name__}: {error}") from None
        finally:
            connection.close()
        if answer.status >= 400:
            code = _HTTP_CODES.get(answer.status, "UNKNOWN" if answer.status < 500 else "INTERNAL")
            raise RequestError(code, _error_text(data) or f"HTTP status {answer.status}")
        return data, answer.headers.get(SITE_HEADER, "")

    def predict(self, address: str, port: int, request: Request, timeout_s: float) -> Answer:
        """Send one request; see `Transport`."""
        version = "" if request.version is None else f"/versions/{request.version}"
        body = {
            "signature_name": request.signature,
            "inputs": {name: _jsonable(value) for name, value in request.inputs.items()},
        }
        data, site = self.exchange(
            address, port, "POST", f"/v1/models/{request.model}{version}:predict", json.dumps(body).encode(), timeout_s
        )
        outputs = json.loads(data)["outputs"]
        # A signature with one output gives it without its name.
        named = outputs if isinstance(outputs, dict) else {"output": outputs}
        return Answer({name: _array(value) for name, value in named.items()}, site)

    def close(self) -> None:
        """Nothing to give back: connections end with their request."""


class _PinnedHttps(http.client.HTTPSConnection):
    """HTTPS to an address, with the certificate checked against the public name."""

    def __init__(self, address: str, port: int, name: str, timeout_s: float) -> None:
        super().__init__(address, port, timeout=timeout_s, context=ssl.create_default_context())
        self._name = name

    def connect(self) -> None:
        """Connect and check the certificate."""
        plain = socket.create_connection((self.host, self.port), self.timeout)
        self.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=self._name)


def _jsonable(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_jsonable(each) for each in value]
    return {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _array(value: Any) -> Any:
    array = np.array(value)
    if array.dtype.kind == "U":
        return np.array([each.encode() for each in array.reshape(-1).tolist()], dtype=object).reshape(array.shape)
    return array


def _error_text(data: bytes) -> str:
    try:
        return str(json.loads(data)["error"])
    except (ValueError, KeyError, TypeError):
        return data.decode(errors="replace").strip()[:300]
