"""The machine types the simulated clouds rent out, their quotas and what is left of them.

Stated here on its own and not taken from the components' catalog: a cloud must notice a machine type that is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from localcloud.providers.calls import ApiError, Call


@dataclass(frozen=True)
class Machine:
    """One machine type; `quota` and `spot_quota` are the codes of the quotas it counts against."""

    vcpus: int
    memory_gib: float
    gpus: int = 0
    quota: str = ""
    accelerator: str = ""
    """Google Cloud's accelerator type that goes with the machine type."""
    spot_quota: str = ""

    def counted(self, spot: bool) -> str:
        """Return the code of the quota for machines of one kind."""
        return self.spot_quota if spot and self.spot_quota else self.quota


def _gpus(vcpus: int, memory: float, gpus: int, quota: str, spot_quota: str = "") -> Machine:
    return Machine(vcpus, memory, gpus, quota, spot_quota=spot_quota or _SPOT.get(quota, _AZURE_SPOT))


def _gcp(vcpus: int, memory: float, gpus: int, accelerator: str) -> Machine:
    quota = accelerator.upper().replace("-TESLA", "").replace("-", "_") + "_GPUS"
    return Machine(vcpus, memory, gpus, quota, accelerator)


_AWS_STANDARD, _AWS_G, _AWS_P = "L-1216C47A", "L-DB2E81BA", "L-417A185B"
_AWS_P5_SPOT, _AZURE_SPOT = "L-C4BD4855", "lowPriorityCores"
_SPOT = {_AWS_STANDARD: "L-34B43A08", _AWS_G: "L-3819A6DF", _AWS_P: "L-7212CCBC"}
_SIZES = {"large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16, "8xlarge": 32}
_AWS_FAMILIES = {"m6i": 4, "m6a": 4, "m7i": 4, "m7a": 4, "c6i": 2, "c7i": 2, "r6i": 8, "r7i": 8, "t3": 4}
_GCP_FAMILIES = {"e2-standard": 4, "n2-standard": 4, "n2d-standard": 4, "c3-standard": 4, "e2-highmem": 8}
_AZURE_DSV5 = "standardDSv5Family"
MACHINES: Mapping[str, Mapping[str, Machine]] = {
    "aws": {
        **{
            f"{family}.{size}": Machine(vcpus, vcpus * ratio, 0, _AWS_STANDARD)
            for family, ratio in _AWS_FAMILIES.items()
            for size, vcpus in _SIZES.items()
        },
        "t3.medium": Machine(2, 4, 0, _AWS_STANDARD),
        "g4dn.xlarge": _gpus(4, 16, 1, _AWS_G),
        "g4dn.2xlarge": _gpus(8, 32, 1, _AWS_G),
        "g4dn.12xlarge": _gpus(48, 192, 4, _AWS_G),
        "g5.xlarge": _gpus(4, 16, 1, _AWS_G),
        "g5.2xlarge": _gpus(8, 32, 1, _AWS_G),
        "g5.12xlarge": _gpus(48, 192, 4, _AWS_G),
        "g6.xlarge": _gpus(4, 16, 1, _AWS_G),
        "g6.2xlarge": _gpus(8, 32, 1, _AWS_G),
        "g6.12xlarge": _gpus(48, 192, 4, _AWS_G),
        "p4d.24xlarge": _gpus(96, 1152, 8, _AWS_P),
        "p4de.24xlarge": _gpus(96, 1152, 8, _AWS_P),
        "p5.4xlarge": _gpus(16, 256, 1, _AWS_P, _AWS_P5_SPOT),
        "p5.48xlarge": _gpus(192, 2048, 8, _AWS_P, _AWS_P5_SPOT),
    },
    "gcp": {
        **{
            f"{family}-{vcpus}": Machine(vcpus, vcpus * ratio, 0, "CPUS")
            for family, ratio in _GCP_FAMILIES.items()
            for vcpus in (2, 4, 8, 16, 32)
        },
        "n1-standard-4": Machine(4, 15, 0, "CPUS"),
        "n1-standard-8": Machine(8, 30, 0, "CPUS"),
        "g2-standard-4": _gcp(4, 16, 1, "nvidia-l4"),
        "g2-standard-8": _gcp(8, 32, 1, "nvidia-l4"),
        "g2-standard-24": _gcp(24, 96, 2, "nvidia-l4"),
        "g2-standard-48": _gcp(48, 192, 4, "nvidia-l4"),
        "a2-highgpu-1g": _gcp(12, 85, 1, "nvidia-tesla-a100"),
        "a2-highgpu-8g": _gcp(96, 680, 8, "nvidia-tesla-a100"),
        "a2-ultragpu-1g": _gcp(12, 170, 1, "nvidia-a100-80gb"),
        "a3-highgpu-1g": _gcp(26, 234, 1, "nvidia-h100-80gb"),
        "a3-highgpu-8g": _gcp(208, 1872, 8, "nvidia-h100-80gb"),
    },
    "azure": {
        **{
            f"Standard_D{vcpus}s_v{generation}": Machine(vcpus, vcpus * 4, 0, _AZURE_DSV5)
            for vcpus in (2, 4, 8, 16, 32)
            for generation in (3, 4, 5, 6)
        },
        **{f"Standard_D{vcpus}as_v5": Machine(vcpus, vcpus * 4, 0, "standardDASv5Family") for vcpus in (2, 4, 8, 16)},
        **{f"Standard_D{vcpus}ds_v5": Machine(vcpus, vcpus * 4, 0, "standardDDSv5Family") for vcpus in (2, 4, 8, 16)},
        "Standard_NC4as_T4_v3": _gpus(4, 28, 1, "Standard NCASv3_T4 Family"),
        "Standard_NC8as_T4_v3": _gpus(8, 56, 1, "Standard NCASv3_T4 Family"),
        "Standard_NC16as_T4_v3": _gpus(16, 110, 1, "Standard NCASv3_T4 Family"),
        "Standard_NC64as_T4_v3": _gpus(64, 440, 4, "Standard NCASv3_T4 Family"),
        "Standard_NV36ads_A10_v5": _gpus(36, 440, 1, "StandardNVADSA10v5Family"),
        "Standard_NC24ads_A100_v4": _gpus(24, 220, 1, "StandardNCADSA100v4Family"),
        "Standard_NC96ads_A100_v4": _gpus(96, 880, 4, "StandardNCADSA100v4Family"),
        "Standard_ND96asr_v4": _gpus(96, 900, 8, "standardNDASv4_A100Family"),
        "Standard_NC40ads_H100_v5": _gpus(40, 320, 1, "StandardNCadsH100v5Family"),
        "Standard_ND96isr_H100_v5": _gpus(96, 1900, 8, "standardNDSH100v5Family"),
    },
}
NOT_OFFERED = -1
"""Figure of free machines in a zone that never has the machine type."""
PLENTY = 100_000.0
"""Maximum of a quota that has no row."""
ATTACHABLE = {"nvidia-tesla-t4": ("n1-",), "nvidia-tesla-v100": ("n1-",), "nvidia-tesla-p100": ("n1-",)}
"""Accelerators of Google Cloud that are attached to a general machine type, with the prefixes it may have."""


def machine(cloud: str, machine_type: str) -> Machine:
    """Return a machine type.

    Raises:
        ApiError: If the cloud has none of that name; the text lists what it has.
    """
    found = MACHINES[cloud].get(machine_type)
    if found is None:
        offered = ", ".join(sorted(MACHINES[cloud]))
        raise ApiError(f"{cloud} has no machine type {machine_type!r}; it offers {offered}", "INVALID_ARGUMENT")
    return found


def require_quota(call: Call, region: str, code: str, needed: float, message: str) -> None:
    """Check a quota of a region.

    Args:
        call: The call.
        region: Region the quota counts in.
        code: Code of the quota.
        needed: What the region's pools would need at least, this one included.
        message: Vendor's words, with `{maximum}` and `{needed}`.

    Raises:
        ApiError: If it is exceeded.
    """
    maximum = granted(call, region, code)
    if needed > maximum:
        raise ApiError(message.format(maximum=f"{maximum:g}", needed=f"{needed:g}"))


def free_capacity(call: Call, zones: Iterable[str], machine_type: str) -> int | None:
    """Return how many machines of a type are free in some zones; None where the cloud states no limit."""
    wanted = set(zones)
    with call.store.connect() as db:
        rows = db.execute(
            "select zone, free from capacity where cloud=? and machine_type=?", (call.cloud, machine_type)
        ).fetchall()
    if not rows:
        return None
    return sum(max(0, int(row["free"])) for row in rows if row["zone"] in wanted)


def offered(call: Call, zone: str, machine_type: str) -> bool:
    """Return whether a zone has a machine type at all; a stock-out (0 free) is not the same as `NOT_OFFERED`."""
    with call.store.connect() as db:
        row = db.execute(
            "select free from capacity where cloud=? and zone=? and machine_type=?", (call.cloud, zone, machine_type)
        ).fetchone()
    return machine_type in MACHINES[call.cloud] and (row is None or row["free"] != NOT_OFFERED)


def preemptible(call: Call, region: str, code: str) -> str:
    """Return the quota of Google Cloud's spot machines: their own, or the ordinary one of a project without it."""
    own = f"PREEMPTIBLE_{code}"
    return own if granted(call, region, own) else code


def granted(call: Call, region: str, code: str) -> float:
    """Return the maximum of a quota, which is large where the cloud states no limit."""
    with call.store.connect() as db:
        row = db.execute(
            "select maximum from quotas where cloud=? and region=? and code=?", (call.cloud, region, code)
        ).fetchone()
    return float(row["maximum"]) if row is not None else PLENTY
