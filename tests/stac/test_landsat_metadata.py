"""The MTL of a Landsat product: one record from three encodings, two collections, two levels."""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stac.landsat_metadata import BANDS, MetadataError, band_numbers, read
from tests.stac.landsat_mtl_files import (
    ENCODERS,
    GROUPS,
    as_json,
    as_text,
    as_xml,
    collection_1_groups,
    level1_groups,
)

POLAR_SCENE = "imagery/landsat8_antarctica_099120_20191129/LC08_L2SR_099120_20191129_20201016_02_T2"
UTM_SCENE = "imagery/landsat8_greenland_005009_20150710/LC08_L2SP_005009_20150710_20200908_02_T2"


def changed(group: str, key: str, value: str | None) -> bytes:
    """Return a level-1 MTL with one key changed, or removed."""
    groups = level1_groups()
    if value is None:
        del groups[group][key]
    else:
        groups[group][key] = value
    return as_json(groups)


def test_edges_of_pixels_lie_half_a_pixel_beyond_the_corners_that_are_centres():
    scene = read(as_json(level1_groups()), name="x_MTL.json")

    assert scene.corner == (733800.0, 494400.0)
    assert scene.transform == (30.0, 0.0, 733785.0, 0.0, -30.0, 494415.0)
    assert scene.shape == (40, 50)
    assert scene.code == "EPSG:3031"


def test_red_is_band_3_of_landsat_7_and_band_4_of_landsat_8_and_9():
    assert [band_numbers(p)["red"] for p in ("landsat-7", "landsat-8", "landsat-9")] == [3, 4, 4]
    for platform, number in (("LANDSAT_7", 3), ("LANDSAT_8", 4), ("LANDSAT_9", 4)):
        groups = level1_groups(platform=platform)
        groups["LEVEL1_RADIOMETRIC_RESCALING"][f"REFLECTANCE_MULT_BAND_{number}"] = "7e-5"

        scene = read(as_text(groups), name="x")

        assert scene.reflectance_mult["red"] == 7e-5
        assert [band for band in BANDS if scene.reflectance_mult[band] == 7e-5] == ["red"]
        assert scene.files["red"].endswith(f"_B{number}.TIF")


def test_a_level_2_file_keeps_the_coefficients_of_both_levels_apart():
    groups = level1_groups(product="LC08_L2SR_099120_20191129_20201016_02_T2")
    groups["LEVEL2_SURFACE_REFLECTANCE_PARAMETERS"] = {
        **{f"REFLECTANCE_MULT_BAND_{n}": "2.75e-05" for n in range(1, 8)},
        **{f"REFLECTANCE_ADD_BAND_{n}": "-0.2" for n in range(1, 8)},
    }

    scene = read(as_xml(groups), name="x")

    assert scene.level == 2
    assert set(scene.reflectance_mult.values()) == {2.75e-5}
    assert set(scene.reflectance_add.values()) == {-0.2}
    assert set(scene.level1_reflectance_mult.values()) == {2e-5}
    assert set(scene.level1_reflectance_add.values()) == {-0.1}


def test_collection_1_is_read_from_its_own_groups():
    data = as_text(collection_1_groups(), root="L1_METADATA_FILE")

    scene = read(data, name="x_MTL.txt")

    assert (scene.collection_number, scene.level, scene.correction) == (1, 1, "L1TP")
    assert scene.code == "EPSG:32655"
    assert scene.transform == (30.0, 0.0, 354885.0, 0.0, -30.0, -3722985.0)
    assert scene.files["qa_pixel"].endswith("_BQA.TIF")
    assert set(scene.files) == {*BANDS, "qa_pixel"}
    assert math.isnan(scene.cloud_cover)
    assert math.isnan(scene.earth_sun_distance)


def test_unknown_cloud_cover_is_nan_and_records_stay_equal():
    first, second = (read(changed("IMAGE_ATTRIBUTES", "CLOUD_COVER", "-1"), name=n) for n in "ab")

    assert math.isnan(first.cloud_cover)
    assert first == second


