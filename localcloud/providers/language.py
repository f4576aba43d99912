"""Python language host of the local runs: `python -m localcloud.providers.language ENGINE_ADDRESS`.

The Pulumi CLI is built from source without its Go language host; the SDK's own `LanguageServer` does what is needed to
run a program. The program runs in this process, so in the environment of the interpreter that runs it.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from concurrent import futures
from typing import Any

import grpc
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2_grpc


def _nothing() -> None:
    return None


class ProgramHost(LanguageServer):
    """Runs the program of a Pulumi project's directory."""

    def __init__(self, engine: str) -> None:
        super().__init__(_nothing)
        self._engine = engine

    def Run(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Run the program to its end."""
        entry = os.path.normpath(os.path.join(request.info.program_directory or request.pwd, request.info.entry_point))
        # Functions given to `apply` run, and import, after the program itself has ended.
        sys.path.insert(0, entry if os.path.isdir(entry) else os.path.dirname(entry))
        os.chdir(request.pwd or sys.path[0])
        request.args[:] = [self._engine]

        def program() -> None:
            runpy.run_path(entry, run_name="__main__")

        self.program = program
        return super().Run(request, context)  # type: ignore[no-untyped-call]  # the SDK's method has no annotations


def main(arguments: list[str]) -> None:
    """Entry point; the engine's address is the last argument."""
    if not arguments:
        print("pulumi-language-python: the Pulumi engine starts this program", file=sys.stderr)
        raise SystemExit(2)
    # The engine ends us with an interrupt, waits 5 s and then kills; the default would print a traceback. A person's
    # Ctrl-C does not get here, because the engine starts its plug-ins in process groups of their own.
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    server = grpc.server(futures.ThreadPoolExecutor(4))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(ProgramHost(arguments[-1]), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main(sys.argv[1:])
