"""Methods brought to common regions, mask and period: each number against another way to it."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely
import zarr
from numpy.typing import NDArray
from zarr.storage import MemoryStore

from pipelines import stored, tables
from pipelines.flows import comparison_tables, regions
from pipelines.kernels.constants import KG_PER_GT, MEAN_RADIUS
from tests.fixtures.comparison import (
    CUT,
    FEW,
    FIRST,
    JOINED,
    LAST,
    METHODS,
    Altered,
    Common,
    Done,
    plan_of,
    worked,
)

from .conftest import RESULT_DEGREE, harmonics_at, labels, on_sphere, opened, rows
from .test_mass_budget import QUANTITIES

FLOAT = NDArray[np.float64]
SPECTRAL = ("gravimetry", "altimetry", "combination")


@pytest.fixture(scope="module")
def plain(common: Common, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """All four over the regions that three of them were summed over."""
    return worked(common.document(), tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def few(common: Common, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """All four over five of the regions in another order, by the raster that products used."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(regions, "RASTER_SPACING_M", 10_000.0)
        return worked(common.document(regions="few"), tmp_path_factory.mktemp("few"))


def table(folder: Path, quantity: str = "mass_rate") -> dict[str, tuple[float, float]]:
    """Return a product's own table of rates by region [Gt yr⁻¹]."""
    return {
        row.region: (row.value, row.uncertainty) for row in rows(folder) if row.quantity == quantity
    }


def sigma(done: Done, method: str) -> dict[str, float]:
    spread = np.sqrt(np.diag(done.of("mass_rate_covariance", method))) / KG_PER_GT
    return dict(zip(done.labels("row"), map(float, spread), strict=True))


@pytest.mark.parametrize("method", ["altimetry", "combination"])
def test_over_their_own_regions_and_period_rates_are_those_of_the_product_s_table(
    plain: Done, common: Common, method: str
) -> None:
    own = table(Path(common.address(method)))

    for row in plain.labels("row"):
        assert plain.at("mass_rate", method, row) / KG_PER_GT == pytest.approx(own[row][0])
        assert sigma(plain, method)[row] == pytest.approx(own[row][1])
    assert set(plain.labels("row")) == {name for name in own if not name.endswith("_buffered")}
    assert (plain.of("mass_rate_lost", method) == 0.0).all()
    np.testing.assert_allclose(plain.of("covered", method), 1.0)


def test_gravimetry_is_its_own_table_and_what_it_did_not_see(plain: Done, common: Common) -> None:
    own = table(Path(common.address("gravimetry")))

    seen = plain.of("mass_rate", "gravimetry") - plain.of("mass_rate_lost", "gravimetry")

    for row, rate in zip(plain.labels("row"), seen, strict=True):
        assert rate / KG_PER_GT == pytest.approx(own[row][0], rel=1e-9)
        # Residuals of regions and what it did not see only ever add to the members' spread.
        assert sigma(plain, "gravimetry")[row] > own[row][1]
    assert np.abs(plain.of("mass_rate_lost", "gravimetry")).max() > KG_PER_GT


@pytest.mark.parametrize("method", SPECTRAL)
def test_what_is_summed_again_over_the_same_polygons_is_what_it_was(
    plain: Done, few: Done, method: str
) -> None:
    """Another collection, in another order: kernels are made anew from the same raster."""
    at = [plain.labels("row").index(name) for name in FEW]
    mine = [few.labels("row").index(name) for name in FEW]

    for name in ("mass_rate", "mass_rate_lost", "mass", "mass_sigma"):
        found, expected = few.of(name, method)[mine], plain.of(name, method)[at]
        # Sums of 7000 products of both signs.
        np.testing.assert_allclose(found, expected, atol=1e-9 * np.nanmax(np.abs(expected)))
    found, expected = (
        done.of("mass_rate_covariance", method)[np.ix_(i, i)]
        for done, i in ((few, mine), (plain, at))
    )
    np.testing.assert_allclose(found, expected, atol=1e-9 * np.abs(expected).max())
    shared = few["mass_rate_shared"][:, :, mine][..., mine]
    expected = plain["mass_rate_shared"][:, :, at][..., at]
    np.testing.assert_allclose(shared, expected, atol=1e-9 * np.abs(expected).max())
    total = few.of("mass_rate", method)
    assert few.labels("row") == [*FEW, "EAIS", "WAIS", "AIS"]
    assert total[-1] == pytest.approx(total[:5].sum(), rel=1e-9)


