"""Make every tool available: `python -m toolchain`, `--list` shows where each is, `--path` prints their directory."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

from toolchain.build import build, fetch_sources, locked, on_path, require_go
from toolchain.cache import ToolchainError, built, extracted, tools_dir
from toolchain.definitions import cert_manager_sources, extract, gateway_sources
from toolchain.pins import CERT_MANAGER, GATEWAY, TOOLS

_DEFINITIONS = {GATEWAY: gateway_sources, CERT_MANAGER: cert_manager_sources}
_USAGE = "usage: python -m toolchain [--list | --path]"


def _link(name: str, target: Path) -> None:
    """Point the link of a tool at its program, replacing an older link in one step."""
    directory = tools_dir()
    directory.mkdir(parents=True, exist_ok=True)
    scratch = directory / f".{name}.{os.getpid()}"
    with contextlib.suppress(FileNotFoundError):
        scratch.unlink()
    scratch.symlink_to(target)
    scratch.replace(directory / name)


def _is_ready(name: str) -> bool:
    return (tools_dir() / name).exists()


def make() -> None:
    """Find or build what is missing.

    Raises:
        ToolchainError: If something cannot be had.
    """
    missing = [tool for tool in TOOLS if not _is_ready(tool.name)]
    to_build = []
    for tool in missing:
        if built(tool).exists():
            _link(tool.name, built(tool))
        elif found := on_path(tool):
            print(f"  {tool.name}: using {found}", flush=True)
            _link(tool.name, found)
        else:
            to_build.append(tool)
    to_extract = [each for each in _DEFINITIONS if not extracted(each).is_dir()]
    if not to_build and not to_extract:
        return
    go = require_go([tool.name for tool in to_build] or [each.name for each in to_extract])
    started = time.monotonic()
    print(f"toolchain: {len(to_build)} of {len(TOOLS)} tools to build, once", flush=True)
    for number, tool in enumerate(to_build, 1):
        _link(tool.name, build(tool, go, f"{tool.name} ({number}/{len(to_build)})"))
    for each in to_extract:
        with locked(each.name):
            try:
                extract(_DEFINITIONS[each](fetch_sources(each, go)), extracted(each))
            except ValueError as error:
                raise ToolchainError(f"{each.name}: {error}") from None
    print(f"toolchain: done in {time.monotonic() - started:.0f} s", flush=True)


def _list() -> None:
    for tool in TOOLS:
        path = tools_dir() / tool.name
        where = str(path.resolve()) if path.exists() else "missing (`make tools`)"
        print(f"{tool.name:24} {tool.version:10} {where}")
    for each in _DEFINITIONS:
        where = str(extracted(each)) if extracted(each).is_dir() else "missing (`make tools`)"
        print(f"{each.name:24} {each.version:10} {where}")


def main(arguments: list[str]) -> int:
    """Run the command; return the exit code."""
    try:
        if arguments == ["--list"]:
            _list()
        elif arguments == ["--path"]:
            print(tools_dir())
        elif not arguments:
            make()
        else:
            print(_USAGE, file=sys.stderr)
            return 2
    except ToolchainError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; run again to go on, tools that are done are kept", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
