"""The real rclone against the clouds' endpoints, as pods call it; only the token review is replaced."""

import asyncio
import hashlib
import os
import ssl
import time
from contextlib import AsyncExitStack

import pytest
from aiohttp import web

import toolchain
from localcloud import ledger
from localcloud.certificates import authority_file, ensure_certificate_authority, issue
from localcloud.context import CloudContext
from localcloud.nodes.edge import with_edge
from localcloud.objects import identity
from localcloud.objects.metadata import metadata_server
from localcloud.objects.server import application
from localcloud.objects.workloads import Workload
from localcloud.paths import RunPaths
from localcloud.store import Store, StoredObject

pytestmark = pytest.mark.tools
KEY = "bundles/scenes/abc.tar"
STORES = {
    "aws": ("models", {"TYPE": "s3", "PROVIDER": "AWS", "ENV_AUTH": "true", "REGION": "us-east-1"}),
    "gcp": ("models", {"TYPE": "google cloud storage", "ENV_AUTH": "true"}),
    "azure": ("acct/models", {"TYPE": "azureblob", "ENV_AUTH": "true", "ACCOUNT": "acct"}),
}
REFUSALS = {"aws": "StatusCode: 403", "gcp": "Error 403", "azure": "AuthorizationPermissionMismatch"}


async def serve(stack, context):
    """Serve the cloud's endpoint on free ports; return the addresses to put in place of the fixed ones."""
    runner = web.AppRunner(application(context))
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    certificate, key = issue(context.paths, "test", addresses=["127.0.0.1"], server=True)
    file = context.paths.root / "server.pem"
    file.write_text(certificate + key)
    secure = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    secure.load_cert_chain(file)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=secure).start()
    (_, plain), (_, encrypted) = runner.addresses
    number = {"aws": 1, "gcp": 2, "azure": 3}[context.cloud]
    return {f"127.0.{number}.250:9000": f"127.0.0.1:{plain}", f"127.0.{number}.250:9443": f"127.0.0.1:{encrypted}"}


def variables(context, ports, paths):
    """Return the environment that the node agent would give the pod, with the test's ports and paths."""
    pod = {
        "metadata": {"name": "p", "namespace": "serving", "labels": {"azure.workload.identity/use": "true"}},
        "spec": {
            "serviceAccountName": "puller",
            "containers": [
                {"env": [{"name": f"RCLONE_CONFIG_STORE_{k}", "value": v} for k, v in STORES[context.cloud][1].items()]}
            ],
        },
    }
    found = ledger.identities(context.store, context.cloud)
    changed = with_edge(pod, context.cloud, "us-east-1", "127.0.0.1", found, None)
    result = {each["name"]: each["value"] for each in changed["spec"]["containers"][0]["env"]}
    for fixed, free in ports.items():
        result = {name: value.replace(fixed, free) for name, value in result.items()}
    for name in result:
        if name.endswith("TOKEN_FILE"):
            result[name] = str(paths.root / "sa-token")
    if "SSL_CERT_FILE" in result:
        result["SSL_CERT_FILE"] = str(authority_file(paths))
    return {"PATH": os.environ["PATH"], "HOME": str(paths.root), **result}


@pytest.mark.parametrize("granted", [True, False], ids=["granted", "not-granted"])
@pytest.mark.parametrize("cloud", ["aws", "gcp", "azure"])
def test_rclone_copies_what_the_identity_may_read_and_fails_clearly_otherwise(tmp_path, monkeypatch, cloud, granted):
    paths = RunPaths(tmp_path)
    Store(paths.database).create()
    ensure_certificate_authority(paths)
    context = CloudContext.open(cloud, paths)
    bucket = STORES[cloud][0]
    content = os.urandom(6_000_000)
    (tmp_path / "object").write_bytes(content)
    (tmp_path / "sa-token").write_text("sa-token")
    digests = hashlib.sha256(content).hexdigest(), hashlib.md5(content, usedforsecurity=False).hexdigest()
    stored = StoredObject(cloud, bucket, KEY, str(tmp_path / "object"), len(content), *digests, time.time())
    ledger.put_object(context.store, stored)
    ledger.put_identity(context.store, ledger.Identity(cloud, "i", "c1", "serving", "puller", "reader"))
    if granted:
        ledger.put_grant(context.store, ledger.Grant(cloud, "g", "reader", bucket, "bundles/"))
    cluster = context.store.add_cluster(cloud, "c1", "c1", "1.36", "us-east-1", {})

    async def workload_of(_, token, __):
        assert token == "sa-token"
        return Workload("c1", "serving", "puller")

    monkeypatch.setattr(identity, "workload_of", workload_of)

    async def run():
        async with AsyncExitStack() as stack:
            ports = await serve(stack, context)
            if cloud == "gcp":
                await stack.enter_async_context(
                    metadata_server(context, cluster, "127.0.0.1", 9880, "serving", "puller")
                )
            process = await asyncio.create_subprocess_exec(
                str(toolchain.find("rclone")), "copyto", "--config", os.devnull, "--retries", "1",
                f"store:models/{KEY}", str(tmp_path / "copy"), env=variables(context, ports, paths),
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
            output, _ = await asyncio.wait_for(process.communicate(), 60)
            return process.returncode, output.decode()

    code, output = asyncio.run(run())
    if granted:
        assert code == 0, output
        assert (tmp_path / "copy").read_bytes() == content
    else:
        assert code != 0
        assert REFUSALS[cloud] in output
        assert not (tmp_path / "copy").exists()
