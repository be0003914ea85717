"""The scenes of a region and a summer: what is found, what is left out and why, and replays."""

import dataclasses
import json
import random
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pystac
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from stac import landsat_footprints, landsat_services
from stac.catalogue import CatalogueError, UnreachableError, open_catalogue
from stac.document_catalogue import DocumentCatalogue, items_from_documents
from stac.grids import footprint
from stac.landsat_items import item_document
from stac.landsat_search import (
    RECORD,
    Found,
    LandsatSearchError,
    Question,
    choose,
    record,
    replay,
    search,
)
from stac.landsat_services import ServiceError, collections_of
from stac.queries import QueryError
from stac.registry import new_collection, rebuild_index, to_json
from stac.retrying import LONGEST_WAIT_S
from tests.stac.landsat_documents import corners, modern, old_usgs, planetary, product, scene_box
from tests.stac.stac_api_server import StacApiServer, running

AMERY = shapely.box(-1.0e5, 1.1e6, 1.0e5, 1.3e6)
ROI = footprint(AMERY)
ROSS = shapely.box(-2.0e4, -1.22e6, 2.0e4, -1.18e6)


def documents(*items: dict[str, Any]) -> DocumentCatalogue:
    return DocumentCatalogue(
        "/made/up", tuple((f"/made/up/{n}.json", i) for n, i in enumerate(items))
    )


def find(
    *items: dict[str, Any], roi: dict[str, Any] = ROI, summer: int = 2019, **more: Any
) -> Found:
    return search(documents(*items), roi=roi, summer=summer, **more)


def ids(found: Found) -> list[str]:
    return [scene.id for scene in found.granules]


def scene(
    when: str = "2020-01-05T13:00:00Z", platform: str = "landsat-8", **more: Any
) -> dict[str, Any]:
    """Return an item whose id and properties agree."""
    told = {key: more.pop(key) for key in ("processed", "category", "collection", "correction")
            if key in more}  # fmt: skip
    path, row = more.pop("place", (99, 120))
    name = product(platform, when, path=path, row=row, **told)
    number = f"{told.get('collection', 2):02d}"
    return modern(name, when, platform=platform, place=(path, row),
                  category=told.get("category", "T2"), number=number, **more)  # fmt: skip


def on(day: str, **more: Any) -> dict[str, Any]:
    return scene(f"{day}T13:00:00Z", **more)


@pytest.mark.parametrize(
    ("when", "taken"),
    [
        ("2019-10-31T23:59:59.999Z", False),
        ("2019-11-01T00:00:00Z", True),
        ("2020-02-29T12:00:00Z", True),
        ("2020-03-31T23:59:59.999Z", True),
        ("2020-04-01T00:00:00Z", False),
    ],
)
def test_a_summer_is_november_to_march_inclusive(when: str, taken: bool):
    assert ids(find(scene(when))) == ([product(when=when)] if taken else [])


def test_a_summer_of_a_common_year_ends_in_march_too():
    assert (
        len(find(on("2021-02-28"), on("2021-03-31"), on("2021-04-01"), summer=2020).granules) == 2
    )


def test_clouds_at_most_and_unknown_clouds_are_taken():
    covers = [0.0, 80.0, 80.01, None, -1.0]
    items = [on(f"2020-01-{day:02d}", cloud=cover) for day, cover in enumerate(covers, start=1)]

    found = find(*items)

    assert ids(found) == [items[0]["id"], items[1]["id"], items[3]["id"], items[4]["id"]]
    assert [str(each.cloud_cover) for each in found.granules] == ["0.0", "80.0", "nan", "nan"]
    assert found.rejected == (
        (items[2]["id"], "cloud cover 80.01 % by its metadata, expected at most 80 %"),
    )
    assert found.clouded == 1
    everything = find(*items, most_cloud=100)
    assert (len(everything.granules), everything.rejected, everything.clouded) == (5, (), 0)


def test_clouds_are_told_of_scenes_that_answer_all_else_only():
    cloudy = {"cloud": 99.0}
    items = [on("2018-12-05", **cloudy), on("2019-12-05", shape=scene_box(2e6), **cloudy),
             on("2021-12-05", platform="landsat-9", **cloudy)]  # fmt: skip

    assert find(*items, platforms=["landsat-8"]).rejected == ()


