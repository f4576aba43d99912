"""Bringing the local clouds up and down, losing one and getting it back."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import yaml

from localcloud import demonstration, engine, plugins, processes
from localcloud.addresses import ENDPOINT_HTTP_PORT, endpoint_address
from localcloud.certificates import authority_file, ensure_certificate_authority
from localcloud.checks import check_disk, check_ports, check_programs
from localcloud.console import Phases
from localcloud.environment import STACK, model_bundles, stack_config
from localcloud.errors import LocalCloudError
from localcloud.nodes import registries, sandbox
from localcloud.paths import CLOUDS, RUN_DIRECTORY_VARIABLE, RunPaths, project_directory
from localcloud.store import Store

_INTERNET = "internet"
_DAEMON = "daemon"
_CLOUD_START_S = 30.0
_STOP_S = 20.0
_READY_S = 240.0
# The local stack's state holds nothing secret; a known passphrase keeps Pulumi's encryption path in use all the same.
_LOCAL_PASSPHRASE = "tricorn-local"  # noqa: S105


@contextmanager
def exclusive(paths: RunPaths) -> Iterator[None]:
    """Hold the run's lock, so that two commands never change it at once.

    Raises:
        LocalCloudError: If another command holds it.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tricorn" / "locks"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / hashlib.sha256(str(paths.root).encode()).hexdigest()[:16]).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalCloudError(
                f"another command is working on the local run {paths.root}; wait for it or end it"
            ) from None
        yield


def alive(cloud: str) -> bool:
    """Return whether the cloud's API endpoint answers."""
    try:
        with urllib.request.urlopen(
            f"http://{endpoint_address(cloud)}:{ENDPOINT_HTTP_PORT}/-/alive", timeout=2
        ) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _daemon_records(paths: RunPaths, cloud: str) -> list[processes.ProcessRecord]:
    return [each for each in processes.records(paths, cloud) if each.role == _DAEMON]


def start_cloud(paths: RunPaths, cloud: str) -> None:
    """Start a cloud's daemon unless it runs, and wait until its endpoint answers."""
    environment = engine.environment(paths)
    if not _daemon_records(paths, cloud):
        processes.start(
            paths, cloud, _DAEMON, [sys.executable, "-m", "localcloud.cloud", cloud],
            environment=environment, directory=project_directory(), dies_with_parent=False,
        )  # fmt: skip
    deadline = time.monotonic() + _CLOUD_START_S
    while not alive(cloud):
        if not _daemon_records(paths, cloud) or time.monotonic() > deadline:
            log = paths.logs(cloud) / f"{_DAEMON}.log"
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-5:]) if log.exists() else ""
            raise LocalCloudError(f"the local {cloud} did not start; its log {log} ends with:\n{tail}")
        time.sleep(0.1)


def _start_internet(paths: RunPaths) -> None:
    if not processes.records(paths, _INTERNET):
        processes.start(
            paths, _INTERNET, _DAEMON, [sys.executable, "-m", "localcloud.internet"],
            environment=engine.environment(paths), directory=project_directory(), dies_with_parent=False,
        )  # fmt: skip


def create_run(paths: RunPaths) -> None:
    """Create the files of a run where they are missing."""
    for directory in (paths.backend, paths.pulumi_home, paths.processes):
        directory.mkdir(parents=True, exist_ok=True)
    paths.root.chmod(0o700)
    paths.passphrase_file.write_text(_LOCAL_PASSPHRASE)
    paths.passphrase_file.chmod(0o600)
    plugins.install(paths)
    Store(paths.database).create()
    ensure_certificate_authority(paths)


