"""Every service's item of one product becomes one record, and what is no product is refused."""

import copy
import json
import math
import pickle
from pathlib import Path
from typing import Any

import pyproj
import pystac
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stac import landsat_services
from stac.landsat_assets import NEEDED
from stac.landsat_items import (
    ASSETS,
    Asset,
    Granule,
    LandsatItemError,
    claimed_platform,
    granule,
    item_document,
)
from stac.landsat_products import BANDS, CATEGORIES, PLATFORMS, product_id
from tests.stac.landsat_documents import NUMBERS, modern, old_usgs, planetary, product, scene_box

NAME = product()
POLAR_WKT = pyproj.CRS("EPSG:3031").to_wkt()


def both(document: dict[str, Any]) -> list[Any]:
    """Return a document and what pystac makes of it, which migrates versions."""
    return [copy.deepcopy(document), pystac.Item.from_dict(copy.deepcopy(document))]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_red_is_the_band_that_the_platform_numbers_so(platform: str):
    name = product(platform, "2012-01-05", correction="L2SR")
    document = old_usgs(name, platform, "2012-01-05", shape=scene_box())

    for item in both(document):
        assets = granule(item).assets
        for band, number in NUMBERS[platform].items():
            assert assets[band].href.endswith(f"_SR_B{number}.TIF")


def test_band_three_is_red_on_landsat_7_and_green_on_landsat_8():
    """The trap of the paper's 3,2,1 against 4,3,2."""
    seven = granule(old_usgs(product("landsat-7", "2012-01-05", correction="L2SP"), "landsat-7",
                             "2012-01-05", shape=scene_box()))  # fmt: skip
    eight = granule(old_usgs(product("landsat-8", "2020-01-05", correction="L2SP"), "landsat-8",
                             "2020-01-05", shape=scene_box()))  # fmt: skip

    assert seven.assets["red"].href.endswith("SR_B3.TIF")
    assert eight.assets["green"].href.endswith("SR_B3.TIF")


@pytest.mark.parametrize("service", ["usgs", "earth-search"])
def test_who_pays_reads_from_the_bucket(service: str):
    for item in both(modern(NAME)):
        assets = granule(item, service=service).assets
        assert {asset.href.split("/")[2] for asset in assets.values()} == {"usgs-landsat"}


def test_the_bucket_is_found_without_an_alternate():
    document = old_usgs(product(correction="L2SR"), "landsat-8", "2020-01-05", shape=scene_box())

    href = granule(document, service="usgs").assets["qa_pixel"].href

    assert href == f"s3://usgs-landsat/collection02/{document['id']}_QA_PIXEL.TIF"


def test_ours_are_read_where_they_say():
    assert granule(modern(NAME)).assets["red"].href.startswith("https://landsatlook.usgs.gov/")


def test_a_signed_item_loses_its_signature_and_keeps_its_scale():
    name = "LC08_L2SR_099120_20200105_02_T2"
    for item in both(planetary(name)):
        scene = granule(item, service="planetary-computer")
        assert "SECRET" not in json.dumps(scene.to_dict())
        assert scene.assets["mtl"].href.endswith("_MTL.json")
        assert (scene.assets["red"].scale, scene.assets["red"].offset) == (2.75e-05, -0.2)
        assert (scene.level, scene.code) == (2, "EPSG:3031")


