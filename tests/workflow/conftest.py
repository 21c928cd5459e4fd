"""A copy of the repository in which the oracle study was built, once for all tests that only look at it."""

import pytest
from house import copy_house, snakemake


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The folder of a built `smoke` study. Tests that edit it must put back what they changed."""
    folder = tmp_path_factory.mktemp("house") / "saggiatore"
    copy_house(folder)
    snakemake(folder, "--cores", "2", "--config", "studies=[smoke]")
    return folder
