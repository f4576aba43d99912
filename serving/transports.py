"""One request to one address, over gRPC; errors have TensorFlow Serving's status names."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from serving.protocol import MODEL_HEADER, SITE_HEADER

MAX_MESSAGE_BYTES = 64 << 20
CONNECT_S = 2.0
"""Longest wait for a connection: a site that is gone must not eat a request's time."""
RETRIABLE = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "CANCELLED"})
"""Codes after which another site may well answer."""
Signatures = dict[str, dict[str, str]]
"""Inputs of every signature of a model: name to the name of TensorFlow's dtype, such as DT_STRING."""


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
    """Sends requests to addresses; safe to use from several threads."""

    def predict(self, address: str, port: int, request: Request, timeout_s: float) -> Answer:
        """Send one request.

        Raises:
            RequestError: If it fails.
        """
        ...

    def signatures(self, address: str, port: int, model: str, timeout_s: float) -> Signatures:
        """Ask for the inputs of a model's signatures.

        Raises:
            RequestError: If it fails.
        """
        ...

    def close(self) -> None:
        """Give connections back."""
        ...


class GrpcTransport:
    """PredictionService over gRPC, one channel per address.

    Args:
        authority: Name that servers are asked for, and that their certificates must be valid for.
        tls: Whether to speak TLS.
        ca: PEM certificates to trust; those that gRPC ships when None.
        headers: Headers of every request, in lower case, such as an API key.
    """

    def __init__(
        self, authority: str, tls: bool, ca: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        self._authority = authority
        self._tls = tls
        self._ca = ca
        self._metadata = tuple((headers or {}).items())
        self._channels: dict[tuple[str, int], Any] = {}
        self._lock = threading.Lock()

    def _channel(self, address: str, port: int) -> Any:
        import grpc  # 0.1 s to import, and REST callers do without

        options: list[tuple[str, Any]] = [
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            ("grpc.initial_reconnect_backoff_ms", 200),
            ("grpc.max_reconnect_backoff_ms", 2_000),
            # gRPC's name for the longest wait for a connection; 20 s by default.
            ("grpc.min_reconnect_backoff_ms", round(1000 * CONNECT_S)),
            # Retries go to other addresses, which a channel to one address cannot know.
            ("grpc.enable_retries", 0),
            ("grpc.service_config_disable_resolution", 1),
            ("grpc.default_authority", self._authority),
        ]
        with self._lock:
            channel = self._channels.get((address, port))
            if channel is None:
                target = f"ipv4:{address}:{port}"
                if self._tls:
                    options.append(("grpc.ssl_target_name_override", self._authority))
                    channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(self._ca), options=options)
                else:
                    channel = grpc.insecure_channel(target, options=options)
                self._channels[(address, port)] = channel
            return channel

    def _call(self, address: str, port: int, method: str, message: Any, timeout_s: float) -> tuple[Any, str]:
        import grpc

        from serving.protos import prediction_service_pb2_grpc

        size = message.ByteSize()
        if size > MAX_MESSAGE_BYTES:
            raise RequestError(
                "INVALID_ARGUMENT",
                f"the request has {size >> 20} MiB, more than {MAX_MESSAGE_BYTES >> 20}; send fewer inputs at once",
            )
        stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel(address, port))
        model = message.model_spec.name
        try:
            answer, call = getattr(stub, method).with_call(
                message, timeout=timeout_s, metadata=((MODEL_HEADER, model), *self._metadata)
            )
        except grpc.RpcError as error:
            code, details = error.code().name, (error.details() or "no details").strip()
            if code == "UNIMPLEMENTED":
                details = f"nothing there serves the model {model!r}; check its name, domain and port ({details})"
            raise RequestError(code, details) from None
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

    def signatures(self, address: str, port: int, model: str, timeout_s: float) -> Signatures:
        """Ask for the inputs of a model's signatures; see `Transport`."""
        from serving.protos import get_model_metadata_pb2, types_pb2

        message = get_model_metadata_pb2.GetModelMetadataRequest()
        message.model_spec.name = model
        message.metadata_field.append("signature_def")
        answer, _ = self._call(address, port, "GetModelMetadata", message, timeout_s)
        found = get_model_metadata_pb2.SignatureDefMap()
        answer.metadata["signature_def"].Unpack(found)
        return {
            name: {key: types_pb2.DataType.Name(info.dtype) for key, info in sorted(signature.inputs.items())}
            for name, signature in sorted(found.signature_def.items())
        }

    def close(self) -> None:
        """Close every channel."""
        with self._lock:
            for channel in self._channels.values():
                channel.close()
            self._channels.clear()
