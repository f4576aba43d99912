"""What AWS says before anything is created: quotas, instance types by zone, Kubernetes versions."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi_aws as aws

from components import _gpu_machines_aws as rows
from components._gpu_catalog import machine
from components._preflight_calls import Question, Unanswered, ask_all
from components._preflight_models import check_system_pool
from components._preflight_quota import Demand, Quota, compare
from components._preflight_report import Report, SiteNeeds
from components._preflight_versions import check_version
from components.aws_site import ZONES
from components.eks_network import DEFAULT_CIDR
from components.eks_node_pool import DEFAULT_MACHINE_TYPE

NETWORK = DEFAULT_CIDR
"""Range of a site without `cidr`."""
CLUSTER_RANGES: tuple[str, ...] = ()
"""Ranges of pods and services that a site's network must keep free of: EKS has pods in the network itself."""
_STANDARD = "L-1216C47A"
_STANDARD_FAMILIES = ("a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z")
_WHAT = {
    _STANDARD: "vCPUs of on-demand standard instances",
    rows.G: "vCPUs of on-demand G and VT instances",
    rows.G_SPOT: "vCPUs of spot G and VT instances",
    rows.P: "vCPUs of on-demand P instances",
    rows.P_SPOT: "vCPUs of spot P4, P3 and P2 instances",
    rows.P5_SPOT: "vCPUs of spot P5 instances",
}


async def check(sites: Sequence[SiteNeeds], report: Report) -> None:
    """Ask AWS, once and at the same time, whether it can give what its sites need, and report what it cannot."""
    demand = Demand()
    for needs in sites:
        _add_gpu_pools(needs, demand)
    answers = await ask_all(_questions(sites, demand))
    for needs in sites:
        _check_version(needs, answers["versions", needs.site.location_name], report)
        _check_offers(needs, answers, report)
        _check_system_pool(needs, answers, demand, report)
    limits = {
        quota: answer if isinstance(answer := answers[quota], Unanswered) else answer.value for quota in demand.quotas
    }
    compare(report, demand, limits, raise_by=_raise_by, see_by=_see_by)


def _questions(sites: Sequence[SiteNeeds], demand: Demand) -> dict[Any, Question]:
    asked: dict[Any, Question] = {}
    types: dict[str, set[str]] = defaultdict(set)
    for needs in sites:
        types[needs.site.location_name] |= {_system_machine(needs), *_machine_types(needs)}
    for needs in sites:
        region, system = needs.site.location_name, _system_machine(needs)
        asked["zones", region] = Question(
            needs,
            "aws:index/getAvailabilityZones:getAvailabilityZones",
            {"state": "available", "filters": [{"name": "opt-in-status", "values": ["opt-in-not-required"]}]},
            aws.GetAvailabilityZonesResult,
        )
        asked["offers", region] = Question(
            needs,
            "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings",
            {
                "locationType": "availability-zone",
                "filters": [{"name": "instance-type", "values": sorted(types[region])}],
            },
            aws.ec2.GetInstanceTypeOfferingsResult,
        )
        asked["versions", region] = Question(
            needs, "aws:eks/getClusterVersions:getClusterVersions", {}, aws.eks.GetClusterVersionsResult
        )
        asked["machine", region, system] = Question(
            needs,
            "aws:ec2/getInstanceType:getInstanceType",
            {"instanceType": system},
            aws.ec2.GetInstanceTypeResult,
        )
        for quota in {*demand.quotas, _system_quota(needs)}:
            if quota.place == region and quota.code:
                asked[quota] = Question(
                    needs,
                    "aws:servicequotas/getServiceQuota:getServiceQuota",
                    {"serviceCode": "ec2", "quotaCode": quota.code},
                    aws.servicequotas.GetServiceQuotaResult,
                )
    return asked


def _add_gpu_pools(needs: SiteNeeds, demand: Demand) -> None:
    region = needs.site.location_name
    for pool, plans in needs.plans.items():
        for plan in plans:
            # A reservation counts against the quota from the day it is made, whether it is used or not, and a Capacity
            # Block does not count at all: nodes that go into either need no more.
            if plan.reservation_id is not None:
                continue
            found = [row for name in plan.machine_types if (row := machine("aws", name)) is not None]
            row = min(found, key=lambda each: each.vcpus)
            code = row.spot_quota if plan.spot else row.quota
            demand.add(Quota(region, code, _WHAT[code]), plan.max_nodes * row.vcpus, f"pools.{pool}.max", needs)


def _machine_types(needs: SiteNeeds) -> set[str]:
    return {name for plans in needs.plans.values() for plan in plans for name in plan.machine_types}


