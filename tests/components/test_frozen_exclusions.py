"""What is left alone for a frozen site is all that the program declares for it, and nothing else."""

from __future__ import annotations

import pytest

from serving.frozen import frozen_resources
from serving.settings import parse_settings
from tests.components.recording import Recording
from tests.components.test_program import Program, program, settings_of

__all__ = ["program"]
ENDPOINT = {"route53": ("endpoint-route53", "endpoint-aws"), "cloudDns": ("endpoint-cloud-dns", "endpoint-gcp")}
STACK = "urn:pulumi:prod::tricorn::pulumi:pulumi:Stack::tricorn-prod"


def state(recording: Recording) -> list[str]:
    """URNs of everything that an update would leave in the state."""
    return [STACK, *(row.urn for row in recording.rows)]


@pytest.mark.parametrize("site", ["aws-virginia", "gcp-iowa", "azure-virginia"])
def test_a_site_is_everything_that_is_called_by_its_name(program: Program, site: str) -> None:
    settings = settings_of("prod")
    recording = program(settings)
    found = frozen_resources(state(recording), parse_settings({**settings, "frozen": [site]}))
    expected = {row.urn for row in recording.rows if row.name == site or row.name.startswith(f"{site}-")}
    assert len(expected) > 20
    assert set(found[site]) == expected


@pytest.mark.parametrize(("authority", "other"), [("route53", "cloud-dns"), ("cloudDns", "route53")])
def test_an_authority_is_its_zone_and_not_the_other(program: Program, authority: str, other: str) -> None:
    settings = settings_of("prod")
    recording = program(settings)
    found = frozen_resources(state(recording), parse_settings({**settings, "frozen": [authority]}))[authority]
    assert len(found) > 5
    assert not [urn for urn in found if f"endpoint-{other}" in urn]
    assert not [urn for urn in found if "endpoint" not in urn.rpartition("::")[2]]
    expected = [row for row in recording.rows if row.name.startswith(ENDPOINT[authority])]
    assert set(found) == {row.urn for row in expected}
