"""The kubernetes provider over gRPC, with a small stand-in for the API server."""

import base64
import http.server
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from concurrent import futures
from urllib.parse import parse_qs, urlsplit

import grpc
import pytest

from localcloud.certificates import authority_file, ensure_certificate_authority, issue
from localcloud.paths import RunPaths
from localcloud.providers.kubernetes import api, readiness
from localcloud.providers.kubernetes.protocol import provider_pb2, provider_pb2_grpc
from localcloud.providers.kubernetes.server import KubernetesProvider
from localcloud.providers.kubernetes.values import UNKNOWN, Secret, to_struct
from tests.kubernetes_provider import CONFIG_MAP, DEPLOYMENT, ROOT, SECRET, ProviderClient, Refusal

KINDS = {
    "/api/v1": [("configmaps", "ConfigMap"), ("secrets", "Secret"), ("pods", "Pod")],
    "/apis/apps/v1": [("deployments", "Deployment")],
}


class FakeApi(http.server.BaseHTTPRequestHandler):
    """Stores what is applied; `refusals` answer PATCH requests, first come first served."""

    stored: dict
    requests: list
    refusals: list
    status: dict

    def log_message(self, *_):
        pass

    def answer(self, code, body):
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        path = urlsplit(self.path).path
        if path == "/version":
            self.answer(200, {})
        elif path in KINDS:
            rows = [{"name": plural, "kind": kind, "namespaced": True} for plural, kind in KINDS[path]]
            self.answer(200, {"resources": rows})
        elif path in self.stored:
            self.answer(200, self.stored[path])
        elif path.endswith("/pods"):
            self.answer(200, {"items": []})
        else:
            self.answer(404, {"message": "not found", "reason": "NotFound"})

    def do_PATCH(self):
        url = urlsplit(self.path)
        query = {key: value[0] for key, value in parse_qs(url.query).items()}
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.requests.append((url.path, query))
        if self.refusals:
            self.answer(*self.refusals.pop(0))
            return
        live = {**body, "status": self.status}
        live["metadata"] = {**body["metadata"], "uid": "u1", "managedFields": [{}], "generation": 1}
        if "dryRun" not in query:
            self.stored[url.path] = live
        self.answer(200, live)

    def do_DELETE(self):
        self.stored.pop(self.path, None)
        self.answer(200, {})


@pytest.fixture(scope="module")
def credentials(tmp_path_factory):
    paths = RunPaths(tmp_path_factory.mktemp("ca"))
    ensure_certificate_authority(paths)
    certificate, key = issue(paths, "api", addresses=("127.0.0.1",), server=True)
    file = paths.root / "api.pem"
    file.write_text(certificate + key)
    return authority_file(paths).read_bytes(), file


@pytest.fixture
def fake(credentials):
    handler = type("Handler", (FakeApi,), {"stored": {}, "requests": [], "refusals": [], "status": {}})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(credentials[1])
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    handler.port = server.server_address[1]
    yield handler
    server.shutdown()
    server.server_close()


def kubeconfig(authority, port):
    cluster = {
        "server": f"https://127.0.0.1:{port}",
        "certificate-authority-data": base64.b64encode(authority).decode(),
    }
    return json.dumps(
        {
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "apps"}}],
            "current-context": "x",
        }
    )


@pytest.fixture
def client():
    """A provider that is not configured yet."""
    server = grpc.server(futures.ThreadPoolExecutor(8))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(KubernetesProvider("4.32.0"), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield ProviderClient(channel)
    server.stop(0)


@pytest.fixture
def provider(client, fake, credentials):
    client.configure(kubeconfig=kubeconfig(credentials[0], fake.port))
    return client


@pytest.fixture
def cut_off(client, credentials, monkeypatch):
    """A provider whose cluster does not answer."""
    monkeypatch.setattr(api, "_BACKOFF_S", 0.01)
    client.configure(kubeconfig=kubeconfig(credentials[0], 1))
    return client


def config_map(**data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}


def deployment():
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}},
    }


def test_a_create_applies_strictly_in_the_kubeconfigs_namespace_without_force(provider, fake):
    id_, outputs = provider.create(CONFIG_MAP, config_map(k="v"))
    assert id_ == "apps/a"
    assert outputs["metadata"]["uid"] == "u1"
    path, query = fake.requests[-1]
    assert path == "/api/v1/namespaces/apps/configmaps/a"
    assert query == {"fieldManager": "pulumi-kubernetes", "fieldValidation": "Strict", "force": "false"}


def test_an_update_takes_back_fields_that_others_have_changed(provider, fake):
    _, outputs = provider.create(CONFIG_MAP, config_map(k="v"))
    provider.update(CONFIG_MAP, "apps/a", outputs, {**config_map(k="w"), "metadata": {"name": "a"}})
    assert fake.requests[-1][1]["force"] == "true"


def test_a_preview_stores_nothing_and_unknown_inputs_are_not_even_sent(provider, fake):
    _, outputs = provider.create(CONFIG_MAP, config_map(k="v"), preview=True)
    assert outputs["metadata"]["uid"] is UNKNOWN
    assert fake.requests[-1][1]["dryRun"] == "All"
    assert fake.stored == {}
    count = len(fake.requests)
    _, outputs = provider.create(CONFIG_MAP, config_map(k=UNKNOWN), preview=True)
    assert outputs["data"] == {"k": UNKNOWN}
    assert len(fake.requests) == count


def test_a_refusal_names_the_object_and_no_secret(provider, fake):
    message = 'data.key: Invalid value: "hunter2secret": no'
    fake.refusals.append((422, {"message": message, "reason": "Invalid"}))
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": Secret({"key": "hunter2secret"})}
    with pytest.raises(Refusal) as refused:
        provider.create(SECRET, secret)
    assert str(refused.value) == 'Secret apps/s: data.key: Invalid value: "[secret]": no'
    assert refused.value.code == grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.id == "", "nothing exists"


def test_a_busy_server_is_asked_again(provider, fake, monkeypatch):
    monkeypatch.setattr(api, "_BACKOFF_S", 0.01)
    fake.refusals.append((503, {"message": "busy"}))
    assert provider.create(CONFIG_MAP, config_map())[0] == "apps/a"


def test_what_does_not_get_ready_is_kept_with_its_reasons(provider, fake):
    with pytest.raises(Refusal) as failed:
        provider.create(DEPLOYMENT, deployment(), timeout=0.5)
    assert failed.value.id == "apps/d"
    assert failed.value.outputs["metadata"]["name"] == "d"
    assert failed.value.reasons == [
        "Deployment apps/d: timeout after 0.5 s",
        "Deployment apps/d: 0 of 1 pods of the newest version are available",
    ]


def test_skip_await_and_the_timeout_annotation_count(provider, fake):
    annotated = deployment()
    annotated["metadata"]["annotations"] = {"pulumi.com/skipAwait": "true"}
    assert provider.create(DEPLOYMENT, annotated)[0] == "apps/d"
    annotated["metadata"]["annotations"] = {"pulumi.com/timeoutSeconds": "1"}
    with pytest.raises(Refusal, match="timeout after 1 s"):
        provider.create(DEPLOYMENT, annotated)


def test_cancelling_ends_the_wait(provider, fake):
    threading.Timer(0.5, lambda: provider.ask("Cancel", to_struct({}).__class__())).start()
    started = time.monotonic()
    with pytest.raises(Refusal, match="waiting was cancelled"):
        provider.create(DEPLOYMENT, deployment(), timeout=60)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("status", "ready"),
    [
        ({"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}, True),
        ({"observedGeneration": 0, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}, False),
        ({"observedGeneration": 1, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 2}, False),
        ({"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 0}, False),
        ({"observedGeneration": 1, "replicas": 1, "updatedReplicas": 0, "availableReplicas": 1}, False),
    ],
)
def test_a_rollout_is_done_when_all_pods_are_new_and_available(provider, fake, status, ready):
    fake.status.update(status)
    if ready:
        assert provider.create(DEPLOYMENT, deployment(), timeout=5)[0] == "apps/d"
    else:
        with pytest.raises(Refusal):
            provider.create(DEPLOYMENT, deployment(), timeout=0.3)


def test_a_rollout_past_its_deadline_fails_at_once(provider, fake):
    condition = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "too slow"}
    fake.status.update(observedGeneration=1, conditions=[condition])
    started = time.monotonic()
    with pytest.raises(Refusal) as failed:
        provider.create(DEPLOYMENT, deployment(), timeout=60)
    assert failed.value.reasons[-1] == "Deployment apps/d: too slow"
    assert time.monotonic() - started < 5


def test_deleting_what_is_gone_is_a_success(provider, fake):
    _, outputs = provider.create(CONFIG_MAP, config_map())
    provider.delete(CONFIG_MAP, "apps/a", outputs)
    assert fake.stored == {}
    provider.delete(CONFIG_MAP, "apps/a", outputs)


def test_an_object_that_took_the_name_of_ours_is_not_deleted(provider, fake):
    _, outputs = provider.create(CONFIG_MAP, config_map())
    fake.stored["/api/v1/namespaces/apps/configmaps/a"]["metadata"]["uid"] = "another"
    provider.delete(CONFIG_MAP, "apps/a", outputs)
    assert list(fake.stored) == ["/api/v1/namespaces/apps/configmaps/a"]


def test_diff_marks_replacement_and_its_order(provider):
    old = {**config_map(k="v"), "metadata": {"name": "a", "namespace": "apps"}}
    diff = provider.diff(CONFIG_MAP, old, {**old, "data": {"k": "w"}})
    assert list(diff.replaces) == ["data.k"]
    assert list(diff.diffs) == ["data"]
    assert diff.detailedDiff["data.k"].kind == provider_pb2.PropertyDiff.UPDATE_REPLACE
    assert diff.deleteBeforeReplace
    diff = provider.diff(CONFIG_MAP, old, {**old, "metadata": {"name": "b", "namespace": "apps"}})
    assert list(diff.replaces) == ["metadata.name"]
    assert not diff.deleteBeforeReplace


def test_a_secret_that_is_equal_is_no_difference(provider):
    old = {**config_map(), "data": {"k": Secret("v")}}
    assert provider.diff(CONFIG_MAP, old, {**old, "data": {"k": "v"}}).changes == provider_pb2.DiffResponse.DIFF_NONE


def test_without_its_cluster_a_preview_goes_on_and_an_update_says_why_not(cut_off):
    assert cut_off.diff(CONFIG_MAP, config_map(), config_map()).changes == provider_pb2.DiffResponse.DIFF_NONE
    _, outputs = cut_off.create(CONFIG_MAP, config_map(k="v"), preview=True)
    assert outputs["data"] == {"k": "v"}
    for action in (
        lambda: cut_off.create(CONFIG_MAP, config_map()),
        lambda: cut_off.read(CONFIG_MAP, "apps/a", config_map()),
        lambda: cut_off.delete(CONFIG_MAP, "apps/a", config_map()),
    ):
        with pytest.raises(Refusal, match=r"ConfigMap apps/a: the cluster cannot be reached: .*does not answer") as no:
            action()
        assert no.value.code == grpc.StatusCode.FAILED_PRECONDITION, "UNAVAILABLE would look like a crashed plugin"


def test_unreachable_clusters_can_be_skipped_or_forgotten(client, credentials):
    text = kubeconfig(credentials[0], 1)
    client.configure(kubeconfig=text, skipUpdateUnreachable="true")
    assert client.read(CONFIG_MAP, "apps/a", config_map(k="v"), config_map(k="v"))[1] == config_map(k="v")
    client.configure(kubeconfig=text, deleteUnreachable="true")
    assert client.read(CONFIG_MAP, "apps/a", config_map(), config_map())[0] == ""
    client.delete(CONFIG_MAP, "apps/a", config_map())


def test_a_provider_without_kubeconfig_previews_and_does_nothing_else(client, monkeypatch):
    monkeypatch.delenv("KUBECONFIG", raising=False)
    client.configure()
    assert client.create(CONFIG_MAP, config_map(), preview=True)[0] == ""
    with pytest.raises(Refusal, match="the provider has none and KUBECONFIG is not set"):
        client.create(CONFIG_MAP, config_map())


def test_an_unreachable_server_is_given_up_while_waiting(monkeypatch):
    monkeypatch.setattr(readiness, "_UNREACHABLE_PATIENCE_S", -1.0)

    class Gone:
        def items(self, *_, **__):
            raise api.Unreachable("gone")

    patience = readiness.Patience.of(60, threading.Event(), lambda text: None)
    live = {**deployment(), "metadata": {"name": "d", "namespace": "apps"}}
    with pytest.raises(readiness.NotReady, match="gone"):
        readiness.wait_ready(Gone(), api.ResourceInfo("/apis/apps/v1", "deployments", True), live, patience)


# -- the process


def start(**environment):
    command = [sys.executable, "-m", "localcloud.providers.kubernetes", "127.0.0.1:1"]
    inherited = {key: value for key, value in os.environ.items() if key != "TRICORN_LOCAL"}
    return subprocess.Popen(
        command, cwd=ROOT, env={**inherited, **environment}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("how", ["sigint", "eof"])
def test_the_process_prints_its_port_and_ends_with_the_engine(how, tmp_path):
    process = start(TRICORN_LOCAL=str(tmp_path))
    try:
        assert 0 < int(process.stdout.readline()) < 65536
        if how == "sigint":
            process.send_signal(signal.SIGINT)
        else:
            process.stdin.close()
        started = time.monotonic()
        assert process.wait(5) == 0
        assert time.monotonic() - started < 2
    finally:
        process.kill()
        process.wait()


def test_the_process_refuses_to_start_outside_a_local_run():
    process = start()
    output, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert output == ""
    assert "TRICORN_LOCAL is not set" in errors
    assert "Traceback" not in errors
