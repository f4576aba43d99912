"""Routes of a model in a cluster, for Envoy Gateway: gRPC, REST and health checks, and what other sites send here."""

from collections.abc import Mapping
from typing import Any

from serving.access import TOKENS, access_policies, key_header, rate_limit, rule_names
from serving.cluster import ENVOY_API, GATEWAY_API, GATEWAY_GROUP, GRPC_PORT, HTTP_PORT, server_name
from serving.gateway import GATEWAY_NAME, PUBLIC_LISTENER
from serving.peers import PEER_LISTENER, fallback_backends
from serving.protocol import MODEL_HEADER, SITE_HEADER, health_path, status_path
from serving.settings_access import Callers

Manifest = dict[str, Any]
_PREDICTION_SERVICE = "tensorflow.serving.PredictionService"
_ATTEMPTS_HERE = 2


def model_routes(
    model: str,
    namespace: str,
    site: str,
    versions: Mapping[int, int],
    *,
    default: bool,
    request_timeout_ms: int,
    callers: Callers | None = None,
    peers: Mapping[str, int] | None = None,
) -> dict[str, Manifest]:
    """Return the routes of a model and their policies by role.

    Public routes lead to the local servers and, while those are not healthy, to other sites. Names of further objects
    hold a dot, which no model's name does.

    Args:
        model: Name of the model.
        namespace: Namespace of the Gateway and the model servers.
        site: Name of the site, told to callers in the header `x-served-by`.
        versions: Share of the requests by version, in percent.
        default: Whether gRPC callers that name no model get this one.
        request_timeout_ms: Longest request in milliseconds.
        callers: Who may ask; everyone when None.
        peers: Share of DNS answers of each other site that may be asked, with the `backend-<site>` of `peer_objects`
            and the listener of `gateway_objects`; None for no other site.
    """
    who, others = callers or Callers(), fallback_backends(peers or {})
    timeout = f"{request_timeout_ms}ms"
    # With peers it is the listener that names the site, because a peer's own name must reach the caller. A filter of a
    # single backend would split the rule into several clusters of Envoy without a common order.
    named = [] if peers else [_answered_by(site)]
    rewrite = {
        "type": "URLRewrite",
        "urlRewrite": {"path": {"type": "ReplaceFullPath", "replaceFullPath": status_path(model)}},
    }
    grpc, http = _predictions(model, versions, named, others, timeout)
    health = {
        "matches": [{"path": {"type": "Exact", "value": health_path(model)}}],
        "filters": [rewrite, _answered_by(site)],
        # A canary that is not up must not take the site out of the answers.
        "backendRefs": _local(model, {max(versions, key=lambda version: versions[version]): 1}, HTTP_PORT),
        "timeouts": {"request": timeout},
    }
    found = {
        "grpc-route": _route("GRPCRoute", model, namespace, _rules(grpc, _grpc_matches(model, default=default), who)),
        "http-route": _route("HTTPRoute", model, namespace, _rules(http, _http_matches(model), who)),
        "health-route": _route("HTTPRoute", f"{model}.health", namespace, [health]),
        "traffic-policy": _traffic_policy(model, namespace, timeout, rate_limit(who), fallback=bool(others)),
        **access_policies(model, namespace, who),
    }
    return found | (_peer_routes(model, namespace, site, versions, timeout, default=default) if peers else {})


def rest_pattern(model: str) -> str:
    """Return the regular expression of a model's paths in TensorFlow Serving's REST interface, and of no others."""
    version = r"(/versions/[0-9]+|/labels/[^/:]+)?"
    return rf"{status_path(model)}{version}(:(predict|classify|regress)|/metadata)?"


def _peer_routes(
    model: str, namespace: str, site: str, versions: Mapping[int, int], timeout: str, *, default: bool
) -> dict[str, Manifest]:
    """Routes for requests of other sites: to local servers only, or two sites without any would send them around."""
    name = f"{model}.peers"
    grpc, http = _predictions(model, versions, [_answered_by(site)], [], timeout)
    grpc_rules = _rules(grpc, _grpc_matches(model, default=default), Callers())
    http_rules = _rules(http, _http_matches(model), Callers())
    return {
        "peer-grpc-route": _route("GRPCRoute", name, namespace, grpc_rules, PEER_LISTENER),
        "peer-http-route": _route("HTTPRoute", name, namespace, http_rules, PEER_LISTENER),
        "peer-traffic-policy": _traffic_policy(name, namespace, timeout, None, fallback=False),
    }


