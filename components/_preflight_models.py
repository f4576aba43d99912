"""Whether the models fit the machines that their pools are made of."""

import math
from collections import defaultdict

from components._capacity import PoolPlan
from components._gpu_catalog import CATALOG, machine
from components._gpu_machine import GpuMachine
from components._node_sizes import allocatable
from components._preflight_report import Report, ServerNeeds, SiteNeeds
from serving.images import parse_image

_MIB = 1024
_TIGHT = 0.8
"""Share of a GPU's memory above which a model is tight: the CUDA context and cuDNN's workspace need some as well."""
OFFICIAL = "docker.io/tensorflow/serving"
# https://github.com/tensorflow/serving/blob/2.20.0/.bazelrc and 2.19.1 (2026-07): CUDA kernels by compute capability,
# and the one that newer GPUs compile from when a model is loaded.
_KERNELS = {
    "2.20": (((6, 0), (7, 0), (8, 0), (8, 9)), (9, 0)),
    "2.19": (((5, 0), (6, 0), (7, 0), (8, 0)), (9, 0)),
}


def check_models(needs: SiteNeeds, report: Report) -> None:
    """Compare the servers of a site with its GPU pools: memory of a GPU, size of a node, number of nodes, CUDA."""
    pods: dict[str, list[ServerNeeds]] = defaultdict(list)
    for server in needs.servers:
        plans = needs.plans.get(server.pool or "", ())
        if not plans:
            continue
        pods[server.pool or ""].append(server)
        rows = [row for plan in plans for row in _rows(needs, plan)]
        _check_gpu_memory(needs, server, rows, report)
        for row in rows:
            check_node(needs, server, row.machine_type, row.vcpus, row.memory_gib, report)
    for pool, servers in pods.items():
        _check_room(needs, pool, sum(server.least for server in servers), report)
        _check_pool_memory(needs, pool, servers, report)
        _check_cuda(needs, pool, report)


def check_containers(needs: SiteNeeds, report: Report) -> None:
    """Compare the memory that the settings give a server's container with what its model took when it was verified.

    A container holds one version of one model, so the measured peak is compared as it is: it includes the runtime once.
    """
    for server in needs.servers:
        field = f"models.{server.model}.resources.memoryMib"
        took = f"version {server.version} took {server.peak_mib:.0f} MiB when it was verified"
        if server.peak_mib > server.memory_mib:
            report.problem(
                field,
                f"{took}, and its container would be killed while it loads",
                have=f"{server.memory_mib} MiB",
                need=f"{math.ceil(server.peak_mib)} MiB",
                where=needs.name,
                fix=f"leave {field} out, which gives twice what was measured, or raise it",
            )
        elif server.peak_mib > server.memory_mib * _TIGHT:
            report.warning(
                f"site {needs.name}: {field} is {server.memory_mib} MiB, and {took}; requests need some, too"
            )


def check_system_pool(needs: SiteNeeds, machine_type: str, vcpus: int, memory_gib: float, report: Report) -> None:
    """Compare the servers without a GPU pool with the machines of the pool without GPUs, each and all together."""
    servers = [server for server in needs.servers if server.pool is None]
    for server in servers:
        check_node(needs, server, machine_type, vcpus, memory_gib, report)
    given = allocatable(needs.site.cloud, vcpus, memory_gib)
    if given is not None:
        _check_sum(needs, "systemPool", servers, needs.settings.system_pool.max * given[1], report)


def check_node(
    needs: SiteNeeds, server: ServerNeeds, machine_type: str, vcpus: int, memory_gib: float, report: Report
) -> None:
    """Report a server that asks for more than a machine can give."""
    given = allocatable(needs.site.cloud, vcpus, memory_gib)
    if given is None:
        return
    path = f"models.{server.model}.resources"
    fix = f"lower {path}, or {_larger(needs, server)}"
    if server.cpu > given[0]:
        report.problem(
            f"{path}.cpu",
            f"version {server.version} does not fit a {machine_type}, which gives its pods {given[0]:.2f} CPUs",
            have=f"{given[0]:.2f} CPUs",
            need=f"{server.cpu} CPUs",
            where=needs.name,
            fix=fix,
        )
    if server.memory_mib > given[1]:
        report.problem(
            f"{path}.memoryMib",
            f"version {server.version} does not fit a {machine_type}",
            have=f"{given[1]:.0f} MiB",
            need=f"{server.memory_mib} MiB",
            where=needs.name,
            fix=fix,
        )


def _rows(needs: SiteNeeds, plan: PoolPlan) -> list[GpuMachine]:
    rows = (machine(needs.site.cloud, name) for name in plan.machine_types)
    return [row for row in rows if row is not None]


def _larger(needs: SiteNeeds, server: ServerNeeds) -> str:
    cloud = needs.site.cloud
    if server.pool is None:
        return f"name a larger machine in systemPool.machine.{cloud}"
    plan = needs.plans[server.pool][0]
    gpus = {row.gpus for row in _rows(needs, plan)}
    larger = []
    for row in CATALOG[plan.gpu_class][cloud]:
        given = allocatable(cloud, row.vcpus, row.memory_gib)
        if row.gpus in gpus and given is not None and given[0] >= server.cpu and given[1] >= server.memory_mib:
            larger.append(row.machine_type)
    if not larger:
        return f"give the model a pool of another GPU class: no {plan.gpu_class} machine of {cloud} is large enough"
    return f"set pools.{server.pool}.overrides.{cloud}.machines to [{', '.join(larger)}]"


