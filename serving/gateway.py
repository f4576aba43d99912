"""The gateway of a cluster: Envoy Gateway's class, proxies, listeners and the load balancer in front of them."""

from dataclasses import dataclass
from typing import Any

from serving.cluster import ENVOY_API, ENVOY_GROUP, GATEWAY_API, GATEWAY_GROUP, POOL_LABEL, topology_spread
from serving.peers import PEER_LISTENER, PEER_PORT, client_validation, peer_certificate_reference
from serving.protocol import SITE_HEADER
from serving.settings_sections import Ingress
from serving.settings_sites import SYSTEM_POOL

Manifest = dict[str, Any]
GATEWAY_NAMESPACE = "envoy-gateway-system"
"""Namespace of Envoy Gateway and of the proxies it runs."""
GATEWAY_NAME = "serving"
PUBLIC_LISTENER = "public"
CLASS_NAME = "tricorn"
CONTROLLER = f"{ENVOY_GROUP}/gatewayclass-controller"
GATEWAY_PRIORITY = "gateway"
"""PriorityClass of the proxies: above the model servers, which are of no use without them."""
PRIORITY = 200_000
MAX_CONNECTION_S = 300
"""Long-lived connections ignore DNS; closing them lets callers follow weights and health."""
RETRY_BUFFER = "8Mi"
"""Largest request the gateway can send a second time: Envoy keeps no more of it than a connection's buffer, 32 KiB by
default, which is less than a photo."""
_OWNER = f"{ENVOY_GROUP}/owning-gateway-"
_UNPRIVILEGED = 1024
_PORT_SHIFT = 10_000


@dataclass(frozen=True, kw_only=True)
class Proxies:
    """The proxies that run the gateway."""

    replicas: int = 1
    image: object | None = None
    """Image of Envoy; None for the one that Envoy Gateway was built with."""


@dataclass(frozen=True, kw_only=True)
class Peering:
    """The other sites of a site."""

    domain: str
    """Public name of all sites."""
    sites: tuple[str, ...]
    """Names of the other sites."""


def container_port(port: int) -> int:
    """Return the port Envoy Gateway's proxies listen on for a listener's port; they cannot bind privileged ones."""
    return port if port >= _UNPRIVILEGED else port + _PORT_SHIFT


def gateway_objects(
    namespace: str,
    ingress: Ingress,
    *,
    site: str | None = None,
    proxies: Proxies | None = None,
    peering: Peering | None = None,
) -> dict[str, Manifest]:
    """Return the objects of a cluster's gateway by role; `peer-policy` only with other sites.

    The Service of type LoadBalancer is ours and not the controller's, so that destroying the stack also gives the
    load balancer back; the caller adds the cloud's annotations and class to it.

    Args:
        namespace: Namespace of the Gateway and the routes.
        ingress: Public port, and TLS where configured.
        site: Name of the site, told to callers in the header `x-served-by` unless a peer has told its own; None to
            leave that to the routes.
        proxies: Number and image of the proxies. One of the default image when None.
        peering: Other sites that may send requests here; None for none.
    """
    listeners = [_listener(PUBLIC_LISTENER, ingress.listen_port, ingress.tls_secret)]
    policies = {
        "client-policy": _client_policy(GATEWAY_NAME, namespace, PUBLIC_LISTENER, site, tls=bool(ingress.tls_secret))
    }
    if peering is not None:
        listeners.append(_listener(PEER_LISTENER, PEER_PORT, peer_certificate_reference()["name"]))
        policy = _client_policy(f"{GATEWAY_NAME}-peers", namespace, PEER_LISTENER, site, tls=True)
        policy["spec"]["tls"] = {
            "minVersion": "1.3",
            "clientValidation": client_validation(peering.domain, peering.sites),
        }
        policies["peer-policy"] = policy
    return {
        "priority": {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": GATEWAY_PRIORITY},
            "value": PRIORITY,
            "description": "The way into the cluster",
        },
        "proxy": _proxy(namespace, proxies or Proxies()),
        "class": {
            "apiVersion": GATEWAY_API,
            "kind": "GatewayClass",
            "metadata": {"name": CLASS_NAME},
            "spec": {
                "controllerName": CONTROLLER,
                "parametersRef": {
                    "group": ENVOY_GROUP,
                    "kind": "EnvoyProxy",
                    "name": CLASS_NAME,
                    "namespace": GATEWAY_NAMESPACE,
                },
            },
        },
        "gateway": {
            "apiVersion": GATEWAY_API,
            "kind": "Gateway",
            "metadata": {"name": GATEWAY_NAME, "namespace": namespace},
            "spec": {"gatewayClassName": CLASS_NAME, "listeners": listeners},
        },
        **policies,
        "load-balancer": {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "serving-public", "namespace": GATEWAY_NAMESPACE, "annotations": {}},
            "spec": {
                "type": "LoadBalancer",
                "externalTrafficPolicy": "Local",
                "selector": _proxy_labels(namespace),
                "ports": [
                    {
                        "name": each["name"],
                        "port": each["port"],
                        "targetPort": container_port(each["port"]),
                        "protocol": "TCP",
                    }
                    for each in listeners
                ],
            },
        },
    }