def _predictions(
    model: str, versions: Mapping[int, int], filters: list[Manifest], others: list[Manifest], timeout: str
) -> tuple[Manifest, Manifest]:
    """Rules for gRPC and for REST, without matches: to the local servers, then to other backends."""
    grpc = {"filters": filters, "backendRefs": _local(model, versions, GRPC_PORT) + others}
    http = {"filters": filters, "backendRefs": _local(model, versions, HTTP_PORT) + others}
    return grpc, {**http, "timeouts": {"request": timeout}}


def _route(kind: str, name: str, namespace: str, rules: list[Manifest], listener: str = PUBLIC_LISTENER) -> Manifest:
    parent = {"group": GATEWAY_GROUP, "kind": "Gateway", "name": GATEWAY_NAME, "sectionName": listener}
    metadata = {"name": name, "namespace": namespace}
    return {
        "apiVersion": GATEWAY_API,
        "kind": kind,
        "metadata": metadata,
        "spec": {"parentRefs": [parent], "rules": rules},
    }


def _rules(rule: Manifest, matches: list[Manifest], callers: Callers) -> list[Manifest]:
    """Give a rule its matches, once for every kind of callers that has a policy of its own."""
    header = key_header(callers)
    present = {"type": "RegularExpression", "name": header, "value": ".+"}
    with_key = [{**match, "headers": [*match.get("headers", []), present]} for match in matches]
    names = rule_names(callers)
    if not names:
        return [{"matches": matches, **rule}]
    return [
        {"name": name, "matches": with_key if header is not None and name != TOKENS else matches, **rule}
        for name in names
    ]


def _grpc_matches(model: str, *, default: bool) -> list[Manifest]:
    service = {"method": {"type": "Exact", "service": _PREDICTION_SERVICE}}
    named = {**service, "headers": [{"type": "Exact", "name": MODEL_HEADER, "value": model}]}
    return [named, service] if default else [named]


def _http_matches(model: str) -> list[Manifest]:
    return [{"path": {"type": "RegularExpression", "value": rest_pattern(model)}}]


def _answered_by(site: str) -> Manifest:
    return {
        "type": "ResponseHeaderModifier",
        "responseHeaderModifier": {"set": [{"name": SITE_HEADER, "value": site}]},
    }


def _local(model: str, versions: Mapping[int, int], port: int) -> list[Manifest]:
    return [
        {"group": "", "kind": "Service", "name": server_name(model, version), "port": port, "weight": weight}
        for version, weight in versions.items()
    ]


def _traffic_policy(name: str, namespace: str, timeout: str, limit: Manifest | None, *, fallback: bool) -> Manifest:
    """Retry what another pod or site may answer, and leave alone those that fail.

    Both are needed: without the passive check retries go to the same dead pod (measured: every request failed). A
    prediction changes nothing, so that one whose pod died half-way may be asked for again.
    """
    targets = [{"group": GATEWAY_GROUP, "kind": kind, "name": name} for kind in ("GRPCRoute", "HTTPRoute")]
    retry: Manifest = {
        "numRetries": 2,
        "retryOn": {
            "triggers": ["connect-failure", "reset", "unavailable", "resource-exhausted", "retriable-status-codes"],
            "httpStatusCodes": [503],
        },
        "perRetry": {"backOff": {"baseInterval": "20ms", "maxInterval": "200ms"}},
    }
    if fallback:
        # Without it all retries would stay here until the passive check has seen enough failures.
        retry |= {"numRetries": 3, "numAttemptsPerPriority": _ATTEMPTS_HERE}
    spec: Manifest = {
        "targetRefs": targets,
        "timeout": {"http": {"requestTimeout": timeout}, "tcp": {"connectTimeout": "2s"}},
        "retry": retry,
        "healthCheck": {
            "passive": {
                "consecutiveGatewayErrors": 3,
                "consecutiveLocalOriginFailures": 2,
                "splitExternalLocalOriginErrors": True,
                "interval": "1s",
                "baseEjectionTime": "5s",
                "maxEjectionPercent": 100,
            },
            "panicThreshold": 0,
        },
    }
    if limit is not None:
        spec["rateLimit"] = limit
    return {
        "apiVersion": ENVOY_API,
        "kind": "BackendTrafficPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }
