"""Several sites, up, for the tests of this folder; they are gone before the next folder's tests take the addresses."""

import pytest

from tests.engine.sites.sites_run import Asking, SitesRun, wait_healthy

PATIENCE_S = 30
"""An update is done when the gateways have taken their objects; their proxies follow within seconds."""


@pytest.fixture(scope="package")
def sites(tmp_path_factory):
    """Sites that serve, the last of them added to the others; `added` is what that was like.

    Every test leaves all of them up, with settings that give each a share.
    """
    run = SitesRun(tmp_path_factory.mktemp("sites"))
    try:
        run.with_sites("virginia", "ireland", "premises")
        run.up()
        wait_healthy(addresses(run), PATIENCE_S)
        run.settings = run.base()
        with Asking("aws", "gcp") as asking:
            run.up()
        run.added = (asking, run.steps(), set(run.outputs()["addresses"]["iowa"]))
        wait_healthy(addresses(run), PATIENCE_S)
        yield run
    finally:
        run.close()


def addresses(run):
    return [address for found in run.outputs()["addresses"].values() for address in found]
