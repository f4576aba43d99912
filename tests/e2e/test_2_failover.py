"""A whole cloud is lost while a client sends requests, and comes back."""

import json
import threading
import time
from collections import Counter

import pytest

from serving.client import PredictClient, PredictError
from tests.e2e.conftest import LocalRun, photo

pytestmark = pytest.mark.e2e
BEFORE_S, LOST_S, AFTER_S = 4, 20, 10
PAUSE_S = 0.1


class Load:
    """A client that sends one request after another until told to stop, as an application would."""

    def __init__(self, run: LocalRun) -> None:
        environment = run.environment
        self._client = PredictClient(
            environment["TRICORN_DOMAIN"], port=int(environment["TRICORN_PORT"]), dns=environment["TRICORN_DNS"]
        )
        self.answers: list[tuple[float, str, int]] = []
        self.lost: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def _send(self) -> None:
        image = photo("chelsea.png").read_bytes()
        while not self._stop.is_set():
            try:
                found = self._client.predict("scenes", {"image_bytes": [image]}, timeout_s=30)
                self.answers.append((time.monotonic(), found.site, found.attempts))
            except PredictError as error:
                self.lost.append(str(error))
            self._stop.wait(PAUSE_S)

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)
        self._client.close()

    def sites_after(self, moment: float) -> Counter[str]:
        return Counter(site for when, site, _ in self.answers if when > moment)


def healthy(run: LocalRun) -> dict[str, bool]:
    done = run.python("serving", "status", "--json")
    return {each["site"]: each["healthy"] for each in json.loads(done.stdout)["sites"]}


def test_a_client_loses_no_request_when_a_cloud_is_killed_and_restored(local_run: LocalRun):
    with Load(local_run) as load:
        time.sleep(BEFORE_S)
        done = local_run.python("localcloud", "kill", "gcp")
        assert done.returncode == 0, done.stderr
        killed = time.monotonic()
        time.sleep(LOST_S)
        state = healthy(local_run)
        assert state == {"aws": True, "gcp": False, "azure": True}
        assert not load.sites_after(killed + 1)["gcp"]
        done = local_run.python("localcloud", "restore", "gcp", timeout=300)
        assert done.returncode == 0, done.stderr
        time.sleep(AFTER_S)
    assert not load.lost
    assert len(load.answers) > 50
    assert healthy(local_run) == {"aws": True, "gcp": True, "azure": True}
    assert local_run.predict("--site", "gcp")["site"] == "gcp"


def test_killing_it_twice_says_so_and_restoring_is_repeatable(local_run: LocalRun):
    assert local_run.python("localcloud", "kill", "azure").returncode == 0
    again = local_run.python("localcloud", "kill", "azure")
    assert again.returncode == 0
    assert "was not running" in again.stdout
    assert local_run.python("localcloud", "restore", "azure", timeout=300).returncode == 0
    assert local_run.python("localcloud", "restore", "azure", timeout=300).returncode == 0
    assert local_run.predict("--site", "azure")["site"] == "azure"


def test_after_a_loss_and_a_return_there_is_still_nothing_to_change(local_run: LocalRun):
    done = local_run.run("pulumi", "preview", "-s", "local", "--expect-no-changes", "--non-interactive", timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_unknown_cloud_is_refused_with_the_known_ones(local_run: LocalRun):
    done = local_run.python("localcloud", "kill", "oracle")
    assert done.returncode == 2
    assert "aws" in done.stderr
    assert "Traceback" not in done.stderr
