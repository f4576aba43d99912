"""`python -m localcloud.modelserver [flags of tensorflow_model_server]`.

Listens on the address in `LOCALCLOUD_POD_ADDRESS`, by default 127.0.0.1. Exit code 255, as the original's -1, when it
cannot start or a model cannot be loaded.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence

import uvloop

from localcloud.modelserver import flags
from localcloud.modelserver.errors import ServingError
from localcloud.modelserver.library import library
from localcloud.modelserver.server import ADDRESS_VARIABLE, RERUN_VARIABLE, Server

_FAILED = 255
_LOG = logging.getLogger("tensorflow_model_server")


def main(arguments: Sequence[str]) -> int:
    """Serve until killed; return the exit code when that is impossible."""
    # The original, as process 1 of its container, has no handler for SIGTERM and so never sees it.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname).1s %(message)s")
    try:
        options = flags.parse(arguments)
        if options.version:
            print(f"TensorFlow ModelServer: stand-in\nTensorFlow Library: {library().TF_Version().decode()}")
            return 0
        address = os.environ.get(ADDRESS_VARIABLE, "127.0.0.1")
        _LOG.info(
            "Stand-in for tensorflow_model_server on TensorFlow %s: simulated GPU, computing on the CPU",
            library().TF_Version().decode(),
        )
        rerun = os.environ.get(RERUN_VARIABLE) == "1"
        uvloop.run(_serve(options, address, rerun))
    except (flags.FlagError, ServingError) as error:
        print(f"Failed to start server. Error: {error}", file=sys.stderr, flush=True)
        return _FAILED
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


async def _serve(options: flags.Options, address: str, rerun: bool) -> None:
    await Server(options, address, rerun).run()


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # TensorFlow's threads have nothing to tidy up and would only delay the end
