"""How sites hand requests to each other, and the certificates that make them believe each other."""

import json

from hypothesis import given
from hypothesis import strategies as st

from serving.certificates import Acme, peer_identity_objects, peer_name, public_certificate_objects
from serving.peers import LARGEST_WEIGHT, fallback_backends, peer_objects
from serving.routes import model_routes

DOMAIN = "serve.example.com"
ADDRESSES = {"gcp": ["203.0.113.7"], "azure": ["203.0.113.8", "203.0.113.9"]}
AUTHORITIES = {"gcp": "PEM of gcp", "azure": "PEM of azure"}


def backends() -> dict[str, dict]:
    found = peer_objects("serving", DOMAIN, AUTHORITIES, ADDRESSES)
    return {each["metadata"]["name"]: each for each in found.values() if each["kind"] == "Backend"}


def routes(peers: dict[str, int] | None, **changes: object) -> dict:
    arguments = {"default": True, "request_timeout_ms": 10_000, **changes}
    return model_routes("scenes", "serving", "aws", {3: 90, 4: 10}, peers=peers, **arguments)


def referenced(route: dict) -> list[tuple[str, str]]:
    return [(each["kind"], each["name"]) for rule in route["spec"]["rules"] for each in rule["backendRefs"]]


def test_a_peer_is_asked_by_static_addresses_and_only_after_the_local_servers():
    assert backends().keys() == {"peer-gcp", "peer-azure"}
    for name, backend in backends().items():
        # A name among the endpoints would split the route's servers into clusters without an order.
        expected = [{"ip": {"address": each, "port": 8443}} for each in ADDRESSES[name.removeprefix("peer-")]]
        assert backend["spec"]["endpoints"] == expected
        assert backend["spec"]["fallback"] is True


def test_a_peer_must_show_its_own_name_by_its_own_authority_and_sees_ours():
    found = peer_objects("serving", DOMAIN, AUTHORITIES, ADDRESSES)
    tls = backends()["peer-gcp"]["spec"]["tls"]
    assert tls["sni"] == "gcp.peer.serve.example.com"
    assert tls["clientCertificateRef"]["name"] == "peer"
    (authority,) = tls["caCertificateRefs"]
    assert found["ca-gcp"]["metadata"]["name"] == authority["name"] == "peer-ca-gcp"
    assert found["ca-gcp"]["data"] == {"ca.crt": "PEM of gcp"}


@given(st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), st.integers(0, 255), max_size=4))
def test_peers_share_requests_as_dns_does_and_a_drained_one_gets_none(weights: dict[str, int]):
    found = {each["name"].removeprefix("peer-"): each["weight"] for each in fallback_backends(weights)}
    assert found.keys() == {site for site, weight in weights.items() if weight}
    for site, weight in found.items():
        assert 0 < weight <= LARGEST_WEIGHT
        assert abs(weight / LARGEST_WEIGHT - weights[site] / max(weights.values())) < 1e-5


def test_a_version_without_any_ready_pod_takes_hardly_a_request_from_the_peers():
    """Envoy Gateway answers 503 for the share of an empty Service among all weights of the rule."""
    (rule,) = routes({"gcp": 1, "azure": 200})["grpc-route"]["spec"]["rules"]
    shares = {kind: sum(each["weight"] for each in rule["backendRefs"] if each["kind"] == kind) for kind in KINDS}
    assert shares["Service"] / sum(shares.values()) < 0.001


KINDS = ("Service", "Backend")


def test_requests_of_peers_go_to_local_servers_only():
    found = routes({"gcp": 33, "azure": 33})
    public = [found["grpc-route"], found["http-route"]]
    peers = [found["peer-grpc-route"], found["peer-http-route"]]
    for route in public:
        assert route["spec"]["parentRefs"][0]["sectionName"] == "public"
        assert referenced(route)[2:] == [("Backend", "peer-gcp"), ("Backend", "peer-azure")]
    for route in peers:
        assert route["spec"]["parentRefs"][0]["sectionName"] == "peers"
        assert referenced(route) == [("Service", "scenes-v3"), ("Service", "scenes-v4")]


def test_health_checks_see_local_servers_only_and_come_in_by_the_public_listener():
    health = routes({"gcp": 33})["health-route"]
    assert referenced(health) == [("Service", "scenes-v3")]
    assert health["spec"]["parentRefs"][0]["sectionName"] == "public"


def test_no_backend_has_a_filter_of_its_own():
    for route in routes({"gcp": 33}).values():
        for rule in route["spec"].get("rules", []):
            assert all("filters" not in each for each in rule["backendRefs"])


