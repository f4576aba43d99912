"""Running a command as a container would: own root, own process tree, the manifest's user, volumes at their paths.

Bubblewrap does it where it is installed and allowed, else util-linux's `unshare` with `enter.py`. Both work for root
and for an ordinary user. The network is not separated: pods have loopback addresses of their own instead.
"""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from localcloud.errors import LocalCloudError

_SYSTEM = ("/usr",)
_SYSTEM_OR_LINK = ("/bin", "/sbin", "/lib", "/lib64")
_SYSTEM_FILES = ("/etc/ssl", "/etc/alternatives", "/etc/ld.so.cache", "/etc/nsswitch.conf")
_ENTER = Path(__file__).with_name("enter.py")
_TRIAL_TIMEOUT_S = 20
FORMS = ("bwrap", "unshare")
"""Programs that can make a sandbox, in order of preference."""


@dataclass(frozen=True)
class Mount:
    """A file or directory of this machine that shows at `target` in the container."""

    source: Path
    target: str
    read_only: bool = True


@dataclass(frozen=True, kw_only=True)
class Box:
    """One container to run."""

    command: Sequence[str]
    """Program, by path or found on the container's PATH, and arguments."""
    directory: Path
    """Empty directory of the container's own on this machine, for its files in /etc and its root."""
    uid: int = 0
    """User id that the command sees itself run as."""
    gid: int = 0
    """Group id that the command sees itself run as."""
    read_only_root: bool = False
    """Whether nothing but volumes is writable; otherwise /tmp is, and for user 0 everything that is not the system."""
    mounts: Sequence[Mount] = field(default_factory=tuple)
    """Volumes and files."""
    working_directory: str = "/"
    """Where the command starts."""
    hostname: str = "pod"
    """Host name inside."""


def arguments(box: Box, form: str | None = None) -> list[str]:
    """Return the program and arguments that run a container; its environment is the one they are started with.

    The command is process 1 of its own process tree and the first child of the started process; it is killed when
    that process dies.

    Args:
        box: The container.
        form: `bwrap` or `unshare`; by default the one that works here.

    Raises:
        LocalCloudError: If neither works.
    """
    box.directory.mkdir(parents=True, exist_ok=True)
    mounts = [*_system_mounts(), *_own_files(box), *sorted(box.mounts, key=lambda m: m.target.rstrip("/").count("/"))]
    return _bwrap(box, mounts) if (form or working_form()) == "bwrap" else _unshare(box, mounts)


def container_pid(pid: int) -> int | None:
    """Return the process id, as seen from outside, of the command that a started sandbox runs; None before it does."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return None
    return int(children[0]) if children else None


def check() -> None:
    """Raise LocalCloudError when no sandbox can be had, saying what to install or allow."""
    working_form()


@functools.cache
def working_form() -> str:
    """Return the first of `FORMS` that can run a command here.

    Raises:
        LocalCloudError: If none can.
    """
    problems = []
    for form in FORMS:
        if shutil.which(form) is None:
            problems.append(f"  {form}: not installed")
            continue
        problem = trial(form)
        if not problem:
            return form
        problems.append(f"  {form}: {problem}")
    raise LocalCloudError(
        "containers need a sandbox, and none works here:\n" + "\n".join(problems) + "\n"
        "Install bubblewrap (`apt install bubblewrap`, `dnf install bubblewrap`) or util-linux >= 2.36, and allow "
        "user namespaces: `sysctl -w user.max_user_namespaces=15000`, on Ubuntu 24.04 and newer also "
        "`sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, in Docker `--security-opt seccomp=unconfined`"
    )


def trial(form: str) -> str:
    """Run a trivial container with a form; return an empty string when it works, else what went wrong."""
    with tempfile.TemporaryDirectory() as directory:
        box = Box(command=["/bin/sh", "-c", 'test "$(id -u)" = 1000'], directory=Path(directory), uid=1000, gid=1000)
        try:
            done = subprocess.run(
                arguments(box, form), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TRIAL_TIMEOUT_S
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
    if done.returncode == 0:
        return ""
    return " ".join(done.stderr.split()) or f"exit code {done.returncode}"


def _system_mounts() -> list[Mount]:
    mounts = [Mount(Path(each), each) for each in _SYSTEM]
    mounts += [Mount(Path(each), each) for each in _SYSTEM_OR_LINK if Path(each).is_dir() and not _link(each)]
    return mounts + [Mount(Path(each), each) for each in _SYSTEM_FILES if Path(each).exists()]


def _link(path: str) -> str:
    """Return what a top-level directory such as /lib is a link to; empty where it is a directory of its own."""
    return str(Path(path).readlink()) if Path(path).is_symlink() else ""


def _links() -> Mapping[str, str]:
    return {each: _link(each) for each in _SYSTEM_OR_LINK if _link(each)}


def _own_files(box: Box) -> list[Mount]:
    user = "root:x:0:0:root:/:/bin/sh\n"
    group = "root:x:0:\n"
    if box.uid:
        user += f"user:x:{box.uid}:{box.gid}::/:/bin/sh\n"
    if box.gid:
        group += f"user:x:{box.gid}:\n"
    texts = {"passwd": user, "group": group, "hosts": f"127.0.0.1 localhost {box.hostname}\n", "resolv.conf": ""}
    directory = box.directory / "etc"
    directory.mkdir(exist_ok=True)
    for name, text in texts.items():
        (directory / name).write_text(text)
    return [Mount(directory / name, f"/etc/{name}") for name in texts]


def _root_is_read_only(box: Box) -> bool:
    # In an image the root belongs to user 0; here it belongs to whoever the container runs as.
    return box.read_only_root or box.uid != 0


def _bwrap(box: Box, mounts: Sequence[Mount]) -> list[str]:
    command = ["bwrap", "--unshare-user", "--uid", str(box.uid), "--gid", str(box.gid)]
    command += ["--unshare-pid", "--as-pid-1", "--unshare-ipc", "--unshare-uts", "--hostname", box.hostname]
    command += ["--die-with-parent", "--cap-drop", "ALL", "--proc", "/proc", "--dev", "/dev"]
    command += ["--dir", "/tmp"] if box.read_only_root else ["--perms", "1777", "--tmpfs", "/tmp"]  # noqa: S108 - its own
    for path, target in _links().items():
        command += ["--symlink", target, path]
    for mount in mounts:
        command += ["--ro-bind" if mount.read_only else "--bind", str(mount.source), mount.target]
    if _root_is_read_only(box):
        command += ["--remount-ro", "/"]
    return [*command, "--chdir", box.working_directory, "--", *box.command]


def _unshare(box: Box, mounts: Sequence[Mount]) -> list[str]:
    root = box.directory / "root"
    root.mkdir(exist_ok=True)
    plan = {
        "root": str(root),
        "links": _links(),
        "mounts": [[str(each.source), each.target, each.read_only] for each in mounts],
        "private_tmp": not box.read_only_root,
        "read_only_root": _root_is_read_only(box),
        "working_directory": box.working_directory,
        "hostname": box.hostname,
        "command": list(box.command),
    }
    command = ["unshare", "--user", f"--map-user={box.uid}", f"--map-group={box.gid}", "--keep-caps"]
    command += ["--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child=KILL", "--"]
    return [*command, sys.executable, "-I", "-S", str(_ENTER), json.dumps(plan)]
