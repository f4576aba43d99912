"""Identities on AWS: who may use which role, and what the role may do."""

import json

import pulumi
import pytest

import components
from components._aws_ci_policies import ATTACHABLE, PASSED_TO
from components.eks_cluster import NODE_POLICIES
from tests.components.clusters import CLOUDS

POLICY, ROLE, ISSUER = (
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/role:Role",
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
)
GITHUB = "https://token.actions.githubusercontent.com"
READING = ("Describe", "Get", "List")
INLINE_MAX = 10_240
"""Characters that IAM allows in all inline policies of one role."""


@pytest.fixture(scope="module")
def cluster(run):
    return run(CLOUDS["aws"].declare)


@pytest.fixture(scope="module")
def ci(run):
    args = components.AwsCiIdentityArgs(
        issuer=GITHUB,
        preview_subject="repo:acme/models:pull_request",
        deploy_subject="repo:acme/models:environment:prod",
    )

    def build():
        made = components.AwsCiIdentity("ci", args)
        return [made.preview_role_arn, made.deploy_role_arn]

    return run(build)


@pytest.fixture(scope="module")
def acme(run):
    args = components.AwsAcmeIdentityArgs(
        domain="serve.example.com", zone_id="Z0EXAMPLE", issuer_url="https://eastus.oic.example.com/tenant/cluster/"
    )
    return run(lambda: components.AwsAcmeIdentity("acme", args).role_arn)


def statements(text):
    """Statements of a policy document."""
    return json.loads(text)["Statement"]


def policies(recording):
    """Statements of every policy of a recording, with the policy's name."""
    return [(row.name, each) for row in recording.all(POLICY) for each in statements(row.inputs["policy"])]


def is_wide(statement):
    """Whether a statement allows to change anything whatever it is."""
    changes = [a for a in statement.get("Action", []) if not a.partition(":")[2].startswith(READING)]
    return statement["Effect"] == "Allow" and "*" in statement["Resource"] and changes and "Condition" not in statement


# -- roles of a cluster


def test_no_policy_of_a_cluster_allows_everything_of_a_service_or_any_change_to_anything(cluster):
    found = policies(cluster)
    assert len(found) >= 15
    for name, statement in found:
        assert not any(action == "*" or action.endswith(":*") for action in statement["Action"]), name
        assert not is_wide(statement), (name, statement)


def test_pods_of_no_other_service_account_can_use_a_role(cluster):
    trusts = {row.name: statements(row.inputs["assumeRolePolicy"])[0] for row in cluster.all(ROLE)}
    pods = {name: each for name, each in trusts.items() if each["Principal"]["Service"] == "pods.eks.amazonaws.com"}

    def subject(trust):
        tags = trust["Condition"]["StringEquals"]
        return tuple(tags[f"aws:RequestTag/kubernetes-{each}"] for each in ("namespace", "service-account"))

    assert {name: subject(each) for name, each in pods.items()} == {
        "site-identity-role": ("serving", "model-server"),
        "site-addons-disks-role": ("kube-system", "ebs-csi-controller-sa"),
        "site-autoscaler-role": ("kube-system", "cluster-autoscaler"),
        "site-balancers-role": ("kube-system", "aws-load-balancer-controller"),
    }  # fmt: skip


def test_model_servers_read_bundles_and_nothing_else(cluster):
    found = statements(cluster.one(POLICY, "site-identity-read").inputs["policy"])
    assert [each["Action"] for each in found] == [["s3:ListBucket"], ["s3:GetObject"], ["kms:Decrypt"]]
    assert found[0]["Condition"] == {"StringLike": {"s3:prefix": ["bundles/*"]}}
    assert found[1]["Resource"] == ["arn:aws:s3:::site-models-bucket-x1/bundles/*"]
    assert found[2]["Condition"] == {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}


@pytest.mark.parametrize("controller", ["site-autoscaler-policy", "site-balancers-policy"])
def test_controllers_change_only_what_bears_their_clusters_tag(cluster, controller):
    name = cluster.one("aws:eks/cluster:Cluster").inputs["name"]
    changing = [
        each
        for each in statements(cluster.one(POLICY, controller).inputs["policy"])
        if not all(action.partition(":")[2].startswith(READING) for action in each["Action"])
    ]
    assert changing
    for each in changing:
        if each["Action"] in (["ec2:CreateSecurityGroup"], ["iam:CreateServiceLinkedRole"]):
            continue
        assert name in json.dumps(each["Condition"]), each


