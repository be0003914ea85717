"""Places on the ellipsoid: PROJ as oracle of the projection, its areas and its scale."""

import inspect
import itertools

import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.kernels import constants, geodesy

SOUTHERN = st.floats(-90.0, -40.0)
LATITUDES = st.floats(-90.0, 90.0)
LONGITUDES = st.floats(-180.0, 180.0)


@pytest.fixture(scope="module")
def southern_points() -> tuple[np.ndarray, np.ndarray]:
    """Places south of 40° S, the pole and the date line among them."""
    rng = np.random.default_rng(31)
    latitude = np.append(rng.uniform(-90.0, -40.0, 500), [-90.0, -71.0, -71.0])
    return latitude, np.append(rng.uniform(-180.0, 180.0, 500), [0.0, 180.0, -180.0])


def test_the_ellipsoid_is_that_of_proj():
    geod = pyproj.Geod(ellps="WGS84")
    assert geod.a == constants.WGS84_SEMI_MAJOR
    assert pytest.approx(geod.b, rel=1e-15) == constants.WGS84_SEMI_MINOR
    assert pytest.approx(geod.es, rel=1e-15) == constants.WGS84_E2


def test_the_mean_sphere_has_the_volume_of_the_ellipsoid():
    volume = constants.WGS84_SEMI_MAJOR**2 * constants.WGS84_SEMI_MINOR
    assert pytest.approx(volume, rel=1e-14) == constants.MEAN_RADIUS**3
    assert pytest.approx(6_371_000.79, abs=5e-3) == constants.MEAN_RADIUS


def test_the_mean_sphere_weighs_what_the_earth_weighs(gravity_toolkit):
    units = gravity_toolkit.units()
    assert pytest.approx(1e-2 * units.rad_e, rel=1e-15) == constants.MEAN_RADIUS
    assert pytest.approx(1e3 * units.rho_e, rel=1e-14) == constants.MEAN_DENSITY
    assert pytest.approx(1e-3 * units.mass, rel=1e-14) == constants.EARTH_MASS


def test_s2_is_seen_every_161_days_and_p1_every_171(gravity_toolkit):
    """The paper exchanges the names. K1 + P1 = S2 in frequency, so their aliases add as well.

    K1 is seen every 7.46 years, as the orbit turns once in inertial space (whole days: 0.2 %).
    """
    period = inspect.signature(gravity_toolkit.time_series.aliasing_terms).parameters["period"]
    assert period.default == constants.S2_ALIAS_DAYS
    k1 = 7.46 * constants.DAYS_PER_YEAR
    assert 1.0 / k1 + 1.0 / constants.P1_ALIAS_DAYS == pytest.approx(
        1.0 / constants.S2_ALIAS_DAYS, rel=2e-3
    )


def test_geocentric_latitude_is_the_angle_at_the_centre_of_the_earth(southern_points):
    latitude, longitude = southern_points
    to_centre = pyproj.Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
    x, y, z = to_centre.transform(longitude, latitude, np.zeros_like(latitude))

    angle = np.degrees(np.arctan2(z, np.hypot(x, y)))

    # Rounding of PROJ's metres: 1e-9 m on 6e6 m.
    np.testing.assert_allclose(geodesy.geocentric_latitude(latitude), angle, atol=1e-13, rtol=0)


@given(LATITUDES)
def test_geocentric_and_geodetic_latitude_undo_each_other(latitude):
    there = geodesy.geocentric_latitude(np.array(latitude))
    assert geodesy.geodetic_latitude(there) == pytest.approx(latitude, abs=1e-13)


@given(LATITUDES)
def test_geocentric_latitude_is_never_farther_from_the_equator(latitude):
    psi = float(geodesy.geocentric_latitude(np.array(latitude)))
    assert abs(psi) <= abs(latitude) + 1e-13
    assert abs(psi - latitude) < 0.1925


def test_map_coordinates_are_those_of_proj(southern_points):
    latitude, longitude = southern_points
    to_map = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:3031", always_xy=True)

    x, y = geodesy.polar_stereographic(latitude, longitude)

    # Six ulps of 6e6 m.
    np.testing.assert_allclose((x, y), to_map.transform(longitude, latitude), atol=6e-9, rtol=0)


def test_places_of_map_coordinates_are_those_of_proj():
    x, y = np.random.default_rng(3).uniform(-3e6, 3e6, (2, 500))
    to_earth = pyproj.Transformer.from_crs("EPSG:3031", "EPSG:4326", always_xy=True)

    latitude, longitude = geodesy.inverse_polar_stereographic(x, y)

    # 1e-9 degrees are a tenth of a millimetre; PROJ's own iteration stops at 1e-10 rad.
    np.testing.assert_allclose((longitude, latitude), to_earth.transform(x, y), atol=1e-9, rtol=0)


@given(SOUTHERN, LONGITUDES)
def test_a_place_comes_back_from_the_map(latitude, longitude):
    x, y = geodesy.polar_stereographic(np.array(latitude), np.array(longitude))

    there, at = geodesy.inverse_polar_stereographic(x, y)

    assert there == pytest.approx(latitude, abs=1e-12)
    # A longitude is worth nothing at the pole.
    turn = np.radians(at - longitude)
    assert np.cos(np.radians(latitude)) * np.sin(turn / 2.0) == pytest.approx(0.0, abs=1e-14)


