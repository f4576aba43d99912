"""How much of a machine its pods can have, by what each cloud keeps for the node itself."""

from typing import Optional

_MIB = 1024
_EVICTION_MIB = 100
_EKS_LEAST_PODS = 17
"""Fewest pods that an instance type of two vCPUs takes (t3.medium); a larger type keeps more back."""
_AKS_PODS = 110
# https://learn.microsoft.com/azure/aks/node-resource-reservations (2026-08)
_AKS_MILLICORES = ((64, 740), (32, 420), (16, 260), (8, 180), (4, 140), (2, 100), (1, 60))
# https://cloud.google.com/kubernetes-engine/docs/concepts/plan-node-sizes (2026-08)
_GKE_MEMORY = ((4, 0.25), (4, 0.20), (8, 0.10), (112, 0.06), (float("inf"), 0.02))


def allocatable(cloud: str, vcpus: int, memory_gib: float) -> Optional[tuple[float, float]]:
    """CPUs and MiB of a machine that pods can ask for; None for a cloud whose rule is not known.

    The node's own pods need some of it too, so this is more than a server can have, never less.
    """
    total = memory_gib * _MIB
    if cloud == "aws":
        # https://github.com/awslabs/amazon-eks-ami (2026-08): 11 MiB per pod and 255 MiB
        return _gke_cpus(vcpus), total - 11 * _EKS_LEAST_PODS - 255 - _EVICTION_MIB
    if cloud == "gcp":
        return _gke_cpus(vcpus), total - _gke_memory_mib(memory_gib) - _EVICTION_MIB
    if cloud == "azure":
        kept = next(millicores for cores, millicores in _AKS_MILLICORES if vcpus >= cores)
        return vcpus - kept / 1000, total - min(20 * _AKS_PODS + 50, total / 4) - _EVICTION_MIB
    return None


def _gke_cpus(vcpus: int) -> float:
    """GKE and EKS keep 6 % of the first core, 1 % of the second, 0.5 % of two more and 0.25 % of the rest."""
    return vcpus - (0.06 + 0.01 * min(1, vcpus - 1) + 0.005 * min(2, max(0, vcpus - 2)) + 0.0025 * max(0, vcpus - 4))


def _gke_memory_mib(memory_gib: float) -> float:
    kept, left = 0.0, memory_gib
    for step, share in _GKE_MEMORY:
        kept += min(step, left) * share
        left = max(0.0, left - step)
    return kept * _MIB
