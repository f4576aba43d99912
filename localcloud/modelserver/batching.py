"""Dynamic batching by the rules of TensorFlow Serving's BatchingSession and SharedBatchScheduler.

One scheduler with a fixed number of threads serves the queues of all models; a queue holds the requests for one set
of inputs and outputs of one model version. Scheduling happens on the event loop, running in the threads.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from localcloud.modelserver.errors import Code, ServingError, invalid
from localcloud.modelserver.library import Array, InputTensor, yield_to_requests
from localcloud.modelserver.metrics import Metrics

Feeds = dict[str, tuple[int, Array]]
"""Tensor name -> TensorFlow's type number and the value."""

Run = Callable[[dict[str, InputTensor]], list[Array]]


@dataclass(frozen=True, kw_only=True)
class QueueOptions:
    """The part of `BatchingParameters` that a queue has of its own; the defaults are the original's."""

    max_batch_size: int = 1000
    batch_timeout_s: float = 0.0
    max_enqueued_batches: int = 10
    allowed_batch_sizes: tuple[int, ...] = ()
    split: bool = False
    max_execution_batch_size: int = 1000
    pad_variable_length_inputs: bool = False

    @classmethod
    def from_message(cls, message: Any) -> QueueOptions:
        """Read and check a `BatchingParameters` message.

        Raises:
            ServingError: INVALID_ARGUMENT with the rule and the value.
        """

        def value(name: str, default: int) -> int:
            return int(getattr(message, name).value) if message.HasField(name) else default

        size = value("max_batch_size", cls.max_batch_size)
        split = bool(message.enable_large_batch_splitting.value)
        options = cls(
            max_batch_size=size,
            batch_timeout_s=value("batch_timeout_micros", 0) / 1e6,
            max_enqueued_batches=value("max_enqueued_batches", cls.max_enqueued_batches),
            allowed_batch_sizes=tuple(message.allowed_batch_sizes),
            split=split,
            max_execution_batch_size=value("max_execution_batch_size", size) if split else size,
            pad_variable_length_inputs=message.pad_variable_length_inputs,
        )
        options.check()
        return options

    def check(self) -> None:
        """Raise ServingError INVALID_ARGUMENT where the original would refuse the parameters."""
        for name in ("max_batch_size", "max_enqueued_batches", "max_execution_batch_size"):
            if getattr(self, name) < 1:
                raise invalid(f"{name} must be positive; was {getattr(self, name)}")
        if self.batch_timeout_s < 0:
            raise invalid(f"batch_timeout_micros must be non-negative; was {self.batch_timeout_s * 1e6:.0f}")
        if self.max_execution_batch_size > self.max_batch_size:
            raise invalid(
                "When enable_large_batch_splitting is true, max_batch_size must be greater than or equal to "
                f"max_execution_batch_size; were {self.max_batch_size} and {self.max_execution_batch_size}"
            )
        sizes = self.allowed_batch_sizes
        if any(small >= big for small, big in itertools.pairwise(sizes)) or any(n < 1 for n in sizes):
            raise invalid(f"allowed_batch_sizes entries must be positive and increasing; were {list(sizes)}")
        if sizes and sizes[-1] != self.max_batch_size:
            raise invalid(
                "Last entry in allowed_batch_sizes must match max_batch_size; last entry was "
                f"{sizes[-1]}; expected {self.max_batch_size}"
            )
        if self.pad_variable_length_inputs:
            raise invalid("pad_variable_length_inputs is not supported by the stand-in for tensorflow_model_server")

    def padded(self, size: int) -> int:
        """Return the number of rows a batch of `size` rows runs with."""
        return next((allowed for allowed in self.allowed_batch_sizes if allowed >= size), size)


@dataclass
class _Task:
    feeds: Feeds
    size: int
    done: asyncio.Future[list[Array]]
    enqueued: float = field(default_factory=time.monotonic)


@dataclass
class _Batch:
    tasks: list[_Task] = field(default_factory=list)
    size: int = 0
    started: float = field(default_factory=time.monotonic)


