"""The equal-area plane against PROJ, and its areas and stretches against the ellipsoid."""

import numpy as np
import pyproj
from hypothesis import given
from hypothesis import strategies as st

from pipelines.worlds import equal_area

SOUTHERN = st.floats(-90.0, -40.0)
AROUND = st.floats(-180.0, 180.0)


@given(latitude=SOUTHERN, longitude=AROUND)
def test_the_plane_is_that_of_epsg_6932(latitude: float, longitude: float) -> None:
    to_plane = pyproj.Transformer.from_crs(4326, 6932, always_xy=True)

    z = equal_area.plane_from_geodetic(np.array(latitude), np.array(longitude))

    # PROJ sums a series for authalic latitude: 0.1 mm at 60° S, more towards the equator.
    x, y = to_plane.transform(longitude, latitude)
    assert abs(z.real - x) < 2e-3
    assert abs(z.imag - y) < 2e-3


@given(latitude=SOUTHERN, longitude=AROUND)
def test_a_position_comes_back(latitude: float, longitude: float) -> None:
    z = equal_area.plane_from_geodetic(np.array(latitude), np.array(longitude))

    again = equal_area.plane_from_geodetic(*equal_area.geodetic_from_plane(z))
    x, y = equal_area.map_from_plane(z)

    assert abs(again - z) < 1e-7
    assert abs(equal_area.plane_from_map(x, y) - z) < 1e-5


def test_a_disc_of_the_plane_has_the_area_of_the_cap_on_the_ellipsoid() -> None:
    ring = np.linspace(-180.0, 180.0, 7201)[:-1]
    geodesic = abs(
        pyproj.Geod(ellps="WGS84").polygon_area_perimeter(ring, np.full(ring.size, -70.0))[0]
    )

    planar = np.pi * float(equal_area.radius(np.array(-70.0))) ** 2

    # Geodesics between vertices of a parallel bulge polewards by 2e-7 of the area.
    assert abs(planar / geodesic - 1.0) < 1e-6


def test_stretches_are_reciprocal_and_match_small_steps() -> None:
    latitude = np.array([-89.0, -75.0, -60.0])
    geod = pyproj.Geod(ellps="WGS84")
    south, north = latitude - 1e-4, latitude + 1e-4
    true = geod.inv(np.zeros(3), south, np.zeros(3), north)[2]

    meridional, zonal = equal_area.stretch(latitude)

    in_plane = equal_area.radius(north) - equal_area.radius(south)
    np.testing.assert_allclose(meridional, in_plane / true, rtol=1e-7)
    np.testing.assert_allclose(meridional * zonal, 1.0, rtol=1e-15)
    np.testing.assert_array_equal(equal_area.stretch(np.array(-90.0)), 1.0)
