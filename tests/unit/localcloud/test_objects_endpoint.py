"""Who gets which object from the clouds' endpoints, in each vendor's own words."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from localcloud import ledger
from localcloud.context import CloudContext
from localcloud.objects import identity, workloads
from localcloud.objects.content import requested_range
from localcloud.objects.metadata import metadata_application
from localcloud.objects.s3 import signature
from localcloud.objects.server import application
from localcloud.objects.tokens import InvalidToken, Signer
from localcloud.objects.workloads import NotAuthenticated, Workload
from localcloud.paths import RunPaths
from localcloud.store import Store, StoredObject

KEY = "bundles/scenes/abc.tar"
BYTES = bytes(range(256)) * 100
BUCKETS = {"aws": "b", "gcp": "b", "azure": "acct/models"}
PATHS = {"aws": f"/b/{KEY}", "gcp": "/storage/v1/b/b/o/bundles%2Fscenes%2Fabc.tar", "azure": f"/acct/models/{KEY}"}
Use = Callable[[Any], Awaitable[None]]


@pytest.fixture
def run_paths(tmp_path: Path) -> RunPaths:
    paths = RunPaths(tmp_path)
    Store(paths.database).create()
    return paths


def opened(paths: RunPaths, cloud: str) -> CloudContext:
    context = CloudContext.open(cloud, paths)
    file = paths.root / "object"
    file.write_bytes(BYTES)
    for key in (KEY, "other/x"):
        digests = hashlib.sha256(BYTES).hexdigest(), hashlib.md5(BYTES, usedforsecurity=False).hexdigest()
        stored = StoredObject(cloud, BUCKETS[cloud], key, str(file), len(BYTES), *digests, time.time())
        ledger.put_object(context.store, stored)
    ledger.put_grant(context.store, ledger.Grant(cloud, "g", "reader", BUCKETS[cloud], "bundles/"))
    return context


def signed(context: CloudContext, principal: str, method: str, path: str, query: str = "") -> dict[str, str]:
    """Return the headers of a request as an AWS client makes them, acting as `principal`."""
    signer, access_key, scope = Signer.of(context), "ASIAX", "20260101/us-east-1/s3/aws4_request"
    headers = {
        "x-amz-date": "20260101T000000Z",
        "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
        "x-amz-security-token": signer.issue(principal, access_key=access_key),
    }
    names = sorted(headers)
    found = signature(signer.secret(access_key), method, path, query, headers, names, scope)
    value = f"AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={';'.join(names)}, Signature={found}"
    return {**headers, "Authorization": value}


def credentials(context: CloudContext, principal: str, method: str, path: str, query: str = "") -> dict[str, str]:
    if context.cloud == "aws":
        return signed(context, principal, method, path, query)
    return {"Authorization": f"Bearer {Signer.of(context).issue(principal)}"}


def ask(
    context: CloudContext, method: str, path: str, headers: dict[str, str] | None = None, query: str = ""
) -> tuple[int, bytes, dict[str, str]]:
    async def run() -> tuple[int, bytes, dict[str, str]]:
        from yarl import URL

        async with TestClient(TestServer(application(context))) as client:
            url = URL(path + (f"?{query}" if query else ""), encoded=True)
            answer: ClientResponse = await client.request(method, url, headers=headers)
            return answer.status, await answer.read(), {name.lower(): value for name, value in answer.headers.items()}

    return asyncio.run(run())


@pytest.mark.parametrize("cloud", ["aws", "gcp", "azure"])
def test_a_cloud_says_that_it_is_alive(run_paths: RunPaths, cloud: str) -> None:
    assert ask(opened(run_paths, cloud), "GET", "/-/alive")[0] == 200


@pytest.mark.parametrize("cloud", ["aws", "gcp", "azure"])
def test_a_principal_with_a_grant_reads_the_object(run_paths: RunPaths, cloud: str) -> None:
    context = opened(run_paths, cloud)
    query = "alt=media" if cloud == "gcp" else ""
    status, body, _ = ask(
        context, "GET", PATHS[cloud], credentials(context, "reader", "GET", PATHS[cloud], query), query
    )
    assert (status, body) == (200, BYTES)


@pytest.mark.parametrize(
    ("cloud", "words"),
    [
        ("aws", b"<Code>AccessDenied</Code>"),
        ("gcp", b'"reason": "forbidden"'),
        ("azure", b"AuthorizationPermissionMismatch"),
    ],
)
def test_a_principal_without_a_grant_is_refused_in_the_vendors_words(
    run_paths: RunPaths, cloud: str, words: bytes
) -> None:
    context = opened(run_paths, cloud)
    status, body, _ = ask(context, "GET", PATHS[cloud], credentials(context, "stranger", "GET", PATHS[cloud]))
    assert status == 403
    assert words in body


@pytest.mark.parametrize("cloud", ["aws", "gcp", "azure"])
def test_a_grant_ends_at_its_prefix(run_paths: RunPaths, cloud: str) -> None:
    context = opened(run_paths, cloud)
    path = {"aws": "/b/other/x", "gcp": "/storage/v1/b/b/o/other%2Fx", "azure": "/acct/models/other/x"}[cloud]
    assert ask(context, "GET", path, credentials(context, "reader", "GET", path))[0] == 403


@pytest.mark.parametrize(("cloud", "words"), [("aws", b"NoSuchKey"), ("gcp", b"notFound"), ("azure", b"BlobNotFound")])
def test_a_missing_object_is_not_found_in_the_vendors_words(run_paths: RunPaths, cloud: str, words: bytes) -> None:
    context = opened(run_paths, cloud)
    path = PATHS[cloud].replace("abc.tar", "none.tar")
    status, body, _ = ask(context, "GET", path, credentials(context, "reader", "GET", path))
    assert status == 404
    assert words in body


@pytest.mark.parametrize(("cloud", "status"), [("aws", 403), ("gcp", 401), ("azure", 401)])
def test_nobody_reads_anonymously_or_with_a_made_up_token(run_paths: RunPaths, cloud: str, status: int) -> None:
    context = opened(run_paths, cloud)
    assert ask(context, "GET", PATHS[cloud])[0] == status
    assert ask(context, "GET", PATHS[cloud], {"Authorization": "Bearer eyJ4.eyJ5"})[0] == status


def test_a_signature_for_another_object_or_by_another_key_is_refused(run_paths: RunPaths) -> None:
    context = opened(run_paths, "aws")
    status, body, _ = ask(context, "GET", PATHS["aws"], signed(context, "reader", "GET", "/b/bundles/scenes/z.tar"))
    assert status == 403
    assert b"SignatureDoesNotMatch" in body
    headers = signed(context, "reader", "GET", PATHS["aws"])
    headers["Authorization"] = headers["Authorization"].replace("ASIAX", "ASIAY")
    status, body, _ = ask(context, "GET", PATHS["aws"], headers)
    assert status == 403
    assert b"InvalidAccessKeyId" in body


def test_signatures_are_those_of_amazons_own_example() -> None:
    # "GET Object" of Amazon S3's documentation, "Signature Calculations for the Authorization Header".
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    headers = {
        "host": "examplebucket.s3.amazonaws.com",
        "range": "bytes=0-9",
        "x-amz-content-sha256": empty,
        "x-amz-date": "20130524T000000Z",
    }
    found = signature(
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "GET", "/test.txt", "", headers, sorted(headers),
        "20130524/us-east-1/s3/aws4_request",
    )  # fmt: skip
    assert found == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"


@pytest.mark.parametrize("cloud", ["aws", "azure"])
def test_head_gives_size_and_digest_without_the_bytes(run_paths: RunPaths, cloud: str) -> None:
    context = opened(run_paths, cloud)
    status, body, headers = ask(context, "HEAD", PATHS[cloud], credentials(context, "reader", "HEAD", PATHS[cloud]))
    assert (status, body) == (200, b"")
    assert headers["content-length"] == str(len(BYTES))
    assert headers["etag"].strip('"')


@pytest.mark.parametrize("cloud", ["aws", "azure"])
def test_a_range_of_an_object_is_that_range(run_paths: RunPaths, cloud: str) -> None:
    context = opened(run_paths, cloud)
    headers = {**credentials(context, "reader", "GET", PATHS[cloud]), "Range": "bytes=10-19"}
    status, body, answered = ask(context, "GET", PATHS[cloud], headers)
    assert (status, body) == (206, BYTES[10:20])
    assert answered["content-range"] == f"bytes 10-19/{len(BYTES)}"
    headers["Range"] = f"bytes={len(BYTES)}-"
    assert ask(context, "GET", PATHS[cloud], headers)[0] == 416


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None), ("bytes=0-0", (0, 1)), ("bytes=5-", (5, 95)), ("bytes=-10", (90, 10)), ("bytes=90-200", (90, 10)),
        ("items=1-2", None), ("bytes=1-2,4-5", None),
    ],
)  # fmt: skip
def test_ranges_are_read_as_http_says(header: str | None, expected: tuple[int, int] | None) -> None:
    assert requested_range(header, 100) == expected


@pytest.mark.parametrize("cloud", ["aws", "gcp", "azure"])
def test_listings_show_only_what_the_principal_may_read(run_paths: RunPaths, cloud: str) -> None:
    context = opened(run_paths, cloud)
    path = {"aws": "/b", "gcp": "/storage/v1/b/b/o", "azure": "/acct/models"}[cloud]
    query = "list-type=2&prefix=" if cloud == "aws" else "comp=list&restype=container"
    status, body, _ = ask(context, "GET", path, credentials(context, "reader", "GET", path, query), query)
    assert status == 200
    assert KEY.encode() in body
    assert b"other" not in body
    assert ask(context, "GET", path, credentials(context, "stranger", "GET", path, query), query)[0] == 403


def test_tokens_end_and_belong_to_one_cloud(run_paths: RunPaths) -> None:
    signer = Signer.of(CloudContext.open("aws", run_paths))
    assert signer.claims(signer.issue("p"))["principal"] == "p"
    assert Signer.of(CloudContext.open("aws", run_paths)).claims(signer.issue("p"))["principal"] == "p"
    with pytest.raises(InvalidToken, match="expired"):
        signer.claims(signer.issue("p", life_s=-1))
    with pytest.raises(InvalidToken, match="not issued"):
        Signer.of(CloudContext.open("gcp", run_paths)).claims(signer.issue("p"))
    assert (run_paths.root / "aws" / "token.key").stat().st_mode & 0o077 == 0


@pytest.fixture
def known_workload(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the token `sa-token` be that of serving/puller of cluster c1; the real review is tested on a cluster."""

    async def workload_of(_: CloudContext, token: str, audience: str) -> Workload:
        if token != "sa-token":
            raise NotAuthenticated("unknown token")
        return Workload("c1", "serving", "puller")

    monkeypatch.setattr(identity, "workload_of", workload_of)
    assert workloads.workload_of is not workload_of


