"""What is known of a GPU and of a machine type that carries it."""

from dataclasses import dataclass
from typing import Optional

CUDA, GRID = "cuda", "grid"
"""Kinds of NVIDIA driver: of whole GPUs, and of virtual workstations."""


@dataclass(frozen=True)
class Gpu:
    """A GPU model."""

    architecture: str
    """NVIDIA's name of the generation."""
    compute_capability: tuple[int, int]
    """Major and minor number; decides which CUDA kernels run."""


GPUS = {
    # https://developer.nvidia.com/cuda-gpus (2026-08)
    "T4": Gpu("Turing", (7, 5)),
    "A100": Gpu("Ampere", (8, 0)),
    "A10": Gpu("Ampere", (8, 6)),
    "A10G": Gpu("Ampere", (8, 6)),
    "L4": Gpu("Ada", (8, 9)),
    "H100": Gpu("Hopper", (9, 0)),
}


@dataclass(frozen=True)
class GpuMachine:
    """One machine type with whole GPUs."""

    machine_type: str
    """The cloud's name of the machine type."""
    gpu: str
    """GPU model, a key of `GPUS`."""
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
    quota: str
    """Quota that on-demand machines count against: AWS quota code, Google Cloud metric, Azure family."""
    spot_quota: str
    """Quota that spot machines count against."""
    zones: str
    """Which zones may have it."""
    driver: str = CUDA
    """`cuda` or `grid`."""
    accelerator: Optional[str] = None
    """Google Cloud's accelerator type, attached to the machine type; None elsewhere."""

    @property
    def model(self) -> Gpu:
        """The GPU model's facts."""
        return GPUS[self.gpu]
