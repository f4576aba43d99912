"""Which machine types carry which class of GPU in each cloud, cheapest first.

Prices are indicative, in USD per hour on demand: AWS us-east-1, Google Cloud us-central1, Azure eastus.
"""

from dataclasses import dataclass
from typing import Optional

AWS_PRICES = "https://github.com/aws/karpenter-provider-aws/blob/main/pkg/providers/pricing"
AZURE_PRICES = "https://github.com/Azure/karpenter-provider-azure/blob/main/pkg/providers/pricing"
GCP_PRICES = "https://github.com/cloudpilot-ai/karpenter-provider-gcp/tree/main/pkg/providers/pricing"


@dataclass(frozen=True)
class GpuMachine:
    """One machine type with GPUs."""

    machine_type: str
    """The cloud's name of the machine type."""
    gpus: int
    """GPUs per machine."""
    gpu_memory_gib: int
    """Memory of one GPU in GiB."""
    vcpus: int
    memory_gib: int
    usd_per_hour: float
    """On-demand price of the machine with its GPUs."""
    source: str
    """Where the price comes from."""
    date: str
    """Day of the price list, YYYY-MM-DD."""
    accelerator: Optional[str] = None
    """Google Cloud's accelerator type, attached to the machine type; None elsewhere."""


def _aws(machine_type: str, gpus: int, memory: int, vcpus: int, ram: int, price: float) -> GpuMachine:
    return GpuMachine(machine_type, gpus, memory, vcpus, ram, price, AWS_PRICES, "2026-07-20")


def _gcp(machine_type: str, accelerator: str, gpus: int, memory: int, vcpus: int, ram: int, price: float) -> GpuMachine:
    return GpuMachine(machine_type, gpus, memory, vcpus, ram, price, GCP_PRICES, "2026-08-03", accelerator)


def _azure(machine_type: str, gpus: int, memory: int, vcpus: int, ram: int, price: float) -> GpuMachine:
    return GpuMachine(machine_type, gpus, memory, vcpus, ram, price, AZURE_PRICES, "2026-06-18")


CATALOG: dict[str, dict[str, tuple[GpuMachine, ...]]] = {
    "T4-class": {
        "aws": (_aws("g4dn.xlarge", 1, 16, 4, 16, 0.526), _aws("g4dn.12xlarge", 4, 16, 48, 192, 3.912)),
        "gcp": (_gcp("n1-standard-4", "nvidia-tesla-t4", 1, 16, 4, 15, 0.54),),
        "azure": (
            _azure("Standard_NC4as_T4_v3", 1, 16, 4, 28, 0.526),
            _azure("Standard_NC16as_T4_v3", 1, 16, 16, 110, 1.204),
            _azure("Standard_NC64as_T4_v3", 4, 16, 64, 440, 4.352),
        ),
    },
    "L4-class": {
        "aws": (_aws("g6.xlarge", 1, 24, 4, 16, 0.805), _aws("g6.12xlarge", 4, 24, 48, 192, 4.602)),
        "gcp": (
            _gcp("g2-standard-4", "nvidia-l4", 1, 24, 4, 16, 0.707),
            _gcp("g2-standard-8", "nvidia-l4", 1, 24, 8, 32, 0.854),
            _gcp("g2-standard-24", "nvidia-l4", 2, 24, 24, 96, 2.001),
            _gcp("g2-standard-48", "nvidia-l4", 4, 24, 48, 192, 4.002),
        ),
    },
    "A10G-class": {
        "aws": (_aws("g5.xlarge", 1, 24, 4, 16, 1.006), _aws("g5.12xlarge", 4, 24, 48, 192, 5.672)),
        "azure": (_azure("Standard_NV36ads_A10_v5", 1, 24, 36, 440, 3.20),),
    },
    "A100-40": {
        "aws": (_aws("p4d.24xlarge", 8, 40, 96, 1152, 21.96),),
        "gcp": (
            _gcp("a2-highgpu-1g", "nvidia-tesla-a100", 1, 40, 12, 85, 3.673),
            _gcp("a2-highgpu-8g", "nvidia-tesla-a100", 8, 40, 96, 680, 29.39),
        ),
        "azure": (_azure("Standard_ND96asr_v4", 8, 40, 96, 900, 27.20),),
    },
    "A100-80": {
        "aws": (_aws("p4de.24xlarge", 8, 80, 96, 1152, 27.45),),
        "gcp": (_gcp("a2-ultragpu-1g", "nvidia-a100-80gb", 1, 80, 12, 170, 5.069),),
        "azure": (
            _azure("Standard_NC24ads_A100_v4", 1, 80, 24, 220, 3.673),
            _azure("Standard_NC96ads_A100_v4", 4, 80, 96, 880, 14.69),
        ),
    },
    "H100": {
        "aws": (_aws("p5.4xlarge", 1, 80, 16, 256, 6.88), _aws("p5.48xlarge", 8, 80, 192, 2048, 55.04)),
        "gcp": (
            _gcp("a3-highgpu-1g", "nvidia-h100-80gb", 1, 80, 26, 234, 11.06),
            _gcp("a3-highgpu-8g", "nvidia-h100-80gb", 8, 80, 208, 1872, 88.49),
        ),
        "azure": (
            _azure("Standard_NC40ads_H100_v5", 1, 94, 40, 320, 6.98),
            _azure("Standard_ND96isr_H100_v5", 8, 80, 96, 1900, 98.32),
        ),
    },
}
"""GPU class to cloud to machine types, by rising price. A cloud that lacks a class has no entry."""

_BLACKWELL = ("B100", "B200", "B300", "GB200", "GB300", "RTX-PRO-6000", "BLACKWELL")


def refusal(cloud: str, gpu_class: str) -> Optional[str]:
    """Why a cloud has no machine for a GPU class, with the classes it has; None when it has one."""
    allowed = ", ".join(name for name, clouds in CATALOG.items() if cloud in clouds)
    if gpu_class.upper().replace("_", "-").startswith(_BLACKWELL):
        return (
            f"{gpu_class} is a Blackwell GPU, which TensorFlow Serving's CUDA 12.5 has no kernels for; "
            f"on {cloud} use one of {allowed}"
        )
    if gpu_class not in CATALOG:
        return f"{gpu_class!r} is not a known GPU class; on {cloud} use one of {allowed}"
    if cloud not in CATALOG[gpu_class]:
        return f"{cloud} offers no {gpu_class} GPU; use one of {allowed}"
    return None


def candidates(cloud: str, gpu_class: str) -> tuple[GpuMachine, ...]:
    """Interchangeable machine types of a GPU class, cheapest first: those with the fewest GPUs the cloud sells.

    Autoscalers need every machine of a pool to hold the same number of GPUs.

    Raises:
        ValueError: If the cloud has no such GPU; the text lists what it has.
    """
    reason = refusal(cloud, gpu_class)
    if reason is not None:
        raise ValueError(reason)
    machines = CATALOG[gpu_class][cloud]
    fewest = min(machine.gpus for machine in machines)
    return tuple(machine for machine in machines if machine.gpus == fewest)
