"""cert-manager's stand-in on a real control plane: what a program declares, and what it gets."""

import base64
import contextlib
import json
import os
import subprocess
import sys
import time

import pytest
from cryptography import x509

import toolchain
from localcloud import processes
from localcloud.certificates import authority_file
from localcloud.certmanager import signing
from localcloud.clusters.access import admin_kubeconfig_file, admin_token
from localcloud.store import Resource
from tests.kubernetes_provider import RELEASE, Refusal, plugin

from .conftest import CLOUD, ROOT, wait_until

pytestmark = pytest.mark.cluster
CHART = "oci://quay.io/jetstack/charts/cert-manager"
API = "cert-manager.io/v1"
DOMAIN = "serve.example.test"
READY_S = 30.0


def custom(kind):
    return f"kubernetes:cert-manager.io/v1:{kind}"


@pytest.fixture(scope="module")
def provider(managed, cluster):
    authority = base64.b64encode(authority_file(managed.paths).read_bytes()).decode()
    kubeconfig = {
        "clusters": [{"name": "c", "cluster": {"server": cluster.endpoint, "certificate-authority-data": authority}}],
        "users": [{"name": "u", "user": {"token": admin_token(managed.paths, CLOUD, cluster.id)}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    with plugin(managed.paths.root) as client:
        client.configure(kubeconfig=json.dumps(kubeconfig))
        yield client


class Daemon:
    """The certificates' part of a cloud's daemon."""

    def __init__(self, managed):
        self.managed, self.process = managed, None

    def start(self):
        environment = {**os.environ, "TRICORN_LOCAL": str(self.managed.paths.root)}
        self.process = processes.start(
            self.managed.paths, CLOUD, "certificates",
            [sys.executable, "-m", "tests.cluster.run_parts", CLOUD, "certificates"],
            environment=environment, directory=ROOT,
        )  # fmt: skip

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def daemon(managed, cluster, provider):
    """Certificates are issued, in a cluster where the chart is installed after the daemon has started."""
    found = Daemon(managed)
    found.start()
    inputs = {
        "chart": CHART, "version": "v1.20.2", "namespace": "cert-manager", "createNamespace": True,
        "values": {"crds": {"enabled": True}},
    }  # fmt: skip
    provider.create(RELEASE, inputs, name="cert-manager")
    yield found
    found.kill()


class Space:
    """A namespace of a test's own and the objects in it."""

    def __init__(self, managed, cluster, provider):
        self.managed, self.cluster, self.provider = managed, cluster, provider
        self.name = f"t-{os.urandom(4).hex()}"

    def declare(self, kind, name, spec, timeout=READY_S, namespaced=True):
        """Create an object as the program does, waiting until it is ready."""
        metadata = {"name": name, "annotations": {"pulumi.com/waitFor": "condition=Ready"}}
        if namespaced:
            metadata["namespace"] = self.name
        inputs = {"apiVersion": API, "kind": kind, "metadata": metadata, "spec": spec}
        return self.provider.create(custom(kind), inputs, name=name, timeout=timeout)

    def get(self, kind, name):
        done = self.managed.kubectl(self.cluster, "get", kind, name, "-n", self.name, "-o", "json", check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def patch(self, kind, name, spec):
        body = json.dumps({"spec": spec})
        self.managed.kubectl(self.cluster, "patch", kind, name, "-n", self.name, "--type=merge", "-p", body)

    def secret(self, name):
        found = self.get("secret", name)
        return None if found is None else {k: base64.b64decode(v).decode() for k, v in found["data"].items()}

    def condition(self, kind, name, wanted="Ready"):
        found = (self.get(kind, name) or {}).get("status", {}).get("conditions", [])
        return next((each for each in found if each["type"] == wanted), {})

    def peers(self):
        """Declare what a site needs to know its peers."""
        self.declare("Issuer", "peer-selfsigned", {"selfSigned": {}})
        ca = {
            "isCA": True, "commonName": "peer-ca", "secretName": "peer-ca", "duration": "87600h",
            "privateKey": {"algorithm": "ECDSA", "size": 256}, "issuerRef": {"name": "peer-selfsigned"},
        }  # fmt: skip
        self.declare("Certificate", "peer-ca", ca)
        self.declare("Issuer", "peer-ca", {"ca": {"secretName": "peer-ca"}})
        self.declare("Certificate", "peer", leaf("peer", f"aws.peer.{DOMAIN}", issuer="peer-ca"))


def leaf(secret, *names, issuer, kind="Issuer", **more):
    usages = ["digital signature", "key encipherment", "server auth", "client auth"]
    return {
        "secretName": secret, "dnsNames": list(names), "usages": usages, "duration": "2160h",
        "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
        "issuerRef": {"name": issuer, "kind": kind}, **more,
    }  # fmt: skip


@contextlib.contextmanager
def refused(message):
    """Expect that an object does not get ready, with a message among the reasons."""
    with pytest.raises(Refusal) as refusal:
        yield
    told = "; ".join([str(refusal.value), *refusal.value.reasons])
    assert message in told


@pytest.fixture
def space(managed, cluster, provider, daemon):
    found = Space(managed, cluster, provider)
    managed.kubectl(cluster, "create", "namespace", found.name)
    yield found
    managed.kubectl(cluster, "delete", "namespace", found.name, "--wait=false")


def test_a_site_gets_an_authority_and_a_certificate_for_its_peers(space):
    space.peers()
    root, pair = space.secret("peer-ca"), space.secret("peer")
    assert pair["ca.crt"] == root["tls.crt"] == root["ca.crt"]
    chain, _ = signing.load_pair(pair["tls.crt"], pair["tls.key"])
    authority = x509.load_pem_x509_certificate(root["tls.crt"].encode())
    chain[0].verify_directly_issued_by(authority)
    assert signing.Names.of(chain[0]).dns == (f"aws.peer.{DOMAIN}",)
    assert space.get("secret", "peer")["type"] == "kubernetes.io/tls"
    status = space.get("certificate", "peer-ca")["status"]
    assert status["revision"] == 1
    assert status["notAfter"] > status["renewalTime"] > status["notBefore"]


def test_a_program_reads_the_authority_from_a_request_that_it_does_not_own(space, provider):
    space.peers()
    known = {"apiVersion": API, "kind": "CertificateRequest"}
    _, _, found = provider.read(custom("CertificateRequest"), f"{space.name}/peer-ca-1", {}, known)
    authority = base64.b64decode(found["status"]["ca"]).decode()
    assert authority == space.secret("peer-ca")["tls.crt"]
    assert "PRIVATE KEY" not in json.dumps(space.get("certificaterequest", "peer-ca-1"))


def test_a_certificate_of_a_missing_issuer_is_reported_with_the_reason_in_time(space):
    started = time.monotonic()
    with refused('Referenced "Issuer" not found: nobody'):
        space.declare("Certificate", "lost", leaf("lost", "a.test", issuer="nobody"), timeout=4)
    assert time.monotonic() - started < 15
    # What it waited for arrives, and nothing needs a repair.
    space.declare("Issuer", "nobody", {"selfSigned": {}})
    wait_until(lambda: space.condition("certificate", "lost").get("status") == "True", READY_S, "the certificate")


def test_an_authority_that_is_none_is_named_by_its_issuer(space):
    space.declare("Issuer", "self", {"selfSigned": {}})
    space.declare("Certificate", "plain", leaf("plain", "a.test", issuer="self"))
    with refused("certificate is not a CA"):
        space.declare("Issuer", "not-an-authority", {"ca": {"secretName": "plain"}}, timeout=4)
    with refused('secrets "gone" not found'):
        space.declare("Issuer", "without", {"ca": {"secretName": "gone"}}, timeout=4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dnsNames": []}, "at least one of"),
        ({"duration": "10m"}, "certificate duration must be greater than 1h0m0s"),
        ({"renewBefore": "2160h"}, "must be greater than renewBefore"),
        ({"dnsNames": ["not a name"]}, "is no DNS name"),
        ({"privateKey": {"algorithm": "ECDSA", "size": 300}}, "Unsupported value: 300"),
    ],
)
def test_what_cert_manager_refuses_is_refused_with_its_message(space, change, message):
    space.declare("Issuer", "self", {"selfSigned": {}})
    with refused(message):
        space.declare("Certificate", "bad", {**leaf("bad", "a.test", issuer="self"), **change}, timeout=3)
    assert space.get("secret", "bad") is None


def test_a_changed_name_is_issued_again_and_the_old_request_goes(space):
    space.peers()
    before = space.secret("peer")
    space.patch("certificate", "peer", {"dnsNames": [f"gcp.peer.{DOMAIN}"]})
    wait_until(lambda: space.secret("peer")["tls.crt"] != before["tls.crt"], READY_S, "a new certificate")
    chain, _ = signing.load_pair(space.secret("peer")["tls.crt"], space.secret("peer")["tls.key"])
    assert signing.Names.of(chain[0]).dns == (f"gcp.peer.{DOMAIN}",)
    wait_until(lambda: space.get("certificate", "peer")["status"].get("revision") == 2, READY_S, "revision 2")
    wait_until(lambda: space.get("certificaterequest", "peer-1") is None, READY_S, "the old request to go")
    assert space.get("certificaterequest", "peer-2") is not None
    assert space.secret("peer")["tls.key"] != before["tls.key"]


def test_a_deleted_secret_comes_back(space):
    space.peers()
    space.managed.kubectl(space.cluster, "delete", "secret", "peer", "-n", space.name)
    wait_until(lambda: space.secret("peer") is not None, READY_S, "the Secret to come back")
    assert space.secret("peer")["ca.crt"] == space.secret("peer-ca")["tls.crt"]


def test_a_certificate_is_renewed_before_it_ends(space):
    space.declare("Issuer", "self", {"selfSigned": {}})
    # Renewed 59 min 55 s before the end of its one hour, that is 5 s after it was made.
    spec = leaf("short", "a.test", issuer="self", renewBefore="59m55s")
    space.declare("Certificate", "short", {**spec, "duration": "1h"})
    first = space.secret("short")["tls.crt"]
    wait_until(lambda: space.secret("short")["tls.crt"] != first, READY_S, "the renewal")
    assert space.condition("certificate", "short")["status"] == "True"


def test_certificates_stay_when_the_daemon_is_killed_half_way_and_starts_again(space, daemon):
    space.peers()
    before = space.secret("peer")["tls.crt"]
    daemon.kill()
    body = leaf("late", f"late.{DOMAIN}", issuer="peer-ca")
    manifest = {"apiVersion": API, "kind": "Certificate", "metadata": {"name": "late", "namespace": space.name}}
    kubeconfig = admin_kubeconfig_file(space.managed.paths, CLOUD, space.cluster.id)
    subprocess.run(
        [str(toolchain.find("kubectl")), f"--kubeconfig={kubeconfig}", "apply", "-f", "-"],
        input=json.dumps({**manifest, "spec": body}), text=True, check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    daemon.start()
    wait_until(lambda: space.condition("certificate", "late").get("status") == "True", READY_S, "the late certificate")
    assert space.secret("peer")["tls.crt"] == before
    assert space.get("certificate", "peer")["status"]["revision"] == 1


def acme(**solver):
    return {
        "acme": {
            "server": "https://acme-v02.api.letsencrypt.org/directory", "email": "ops@example.test",
            "privateKeySecretRef": {"name": "acme-account"}, "solvers": [solver] if solver else [],
        }
    }  # fmt: skip


@pytest.fixture
def zone(managed):
    inputs = {"name": DOMAIN}
    row = Resource(CLOUD, "aws:route53/zone:Zone", "Z1", "urn", "active", inputs, inputs)
    managed.store.put_resource(row)
    yield
    managed.store.delete_resource(CLOUD, row.type, row.id)


def test_a_public_certificate_is_signed_by_the_runs_authority_once_dns_can_prove_the_name(space, zone):
    name = f"acme-{space.name}"
    space.declare("ClusterIssuer", name, acme(dns01={"route53": {"region": "us-east-1"}}), namespaced=False)
    spec = leaf("serving-tls", DOMAIN, f"*.{DOMAIN}", issuer=name, kind="ClusterIssuer")
    space.declare("Certificate", "serving-tls", spec)
    pair = space.secret("serving-tls")
    chain, _ = signing.load_pair(pair["tls.crt"], pair["tls.key"])
    authority = x509.load_pem_x509_certificate(authority_file(space.managed.paths).read_bytes())
    chain[0].verify_directly_issued_by(authority)
    assert not pair.get("ca.crt")
    account = space.managed.kubectl(space.cluster, "get", "secret", "acme-account", "-n", "cert-manager", "-o", "name")
    assert account.stdout


@pytest.mark.parametrize(
    ("solver", "message"),
    [
        ({}, "no configured challenge solvers"),
        ({"http01": {"gatewayHTTPRoute": {}}}, "use dns01"),
        ({"dns01": {"cloudDNS": {"project": "p"}}}, "cloudDNS has no zone"),
        ({"dns01": {"route53": {"region": "us-east-1"}}, "selector": {"dnsZones": ["other.test"]}}, "no configured"),
    ],
)
def test_a_public_certificate_that_dns_cannot_prove_says_why(space, zone, solver, message):
    name = f"acme-{space.name}"
    space.declare("ClusterIssuer", name, acme(**solver), namespaced=False)
    spec = leaf("serving-tls", DOMAIN, issuer=name, kind="ClusterIssuer")
    with refused(message):
        space.declare("Certificate", "serving-tls", spec, timeout=4)


def test_the_chart_without_its_kinds_is_refused(provider, daemon):
    inputs = {"chart": CHART, "version": "v1.20.2", "namespace": "cert-manager", "createNamespace": True}
    with refused("crds.enabled: true"):
        provider.create(RELEASE, inputs, name="without")
