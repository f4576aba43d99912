"""What Google Cloud says before anything is created: quotas, machine types by zone, Kubernetes versions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pulumi_gcp as gcp

from components._gpu_catalog import machine
from components._preflight_calls import Question, Unanswered, ask_all
from components._preflight_models import check_system_pool
from components._preflight_quota import Demand, Quota, compare
from components._preflight_report import Report, SiteNeeds
from components._preflight_versions import check_version
from components.gke_network import DEFAULT_CIDR, PODS_CIDR, SERVICES_CIDR
from components.gke_node_pool import DEFAULT_MACHINE_TYPE
from serving.settings import GcpSite

NETWORK = DEFAULT_CIDR
"""Range of a site without `cidr`."""
CLUSTER_RANGES = (PODS_CIDR, SERVICES_CIDR)
"""Ranges of pods and services that a site's network must keep free of."""
ALL_REGIONS = "GPUS_ALL_REGIONS"
_FAMILIES = {"NVIDIA_H100_GPUS": "NVIDIA_H100"}
"""Metrics that have one quota for all newer GPUs, told apart by its dimension `gpu_family`."""
_SPOT = "PREEMPTIBLE_"
_SHARED_CPUS = ("e2", "n1")
"""Machine families that count against CPUS; every other one has a quota of its own."""
_UNLIMITED = -1


async def check(sites: Sequence[SiteNeeds], report: Report) -> None:
    """Ask Google Cloud, at the same time, whether it can give what its sites need, and report what it cannot."""
    demand = Demand()
    for needs in sites:
        _add_gpu_pools(needs, demand)
    answers = await ask_all(_questions(sites, demand))
    machines = await ask_all(_machine_questions(sites, answers))
    for needs in sites:
        _check_version(needs, answers["versions", _project(needs), needs.site.location_name], report)
        _check_machines(needs, answers, machines, report)
        _check_system_pool(needs, answers, machines, demand, report)
    values = {key: _granted(key, answer) for key, answer in answers.items() if isinstance(key, Quota)}
    # Spot machines count against the ordinary quota of a project that was granted none for spot.
    demand.wants = [
        replace(want, quota=_regular(want.quota)) if values[want.quota] in (None, 0) and _is_spot(want.quota) else want
        for want in demand.wants
    ]
    demand.wants += [
        replace(want, quota=_everywhere(want.quota)) for want in demand.wants if want.quota.code.startswith("NVIDIA_")
    ]
    limits = {
        quota: Unanswered("the answer names no value") if value is None else value for quota, value in values.items()
    }
    compare(report, demand, limits, raise_by=_raise_by, see_by=_see_by)


def _project(needs: SiteNeeds) -> str:
    return needs.site.project if isinstance(needs.site, GcpSite) else ""


def _quota(needs: SiteNeeds, code: str) -> Quota:
    unit = "GPUs" if code.endswith("_GPUS") else "vCPUs"
    kind = "spot" if code.startswith(_SPOT) else "on-demand"
    return Quota(f"{_project(needs)}/{needs.site.location_name}", code, f"{unit} of {kind} machines")


def _is_spot(quota: Quota) -> bool:
    return quota.code.startswith(_SPOT)


def _regular(quota: Quota) -> Quota:
    return replace(quota, code=quota.code.removeprefix(_SPOT), what=quota.what.replace("spot", "on-demand"))


def _everywhere(quota: Quota) -> Quota:
    return Quota(quota.place.partition("/")[0], ALL_REGIONS, "GPUs of on-demand machines in all regions")


def _cpu_quota(needs: SiteNeeds, machine_type: str, *, spot: bool = False) -> Quota:
    family = machine_type.partition("-")[0]
    own = "" if family in _SHARED_CPUS else f"{family.upper()}_"
    return _quota(needs, f"{_SPOT if spot else ''}{own}CPUS")


