"""What the model server stand-in costs: its throughput beside direct, batched calls into the same C++ session.

    python -m benchmarks.model_server [--bundle DIR] [--input bytes|uint8] [--callers 32] [--rounds 3] [--seconds 4]

Both sides compute with the same number of threads and take turns, so that a noisy machine disturbs both alike. The
server runs in its own process and its callers in this one, on the same machine: their cost is part of the result.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from rich.console import Console
from rich.table import Table

from localcloud.modelserver.library import InputTensor, Session
from localcloud.modelserver.tensors import to_proto
from localcloud.processes import die_with_parent
from serving.protos import config_pb2, meta_graph_pb2, predict_pb2

ROOT = Path(__file__).resolve().parents[1]
BATCH = 32
START_TIMEOUT_S = 120
SIGNATURES = {"bytes": ("serving_default", "image_bytes"), "uint8": ("image_uint8", "image")}


@dataclass
class Round:
    """One measurement: images a second, and milliseconds a call."""

    rate: float
    p50_ms: float
    p99_ms: float


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
    import io

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
        self._port = free_port()
        folder = base.parent
        (folder / "models.config").write_text(
            f'model_config_list {{ config {{ name: "{name}" base_path: "{base}" model_platform: "tensorflow" }} }}'
        )
        (folder / "batching.config").write_text(f"num_batch_threads {{ value: {threads} }}")
        self._log = (folder / "server.log").open("w+")
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "localcloud.modelserver", f"--port={self._port}", "--grpc_max_threads=256",
                f"--model_config_file={folder / 'models.config'}", "--enable_batching",
                "--enable_per_model_batching_parameters", f"--batching_parameters_file={folder / 'batching.config'}",
                f"--tensorflow_intra_op_parallelism={threads}", f"--tensorflow_inter_op_parallelism={threads}",
                "--max_num_load_retries=0", "--file_system_poll_wait_seconds=0",
            ],
            cwd=ROOT, stdout=self._log, stderr=subprocess.STDOUT, preexec_fn=die_with_parent,
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
        return asyncio.run(self._measure(callers, seconds))

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


def machine() -> str:
    """Describe the machine in one line."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        model = next((line.split(": ")[1] for line in info.read_text().splitlines() if "model name" in line), model)
    return f"{model}, {os.cpu_count()} CPUs, {platform.system()} {platform.release()}, no GPU"


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
    console = Console()
    table = Table("round", "direct, batches of 32\nimages/s", "served, single images\nimages/s", "ratio",
                  "served p50\nms", "served p99\nms", title="Model server stand-in beside direct calls")  # fmt: skip
    with tempfile.TemporaryDirectory() as temporary:
        name, base = unpack(options.bundle, Path(temporary))
        served = ServedCalls(name, base, signature, input_name, options.threads, inputs)
        try:
            ready_s = served.wait()
            direct = DirectCalls(base, signature, options.threads, inputs)
            served.measure(options.callers, 1.0)
            rounds = []
            for number in range(1, options.rounds + 1):
                pair = direct.measure(options.seconds), served.measure(options.callers, options.seconds)
                rounds.append(pair)
                rates = [each.rate for each in pair]
                cells = [f"{rates[0]:.1f}", f"{rates[1]:.1f}", f"{rates[1] / rates[0]:.2f}"]
                table.add_row(str(number), *cells, f"{pair[1].p50_ms:.0f}", f"{pair[1].p99_ms:.0f}")
        finally:
            served.stop()
    direct_rate, served_rate = (statistics.median(pair[side].rate for pair in rounds) for side in (0, 1))
    ratio = statistics.median(pair[1].rate / pair[0].rate for pair in rounds)
    console.print(table)
    console.print(f"{name}, {options.input} input, {options.callers} callers, {options.threads} threads a side")
    console.print(f"machine: {machine()}")
    console.print(f"server ready after {ready_s:.1f} s, warm-up included")
    console.print(
        f"median: direct {direct_rate:.1f} images/s, served {served_rate:.1f} images/s, ratio {ratio:.2f} (target 0.80)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
