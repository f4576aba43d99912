"""Managed clusters and node pools, the same for every vendor: rows that the cloud's daemon acts on."""

from __future__ import annotations

import base64

from localcloud.providers.calls import ApiError, Call, Incomplete
from localcloud.store import Cluster, JsonDict, Pool

VERSIONS = tuple(f"1.{minor}" for minor in range(32, 37))
"""Kubernetes versions on offer, oldest first."""
_PATCH = "3"


def begin_cluster(call: Call, name: str, version: str, region: str, attributes: JsonDict) -> Cluster:
    """Ask for a control plane; `name` is its id in the store.

    Raises:
        ApiError: If the version is not offered or there is a cluster of that name.
    """
    minor = ".".join(version.split(".")[:2])
    if minor not in VERSIONS:
        raise ApiError(
            f"unsupported Kubernetes version {version!r}; {call.cloud} offers {', '.join(VERSIONS)}",
            "INVALID_ARGUMENT",
        )
    if call.store.cluster(call.cloud, name) is not None:
        raise ApiError(f"AlreadyExists: there is a cluster {name!r} in {call.cloud}", "ALREADY_EXISTS")
    return call.store.add_cluster(call.cloud, name, name, minor, region, attributes)


def patch_version(version: str) -> str:
    """Return a complete version for a minor one."""
    return version if version.count(".") > 1 else f"{version}.{_PATCH}"


def wait_for_cluster(call: Call, name: str) -> Cluster:
    """Wait until a control plane is active.

    Raises:
        Incomplete: If it fails or takes too long.
    """

    def active() -> Cluster | None:
        cluster = call.store.cluster(call.cloud, name)
        if cluster is None:
            raise Incomplete(f"cluster {name!r} disappeared")
        if cluster.status == "failed":
            raise Incomplete(f"cluster {name!r} failed: {cluster.message or 'the cloud gives no reason'}")
        return cluster if cluster.status == "active" else None

    return call.wait(f"cluster {name!r} to become active", active)


def authority(cluster: Cluster) -> str:
    """Return a cluster's certificate authority as clouds report it: base64 of the PEM text."""
    return base64.b64encode(cluster.ca.encode()).decode()


def end_cluster(call: Call, name: str) -> None:
    """Delete a control plane and wait until it is gone.

    Raises:
        ApiError: If it still has node pools.
        Incomplete: If it takes too long.
    """
    if call.store.cluster(call.cloud, name) is None:
        return
    call.store.set_cluster(call.cloud, name, status="deleting")
    call.wait(f"cluster {name!r} to be deleted", lambda: call.store.cluster(call.cloud, name) is None or None)


def require_no_pools(call: Call, name: str) -> None:
    """Refuse to delete a cluster that has node pools, as EKS does.

    Raises:
        ApiError: Naming them.
    """
    left = [pool.name for pool in call.store.pools(call.cloud, name)]
    if left:
        raise ApiError(f"ResourceInUse: cluster {name!r} has node pools attached: {', '.join(left)}")


def pool_id(cluster: str, pool: str) -> str:
    """Return the id of a node pool in the store."""
    return f"{cluster}-{pool}"


def begin_pool(call: Call, cluster: str, name: str, spec: JsonDict) -> Pool:
    """Ask for a node pool, or for a change of one: the count that the autoscaler chose stays.

    Raises:
        ApiError: If the cluster does not exist or is not active.
    """
    found = call.store.cluster(call.cloud, cluster)
    if found is None:
        raise ApiError(f"NotFound: there is no cluster {cluster!r} in {call.cloud}", "NOT_FOUND")
    if found.status != "active":
        raise ApiError(f"cluster {cluster!r} is {found.status}; node pools need an active one")
    old = find_pool(call, cluster, name)
    wanted = old.spec.get("desired", spec["desired"]) if old is not None else spec["desired"]
    spec = {**spec, "desired": max(spec["min"], min(spec["max"], wanted))}
    pool = Pool(call.cloud, pool_id(cluster, name), cluster, name, spec, "creating", "")
    call.store.put_pool(pool)
    return pool


def find_pool(call: Call, cluster: str, name: str) -> Pool | None:
    """Return a node pool of a cluster, or None."""
    id_ = pool_id(cluster, name)
    return next((pool for pool in call.store.pools(call.cloud, cluster) if pool.id == id_), None)


def wait_for_pool(call: Call, cluster: str, name: str) -> None:
    """Wait until a node pool has its nodes.

    Raises:
        Incomplete: If it fails or takes too long.
    """

    def active() -> bool | None:
        pool = find_pool(call, cluster, name)
        if pool is None:
            raise Incomplete(f"node pool {name!r} of {cluster!r} disappeared")
        if pool.status == "failed":
            raise Incomplete(f"node pool {name!r} failed: {pool.message or 'the cloud gives no reason'}")
        return True if pool.status == "active" else None

    call.wait(f"node pool {name!r} of {cluster!r} to become active", active)


def end_pool(call: Call, cluster: str, name: str) -> None:
    """Delete a node pool and wait until its nodes are gone.

    Raises:
        Incomplete: If it takes too long.
    """
    pool = find_pool(call, cluster, name)
    if pool is None:
        return
    call.store.set_pool(call.cloud, pool.id, status="deleting")
    call.wait(f"node pool {name!r} to be deleted", lambda: find_pool(call, cluster, name) is None or None)


def require_sizes(least: int, most: int) -> None:
    """Check a node pool's limits.

    Raises:
        ApiError: If they contradict each other.
    """
    if not 0 <= least <= most or most < 1:
        raise ApiError(f"a node pool needs 0 <= min <= max and max >= 1, got {least} and {most}", "INVALID_ARGUMENT")
