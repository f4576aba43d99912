"""Compute Engine machine types with GPUs, by rising price. Prices in USD per hour, on demand, us-central1."""

from components._gpu_machine import GpuMachine

SOURCE = "https://github.com/cloudpilot-ai/karpenter-provider-gcp/tree/main/pkg/providers/pricing"
ZONES = "differs by zone; machine types are asked of Compute Engine at preview"


def _row(
    machine_type: str,
    accelerator: str,
    quota: str,
    gpu: str,
    gpus: int,
    memory: int,
    vcpus: int,
    ram: int,
    price: float,
) -> GpuMachine:
    metric = f"NVIDIA_{quota}_GPUS"
    return GpuMachine(
        machine_type,
        gpu,
        gpus,
        memory,
        vcpus,
        ram,
        price,
        SOURCE,
        "2026-08-03",
        # https://cloud.google.com/compute/resource-usage#gpu_quota (2026-08); both count GPUs of a region.
        metric,
        f"PREEMPTIBLE_{metric}",
        ZONES,
        accelerator=accelerator,
    )


MACHINES: dict[str, tuple[GpuMachine, ...]] = {
    "T4-class": (_row("n1-standard-4", "nvidia-tesla-t4", "T4", "T4", 1, 16, 4, 15, 0.54),),
    "L4-class": (
        _row("g2-standard-4", "nvidia-l4", "L4", "L4", 1, 24, 4, 16, 0.707),
        _row("g2-standard-8", "nvidia-l4", "L4", "L4", 1, 24, 8, 32, 0.854),
        _row("g2-standard-24", "nvidia-l4", "L4", "L4", 2, 24, 24, 96, 2.001),
        _row("g2-standard-48", "nvidia-l4", "L4", "L4", 4, 24, 48, 192, 4.002),
    ),
    "A100-40": (
        _row("a2-highgpu-1g", "nvidia-tesla-a100", "A100", "A100", 1, 40, 12, 85, 3.673),
        _row("a2-highgpu-8g", "nvidia-tesla-a100", "A100", "A100", 8, 40, 96, 680, 29.39),
    ),
    "A100-80": (_row("a2-ultragpu-1g", "nvidia-a100-80gb", "A100_80GB", "A100", 1, 80, 12, 170, 5.069),),
    "H100": (
        _row("a3-highgpu-1g", "nvidia-h100-80gb", "H100", "H100", 1, 80, 26, 234, 11.06),
        _row("a3-highgpu-8g", "nvidia-h100-80gb", "H100", "H100", 8, 80, 208, 1872, 88.49),
    ),
}
"""GPU class to machine types."""
