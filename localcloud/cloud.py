"""The daemon of one simulated cloud: `python -m localcloud.cloud aws`.

It plays what runs inside the cloud's own data centres: managed control planes, node autoscaling and kubelets, load
balancers, the object store, identities and the DNS authority. Everything it does follows from the store, so that it
can be killed at any moment and started again.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time

from localcloud.certmanager.controller import CertificateController
from localcloud.clusters.manager import ClusterManager
from localcloud.context import CloudContext, Subsystem
from localcloud.dns.authority import DnsAuthority
from localcloud.gateway.controller import GatewayController
from localcloud.nodes.agent import NodeAgent
from localcloud.nodes.autoscaler import Autoscaler
from localcloud.objects.server import CloudEndpoint
from localcloud.paths import CLOUDS, RunPaths

_LOG = logging.getLogger("localcloud")
_RESTART_PAUSE_S = 1.0


async def _supervise(name: str, subsystem: Subsystem) -> None:
    """Run a subsystem for ever; an unexpected error is logged and the subsystem starts over from the store."""
    while True:
        try:
            await subsystem.run()
        except asyncio.CancelledError:
            raise
        except Exception:
            _LOG.exception("%s failed and starts again", name)
        await asyncio.sleep(_RESTART_PAUSE_S)


async def run(context: CloudContext) -> None:
    """Run every subsystem of the cloud until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    subsystems: list[Subsystem] = [
        CloudEndpoint(context),
        ClusterManager(context),
        Autoscaler(context),
        NodeAgent(context),
        CertificateController(context),
        GatewayController(context),
        DnsAuthority(context),
    ]
    tasks = [asyncio.create_task(_supervise(type(each).__name__, each)) for each in subsystems]
    _LOG.info("%s is up", context.cloud)
    await stop.wait()
    # One after another, users before what they use: pods end while their API server still answers.
    for task in reversed(tasks):
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def main() -> int:
    """Entry point; the one argument is the cloud's name."""
    if len(sys.argv) != 2 or sys.argv[1] not in CLOUDS:
        print(f"usage: python -m localcloud.cloud {'|'.join(CLOUDS)}", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.Formatter.converter = time.gmtime
    asyncio.run(run(CloudContext.open(sys.argv[1], RunPaths.current())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
