"""The clouds' credential programs that kubeconfigs name: `python -m localcloud.providers.credentials PROGRAM ...`.

They find the cluster in the local run's state and print its administrator's token as an ExecCredential.
"""

from __future__ import annotations

import datetime
import json
import os
import sys

from localcloud.clusters.access import admin_token
from localcloud.paths import RunPaths
from localcloud.store import Cluster, Store

_API_VERSION = "client.authentication.k8s.io/v1beta1"
_LIFETIME = datetime.timedelta(minutes=14)
_KNOWN = {
    "aws": "aws eks get-token --cluster-name NAME --region REGION",
    "gke-gcloud-auth-plugin": "gke-gcloud-auth-plugin without arguments",
    "kubelogin": "kubelogin get-token [options]",
}
_CLOUDS = {"aws": "aws", "gke-gcloud-auth-plugin": "gcp", "kubelogin": "azure"}


class Refused(Exception):
    """No token; `code` is the exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def _exec_info() -> dict[str, object]:
    try:
        found = json.loads(os.environ.get("KUBERNETES_EXEC_INFO") or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _server() -> str:
    spec = _exec_info().get("spec")
    cluster = spec.get("cluster") if isinstance(spec, dict) else None
    return str(cluster.get("server", "")) if isinstance(cluster, dict) else ""


def _aws_options(arguments: list[str]) -> tuple[str, str]:
    options = dict(zip(arguments[2::2], arguments[3::2], strict=False))
    known = {"--cluster-name", "--region", "--output"}
    whole = len(arguments) % 2 == 0 and options.keys() <= known and "--cluster-name" in options
    if arguments[:2] != ["eks", "get-token"] or not whole:
        raise Refused(_unknown("aws", arguments), 2)
    return options["--cluster-name"], options.get("--region", "")


def _unknown(program: str, arguments: list[str]) -> str:
    asked = " ".join([program, *arguments])
    return f"{program}: this is the local clouds' stand-in and knows only `{_KNOWN[program]}`, not `{asked}`"


def _wanted(program: str, arguments: list[str]) -> tuple[str, str, str]:
    """Return cluster name, region and server of a command; what it leaves open is empty.

    Raises:
        Refused: If the command is not known or names no cluster.
    """
    if program == "aws":
        return (*_aws_options(arguments), "")
    if arguments[:1] != (["get-token"] if program == "kubelogin" else []):
        raise Refused(_unknown(program, arguments), 2)
    server = _server()
    if not server:
        raise Refused(f"{program}: KUBERNETES_EXEC_INFO names no cluster; set provideClusterInfo in the kubeconfig")
    return "", "", server.rstrip("/")


def credential(paths: RunPaths, program: str, arguments: list[str]) -> str:
    """Return the ExecCredential (JSON) for a command.

    Raises:
        Refused: If there is none.
    """
    if program not in _KNOWN:
        raise Refused(f"usage: python -m localcloud.providers.credentials {'|'.join(_KNOWN)} ...", 2)
    name, region, server = _wanted(program, arguments)
    if not paths.database.is_file():
        raise Refused(f"{program}: there is no local run in {paths.root}; `make up` starts one")
    for cluster in Store(paths.database).clusters(_CLOUDS[program]):
        named = name in ("", cluster.name) and region in ("", cluster.region)
        if named and server in ("", cluster.endpoint.rstrip("/")):
            return _credential(paths, program, cluster)
    which = f"{name!r} in region {region!r}" if name else f"with the server {server}"
    raise Refused(f"{program}: the local run has no {_CLOUDS[program]} cluster {which}")


def _credential(paths: RunPaths, program: str, cluster: Cluster) -> str:
    try:
        token = admin_token(paths, cluster.cloud, cluster.id)
    except OSError:
        raise Refused(f"{program}: cluster {cluster.name!r} is {cluster.status} and has no token yet") from None
    expires = datetime.datetime.now(datetime.UTC) + _LIFETIME
    status = {"token": token.strip(), "expirationTimestamp": expires.strftime("%Y-%m-%dT%H:%M:%SZ")}
    version = _exec_info().get("apiVersion") or _API_VERSION
    return json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status})


def main(arguments: list[str]) -> int:
    """Print the credential, or one line on stderr."""
    try:
        print(credential(RunPaths.current(), (arguments or [""])[0], arguments[1:]))
    except Refused as error:
        print(error, file=sys.stderr)
        return error.code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
