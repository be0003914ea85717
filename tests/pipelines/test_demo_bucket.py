"""The whole chain on a synthetic Antarctica, its results in a bucket."""

from typing import Any

import pytest

from pipelines.commands import demo_runs
from tests.fixtures.commands import last_line, nunatak
from tests.fixtures.seaweed import S3Store

SMALL: dict[str, Any] = {
    "J_MAX": 20,
    "HIGHEST_DEGREE": 96,
    "CELL_DEGREES": 1.0,
    "VELOCITY_KM": 20.0,
    "SPACING_KM": 40.0,
    "SHELVES": ("Cedar",),
    "SUMMERS": (2005, 2006),
    "SCENE_DAYS": 2,
    "SHELF_PIXELS": 512,
    "STEPS": 8,
}
"""A demo too coarse to judge, with everything of the other one in it."""


@pytest.mark.long
@pytest.mark.services
@pytest.mark.timeout(1200)
def test_the_demo_runs_in_a_bucket(
    s3_environment: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SMALL.items():
        monkeypatch.setattr(demo_runs, name, value)

    result = nunatak("demo", "--output", s3_environment.url("demo"), "--json")

    assert result.exit_code == 0, result.output
    assert len(last_line(result)["compared"]) == 31
    assert last_line(result)["output"] == s3_environment.url("demo")
    outputs = [each["output"] for each in last_line(result)["products"]]
    assert outputs == [s3_environment.url(f"demo/{name}") for name in demo_runs.PRODUCTS]
