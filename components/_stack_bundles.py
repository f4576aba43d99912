"""The bundles that a stack's settings name, read and checked before anything is declared."""

from collections.abc import Mapping
from pathlib import Path

import pulumi

from components._stack_pools import pool_problems
from serving.bundles import Bundle, BundleError, load_bundle
from serving.settings import Settings
from serving.signatures import SignatureError, load_signer

Bundles = Mapping[tuple[str, int], Bundle]


def load_bundles(settings: Settings) -> Bundles:
    """Read and check every bundle version that the settings name, and every pool against its clouds.

    Raises:
        pulumi.RunError: With every problem and its path, before any resource is declared.
    """
    found: dict[tuple[str, int], Bundle] = {}
    signers, problems = [], []
    for position, value in enumerate(settings.signers):
        try:
            signers.append(load_signer(value))
        except SignatureError as error:
            problems.append(f"signers.{position}: {error}")
    for model, wanted in settings.models.items():
        versions = {"stable": wanted.stable}
        if wanted.canary is not None:
            versions["canary.version"] = wanted.canary.version
        for field, version in versions.items():
            try:
                bundle = load_bundle(Path(wanted.bundle), version, signers)
            except BundleError as error:
                problems.append(f"models.{model}.{field}: {error}")
                continue
            if bundle.manifest.name != model:
                problems.append(
                    f"models.{model}.bundle: {wanted.bundle} holds bundles of the model {bundle.manifest.name!r}; "
                    f"name another folder, or rename the model"
                )
            found[(model, version)] = bundle
    problems += pool_problems(settings)
    if problems:
        lines = "\n".join(f"  tricorn:settings.{line}" for line in problems)
        raise pulumi.RunError(f"Pulumi.{pulumi.get_stack()}.yaml cannot be deployed:\n{lines}")
    return found
