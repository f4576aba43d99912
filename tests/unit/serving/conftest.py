import pytest
from fake_sites import FakeDns, GrpcSite, RestSite, free_port

ADDRESSES = {"aws": "127.0.0.21", "gcp": "127.0.0.22", "azure": "127.0.0.23"}
WEIGHTS = {"aws": 50, "gcp": 30, "azure": 20}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("TRICORN_DOMAIN", "TRICORN_PORT", "TRICORN_DNS", "TRICORN_TLS", "TRICORN_MODELS"):
        monkeypatch.delenv(name, raising=False)


class World:
    """Three sites and their DNS."""

    def __init__(self, kind) -> None:
        self.port = free_port(*ADDRESSES.values())
        self.sites = {name: kind(name, address, self.port) for name, address in ADDRESSES.items()}
        self.dns = FakeDns({name: (address, WEIGHTS[name]) for name, address in ADDRESSES.items()}, self.port)

    def only(self, *names: str) -> None:
        """Let the public name lead to these sites."""
        self.dns.public = [ADDRESSES[name] for name in names]

    def asked(self) -> dict[str, int]:
        return {name: len(site.behaviour.requests) for name, site in self.sites.items()}

    def stop(self) -> None:
        self.dns.stop()
        for site in self.sites.values():
            site.stop()


@pytest.fixture
def world():
    made = World(GrpcSite)
    yield made
    made.stop()


@pytest.fixture
def rest_world():
    made = World(RestSite)
    yield made
    made.stop()
