"""Published rates by basins that share numbers with others and lie elsewhere."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, cast

import geopandas as gpd
import pyproj
import pytest
import shapely

from pipelines.flows.comparison_inputs import Ground, Method
from pipelines.flows.comparison_published import PublishedJob
from pipelines.published_rates import Series

DAYS = dt.date(2011, 2, 1), dt.date(2017, 6, 30)
BOXES = {"1": shapely.box(0.0, 0.0, 4e5, 3e5), "2": shapely.box(-6e5, -2e5, -1e5, 2e5)}


@dataclass(frozen=True)
class Boxes:
    """A common ground of two basins."""

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
    series = Series("printed", "gravimetry", (), tuple(areas.items()))
    method = Method("printed", "gravimetry", None, {}, False, *DAYS, series=series)
    return PublishedJob(method, cast("Ground", Boxes()), "mean")


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
