import time

import numpy as np

from model_export import probe
from model_export.warmup import Request


class FakeModel:
    """Takes a tenth of a millisecond for each input."""

    def __init__(self):
        self.runs = []

    def run(self, signature, inputs):
        self.runs.append((signature, len(inputs["x"])))
        time.sleep(len(inputs["x"]) / 10_000)
        return {}


def requests(*named):
    return [Request(signature, batch, {"x": np.zeros(batch, np.uint8)}) for signature, batch in named]


def test_every_batch_size_of_the_default_signature_is_measured_in_order():
    model = FakeModel()
    measured = probe._latencies(model, requests(("classify", 1), ("serving_default", 16), ("serving_default", 1)))
    assert list(measured) == ["1", "16"]
    assert 0.1 <= measured["1"] < measured["16"]
    assert {signature for signature, _ in model.runs} == {"serving_default"}
    assert len(model.runs) == 2 * 15


def test_a_model_without_the_default_signature_is_measured_too():
    assert list(probe._latencies(FakeModel(), requests(("other", 4)))) == ["4"]


def test_a_slow_batch_is_run_three_times(monkeypatch):
    monkeypatch.setattr(probe, "_BATCH_SECONDS", 0.0)
    model = FakeModel()
    probe._latencies(model, requests(("serving_default", 8)))
    assert len(model.runs) == 3
