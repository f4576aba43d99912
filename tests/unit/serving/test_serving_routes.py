import json
import re
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolchain
from serving.gateway import CLASS_NAME, CONTROLLER, GATEWAY_NAME, GATEWAY_NAMESPACE, container_port, gateway_objects
from serving.manifests import server_name
from serving.protocol import health_path
from serving.routes import model_routes, rest_pattern
from serving.settings_sections import Ingress


def routes(model: str = "scenes", versions: dict[int, int] | None = None, default: bool = True) -> dict:
    return model_routes(
        model, "serving", "aws", versions or {3: 90, 4: 10}, default=default, request_timeout_ms=10_000
    )  # fmt: skip


def ingress(**keys: object) -> Ingress:
    return Ingress.model_validate(keys)


def test_the_gateway_has_one_plain_listener_on_the_public_port():
    objects = gateway_objects("serving", ingress(port=8080))
    assert objects["gateway"]["spec"] == {
        "gatewayClassName": CLASS_NAME, "listeners": [{"name": "public", "port": 8080, "protocol": "HTTP"}],
    }  # fmt: skip
    assert objects["class"]["spec"]["controllerName"] == CONTROLLER
    assert set(objects) == {"priority", "proxy", "class", "gateway", "client-policy", "load-balancer"}


def test_with_a_certificate_the_listener_terminates_tls():
    (listener,) = gateway_objects("serving", ingress(tlsSecret="front"))["gateway"]["spec"]["listeners"]
    assert (listener["port"], listener["protocol"]) == (443, "HTTPS")
    assert listener["tls"]["mode"] == "Terminate"
    assert [each["name"] for each in listener["tls"]["certificateRefs"]] == ["front"]


@pytest.mark.parametrize(("port", "inside"), [(80, 10080), (443, 10443), (1023, 11023), (1024, 1024), (8080, 8080)])
def test_the_load_balancer_leads_to_the_port_that_envoy_gateway_opens(port: int, inside: int):
    assert container_port(port) == inside
    balancer = gateway_objects("serving", ingress(port=port))["load-balancer"]
    (found,) = balancer["spec"]["ports"]
    assert (found["port"], found["targetPort"]) == (port, inside)
    assert balancer["metadata"]["namespace"] == GATEWAY_NAMESPACE
    assert balancer["spec"]["externalTrafficPolicy"] == "Local"
    assert balancer["spec"]["selector"] == {
        "gateway.envoyproxy.io/owning-gateway-name": GATEWAY_NAME,
        "gateway.envoyproxy.io/owning-gateway-namespace": "serving",
    }


def test_the_controller_makes_no_load_balancer_of_its_own():
    service = gateway_objects("serving", ingress())["proxy"]["spec"]["provider"]["kubernetes"]["envoyService"]
    assert service["type"] == "ClusterIP"


def test_connections_end_after_minutes_so_that_callers_follow_dns_and_a_photo_fits_the_retry_buffer():
    connection = gateway_objects("serving", ingress())["client-policy"]["spec"]["connection"]
    assert connection["connectionLimit"]["maxConnectionDuration"] == "300s"
    assert connection["bufferLimit"] == "8Mi"


def test_a_caller_that_sends_slowly_holds_no_connection_for_ever_and_old_tls_is_refused():
    policy = gateway_objects("serving", ingress(tlsSecret="front"))["client-policy"]["spec"]
    assert policy["timeout"]["http"]["requestReceivedTimeout"] == "60s"
    assert policy["tls"] == {"minVersion": "1.2"}
    assert "tls" not in gateway_objects("serving", ingress())["client-policy"]["spec"]


def test_only_the_prediction_service_is_reachable_over_grpc():
    for default in (True, False):
        for rule in routes(default=default)["grpc-route"]["spec"]["rules"]:
            for match in rule["matches"]:
                assert match["method"] == {"type": "Exact", "service": "tensorflow.serving.PredictionService"}


