"""Sums over regions: closed forms, conservation of weight, groups and their covariance."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import sph_legendre_p

from pipelines.kernels.basins import (
    RegionError,
    bin_to_lattice,
    group_kernels,
    group_matrix,
    independent_covariance,
    region_sums,
    solid_angles,
    total_covariance,
)

RADIUS = 6.371e6
LATTICE = {"lat_step": 0.5, "lon_step": 1.0, "south_of": -55.0}


def harmonics_at(latitude: np.ndarray, longitude: np.ndarray, j_max: int) -> np.ndarray:
    """Y_jm at points, 4π-normalised without phase, shape (2, J + 1, J + 1, p): SciPy's."""
    out = np.zeros((2, j_max + 1, j_max + 1, latitude.size))
    colatitude, azimuth = np.radians(90.0 - latitude), np.radians(longitude)
    for j in range(j_max + 1):
        for m in range(j + 1):
            scale = (-1) ** m * math.sqrt(4 * np.pi * (1 if m == 0 else 2))
            legendre = scale * sph_legendre_p(j, m, colatitude)
            out[0, j, m] = legendre * np.cos(m * azimuth)
            out[1, j, m] = legendre * np.sin(m * azimuth)
    return out


def points(n: int, *, seed: int = 4, regions: int = 3) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    latitude, longitude = rng.uniform(-90, -56, n), rng.uniform(-180, 180, n)
    weight, index = rng.uniform(1e6, 4e6, n), rng.integers(-1, regions, n)
    return latitude, longitude, weight, index


def test_the_sum_over_a_region_is_the_sum_over_its_points():
    latitude, longitude, weight, index = points(300)
    values = harmonics_at(latitude, longitude, 6)
    kernels = np.stack([(values * weight * (index == r)).sum(axis=-1) for r in range(3)])
    field = np.random.default_rng(5).normal(size=(4, 2, 7, 7))
    at_points = np.einsum("tcjm,cjmp->tp", field, values)
    expected = np.stack([(at_points * weight)[:, index == r].sum(axis=1) for r in range(3)], axis=1)

    found = region_sums(field, kernels)

    assert found.shape == (4, 3)
    # A hundred products of 1e6 and 98 coefficients.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@given(st.floats(1.0, 60.0), st.integers(0, 2**31))
def test_mass_on_a_polar_cap_follows_its_closed_form(cap, seed):
    # Zonal kernel of a cap of radius α: 4π a² C_j0, C_j0 = (P_{j−1} − P_{j+1}) / (2 √(2j + 1)).
    j = np.arange(1, 9)
    x = math.cos(math.radians(cap))
    legendre = np.polynomial.legendre.legvander(np.array([x]), 9)[0]
    zonal = np.concatenate(
        [[(1 - x) / 2], (legendre[j - 1] - legendre[j + 1]) / (2 * np.sqrt(2 * j + 1))]
    )
    kernel = np.zeros((1, 2, 9, 9))
    kernel[0, 0, :, 0] = 4 * np.pi * RADIUS**2 * zonal
    field = np.zeros((2, 9, 9))
    field[0, :, 0] = np.random.default_rng(seed).normal(size=9)
    # Gauss-Legendre over the cap is exact for polynomials of degree 8.
    nodes, weights = np.polynomial.legendre.leggauss(6)
    sine = 0.5 * (1 - x) * nodes + 0.5 * (1 + x)
    norm = np.sqrt(2 * np.arange(9) + 1)
    values = np.polynomial.legendre.legvander(sine, 8) @ (norm * field[0, :, 0])
    integral = 2 * np.pi * RADIUS**2 * 0.5 * (1 - x) * (weights * values).sum()

    found = region_sums(field, kernel)[0]

    assert abs(found - integral) < 1e-13 * 4 * np.pi * RADIUS**2


def test_a_missing_month_has_a_missing_sum():
    field = np.ones((2, 2, 3, 3))
    field[1] = np.nan
    sums = region_sums(field, np.ones((4, 2, 3, 3)))
    assert np.isfinite(sums[0]).all()
    assert np.isnan(sums[1]).all()


def test_field_and_kernels_of_different_degrees_are_refused():
    with pytest.raises(RegionError, match=r"\(\.\.\., 2, 4, 4\) and kernels \(3, 2, 5, 5\)"):
        region_sums(np.zeros((2, 4, 4)), np.zeros((3, 2, 5, 5)))


