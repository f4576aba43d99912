import subprocess
import sys
import time

import psutil

from localcloud import processes
from localcloud.paths import RunPaths

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def wait_until(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not condition():
        time.sleep(0.02)
    return condition()


def test_killing_one_cloud_leaves_the_others(tmp_path):
    paths = RunPaths(tmp_path)
    mine = processes.start(paths, "gcp", "daemon", SLEEP)
    other = processes.start(paths, "aws", "daemon", SLEEP)
    try:
        ended = processes.kill_all(paths, "gcp")
        assert [record.pid for record in ended] == [mine.pid]
        assert mine.wait(5) == -9
        assert other.poll() is None
        assert [record.cloud for record in processes.records(paths)] == ["aws"]
    finally:
        processes.kill_all(paths)
    assert other.wait(5) == -9
    assert processes.records(paths) == []


def test_a_child_dies_with_its_parent(tmp_path):
    code = f"""
import time
from pathlib import Path
from localcloud import processes
from localcloud.paths import RunPaths
print(processes.start(RunPaths(Path({str(tmp_path)!r})), "aws", "etcd", {SLEEP!r}).pid, flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    assert wait_until(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)


def test_a_reused_process_id_is_not_mistaken_for_ours(tmp_path):
    paths = RunPaths(tmp_path)
    process = processes.start(paths, "aws", "etcd", SLEEP)
    file = paths.processes / f"{process.pid}.json"
    file.write_text(file.read_text().replace('"created": ', '"created": 1'))
    assert processes.records(paths) == []
    assert process.poll() is None
    process.kill()
    process.wait()