def test_grpc_callers_name_the_model_in_the_metadata_and_the_default_model_needs_none():
    def headers(default: bool) -> list:
        (rule,) = routes(default=default)["grpc-route"]["spec"]["rules"]
        return [match.get("headers") for match in rule["matches"]]

    named = [{"type": "Exact", "name": "x-model", "value": "scenes"}]
    assert headers(default=False) == [named]
    assert headers(default=True) == [named, None]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/scenes", "/v1/models/scenes:predict", "/v1/models/scenes:classify", "/v1/models/scenes/metadata",
        "/v1/models/scenes/versions/12", "/v1/models/scenes/versions/12:predict",
        "/v1/models/scenes/versions/12/metadata", "/v1/models/scenes/labels/stable:predict",
    ],
)  # fmt: skip
def test_the_rest_route_takes_every_path_of_the_models_interface(path: str):
    assert re.fullmatch(rest_pattern("scenes"), path)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/scenes2", "/v1/models/scenes2:predict", "/v1/models/", "/v1/models/scenes/", "/v1/models/scenes:",
        "/v1/models/scenes:reload", "/v1/models/scenes/../other", "/v1/models/scenes/versions/x:predict",
        "/monitoring/prometheus/metrics", "/v1/models/scenes:predict/x", "/v1/models/other:predict",
    ],
)  # fmt: skip
def test_the_rest_route_takes_no_other_path(path: str):
    assert not re.fullmatch(rest_pattern("scenes"), path)


@given(st.dictionaries(st.integers(1, 99), st.integers(0, 100), min_size=1, max_size=4))
def test_requests_are_split_by_the_weights_over_the_versions_services(versions: dict[int, int]):
    found = routes(versions=versions)
    for role, port in (("grpc-route", 8500), ("http-route", 8501)):
        (rule,) = found[role]["spec"]["rules"]
        backends = [(each["name"], each["port"], each["weight"]) for each in rule["backendRefs"]]
        assert backends == [(server_name("scenes", version), port, weight) for version, weight in versions.items()]


def test_the_health_route_asks_the_version_with_most_requests_for_its_status_and_is_never_retried():
    found = routes(versions={3: 90, 4: 10})
    (rule,) = found["health-route"]["spec"]["rules"]
    assert rule["matches"] == [{"path": {"type": "Exact", "value": "/-/local-health/scenes"}}]
    assert health_path("scenes") == "/-/local-health/scenes"
    rewrite = next(each["urlRewrite"] for each in rule["filters"] if each["type"] == "URLRewrite")
    assert rewrite["path"] == {"type": "ReplaceFullPath", "replaceFullPath": "/v1/models/scenes"}
    assert [each["name"] for each in rule["backendRefs"]] == ["scenes-v3"]
    health = found["health-route"]["metadata"]["name"]
    assert health not in [each["name"] for each in found["traffic-policy"]["spec"]["targetRefs"]]


def test_every_answer_says_which_site_gave_it():
    for role in ("grpc-route", "http-route", "health-route"):
        for rule in routes()[role]["spec"]["rules"]:
            modified = [f["responseHeaderModifier"]["set"] for f in rule["filters"] if "responseHeaderModifier" in f]
            assert modified == [[{"name": "x-served-by", "value": "aws"}]]
            # A filter of a single backend would split the rule into several clusters without a common health check.
            assert all("filters" not in each for each in rule["backendRefs"])


def test_failing_pods_are_left_alone_and_their_requests_go_to_others():
    policy = routes()["traffic-policy"]["spec"]
    assert {each["kind"] for each in policy["targetRefs"]} == {"GRPCRoute", "HTTPRoute"}
    triggers = policy["retry"]["retryOn"]["triggers"]
    assert {"connect-failure", "unavailable", "resource-exhausted"} <= set(triggers)
    assert policy["retry"]["retryOn"]["httpStatusCodes"] == [503]
    assert policy["healthCheck"]["passive"]["maxEjectionPercent"] == 100
    assert policy["healthCheck"]["panicThreshold"] == 0
    assert policy["timeout"]["http"]["requestTimeout"] == "10000ms"


def service(name: str, number: int) -> dict:
    ports = [{"name": "grpc", "port": 8500, "appProtocol": "kubernetes.io/h2c"}, {"name": "http", "port": 8501}]
    return {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "serving"},
        "spec": {"clusterIP": f"10.0.0.{number}", "ports": ports},
    }  # fmt: skip


