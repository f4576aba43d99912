"""Several sites, up, for the tests of this folder; they are gone before the next folder's tests take the addresses."""

import pytest

from tests.engine.sites.sites_run import SitesRun, wait_healthy


@pytest.fixture(scope="package")
def sites(tmp_path_factory):
    """Sites that serve. Every test leaves all of them up with the settings of the start, or says why not."""
    run = SitesRun(tmp_path_factory.mktemp("sites"))
    try:
        run.up()
        # The engine is done when the gateways have taken their objects; their proxies follow within seconds.
        wait_healthy([address for found in run.outputs()["addresses"].values() for address in found], 30)
        yield run
    finally:
        run.close()