def test_a_scene_that_meets_the_box_of_the_roi_and_not_the_roi_is_no_answer():
    corner = shapely.Polygon([(-2e5, 1.0e6), (2e5, 1.0e6), (2e5, 1.4e6)])
    inside, beside = scene_box(1.5e5, 1.1e6, half=1e4), scene_box(-1.5e5, 1.35e6, half=1e4)
    assert shapely.box(*corner.bounds).intersects(beside)

    found = find(on("2020-01-01", shape=inside), on("2020-01-02", shape=beside),
                 roi=footprint(corner))  # fmt: skip

    assert [each.moment.day for each in found.granules] == [1]
    assert found.rejected == ()


def test_a_scene_that_shares_an_edge_only_is_no_answer():
    beside = shapely.box(1.0e5, 1.1e6, 2.0e5, 1.3e6)

    assert not landsat_footprints.meets(AMERY, beside)
    assert landsat_footprints.meets(AMERY, beside.buffer(1.0))


@pytest.mark.parametrize("x", [-8e4, 0.0, 8e4])
def test_a_scene_joined_the_long_way_round_is_found_beside_180(x: float):
    """USGS joins corners across 180° as they come: in degrees that polygon is the complement."""
    across = on("2020-01-01")
    across["geometry"] = corners(scene_box(x, -1.2e6))
    longitudes = [longitude for longitude, _ in across["geometry"]["coordinates"][0]]
    assert max(longitudes) - min(longitudes) > 300.0
    roi = footprint(ROSS)

    assert ids(find(across, roi=roi)) == [across["id"]]
    assert ids(find(across)) == [], "and not on the other side of the continent"


def test_the_area_that_is_asked_for_holds_the_roi_and_never_crosses_180():
    for shape in (AMERY, ROSS, shapely.box(-3e5, -3e5, 3e5, 3e5), AMERY.difference(scene_box())):
        roi = footprint(shape)
        asked = shapely.geometry.shape(landsat_footprints.asked_area(roi))
        assert asked.buffer(1e-6).covers(shapely.geometry.shape(roi))
        assert all(-180.0 <= part.bounds[0] <= part.bounds[2] <= 180.0
                   for part in shapely.get_parts(asked))  # fmt: skip
        assert shapely.get_num_coordinates(asked) < 1000


def test_a_region_of_the_north_is_compared_in_degrees():
    greenland = {"type": "Point", "coordinates": [-45.0, 72.0]}
    item = old_usgs(product(correction="L2SP"), "landsat-8", "2020-01-05", shape=scene_box())
    item["geometry"] = dict(shapely.geometry.mapping(shapely.box(-46, 71, -44, 73)))

    assert ids(find(item, roi=greenland)) == [item["id"]]
    assert ids(find(item, roi={"type": "Point", "coordinates": [-40.0, 72.0]})) == []


@pytest.mark.parametrize(
    ("platform", "day", "taken"),
    [
        ("landsat-7", "1999-11-30", False),
        ("landsat-7", "1999-12-01", True),
        ("landsat-7", "2013-03-31", True),
        ("landsat-7", "2013-11-01", False),
        ("landsat-8", "2013-03-31", False),
        ("landsat-8", "2013-11-01", True),
        ("landsat-9", "2021-11-01", True),
        ("landsat-9", "2020-11-01", False),
    ],
)
def test_platforms_are_taken_when_the_paper_took_them(platform: str, day: str, taken: bool):
    item = on(day, platform=platform)
    summer = int(day[:4]) - (day[5:7] < "11")

    found = find(item, summer=summer)

    assert (ids(found) == [item["id"]]) == taken
    assert taken or f"{day}: {platform} is taken from" in found.rejected[0][1]
    assert ids(find(item, summer=summer, spans={})) == [item["id"]]


def test_spans_can_be_chosen():
    item = on("2015-01-05", platform="landsat-7")
    spans = {"landsat-7": (date(1999, 4, 15), date(2024, 1, 19))}

    assert ids(find(item, summer=2014)) == []
    assert ids(find(item, summer=2014, spans=spans)) == [item["id"]]


def test_platforms_that_are_not_asked_for_are_no_answer():
    five = modern("LT05_L1TP_099120_20200105_20201016_02_T2", platform="landsat-8")
    five["properties"]["platform"] = "landsat-5"
    other = modern("dem", platform="landsat-8")
    other["properties"]["platform"] = "sentinel-1"
    items = [on("2022-01-05"), on("2022-01-06", platform="landsat-9"), five, other]

    found = find(*items, summer=2021, platforms=["landsat-9"])

    assert ids(found) == [items[1]["id"]]
    assert found.rejected == ()