def test_independent_errors_of_coefficients_correlate_regions_as_an_ensemble_shows():
    rng = np.random.default_rng(6)
    kernels, sigma = rng.normal(size=(3, 2, 4, 4)), rng.uniform(0.1, 1.0, (2, 4, 4))
    drawn = region_sums(sigma * rng.normal(size=(20000, 2, 4, 4)), kernels)
    expected = independent_covariance(sigma, kernels)
    # Five standard deviations of a sample covariance of 20000, relative to the spreads.
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert np.abs(np.cov(drawn.T) - expected).max() / scale.max() < 5 * np.sqrt(2 / 20000)


def test_totals_come_from_kernels_and_covariance():
    rng = np.random.default_rng(7)
    kernels, field = rng.normal(size=(4, 2, 5, 5)), rng.normal(size=(90, 2, 5, 5))
    regions, groups = ["1", "2", "3", "4"], {"WAIS": ["1", "3"], "AIS": ["1", "2", "3", "4"]}
    matrix = group_matrix(regions, groups)
    rows = region_sums(field, kernels)
    totals = region_sums(field, group_kernels(matrix, kernels))

    np.testing.assert_allclose(totals[:, 0], rows[:, 0] + rows[:, 2], atol=1e-12)
    np.testing.assert_allclose(
        total_covariance(matrix, np.cov(rows.T)), np.cov(totals.T), rtol=1e-12, atol=1e-11
    )


@given(st.sets(st.integers(0, 20), min_size=1))
def test_a_group_of_members_counts_each_once(members):
    regions = [str(i) for i in range(21)]
    names = sorted(str(member) for member in members)
    matrix = group_matrix(regions, {"group": names})
    assert matrix.sum() == len(members)
    assert sorted(np.array(regions)[matrix[0] == 1.0]) == names


@pytest.mark.parametrize(
    ("regions", "groups", "message"),
    [
        (["1", "2", "1"], {}, "regions 1 occur more than once"),
        (["1", "2"], {"AP": ["2", "27"]}, "group AP has unknown members 27"),
        (["1", "2"], {"AP": []}, "group AP has no members"),
    ],
)
def test_groups_that_do_not_fit_the_regions_are_refused(regions, groups, message):
    with pytest.raises(RegionError, match=message):
        group_matrix(regions, groups)


def test_the_cells_of_the_globe_fill_four_pi():
    angles = solid_angles(np.linspace(-90.0, 90.0, 721), lon_step=0.25)
    assert angles.sum() * 1440 == pytest.approx(4 * np.pi, rel=1e-14)


@given(st.floats(-90.0, 89.0), st.floats(1e-6, 1.0), st.floats(0.01, 360.0))
def test_a_cell_agrees_with_the_difference_of_sines(south, height, lon_step):
    edges = np.array([south, south + height])
    sines = [math.sin(math.radians(edge)) for edge in edges]
    expected = math.radians(lon_step) * (sines[1] - sines[0])
    # The oracle loses digits in the difference; the kernel does not.
    assert abs(solid_angles(edges, lon_step=lon_step)[0] - expected) < 4e-16 * 2 * np.pi


def test_a_tiny_cell_at_the_pole_keeps_its_digits():
    # A cap of colatitude θ: 2π (1 − cos θ) = 4π sin²(θ / 2).
    angle = solid_angles(np.array([-90.0, -90.0 + 2**-20]), lon_step=360.0)[0]
    assert angle == pytest.approx(4 * np.pi * math.sin(math.radians(2**-20) / 2) ** 2, rel=1e-14)


@pytest.mark.parametrize("edges", [[-90.0], [-80.0, -90.0], [-91.0, 0.0], [0.0, 91.0], []])
def test_edges_that_make_no_rows_are_refused(edges):
    with pytest.raises(RegionError, match="increasing from south to north"):
        solid_angles(np.array(edges), lon_step=1.0)


@given(st.integers(0, 2**31), st.integers(1, 400))
def test_the_lattice_keeps_the_weight_of_every_region_exactly(seed, n):
    latitude, longitude, _, index = points(n, seed=seed)
    # Whole numbers add without rounding: equality is exact, whatever the order.
    weight = np.random.default_rng(seed).integers(0, 2**20, n).astype(float)
    lattice, _, _ = bin_to_lattice(latitude, longitude, weight, index, n_regions=3, **LATTICE)
    for region in range(3):
        assert lattice[region].sum() == weight[index == region].sum()


