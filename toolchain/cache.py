"""Where built tools are kept, and how a caller finds them without starting anything."""

from __future__ import annotations

import functools
import hashlib
import os
from pathlib import Path

from toolchain.pins import CERT_MANAGER, GATEWAY, MODULES, TOOLS, Definitions, Tool


class ToolchainError(Exception):
    """A tool is missing or cannot be built; the text says which, why, and what to do."""


def cache_root() -> Path:
    """Return `$XDG_CACHE_HOME/tricorn/tools`, by default below `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "tricorn" / "tools"


def key(tool: Tool) -> str:
    """Return the digest of everything that decides what is built: module pins, package and flags."""
    digest = hashlib.sha256(repr((tool.name, tool.version, tool.package, tool.flags)).encode())
    for file in ("go.mod", "go.sum"):
        digest.update((MODULES / tool.module / file).read_bytes())
    return digest.hexdigest()[:16]


def built(tool: Tool) -> Path:
    """Return where the built program lies, whether or not it exists yet."""
    return cache_root() / f"{tool.name}-{tool.version}-{key(tool)}" / tool.name


@functools.cache
def tools_dir() -> Path:
    """Return the directory with a link to every tool, to be put on PATH; it exists once `make tools` has run."""
    digest = hashlib.sha256("".join(key(tool) for tool in TOOLS).encode()).hexdigest()[:16]
    return cache_root() / f"bin-{digest}"


def find(name: str) -> Path:
    """Return the path of a tool, such as `etcd`.

    Raises:
        ToolchainError: If the toolchain has not been made yet.
    """
    path = tools_dir() / name
    if not path.exists():
        raise ToolchainError(f"the tool {name!r} is not there yet; `make tools` finds or builds it")
    return path


def extracted(definitions: Definitions) -> Path:
    """Return the directory of extracted definitions, whether or not it exists yet."""
    return tools_dir() / f"{definitions.name}-{definitions.version}"


def gateway_crds() -> Path:
    """Return the directory with the Gateway API and Envoy Gateway CRDs as plain YAML files.

    Raises:
        ToolchainError: If the toolchain has not been made yet.
    """
    return _found(GATEWAY)


def cert_manager_crds() -> Path:
    """Return the directory with cert-manager's CRDs as plain YAML files.

    Raises:
        ToolchainError: If the toolchain has not been made yet.
    """
    return _found(CERT_MANAGER)


def _found(definitions: Definitions) -> Path:
    path = extracted(definitions)
    if not path.is_dir():
        raise ToolchainError(f"the {definitions.name} are not there yet; `make tools` fetches them")
    return path
