"""What must be true before anything of a local run is created."""

from __future__ import annotations

import shutil
import socket

import psutil

from localcloud.addresses import (
    API_SERVER_PORT,
    DNS_PORT,
    ENDPOINT_HTTP_PORT,
    ENDPOINT_HTTPS_PORT,
    RESOLVER_ADDRESS,
    RESOLVER_PORT,
    cluster_address,
    endpoint_address,
)
from localcloud.errors import LocalCloudError
from localcloud.paths import CLOUDS, RunPaths

_CONTROL_PLANE_PORTS = (API_SERVER_PORT, 2379, 2380, 10257, 10259)
"""API server, etcd for clients and peers, controller manager, scheduler."""
_NEEDED_BYTES = 3 << 30
_PROGRAMS = ("setpriv", "unshare")


def wanted_sockets() -> list[tuple[str, int, socket.SocketKind]]:
    """Return every (address, port, kind) that the first cluster of each cloud and the resolver listen on."""
    tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
    sockets = [(RESOLVER_ADDRESS, RESOLVER_PORT, tcp), (RESOLVER_ADDRESS, RESOLVER_PORT, udp)]
    for cloud in CLOUDS:
        endpoint = endpoint_address(cloud)
        sockets += [(endpoint, ENDPOINT_HTTP_PORT, tcp), (endpoint, ENDPOINT_HTTPS_PORT, tcp)]
        sockets += [(endpoint, DNS_PORT, tcp), (endpoint, DNS_PORT, udp)]
        sockets += [(cluster_address(cloud, 1), port, tcp) for port in _CONTROL_PLANE_PORTS]
    return sockets


def _owner(address: str, port: int) -> str:
    try:
        for connection in psutil.net_connections("inet"):
            local = connection.laddr
            if local and local.port == port and local.ip in (address, "0.0.0.0", "::") and connection.pid:  # noqa: S104
                return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        pass
    return "another program"


def check_ports() -> None:
    """Raise LocalCloudError naming every needed port that is in use, and by whom."""
    busy = []
    for address, port, kind in wanted_sockets():
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                protocol = "tcp" if kind == socket.SOCK_STREAM else "udp"
                busy.append(f"  {address}:{port}/{protocol}: in use by {_owner(address, port)}")
    if busy:
        raise LocalCloudError(
            "these ports must be free for the local clouds; end what uses them, or `make down` in the other checkout:\n"
            + "\n".join(busy)
        )


def check_programs() -> None:
    """Raise LocalCloudError naming every program of the system that is missing."""
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        raise LocalCloudError(f"not on PATH: {', '.join(missing)}; install the package util-linux")


def check_disk(paths: RunPaths) -> None:
    """Raise LocalCloudError when the run's file system has too little free space."""
    existing = next(each for each in (paths.root, *paths.root.parents) if each.exists())
    free = shutil.disk_usage(existing).free
    if free < _NEEDED_BYTES:
        raise LocalCloudError(
            f"{existing}: {free / 2**30:.1f} GiB are free, a local run needs {_NEEDED_BYTES / 2**30:.0f} GiB; "
            "free some, or set TRICORN_LOCAL to a directory elsewhere"
        )
