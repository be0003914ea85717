"""What a run file may choose: encodings, suns, gaps, opinions, seams, days, overrides."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import xarray as xr

from pipelines.flows.catalogue_inputs import InputError
from pipelines.kernels.imagery import quality_bits as bits
from pipelines.kernels.imagery.sun import sun_position
from pipelines.settings import SettingsError
from stac.ice_shelves import ShelfError
from stac.pixel_grids import PixelGrid

from .scenes_world import (
    COEFFICIENTS,
    ROI,
    Bay,
    Shot,
    Tried,
    arrays,
    bay,
    carried_out,
    choose,
    counts,
    found,
    part,
    pixels,
    planned,
    recorded,
    stripes,
    swath,
    tried,
)

CLEAR = Shot("2014-12-10T12:00:00", more=("sza",), seed=1)
BRIGHT = Shot(
    "2016-12-10T12:00:00", swir=lambda r, c: (r > 250) & (c > 200), more=("swir16",), seed=2
)
STRIPED = Shot("2010-12-10T12:00:00", "landsat-7", gap=swath, gap_files=True, seed=3)
NORTH = Shot("2017-12-09T23:59:50", row=112, grid=part((-20, 200), (-20, 340)), seed=4)
SOUTH = Shot("2017-12-10T00:00:14", row=113, grid=part((120, 340), (-20, 340)), light=1.3, seed=5)
UTM = PixelGrid("utm", "EPSG:32613", 0.0, 0.0, 30.0, 520, 520)
EARLY = Shot("2018-11-10T12:00:00", path=8, grid=part((-20, 340), (-20, 200)), seed=6)
BANDLESS = Shot("2020-12-10T15:00:00", sun=29.85, seed=9)
"""With the sun where it stood there and then."""
LATE = Shot("2018-11-20T12:00:00", path=9, seed=7)
BOUND = 0.6
"""Counts: rounding, and what single precision adds."""


def utm_grid() -> PixelGrid:
    """Return pixels of the UTM zone around the bay, a lattice of its own."""
    to_utm = pyproj.Transformer.from_crs(3031, 32613, always_xy=True)
    west, south, east, north = to_utm.transform_bounds(*ROI.bounds, densify_pts=5)
    first, top = 30.0 * (west // 30.0 - 10), 30.0 * (north // 30.0 + 10)
    size = int(max(east - first, top - south) // 30.0) + 20
    return PixelGrid("utm", "EPSG:32613", first, top, 30.0, size, size)


FOREIGN = Shot("2019-12-10T12:00:00", grid=utm_grid(), seed=8)
UNTIMELY = Shot("2001-12-10T12:00:00", "landsat-7", gap=stripes, seed=9)
SHOTS = [UNTIMELY, CLEAR, BRIGHT, STRIPED, NORTH, SOUTH, EARLY, LATE, FOREIGN, BANDLESS]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bay:
    return bay(tmp_path_factory.mktemp("bay"), SHOTS)


@pytest.fixture(scope="module")
def midnight(made: Bay, tmp_path_factory: pytest.TempPathFactory) -> Tried:
    """A run of the summer in which a pass goes through midnight."""
    return tried(made.document(2017), tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def search(made: Bay, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The recorded search of that summer."""
    return found(made.document(2017), tmp_path_factory.mktemp("search"))


def by_xarray(run: Any, path: str, label: str) -> np.ndarray:
    """Return reflectance as a reader of CF makes it, (band, y, x)."""
    opened = xr.open_zarr(run.group.store, group=path, consolidated=False)
    return np.asarray(opened.reflectance.isel(scene=run.place(path, label)))


@pytest.mark.parametrize(
    ("encoding", "step"), [("reflectance", 2.5e-5), ("stretched", 1.2 / 254), ("paper", 1 / 255)]
)
def test_an_encoding_is_unpacked_to_reflectance_by_its_own_attributes(
    made: Bay, tmp_path: Path, encoding: str, step: float
) -> None:
    run = tried(choose(made.document(2014), encoding=encoding), tmp_path)

    exact = counts(made, CLEAR) * 2.5e-5
    low, high = (0.0, 1.2) if encoding == "stretched" else (0.0, 1.0)
    expected = exact if encoding == "reflectance" else np.clip(exact, low, high)
    # The paper's bytes drop the fraction, the others round.
    slack = step if encoding == "paper" else 0.51 * step
    found = by_xarray(run, "rowan/2014", "2014-12-10")
    assert np.abs(found - expected).max() < slack + 2e-5
    assert run.array("rowan/2014/reflectance").dtype == (
        np.uint16 if encoding == "reflectance" else np.uint8
    )