def test_all_that_the_item_tells_is_kept():
    for item in both(modern(NAME)):
        scene = granule(item, service="usgs")
        assert (scene.id, scene.platform, scene.path, scene.row) == (NAME, "landsat-8", 99, 120)
        assert scene.start == "2020-01-05T13:21:07.123456Z"
        assert (scene.category, scene.collection_number, scene.level) == ("T2", 2, 1)
        assert (scene.sun_elevation, scene.sun_azimuth, scene.cloud_cover) == (21.5, 77.25, 12.5)
        assert (scene.code, scene.shape, scene.transform[0]) == ("EPSG:3031", (9011, 9031), 30.0)
        assert set(scene.assets) == {*BANDS, "qa_pixel", "qa_radsat", "sza", "mtl"}
        assert scene.assets["red"].checksum == "1340" + 128 * "a"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"proj:code": "EPSG:3031"}, "EPSG:3031"),
        ({"proj:epsg": 3031}, "EPSG:3031"),
        ({"proj:code": None, "proj:epsg": 32616}, "EPSG:32616"),
        ({"proj:wkt2": POLAR_WKT}, "EPSG:3031"),
        ({"proj:projjson": pyproj.CRS("EPSG:3031").to_json_dict()}, "EPSG:3031"),
        ({"proj:epsg": None}, ""),
        ({}, ""),
        ({"proj:wkt2": pyproj.CRS("+proj=laea +lat_0=-71 +lon_0=13").to_wkt()}, ""),
    ],
)
def test_projections_are_told_in_many_ways(told: dict[str, Any], expected: str):
    on_item = modern(NAME, projection=told)
    on_assets = modern(NAME, projection={"proj:code": "EPSG:32701"} if expected else {})
    for asset in on_assets["assets"].values():
        asset.update(told)

    assert [granule(item).code for item in both(on_item)] == [expected] * 2
    assert granule(on_assets).code == expected, "what an asset tells comes first"


def test_shape_and_transform_of_the_red_asset_come_first():
    document = modern(NAME)
    matrix = [30, 0, 15, 0, -30, 45, 0, 0, 1]
    document["assets"]["red"] |= {"proj:shape": [7, 9], "proj:transform": matrix}

    scene = granule(document)

    assert (scene.shape, scene.transform) == ((7, 9), (30.0, 0.0, 15.0, 0.0, -30.0, 45.0))


def test_what_properties_lack_the_id_tells():
    document = modern(product("landsat-7", "2009-12-31T23:59:59.9Z", path=7, row=112,
                              correction="L1TP", category="T1"))  # fmt: skip
    document["properties"] = {"datetime": None}
    document["assets"] = {key.replace("red", "B3.TIF"): asset
                          for key, asset in document["assets"].items()}  # fmt: skip

    scene = granule(document)

    assert (scene.platform, scene.path, scene.row, scene.start) == (
        "landsat-7", 7, 112, "2009-12-31T00:00:00Z")  # fmt: skip
    assert (scene.category, scene.collection_number, scene.level) == ("T1", 2, 1)
    assert math.isnan(scene.cloud_cover)
    assert math.isnan(scene.sun_elevation)


def test_an_id_of_no_product_is_enough_if_the_properties_tell_all():
    document = modern("my-scene", collection="landsat-c2l1")
    assert (granule(document).level, granule(document).path) == (1, 99)

    document["collection"] = "mine"
    with pytest.raises(LandsatItemError, match="my-scene tells no level"):
        granule(document)


def test_collection_1_is_understood():
    name = product("landsat-7", "2011-08-09", correction="L1TP", processed="20161206",
                   collection=1, category="T1")  # fmt: skip
    document = modern(
        name, "2011-08-09T23:36:51Z", platform="landsat-7", number="01", category="T1"
    )
    document["assets"]["BQA.TIF"] = document["assets"].pop("qa_pixel")

    assert granule(document).collection_number == 1
    assert granule(document).assets["qa_pixel"].href.endswith("QA_PIXEL.TIF")


def test_a_cloud_cover_below_zero_is_none():
    assert math.isnan(granule(modern(NAME, cloud=-1)).cloud_cover)
    assert math.isnan(granule(modern(NAME, cloud=None)).cloud_cover)


def test_official_gap_masks_are_assets():
    name = product("landsat-7", "2011-08-09", correction="L1TP")
    document = modern(name, "2011-08-09T23:36:51Z", platform="landsat-7")
    for number in (1, 2, 3, 8):
        document["assets"][f"{name}_GM_B{number}.TIF"] = {"href": f"/gap_mask/GM_B{number}.TIF"}

    assets = granule(document).assets

    assert assets["gap_red"].href == "/gap_mask/GM_B3.TIF"
    assert assets["gap_blue"].href == "/gap_mask/GM_B1.TIF"
    assert assets["red"].href.endswith(f"{name}_B3.TIF")


