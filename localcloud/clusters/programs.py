"""How the programs of a control plane are started."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from localcloud.addresses import API_SERVER_PORT, pod_network, service_network
from localcloud.clusters.files import ControlPlaneFiles, address, endpoint, etcd_client_name
from localcloud.store import Cluster

ETCD_PORT, ETCD_PEER_PORT = 2379, 2380
SCHEDULER_PORT, CONTROLLER_MANAGER_PORT = 10259, 10257
# Nodes report every few seconds; a machine that is busy exporting a model must not lose its nodes.
_NODE_GRACE = "40s"
# All that an object of the stack needs; left out are volumes, bootstrap tokens, kubelet certificates, node networks.
_CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "cronjob-controller",
    "daemonset-controller",
    "deployment-controller",
    "disruption-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "horizontal-pod-autoscaler-controller",
    "job-controller",
    "namespace-controller",
    "node-lifecycle-controller",
    "persistentvolume-protection-controller",
    "persistentvolumeclaim-protection-controller",
    "pod-garbage-collector-controller",
    "replicaset-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "statefulset-controller",
    "taint-eviction-controller",
    "ttl-after-finished-controller",
)


@dataclass(frozen=True)
class Program:
    """One program of a control plane; `health` is the URL that answers 200 once it works."""

    name: str
    arguments: tuple[str, ...]
    health: str
    environment: Mapping[str, str]


def programs(cluster: Cluster, files: ControlPlaneFiles) -> list[Program]:
    """Return the programs of a cluster in the order in which they are started."""
    return [
        _etcd(cluster, files),
        _api_server(cluster, files),
        _scheduler(cluster, files),
        _controller_manager(cluster, files),
    ]


def _flags(values: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"--{name}={value}" for name, value in values.items())


def _etcd(cluster: Cluster, files: ControlPlaneFiles) -> Program:
    client = f"https://{address(cluster)}:{ETCD_PORT}"
    peer = f"https://{address(cluster)}:{ETCD_PEER_PORT}"
    flags = {
        "name": "etcd",
        "data-dir": str(files.data),
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"etcd={peer}",
        "cert-file": str(files.certificate),
        "key-file": str(files.key),
        "client-cert-auth": "true",
        "trusted-ca-file": str(files.authority),
        "client-cert-allowed-hostname": etcd_client_name(cluster),
        "peer-cert-file": str(files.certificate),
        "peer-key-file": str(files.key),
        "peer-client-cert-auth": "true",
        "peer-trusted-ca-file": str(files.authority),
        "enable-grpc-gateway": "false",
        # What the kernel has taken survives SIGKILL; only a crash of the whole machine could lose it, which a local
        # run does not outlive anyway. In return every write is ten times as fast.
        "unsafe-no-fsync": "true",
        "log-level": "warn",
    }
    return Program("etcd", _flags(flags), "", {"GOMAXPROCS": "1"})


def _api_server(cluster: Cluster, files: ControlPlaneFiles) -> Program:
    url = endpoint(cluster)
    flags = {
        "bind-address": address(cluster),
        "secure-port": str(API_SERVER_PORT),
        "external-hostname": address(cluster),
        # Never dialled: without it the server asks for a default route, and loopback is not allowed here.
        "advertise-address": str(pod_network(cluster.cloud, cluster.number)[-2]),
        "endpoint-reconciler-type": "none",
        "etcd-servers": f"https://{address(cluster)}:{ETCD_PORT}",
        "etcd-cafile": str(files.authority),
        "etcd-certfile": str(files.etcd_certificate),
        "etcd-keyfile": str(files.etcd_key),
        "tls-cert-file": str(files.certificate),
        "tls-private-key-file": str(files.key),
        "token-auth-file": str(files.tokens),
        "anonymous-auth": "false",
        "authorization-mode": "RBAC",
        "allow-privileged": "true",
        "service-cluster-ip-range": str(service_network(cluster.cloud, cluster.number)),
        "service-account-issuer": url,
        "service-account-jwks-uri": f"{url}/openid/v1/jwks",
        "service-account-key-file": str(files.service_account_key),
        "service-account-signing-key-file": str(files.service_account_key),
        "profiling": "false",
        # One administrator is the only client: fairness among many would only cost start-up time.
        "enable-priority-and-fairness": "false",
    }
    return Program("kube-apiserver", _flags(flags), f"{url}/readyz", {})


def _scheduler(cluster: Cluster, files: ControlPlaneFiles) -> Program:
    flags = {
        "kubeconfig": str(files.scheduler),
        "bind-address": address(cluster),
        "secure-port": str(SCHEDULER_PORT),
        "tls-cert-file": str(files.certificate),
        "tls-private-key-file": str(files.key),
        "leader-elect": "false",
        "profiling": "false",
    }
    health = f"https://{address(cluster)}:{SCHEDULER_PORT}/healthz"
    return Program("kube-scheduler", _flags(flags), health, {"GOMAXPROCS": "1"})


def _controller_manager(cluster: Cluster, files: ControlPlaneFiles) -> Program:
    flags = {
        "kubeconfig": str(files.controller_manager),
        "bind-address": address(cluster),
        "secure-port": str(CONTROLLER_MANAGER_PORT),
        "tls-cert-file": str(files.certificate),
        "tls-private-key-file": str(files.key),
        "root-ca-file": str(files.authority),
        "service-account-private-key-file": str(files.service_account_key),
        "use-service-account-credentials": "true",
        "controllers": ",".join(_CONTROLLERS),
        "node-monitor-grace-period": _NODE_GRACE,
        "leader-elect": "false",
        "profiling": "false",
    }
    health = f"https://{address(cluster)}:{CONTROLLER_MANAGER_PORT}/healthz"
    return Program("kube-controller-manager", _flags(flags), health, {"GOMAXPROCS": "1"})
