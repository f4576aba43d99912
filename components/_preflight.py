"""What a stack needs of its clouds, asked before any resource is made."""

import asyncio
import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, Optional

import pulumi

# The SDK's own plain invokes wait with this; it has no public form for several calls at once.
from pulumi.runtime.sync_await import _sync_await

from components._preflight_models import check_containers, check_models
from components._preflight_report import Report, ServerNeeds, SiteNeeds
from components._preflight_static import check_examples, check_images, check_names, check_networks
from components._stack import Providers
from components._stack_bundles import Bundles
from components._stack_pools import site_plans
from serving.manifests import server_memory_mib
from serving.settings import Settings


def preflight(settings: Settings, bundles: Bundles, providers: Providers) -> None:
    """Ask every cloud whether it can give what the settings want; what cannot be learned is a warning.

    Sites that are frozen are left out: their cloud may not answer, and nothing of theirs changes.

    Raises:
        pulumi.RunError: With every finding in one report.
    """
    report = Report()
    frozen = [name for name in settings.sites if name in settings.frozen]
    if frozen:
        report.warning(f"frozen, so nothing of theirs was checked: {', '.join(frozen)}")
    sites = [_needs(name, settings, bundles, providers) for name in settings.sites if name not in frozen]
    modules = {cloud: _module(cloud) for cloud in dict.fromkeys(needs.site.cloud for needs in sites)}
    known = {cloud: module for cloud, module in modules.items() if module is not None}
    for needs in sites:
        check_names(needs, report)
        check_containers(needs, report)
        check_models(needs, report)
    check_networks(
        sites,
        {cloud: module.NETWORK for cloud, module in known.items()},
        {cloud: module.CLUSTER_RANGES for cloud, module in known.items()},
        report,
    )
    check_images(settings, sites, report)
    check_examples(settings, sites, report)
    _sync_await(_ask(known, sites, report))
    for warning in report.warnings:
        pulumi.log.warn(f"preflight: {warning}")
    if report.problems:
        lines = "\n".join(f"  tricorn:settings.{line}" for line in report.problems)
        raise pulumi.RunError(f"Pulumi.{pulumi.get_stack()}.yaml asks for what the clouds cannot give:\n{lines}")


async def _ask(modules: Mapping[Any, ModuleType], sites: Sequence[SiteNeeds], report: Report) -> None:
    await asyncio.gather(
        *(
            module.check([needs for needs in sites if needs.site.cloud == cloud], report)
            for cloud, module in modules.items()
        )
    )


def _module(cloud: str) -> Optional[ModuleType]:
    """The module that asks a cloud; None where there is no cloud to ask."""
    name = f"components.{cloud}_preflight"
    return importlib.import_module(name) if importlib.util.find_spec(name) is not None else None


def _needs(name: str, settings: Settings, bundles: Bundles, providers: Providers) -> SiteNeeds:
    servers = [
        ServerNeeds(
            model=model,
            version=version,
            pool=wanted.pool,
            cpu=wanted.resources.cpu,
            memory_mib=server_memory_mib(wanted.resources, bundles[model, version].manifest),
            peak_mib=bundles[model, version].manifest.measured.peak_memory_mib,
            least=wanted.replicas.min,
        )
        for model, wanted in settings.models.items()
        for version in wanted.versions_at(name)
    ]
    return SiteNeeds(name, settings.sites[name], settings, providers[name], site_plans(name, settings), servers)