class BatchScheduler:
    """The threads that run batches, shared by all queues.

    Args:
        threads: Batches that run at once (`num_batch_threads`).
        metrics: Where batch sizes and waiting times are recorded.
        rerun_alone: What becomes of a batch of several requests that fails with INVALID_ARGUMENT. The original fails
            every request of it (`ProcessBatch` in batching_session.cc gives one status to all tasks), so one corrupt
            image takes its neighbours along; so does the stand-in, unless this is set. Then each runs again alone.
    """

    def __init__(self, threads: int, metrics: Metrics, rerun_alone: bool = False) -> None:
        if threads < 1:
            raise invalid(f"num_batch_threads must be positive; was {threads}")
        self.metrics = metrics
        self.rerun_alone = rerun_alone
        self._idle = threads
        self._threads = ThreadPoolExecutor(threads, "batch", yield_to_requests)
        self._queues: list[BatchQueue] = []
        self._next = 0
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    def from_message(cls, message: Any, metrics: Metrics, rerun_alone: bool = False) -> BatchScheduler:
        """Return the scheduler that a `BatchingParameters` message asks for, by default with a thread per CPU."""
        threads = message.num_batch_threads.value if message.HasField("num_batch_threads") else os.cpu_count() or 1
        return cls(threads, metrics, rerun_alone)

    def add(self, queue: BatchQueue) -> None:
        """Serve a queue."""
        self._queues.append(queue)

    def remove(self, queue: BatchQueue) -> None:
        """Forget a queue that is empty."""
        self._queues.remove(queue)

    def pump(self) -> None:
        """Give idle threads the batches that are due, one queue after another."""
        now = time.monotonic()
        while self._idle:
            count = len(self._queues)
            order = [self._queues[(self._next + i) % count] for i in range(count)]
            found = next(((i, batch) for i, q in enumerate(order) if (batch := q.take(now)) is not None), None)
            if found is None:
                break
            position, batch = found
            self._next = (self._next + position + 1) % count
            self._start(order[position], batch)
        self._set_timer(now)

    def _set_timer(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waits = [due for queue in self._queues if (due := queue.due) is not None]
        if waits and self._idle:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, min(waits) - now), self.pump)

    def _start(self, queue: BatchQueue, batch: _Batch) -> None:
        now = time.monotonic()
        for task in batch.tasks:
            self.metrics.queuing_latency.add((now - task.enqueued) * 1e6, "")
        if all(task.done.done() for task in batch.tasks):
            return  # every caller has given up while it waited
        self._idle -= 1
        queue.running += 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, self._process, queue, batch.tasks)
        future.add_done_callback(lambda result: self._finish(queue, batch, result))

    def _finish(
        self, queue: BatchQueue, batch: _Batch, result: asyncio.Future[list[list[Array] | ServingError]]
    ) -> None:
        self._idle += 1
        queue.running -= 1
        if (error := result.exception()) is not None:
            outcomes: Sequence[list[Array] | BaseException] = [error] * len(batch.tasks)
        else:
            outcomes = result.result()
        for task, outcome in zip(batch.tasks, outcomes, strict=True):
            if task.done.done():
                continue
            if isinstance(outcome, BaseException):
                task.done.set_exception(outcome)
            else:
                task.done.set_result(outcome)
        self.pump()

    def _process(self, queue: BatchQueue, tasks: list[_Task]) -> list[list[Array] | ServingError]:
        try:
            return list(self._run(queue, tasks))
        except ServingError as error:
            if self.rerun_alone and len(tasks) > 1 and error.code == Code.INVALID_ARGUMENT:
                return [outcome for task in tasks for outcome in self._process(queue, [task])]
            return [error] * len(tasks)

    def _run(self, queue: BatchQueue, tasks: list[_Task]) -> list[list[Array]]:
        size = sum(task.size for task in tasks)
        rows = queue.options.padded(size)
        self.metrics.padding_size.add(rows - size, str(rows))
        self.metrics.processed_batch_size.add(rows)
        feeds: dict[str, InputTensor] = {}
        try:
            for name, (dtype, first) in tasks[0].feeds.items():
                parts = [task.feeds[name][1] for task in tasks]
                if any(part.shape[1:] != first.shape[1:] for part in parts):
                    raise ServingError(
                        Code.FAILED_PRECONDITION,
                        f"Tensors with name '{name}' from different tasks have different shapes and padding is turned "
                        "off. Set pad_variable_length_inputs to true, or ensure that all tensors with the same name "
                        "have equal dimensions starting with the first dim.",
                    )
                feeds[name] = InputTensor(dtype, parts, rows - size)
            self.metrics.wrapped_run_count.add()
            outputs = queue.run(feeds)
        finally:
            for tensor in feeds.values():
                tensor.release()
        for output in outputs:
            if output.ndim == 0:
                raise ServingError(Code.FAILED_PRECONDITION, "Batched output tensor has 0 dimensions")
            if len(output) != rows:
                raise ServingError(
                    Code.FAILED_PRECONDITION,
                    "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the "
                    "input tensors",
                )
        ends = np.cumsum([task.size for task in tasks])
        return [[output[end - task.size : end] for output in outputs] for task, end in zip(tasks, ends, strict=True)]