def _add_gpu_pools(needs: SiteNeeds, demand: Demand) -> None:
    for pool, plans in needs.plans.items():
        for plan in plans:
            row = machine("gcp", plan.machine_types[0])
            # A reservation has used up its quota already: nodes that go into it need no more.
            if row is None or plan.reservation_id is not None:
                continue
            path, count = f"pools.{pool}.max", plan.max_nodes
            demand.add(_quota(needs, row.spot_quota if plan.spot else row.quota), count * row.gpus, path, needs)
            # Machine types that come with their GPUs are limited by the quota of these.
            if row.machine_type.startswith("n1-"):
                demand.add(_cpu_quota(needs, row.machine_type, spot=plan.spot), count * row.vcpus, path, needs)


def _questions(sites: Sequence[SiteNeeds], demand: Demand) -> dict[Any, Question]:
    asked: dict[Any, Question] = {}
    for needs in sites:
        project, region = _project(needs), needs.site.location_name
        asked["zones", project, region] = Question(
            needs,
            "gcp:compute/getZones:getZones",
            {"project": project, "region": region, "status": "UP"},
            gcp.compute.GetZonesResult,
        )
        asked["versions", project, region] = Question(
            needs,
            "gcp:container/getEngineVersions:getEngineVersions",
            {"project": project, "location": region},
            gcp.container.GetEngineVersionsResult,
        )
        own = [quota for quota in demand.quotas if quota.place == f"{project}/{region}"]
        for quota in {*own, *map(_regular, own), *map(_everywhere, own), _cpu_quota(needs, _system_machine(needs))}:
            asked[quota] = Question(
                needs,
                "gcp:cloudquota/getSQuotaInfo:getSQuotaInfo",
                {
                    "parent": f"projects/{project}",
                    "service": "compute.googleapis.com",
                    "quotaId": _quota_id(quota.code),
                },
                gcp.cloudquota.GetSQuotaInfoResult,
            )
    return asked


def _quota_id(code: str) -> str:
    """Id of a metric's quota, https://cloud.google.com/docs/quotas/reference/rest (2026-08)."""
    if code == ALL_REGIONS:
        return "GPUS-ALL-REGIONS-per-project"
    if code in _FAMILIES:
        return "GPUS-PER-GPU-FAMILY-per-project-region"
    return f"{code.replace('_', '-')}-per-project-region"


def _granted(quota: Quota, answer: Any) -> Any:
    """The value that is in force: a number, None where the answer names none, or why there is no answer."""
    if isinstance(answer, Unanswered):
        return answer
    region = quota.place.partition("/")[2] or "global"
    family = _FAMILIES.get(quota.code)
    # Ordered from the most to the least specific.
    for info in answer.dimensions_infos or ():
        fits = (info.dimensions or {}).get("gpu_family") in (None, family)
        if fits and region in (info.applicable_locations or ()):
            text = info.details[0].value if info.details else None
            value = int(text) if text else None
            return float("inf") if value == _UNLIMITED else value
    return None


def _machine_questions(sites: Sequence[SiteNeeds], answers: Mapping[Any, Any]) -> dict[Any, Question]:
    asked: dict[Any, Question] = {}
    for needs in sites:
        types = {_system_machine(needs), *(plan.machine_types[0] for plans in needs.plans.values() for plan in plans)}
        named = {zone for plans in needs.plans.values() for plan in plans for zone in plan.zones or ()}
        for zone in {*named, *_own_zones(needs, answers)}:
            asked[needs.name, zone] = Question(
                needs,
                "gcp:compute/getMachineTypes:getMachineTypes",
                {
                    "project": _project(needs),
                    "zone": zone,
                    "filter": " OR ".join(f'(name = "{name}")' for name in sorted(types)),
                },
                gcp.compute.GetMachineTypesResult,
            )
    return asked


def _own_zones(needs: SiteNeeds, answers: Mapping[Any, Any]) -> list[str]:
    """Zones of a site: its own, else all of the region, of which GKE chooses some."""
    named = list(getattr(needs.site, "zones", None) or ())
    answer = answers["zones", _project(needs), needs.site.location_name]
    return named or ([] if isinstance(answer, Unanswered) else list(answer.names))


def _system_machine(needs: SiteNeeds) -> str:
    return needs.settings.system_pool.machine.gcp or DEFAULT_MACHINE_TYPE


