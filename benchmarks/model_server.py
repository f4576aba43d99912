"""What the model server stand-in costs: its throughput beside direct, batched calls into the same C++ session.

    python -m benchmarks.model_server [--bundle DIR] [--input bytes|uint8] [--callers 32] [--rounds 3] [--seconds 4]

All sides compute with the same number of threads and take turns, so that a noisy machine disturbs them alike. A server
runs in its own process and its callers in this one, on the same machine: their cost is part of the result.

Two servers are measured. The first follows TensorFlow Serving's batching guide, by which twice `max_batch_size` callers
keep batches full. The second has the bundle's own `batching_params.pbtxt`; with as many callers as its largest batch,
two part batches alternate for ever, each padded up to the next allowed size. The column `padded` shows that waste: rows
computed per image asked for.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import io
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine
from localcloud.modelserver.library import InputTensor, Session
from localcloud.modelserver.metrics import PROMETHEUS_PATH
from localcloud.modelserver.tensors import to_proto
from localcloud.processes import dying_with_parent
from serving.protos import config_pb2, meta_graph_pb2, predict_pb2

ROOT = Path(__file__).resolve().parents[1]
BATCH = 32
START_TIMEOUT_S = 120
SIGNATURES = {"bytes": ("serving_default", "image_bytes"), "uint8": ("image_uint8", "image")}


@dataclass
class Round:
    """One measurement: images a second, milliseconds a call, and rows computed per image."""

    rate: float
    p50_ms: float
    p99_ms: float
    padded: float = 1.0


def unpack(bundle: Path, folder: Path) -> tuple[str, Path]:
    """Unpack the newest version of a bundle; return the model's name and its base path."""
    manifests = sorted(bundle.glob("*.json"), key=lambda file: int(file.stem))
    if not manifests:
        sys.exit(f"{bundle} holds no bundle; make one with `python -m model_export export`")
    manifest = json.loads(manifests[-1].read_text())
    base = folder / manifest["name"]
    with tarfile.open(bundle / manifest["archive"]) as archive:
        archive.extractall(base / str(manifest["version"]), filter="data")
    return manifest["name"], base


def images(kind: str) -> list[np.ndarray[Any, Any]]:
    """Return example inputs of one row each."""
    if kind == "uint8":
        random = np.random.default_rng(1)
        return [random.integers(0, 256, (1, 224, 224, 3), dtype=np.uint8) for _ in range(8)]
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    pictures = []
    for name in ("chelsea.png", "coffee.png", "rocket.jpg", "astronaut.png"):
        picture = np.empty(1, object)
        picture[0] = _jpeg(folder / name)
        pictures.append(picture)
    return pictures


def _jpeg(path: Path) -> bytes:
    from PIL import Image

    target = io.BytesIO()
    Image.open(path).convert("RGB").resize((320, 320)).save(target, "JPEG", quality=90)
    return target.getvalue()


def free_port() -> int:
    """Return a port nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class DirectCalls:
    """Batches of 32 straight into the loader's session, as many at once as the server has batch threads."""

    def __init__(self, base: Path, signature: str, threads: int, inputs: list[np.ndarray[Any, Any]]) -> None:
        config = config_pb2.ConfigProto(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads)
        version = max(base.iterdir(), key=lambda path: int(path.name))
        self._session = Session(str(version), ["serve"], config.SerializeToString())
        definition = meta_graph_pb2.MetaGraphDef.FromString(self._session.meta_graph).signature_def[signature]
        (info,) = definition.inputs.values()
        self._input, self._dtype = info.name, info.dtype
        self._outputs = [output.name for output in definition.outputs.values()]
        self._parts = [inputs[i % len(inputs)] for i in range(BATCH)]
        self._threads = threads
        self._call()

    def _call(self) -> float:
        started = time.perf_counter()
        tensor = InputTensor(self._dtype, self._parts)
        try:
            self._session.run({self._input: tensor}, self._outputs)
        finally:
            tensor.release()
        return time.perf_counter() - started

    def measure(self, seconds: float) -> Round:
        """Run batches for that long."""

        def work(_: int) -> list[float]:
            took = []
            while time.perf_counter() < end:
                took.append(self._call())
            return took

        started = time.perf_counter()
        end = started + seconds
        with ThreadPoolExecutor(self._threads) as pool:
            took = [each for part in pool.map(work, range(self._threads)) for each in part]
        return _round(took, BATCH * len(took) / (time.perf_counter() - started))