def test_the_cache_fills_only_its_own_repositories(cluster):
    (filling,) = statements(cluster.one(POLICY, "site-registry-cache-fill").inputs["policy"])
    prefix = cluster.one("aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate").inputs["prefix"]
    assert filling["Resource"] == [f"arn:aws:ecr:us-east-1:123456789012:repository/{prefix}/*"]
    assert cluster.one(POLICY, "site-registry-cache-fill").inputs["role"] == "site-cluster-node-role-x1"


def test_the_key_is_nobody_elses(cluster):
    key = cluster.one("aws:kms/key:Key").inputs
    assert key["enableKeyRotation"] is True
    for each in statements(key["policy"]):
        assert "*" not in each["Principal"].values(), each


# -- certificates


def test_only_cert_manager_of_that_cluster_proves_a_name(acme):
    issuer = "eastus.oic.example.com/tenant/cluster/"
    (trust,) = statements(acme.one(ROLE).inputs["assumeRolePolicy"])
    assert acme.one(ISSUER).inputs["clientIdLists"] == ["sts.amazonaws.com"]
    assert trust["Principal"] == {"Federated": f"arn:aws:iam::123456789012:oidc-provider/{issuer}"}
    assert trust["Action"] == ["sts:AssumeRoleWithWebIdentity"]
    assert trust["Condition"] == {
        "StringEquals": {
            f"{issuer}:sub": "system:serviceaccount:cert-manager:cert-manager",
            f"{issuer}:aud": "sts.amazonaws.com",
        }
    }


def test_proving_a_name_changes_no_record_but_the_challenge(acme):
    found = {each["Action"][0]: each for each in statements(acme.one(POLICY).inputs["policy"])}
    change = found.pop("route53:ChangeResourceRecordSets")
    key = "route53:ChangeResourceRecordSets"
    assert change["Resource"] == ["arn:aws:route53:::hostedzone/Z0EXAMPLE"]
    names = change["Condition"]["ForAllValues:StringLike"][f"{key}NormalizedRecordNames"]
    assert names == ["_acme-challenge.serve.example.com", "_acme-challenge.*.serve.example.com"]
    assert change["Condition"]["ForAllValues:StringEquals"] == {f"{key}RecordTypes": ["TXT"]}
    # ForAllValues alone is true where there is nothing to compare.
    assert set(change["Condition"]["Null"].values()) == {"false"}
    assert all(action.partition(":")[2].startswith(READING) for action in found)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"domain": "serve.example.com."}, "domain: must be a lower-case domain name without a final dot"),
        ({"zone_id": "serve.example.com"}, "zoneId: must be the id of a Route 53 zone, Z..."),
        ({"issuer_url": "http://a"}, "issuerUrl: must begin with https://, got 'http://a'"),
    ],
)
def test_a_wrong_name_zone_or_issuer_is_refused(changes, line):
    good = {"domain": "serve.example.com", "zone_id": "Z0EXAMPLE", "issuer_url": "https://issuer.example"}
    with pytest.raises(pulumi.InputPropertiesError) as caught:
        components.AwsAcmeIdentityArgs(**{**good, **changes})
    assert line in str(caught.value)


# -- pipelines


def test_a_pipeline_gets_a_role_by_its_whole_subject_and_audience(ci):
    key = GITHUB.removeprefix("https://")
    subjects = {
        row.name: statements(row.inputs["assumeRolePolicy"])[0]["Condition"]["StringEquals"] for row in ci.all(ROLE)
    }
    assert subjects == {
        "ci-preview-role": {f"{key}:sub": "repo:acme/models:pull_request", f"{key}:aud": "sts.amazonaws.com"},
        "ci-deploy-role": {f"{key}:sub": "repo:acme/models:environment:prod", f"{key}:aud": "sts.amazonaws.com"},
    }


