"""What a preview finds in the settings alone: models and machines, names, networks, images, examples left in place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from components._preflight_models import check_containers, check_models, check_system_pool
from components._preflight_report import Report, ServerNeeds, SiteNeeds
from components._preflight_static import check_examples, check_images, check_names, check_networks
from components._stack_pools import pool_problems, site_plans
from serving.settings import parse_settings
from tests.components.preflight_settings import SITES, raw

ROOT = Path(__file__).resolve().parents[2]


def needs(site: str = "aws", *, server: dict[str, Any] | None = None, **changes: Any) -> SiteNeeds:
    settings = parse_settings(raw(site, **changes))
    (name,) = settings.sites
    given = {"model": "scenes", "version": 1, "pool": "t4", "cpu": 1, "memory_mib": 1024, "peak_mib": 300, "least": 1}
    servers = [ServerNeeds(**{**given, **server})] if server is not None else []
    return SiteNeeds(name, settings.sites[name], settings, None, site_plans(name, settings), servers)


def models(site: str = "aws", *, server: dict[str, Any] | None = None, **changes: Any) -> Report:
    report = Report()
    check_models(needs(site, server=server or {}, **changes), report)
    return report


@pytest.mark.parametrize("site", SITES)
def test_a_small_model_on_a_t4_is_fine(site):
    assert models(site) == Report()


@pytest.mark.parametrize("site", SITES)
def test_a_model_larger_than_the_gpu_is_told_with_the_classes_that_hold_it(site):
    (problem,) = models(site, server={"peak_mib": 17_000}).problems
    assert problem.startswith("pools.t4.gpu: version 1 of scenes does not fit the memory of the GPU (have 16384 MiB, ")
    assert f"need 17000 MiB, at {site}" in problem
    classes = {"aws": "L4-class, A10G-class", "gcp": "L4-class, A100-40", "azure": "A10G-class, A100-40"}
    assert f"; use one of {classes[site]}" in problem
    assert "T4-class" not in problem.rpartition(";")[2]


def test_a_model_that_nearly_fills_the_gpu_is_a_warning():
    report = models(server={"peak_mib": 15_000})
    assert not report.problems
    assert "took 15000 MiB when it was verified; the GPUs of pools.t4 have 16384 MiB" in report.warnings[0]


def test_a_server_that_asks_for_all_cpus_of_a_machine_can_never_run_there():
    (problem,) = models("gcp", server={"cpu": 4}).problems
    assert problem.startswith("models.scenes.resources.cpu: version 1 does not fit a n1-standard-4")
    assert "have 3.92 CPUs, need 4 CPUs, at gcp" in problem
    assert "no T4-class machine of gcp is large enough" in problem


def test_a_server_too_large_for_the_first_machine_type_is_told_which_ones_hold_it():
    (problem, *_) = models("aws", server={"memory_mib": 20_000}).problems
    assert "have 15842 MiB, need 20000 MiB, at aws" in problem
    assert problem.endswith("or set pools.t4.overrides.aws.machines to [g4dn.2xlarge]")
    machines = {"t4": {"gpu": "T4-class", "max": 2, "overrides": {"aws": {"machines": ["g4dn.2xlarge"]}}}}
    assert not models("aws", server={"memory_mib": 20_000}, pools=machines).problems


def test_more_pods_than_gpus_would_wait_for_ever():
    (problem,) = models(server={"least": 3}).problems
    assert problem.startswith("pools.t4.max: every pod takes a whole GPU")
    assert "have 2 GPUs, need 3 pods" in problem


def test_an_image_without_cuda_on_a_gpu_pool_is_told():
    (problem,) = models(images={"server": "docker.io/tensorflow/serving:2.20.0"}).problems
    assert problem.startswith("images.server: ")
    assert problem.endswith("use docker.io/tensorflow/serving:2.20.0-gpu, or leave pool out of the models")


@pytest.mark.parametrize("image", ["registry.acme.dev/serving:2.20.0", "registry.acme.dev/serving:9.1-gpu"])
def test_an_image_of_unknown_make_is_a_warning(image):
    report = models(images={"server": image})
    assert not report.problems
    assert len(report.warnings) == 1
    assert image in report.warnings[0]


def test_an_image_too_old_for_the_gpu_is_told(monkeypatch):
    monkeypatch.setattr("components._preflight_models._KERNELS", {"2.20": (((6, 0), (8, 9)), (9, 0))})
    (problem,) = models().problems
    assert "has no CUDA kernels for T4 (have 6.0, 8.9, need 7.5, at aws)" in problem


def test_an_h100_compiles_its_kernels_when_a_model_is_loaded():
    report = models(pools={"t4": {"gpu": "H100", "max": 2}})
    assert not report.problems
    assert "no CUDA kernels for H100 (compute capability 9.0) and compiles them" in report.warnings[0]


@pytest.mark.parametrize("gpu", ["T4-class", "L4-class", "A10G-class", "A100-40", "A100-80"])
def test_the_pinned_image_has_kernels_for_every_other_class(gpu):
    assert models(pools={"t4": {"gpu": gpu, "max": 8}}) == Report()


def test_a_server_without_a_pool_must_fit_the_pool_without_gpus():
    report = Report()
    check_system_pool(needs(server={"pool": None, "cpu": 8}), "m7i.xlarge", 4, 16, report)
    assert report.problems[0].endswith("or name a larger machine in systemPool.machine.aws")


def containers(memory_mib, peak_mib):
    report = Report()
    check_containers(needs(server={"memory_mib": memory_mib, "peak_mib": peak_mib}), report)
    return report


def test_a_container_with_less_memory_than_its_model_took_is_told_with_all_that_mends_it():
    (problem,) = containers(512, 700.5).problems
    assert problem == (
        "models.scenes.resources.memoryMib: version 1 took 700 MiB when it was verified, and its container would be "
        "killed while it loads (have 512 MiB, need 701 MiB, at aws); leave models.scenes.resources.memoryMib out, "
        "which gives twice what was measured, or raise it"
    )


@pytest.mark.parametrize(("memory_mib", "warnings"), [(700, 1), (874, 1), (876, 0), (1536, 0)])
def test_a_container_that_its_model_fills_is_a_warning(memory_mib, warnings):
    report = containers(memory_mib, 700)
    assert not report.problems
    assert len(report.warnings) == warnings
    if warnings:
        assert f"memoryMib is {memory_mib} MiB, and version 1 took 700 MiB when it was verified" in report.warnings[0]


def test_models_that_together_need_more_memory_than_the_pool_without_gpus_has_are_named():
    few = {"systemPool": {"max": 2}}
    report = Report()
    check_system_pool(
        needs(server={"pool": None, "memory_mib": 15_000, "least": 2}, **few), "m7i.xlarge", 4, 16, report
    )
    assert report == Report()
    site = needs(server={"pool": None, "memory_mib": 11_000, "peak_mib": 5_400, "least": 3}, **few)
    check_system_pool(site, "m7i.xlarge", 4, 16, report)
    (problem,) = report.problems
    assert problem == (
        "systemPool.max: the models' fewest pods do not fit the memory of the most nodes: version 1 of scenes "
        "3 x 11000 MiB (5400 MiB measured) (have 31684 MiB, need 33000 MiB, at aws); raise systemPool.max, or lower "
        "replicas.min or resources.memoryMib of these models"
    )


def test_models_that_together_need_more_memory_than_a_gpu_pool_has_are_named():
    # Two machines of four GPUs each: eight pods have a GPU, and no room.
    machines = {"t4": {"gpu": "T4-class", "max": 2, "overrides": {"aws": {"machines": ["g4dn.12xlarge"]}}}}
    report = models("aws", server={"least": 8, "memory_mib": 49_500}, pools=machines)
    assert not models("aws", server={"least": 8, "memory_mib": 49_000}, pools=machines).problems
    (problem,) = report.problems
    assert problem.startswith(
        "pools.t4.max: the models' fewest pods do not fit the memory of the most nodes: version 1"
    )
    assert "8 x 49500 MiB (300 MiB measured)" in problem
    assert problem.endswith("raise pools.t4.max, or lower replicas.min or resources.memoryMib of these models")


def test_names_that_a_cloud_would_refuse_are_told_with_how_much_to_cut():
    long = {"sites": {"a-long-name-for-site": SITES["gcp"]}, "pools": {"abcdefgh": {"gpu": "T4-class", "max": 2}}}
    report = Report()
    check_names(needs("gcp", **long, models={}), report)
    system, pool = report.problems
    assert system.startswith("sites.a-long-name-for-site: the name of the GKE node pool would be too long")
    assert system.endswith("(have 40 characters, need 41, at a-long-name-for-site); shorten the name of the site by 1")
    assert pool.startswith("sites.a-long-name-for-site, pools.abcdefgh: ")
    assert pool.endswith("shorten the name of the site or the pool by 3")


def test_the_resource_group_that_aks_makes_has_a_name_too():
    site = {**SITES["azure"], "location": "southafricanorth"}
    report = Report()
    check_names(needs("azure", sites={"a-long-name-for-site": site}), report)
    (problem,) = report.problems
    assert "have 80 characters" in problem
    cut = int(problem.rpartition(" ")[2])
    report = Report()
    check_names(needs("azure", sites={"a-long-name-for-site"[:-cut]: site}), report)
    assert not report.problems


@pytest.mark.parametrize("cidr", ["10.64.0.0/16", "10.66.0.0/16", "10.68.0.0/20"])
def test_a_network_that_overlaps_the_pods_of_its_own_cluster_is_told(cidr):
    site = needs("gcp", sites={"gcp": {**SITES["gcp"], "cidr": cidr}})
    report = Report()
    check_networks([site], {}, {"gcp": ("10.64.0.0/14", "10.68.0.0/20")}, report)
    assert report.problems[0].startswith(f"sites.gcp.cidr: {cidr} overlaps ")


def test_sites_that_share_a_default_network_are_a_warning_for_nothing_connects_them():
    two = [needs("aws", sites={name: SITES["aws"]}) for name in ("east", "west")]
    report = Report()
    check_networks(two, {"aws": "10.10.0.0/16"}, {}, report)
    assert not report.problems
    assert report.warnings[0].startswith("sites east and west: their networks 10.10.0.0/16 and 10.10.0.0/16 overlap")


def test_aws_without_a_docker_hub_token_and_a_placeholder_digest_are_warnings():
    images = {"server": f"docker.io/tensorflow/serving:2.20.0-gpu@sha256:{'0' * 64}"}
    report = Report()
    check_images(needs(images=images).settings, [needs(images=images)], report)
    assert [line.partition(":")[0] for line in report.warnings] == ["images.server", "images.server", "images.puller"]
    assert "is a placeholder" in report.warnings[0]
    assert "set images.dockerHubSecret" in report.warnings[1]
    report = Report()
    check_images(needs("gcp", images={}).settings, [needs("gcp", images={})], report)
    assert not report.warnings


@pytest.mark.parametrize(("stack", "count"), [("local", 0), ("dev", 2), ("prod", 7)])
def test_what_the_example_files_leave_to_fill_in_is_a_warning(stack, count):
    settings = parse_settings(yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]["tricorn:settings"])
    sites = [SiteNeeds(name, site, settings, None, {}, ()) for name, site in settings.sites.items()]
    report = Report()
    check_examples(settings, sites, report)
    assert len(report.warnings) == count
    assert all("set your own" in line for line in report.warnings)


def test_pools_that_a_cloud_cannot_have_name_the_field_and_the_site():
    block = {"reservation": {"id": "x", "kind": "capacity-block"}}
    pools = {
        "a": {"gpu": "L4-class", "max": 1, "accept": ["T4-class"]},
        "b": {"gpu": "T4-class", "max": 1, "overrides": {"gcp": {"machines": ["g2-standard-4"]}}},
        "c": {"gpu": "A10G-class", "max": 1},
        "d": {"gpu": "T4-class", "max": 1, "overrides": {"azure": block}},
        "e": {"gpu": "T4-class", "max": 4, "overrides": {"azure": {"min": 3}, "eu": {"max": 2}}},
    }
    sites = {"aws": SITES["aws"], "gcp": SITES["gcp"], "eu": SITES["azure"]}
    found = pool_problems(parse_settings(raw(sites=sites, pools=pools, models={})))
    assert [(line.partition(": ")[0], line.rpartition("at site ")[2]) for line in found] == [
        ("pools.b.machines", "gcp)"),
        ("pools.c.gpu", "gcp)"),
        ("pools.d.reservation.kind", "eu)"),
        ("pools.e.min", "eu)"),
    ]
    assert "n1-standard-4" in found[0]
    assert "(got 'A10G-class', needed at site gcp)" in found[1]


@pytest.mark.parametrize(
    ("site", "zones", "words"),
    [
        ("aws", ["us-east-1a", "us-west-2a"], "must be zones of us-east-1 (got us-west-2a)"),
        ("gcp", ["us-east1-b"], "must be zones of us-central1 (got us-east1-b)"),
        ("azure", ["1", "4"], "must be 1, 2 or 3 (got 4)"),
    ],
)
def test_a_pool_in_a_zone_of_another_region_is_refused(site, zones, words):
    pools = {"t4": {"gpu": "T4-class", "max": 1, "overrides": {site: {"zones": zones}}}}
    assert pool_problems(parse_settings(raw(site, pools=pools))) == [
        f"pools.t4.overrides.{site}.zones: {words}; name zones of the site"
    ]