def _check_gpu_memory(needs: SiteNeeds, server: ServerNeeds, rows: list[GpuMachine], report: Report) -> None:
    least = min(row.gpu_memory_gib for row in rows) * _MIB
    classes = [
        name
        for name, clouds in CATALOG.items()
        if any(row.gpu_memory_gib * _MIB * _TIGHT >= server.peak_mib for row in clouds.get(needs.site.cloud, ()))
    ]
    if server.peak_mib > least:
        report.problem(
            f"pools.{server.pool}.gpu",
            f"version {server.version} of {server.model} does not fit the memory of the GPU",
            have=f"{least} MiB",
            need=f"{server.peak_mib:.0f} MiB",
            where=needs.name,
            fix=f"use one of {', '.join(classes)}"
            if classes
            else "make the model smaller: no GPU here is large enough",
        )
    elif server.peak_mib > least * _TIGHT:
        report.warning(
            f"site {needs.name}: version {server.version} of {server.model} took {server.peak_mib:.0f} MiB when it was "
            f"verified; the GPUs of pools.{server.pool} have {least} MiB, of which CUDA needs some itself"
        )


def _check_room(needs: SiteNeeds, pool: str, least: int, report: Report) -> None:
    room = sum(plan.max_nodes * _rows(needs, plan)[0].gpus for plan in needs.plans[pool])
    if least > room:
        report.problem(
            f"pools.{pool}.max",
            "every pod takes a whole GPU, and the models' fewest pods do not fit the most nodes",
            have=f"{room} GPUs",
            need=f"{least} pods",
            where=needs.name,
            fix=f"raise pools.{pool}.max, or lower replicas.min of the models in this pool",
        )


def _check_pool_memory(needs: SiteNeeds, pool: str, servers: list[ServerNeeds], report: Report) -> None:
    room = 0.0
    for plan in needs.plans[pool]:
        sizes = [allocatable(needs.site.cloud, row.vcpus, row.memory_gib) for row in _rows(needs, plan)]
        # Any of the machine types may be the one that there is; the largest decides what can never fit.
        room += plan.max_nodes * max((size[1] for size in sizes if size is not None), default=math.inf)
    _check_sum(needs, f"pools.{pool}", servers, room, report)


def _check_sum(needs: SiteNeeds, pool: str, servers: list[ServerNeeds], room_mib: float, report: Report) -> None:
    """Report servers whose fewest pods ask for more memory together than the most nodes of a pool have."""
    asked = sum(server.least * server.memory_mib for server in servers)
    if asked <= room_mib:
        return
    each = ", ".join(
        f"version {server.version} of {server.model} {server.least} x {server.memory_mib} MiB "
        f"({server.peak_mib:.0f} MiB measured)"
        for server in servers
    )
    report.problem(
        f"{pool}.max",
        f"the models' fewest pods do not fit the memory of the most nodes: {each}",
        have=f"{room_mib:.0f} MiB",
        need=f"{asked} MiB",
        where=needs.name,
        fix=f"raise {pool}.max, or lower replicas.min or resources.memoryMib of these models",
    )


def _check_cuda(needs: SiteNeeds, pool: str, report: Report) -> None:
    image = parse_image(needs.settings.images.server)
    kernels = _KERNELS.get(".".join((image.tag or "").split(".")[:2]))
    gpu = _rows(needs, needs.plans[pool][0])[0]
    major, minor = gpu.model.compute_capability
    if image.tag is not None and "gpu" not in image.tag:
        text = f"the image {image} is built without CUDA by its tag, and pools.{pool} has GPUs"
        if f"{image.registry}/{image.repository}" == OFFICIAL:
            fix = f"use {OFFICIAL}:{image.tag}-gpu, or leave pool out of the models"
            report.problem("images.server", text, where=needs.name, fix=fix)
        else:
            report.warning(f"site {needs.name}: {text}; models would compute on CPUs")
    elif kernels is None:
        report.warning(
            f"site {needs.name}: it is not known whether {image} has CUDA kernels for {gpu.gpu} "
            f"(compute capability {major}.{minor}); try it on one node first"
        )
    elif not any(have[0] == major and have[1] <= minor for have in kernels[0]):
        if kernels[1] > (major, minor):
            known = ", ".join(f"{a}.{b}" for a, b in kernels[0])
            report.problem(
                f"pools.{pool}.gpu",
                f"{image} has no CUDA kernels for {gpu.gpu}",
                have=known,
                need=f"{major}.{minor}",
                where=needs.name,
                fix="use another GPU class or another image",
            )
        else:
            report.warning(
                f"site {needs.name}: {image} has no CUDA kernels for {gpu.gpu} (compute capability {major}.{minor}) "
                "and compiles them when a model is loaded for the first time on a node, which takes minutes"
            )
