"""Who may ask for predictions, by the policies of a model's routes."""

import pytest

from serving.routes import model_routes
from serving.settings import Callers

JWT = {"issuer": "https://login.example.com", "audiences": ["models"], "jwksUri": "https://login.example.com/keys"}
KEYS = {"secret": "caller-keys"}
ALL = [{}, {"jwt": JWT}, {"apiKeys": KEYS}, {"jwt": JWT, "apiKeys": KEYS}]


def routes(**callers: object) -> dict:
    return model_routes(
        "scenes", "serving", "aws", {1: 100}, default=True, request_timeout_ms=1000,
        callers=Callers.model_validate(callers), peers={"gcp": 1},
    )  # fmt: skip


def policies(found: dict) -> dict[str, dict]:
    return {role: each["spec"] for role, each in found.items() if each["kind"] == "SecurityPolicy"}


def guarded(found: dict) -> set[tuple[str, str, str]]:
    """Every (kind, route, rule) that a policy targets."""
    targets = [target for spec in policies(found).values() for target in spec["targetRefs"]]
    return {(each["kind"], each["name"], each["sectionName"]) for each in targets}


def rules(found: dict, role: str) -> list[dict]:
    listed: list[dict] = found[role]["spec"]["rules"]
    return listed


@pytest.mark.parametrize("callers", ALL[1:])
def test_every_rule_that_answers_predictions_has_a_policy(callers: dict):
    found = routes(**callers)
    expected = {
        (found[role]["kind"], found[role]["metadata"]["name"], rule["name"])
        for role in ("grpc-route", "http-route")
        for rule in rules(found, role)
    }
    assert guarded(found) == expected


def test_without_callers_everybody_may_ask():
    found = routes()
    assert policies(found) == {}
    assert [rule.get("name") for rule in rules(found, "grpc-route")] == [None]


@pytest.mark.parametrize("callers", ALL)
def test_health_checks_and_peers_are_never_asked_for_a_token(callers: dict):
    found = routes(**callers)
    names = {name for _, name, _ in guarded(found)}
    for role in ("health-route", "peer-grpc-route", "peer-http-route"):
        assert found[role]["metadata"]["name"] not in names


def test_a_token_must_be_of_the_issuer_for_the_audience_and_in_the_header():
    (provider,) = policies(routes(jwt=JWT))["access-tokens"]["jwt"]["providers"]
    assert provider["issuer"] == "https://login.example.com"
    assert provider["audiences"] == ["models"]
    assert provider["remoteJWKS"] == {"uri": "https://login.example.com/keys"}
    assert provider["extractFrom"].keys() == {"headers"}


def test_keys_of_the_issuer_may_be_given_inline():
    inline = {key: value for key, value in JWT.items() if key != "jwksUri"} | {"jwks": '{"keys": []}'}
    (provider,) = policies(routes(jwt=inline))["access-tokens"]["jwt"]["providers"]
    assert provider["localJWKS"] == {"type": "Inline", "inline": '{"keys": []}'}
    assert "remoteJWKS" not in provider


def test_a_callers_key_is_looked_up_in_a_secret_and_goes_no_further():
    keys = policies(routes(apiKeys={**KEYS, "header": "x-team-key"}))["access-keys"]["apiKeyAuth"]
    assert keys["credentialRefs"] == [{"group": "", "kind": "Secret", "name": "caller-keys"}]
    assert keys["extractFrom"] == [{"headers": ["x-team-key"]}]
    assert keys["sanitize"] is True


def test_either_kind_of_caller_is_let_in_where_both_are_configured():
    found = routes(jwt=JWT, apiKeys=KEYS)
    present = {"type": "RegularExpression", "name": "x-api-key", "value": ".+"}
    for role in ("grpc-route", "http-route"):
        keys, tokens = rules(found, role)
        assert (keys["name"], tokens["name"]) == ("keys", "tokens")
        assert all(present in match["headers"] for match in keys["matches"])
        assert not any(present in match.get("headers", []) for match in tokens["matches"])
        assert keys["backendRefs"] == tokens["backendRefs"]
    kinds = {role: set(spec) & {"jwt", "apiKeyAuth"} for role, spec in policies(found).items()}
    # One policy with both would let in only those who have a token and a key.
    assert kinds == {"access-tokens": {"jwt"}, "access-keys": {"apiKeyAuth"}}


def test_a_key_is_demanded_of_every_request_where_there_are_only_keys():
    (rule,) = rules(routes(apiKeys=KEYS), "http-route")
    assert "headers" not in rule["matches"][0]


def test_requests_are_counted_where_they_come_in_and_not_again_at_a_peer():
    found = routes(requestsPerSecond=50)
    limit = {"local": {"rules": [{"limit": {"requests": 50, "unit": "Second"}}]}}
    assert found["traffic-policy"]["spec"]["rateLimit"] == limit
    assert "rateLimit" not in found["peer-traffic-policy"]["spec"]
    assert "rateLimit" not in routes()["traffic-policy"]["spec"]
    targets = {each["name"] for each in found["traffic-policy"]["spec"]["targetRefs"]}
    assert found["health-route"]["metadata"]["name"] not in targets