def associate(context: CloudContext, principal: str, cluster_id: str = "c1") -> None:
    found = ledger.Identity(context.cloud, "i", cluster_id, "serving", "puller", principal)
    ledger.put_identity(context.store, found)


@pytest.mark.usefixtures("known_workload")
def test_pod_identity_gives_credentials_of_the_associated_role_only(run_paths: RunPaths) -> None:
    context = opened(run_paths, "aws")
    assert ask(context, "GET", "/eks/credentials", {"Authorization": "sa-token"})[0] == 404
    associate(context, "reader", cluster_id="another")
    assert ask(context, "GET", "/eks/credentials", {"Authorization": "sa-token"})[0] == 404
    associate(context, "reader")
    assert ask(context, "GET", "/eks/credentials", {"Authorization": "forged"})[0] == 401
    status, body, _ = ask(context, "GET", "/eks/credentials", {"Authorization": "sa-token"})
    assert status == 200
    assert b"SecretAccessKey" in body


@pytest.mark.usefixtures("known_workload")
def test_entra_gives_a_token_only_for_the_federated_client(run_paths: RunPaths) -> None:
    context = opened(run_paths, "azure")
    associate(context, "client-a")

    async def post(client_id: str, assertion: str) -> tuple[int, dict[str, Any]]:
        form = {
            "grant_type": "client_credentials", "client_id": client_id, "client_assertion": assertion,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        }  # fmt: skip
        async with TestClient(TestServer(application(context))) as client:
            answer = await client.post("/tenant/oauth2/v2.0/token", data=form)
            return answer.status, await answer.json()

    status, body = asyncio.run(post("client-a", "sa-token"))
    assert status == 200
    assert Signer.of(context).claims(body["access_token"])["principal"] == "client-a"
    assert asyncio.run(post("client-b", "sa-token"))[0] == 401
    assert asyncio.run(post("client-a", "forged"))[0] == 401


def test_the_metadata_server_acts_as_the_pods_own_service_account(run_paths: RunPaths) -> None:
    context = opened(run_paths, "gcp")
    associate(context, "reader")
    cluster = context.store.add_cluster("gcp", "c1", "c1", "1.36", "us-central1", {})
    path = "/computeMetadata/v1/instance/service-accounts/default/token"

    async def token(workload: Workload, headers: dict[str, str]) -> tuple[int, str, str]:
        async with TestClient(TestServer(metadata_application(context, cluster, workload))) as client:
            answer = await client.get(path, headers=headers)
            principal = ""
            if answer.status == 200:
                principal = Signer.of(context).claims((await answer.json())["access_token"])["principal"]
            return answer.status, principal, answer.headers.get("Metadata-Flavor", "")

    flavor = {"Metadata-Flavor": "Google"}
    assert asyncio.run(token(Workload("c1", "serving", "puller"), flavor)) == (200, "reader", "Google")
    status, principal, _ = asyncio.run(token(Workload("c1", "serving", "other"), flavor))
    assert status == 200
    assert principal != "reader"
    assert asyncio.run(token(Workload("c1", "serving", "puller"), {}))[0] == 403
