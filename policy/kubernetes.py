"""Checks of what is declared inside clusters."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from policy.check import UNKNOWN, Check, Finding, Resource, Rule, StackCheck, at, equals, shown
from policy.pod_security import breaches, containers

INGRESS_COMPONENT = "tricorn:index:GatewayIngress"
"""The component whose load balancer's Service belongs to the stack and goes with it."""
BUNDLE = "tricorn.dev/bundle"
_MODEL_SERVER = "tensorflow_model_server"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ENFORCE = "pod-security.kubernetes.io/enforce"
_TEMPLATES = {
    "Deployment": "spec.template", "DaemonSet": "spec.template", "StatefulSet": "spec.template",
    "ReplicaSet": "spec.template", "ReplicationController": "spec.template", "Job": "spec.template",
    "CronJob": "spec.jobTemplate.spec.template", "PodTemplate": "template", "Pod": "",
}  # fmt: skip
_GROUPS = {"apps", "batch", "core", "extensions"}


def pod_template(resource: Resource) -> tuple[str, Any] | None:
    """Path and value of the pod template that a resource holds; None where it holds none."""
    package, _, rest = resource.type.partition(":")
    group, _, kind = rest.partition(":")
    if package != "kubernetes" or kind not in _TEMPLATES or group.partition("/")[0] not in _GROUPS:
        return None
    path = _TEMPLATES[kind]
    return path, at(resource.props, path) if path else resource.props


def _images(resource: Resource, production: bool) -> Iterator[Finding]:
    found = pod_template(resource)
    if found is None or not production:
        return
    prefix, template = found
    for path, container in containers(at(template, "spec")):
        image = at(container, "image")
        if image is not UNKNOWN and not re.search(rf"@{_DIGEST.pattern}$", str(image)):
            yield Finding(
                resource,
                _join(prefix, f"{path}.image"),
                image,
                "must be named by digest",
                "add @sha256:<digest> behind the tag; `python -m serving pin <stack>` writes it",
            )


def _bundle(resource: Resource, production: bool) -> Iterator[Finding]:
    found = pod_template(resource)
    if found is None or not _serves_models(found[1]):
        return
    path = _join(found[0], f"metadata.annotations.{BUNDLE}")
    values = [
        (at(place, "metadata.annotations") or {}).get(BUNDLE)
        for place in (found[1], resource.props)
        if at(place, "metadata.annotations") is not UNKNOWN
    ]
    if values and not any(value is UNKNOWN or _DIGEST.fullmatch(str(value)) for value in values):
        yield Finding(
            resource,
            path,
            values[0],
            "must be the digest of the model's bundle",
            "set it to sha256:<digest> from the bundle's manifest",
        )


def _serves_models(template: Any) -> bool:
    """Whether a pod template runs TensorFlow Serving, by the program it starts."""
    return any(_MODEL_SERVER in repr(at(container, "command")) for _, container in containers(at(template, "spec")))


def _load_balancer(service: Resource, production: bool) -> Iterator[Finding]:
    kind = at(service.props, "spec.type")
    if kind == "LoadBalancer" and INGRESS_COMPONENT not in service.ancestors:
        yield Finding(
            service,
            "spec.type",
            kind,
            "must be the Service of GatewayIngress to be a LoadBalancer",
            "use ClusterIP and add a route to the gateway",
        )


def _ingress(ingress: Resource, production: bool) -> Iterator[Finding]:
    yield Finding(
        ingress,
        "kind",
        "Ingress",
        "must not exist: a controller would make a load balancer that nobody deletes",
        "use an HTTPRoute or GRPCRoute of the gateway",
    )


def _pods(resources: Sequence[Resource], production: bool) -> Iterator[Finding]:
    levels = {
        (each.provider, at(each.props, "metadata.name")): (each, _level(each))
        for each in resources
        if each.type == "kubernetes:core/v1:Namespace"
    }
    for resource in resources:
        found = pod_template(resource)
        if found is None:
            continue
        prefix, template = found
        namespace = at(resource.props, "metadata.namespace") or "default"
        declared, level = levels.get((resource.provider, namespace), (None, "restricted"))
        if level is UNKNOWN or namespace is UNKNOWN:
            continue
        if _serves_models(template) and level != "restricted":
            yield Finding(
                declared or resource,
                f"metadata.labels.{_ENFORCE}",
                level,
                f"must be restricted: {resource.name} serves models there",
                "set the label",
            )
        for breach in breaches(template, str(level)):
            yield Finding(
                resource,
                _join(prefix, breach.path),
                breach.got,
                f"{breach.rule} (Pod Security {level}, namespace {shown(namespace)})",
                "change the pod, or give the system's own pods a namespace with the level they need",
            )


def _level(namespace: Resource) -> Any:
    """Level that a namespace declares; one that declares none lets everything in, which is not asked for here."""
    labels = at(namespace.props, "metadata.labels")
    return UNKNOWN if labels is UNKNOWN else (labels or {}).get(_ENFORCE, "restricted")


def _join(prefix: str, path: str) -> str:
    return f"{prefix}.{path}" if prefix else path


CHECKS = (
    Check(
        "kubernetes-image-digest",
        "In production every container's image is named by digest, so that what was tested is what runs.",
        "Tricorn, CKV_K8S_43",
        (),
        judge=_images,
        judged_for_production=("image",),
    ),
    Check(
        "kubernetes-bundle-digest",
        "Every model server says which bundle it serves.",
        "Tricorn",
        (),
        judge=_bundle,
    ),
    Check(
        "kubernetes-load-balancer",
        "No load balancer but the one that the stack owns: a controller's outlives the cluster and blocks its network.",
        "Tricorn",
        ("kubernetes:core/v1:Service",),
        judge=_load_balancer,
    ),
    Check(
        "kubernetes-ingress",
        "No Ingress: its controller makes load balancers that outlive the cluster.",
        "Tricorn",
        ("kubernetes:networking.k8s.io/v1:Ingress", "kubernetes:extensions/v1beta1:Ingress"),
        judge=_ingress,
    ),
    Check(
        "kubernetes-envoy-service",
        "Envoy Gateway makes no load balancer of its own.",
        "Tricorn",
        ("kubernetes:gateway.envoyproxy.io/v1alpha1:EnvoyProxy",),
        (
            Rule(
                "spec.provider.kubernetes.envoyService.type",
                "must be ClusterIP",
                equals("ClusterIP"),
                "set it; GatewayIngress declares the load balancer's Service",
            ),
        ),
    ),
)
STACK_CHECKS = (
    StackCheck(
        "kubernetes-pod-security",
        "Pods keep the Pod Security level of their namespace, which is restricted unless the namespace says otherwise.",
        "Pod Security Standards, CKV_K8S_20, CIS Kubernetes 5.2",
        _pods,
    ),
)
