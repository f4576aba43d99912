"""Every Kubernetes object that the stack files' programs send, as a real API server judges it.

Server-side dry runs with strict field validation, against the kinds that the stacks' charts bring; pods with Pod
Security enforced. Only what admission needs to be there first is created.
"""

import json

import pytest

from localcloud.clusters.access import admin_token
from localcloud.providers.kubernetes.addons import ADD_ONS, chart_name
from localcloud.providers.kubernetes.api import Api, ApiError
from localcloud.providers.kubernetes.kubeconfig import load
from model_export.job import TrainingJob, manifests
from tests.conformance.kubernetes_api import encoded, objects_by_site, record, variants

from .conftest import CLOUD

pytestmark = pytest.mark.cluster
FIRST = ("Namespace", "ServiceAccount", "PriorityClass")
"""Kinds that must be there before others are judged, in this order."""
CUSTOM_S = 30.0


@pytest.fixture(scope="module")
def sent(tmp_path_factory):
    """What all variants of all stacks send, by site and variant, and the charts they install."""
    objects, charts = {}, {}
    for name, settings in variants().items():
        found = record(settings, tmp_path_factory.mktemp("bundles"))
        objects |= {(name, site): each for site, each in objects_by_site(found).items()}
        for row in found.all("kubernetes:helm.sh/v3:Release"):
            charts[chart_name(row.inputs["chart"])] = row.inputs
    return objects, charts


@pytest.fixture(scope="module")
def api(managed, cluster, sent):
    user = {"token": admin_token(managed.paths, CLOUD, cluster.id)}
    server = {"server": cluster.endpoint, "certificate-authority-data": encoded(cluster.ca)}
    kubeconfig = {
        "clusters": [{"name": "c", "cluster": server}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    found = Api(load(json.dumps(kubeconfig)))
    objects, charts = sent
    for chart, release in charts.items():
        ADD_ONS[chart].install(found, release["values"])
        place = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": release["namespace"]}}
        found.apply(found.kind("v1", "Namespace"), place, force=True)
    unique = {json.dumps(each, sort_keys=True): each for listed in objects.values() for each in listed}
    for kind in FIRST:
        for each in unique.values():
            if each["kind"] == kind:
                found.apply(found.kind(each["apiVersion"], kind), each, force=True)
    return found


def refusal(api, manifest):
    """Why the API server does not take an object; empty when it does."""
    try:
        api.apply(
            api.kind(manifest["apiVersion"], manifest["kind"], wait_s=CUSTOM_S), manifest, force=True, dry_run=True
        )
    except ApiError as error:
        return f"{manifest['kind']} {manifest['metadata']['name']}: {error}"
    return ""


def pod_of(deployment):
    metadata = {"name": deployment["metadata"]["name"], "namespace": deployment["metadata"]["namespace"]}
    template = deployment["spec"]["template"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**metadata, **template["metadata"]},
        "spec": template["spec"],
    }


def test_the_api_server_takes_every_object_of_every_site(api, sent):
    judged, bad = set(), []
    for where, objects in sent[0].items():
        for each in objects:
            text = json.dumps(each, sort_keys=True)
            if text not in judged:
                judged.add(text)
                bad += [f"{where}: {reason}"] if (reason := refusal(api, each)) else []
    assert len(judged) > 150
    assert bad == []


def test_every_pod_is_taken_where_pod_security_restricted_is_enforced(api, sent):
    pods = [pod_of(each) for objects in sent[0].values() for each in objects if each["kind"] == "Deployment"]
    assert pods
    assert [reason for each in pods if (reason := refusal(api, each))] == []


def first(sent, kind):
    return json.loads(json.dumps(next(e for objects in sent[0].values() for e in objects if e["kind"] == kind)))


def test_a_pod_with_a_privilege_is_refused(api, sent):
    pod = pod_of(first(sent, "Deployment"))
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    assert 'violates PodSecurity "restricted' in refusal(api, pod)


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("Deployment", "replicaz"),
        ("NetworkPolicy", "egres"),
        ("GRPCRoute", "parents"),
        ("ClientTrafficPolicy", "tsl"),
        ("Certificate", "dnsName"),
    ],
)
def test_an_unknown_field_is_refused(api, sent, kind, field):
    wrong = first(sent, kind)
    wrong["spec"][field] = []
    assert field in refusal(api, wrong)


def test_a_rule_of_a_custom_kind_is_enforced(api, sent):
    wrong = first(sent, "Backend")
    wrong["spec"]["endpoints"] = [{"ip": {"address": "peer.example.com", "port": 8443}}]
    assert "address" in refusal(api, wrong)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_api_server_takes_a_training_job_and_its_pod(api, sent, workers):
    job = TrainingJob(
        name="train-yolo", image="registry.example.com/tricorn:1", claim="runs", family="yolo", preset="full",
        data="coco:/runs/road/annotations.json", namespace=first(sent, "Deployment")["metadata"]["namespace"],
        workers=workers, gpus=1, cpu="4", memory="16Gi",
    )  # fmt: skip
    found = manifests(job)
    assert len(found) == workers
    assert [reason for each in (*found, pod_of(found[-1])) if (reason := refusal(api, each))] == []