def test_an_item_that_cannot_be_read_is_told_with_its_reason():
    good, bad = on("2020-01-05"), on("2020-01-06")
    del bad["assets"]["qa_pixel"]

    found = find(good, bad)

    assert ids(found) == [good["id"]]
    ((name, reason),) = found.rejected
    assert name == bad["id"]
    assert "has no qa_pixel" in reason


UNREADABLE_OUTLINES = {
    "too few corners": {"type": "Polygon", "coordinates": [[[0, -70], [1, -70]]]},
    "no number": {"type": "Polygon", "coordinates": [[[0, -70], [float("nan"), -70], [1, -71],
                                                      [0, -71], [0, -70]]]},
    "no corners": {"type": "Polygon", "coordinates": []},
    "no corners at all": {"type": "Polygon", "coordinates": None},
    "words": {"type": "Polygon", "coordinates": [[["a", "b"], [1, -70], [1, -71], [0, -71]]]},
    "ragged": {"type": "Polygon", "coordinates": [[[0, -70], [1], [1, -71], [0, -71]]]},
    "flat": {"type": "Polygon", "coordinates": [0, 1, 2]},
    "beyond the pole": {"type": "Polygon", "coordinates": [[[0, -70], [1, -700], [1, -71],
                                                            [0, -70]]]},
    "another shape": {"type": "Square", "coordinates": []},
    "no parts": {"type": "GeometryCollection", "geometries": 3},
    "a text": "POLYGON ((0 0, 1 1, 1 0, 0 0))",
    "a list": [1, 2, 3],
}  # fmt: skip


def told_and_left_out(found: Found, good: dict[str, Any], bad: dict[str, Any]) -> None:
    assert ids(found) == [good["id"]]
    ((name, reason),) = found.rejected
    assert name == bad["id"]
    assert "its footprint" in reason


@pytest.mark.parametrize("outline", UNREADABLE_OUTLINES.values(), ids=UNREADABLE_OUTLINES)
@pytest.mark.parametrize("north", [False, True])
def test_an_outline_that_cannot_be_read_is_told_and_ends_no_search(outline: Any, north: bool):
    good, bad = on("2020-01-05"), on("2020-01-06")
    roi = dict(shapely.geometry.mapping(shapely.box(-46, 71, -44, 73))) if north else ROI
    good["geometry"] = roi
    bad["geometry"] = outline

    told_and_left_out(choose([good, bad], Question(roi, 2019)), good, bad)
    told_and_left_out(find(good, bad, roi=roi), good, bad)


def test_an_outline_whose_edges_cross_is_the_ground_on_either_side():
    """Corners in a wrong order; the pixels of such a scene lie where proj:transform says."""
    item = on("2020-01-05")
    first, second, third, fourth, _ = corners(scene_box())["coordinates"][0]
    crossed = [first, third, second, fourth, first]
    item["geometry"] = {"type": "Polygon", "coordinates": [crossed]}
    assert not shapely.geometry.shape(item["geometry"]).is_valid

    assert ids(find(item)) == [item["id"]]


@pytest.mark.parametrize("outline", UNREADABLE_OUTLINES.values(), ids=UNREADABLE_OUTLINES)
def test_an_outline_that_cannot_be_read_is_told_by_a_record(outline: Any):
    good, bad = on("2020-01-05"), on("2020-01-06")
    document = json.loads(record(find(good, bad)))
    document["features"][1]["geometry"] = outline

    told_and_left_out(replay(json.dumps(document).encode()), good, bad)


def test_a_catalogue_of_files_tells_an_outline_that_cannot_be_read(tmp_path: Path):
    good, bad = on("2020-01-05"), on("2020-01-06")
    bad["geometry"] = UNREADABLE_OUTLINES["too few corners"]
    home = tmp_path / "landsat-c2l1"
    for item in (good, bad):
        for asset in item["assets"].values():
            asset.pop("alternate", None)
            asset["href"] = "./" + asset["href"].rsplit("/", 1)[-1]
        (home / item["id"]).mkdir(parents=True)
        (home / item["id"] / f"{item['id']}.json").write_text(json.dumps(item))
    (home / "collection.json").write_bytes(to_json(new_collection("landsat-c2l1", "landsat")))
    link = {"rel": "child", "href": "./landsat-c2l1/collection.json"}
    catalog = {"type": "Catalog", "id": "c", "stac_version": "1.0.0", "description": "scenes"}
    (tmp_path / "catalog.json").write_bytes(to_json({**catalog, "links": [link]}))

    found = search(open_catalogue(str(tmp_path)), roi=ROI, summer=2019)

    told_and_left_out(found, good, bad)
    with pytest.raises(CatalogueError, match=f"item {bad['id']}: its footprint is no GeoJSON"):
        rebuild_index(str(tmp_path), "landsat-c2l1")


