"""Messages of TensorFlow Serving and gRPC that no installed package brings, described here field by field.

Field names, numbers and types are those of `session_bundle_config.proto`, `monitoring_config.proto` and
`grpc/health/v1/health.proto`. Protobuf's own text parser then reads the configuration files, as in the original.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2

from localcloud.modelserver.errors import invalid
from serving.protos import model_server_config_pb2

_FIELD = descriptor_pb2.FieldDescriptorProto
_INT64 = ".google.protobuf.Int64Value"
_BOOL = ".google.protobuf.BoolValue"
_STRING = ".google.protobuf.StringValue"

_BATCHING: dict[str, tuple[int, int | str, bool]] = {
    "max_batch_size": (1, _INT64, False),
    "batch_timeout_micros": (2, _INT64, False),
    "max_enqueued_batches": (3, _INT64, False),
    "num_batch_threads": (4, _INT64, False),
    "thread_pool_name": (5, _STRING, False),
    "allowed_batch_sizes": (6, _FIELD.TYPE_INT64, True),
    "pad_variable_length_inputs": (7, _FIELD.TYPE_BOOL, False),
    "enable_large_batch_splitting": (8, _BOOL, False),
    "max_execution_batch_size": (9, _INT64, False),
}
_MESSAGES: dict[str, dict[str, tuple[int, int | str, bool]]] = {
    "BatchingParameters": _BATCHING,
    "PrometheusConfig": {"enable": (1, _FIELD.TYPE_BOOL, False), "path": (2, _FIELD.TYPE_STRING, False)},
    "MonitoringConfig": {"prometheus_config": (1, ".standin.PrometheusConfig", False)},
    "HealthCheckRequest": {"service": (1, _FIELD.TYPE_STRING, False)},
    "HealthCheckResponse": {"status": (1, _FIELD.TYPE_INT32, False)},  # an enum, which has the same wire format
}


def _build() -> dict[str, Any]:
    pool: Any = descriptor_pool.DescriptorPool()
    wrappers = descriptor_pb2.FileDescriptorProto()
    described: Any = wrappers_pb2.DESCRIPTOR
    described.CopyToProto(wrappers)
    pool.Add(wrappers)
    file = descriptor_pb2.FileDescriptorProto(
        name="standin.proto", package="standin", syntax="proto3", dependency=[wrappers.name]
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind, repeated) in fields.items():
            label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
            added = message.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                added.type, added.type_name = _FIELD.TYPE_MESSAGE, kind
            else:
                added.type = kind  # type: ignore[assignment]  # the stub wants the enum's members only
    pool.Add(file)
    return {n: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"standin.{n}")) for n in _MESSAGES}


_CLASSES = _build()
BatchingParameters: Any = _CLASSES["BatchingParameters"]
MonitoringConfig: Any = _CLASSES["MonitoringConfig"]
HealthCheckRequest: Any = _CLASSES["HealthCheckRequest"]
HealthCheckResponse: Any = _CLASSES["HealthCheckResponse"]


def read(path: str | Path, kind: Any) -> Any:
    """Read a text protobuf file.

    Args:
        path: The file.
        kind: The message class.

    Raises:
        ServingError: INVALID_ARGUMENT with file, line and column: unreadable, malformed, or an unknown field.
    """
    try:
        text = Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise invalid(f"cannot read {kind.DESCRIPTOR.name} from {path}: {error}") from None
    try:
        return text_format.Parse(text, kind())
    except text_format.ParseError as error:
        raise invalid(f"{path} is not a valid text protobuf of {kind.DESCRIPTOR.name}: {error}") from None


def read_models(path: str | Path) -> Any:
    """Read a `ModelServerConfig` and check what the original checks.

    Raises:
        ServingError: INVALID_ARGUMENT: unreadable, a duplicate name, a relative base path, or an unknown platform.
    """
    config = read(path, model_server_config_pb2.ModelServerConfig)
    check_models(config)
    return config


def check_models(config: Any) -> None:
    """Check a `ModelServerConfig` as `ServerCore` does; raises ServingError INVALID_ARGUMENT."""
    if config.WhichOneof("config") == "custom_model_config":
        raise invalid("Missing custom_model_config_loader in ServerCore Options")
    names = set()
    for model in config.model_config_list.config:
        if model.name in names:
            raise invalid(f"Illegal to list model {model.name} multiple times in config list")
        names.add(model.name)
        if not model.base_path.startswith("/"):
            raise invalid(
                f"Expected model {model.name} to have an absolute path or URI; got base_path()={model.base_path}"
            )
        if not model.model_platform and not model.model_type:
            raise invalid(
                "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
                f"ModelServerConfig::model_platform, model name is {model.name}"
            )
        if model.model_platform not in ("", "tensorflow"):
            raise invalid(f"Model {model.name} requests unsupported platform {model.model_platform}")
