import io
import re
import time

from model_export.training.progress import Meter


def lines_of(stream):
    return [re.sub(r"^ +[0-9.]+ s  ", "", line) for line in stream.getvalue().splitlines()]


def test_silence_is_broken_with_how_far_it_is():
    stream = io.StringIO()
    meter = Meter(stream, quiet_s=0.1)
    with meter.running():
        meter.phase("epoch 1 of 2")
        time.sleep(0.25)
        meter.step(3, 20, 0.5)
        time.sleep(0.25)
    found = lines_of(stream)
    assert found[0] == "epoch 1 of 2"
    assert found[-1] == "epoch 1 of 2: step 3 of 20, loss 0.5000"
    assert 4 <= len(found) <= 8


def test_who_talks_is_not_interrupted():
    stream = io.StringIO()
    meter = Meter(stream, quiet_s=0.5)
    with meter.running():
        for number in range(10):
            meter.say(f"line {number}")
            time.sleep(0.05)
    assert lines_of(stream) == [f"line {number}" for number in range(10)]


def test_nothing_is_said_after_the_end():
    stream = io.StringIO()
    with Meter(stream, quiet_s=0.05).running():
        pass
    before = stream.getvalue()
    time.sleep(0.15)
    assert stream.getvalue() == before


def test_lines_begin_with_the_seconds():
    stream = io.StringIO()
    Meter(stream).say("hello")
    assert re.fullmatch(r" +0\.\d s  hello\n", stream.getvalue())
