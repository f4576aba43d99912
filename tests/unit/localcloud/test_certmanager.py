import datetime

import pytest
from cryptography import x509
from gateway_peering import authority, leaf, request

from localcloud.certmanager import issuers, signing, specs
from localcloud.certmanager.status import condition, differs, merged

UTC = datetime.UTC
BEGIN = datetime.datetime(2026, 1, 1, tzinfo=UTC)
END = datetime.datetime(2026, 4, 1, tzinfo=UTC)
SPEC = {"secretName": "s", "dnsNames": ["a.test"], "issuerRef": {"name": "i"}}


@pytest.mark.parametrize(("text", "seconds"), [("2160h", 7776000), ("1h30m", 5400), ("45s", 45), ("1.5h", 5400)])
def test_durations_are_read_as_go_writes_them(text, seconds):
    assert specs.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "90d", "1h x", "h", "-1h"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="no duration"):
        specs.seconds(text)


@pytest.mark.parametrize(
    ("change", "days"), [({}, 30), ({"renewBefore": "240h"}, 10), ({"renewBeforePercentage": 50}, 45)]
)
def test_a_certificate_is_renewed_at_two_thirds_of_its_life_unless_it_says_when(change, days):
    assert specs.renewal_time({**SPEC, **change}, BEGIN, END) == END - datetime.timedelta(days=days)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dnsNames": []}, "at least one of"),
        ({"issuerRef": {}}, "issuerRef.name"),
        ({"issuerRef": {"name": "i", "kind": "Other"}}, "issuerRef.kind"),
        ({"usages": ["server"]}, "unknown keyusage"),
        ({"ipAddresses": ["1.2.3"]}, "invalid IP address"),
        ({"commonName": "x" * 65}, "commonName"),
        ({"privateKey": {"size": 1024}}, "between 2048 and 8192"),
        ({"duration": "30m"}, "greater than 1h0m0s"),
        ({"renewBefore": "1m"}, "greater than 5m0s"),
        ({"renewBefore": "9999h"}, "must be greater than renewBefore"),
        ({"renewBefore": "1h", "renewBeforePercentage": 5}, "mutually exclusive"),
    ],
)
def test_what_the_webhook_refuses_is_refused(change, message):
    assert specs.problems(SPEC) == []
    assert message in "; ".join(specs.problems({**SPEC, **change}))


@pytest.mark.parametrize(
    "change",
    [
        {"isCA": True}, {"usages": ["client auth"]}, {"duration": "48h"},
        {"issuerRef": {"name": "i", "kind": "ClusterIssuer"}},
    ],
)  # fmt: skip
def test_a_request_for_something_else_than_the_certificate_now_says_is_told_apart(change):
    key = signing.new_key({"algorithm": "ECDSA"})
    certificate = {"metadata": {"name": "c", "namespace": "n", "uid": "u"}, "spec": SPEC}
    made = specs.request_of(certificate, 1, signing.signing_request(SPEC, key))
    assert specs.same_request(certificate, made)
    assert not specs.same_request({**certificate, "spec": {**SPEC, **change}}, made)


def test_an_authoritys_certificate_may_sign_and_a_leafs_may_not():
    root = authority("root")
    mine = leaf(root, "a.test")
    with pytest.raises(signing.SigningError, match="not a CA"):
        signing.load_signer(mine.certificate, mine.key)
    assert signing.load_signer(root.certificate, root.key)


def test_a_key_of_another_certificate_is_refused_without_showing_it():
    one, two = authority("one"), authority("two")
    with pytest.raises(signing.SigningError, match="does not belong") as error:
        signing.load_pair(one.certificate, two.key)
    assert "PRIVATE" not in str(error.value)


def test_a_chain_below_an_intermediate_authority_is_complete_and_ends_at_the_root():
    root = authority("root")
    key = signing.new_key({"algorithm": "ECDSA"})
    asked = request({"commonName": "middle", "isCA": True}, key)
    middle = signing.text([signing.sign(asked, signing.load_signer(root.certificate, root.key))])
    around = issuers.Surroundings(
        lambda *_: {"tls.crt": middle + root.certificate, "tls.key": signing.key_text(key, "PKCS8")},
        lambda: None, lambda *_: True,
    )  # fmt: skip
    issuer = {"metadata": {"namespace": "n"}, "spec": {"ca": {"secretName": "middle"}}}
    issued = issuers.issue(issuer, request(SPEC, signing.new_key({})), None, around)
    chain = x509.load_pem_x509_certificates(issued.certificate.encode())
    assert len(chain) == 2
    chain[0].verify_directly_issued_by(chain[1])
    assert issued.authority == root.certificate


def solver(kind="route53", **selector):
    return {"dns01": {kind: {}}, **({"selector": selector} if selector else {})}


@pytest.mark.parametrize(
    ("solvers", "name", "chosen"),
    [
        ([solver("a")], "x.test", "a"),
        ([solver("a"), solver("b", dnsZones=["x.test"])], "y.x.test", "b"),
        ([solver("a", dnsZones=["test"]), solver("b", dnsZones=["x.test"])], "x.test", "b"),
        ([solver("a", dnsZones=["x.test"]), solver("b", dnsNames=["x.test"])], "x.test", "b"),
        ([solver("a", dnsZones=["other.test"])], "x.test", None),
        ([{"http01": {}}], "*.x.test", None),
    ],
)
def test_the_solver_of_a_name_is_the_most_exact_one(solvers, name, chosen):
    found = issuers.choose_solver(solvers, name)
    assert (next(iter(found["dns01"])) if found else None) == chosen


def test_an_issuer_that_cannot_be_simulated_says_so():
    found = issuers.state({"metadata": {}, "spec": {"vault": {}}}, issuers.Surroundings(None, None, None))
    assert not found.ready
    assert "vault" in found.message


def test_a_conditions_time_changes_only_with_its_status():
    found = {"kind": "Issuer", "metadata": {"generation": 1}}
    first = condition(found, "Ready", True, "R", "m")
    first["lastTransitionTime"] = "2020-01-01T00:00:00Z"
    found["status"] = merged(found, [first])
    assert condition(found, "Ready", True, "R", "other")["lastTransitionTime"] == "2020-01-01T00:00:00Z"
    assert condition(found, "Ready", False, "R", "m")["lastTransitionTime"] != "2020-01-01T00:00:00Z"
    assert not differs(found, merged(found, [first]))
    assert differs(found, merged(found, [condition(found, "Ready", False, "R", "m")]))
