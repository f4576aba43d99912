"""EC2 instance types with whole GPUs, by rising price. Prices in USD per hour, on demand, us-east-1."""

from components._gpu_machine import GpuMachine

SOURCE = "https://github.com/aws/karpenter-provider-aws/blob/main/pkg/providers/pricing/zz_generated.pricing_aws.go"
# https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html (2026-08); all count vCPUs of a region.
G, G_SPOT = "L-DB2E81BA", "L-3819A6DF"
P, P_SPOT, P5_SPOT = "L-417A185B", "L-7212CCBC", "L-C4BD4855"
ZONES = "differs by zone; asked of EC2 at preview"


def _g(machine_type: str, gpu: str, gpus: int, memory: int, vcpus: int, ram: int, price: float) -> GpuMachine:
    # The 2xlarge prices are from the list of 2026-01-19.
    date = "2026-01-19" if machine_type.endswith(".2xlarge") else "2026-07-20"
    return GpuMachine(machine_type, gpu, gpus, memory, vcpus, ram, price, SOURCE, date, G, G_SPOT, ZONES)


def _p(
    machine_type: str, gpu: str, gpus: int, memory: int, vcpus: int, ram: int, price: float, spot: str = P_SPOT
) -> GpuMachine:
    return GpuMachine(machine_type, gpu, gpus, memory, vcpus, ram, price, SOURCE, "2026-07-20", P, spot, ZONES)


MACHINES: dict[str, tuple[GpuMachine, ...]] = {
    "T4-class": (
        _g("g4dn.xlarge", "T4", 1, 16, 4, 16, 0.526),
        _g("g4dn.2xlarge", "T4", 1, 16, 8, 32, 0.752),
        _g("g4dn.12xlarge", "T4", 4, 16, 48, 192, 3.912),
    ),
    "L4-class": (
        _g("g6.xlarge", "L4", 1, 24, 4, 16, 0.805),
        _g("g6.2xlarge", "L4", 1, 24, 8, 32, 0.978),
        _g("g6.12xlarge", "L4", 4, 24, 48, 192, 4.602),
    ),
    "A10G-class": (
        _g("g5.xlarge", "A10G", 1, 24, 4, 16, 1.006),
        _g("g5.2xlarge", "A10G", 1, 24, 8, 32, 1.212),
        _g("g5.12xlarge", "A10G", 4, 24, 48, 192, 5.672),
    ),
    "A100-40": (_p("p4d.24xlarge", "A100", 8, 40, 96, 1152, 21.96),),
    "A100-80": (_p("p4de.24xlarge", "A100", 8, 80, 96, 1152, 27.45),),
    "H100": (
        _p("p5.4xlarge", "H100", 1, 80, 16, 256, 6.88, P5_SPOT),
        _p("p5.48xlarge", "H100", 8, 80, 192, 2048, 55.04, P5_SPOT),
    ),
}
"""GPU class to machine types."""
