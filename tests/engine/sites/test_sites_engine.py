"""Several sites per cloud and an existing cluster, in one stack."""

import base64
import http.client
import json
from collections import Counter

import pytest

from localcloud.addresses import to_loopback
from tests.e2e.conftest import photo
from tests.engine.sites.sites_run import DOMAIN, PORT, healthy

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]


def test_two_regions_of_one_cloud_another_cloud_and_an_existing_cluster_serve_from_one_stack(sites):
    addresses = sites.outputs()["addresses"]
    assert addresses.keys() == {"virginia", "ireland", "iowa", "premises"}
    every = [address for found in addresses.values() for address in found]
    assert len(set(every)) == len(every)
    for site, found in addresses.items():
        assert all(map(healthy, found)), site
    sites.preview("--expect-no-changes")


def test_every_address_predicts(sites):
    body = json.dumps({"instances": [{"b64": base64.b64encode(photo("chelsea.png").read_bytes()).decode()}]})
    for address in (address for found in sites.outputs()["addresses"].values() for address in found):
        link = http.client.HTTPConnection(to_loopback(address), PORT, timeout=30)
        link.request("POST", "/v1/models/scenes:predict", body, {"Host": DOMAIN, "Content-Type": "application/json"})
        answer = link.getresponse()
        text = answer.read().decode()
        link.close()
        assert answer.status == 200, (address, text)
        assert json.loads(text)["predictions"]


def test_nothing_of_two_sites_has_the_same_physical_name(sites):
    state = [each for each in sites.state().values() if each.get("custom") and "providers" not in each["type"]]
    names = Counter((each["type"], each["id"]) for each in state if not each["type"].startswith("kubernetes:"))
    assert not [name for name, count in names.items() if count > 1]


def test_the_kubeconfig_of_an_existing_cluster_is_in_no_state(sites):
    token = sites.kubeconfig.with_name("admin.token").read_text().strip()
    assert token
    assert token not in json.dumps(list(sites.state().values()))
    assert sites.outputs()["kubeconfigs"]["premises"] == str(sites.kubeconfig)
