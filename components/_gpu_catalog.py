"""Which machine types carry which class of GPU in each cloud, cheapest first."""

from typing import Optional

from components import _gpu_machines_aws, _gpu_machines_azure, _gpu_machines_gcp
from components._gpu_machine import GpuMachine
from serving.settings_pools import GPU_CLASSES

_MACHINES = {
    "aws": _gpu_machines_aws.MACHINES,
    "gcp": _gpu_machines_gcp.MACHINES,
    "azure": _gpu_machines_azure.MACHINES,
}
CATALOG: dict[str, dict[str, tuple[GpuMachine, ...]]] = {
    gpu_class: {cloud: machines[gpu_class] for cloud, machines in _MACHINES.items() if gpu_class in machines}
    for gpu_class in GPU_CLASSES
}
"""GPU class to cloud to machine types, by rising price. A cloud that lacks a class has no entry."""

_BLACKWELL = ("B100", "B200", "B300", "GB200", "GB300", "RTX-PRO-6000", "BLACKWELL")


def has_machines(cloud: str) -> bool:
    """Whether nodes are made on a cloud; a cluster that exists already brings its own."""
    return cloud in _MACHINES


def classes(cloud: str) -> tuple[str, ...]:
    """GPU classes that a cloud has."""
    return tuple(name for name, clouds in CATALOG.items() if cloud in clouds)


def refusal(cloud: str, gpu_class: str) -> Optional[str]:
    """Why a cloud has no machine for a GPU class, with the classes it has; None when it has one."""
    allowed = ", ".join(classes(cloud))
    if gpu_class.upper().replace("_", "-").startswith(_BLACKWELL):
        return (
            f"{gpu_class} is a Blackwell GPU, which TensorFlow Serving's CUDA 12.5 has no kernels for; "
            f"on {cloud} use one of {allowed}"
        )
    if gpu_class not in CATALOG:
        return f"{gpu_class!r} is not a known GPU class; on {cloud} use one of {allowed}"
    if cloud not in CATALOG[gpu_class]:
        return f"{cloud} offers no {gpu_class} GPU; use one of {allowed}, or name one of them in accept"
    return None


def resolve(cloud: str, gpu_class: str, accept: Optional[list[str]] = None) -> str:
    """Choose the GPU class of a pool on a cloud: the wanted one, else the first accepted one that the cloud has.

    Raises:
        ValueError: If a name is no GPU class, or the cloud has none of them; the text lists what it has.
    """
    wanted: tuple[str, ...] = (gpu_class, *(accept or ()))
    unknown = next((name for name in wanted if name not in CATALOG), None)
    found = next((name for name in wanted if name in classes(cloud)), None)
    if unknown is None and found is not None:
        return found
    reason = refusal(cloud, unknown or gpu_class) or ""
    if unknown is None and accept:
        reason = reason.replace(" GPU;", f" GPU and none of accept ({', '.join(accept)});", 1)
    raise ValueError(reason)


def machine(cloud: str, machine_type: str) -> Optional[GpuMachine]:
    """The catalog's row of a machine type; None when there is none."""
    rows = (row for clouds in CATALOG.values() for row in clouds.get(cloud, ()))
    return next((row for row in rows if row.machine_type == machine_type), None)


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


def machine_problem(cloud: str, gpu_class: str, machine_types: list[str]) -> Optional[str]:
    """Why machine types cannot make up a pool of a GPU class that the cloud has; None when they can."""
    rows = {row.machine_type: row for row in CATALOG[gpu_class][cloud]}
    part = next((name for name in machine_types if name in _gpu_machines_azure.FRACTIONAL), None)
    if part is not None:
        whole = ", ".join(row.machine_type for row in CATALOG["A10G-class"]["azure"])
        return f"{part} has {_gpu_machines_azure.FRACTIONAL[part]} of a GPU, shared with strangers; use {whole}"
    unknown = [name for name in machine_types if name not in rows]
    if unknown:
        return f"{', '.join(unknown)}: no {gpu_class} machine type of {cloud}; use some of {', '.join(rows)}"
    if len(set(machine_types)) < len(machine_types):
        return f"must differ, got {', '.join(machine_types)}; name each machine type once"
    if len({rows[name].gpus for name in machine_types}) > 1:
        counts = ", ".join(f"{name} has {rows[name].gpus}" for name in machine_types)
        return f"must have the same number of GPUs, which an autoscaler counts with; {counts}"
    return None
