"""The namespace of a cluster's model servers."""

from dataclasses import dataclass
from typing import Optional

import pulumi

from components._base import coerce, token
from components._kubernetes import manifest_resource
from serving.namespace import namespace_objects


@dataclass(frozen=True, kw_only=True)
class ServingNamespaceArgs:
    """Arguments of `ServingNamespace`."""

    namespace: str
    """Name of the namespace."""
    service_account: str
    """Name of the model servers' service account."""
    service_account_annotations: Optional[dict[str, pulumi.Input[str]]] = None
    """Its annotations, such as Azure's client id. Default none."""
    priority_class: Optional[bool] = None
    """Whether to make the PriorityClass `model-server`, of which a cluster has one. Default True; False for a further
    namespace in the same cluster."""


class ServingNamespace(pulumi.ComponentResource):
    """A namespace under Pod Security `restricted`, closed to all traffic, with a service account and a pull script.

    Also makes the PriorityClass of model servers.
    """

    namespace: pulumi.Output[str]
    """Name of the namespace, known once it exists."""

    def __init__(self, name: str, args: ServingNamespaceArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(ServingNamespace), name, {}, opts)
        a = coerce(ServingNamespaceArgs, args)
        objects = namespace_objects(a.namespace, a.service_account, a.service_account_annotations or {})
        if a.priority_class is False:
            del objects["priority"]
        namespace = manifest_resource(
            f"{name}-namespace", objects.pop("namespace"), pulumi.ResourceOptions(parent=self)
        )
        for role, manifest in objects.items():
            manifest_resource(f"{name}-{role}", manifest, pulumi.ResourceOptions(parent=self, depends_on=[namespace]))
        self.namespace = namespace.urn.apply(lambda _: a.namespace)
        self.register_outputs({"namespace": self.namespace})