def test_the_sun_of_each_pixel_is_taken_from_its_band(made: Bay, tmp_path: Path) -> None:
    run = tried(choose(made.document(2014), sun="pixel"), tmp_path)

    elevation = 90.0 - pixels(made.file(CLEAR, "sza")) / 100.0
    assert np.ptp(elevation) > 1.5
    exact = counts(made, CLEAR, elevation=elevation)
    found = run.counts("rowan/2014", "2014-12-10").astype(float)
    # 2° in 10 km is ten times what the sun does; a cell's pixel lies 150 m from its middle: 0.03°.
    assert np.abs(found - exact).max() <= 1e-3 * exact.max()
    assert np.abs(found - counts(made, CLEAR)).max() > 500


def test_without_the_band_the_sun_of_each_pixel_is_computed(made: Bay, tmp_path: Path) -> None:
    run = tried(choose(made.document(2020), sun="pixel"), tmp_path)

    to_geographic = pyproj.Transformer.from_crs("EPSG:3031", "EPSG:4326", always_xy=True)
    longitude, latitude = to_geographic.transform(*np.meshgrid(ROI.x, ROI.y))
    moment = np.full(ROI.shape, 1_607_612_400.0)
    exact = counts(made, BANDLESS, elevation=sun_position(moment, longitude, latitude)[0])
    stored = run.counts("rowan/2020", "2020-12-10").astype(float)
    # Over 10 km the surface is exact; single precision is what is left.
    assert np.abs(stored - exact).max() <= 2


@pytest.mark.parametrize("gaps", ["auto", "fill", "file", "geometry"])
def test_gaps_of_a_broken_corrector_are_told_from_the_outside_of_the_swath(
    made: Bay, tmp_path: Path, gaps: str
) -> None:
    run = tried(choose(made.document(2010), gaps=gaps), tmp_path)

    rows, columns = np.mgrid[: ROI.ny, : ROI.nx].astype(float)
    truth, outside = stripes(rows, columns), rows + columns < 60.0
    mask = run.mask("rowan/2010", "2010-12-10")
    gap = (mask & bits.GAP) != 0
    empty = truth | outside
    assert np.array_equal((mask & bits.FILL) != 0, empty)
    assert np.array_equal(run.counts("rowan/2010", "2010-12-10")[0] == 0, empty)
    # Where a stripe opens to the outside, which of both a pixel is of is a matter of taste.
    sure = rows + columns > 90.0
    if gaps == "geometry":
        # Drawn stripes do not know where the swath ends.
        assert (gap != truth)[sure].mean() < 0.01
    else:
        assert np.array_equal(gap[sure], truth[sure])
        assert not gap[rows + columns < 35.0].any()


def test_width_and_period_of_stripes_are_recorded(made: Bay, tmp_path: Path) -> None:
    run = tried(made.document(2010), tmp_path)

    place = run.place("rowan/2010", "2010-12-10")
    names = run.words("rowan/2010/gap_quantity")
    told = dict(zip(names, run.array("rowan/2010/gap_record")[place], strict=True))
    across = 30.0 * np.cos(np.arctan(0.2))
    assert told["period_m"] == pytest.approx(33 * across, rel=0.01)
    assert told["fraction"] == pytest.approx(10 / 33, abs=0.01)
    assert told["width_edge_m"] == pytest.approx(10 * across, abs=30.0)
    assert told["source"] == 2.0  # file


def test_gaps_before_the_corrector_failed_are_gaps_and_a_note_says_so(
    made: Bay, tmp_path: Path
) -> None:
    run = tried(made.document(2001), tmp_path)

    rows, columns = np.mgrid[: ROI.ny, : ROI.nx].astype(float)
    mask = run.mask("rowan/2001", "2001-12-10")
    assert np.array_equal((mask & bits.GAP) != 0, stripes(rows, columns))
    assert any(UNTIMELY.id in note for note in run.notes.values())


