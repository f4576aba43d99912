"""What the kubernetes provider decides without a cluster."""

import base64
import json

import pytest

from localcloud.providers.kubernetes import configuration, objects, pods, releases
from localcloud.providers.kubernetes.addons import AddOnError, definitions
from localcloud.providers.kubernetes.kubeconfig import Credentials, KubeconfigError, load
from localcloud.providers.kubernetes.values import (
    UNKNOWN,
    Secret,
    from_struct,
    has_unknown,
    mark_like,
    redact,
    reveal,
    to_struct,
)
from tests.kubernetes_provider import CONFIG_MAP, DEPLOYMENT, NAMESPACE

URN = "urn:pulumi:dev::p::t::n"


def kubeconfig(server="https://127.0.1.1:6443", user=None, **cluster):
    entry = {"server": server, "certificate-authority-data": base64.b64encode(b"PEM").decode(), **cluster}
    return json.dumps(
        {
            "clusters": [{"name": "c", "cluster": entry}],
            "users": [{"name": "u", "user": user or {"token": "t"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "apps"}}],
            "current-context": "x",
        }
    )


def check(token, inputs, olds=None, name="Web", namespace="default", seed=b"1"):
    return objects.check(token, name, seed, URN, olds or {}, inputs, namespace)


# -- kubeconfig


def test_a_kubeconfig_gives_server_authority_namespace_and_token(tmp_path):
    access = load(kubeconfig())
    assert (access.server, access.ca, access.namespace) == ("https://127.0.1.1:6443", "PEM", "apps")
    assert Credentials(access).token() == "t"
    file = tmp_path / "config"
    file.write_text(kubeconfig())
    assert load(str(file)).server == access.server


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (kubeconfig(server="https://10.0.0.1:6443"), "only speaks to the clusters of a local run"),
        (kubeconfig(server="http://127.0.1.1:6443"), "is not https"),
        (kubeconfig(server="https://example.com"), "only speaks to the clusters of a local run"),
        (kubeconfig(**{"certificate-authority-data": "%%"}), "is not base64"),
        ("{}", "contexts has no entry named ''"),
        ("no/such/file", "cannot read"),
    ],
)
def test_an_unusable_kubeconfig_is_refused_with_the_reason(text, complaint):
    with pytest.raises(KubeconfigError, match=complaint):
        load(text)


def plugin(tmp_path, answer):
    """A credential plugin that answers once; asked again it fails."""
    program = tmp_path / "plugin"
    program.write_text(f"#!/bin/sh\nrm {program}\ncat <<'END'\n{json.dumps(answer)}\nEND\n")
    program.chmod(0o755)
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": str(program)}}


def test_a_credential_plugin_is_asked_once_until_its_token_expires(tmp_path):
    status = {"token": "fresh", "expirationTimestamp": "2999-01-01T00:00:00Z"}
    user = plugin(tmp_path, {"apiVersion": "client.authentication.k8s.io/v1beta1", "status": status})
    credentials = Credentials(load(kubeconfig(user=user)))
    assert [credentials.token(), credentials.token()] == ["fresh", "fresh"]
    with pytest.raises(KubeconfigError, match="is not on PATH"):
        credentials.token(renew=True)


def test_a_credential_plugin_of_another_version_is_refused(tmp_path):
    user = plugin(tmp_path, {"apiVersion": "client.authentication.k8s.io/v1", "status": {"token": "x"}})
    with pytest.raises(KubeconfigError, match=r"asks for 'client\.authentication\.k8s\.io/v1beta1'"):
        Credentials(load(kubeconfig(user=user))).token()


# -- values


def test_secrets_and_unknowns_survive_the_protocol():
    value = {"a": Secret({"b": [1, 2.5, True, "x"]}), "u": UNKNOWN, "n": {"m": Secret("s")}}
    assert from_struct(to_struct(value)) == value
    assert has_unknown(value)
    assert reveal(value)["a"] == {"b": [1, 2.5, True, "x"]}
    assert "s" not in repr(Secret("s")).replace("secret", "")


def test_secret_marks_are_put_where_the_pattern_has_them():
    marked = mark_like({"data": {"a": "1", "b": "2"}, "x": 1}, {"data": {"a": Secret("0"), "b": "2"}})
    assert marked == {"data": {"a": Secret("1"), "b": "2"}, "x": 1}


def test_secrets_are_taken_out_of_texts_plain_and_encoded():
    encoded = base64.b64encode(b"hunter2").decode()
    assert redact(f"bad hunter2 or {encoded}", {"d": Secret({"k": "hunter2"})}) == "bad [secret] or [secret]"


# -- names, namespaces, replacement


