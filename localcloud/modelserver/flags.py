"""The command line of `tensorflow_model_server`: `--flag=value`, and `--flag` for a boolean that is to be true."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass


class FlagError(ValueError):
    """A flag the server does not know or a value it cannot read; the text names both."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The values of all flags, with the original's defaults; each field is the flag of the same name."""

    port: int = 8500
    grpc_socket_path: str = ""
    rest_api_port: int = 0
    rest_api_num_threads: int = 4 * (os.cpu_count() or 1)
    rest_api_timeout_in_ms: int = 30000
    rest_api_enable_cors_support: bool = False
    enable_batching: bool = False
    allow_version_labels_for_unavailable_models: bool = False
    batching_parameters_file: str = ""
    enable_per_model_batching_parameters: bool = False
    model_config_file: str = ""
    model_config_file_poll_wait_seconds: int = 0
    model_name: str = "default"
    model_base_path: str = ""
    num_load_threads: int = 0
    num_unload_threads: int = 0
    max_num_load_retries: int = 5
    load_retry_interval_micros: int = 60_000_000
    file_system_poll_wait_seconds: int = 1
    flush_filesystem_caches: bool = True
    tensorflow_session_parallelism: int = 0
    tensorflow_session_config_file: str = ""
    tensorflow_intra_op_parallelism: int = 0
    tensorflow_inter_op_parallelism: int = 0
    use_alts_credentials: bool = False
    ssl_config_file: str = ""
    platform_config_file: str = ""
    per_process_gpu_memory_fraction: float = 0.0
    saved_model_tags: str = "serve"
    grpc_channel_arguments: str = ""
    grpc_max_threads: int = 4 * (os.cpu_count() or 1)
    enable_model_warmup: bool = True
    num_request_iterations_for_warmup: int = 0
    version: bool = False
    monitoring_config_file: str = ""
    remove_unused_fields_from_bundle_metagraph: bool = True
    prefer_tflite_model: bool = False
    num_tflite_pools: int = 0
    num_tflite_interpreters_per_pool: int = 0
    enable_signature_method_name_check: bool = False
    xla_cpu_compilation_enabled: bool = False
    xla_gpu_compilation_enabled: bool = False
    enable_profiler: bool = True
    thread_pool_factory_config_file: str = ""
    mixed_precision: str = ""
    skip_initialize_tpu: bool = False
    enable_grpc_healthcheck_service: bool = False
    enable_serialization_as_tensor_content: bool = False

    @property
    def parallelism(self) -> tuple[int, int]:
        """Threads inside one operation and between operations; 0 lets TensorFlow choose."""
        intra, inter = self.tensorflow_intra_op_parallelism, self.tensorflow_inter_op_parallelism
        if intra > 0 or inter > 0:
            return intra, inter
        return self.tensorflow_session_parallelism, self.tensorflow_session_parallelism

    @property
    def channel_arguments(self) -> list[tuple[str, int | str]]:
        """The gRPC server arguments of `grpc_channel_arguments`; whole numbers become integers."""
        found: list[tuple[str, int | str]] = []
        for item in filter(None, self.grpc_channel_arguments.split(",")):
            key, _, value = item.partition("=")
            try:
                found.append((key, int(value)))
            except ValueError:
                found.append((key, value))
        return found


_FIELDS = {field.name: field for field in dataclasses.fields(Options)}

# The stand-in has no use for them: with one of these set the original would behave in a way that it cannot show.
_UNSUPPORTED = (
    "grpc_socket_path",
    "tensorflow_session_config_file",
    "use_alts_credentials",
    "ssl_config_file",
    "platform_config_file",
    "prefer_tflite_model",
    "xla_cpu_compilation_enabled",
    "xla_gpu_compilation_enabled",
    "thread_pool_factory_config_file",
    "mixed_precision",
)


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line.

    The original prints its usage for an unknown argument and goes on without it. The stand-in refuses it, because a
    misspelt flag would otherwise be lost in production.

    Raises:
        FlagError: A flag is unknown, its value is not of its type, or the stand-in cannot honour it.
    """
    values: dict[str, bool | int | float | str] = {}
    for argument in arguments:
        name, equals, text = argument.removeprefix("--").partition("=")
        if not argument.startswith("--") or name not in _FIELDS:
            raise FlagError(f"unknown argument: {argument}")
        values[name] = _value(name, text if equals else None)
    options = Options(**values)  # type: ignore[arg-type]  # _value gives each field the type of its default
    _check(options)
    return options


def _value(name: str, text: str | None) -> bool | int | float | str:
    default = _FIELDS[name].default
    if isinstance(default, bool):
        if text not in (None, "true", "false"):
            raise FlagError(f"--{name}: must be true or false, got {text!r}")
        return text != "false"
    if text is None:
        raise FlagError(f"--{name}: needs a value, written --{name}=VALUE")
    if isinstance(default, str):
        return text
    whole = isinstance(default, int)
    try:
        return int(text) if whole else float(text)
    except ValueError:
        kind = "a whole number" if whole else "a number"
        raise FlagError(f"--{name}: must be {kind}, got {text!r}") from None


def _check(options: Options) -> None:
    if options.version:
        return
    for name in _UNSUPPORTED:
        if getattr(options, name) != _FIELDS[name].default:
            raise FlagError(f"--{name}: not supported by the stand-in for tensorflow_model_server")
    if options.port <= 0:
        raise FlagError("--port: must be set, for nothing else would listen")
    if not options.model_base_path and not options.model_config_file:
        raise FlagError("Both server_options.model_base_path and server_options.model_config_file are empty!")
    if options.batching_parameters_file and not options.enable_batching:
        raise FlagError("--batching_parameters_file is set without setting --enable_batching to true")
    if not 0 <= options.per_process_gpu_memory_fraction <= 1:
        raise FlagError(
            f"--per_process_gpu_memory_fraction: must be in 0..1, got {options.per_process_gpu_memory_fraction}"
        )
    threads = (options.tensorflow_intra_op_parallelism, options.tensorflow_inter_op_parallelism)
    if min(*threads, options.tensorflow_session_parallelism) > 0:
        raise FlagError(
            "--tensorflow_session_parallelism: configure either it or the intra_op and inter_op flags, not all"
        )
