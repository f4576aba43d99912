"""The cloud's own API endpoint: whether it is alive, its object store, its identity service."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from pathlib import Path

from aiohttp import web

from localcloud.addresses import ENDPOINT_HTTP_PORT, ENDPOINT_HTTPS_PORT, endpoint_address
from localcloud.certificates import issue
from localcloud.context import CloudContext
from localcloud.objects.azure_blob import AzureBlob
from localcloud.objects.gcs import Gcs
from localcloud.objects.identity import EksPodIdentity, Entra
from localcloud.objects.s3 import S3

_SHUTDOWN_S = 2.0


class CloudEndpoint:
    """Serves the cloud's endpoint over HTTP on port 9000 and HTTPS on port 9443."""

    def __init__(self, context: CloudContext) -> None:
        self._context = context

    async def run(self) -> None:
        """Serve until cancelled."""
        address = endpoint_address(self._context.cloud)
        runner = web.AppRunner(application(self._context), access_log=None, shutdown_timeout=_SHUTDOWN_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, address, ENDPOINT_HTTP_PORT).start()
            certificate = await asyncio.to_thread(_server_context, self._context, address)
            await web.TCPSite(runner, address, ENDPOINT_HTTPS_PORT, ssl_context=certificate).start()
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()


def application(context: CloudContext) -> web.Application:
    """Return what a cloud answers."""
    served = web.Application(client_max_size=1 << 20)
    served.router.add_get("/-/alive", _alive)
    if context.cloud == "aws":
        served.router.add_routes(EksPodIdentity(context).routes())
        served.router.add_route("GET", "/{path:.+}", S3(context).handle)
        served.router.add_route("HEAD", "/{path:.+}", S3(context).handle)
    elif context.cloud == "gcp":
        served.router.add_routes(Gcs(context).routes())
    else:
        served.router.add_routes(Entra(context).routes())
        served.router.add_route("GET", "/{path:.+}", AzureBlob(context).handle)
        served.router.add_route("HEAD", "/{path:.+}", AzureBlob(context).handle)
    return served


async def _alive(_: web.Request) -> web.Response:
    return web.Response(text="alive\n")


def _server_context(context: CloudContext, address: str) -> ssl.SSLContext:
    certificate, key = issue(context.paths, f"{context.cloud} endpoint", addresses=[address], server=True)
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    # The ssl module reads certificates from files only; this one is gone again at once.
    with tempfile.TemporaryDirectory(dir=context.paths.root) as directory:
        file = Path(directory) / "server.pem"
        file.touch(mode=0o600)
        file.write_text(certificate + key)
        served.load_cert_chain(file)
    return served