def test_a_request_is_tried_here_before_it_is_tried_elsewhere():
    found = routes({"gcp": 33})
    retry = found["traffic-policy"]["spec"]["retry"]
    assert (retry["numRetries"], retry["numAttemptsPerPriority"]) == (3, 2)
    assert "numAttemptsPerPriority" not in found["peer-traffic-policy"]["spec"]["retry"]
    assert "numAttemptsPerPriority" not in routes(None)["traffic-policy"]["spec"]["retry"]


def test_the_name_of_the_site_that_answered_is_not_overwritten():
    def named(route: dict) -> list[str]:
        return [
            each["responseHeaderModifier"]["set"][0]["value"]
            for each in route["spec"]["rules"][0]["filters"]
            if "responseHeaderModifier" in each
        ]

    found = routes({"gcp": 33})
    assert named(found["grpc-route"]) == named(found["http-route"]) == []
    assert named(found["peer-grpc-route"]) == named(found["peer-http-route"]) == ["aws"]


def test_without_peers_there_is_no_route_for_them():
    for peers in (None, {}):
        assert not [role for role in routes(peers) if role.startswith("peer-")]
        assert referenced(routes(peers)["grpc-route"]) == [("Service", "scenes-v3"), ("Service", "scenes-v4")]


def test_objects_of_two_models_never_have_the_same_name():
    def names(model: str) -> set[tuple[str, str]]:
        found = model_routes(
            model, "serving", "aws", {1: 100}, default=True, request_timeout_ms=1000, peers={"gcp": 1}
        ).values()
        return {(each["kind"], each["metadata"]["name"]) for each in found}

    for other in ("scenes-health", "scenes-peers", "scenes-tokens"):
        assert not names("scenes") & names(other)


def test_every_site_has_an_authority_of_its_own_that_outlives_the_cluster():
    found = peer_identity_objects("serving", "aws", DOMAIN)
    assert list(found) == ["selfsigned", "authority", "issuer", "certificate"]
    authority = found["authority"]["spec"]
    assert authority["isCA"] is True
    assert authority["commonName"] == "aws peer CA"
    assert authority["duration"] == f"{10 * 365 * 24}h"
    assert authority["issuerRef"]["name"] == found["selfsigned"]["metadata"]["name"]
    assert found["issuer"]["spec"]["ca"]["secretName"] == authority["secretName"] == "peer-ca"


def test_a_gateways_certificate_serves_both_ends_and_its_key_changes_at_every_renewal():
    spec = peer_identity_objects("serving", "aws", DOMAIN)["certificate"]["spec"]
    assert spec["dnsNames"] == [peer_name("aws", DOMAIN)] == ["aws.peer.serve.example.com"]
    assert spec["usages"] == ["server auth", "client auth"]
    assert (spec["duration"], spec["privateKey"]["rotationPolicy"]) == ("2160h", "Always")
    assert spec["issuerRef"]["name"] == "peer-ca"


def acme(**changes: object) -> dict[str, dict]:
    values = {
        "server": "https://acme.example.com/directory", "email": "a@example.com", "zone_id": "Z1",
        "region": "us-east-1", "role_arn": "arn:aws:iam::1:role/r",
    }  # fmt: skip
    return public_certificate_objects("serving", "aws", DOMAIN, Acme(**(values | changes)))


def test_the_public_certificate_is_proved_by_dns_and_covers_the_sites_own_name():
    found = acme()
    assert found["certificate"]["spec"]["dnsNames"] == ["serve.example.com", "aws.serve.example.com"]
    (solver,) = found["issuer"]["spec"]["acme"]["solvers"]
    assert solver.keys() == {"dns01"}
    assert "http01" not in json.dumps(found)
    route53 = solver["dns01"]["route53"]
    assert (route53["hostedZoneID"], route53["role"]) == ("Z1", "arn:aws:iam::1:role/r")
    assert route53["auth"]["kubernetes"]["serviceAccountRef"] == {"name": "cert-manager"}
    # A namespaced issuer could not name a service account of cert-manager's own namespace.
    assert found["issuer"]["kind"] == found["certificate"]["spec"]["issuerRef"]["kind"] == "ClusterIssuer"


def test_a_cluster_without_a_known_issuer_uses_the_credentials_of_its_nodes():
    route53 = acme(role_arn=None)["issuer"]["spec"]["acme"]["solvers"][0]["dns01"]["route53"]
    assert route53.keys() == {"hostedZoneID", "region"}


def test_no_object_names_a_key_in_clear_and_every_one_is_waited_for():
    for each in [*acme().values(), *peer_identity_objects("serving", "aws", DOMAIN).values()]:
        assert each["metadata"]["annotations"] == {"pulumi.com/waitFor": "condition=Ready"}
        assert "accessKeyID" not in json.dumps(each)
