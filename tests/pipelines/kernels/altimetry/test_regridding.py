"""Regridding keeps mass; bilinear agrees with SciPy; wrong grids are refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import RegularGridInterpolator

from pipelines.kernels import geodesy
from pipelines.kernels.altimetry.regridding import (
    RegriddingError,
    bilinear,
    conservative,
    resample,
)
from pipelines.kernels.constants import MEAN_RADIUS
from pipelines.kernels.gravity import sphere
from pipelines.kernels.gravity.cap_grid import cap_grid
from pipelines.kernels.gravity.cap_transform import CapTransform

GRID = cap_grid(1.0, north=-60.0)
X = np.arange(-2000e3 + 25e3, 2000e3, 50e3)
Y = X[::-1].copy()
INSIDE = np.hypot(*np.meshgrid(X, Y)) < 1900e3
OPERATOR = conservative(X, Y, GRID, wanted=INSIDE)


def waves(seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    x, y = np.meshgrid(X, Y)
    kx, ky, phase = generator.uniform(0, 6e-6, 3)
    return np.cos(kx * x + 1e6 * phase) * np.sin(ky * y) + generator.normal()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_mass_is_kept(seed: int) -> None:
    field = waves(seed)

    on_sphere = OPERATOR.apply(field)
    mass = (on_sphere * GRID.solid_angles[:, None]).sum() * MEAN_RADIUS**2

    scale = np.abs(field[INSIDE]) @ OPERATOR.pixel_areas
    assert abs(mass - OPERATOR.mass(field)) < 1e-13 * scale


def test_the_first_coefficient_is_the_mass() -> None:
    field = waves(3)

    packed = CapTransform(GRID, 60).analyse(OPERATOR.apply(field)[None])

    total = 4.0 * np.pi * MEAN_RADIUS**2 * packed[0, 0].real
    # Rounding of sums over 10 000 cells.
    assert total == pytest.approx(OPERATOR.mass(field), rel=1e-12)


def test_a_uniform_layer_is_uniform_but_for_the_sphere() -> None:
    found = OPERATOR.apply(np.ones(INSIDE.shape))[:10]

    latitude = geodesy.geodetic_latitude(GRID.latitude[:10])
    # The exact area of a row of cells over that of the sphere, from the authalic series.
    edges = geodesy.geodetic_latitude(GRID.edges[:11])
    e2 = 0.0066943799901413165
    s, e = np.sin(np.radians(-edges)), np.sqrt(e2)
    q = (1 - e2) * (s / (1 - e2 * s * s) + np.arctanh(e * s) / e)
    expected = -np.diff(q) * 6378137.0**2 / 2 * np.radians(1.0) / MEAN_RADIUS**2
    expected = expected / GRID.solid_angles[:10]
    assert latitude[0] < -89.0
    # The closed form cancels to 1e-16 / 1e-4 in the row at the pole.
    np.testing.assert_allclose(found, np.broadcast_to(expected[:, None], found.shape), rtol=1e-10)
    assert 0.9950 < found[0, 0] < 0.9965


@pytest.mark.parametrize(("reading", "at_pole"), [("geocentric", 0.99553), ("geographic", 1.00900)])
def test_density_on_the_sphere_departs_as_its_area_does(reading: str, at_pole: float) -> None:
    """With mean radius R, (b / R)² seen from the centre, or (a² / b)² / R² by curvature."""
    operator = conservative(X, Y, GRID, reading=reading, wanted=INSIDE)
    layer = np.ones(INSIDE.shape)

    found = operator.apply(layer)

    assert found[0] == pytest.approx(np.full(GRID.n_lon, at_pole), abs=2e-5)
    assert (found @ np.ones(GRID.n_lon)) @ operator.sphere_areas == pytest.approx(
        operator.mass(layer), rel=1e-13
    )
    np.testing.assert_allclose(found[0], operator.true_areas[0] / operator.sphere_areas[0])


def test_no_mass_is_lost_at_a_pole_between_pixels_wider_than_the_first_ring() -> None:
    x = (np.arange(40) - 19.5) * 5e3
    fine = cap_grid(0.04, north=-88.0)

    operator = conservative(x, x, fine)

    areas = geodesy.cell_areas(*np.meshgrid(x, x), 5e3).ravel()
    # Areas by the scale at the centre are 6e-8 too large.
    np.testing.assert_allclose(operator.pixel_areas, areas, rtol=1e-7)


def test_bilinear_says_what_it_loses() -> None:
    x, y = np.meshgrid(X, Y)
    width, step = 500e3, 0.2
    hill = np.exp(-(np.hypot(x, y) ** 2) / width**2)

    lost = bilinear(X, Y, cap_grid(step, north=-60.0)).lost_mass(hill) / OPERATOR.mass(hill)

    # True density is taken for that of the sphere; and the midpoint rule adds h² / 12 of the slope
    # of its integrand at the pole, which is h² / (12 width²) of a round hill.
    areas = geodesy.cell_areas(x, y, 50e3)
    latitude, _ = geodesy.inverse_polar_stereographic(x, y)
    angles = sphere.solid_angle(areas, latitude, reading="geocentric")
    surface = 1.0 - (hill * MEAN_RADIUS**2 * angles).sum() / (hill * areas).sum()
    step_on_map = 0.973 * np.radians(step) * MEAN_RADIUS
    assert -0.0045 < surface < -0.0044
    assert lost == pytest.approx(surface - step_on_map**2 / (12 * width**2), abs=2e-5)
    assert abs(OPERATOR.lost_mass(hill)) < 1e-13 * OPERATOR.mass(hill)


def test_regions_cover_their_area_and_weigh_what_lies_on_them() -> None:
    x, y = np.meshgrid(X, Y)
    labels = np.where(INSIDE, np.where(x > 0.2 * y, 2, 0), -1)

    true = OPERATOR.area_fractions(labels, n_regions=3)
    sphere = OPERATOR.area_fractions(labels, n_regions=3, surface="sphere")

    assert true.shape == (3, len(GRID.latitude), GRID.n_lon)
    areas = np.bincount(labels[INSIDE], weights=OPERATOR.pixel_areas, minlength=3)
    np.testing.assert_allclose(true.sum(axis=(1, 2)), areas, rtol=1e-13)
    assert not true[1].any()
    # Cells within the pixels are covered, whichever way they are divided.
    covered = np.broadcast_to(OPERATOR.sphere_areas[:10, None], (10, GRID.n_lon))
    np.testing.assert_allclose(sphere.sum(axis=0)[:10], covered, rtol=1e-11)
    # A uniform layer weighs its true areas, except on cells that the ice covers in part.
    inner = (OPERATOR.apply(np.ones(INSIDE.shape)) * sphere)[:, :10].sum(axis=(1, 2))
    np.testing.assert_allclose(inner, true[:, :10].sum(axis=(1, 2)), rtol=1e-11)


def test_regions_of_other_pixels_are_refused() -> None:
    labels = np.where(INSIDE, 0, -1)
    with pytest.raises(RegriddingError, match="bilinear sampling shares no areas"):
        bilinear(X, Y, GRID).area_fractions(labels, n_regions=1)
    with pytest.raises(RegriddingError, match=r"labels of shape \(2,\)"):
        OPERATOR.area_fractions(np.zeros(2, dtype=int), n_regions=1)
    with pytest.raises(RegriddingError, match=r"labels run from -1 to 0, expected −1 .none. to -1"):
        OPERATOR.area_fractions(labels, n_regions=0)
    labels[0, 0] = 0
    with pytest.raises(RegriddingError, match=r"1 of .* labelled pixels are not wanted"):
        OPERATOR.area_fractions(labels, n_regions=1)


def test_no_ice_is_no_mass() -> None:
    operator = conservative(X, Y, GRID, wanted=np.zeros(INSIDE.shape, dtype=bool))

    assert not operator.apply(np.full((2, *INSIDE.shape), np.nan)).any()


def test_pixels_may_run_either_way() -> None:
    field = waves(5)

    upward = conservative(X, Y[::-1].copy(), GRID, wanted=INSIDE[::-1])

    np.testing.assert_allclose(
        upward.apply(field[::-1]), OPERATOR.apply(field), rtol=1e-12, atol=1e-14
    )


def test_bilinear_is_scipys_interpolation() -> None:
    field = waves(7)

    found = bilinear(X, Y, GRID).apply(field)

    latitude, longitude = np.meshgrid(GRID.latitude, GRID.longitude, indexing="ij")
    at_x, at_y = geodesy.polar_stereographic(
        geodesy.geodetic_latitude(latitude.ravel()), longitude.ravel()
    )
    oracle = RegularGridInterpolator((Y[::-1], X), field[::-1], bounds_error=False, fill_value=0.0)
    np.testing.assert_allclose(found.ravel(), oracle((at_y, at_x)), rtol=1e-12, atol=1e-13)


def test_resampling_keeps_gaps_as_gaps() -> None:
    field = waves(1)
    field[40, 40] = np.nan

    same = resample(X, Y, field, X, Y)
    far = resample(X, Y, field, X + 4000e3, Y)

    np.testing.assert_allclose(same, field, rtol=1e-12)
    assert np.isnan(far).all()


def test_missing_values_on_the_ice_are_refused() -> None:
    field = np.full(INSIDE.shape, np.nan)
    field[INSIDE] = 1.0
    assert np.isfinite(OPERATOR.apply(field)).all()

    field[40, 40] = np.nan
    with pytest.raises(RegriddingError, match=r"1 of \d+ values on wanted pixels are missing"):
        OPERATOR.apply(field)


def test_uneven_axes_and_other_shapes_are_refused() -> None:
    uneven = X.copy()
    uneven[3] += 100.0
    with pytest.raises(RegriddingError, match="x has 80 centres with spacings from"):
        conservative(uneven, Y, GRID)
    with pytest.raises(RegriddingError, match=r"found a mask of shape \(3,\)"):
        conservative(X, Y, GRID, wanted=np.ones(3, dtype=bool))
    with pytest.raises(RegriddingError, match="found fields"):
        OPERATOR.apply(np.ones((3, 3)))
