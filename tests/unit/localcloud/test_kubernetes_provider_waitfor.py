import threading

import pytest

from localcloud.providers.kubernetes.readiness import NotReady, Patience, wait_ready
from localcloud.providers.kubernetes.waitfor import ANNOTATION, WaitForError, wishes


def certificate(*conditions, generation=2, **status):
    found = [dict(zip(("type", "status", "message", "observedGeneration"), each, strict=False)) for each in conditions]
    return {
        "apiVersion": "cert-manager.io/v1", "kind": "Certificate",
        "metadata": {"name": "c", "namespace": "n", "generation": generation},
        "status": {"conditions": found, **status},
    }  # fmt: skip


def missing(value, live):
    return [reason for each in wishes(value) if (reason := each.missing(live))]


def test_a_condition_must_be_true_and_of_the_newest_version_of_the_object():
    assert missing("condition=Ready", certificate(("Ready", "True"))) == []
    assert missing("condition=Ready", certificate(("Ready", "True", "", 2))) == []
    assert missing("condition=Ready", certificate(("Ready", "True", "", 1)))
    assert missing("condition=Ready", certificate(("Ready", "False")))
    assert missing("condition=Ready", {"metadata": {}})
    assert missing("condition=Issuing=False", certificate(("Issuing", "False"))) == []


def test_what_is_missing_says_what_the_object_says():
    (reason,) = missing(
        "condition=Ready", certificate(("Ready", "False", "no Secret"), ("Issuing", "True", "no issuer"))
    )
    assert "no Secret" in reason
    assert "no issuer" in reason


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("jsonpath={.status.revision}", True),
        ("jsonpath={.status.revision}=1", True),
        ("jsonpath={.status.revision}=2", False),
        ("jsonpath={.status.nothing}", False),
        ("jsonpath={.status.conditions[0].type}=Ready", True),
        ("jsonpath={.status.conditions[1].type}", False),
        ("jsonpath={.metadata['name']}=c", True),
        ('["jsonpath={.status.revision}=1", "condition=Ready"]', True),
        ('["jsonpath={.status.revision}=1", "condition=Other"]', False),
    ],
)
def test_paths_and_lists_are_read_as_pulumi_reads_them(value, good):
    assert (missing(value, certificate(("Ready", "True"), revision=1)) == []) is good


@pytest.mark.parametrize("value", ["Ready", "jsonpath=.status", "condition=", "[]", "jsonpath={.a[?(@.b)]}", "true"])
def test_an_expression_that_is_not_understood_is_refused(value):
    with pytest.raises(WaitForError, match="waitFor"):
        wishes(value)


class Server:
    """An API server whose object gets ready after some looks."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def get(self, info, namespace, name):
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def wished(live, value="condition=Ready"):
    return {**live, "metadata": {**live["metadata"], "annotations": {ANNOTATION: value}}}


def patience(seconds):
    return Patience.of(seconds, threading.Event(), lambda text: None)


def test_an_object_is_waited_for_until_it_says_that_it_is_ready():
    waiting, ready = (wished(certificate(("Ready", status))) for status in ("False", "True"))
    assert wait_ready(Server(waiting, waiting, ready), None, waiting, patience(10)) is ready


def test_waiting_ends_in_time_with_the_reason_and_what_was_seen_last():
    waiting = wished(certificate(("Ready", "False", "the issuer is not ready")))
    with pytest.raises(NotReady) as error:
        wait_ready(Server(waiting), None, waiting, patience(0.3))
    assert "timeout" in error.value.reasons[0]
    assert "the issuer is not ready" in error.value.reasons[1]
    assert error.value.live is waiting


def test_a_custom_object_without_a_wish_is_ready_at_once_and_a_bad_wish_fails_at_once():
    plain = certificate(("Ready", "False"))
    assert wait_ready(Server(plain), None, plain, patience(5)) is plain
    with pytest.raises(NotReady, match="condition=Type"):
        wait_ready(Server(plain), None, wished(plain, "ready please"), patience(5))
