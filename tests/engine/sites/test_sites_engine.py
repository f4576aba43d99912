"""Several sites per cloud and an existing cluster, in one stack."""

import json
from collections import Counter

import pytest

from tests.engine.sites.sites_run import healthy

pytestmark = pytest.mark.engine


@pytest.mark.timeout(900)
def test_two_regions_of_one_cloud_another_cloud_and_an_existing_cluster_serve_from_one_stack(sites):
    addresses = sites.outputs()["addresses"]
    assert addresses.keys() == {"virginia", "ireland", "iowa", "premises"}
    every = [address for found in addresses.values() for address in found]
    assert len(set(every)) == len(every)
    for site, found in addresses.items():
        assert all(map(healthy, found)), site
    sites.preview("--expect-no-changes")


def test_nothing_of_two_sites_has_the_same_physical_name(sites):
    state = [each for each in sites.state().values() if each.get("custom") and "providers" not in each["type"]]
    names = Counter((each["type"], each["id"]) for each in state if not each["type"].startswith("kubernetes:"))
    assert not [name for name, count in names.items() if count > 1]


def test_the_kubeconfig_of_an_existing_cluster_is_in_no_state(sites):
    token = sites.kubeconfig.with_name("admin.token").read_text().strip()
    assert token
    assert token not in json.dumps(list(sites.state().values()))
    assert sites.outputs()["kubeconfigs"]["premises"] == str(sites.kubeconfig)
