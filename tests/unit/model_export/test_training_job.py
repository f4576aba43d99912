"""The training Job against Kubernetes' rules and TensorFlow's."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from model_export.errors import ExportError
from model_export.job import GPU_RESOURCE, TrainingJob, manifests, text
from serving import cluster

ROOT = Path(__file__).resolve().parents[3]


def job(**change):
    given = {
        "name": "digits", "image": "registry.test/train:1", "claim": "runs", "family": "vgg16", "preset": "small",
        "data": "digits",
    }  # fmt: skip
    return TrainingJob(**{**given, **change})


def pod(**change):
    return manifests(job(**change))[-1]["spec"]["template"]["spec"]


def environment(found):
    return {each["name"]: each.get("value") for each in found["containers"][0]["env"]}


def test_one_worker_is_a_job_alone():
    (found,) = manifests(job())
    assert (found["apiVersion"], found["kind"]) == ("batch/v1", "Job")
    assert "TF_CONFIG" not in environment(pod())
    command = pod()["containers"][0]["command"]
    assert command[:5] == ["python", "-m", "model_export", "train", "vgg16"]
    assert command[command.index("--strategy") + 1] == "none"
    assert command[command.index("--out") + 1] == "/runs/digits"
    assert pod()["tolerations"] == []
    assert GPU_RESOURCE not in pod()["containers"][0]["resources"]["limits"]


def test_workers_find_each_other():
    service, found = manifests(job(workers=3))
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"]
    assert service["spec"]["selector"].items() <= found["spec"]["template"]["metadata"]["labels"].items()
    spec = found["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 3, 3)
    assert pod(workers=3)["subdomain"] == service["metadata"]["name"]
    port = service["spec"]["ports"][0]["port"]
    config = json.loads(environment(pod(workers=3))["TF_CONFIG"].replace("$(INDEX)", "2"))
    # Kubernetes names pod N of an Indexed Job `<job>-N`, and `<pod>.<subdomain>` in its namespace.
    assert config["cluster"]["worker"] == [f"digits-{each}.digits:{port}" for each in range(3)]
    assert config["task"] == {"type": "worker", "index": 2}
    command = pod(workers=3)["containers"][0]["command"]
    assert command[command.index("--strategy") + 1] == "multi-worker"


def test_the_index_is_known_before_it_is_used():
    names = [each["name"] for each in pod(workers=2)["containers"][0]["env"]]
    assert names.index("INDEX") < names.index("TF_CONFIG")


def test_gpus_are_asked_for_and_their_nodes_tolerated():
    assert GPU_RESOURCE == cluster.GPU_RESOURCE
    found = pod(gpus=2)
    assert found["containers"][0]["resources"]["limits"][GPU_RESOURCE] == "2"
    assert found["tolerations"] == [{"key": GPU_RESOURCE, "operator": "Exists", "effect": "NoSchedule"}]
    command = found["containers"][0]["command"]
    assert command[command.index("--strategy") + 1] == "mirrored"


def test_the_pod_may_do_no_more_than_it_must():
    found = pod()
    assert found["securityContext"]["runAsNonRoot"]
    assert found["automountServiceAccountToken"] is False
    security = found["containers"][0]["securityContext"]
    assert security["readOnlyRootFilesystem"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    mounts = {each["mountPath"] for each in found["containers"][0]["volumeMounts"]}
    assert {each["name"] for each in found["containers"][0]["volumeMounts"]} == {
        each["name"] for each in found["volumes"]
    }
    assert environment(found)["HOME"] in mounts


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "Digits"}, "--name: must be 1 to 50 lower-case letters"),
        ({"name": "d" * 51}, "--name: must be 1 to 50 lower-case letters"),
        ({"name": "d-"}, "--name: must be 1 to 50 lower-case letters"),
        ({"claim": ""}, "--claim: must be 1 to 50 lower-case letters"),
        ({"image": "a b"}, "--image: must be the name of a container image, got 'a b'"),
        ({"workers": 0}, "--workers: must be at least 1, got 0"),
        ({"gpus": -1}, "--gpus: must be at least 0, got -1"),
        ({"memory": "4 GB"}, "--memory: must be a quantity such as 2 or 4Gi, got '4 GB'"),
    ],
)
def test_what_kubernetes_would_refuse_is_refused_here(change, message):
    with pytest.raises(ExportError) as error:
        job(**change)
    assert str(error.value).startswith(message)


def test_the_text_is_the_manifests():
    assert list(yaml.safe_load_all(text(job(workers=2)))) == manifests(job(workers=2))
    assert "&id" not in text(job(workers=2))


def test_the_command_prints_what_kubectl_reads():
    arguments = ["--family", "vgg16", "--data", "digits", "--image", "i:1", "--claim", "runs", "--", "--epochs", "3"]
    call = [sys.executable, "-m", "model_export", "job", *arguments]
    result = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=True)
    found = yaml.safe_load(result.stdout)
    assert found["metadata"]["name"] == "train-vgg16"
    assert found["spec"]["template"]["spec"]["containers"][0]["command"][-2:] == ["--epochs", "3"]