@given(
    mult=st.floats(1e-7, 1e-2),
    add=st.floats(-0.5, 0.5),
    elevation=st.floats(0.01, 90.0),
    column=st.integers(-90_000, 90_000),
    line=st.integers(-90_000, 90_000),
    shape=st.tuples(st.integers(1, 9999), st.integers(1, 9999)),
    platform=st.sampled_from(["LANDSAT_7", "LANDSAT_8", "LANDSAT_9"]),
)
def test_what_was_written_is_read_back_equal_from_every_encoding(
    mult: float, add: float, elevation: float, column: int, line: int, shape, platform: str
):
    groups = level1_groups(
        platform=platform,
        corner=(30.0 * column, 30.0 * line),
        shape=shape,
        sun_elevation=elevation,
        mult=repr(mult),
        add=repr(add),
    )

    scenes = [read(encode(groups), name=f"x{suffix}") for suffix, encode in ENCODERS.items()]

    assert scenes[0] == scenes[1] == scenes[2]
    scene = scenes[0]
    assert scene.sun_elevation == elevation
    assert scene.shape == shape
    assert scene.corner == (30.0 * column, 30.0 * line)
    assert set(scene.reflectance_mult.values()) == {mult}
    assert set(scene.reflectance_add.values()) == {add}
    assert scene.platform == platform.lower().replace("_", "-")


@pytest.mark.parametrize(
    ("group", "key", "value", "message"),
    [
        ("LEVEL1_RADIOMETRIC_RESCALING", "REFLECTANCE_ADD_BAND_4", None, "no REFLECTANCE_ADD"),
        ("LEVEL1_RADIOMETRIC_RESCALING", "REFLECTANCE_MULT_BAND_2", "nan", "a finite number"),
        ("IMAGE_ATTRIBUTES", "SUN_ELEVATION", "-3.5", "the sun has no reflectance"),
        ("IMAGE_ATTRIBUTES", "SUN_ELEVATION", "0", "0 < elevation"),
        ("IMAGE_ATTRIBUTES", "SPACECRAFT_ID", "LANDSAT_5", "LANDSAT_5"),
        ("IMAGE_ATTRIBUTES", "WRS_ROW", "249", "from 1 to 248"),
        ("IMAGE_ATTRIBUTES", "DATE_ACQUIRED", "2019-13-29", "a date and a time"),
        ("PROJECTION_ATTRIBUTES", "MAP_PROJECTION", "AEA", "PS .EPSG:3031. or UTM"),
        ("PROJECTION_ATTRIBUTES", "TRUE_SCALE_LAT", "71.0", "-71 as in EPSG:3031"),
        ("PROJECTION_ATTRIBUTES", "DATUM", "NAD27", "WGS84"),
        ("PROJECTION_ATTRIBUTES", "REFLECTIVE_LINES", "41", "corners are 40"),
        ("PROJECTION_ATTRIBUTES", "ORIENTATION", "NOMINAL", "NORTH_UP"),
        ("PRODUCT_CONTENTS", "COLLECTION_CATEGORY", "A1", "T1, T2, RT"),
        ("PRODUCT_CONTENTS", "PROCESSING_LEVEL", "L3", "L1TP"),
        ("PRODUCT_CONTENTS", "FILE_NAME_BAND_4", "../../etc/x.TIF", "the bare name of a file"),
        ("PRODUCT_CONTENTS", "FILE_NAME_BAND_4", "..\\x.TIF", "the bare name of a file"),
    ],
)
def test_metadata_that_would_mislead_are_refused(
    group: str, key: str, value: str | None, message: str
):
    with pytest.raises(MetadataError, match=message):
        read(changed(group, key, value), name="x_MTL.json")


def test_zones_of_utm_are_northern_also_in_the_south():
    groups = level1_groups(corner=(354900.0, -3723000.0))
    groups["PROJECTION_ATTRIBUTES"] |= {"MAP_PROJECTION": "UTM", "UTM_ZONE": "55"}

    assert read(as_json(groups), name="x").code == "EPSG:32655"


