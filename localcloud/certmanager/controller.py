"""cert-manager's part in the simulated clouds: issuing the certificates that the objects of a cluster ask for.

Issuers are reported ready or not, CertificateRequests are signed, and a Certificate gets a key, a CertificateRequest
named `<certificate>-<revision>` and a Secret; it is issued again when its specification changes, its Secret is gone or
its time comes. Private keys are kept in the Secret alone.
"""

from __future__ import annotations

import asyncio
import base64
import datetime
import logging
from typing import Any

from localcloud.certificates import authority_file
from localcloud.certmanager import issuers, signing, specs
from localcloud.certmanager.status import condition, differs, is_true, merged, timestamp
from localcloud.clusters.following import follow_clusters
from localcloud.context import CloudContext
from localcloud.dns import zones
from localcloud.nodes.api import UNREACHABLE, ApiError, Informer, KubeApi
from localcloud.nodes.events import Events
from localcloud.store import Cluster

_LOG = logging.getLogger(__name__)
Object = dict[str, Any]
_API = "/apis/cert-manager.io/v1"
_APPLY = "application/apply-patch+yaml"
_MANAGER = "cert-manager"
_PLURALS = {
    "Issuer": "issuers",
    "ClusterIssuer": "clusterissuers",
    "Certificate": "certificates",
    "CertificateRequest": "certificaterequests",
}
_LOOK_S = 1.0
_ROUND_S = 5.0
_SETTLE_S = 0.05
_RETRY_AFTER_S = 60.0
_KEPT_REQUESTS = 1


class CertificateController:
    """Runs one `ClusterCertificates` for every active cluster of the cloud."""

    def __init__(self, context: CloudContext) -> None:
        self._context = context

    async def run(self) -> None:
        """Follow the store's clusters until cancelled."""
        await follow_clusters(self._context, "certificates", self._serve)

    async def _serve(self, cluster: Cluster, api: KubeApi) -> None:
        await ClusterCertificates(self._context, api).run()


