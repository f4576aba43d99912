"""Section of the settings about GPU nodes: one policy per pool, translated by every cloud's catalog."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from serving.settings_base import Block

GPU_CLASSES = ("T4-class", "L4-class", "A10G-class", "A100-40", "A100-80", "H100")
"""Names a pool's `gpu` may have; a cloud's catalog maps each to machine types."""

_BLACKWELL = ("b100", "b200", "b300", "gb200", "gb300", "rtx-pro-6000", "rtxpro6000", "blackwell")


def _gpu_class(value: object) -> object:
    """Refuse what no kernel of the server's CUDA runs on."""
    if isinstance(value, str) and any(value.lower().startswith(name) for name in _BLACKWELL):
        raise ValueError(
            "must not be a Blackwell GPU: TensorFlow Serving's CUDA 12.5 has no kernels for it; "
            f"use one of {', '.join(GPU_CLASSES)}"
        )
    return value


GpuClass = Annotated[
    Literal["T4-class", "L4-class", "A10G-class", "A100-40", "A100-80", "H100"], BeforeValidator(_gpu_class)
]


class Spot(Block):
    """How much of a pool is bought as interruptible capacity."""

    share: str = Field(pattern=r"^(100|[1-9]?[0-9])%$", description="part of max bought as spot capacity, 0% to 100%")
    fallback: Literal["on-demand", "none"] = Field(
        default="on-demand", description="what serves when spot capacity is gone: on-demand nodes, or none"
    )

    @property
    def share_percent(self) -> int:
        """The share as a whole number, 0 to 100."""
        return int(self.share.removesuffix("%"))


class Reservation(Block):
    """Capacity that is paid for already; on-demand nodes of the pool use it."""

    id: str = Field(
        min_length=1,
        description="AWS: cr-... ; Google Cloud: the reservation's name; Azure: id of the capacity reservation group",
    )
    kind: Literal["on-demand", "capacity-block"] = Field(
        default="on-demand", description="capacity-block for AWS Capacity Blocks, else on-demand"
    )


class PoolOverride(Block):
    """What differs from the pool's policy on one cloud or at one site."""

    gpu: GpuClass | None = Field(default=None, description="another GPU class")
    machines: Annotated[tuple[str, ...], Field(strict=False, min_length=1)] | None = Field(
        default=None, description="machine types of the catalog to use, in this order; all of the class when absent"
    )
    min: int | None = Field(default=None, ge=0, le=1000, description="fewest nodes, 0 to 1000")
    max: int | None = Field(default=None, ge=1, le=1000, description="most nodes, 1 to 1000")
    spot: Spot | None = Field(default=None, description="interruptible capacity")
    zones: Annotated[tuple[str, ...], Field(strict=False, min_length=1)] | None = Field(
        default=None, description="zones of the nodes; those of the site when absent"
    )
    reservation: Reservation | None = Field(default=None, description="capacity that is paid for already")


class GpuPool(Block):
    """One policy for GPU nodes, translated to machine types by every cloud's catalog."""

    gpu: GpuClass = Field(description=f"GPU class: {', '.join(GPU_CLASSES)}")
    accept: Annotated[tuple[GpuClass, ...], Field(strict=False)] = Field(
        default=(), description="classes to use, in this order, on a cloud that has no such GPU; else it is refused"
    )
    min: int = Field(default=0, ge=0, le=1000, description="fewest nodes in a site, 0 to 1000")
    max: int = Field(ge=1, le=1000, description="most nodes in a site, 1 to 1000")
    spot: Spot | None = Field(default=None, description="interruptible capacity; none when absent")
    overrides: dict[str, PoolOverride] = Field(
        default={}, description="what differs, by cloud (aws, gcp, azure) or by site; a site's goes before its cloud's"
    )
