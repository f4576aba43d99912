"""CiIdentity: which clouds it is made on, and what is refused; each cloud's part has tests of its own."""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass
from typing import Any

import pulumi
import pytest

from components._base import token
from components.ci_identity import CiIdentity, CiIdentityArgs

SUBJECTS = {
    "issuer": "https://ci.example.com",
    "preview_subject": "repo:a:pull_request",
    "deploy_subject": "repo:a:main",
}


def arguments(**changes: Any) -> CiIdentityArgs:
    values: dict[str, Any] = {**SUBJECTS, "aws": True}
    return CiIdentityArgs(**{**values, **changes})


@dataclass(frozen=True, kw_only=True)
class PartArgs:
    """Arguments of any cloud's part."""

    issuer: str
    preview_subject: str
    deploy_subject: str
    project: str | None = None
    subscription_id: str | None = None
    location: str | None = None
    labels: dict[str, str] | None = None


def part(cloud: str) -> type[pulumi.ComponentResource]:
    """Stand-in for a cloud's component, which tells what it was given."""

    class Part(pulumi.ComponentResource):
        deploy: pulumi.Output[str]
        given: pulumi.Output[str]

        def __init__(self, name: str, args: PartArgs, opts: pulumi.ResourceOptions | None = None) -> None:
            super().__init__(f"{token(CiIdentity)}{cloud}", name, {}, opts)
            self.deploy = pulumi.Output.from_input(f"{cloud} may {args.deploy_subject}")
            self.given = pulumi.Output.from_input(f"{args.project} {args.subscription_id} {args.location}")

    return Part


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    for cloud in ("Aws", "Gcp", "Azure"):
        module: Any = types.ModuleType(f"components.{cloud.lower()}_ci_identity")
        setattr(module, f"{cloud}CiIdentity", part(cloud))
        setattr(module, f"{cloud}CiIdentityArgs", PartArgs)
        monkeypatch.setitem(sys.modules, module.__name__, module)


def test_each_cloud_that_is_named_gets_identities_and_their_outputs_come_back_by_cloud(run, parts):
    every = arguments(gcp_project="acme", azure_subscription_id="s", azure_location="eastus")
    found = run(lambda: CiIdentity("ci", every).identities).value
    assert found == {
        "aws": {"deploy": "Aws may repo:a:main", "given": "None None None"},
        "gcp": {"deploy": "Gcp may repo:a:main", "given": "acme None None"},
        "azure": {"deploy": "Azure may repo:a:main", "given": "None s eastus"},
    }


def test_a_cloud_that_is_not_named_gets_nothing(run, parts):
    recording = run(lambda: CiIdentity("ci", arguments(aws=None, gcp_project="acme")).identities)
    assert recording.value.keys() == {"gcp"}
    assert {row.name for row in recording.rows} == {"ci", "ci-gcp"}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"issuer": "https://ci.example.com/"}, "issuer: must begin with https:// and not end with a slash"),
        ({"issuer": "http://ci.example.com"}, "issuer: must begin with https://"),
        ({"deploy_subject": "repo:a:*"}, "deploySubject: must be one exact subject, got 'repo:a:*'"),
        ({"preview_subject": ""}, "previewSubject: must be one exact subject, got ''"),
        ({"deploy_subject": "repo:a:pull_request"}, "deploySubject: must differ from previewSubject"),
        ({"aws": None}, "aws: no cloud is named; set aws, gcpProject or azureSubscriptionId"),
        ({"azure_subscription_id": "s"}, "azureLocation: is needed with azureSubscriptionId"),
        ({"azure_location": "eastus"}, "azureLocation: is needed with azureSubscriptionId"),
    ],
)
def test_a_bad_value_is_refused_by_name_with_its_rule(changes, text):
    with pytest.raises(pulumi.InputPropertiesError) as refusal:
        arguments(**changes)
    assert text in str(refusal.value)