def test_a_scene_that_tells_no_platform_is_told_and_other_things_are_not():
    good, bad = on("2020-01-05"), on("2020-01-06")
    bad["id"] = "scene"
    map_of_speed = {**on("2020-01-07"), "id": "speed"}
    for item in (bad, map_of_speed):
        del item["properties"]["platform"]
    map_of_speed["properties"]["nunatak:kind"] = "velocity"

    found = find(good, bad, map_of_speed)

    assert ids(found) == [good["id"]]
    ((name, reason),) = found.rejected
    assert name == "scene"
    assert "tells no platform" in reason


def test_a_platform_that_contradicts_the_id_is_told():
    item = on("2020-01-05")
    item["properties"]["platform"] = "landsat-eight"

    assert "two products were mixed" in find(item).rejected[0][1]


@pytest.mark.parametrize("href", ["/etc/passwd", "file:///etc/passwd", "../../etc/passwd"])
@pytest.mark.parametrize("name", ["red", "mtl"])
def test_a_service_names_no_files_of_this_machine(href: str, name: str):
    item = on("2020-01-05")
    item = item_document(choose([item], Question(ROI, 2019)).granules[0])
    item["assets"].setdefault(name, {})["href"] = href
    far = dataclasses.replace(documents(item), url="https://stac.example.org")

    for found in (
        choose([item], Question(ROI, 2019), service="usgs"),
        search(far, roi=ROI, summer=2019),
    ):
        assert ids(found) == []
        assert f"its {name} is a file of this machine" in found.rejected[0][1]
    assert ids(find(item)) == [item["id"]], "a catalogue on this machine may"


@pytest.mark.parametrize("service", ["usgs", "catalogue"])
def test_a_record_of_our_own_catalogue_alone_holds_files_of_this_machine(service: str):
    document = json.loads(record(find(on("2020-01-05"))))
    document["features"][0]["assets"]["red"]["href"] = "/data/a_B4.TIF"
    document[RECORD]["service"] = service

    found = replay(json.dumps(document).encode())

    assert len(found.granules) == (service == "catalogue")
    assert len(found.rejected) == (service == "usgs")


def test_an_item_without_footprint_is_told():
    lost = {**on("2020-01-05"), "geometry": None}

    found = choose([lost], Question(ROI, 2019))

    assert (ids(found), found.rejected[0][1][:22]) == ([], "it tells no footprint,")


def test_of_one_acquisition_the_best_and_newest_processing_is_kept():
    real = on("2020-01-05", category="RT", processed="20200105")
    older = on("2020-01-05", category="T2", processed="20200120")
    newer = on("2020-01-05", category="T2", processed="20201016")
    best = on("2020-01-05", category="T1", processed="20200110")
    neighbour = on("2020-01-05", place=(99, 121))
    next_pass = on("2020-01-21")

    found = find(real, older, newer, neighbour, next_pass)
    with_best = find(real, older, newer, best)

    assert sorted(ids(found)) == sorted(each["id"] for each in (newer, neighbour, next_pass))
    assert [name for name, _ in found.rejected] == sorted([older["id"], real["id"]])
    assert all(f"same acquisition as {newer['id']}" in reason for _, reason in found.rejected)
    assert ids(with_best) == [best["id"]]


def test_collections_1_and_2_do_not_mix():
    first = on("2020-01-05", collection=1)
    second = on("2020-01-21")

    mixed, alone = find(first, second), find(first)

    assert ids(mixed) == [second["id"]]
    assert mixed.rejected == (
        (first["id"], "Collection 1 beside Collection 2; they do not mix, take the newer one"),
    )
    assert (ids(alone), alone.rejected) == ([first["id"]], ())


