"""Every object of the stack files' clusters, as the program sends it, for checks against the vendors' own programs."""

from __future__ import annotations

import base64
import datetime
import json
import os
import runpy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pulumi
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.components import recording
from tests.components.fake_bundle import write_bundle

ROOT = Path(__file__).resolve().parents[2]
STACKS = ("local", "dev", "prod")
_ZONES = "aws:index/getAvailabilityZones:getAvailabilityZones"
_REQUEST = "kubernetes:cert-manager.io/v1:CertificateRequest"
_RELEASE = "kubernetes:helm.sh/v3:Release"
_ADDRESSES = {
    "aws:ec2/eip:Eip": lambda name, inputs: {
        "publicIp": "203.0.113.11",
        "allocationId": f"{name}-allocation",
        "arn": f"arn:aws:ec2:us-east-1:123456789012:elastic-ip/{name}",
    }
}
_SERVER = "kube-apiserver 1.36: server-side dry run, strict field validation"
_GATEWAY = (
    "CRDs of Gateway API and Envoy Gateway 1.9 in kube-apiserver 1.36, strict; egctl translate: accepted, resolved"
)
_CERTIFICATES = "CRDs of cert-manager 1.20 in kube-apiserver 1.36, strict"
COVERAGE: dict[str, str] = {
    "kubernetes:core/v1:ConfigMap": _SERVER,
    "kubernetes:core/v1:Namespace": _SERVER,
    "kubernetes:core/v1:Service": _SERVER,
    "kubernetes:core/v1:ServiceAccount": _SERVER,
    "kubernetes:apps/v1:Deployment": f"{_SERVER}; its pod under Pod Security restricted, enforced",
    "kubernetes:autoscaling/v2:HorizontalPodAutoscaler": _SERVER,
    "kubernetes:networking.k8s.io/v1:NetworkPolicy": _SERVER,
    "kubernetes:policy/v1:PodDisruptionBudget": _SERVER,
    "kubernetes:scheduling.k8s.io/v1:PriorityClass": _SERVER,
    "kubernetes:helm.sh/v3:Release": "nothing: the charts are in registries; names and versions are pinned",
    "kubernetes:gateway.networking.k8s.io/v1:GatewayClass": _GATEWAY,
    "kubernetes:gateway.networking.k8s.io/v1:Gateway": _GATEWAY,
    "kubernetes:gateway.networking.k8s.io/v1:GRPCRoute": _GATEWAY,
    "kubernetes:gateway.networking.k8s.io/v1:HTTPRoute": _GATEWAY,
    "kubernetes:gateway.envoyproxy.io/v1alpha1:EnvoyProxy": _GATEWAY,
    "kubernetes:gateway.envoyproxy.io/v1alpha1:Backend": _GATEWAY,
    "kubernetes:gateway.envoyproxy.io/v1alpha1:ClientTrafficPolicy": _GATEWAY,
    "kubernetes:gateway.envoyproxy.io/v1alpha1:BackendTrafficPolicy": _GATEWAY,
    "kubernetes:gateway.envoyproxy.io/v1alpha1:SecurityPolicy": _GATEWAY,
    "kubernetes:cert-manager.io/v1:Issuer": _CERTIFICATES,
    "kubernetes:cert-manager.io/v1:ClusterIssuer": _CERTIFICATES,
    "kubernetes:cert-manager.io/v1:Certificate": _CERTIFICATES,
}
"""What each type of object is checked against, by type token."""

Object = dict[str, Any]


def stack_settings(stack: str) -> dict[str, Any]:
    """Return the settings of a stack file."""
    settings: dict[str, Any] = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]["tricorn:settings"]
    return settings


