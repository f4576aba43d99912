"""Where pods turn their service account token into the cloud's own credentials."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from typing import Any

from aiohttp import web

from localcloud.context import CloudContext
from localcloud.nodes.edge import AZURE_AUDIENCE, EKS_AUDIENCE
from localcloud.objects.content import iso_date
from localcloud.objects.tokens import LIFE_S, Signer
from localcloud.objects.workloads import NotAuthenticated, workload_of

_ACCOUNT = "123456789012"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class EksPodIdentity:
    """The EKS Pod Identity agent's credentials endpoint, and the instance metadata that pods cannot reach."""

    def __init__(self, context: CloudContext) -> None:
        self._context = context
        self._signer = Signer.of(context)

    def routes(self) -> list[web.RouteDef]:
        """Return the paths it answers."""
        return [
            web.get("/eks/credentials", self._credentials),
            web.route("*", "/latest/{path:.*}", _no_instance_metadata),
        ]

    async def _credentials(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "")
        try:
            workload = await workload_of(self._context, token, EKS_AUDIENCE)
        except NotAuthenticated as error:
            return web.Response(status=401, text=f"[AccessDeniedException]: {error}")
        principal = await asyncio.to_thread(workload.principal, self._context)
        if not principal:
            return web.Response(
                status=404,
                text="[ResourceNotFoundException]: (AccessDenied) no pod identity association for "
                f"{workload.namespace}/{workload.service_account}",
            )
        access_key = "ASIA" + hashlib.sha256(secrets.token_bytes(16)).hexdigest()[:16].upper()
        return web.json_response(
            {
                "AccessKeyId": access_key,
                "SecretAccessKey": self._signer.secret(access_key),
                "Token": self._signer.issue(principal, access_key=access_key),
                "AccountId": _ACCOUNT,
                "Expiration": iso_date(time.time() + LIFE_S),
            }
        )


async def _no_instance_metadata(_: web.Request) -> web.Response:
    return web.Response(status=403, text="the instance's metadata is one hop too far for pods")


class Entra:
    """Entra's token endpoint for workload identity federation."""

    def __init__(self, context: CloudContext) -> None:
        self._context = context
        self._signer = Signer.of(context)

    def routes(self) -> list[web.RouteDef]:
        """Return the paths it answers."""
        return [
            web.get("/{tenant}/v2.0/.well-known/openid-configuration", self._configuration),
            web.post("/{tenant}/oauth2/v2.0/token", self._token),
        ]

    async def _configuration(self, request: web.Request) -> web.Response:
        base = f"https://{request.host}/{request.match_info['tenant']}"
        return web.json_response(
            {
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "jwks_uri": f"{base}/discovery/v2.0/keys",
            }
        )

    async def _token(self, request: web.Request) -> web.Response:
        form: dict[str, Any] = dict(await request.post())
        if form.get("grant_type") != "client_credentials" or form.get("client_assertion_type") != _ASSERTION:
            return _entra_error(400, "unsupported_grant_type", "AADSTS70003: only federated client credentials")
        client = str(form.get("client_id", ""))
        try:
            workload = await workload_of(self._context, str(form.get("client_assertion", "")), AZURE_AUDIENCE)
        except NotAuthenticated as error:
            return _entra_error(401, "invalid_client", f"AADSTS700211: no matching federated identity record: {error}")
        principal = await asyncio.to_thread(workload.principal, self._context)
        if not principal or principal.lower() != client.lower():
            subject = f"system:serviceaccount:{workload.namespace}:{workload.service_account}"
            return _entra_error(
                401, "invalid_client",
                f"AADSTS700213: No matching federated identity record found for assertion subject '{subject}' "
                f"and client '{client}'.",
            )  # fmt: skip
        return web.json_response(
            {
                "token_type": "Bearer",
                "expires_in": LIFE_S - 1,
                "ext_expires_in": LIFE_S - 1,
                "access_token": self._signer.issue(principal),
            }
        )


def _entra_error(status: int, error: str, description: str) -> web.Response:
    return web.json_response({"error": error, "error_description": description}, status=status)