def test_levels_do_not_mix():
    one, two = on("2020-01-05"), on("2020-01-21", correction="L2SR")

    assert ids(find(one, two)) == [one["id"]]
    assert ids(find(one, two, level=2)) == [two["id"]]
    assert find(one, two).rejected[0] == (
        two["id"], "level 2; the search takes level 1, and levels do not mix")  # fmt: skip
    assert ids(find(two)) == [two["id"]]


def test_an_empty_season_finds_nothing_and_says_nothing():
    assert find(on("2020-01-05"), summer=2016).granules == ()


def test_granules_come_by_start_and_id():
    items = [on("2020-01-05", place=(99, row)) for row in (122, 120, 121)] + [on("2019-12-01")]

    starts = [(each.moment, each.id) for each in find(*items).granules]

    assert len(starts) == 4
    assert starts == sorted(starts)


PROCESSINGS = st.lists(
    st.builds(
        on,
        st.sampled_from(["2020-01-05", "2020-01-06"]),
        place=st.sampled_from([(99, 120), (99, 121), (100, 120)]),
        category=st.sampled_from(["T1", "T2", "RT"]),
        processed=st.sampled_from(["20200106", "20200201", "20201016"]),
        collection=st.sampled_from([1, 2]),
        correction=st.sampled_from(["L1GT", "L2SR"]),
        cloud=st.sampled_from([None, 10.0]),
    ),
    max_size=8,
)


@settings(max_examples=60)
@given(items=PROCESSINGS, seed=st.integers(0, 99))
def test_the_answer_does_not_depend_on_the_order_of_the_items(items: list[dict], seed: int):
    shuffled = random.Random(seed).sample(items, len(items))

    found = choose(items, Question(ROI, 2019))

    assert choose(shuffled, Question(ROI, 2019)) == found
    acquisitions = [(each.platform, each.path, each.row, each.moment) for each in found.granules]
    assert len(set(acquisitions)) == len(acquisitions)
    told = {each.id for each in found.granules} | {name for name, _ in found.rejected}
    assert told == {item["id"] for item in items}


@settings(max_examples=40)
@given(items=PROCESSINGS)
def test_a_recorded_search_is_replayed_bit_for_bit(items: list[dict]):
    found = choose(items, Question(ROI, 2019), service="usgs")

    again = replay(record(found))

    assert again == found
    assert again.asked == found.asked
    assert record(again) == record(found)


def test_a_record_of_a_wide_search_answers_narrower_questions():
    items = [on("2019-12-05", cloud=70.0), on("2020-12-05"), on("2021-12-05", shape=scene_box(2e6))]
    wide = [item_document(scene) for scene in choose(items[:1], Question(ROI, 2019)).granules]
    documents = [*wide, *items[1:]]

    assert ids(choose(documents, Question(ROI, 2019))) == [items[0]["id"]]
    clearer = choose(documents, Question(ROI, 2019, most_cloud=50.0))
    assert ids(clearer) == []
    assert clearer.rejected == (
        (items[0]["id"], "cloud cover 70 % by its metadata, expected at most 50 %"),
    )
    assert ids(choose(documents, Question(ROI, 2020))) == [items[1]["id"]]
    assert ids(choose(documents, Question(ROI, 2021))) == []


def test_a_record_is_an_item_collection_without_secrets():
    item = planetary("LC08_L2SR_099120_20200105_02_T2")
    found = choose([item], Question(ROI, 2019), service="planetary-computer")

    data = record(found)

    collection = pystac.ItemCollection.from_dict(json.loads(data))
    assert b"SECRET" not in data
    assert [each.id for each in collection] == [item["id"]]
    assert set(collection[0].assets) == {
        "blue", "green", "red", "nir08", "swir16", "swir22", "qa_pixel", "qa_radsat", "sza", "mtl"
    }  # fmt: skip
    assert json.loads(data)[RECORD]["service"] == "planetary-computer"
    assert replay(data).granules[0].assets["red"].scale == 2.75e-05


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is JSON; found something else"),
        (b"\xff\xfe", "is JSON; found something else"),
        (b"[]", "no FeatureCollection"),
        (b'{"type": "FeatureCollection"}', "version None, expected 1"),
        (b'{"type": "FeatureCollection", "nunatak:landsat_search": {"version": 2}}', "version 2"),
        (b'{"type": "FeatureCollection", "nunatak:landsat_search": {"version": 1}}', "damaged"),
    ],
)
def test_other_files_are_no_record(data: bytes, said: str):
    with pytest.raises(LandsatSearchError, match=said):
        replay(data)


