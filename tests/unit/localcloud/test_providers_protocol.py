import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from provider_client import Refusal, provider, wait_for

from localcloud.providers import calls, inputs, rules, server
from localcloud.providers.wire import UNKNOWN, has_unknown, to_plain, to_struct

VPC, SUBNET, BUCKET = "aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet", "aws:s3/bucket:Bucket"
GROUP = "aws:eks/nodeGroup:NodeGroup"
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def aws(tmp_path, monkeypatch):
    with provider("aws", tmp_path, monkeypatch) as client:
        yield client


# -- check


def test_an_unknown_property_is_refused_with_its_path_and_the_ones_there_are(aws):
    _, failures = aws.check(VPC, "net", {"cidrBlok": "10.0.0.0/16"})
    assert [path for path, _ in failures] == ["cidrBlok"]
    assert "cidrBlock" in failures[0][1]
    assert "'net'" in failures[0][1]


def test_missing_and_misplaced_values_are_refused_deep_inside(aws):
    _, failures = aws.check(
        GROUP,
        "pool",
        {
            "nodeRoleArn": "arn",
            "subnetIds": ["a", 5],
            "scalingConfig": {"minSize": "one", "maxSize": 2},
            "taints": [{"key": "k", "effect": True}],
            "labels": {"a": 1},
        },
    )
    assert {path for path, _ in failures} == {
        "clusterName",
        "subnetIds[1]",
        "scalingConfig.minSize",
        "scalingConfig.desiredSize",
        "taints[0].effect",
        "labels.a",
    }


def test_unknown_values_pass_the_check(aws):
    _, failures = aws.check(SUBNET, "s", {"vpcId": UNKNOWN, "cidrBlock": UNKNOWN})
    assert failures == []


def test_a_policy_may_be_text_or_an_object_but_nothing_else(aws):
    token = "aws:iam/rolePolicy:RolePolicy"
    assert aws.check(token, "p", {"role": "r", "policy": "{}"})[1] == []
    assert aws.check(token, "p", {"role": "r", "policy": 5})[1]


def test_a_type_the_sdk_does_not_have_is_refused(aws):
    with pytest.raises(Refusal, match="pulumi-aws has no resource aws:ec2/moon:Moon"):
        aws.check("aws:ec2/moon:Moon", "m", {})


def test_names_are_made_once_kept_on_update_and_new_on_replacement(aws):
    first, _ = aws.check(BUCKET, "My_Bucket", {})
    assert first["bucket"].startswith("my-bucket-")
    assert len(first["bucket"]) == len("my-bucket-") + 7
    again, _ = aws.check(BUCKET, "My_Bucket", {}, olds={"bucket": "my-bucket-0000000", "__defaults": ["bucket"]})
    assert again["bucket"] == "my-bucket-0000000"
    dropped, _ = aws.check(BUCKET, "My_Bucket", {}, olds={"bucket": "chosen"})
    assert dropped["bucket"] == first["bucket"]
    given, _ = aws.check(BUCKET, "b", {"bucket": "chosen"})
    assert given["bucket"] == "chosen"