def test_landsat_7_takes_its_own_bands_and_coefficients(made: Bay, tmp_path: Path) -> None:
    run = tried(made.document(2010), tmp_path)

    found = run.counts("rowan/2010", "2010-12-10").astype(float)
    assert COEFFICIENTS["landsat-7"] != COEFFICIENTS["landsat-8"]
    assert np.abs(found - counts(made, STRIPED)).max() <= 1


def test_a_second_opinion_flags_cloud_and_can_reject_it(made: Bay, tmp_path: Path) -> None:
    asked = choose(made.document(2016), cloud_opinion="snow_index")
    run = tried(asked, tmp_path / "asked")
    strict = tried(
        choose(asked, reject=["cloud", "shadow", "opinion"], least_valid=0.95), tmp_path / "strict"
    )

    rows, columns = np.mgrid[: ROI.ny, : ROI.nx]
    flagged = (run.mask("rowan/2016", "2016-12-10") & bits.OPINION) != 0
    assert np.array_equal(flagged, (rows > 250) & (columns > 200))
    assert strict.chosen("rowan/2016") == []


def seam_rows(mask: np.ndarray) -> np.ndarray:
    return np.flatnonzero(((mask & bits.SEAM) != 0).any(axis=1))


def test_two_granules_of_a_pass_are_joined_at_a_seam_and_left_alone_beyond_it(
    midnight: Tried, made: Bay
) -> None:
    found = midnight.counts("rowan/2017", "2017-12-09").astype(float)
    mask = midnight.mask("rowan/2017", "2017-12-09")
    north, south = counts(made, NORTH), counts(made, SOUTH)

    seam = seam_rows(mask)
    middle = (120 + 200) / 2
    # The seam is in the middle of the overlap, and mixes 300 m: 5 rows on either side.
    assert seam.min() >= middle - 16
    assert seam.max() <= middle + 16
    assert 4 <= seam.size <= 24
    above, below = slice(0, seam.min()), slice(seam.max() + 1, ROI.ny)
    assert np.abs(found[:, above] - north[:, above]).max() <= 1
    assert np.abs(found[:, below] - south[:, below]).max() <= 1
    low, high = np.minimum(north, south)[:, seam], np.maximum(north, south)[:, seam]
    assert ((found[:, seam] >= low - 1) & (found[:, seam] <= high + 1)).all()
    assert not (mask & bits.FILL).any()


def test_the_order_of_granules_does_not_show(
    midnight: Tried, search: bytes, made: Bay, tmp_path: Path
) -> None:
    def swap(features: list[dict[str, Any]]) -> None:
        first, second = (each["properties"] for each in features)
        first["datetime"], second["datetime"] = "2017-12-09T23:59:59Z", "2017-12-10T00:00:01Z"
        features.reverse()

    def reverse(features: list[dict[str, Any]]) -> None:
        features.reverse()

    for change in (swap, reverse):
        name = str(recorded(search, tmp_path / change.__name__, change))
        run = tried(made.document(2017, inputs={"recorded": name}), tmp_path / change.__name__)
        for one, other in (
            (run.counts("rowan/2017", "2017-12-09"), midnight.counts("rowan/2017", "2017-12-09")),
            (run.mask("rowan/2017", "2017-12-09"), midnight.mask("rowan/2017", "2017-12-09")),
        ):
            assert np.array_equal(one, other)


def test_a_pass_through_midnight_is_one_scene_or_two_by_utc(
    midnight: Tried, search: bytes, made: Bay, tmp_path: Path
) -> None:
    run = tried(choose(made.document(2017), days="utc"), tmp_path)

    assert midnight.words("rowan/2017/candidate") == ["2017-12-09"]
    assert run.words("rowan/2017/candidate") == ["2017-12-09", "2017-12-10"]
    assert sorted(run.chosen("rowan/2017")) == ["2017-12-09", "2017-12-10"]


def test_a_recorded_search_gives_the_same_arrays_without_the_catalogue_of_landsat(
    midnight: Tried, search: bytes, made: Bay, tmp_path: Path
) -> None:
    lonely, record = bay(tmp_path / "lonely", []), recorded(search, tmp_path)
    run = tried(lonely.document(2017, inputs={"landsat": [], "recorded": str(record)}), tmp_path)

    expected, ours = arrays(midnight.group), arrays(run.group)
    assert ours.keys() == expected.keys()
    for name in (name for name in ours if not name.endswith("candidate_record")):
        assert ours[name].tobytes() == expected[name].tobytes(), name
    assert [each.id for each in run.plan.inputs] == [each.id for each in midnight.plan.inputs]


