"""Every trained family's bundle in the model server, asked by `python -m serving predict` about held-out examples."""

import functools
import io
import json
import subprocess
import sys

import numpy as np
import pytest
from bundle_runner import unpack
from PIL import Image
from trained_models import FAMILIES
from training_command import ROOT

from benchmarks.models import SAMPLES
from model_export.registry import Task, find
from serving.model_config import BASE_PATH, batching_config, models_config
from tests.modelserver.running_server import RunningServer
from tests.unit.serving.fake_sites import DOMAIN, FakeDns

pytestmark = pytest.mark.model

ASKED = 8
ENOUGH = 0.75
"""Part of the examples, or of the objects in them, that is answered right; a model that guesses is far below."""


@functools.cache
def held_out(task):
    """Return the class names and the first held-out examples of the task's sample set."""
    from model_export.datasets import load

    dataset = load(SAMPLES[task], 0)
    return dataset.classes, dataset.test.pick(range(ASKED))


class Site:
    """A model server with one bundle under a public name of its own."""

    def __init__(self, bundle, folder):
        version = folder / "models" / bundle.name / "1"
        version.mkdir(parents=True)
        manifest = unpack(bundle, version)
        self.model = manifest.name
        config = models_config(self.model, 1).replace(BASE_PATH, str(folder / "models"))
        (folder / "models.config").write_text(config)
        sizes = manifest.batching.allowed_batch_sizes
        (folder / "batching.config").write_text(batching_config(sizes[-1], sizes, 2000, 2))
        flags = [
            f"--model_config_file={folder / 'models.config'}",
            f"--batching_parameters_file={folder / 'batching.config'}",
            "--enable_batching=true",
            "--file_system_poll_wait_seconds=0",
            "--max_num_load_retries=1",
        ]
        self._server = RunningServer(folder / "log", flags)
        self._dns = FakeDns({"here": ("127.0.0.1", 1)}, self._server.port)

    def __enter__(self):
        self._server.wait_ready()
        return self

    def __exit__(self, *_):
        self._dns.stop()
        self._server.stop()

    def predict(self, *arguments):
        """Return the predictions that the command prints as JSON, over gRPC or with --rest over REST."""
        port = self._server.rest_port if "--rest" in arguments else self._server.port
        where = ("--domain", DOMAIN, "--dns", self._dns.address, "--port", str(port), "--json")
        command = [sys.executable, "-m", "serving", "predict", self.model, *map(str, arguments), *where]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, result.stderr + self._server.text()
        return json.loads(result.stdout)["predictions"]


@pytest.fixture(scope="module", params=FAMILIES)
def site(request, models, tmp_path_factory):
    with Site(models.bundle(request.param), tmp_path_factory.mktemp("site")) as found:
        yield found


def inputs_of(task, folder):
    """Return the examples as `predict` takes them: files, or texts."""
    _, examples = held_out(task)
    contents = [examples.content(row) for row in range(ASKED)]
    if task is Task.LABEL:
        return [content.decode() for content in contents]
    files = [folder / f"{row}.png" for row in range(ASKED)]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    return files


def right_classes(predictions, classes, targets):
    """Return by example whether the best label is the true one."""
    return [
        each["labels"][0]["label"] == classes[label] for each, label in zip(predictions, targets["label"], strict=True)
    ]


def right_objects(predictions, classes, targets):
    """Return by object whether an answer with its label lies within 0.08 of its sides."""
    found = []
    for each, boxes, labels in zip(predictions, targets["boxes"], targets["labels"], strict=True):
        for box, label in zip(boxes[labels >= 0], labels[labels >= 0], strict=True):
            same = [one["box"] for one in each["objects"] if one["label"] == classes[label]]
            found.append(any(np.abs(np.array(one) - box).max() < 0.08 for one in same))
    return found


def right_shares(predictions, classes, targets):
    """Return by picture and class whether the part of the pixels that is answered lies within 0.05 of the truth."""
    found = []
    for each, mask in zip(predictions, targets["mask"], strict=True):
        ids = np.asarray(Image.open(io.BytesIO(mask)))
        shares = {one["label"]: one["score"] for one in each["labels"]}
        found += [abs(shares[name] - np.mean(ids == number)) < 0.05 for number, name in enumerate(classes)]
    return found


RIGHT = {
    Task.CLASSIFY: right_classes, Task.LABEL: right_classes, Task.DETECT: right_objects, Task.SEGMENT: right_shares,
}  # fmt: skip


def test_a_served_model_is_right_about_what_it_was_not_trained_on(site, tmp_path):
    task = find(site.model).task
    classes, examples = held_out(task)
    inputs = inputs_of(task, tmp_path)
    drawn = ("--draw", tmp_path / "drawn") if task in (Task.DETECT, Task.SEGMENT) else ()
    predictions = site.predict(*inputs, *drawn)
    right = RIGHT[task](predictions, classes, examples.targets)
    assert len(right) >= ASKED
    assert np.mean(right) >= ENOUGH
    for each in predictions:
        scores = [one["score"] for one in each.get("labels", each.get("objects"))]
        assert scores == sorted(scores, reverse=True)
    for each in predictions if drawn else ():
        with Image.open(each["picture"]) as picture, Image.open(each["input"]) as asked:
            assert min(picture.size) >= 480
            plain = asked.convert("RGB").resize(picture.size, Image.Resampling.NEAREST)
            assert picture.tobytes() != plain.tobytes()


def test_rest_gives_the_same_answer(site, tmp_path):
    shown = ("labels", "objects")
    asked = inputs_of(find(site.model).task, tmp_path)[0]
    (over_grpc,), (over_rest,) = site.predict(asked), site.predict(asked, "--rest")
    assert [over_grpc.get(name) for name in shown] == [over_rest.get(name) for name in shown]
