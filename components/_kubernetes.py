"""Kubernetes access and objects, shared by every cloud."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Optional

import pulumi
import pulumi_kubernetes as k8s

GPU_TAINT_VALUE = "present"
"""Value that GKE itself uses; `true` deadlocks node feature discovery (NVIDIA/k8s-device-plugin#1934)."""


def exec_kubeconfig(
    *,
    server: pulumi.Input[str],
    certificate_authority: pulumi.Input[str],
    command: str,
    arguments: Sequence[pulumi.Input[str]],
    install_hint: str,
) -> pulumi.Output[str]:
    """Kubeconfig (JSON) that gets a short-lived token from the cloud's own tool at every use, so it holds none.

    Args:
        server: URL of the API server.
        certificate_authority: Base64 of the PEM certificate that signed the server's.
        command: Program on PATH that prints an ExecCredential.
        arguments: Its arguments.
        install_hint: Shown by clients when the program is missing.
    """
    return pulumi.Output.json_dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "cluster",
                    "cluster": {"server": server, "certificate-authority-data": certificate_authority},
                }
            ],
            "users": [
                {
                    "name": "user",
                    "user": {
                        "exec": {
                            "apiVersion": "client.authentication.k8s.io/v1beta1",
                            "command": command,
                            "args": list(arguments),
                            "installHint": install_hint,
                            "interactiveMode": "Never",
                            "provideClusterInfo": True,
                        }
                    },
                }
            ],
            "contexts": [{"name": "context", "context": {"cluster": "cluster", "user": "user"}}],
            "current-context": "context",
        }
    )


def cluster_provider(
    name: str,
    kubeconfig: pulumi.Input[str],
    cluster_identifier: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> pulumi.ProviderResource:
    """Kubernetes provider of a cluster the caller just made."""
    provider: pulumi.ProviderResource = k8s.Provider(
        f"{name}-k8s",
        kubeconfig=kubeconfig,
        # Without it, any change of the kubeconfig would replace the provider and everything in the cluster.
        cluster_identifier=cluster_identifier,
        enable_server_side_apply=True,
        # Replacing one would take it away for a moment, and with it what the gateway needs to believe other sites.
        enable_config_map_mutable=True,
        opts=opts,
    )
    return provider


def image_values(reference: pulumi.Input[str]) -> dict[str, pulumi.Output[str]]:
    """Values of a chart that takes an image as repository and tag.

    Args:
        reference: `registry/repository:tag[@sha256:digest]`; a digest stays behind the tag.
    """
    parts = pulumi.Output.from_input(reference).apply(_split_image)
    return {"repository": parts.apply(lambda pair: pair[0]), "tag": parts.apply(lambda pair: pair[1])}


def _split_image(reference: str) -> tuple[str, str]:
    folder, slash, last = reference.rpartition("/")
    name, _, tag = last.partition(":")
    return f"{folder}{slash}{name}", tag


def _classes() -> dict[tuple[str, str], Callable[..., pulumi.CustomResource]]:
    return {
        ("v1", "ConfigMap"): k8s.core.v1.ConfigMap,
        ("v1", "Namespace"): k8s.core.v1.Namespace,
        ("v1", "Service"): k8s.core.v1.Service,
        ("v1", "ServiceAccount"): k8s.core.v1.ServiceAccount,
        ("apps/v1", "Deployment"): k8s.apps.v1.Deployment,
        ("autoscaling/v2", "HorizontalPodAutoscaler"): k8s.autoscaling.v2.HorizontalPodAutoscaler,
        ("networking.k8s.io/v1", "NetworkPolicy"): k8s.networking.v1.NetworkPolicy,
        ("policy/v1", "PodDisruptionBudget"): k8s.policy.v1.PodDisruptionBudget,
        ("scheduling.k8s.io/v1", "PriorityClass"): k8s.scheduling.v1.PriorityClass,
    }


def manifest_resource(
    name: str, manifest: Mapping[str, Any], opts: Optional[pulumi.ResourceOptions] = None
) -> pulumi.CustomResource:
    """Declare the object of a manifest: its own class for built-in kinds, else a custom resource.

    Args:
        name: Logical name.
        manifest: Kubernetes object with camelCase keys; values may be Outputs.
        opts: Options of the resource.

    Raises:
        ValueError: If it is a built-in kind this function does not know.
    """
    api_version, kind = manifest["apiVersion"], manifest["kind"]
    fields = {key: value for key, value in manifest.items() if key not in ("apiVersion", "kind")}
    known = _classes().get((api_version, kind))
    if known is not None:
        return known(name, **{_argument(key): value for key, value in fields.items()}, opts=opts)
    group = api_version.rpartition("/")[0]
    if "." not in group or (group.endswith(".k8s.io") and not group.startswith("gateway.")):
        raise ValueError(f"{name}: no class is listed for the built-in kind {kind} of {api_version}")
    custom: pulumi.CustomResource = k8s.apiextensions.CustomResource(
        name, api_version=api_version, kind=kind, opts=opts, **fields
    )
    return custom


def _argument(key: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key)