def lose_red(features: list[Any]) -> None:
    del features[0]["assets"]["red"]


def lose_platform(features: list[Any]) -> None:
    features[0]["id"] = "scene"
    del features[0]["properties"]["platform"]


def be_empty(features: list[Any]) -> None:
    features[0] = None


def be_a_list(features: list[Any]) -> None:
    features[0]["properties"] = [1]


def have_words_for_numbers(features: list[Any]) -> None:
    features[0]["assets"]["red"]["file:size"] = "large"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lose_red, "has no red"),
        (lose_platform, "scene tells no platform"),
        (be_empty, "a document without id is no STAC item"),
        (be_a_list, "is no STAC item that can be read"),
        (have_words_for_numbers, "is no STAC item that can be read"),
    ],
)
def test_an_item_of_a_record_that_cannot_be_read_is_told_with_its_reason(change: Any, said: str):
    document = json.loads(record(find(on("2020-01-05"), on("2020-01-06"))))
    change(document["features"])

    found = replay(json.dumps(document).encode())

    assert [scene.start[:10] for scene in found.granules] == ["2020-01-06"]
    assert [said in reason for _, reason in found.rejected] == [True]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"summer": 20}, "summer 20; give the year of its November"),
        ({"most_cloud": 101.0}, "cloud cover at most 101.0 %"),
        ({"most_cloud": float("nan")}, "cloud cover at most nan %"),
        ({"platforms": ["landsat-5"]}, "found landsat-5, expected some of landsat-7"),
        ({"platforms": []}, "found none"),
    ],
)
def test_questions_without_sense_are_refused(change: dict[str, Any], said: str):
    with pytest.raises(LandsatSearchError, match=said):
        find(**{"roi": ROI, "summer": 2019, **change})


def test_a_roi_that_is_no_geometry_is_refused():
    with pytest.raises(QueryError, match="no GeoJSON geometry"):
        Question({"type": "Square"}, 2019)


@pytest.mark.parametrize(
    ("service", "level", "expected"),
    [
        ("usgs", None, ("landsat-c2l1",)),
        ("usgs", 2, ("landsat-c2l2-sr",)),
        ("planetary-computer", None, ("landsat-c2-l2",)),
        ("earth-search", 2, ("landsat-c2-l2",)),
        ("catalogue", 1, None),
    ],
)
def test_each_service_has_its_collections(service: str, level: int | None, expected: Any):
    assert collections_of(landsat_services.named(service), level) == expected


@pytest.mark.parametrize("service", ["planetary-computer", "earth-search"])
def test_what_a_service_lacks_is_told_with_where_it_is(service: str):
    with pytest.raises(ServiceError, match=r"offers level 2, not level 1: .*from `usgs`"):
        find(service=service, level=1)


def twelve() -> list[dict[str, Any]]:
    return [scene(f"2020-01-{day:02d}T13:00:00Z") for day in range(1, 13)]