def _twice_in_text(groups: GROUPS) -> bytes:
    return as_text(groups).replace(b"    WRS_ROW", b"    WRS_PATH = 3\n    WRS_ROW")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda g: as_json(g)[:-40], "is no JSON"),
        (lambda g: as_xml(g)[:-40], "is no XML"),
        (lambda g: as_text(g)[:-80], "is no new KEY = VALUE|does not end"),
        (lambda g: as_text(g).split(b"END_GROUP")[0], "does not end"),
        (_twice_in_text, "no new KEY"),
        (lambda g: as_json(g).replace(b'"WRS_ROW"', b'"WRS_PATH"'), "comes twice"),
        (lambda g: as_xml(g).replace(b"WRS_ROW", b"WRS_PATH"), "comes twice"),
        (lambda g: as_json(g, root="SOMETHING"), "expected the group LANDSAT_METADATA_FILE"),
        (lambda g: b"\x89PNG\r\n", "no UTF-8"),
        (lambda g: b"P5 2 2", "begins with"),
        (lambda g: b"", "begins with"),
        (lambda g: as_json(g) + b" " * 1_000_000, "of 1000000 at most"),
        (lambda g: b'{"LANDSAT_METADATA_FILE":' + b"[" * 100_000, "nested more than"),
        (lambda g: b"<a>" * 100_000, "nested more than"),
        (lambda g: json.dumps({"LANDSAT_METADATA_FILE": {"A": {"B": []}}}).encode(), "is a list"),
        (lambda g: b'{"LANDSAT_METADATA_FILE": {"A": 3}}', "no groups of keys"),
        (lambda g: b"{}", "expected one group"),
    ],
)
def test_files_that_are_damaged_or_no_metadata_are_refused(
    spoil: Callable[[GROUPS], bytes], message: str
):
    with pytest.raises(MetadataError, match=message):
        read(spoil(level1_groups()), name="x_MTL")


@pytest.mark.parametrize(
    "declaration",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>',
        '<!DOCTYPE x SYSTEM "file:///etc/passwd">',
        "<!DOCTYPE x>",
    ],
)
def test_xml_that_declares_a_document_type_is_refused(declaration: str):
    plain = as_xml(level1_groups()).decode()
    head, rest = plain.split("?>", 1)

    with pytest.raises(MetadataError, match="declares a document type"):
        read(f"{head}?>{declaration}{rest}".encode(), name="x_MTL.xml")


@pytest.mark.realdata
@pytest.mark.parametrize("stem", [POLAR_SCENE, UTM_SCENE])
def test_real_scenes_are_the_same_record_in_three_encodings(data_root: Path, stem: str):
    files = [data_root / f"optical/{stem}_MTL{suffix}" for suffix in ENCODERS]

    first, *others = (read(file.read_bytes(), name=file.name) for file in files)

    assert all(other == first for other in others)
    assert first.level == 2


@pytest.mark.realdata
def test_the_real_antarctic_scene_lies_where_its_image_lies(data_root: Path):
    file = data_root / f"optical/{POLAR_SCENE}_MTL.json"

    scene = read(file.read_bytes(), name=file.name)

    # The image begins at (733785, 494415), read from its GeoTIFF keys.
    assert (scene.transform[2], scene.transform[5]) == (733785.0, 494415.0)
    assert scene.shape == (9011, 9031)
    assert scene.start == datetime(2019, 11, 29, 1, 0, 37, 576470, tzinfo=UTC)
    assert (scene.path, scene.row, scene.correction) == (99, 120, "L2SR")
    assert (scene.level1_reflectance_mult["red"], scene.level1_reflectance_add["red"]) == (
        2e-5,
        -0.1,
    )


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("pattern", "platform", "collection", "level", "mult", "add", "code"),
    [
        # Numbers read by eye in the files.
        ("slc_off/*20110809/*_MTL.txt", "landsat-7", 1, 1, 1.3162e-3, -0.011902, "EPSG:32655"),
        ("slc_off/*19990925/*_MTL.txt", "landsat-7", 1, 1, 1.2878e-3, -0.011645, "EPSG:32655"),
        ("imagery/landsat_metadata/LE07*.xml", "landsat-7", 2, 2, 2.75e-5, -0.2, "EPSG:32616"),
        ("imagery/landsat_metadata/LC09*MTL.txt", "landsat-9", 2, 2, 2.75e-5, -0.2, "EPSG:32617"),
    ],
)
def test_real_files_of_each_sensor_collection_and_level(
    data_root: Path, pattern: str, platform: str, collection: int, level: int, mult: float,
    add: float, code: str,
):  # fmt: skip
    (file,) = (data_root / "optical").glob(pattern)

    scene = read(file.read_bytes(), name=file.name)

    assert (scene.platform, scene.collection_number, scene.level) == (platform, collection, level)
    assert (scene.reflectance_mult["red"], scene.reflectance_add["red"]) == (mult, add)
    assert scene.code == code
    assert set(scene.files) >= {*BANDS, "qa_pixel"}