def test_greenwich_points_up_the_map_and_ninety_east_to_the_right():
    x, y = geodesy.polar_stereographic(np.array([-80.0, -80.0]), np.array([0.0, 90.0]))
    assert x[0] == 0.0
    assert y[0] == pytest.approx(x[1], rel=1e-15)
    assert y[0] > 1e6


def test_the_map_scale_is_that_of_proj(southern_points):
    latitude, longitude = southern_points
    factors = pyproj.Proj(3031).get_factors(longitude[:500], latitude[:500])
    # PROJ differentiates numerically.
    np.testing.assert_allclose(
        geodesy.map_scale(latitude[:500]), factors.meridional_scale, rtol=1e-9
    )


def test_the_map_is_true_at_71_south_and_3_percent_small_at_the_pole():
    scale = geodesy.map_scale(np.array([-71.0, -90.0]))
    np.testing.assert_allclose(scale, [1.0, 0.97276901], atol=5e-9, rtol=0)


@pytest.mark.parametrize("latitude", [-90.0, -80.0, -71.0, -60.0])
@pytest.mark.parametrize("spacing", [2e3, 25e3])
def test_cells_have_the_area_that_geodesics_enclose(latitude, spacing):
    """True to the stated bound, 2.2e-9 (s / 1 km)²; the oracle's edges are 400 geodesics."""
    x, y = geodesy.polar_stereographic(np.array(latitude), np.array(37.0))
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]]) * spacing / 2.0
    edge = np.linspace(0.0, 1.0, 101)[:-1, None]
    outline = np.concatenate([a + edge * (b - a) for a, b in itertools.pairwise(corners)])
    to_earth = pyproj.Transformer.from_crs("EPSG:3031", "EPSG:4326", always_xy=True)
    longitudes, latitudes = to_earth.transform(x + outline[:, 0], y + outline[:, 1])
    true, _ = pyproj.Geod(ellps="WGS84").polygon_area_perimeter(longitudes, latitudes)

    excess = float(geodesy.cell_areas(x, y, spacing)) / abs(true) - 1.0

    assert -1e-9 < excess < 2.3e-9 * (spacing / 1e3) ** 2 + 1e-9


def test_cells_of_a_cap_add_up_to_its_area_on_the_ellipsoid():
    """South of 71° S; the ragged rim of 10 km cells leaves 1e-4, averaged over its azimuths."""
    axis = np.arange(-2.3e6, 2.3e6, 10e3) + 5e3
    x, y = np.meshgrid(axis, axis)
    latitude, _ = geodesy.inverse_polar_stereographic(x, y)
    e, sine = np.sqrt(constants.WGS84_E2), np.sin(np.radians(71.0))

    def q(s: float) -> float:
        return s / (1.0 - (e * s) ** 2) + np.arctanh(e * s) / e

    zone = np.pi * constants.WGS84_SEMI_MINOR**2 * (q(1.0) - q(sine))

    total = geodesy.cell_areas(x, y, 10e3)[latitude < -71.0].sum()

    assert total == pytest.approx(zone, rel=1e-4)


@given(LATITUDES, LONGITUDES)
def test_unit_vectors_have_length_one_and_know_their_latitude(latitude, longitude):
    vector = geodesy.unit_vectors(np.array(latitude), np.array(longitude))
    assert vector.shape == (3,)
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-15)
    assert vector[2] == np.sin(np.radians(latitude))


def test_distances_are_those_of_a_sphere():
    rng = np.random.default_rng(8)
    a, b = rng.uniform(-90.0, 90.0, (2, 200)), rng.uniform(-180.0, 180.0, (2, 200))
    sphere = pyproj.Geod(a=constants.MEAN_RADIUS, b=constants.MEAN_RADIUS)
    _, _, expected = sphere.inv(b[0], a[0], b[1], a[1])

    distance = geodesy.great_circle_distance(a[0], b[0], a[1], b[1])

    # Half an ulp of a chord near 2 is 1e-8 of an arc near the antipode: a few centimetres.
    np.testing.assert_allclose(distance, expected, atol=0.1, rtol=0)


@given(LATITUDES, LONGITUDES, LATITUDES, LONGITUDES)
def test_the_way_there_is_as_long_as_the_way_back(latitude, longitude, to_lat, to_lon):
    ends = [np.array(v) for v in (latitude, longitude, to_lat, to_lon)]
    there = geodesy.great_circle_distance(*ends)
    back = geodesy.great_circle_distance(*ends[2:], *ends[:2])
    assert there == back
    assert 0.0 <= there <= np.pi * constants.MEAN_RADIUS


def test_arrays_keep_their_shape_and_nan_survives():
    latitude = np.array([[-80.0, np.nan, -70.0]])
    for function in (geodesy.geocentric_latitude, geodesy.geodetic_latitude, geodesy.map_scale):
        value = function(latitude)
        assert value.shape == (1, 3)
        np.testing.assert_array_equal(np.isnan(value), np.isnan(latitude))
    x, y = geodesy.polar_stereographic(latitude, np.zeros((1, 3)))
    assert np.isnan(geodesy.inverse_polar_stereographic(x, y)[0]).tolist() == [[False, True, False]]
