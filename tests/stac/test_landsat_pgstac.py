"""A STAC API on PostgreSQL and a catalogue of files find the same Landsat scenes."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from stac.catalogue import open_catalogue
from stac.grids import footprint
from stac.landsat_products import PLATFORMS
from stac.landsat_search import Found, record, replay, search
from stac.registry import new_collection, rebuild_index, to_json
from tests.fixtures.pgstac import PgstacApi
from tests.stac.landsat_documents import modern, product

pytestmark = pytest.mark.services

COLLECTION = "landsat-scenes"
AMERY, ROSS, AMUNDSEN = (2.0e6, 7.0e5), (1.5e4, -1.2e6), (-1.6e6, -4.0e5)
ALWAYS: dict[str, tuple[date, date]] = {}
# Platform, day, cloud cover [%], centre [m], category, and half the size of the scene [m].
SCENES = [
    ("landsat-7", "2009-12-31", 5.0, AMERY, "T2", 9e4),
    ("landsat-7", "2012-01-05", 80.0, ROSS, "T2", 9e4),
    ("landsat-8", "2013-11-01", 80.5, AMERY, "T1", 9e4),
    ("landsat-8", "2020-01-05", 12.0, AMERY, "T2", 9e4),
    ("landsat-8", "2020-01-05", 11.0, AMERY, "RT", 9e4),
    ("landsat-8", "2020-02-29", None, AMERY, "T2", 9e4),
    ("landsat-8", "2020-03-31", 0.0, ROSS, "T2", 9e4),
    ("landsat-8", "2020-04-01", 0.0, ROSS, "T2", 9e4),
    ("landsat-8", "2019-12-24", 40.0, (0.0, 0.0), "T2", 3e5),
    ("landsat-9", "2021-11-01", 33.0, ROSS, "T1", 9e4),
    ("landsat-9", "2021-12-24", 55.5, (0.0, 0.0), "T2", 3e5),
    ("landsat-9", "2022-01-05", 79.9, AMUNDSEN, "T2", 9e4),
    ("landsat-9", "2022-01-06", 100.0, AMUNDSEN, "T2", 9e4),
]  # fmt: skip
REGIONS = {
    "Amery": shapely.box(1.95e6, 6.5e5, 2.05e6, 7.5e5),
    "Ross, across 180°": shapely.box(-3.0e4, -1.23e6, 3.0e4, -1.17e6),
    "the pole": shapely.Point(0.0, 0.0).buffer(5e4),
    "the corner of a box": shapely.Polygon([(1.9e6, 6e5), (2.5e6, 6e5), (2.5e6, 1.2e6)]),
    "everything": shapely.Point(0.0, 0.0).buffer(2.6e6),
}


def items() -> list[dict[str, Any]]:
    return [_item(number, *facts) for number, facts in enumerate(SCENES)]


def _item(
    number: int,
    platform: str,
    day: str,
    cloud: float | None,
    centre: tuple[float, float],
    category: str,
    half: float,
) -> dict[str, Any]:
    path, row = 100 + int(centre[0] / 1e5), 118
    when = f"{day}T0{number % 10}:21:07.123456Z"
    name = product(platform, when, path=path, row=row, category=category)
    x, y = centre
    shape = shapely.affinity.rotate(shapely.box(x - half, y - half, x + half, y + half), 31.0)
    return modern(name, when, platform=platform, shape=shape, cloud=cloud, place=(path, row),
                  category=category, collection=COLLECTION,
                  projection={"proj:code": "EPSG:3031"})  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a static catalogue of the scenes."""
    root = tmp_path_factory.mktemp("landsat")
    folder = root / COLLECTION
    documents = items()
    for item in documents:
        path = folder / item["id"] / f"{item['id']}.json"
        path.parent.mkdir(parents=True)
        # Static items keep their data beside them; links out of the catalogue are not followed.
        for asset in item["assets"].values():
            asset.pop("alternate")
            asset["href"] = "./" + asset["href"].rsplit("/", 1)[-1]
        path.write_bytes(to_json(item))
    (folder / "collection.json").write_bytes(to_json(new_collection(COLLECTION, "landsat")))
    link = {"rel": "child", "href": f"./{COLLECTION}/collection.json"}
    catalog = {"type": "Catalog", "id": "c", "stac_version": "1.0.0", "description": "scenes"}
    (root / "catalog.json").write_bytes(to_json({**catalog, "links": [link]}))
    assert rebuild_index(str(root), COLLECTION) == len(documents)
    return str(root)


