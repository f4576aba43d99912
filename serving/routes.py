"""Gateway API objects: the gateway of a cluster and the routes of a model, for Envoy Gateway."""

from collections.abc import Mapping
from typing import Any

from serving.cluster import GRPC_PORT, HTTP_PORT, server_name
from serving.protocol import MODEL_HEADER, SITE_HEADER, health_path, status_path
from serving.settings_sections import Ingress

__all__ = [
    "CLASS_NAME",
    "CONTROLLER",
    "GATEWAY_NAME",
    "GATEWAY_NAMESPACE",
    "container_port",
    "gateway_objects",
    "health_path",
    "model_routes",
]

Manifest = dict[str, Any]
GATEWAY_NAMESPACE = "envoy-gateway-system"
"""Namespace of Envoy Gateway and of the proxies it runs."""
GATEWAY_NAME = "serving"
CLASS_NAME = "tricorn"
CONTROLLER = "gateway.envoyproxy.io/gatewayclass-controller"
MAX_CONNECTION_S = 300
"""Long-lived connections ignore DNS; closing them lets callers follow weights and health."""
RETRY_BUFFER = "8Mi"
"""Largest request the gateway can send a second time: Envoy keeps no more of it than a connection's buffer, 32 KiB by
default, which is less than a photo."""
_GATEWAY_API = "gateway.networking.k8s.io/v1"
_ENVOY_API = "gateway.envoyproxy.io/v1alpha1"
_PREDICTION_SERVICE = "tensorflow.serving.PredictionService"
_UNPRIVILEGED = 1024
_PORT_SHIFT = 10_000


def container_port(port: int) -> int:
    """Return the port Envoy Gateway's proxies listen on for a listener's port; they cannot bind privileged ones."""
    return port if port >= _UNPRIVILEGED else port + _PORT_SHIFT


def gateway_objects(namespace: str, ingress: Ingress) -> dict[str, Manifest]:
    """Return the objects of a cluster's gateway by role.

    The Service of type LoadBalancer is ours and not the controller's, so that destroying the stack also gives the
    load balancer back; the caller adds the cloud's annotations to it.

    Args:
        namespace: Namespace of the Gateway and the routes.
        ingress: Public port, and TLS where configured.
    """
    port = ingress.listen_port
    listener: Manifest = {"name": "public", "port": port, "protocol": "HTTP"}
    if ingress.tls_secret:
        certificate = {"group": "", "kind": "Secret", "name": ingress.tls_secret}
        listener |= {"protocol": "HTTPS", "tls": {"mode": "Terminate", "certificateRefs": [certificate]}}
    return {
        "proxy": {
            "apiVersion": _ENVOY_API,
            "kind": "EnvoyProxy",
            "metadata": {"name": CLASS_NAME, "namespace": GATEWAY_NAMESPACE},
            "spec": {"provider": {"type": "Kubernetes", "kubernetes": {"envoyService": {"type": "ClusterIP"}}}},
        },
        "class": {
            "apiVersion": _GATEWAY_API,
            "kind": "GatewayClass",
            "metadata": {"name": CLASS_NAME},
            "spec": {
                "controllerName": CONTROLLER,
                "parametersRef": {
                    "group": "gateway.envoyproxy.io",
                    "kind": "EnvoyProxy",
                    "name": CLASS_NAME,
                    "namespace": GATEWAY_NAMESPACE,
                },
            },
        },
        "gateway": {
            "apiVersion": _GATEWAY_API,
            "kind": "Gateway",
            "metadata": {"name": GATEWAY_NAME, "namespace": namespace},
            "spec": {"gatewayClassName": CLASS_NAME, "listeners": [listener]},
        },
        "client-policy": {
            "apiVersion": _ENVOY_API,
            "kind": "ClientTrafficPolicy",
            "metadata": {"name": GATEWAY_NAME, "namespace": namespace},
            "spec": {
                "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": GATEWAY_NAME}],
                "connection": {
                    "bufferLimit": RETRY_BUFFER,
                    "connectionLimit": {"value": 10_000, "maxConnectionDuration": f"{MAX_CONNECTION_S}s"},
                },
                # Clouds drop idle connections after 4 minutes at the earliest.
                "tcpKeepalive": {"probes": 3, "idleTime": "60s", "interval": "20s"},
            },
        },
        "load-balancer": {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "serving-public", "namespace": GATEWAY_NAMESPACE, "annotations": {}},
            "spec": {
                "type": "LoadBalancer",
                "externalTrafficPolicy": "Local",
                "selector": {
                    "gateway.envoyproxy.io/owning-gateway-name": GATEWAY_NAME,
                    "gateway.envoyproxy.io/owning-gateway-namespace": namespace,
                },
                "ports": [{"name": "public", "port": port, "targetPort": container_port(port), "protocol": "TCP"}],
            },
        },
    }


