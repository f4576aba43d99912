import ipaddress
import itertools

import pytest

from localcloud import addresses
from localcloud.paths import CLOUDS


def test_every_simulated_range_maps_into_loopback_and_ranges_do_not_meet():
    networks = []
    for cloud, number in itertools.product(CLOUDS, (1, 2, 9)):
        networks += [addresses.pod_network(cloud, number), addresses.service_network(cloud, number)]
    for one, other in itertools.combinations(networks, 2):
        assert not one.overlaps(other), (one, other)
    for network in networks:
        mapped = ipaddress.ip_address(addresses.to_loopback(str(network.network_address + 5)))
        assert mapped.is_loopback


def test_public_addresses_are_disjoint_and_documentation_only():
    seen: set[str] = set()
    for cloud in CLOUDS:
        own = set(addresses.public_addresses(cloud))
        assert len(own) == addresses.PUBLIC_ADDRESSES_PER_CLOUD
        assert not own & seen
        seen |= own
    assert all(ipaddress.ip_address(each) in ipaddress.ip_network("203.0.113.0/24") for each in seen)


def test_loopback_stays_and_anything_else_is_refused():
    assert addresses.to_loopback("127.0.2.1") == "127.0.2.1"
    assert addresses.to_loopback("203.0.113.20") == "127.113.0.20"
    assert addresses.to_loopback("10.111.3.4") == "127.111.3.4"
    with pytest.raises(ValueError, match=r"8\.8\.8\.8"):
        addresses.to_loopback("8.8.8.8")
