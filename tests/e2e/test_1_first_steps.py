"""What a newcomer sees after `make up`, and types next."""

import json
import time

import psutil
import pytest
import yaml

from localcloud.paths import CLOUDS
from tests.e2e.conftest import ROOT, LocalRun, photo, processes_of

pytestmark = pytest.mark.e2e


def test_up_answers_over_grpc_and_rest_and_says_what_to_try_next(local_run: LocalRun):
    assert local_run.output.count("Egyptian cat") == 2 * (1 + len(CLOUDS))
    for word in ("over gRPC", "over REST", "answered by azure", "kubectl --context aws", "kill gcp", "make down"):
        assert word in local_run.output
    assert "simulated" in local_run.output
    assert "Traceback" not in local_run.output


@pytest.mark.parametrize("site", CLOUDS)
@pytest.mark.parametrize("transport", [[], ["--rest"]])
def test_every_cloud_answers_over_both_transports(local_run: LocalRun, site: str, transport: list[str]):
    answer = local_run.predict("--site", site, *transport)
    assert answer["site"] == site
    assert answer["predictions"][0]["labels"][0]["label"] == "Egyptian cat"


def test_the_one_name_reaches_more_than_one_cloud(local_run: LocalRun):
    seen = set()
    deadline = time.monotonic() + 90
    while len(seen) < 2 and time.monotonic() < deadline:
        seen.add(local_run.predict()["site"])
        time.sleep(1)
    assert len(seen) >= 2


def test_a_second_up_changes_nothing(local_run: LocalRun):
    done = local_run.python("localcloud", "up", timeout=300)
    assert done.returncode == 0, done.stderr
    assert "resources: " in done.stdout
    line = next(each for each in done.stdout.splitlines() if each.startswith("resources: "))
    assert set(line.removeprefix("resources: ").split()[1::2]) <= {"same", "same,", "read", "read,"}


def test_preview_typed_by_hand_sees_nothing_to_change(local_run: LocalRun):
    done = local_run.run("pulumi", "preview", "-s", "local", "--expect-no-changes", "--non-interactive")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("cloud", CLOUDS)
def test_kubectl_works_on_every_cluster_and_gpus_are_marked_as_simulated(local_run: LocalRun, cloud: str):
    done = local_run.run("kubectl", "--context", cloud, "get", "pods,nodes", "-A", "-o", "json")
    assert done.returncode == 0, done.stderr
    items = json.loads(done.stdout)["items"]
    gpus = [each for each in items if each["kind"] == "Node" and "nvidia.com/gpu" in each["status"].get("capacity", {})]
    pods = [each for each in items if each["kind"] == "Pod" and each["metadata"]["namespace"] == "serving"]
    assert gpus
    assert all(each["metadata"]["labels"]["nvidia.com/gpu.product"] == "Simulated-on-CPU" for each in gpus)
    assert pods
    names = {each["metadata"]["name"] for each in gpus}
    assert all(each["spec"]["nodeName"] in names for each in pods)
    limits = [c["resources"]["limits"].get("nvidia.com/gpu") for each in pods for c in each["spec"]["containers"]]
    assert "1" in limits


def test_routes_are_accepted_and_resolved_in_every_cluster(local_run: LocalRun):
    for cloud in CLOUDS:
        done = local_run.run("kubectl", "--context", cloud, "get", "grpcroutes,httproutes", "-A", "-o", "json")
        routes = json.loads(done.stdout)["items"]
        assert len(routes) >= 2
        for route in routes:
            conditions = route["status"]["parents"][0]["conditions"]
            assert {c["type"]: c["status"] for c in conditions} == {"Accepted": "True", "ResolvedRefs": "True"}


def test_a_corrupt_image_is_refused_in_one_line_and_the_server_goes_on(local_run: LocalRun, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(photo("rocket.jpg").read_bytes()[:2000] + b"\0" * 2000)
    text = tmp_path / "text.png"
    text.write_text("no image at all")
    for file in (broken, text):
        for transport in ([], ["--rest"]):
            done = local_run.python("serving", "predict", "scenes", str(file), *transport)
            assert done.returncode == 1
            assert "INVALID_ARGUMENT" in done.stderr
            assert "Traceback" not in done.stderr + done.stdout
            assert len(done.stderr.strip().splitlines()) == 1
    assert local_run.predict()["predictions"]


def test_an_unknown_model_is_a_clear_error(local_run: LocalRun):
    done = local_run.python("serving", "predict", "nothing-here", str(photo("chelsea.png")))
    assert done.returncode == 1
    assert "nothing-here" in done.stderr
    assert "Traceback" not in done.stderr


def test_status_shows_three_sites_up(local_run: LocalRun):
    done = local_run.python("serving", "status", "--json")
    assert done.returncode == 0, done.stderr
    sites = {each["site"]: each for each in json.loads(done.stdout)["sites"]}
    assert set(sites) == set(CLOUDS)
    assert all(each["healthy"] for each in sites.values())


def test_nothing_of_the_run_listens_outside_loopback(local_run: LocalRun):
    ours = {process.pid: process for process in processes_of(local_run.root)}
    assert len(ours) > 15
    outside = [
        (each.laddr.ip, each.laddr.port, ours[each.pid].name())
        for each in psutil.net_connections("inet")
        if each.pid in ours and each.status in ("LISTEN", "NONE") and not each.laddr.ip.startswith("127.")
        and not each.raddr
    ]  # fmt: skip
    assert not outside


def test_no_secret_is_in_the_stacks_state(local_run: LocalRun):
    state = "".join(each.read_text() for each in (local_run.root / "pulumi").rglob("*.json"))
    assert "kubeconfig" in state
    tokens = [
        line.split(",")[0]
        for file in local_run.root.rglob("tokens.csv")
        for line in file.read_text().splitlines()
        if line.strip()
    ]
    assert tokens
    assert not [token for token in tokens if token in state]
    assert "PRIVATE KEY" not in state


def test_the_stack_file_is_the_only_difference_between_local_and_real():
    config = yaml.safe_load((ROOT / "Pulumi.local.yaml").read_text())["config"]
    for stack in ("dev", "prod"):
        other = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
        assert "localcloud:run" not in other
        assert other["tricorn:settings"].keys() & config["tricorn:settings"].keys()
