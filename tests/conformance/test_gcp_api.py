"""What the components send to Google Cloud exists in Google's own descriptions of its APIs."""

from __future__ import annotations

import ast
import functools
import importlib
from pathlib import Path
from typing import Any

import pytest

from components._capacity import CapacityPolicy
from components._endpoint import EndpointRecords, SiteTarget
from components._hardening import Hardening
from tests.components import recording
from tests.components.clusters import CLOUDS, declare_all_of
from tests.conformance import gcp_api
from tests.conformance.test_sdk_inputs import SDKS, _modules

pytestmark = pytest.mark.filterwarnings("ignore:.*has been deprecated in favor of:DeprecationWarning")
COMPONENTS = Path(__file__).resolve().parents[2] / "components"
CLUSTER, POOL = "gcp:container/cluster:Cluster", "gcp:container/nodePool:NodePool"
BUCKET, REPOSITORY = "gcp:storage/bucket:Bucket", "gcp:artifactregistry/repository:Repository"


def _zones() -> None:
    module = importlib.import_module("components.gcp_dns_zone")
    for path, tls in (("/health", True), ("/health", False), (None, False)):
        records = EndpointRecords(
            domain="serve.example.com", port=443, ttl=30, health_path=path, tls=tls,
            sites={"iowa": SiteTarget(weight=1, addresses=["203.0.113.7"])},
        )  # fmt: skip
        zone = None if path else "acme-zone"
        arguments = module.GcpDnsZoneArgs(records=records, project="acme-models", managed_zone=zone)
        module.GcpDnsZone(f"dns-{path}-{tls}", arguments)


def _pipeline() -> None:
    module = importlib.import_module("components.gcp_ci_identity")
    subjects = {"preview_subject": "repo:a:pull_request", "deploy_subject": "repo:a:environment:prod"}
    arguments = module.GcpCiIdentityArgs(project="acme-models", issuer="https://token.example.com", **subjects)
    module.GcpCiIdentity("pipeline", arguments)


def _reserved() -> None:
    policy = CapacityPolicy(
        gpu_class="L4-class", max_nodes=2, spot_percent=50, zones=["us-central1-a"], reservation_id="block"
    )
    CLOUDS["gcp"].declare(
        "open",
        protect=False,
        gpu_pools={"l4": policy},
        hardening=Hardening(
            public_endpoint=True,
            authorized_ranges=["198.51.100.0/24"],
            customer_keys=False,
            flow_logs=False,
            private_links=False,
            scanning=False,
        ),
    )


@functools.cache
def rows() -> list[recording.Row]:
    """Every Google Cloud resource that a program can declare, in several ways."""

    def build() -> None:
        declare_all_of("gcp")
        _reserved()
        _zones()
        _pipeline()

    return [row for row in recording.run(build).children() if row.type.startswith("gcp:")]


def test_every_input_is_known_to_the_api() -> None:
    found = [line for row in rows() for line in gcp_api.problems(row.type, row.inputs)]
    assert len(rows()) > 140
    assert not found, "\n".join(found)


def test_every_resource_class_of_the_components_is_checked() -> None:
    """Found in the sources, so that a resource which no test declares is noticed, too."""
    tokens = {(fqn.removeprefix("pulumi_gcp."), cls): token for token, (fqn, cls) in _modules(SDKS["gcp"]).items()}
    used = set()
    for file in COMPONENTS.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("gcp."):
                module, _, cls = ast.unparse(node.func).removeprefix("gcp.").partition(".")
                if (module, cls) in tokens:
                    used.add(tokens[module, cls])
    declared = {row.type for row in rows()}
    assert len(used) >= 25
    assert used - set(gcp_api.RESOURCES) == set(), "add the type to tests/conformance/gcp_api.py"
    assert used - declared == set(), "declare the type in rows() above"
    assert set(gcp_api.RESOURCES) - used == set(), "nothing declares the type any more"
    assert set(gcp_api.COVERAGE) == used


def test_a_type_without_a_description_is_noticed() -> None:
    with pytest.raises(KeyError):
        gcp_api.problems("gcp:pubsub/topic:Topic", {"name": "a"})


@pytest.mark.parametrize(
    ("token", "inputs", "problem"),
    [
        (CLUSTER, {"datapathProvider": "ADVANCED"}, ".datapathProvider: must be one of DATAPATH_PROVIDER_UNSPECIFIED"),
        (
            CLUSTER,
            {"loggingConfig": {"enableComponents": ["AUDIT"]}},
            ".loggingConfig.enableComponents[0]: must be one",
        ),
        (CLUSTER, {"loggingConfig": {"components": []}}, ".loggingConfig.components: LoggingConfig has no components"),
        (CLUSTER, {"privateClusterConfig": {"enablePrivateNodes": "yes"}}, "must be boolean, got 'yes'"),
        (CLUSTER, {"initialNodeCount": True}, ".initialNodeCount: must be integer, got True"),
        (CLUSTER, {"bananas": 1}, ".bananas: Cluster has no bananas"),
        (
            POOL,
            {"autoscaling": {"locationPolicy": "SOME"}},
            "must be one of LOCATION_POLICY_UNSPECIFIED, BALANCED, ANY",
        ),
        (POOL, {"nodeConfig": {"guestAccelerators": [{"kind": "t4"}]}}, "AcceleratorConfig has no kind"),
        (POOL, {"nodeConfig": {"workloadMetadataConfig": {"mode": "GKE"}}}, "workloadMetadataConfig.mode: must be one"),
        (BUCKET, {"uniformBucketLevelAccess": "on"}, ".uniformBucketLevelAccess: must be boolean"),
        (BUCKET, {"lifecycleRules": [{"condition": {"old": 1}}]}, "Bucket.lifecycle.rule.condition has no old"),
        (REPOSITORY, {"cleanupPolicies": [{"id": "a", "action": "DROP"}]}, ".a.action: must be one of"),
        (REPOSITORY, {"labels": {"a": 1}}, ".labels.a: must be string, got 1"),
        ("gcp:kms/cryptoKey:CryptoKey", {"purpose": "ENCRYPT"}, ".purpose: must be one of"),
        ("gcp:compute/firewall:Firewall", {"allows": [{"port": "1"}]}, "Firewall.allowed has no port"),
        ("gcp:storage/bucketIAMMember:BucketIAMMember", {"members": "a"}, ".members: must be array, got 'a'"),
        ("gcp:projects/iAMAuditConfig:IAMAuditConfig", {"auditLogConfigs": [{"logType": "READ"}]}, "must be one of"),
    ],
)
def test_a_wrong_input_is_noticed(token: str, inputs: dict[str, Any], problem: str) -> None:
    found = gcp_api.problems(token, inputs)
    assert len(found) == 1
    assert problem in found[0]


def test_every_exception_is_still_needed() -> None:
    """A table that outlives its reason would hide a mistake one day."""
    places = {schema for _, schema in gcp_api.RESOURCES.values()}
    sent = {(gcp_api.RESOURCES[row.type][1], key) for row in rows() for key in row.inputs}
    for table in (gcp_api.NOT_IN_BODY, gcp_api.RENAMED):
        for place, names in table.items():
            if place in places:
                assert {(place, name) for name in names} <= sent, place


def test_nothing_is_known_of_what_is_not_known_yet() -> None:
    assert gcp_api.problems(CLUSTER, {"network": recording.UNKNOWN, "nodeLocations": None}) == []