def test_a_preview_reads_no_data_and_changes_nothing(ci):
    found = statements(ci.one(POLICY, "ci-preview-limits").inputs["policy"])
    allowed = [action for each in found if each["Effect"] == "Allow" for action in each["Action"]]
    assert all(action.partition(":")[2].startswith(READING) for action in allowed)
    (denied,) = [each for each in found if each["Effect"] == "Deny"]
    assert {"s3:GetObject*", "secretsmanager:GetSecretValue", "kms:Decrypt"} <= set(denied["Action"])
    attached = {row.inputs["policyArn"] for row in ci.all("aws:iam/rolePolicyAttachment:RolePolicyAttachment")}
    assert attached == {f"arn:aws:iam::aws:policy/{each}" for each in ("SecurityAudit", "job-function/ViewOnlyAccess")}


def test_a_deployment_makes_no_lasting_key_and_cannot_raise_itself(ci):
    found = [each for name, each in policies(ci) if name.startswith("ci-deploy-")]
    assert not [each for each in found if is_wide(each)]
    denied = [each for each in found if each["Effect"] == "Deny"]
    assert any({"iam:CreateUser", "iam:CreateAccessKey"} <= set(each.get("Action", [])) for each in denied)
    (untouched,) = [each for each in denied if "NotAction" in each]
    assert untouched["Resource"] == ci.value
    assert not [a for each in found for a in each.get("Action", []) if a in ("*", "iam:*", "sts:*", "s3:*", "kms:*")]


def test_a_deployment_may_do_what_the_components_do(ci, cluster):
    found = [each for name, each in policies(ci) if name.startswith("ci-deploy-")]
    attached = {row.inputs["policyArn"] for row in cluster.all("aws:iam/rolePolicyAttachment:RolePolicyAttachment")}
    assert attached == {f"arn:aws:iam::aws:policy/{each}" for each in ATTACHABLE}
    assert set(NODE_POLICIES) <= set(ATTACHABLE)
    trusted = {statements(row.inputs["assumeRolePolicy"])[0]["Principal"]["Service"] for row in cluster.all(ROLE)}
    assert trusted == set(PASSED_TO)
    passing = [each for each in found if "iam:PassRole" in each.get("Action", [])]
    assert passing[0]["Condition"]["StringEquals"]["iam:PassedToService"] == list(PASSED_TO)


def test_the_policies_of_a_role_fit_into_it(ci):
    total = sum(len(row.inputs["policy"]) for row in ci.all(POLICY) if row.name.startswith("ci-deploy-"))
    assert 3000 < total <= INLINE_MAX


def test_an_issuer_the_account_knows_already_is_not_made_twice(run):
    args = components.AwsCiIdentityArgs(
        issuer=GITHUB, preview_subject="a", deploy_subject="b", provider_arn="arn:aws:iam::123456789012:oidc-provider/x"
    )
    recording = run(lambda: components.AwsCiIdentity("ci", args))
    assert not recording.all(ISSUER)
    for row in recording.all(ROLE):
        assert "oidc-provider/x" in row.inputs["assumeRolePolicy"]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"issuer": f"{GITHUB}/"}, "issuer: must begin with https:// and not end with a slash"),
        ({"deploy_subject": "repo:acme/*"}, "deploySubject: must be one whole subject without wildcards"),
        ({"preview_subject": ""}, "previewSubject: must be one whole subject"),
        ({"deploy_subject": "a"}, "deploySubject: must not be that of previews, got 'a' for both"),
    ],
)
def test_an_identity_that_more_than_one_pipeline_has_is_refused(changes, line):
    with pytest.raises(pulumi.InputPropertiesError) as caught:
        components.AwsCiIdentityArgs(**{"issuer": GITHUB, "preview_subject": "a", "deploy_subject": "b", **changes})
    assert line in str(caught.value)


def test_a_deployment_touches_the_roles_of_clusters_and_no_other(ci, cluster, acme):
    for recording in (cluster, acme):
        assert {row.inputs["path"] for row in recording.all(ROLE)} == {"/tricorn/"}
    assert not [row.name for row in ci.all(ROLE) if "path" in row.inputs]
    for name, each in policies(ci):
        changes = [
            a for a in each.get("Action", []) if a.startswith("iam:") and "Role" in a and "ServiceLinked" not in a
        ]
        if each["Effect"] == "Allow" and changes and name.startswith("ci-deploy-identity"):
            assert each["Resource"] == ["arn:aws:iam::123456789012:role/tricorn/*"], each
