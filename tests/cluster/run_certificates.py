"""The part of a cloud's daemon that issues certificates: `python -m tests.cluster.run_certificates aws`."""

import asyncio
import logging
import signal
import sys

from localcloud.certmanager.controller import CertificateController
from localcloud.context import CloudContext
from localcloud.paths import RunPaths


async def run(cloud: str) -> None:
    task = asyncio.create_task(CertificateController(CloudContext.open(cloud, RunPaths.current())).run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await asyncio.gather(task, return_exceptions=True)
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(run(sys.argv[1]))