def test_bands_that_only_declare_their_names_are_found():
    document = modern("scene-1")
    for name in BANDS:
        asset = document["assets"].pop(name)
        document["assets"][f"layer of {name}"] = asset | {
            "roles": ["reflectance"], "bands": [{"eo:common_name": name}]}  # fmt: skip
    document["assets"]["visual"] = {"href": "/v.tif", "bands": [{"eo:common_name": "red"},
                                    {"eo:common_name": "green"}]}  # fmt: skip

    assert granule(document).assets["red"].href.endswith("_B4.TIF")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"platform": "landsat-9"}, "properties tell platform landsat-9 and its id landsat-8"),
        ({"landsat:wrs_path": "100"}, "tell path 100 and its id 99"),
        ({"landsat:wrs_row": "x"}, "landsat:wrs_row is 'x', expected a whole number"),
        ({"landsat:collection_number": "01"}, "collection number 1 and its id 2"),
        ({"landsat:collection_category": "T1"}, "category T1 and its id T2"),
        ({"landsat:correction": "L2SP"}, "level 2 and its id 1"),
        ({"datetime": "2020-01-07T00:00:00Z"}, "day 2020-01-07 and its id 2020-01-05"),
        ({"datetime": "yesterday"}, "'yesterday' is no date"),
        ({"view:sun_elevation": "high"}, "expected a number"),
        ({"proj:epsg": 999_999}, "is no projection"),
        ({"proj:transform": ["a"]}, "holds no numbers"),
    ],
)
def test_contradictions_are_refused(change: dict[str, Any], said: str):
    document = modern(NAME)
    document["properties"] |= change

    with pytest.raises(LandsatItemError, match=said):
        granule(document)


def test_assets_of_two_projections_are_refused():
    document = modern(NAME)
    document["assets"]["green"]["proj:epsg"] = 32701

    with pytest.raises(LandsatItemError, match="several projections"):
        granule(document)


def test_bands_of_another_platform_are_refused():
    document = old_usgs(product("landsat-7", "2012-01-05", correction="L2SP"), "landsat-7",
                        "2012-01-05", shape=scene_box())  # fmt: skip
    document["properties"]["eo:bands"][0]["common_name"] = "green"

    with pytest.raises(LandsatItemError, match="is blue on landsat-7 but declares itself green"):
        granule(document)


@pytest.mark.parametrize("name", ["red", "qa_pixel"])
def test_a_lacking_band_is_refused_with_what_is_there(name: str):
    document = modern(NAME)
    del document["assets"][name]

    with pytest.raises(LandsatItemError, match=f"has no {name}; its assets are .*blue"):
        granule(document)


def test_other_satellites_and_other_documents_are_refused():
    with pytest.raises(LandsatItemError, match="platform 'landsat-5'; read here are landsat-7"):
        granule(modern("LT05_L1TP_099120_20000105_20201016_02_T2", platform="landsat-8")
                | {"properties": {"datetime": "2000-01-05"}})  # fmt: skip
    with pytest.raises(LandsatItemError, match="tells no platform"):
        granule({"id": "a", "properties": {"datetime": "2000-01-05"}, "assets": {"a": {}}})
    with pytest.raises(LandsatItemError, match="lacks properties, assets"):
        granule({"id": "a"})
    with pytest.raises(landsat_services.ServiceError, match="did you mean 'usgs'"):
        granule(modern(NAME), service="usg")


def test_what_a_document_claims_is_told_without_reading_it():
    assert claimed_platform({"id": NAME, "properties": {}}) == "landsat-8"
    assert claimed_platform({"id": "b", "properties": {"platform": "Landsat 9"}}) == "landsat-9"
    assert claimed_platform({"id": "dem", "properties": {}}) == ""


