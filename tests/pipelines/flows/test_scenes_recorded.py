"""A recorded search answers for what it was asked, and for nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest
import shapely

from pipelines.flows.catalogue_inputs import InputError
from stac import grids
from stac.catalogue import open_catalogue
from stac.landsat_search import RECORD, record, search

from .scenes_world import HAZEL_NORTH, ROI, Bay, Shot, bay, choose, found, planned

TAKEN = Shot("2014-12-10T12:00:00", seed=1)
CLOUDY = Shot("2014-12-20T12:00:00", path=8, cover=93.0, seed=2)
LATER = Shot("2016-12-10T12:00:00", seed=3)
SIDE_M = 30.0 * ROI.nx


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bay:
    return bay(tmp_path_factory.mktemp("bay"), [TAKEN, CLOUDY, LATER])


@pytest.fixture(scope="module")
def of_run(made: Bay, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The search of a run of Rowan, 2014."""
    return found(made.document(2014), tmp_path_factory.mktemp("run"))


def saved(made: Bay, area: shapely.Geometry, **asked: Any) -> bytes:
    """Return what ``nunatak search --save`` writes of 2014."""
    catalogue = open_catalogue(str(made.catalogue))
    roi = grids.footprint(area)
    return record(search(catalogue, roi=roi, summer=2014, collections=["landsat"], **asked))


def rowan() -> shapely.Geometry:
    return shapely.box(*ROI.bounds).buffer(-500.0)


def replayed(made: Bay, data: bytes, folder: Path, summer: int = 2014, **choices: Any) -> Any:
    path = folder / "search.json"
    path.write_bytes(data)
    document = made.document(summer, inputs={"landsat": [], "recorded": str(path)})
    return planned(choose(document, **choices), folder)


def ids(plan: Any) -> list[str]:
    return [item.id for item in plan.inputs if item.role == "landsat"]


def test_a_run_records_which_summers_it_searched(of_run: bytes) -> None:
    asked = json.loads(of_run)[RECORD]["asked"]

    assert asked == {
        "summers": ["rowan/2014"],
        "platforms": ["landsat-7", "landsat-8", "landsat-9"],
        "most_cloud": 80,
        "period": ["2014-11-01", "2015-03-31"],
    }


def test_what_was_searched_is_replayed(made: Bay, of_run: bytes, tmp_path: Path) -> None:
    assert ids(replayed(made, of_run, tmp_path)) == [TAKEN.id]
    assert ids(replayed(made, saved(made, rowan()), tmp_path)) == [TAKEN.id]


def test_the_search_of_a_replay_can_be_replayed(made: Bay, of_run: bytes, tmp_path: Path) -> None:
    path = tmp_path / "first.json"
    path.write_bytes(of_run)
    document = made.document(2014, inputs={"landsat": [], "recorded": str(path)})

    again = found(document, tmp_path)

    assert json.loads(again)["features"] == json.loads(of_run)["features"]
    assert ids(replayed(made, again, tmp_path)) == [TAKEN.id]


def test_another_summer_was_never_searched(made: Bay, of_run: bytes, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"covers rowan/2014 only, not rowan/2016; search again"):
        replayed(made, of_run, tmp_path, 2016)


def test_another_shelf_was_never_searched(made: Bay, of_run: bytes, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="covers rowan/2014 only, not hazel/2014"):
        replayed(made, of_run, tmp_path, shelves=["Rowan", "Hazel"])


def test_a_saved_search_covers_its_summer(made: Bay, tmp_path: Path) -> None:
    said = "covers the summer 2014 of the region that was searched only, not rowan/2016"
    with pytest.raises(InputError, match=said):
        replayed(made, saved(made, rowan()), tmp_path, 2016)


def test_a_saved_search_covers_its_region(made: Bay, tmp_path: Path) -> None:
    west, _, east, north = ROI.bounds
    hazel = shapely.box(west, HAZEL_NORTH - SIDE_M, east, HAZEL_NORTH)
    half = shapely.box(west, north - SIDE_M / 2, east, north)

    for elsewhere in (hazel, half):
        with pytest.raises(InputError, match="not rowan/2014"):
            replayed(made, saved(made, elsewhere), tmp_path)
    both = shapely.union(hazel, rowan())
    assert ids(replayed(made, saved(made, both), tmp_path, shelves=["Rowan", "Hazel"]))


@pytest.mark.parametrize(
    ("asked", "choices", "said"),
    [
        ({}, {"most_cloud": 95}, "at most 80 % cloud, expected 95 %"),
        ({"platforms": ["landsat-8"]}, {}, "not asked for landsat-7, landsat-9"),
    ],
)
def test_a_record_of_a_narrower_question_is_refused(
    made: Bay, tmp_path: Path, asked: dict[str, Any], choices: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        replayed(made, saved(made, rowan(), **asked), tmp_path, **choices)


def test_a_record_of_a_wider_question_is_taken(made: Bay, tmp_path: Path) -> None:
    wide = saved(made, rowan().buffer(1e5), most_cloud=100.0)

    plan = replayed(made, wide, tmp_path)

    assert ids(plan) == [TAKEN.id]
    assert any("cloudier than scenes.most_cloud (80 %): 1" in note for note in plan.notes)
    assert len(ids(replayed(made, wide, tmp_path, most_cloud=95))) == 2


def test_a_record_without_its_question_is_believed(
    made: Bay, of_run: bytes, tmp_path: Path
) -> None:
    document = json.loads(of_run)
    document[RECORD]["asked"] = {}

    plan = replayed(made, json.dumps(document).encode(), tmp_path, 2016)

    assert any("no scene was found for 1 of 1: rowan/2016" in note for note in plan.notes)


def test_cloudy_items_are_told_in_the_plan_and_in_the_search(made: Bay, tmp_path: Path) -> None:
    plan = planned(made.document(2014), tmp_path)
    told = json.loads(found(made.document(2014), tmp_path))[RECORD]["rejected"]

    assert any("cloudier than scenes.most_cloud (80 %): 1" in note for note in plan.notes)
    assert told == [[CLOUDY.id, "cloud cover 93 % by its metadata, expected at most 80 %"]]


def test_a_longer_part_of_the_summer_was_never_searched(made: Bay, tmp_path: Path) -> None:
    short = made.document(2014, period=["2014-12-01", "2015-01-31"])
    data = found(short, tmp_path)

    with pytest.raises(InputError, match="covers 2014-12-01 to 2015-01-31 only, not 2014-11-01 to"):
        replayed(made, data, tmp_path)
