"""NVIDIA device plugin, for clouds that do not bring their own."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_kubernetes as k8s

from components._base import coerce, reject, token
from components._kubernetes import image_values
from serving.cluster import POOL_LABEL

CHART_VERSION = "0.17.4"
IMAGE = f"nvcr.io/nvidia/k8s-device-plugin:v{CHART_VERSION}"
"""The chart's image, as it is called in public."""
NAMESPACE = "nvidia-device-plugin"


@dataclass(frozen=True, kw_only=True)
class NvidiaDevicePluginArgs:
    """Arguments of `NvidiaDevicePlugin`."""

    pools: list[str]
    """Values of the node label `tricorn.dev/pool` of the GPU pools; the plugin runs on their nodes only."""
    image: Optional[pulumi.Input[str]] = None
    """Image with a tag, such as one in the cloud's own registry. Default that of nvcr.io."""

    def __post_init__(self) -> None:
        reject("NvidiaDevicePlugin", [] if self.pools else [("pools", "must name at least one GPU pool")])


class NvidiaDevicePlugin(pulumi.ComponentResource):
    """The DaemonSet that offers a node's GPUs to pods as `nvidia.com/gpu`.

    For EKS managed node groups and AKS pools. Never for GKE or EKS Auto Mode, which run their own.
    """

    release_name: pulumi.Output[str]
    """Name of the Helm release."""

    def __init__(self, name: str, args: NvidiaDevicePluginArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(NvidiaDevicePlugin), name, {}, opts)
        a = coerce(NvidiaDevicePluginArgs, args)
        expression = {"key": POOL_LABEL, "operator": "In", "values": a.pools}
        affinity = {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [expression]}]
                }
            }
        }
        release = k8s.helm.v3.Release(
            f"{name}-release",
            chart="nvidia-device-plugin",
            version=CHART_VERSION,
            namespace=NAMESPACE,
            create_namespace=True,
            repository_opts=k8s.helm.v3.RepositoryOptsArgs(repo="https://nvidia.github.io/k8s-device-plugin"),
            values={
                "affinity": affinity,
                # Spot nodes carry a taint of their own beside the GPU taint.
                "tolerations": [{"operator": "Exists", "effect": "NoSchedule"}],
                "gfd": {"enabled": False},
                "nfd": {"enabled": False},
                **({"image": image_values(a.image)} if a.image is not None else {}),
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.release_name = release.name
        self.register_outputs({"release_name": self.release_name})
