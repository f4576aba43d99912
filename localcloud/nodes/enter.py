"""Second half of a sandbox made with `unshare`: builds the root, gives up every privilege, starts the command.

Runs as process 1 of new user, mount, process, IPC and host name namespaces, with the standard library alone.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_MS_REMOUNT, _MS_BIND, _MS_REC = 32, 4096, 16384
# Flags a mount already has must be named again when it is made read-only: the kernel locks them in a user namespace.
_KEPT_FLAGS = (
    (os.ST_NOSUID, _MS_NOSUID), (os.ST_NODEV, _MS_NODEV), (os.ST_NOEXEC, _MS_NOEXEC),
    (os.ST_NOATIME, 1024), (os.ST_NODIRATIME, 2048), (os.ST_RELATIME, 1 << 21),
)  # fmt: skip
_MNT_DETACH = 2
_PR_SET_PDEATHSIG, _PR_CAPBSET_READ, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 23, 24, 38
_SIGKILL = 9
_CAPABILITY_VERSION_3 = 0x20080522
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LIBC = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *values: object) -> int:
    result = int(getattr(_LIBC, name)(*values))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    try:
        _call(
            "mount", source.encode(), target.encode(), kind.encode() if kind else None, ctypes.c_ulong(flags),
            data.encode() if data else None,
        )  # fmt: skip
    except OSError as error:
        raise OSError(error.errno, f"mounting {source} at {target}: {os.strerror(error.errno or 0)}") from None


def _mounts_below(path: str) -> list[str]:
    points = [
        line.split()[4].encode().decode("unicode_escape")
        for line in Path("/proc/self/mountinfo").read_text().splitlines()
    ]
    return [each for each in points if each == path or each.startswith(path + "/")]


def _bind(source: str, target: str, read_only: bool) -> None:
    if Path(source).is_dir():
        Path(target).mkdir(parents=True, exist_ok=True)
    else:
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        Path(target).touch(exist_ok=True)
    _mount(source, target, None, _MS_BIND | _MS_REC)
    for each in _mounts_below(target) if read_only else ():
        present = os.statvfs(each).f_flag
        kept = sum(flag for seen, flag in _KEPT_FLAGS if present & seen)
        _mount("none", each, None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | kept)


def _build_root(plan: dict[str, Any]) -> None:
    root = plan["root"]
    _mount("tmpfs", root, "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=0755")
    for path, target in plan["links"].items():
        Path(root + path).symlink_to(target)
    for name in ("proc", "dev/shm", "tmp"):
        Path(root, name).mkdir(parents=True)
    try:
        _mount("proc", f"{root}/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    except OSError:  # not allowed where parts of /proc are hidden, as inside another container
        _mount("/proc", f"{root}/proc", None, _MS_BIND | _MS_REC)
    for name in _DEVICES:
        _bind(f"/dev/{name}", f"{root}/dev/{name}", read_only=False)
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        Path(root, "dev", name).symlink_to(f"/proc/self/fd{target}")
    _mount("tmpfs", f"{root}/dev/shm", "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=1777")  # noqa: S108
    if plan["private_tmp"]:
        _mount("tmpfs", f"{root}/tmp", "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=1777")  # noqa: S108
    for source, target, read_only in plan["mounts"]:
        _bind(source, root + target, read_only)


def _change_root(plan: dict[str, Any]) -> None:
    os.chdir(plan["root"])
    _call("pivot_root", b".", b".")
    _call("umount2", b".", _MNT_DETACH)
    os.chdir("/")
    if plan["read_only_root"]:
        _mount("none", "/", None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID | _MS_NODEV)


def _give_up_privileges() -> None:
    capability = 0
    while _LIBC.prctl(_PR_CAPBSET_READ, capability, 0, 0, 0) >= 0:
        _call("prctl", _PR_CAPBSET_DROP, capability, 0, 0, 0)
        capability += 1
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    _call("capset", header, (ctypes.c_uint32 * 6)())
    _call("prctl", _PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)


def main() -> int:
    """Build the root that the one argument describes, and become its command; 126 or 127 if that cannot be done."""
    plan = json.loads(sys.argv[1])
    try:
        socket.sethostname(plan["hostname"])
        _build_root(plan)
        _change_root(plan)
        _give_up_privileges()
        os.chdir(plan["working_directory"])
    except OSError as error:
        print(f"sandbox: {error.strerror or error}", file=sys.stderr)
        return 126
    try:
        os.execvp(plan["command"][0], plan["command"])  # noqa: S606 - becoming the container's command is the point
    except OSError as error:
        print(f"sandbox: {plan['command'][0]}: {error.strerror}", file=sys.stderr)
    return 127


if __name__ == "__main__":
    sys.exit(main())