def model_routes(
    model: str, namespace: str, site: str, versions: Mapping[int, int], *, default: bool, request_timeout_ms: int
) -> dict[str, Manifest]:
    """Return the routes of a model by role.

    Args:
        model: Name of the model.
        namespace: Namespace of the Gateway and the model servers.
        site: Name of the site, told to callers in the header `x-served-by`.
        versions: Share of the requests by version, in percent.
        default: Whether gRPC callers that name no model get this one.
        request_timeout_ms: Longest request in milliseconds.
    """
    timeouts = {"request": f"{request_timeout_ms}ms"}
    parent = [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": GATEWAY_NAME}]
    answered = {
        "type": "ResponseHeaderModifier",
        "responseHeaderModifier": {"set": [{"name": SITE_HEADER, "value": site}]},
    }
    service = {"method": {"type": "Exact", "service": _PREDICTION_SERVICE}}
    named = {**service, "headers": [{"type": "Exact", "name": MODEL_HEADER, "value": model}]}
    matches = [named, service] if default else [named]
    rest = {"path": {"type": "RegularExpression", "value": rest_pattern(model)}}
    health = {"path": {"type": "Exact", "value": health_path(model)}}
    rewrite = {
        "type": "URLRewrite",
        "urlRewrite": {"path": {"type": "ReplaceFullPath", "replaceFullPath": status_path(model)}},
    }

    def route(kind: str, name: str, rule: Manifest) -> Manifest:
        metadata = {"name": name, "namespace": namespace}
        spec = {"parentRefs": parent, "rules": [rule]}
        return {"apiVersion": _GATEWAY_API, "kind": kind, "metadata": metadata, "spec": spec}

    grpc_rule = {"matches": matches, "filters": [answered], "backendRefs": _backends(model, versions, GRPC_PORT)}
    http_rule = {
        "matches": [rest],
        "filters": [answered],
        "backendRefs": _backends(model, versions, HTTP_PORT),
        "timeouts": timeouts,
    }
    health_rule = {
        "matches": [health],
        "filters": [rewrite, answered],
        # A canary that is not up must not take the site out of the answers.
        "backendRefs": _backends(model, {max(versions, key=lambda version: versions[version]): 1}, HTTP_PORT),
        "timeouts": timeouts,
    }
    return {
        "grpc-route": route("GRPCRoute", model, grpc_rule),
        "http-route": route("HTTPRoute", model, http_rule),
        "health-route": route("HTTPRoute", f"{model}-health", health_rule),
        "traffic-policy": _traffic_policy(model, namespace, timeouts["request"]),
    }


def rest_pattern(model: str) -> str:
    """Return the regular expression of a model's paths in TensorFlow Serving's REST interface, and of no others."""
    version = r"(/versions/[0-9]+|/labels/[^/:]+)?"
    return rf"{status_path(model)}{version}(:(predict|classify|regress)|/metadata)?"


def _backends(model: str, versions: Mapping[int, int], port: int) -> list[Manifest]:
    return [
        {"group": "", "kind": "Service", "name": server_name(model, version), "port": port, "weight": weight}
        for version, weight in versions.items()
    ]


def _traffic_policy(model: str, namespace: str, timeout: str) -> Manifest:
    """Retry what another pod may answer, and leave alone pods that fail.

    Both are needed: without the passive check retries go to the same dead pod (measured: every request failed). A
    prediction changes nothing, so that one whose pod died half-way may be asked for again.
    """
    group = "gateway.networking.k8s.io"
    targets = [{"group": group, "kind": kind, "name": model} for kind in ("GRPCRoute", "HTTPRoute")]
    return {
        "apiVersion": _ENVOY_API,
        "kind": "BackendTrafficPolicy",
        "metadata": {"name": model, "namespace": namespace},
        "spec": {
            "targetRefs": targets,
            "timeout": {"http": {"requestTimeout": timeout}},
            "retry": {
                "numRetries": 2,
                "retryOn": {
                    "triggers": [
                        "connect-failure",
                        "reset",
                        "unavailable",
                        "resource-exhausted",
                        "retriable-status-codes",
                    ],
                    "httpStatusCodes": [503],
                },
                "perRetry": {"backOff": {"baseInterval": "20ms", "maxInterval": "200ms"}},
            },
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
        },
    }