def test_an_item_of_a_service_whose_outline_cannot_be_read_ends_no_search(
    api: StacApiServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(StacApiServer, "chosen", lambda server, body: server.items)
    good, bad, *_ = api.items
    bad["geometry"] = UNREADABLE_OUTLINES["too few corners"]
    api.items = [good, bad]

    told_and_left_out(search(open_catalogue(api.url), roi=ROI, summer=2019), good, bad)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[StacApiServer]:
    monkeypatch.setattr("stac.api_catalogue.STUMBLES_S", (0.01, 0.02))
    with running(twelve(), filters=True) as server:
        yield server


def ask(server: StacApiServer, service: str = "usgs") -> list[str]:
    opened = open_catalogue(server.url)
    found = search(opened, roi=ROI, summer=2019, collections=["landsat-c2l1"], service=service)
    return ids(found)


@pytest.mark.parametrize(
    "stumbles",
    [
        {1: 503},
        {1: (429, 1)},
        {3: (503, 1), 4: 502, 5: 504},
        {3: "cut"},
        {2: "cut", 3: "cut"},
        {4: 500},
    ],
    ids=str,
)
def test_a_service_that_throttles_or_stumbles_for_a_while_is_asked_again(
    api: StacApiServer, stumbles: dict[int, Any]
):
    api.stumbles = stumbles

    assert ask(api) == [item["id"] for item in twelve()]
    assert len(api.searches) == 6 + len(stumbles), "no page is asked for without need"


@pytest.mark.parametrize("fault", ["cut", 500])
def test_a_page_that_never_comes_whole_is_told_after_three_tries(api: StacApiServer, fault: Any):
    api.stumbles = dict.fromkeys(range(3, 99), fault)

    with pytest.raises(UnreachableError, match="no STAC API answers at"):
        ask(api)


def test_a_service_that_throttles_for_ever_is_given_up(
    api: StacApiServer, monkeypatch: pytest.MonkeyPatch
):
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    api.stumbles = dict.fromkeys(range(1, 99), (503, 3600))

    with pytest.raises(UnreachableError, match="too many 503"):
        ask(api)

    assert len(api.searches) == 6
    assert max(slept) == LONGEST_WAIT_S, "an hour is more than anyone waits"


def test_no_box_is_sent_and_the_cloud_filter_is(api: StacApiServer):
    ask(api)

    assert all("bbox" not in body or body["bbox"] is None for body in api.searches)
    assert api.searches[0]["intersects"]["type"] == "Polygon"
    assert '"eo:cloud_cover"' in json.dumps(api.searches[0]["filter"])


def test_our_own_catalogue_is_asked_for_cloudy_scenes_too(api: StacApiServer):
    assert ask(api, "catalogue") == ask(api)

    assert [body for body in api.searches if "filter" not in body], "to tell how many there are"
    assert "filter" not in api.searches[0]


def test_a_service_and_its_documents_answer_alike(api: StacApiServer):
    assert ask(api) == ids(find(*twelve()))


def test_documents_beside_the_data_answer_as_a_catalogue(tmp_path: Path):
    name = product("landsat-7", "2010-01-09", correction="L2SR", category="T2")
    document = old_usgs(name, "landsat-7", "2010-01-09", shape=scene_box())
    folder = tmp_path / "2010" / name
    folder.mkdir(parents=True)
    (folder / f"{name}_SR_stac.json").write_text(json.dumps(document))
    (folder / f"{name}_ST_stac.json").write_text(json.dumps(document))
    (folder / f"{name}_MTL.json").write_text("{}")

    read = items_from_documents([str(tmp_path)])
    found = search(read, roi=ROI, summer=2009, level=2, service="usgs")

    assert read.collections() == ["landsat-c2l2-sr"]
    assert ids(found) == [name]
    assert found.granules[0].assets["red"].href.startswith("s3://usgs-landsat/")
    by_name = items_from_documents([str(folder / f"{name}_SR_stac.json")])
    assert search(by_name, roi=ROI, summer=2009) == search(read, roi=ROI, summer=2009)


def test_documents_with_relative_hrefs_lie_where_they_are(tmp_path: Path):
    item = on("2020-01-05")
    for asset in item["assets"].values():
        asset["href"] = "./" + asset["href"].rsplit("/", 1)[-1]
    (tmp_path / "a_stac.json").write_text(json.dumps(item))

    found = search(items_from_documents([str(tmp_path)]), roi=ROI, summer=2019)

    assert found.granules[0].assets["red"].href == str(tmp_path / f"{item['id']}_B4.TIF")


def test_places_without_documents_are_refused(tmp_path: Path):
    with pytest.raises(CatalogueError, match=r"no document that ends in _stac\.json"):
        items_from_documents([str(tmp_path)])
    with pytest.raises(CatalogueError, match="no Feature at"):
        items_from_documents([str(tmp_path / "a_stac.json")])
    with pytest.raises(CatalogueError, match="did you mean 'landsat-c2l1'"):
        documents(on("2020-01-05")).search("landsat-c2l")


@pytest.mark.realdata
def test_the_real_antarctic_scene_is_all_cloud(data_root: Path):
    """It is found where clouds do not matter, and not where at most 80 % are taken."""
    read = items_from_documents([str(data_root / "optical" / "imagery")])
    antarctic = next(read.search(ids=["LC08_L2SR_099120_20191129_20201016_02_T2"]))
    roi = dict(antarctic.geometry or {})

    clouded = search(read, roi=roi, summer=2019)
    assert (ids(clouded), clouded.clouded) == ([], 1)
    assert clouded.rejected[0][1].startswith("cloud cover 100 %")
    assert ids(search(read, roi=roi, summer=2019, most_cloud=100)) == [antarctic.id]
