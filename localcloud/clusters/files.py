"""The files of one control plane: certificates, keys, tokens and kubeconfigs, made once and kept."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from localcloud.addresses import API_SERVER_PORT, cluster_address, service_network
from localcloud.certificates import authority_file, issue, write_private
from localcloud.clusters.access import admin_kubeconfig_file, admin_token_file, directory
from localcloud.paths import RunPaths
from localcloud.store import Cluster

_ADMIN, _SCHEDULER, _CONTROLLER_MANAGER = "admin", "system:kube-scheduler", "system:kube-controller-manager"
_MASTERS = "system:masters"


@dataclass(frozen=True)
class ControlPlaneFiles:
    """Where the files of one control plane are; every secret one has mode 0600."""

    root: Path
    authority: Path
    admin_token: Path
    admin_kubeconfig: Path

    @classmethod
    def of(cls, paths: RunPaths, cluster: Cluster) -> ControlPlaneFiles:
        """Return the places for a cluster, whether or not anything is there yet."""
        where = (paths, cluster.cloud, cluster.id)
        return cls(directory(*where), authority_file(paths), admin_token_file(*where), admin_kubeconfig_file(*where))

    @property
    def data(self) -> Path:
        """Directory of etcd's data."""
        return self.root / "etcd"

    @property
    def certificate(self) -> Path:
        """Certificate that all servers of the control plane show."""
        return self.root / "server.crt"

    @property
    def key(self) -> Path:
        """Private key of `certificate`."""
        return self.root / "server.key"

    @property
    def etcd_certificate(self) -> Path:
        """Certificate that the API server shows to etcd."""
        return self.root / "etcd-client.crt"

    @property
    def etcd_key(self) -> Path:
        """Private key of `etcd_certificate`."""
        return self.root / "etcd-client.key"

    @property
    def service_account_key(self) -> Path:
        """Private key that signs the tokens of service accounts."""
        return self.root / "service-account.key"

    @property
    def tokens(self) -> Path:
        """The API server's table of static tokens."""
        return self.root / "tokens.csv"

    @property
    def scheduler(self) -> Path:
        """Kubeconfig of kube-scheduler."""
        return self.root / "scheduler.kubeconfig"

    @property
    def controller_manager(self) -> Path:
        """Kubeconfig of kube-controller-manager."""
        return self.root / "controller-manager.kubeconfig"


def address(cluster: Cluster) -> str:
    """Return the loopback address of a cluster's control plane."""
    return cluster_address(cluster.cloud, cluster.number)


def endpoint(cluster: Cluster) -> str:
    """Return the URL of a cluster's API server."""
    return f"https://{address(cluster)}:{API_SERVER_PORT}"


def etcd_client_name(cluster: Cluster) -> str:
    """Return the DNS name in the certificate of the only client that the cluster's etcd admits."""
    return f"etcd-client-{cluster.number}.{cluster.cloud}.tricorn.test"


def prepare(paths: RunPaths, cluster: Cluster) -> ControlPlaneFiles:
    """Make what is missing of a control plane's files and return where they are."""
    files = ControlPlaneFiles.of(paths, cluster)
    files.root.mkdir(parents=True, exist_ok=True)
    files.root.chmod(0o700)
    files.data.mkdir(mode=0o700, exist_ok=True)
    if not files.key.exists():
        _make_server_certificate(paths, cluster, files)
    if not files.etcd_key.exists():
        name = etcd_client_name(cluster)
        certificate, key = issue(paths, name, names=(name,), server=False)
        write_private(files.etcd_certificate, certificate)
        write_private(files.etcd_key, key)
    if not files.service_account_key.exists():
        write_private(files.service_account_key, _signing_key())
    if not files.tokens.exists():
        _make_tokens(cluster, files)
    return files


def _make_server_certificate(paths: RunPaths, cluster: Cluster, files: ControlPlaneFiles) -> None:
    in_cluster = str(service_network(cluster.cloud, cluster.number)[1])
    names = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
    certificate, key = issue(
        paths,
        f"control plane of {cluster.name}"[:64],
        addresses=(address(cluster), in_cluster),
        names=names,
        server=True,
    )
    write_private(files.certificate, certificate)
    write_private(files.key, key)


def _signing_key() -> str:
    # RSA, because that is what the clouds' issuers sign with and every verifier of such tokens knows.
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()


def _make_tokens(cluster: Cluster, files: ControlPlaneFiles) -> None:
    tokens = {user: secrets.token_urlsafe(32) for user in (_ADMIN, _SCHEDULER, _CONTROLLER_MANAGER)}
    write_private(files.admin_token, tokens[_ADMIN])
    write_private(files.admin_kubeconfig, _kubeconfig(cluster, files, tokens[_ADMIN]))
    write_private(files.scheduler, _kubeconfig(cluster, files, tokens[_SCHEDULER]))
    write_private(files.controller_manager, _kubeconfig(cluster, files, tokens[_CONTROLLER_MANAGER]))
    rows = [f"{tokens[user]},{user},{user}" for user in (_SCHEDULER, _CONTROLLER_MANAGER)]
    rows.append(f'{tokens[_ADMIN]},{_ADMIN},{_ADMIN},"{_MASTERS}"')
    # Last, because its presence says that all of the above are there.
    write_private(files.tokens, "\n".join(rows) + "\n")


def _kubeconfig(cluster: Cluster, files: ControlPlaneFiles, token: str) -> str:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": cluster.name,
                "cluster": {"server": endpoint(cluster), "certificate-authority": str(files.authority)},
            }
        ],
        "users": [{"name": "user", "user": {"token": token}}],
        "contexts": [{"name": cluster.name, "context": {"cluster": cluster.name, "user": "user"}}],
        "current-context": cluster.name,
    }
    return json.dumps(document, indent=1)
