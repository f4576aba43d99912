"""The bundles that a stack's settings name, read and checked before anything is declared."""

from collections.abc import Mapping
from pathlib import Path

import pulumi

from components._gpu_catalog import refusal
from serving.bundles import Bundle, BundleError, load_bundle
from serving.settings import Settings
from serving.settings_sites import CloudSite

Bundles = Mapping[tuple[str, int], Bundle]


def load_bundles(settings: Settings) -> Bundles:
    """Read and check every bundle version that the settings name, and every GPU class against its clouds.

    Raises:
        pulumi.RunError: With every problem and its path, before any resource is declared.
    """
    found: dict[tuple[str, int], Bundle] = {}
    problems = []
    for model, wanted in settings.models.items():
        versions = {"stable": wanted.stable}
        if wanted.canary is not None:
            versions["canary.version"] = wanted.canary.version
        for field, version in versions.items():
            try:
                bundle = load_bundle(Path(wanted.bundle), version)
            except BundleError as error:
                problems.append(f"models.{model}.{field}: {error}")
                continue
            if bundle.manifest.name != model:
                problems.append(
                    f"models.{model}.bundle: {wanted.bundle} holds bundles of the model {bundle.manifest.name!r}; "
                    f"name another folder, or rename the model"
                )
            found[(model, version)] = bundle
    for site_name, site in settings.sites.items():
        if not isinstance(site, CloudSite):
            continue  # an existing cluster has the nodes it has
        for pool_name, pool in settings.pools.items():
            if (reason := refusal(site.cloud, pool.gpu)) is not None:
                problems.append(f"pools.{pool_name}.gpu: {reason} (got {pool.gpu!r}, needed at site {site_name})")
    if problems:
        lines = "\n".join(f"  tricorn:settings.{line}" for line in problems)
        raise pulumi.RunError(f"Pulumi.{pulumi.get_stack()}.yaml cannot be deployed:\n{lines}")
    return found
