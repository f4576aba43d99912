"""One loaded version of a model: signatures, requests, batching and warm-up."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from localcloud.modelserver import messages, tensors, warmup
from localcloud.modelserver.batching import BatchQueue, BatchScheduler, Feeds, QueueOptions
from localcloud.modelserver.errors import Code, ServingError, invalid
from localcloud.modelserver.library import STRING, Array, InputTensor, Session
from localcloud.modelserver.metrics import Metrics
from serving.protos import classification_pb2, meta_graph_pb2

_LOG = logging.getLogger("tensorflow_model_server")
_DEFAULT_SIGNATURE = "serving_default"
_BATCHING_FILE = "batching_params.pbtxt"


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What all servables of a server share.

    Attributes:
        config: A serialized ConfigProto for sessions.
        tags: Tags of the graph to load.
        threads: Runs requests that are not batched.
        metrics: The server's metrics.
        scheduler: Runs batches; None without `--enable_batching`.
        batching: Parameters of every model; None where each model brings its own.
    """

    config: bytes
    tags: list[str]
    threads: Executor
    metrics: Metrics
    scheduler: BatchScheduler | None = None
    batching: QueueOptions | None = None


class Servable:
    """A SavedModel that answers requests.

    Args:
        name: The model's name.
        version: Its version.
        path: The version's directory.
        engine: What it shares with other servables.

    Raises:
        ServingError: What the C++ loader says, or INVALID_ARGUMENT for wrong batching parameters.
    """

    def __init__(self, name: str, version: int, path: Path, engine: Engine) -> None:
        self.name = name
        self.version = version
        self.path = path
        self._engine = engine
        self._options = self._queue_options()
        self._session = Session(str(path), engine.tags, engine.config)
        graph = meta_graph_pb2.MetaGraphDef.FromString(self._session.meta_graph)
        self._session.meta_graph = b""
        self.signatures: dict[str, Any] = dict(graph.signature_def)
        self._queues: dict[tuple[frozenset[str], tuple[str, ...]], BatchQueue] = {}
        self._running = 0

    def _queue_options(self) -> QueueOptions | None:
        engine, file = self._engine, self.path / _BATCHING_FILE
        if engine.scheduler is None or engine.batching is not None:
            return engine.batching
        if not file.is_file():
            _LOG.info("%s has no %s: its requests are not batched", self.path, _BATCHING_FILE)
            return None
        return QueueOptions.from_message(messages.read(file, messages.BatchingParameters))

    async def predict(
        self, signature_name: str, inputs: Mapping[str, Any], output_filter: list[str]
    ) -> dict[str, Array]:
        """Run a signature.

        Args:
            signature_name: Empty for `serving_default`.
            inputs: TensorProto messages or arrays by name.
            output_filter: Names of the outputs wanted; empty for all.

        Raises:
            ServingError: FAILED_PRECONDITION for an unknown signature, INVALID_ARGUMENT for inputs that do not fit it
                or that the graph refuses, UNAVAILABLE when the queue is full.
        """
        signature_name = signature_name or _DEFAULT_SIGNATURE
        signature = self.signatures.get(signature_name)
        if signature is None:
            raise ServingError(Code.FAILED_PRECONDITION, f'Serving signature key "{signature_name}" not found.')
        _check_inputs(signature, inputs)
        wanted = output_filter or sorted(signature.outputs)
        for alias in wanted:
            if alias not in signature.outputs:
                raise invalid(
                    f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                    f"{{{','.join(sorted(signature.outputs))}}}."
                )
        if len(set(wanted)) != len(wanted):
            raise invalid(f"duplicate output tensor alias: {next(a for a in wanted if wanted.count(a) > 1)}")
        feeds: Feeds = {}
        for alias, value in inputs.items():
            info = signature.inputs[alias]
            if isinstance(value, np.ndarray):
                tensors.check(alias, info.dtype, value.shape, info)
            else:
                tensors.check(alias, value.dtype, tuple(dim.size for dim in value.tensor_shape.dim), info)
                value = tensors.from_proto(alias, value)
            feeds[info.name] = (info.dtype, value)
        names = [signature.outputs[alias].name for alias in wanted]
        return dict(zip(wanted, await self._run(feeds, names, "Predict"), strict=True))

    async def classify(self, signature_name: str, request_input: Any) -> Any:
        """Run a classification signature over tf.Example messages; returns a ClassificationResult.

        Raises:
            ServingError: INVALID_ARGUMENT for a signature that is none, an empty input, or what the graph refuses.
        """
        signature_name = signature_name or _DEFAULT_SIGNATURE
        signature = self.signatures.get(signature_name)
        if signature is None:
            raise invalid(f"No signature was found with the name: {signature_name}")
        if len(signature.inputs) != 1:
            raise invalid("Expected one input Tensor.")
        if "inputs" not in signature.inputs:
            raise invalid(f"No classification inputs found in SignatureDef: {signature_name}")
        wanted = [alias for alias in ("classes", "scores") if alias in signature.outputs]
        if not wanted or len(signature.outputs) > 2:
            raise invalid(
                'Expected classification signature outputs to contain at least one of "classes" or "scores". '
                f"Signature {signature_name} has: {', '.join(sorted(signature.outputs))}"
            )
        examples = _serialized_examples(request_input)
        feeds: Feeds = {signature.inputs["inputs"].name: (STRING, examples)}
        outputs = await self._run(feeds, [signature.outputs[alias].name for alias in wanted], "Classify")
        return _classification(dict(zip(wanted, outputs, strict=True)), len(examples))

    async def _run(self, feeds: Feeds, outputs: list[str], api: str) -> list[Array]:
        started = time.monotonic()
        if self._options is not None and self._engine.scheduler is not None:
            result = await self._queue(self._options, self._engine.scheduler, feeds, outputs).submit(feeds)
        else:
            loop = asyncio.get_running_loop()
            run = loop.run_in_executor(self._engine.threads, self._run_alone, feeds, outputs)
            self._running += 1
            run.add_done_callback(self._ran)
            result = await asyncio.shield(run)  # it goes on in its thread even when its caller has given up
        self._engine.metrics.runtime_latency.add((time.monotonic() - started) * 1e6, self.name, api, "TF1")
        return result

    def _ran(self, run: asyncio.Future[list[Array]]) -> None:
        self._running -= 1
        if not run.cancelled():
            run.exception()  # read, so that a failure nobody waits for is no warning in the log

    def _queue(self, options: QueueOptions, scheduler: BatchScheduler, feeds: Feeds, outputs: list[str]) -> BatchQueue:
        key = (frozenset(feeds), tuple(outputs))
        if key not in self._queues:
            self._queues[key] = BatchQueue(options, scheduler, lambda merged: self._session.run(merged, outputs))
        return self._queues[key]

    def _run_alone(self, feeds: Feeds, outputs: list[str]) -> list[Array]:
        made: dict[str, InputTensor] = {}
        try:
            for name, (dtype, value) in feeds.items():
                made[name] = InputTensor(dtype, [value])
            return self._session.run(made, outputs)
        finally:
            for tensor in made.values():
                tensor.release()

    async def warm_up(self, iterations: int) -> int:
        """Replay the recorded requests, each `iterations` times; return how many there were.

        Raises:
            ServingError: A record cannot be read, or its request fails: the version must not be served.
        """
        started, count, outcome = time.monotonic(), 0, "OK"
        try:
            for log in warmup.read(self.path):
                for _ in range(iterations):
                    await self._replay(log)
                count += 1
        except ServingError as error:
            outcome = error.code.name
            raise
        finally:
            if count or outcome != "OK":
                self._engine.metrics.warmup_latency.add((time.monotonic() - started) * 1e6, str(self.path), outcome)
                self._engine.metrics.warmup_records.add(str(self.path), outcome, amount=count)
        return count

    async def _replay(self, log: Any) -> None:
        kind = log.WhichOneof("log_type")
        if kind == "predict_log":
            request = log.predict_log.request
            await self.predict(request.model_spec.signature_name, request.inputs, list(request.output_filter))
        elif kind == "classify_log":
            request = log.classify_log.request
            await self.classify(request.model_spec.signature_name, request.input)
        elif kind is not None:
            raise ServingError(Code.UNIMPLEMENTED, f"Unsupported log_type for warmup: {kind}")

    async def close(self) -> None:
        """Wait for running requests and free the model."""
        while self._running or any(queue.busy for queue in self._queues.values()):
            await asyncio.sleep(0.02)
        for queue in self._queues.values():
            queue.close()
        await asyncio.to_thread(self._session.close)


