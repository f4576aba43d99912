"""Who may ask for predictions: Envoy Gateway's policies for tokens, keys and rates.

Both kinds of callers together mean either: Envoy Gateway would ask for a token and a key at once, so a route gets two
rules, one for requests that carry the header of keys and one for all others, each with its own policy. Whoever sends a
key is judged by the key alone.
"""

from typing import Any

from serving.cluster import ENVOY_API, GATEWAY_GROUP
from serving.settings_access import ApiKeys, Callers, Jwt

Manifest = dict[str, Any]
TOKENS, KEYS = "tokens", "keys"
"""Names of a route's rules."""


def access_policies(model: str, namespace: str, callers: Callers) -> dict[str, Manifest]:
    """Return the policies of a model's public routes by role: `access-tokens`, `access-keys`, none or both.

    Health routes are not among the targets: they stay open. Nor are the routes for peers: a peer shows a certificate,
    and the site where the request came in has asked its caller.

    Args:
        model: Name of the model and of its routes.
        namespace: Namespace of the routes and of the Secret with keys.
        callers: Who may ask.
    """
    found: dict[str, Manifest] = {}
    if callers.jwt is not None:
        found["access-tokens"] = _policy(model, namespace, TOKENS, {"jwt": _tokens(callers.jwt)})
    if callers.api_keys is not None:
        found["access-keys"] = _policy(model, namespace, KEYS, {"apiKeyAuth": _keys(callers.api_keys)})
    return found


def rule_names(callers: Callers) -> list[str]:
    """Return the names of a route's rules, the one for the fewest requests first; none when everyone may ask."""
    return [
        name
        for name, wanted in ((KEYS, callers.api_keys), (TOKENS, callers.jwt))
        if wanted is not None  # a rule without a policy would be open
    ]


def key_header(callers: Callers) -> str | None:
    """Return the header whose presence decides between keys and tokens; None where there is nothing to decide."""
    return callers.api_keys.header if callers.api_keys is not None and callers.jwt is not None else None


def rate_limit(callers: Callers) -> Manifest | None:
    """Return the part of a BackendTrafficPolicy that limits requests; None without a limit.

    Each proxy counts for itself, and gRPC, REST and each rule of a route apart from each other.
    """
    if callers.requests_per_second is None:
        return None
    limit = {"requests": callers.requests_per_second, "unit": "Second"}
    return {"local": {"rules": [{"limit": limit}]}}


def _policy(model: str, namespace: str, rule: str, spec: Manifest) -> Manifest:
    targets = [
        {"group": GATEWAY_GROUP, "kind": kind, "name": model, "sectionName": rule}
        for kind in ("GRPCRoute", "HTTPRoute")
    ]
    return {
        "apiVersion": ENVOY_API,
        "kind": "SecurityPolicy",
        "metadata": {"name": f"{model}.{rule}", "namespace": namespace},
        "spec": {"targetRefs": targets, **spec},
    }


def _tokens(jwt: Jwt) -> Manifest:
    provider: Manifest = {
        "name": "callers",
        "issuer": jwt.issuer,
        "audiences": list(jwt.audiences),
        # By default a token may also stand in the address, where logs would keep it.
        "extractFrom": {"headers": [{"name": "Authorization", "valuePrefix": "Bearer "}]},
    }
    if jwt.jwks is not None:
        provider["localJWKS"] = {"type": "Inline", "inline": jwt.jwks}
    else:
        provider["remoteJWKS"] = {"uri": jwt.jwks_uri}
    return {"providers": [provider]}


def _keys(keys: ApiKeys) -> Manifest:
    return {
        "credentialRefs": [{"group": "", "kind": "Secret", "name": keys.secret}],
        "extractFrom": [{"headers": [keys.header]}],
        # Neither a model server nor another site has any use for it.
        "sanitize": True,
    }
