"""Azure VM sizes with whole GPUs, by rising price. Prices in USD per hour, on demand, eastus."""

from components._gpu_machine import CUDA, GRID, GpuMachine

SOURCE = "https://github.com/Azure/karpenter-provider-azure/blob/main/pkg/providers/pricing/zz_generated.pricing.go"
ZONES = "many regions offer it in no zone; zones are asked for only where the policy names them"
SPOT_CORES = "lowPriorityCores"
"""Quota of all spot machines of a region together, in vCPUs."""


def _row(
    machine_type: str,
    family: str,
    gpu: str,
    gpus: int,
    memory: int,
    vcpus: int,
    ram: int,
    price: float,
    driver: str = CUDA,
) -> GpuMachine:
    return GpuMachine(
        machine_type, gpu, gpus, memory, vcpus, ram, price, SOURCE, "2026-06-18", family, SPOT_CORES, ZONES, driver
    )


# Families as `az vm list-usage` names them; OpenShift's list of Azure machine types has the same (2026-08).
_T4, _A10, _A100_40 = "Standard NCASv3_T4 Family", "StandardNVADSA10v5Family", "Standard NDASv4_A100 Family"
_A100_80, _H100, _H100_8 = "StandardNCADSA100v4Family", "StandardNCadsH100v5Family", "standardNDSH100v5Family"
MACHINES: dict[str, tuple[GpuMachine, ...]] = {
    "T4-class": (
        _row("Standard_NC4as_T4_v3", _T4, "T4", 1, 16, 4, 28, 0.526),
        _row("Standard_NC16as_T4_v3", _T4, "T4", 1, 16, 16, 110, 1.204),
        _row("Standard_NC64as_T4_v3", _T4, "T4", 4, 16, 64, 440, 4.352),
    ),
    "A10G-class": (_row("Standard_NV36ads_A10_v5", _A10, "A10", 1, 24, 36, 440, 3.20, GRID),),
    "A100-40": (_row("Standard_ND96asr_v4", _A100_40, "A100", 8, 40, 96, 900, 27.20),),
    "A100-80": (
        _row("Standard_NC24ads_A100_v4", _A100_80, "A100", 1, 80, 24, 220, 3.673),
        _row("Standard_NC96ads_A100_v4", _A100_80, "A100", 4, 80, 96, 880, 14.69),
    ),
    "H100": (
        _row("Standard_NC40ads_H100_v5", _H100, "H100", 1, 94, 40, 320, 6.98),
        _row("Standard_ND96isr_H100_v5", _H100_8, "H100", 8, 80, 96, 1900, 98.32),
    ),
}
"""GPU class to machine types."""

FRACTIONAL = {
    # https://learn.microsoft.com/azure/virtual-machines/sizes/gpu-accelerated/nvadsa10v5-series (2026-08)
    "Standard_NV6ads_A10_v5": "1/6",
    "Standard_NV12ads_A10_v5": "1/3",
    "Standard_NV18ads_A10_v5": "1/2",
}
"""Sizes with a part of a GPU: a server would share its memory and its time with strangers."""