class BatchQueue:
    """The requests for one set of inputs and outputs, waiting to be run together.

    Args:
        options: Sizes and limits.
        scheduler: The threads that run the batches.
        run: Runs merged inputs and returns the outputs, whose first dimension is the batch.

    Attributes:
        running: Batches that are running now.
    """

    def __init__(self, options: QueueOptions, scheduler: BatchScheduler, run: Run) -> None:
        self.options = options
        self.run = run
        self.running = 0
        self._scheduler = scheduler
        self._batches: deque[_Batch] = deque()
        scheduler.add(self)

    async def submit(self, feeds: Feeds) -> list[Array]:
        """Run one request together with others and return its outputs.

        Raises:
            ServingError: INVALID_ARGUMENT for inputs that cannot be batched or exceed `max_batch_size`, UNAVAILABLE
                when the queue is full, or what running the batch gave.
        """
        size = self._size(feeds)
        self._check_capacity(size)
        futures = []
        first, loop = 0, asyncio.get_running_loop()
        for part in self._parts(size):
            piece = feeds
            if part != size:
                piece = {name: (dtype, value[first : first + part]) for name, (dtype, value) in feeds.items()}
            first += part
            future = loop.create_future()
            futures.append(future)
            self._add(_Task(piece, part, future))
        self._scheduler.pump()
        results: list[list[Array]] = await asyncio.gather(*futures)
        if len(results) == 1:
            return results[0]
        return [np.concatenate(pieces) for pieces in zip(*results, strict=True)]

    @property
    def busy(self) -> bool:
        """Whether anything waits or runs."""
        return bool(self._batches) or self.running > 0

    def close(self) -> None:
        """Leave the scheduler; nothing may be waiting."""
        self._scheduler.remove(self)

    def take(self, now: float) -> _Batch | None:
        """Return the first batch if it is due: full, followed by another, or waiting for `batch_timeout_s`."""
        due = self.due
        return self._batches.popleft() if due is not None and due <= now else None

    @property
    def due(self) -> float | None:
        """The time at which the first batch is due; None when nothing waits."""
        if not self._batches:
            return None
        first = self._batches[0]
        if len(self._batches) > 1 or first.size >= self.options.max_execution_batch_size:
            return 0.0
        return first.started + self.options.batch_timeout_s

    def _size(self, feeds: Feeds) -> int:
        sizes = {value.shape[0] if value.ndim else None for _, value in feeds.values()}
        if not sizes:
            raise invalid("Batching Run() must have at least one input tensor")
        if None in sizes:
            raise invalid("Batching Run() input tensors must have at least one dimension")
        if len(sizes) > 1:
            raise invalid("Batching Run() input tensors must have equal 0th-dimension size")
        size = int(sizes.pop() or 0)
        self._scheduler.metrics.input_batch_size.add(size)
        if size == 0:
            raise invalid("Batching Run() input tensors must have at least one row")
        if size > self.options.max_batch_size:
            raise invalid(f"Task size {size} is larger than maximum input batch size {self.options.max_batch_size}")
        return size

    @property
    def _open_slots(self) -> int:
        return self.options.max_execution_batch_size - self._batches[-1].size if self._batches else 0

    def _check_capacity(self, size: int) -> None:
        """Raise ServingError UNAVAILABLE if the request would start a batch more than the queue may hold."""
        limit, waiting = self.options.max_enqueued_batches, len(self._batches)
        full = "The batch scheduling queue to which this task was submitted is full; "
        capacity = (limit - waiting) * self.options.max_execution_batch_size + self._open_slots
        if self.options.split and size > capacity:
            raise ServingError(
                Code.UNAVAILABLE,
                f"{full}task size is {size} but scheduling capacity is only {capacity} "
                f"(num_enqueued_batches={waiting}, max_enqueued_batches={limit})",
            )
        if not self.options.split and size > self._open_slots and waiting >= limit:
            raise ServingError(
                Code.UNAVAILABLE, f"{full}currently {waiting} batches enqueued and max_enqueued_batches is {limit}"
            )

    def _parts(self, size: int) -> list[int]:
        """Return the pieces a request is cut into: what fits in the open batch, then whole batches."""
        if not self.options.split:
            return [size]
        parts = []
        room = self._open_slots or self.options.max_execution_batch_size
        while size:
            parts.append(min(size, room))
            size -= parts[-1]
            room = self.options.max_execution_batch_size
        return parts

    def _add(self, task: _Task) -> None:
        if not self._batches or task.size > self._open_slots:
            self._batches.append(_Batch())
        batch = self._batches[-1]
        batch.tasks.append(task)
        batch.size += task.size