@pytest.mark.parametrize("text", ["", "LC08", "LC08_L1GT_099120_20191331_20201016_02_T2"])
def test_other_text_is_no_product_id(text: str):
    assert product_id(text) is None


FINITE = st.floats(-1e6, 1e6)
UNKNOWN = st.floats(0.0, 90.0) | st.just(math.nan)
HREFS = st.text(st.characters(codec="utf-8", exclude_characters="?", exclude_categories=["Cs"]),
                min_size=1)  # fmt: skip
ASSET = st.builds(
    Asset,
    HREFS,
    st.integers(0, 2**40),
    st.sampled_from(["", "1220ab"]),
    st.none() | FINITE,
    st.none() | FINITE,
)
GRANULES = st.builds(
    Granule,
    id=st.text("abc-", min_size=1),
    platform=st.sampled_from(PLATFORMS),
    start=st.datetimes().map(lambda t: t.isoformat() + "Z"),
    path=st.integers(1, 233),
    row=st.integers(1, 248),
    category=st.sampled_from(CATEGORIES),
    collection_number=st.sampled_from([1, 2]),
    level=st.sampled_from([1, 2]),
    sun_elevation=UNKNOWN,
    sun_azimuth=UNKNOWN,
    cloud_cover=UNKNOWN,
    code=st.sampled_from(["", "EPSG:3031", "EPSG:32701"]),
    shape=st.just(()) | st.tuples(st.integers(1, 9999), st.integers(1, 9999)),
    transform=st.just(()) | st.tuples(*[FINITE] * 6),
    assets=st.fixed_dictionaries(
        dict.fromkeys(NEEDED, ASSET),
        optional=dict.fromkeys((name for name in ASSETS if name not in NEEDED), ASSET),
    ),
    footprint=st.sampled_from([{}, modern(NAME)["geometry"]]).map(
        lambda shape: json.loads(json.dumps(shape), parse_int=float)
    ),
)


@given(GRANULES)
def test_a_granule_survives_json_and_pickle(scene: Granule):
    again = Granule.from_dict(json.loads(json.dumps(scene.to_dict(), allow_nan=False)))

    assert again == scene
    assert pickle.loads(pickle.dumps(scene)) == scene  # noqa: S301 our own
    assert hash(again) == hash(scene)


@given(GRANULES)
def test_a_granule_is_understood_from_the_item_it_becomes(scene: Granule):
    assert granule(json.loads(json.dumps(item_document(scene)))) == scene


@pytest.mark.realdata
def test_the_real_items_are_understood(data_root: Path):
    folder = data_root / "optical" / "imagery"
    scenes = {}
    for path in sorted(folder.rglob("L*_SR_stac.json")) + sorted(folder.rglob("*_02_T1.json")):
        document = json.loads(path.read_text())
        direct, migrated = (granule(item, service="usgs") for item in both(document))
        assert direct == migrated
        scenes[path.name] = direct

    antarctic = scenes["LC08_L2SR_099120_20191129_20201016_02_T2_SR_stac.json"]
    assert (antarctic.path, antarctic.row, antarctic.cloud_cover) == (99, 120, 100.0)
    assert antarctic.assets["red"].href.endswith("_SR_B4.TIF")
    assert antarctic.code == "", "documents of STAC 0.7 tell no projection"
    seven = scenes["LE07_L2SP_021030_20100109_02_T1.json"]
    old = scenes["LE07_L2SP_021030_20100109_20200911_02_T1_SR_stac.json"]
    assert (seven.code, seven.shape) == ("EPSG:32616", (7091, 8031))
    for name in BANDS:
        assert Path(seven.assets[name].href).name == Path(old.assets[name].href).name


@pytest.mark.realdata
def test_a_real_item_of_surface_temperature_is_refused(data_root: Path):
    (path,) = (data_root / "optical" / "imagery").rglob("*_ST_stac.json")

    with pytest.raises(LandsatItemError, match="has no red, green, blue; its assets are"):
        granule(json.loads(path.read_text()))
