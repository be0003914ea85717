"""Transects: true distances, and where the six of figure 3 run."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipelines.kernels.transects import (
    DEFAULT_TRANSECTS,
    TransectError,
    default_transect,
    sample_transect,
)

FLOAT = NDArray[np.float64]

ALONG, ACROSS = ("AA'", "BB'", "CC'"), ("aa'", "bb'", "cc'")
GLACIERS = {
    "AA'": (116.2, -67.1, 1000.0),
    "BB'": (38.8, -70.25, 1000.0),
    "CC'": (-111.5, -75.2, 1650.0),
    "aa'": (116.2, -67.1, 500.0),
    "bb'": (38.8, -70.25, 500.0),
    "cc'": (-100.2, -75.15, 500.0),
}


def ellipsoidal_steps(longitude: FLOAT, latitude: FLOAT) -> FLOAT:
    """Return geodesic distances of neighbours in kilometres, by pyproj."""
    from pyproj import Geod

    ends = longitude[:-1], latitude[:-1], longitude[1:], latitude[1:]
    return np.asarray(Geod(ellps="WGS84").inv(*ends)[2]) / 1000.0


@pytest.mark.parametrize("path", ["map", "great_circle"])
@pytest.mark.parametrize("name", [*ALONG, *ACROSS])
def test_points_are_as_far_apart_on_the_ellipsoid_as_they_say(name, path):
    longitude, latitude = np.array(DEFAULT_TRANSECTS[name]).T

    line = sample_transect(longitude, latitude, spacing_km=10.0, path=path)

    steps = ellipsoidal_steps(line.longitude, line.latitude)
    corners = np.array(DEFAULT_TRANSECTS[name]).shape[0] - 2
    # A chord over a corner is shorter than the way round it; elsewhere they agree to a metre.
    assert np.sort(steps)[corners:] == pytest.approx(10.0, abs=1e-3)
    assert steps.max() < 10.001


@given(st.floats(-89.9, -60.0), st.floats(-180, 180), st.floats(-89.9, -60.0), st.floats(0.5, 179))
def test_a_great_circle_is_no_longer_than_the_map_s_straight_line(south, west, north, turn):
    longitude, latitude = np.array([west, west + turn]), np.array([south, north])
    lengths = {
        path: sample_transect(longitude, latitude, spacing_km=0.5, path=path).distance_km[-1]
        for path in ("map", "great_circle")
    }
    # The great circle is that of a sphere, 0.3 % off the shortest way on the ellipsoid.
    assert lengths["great_circle"] <= lengths["map"] * 1.003 + 1.0


def test_a_great_circle_follows_the_geodesic():
    from pyproj import Geod

    line = sample_transect(
        np.array([93.4, 140.6]), np.array([-68.7, -68.6]), spacing_km=20.0, path="great_circle"
    )
    length = Geod(ellps="WGS84").inv(93.4, -68.7, 140.6, -68.6)[2] / 1000.0
    assert line.distance_km[-1] == pytest.approx(length, abs=20.0)
    assert line.latitude.min() < -70.0


def test_a_meridian_has_the_length_of_its_arc_on_the_ellipsoid():
    from pyproj import Geod

    length = Geod(ellps="WGS84").inv(30.0, -85.0, 30.0, -65.0)[2] / 1000.0
    line = sample_transect(np.array([30.0, 30.0]), np.array([-85.0, -65.0]), spacing_km=length)
    assert line.distance_km.size == 2
    assert line.latitude[-1] == pytest.approx(-65.0, abs=1e-5)
    assert line.longitude == pytest.approx(30.0)


@pytest.mark.parametrize("name", [*ALONG, *ACROSS])
def test_lengths_are_two_thousand_kilometres_along_and_one_thousand_across(name):
    length = default_transect(name, spacing_km=1.0).distance_km[-1]
    assert length == pytest.approx(2000.0 if name in ALONG else 1000.0, rel=0.02)


@pytest.mark.parametrize("name", list(GLACIERS))
def test_the_glaciers_are_where_the_paper_sees_them(name):
    from pyproj import Geod

    line = default_transect(name, spacing_km=1.0)
    longitude, latitude, expected = GLACIERS[name]
    there = np.full(line.longitude.size, longitude), np.full(line.longitude.size, latitude)
    away = Geod(ellps="WGS84").inv(line.longitude, line.latitude, *there)[2]
    # The figure can be read to some tens of kilometres.
    assert line.distance_km[np.argmin(away)] == pytest.approx(expected, abs=30.0)


@pytest.fixture(scope="module")
def grounded(data_root: Path):
    """The grounded ice of the mainland in EPSG:3031."""
    import geopandas
    import shapely

    folder = data_root / "basins/measures_imbie_basins_v02"
    basins = geopandas.read_file(folder / "Basins_IMBIE_Antarctica_v02.shp")
    land = shapely.union_all(basins.geometry[basins.TYPE == "GR"].buffer(500.0)).buffer(-500.0)
    largest = max(getattr(land, "geoms", [land]), key=lambda part: part.area)
    return shapely.Polygon(largest.exterior).simplify(500.0)


def points(name: str):
    import shapely
    from pyproj import Transformer

    line = default_transect(name, spacing_km=5.0)
    to_map = Transformer.from_crs(4326, 3031, always_xy=True)
    return line, shapely.points(*to_map.transform(line.longitude, line.latitude))


@pytest.mark.realdata
@pytest.mark.parametrize("name", ALONG)
def test_the_long_transects_run_200_km_inland(name, grounded):
    _, at = points(name)
    inland = grounded.exterior.distance(at) / 1000.0
    assert grounded.contains(at).all()
    assert inland.mean() == pytest.approx(200.0, abs=60.0)


@pytest.mark.realdata
@pytest.mark.parametrize("name", ACROSS)
def test_the_short_transects_leave_the_ice_near_500_km(name, grounded):
    line, at = points(name)
    inside = grounded.contains(at)
    leaves = line.distance_km[np.flatnonzero(inside[:-1] & ~inside[1:])]
    assert inside[: np.searchsorted(line.distance_km, 450.0)].all()
    assert np.abs(leaves - 500.0).min() < 25.0


@pytest.mark.parametrize(
    ("longitude", "latitude", "spacing", "path", "said"),
    [
        ([0.0], [-80.0], 5.0, "map", "at least two waypoints"),
        ([0.0, 1.0], [-80.0], 5.0, "map", r"\(2,\) and latitudes of shape \(1,\)"),
        ([-80.0, -75.0], [10.0, 20.0], 5.0, "map", "longitude comes first"),
        ([0.0, np.nan], [-80.0, -70.0], 5.0, "map", "finite longitudes"),
        ([0.0, 360.0, 1.0], [-90.0, -90.0, -80.0], 5.0, "map", "waypoints 0 and 1 are the same"),
        ([0.0, 1.0], [-80.0, -80.0], 0.0, "map", "spacing of 0.0 km"),
        ([0.0, 1.0], [-80.0, -80.0], 5.0, "rhumb", "expected one of map, great_circle"),
    ],
)
def test_what_makes_no_line_is_refused(longitude, latitude, spacing, path, said):
    with pytest.raises(TransectError, match=said):
        sample_transect(np.array(longitude), np.array(latitude), spacing_km=spacing, path=path)


def test_an_unknown_name_is_answered_with_those_there_are():
    with pytest.raises(TransectError, match=r"expected one of AA', BB'"):
        default_transect("DD'")
