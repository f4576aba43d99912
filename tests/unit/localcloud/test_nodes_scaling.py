"""What the autoscaler decides."""

from __future__ import annotations

from typing import Any

import pytest

from localcloud.nodes.fitting import admits, requests
from localcloud.nodes.scaling import IDLE_S, Decision, busy_nodes, decide
from localcloud.nodes.shapes import capacity, node_object, pool_labels, short_name
from localcloud.store import Cluster, Pool

CLUSTER = Cluster("gcp", "c", "c", 1, "1.36", "us-central1", "active", "https://x", "", "", {})
TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}


def pool(id_: str, **spec: Any) -> Pool:
    base: dict[str, Any] = {
        "machine_type": "m", "gpus": 0, "labels": {"tricorn.dev/pool": id_}, "taints": [], "min": 0, "max": 2,
        "zones": ["a", "b"], "spot": False, "vcpus": 4, "memory_gib": 16,
    }  # fmt: skip
    return Pool("gcp", id_, "c", id_, base | spec, "active", "")


GPU_POOL = pool("t4", gpus=1, taints=[TAINT])


def pod(uid: str = "u", *, node: str = "", waiting: bool = True, gpu: bool = False, **spec: Any) -> dict[str, Any]:
    resources = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"nvidia.com/gpu": "1"} if gpu else {}}
    found: dict[str, Any] = {
        "metadata": {"name": uid, "namespace": "n", "uid": uid},
        "spec": {"containers": [{"name": "c", "resources": resources}], **spec},
        "status": {
            "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}] if waiting else []
        },
    }
    if gpu:
        found["spec"]["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
        found["spec"]["nodeSelector"] = {"tricorn.dev/pool": "t4"}
    if node:
        found["spec"]["nodeName"] = node
    return found


def node(of: Pool, number: int, zone: str = "a") -> dict[str, Any]:
    return node_object(of, CLUSTER, zone, number, f"10.121.248.{number}")


def run(
    pools: list[Pool], nodes: list[Any] | None = None, pods: list[Any] | None = None, *,
    idle: dict[str, float] | None = None, age: dict[str, float] | None = None, empty: tuple[str, ...] = (),
) -> Decision:  # fmt: skip
    def take_machine(zone: str, machine_type: str) -> str:
        return f"zone {zone} has no {machine_type} left" if zone in empty else ""

    return decide(CLUSTER, pools, nodes or [], pods or [], idle or {}, age or {}, take_machine)


def test_the_minimum_of_a_pool_is_spread_over_its_zones() -> None:
    assert [zone for _, zone in run([pool("p", min=2)]).add] == ["a", "b"]


def test_a_waiting_gpu_pod_adds_one_gpu_machine() -> None:
    decision = run([pool("system"), GPU_POOL], pods=[pod(gpu=True)])
    assert [each.id for each, _ in decision.add] == ["t4"]


def test_a_pod_that_tolerates_no_taint_gets_no_gpu_machine() -> None:
    assert run([GPU_POOL], pods=[pod()]).add == []


def test_a_pod_that_no_pool_could_host_adds_nothing_and_refuses_nothing() -> None:
    decision = run([pool("system")], pods=[pod(nodeSelector={"tricorn.dev/pool": "other"})])
    assert (decision.add, decision.refused) == ([], [])


def test_pods_share_a_machine_that_has_room_for_both() -> None:
    assert len(run([pool("system")], pods=[pod("a"), pod("b")]).add) == 1
    assert len(run([GPU_POOL], pods=[pod("a", gpu=True), pod("b", gpu=True)]).add) == 2


def test_a_machine_that_is_just_starting_is_waited_for_and_an_old_one_is_not() -> None:
    young = node(GPU_POOL, 0)
    name = young["metadata"]["name"]
    assert run([GPU_POOL], [young], [pod(gpu=True)], age={name: 1.0}).add == []
    assert len(run([GPU_POOL], [young], [pod(gpu=True)], age={name: 100.0}).add) == 1


def test_a_starting_machine_whose_gpu_is_taken_is_not_waited_for() -> None:
    young = node(GPU_POOL, 0)
    name = young["metadata"]["name"]
    bound = pod("bound", gpu=True, node=name, waiting=False)
    assert len(run([GPU_POOL], [young], [bound, pod(gpu=True)], age={name: 1.0}).add) == 1


def test_the_maximum_of_a_pool_is_kept_and_said() -> None:
    decision = run([GPU_POOL], [node(GPU_POOL, 0), node(GPU_POOL, 1)], [pod(gpu=True)])
    assert decision.add == []
    assert "at its maximum of 2" in decision.refused[0][1]


def test_an_empty_zone_is_passed_over_for_another() -> None:
    assert [zone for _, zone in run([GPU_POOL], pods=[pod(gpu=True)], empty=("a",)).add] == ["b"]


def test_a_stock_out_in_every_zone_is_a_problem_of_the_pool_and_the_pod() -> None:
    decision = run([GPU_POOL], pods=[pod(gpu=True)], empty=("a", "b"))
    assert decision.add == []
    assert "zone a has no m left" in decision.problems["t4"]
    assert decision.refused[0][0]["metadata"]["uid"] == "u"


def test_a_stocked_out_spot_pool_falls_back_to_on_demand() -> None:
    spot = pool("spot", spot=True, zones=["a"], labels={})
    decision = run([pool("on-demand", zones=["b"], labels={}), spot], pods=[pod()])
    assert [each.id for each, _ in decision.add] == ["spot"]
    decision = run([pool("on-demand", zones=["b"], labels={}), spot], pods=[pod()], empty=("a",))
    assert [each.id for each, _ in decision.add] == ["on-demand"]


def test_nodes_above_the_minimum_go_after_a_minute_without_pods() -> None:
    of = pool("p", min=1)
    nodes = [node(of, 0), node(of, 1)]
    names = [each["metadata"]["name"] for each in nodes]
    idle = dict.fromkeys(names, IDLE_S)
    assert [each["metadata"]["name"] for each in run([of], nodes, idle=idle).remove] == [names[1]]
    assert run([of], nodes, idle=dict.fromkeys(names, IDLE_S - 1)).remove == []


def test_daemon_pods_and_ended_pods_keep_no_node_busy() -> None:
    daemon = pod("d", node="n1", waiting=False)
    daemon["metadata"]["ownerReferences"] = [{"kind": "DaemonSet"}]
    ended = pod("e", node="n2", waiting=False)
    ended["status"]["phase"] = "Succeeded"
    assert busy_nodes([daemon, ended, pod("w", node="n3", waiting=False)]) == {"n3"}


@pytest.mark.parametrize(
    ("toleration", "admitted"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "nvidia.com/gpu", "operator": "Exists"}, True),
        ({"key": "nvidia.com/gpu", "operator": "Equal", "value": "present"}, True),
        ({"key": "nvidia.com/gpu", "value": "absent"}, False),
        ({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "other", "operator": "Exists"}, False),
    ],
)
def test_taints_admit_only_what_tolerates_them(toleration: dict[str, str], admitted: bool) -> None:
    assert admits(pod(tolerations=[toleration]), {}, [TAINT]) is admitted


