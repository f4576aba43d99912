"""A simulated vendor's provider as the process the Pulumi engine starts: `python -m localcloud.providers aws ADDRESS`.

Prints its port, serves until SIGINT, SIGTERM or the end of its standard input, and starts only inside a local run.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import signal
import sys
import threading
from concurrent import futures

import grpc

from localcloud.paths import RUN_DIRECTORY_VARIABLE, RunPaths
from localcloud.providers.kubernetes.protocol import provider_pb2_grpc
from localcloud.providers.server import Provider, refuse

MODULES = {"aws": "aws", "gcp": "gcp", "azure-native": "azure"}
_CALLS_AT_ONCE = 64
_MESSAGE_BYTES = 400 << 20  # the engine's own limit


def _end(*_: object) -> None:
    # A thread pool would make the exit wait for calls in flight; the engine waits for us.
    os._exit(0)


def _end_with_engine() -> None:
    sys.stdin.buffer.read()
    _end()


def serve(package: str) -> None:
    """Serve one vendor's provider until the engine ends it."""
    paths = RunPaths.current()
    if not os.environ.get(RUN_DIRECTORY_VARIABLE) or not paths.database.is_file():
        refuse(
            f"pulumi-resource-{package}: this is the provider of the local clouds and runs only inside a local run "
            f"({RUN_DIRECTORY_VARIABLE} must name one that is up; `make up` starts it)"
        )
    signal.signal(signal.SIGINT, _end)
    signal.signal(signal.SIGTERM, _end)
    vendor = importlib.import_module(f"localcloud.providers.{MODULES[package]}").VENDOR
    provider = Provider(vendor, paths, importlib.metadata.version(vendor.distribution))
    server = grpc.server(
        futures.ThreadPoolExecutor(_CALLS_AT_ONCE),
        options=[("grpc.max_receive_message_length", _MESSAGE_BYTES), ("grpc.max_send_message_length", _MESSAGE_BYTES)],
    )
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    threading.Thread(target=_end_with_engine, daemon=True).start()
    server.wait_for_termination()


def main(arguments: list[str]) -> None:
    """Entry point; the first argument is the package, the engine's address comes last."""
    if not arguments or arguments[0] not in MODULES:
        print(f"usage: python -m localcloud.providers {'|'.join(MODULES)} ENGINE_ADDRESS", file=sys.stderr)
        raise SystemExit(2)
    serve(arguments[0])


if __name__ == "__main__":
    main(sys.argv[1:])