def variants() -> dict[str, dict[str, Any]]:
    """Return settings by name: the stack files, and each with everything of the gateway turned on."""
    found: dict[str, dict[str, Any]] = {}
    for stack in STACKS:
        settings = stack_settings(stack)
        found[stack] = settings
        model = next(iter(settings["models"].values()))
        canary = {**model, "canary": {"version": 2, "weight": 10}}
        callers = {
            "jwt": {
                "issuer": "https://login.example.com",
                "audiences": ["models"],
                "jwksUri": "https://login.example.com/jwks.json",
            },
            "apiKeys": {"secret": "caller-keys"},
            "requestsPerSecond": 100,
        }
        found[f"{stack} with all"] = {
            **settings,
            "pools": {name: {**pool, "max": 6} for name, pool in settings["pools"].items()},
            "models": {"scenes": canary, "texts": {**model, "bundle": "build/bundles/texts"}},
            "access": {**settings.get("access", {}), "callers": callers},
            "ingress": {**settings.get("ingress", {}), **({} if stack == "prod" else {"tlsSecret": "front"})},
        }
    return found


def record(settings: Mapping[str, Any], folder: Path) -> recording.Recording:
    """Run the program with settings, and bundles made in a folder, as an update."""
    for model, wanted in settings["models"].items():
        for version in (1, 2):
            write_bundle(folder / wanted["bundle"], name=model, version=version, content=f"{model} {version}".encode())
    with _config(settings, folder):
        return recording.run(
            lambda: runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__") and None,
            answers={_ZONES: {"names": [f"us-east-1{zone}" for zone in "abcdef"]}},
            outputs={**_ADDRESSES, _REQUEST: lambda name, inputs: {"status": {"ca": encoded(authority()[0])}}},
        )


@contextmanager
def _config(settings: Mapping[str, Any], folder: Path) -> Iterator[None]:
    before, export = Path.cwd(), pulumi.export
    os.chdir(folder)
    pulumi.runtime.set_all_config({"tricorn:settings": json.dumps(settings)})
    pulumi.export = lambda name, value: None
    try:
        yield
    finally:
        pulumi.export = export
        pulumi.runtime.set_all_config({})
        os.chdir(before)


def kubernetes_types(found: recording.Recording) -> set[str]:
    """Return the type tokens of a recording's Kubernetes objects."""
    return {row.type for row in found.children() if row.type.startswith("kubernetes:")}


def objects_by_site(found: recording.Recording) -> dict[str, list[Object]]:
    """Return the Kubernetes objects of every site; Helm releases, which are none, are left out."""
    sites: dict[str, list[Object]] = {}
    for row in found.children():
        if row.type.startswith("kubernetes:") and row.type != _RELEASE:
            sites.setdefault(row.provider.removesuffix("-k8s"), []).append(row.inputs)
    return sites


def for_translator(objects: list[Object]) -> list[Object]:
    """Return what Envoy Gateway would see: the objects, and what others put into the cluster."""
    certificate, key = authority()
    tls = {"tls.crt": encoded(certificate), "tls.key": encoded(key)}
    seen = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "envoy-gateway-system"}}]
    for name, kind, data in (
        *((each, "kubernetes.io/tls", tls) for each in ("peer", "serving-tls", "front")),
        ("caller-keys", "Opaque", {"someone": encoded("a key")}),
    ):
        metadata = {"name": name, "namespace": "serving"}
        seen.append({"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": metadata, "data": data})
    number = 0
    for each in objects:
        if each["apiVersion"].partition("/")[0] in _READ_BY_THE_GATEWAY:
            number += 1
            if each["kind"] == "Service":
                each = {**each, "spec": {**each["spec"], "clusterIP": f"10.0.0.{number}"}}
            seen.append(each)
    return seen


_READ_BY_THE_GATEWAY = ("v1", "gateway.networking.k8s.io", "gateway.envoyproxy.io")


def encoded(text: str) -> str:
    """Return text in base64."""
    return base64.b64encode(text.encode()).decode()


def authority() -> tuple[str, str]:
    """Return a certificate and its key as PEM, made for this run."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "serve.example.com")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM).decode(), private.decode()