def _listener(name: str, port: int, secret: str | None) -> Manifest:
    if secret is None:
        return {"name": name, "port": port, "protocol": "HTTP"}
    certificate = {"group": "", "kind": "Secret", "name": secret}
    tls = {"mode": "Terminate", "certificateRefs": [certificate]}
    return {"name": name, "port": port, "protocol": "HTTPS", "tls": tls}


def _client_policy(name: str, namespace: str, listener: str, site: str | None, *, tls: bool) -> Manifest:
    gateway = {"group": GATEWAY_GROUP, "kind": "Gateway", "name": GATEWAY_NAME, "sectionName": listener}
    spec: Manifest = {
        "targetRefs": [gateway],
        "connection": {
            "bufferLimit": RETRY_BUFFER,
            "connectionLimit": {"value": 10_000, "maxConnectionDuration": f"{MAX_CONNECTION_S}s"},
        },
        # Clouds drop idle connections after 4 minutes at the earliest.
        "tcpKeepalive": {"probes": 3, "idleTime": "60s", "interval": "20s"},
        # A caller that sends slowly, or nothing, holds a connection no longer than this.
        "timeout": {"http": {"requestReceivedTimeout": "60s", "idleTimeout": f"{MAX_CONNECTION_S}s"}},
    }
    if tls:
        # The health checks of Route 53 speak no TLS above 1.2.
        spec["tls"] = {"minVersion": "1.2"}
    if site is not None:
        spec["headers"] = {"lateResponseHeaders": {"addIfAbsent": [{"name": SITE_HEADER, "value": site}]}}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": ENVOY_API, "kind": "ClientTrafficPolicy", "metadata": metadata, "spec": spec}


def _proxy_labels(namespace: str) -> dict[str, str]:
    return {f"{_OWNER}name": GATEWAY_NAME, f"{_OWNER}namespace": namespace}


def _proxy(namespace: str, proxies: Proxies) -> Manifest:
    container: Manifest = {
        "resources": {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"memory": "1Gi"}},
    }
    if proxies.image is not None:
        container["image"] = proxies.image
    pod = {
        "nodeSelector": {POOL_LABEL: SYSTEM_POOL},
        "priorityClassName": GATEWAY_PRIORITY,
        "topologySpreadConstraints": topology_spread(_proxy_labels(namespace)),
    }
    kubernetes = {
        "envoyService": {"type": "ClusterIP"},
        "envoyDeployment": {"replicas": proxies.replicas, "pod": pod, "container": container},
        # Of a single proxy one must be allowed to go, or no node could ever be drained.
        "envoyPDB": {"maxUnavailable": 1},
    }
    return {
        "apiVersion": ENVOY_API,
        "kind": "EnvoyProxy",
        "metadata": {"name": CLASS_NAME, "namespace": GATEWAY_NAMESPACE},
        "spec": {
            "provider": {"type": "Kubernetes", "kubernetes": kubernetes},
            # A load balancer needs some seconds to see that a proxy is going.
            "shutdown": {"drainTimeout": "60s", "minDrainDuration": "15s"},
        },
    }
