"""GatewayIngress and ModelRoutes: what they declare, in which order it comes and goes, and what they refuse."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import pytest

from components.gateway_ingress import GatewayIngress, GatewayIngressArgs
from components.model_routes import CallerPolicy, ModelRoutes, ModelRoutesArgs

RELEASE = "kubernetes:helm.sh/v3:Release"
SERVICE = "kubernetes:core/v1:Service"
CLIENT_POLICY = "kubernetes:gateway.envoyproxy.io/v1alpha1:ClientTrafficPolicy"
PROXY = "kubernetes:gateway.envoyproxy.io/v1alpha1:EnvoyProxy"
SECURITY = "kubernetes:gateway.envoyproxy.io/v1alpha1:SecurityPolicy"
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
    assert {row.name for row in objects} == {
        "i-priority", "i-proxy", "i-class", "i-gateway", "i-client-policy", "i-load-balancer",
    }  # fmt: skip
    # The same edges make a destroy give the load balancer back while the controller still runs.
    assert all(release.urn in row.depends_on for row in objects)
    assert recording.one(SERVICE).depends_on == {release.urn}
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


PEERS = {"gcp": "gcp authority\n", "azure": "azure authority"}


def peering(run: Any, preview: bool = False, **changes: Any) -> Any:
    return ingress(run, preview, **{"site": "aws", "domain": "serve.example.com", "peer_authorities": PEERS, **changes})


def test_other_sites_come_in_by_a_listener_of_their_own_on_the_same_load_balancer(run, preview):
    recording = peering(run, preview)
    public, peers = recording.one(GATEWAY).inputs["spec"]["listeners"]
    assert (public["name"], public["port"]) == ("public", 8080)
    assert (peers["name"], peers["port"], peers["protocol"]) == ("peers", 8443, "HTTPS")
    assert [each["name"] for each in peers["tls"]["certificateRefs"]] == ["peer"]
    ports = recording.one(SERVICE).inputs["spec"]["ports"]
    assert {(each["name"], each["port"]) for each in ports} == {("public", 8080), ("peers", 8443)}


def test_the_listener_for_peers_is_never_there_without_the_policy_that_asks_for_a_certificate(run, preview):
    recording = peering(run, preview)
    policy = recording.one(CLIENT_POLICY, "i-peer-policy")
    (target,) = policy.inputs["spec"]["targetRefs"]
    assert target["sectionName"] == "peers"
    asked = policy.inputs["spec"]["tls"]["clientValidation"]
    assert asked["mode"] == "RequireAndVerify"
    assert {each["value"] for each in asked["subjectAltNames"]["dnsNames"]} == {
        "gcp.peer.serve.example.com", "azure.peer.serve.example.com",
    }  # fmt: skip
    assert policy.urn in recording.one(GATEWAY).depends_on
    trusted = recording.one("kubernetes:core/v1:ConfigMap")
    assert trusted.inputs["metadata"]["name"] == asked["caCertificateRefs"][0]["name"] == "peer-cas"
    assert trusted.inputs["data"] == {"ca.crt": "gcp authority\nazure authority\n"}
    assert trusted.urn in policy.depends_on


def test_the_load_balancer_waits_for_no_other_site(run):
    def build():
        theirs = k8s.core.v1.Secret("theirs")
        args = GatewayIngressArgs(
            namespace="serving", port=80, site="aws", domain="d.example.com", peer_authorities={"gcp": theirs.id}
        )
        GatewayIngress("i", args)

    recording = run(build)
    theirs = recording.one("kubernetes:core/v1:Secret").urn
    assert theirs in recording.one("kubernetes:core/v1:ConfigMap").depends_on
    assert theirs not in recording.one(SERVICE).depends_on


def test_callers_learn_which_site_answered_even_if_it_was_another_one(run):
    for policy in peering(run).all(CLIENT_POLICY):
        late = policy.inputs["spec"]["headers"]["lateResponseHeaders"]
        assert late == {"addIfAbsent": [{"name": "x-served-by", "value": "aws"}]}


def test_two_proxies_are_spread_and_one_node_at_a_time_is_drained(run):
    proxy = ingress(run, proxies=2).one(PROXY).inputs["spec"]["provider"]["kubernetes"]
    assert proxy["envoyDeployment"]["replicas"] == 2
    assert proxy["envoyPDB"] == {"maxUnavailable": 1}
    keys = [each["topologyKey"] for each in proxy["envoyDeployment"]["pod"]["topologySpreadConstraints"]]
    assert keys == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    values = ingress(run, proxies=2).one(RELEASE).inputs["values"]
    assert (values["deployment"], values["podDisruptionBudget"]) == ({"replicas": 2}, {"minAvailable": 1})


def test_the_proxies_priority_is_there_before_their_pods(run):
    recording = ingress(run)
    priority, proxy = recording.one("kubernetes:scheduling.k8s.io/v1:PriorityClass"), recording.one(PROXY)
    pod = proxy.inputs["spec"]["provider"]["kubernetes"]["envoyDeployment"]["pod"]
    assert pod["priorityClassName"] == priority.inputs["metadata"]["name"]
    assert priority.urn in proxy.depends_on
    assert proxy.urn in recording.one(GATEWAY).depends_on


def test_images_come_from_where_the_caller_says(run, preview):
    recording = ingress(run, preview, envoy_image="ecr.example/envoy:1", controller_image="ecr.example/gateway:2")
    kubernetes = recording.one(PROXY).inputs["spec"]["provider"]["kubernetes"]
    assert kubernetes["envoyDeployment"]["container"]["image"] == "ecr.example/envoy:1"
    assert (
        recording.one(RELEASE).inputs["values"]["global"]["images"]["envoyGateway"]["image"] == "ecr.example/gateway:2"
    )


def test_a_load_balancer_gets_the_class_that_the_cluster_asks_for(run):
    spec = ingress(run, load_balancer_class="service.k8s.aws/nlb").one(SERVICE).inputs["spec"]
    assert spec["loadBalancerClass"] == "service.k8s.aws/nlb"
    assert "loadBalancerClass" not in ingress(run).one(SERVICE).inputs["spec"]


def test_peers_need_to_know_who_asks():
    with pytest.raises(pulumi.InputPropertiesError) as refusal:
        GatewayIngressArgs(namespace="serving", port=80, peer_authorities=PEERS, proxies=0)
    assert "site: is needed with peerAuthorities" in str(refusal.value)
    assert "domain: is needed with peerAuthorities" in str(refusal.value)
    assert "proxies: must be at least 1, got 0" in str(refusal.value)


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


def test_a_route_is_never_there_without_the_policy_that_asks_its_callers(run, preview):
    callers = CallerPolicy(
        jwt_issuer="https://login.example.com", jwt_audiences=["models"], jwks_uri="https://login.example.com/keys",
        api_key_secret="keys",
    )  # fmt: skip
    recording = routes(run, preview, callers=callers)
    policies = recording.all(SECURITY)
    assert len(policies) == 2
    for row in (recording.one(GRPC), recording.one(HTTP, "r-http-route")):
        assert {policy.urn for policy in policies} <= row.depends_on
    assert not recording.one(HTTP, "r-health-route").depends_on


def test_other_sites_are_asked_after_the_local_servers(run):
    recording = routes(run, peers={"gcp": 30, "azure": 0})
    for row in (recording.one(GRPC, "r-grpc-route"), recording.one(HTTP, "r-http-route")):
        names = [each["name"] for each in row.inputs["spec"]["rules"][0]["backendRefs"]]
        assert names == ["scenes-v1", "peer-gcp"]
    for row in (recording.one(GRPC, "r-peer-grpc-route"), recording.one(HTTP, "r-peer-http-route")):
        assert [each["name"] for each in row.inputs["spec"]["rules"][0]["backendRefs"]] == ["scenes-v1"]


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        ({"jwt_issuer": "login"}, "callers.jwtIssuer: must match pattern"),
        ({"jwt_issuer": "https://l", "jwt_audiences": ["m"]}, "callers.jwksUri: is needed with jwtIssuer"),
        ({"jwt_issuer": "https://l", "jwks_uri": "https://l/k"}, "callers.jwtAudiences: "),
        ({"jwks": "{}"}, "callers.jwtIssuer: "),
        ({"api_key_header": "x-key"}, "callers.apiKeyHeader: has no meaning without apiKeySecret"),
        ({"api_key_secret": "Not_A_Name"}, "callers.apiKeySecret: must match pattern"),
        ({"requests_per_second": 0}, "callers.requestsPerSecond: must be greater than or equal to 1, got 0"),
    ],
)
def test_bad_callers_are_refused(policy, text):
    with pytest.raises(pulumi.InputPropertiesError) as refusal:
        ModelRoutesArgs(
            model="scenes", namespace="serving", site="aws", versions={"1": 100}, callers=CallerPolicy(**policy)
        )
    assert text in str(refusal.value)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"versions": {"1": 90}}, "versions: must be shares from 0 that add up to 100"),
        ({"versions": {"1": 110, "2": -10}}, "versions: must be shares from 0 that add up to 100"),
        ({"versions": {}}, "versions: must be shares from 0 that add up to 100"),
        ({"versions": {"v1": 100}}, "versions.v1: must be a version number"),
        ({"peers": {"gcp": -1}}, "peers.gcp: must be 0 or more, got -1"),
        ({"request_timeout_ms": 0}, "requestTimeoutMs: must be greater than or equal to 100, got 0"),
    ],
)
def test_bad_route_values_are_refused(changes, text):
    args = {"model": "scenes", "namespace": "serving", "site": "aws", "versions": {"1": 100}, **changes}
    with pytest.raises(pulumi.InputPropertiesError, match="ModelRoutes cannot be created") as refusal:
        ModelRoutesArgs(**args)
    assert text in str(refusal.value)
