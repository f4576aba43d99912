"""Reading a kubeconfig and getting credentials from it, as kubectl does."""

from __future__ import annotations

import base64
import binascii
import datetime
import ipaddress
import json
import os
import subprocess
import threading
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from localcloud.certificates import authority_file
from localcloud.paths import RunPaths

_PLUGIN_TIMEOUT_S = 60
_RENEW_BEFORE_EXPIRY_S = 30
_EXEC_INFO = "KUBERNETES_EXEC_INFO"


class KubeconfigError(ValueError):
    """The kubeconfig cannot be used; the text names the entry and the rule."""


@dataclass(frozen=True)
class Access:
    """How to reach one cluster: `server` URL, `ca` PEM text, and the kubeconfig's user entry."""

    server: str
    ca: str
    namespace: str
    user: dict[str, Any]
    cluster: dict[str, Any]


def load(kubeconfig: str, context: str | None = None, cluster: str | None = None) -> Access:
    """Return the access that a kubeconfig describes.

    Args:
        kubeconfig: YAML or JSON text, or the path of a file with it.
        context: Name of the context, by default the current one.
        cluster: Name of the cluster entry to use in place of the context's.

    Raises:
        KubeconfigError: If an entry is missing or the server is not on this machine.
    """
    document = _document(kubeconfig)
    name = context or document.get("current-context") or ""
    chosen = _entry(document, "contexts", "context", name)
    cluster_entry = _entry(document, "clusters", "cluster", cluster or chosen.get("cluster", ""))
    user = _entry(document, "users", "user", chosen.get("user", ""))
    server = cluster_entry.get("server", "")
    _require_local(server)
    return Access(
        server.rstrip("/"), _authority(cluster_entry), chosen.get("namespace") or "default", user, cluster_entry
    )


def _document(kubeconfig: str) -> dict[str, Any]:
    text = kubeconfig
    if "\n" not in kubeconfig and not kubeconfig.lstrip().startswith("{"):
        path = Path(kubeconfig).expanduser()
        try:
            text = path.read_text()
        except OSError as error:
            raise KubeconfigError(f"kubeconfig: cannot read {path}: {error.strerror}") from None
    try:
        document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - a safe loader
    except yaml.YAMLError:
        raise KubeconfigError("kubeconfig: is neither YAML nor JSON") from None
    if not isinstance(document, dict):
        raise KubeconfigError("kubeconfig: must be an object with clusters, users and contexts")
    return document


def _entry(document: dict[str, Any], section: str, key: str, name: str) -> dict[str, Any]:
    for entry in document.get(section) or []:
        if entry.get("name") == name:
            return dict(entry.get(key) or {})
    raise KubeconfigError(f"kubeconfig: {section} has no entry named {name!r}")


def _authority(cluster: dict[str, Any]) -> str:
    if data := cluster.get("certificate-authority-data"):
        try:
            return base64.b64decode(data, validate=True).decode()
        except (binascii.Error, ValueError):
            raise KubeconfigError("kubeconfig: certificate-authority-data is not base64 of a PEM certificate") from None
    if path := cluster.get("certificate-authority"):
        return Path(path).read_text()
    try:
        # What every client on the internet trusts already has the run's own authority as its counterpart here.
        return authority_file(RunPaths.current()).read_text()
    except OSError:
        raise KubeconfigError(
            "kubeconfig: the cluster entry needs certificate-authority-data: no local run is there to trust"
        ) from None


def _require_local(server: str) -> None:
    url = urllib.parse.urlsplit(server)
    try:
        local = url.scheme == "https" and ipaddress.ip_address(url.hostname or "").is_loopback
    except ValueError:
        local = False
    if not local:
        raise KubeconfigError(
            f"kubeconfig: server {server!r} is not https on a 127.x address; "
            "this provider only speaks to the clusters of a local run"
        )


class Credentials:
    """The bearer token of a kubeconfig user; one from an exec plugin is kept until it expires."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._lock = threading.Lock()
        self._token = ""
        self._renew_at = 0.0

    def token(self, *, renew: bool = False) -> str:
        """Return a valid token; `renew` asks the plugin even when the kept one should be valid.

        Raises:
            KubeconfigError: If the user entry has no usable credentials or its plugin fails.
        """
        user = self._access.user
        if "token" in user:
            return str(user["token"])
        if "exec" not in user:
            raise KubeconfigError("kubeconfig: the user entry needs `exec` or `token`")
        with self._lock:
            if renew or not self._token or time.time() >= self._renew_at:
                self._token, self._renew_at = self._ask(user["exec"])
            return self._token

    def _ask(self, plugin: dict[str, Any]) -> tuple[str, float]:
        version = plugin.get("apiVersion", "client.authentication.k8s.io/v1")
        spec: dict[str, Any] = {"interactive": False}
        if plugin.get("provideClusterInfo"):
            spec["cluster"] = {k: v for k, v in self._access.cluster.items() if k != "extensions"}
        environment = dict(os.environ)
        environment.update({item["name"]: item["value"] for item in plugin.get("env") or []})
        environment[_EXEC_INFO] = json.dumps({"kind": "ExecCredential", "apiVersion": version, "spec": spec})
        command = str(plugin.get("command", ""))
        try:
            done = subprocess.run(
                [command, *map(str, plugin.get("args") or [])],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_PLUGIN_TIMEOUT_S,
                check=False,
            )
        except FileNotFoundError:
            hint = plugin.get("installHint") or "install it or put it on PATH"
            raise KubeconfigError(f"kubeconfig: credential plugin {command!r} is not on PATH; {hint}") from None
        except subprocess.TimeoutExpired:
            raise KubeconfigError(f"kubeconfig: {command!r} gave no credential in {_PLUGIN_TIMEOUT_S} s") from None
        if done.returncode != 0:
            reason = done.stderr.strip().splitlines()[-1:] or ["no message"]
            raise KubeconfigError(f"kubeconfig: credential plugin {command!r} failed ({done.returncode}): {reason[0]}")
        return self._parse(command, version, done.stdout)

    @staticmethod
    def _parse(command: str, version: str, output: str) -> tuple[str, float]:
        try:
            credential = json.loads(output)
            status = credential["status"]
            token = str(status["token"])
        except (ValueError, KeyError, TypeError):
            raise KubeconfigError(f"kubeconfig: {command!r} printed no ExecCredential with a token") from None
        if credential.get("apiVersion") != version:
            raise KubeconfigError(
                f"kubeconfig: {command!r} answered with apiVersion {credential.get('apiVersion')!r}, "
                f"the user entry asks for {version!r}"
            )
        expiry = status.get("expirationTimestamp")
        if not expiry:
            return token, float("inf")
        moment = datetime.datetime.fromisoformat(str(expiry).replace("Z", "+00:00"))
        return token, moment.timestamp() - _RENEW_BEFORE_EXPIRY_S
