"""Fixtures of the engine tests."""

import pytest

from tests.engine.sites_run import SitesRun


@pytest.fixture(scope="session")
def sites(tmp_path_factory):
    """Several sites, up. The tests that use it leave all of them up; they run in the order of their files."""
    run = SitesRun(tmp_path_factory.mktemp("sites"))
    try:
        run.up()
        yield run
    finally:
        run.close()