def translated(objects: list[dict], folder) -> dict:
    file = folder / "objects.yaml"
    file.write_text("\n---\n".join(json.dumps(each) for each in objects))
    egctl = str(toolchain.find("egctl"))
    command = [egctl, "x", "translate", "--from", "gateway-api", "--to", "gateway-api,xds", "-o", "json", "-f"]
    done = subprocess.run([*command, str(file)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def conditions(found: dict) -> dict[str, str]:
    status = found["status"]
    whole = status.get("parents") or status.get("ancestors")
    return {each["type"]: each["status"] for part in whole for each in part["conditions"]}


@pytest.mark.tools
def test_envoy_gateways_translator_accepts_and_resolves_everything(tmp_path):
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in ("serving", GATEWAY_NAMESPACE)
    ]
    objects += gateway_objects("serving", ingress(port=8080)).values()
    for number, model in enumerate(("scenes", "texts")):
        objects += routes(model, default=number == 0).values()
        objects += [service(f"{model}-v{version}", 10 * number + version) for version in (3, 4)]
    document = translated(objects, tmp_path)
    for kind, expected in (("grpcRoutes", 2), ("httpRoutes", 4)):
        assert len(document[kind]) == expected
        for found in document[kind]:
            assert conditions(found) == {"Accepted": "True", "ResolvedRefs": "True"}, found["metadata"]["name"]
    for kind in ("clientTrafficPolicies", "backendTrafficPolicies"):
        assert document[kind]
        for found in document[kind]:
            assert conditions(found) == {"Accepted": "True"}, found["metadata"]["name"]

    (dump,) = document["xds"].values()
    listeners, table, clusters = [], [], []
    for config in dump["configs"]:
        listeners += [each["activeState"]["listener"] for each in config.get("dynamicListeners") or []]
        table += [each["routeConfig"] for each in config.get("dynamicRouteConfigs") or []]
        clusters += [each["cluster"] for each in config.get("dynamicActiveClusters") or []]
    public = next(each for each in listeners if each["name"].endswith("/public"))
    assert public["address"]["socketAddress"]["portValue"] == container_port(8080)
    assert public["perConnectionBufferLimitBytes"] == 8 << 20
    entries = [entry for config in table for host in config["virtualHosts"] for entry in host["routes"]]
    grpc = [each for each in entries if each["match"].get("pathSeparatedPrefix")]
    # The route without a header comes last, or it would take every model's requests.
    assert [bool(each["match"].get("headers")) for each in grpc] == [True, True, False]
    assert {each["match"]["pathSeparatedPrefix"] for each in grpc} == {"/tensorflow.serving.PredictionService"}
    for each in grpc:
        assert "resource-exhausted" in each["route"]["retryPolicy"]["retryOn"]
        assert each["route"]["timeout"] == "10s"
    health = [each for each in entries if each["match"].get("path") == "/-/local-health/scenes"]
    assert health[0]["route"]["regexRewrite"]["substitution"] == "/v1/models/scenes"
    ejecting = [each["name"] for each in clusters if each.get("outlierDetection")]
    assert len(ejecting) == 4


@pytest.mark.tools
def test_envoy_gateways_translator_accepts_a_listener_with_tls(tmp_path):
    secret = {
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "front", "namespace": "serving"}, "data": certificate(),
    }  # fmt: skip
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in ("serving", GATEWAY_NAMESPACE)
    ]
    objects += [*gateway_objects("serving", ingress(tlsSecret="front")).values(), *routes().values(), secret]
    objects += [service(f"scenes-v{version}", version) for version in (3, 4)]
    document = translated(objects, tmp_path)
    for found in document["grpcRoutes"] + document["httpRoutes"]:
        assert conditions(found) == {"Accepted": "True", "ResolvedRefs": "True"}
    assert "envoy.transport_sockets.tls" in json.dumps(document["xds"])


def certificate() -> dict[str, str]:
    """Return the data of a TLS secret with a certificate made for this run."""
    import base64
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "serve.example.com")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "tls.crt": base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode(),
        "tls.key": base64.b64encode(private).decode(),
    }
