"""The GPU pools of the stack's settings in the words of the components, and what the clouds cannot have of them."""

from typing import Any

import pulumi

from components._capacity import CapacityPolicy, PoolPlan, plans, policy_problems
from serving.settings import AnySite, AwsSite, GcpSite, GpuPool, PoolOverride, Settings

AZURE_ZONES = ("1", "2", "3")

_FIELDS = {
    "gpuClass": "gpu",
    "machineTypes": "machines",
    "maxNodes": "max",
    "minNodes": "min",
    "reservationId": "reservation.id",
    "reservationKind": "reservation.kind",
    "spotPercent": "spot.share",
}
"""Argument of `CapacityPolicy` to field of the settings."""


def site_policies(name: str, settings: Settings) -> dict[str, CapacityPolicy]:
    """GPU pools of a site: the policies of the settings with what differs on its cloud and at the site."""
    cloud = settings.sites[name].cloud
    return {pool: _policy(policy, cloud, name) for pool, policy in settings.pools.items()}


def site_plans(name: str, settings: Settings) -> dict[str, tuple[PoolPlan, ...]]:
    """Node pools of a site by the pool's name in the settings; none where the nodes exist already.

    Raises:
        ValueError: If the site's cloud cannot have one of them; `pool_problems` names all.
    """
    return {pool: plans(settings.sites[name].cloud, policy) for pool, policy in site_policies(name, settings).items()}


def pool_problems(settings: Settings) -> list[str]:
    """What the sites' clouds cannot have of the pools, one line each: path, reason, what is asked for and where."""
    found = []
    for name, site in settings.sites.items():
        for pool, wanted in settings.pools.items():
            try:
                policy = _policy(wanted, site.cloud, name)
            except pulumi.InputPropertiesError as error:
                found += [
                    f"pools.{pool}.{_FIELDS[each['property_path']]}: {each['reason']} (needed at site {name})"
                    for each in error.errors or ()
                ]
                continue
            for argument, reason in policy_problems(site.cloud, policy):
                got = {
                    "gpuClass": policy.gpu_class,
                    "machineTypes": ", ".join(policy.machine_types or ()),
                    "reservationId": policy.reservation_id,
                    "reservationKind": policy.reservation_kind,
                }[argument]
                found.append(f"pools.{pool}.{_FIELDS[argument]}: {reason} (got {got!r}, needed at site {name})")
            found += _zone_problems(
                f"pools.{pool}.overrides.{name if name in wanted.overrides else site.cloud}", site, policy
            )
    return found


def _zone_problems(path: str, site: AnySite, policy: CapacityPolicy) -> list[str]:
    if isinstance(site, AwsSite | GcpSite):
        bad, rule = [zone for zone in policy.zones or () if not zone.startswith(site.region)], f"zones of {site.region}"
    else:
        bad, rule = [zone for zone in policy.zones or () if zone not in AZURE_ZONES], "1, 2 or 3"
    return [f"{path}.zones: must be {rule} (got {', '.join(bad)}); name zones of the site"] if bad else []


def _policy(pool: GpuPool, cloud: str, site: str) -> CapacityPolicy:
    def chosen(field: str) -> Any:
        for key in (site, cloud):
            override = pool.overrides.get(key, PoolOverride())
            if (value := getattr(override, field)) is not None:
                return value
        return getattr(pool, field, None)

    spot, reservation, machines, zones = (chosen(each) for each in ("spot", "reservation", "machines", "zones"))
    return CapacityPolicy(
        gpu_class=chosen("gpu"),
        accept=list(pool.accept),
        min_nodes=chosen("min"),
        max_nodes=chosen("max"),
        spot_percent=spot.share_percent if spot else None,
        on_demand_fallback=spot.fallback == "on-demand" if spot else None,
        machine_types=list(machines) if machines else None,
        zones=list(zones) if zones else None,
        reservation_id=reservation.id if reservation else None,
        reservation_kind=reservation.kind if reservation else None,
    )
