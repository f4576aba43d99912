"""Which tools Tricorn uses, at which versions, and how each is built from its pinned Go module."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

MODULES = Path(__file__).resolve().parent
OLDEST_GO = (1, 26)
_KUBERNETES = "1.36.3"
_PULUMI = "3.259.0"


@dataclass(frozen=True)
class Tool:
    """One program.

    Attributes:
        name: File name of the program.
        version: Version that the module pins, without `v`.
        module: Directory below `toolchain/` with the `go.mod` and `go.sum` it is built from.
        package: Go main package.
        probe: Arguments that make the program print its version.
        fits: How many leading parts of the version must be equal for a program found on PATH to be used instead.
        flags: Further `go build` flags.
    """

    name: str
    version: str
    module: str
    package: str
    probe: tuple[str, ...]
    fits: int
    flags: tuple[str, ...] = ()

    def accepts(self, output: str) -> bool:
        """Return whether a program that printed `output` as its version can stand in for the pinned one."""
        match = re.search(r"v?(\d+\.\d+\.\d+)", output)
        return match is not None and match[1].split(".")[: self.fits] == self.version.split(".")[: self.fits]


def _kubernetes(name: str, probe: tuple[str, ...]) -> Tool:
    major, minor, _ = _KUBERNETES.split(".")
    prefix = "k8s.io/component-base/version"
    stamp = f"-s -w -X {prefix}.gitVersion=v{_KUBERNETES} -X {prefix}.gitMajor={major} -X {prefix}.gitMinor={minor}"
    return Tool(name, _KUBERNETES, "kubernetes", f"k8s.io/kubernetes/cmd/{name}", probe, 2, ("-ldflags", stamp))


_STRIP = ("-ldflags", "-s -w")
# Without the stamped version `pulumi version` prints nothing and the Automation API refuses the CLI.
_PULUMI_STAMP = f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{_PULUMI}"

TOOLS: tuple[Tool, ...] = (
    Tool("etcd", "3.7.3", "etcd", "go.etcd.io/etcd/server/v3", ("--version",), 2, _STRIP),
    _kubernetes("kube-apiserver", ("--version",)),
    _kubernetes("kube-controller-manager", ("--version",)),
    _kubernetes("kube-scheduler", ("--version",)),
    _kubernetes("kubectl", ("version", "--client")),
    Tool(
        "egctl", "1.9.0", "egctl", "github.com/envoyproxy/gateway/cmd/egctl", ("version", "--remote=false"), 2, _STRIP,
    ),
    Tool("rclone", "1.75.1", "rclone", "github.com/rclone/rclone", ("version",), 1, _STRIP),
    Tool(
        "pulumi", _PULUMI, "pulumi", "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi", ("version",), 2,
        ("-tags", "osusergo,grpcnotrace", "-ldflags", _PULUMI_STAMP),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Definitions:
    """Custom resource definitions that are taken from the sources of a Go module.

    Attributes:
        name: Name of the directory with the extracted files.
        version: Version that the module pins, without `v`.
        module: Directory below `toolchain/` with the `go.mod` and `go.sum` that pin it.
        source: The Go module.
    """

    name: str
    version: str
    module: str
    source: str


GATEWAY = Definitions("gateway-crds", "1.9.0", "egctl", "github.com/envoyproxy/gateway")
CERT_MANAGER = Definitions("cert-manager-crds", "1.20.2", "cert-manager", "github.com/cert-manager/cert-manager")