def test_types_are_derived_once_and_cached_whole(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    schemas = inputs.Schemas("pulumi_aws", "7", [VPC])
    assert schemas.find(SUBNET)["inputs"]["vpcId"]["required"]
    directory = inputs.cache_directory("pulumi_aws", "7")
    assert {file.name for file in directory.glob("*.json")} == {inputs.file_name(VPC), inputs.file_name(SUBNET)}
    assert not list(directory.glob("*.part"))
    monkeypatch.setattr(inputs.subprocess, "run", None)
    assert "cidrBlock" in inputs.Schemas("pulumi_aws", "7", []).find(VPC)["inputs"]


def test_an_output_of_another_shape_than_the_sdk_expects_does_not_reach_it():
    schema = {
        "objects": {"Identity": {"assigned": {"type": {"map": "string"}}, "type": {"type": "string"}}},
        "outputs": {"identity": {"object": "Identity"}, "zones": {"list": "string"}, "name": "string"},
    }
    given = {"identity": {"assigned": ["id"], "type": "User"}, "zones": ["1"], "name": {"a": 1}, "other": [1]}
    preview = inputs.shaped(schema, given, UNKNOWN)
    assert preview["identity"] == {"assigned": UNKNOWN, "type": "User"}
    assert preview["name"] == UNKNOWN
    assert inputs.shaped(schema, given, None) == {"identity": {"type": "User"}, "zones": ["1"], "other": [1]}


# -- diff


def test_an_unchanged_resource_has_no_difference(aws):
    same = {"cidrBlock": "10.0.0.0/16", "tags": {"a": "b"}, "__defaults": []}
    assert aws.diff(VPC, same, {**same, "__defaults": ["name"]}).changes == 1


def test_a_tag_updates_and_an_address_range_replaces(aws):
    old = {"cidrBlock": "10.0.0.0/16", "tags": {"a": "b"}}
    tag = aws.diff(VPC, old, {**old, "tags": {"a": "c"}})
    assert (tag.changes, list(tag.diffs), list(tag.replaces)) == (2, ["tags"], [])
    assert set(tag.detailedDiff) == {"tags.a"}
    cidr = aws.diff(VPC, old, {**old, "cidrBlock": "10.1.0.0/16"})
    assert list(cidr.replaces) == ["cidrBlock"]
    assert not cidr.deleteBeforeReplace


def test_only_the_listed_parts_of_a_nested_value_replace():
    token = "gcp:container/nodePool:NodePool"
    assert rules.replaces(token, "nodeConfig.guestAccelerators[0].count")
    assert rules.replaces(token, "nodeConfig")
    assert not rules.replaces(token, "nodeConfig.labels.a")
    assert not rules.replaces(token, "autoscaling.totalMaxNodeCount")
    assert not rules.replaces("aws:eks/nodeGroup:NodeGroup", "scalingConfig.maxSize")
    assert rules.replaces("azure-native:network:VirtualNetwork", "virtualNetworkName")
    assert not rules.replaces("azure-native:network:VirtualNetwork", "tags.name")


def test_a_fixed_name_makes_the_old_one_go_first(aws):
    old = {"name": "r", "assumeRolePolicy": "{}", "path": "/"}
    assert aws.diff("aws:iam/role:Role", old, {**old, "path": "/x/"}).deleteBeforeReplace
    automatic = {**old, "__defaults": ["name"]}
    assert not aws.diff("aws:iam/role:Role", automatic, {**automatic, "path": "/x/"}).deleteBeforeReplace


def test_true_and_one_are_different_values():
    assert list(rules.changes({"a": True}, {"a": 1})) == [("a", "update")]
    assert list(rules.changes({"a": [1, 2]}, {"a": [1]})) == [("a", "update")]


# -- preview


def test_a_preview_makes_nothing_and_leaves_computed_outputs_unknown(aws):
    id_, outputs = aws.create(VPC, {"cidrBlock": "10.0.0.0/16"}, preview=True)
    assert id_ == ""
    assert outputs["cidrBlock"] == "10.0.0.0/16"
    assert outputs["arn"] == UNKNOWN
    assert aws.ids() == []
    assert aws.store.events() == []


def test_a_preview_of_an_update_changes_nothing(aws):
    id_, outputs = aws.create(VPC, {"cidrBlock": "10.0.0.0/16", "tags": {"a": "b"}})
    old = {"cidrBlock": "10.0.0.0/16", "tags": {"a": "b"}}
    seen = aws.update(VPC, id_, old, {"cidrBlock": "10.0.0.0/16"}, olds=outputs, preview=True)
    assert "tags" not in seen
    assert seen["arn"] == outputs["arn"]
    assert aws.store.resource("aws", VPC, id_).inputs["tags"] == {"a": "b"}


# -- create, read, update, delete


def test_a_resource_lives_through_create_read_update_and_two_deletes(aws):
    id_, outputs = aws.create(VPC, {"cidrBlock": "10.0.0.0/16", "tags": {"a": "b"}})
    assert aws.read(VPC, id_)[:2] == (id_, outputs)
    changed = aws.update(VPC, id_, {"cidrBlock": "10.0.0.0/16", "tags": {"a": "b"}}, {"cidrBlock": "10.0.0.0/16"})
    assert "tags" not in changed
    assert changed["arn"] == outputs["arn"]
    aws.delete(VPC, id_)
    aws.delete(VPC, id_)
    assert aws.read(VPC, id_) == ("", {}, {})
    assert [each["operation"] for each in aws.store.events()] == ["create", "update", "delete"]


def test_a_name_that_is_taken_is_refused(aws):
    aws.create(BUCKET, {"bucket": "taken"})
    with pytest.raises(Refusal, match="AlreadyExists"):
        aws.create(BUCKET, {"bucket": "taken"})


def test_updating_what_is_gone_says_so(aws):
    with pytest.raises(Refusal, match="does not exist"):
        aws.update(VPC, "vpc-0", {}, {"cidrBlock": "10.0.0.0/16"})


def test_a_type_without_behaviour_of_its_own_gets_id_and_arn(aws):
    id_, outputs = aws.create("aws:cloudwatch/logGroup:LogGroup", {"retentionInDays": 7})
    assert outputs["arn"].endswith(id_)
    assert outputs["region"] == "us-east-1"


# -- faults


@pytest.mark.parametrize(("kind", "code"), [("stockout", "RESOURCE_EXHAUSTED"), ("quota", "FAILED_PRECONDITION")])
def test_refusing_faults_make_nothing_and_are_used_up(aws, kind, code):
    aws.store.add_fault("aws", "create", "aws:ec2/*", kind, "none left in us-east-1a")
    with pytest.raises(Refusal, match="none left in us-east-1a") as caught:
        aws.create(VPC, {"cidrBlock": "10.0.0.0/16"})
    assert caught.value.code.name == code
    assert aws.ids() == []
    assert aws.create(VPC, {"cidrBlock": "10.0.0.0/16"})[0]


def test_a_few_throttled_calls_are_retried_and_many_fail(aws, monkeypatch):
    monkeypatch.setattr(server, "_FIRST_RETRY_S", 0.001)
    aws.store.add_fault("aws", "create", VPC, "throttle", times=3)
    assert aws.create(VPC, {"cidrBlock": "10.0.0.0/16"})[0]
    aws.store.add_fault("aws", "create", VPC, "throttle", times=50)
    with pytest.raises(Refusal, match="rate exceeded"):
        aws.create(VPC, {"cidrBlock": "10.0.0.0/16"})


def test_an_unhealthy_resource_is_reported_with_its_id(aws):
    aws.store.add_fault("aws", "create", VPC, "unhealthy", "NodeCreationFailure")
    with pytest.raises(Refusal) as caught:
        aws.create(VPC, {"cidrBlock": "10.0.0.0/16"})
    assert [caught.value.id] == aws.ids()
    assert caught.value.reasons == ["NodeCreationFailure"]
    assert aws.store.resources("aws")[0].state == "failed"


def test_a_slow_resource_respects_the_custom_timeout(aws):
    aws.store.add_fault("aws", "create", VPC, "slow", "0.3")
    started = time.monotonic()
    assert aws.create(VPC, {"cidrBlock": "10.0.0.0/16"})[0]
    assert time.monotonic() - started >= 0.3
    aws.store.add_fault("aws", "create", VPC, "slow", "30")
    with pytest.raises(Refusal, match=r"timeout while waiting for .* after 0.2 s"):
        aws.create(VPC, {"cidrBlock": "10.0.0.0/16"}, timeout=0.2)


def test_cancelling_ends_what_waits(aws):
    aws.store.add_fault("aws", "create", VPC, "slow", "60")
    caught = []

    def create():
        try:
            aws.create(VPC, {"cidrBlock": "10.0.0.0/16"})
        except Refusal as error:
            caught.append(error)

    thread = threading.Thread(target=create)
    thread.start()
    wait_for(lambda: aws.ids() != [])
    aws.stub.Cancel(server.empty_pb2.Empty())
    thread.join(5)
    assert "cancelled" in str(caught[0])
    assert caught[0].id == aws.ids()[0]


# -- a dead cloud


def test_a_dead_cloud_fails_every_call_at_once_but_checks_go_on(aws, monkeypatch):
    id_, _ = aws.create(VPC, {"cidrBlock": "10.0.0.0/16"})
    monkeypatch.setattr(server, "answers", lambda cloud: False)
    for attempt in (
        lambda: aws.create(VPC, {"cidrBlock": "10.0.0.0/16"}),
        lambda: aws.read(VPC, id_),
        lambda: aws.update(VPC, id_, {}, {"cidrBlock": "10.0.0.0/16"}),
        lambda: aws.delete(VPC, id_),
        lambda: aws.invoke("aws:index/getCallerIdentity:getCallerIdentity", {}),
    ):
        with pytest.raises(Refusal, match="aws cloud API does not answer"):
            attempt()
    assert aws.check(VPC, "x", {"cidrBlock": "10.0.0.0/16"})[1] == []
    assert aws.create(VPC, {"cidrBlock": "10.0.0.0/16"}, preview=True)[0] == ""
    assert aws.ids() == [id_]


def test_a_cloud_that_dies_while_a_resource_is_made_leaves_its_id_behind(aws, monkeypatch):
    monkeypatch.setattr(calls, "answers", lambda cloud: False)
    monkeypatch.setattr(calls, "_ALIVE_EVERY_S", 0.1)
    aws.store.add_fault("aws", "create", VPC, "slow", "30")
    with pytest.raises(Refusal, match="does not answer") as caught:
        aws.create(VPC, {"cidrBlock": "10.0.0.0/16"})
    assert [caught.value.id] == aws.ids()


def test_nothing_listening_counts_as_no_answer(monkeypatch):
    monkeypatch.setattr(calls, "ENDPOINT_HTTP_PORT", 1)
    assert not calls.answers("aws")


# -- configuration, values, process


def test_a_provider_without_region_is_refused_and_another_region_replaces_everything(aws):
    request = server.provider_pb2.CheckRequest(news=to_struct({}))
    assert aws.stub.CheckConfig(request).failures[0].property == "region"
    change = server.provider_pb2.DiffRequest(
        old_inputs=to_struct({"region": "us-east-1", "profile": "a"}),
        news=to_struct({"region": "us-west-2", "profile": "b"}),
    )
    answer = aws.stub.DiffConfig(change)
    assert list(answer.replaces) == ["region"]
    assert set(answer.diffs) == {"region", "profile"}


def test_values_survive_the_wire():
    value = {"a": 1, "b": [True, 1.5, "x", {"c": UNKNOWN}]}
    assert to_plain(to_struct(value)) == value
    assert has_unknown(value)
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": "x"}
    assert to_plain(to_struct({"s": secret})) == {"s": "x"}


@pytest.mark.parametrize("package", ["aws", "gcp", "azure-native"])
def test_a_provider_refuses_to_start_outside_a_local_run(package, tmp_path):
    environment = {key: value for key, value in os.environ.items() if key != "TRICORN_LOCAL"}
    for extra in ({}, {"TRICORN_LOCAL": str(tmp_path)}):
        done = subprocess.run(
            [ROOT / "localcloud" / "plugins" / f"pulumi-resource-{package}", "127.0.0.1:1"],
            env={**environment, **extra, "PULUMI_PYTHON_CMD": sys.executable},
            capture_output=True, text=True, timeout=20,
        )  # fmt: skip
        assert done.returncode == 1
        assert len(done.stderr.strip().splitlines()) == 1
        assert "local run" in done.stderr
        assert done.stdout == ""


@pytest.mark.parametrize("how", ["stdin", "SIGINT", "SIGTERM"])
def test_a_provider_process_starts_fast_and_ends_at_once(aws, how):
    environment = {**os.environ, "TRICORN_LOCAL": str(aws.paths.root), "PULUMI_PYTHON_CMD": sys.executable}
    process = subprocess.Popen(
        [ROOT / "localcloud" / "plugins" / "pulumi-resource-aws", "127.0.0.1:1"],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert int(process.stdout.readline()) > 0
        if how == "stdin":
            process.stdin.close()
        else:
            process.send_signal(getattr(__import__("signal"), how))
        assert process.wait(5) == 0
    finally:
        process.kill()
        process.stdout.close()