class ServedCalls:
    """Single images from concurrent callers over gRPC to the stand-in, which batches them."""

    def __init__(
        self, name: str, base: Path, signature: str, input_name: str, threads: int, inputs: list[np.ndarray[Any, Any]]
    ) -> None:
        self._port, self._rest_port = free_port(), free_port()
        folder = base.parent
        (folder / "monitoring.config").write_text("prometheus_config { enable: true }")
        (folder / "models.config").write_text(
            f'model_config_list {{ config {{ name: "{name}" base_path: "{base}" model_platform: "tensorflow" }} }}'
        )
        (folder / "batching.config").write_text(f"num_batch_threads {{ value: {threads} }}")
        self._log = (folder / "server.log").open("w+")
        self.process = subprocess.Popen(
            dying_with_parent([
                sys.executable, "-m", "localcloud.modelserver", f"--port={self._port}", "--grpc_max_threads=256",
                f"--model_config_file={folder / 'models.config'}", "--enable_batching",
                f"--rest_api_port={self._rest_port}", f"--monitoring_config_file={folder / 'monitoring.config'}",
                "--enable_per_model_batching_parameters", f"--batching_parameters_file={folder / 'batching.config'}",
                f"--tensorflow_intra_op_parallelism={threads}", f"--tensorflow_inter_op_parallelism={threads}",
                "--max_num_load_retries=0", "--file_system_poll_wait_seconds=0",
            ]),
            cwd=ROOT, stdout=self._log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self._requests = [_request(name, signature, input_name, value) for value in inputs]

    def wait(self) -> float:
        """Wait until the server answers; return the seconds it took."""
        started = time.perf_counter()
        with grpc.insecure_channel(f"127.0.0.1:{self._port}") as channel:
            while time.perf_counter() - started < START_TIMEOUT_S:
                if self.process.poll() is not None:
                    self._log.seek(0)
                    sys.exit(f"the model server ended with code {self.process.returncode}:\n{self._log.read()[-2000:]}")
                try:
                    grpc.channel_ready_future(channel).result(1)
                    return time.perf_counter() - started
                except grpc.FutureTimeoutError:
                    continue
        sys.exit(f"the model server did not answer within {START_TIMEOUT_S} s")

    def measure(self, callers: int, seconds: float) -> Round:
        """Call for that long."""
        before = self._rows()
        measured = asyncio.run(self._measure(callers, seconds))
        computed, asked = (new - old for new, old in zip(self._rows(), before, strict=True))
        return dataclasses.replace(measured, padded=computed / asked)

    def _rows(self) -> tuple[float, float]:
        """Return how many rows were computed and asked for since the server started."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._rest_port}{PROMETHEUS_PATH}", timeout=20) as answer:
            text = answer.read().decode()
        found = []
        for name in ("processed_batch_size", "input_batch_size"):
            match = re.search(rf"batching_session:{name}_sum{{}} (\S+)", text)
            found.append(float(match.group(1)) if match else 0.0)
        return found[0], found[1]

    async def _measure(self, callers: int, seconds: float) -> Round:
        took: list[float] = []
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self._port}") as channel:
            call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict", None, None)

            async def caller(number: int) -> None:
                while time.perf_counter() < end:
                    begun = time.perf_counter()
                    await call(self._requests[number % len(self._requests)], timeout=60)
                    took.append(time.perf_counter() - begun)

            await channel.channel_ready()
            started = time.perf_counter()
            end = started + seconds
            await asyncio.gather(*(caller(i) for i in range(callers)))
            return _round(took, len(took) / (time.perf_counter() - started))

    def stop(self) -> None:
        """End the server."""
        self.process.kill()
        self.process.wait(10)
        self._log.close()


def _request(name: str, signature: str, input_name: str, value: np.ndarray[Any, Any]) -> bytes:
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = name, signature
    to_proto(value, request.inputs[input_name], as_content=value.dtype != object)
    return bytes(request.SerializeToString())


def _round(took: list[float], rate: float) -> Round:
    p50, p99 = np.percentile(np.array(took) * 1e3, [50, 99])
    return Round(rate, float(p50), float(p99))


def main() -> int:
    """Measure and print; exit 0 whatever the ratio is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=ROOT / "build" / "bundles" / "scenes")
    parser.add_argument("--input", choices=sorted(SIGNATURES), default="uint8")
    parser.add_argument("--callers", type=int, default=BATCH)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    signature, input_name = SIGNATURES[options.input]
    inputs = images(options.input)
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        name, base = unpack(options.bundle, Path(temporary) / "bundle")
        guide = Path(temporary) / "guide" / name
        shutil.copytree(base, guide)
        set_largest_batch(guide, max(1, options.callers // 2))
        servers, ready = [], []
        for folder in (guide, base):
            servers.append(ServedCalls(name, folder, signature, input_name, options.threads, inputs))
            stack.callback(servers[-1].stop)
            ready.append(servers[-1].wait())
            servers[-1].measure(options.callers, 1.0)
        direct = DirectCalls(base, signature, options.threads, inputs)
        rounds = [
            [direct.measure(options.seconds), *(each.measure(options.callers, options.seconds) for each in servers)]
            for _ in range(options.rounds)
        ]
    show(rounds, options.callers)
    print(f"{name}, {options.input} input, {options.callers} callers, {options.threads} threads a side, {machine()}")
    print(f"with the bundle's warm-up a server was ready after {ready[1]:.1f} s")
    return 0


def set_largest_batch(base: Path, size: int) -> None:
    """Give every version of a model another largest batch, with powers of two allowed below it."""
    sizes = [2**i for i in range(size.bit_length()) if 2**i < size] + [size]
    text = f"max_batch_size {{ value: {size} }} allowed_batch_sizes: {sizes}\n"
    text += "batch_timeout_micros { value: 2000 } max_enqueued_batches { value: 8 }\n"
    for version in base.iterdir():
        (version / "batching_params.pbtxt").write_text(text)
        (version / "assets.extra" / "tf_serving_warmup_requests").unlink(missing_ok=True)  # holds larger batches


def show(rounds: list[list[Round]], callers: int) -> None:
    """Print the table and the medians."""
    table = Table(title=f"Model server stand-in beside direct calls, images a second, {callers} callers")
    columns = ("round", "direct, 32", f"served, up to {max(1, callers // 2)}", "ratio", "padded", "p50/p99 ms")
    for column in (*columns, "served, bundle's", "ratio", "padded", "p50/p99 ms"):
        table.add_column(column, justify="right")
    for number, (direct, *served) in enumerate(rounds, 1):
        cells = [str(number), f"{direct.rate:.1f}"]
        for each in served:
            cells += [f"{each.rate:.1f}", f"{each.rate / direct.rate:.2f}", f"{each.padded:.2f}"]
            cells.append(f"{each.p50_ms:.0f}/{each.p99_ms:.0f}")
        table.add_row(*cells)
    Console(width=120).print(table)
    rates = [statistics.median(each[side].rate for each in rounds) for side in range(3)]
    ratios = [statistics.median(each[side].rate / each[0].rate for each in rounds) for side in (1, 2)]
    print(f"median: direct {rates[0]:.1f} images/s, served {rates[1]:.1f}, ratio {ratios[0]:.2f} (target 0.80)")
    print(f"        with the bundle's batching {rates[2]:.1f}, ratio {ratios[1]:.2f}")


if __name__ == "__main__":
    sys.exit(main())
