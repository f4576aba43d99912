import threading
import time

import grpc
import numpy as np
import psutil
import pytest

from tests.modelserver.running_server import strings

pytestmark = pytest.mark.model

SESSION = ":tensorflow:serving:batching_session:"


def difference(server, before):
    after = server.metrics()
    return {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key, 0)}


def test_concurrent_requests_run_as_one_padded_batch(server):
    before = server.metrics()
    calls = [server.later({"text": strings(str(i).encode())}) for i in range(3)]
    answers = [list(call.result().outputs["doubled"].float_val) for call in calls]
    assert answers == [[0.0], [2.0], [4.0]], "each caller gets its own rows back"
    changed = difference(server, before)
    assert changed[SESSION + "wrapped_run_count{}"] == 1
    assert changed[SESSION + "input_batch_size_count{}"] == 3
    assert changed[SESSION + "processed_batch_size_sum{}"] == 4, "three rows are padded to the next allowed size"
    assert changed[SESSION + 'padding_size_sum{execution_batch_size="4"}'] == 1
    assert changed[SESSION + 'queuing_latency_count{thread_pool_name=""}'] == 3


def test_a_full_batch_does_not_wait_for_the_timeout(server):
    started = time.monotonic()
    server.predict({"text": strings(*[b"1"] * 8)})
    full = time.monotonic() - started
    started = time.monotonic()
    server.predict({"text": strings(b"1")})
    assert full < 0.09 <= time.monotonic() - started


def test_different_signatures_never_share_a_batch(server):
    before = server.metrics()
    calls = [server.later({"text": strings(b"1")}), server.later({"x": np.zeros(1, np.float32)}, "slow")]
    assert [call.code() for call in calls] == [grpc.StatusCode.OK] * 2
    assert difference(server, before)[SESSION + "wrapped_run_count{}"] == 2


def test_a_corrupt_input_fails_its_batch_and_harms_nothing_else(server):
    """The original gives one status to all requests of a batch; so a corrupt neighbour is felt, for one batch."""
    with_corrupt = [server.later({"text": strings(value)}) for value in (b"1", b"pear", b"3")]
    elsewhere = server.later({"image": np.ones((1, 2, 2), np.uint8)}, "pixels")
    assert [call.code().name for call in with_corrupt] == ["INVALID_ARGUMENT"] * 3
    assert all("pear" in call.details() for call in with_corrupt)
    assert elsewhere.code() == grpc.StatusCode.OK
    assert server.predict({"text": strings(b"4")})["doubled"].tolist() == [8.0]


def test_a_corrupt_input_fails_alone_when_failed_batches_are_run_again(start):
    with start(environment={"LOCALCLOUD_RERUN_FAILED_BATCHES": "1"}) as server:
        server.wait_ready()
        calls = [server.later({"text": strings(value)}) for value in (b"1", b"pear", b"3")]
        assert [call.code().name for call in calls] == ["OK", "INVALID_ARGUMENT", "OK"]
        assert list(calls[2].result().outputs["doubled"].float_val) == [6.0]


def test_good_requests_succeed_while_corrupt_ones_keep_coming(start):
    with start(environment={"LOCALCLOUD_RERUN_FAILED_BATCHES": "1"}) as server:
        server.wait_ready()
        stop = threading.Event()
        corrupt = []

        def disturb():
            while not stop.is_set():
                corrupt.append(server.later({"text": strings(b"pear")}).code().name)

        thread = threading.Thread(target=disturb)
        thread.start()
        try:
            calls = [server.later({"text": strings(str(i).encode())}) for i in range(7)]
            assert [call.result().outputs["doubled"].float_val[0] for call in calls] == [2.0 * i for i in range(7)]
        finally:
            stop.set()
            thread.join()
        assert set(corrupt) == {"INVALID_ARGUMENT"}


def test_a_full_queue_answers_unavailable(server):
    calls = [server.later({"x": np.zeros(8, np.float32)}, "slow") for _ in range(8)]
    codes = [call.code().name for call in calls]
    assert codes.count("OK") >= 2
    assert codes.count("UNAVAILABLE") >= 4
    full = next(call for call in calls if call.code() == grpc.StatusCode.UNAVAILABLE)
    assert "2 batches enqueued and max_enqueued_batches is 2" in full.details()
    assert server.predict({"text": strings(b"1")})["doubled"].tolist() == [2.0]


def test_a_model_without_batching_parameters_is_not_batched(start):
    with start(prepare=lambda base: (base / "1" / "batching_params.pbtxt").unlink()) as server:
        server.wait_ready()
        assert server.predict({"text": strings(*[b"1"] * 20)})["doubled"].tolist() == [2.0] * 20
        assert server.predict({"x": np.ones(3, np.float32)}, "unbatched")["total"].tolist() == 3.0
        assert SESSION + "wrapped_run_count{}" not in server.metrics()


def test_large_requests_are_split_and_joined(start):
    text = """max_batch_size { value: 20 } enable_large_batch_splitting { value: true }
    max_execution_batch_size { value: 6 } max_enqueued_batches { value: 9 }"""
    with start(prepare=lambda base: (base / "1" / "batching_params.pbtxt").write_text(text)) as server:
        server.wait_ready()
        before = server.metrics()
        values = [str(i).encode() for i in range(20)]
        assert server.predict({"text": strings(*values)})["doubled"].tolist() == [2.0 * i for i in range(20)]
        changed = difference(server, before)
        assert changed[SESSION + "wrapped_run_count{}"] == 4
        assert changed[SESSION + "processed_batch_size_sum{}"] == 20


def test_a_request_that_its_caller_gave_up_leaves_the_server_working(server):
    blocked = [server.later({"x": np.zeros(8, np.float32)}, "slow") for _ in range(2)]
    with pytest.raises(grpc.RpcError) as caught:
        server.predict({"x": np.zeros(8, np.float32)}, "slow", timeout=0.01)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert [call.code() for call in blocked] == [grpc.StatusCode.OK] * 2
    assert server.predict({"text": strings(b"1")})["doubled"].tolist() == [2.0]


def test_requests_leave_no_memory_behind(server):
    memory = psutil.Process(server.process.pid).memory_info
    big = strings(*[b"1" + b" " * 200_000] * 8)  # spaces are allowed after a number

    def ask(times):
        for _ in range(times):
            server.predict({"text": big})

    ask(20)
    before = memory().rss
    ask(100)
    grown = (memory().rss - before) / 2**20
    assert grown < 60, f"{grown:.0f} MiB more after 160 MB of strings in and 320 MB out"
