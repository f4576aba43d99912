"""The kubernetes provider as a Pulumi plugin: `python -m localcloud.providers.kubernetes [engine address]`."""

from __future__ import annotations

import importlib.metadata
import os
import signal
import stat
import sys
import threading
from concurrent import futures

import grpc

from localcloud.paths import RUN_DIRECTORY_VARIABLE, RunPaths
from localcloud.providers.kubernetes.protocol import provider_pb2_grpc
from localcloud.providers.kubernetes.server import KubernetesProvider
from localcloud.store import Store

_WORKERS = 64
_LARGEST_MESSAGE = 400 << 20


def _end(*_: object) -> None:
    # At once: the engine gives its plugins five seconds, and a thread pool would use them up.
    os._exit(0)


def _end_with_engine() -> None:
    """End when the engine, which holds the other end of standard input, is gone."""
    if not stat.S_ISFIFO(os.fstat(sys.stdin.fileno()).st_mode):
        return

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        _end()

    threading.Thread(target=watch, daemon=True).start()


def main(arguments: list[str]) -> int:
    """Serve until the engine ends the process; print the port on the first line of output."""
    if not os.environ.get(RUN_DIRECTORY_VARIABLE):
        print(
            f"this kubernetes provider works on the local clouds only and {RUN_DIRECTORY_VARIABLE} is not set; "
            "take the environment of `make env`",
            file=sys.stderr,
        )
        return 1
    engine = next((each for each in reversed(arguments) if not each.startswith("-")), "")
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, _end)
    options = [
        ("grpc.max_receive_message_length", _LARGEST_MESSAGE),
        ("grpc.max_send_message_length", _LARGEST_MESSAGE),
    ]
    server = grpc.server(futures.ThreadPoolExecutor(_WORKERS), options=options)
    version = importlib.metadata.version("pulumi-kubernetes")
    database = RunPaths.current().database
    provider = KubernetesProvider(version, engine, *([Store(database).duration] if database.exists() else []))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    _end_with_engine()
    server.wait_for_termination()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
