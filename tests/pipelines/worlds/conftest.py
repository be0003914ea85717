"""One world and its files for the tests of this folder."""

import pytest

from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.gravity_files import WrittenGravity, write_gravity

WRITTEN_DEGREE = 20


@pytest.fixture(scope="session")
def world() -> Antarctica:
    return Antarctica()


@pytest.fixture(scope="session")
def written(world: Antarctica, tmp_path_factory: pytest.TempPathFactory) -> WrittenGravity:
    folder = tmp_path_factory.mktemp("gravity")
    return write_gravity(world, folder, months=16, j_max=WRITTEN_DEGREE)
