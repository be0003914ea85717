"""Names of the release say what is in a file, and files come back from their names."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pipelines.kernels.damage import release_names
from pipelines.kernels.damage.release_names import ReleaseName, ReleaseNameError

SHELVES = (
    "Amery", "Amery_front", "Brunt", "Crosson", "Dotson", "Holmes", "Larsen_B", "Pine_Island",
    "Thwaites", "Totten",
)  # fmt: skip
MASKS = arrays.arrays(bool, (3, 4))


@st.composite
def names(draw):
    known = ("LE07", "LC08", "LC09", "MODIS", "ASTER", "S1", "S2", "OTHER")
    sensors = tuple(s for s in known if draw(st.booleans())) or ("LC08",)
    restored = "LE07" in sensors and draw(st.booleans())
    return ReleaseName(
        draw(st.sampled_from([*SHELVES, "Getz_1", "Fimbul_2001"])),
        draw(st.integers(2003 if restored else 1999, 2099)),
        sensors,
        draw(st.sampled_from(["extent", "region"])),
        "DiffGF" if restored else None,
    )


@settings(max_examples=50)
@given(names())
def test_a_name_comes_back_from_its_file(name):
    assert release_names.parse(name.file) == name
    assert release_names.parse(name.path) == name
    assert release_names.parse(f"/data/v1/{name.path}") == name


@settings(max_examples=50)
@given(names(), names())
def test_different_maps_have_different_paths(one, other):
    assert (one.path == other.path) == (one == other)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (
            "Larsen_B/2010/LE07_Larsen_B_2010_slc_off_DiffGF_damage_map.tif",
            ReleaseName("Larsen_B", 2010, ("LE07",), "extent", "DiffGF"),
        ),
        (
            "LE07_LC08_Thwaites_2013_slc_off_DiffGF_damage.tif",
            ReleaseName("Thwaites", 2013, ("LE07", "LC08"), "region", "DiffGF"),
        ),
        ("LE07_Dotson_2000_damage.tif", ReleaseName("Dotson", 2000, ("LE07",), "region")),
        ("2024/LC09_Amery_front_2024_damage_map.tif",
         ReleaseName("Amery_front", 2024, ("LC09",), "extent")),
    ],
)  # fmt: skip
def test_files_of_the_papers_pattern_are_read(path, expected):
    assert release_names.parse(path, shelves=SHELVES) == expected


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("LC08_Amery_2019_damage_map.nc", "expected \\[Sensor\\]"),
        ("LC08_Amery_2019_damage_Map.tif", "expected \\[Sensor\\]"),
        ("LC08_Amery_19_damage.tif", "expected \\[Sensor\\]"),
        ("", "found the file ''"),
        ("LC07_Amery_2019_damage.tif", "in this order"),
        ("LC09_LC08_Amery_2021_damage.tif", "in this order"),
        ("LC08_LC08_Amery_2021_damage.tif", "in this order"),
        ("LC08_Amery_1998_damage.tif", "1999 or later"),
        ("LE07_Amery_2002_slc_off_DiffGF_damage.tif", "2003 or later"),
        ("LC08_Amery_2014_slc_off_DiffGF_damage.tif", "LE07 among them"),
        ("LE07_Amery_2010_slc_off_Other_damage.tif", "restorer 'Other'"),
        ("LC08_Atlantis_2019_damage.tif", "shelf 'Atlantis'"),
        ("Brunt/2019/LC08_Amery_2019_damage.tif", "move it or name it"),
        ("Amery/2018/LC08_Amery_2019_damage.tif", "move it or name it"),
    ],
)
def test_unknown_names_are_refused(path, message):
    with pytest.raises(ReleaseNameError, match=message):
        release_names.parse(path, shelves=SHELVES)


def test_another_restorer_is_read_where_it_is_expected():
    name = ReleaseName("Amery", 2005, ("LE07",), "extent", "Nunatak")

    assert release_names.parse(name.path, restorers=("DiffGF", "Nunatak")) == name


def test_other_sensors_may_be_older_and_keep_their_place():
    name = ReleaseName("Pine_Island", 1992, ("S1", "S2"), "extent")

    assert name.file == "S1_S2_Pine_Island_1992_damage_map.tif"
    assert release_names.parse(name.path) == name
    with pytest.raises(ReleaseNameError, match="in this order"):
        release_names.parse("S2_LC08_Pine_Island_2019_damage.tif")
    with pytest.raises(ReleaseNameError, match="expected LE07"):
        ReleaseName("Pine_Island", 2019, ("S2",), "extent", "Nunatak")


@pytest.mark.parametrize("shelf", ["", "amery", "Bay_S2", "MODIS", "Pine Island", "A__B", "Amery_",
                                   "Amery_LC08", "Ä", "X_slc_off_Y"])  # fmt: skip
def test_shelves_that_would_be_misread_are_refused(shelf):
    with pytest.raises(ReleaseNameError, match="see shelf_name"):
        ReleaseName(shelf, 2019, ("LC08",), "extent")


def test_wrong_parts_of_a_name_are_refused():
    good = ReleaseName("Amery", 2019, ("LC08",), "extent")
    for change, message in (
        ({"sensors": ()}, "found the sensors"),
        ({"product": "both"}, "found the product 'both'"),
        ({"restorer": "Diff_GF", "sensors": ("LE07",)}, "letters and digits"),
        ({"year": 20190}, "four digits"),
    ):
        with pytest.raises(ReleaseNameError, match=message):
            dataclasses.replace(good, **change)


@settings(max_examples=50)
@given(MASKS, MASKS, MASKS)
def test_the_map_within_the_extent_comes_back(damage, known, extent):
    codes = release_names.extent_codes(damage, known, extent)

    back, said = release_names.decoded(codes, "extent")

    assert codes.dtype == np.uint8
    np.testing.assert_array_equal(said, known & extent)
    np.testing.assert_array_equal(back, damage & known & extent)
    assert set(np.unique(codes)) <= {0, 1, 255}


@settings(max_examples=50)
@given(MASKS)
def test_the_map_of_the_region_comes_back(damage):
    codes = release_names.region_codes(damage, np.ones_like(damage))

    back, said = release_names.decoded(codes, "region")

    assert set(np.unique(codes)) <= {0, 255}
    assert codes.dtype == np.uint8
    assert said.all()
    np.testing.assert_array_equal(back, damage)


def test_codes_that_mean_nothing_are_refused():
    ones = np.ones((1, 2), bool)
    with pytest.raises(ReleaseNameError, match="2 of 2 pixels of the region not known"):
        release_names.region_codes(ones, ~ones)
    with pytest.raises(ReleaseNameError, match="expected uint8 of \\(0, 255\\)"):
        release_names.decoded(np.array([[0, 1]], np.uint8), "region")
    with pytest.raises(ReleaseNameError, match="of int64"):
        release_names.decoded(np.array([[0, 1]]), "extent")
    with pytest.raises(ReleaseNameError, match="found the product"):
        release_names.decoded(np.array([[0, 1]], np.uint8), "both")
    with pytest.raises(ReleaseNameError, match="expected one shape"):
        release_names.extent_codes(ones, ones, ones[:, :1])