def ensure_bundles(show: Callable[[str], None]) -> None:
    """Export the local stack's model where its bundle is not on disk yet."""
    for name, directory, version in model_bundles():
        manifest = directory / f"{version}.json"
        with contextlib.suppress(OSError, ValueError, KeyError):
            if (directory / json.loads(manifest.read_text())["archive"]).is_file():
                continue
        show(f"exporting {name}")
        command = [sys.executable, "-m", "model_export", "export", "efficientnet-lite0", "--name", name]
        command += ["--version", str(version), "--out", str(directory)]
        done = subprocess.run(
            command, cwd=project_directory(), stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        if done.returncode != 0:
            raise LocalCloudError(f"exporting the model {name!r} failed:\n{(done.stderr or done.stdout).strip()}")


def _select_stack(paths: RunPaths) -> None:
    if any(paths.backend.glob(f".pulumi/locks/**/{STACK}/*.json")):
        # Only an engine that was killed leaves its lock behind: this command holds the run's own lock.
        engine.pulumi(paths, "cancel", "--yes", "--stack", STACK)
    if not any(paths.backend.glob(f".pulumi/stacks/**/{STACK}.json")):
        engine.pulumi(paths, "stack", "init", STACK)


def _write_kubeconfig(paths: RunPaths) -> None:
    """Merge the sites' kubeconfigs into one file with a context for each site."""
    outputs = json.loads(engine.pulumi(paths, "stack", "output", "--json", "--show-secrets", "--stack", STACK))
    merged: dict[str, object] = {"apiVersion": "v1", "kind": "Config", "preferences": {}}
    clusters, users, contexts = [], [], []
    for site, text in sorted((outputs.get("kubeconfigs") or {}).items()):
        one = yaml.safe_load(text) if isinstance(text, str) else text
        cluster = one["clusters"][0]["cluster"]
        if not {"certificate-authority", "certificate-authority-data"} & cluster.keys():
            # A certificate that the whole world trusts is one of the run's own authority here.
            cluster = {**cluster, "certificate-authority": str(authority_file(paths))}
        clusters.append({"name": site, "cluster": cluster})
        users.append({"name": site, "user": one["users"][0]["user"]})
        contexts.append({"name": site, "context": {"cluster": site, "user": site}})
    merged.update(clusters=clusters, users=users, contexts=contexts)
    file = paths.root / "kubeconfig"
    file.write_text(yaml.safe_dump(merged))
    file.chmod(0o600)


def up(paths: RunPaths) -> None:
    """Bring everything up, or bring what is up to what the settings say, and ask for predictions."""
    stack_config()
    phases = Phases()
    with exclusive(paths):
        with phases.phase("checks"):
            check_programs()
            sandbox.check()
            check_disk(paths)
            if not processes.records(paths):
                check_ports()
        with phases.phase("model bundle") as show:
            ensure_bundles(show)
        with phases.phase("local clouds") as show:
            create_run(paths)
            _start_internet(paths)
            for cloud in CLOUDS:
                show(cloud)
                start_cloud(paths, cloud)
        with phases.phase("pulumi up") as show:
            _select_stack(paths)
            progress = engine.operate(paths, ["up", "--skip-preview"], lambda p: show(p.line()))
            _write_kubeconfig(paths)
        phases.say("resources: " + (", ".join(f"{n} {op}" for op, n in sorted(progress.done.items())) or "none"))
        with phases.phase("first prediction") as show:
            client = demonstration.first_prediction(show)
        with phases.phase("predictions from every cloud"):
            rows = demonstration.ask_every_site(client)
        phases.save(paths.root / "phases.json")
    demonstration.show(rows)
    phases.say(demonstration.next_steps())


def kill(paths: RunPaths, cloud: str) -> int:
    """SIGKILL every process of one cloud; return how many were ended."""
    _require_run(paths)
    return len(processes.kill_all(paths, cloud))


def restore(paths: RunPaths, cloud: str) -> None:
    """Start a killed cloud again; its control planes, nodes and pods come back from its own state."""
    _require_run(paths)
    phases = Phases()
    with phases.phase(f"restore {cloud}") as show:
        start_cloud(paths, cloud)
        deadline = time.monotonic() + _READY_S
        while problem := demonstration.problem_of(paths, cloud):
            if time.monotonic() > deadline:
                raise LocalCloudError(f"{cloud} is up, but after {_READY_S:.0f} s it does not serve: {problem}")
            show(problem)
            time.sleep(1)


def cut_registry(paths: RunPaths, host: str) -> None:
    """Have a public container registry answer nobody."""
    _require_run(paths)
    registries.cut_off(Store(paths.database), host)


def reconnect_registry(paths: RunPaths, host: str) -> None:
    """Have a registry that was cut off answer again."""
    _require_run(paths)
    registries.reconnect(Store(paths.database), host)


def _require_run(paths: RunPaths) -> None:
    if not paths.database.exists():
        raise LocalCloudError(f"there is no local run in {paths.root}; `make up` starts one")


def down(paths: RunPaths) -> None:
    """Destroy the stack where its clouds answer, end every process of the run and remove its files."""
    phases = Phases()
    if not paths.root.exists():
        phases.say("nothing is up")
        return
    with exclusive(paths):
        if all(alive(cloud) for cloud in CLOUDS) and any(paths.backend.glob(f".pulumi/stacks/**/{STACK}.json")):
            try:
                with phases.phase("pulumi destroy") as show:
                    _select_stack(paths)
                    engine.operate(paths, ["destroy"], lambda p: show(p.line()))
            except LocalCloudError as error:
                phases.say(f"the stack could not be destroyed and goes away with its clouds: {error}")
        with phases.phase("stop"):
            ended = _stop_everything(paths)
            _remove(paths)
    phases.say(f"down: {ended} processes ended, {paths.root} removed")


def _stop_everything(paths: RunPaths) -> int:
    found = processes.records(paths)
    for record in found:
        if record.role == _DAEMON:
            with contextlib.suppress(ProcessLookupError):
                os.kill(record.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_S
    while time.monotonic() < deadline and any(record.alive() for record in found):
        time.sleep(0.1)
    processes.kill_all(paths)
    strays = _strays(paths)
    for process in strays:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(strays, timeout=5)
    return len(found) + len(strays)


def _strays(paths: RunPaths) -> list[psutil.Process]:
    """Find parts of the run that were never registered, such as an engine's plug-ins, by their environment."""
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            is_of_run = process.environ().get(RUN_DIRECTORY_VARIABLE) == str(paths.root)
            if is_of_run and process.pid not in mine and _started_by_run(process):
                found.append(process)
    return found


def _started_by_run(process: psutil.Process) -> bool:
    """Tell a part of the run from a person's shell or client that merely has the run's environment."""
    command = " ".join(process.cmdline())
    return "localcloud" in command or "pulumi" in Path(process.exe()).name


def _remove(paths: RunPaths) -> None:
    shutil.rmtree(paths.root, ignore_errors=True)
    if paths.root.exists():
        raise LocalCloudError(f"{paths.root}: could not be removed; remove it by hand")
    with contextlib.suppress(OSError):
        paths.root.parent.rmdir()
