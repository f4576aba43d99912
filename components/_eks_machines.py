"""EC2 instance types: which processor and which GPUs a family has, and so which machine image fits."""

import re
from typing import Optional

from components._limits import Problems

_TYPE = re.compile(r"(?P<letters>[a-z]+)(?P<generation>[0-9]+)(?P<options>[a-z-]*)\.[a-z0-9-]+")


def is_gpu(machine_type: str) -> bool:
    """Whether an instance type has NVIDIA GPUs: families g and p, except AMD's g4ad."""
    found = _TYPE.fullmatch(machine_type)
    return found is not None and found["letters"] in ("g", "p") and found["options"] != "ad"


def ami_type(machine_types: list[str]) -> str:
    """Managed node image of interchangeable instance types: Amazon Linux 2023, the NVIDIA driver in it for GPUs.

    An image without the driver starts on a GPU machine, and no GPU ever shows up there.
    """
    found = _TYPE.fullmatch(machine_types[0])
    processor = "ARM_64" if found is not None and "g" in found["options"] else "x86_64"
    return f"AL2023_{processor}_{'NVIDIA' if is_gpu(machine_types[0]) else 'STANDARD'}"


def machine_problems(argument: str, machine_types: Optional[list[str]], gpu: bool) -> Problems:
    """Problems of the instance types of one pool, which share one image: all with GPUs or none, one processor.

    Args:
        argument: Name of the argument (camelCase).
        machine_types: The types; none when the argument is not given.
        gpu: Whether the pool is one of GPUs.
    """
    if machine_types is None:
        return []
    if not machine_types:
        return [(argument, "must name at least one instance type")]
    kind = "an NVIDIA GPU" if gpu else "no GPU"
    bad = [
        (argument, f"must be EC2 instance types with {kind}, got {each!r}")
        for each in machine_types
        if _TYPE.fullmatch(each) is None or is_gpu(each) != gpu
    ]
    if not bad and len({ami_type([each]) for each in machine_types}) > 1:
        bad.append((argument, f"must have one kind of processor, got {', '.join(machine_types)}"))
    return bad
