"""Published rates on the common ground: which ice, how certain, how much of the period, curves."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, cast

import geopandas as gpd
import numpy as np
import pyproj
import pytest
import shapely
from numpy.typing import NDArray

from pipelines import imbie
from pipelines.flows.comparison_inputs import Ground, Method
from pipelines.flows.comparison_published import PublishedJob
from pipelines.flows.mass_budget_series import decimal, gained
from pipelines.imbie_names import DIALECTS
from pipelines.kernels.comparison.alignment import READINGS, Reading
from pipelines.published_rates import Interval, Series, read

DAYS = dt.date(2011, 2, 1), dt.date(2017, 6, 30)
BOXES = {"1": shapely.box(0.0, 0.0, 4e5, 3e5), "2": shapely.box(-6e5, -2e5, -1e5, 2e5)}
OWN = {"contributor": "Yang", "region_set": "zwally2012"}
FLOAT = NDArray[np.float64]


@dataclass(frozen=True)
class Boxes:
    """A common ground of two basins."""

    period: tuple[np.datetime64, np.datetime64] = (
        np.datetime64(DAYS[0]), np.datetime64(DAYS[1]) + np.timedelta64(1, "D"),
    )  # fmt: skip

    def polygons(self) -> gpd.GeoDataFrame:
        found = {"region": list(BOXES), "group": ["", ""]}
        return gpd.GeoDataFrame(found, geometry=list(BOXES.values()), crs="EPSG:3031")


def true_km2(box: shapely.Polygon) -> float:
    """Return the geodesic area of a box, its edges cut to 10 km."""
    fine = shapely.segmentize(box, 10e3)
    to_degrees = pyproj.Transformer.from_crs(3031, 4326, always_xy=True)
    longitude, latitude = to_degrees.transform(*fine.exterior.coords.xy)
    return abs(pyproj.Geod(ellps="WGS84").polygon_area_perimeter(longitude, latitude)[0]) / 1e6


def job(areas: dict[str, float]) -> PublishedJob:
    return job_of(Series("printed", "gravimetry", (), tuple(areas.items())))


def job_of(series: Series, *days: str, reading: Reading = "mean") -> PublishedJob:
    """Return the job of a series, between two days if they are given."""
    method = Method("printed", "gravimetry", None, {}, False, *DAYS, series=series)
    ground = Boxes((np.datetime64(days[0]), np.datetime64(days[1]))) if days else Boxes()
    return PublishedJob(method, cast("Ground", ground), reading)


@pytest.mark.parametrize(("factor", "is_other"), [(1.0, False), (0.85, False), (1.3, True)])
def test_a_basin_of_another_area_is_another_basin(factor: float, is_other: bool) -> None:
    printed = {name: true_km2(box) for name, box in BOXES.items()}
    printed["2"] *= factor

    found: dict[str, Any] = job(printed)._other_ice(("1", "2", "AIS"))

    assert list(found) == (["2"] if is_other else [])


def test_totals_are_compared_as_the_sum_of_their_basins() -> None:
    whole = sum(map(true_km2, BOXES.values()))
    assert list(job({"AIS": whole})._other_ice(("1", "2", "AIS"))) == []
    assert list(job({"AIS": 2.0 * whole})._other_ice(("1", "2", "AIS"))) == ["AIS"]


def test_without_printed_areas_nothing_is_known() -> None:
    assert job({})._other_ice(("1", "2", "AIS")) == {}


def test_a_basin_of_another_set_in_a_file_of_imbie_is_left_out() -> None:
    """Basin 2 of Rignot beside basin 2 of Zwally; our own file of the same basins is compared."""
    area = {name: true_km2(box) for name, box in BOXES.items()}
    rates = [imbie.Rate(name, area[name], area[name], 2011.0, 2017.0, -5.0, 1.0) for name in BOXES]
    masses = [imbie.Mass("2", area["2"], area["2"], 2011.0 + n, -5.0 * n, n) for n in range(3)]
    for dialect in DIALECTS:
        for own in (imbie.dmdt(rates, dialect=dialect, **OWN),
                    imbie.dm(masses, dialect=dialect, **OWN)):  # fmt: skip
            other = own.decode().replace("Zwally", "Rignot").replace(f"{area['2']:.2f}", "501234.5")

            (ours,), (theirs,) = (read(data, name="f") for data in (own, other.encode()))

            assert job_of(ours)._other_ice(("1", "2", "AIS")) == {}
            left_out = job_of(theirs)._other_ice(("1", "2", "AIS"))
            assert left_out == {"2": (501234.5, pytest.approx(area["2"], rel=1e-3))}


def budget_s_files(covariance: FLOAT) -> tuple[Series, Series]:
    """Return what a budget of ice years writes for IMBIE, as rates and as masses."""
    starts = [decimal(dt.date(year, 7, 1)) for year in range(2011, 2011 + len(covariance) + 1)]
    balance = -100.0 + 40.0 * np.cos(np.arange(len(covariance)))
    change, sigma = gained(balance[None], covariance[None], np.diff(starts))
    rates = [
        imbie.Rate("2", 2e5, 2e5, *span, value, s)
        for *span, value, s in zip(
            starts[:-1], starts[1:], balance, np.sqrt(np.diag(covariance)), strict=True
        )
    ]
    points = zip(starts, [0.0, *change], [0.0, *sigma], strict=True)
    masses = [imbie.Mass("2", 2e5, 2e5, *point) for point in points]
    (one,) = read(imbie.dmdt(rates, dialect="imbie-3", **OWN), name="dmdt")
    (other,) = read(imbie.dm(masses, dialect="imbie-3", **OWN), name="dm")
    return one, other


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize(
    "days",
    [
        ("2011-07-01", "2016-07-01"),
        ("2013-07-01", "2015-07-01"),
        ("2012-02-01", "2015-11-01"),
        ("2015-07-01", "2016-07-01"),
    ],
)
def test_both_files_of_one_budget_say_the_same(days: tuple[str, str], reading: Reading) -> None:
    """Thickness and velocity are off alike in all years, by 23 of 24 parts: as in the demo."""
    covariance = np.full((5, 5), 23.0**2) + np.diag(np.full(5, 6.0**2))

    found = [job_of(s, *days, reading=reading)._row("2") for s in budget_s_files(covariance)]

    (rate, sigma, covered), (of_masses, sigma_of_masses, covered_by_masses) = found
    # Four digits of a decimal year are an hour of a day that has been rounded.
    assert of_masses == pytest.approx(rate, rel=1e-4)
    assert covered == covered_by_masses == pytest.approx(1.0, abs=2e-3)
    # A file of rates does not say that 6 of 24 parts average out, one of masses does.
    assert sigma == pytest.approx(np.hypot(23.0, 6.0), rel=1e-4)
    assert 0.96 * sigma < sigma_of_masses <= 1.001 * sigma


@pytest.mark.parametrize("days", [("2011-07-01", "2016-07-01"), ("2013-07-01", "2015-07-01")])
def test_masses_tell_of_years_by_themselves_that_they_average_out(days: tuple[str, str]) -> None:
    _, masses = budget_s_files(np.diag(np.full(5, 20.0**2)))
    years = int(days[1][:4]) - int(days[0][:4])

    _, sigma, _ = job_of(masses, *days)._row("2")

    assert sigma == pytest.approx(20.0 / years**0.5, rel=2e-3)


def test_masses_of_one_error_each_count_at_both_ends() -> None:
    months = [imbie.Mass("2", 2e5, 2e5, 2011.0 + n / 12.0, -3.0 * n, 20.0) for n in range(61)]
    (series,) = read(imbie.dm(months, dialect="imbie-3", **OWN), name="noise")

    for reading in READINGS:
        rate, sigma, _ = job_of(series, "2011-01-01", "2016-01-01", reading=reading)._row("2")
        assert rate == pytest.approx(-36.0, rel=1e-3)
        assert sigma == pytest.approx(20.0 * 2.0**0.5 / 5.0, rel=1e-3)


def test_printed_rates_beside_masses_of_a_region_add_their_error() -> None:
    masses = [imbie.Mass("2", 2e5, 2e5, 2012.0 + n, -5.0 * n, 10.0 * n) for n in range(3)]
    (late,) = read(imbie.dm(masses, dialect="imbie-3", **OWN), name="t")
    before = Interval("2", dt.date(2011, 1, 1), dt.date(2012, 1, 1), -5.0, 4.0)
    both = Series("t", late.kind, (*late.intervals, before), late.areas, late.masses)

    _, sigma, _ = job_of(both, "2011-01-01", "2014-01-01")._row("2")

    assert sigma == pytest.approx((4.0 + 10.0 + 10.0) / 3.0, rel=2e-3)


@pytest.mark.parametrize("reading", READINGS)
def test_covered_are_days_of_the_period_however_rates_are_weighed(reading: Reading) -> None:
    middle = Interval("2", dt.date(2011, 1, 21), dt.date(2011, 3, 22), -5.0, 1.0)

    found = job_of(Series("t", "published", (middle,)), "2011-01-01", "2011-04-11", reading=reading)

    assert found._row("2") == pytest.approx((-5.0, 1.0, 0.6))


MONTHS = np.arange("2011-01", "2016-01", dtype="datetime64[M]")


def test_a_curve_is_the_sum_of_the_rates_of_its_days_with_gaps() -> None:
    held = (
        Interval("2", dt.date(2011, 1, 1), dt.date(2012, 1, 1), -100.0, 9.0),
        Interval("2", dt.date(2012, 1, 1), dt.date(2013, 1, 1), 30.0, 9.0),
        Interval("2", dt.date(2014, 1, 1), dt.date(2016, 1, 1), -60.0, 9.0),
        Interval("1", dt.date(2013, 1, 1), dt.date(2014, 1, 1), 999.0, 9.0),
    )
    found = job_of(Series("t", "published", held))._curve("2", -50.0, MONTHS)

    assert np.isnan(found).tolist() == [month.astype(object).year == 2013 for month in MONTHS]
    # From the middle of January, 15.5 days after the year began, to that of another.
    days = {"2012": (349.5, 15.5, 0.0, 0.0), "2014": (0.0, 350.5, 365.0, 15.5)}
    for before, after, year in ((0, 12, "2012"), (12, 36, "2014")):
        expected = np.dot(days[year], (-100.0, 30.0, -50.0, -60.0)) / 365.25
        assert found[after] - found[before] == pytest.approx(expected)
    assert found[48] - found[36] == pytest.approx(-60.0 * 365.0 / 365.25)


def test_the_line_through_a_curve_has_the_rate_of_the_trend() -> None:
    held = tuple(
        Interval("2", dt.date(year, 1, 1), dt.date(year + 1, 1, 1), value, 9.0)
        for year, value in zip(range(2011, 2016), (-100.0, 40.0, -80.0, -20.0, 70.0), strict=True)
    )
    job = job_of(Series("t", "published", held), "2011-01-01", "2016-01-01", reading="trend")
    rate, _, _ = job._row("2")

    curve = job._curve("2", rate, MONTHS)

    middle = MONTHS.astype("datetime64[D]").astype(np.float64) / 365.25
    # Sixty points stand for an integral.
    assert np.polyfit(middle, curve, 1)[0] == pytest.approx(rate, abs=0.5)


def test_a_region_of_other_ice_has_no_curve() -> None:
    held = (Interval("2", dt.date(2011, 1, 1), dt.date(2016, 1, 1), -100.0, 9.0),)

    found = job_of(Series("t", "published", held))._curve("2", float("nan"), MONTHS)

    assert np.isnan(found).all()
