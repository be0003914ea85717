"""Workers of both engines killed every few seconds: nothing lost, nothing twice. The large one is
``python -m tests.benchmarks.soak``."""

import logging
from dataclasses import replace

import pytest

from tests.benchmarks.soak import Course, Found, faults, on_dask, on_ray, read_back, soak

COUNT = 240


def soaked(engine, url: str):
    with engine() as (workforce, victims):
        return soak(workforce, victims, url, count=COUNT, seconds=0.05, every=1.2, seed=3, most=4)


def course_of(count: int, per_key: float) -> Course:
    """Return a course whose memory grows by so much a key [KiB]."""
    done = [count * n // 100 for n in range(101)]
    memory = [150.0 + per_key * each / 1024 for each in done]
    return Course([float(n) for n in range(101)], memory, done, kills=[3.0])


WHOLE = Found(lost=0, double=0, chunks_lost=0, chunks_wrong=0, commits=9)


@pytest.mark.parametrize(("per_key", "is_too_much"), [(1.5, False), (7.0, True)])
def test_a_driver_that_keeps_more_of_a_key_than_its_receipt_is_found_out(per_key, is_too_much):
    said = faults(course_of(10_000, per_key), WHOLE)

    assert bool(said) == is_too_much
    assert all("of 10000 keys, at most 23.0 MiB were expected" in each for each in said)


@pytest.mark.parametrize("name", ["lost", "double", "chunks_lost", "chunks_wrong"])
def test_whatever_is_lost_or_double_or_wrong_is_a_fault(name):
    said = faults(course_of(1000, 1.0), replace(WHOLE, **{name: 1}))

    assert said == [f"1 {name.replace('_', ' ')}"]


def test_a_soak_without_a_kill_shows_nothing():
    course = course_of(1000, 1.0)
    course.kills.clear()

    assert faults(course, WHOLE) == ["no worker was killed"]


@pytest.mark.long
@pytest.mark.services
def test_dask_workers_killed_while_they_write_to_s3_lose_no_key_and_double_none(
    s3_environment, caplog
):
    caplog.set_level(logging.CRITICAL)
    url = s3_environment.url("soak/product.icechunk")

    course = soaked(on_dask, url)

    assert not faults(course, read_back(url, COUNT))


@pytest.mark.long
@pytest.mark.ray
@pytest.mark.services
def test_ray_workers_killed_while_they_write_lose_no_key_and_double_none(tmp_path):
    url = str(tmp_path / "product.icechunk")

    course = soaked(on_ray, url)

    assert not faults(course, read_back(url, COUNT))