def _check_inputs(signature: Any, inputs: Mapping[str, Any]) -> None:
    sent, known = set(inputs), set(signature.inputs)
    if sent != known:
        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(known)} len({{{','.join(sorted(sent))}}}) != "
            f"len({{{','.join(sorted(known))}}}). Sent extra: {{{','.join(sorted(sent - known))}}}. "
            f"Missing but required: {{{','.join(sorted(known - sent))}}}."
        )


def _serialized_examples(request_input: Any) -> Array:
    kind = request_input.WhichOneof("kind")
    chosen: Any = getattr(request_input, kind) if kind else None
    # Concatenated messages are merged messages, which is how the original adds the context.
    context = chosen.context.SerializeToString() if kind == "example_list_with_context" else b""
    rows = [context + example.SerializeToString() for example in chosen.examples] if chosen is not None else []
    if not rows:
        raise invalid("Input is empty.")
    array = np.empty(len(rows), object)
    array[:] = rows
    return array


def _classification(outputs: Mapping[str, Array], examples: int) -> Any:
    for name, kind in (("classes", np.dtype(object)), ("scores", np.dtype(np.float32))):
        if name not in outputs:
            continue
        output = outputs[name]
        if output.ndim != 2:
            raise invalid(f"Expected Tensor shape: [batch_size num_classes] but got {list(output.shape)}")
        if output.dtype != kind:
            raise invalid(f"Expected {name} Tensor of {'DT_STRING' if name == 'classes' else 'DT_FLOAT'}")
        if len(output) != examples:
            raise invalid(f"Expected {name} output batch size of {examples}. Got: {len(output)}")
    if len({output.shape[1] for output in outputs.values()}) > 1:
        raise invalid("Tensors class and score should match in dim_size(1).")
    result = classification_pb2.ClassificationResult()
    columns = next(iter(outputs.values())).shape[1]
    for row in range(examples):
        classifications = result.classifications.add()
        for column in range(columns):
            each = classifications.classes.add()
            if "classes" in outputs:
                each.label = bytes(outputs["classes"][row, column]).decode(errors="replace")
            if "scores" in outputs:
                each.score = float(outputs["scores"][row, column])
    return result