@given(st.floats(-90.0, -55.0), st.floats(-720.0, 720.0))
def test_a_point_falls_into_the_cell_around_it(latitude, longitude):
    lattice, rows, columns = bin_to_lattice(
        *(np.array([latitude]), np.array([longitude]), np.ones(1), np.zeros(1, dtype=np.int64)),
        n_regions=1,
        **LATTICE,
    )
    (row,), (column,) = lattice[0].nonzero()
    assert abs(rows[row] - latitude) <= 0.25 + 1e-12
    assert abs((columns[column] - longitude + 180.0) % 360.0 - 180.0) <= 0.5 + 1e-9


def test_rows_begin_at_the_pole_and_columns_at_greenwich():
    nothing = np.empty(0)
    lattice, rows, columns = bin_to_lattice(
        nothing, nothing, nothing, np.empty(0, dtype=np.int64), n_regions=2, **LATTICE
    )
    assert lattice.shape == (2, 70, 360)
    assert not lattice.any()
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (-89.75, -55.25, 0.5, 359.5)


def test_fractions_of_boundary_points_go_to_each_of_their_regions():
    latitude, longitude, weight, _ = points(50)
    share = np.random.default_rng(8).uniform(size=50)
    lattice, _, _ = bin_to_lattice(
        latitude,
        longitude,
        np.stack([share * weight, (1 - share) * weight]),
        n_regions=2,
        **LATTICE,
    )
    assert lattice[0].sum() == pytest.approx((share * weight).sum(), rel=1e-14)
    assert lattice.sum() == pytest.approx(weight.sum(), rel=1e-14)


def test_binning_weakens_a_wave_by_the_square_of_the_cell():
    # Columns of 4° under a wave of order 9, 36° of it: (36°)² / 24 in radians = 1.6 %, on the
    # average over all places where the edges of a half turn may fall on the lattice.
    order, ratios = 9, []
    for shift in np.arange(400) / 100.0:
        longitude = (np.arange(18000) + 0.5) / 100.0 + shift
        lattice, _, columns = bin_to_lattice(
            *(np.full(18000, -70.0), longitude, np.ones(18000), np.zeros(18000, dtype=np.int64)),
            n_regions=1,
            lat_step=5.0,
            lon_step=4.0,
            south_of=-55.0,
        )
        binned = (lattice[0].sum(axis=0) * np.exp(1j * order * np.radians(columns))).sum()
        ratios.append(binned / np.exp(1j * order * np.radians(longitude)).sum())

    assert 1.0 - np.mean(ratios).real == pytest.approx(np.radians(36.0) ** 2 / 24.0, rel=0.02)
    assert abs(np.mean(ratios).imag) < 1e-4


@pytest.mark.parametrize(
    ("latitude", "longitude"), [(-54.9, 0.0), (-90.1, 0.0), (np.nan, 0.0), (-70.0, np.nan)]
)
def test_points_outside_the_lattice_are_refused(latitude, longitude):
    with pytest.raises(RegionError, match="1 of 2 points lie outside the lattice"):
        bin_to_lattice(
            *(np.array([-80.0, latitude]), np.array([10.0, longitude]), np.ones(2)),
            np.zeros(2, dtype=np.int64),
            n_regions=1,
            **LATTICE,
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lat_step": 0.3}, "lat_step 0.3° does not divide 35.0°"),
        ({"lon_step": 0.7}, "lon_step 0.7° does not divide 360.0°"),
        ({"lon_step": -1.0}, "lon_step -1.0° does not divide"),
        ({"n_regions": 2}, "runs from -1 to 2, expected −1"),
    ],
)
def test_a_lattice_that_does_not_fit_is_refused(change, message):
    choices = {"n_regions": 3, **LATTICE, **change}
    with pytest.raises(RegionError, match=message):
        bin_to_lattice(*points(100), **choices)


def test_weights_of_the_wrong_shape_are_refused():
    latitude, longitude, weight, index = points(10)
    with pytest.raises(RegionError, match=r"without region_index, expected \(3, 10\)"):
        bin_to_lattice(latitude, longitude, weight, n_regions=3, **LATTICE)
    with pytest.raises(RegionError, match=r"expected both of shape \(10,\)"):
        bin_to_lattice(latitude, longitude, weight[:9], index, n_regions=3, **LATTICE)