def test_an_object_without_name_gets_one_and_keeps_it():
    manifest = {"apiVersion": "v1", "kind": "ConfigMap"}
    first, failures = check(CONFIG_MAP, manifest)
    assert failures == []
    name = first["metadata"]["name"]
    assert name.startswith("web-")
    assert len(name) == len("web-") + 7
    assert check(CONFIG_MAP, manifest, olds=first, seed=b"2")[0]["metadata"]["name"] == name
    assert check(CONFIG_MAP, manifest, seed=b"2")[0]["metadata"]["name"] != name
    assert len(check(CONFIG_MAP, manifest, name="x" * 80)[0]["metadata"]["name"]) == 63


def test_only_namespaced_kinds_get_the_default_namespace():
    found, _ = check(CONFIG_MAP, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}, namespace="apps")
    assert found["metadata"] == {"name": "a", "namespace": "apps"}
    found, _ = check(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}})
    assert found["metadata"] == {"name": "a"}


def test_unknown_metadata_is_left_alone():
    inputs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": UNKNOWN}
    assert check(CONFIG_MAP, inputs) == (inputs, [])


@pytest.mark.parametrize(
    ("token", "inputs", "complaint"),
    [
        (CONFIG_MAP, {"metadata": {"name": "a"}}, "needs `apiVersion` and `kind`"),
        (CONFIG_MAP, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": "a"}, "must be an object, got str"),
        ("kubernetes:core/v1:ConfigMapPatch", {"apiVersion": "v1", "kind": "ConfigMap"}, "no Patch resources"),
    ],
)
def test_what_is_no_object_is_refused(token, inputs, complaint):
    _, failures = check(token, inputs)
    assert complaint in failures[0][1]


@pytest.mark.parametrize(
    ("kind", "api_version", "path", "replaces"),
    [
        ("Deployment", "apps/v1", "spec.selector.matchLabels.app", True),
        ("Deployment", "apps/v1", "spec.replicas", False),
        ("Deployment", "apps/v1", "metadata.name", True),
        ("Deployment", "apps/v1", "metadata.namespace", True),
        ("Deployment", "apps/v1", 'metadata.labels["a/b"]', False),
        ("Service", "v1", "spec.clusterIP", True),
        ("Service", "v1", "spec.clusterIPs[0]", False),
        ("Service", "serving.knative.dev/v1", "spec.clusterIP", False),
        ("Job", "batch/v1", "spec.template.spec.containers[0].image", True),
        ("ConfigMap", "v1", "data.a", True),
        ("RoleBinding", "rbac.authorization.k8s.io/v1", "roleRef", True),
        ("Gateway", "gateway.networking.k8s.io/v1", "spec.listeners[0].port", False),
    ],
)
def test_what_cannot_change_in_place_replaces(kind, api_version, path, replaces):
    fixed = objects.immutable(api_version, kind, mutable_config_maps=False, mutable_secrets=False)
    assert any(objects.touches(path, each) for each in fixed) == replaces


def test_mutable_config_maps_change_in_place():
    fixed = objects.immutable("v1", "ConfigMap", mutable_config_maps=True, mutable_secrets=False)
    assert not any(objects.touches("data.a", each) for each in fixed)


def test_differences_are_named_by_their_path():
    old = {"spec": {"a": 1, "l": [{"x": 1}, 2]}, "metadata": {"labels": {"a/b": "1"}}, "gone": 1, "same": True}
    new = {"spec": {"a": 2, "l": [{"x": 2}]}, "metadata": {"labels": {"a/b": UNKNOWN}}, "new": 1, "same": True}
    assert sorted(objects.differences(old, new)) == [
        ("gone", True, False),
        ('metadata.labels["a/b"]', True, True),
        ("new", False, True),
        ("spec.a", True, True),
        ("spec.l[0].x", True, True),
        ("spec.l[1]", True, False),
    ]
    assert list(objects.differences({"a": 1}, {"a": True})) == [("a", True, True)]
    assert list(objects.differences(old, old)) == []


def test_a_replacement_of_the_same_name_goes_after_the_old_object():
    named = {"metadata": {"name": "a", "namespace": "n"}}
    automatic = {"metadata": {"name": "a-1", "namespace": "n", "annotations": {objects.AUTONAMED: "true"}}}
    assert objects.same_name(named, named)
    assert not objects.same_name(automatic, automatic)
    assert not objects.same_name(named, {"metadata": {"name": "b", "namespace": "n"}})


def test_tokens_and_ids_name_objects():
    assert objects.kind_of_token(CONFIG_MAP) == {"apiVersion": "v1", "kind": "ConfigMap"}
    assert objects.kind_of_token(DEPLOYMENT) == {"apiVersion": "apps/v1", "kind": "Deployment"}
    assert objects.split_id("n/a") == ("n", "a")
    assert objects.split_id("a") == (None, "a")


# -- the provider's configuration


def test_the_same_cluster_identifier_never_replaces():
    old = {"kubeconfig": kubeconfig(), "clusterIdentifier": "c1"}
    new = {"kubeconfig": kubeconfig(server="https://127.0.1.9:6443"), "clusterIdentifier": "c1"}
    assert configuration.changed(old, new) == ["kubeconfig"]
    assert configuration.replaces(old, new) == []
    assert configuration.replaces(old, {**new, "clusterIdentifier": "c2"}) == ["clusterIdentifier"]
    assert configuration.replaces(old, {**new, "kubeconfig": UNKNOWN}) == []


def test_without_identifier_another_server_is_another_cluster():
    old = {"kubeconfig": kubeconfig()}
    assert configuration.replaces(old, {"kubeconfig": kubeconfig(user={"token": "other"})}) == []
    other = {"kubeconfig": kubeconfig(server="https://127.0.1.9:6443")}
    assert configuration.replaces(old, other) == ["kubeconfig"]


def test_a_bad_kubeconfig_of_a_provider_is_refused_and_an_unknown_one_is_not():
    assert "only speaks" in configuration.problems({"kubeconfig": kubeconfig(server="https://10.0.0.1")})[0][1]
    assert configuration.problems({"kubeconfig": UNKNOWN}) == []
    assert configuration.problems({"kubeconfig": kubeconfig()}) == []


# -- pods and releases


def pod(container, phase="Pending", conditions=(), **metadata):
    return {
        "metadata": metadata,
        "status": {"phase": phase, "conditions": list(conditions), "containerStatuses": [{"name": "c", **container}]},
    }


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        (
            {"image": "i:1", "state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}},
            "container c: image i:1 cannot be had (ErrImagePull): not found",
        ),
        (
            {
                "restartCount": 3,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "message": "x\nno model\n"}},
            },
            "container c: ends again and again, 3 times so far with exit code 1: no model",
        ),
        (
            {"state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}},
            "container c: ended with exit code 137 (OOMKilled)",
        ),
        (
            {"state": {"waiting": {"reason": "CreateContainerConfigError", "message": 'configmap "a" not found'}}},
            'container c: cannot be started (CreateContainerConfigError): configmap "a" not found',
        ),
    ],
)
def test_pod_problems_are_told_in_plain_words(container, expected):
    assert pods.problems([pod(container), pod(container)]) == [expected]


