"""What must be known of Azure before anything is created.

The provider has no function for quotas, sizes by zone or Kubernetes versions: the API answers them in lists that belong
to no resource. What the sites need is added up here and told with the commands that show it.
"""

import re
from collections.abc import Sequence

from components._gpu_catalog import machine
from components._preflight_calls import Unanswered
from components._preflight_models import check_system_pool
from components._preflight_quota import Demand, Quota, compare
from components._preflight_report import Report, SiteNeeds
from components.aks_network import DEFAULT_CIDR, PODS_CIDR, SERVICES_CIDR
from components.aks_node_pool import DEFAULT_MACHINE_TYPE
from serving.settings import AzureSite

NETWORK = DEFAULT_CIDR
"""Range of a site without `cidr`."""
CLUSTER_RANGES = (PODS_CIDR, SERVICES_CIDR)
"""Ranges of pods and services that a site's network must keep free of."""
_SIZE = re.compile(r"Standard_(?P<family>[A-Z]+)(?P<vcpus>[0-9]+)(?P<features>[a-z]*)_v(?P<generation>[0-9]+)")
_GENERAL_MEMORY_GIB = 4
"""Memory per vCPU of the D family."""
_NO_FUNCTION = "the provider has no function that tells it"


async def check(sites: Sequence[SiteNeeds], report: Report) -> None:
    """Report what the sites of Azure need and nobody can be asked about."""
    demand = Demand()
    for needs in sites:
        _add_pools(needs, demand, report)
        location = needs.site.location_name
        report.warning(
            f"site {needs.name}: whether AKS has Kubernetes {needs.settings.kubernetes_version} is not known "
            f"({_NO_FUNCTION}): az aks get-versions --location {location} --output table"
        )
        for plan in (plan for plans in needs.plans.values() for plan in plans):
            zones = f" in zones {', '.join(plan.zones)}" if plan.zones else ""
            report.warning(
                f"site {needs.name}: whether {location} offers {plan.machine_types[0]}{zones} is not known "
                f"({_NO_FUNCTION}): az vm list-skus --location {location} --size {plan.machine_types[0]} --zone --all"
            )
    unknown = Unanswered(_NO_FUNCTION)
    compare(report, demand, dict.fromkeys(demand.quotas, unknown), raise_by=lambda quota, need: "", see_by=_see_by)


def _add_pools(needs: SiteNeeds, demand: Demand, report: Report) -> None:
    system = needs.settings.system_pool.machine.azure or DEFAULT_MACHINE_TYPE
    size = _SIZE.fullmatch(system)
    if size is None:
        report.warning(f"site {needs.name}: the size of {system} is not known, so neither is how much quota it needs")
    else:
        vcpus = int(size["vcpus"])
        family = f"standard{size['family']}{size['features'].upper()}v{size['generation']}Family"
        _add(needs, demand, family, "on-demand", needs.settings.system_pool.max * vcpus, "systemPool.max")
        if size["family"] == "D":
            check_system_pool(needs, system, vcpus, vcpus * _GENERAL_MEMORY_GIB, report)
    for pool, plans in needs.plans.items():
        for plan in plans:
            row = machine("azure", plan.machine_types[0])
            # A capacity reservation has used up its quota already: nodes that go into it need no more.
            if row is not None and plan.reservation_id is None:
                code, kind = (row.spot_quota, "spot") if plan.spot else (row.quota, "on-demand")
                _add(needs, demand, code, kind, plan.max_nodes * row.vcpus, f"pools.{pool}.max")


def _add(needs: SiteNeeds, demand: Demand, code: str, kind: str, vcpus: int, path: str) -> None:
    subscription = needs.site.subscription if isinstance(needs.site, AzureSite) else ""
    place = f"{subscription}/{needs.site.location_name}"
    demand.add(Quota(place, code, f"vCPUs of {kind} machines"), vcpus, path, needs)
    if kind == "on-demand":
        demand.add(Quota(place, "cores", "vCPUs of on-demand machines of all families"), vcpus, path, needs)


def _see_by(place: str) -> str:
    subscription, _, location = place.partition("/")
    return (
        f"az vm list-usage --subscription {subscription} --location {location} --output table; more by "
        f"az quota update --scope /subscriptions/{subscription}/providers/Microsoft.Compute/locations/{location} "
        "--resource-name NAME --limit-object value=N --resource-type dedicated"
    )
