"""Where a local run keeps its files; everything below one directory that `down` removes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

CLOUDS = ("aws", "gcp", "azure")
RUN_DIRECTORY_VARIABLE = "TRICORN_LOCAL"


def project_directory() -> Path:
    """Return the directory that holds `Pulumi.yaml`, found from this file."""
    return Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class RunPaths:
    """Paths of one local run."""

    root: Path

    @classmethod
    def current(cls) -> RunPaths:
        """Return the run named by `TRICORN_LOCAL`, by default `.tricorn/local` in the project."""
        value = os.environ.get(RUN_DIRECTORY_VARIABLE)
        return cls(Path(value) if value else project_directory() / ".tricorn" / "local")

    @property
    def database(self) -> Path:
        """SQLite file with the state of all simulated clouds."""
        return self.root / "state.db"

    @property
    def backend(self) -> Path:
        """Pulumi's file backend."""
        return self.root / "pulumi"

    @property
    def pulumi_home(self) -> Path:
        """`PULUMI_HOME` of the run, so that a user's own login and plug-ins stay untouched."""
        return self.root / "pulumi-home"

    @property
    def passphrase_file(self) -> Path:
        """Random passphrase of the run's Pulumi secrets, mode 0600."""
        return self.root / "passphrase"

    @property
    def certificate_authority(self) -> Path:
        """Directory with `ca.crt` and `ca.key` of the run."""
        return self.root / "ca"

    @property
    def processes(self) -> Path:
        """One file per process that the run started."""
        return self.root / "pids"

    def logs(self, cloud: str) -> Path:
        """Directory of a cloud's log files."""
        return self.root / "logs" / cloud

    def cluster(self, cloud: str, cluster_id: str) -> Path:
        """Directory of one control plane: etcd's data, certificates, tokens, kubeconfigs."""
        return self.root / cloud / "clusters" / cluster_id

    def objects(self, cloud: str) -> Path:
        """Root of a cloud's object store, `<bucket>/<key>` below it."""
        return self.root / cloud / "objects"

    def pod(self, cloud: str, uid: str) -> Path:
        """Directory of a pod's volumes and container files."""
        return self.root / cloud / "pods" / uid

    def gateway(self, cloud: str, cluster_id: str) -> Path:
        """Directory of a cluster's translated gateway configuration."""
        return self.root / cloud / "gateway" / cluster_id
