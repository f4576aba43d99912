"""GKE's metadata server as one pod sees it: the identity of the pod's service account.

A real one tells pods apart by their network address. Pods of the local clouds share the machine's loopback network,
so each gets a server of its own on its own address.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from localcloud.context import CloudContext
from localcloud.objects.tokens import LIFE_S, Signer
from localcloud.objects.workloads import Workload
from localcloud.store import Cluster

_BASE = "/computeMetadata/v1"
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def metadata_server(
    context: CloudContext, cluster: Cluster, address: str, port: int, namespace: str, service_account: str
) -> AsyncIterator[None]:
    """Serve a pod's metadata for as long as the context is open.

    Raises:
        OSError: If the address cannot be listened on.
    """
    application = metadata_application(context, cluster, Workload(cluster.id, namespace, service_account))
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, address, port).start()
        yield
    finally:
        await runner.cleanup()


def metadata_application(context: CloudContext, cluster: Cluster, workload: Workload) -> web.Application:
    """Return the metadata server of a workload."""
    signer = Signer.of(context)
    email = str(cluster.attributes.get("workload_pool") or "tricorn-local.svc.id.goog")
    project = email.removesuffix(".svc.id.goog")

    async def token(_: web.Request) -> web.Response:
        principal = await asyncio.to_thread(workload.principal, context)
        # A service account without any grant has an identity all the same; it is only not let in anywhere.
        found = principal or f"principal:{workload.cluster_id}/ns/{workload.namespace}/sa/{workload.service_account}"
        return web.json_response(
            {"access_token": signer.issue(found), "expires_in": LIFE_S - 60, "token_type": "Bearer"}
        )

    def text(value: str) -> _Handler:
        async def answer(_: web.Request) -> web.Response:
            return web.Response(text=value)

        return answer

    application = web.Application(middlewares=[_flavor])
    accounts = f"{_BASE}/instance/service-accounts"
    for account in ("default", email):
        application.router.add_get(f"{accounts}/{account}/token", token)
        application.router.add_get(f"{accounts}/{account}/email", text(email))
    application.router.add_get(f"{accounts}/", text(f"default/\n{email}/\n"))
    application.router.add_get(f"{_BASE}/project/project-id", text(project))
    application.router.add_get(f"{_BASE}/universe/universe-domain", text("googleapis.com"))
    application.router.add_get("/", text("computeMetadata/\n"))
    return application


@web.middleware
async def _flavor(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Demand the header that keeps forged requests out, and put it on every answer, as the real one does."""
    if request.path != "/" and request.headers.get("Metadata-Flavor") != "Google":
        return web.Response(status=403, text="missing header Metadata-Flavor: Google")
    try:
        answer = await handler(request)
    except web.HTTPException as error:
        error.headers["Metadata-Flavor"] = "Google"
        raise
    answer.headers["Metadata-Flavor"] = "Google"
    return answer
