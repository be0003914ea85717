"""What people and scripts see of ``nunatak search --summer``."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pipelines.cli import main
from stac import landsat_services
from stac.landsat_search import replay
from tests.stac.landsat_documents import modern, product
from tests.stac.stac_api_server import StacApiServer, running

AREA = ["--bbox", "-5,-80,5,-78"]


def items() -> list[dict[str, Any]]:
    made = []
    for day, cloud in ((5, 10.0), (6, 90.0), (7, None)):
        when = f"2020-01-{day:02d}T13:00:00Z"
        made.append(modern(product(when=when), when, cloud=cloud))
    del made[2]["assets"]["red"]
    return made


@pytest.fixture
def usgs(monkeypatch: pytest.MonkeyPatch) -> Iterator[StacApiServer]:
    """Serve a few scenes under the name of the real service."""
    with running(items(), filters=True) as server:
        ours = dataclasses.replace(landsat_services.SERVICES["usgs"], url=server.url)
        services = MappingProxyType({**landsat_services.SERVICES, "usgs": ours})
        monkeypatch.setattr(landsat_services, "SERVICES", services)
        yield server


def nunatak(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["search", *map(str, arguments)])


def test_scenes_of_a_service_are_listed_and_recorded(usgs: StacApiServer, tmp_path: Path):
    saved = tmp_path / "amery.json"

    result = nunatak("--service", "usgs", *AREA, "--summer", 2019, "--save", saved, "--json")

    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout.splitlines()[-1])
    assert (told["count"], told["service"]) == (1, "usgs")
    cells = result.stdout.splitlines()[1].split()[1:]
    assert cells == ["2020-01-05T13:00", "099/120", "10.0", "21.5"]
    assert "left out: LC08_L1GT_099120_20200107_20201016_02_T2: " in result.stderr
    assert "has no red" in told["rejected"][0]["reason"]
    assert [scene.id for scene in replay(saved.read_bytes()).granules] == [items()[0]["id"]]


def test_more_cloud_finds_more(usgs: StacApiServer):
    result = nunatak("--service", "usgs", *AREA, "--summer", 2019, "--cloud", 90, "--json")

    assert json.loads(result.stdout.splitlines()[-1])["count"] == 2


def test_any_catalogue_may_hold_scenes_and_tells_the_cloudy_ones(usgs: StacApiServer):
    result = nunatak("--catalogue", usgs.url, *AREA, "--summer", 2019, "--json")

    assert json.loads(result.stdout.splitlines()[-1])["service"] == "catalogue"
    clouded = "cloud cover 90 % by its metadata, expected at most 80 %"
    assert f"left out: LC08_L1GT_099120_20200106_20201016_02_T2: {clouded}" in result.stderr
    assert "1 scenes, 2 left out, 1 of them for clouds (--cloud 100 takes them)" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nowhere to search; give --catalogue URL, or --service NAME"),
        (["--service", "usgs"], "--service goes with --summer Y only"),
        (["--catalogue", "/nowhere", "--cloud", "3"], "--cloud goes with --summer Y only"),
        (["--catalogue", "/nowhere", "--save", "f"], "--save goes with --summer Y only"),
        (["--service", "usgs", "--summer", "2019"], "add --bbox W,S,E,N or --region"),
        (
            ["--service", "usgs", "--summer", "2019", "--region", "a/b"],
            "give --catalogue URL beside",
        ),
        (["--service", "usgs", *AREA, "--summer", "2019", "--limit", "3"], "--limit does not go"),
        (["--service", "usgs", *AREA, "--summer", "2019", "--filter", "x"], "--filter does not go"),
        (
            ["--service", "usgs", *AREA, "--summer", "2019", "--datetime", "x"],
            "--datetime does not",
        ),
        (
            ["--service", "usgs", "--catalogue", "a", *AREA, "--summer", "2019"],
            "searches one place",
        ),
        (["--service", "usg", *AREA, "--summer", "2019"], "did you mean 'usgs'"),
        (["--service", "usgs", *AREA, "--summer", "19"], "give the year of its November"),
        (["--service", "usgs", *AREA, "--summer", "2019", "--cloud", "-1"], "give 0 to 100"),
    ],
)
def test_conditions_that_do_not_go_together_are_refused(
    usgs: StacApiServer, arguments: list[str], said: str
):
    result = nunatak(*arguments)

    assert result.exit_code == 2
    assert said in result.stderr