def test_required_node_affinity_is_respected() -> None:
    terms = [{"matchExpressions": [{"key": "pool", "operator": "In", "values": ["a", "b"]}]}]
    required = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
    assert admits(pod(affinity=required), {"pool": "b"}, [])
    assert not admits(pod(affinity=required), {"pool": "c"}, [])


def test_init_containers_count_where_they_ask_for_more() -> None:
    found = requests(pod(initContainers=[{"name": "i", "resources": {"requests": {"cpu": "3", "memory": "100Mi"}}}]))
    assert (found["cpu"], found["memory"]) == (3.0, 2.0**30)


def test_gpu_nodes_say_that_their_gpu_is_simulated() -> None:
    labels = pool_labels(GPU_POOL, CLUSTER, "a")
    assert labels["localcloud.tricorn.dev/gpu"] == "simulated"
    assert capacity(GPU_POOL)["nvidia.com/gpu"] == "1"
    assert "localcloud.tricorn.dev/gpu" not in pool_labels(pool("system"), CLUSTER, "a")


def test_node_names_are_valid_and_differ_between_pools_of_one_name() -> None:
    one, two = (
        short_name("projects/p/One/nodePools/x", "My_Pool!"),
        short_name("projects/q/One/nodePools/x", "My_Pool!"),
    )
    assert one != two
    assert one.startswith("my-pool-")
