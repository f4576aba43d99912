"""Parts of a cloud's daemon in a process of their own: `python -m tests.cluster.run_parts aws clusters`."""

import asyncio
import logging
import signal
import sys

from localcloud.certmanager.controller import CertificateController
from localcloud.clusters.manager import ClusterManager
from localcloud.context import CloudContext
from localcloud.nodes.agent import NodeAgent
from localcloud.nodes.autoscaler import Autoscaler
from localcloud.paths import RunPaths

PARTS = {"clusters": [ClusterManager], "nodes": [Autoscaler, NodeAgent], "certificates": [CertificateController]}


async def run(cloud: str, part: str) -> None:
    context = CloudContext.open(cloud, RunPaths.current())
    tasks = [asyncio.create_task(each(context).run()) for each in PARTS[part]]
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    for task in (*tasks, stopping):
        task.cancel()
    for problem in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(problem, Exception):
            raise problem


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(run(*sys.argv[1:]))