class ClusterCertificates:
    """The issuers and certificates of one cluster."""

    def __init__(self, context: CloudContext, api: KubeApi) -> None:
        self._context = context
        self._api = api
        self._events = Events(api, "localcloud-cert-manager")
        self._wake = asyncio.Event()
        self._keys: dict[str, signing.PrivateKey] = {}
        self._informers = {kind: Informer(api, f"{_API}/{plural}", self._changed) for kind, plural in _PLURALS.items()}
        self._secrets = Informer(api, "/api/v1/secrets", self._changed)
        self._around = issuers.Surroundings(self._secret, self._authority, self._answers_for)

    async def run(self) -> None:
        """Wait until cert-manager's kinds are there, then work until cancelled."""
        while not await self._installed():
            await asyncio.sleep(_LOOK_S)
        async with asyncio.TaskGroup() as group:
            for informer in (*self._informers.values(), self._secrets):
                group.create_task(informer.run())
            group.create_task(self._work())

    async def _installed(self) -> bool:
        try:
            return await self._api.find(f"{_API}/certificates") is not None
        except (*UNREACHABLE, ApiError):
            return False

    def _changed(self, found: Object, gone: bool) -> None:
        self._wake.set()

    async def _work(self) -> None:
        for informer in (*self._informers.values(), self._secrets):
            await informer.listed.wait()
        while True:
            self._wake.clear()
            for kind, reconcile in (
                ("ClusterIssuer", self._issuer),
                ("Issuer", self._issuer),
                ("CertificateRequest", self._request),
                ("Certificate", self._certificate),
            ):
                for found in list(self._informers[kind].objects.values()):
                    try:
                        await reconcile({"kind": kind, **found})
                    except (*UNREACHABLE, ApiError) as error:
                        _LOG.info("%s %s: %s", kind, found["metadata"]["name"], error)
            try:
                # A renewal is due without any change in the cluster.
                await asyncio.wait_for(self._wake.wait(), _ROUND_S)
                await asyncio.sleep(_SETTLE_S)
            except TimeoutError:
                pass

    async def _issuer(self, issuer: Object) -> None:
        found = issuers.state(issuer, self._around)
        fields: Object = {}
        if "acme" in issuer["spec"] and found.ready:
            await self._ensure_account(issuer)
            server = str(issuer["spec"]["acme"].get("server", ""))
            fields["acme"] = {"uri": f"{server.rstrip('/')}/acct/1"}
        status = merged(issuer, [condition(issuer, "Ready", found.ready, found.reason, found.message)], **fields)
        await self._report(issuer, status)

    async def _ensure_account(self, issuer: Object) -> None:
        """Keep the key of an ACME account in the Secret that the issuer names, as cert-manager does."""
        name = (issuer["spec"]["acme"].get("privateKeySecretRef") or {}).get("name")
        namespace = issuers.namespace_of(issuer)
        if name and self._secret(namespace, name) is None:
            key = signing.key_text(signing.new_key({}), "PKCS1")
            await self._apply_secret(namespace, name, "Opaque", {"tls.key": key}, {}, {})

    async def _request(self, request: Object) -> None:
        if is_true(request, "Ready") or (request.get("status") or {}).get("failureTime"):
            return
        approved = condition(request, "Approved", True, "cert-manager.io", "Certificate request has been approved")
        asked = request["spec"]
        group, kind, name = specs.issuer_of(asked)
        if group != "cert-manager.io":
            return  # another controller's
        try:
            issuer = self._find(kind, request["metadata"]["namespace"] if kind == "Issuer" else "", name)
            if issuer is None:
                raise issuers.NotIssued(f'Referenced "{kind}" not found: {name}')
            issued = issuers.issue(issuer, asked, self._request_key(request), self._around)
        except issuers.NotIssued as error:
            reason = "Failed" if error.final else "Pending"
            fields = {"failureTime": timestamp(_now())} if error.final else {}
            ready = condition(request, "Ready", False, reason, str(error))
            await self._report(request, merged(request, [approved, ready], **fields))
            return
        ready = condition(request, "Ready", True, "Issued", "Certificate fetched from issuer successfully")
        answer = {"certificate": signing.encode(issued.certificate)}
        if issued.authority:
            answer["ca"] = signing.encode(issued.authority)
        await self._report(request, merged(request, [approved, ready], **answer))

    def _request_key(self, request: Object) -> signing.PrivateKey | None:
        """Return the private key of a request that is to sign itself."""
        metadata = request["metadata"]
        if metadata["uid"] in self._keys:
            return self._keys[metadata["uid"]]
        named = (metadata.get("annotations") or {}).get("cert-manager.io/private-key-secret-name", "")
        data = self._secret(metadata["namespace"], named) or {}
        try:
            return signing.load_key(data["tls.key"]) if "tls.key" in data else None
        except signing.SigningError:
            return None

    async def _certificate(self, certificate: Object) -> None:
        metadata, spec = certificate["metadata"], certificate["spec"]
        if bad := specs.problems(spec):
            ready = condition(certificate, "Ready", False, "InvalidSpec", "; ".join(bad))
            await self._report(certificate, merged(certificate, [ready]))
            return
        status = certificate.get("status") or {}
        revision = int(status.get("revision") or 0)
        data = self._secret(metadata["namespace"], spec["secretName"])
        reason, message = self._why_issue(certificate, revision, data)
        if not reason:
            chain, _ = signing.load_pair((data or {})["tls.crt"], (data or {})["tls.key"])
            await self._settle(certificate, chain[0].not_valid_before_utc, chain[0].not_valid_after_utc)
            return
        if reason == "Renewing":
            ready = condition(certificate, "Ready", True, "Ready", _UP_TO_DATE)
        else:
            ready = condition(certificate, "Ready", False, reason, message)
        pending = await self._issue(certificate, revision + 1, data)
        if pending:
            issuing = condition(certificate, "Issuing", True, reason, f"{message}; {pending}")
            await self._report(certificate, merged(certificate, [ready, issuing]))

    def _why_issue(self, certificate: Object, revision: int, data: dict[str, str] | None) -> tuple[str, str]:
        """Return why a certificate must be issued, as reason and message; both are empty when it need not be."""
        spec = certificate["spec"]
        if data is None:
            return "DoesNotExist", "Issuing certificate as Secret does not exist"
        if not data.get("tls.crt") or not data.get("tls.key"):
            return "MissingData", "Issuing certificate as Secret does not contain a certificate and a private key"
        try:
            chain, key = signing.load_pair(data["tls.crt"], data["tls.key"])
        except signing.SigningError as error:
            return "InvalidKeyPair", f"Issuing certificate as Secret contains an invalid key-pair: {error}"
        notes = self._annotations(certificate["metadata"]["namespace"], spec["secretName"])
        made_by = tuple(notes.get(f"cert-manager.io/issuer-{each}", "") for each in ("group", "kind", "name"))
        if not signing.fits(key, spec.get("privateKey") or {}):
            return "SecretMismatch", "Existing private key is not up to date for spec: [spec.privateKey]"
        if signing.Names.of(chain[0]) != signing.Names.wanted(spec):
            return "SecretMismatch", "Issuing certificate as Existing issued Secret is not up to date for spec: [names]"
        if made_by != specs.issuer_of(spec):
            return "IncorrectIssuer", "Issuing certificate as Secret was previously issued by " + "/".join(made_by)
        name = specs.request_name(certificate["metadata"]["name"], revision)
        made = self._find("CertificateRequest", certificate["metadata"]["namespace"], name)
        if made is not None and not specs.same_request(certificate, made):
            return "RequestChanged", "Fields on existing CertificateRequest resource not up to date"
        begins, ends = chain[0].not_valid_before_utc, chain[0].not_valid_after_utc
        if ends <= _now():
            return "Expired", "Certificate expired on " + timestamp(ends)
        if specs.renewal_time(spec, begins, ends) <= _now():
            return "Renewing", f"Renewing certificate as renewal was scheduled at {timestamp(_now())}"
        return "", ""

    async def _issue(self, certificate: Object, revision: int, data: dict[str, str] | None) -> str:
        """Go one step towards a new revision; return what it waits for, empty when it is there."""
        metadata, spec = certificate["metadata"], certificate["spec"]
        namespace, name = metadata["namespace"], specs.request_name(metadata["name"], revision)
        request = self._find("CertificateRequest", namespace, name)
        path = f"{_API}/namespaces/{namespace}/certificaterequests"
        if request is not None and not self._usable(certificate, request):
            # Its key is lost with an earlier process, it failed long ago, or it asks for what is no longer wanted.
            await self._api.delete(f"{path}/{name}", uid=request["metadata"]["uid"])
            return f"CertificateRequest {name} is replaced"
        if request is None:
            key = self._next_key(spec, data)
            body = specs.request_of(certificate, revision, signing.signing_request(spec, key))
            made = await self._api.post(path, body)
            self._keys[made["metadata"]["uid"]] = key
            return f"CertificateRequest {name} is being signed"
        if not is_true(request, "Ready"):
            found = (request.get("status") or {}).get("conditions") or []
            return next((each["message"] for each in found if each["type"] == "Ready"), f"waiting for {name}")
        key = self._keys[request["metadata"]["uid"]]
        await self._store(certificate, request, key)
        chain = signing.load_certificates(_decoded(request["status"]["certificate"]))
        await self._settle(certificate, chain[0].not_valid_before_utc, chain[0].not_valid_after_utc, revision)
        del self._keys[request["metadata"]["uid"]]
        await self._forget_requests(certificate, revision)
        return ""

    def _usable(self, certificate: Object, request: Object) -> bool:
        if request["metadata"]["uid"] not in self._keys or not specs.same_request(certificate, request):
            return False
        failed = (request.get("status") or {}).get("failureTime")
        if not failed:
            return True
        since = datetime.datetime.fromisoformat(failed)
        return (_now() - since).total_seconds() < _RETRY_AFTER_S

    def _next_key(self, spec: Object, data: dict[str, str] | None) -> signing.PrivateKey:
        wanted = spec.get("privateKey") or {}
        if wanted.get("rotationPolicy") == "Never" and data and data.get("tls.key"):
            key = signing.load_key(data["tls.key"])
            if signing.fits(key, wanted):
                return key
        return signing.new_key(wanted)

    async def _store(self, certificate: Object, request: Object, key: signing.PrivateKey) -> None:
        metadata, spec = certificate["metadata"], certificate["spec"]
        names = signing.Names.wanted(spec)
        group, kind, issuer = specs.issuer_of(spec)
        template = spec.get("secretTemplate") or {}
        annotations = {
            **(template.get("annotations") or {}),
            "cert-manager.io/certificate-name": metadata["name"],
            "cert-manager.io/common-name": names.common_name,
            "cert-manager.io/alt-names": ",".join(names.dns),
            "cert-manager.io/ip-sans": ",".join(names.addresses),
            "cert-manager.io/uri-sans": ",".join(names.uris),
            "cert-manager.io/issuer-name": issuer,
            "cert-manager.io/issuer-kind": kind,
            "cert-manager.io/issuer-group": group,
        }
        labels = {**(template.get("labels") or {}), "controller.cert-manager.io/fao": "true"}
        answer = request["status"]
        content = {
            "tls.crt": _decoded(answer["certificate"]),
            "tls.key": signing.key_text(key, (spec.get("privateKey") or {}).get("encoding") or "PKCS1"),
            **({"ca.crt": _decoded(answer["ca"])} if answer.get("ca") else {}),
        }
        await self._apply_secret(
            metadata["namespace"], spec["secretName"], "kubernetes.io/tls", content, labels, annotations
        )
        self._events.record(certificate, "Issuing", "The certificate has been successfully issued")

    async def _settle(
        self, certificate: Object, begins: datetime.datetime, ends: datetime.datetime, revision: int | None = None
    ) -> None:
        """Report a certificate that is in order."""
        ready = condition(certificate, "Ready", True, "Ready", _UP_TO_DATE)
        status = merged(
            certificate, [ready], notBefore=timestamp(begins), notAfter=timestamp(ends),
            renewalTime=timestamp(specs.renewal_time(certificate["spec"], begins, ends)),
            **({"revision": revision} if revision else {}),
        )  # fmt: skip
        status["conditions"] = [each for each in status["conditions"] if each["type"] != "Issuing"]
        await self._report(certificate, status)

    async def _forget_requests(self, certificate: Object, revision: int) -> None:
        """Delete the CertificateRequests beyond the history limit, of which cert-manager keeps one by default."""
        kept = int(certificate["spec"].get("revisionHistoryLimit") or _KEPT_REQUESTS)
        for request in list(self._informers["CertificateRequest"].objects.values()):
            metadata = request["metadata"]
            owners = [each["uid"] for each in metadata.get("ownerReferences") or []]
            number = int((metadata.get("annotations") or {}).get("cert-manager.io/certificate-revision") or 0)
            if certificate["metadata"]["uid"] in owners and number <= revision - kept:
                path = f"{_API}/namespaces/{metadata['namespace']}/certificaterequests/{metadata['name']}"
                await self._api.delete(path, uid=metadata["uid"])

    async def _apply_secret(
        self, namespace: str, name: str, kind: str, content: dict[str, str], labels: Object, annotations: Object
    ) -> None:
        body = {
            "apiVersion": "v1", "kind": "Secret", "type": kind,
            "metadata": {"name": name, "namespace": namespace, "labels": labels, "annotations": annotations},
            "data": {key: signing.encode(value) for key, value in content.items()},
        }  # fmt: skip
        path = f"/api/v1/namespaces/{namespace}/secrets/{name}?fieldManager={_MANAGER}&force=true"
        await self._api.patch(path, body, _APPLY)

    async def _report(self, found: Object, status: Object) -> None:
        if not differs(found, status):
            return
        metadata = found["metadata"]
        scope = f"/namespaces/{metadata['namespace']}" if metadata.get("namespace") else ""
        path = f"{_API}{scope}/{_PLURALS[found['kind']]}/{metadata['name']}/status"
        changed = await self._api.patch(path, {"metadata": {"uid": metadata["uid"]}, "status": status})
        self._informers[found["kind"]].objects[metadata["uid"]] = changed
        self._wake.set()

    def _find(self, kind: str, namespace: str, name: str) -> Object | None:
        for each in self._informers[kind].objects.values() if kind in self._informers else ():
            if (each["metadata"].get("namespace", ""), each["metadata"]["name"]) == (namespace, name):
                return {"kind": kind, **each}
        return None

    def _secret(self, namespace: str, name: str) -> dict[str, str] | None:
        found = self._secret_object(namespace, name)
        return None if found is None else {key: _decoded(value) for key, value in (found.get("data") or {}).items()}

    def _annotations(self, namespace: str, secret: str) -> dict[str, str]:
        found = self._secret_object(namespace, secret) or {"metadata": {}}
        return dict(found["metadata"].get("annotations") or {})

    def _secret_object(self, namespace: str, name: str) -> Object | None:
        for each in self._secrets.objects.values():
            if (each["metadata"]["namespace"], each["metadata"]["name"]) == (namespace, name):
                return each
        return None

    def _authority(self) -> signing.Signer:
        file = authority_file(self._context.paths)
        return signing.load_signer(file.read_text(), file.with_name("ca.key").read_text())

    def _answers_for(self, kind: str, name: str) -> bool:
        read = {"route53": zones.route53, "cloudDNS": zones.cloud_dns}.get(kind)
        return read is not None and read(self._context.store).covers(f"{name}.")


_UP_TO_DATE = "Certificate is up to date and has not expired"


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _decoded(value: str) -> str:
    return base64.b64decode(value).decode(errors="replace")
