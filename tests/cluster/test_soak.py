"""Workers of both engines killed every few seconds: nothing lost, nothing twice. The large one is
``python -m tests.benchmarks.soak``."""

import logging

import pytest

from tests.benchmarks.soak import on_dask, on_ray, read_back, soak

COUNT = 240


def soaked(engine, url: str):
    with engine() as (workforce, victims):
        return soak(workforce, victims, url, count=COUNT, seconds=0.05, every=1.2, seed=3, most=4)


@pytest.mark.slow
@pytest.mark.services
def test_dask_workers_killed_while_they_write_to_s3_lose_no_key_and_double_none(
    s3_environment, caplog
):
    caplog.set_level(logging.CRITICAL)
    url = s3_environment.url("soak/product.icechunk")

    course = soaked(on_dask, url)

    assert course.kills
    assert read_back(url, COUNT).is_whole


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.services
def test_ray_workers_killed_while_they_write_lose_no_key_and_double_none(tmp_path):
    url = str(tmp_path / "product.icechunk")

    course = soaked(on_ray, url)

    assert course.kills
    assert read_back(url, COUNT).is_whole