def _check_version(needs: SiteNeeds, answer: Any, report: Report) -> None:
    place = f"--project {_project(needs)} --region {needs.site.location_name}"
    if not isinstance(answer, Unanswered):
        answer = {".".join(version.split(".")[:2]) for version in answer.valid_master_versions}
    check_version(needs, "GKE", answer, f"gcloud container get-server-config {place}", report)


def _check_machines(needs: SiteNeeds, answers: Mapping[Any, Any], machines: Mapping[Any, Any], report: Report) -> None:
    own, named = _own_zones(needs, answers), getattr(needs.site, "zones", None)
    if not own:
        reason = answers["zones", _project(needs), needs.site.location_name].reason
        report.warning(f"site {needs.name}: its zones are not known ({reason}); name them in sites.{needs.name}.zones")
    pools = [
        (f"pools.{pool}", plan.machine_types[0], plan.zones or own, bool(plan.zones or named))
        for pool, plans in needs.plans.items()
        for plan in plans
    ]
    for path, name, zones, chosen in [*pools, ("systemPool.machine.gcp", _system_machine(needs), own, bool(named))]:
        row = machine("gcp", name)
        if name.startswith("n1-") and row is not None:
            report.warning(
                f"site {needs.name}: which zones have {row.accelerator} cannot be asked here: gcloud compute "
                f'accelerator-types list --project {_project(needs)} --filter "name={row.accelerator}"'
            )
        _check_zones(needs, path, name, {zone: machines[needs.name, zone] for zone in zones}, chosen, report)


def _check_zones(
    needs: SiteNeeds, path: str, name: str, answers: Mapping[str, Any], chosen: bool, report: Report
) -> None:
    for zone, answer in answers.items():
        if isinstance(answer, Unanswered):
            report.warning(
                f"site {needs.name}: the machine types of {zone} are not known ({answer.reason}): "
                f"gcloud compute machine-types list --project {_project(needs)} --zones {zone}"
            )
    known = {
        zone: name in [each.name for each in answer.machine_types]
        for zone, answer in answers.items()
        if not isinstance(answer, Unanswered)
    }
    lacking = [zone for zone, has in known.items() if not has]
    having = ", ".join(zone for zone, has in known.items() if has)
    if lacking and (chosen or not having):
        report.problem(
            path,
            f"{name} is not offered in {', '.join(lacking)}",
            where=needs.name,
            fix=f"keep to {having}" if having else "use another class, machine type, zone or region",
        )
    elif lacking:
        report.warning(
            f"site {needs.name}: {path}: {name} is not offered in {', '.join(lacking)}, which GKE may choose; "
            f"set zones to {having}"
        )


def _check_system_pool(
    needs: SiteNeeds, answers: Mapping[Any, Any], machines: Mapping[Any, Any], demand: Demand, report: Report
) -> None:
    name = _system_machine(needs)
    lists = (machines[needs.name, zone] for zone in _own_zones(needs, answers))
    found = [
        each for one in lists if not isinstance(one, Unanswered) for each in one.machine_types if each.name == name
    ]
    if not found:
        report.warning(f"site {needs.name}: the size of {name} is not known, so neither is how much quota it needs")
        return
    check_system_pool(needs, name, found[0].guest_cpus, found[0].memory_mb / 1024, report)
    amount = needs.settings.system_pool.max * found[0].guest_cpus
    demand.add(_cpu_quota(needs, name), amount, "systemPool.max", needs)


def _raise_by(quota: Quota, need: float) -> str:
    project, _, region = quota.place.partition("/")
    family = f",gpu_family={_FAMILIES[quota.code]}" if quota.code in _FAMILIES else ""
    where = f" --dimensions=region={region}{family}" if region else ""
    return (
        f"gcloud beta quotas preferences create --service=compute.googleapis.com --project={project} "
        f"--quota-id={_quota_id(quota.code)} --preferred-value={need:g}{where}"
    )


def _see_by(place: str) -> str:
    project, _, region = place.partition("/")
    return (
        f"gcloud compute regions describe {region} --project {project}"
        if region
        else f"gcloud compute project-info describe --project {project}"
    )
