"""CertManager, PeerIdentity, PeerBackends and SiteCertificate: what they declare, in which order, what they refuse."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import pytest

from components.cert_manager import PARTS, CertManager, CertManagerArgs
from components.peer_backends import Peer, PeerBackends, PeerBackendsArgs
from components.peer_identity import PeerIdentity, PeerIdentityArgs
from components.site_certificate import SiteCertificate, SiteCertificateArgs
from tests.components.recording import UNKNOWN

RELEASE = "kubernetes:helm.sh/v3:Release"
CERTIFICATE = "kubernetes:cert-manager.io/v1:Certificate"
ISSUER = "kubernetes:cert-manager.io/v1:Issuer"
BACKEND = "kubernetes:gateway.envoyproxy.io/v1alpha1:Backend"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"


def cluster() -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(provider=k8s.Provider("cluster"))


def cert_manager(run: Any, preview: bool = False, **changes: Any) -> Any:
    return run(lambda: CertManager("c", CertManagerArgs(**changes), cluster()).namespace, preview=preview)


def identity(run: Any, preview: bool = False, **changes: Any) -> Any:
    args = {"namespace": "serving", "site": "aws", "domain": "serve.example.com", **changes}
    return run(lambda: PeerIdentity("p", PeerIdentityArgs(**args), cluster()).authority, preview=preview)


def test_cert_manager_is_pinned_brings_its_kinds_and_has_the_account_that_clouds_trust(run, preview):
    recording = cert_manager(run, preview)
    release = recording.one(RELEASE).inputs
    assert (release["chart"], release["version"]) == ("oci://quay.io/jetstack/charts/cert-manager", "v1.20.2")
    assert (release["namespace"], release["createNamespace"]) == ("cert-manager", True)
    assert release["values"]["crds"] == {"enabled": True}
    assert release["values"]["serviceAccount"] == {"name": "cert-manager"}
    assert recording.value == "cert-manager"


def test_every_image_of_cert_manager_can_come_from_the_clouds_own_registry(run):
    ours = {part: f"ecr.example:443/cache/{image}@sha256:{'0' * 64}" for part, image in PARTS.items()}
    values = cert_manager(run, images=ours).one(RELEASE).inputs["values"]
    found = {"controller": values["image"], **{part: values[part]["image"] for part in PARTS if part != "controller"}}
    for part, image in found.items():
        # The chart puts a colon between them.
        assert f"{image['repository']}:{image['tag']}" == ours[part]


def test_cert_manager_survives_the_loss_of_a_node_where_it_is_asked_to(run):
    values = cert_manager(run, highly_available=True).one(RELEASE).inputs["values"]
    for part in (values, values["webhook"], values["cainjector"]):
        assert (part["replicaCount"], part["podDisruptionBudget"]) == (2, {"enabled": True})
    assert "replicaCount" not in cert_manager(run).one(RELEASE).inputs["values"]


def test_an_unknown_part_of_cert_manager_is_refused():
    with pytest.raises(pulumi.InputPropertiesError, match=r"images\.server: must be one of controller"):
        CertManagerArgs(images={"server": "x"})


def test_an_authority_is_ready_before_what_it_signs(run, preview):
    recording = identity(run, preview)
    chain = [
        recording.one(ISSUER, "p-selfsigned"),
        recording.one(CERTIFICATE, "p-authority"),
        recording.one(ISSUER, "p-issuer"),
        recording.one(CERTIFICATE, "p-certificate"),
    ]
    for before, after in itertools.pairwise(chain):
        assert before.urn in after.depends_on
    assert {(row.parent, row.provider) for row in recording.children()} == {("p", "cluster")}


def test_the_authority_is_read_from_its_request_and_never_from_the_secret_with_the_key(run):
    recording = identity(run)
    assert [(read.type.rpartition(":")[2], read.id) for read in recording.reads] == [
        ("Certificate", "p-authority-id"),
        ("CertificateRequest", "serving/peer-ca-3"),
    ]
    assert {read.provider for read in recording.reads} == {"cluster"}
    assert recording.value == "-----BEGIN CERTIFICATE-----\np-request\n"
    assert not [row for row in recording.rows if row.type.endswith(":Secret")]


def test_a_preview_reads_nothing_from_a_cluster_that_is_not_there_yet(run):
    recording = identity(run, preview=True)
    assert [read.id for read in recording.reads] == [UNKNOWN, UNKNOWN]
    assert recording.value == UNKNOWN


def test_a_name_that_no_certificate_can_have_is_refused():
    with pytest.raises(pulumi.InputPropertiesError, match=r"domain: must be shorter: aws\.peer\.d"):
        PeerIdentityArgs(namespace="serving", site="aws", domain="d" * 245)


def test_a_backend_comes_after_the_authority_it_needs_and_may_name_later_addresses(run, preview):
    def build():
        address = k8s.core.v1.Secret("address")
        peers = {"gcp": Peer(authority=address.id, addresses=[address.id, "203.0.113.9"])}
        args = PeerBackendsArgs(namespace="serving", domain="serve.example.com", peers=peers)
        return PeerBackends("b", args, cluster()).names

    recording = run(build, preview=preview)
    backend, authority = recording.one(BACKEND), recording.one(CONFIG_MAP)
    assert authority.urn in backend.depends_on
    later = UNKNOWN if preview else "address-id"
    assert [each["ip"]["address"] for each in backend.inputs["spec"]["endpoints"]] == [later, "203.0.113.9"]
    assert authority.inputs["data"] == {"ca.crt": later}
    assert recording.value == ["gcp"]


def test_peers_without_an_address_are_refused():
    with pytest.raises(pulumi.InputPropertiesError, match=r"peers\.gcp\.addresses: must hold at least one"):
        PeerBackendsArgs(namespace="serving", domain="d", peers={"gcp": Peer(authority="x", addresses=[])})
    with pytest.raises(pulumi.InputPropertiesError, match="peers: must name at least one other site"):
        PeerBackendsArgs(namespace="serving", domain="d", peers={})


def certificate(run: Any, preview: bool = False, **changes: Any) -> Any:
    args = {
        "namespace": "serving", "site": "aws", "domain": "serve.example.com", "email": "a@example.com",
        "zone_id": "Z0EXAMPLE", **changes,
    }  # fmt: skip
    return run(lambda: SiteCertificate("s", SiteCertificateArgs(**args), cluster()).secret_name, preview=preview)


def test_a_sites_certificate_waits_for_its_issuer_and_for_dns_for_a_while(run, preview):
    recording = certificate(run, preview)
    issuer = recording.one("kubernetes:cert-manager.io/v1:ClusterIssuer")
    assert issuer.urn in recording.one(CERTIFICATE).depends_on
    assert "letsencrypt" in issuer.inputs["spec"]["acme"]["server"]
    assert "namespace" not in issuer.inputs["metadata"]
    assert recording.value == "serving-tls"


def test_the_role_for_the_challenge_may_be_known_later(run):
    route53 = json.dumps(certificate(run, role_arn=pulumi.Output.from_input("arn:aws:iam::1:role/r")).rows[-2].inputs)
    assert "arn:aws:iam::1:role/r" in route53


def test_bad_certificate_values_are_named_at_once():
    with pytest.raises(pulumi.InputPropertiesError) as refusal:
        SiteCertificateArgs(namespace="serving", site="aws", domain="d", email="nobody", zone_id="", server="http://x")
    for path in ("email", "zoneId", "server"):
        assert f"{path}: must match pattern" in str(refusal.value)