def test_a_pod_no_node_takes_is_told_and_one_that_ends_is_not():
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    assert pods.problems([pod({}, conditions=[condition])]) == ["no node takes the pod: 0/1 nodes"]
    assert pods.problems([pod({}, conditions=[condition], deletionTimestamp="now")]) == []


def test_only_what_waiting_cannot_mend_is_hopeless():
    assert pods.hopeless([pod({"state": {"waiting": {"reason": "InvalidImageName"}}})])
    assert not pods.hopeless([pod({"state": {"waiting": {"reason": "ImagePullBackOff"}}})])


def test_known_charts_are_accepted_by_name_and_address():
    for chart in ("gateway-helm", "oci://docker.io/envoyproxy/gateway-helm"):
        inputs, failures = releases.check("eg", b"", URN, {}, {"chart": chart, "version": "v1.9.2"}, "default")
        assert failures == []
        assert inputs["namespace"] == "default"
        assert inputs["name"].startswith("eg-")


def test_an_unknown_chart_or_version_is_refused_with_what_there_is():
    _, failures = releases.check("r", b"", URN, {}, {"chart": "redis"}, "default")
    assert failures == [
        ("chart", "the local clouds know no chart 'redis'; they know: cert-manager, gateway-helm, nvidia-device-plugin")
    ]
    _, failures = releases.check("r", b"", URN, {}, {"chart": "gateway-helm", "version": "1.2.3"}, "default")
    assert failures[0] == ("version", "the local clouds have gateway-helm 1.9.0, not 1.2.3")


def test_definitions_are_cut_from_files_of_several_documents(tmp_path):
    document = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: {}.e.com\n"
    (tmp_path / "a.yaml").write_text("---\n".join(["# head\n", document.format("as"), document.format("bs")]))
    (tmp_path / "b.yaml").write_text("kind: ConfigMap\nmetadata:\n  name: x.y\n")
    assert [(each.plural, each.group) for each in definitions(tmp_path)] == [("as", "e.com"), ("bs", "e.com")]
    (tmp_path / "a.yaml").unlink()
    with pytest.raises(AddOnError, match="holds no CustomResourceDefinition"):
        definitions(tmp_path)
