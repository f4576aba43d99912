"""How requests enter a cluster."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_kubernetes as k8s

from components._base import coerce, reject, token
from components._kubernetes import manifest_resource
from components._refusals import section_problems
from serving.gateway import GATEWAY_NAMESPACE, Peering, Proxies, gateway_objects
from serving.peers import trusted_authorities
from serving.settings_sections import Ingress

CHART = "oci://docker.io/envoyproxy/gateway-helm"
CHART_VERSION = "v1.9.0"
CONTROLLER_IMAGE = f"docker.io/envoyproxy/gateway:{CHART_VERSION}"
"""The chart's image, as it is called in public."""
ENVOY_IMAGE = "docker.io/envoyproxy/envoy:distroless-v1.39.0"
"""Envoy as Envoy Gateway of this version was built with, as it is called in public."""


@dataclass(frozen=True, kw_only=True)
class GatewayIngressArgs:
    """Arguments of `GatewayIngress`."""

    namespace: str
    """Namespace of the Gateway, made by `ServingNamespace`."""
    port: int
    """Public port, 1 to 65535."""
    tls_secret: Optional[str] = None
    """Secret of type kubernetes.io/tls in the namespace. Default none: plain HTTP."""
    load_balancer_annotations: Optional[dict[str, pulumi.Input[str]]] = None
    """Annotations that put the load balancer on static addresses. Default none: the cloud picks an address."""
    load_balancer_class: Optional[str] = None
    """Class of the load balancer's Service. Default none: the cloud's own."""
    site: Optional[str] = None
    """Name of the site, told to callers in the header `x-served-by`. Default none; needed with `peer_authorities`."""
    domain: Optional[str] = None
    """Public name of all sites. Default none; needed with `peer_authorities`."""
    peer_authorities: Optional[dict[str, pulumi.Input[str]]] = None
    """Other sites that may send requests here, with the PEM certificate of each one's authority. Default none."""
    proxies: Optional[int] = None
    """Number of Envoy proxies; two or more are spread over zones and nodes. Default 1."""
    envoy_image: Optional[pulumi.Input[str]] = None
    """Image of Envoy. Default the one that Envoy Gateway was built with."""
    controller_image: Optional[pulumi.Input[str]] = None
    """Image of Envoy Gateway. Default the chart's."""

    def __post_init__(self) -> None:
        bad = section_problems(Ingress, {"port": self.port, "tls_secret": self.tls_secret})
        if self.proxies is not None and self.proxies < 1:
            bad.append(("proxies", f"must be at least 1, got {self.proxies}"))
        if self.peer_authorities:
            needed = {"site": self.site, "domain": self.domain}
            bad += [(key, "is needed with peerAuthorities") for key, value in needed.items() if not value]
        reject("GatewayIngress", bad)


class GatewayIngress(pulumi.ComponentResource):
    """Envoy Gateway, a Gateway with a public listener and one for other sites, and the load balancer in front of it.

    The load balancer's Service belongs to this component and not to the controller, so that destroying the stack gives
    it back. The listener for other sites is on port 8443 and needs `PeerIdentity` in the cluster. Once per cluster.
    Makes no route; see `ModelRoutes`.
    """

    load_balancer: pulumi.Output[str]
    """Name of the load balancer's Service, known once it has an address."""

    def __init__(self, name: str, args: GatewayIngressArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(GatewayIngress), name, {}, opts)
        a = coerce(GatewayIngressArgs, args)
        # The release; what depends on it may use the gateway's kinds. Not an output: a resource has no schema type.
        self.controller: pulumi.Resource = k8s.helm.v3.Release(
            f"{name}-controller",
            chart=CHART,
            version=CHART_VERSION,
            namespace=GATEWAY_NAMESPACE,
            create_namespace=True,
            values=_values(a),
            opts=pulumi.ResourceOptions(parent=self),
        )
        objects = gateway_objects(
            a.namespace,
            Ingress.model_validate({"port": a.port, "tls_secret": a.tls_secret}, by_name=True),
            site=a.site,
            proxies=Proxies(replicas=a.proxies or 1, image=a.envoy_image),
            peering=Peering(domain=a.domain or "", sites=tuple(a.peer_authorities)) if a.peer_authorities else None,
        )
        service = objects["load-balancer"]
        service["metadata"]["annotations"] = a.load_balancer_annotations or {}
        if a.load_balancer_class is not None:
            service["spec"]["loadBalancerClass"] = a.load_balancer_class

        def make(role: str, *needed: pulumi.Resource) -> pulumi.Resource:
            options = pulumi.ResourceOptions(parent=self, depends_on=[self.controller, *needed])
            return manifest_resource(f"{name}-{role}", objects.pop(role), options)

        gates: list[pulumi.Resource] = []
        if a.peer_authorities:
            pems = pulumi.Output.all(*a.peer_authorities.values())
            bundle = pems.apply(lambda found: "".join(f"{pem.strip()}\n" for pem in found))
            objects["peer-cas"] = trusted_authorities(a.namespace, bundle)
            # Before the listener is there: without the policy it would let everybody in.
            gates.append(make("peer-policy", make("peer-cas")))
        # Pods that name a PriorityClass before it is there are refused.
        gates.append(make("proxy", make("priority")))
        # Takes minutes, so it waits for nothing of another site.
        balancer = make("load-balancer")
        make("gateway", *gates)
        for role in list(objects):
            make(role)
        self.load_balancer = balancer.urn.apply(lambda _: str(service["metadata"]["name"]))
        self.register_outputs({"load_balancer": self.load_balancer})


def _values(a: GatewayIngressArgs) -> dict[str, object]:
    """Values of the chart."""
    values: dict[str, object] = {
        # Backends, which stand for other sites, are off by default.
        "config": {"envoyGateway": {"extensionApis": {"enableBackend": True}}}
    }
    if a.controller_image is not None:
        values["global"] = {"images": {"envoyGateway": {"image": a.controller_image}}}
    if (a.proxies or 1) > 1:
        values |= {"deployment": {"replicas": 2}, "podDisruptionBudget": {"minAvailable": 1}}
    return values
