"""A stand-in running in a process of its own, and how the tests talk to it."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import grpc
import numpy as np
import pytest

from localcloud.modelserver.tensors import from_proto, to_proto
from localcloud.processes import dying_with_parent
from serving.protos import predict_pb2, prediction_service_pb2_grpc

ROOT = Path(__file__).resolve().parents[2]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class RunningServer:
    """A stand-in started as a pod starts it, with what the tests ask of it."""

    def __init__(self, log, flags, environment=None):
        self.port, self.rest_port = free_port(), free_port()
        self.log = log
        command = [sys.executable, "-m", "localcloud.modelserver", f"--port={self.port}"]
        command += [f"--rest_api_port={self.rest_port}", "--tensorflow_intra_op_parallelism=1", *flags]
        command += ["--tensorflow_inter_op_parallelism=2", "--load_retry_interval_micros=50000"]
        with log.open("w") as output:
            # Ended with an aborted test run too: it ignores SIGTERM.
            self.process = subprocess.Popen(
                dying_with_parent(command),
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
            )
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.port}")
        self.stub = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)

    def text(self):
        return self.log.read_text()

    def wait_ready(self, seconds=60):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.text()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.rest_port)) == 0:
                    return self
            time.sleep(0.05)
        raise AssertionError(f"not ready after {seconds} s:\n{self.text()}")

    def wait_end(self, seconds=60):
        return self.process.wait(seconds)

    def stop(self):
        self.channel.close()
        self.process.kill()
        self.process.wait(10)

    def request(self, inputs, signature="", model="toy", version=None):
        message = predict_pb2.PredictRequest()
        message.model_spec.name = model
        message.model_spec.signature_name = signature
        if version is not None:
            message.model_spec.version.value = version
        for name, value in inputs.items():
            to_proto(np.asarray(value), message.inputs[name], as_content=True)
        return message

    def predict(self, inputs, signature="", timeout=20, **spec):
        answer = self.stub.Predict(self.request(inputs, signature, **spec), timeout=timeout)
        return {name: from_proto(name, proto) for name, proto in answer.outputs.items()}

    def later(self, inputs, signature="", timeout=20):
        return self.stub.Predict.future(self.request(inputs, signature), timeout=timeout)

    def http(self, path, body=None):
        data = None if body is None else (body if isinstance(body, bytes) else json.dumps(body).encode())
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.rest_port}{path}", data, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metrics(self):
        status, text = self.http("/monitoring/prometheus/metrics")
        assert status == 200
        rows = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in rows}


def strings(*values):
    array = np.empty(len(values), object)
    array[:] = values
    return array


def refusal(call):
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code().name, caught.value.details()