@pytest.fixture(scope="module")
def api(pgstac_api: PgstacApi, files: str) -> str:
    """Return the address of the API after the scenes were loaded into it."""
    collection = json.loads(Path(files, COLLECTION, "collection.json").read_text())
    loaded = []
    for item in open_catalogue(files).search(COLLECTION):
        for asset in item.assets.values():
            asset.href = "file://" + asset.href
        loaded.append(item.to_dict(transform_hrefs=False))
    pgstac_api.load([collection], loaded)
    return pgstac_api.url


def found(url: str, region: shapely.Geometry, summer: int, **more: Any) -> Found:
    return search(
        open_catalogue(url), roi=footprint(region), summer=summer, collections=[COLLECTION], **more
    )


def told(answer: Found) -> str:
    """Return all that was found as text; a file's address may be written as a path or a URI."""
    return record(answer).decode().replace("file://", "")


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("summer", [2009, 2011, 2013, 2019, 2021, 2005])
def test_pgstac_and_the_files_find_the_same_scenes(api: str, files: str, region: str, summer: int):
    from_files = found(files, REGIONS[region], summer)
    from_api = found(api, REGIONS[region], summer)

    assert told(from_api) == told(from_files)
    assert from_api.rejected == from_files.rejected
    assert replay(record(from_api)) == from_api


def test_what_is_found_is_right(api: str):
    """By hand, from the table at the top."""

    def days(region: str, summer: int, **more: Any) -> list[str]:
        return [scene.start[:10] for scene in found(api, REGIONS[region], summer, **more).granules]

    assert days("Amery", 2019) == ["2020-01-05", "2020-02-29"]
    assert days("Ross, across 180°", 2019) == ["2020-03-31"]
    assert days("the pole", 2019) == ["2019-12-24"]
    assert days("the pole", 2021) == ["2021-12-24"]
    assert days("everything", 2021) == ["2021-11-01", "2021-12-24", "2022-01-05"]
    assert days("everything", 2021, most_cloud=100) == [
        "2021-11-01", "2021-12-24", "2022-01-05", "2022-01-06"]  # fmt: skip
    assert days("everything", 2021, platforms=["landsat-8"]) == []
    assert days("everything", 2005) == []


def test_cloudy_scenes_are_left_out_with_their_reason(api: str):
    ((name, reason),) = found(api, REGIONS["everything"], 2021).rejected

    assert name.startswith("LC09_L1GT_")
    assert reason == "cloud cover 100 % by its metadata, expected at most 80 %"


def test_the_repeated_acquisition_is_left_out_with_its_reason(api: str):
    ((name, reason),) = found(api, REGIONS["Amery"], 2019).rejected

    assert name.endswith("_RT")
    assert "the same acquisition as LC08" in reason


@given(
    corner=st.tuples(*2 * [st.integers(-25, 20)]),
    size=st.tuples(*2 * [st.integers(1, 20)]),
    summer=st.sampled_from([2009, 2011, 2013, 2019, 2021]),
    cloud=st.integers(0, 100),
    platforms=st.sets(st.sampled_from(PLATFORMS), min_size=1),
)
@settings(max_examples=15, deadline=None)
def test_any_region_is_answered_alike(
    api: str,
    files: str,
    corner: tuple[int, int],
    size: tuple[int, int],
    summer: int,
    cloud: int,
    platforms: set[str],
):
    (x, y), (width, height) = corner, size
    region = shapely.box(1e5 * x, 1e5 * y, 1e5 * (x + width), 1e5 * (y + height))
    asked = {"most_cloud": cloud, "platforms": sorted(platforms), "spans": ALWAYS}

    assert told(found(api, region, summer, **asked)) == told(found(files, region, summer, **asked))
