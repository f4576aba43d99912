"""The three serving clusters with arguments that use every part of them, for tests that treat the clouds alike."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import pulumi

from components._capacity import CapacityPolicy
from tests.components.cloud_answers import GCP_PROJECT, SUBSCRIPTION

NAMESPACE, SERVICE_ACCOUNT = "serving", "model-server"
KEY = "bundles/scenes/" + "ab" * 32 + ".tar"
ARCHIVE = "build/bundles/scenes/" + "ab" * 32 + ".tar"
ADMIN_ROLE = "arn:aws:iam::123456789012:role/platform/admins"
HUB_SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:ecr-pullthroughcache/docker-hub-abcdef"


@dataclass(frozen=True)
class Cloud:
    """What differs between the clouds."""

    component: str
    module: str
    own_args: dict[str, Any]
    sdk: str
    provider_args: dict[str, Any]

    def args(self, **changes: Any) -> Any:
        """Arguments of the serving cluster, with changes."""
        given: dict[str, Any] = {
            "kubernetes_version": "1.36",
            "namespace": NAMESPACE,
            "service_account": SERVICE_ACCOUNT,
            "system_min_nodes": 1,
            "system_max_nodes": 3,
            "gpu_pools": {"t4": CapacityPolicy(gpu_class="T4-class", max_nodes=4, min_nodes=1, spot_percent=50)},
            "labels": {"owner": "platform", "managed-by": "somebody else"},
            **self.own_args,
            **changes,
        }
        return self.load(f"{self.component}Args")(**given)

    def load(self, name: str | None = None) -> Any:
        """The class of the serving cluster, or another name of its module."""
        return getattr(importlib.import_module(f"components.{self.module}"), name or self.component)

    def declare(self, name: str = "site", opts: pulumi.ResourceOptions | None = None, **changes: Any) -> Any:
        """Declare the serving cluster."""
        return self.load()(name, self.args(**changes), opts)

    def provider(self, name: str = "mine") -> pulumi.ProviderResource:
        """Declare a provider of the cloud."""
        provider: pulumi.ProviderResource = importlib.import_module(self.sdk).Provider(name, **self.provider_args)
        return provider


CLOUDS = {
    "aws": Cloud(
        "EksServingCluster",
        "eks_serving_cluster",
        {
            "region": "us-east-1",
            "zones": ["us-east-1a", "us-east-1b"],
            "admin_role_arns": [ADMIN_ROLE],
            "mirror": True,
            "docker_hub_secret_arn": HUB_SECRET,
        },
        "pulumi_aws",
        {"region": "us-east-1"},
    ),
    "gcp": Cloud(
        "GkeServingCluster",
        "gke_serving_cluster",
        {
            "project": GCP_PROJECT,
            "region": "us-central1",
            "zones": ["us-central1-a", "us-central1-b"],
            "admin_groups": ["platform@example.com"],
            "mirror": True,
        },
        "pulumi_gcp",
        {"project": GCP_PROJECT},
    ),
    "azure": Cloud(
        "AksServingCluster",
        "aks_serving_cluster",
        {"subscription_id": SUBSCRIPTION, "location": "eastus"},
        "pulumi_azure_native",
        {"subscription_id": SUBSCRIPTION},
    ),
}


def declare_all_of(cloud: str) -> Any:
    """Declare a serving cluster and put a bundle into its store; returns the cluster."""
    cluster = CLOUDS[cloud].declare()
    cluster.upload("scenes", KEY, ARCHIVE)
    return cluster
