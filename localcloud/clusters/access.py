"""Getting at a running cluster: its admin token and an API client."""

from __future__ import annotations

import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING

from localcloud.certificates import authority_file
from localcloud.paths import RunPaths
from localcloud.store import Cluster

if TYPE_CHECKING:
    from kubernetes.client import ApiClient


def directory(paths: RunPaths, cloud: str, cluster_id: str) -> Path:
    """Return the directory of a control plane's files; vendors' ids with slashes stay one directory."""
    return paths.cluster(cloud, urllib.parse.quote(cluster_id, safe=""))


def admin_token_file(paths: RunPaths, cloud: str, cluster_id: str) -> Path:
    """Return the file with the token of the cluster's administrator, mode 0600."""
    return directory(paths, cloud, cluster_id) / "admin.token"


def admin_kubeconfig_file(paths: RunPaths, cloud: str, cluster_id: str) -> Path:
    """Return the kubeconfig of the cluster's administrator, mode 0600."""
    return directory(paths, cloud, cluster_id) / "admin.kubeconfig"


def admin_token(paths: RunPaths, cloud: str, cluster_id: str) -> str:
    """Return the bearer token of the cluster's administrator.

    Raises:
        FileNotFoundError: If the cluster has not been started yet.
    """
    return admin_token_file(paths, cloud, cluster_id).read_text()


def cluster_client(paths: RunPaths, cluster: Cluster) -> ApiClient:
    """Return a client of an active cluster that acts as its administrator; safe to use from many threads.

    Raises:
        FileNotFoundError: If the cluster has not been started yet.
    """
    from kubernetes import client  # takes 0.6 s to import

    configuration = client.Configuration()
    configuration.host = cluster.endpoint
    configuration.ssl_ca_cert = str(authority_file(paths))
    configuration.api_key["authorization"] = admin_token(paths, cluster.cloud, cluster.id)
    configuration.api_key_prefix["authorization"] = "Bearer"
    # A proxy that the user's environment names must not get between programs on this machine.
    configuration.proxy = None
    return client.ApiClient(configuration)
