"""What the deploy command leaves alone for a frozen site is all that the program declares for it, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.frozen import exclusions
from serving.settings import parse_settings
from tests.components.recording import Recording, Row
from tests.components.test_program import Program, program, settings_of

__all__ = ["program"]
STACK = "urn:pulumi:prod::tricorn::pulumi:pulumi:Stack::tricorn-prod"


def state(recording: Recording) -> dict[str, Any]:
    """The state that an update would leave, as far as names, types and parents go."""
    resources = [{"urn": STACK, "type": "pulumi:pulumi:Stack"}]
    resources += [{"urn": row.urn, "type": row.type, "parent": parent(recording, row)} for row in recording.rows]
    return {"deployment": {"resources": resources}}


def parent(recording: Recording, row: Row) -> str:
    if not row.parent:
        return STACK
    above = row.urn.split("::")[2].rpartition("$")[0]
    (found,) = [r.urn for r in recording.rows if r.name == row.parent and r.urn.split("::")[2] == above]
    return found


@pytest.mark.parametrize("site", ["aws-virginia", "gcp-iowa", "azure-virginia"])
def test_a_site_is_everything_that_is_called_by_its_name(program: Program, site: str) -> None:
    settings = settings_of("prod")
    recording = program(settings)
    found = exclusions(state(recording), parse_settings({**settings, "frozen": [site]}))
    expected = {row.urn for row in recording.rows if row.name == site or row.name.startswith(f"{site}-")}
    assert len(expected) > 20
    assert set(found[site]) == expected


@pytest.mark.parametrize(("authority", "other"), [("route53", "cloud-dns"), ("cloudDns", "route53")])
def test_an_authority_is_its_zone_and_not_the_other(program: Program, authority: str, other: str) -> None:
    settings = settings_of("prod")
    recording = program(settings)
    found = exclusions(state(recording), parse_settings({**settings, "frozen": [authority]}))[authority]
    assert len(found) > 5
    assert not [urn for urn in found if f"endpoint-{other}" in urn]
    assert not [urn for urn in found if "endpoint" not in urn.rpartition("::")[2]]
