"""Which service account of which cluster shows a token: the clusters themselves say so."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from localcloud import ledger
from localcloud.context import CloudContext
from localcloud.nodes.api import UNREACHABLE, ApiError, KubeApi

_LOG = logging.getLogger(__name__)
_PREFIX = "system:serviceaccount:"


class NotAuthenticated(Exception):
    """No cluster of the cloud vouches for the token."""


@dataclass(frozen=True)
class Workload:
    """A service account of a cluster."""

    cluster_id: str
    namespace: str
    service_account: str

    def principal(self, context: CloudContext) -> str:
        """Return whom the service account acts as in the cloud; empty when nobody."""
        for each in ledger.identities(context.store, context.cloud):
            if (each.cluster_id, each.namespace, each.service_account) == (
                self.cluster_id, self.namespace, self.service_account,
            ):  # fmt: skip
                return each.principal
        return ""


async def workload_of(context: CloudContext, token: str, audience: str) -> Workload:
    """Return whose service account token it is, by the TokenReview API of the cloud's clusters.

    Args:
        context: The cloud.
        token: A service account token.
        audience: Whom the token must be meant for.

    Raises:
        NotAuthenticated: If no active cluster knows the token, or it is meant for someone else.
    """
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token, "audiences": [audience]},
    }
    for cluster in context.store.clusters(context.cloud):
        if cluster.status != "active" or not cluster.endpoint:
            continue
        try:
            async with KubeApi.open(context, cluster) as api:
                answer = await api.post("/apis/authentication.k8s.io/v1/tokenreviews", review)
        except (*UNREACHABLE, ApiError) as error:
            _LOG.info("cluster %s cannot check a token: %s", cluster.name, error)
            continue
        status = answer.get("status") or {}
        name = str((status.get("user") or {}).get("username") or "")
        if status.get("authenticated") and audience in (status.get("audiences") or []) and name.startswith(_PREFIX):
            namespace, _, account = name.removeprefix(_PREFIX).partition(":")
            return Workload(cluster.id, namespace, account)
    raise NotAuthenticated(
        f"no cluster of {context.cloud} knows the service account token, or it is not for {audience}"
    )
