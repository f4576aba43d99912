import asyncio
import threading

import numpy as np
import pytest

from localcloud.modelserver import batching
from localcloud.modelserver.batching import BatchQueue, BatchScheduler, QueueOptions
from localcloud.modelserver.errors import Code, ServingError, invalid
from localcloud.modelserver.metrics import Metrics


class Rows:
    """Stands for a tensor inside TensorFlow: only the rows, so that no TensorFlow is needed here."""

    def __init__(self, dtype, parts, padding=0):
        self.rows = np.concatenate([*parts, *[parts[-1][:1]] * padding])

    def release(self):
        pass


class Engine:
    """Doubles rows; fails on a row of 13; can be held up."""

    def __init__(self):
        self.batches = []
        self.gate = threading.Event()
        self.gate.set()

    def run(self, feeds):
        assert self.gate.wait(10)
        rows = feeds["x"].rows
        self.batches.append(len(rows))
        if 13 in rows:
            raise invalid("13 is unlucky")
        return [rows * 2]


@pytest.fixture(autouse=True)
def _no_tensorflow(monkeypatch):
    monkeypatch.setattr(batching, "InputTensor", Rows)


def feeds(*values):
    return {"x": (3, np.array(values, np.int32))}


def play(scenario, *, threads=1, rerun_alone=False, **options):
    async def body():
        engine = Engine()
        scheduler = BatchScheduler(threads, Metrics(), rerun_alone)
        queue = BatchQueue(QueueOptions(**options), scheduler, engine.run)
        return await asyncio.wait_for(scenario(queue, engine), 10)

    return asyncio.run(body())


async def settle(*calls):
    return await asyncio.gather(*calls, return_exceptions=True)


def values(outcome):
    return outcome.code.name if isinstance(outcome, ServingError) else outcome[0].tolist()


def test_what_waits_together_runs_together_and_is_handed_back_apart():
    async def scenario(queue, engine):
        return await settle(*(queue.submit(feeds(i, i)) for i in range(3))), engine.batches

    answers, batches = play(
        scenario, batch_timeout_s=0.05, max_batch_size=8, max_execution_batch_size=8, allowed_batch_sizes=(1, 8)
    )
    assert [values(answer) for answer in answers] == [[0, 0], [2, 2], [4, 4]]
    assert batches == [8]


def test_without_a_timeout_an_idle_thread_takes_a_request_at_once():
    async def scenario(queue, engine):
        return await settle(*(queue.submit(feeds(i)) for i in range(3))), engine.batches

    _, batches = play(scenario, max_batch_size=8, max_execution_batch_size=8)
    assert batches == [1, 2], "the rest gathers while the first runs"


@pytest.mark.parametrize(
    ("rerun_alone", "expected", "runs"),
    [
        (False, ["INVALID_ARGUMENT"] * 3, [3]),
        (True, [[2], "INVALID_ARGUMENT", [6]], [3, 1, 1, 1]),
    ],
)
def test_what_a_bad_request_does_to_its_batch(rerun_alone, expected, runs):
    async def scenario(queue, engine):
        return await settle(*(queue.submit(feeds(i)) for i in (1, 13, 3))), engine.batches

    limits = {"batch_timeout_s": 0.05, "max_batch_size": 8, "max_execution_batch_size": 8}
    answers, batches = play(scenario, rerun_alone=rerun_alone, **limits)
    assert [values(answer) for answer in answers] == expected
    assert batches == runs


def test_a_full_queue_refuses_and_keeps_what_it_has():
    async def scenario(queue, engine):
        engine.gate.clear()
        calls = [asyncio.create_task(queue.submit(feeds(*[i] * 4))) for i in range(5)]
        await asyncio.sleep(0.05)
        engine.gate.set()
        return await settle(*calls)

    answers = play(scenario, max_batch_size=4, max_execution_batch_size=4, max_enqueued_batches=2)
    assert [values(answer) for answer in answers] == [[0] * 4, [2] * 4, [4] * 4, "UNAVAILABLE", "UNAVAILABLE"]


def test_the_open_batch_takes_more_though_the_queue_is_at_its_limit():
    async def scenario(queue, engine):
        engine.gate.clear()
        calls = [asyncio.create_task(queue.submit(feeds(i))) for i in range(4)]
        await asyncio.sleep(0.05)
        engine.gate.set()
        return await settle(*calls), engine.batches

    answers, batches = play(scenario, max_batch_size=3, max_execution_batch_size=3, max_enqueued_batches=1)
    assert [values(answer) for answer in answers] == [[0], [2], [4], [6]]
    assert batches == [1, 3]


def test_a_large_request_is_split_over_batches_in_order():
    async def scenario(queue, engine):
        engine.gate.clear()
        small = asyncio.create_task(queue.submit(feeds(99)))
        await asyncio.sleep(0.02)
        calls = [asyncio.create_task(queue.submit(feeds(*range(n)))) for n in (2, 9)]
        await asyncio.sleep(0.02)
        engine.gate.set()
        return await settle(small, *calls), engine.batches

    answers, batches = play(scenario, max_batch_size=10, split=True, max_execution_batch_size=4)
    assert values(answers[2]) == [2 * i for i in range(9)]
    assert batches == [1, 4, 4, 3]


def test_a_batch_that_every_caller_gave_up_is_dropped():
    async def scenario(queue, engine):
        engine.gate.clear()
        first = asyncio.create_task(queue.submit(feeds(1)))
        await asyncio.sleep(0.02)
        second = asyncio.create_task(queue.submit(feeds(2)))
        await asyncio.sleep(0.02)
        second.cancel()
        await asyncio.sleep(0.02)
        engine.gate.set()
        await settle(first, second)
        last = await queue.submit(feeds(3))
        return values(last), engine.batches, queue.busy

    answer, batches, busy = play(scenario, max_batch_size=4, max_execution_batch_size=4)
    assert (answer, batches, busy) == ([6], [1, 1], False)


def test_threads_run_batches_side_by_side():
    async def scenario(queue, engine):
        both = threading.Barrier(2, timeout=5)
        inner = engine.run
        queue.run = lambda merged: (both.wait(), inner(merged))[1]
        return await settle(queue.submit(feeds(1)), queue.submit(feeds(2)))

    answers = play(scenario, threads=2, max_batch_size=1, max_execution_batch_size=1)
    assert [values(answer) for answer in answers] == [[2], [4]]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "at least one input tensor"),
        ({"x": (3, np.array(1, np.int32))}, "at least one dimension"),
        ({**feeds(1), "y": (3, np.array([1, 2], np.int32))}, "equal 0th-dimension size"),
        (feeds(*range(5)), "Task size 5 is larger than maximum input batch size 4"),
    ],
)
def test_what_cannot_be_batched_is_invalid(given, says):
    async def scenario(queue, engine):
        return await settle(queue.submit(given))

    (error,) = play(scenario, max_batch_size=4, max_execution_batch_size=4)
    assert error.code == Code.INVALID_ARGUMENT
    assert says in error.message