def test_a_budget_is_found_by_its_polygons_whatever_they_are_called(plain: Done, few: Done) -> None:
    for name in ("mass_rate", "term", "term_sigma"):
        for row in FEW:
            one, other = (
                done.of(name, "mass_budget")[..., done.labels("row").index(row)]
                for done in (few, plain)
            )
            np.testing.assert_allclose(one, other, rtol=1e-12)
    assert few.notes["sum/mass_budget"].startswith("snow by months; 0.79 of it")


def test_two_basins_joined_are_the_sum_of_both(common: Common, few: Done, tmp_path: Path) -> None:
    done = worked(common.document("mass_budget", "altimetry", regions="joined"), tmp_path)
    one, other = JOINED

    held = {name: [few.at(name, "mass_budget", row) for row in JOINED] for name in ("mass_rate",)}
    assert other not in done.labels("row")
    assert done.at("mass_rate", "mass_budget", one) == pytest.approx(sum(held["mass_rate"]))
    apart = sigma(few, "mass_budget")
    assert sigma(done, "mass_budget")[one] == pytest.approx(np.hypot(apart[one], apart[other]))
    for number in (0, 1):
        terms = few.of("term", "mass_budget")[number]
        both = [terms[few.labels("row").index(row)] for row in JOINED]
        found = done.of("term", "mass_budget")[number][done.labels("row").index(one)]
        assert found == pytest.approx(sum(both))
    curve = sum(few.of("mass", "mass_budget")[few.labels("row").index(row)] for row in JOINED)
    found = done.of("mass", "mass_budget")[done.labels("row").index(one)]
    np.testing.assert_allclose(found, curve, atol=1e-9 * np.abs(curve).max())
    # Fields are summed over the union itself, on a raster of 2 km where the other was of 10 km.
    field = [few.at("mass_rate", "altimetry", row) for row in JOINED]
    spread = max(sigma(few, "altimetry")[row] for row in JOINED) * KG_PER_GT
    assert done.at("mass_rate", "altimetry", one) == pytest.approx(sum(field), abs=0.01 * spread)


def test_a_region_that_no_whole_ones_make_up_is_left_out_and_said(
    common: Common, few: Done, tmp_path: Path
) -> None:
    done = worked(common.document("mass_budget", regions="cut"), tmp_path)
    names = done.labels("row")
    halves = [f"{CUT}a", f"{CUT}b"]

    rate = dict(zip(names, done.of("mass_rate", "mass_budget"), strict=True))

    unknown = [name for name in names if np.isnan(rate[name])]
    assert unknown == [*halves, "EAIS", "AIS"]
    assert f"nothing of {', '.join(unknown)}, which" in done.notes["sum/mass_budget"]
    assert "snow by months" in done.notes["sum/mass_budget"]
    kept = [name for name in names if name not in unknown]
    for name in kept:
        assert rate[name] == pytest.approx(few.at("mass_rate", "mass_budget", name))
        curve = done.of("mass", "mass_budget")[names.index(name)]
        other = few.of("mass", "mass_budget")[few.labels("row").index(name)]
        np.testing.assert_allclose(curve, other, atol=1e-9 * np.abs(other).max())
    combined = done["combined"][done.labels("estimate").index("generalised_least_squares")]
    assert [name for name in names if np.isfinite(combined[names.index(name)])] == kept


