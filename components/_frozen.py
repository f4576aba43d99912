"""Sites and authorities that a stack leaves as they are because their cloud does not answer.

The program declares nothing of them, so that no provider and no function of a dead cloud is ever called. The engine
deletes what a program no longer declares, unless it is told to leave it out: the variable that does so must name
everything of theirs, which is checked here against the stack's own state before anything is declared.
"""

import csv
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from serving.frozen import EXCLUDE_VARIABLE, frozen_resources
from serving.settings import Settings

_STATE_FUNCTION = "pulumi:pulumi:readStackResourceOutputs"
_STACK_TYPE = "pulumi:pulumi:Stack"


@dataclass(frozen=True)
class Frozen:
    """What is known of the sites and authorities that are left as they are."""

    outputs: Mapping[str, Any]
    """Outputs of the stack after its last update."""

    def of_site(self, output: str, site: str) -> Any:
        """What an output with an entry per site holds for a frozen site."""
        return (self.outputs.get(output) or {}).get(site)

    def name_servers(self, authority: str) -> list[str]:
        """Name servers of a frozen authority, `route53` or `cloud_dns`."""
        return list((self.outputs.get("name_servers") or {}).get(authority) or [])


def load_frozen(settings: Settings) -> Frozen:
    """Read what the stack knows of its frozen parts.

    Raises:
        pulumi.RunError: If the engine was not told to leave them out, or a frozen site was never there.
    """
    if not settings.frozen:
        return Frozen({})
    resources = _state()
    theirs = frozen_resources(resources, settings)
    missing = sorted(urn for urns in theirs.values() for urn in urns if not _excluded(urn))
    if missing:
        raise pulumi.RunError(
            f"Pulumi.{pulumi.get_stack()}.yaml: tricorn:settings.frozen names {', '.join(settings.frozen)}, but the "
            f"engine was not told to leave {len(missing)} of their resources as they are, {missing[0]} among them, and "
            f"would delete them. Run `python -m deploy up -s {pulumi.get_stack()}`, which tells it, in place of "
            "`pulumi up`; or remove frozen."
        )
    own = (each for each in resources.values() if each.get("type") == _STACK_TYPE)
    frozen = Frozen(next(own, {}).get("outputs") or {})
    unknown = [name for name in settings.frozen if name in settings.sites and not frozen.of_site("addresses", name)]
    if unknown:
        raise pulumi.RunError(
            f"Pulumi.{pulumi.get_stack()}.yaml: tricorn:settings.frozen names {', '.join(unknown)}, which this stack "
            "has not made yet, so there is nothing to leave as it is; remove the site until its cloud answers"
        )
    return frozen


def _state() -> Mapping[str, Mapping[str, Any]]:
    """Type and outputs of every resource of this stack by URN, as the last update left them."""
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    answer = pulumi.runtime.invoke(_STATE_FUNCTION, {"stackName": stack}).value or {}
    resources: Mapping[str, Mapping[str, Any]] = answer.get("outputs") or {}
    return resources


def _excluded(urn: str) -> bool:
    """Whether the engine leaves a resource out; `*` stands for anything but a colon, `**` for anything."""
    entries = next(csv.reader([os.environ.get(EXCLUDE_VARIABLE, "")]), [])
    for entry in entries:
        parts = ("[^:]*".join(map(re.escape, part.split("*"))) for part in entry.split("**"))
        if re.fullmatch(".*".join(parts), urn):
            return True
    return False
