"""Checks that need several resources: what belongs together is found by value, or by where a value comes from."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from policy.check import UNKNOWN, Finding, Resource, StackCheck
from policy.registry import STACK_CHECKS

BY_NAME: dict[str, StackCheck] = {each.name: each for each in STACK_CHECKS}
POLICY = json.dumps(
    {
        "Statement": [
            {
                "Effect": "Deny",
                "Principal": {"AWS": "*"},
                "Action": "s3:*",
                "Resource": ["arn:aws:s3:::models", "arn:aws:s3:::models/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ]
    }
)


def made(type_: str, name: str, props: dict[str, Any], provider: str = "", **links: str) -> Resource:
    urn = f"urn:pulumi:s::p::{type_}::{name}"
    return Resource(type_, name, urn, props, provider, {key: frozenset({value}) for key, value in links.items()})


def lines(findings: list[Finding]) -> list[str]:
    return [f"{each.resource.name}:{each.path}" for each in findings]


def bucket_parts(bucket: Any = "models-x1") -> list[Resource]:
    """A bucket that keeps every rule, with all that makes it so."""
    owner = made("aws:s3/bucket:Bucket", "models", {"bucket": bucket})
    encryption = {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms"}}]}
    blocks = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    parts = {
        "bucketPublicAccessBlock:BucketPublicAccessBlock": dict.fromkeys(blocks, True),
        "bucketVersioning:BucketVersioning": {"versioningConfiguration": {"status": "Enabled"}},
        "bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": encryption,
        "bucketPolicy:BucketPolicy": {"policy": POLICY},
    }
    return [
        owner,
        *(
            made(f"aws:s3/{kind}", kind.partition(":")[0], {"bucket": bucket, **props}, bucket=owner.urn)
            for kind, props in parts.items()
        ),
    ]


def cluster_parts() -> list[Resource]:
    cluster = made(
        "azure-native:containerservice:ManagedCluster",
        "aks",
        {
            "id": UNKNOWN,
            "oidcIssuerProfile": {"enabled": True},
            "securityProfile": {"workloadIdentity": {"enabled": True}},
        },
    )
    logs = [{"category": "guard", "enabled": True}, {"category": "kube-audit-admin", "enabled": True}]
    setting = made(
        "azure-native:monitor:DiagnosticSetting",
        "audit",
        {"resourceUri": UNKNOWN, "logs": logs},
        resourceUri=cluster.urn,
    )
    return [cluster, setting]


@pytest.mark.parametrize("name", ["models-x1", UNKNOWN], ids=["known", "unknown"])
def test_a_closed_bucket_passes_whether_or_not_its_name_is_known(name):
    assert BY_NAME["aws-s3-bucket"].findings(bucket_parts(name)) == []


@pytest.mark.parametrize("name", ["models-x1", UNKNOWN], ids=["known", "unknown"])
@pytest.mark.parametrize(
    ("part", "found"),
    [(1, "models:bucket"), (2, "models:versioning"), (3, "models:encryption"), (4, "models:policy")],
)
def test_a_bucket_without_one_of_its_parts_is_found(name, part, found):
    parts = bucket_parts(name)
    del parts[part]
    assert lines(BY_NAME["aws-s3-bucket"].findings(parts)) == [found]


def test_the_parts_of_another_bucket_do_not_count():
    parts = bucket_parts(UNKNOWN)
    other = made("aws:s3/bucket:Bucket", "other", {"bucket": UNKNOWN})
    assert lines(BY_NAME["aws-s3-bucket"].findings([*parts, other])) == [
        "other:bucket", "other:encryption", "other:versioning", "other:policy",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("part", "props", "found"),
    [
        (1, {"restrictPublicBuckets": False}, "bucketPublicAccessBlock:restrictPublicBuckets"),
        (2, {"versioningConfiguration": {"status": "Suspended"}}, "models:versioning"),
        (3, {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]}, "models:encryption"),
        (4, {"policy": POLICY.replace("Deny", "Allow")}, "models:policy"),
        (4, {"policy": POLICY.replace("false", "true")}, "models:policy"),
        (4, {"policy": "not JSON"}, "models:policy"),
    ],
)
def test_a_part_that_does_not_do_its_work_is_found(part, props, found):
    parts = bucket_parts()
    whole = parts[part]
    parts[part] = Resource(whole.type, whole.name, whole.urn, {**whole.props, **props}, "", whole.links)
    assert lines(BY_NAME["aws-s3-bucket"].findings(parts)) == [found]


def test_amazons_own_key_is_enough_outside_production_and_for_access_logs():
    parts = bucket_parts()
    parts[3] = made(
        parts[3].type,
        "sse",
        {"bucket": "models-x1", "rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]},
    )
    check = BY_NAME["aws-s3-bucket"]
    assert lines(check.findings(parts)) == ["models:encryption"]
    assert check.findings(parts, production=False) == []
    logging = made("aws:s3/bucketLogging:BucketLogging", "log", {"bucket": "other", "targetBucket": "models-x1"})
    assert check.findings([*parts, logging]) == []


def test_an_audited_aks_cluster_passes():
    assert BY_NAME["azure-aks-audit"].findings(cluster_parts()) == []


@pytest.mark.parametrize(
    "logs",
    [
        [],
        [{"category": "guard", "enabled": True}],
        [{"category": "kube-audit", "enabled": False}],
        [{"category": "kube-audit"}],
    ],
)
def test_an_aks_cluster_whose_audit_log_nobody_keeps_is_found(logs):
    cluster, setting = cluster_parts()
    setting = Resource(setting.type, setting.name, setting.urn, {**setting.props, "logs": logs}, "", setting.links)
    check = BY_NAME["azure-aks-audit"]
    assert lines(check.findings([cluster, setting])) == ["aks:DiagnosticSetting"]
    assert lines(check.findings([cluster])) == ["aks:DiagnosticSetting"]


def test_a_setting_of_another_cluster_does_not_count():
    cluster, setting = cluster_parts()
    stranger = Resource(setting.type, setting.name, setting.urn, setting.props)
    assert lines(BY_NAME["azure-aks-audit"].findings([cluster, stranger])) == ["aks:DiagnosticSetting"]


@pytest.mark.parametrize("path", ["oidcIssuerProfile", "securityProfile"])
def test_an_aks_cluster_without_workload_identity_is_found(path):
    cluster, setting = cluster_parts()
    props = {key: value for key, value in cluster.props.items() if key != path}
    bare = Resource(cluster.type, cluster.name, cluster.urn, props)
    assert [each.path.partition(".")[0] for each in BY_NAME["azure-aks-audit"].findings([bare, setting])] == [path]


@pytest.mark.parametrize("name", ["models1", UNKNOWN], ids=["known", "unknown"])
def test_only_an_account_that_the_stack_uploads_to_keeps_its_shared_key(name):
    check = BY_NAME["azure-storage-keys"]

    def account(**props: Any) -> Resource:
        return made("azure-native:storage:StorageAccount", "models", {"accountName": name, **props})

    blob = made("azure-native:storage:Blob", "bundle", {"accountName": name}, accountName=account().urn)
    other = made("azure-native:storage:Blob", "other", {"accountName": "other1"})
    assert check.findings([account(allowSharedKeyAccess=False)]) == []
    assert check.findings([account(allowSharedKeyAccess=True), blob]) == []
    for kept in ({}, {"allowSharedKeyAccess": True}):
        assert lines(check.findings([account(**kept), other])) == ["models:allowSharedKeyAccess"]


SECURE = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
POD = {
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [{"name": "a", "securityContext": SECURE}],
}


def deployment(spec: dict[str, Any], namespace: object = "serving", provider: str = "site-k8s") -> Resource:
    props = {"metadata": {"namespace": namespace}, "spec": {"template": {"spec": spec}}}
    return made("kubernetes:apps/v1:Deployment", "pods", props, provider)


def namespace(level: str | None, provider: str = "site-k8s", name: str = "serving") -> Resource:
    labels = {} if level is None else {"pod-security.kubernetes.io/enforce": level}
    return made("kubernetes:core/v1:Namespace", "ns", {"metadata": {"name": name, "labels": labels}}, provider)


def pods(*resources: Resource) -> list[str]:
    return lines(BY_NAME["kubernetes-pod-security"].findings(resources))


PRIVILEGED = {**copy.deepcopy(POD), "hostNetwork": True}


def test_pods_are_held_to_the_level_of_their_namespace():
    plain = {"containers": [{"name": "a"}]}
    assert pods(namespace("restricted"), deployment(POD)) == []
    assert pods(namespace("restricted"), deployment(PRIVILEGED)) == ["pods:spec.template.spec.hostNetwork"]
    assert len(pods(namespace("restricted"), deployment(plain))) == 4
    assert pods(namespace("baseline"), deployment(plain)) == []
    assert pods(namespace("baseline"), deployment(PRIVILEGED)) == ["pods:spec.template.spec.hostNetwork"]
    assert pods(namespace("privileged"), deployment(PRIVILEGED)) == []


def test_a_namespace_that_says_nothing_is_held_to_restricted():
    assert pods(namespace(None), deployment(PRIVILEGED)) == ["pods:spec.template.spec.hostNetwork"]
    assert pods(deployment(PRIVILEGED)) == ["pods:spec.template.spec.hostNetwork"]


def test_a_namespace_of_the_same_name_in_another_cluster_does_not_count():
    assert pods(namespace("privileged", "other-k8s"), deployment(PRIVILEGED)) == ["pods:spec.template.spec.hostNetwork"]


def test_model_servers_live_under_restricted_only():
    server = copy.deepcopy(POD)
    server["containers"][0]["command"] = ["/usr/bin/tensorflow_model_server"]
    assert pods(namespace("restricted"), deployment(server)) == []
    assert pods(namespace("baseline"), deployment(server)) == ["ns:metadata.labels.pod-security.kubernetes.io/enforce"]


def test_pods_whose_namespace_nobody_knows_yet_wait():
    assert pods(deployment(PRIVILEGED, UNKNOWN)) == []