def _system_machine(needs: SiteNeeds) -> str:
    return needs.settings.system_pool.machine.aws or DEFAULT_MACHINE_TYPE


def _system_quota(needs: SiteNeeds) -> Quota:
    """The quota of the pool without GPUs; one without a code for an unusual family."""
    family = re.match("[a-z]+", _system_machine(needs))
    code = _STANDARD if family is not None and family.group() in _STANDARD_FAMILIES else ""
    return Quota(needs.site.location_name, code, _WHAT[_STANDARD] if code else "vCPUs")


def _check_version(needs: SiteNeeds, answer: Any, report: Report) -> None:
    command = f"aws eks describe-cluster-versions --region {needs.site.location_name}"
    if isinstance(answer, Unanswered):
        check_version(needs, "EKS", answer, command, report)
        return
    offered = {each.cluster_version: each.version_status for each in answer.cluster_versions}
    usable = [version for version, status in offered.items() if status != "UNSUPPORTED"]
    check_version(needs, "EKS", usable, command, report)
    wanted = needs.settings.kubernetes_version
    if offered.get(wanted) == "EXTENDED_SUPPORT":
        report.warning(
            f"site {needs.name}: EKS supports Kubernetes {wanted} at extra cost only and will upgrade the cluster by "
            "itself; raise kubernetesVersion"
        )


def _check_offers(needs: SiteNeeds, answers: Mapping[Any, Any], report: Report) -> None:
    region = needs.site.location_name
    offers, zones = answers["offers", region], answers["zones", region]
    if isinstance(offers, Unanswered):
        report.warning(
            f"site {needs.name}: it is not known which zones offer the pools' instance types ({offers.reason}): "
            f"aws ec2 describe-instance-type-offerings --location-type availability-zone --region {region}"
        )
        return
    places: dict[str, set[str]] = defaultdict(set)
    for name, zone in zip(offers.instance_types, offers.locations, strict=True):
        places[name].add(zone)
    own = list(getattr(needs.site, "zones", None) or ())
    if not own and isinstance(zones, Unanswered):
        report.warning(f"site {needs.name}: the zones of {region} are not known ({zones.reason}); name them in zones")
    elif not own:
        own = zones.names[:ZONES]
    for pool, plan in ((pool, plan) for pool, plans in needs.plans.items() for plan in plans):
        outside = [zone for zone in plan.zones or () if own and zone not in own]
        if outside:
            report.problem(
                f"pools.{pool}",
                f"the cluster has no subnet in {', '.join(outside)}",
                have=", ".join(own),
                where=needs.name,
                fix=f"name these zones in sites.{needs.name}.zones too, or keep the pool to those that the site has",
            )
    pools = [
        (f"pools.{pool}", plan.machine_types, plan.zones or own)
        for pool, plans in needs.plans.items() for plan in plans
    ]  # fmt: skip
    for path, types, wanted in [*pools, ("systemPool.machine.aws", [_system_machine(needs)], own)]:
        found = set().union(*(places[name] for name in types))
        lacking = [zone for zone in wanted if zone not in found]
        if wanted and len(lacking) < len(wanted) and lacking:
            report.warning(
                f"site {needs.name}: {path} can have no nodes in {', '.join(lacking)}, which offers no "
                f"{' or '.join(types)}; {', '.join(sorted(found))} would"
            )
        elif not found or (wanted and lacking):
            elsewhere = ", ".join(sorted(found))
            report.problem(
                path,
                f"{' or '.join(types)} is not offered in {', '.join(wanted) or region}",
                where=needs.name,
                fix=f"set zones to some of {elsewhere}" if elsewhere else "use another class, machine type or region",
            )


def _check_system_pool(needs: SiteNeeds, answers: Mapping[Any, Any], demand: Demand, report: Report) -> None:
    name, quota = _system_machine(needs), _system_quota(needs)
    answer = answers["machine", needs.site.location_name, name]
    if isinstance(answer, Unanswered):
        report.warning(f"site {needs.name}: the size of {name} is not known ({answer.reason}), so neither is its quota")
        return
    check_system_pool(needs, name, answer.default_vcpus, answer.memory_size / 1024, report)
    if not quota.code:
        report.warning(f"site {needs.name}: the quota of {name} is not known; see Service Quotas for its family")
        return
    demand.add(quota, needs.settings.system_pool.max * answer.default_vcpus, "systemPool.max", needs)


def _raise_by(quota: Quota, need: float) -> str:
    return (
        f"aws service-quotas request-service-quota-increase --service-code ec2 --quota-code {quota.code} "
        f"--desired-value {need:g} --region {quota.place}"
    )


def _see_by(place: str) -> str:
    return f"aws service-quotas list-service-quotas --service-code ec2 --region {place}"
