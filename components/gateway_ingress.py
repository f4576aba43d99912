"""How requests enter a cluster."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_kubernetes as k8s

from components._base import coerce, reject, token
from components._kubernetes import manifest_resource
from components._refusals import section_problems
from serving.routes import GATEWAY_NAMESPACE, gateway_objects
from serving.settings_sections import Ingress

CHART = "oci://docker.io/envoyproxy/gateway-helm"
CHART_VERSION = "v1.9.0"


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

    def __post_init__(self) -> None:
        reject("GatewayIngress", section_problems(Ingress, {"port": self.port, "tls_secret": self.tls_secret}))


class GatewayIngress(pulumi.ComponentResource):
    """Envoy Gateway, a Gateway with one public listener, and the load balancer in front of it.

    The load balancer's Service belongs to this component and not to the controller, so that destroying the stack gives
    it back. Makes no route; see `ModelRoutes`.
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
            # Routes to other clusters need the Backend kind, which is off by default.
            values={"config": {"envoyGateway": {"extensionApis": {"enableBackend": True}}}},
            opts=pulumi.ResourceOptions(parent=self),
        )
        ingress = Ingress.model_validate({"port": a.port, "tls_secret": a.tls_secret}, by_name=True)
        objects = gateway_objects(a.namespace, ingress)
        objects["load-balancer"]["metadata"]["annotations"] = a.load_balancer_annotations or {}
        made = {
            role: manifest_resource(
                f"{name}-{role}", manifest, pulumi.ResourceOptions(parent=self, depends_on=[self.controller])
            )
            for role, manifest in objects.items()
        }
        service = objects["load-balancer"]["metadata"]["name"]
        self.load_balancer = made["load-balancer"].urn.apply(lambda _: service)
        self.register_outputs({"load_balancer": self.load_balancer})
