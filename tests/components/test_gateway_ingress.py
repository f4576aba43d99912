"""GatewayIngress and ModelRoutes: what they declare, in which order it comes and goes, and what they refuse."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import pytest

from components.gateway_ingress import GatewayIngress, GatewayIngressArgs
from components.model_routes import ModelRoutes, ModelRoutesArgs

RELEASE = "kubernetes:helm.sh/v3:Release"
SERVICE = "kubernetes:core/v1:Service"
GATEWAY = "kubernetes:gateway.networking.k8s.io/v1:Gateway"
GRPC = "kubernetes:gateway.networking.k8s.io/v1:GRPCRoute"
HTTP = "kubernetes:gateway.networking.k8s.io/v1:HTTPRoute"


def cluster() -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(provider=k8s.Provider("cluster"))


def ingress(run: Any, preview: bool = False, **changes: Any) -> Any:
    args = {"namespace": "serving", "port": 8080, **changes}
    return run(lambda: GatewayIngress("i", GatewayIngressArgs(**args), cluster()).load_balancer, preview=preview)


def routes(run: Any, preview: bool = False, **changes: Any) -> Any:
    args = {"model": "scenes", "namespace": "serving", "site": "aws", "versions": {"1": 100}, **changes}
    return run(lambda: ModelRoutes("r", ModelRoutesArgs(**args), cluster()).health_path, preview=preview)


def test_the_chart_is_pinned_and_allows_backends_in_other_clusters(run, preview):
    release = ingress(run, preview).one(RELEASE).inputs
    assert release["chart"] == "oci://docker.io/envoyproxy/gateway-helm"
    assert release["version"] == "v1.9.0"
    assert release["namespace"] == "envoy-gateway-system"
    assert release["createNamespace"] is True
    assert release["values"] == {"config": {"envoyGateway": {"extensionApis": {"enableBackend": True}}}}


def test_every_object_waits_for_the_release_that_brings_its_kind(run, preview):
    recording = ingress(run, preview)
    release = recording.one(RELEASE)
    objects = [row for row in recording.children() if row is not release]
    assert {row.name for row in objects} == {"i-proxy", "i-class", "i-gateway", "i-client-policy", "i-load-balancer"}
    # The same edges make a destroy give the load balancer back while the controller still runs.
    assert all(row.depends_on == {release.urn} for row in objects)
    assert {(row.parent, row.provider) for row in recording.children()} == {("i", "cluster")}


def test_the_load_balancer_is_ours_and_sits_on_the_clusters_static_addresses(run, preview):
    recording = ingress(run, preview, load_balancer_annotations={"eip-allocations": pulumi.Output.from_input("a,b")})
    service = recording.one(SERVICE).inputs
    assert service["metadata"]["annotations"] == {"eip-allocations": "a,b"}
    assert service["spec"]["type"] == "LoadBalancer"
    assert service["spec"]["ports"][0]["port"] == 8080
    proxy = recording.one("kubernetes:gateway.envoyproxy.io/v1alpha1:EnvoyProxy").inputs
    assert proxy["spec"]["provider"]["kubernetes"]["envoyService"]["type"] == "ClusterIP"
    assert recording.value == service["metadata"]["name"]


def test_the_load_balancer_goes_before_the_addresses_it_is_on(run):
    def build():
        address = k8s.core.v1.ConfigMap("address")
        GatewayIngress(
            "i", GatewayIngressArgs(namespace="serving", port=80, load_balancer_annotations={"eip": address.id})
        )

    recording = run(build)
    assert recording.one("kubernetes:core/v1:ConfigMap").urn in recording.one(SERVICE).depends_on


def test_a_secret_turns_tls_on(run):
    plain = ingress(run).one(GATEWAY).inputs["spec"]["listeners"][0]
    assert (plain["protocol"], plain["port"]) == ("HTTP", 8080)
    secure = ingress(run, port=443, tls_secret="serving-tls").one(GATEWAY).inputs["spec"]["listeners"][0]
    assert secure["protocol"] == "HTTPS"
    assert secure["tls"]["certificateRefs"][0]["name"] == "serving-tls"


def test_two_gateways_live_in_one_stack(run):
    def build():
        for name in ("a", "b"):
            options = pulumi.ResourceOptions(provider=k8s.Provider(f"{name}-cluster"))
            GatewayIngress(name, GatewayIngressArgs(namespace="serving", port=80), options)

    recording = run(build)
    assert {row.provider for row in recording.children() if row.parent == "a"} == {"a-cluster"}
    assert {row.provider for row in recording.children() if row.parent == "b"} == {"b-cluster"}


def test_bad_ingress_values_are_named_at_once():
    with pytest.raises(pulumi.InputPropertiesError) as refusal:
        GatewayIngressArgs(namespace="serving", port=0, tls_secret="Not_A_Name")
    assert "port: must be greater than or equal to 1, got 0" in str(refusal.value)
    assert "tlsSecret: must match pattern" in str(refusal.value)
    assert "got 'Not_A_Name'" in str(refusal.value)


def test_a_model_has_routes_for_grpc_rest_and_health(run, preview):
    recording = routes(run, preview)
    assert {row.name for row in recording.children()} == {
        "r-grpc-route", "r-http-route", "r-health-route", "r-traffic-policy",
    }  # fmt: skip
    assert {(row.parent, row.provider) for row in recording.children()} == {("r", "cluster")}
    assert recording.value == "/-/local-health/scenes"
    health = recording.one(HTTP, "r-health-route").inputs["spec"]["rules"][0]["matches"]
    assert health == [{"path": {"type": "Exact", "value": recording.value}}]


def test_traffic_is_split_by_the_shares_of_the_versions(run):
    recording = routes(run, versions={"3": 90, "4": 10})
    for row in (recording.one(GRPC), recording.one(HTTP, "r-http-route")):
        backends = row.inputs["spec"]["rules"][0]["backendRefs"]
        assert {each["name"]: each["weight"] for each in backends} == {"scenes-v3": 90, "scenes-v4": 10}


def test_only_the_default_model_takes_callers_that_name_none(run):
    def unnamed(recording: Any) -> int:
        return sum("headers" not in match for match in recording.one(GRPC).inputs["spec"]["rules"][0]["matches"])

    assert unnamed(routes(run)) == 0
    assert unnamed(routes(run, default=True)) == 1


def test_answers_say_which_site_gave_them(run):
    for row in routes(run, site="gcp-iowa").all(HTTP):
        filters = row.inputs["spec"]["rules"][0]["filters"]
        headers = [each["responseHeaderModifier"]["set"] for each in filters if "responseHeaderModifier" in each]
        assert headers == [[{"name": "x-served-by", "value": "gcp-iowa"}]]


def test_a_request_may_take_as_long_as_the_servers_allow(run):
    given = routes(run, request_timeout_ms=1500).one(HTTP, "r-http-route").inputs
    assert given["spec"]["rules"][0]["timeouts"]["request"] == "1500ms"
    default = routes(run).one(HTTP, "r-http-route").inputs
    assert default["spec"]["rules"][0]["timeouts"]["request"] == "10000ms"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"versions": {"1": 90}}, "versions: must be shares from 0 that add up to 100"),
        ({"versions": {"1": 110, "2": -10}}, "versions: must be shares from 0 that add up to 100"),
        ({"versions": {}}, "versions: must be shares from 0 that add up to 100"),
        ({"versions": {"v1": 100}}, "versions.v1: must be a version number"),
        ({"request_timeout_ms": 0}, "requestTimeoutMs: must be greater than or equal to 100, got 0"),
    ],
)
def test_bad_route_values_are_refused(changes, text):
    args = {"model": "scenes", "namespace": "serving", "site": "aws", "versions": {"1": 100}, **changes}
    with pytest.raises(pulumi.InputPropertiesError, match="ModelRoutes cannot be created") as refusal:
        ModelRoutesArgs(**args)
    assert text in str(refusal.value)