def test_a_region_with_ice_that_the_budget_has_not_is_left_out(
    common: Common, tmp_path: Path
) -> None:
    """All of basin 22 lies in it, and as much again of what no gate drains."""
    from pipelines.worlds.boundary_files import write_polygons
    from stac.ingest import ingest

    few = common.polygons("few")
    shape = few.set_index("region").geometry["22"]
    beside = shape.union(shapely.affinity.translate(shapely.box(*shape.bounds), 1e6))
    wide = few[few.region == "22"].assign(geometry=[beside])
    catalogue = str(tmp_path / "catalogue")
    path = write_polygons(wide, tmp_path / "wide.gpkg")
    (done,) = ingest("basins", [str(path)], catalogue=catalogue, collection="wide")
    assert done.state == "added", done.reason

    document = common.document("mass_budget", regions="wide", catalogue=catalogue)
    made = worked(document, tmp_path)

    assert np.isnan(made.of("mass_rate", "mass_budget")).all()


CELL = 25e3
WGS84 = pyproj.Geod(ellps="WGS84")


def integral(coefficients: FLOAT, shape: shapely.Geometry) -> float:
    """Return ∫ over a polygon of a field given by coefficients, cell by cell with SciPy [kg yr⁻¹].

    Pieces of cells are weighed by their true area over r², times a²: what record 0005 asks.
    """
    west, south, east, north = shape.bounds
    pieces = [
        piece
        for x in np.arange(CELL * np.floor(west / CELL), east, CELL)
        for y in np.arange(CELL * np.floor(south / CELL), north, CELL)
        if not (piece := shape.intersection(shapely.box(x, y, x + CELL, y + CELL))).is_empty
    ]
    x, y = (np.array([getattr(piece.centroid, axis) for piece in pieces]) for axis in "xy")
    longitude, latitude = pyproj.Transformer.from_crs(3031, 4326, always_xy=True).transform(x, y)
    scale = np.array(pyproj.Proj(3031).get_factors(longitude, latitude).areal_scale)
    geocentric, _ = on_sphere(x, y)
    b = WGS84.b
    radius = b / np.sqrt(1.0 - (1.0 - (b / WGS84.a) ** 2) * np.cos(np.radians(geocentric)) ** 2)
    area = np.array([piece.area for piece in pieces]) / scale
    omega = area * np.cos(np.radians(latitude - geocentric)) / radius**2
    at = harmonics_at(geocentric, longitude, j_max=RESULT_DEGREE)
    return float(np.tensordot(at, coefficients, axes=3) @ omega * MEAN_RADIUS**2)


def mean_field(common: Common) -> FLOAT:
    product = opened(Path(common.address("altimetry")))
    mixing, basis = (stored.read(product, name) for name in ("mixing", "mass_rate_basis"))
    return np.asarray(np.tensordot(mixing.mean(axis=0), basis, axes=1))