def test_a_scene_in_utm_is_laid_on_the_polar_grid_by_its_nearest_pixels(
    made: Bay, tmp_path: Path
) -> None:
    run = tried(made.document(2019), tmp_path)

    grid = FOREIGN.grid
    to_utm = pyproj.Transformer.from_crs(3031, 32613, always_xy=True)
    x, y = to_utm.transform(*np.meshgrid(ROI.x, ROI.y))
    column, row = (x - grid.west) / 30.0, (grid.north - y) / 30.0
    inside = np.floor(row).astype(int), np.floor(column).astype(int)
    found = run.counts("rowan/2019", "2019-12-10").astype(float)
    mult, add = COEFFICIENTS["landsat-8"]
    for n, band in enumerate(("red", "green", "blue")):
        numbers = FOREIGN.images()[band][inside].astype(float)
        exact = (mult * numbers + add) / np.sin(np.radians(FOREIGN.sun)) / 2.5e-5
        # GDAL places pixels to an eighth of one: near the edge of two it may take either.
        sure = np.all([np.abs(at % 1.0 - 0.5) < 0.36 for at in (row, column)], axis=0)
        assert sure.mean() > 0.4
        assert np.abs(found[n] - exact)[sure].max() < BOUND
        assert (np.abs(found[n] - exact) < BOUND).mean() > 0.85


def test_a_person_decides_otherwise(made: Bay, tmp_path: Path) -> None:
    usual = made.document(2018)

    def decided(name: str, **what: object) -> list[str]:
        override = {"shelf": "rowan", "summer": 2018, "reason": "a person looked", **what}
        return tried(choose(usual, overrides=[override]), tmp_path / name).chosen("rowan/2018")

    assert tried(usual, tmp_path / "usual").chosen("rowan/2018") == ["2018-11-20"]
    # The early scene sees half of the region: what a person uses is the whole set.
    assert decided("use", use=["2018-11-10"]) == ["2018-11-10"]
    # YAML makes a date of a label without quotes.
    assert decided("drop", drop=[dt.date(2018, 11, 20)]) == ["2018-11-10"]
    assert decided("one", use=["2018-11-10"], drop=["2018-11-20"]) == ["2018-11-10"]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ({"use": ["2018-11-11"]}, "has no scene 2018-11-11; it has 2018-11-10, 2018-11-20"),
        ({"summer": 2017, "use": ["2018-11-10"]}, "rowan 2017 is not in this run"),
    ],
)
def test_an_override_of_what_is_not_there_is_refused(
    made: Bay, tmp_path: Path, override: dict[str, Any], said: str
) -> None:
    decided = {"shelf": "Rowan", "summer": 2018, "reason": "a person looked", **override}

    with pytest.raises(InputError, match=said):
        planned(choose(made.document(2018), overrides=[decided]), tmp_path)


def test_more_scenes_than_there_are_places_are_refused(made: Bay, tmp_path: Path) -> None:
    labels = ["2018-11-10", "2018-11-20"]
    decided = {"shelf": "Rowan", "summer": 2018, "reason": "all", "use": labels}
    document = choose(made.document(2018), overrides=[decided], choice={"most": 1})

    with pytest.raises(SettingsError, match=r"overrides\[0\].use: found 2 scenes, expected 1"):
        planned(document, tmp_path)


def test_an_unknown_shelf_is_refused_with_the_nearest_name(made: Bay, tmp_path: Path) -> None:
    with pytest.raises(ShelfError, match="did you mean 'Rowan'"):
        planned(choose(made.document(2018), shelves=["Rowen"]), tmp_path)


def test_a_summer_without_scenes_is_told_and_covers_nothing(made: Bay, tmp_path: Path) -> None:
    run = carried_out(made.document(2005), tmp_path)

    assert run.outcome.failed == run.outcome.left == 0
    assert any("no scene was found for 1 of 1: rowan/2005" in note for note in run.plan.notes)
    assert run.chosen("rowan/2005") == []
    assert not run.array("rowan/2005/supplier").any()
    table = (run.output / "tables" / "scenes.csv").read_text()
    assert "covered_fraction,shelves,rowan,2005-11-01,2006-03-31,0.0," in table
    assert json.loads((run.output / "search.json").read_bytes())["features"] == []