@pytest.fixture(scope="module")
def halves(common: Common, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    """Altimetry and gravimetry over five regions, clipped to either half of the plane."""
    methods = ("altimetry", "gravimetry")
    return {
        side: worked(
            common.document(*methods, regions="few", inputs={"grounded_ice": side}),
            tmp_path_factory.mktemp(side),
        )
        for side in ("east", "west")
    }


def test_a_mask_clips_regions_and_fields_are_integrated_over_what_is_left(
    common: Common, halves: dict[str, Done]
) -> None:
    shapes = common.polygons("few").set_index("region").geometry
    half = {name: common.polygons(name).geometry[0] for name in halves}
    field = mean_field(common)

    for side, row in (("east", "17"), ("west", "17"), ("east", "5")):
        clipped = shapes[row].intersection(half[side])
        assert 0.02 < clipped.area / shapes[row].area < 0.98
        found = halves[side].at("mass_rate", "altimetry", row)
        # The field's smallest waves are 660 km; centroids of cells of 25 km miss 1e-3 of them,
        # and a raster of 2 km as much of the area.
        assert found == pytest.approx(integral(field, clipped), rel=5e-3)


def test_both_halves_make_the_whole_and_are_no_shares_of_it(
    common: Common, halves: dict[str, Done], few: Done
) -> None:
    shapes = common.polygons("few").set_index("region").geometry
    part = shapes["17"].intersection(common.polygons("east").geometry[0]).area / shapes["17"].area
    for method in ("altimetry", "gravimetry"):
        east, west = (done.at("mass_rate", method, "17") for done in halves.values())
        lost = sum(done.at("mass_rate_lost", method, "17") for done in halves.values())
        whole = few.at("mass_rate", method, "17")
        spread = sigma(few, method)["17"] * KG_PER_GT
        # A raster of 2 km against one of 10 km.
        assert east + west == pytest.approx(whole, abs=0.02 * spread)
        assert lost == pytest.approx(few.at("mass_rate_lost", method, "17"), abs=0.02 * spread)
        assert abs(east - part * whole) > 0.3 * KG_PER_GT


def test_a_region_that_the_mask_leaves_nothing_of_is_gone(halves: dict[str, Done]) -> None:
    assert halves["east"].labels("row") == ["17", "5", "EAIS", "AIS"]
    assert "22" in halves["west"].labels("row")


def anomalies(folder: Path) -> pd.DataFrame:
    """Return a gravimetry's own monthly masses by month and region [Gt]."""
    held = pd.read_csv(folder / "tables" / "series.csv", dtype={"region": str})
    held = held[held.note.isna()]
    return held.pivot(index="period_start", columns="region", values="value")


def by_least_squares(epoch: FLOAT, series: FLOAT, *, at: float) -> float:
    """Return the trend of Sasgen's model, section 2.1, at a decimal year, by NumPy."""
    t = epoch - at
    waves = [2.0 * np.pi * t * 365.25 / days for days in (365.25, 161.0, 171.0)]
    columns = [np.ones_like(t), t, 0.5 * t**2]
    columns += [wave(phase) for phase in waves for wave in (np.cos, np.sin)]
    return float(np.linalg.lstsq(np.column_stack(columns), series, rcond=None)[0][1])


def test_the_trend_of_a_shorter_period_is_that_of_its_months(
    common: Common, plain: Done, tmp_path: Path
) -> None:
    document = common.document("gravimetry", "altimetry", period=["2011-02-01", "2012-11-15"])
    done = worked(document, tmp_path)
    folder = Path(common.address("gravimetry"))
    epoch = stored.read(opened(folder), "epoch")
    solved = np.isfinite(stored.read(opened(folder), "stokes")[:, 0, 2, 0])
    own = anomalies(folder)
    assert solved.sum() == len(own)
    # 15 November is the last day: its own month's middle, the 15th at midnight, is before its end.
    after = 2012.0 + 320.0 / 366.0
    within = epoch[solved] < after
    middle = (2011.0 + 31.0 / 365.0 + after) / 2.0

    for row in ("1", "22", "EAIS", "AIS"):
        months = epoch[solved][within], own[row].to_numpy()[within]
        expected = by_least_squares(*months, at=middle)
        # With its acceleration the trend of the months' mean is another (record 0008).
        at_mean = by_least_squares(*months, at=float(months[0].mean()))
        assert abs(at_mean - expected) > 1e-5
        seen = done.at("mass_rate", "gravimetry", row) - done.at(
            "mass_rate_lost", "gravimetry", row
        )
        assert seen / KG_PER_GT == pytest.approx(expected, rel=1e-7, abs=1e-7)
        whole = plain.at("mass_rate", "gravimetry", row)
        assert abs(done.at("mass_rate", "gravimetry", row) - whole) > 1e-3 * KG_PER_GT
    assert done.notes["sum/gravimetry"].startswith(f"{within.sum()} months; errors of regions")
    # Gravimetry from its first month to its last, October 2012; gaps between are spanned.
    held = (np.datetime64("2012-11-01") - np.datetime64("2011-02-01")).astype(int)
    covered = held / (np.datetime64("2012-11-16") - np.datetime64("2011-02-01")).astype(int)
    np.testing.assert_allclose(done.of("covered", "gravimetry"), covered)
    np.testing.assert_allclose(done.of("covered", "altimetry"), 1.0)


def test_curves_of_gravimetry_are_its_months_and_gaps_stay_gaps(
    common: Common, plain: Done
) -> None:
    own = anomalies(Path(common.address("gravimetry")))
    months = pd.to_datetime(stored.read(plain.group, "month"), unit="D").strftime("%Y-%m-%d")
    assert list(months[[0, -1]]) == ["2011-02-01", "2013-01-01"]
    there = np.isin(months, own.index)
    assert 0 < (~there).sum() < 6
    firsts = pd.date_range("2011-02-01", "2013-02-01", freq="MS")
    middles = (firsts[:-1] + np.diff(firsts) / 2).to_julian_date()

    for row in ("7", "AIS"):
        mass = plain.of("mass", "gravimetry")[plain.labels("row").index(row)]
        np.testing.assert_array_equal(np.isfinite(mass), there)
        # What it did not see is a steady rate.
        unseen = plain.at("mass_rate_lost", "gravimetry", row) / KG_PER_GT
        expected = own[row].to_numpy() + unseen * middles[there].to_numpy() / 365.25
        expected -= expected.mean()
        np.testing.assert_allclose(
            mass[there] / KG_PER_GT, expected, atol=1e-9 * np.abs(expected).max()
        )
    for method in ("altimetry", "combination"):
        line = plain.of("mass", method)[-1]
        slope = np.diff(line) / np.diff(middles) * 365.25
        np.testing.assert_allclose(slope, plain.at("mass_rate", method, "AIS"), rtol=1e-6)
        assert line.sum() == pytest.approx(0.0, abs=1e-9 * np.abs(line).max())


def monthly_snow(common: Common) -> pd.DataFrame:
    """Return the snow of each month by region, the model continued by the reanalysis [kg]."""
    product = opened(Path(common.address("mass_budget")))
    days = np.datetime64("1970-01-01", "D") + stored.read(product, "month").astype(int)
    model, other = (
        pd.DataFrame(record, index=pd.DatetimeIndex(days), columns=labels(product, "region"))
        for record in stored.read(product, "record_smb")
    )
    both = model.dropna().index
    count = pd.Series(1, index=both).groupby(both.year).sum()
    whole = both[both.year.isin(count[count == 12].index)]
    return model.fillna(other * (model.loc[whole].sum() / other.loc[whole].sum()))


def daily(common: Common, first: str, last: str) -> tuple[pd.DatetimeIndex, FLOAT, FLOAT]:
    """Return the days of a period, and each day's rate of snow and of discharge by region.

    Snow is that of its month, a twelfth of a year; discharge that of the nearest year of ice flow.
    """
    product = opened(Path(common.address("mass_budget")))
    days = pd.date_range(first, last, freq="D")
    snow = 12.0 * monthly_snow(common).reindex(days.to_period("M").to_timestamp()).to_numpy()
    count = snow.shape[1]
    yearly = stored.read(product, "budget")[0, QUANTITIES.index("discharge"), :, :count]
    starts, ends = (
        [dt.date(1970, 1, 1) + dt.timedelta(days=int(n)) for n in product[f"year_{end}"][...]]
        for end in ("start", "end")
    )
    taken = []
    for day in days.date:
        far = [
            max((a - day).days, (day - b).days + 1, 0) for a, b in zip(starts, ends, strict=True)
        ]
        taken.append(int(np.argmin(far)))
    return days, snow, yearly[taken]


PERIODS = {
    "of three years of flow": ("2011-07-01", "2014-06-30"),
    "with months before": (FIRST, LAST),
    "within a year and a half": ("2012-03-01", "2013-08-31"),
}


@pytest.mark.parametrize("reading", ["mean", "trend"])
@pytest.mark.parametrize("which", PERIODS)
def test_a_budget_s_rate_is_the_sum_of_its_days(
    common: Common, tmp_path: Path, which: str, reading: str
) -> None:
    first, last = PERIODS[which]
    document = common.document(
        "mass_budget", period=[first, last], comparison={"rate": reading, "least_covered": 0.5}
    )
    done = worked(document, tmp_path)
    days, snow, discharge = daily(common, first, last)
    s = (np.arange(len(days)) + 0.5) / len(days)
    w = np.ones_like(s) if reading == "mean" else 6.0 * s * (1.0 - s)
    w /= len(days)

    count = snow.shape[1]
    terms = done.of("term", "mass_budget")[:, :count]
    # The middle of a day stands for it: 1e-6 of what a year's rate is.
    near = {"rtol": 2e-6, "atol": 2e-6 * np.abs(snow).max()}
    np.testing.assert_allclose(terms[0], w @ snow, **near)
    np.testing.assert_allclose(terms[1], w @ discharge, **near)
    rate = done.of("mass_rate", "mass_budget")
    np.testing.assert_allclose(rate[:count], w @ (snow - discharge), **near)
    assert rate[-1] == pytest.approx(rate[:count].sum(), rel=1e-9)
    if reading == "mean":
        # What fell in all, over the time: months of 28 to 31 days are twelfths of a year here.
        months = monthly_snow(common).loc[first:last]
        np.testing.assert_allclose(
            terms[0], months.sum() / (len(days) / 365.25), rtol=0.02, atol=0.02 * KG_PER_GT
        )


def test_a_budget_s_curve_is_the_sum_of_the_days_before(common: Common, plain: Done) -> None:
    days, snow, discharge = daily(common, FIRST, LAST)
    gained = np.cumsum((snow - discharge) / 365.25, axis=0)
    firsts = np.flatnonzero(days.day == 1)
    middles = 0.5 * (gained[firsts + 14] + gained[firsts + 15])
    expected = (middles - middles.mean(axis=0)).T

    found = plain.of("mass", "mass_budget")[: snow.shape[1]]

    # Half a day of a month's snow, which is half of the month's at its middle.
    half = 0.5 * np.abs(snow).max(axis=0) / 365.25
    assert (np.abs(found - expected) <= half[:, None] + 1e-9 * np.abs(expected).max()).all()
    assert (np.abs(expected).max(axis=1) > 5.0 * half).mean() > 0.8


def test_how_much_of_the_period_a_budget_covers_are_the_days_of_its_years(
    common: Common, plain: Done, tmp_path: Path
) -> None:
    # From February 2011 to January 2013 are 731 days; years of flow begin with July 2011.
    assert plain.at("covered", "mass_budget", "AIS") == pytest.approx((731 - 150) / 731)

    document = common.document("mass_budget", "altimetry", comparison={"least_covered": 0.8})
    done = worked(document, tmp_path)

    assert np.isnan(done["closure"]).all()
    weights = done["combined_weight"][0]
    assert np.isnan(weights[done.labels("method").index("mass_budget")]).all()
    np.testing.assert_allclose(weights[done.labels("method").index("altimetry")], 1.0)


def told(done: Done, quantity: str) -> dict[tuple[str, str], tables.Row]:
    """Return rows of the table that would be written, by method and region."""
    held = done.plan.tell.keywords  # type: ignore[attr-defined]
    found = comparison_tables.comparison_rows(done.group, held["run"], held["found"])
    return {(row.told["method"], row.region): row for row in found if row.quantity == quantity}


def test_a_method_of_too_little_of_the_period_is_told_apart_from_those_compared(
    common: Common, plain: Done, tmp_path: Path
) -> None:
    document = common.document("mass_budget", "altimetry", comparison={"least_covered": 0.8})
    done = worked(document, tmp_path)

    assert {method for method, _ in told(done, "mass_balance")} == {"altimetry"}
    apart = told(done, "mass_balance_not_compared")
    assert {method for method, _ in apart} == {"mass_budget"}
    row = apart["mass_budget", "AIS"]
    assert row.value == told(plain, "mass_balance")["mass_budget", "AIS"].value
    assert row.told["covered"] == "0.795"
    assert not told(plain, "mass_balance_not_compared")


def test_a_steady_rate_of_another_period_is_told_with_its_own_days(
    common: Common, tmp_path: Path
) -> None:
    document = common.document(
        "altimetry", "mass_budget", period=["2011-08-01", "2013-03-31"],
        comparison={"least_covered": 0.5},
    )  # fmt: skip

    rates = told(worked(document, tmp_path), "mass_balance")

    days = {method: (rates[method, "AIS"].period_start.isoformat(),
                     rates[method, "AIS"].period_end.isoformat())
            for method in ("altimetry", "mass_budget")}  # fmt: skip
    assert days == {"altimetry": (FIRST, LAST), "mass_budget": ("2011-08-01", "2013-03-31")}


def test_a_plan_says_what_is_summed_again_and_what_covers_another_period(
    common: Common, tmp_path: Path
) -> None:
    document = common.document(period=["2011-02-01", "2014-12-31"], regions="few")

    notes = plan_of(document, tmp_path).notes

    assert notes == (
        f"methods: {', '.join(METHODS)}; combined: gravimetry, altimetry, mass_budget",
        # The last month of gravimetry was not measured.
        *(f"{name}: summed again over the common regions; it covers {FIRST} to {last}"
          for name, last in zip(SPECTRAL, ("2012-12-31", LAST, LAST), strict=True)),
        "mass_budget: summed again over the common regions",
    )  # fmt: skip


def test_polygons_of_the_common_ground_are_the_clipped_ones(common: Common) -> None:
    """The oracle of this file's own masks: areas of the halves add to those of the whole."""
    few: gpd.GeoDataFrame = common.polygons("few")
    sides = [few.geometry.intersection(common.polygons(s).geometry[0]) for s in ("east", "west")]
    np.testing.assert_allclose(sides[0].area + sides[1].area, few.area, rtol=1e-9)


def test_a_budget_of_a_part_of_the_ice_sheet_has_a_total_of_another_name(
    common: Common, plain: Done, tmp_path: Path
) -> None:
    """Less than the ice sheet is `all` there, and AIS in what gravimetry and altimetry sum."""
    plan = plan_of(common.document("mass_budget"), tmp_path)
    job = plan.stages[0].job.jobs["sum/mass_budget"]  # type: ignore[union-attr]
    product = opened(Path(common.address("mass_budget")))
    names = ["all" if row == "AIS" else row for row in labels(product, "row")]
    renamed = dataclasses.replace(job.method, source=Altered(product, labels={"row": names}))
    group = zarr.open_group(MemoryStore(), mode="w")
    plan.template(group)

    dataclasses.replace(job, method=renamed)("sum/mass_budget", group)

    rate = stored.read(group, "mass_rate")[0]
    np.testing.assert_allclose(rate, plain.of("mass_rate", "mass_budget"), rtol=1e-9)
    found = np.diag(stored.read(group, "mass_rate_covariance")[0])
    own = np.diag(plain.of("mass_rate_covariance", "mass_budget"))
    np.testing.assert_allclose(found[:-1], own[:-1], rtol=1e-9)
    # Without a row of its own the total's regions err apart from each other.
    assert found[-1] == pytest.approx(own[:27].sum(), rel=1e-9)
