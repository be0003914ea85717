"""Transforms: closed forms, adjoints, and three libraries that share no code with ours."""

import ducc0
import mpmath
import numpy as np
import pyshtools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.gravity import harmonics
from pipelines.kernels.gravity.legendre import Rows, legendre

# Peers differ from us by rounding: 1e-13 at degree 90, times the sums over orders.
PEERS = 1e-12


def random_coefficients(j_max: int, *leading: int, seed: int = 1) -> np.ndarray:
    """Coefficients of white spectrum, zero where the order exceeds the degree and for S_j0."""
    values = np.random.default_rng(seed).standard_normal((*leading, 2, j_max + 1, j_max + 1))
    values *= np.tri(j_max + 1)
    values[..., 1, :, 0] = 0.0
    return values


def random_points(n: int, *, seed: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return np.degrees(np.arcsin(rng.uniform(-1.0, 1.0, n))), rng.uniform(-180.0, 180.0, n)


def assert_close(found: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


# Quadrature


@pytest.mark.parametrize("n", [1, 2, 5, 91])
def test_nodes_are_roots_and_weights_are_exact_to_the_last_digits(n):
    grid = harmonics.gauss_legendre(n)
    with mpmath.workdps(40):
        for i in {0, n // 2, n - 1}:
            x = mpmath.findroot(lambda t: mpmath.legendre(n, t), float(grid.cosine[i]))
            slope = mpmath.diff(lambda t: mpmath.legendre(n, t), x)
            weight = float(2 / ((1 - x * x) * slope**2))
            assert grid.cosine[i] == pytest.approx(float(x), abs=1e-16)
            assert grid.weights[i] == pytest.approx(weight, rel=1e-14)


@given(n=st.integers(1, 40), power=st.integers(0, 79))
def test_n_rows_integrate_every_power_below_2n(n, power):
    grid = harmonics.gauss_legendre(n)
    degree = min(power, 2 * n - 1)
    exact = 2.0 / (degree + 1) if degree % 2 == 0 else 0.0
    assert grid.weights @ grid.cosine**degree == pytest.approx(exact, abs=1e-15)


def test_a_grid_runs_from_north_to_south_and_from_greenwich_east():
    grid = harmonics.gauss_legendre(4)
    assert (np.diff(grid.latitude) < 0).all()
    np.testing.assert_allclose(grid.latitude, 90.0 - np.degrees(grid.colatitude), atol=1e-13)
    np.testing.assert_array_equal(grid.longitude, np.arange(8) * 45.0)
    assert harmonics.gauss_legendre(4, n_lon=9).longitude.size == 9


@pytest.mark.parametrize(("n", "n_lon"), [(0, None), (4, 0)])
def test_a_grid_without_nodes_is_refused(n, n_lon):
    with pytest.raises(harmonics.HarmonicsError, match="expected at least one row"):
        harmonics.gauss_legendre(n, n_lon=n_lon)


# Grids


@settings(max_examples=30, deadline=None)
@given(j_max=st.integers(0, 24), more=st.integers(0, 3), seed=st.integers(0, 99))
def test_a_band_limited_field_comes_back_from_any_grid_that_resolves_it(j_max, more, seed):
    coefficients = random_coefficients(j_max, seed=seed)
    grid = harmonics.gauss_legendre(j_max + 1 + more, n_lon=2 * j_max + 1 + more)
    field = harmonics.synthesise_on(coefficients, grid)
    back = harmonics.analyse(field, grid, j_max=j_max)
    np.testing.assert_allclose(back, coefficients, atol=1e-12, rtol=0)


def test_degree_180_comes_back_to_twelve_digits():
    coefficients = random_coefficients(180, 2)
    grid = harmonics.gauss_legendre(181)
    back = harmonics.analyse(harmonics.synthesise_on(coefficients, grid), grid, j_max=180)
    np.testing.assert_allclose(back, coefficients, atol=1e-12, rtol=0)


def test_the_mean_square_of_a_field_is_the_sum_of_its_degree_variances():
    """Parseval; the square of a field to degree 40 needs rows for degree 80."""
    coefficients = random_coefficients(40, 3)
    grid = harmonics.gauss_legendre(41)
    field = harmonics.synthesise_on(coefficients, grid)
    mean_square = (field**2 * grid.weights[:, None]).mean(axis=-1).sum(axis=-1) / 2.0
    power = harmonics.degree_variance(coefficients)
    assert power.shape == (3, 41)
    np.testing.assert_allclose(mean_square, power.sum(axis=-1), rtol=1e-13)


def test_c00_is_the_mean_over_the_sphere():
    grid = harmonics.gauss_legendre(30)
    field = np.random.default_rng(4).standard_normal((30, 60))
    mean = (field * grid.weights[:, None]).sum() / (2.0 * 60)
    assert harmonics.analyse(field, grid, j_max=3)[0, 0, 0] == pytest.approx(mean, rel=1e-13)


@settings(max_examples=20, deadline=None)
@given(cells=st.integers(-50, 50))
def test_a_turn_by_whole_cells_turns_every_order(cells):
    coefficients = random_coefficients(12)
    grid = harmonics.gauss_legendre(13, n_lon=30)
    field = np.roll(harmonics.synthesise_on(coefficients, grid), cells, axis=-1)

    c, s = harmonics.analyse(field, grid, j_max=12)

    turn = np.exp(1j * np.arange(13) * np.radians(12.0 * cells))
    turned = (coefficients[0] + 1j * coefficients[1]) * turn
    np.testing.assert_allclose(c + 1j * s, turned, atol=1e-12)


def test_a_grid_too_coarse_for_the_degree_is_refused():
    grid = harmonics.gauss_legendre(10, n_lon=20)
    with pytest.raises(harmonics.HarmonicsError, match="expected at least 11 × 21"):
        harmonics.analyse(np.zeros((10, 20)), grid, j_max=10)


def test_a_field_of_another_shape_is_refused():
    grid = harmonics.gauss_legendre(10)
    with pytest.raises(harmonics.HarmonicsError, match=r"found values of shape \(20, 10\)"):
        harmonics.analyse(np.zeros((20, 10)), grid, j_max=2)


# Closed forms


def test_a_polar_cap_has_the_zonal_coefficients_of_its_closed_form():
    """C_j0 = (P_{j−1}(cos α) − P_{j+1}(cos α)) / (2 √(2j + 1)), by quadrature over the cap."""
    alpha = np.radians(25.0)
    grid = harmonics.gauss_legendre(121)
    half = (1.0 - np.cos(alpha)) / 2.0
    cosine = 1.0 - half * (1.0 - grid.cosine)
    inside = Rows(cosine, np.sqrt((1.0 - cosine) * (1.0 + cosine)))
    zonal = legendre(inside, j_max=120, m=0) @ grid.weights * half / 2.0
    np.testing.assert_allclose(zonal, cap_coefficients(25.0, 120), atol=1e-14)


def cap_coefficients(radius: float, j_max: int) -> np.ndarray:
    """Zonal 4π coefficients of a polar cap of 1, from mpmath."""
    with mpmath.workdps(40):
        x = mpmath.cos(mpmath.radians(radius))
        plain = [mpmath.legendre(j, x) for j in range(j_max + 2)]
        tail = [
            (plain[j - 1] - plain[j + 1]) / (2 * mpmath.sqrt(2 * j + 1))
            for j in range(1, j_max + 1)
        ]
        return np.array([float((1 - x) / 2), *map(float, tail)])


@pytest.mark.parametrize(("latitude", "longitude"), [(-75.75, 255.5), (12.0, -40.0), (-90.0, 0.0)])
def test_a_disc_anywhere_is_a_turned_cap(gravity_toolkit, latitude, longitude):
    """C_jm = C_j0 Y_jm(centre) / √(2j + 1), against gravity-toolkit's gen_spherical_cap.

    Its units carry a factor 1/(2j + 1) of its own.
    """
    centre = np.array([latitude]), np.array([longitude])
    degree = np.arange(61)
    disc = harmonics.project_from(np.ones(1), *centre, j_max=60)
    disc *= (cap_coefficients(3.0, 60) / np.sqrt(2 * degree + 1))[:, None]
    options = {"LMAX": 60, "RAD_CAP": 3.0, "UNITS": 1.0 / (2 * degree + 1)}
    options["PLM"] = peer_legendre(60, latitude)

    peer = gravity_toolkit.gen_spherical_cap(1.0, longitude, latitude, **options)

    assert_close(disc, np.stack([peer.clm, peer.slm]), PEERS)


def peer_legendre(j_max: int, latitude: float) -> np.ndarray:
    """P_jm from pyshtools, in the layout of gravity-toolkit."""
    table = np.zeros((j_max + 1, j_max + 1))
    rows = np.tril_indices(j_max + 1)
    table[rows] = pyshtools.legendre.PlmBar(j_max, np.sin(np.radians(latitude)))
    return table


def test_points_spread_over_the_sphere_project_to_a_constant():
    """A Gauss grid read as scattered points: Σ w Y_jm = 4π for C_00 and 0 for all others."""
    grid = harmonics.gauss_legendre(20)
    lat, lon = (a.ravel() for a in np.meshgrid(grid.latitude, grid.longitude, indexing="ij"))
    weights = np.repeat(grid.weights * np.pi / 20.0, 40)
    expected = np.zeros((2, 20, 20))
    expected[0, 0, 0] = 4.0 * np.pi
    sums = harmonics.project_from(weights, lat, lon, j_max=19)
    np.testing.assert_allclose(sums, expected, atol=1e-12)


# Points, lattices and their transposes


def test_a_lattice_in_any_spacing_is_its_points():
    coefficients = random_coefficients(20, 2, 3)
    latitude, longitude = np.array([-89.0, -71.3, 4.0]), np.array([-170.0, 3.0, 4.5, 200.0])
    lat, lon = np.meshgrid(latitude, longitude, indexing="ij")

    on_lattice = harmonics.synthesise(coefficients, latitude, longitude)
    at_points = harmonics.synthesise_at(coefficients, lat.ravel(), lon.ravel())

    assert on_lattice.shape == (2, 3, 3, 4)
    assert_close(on_lattice.reshape(2, 3, -1), at_points, 1e-13)


@settings(max_examples=25, deadline=None)
@given(j_max=st.integers(0, 20), n=st.integers(1, 30), seed=st.integers(0, 99))
def test_projection_from_points_is_the_transpose_of_evaluation(j_max, n, seed):
    coefficients = random_coefficients(j_max, seed=seed)
    points = random_points(n, seed=seed)
    weights = np.random.default_rng(seed).standard_normal(n)

    seen = (harmonics.synthesise_at(coefficients, *points) * weights).sum()
    weighed = (harmonics.project_from(weights, *points, j_max=j_max) * coefficients).sum()

    size = np.linalg.norm(weights) * np.linalg.norm(coefficients) * (j_max + 1) * np.sqrt(n)
    assert abs(seen - weighed) < 1e-14 * size


@settings(max_examples=25, deadline=None)
@given(j_max=st.integers(0, 20), rows=st.integers(1, 9), columns=st.integers(1, 12))
def test_projection_from_a_lattice_is_the_transpose_of_synthesis(j_max, rows, columns):
    coefficients = random_coefficients(j_max)
    latitude, longitude = random_points(rows)[0], random_points(columns)[1]
    weights = np.random.default_rng(6).standard_normal((rows, columns))

    seen = (harmonics.synthesise(coefficients, latitude, longitude) * weights).sum()
    kernel = harmonics.project_rows(weights, latitude, longitude, j_max=j_max)

    assert kernel.shape == coefficients.shape
    size = np.linalg.norm(weights) * np.linalg.norm(coefficients) * (j_max + 1)
    assert abs(seen - (kernel * coefficients).sum()) < 1e-13 * size


def test_blocks_of_points_do_not_show():
    """More points than one block, evaluated and projected at once and in unequal pieces."""
    coefficients = random_coefficients(8, 2)
    latitude, longitude = random_points(harmonics.POINTS_PER_BLOCK + 300)
    weights = np.random.default_rng(9).standard_normal((3, latitude.size))
    pieces = (slice(0, 1000), slice(1000, None))

    at_once = harmonics.synthesise_at(coefficients, latitude, longitude)
    apart = [harmonics.synthesise_at(coefficients, latitude[p], longitude[p]) for p in pieces]
    assert_close(at_once, np.concatenate(apart, axis=-1), 1e-14)

    whole = harmonics.project_from(weights, latitude, longitude, j_max=8)
    parts = (
        harmonics.project_from(weights[:, p], latitude[p], longitude[p], j_max=8) for p in pieces
    )
    assert_close(whole, sum(parts), 1e-13)


def test_members_do_not_know_of_each_other():
    coefficients = random_coefficients(15, 4)
    grid = harmonics.gauss_legendre(16)
    points = random_points(50)
    together = harmonics.synthesise_on(coefficients, grid)
    for member in range(4):
        one = harmonics.synthesise_on(coefficients[member], grid)
        assert_close(together[member], one, 1e-14)
        alone = harmonics.synthesise_at(coefficients[member], *points)
        assert_close(harmonics.synthesise_at(coefficients, *points)[member], alone, 1e-14)


def test_nan_stays_in_its_own_member():
    coefficients = random_coefficients(6, 3)
    coefficients[1, 0, 4, 2] = np.nan
    found = np.isnan(harmonics.synthesise_at(coefficients, *random_points(5)))
    np.testing.assert_array_equal(found, [[False] * 5, [True] * 5, [False] * 5])


def test_inputs_are_left_as_they_were():
    coefficients = random_coefficients(6)
    grid = harmonics.gauss_legendre(7)
    field = harmonics.synthesise_on(coefficients, grid)
    kept = coefficients.copy(), field.copy()
    harmonics.analyse(field, grid, j_max=6)
    harmonics.truncate(coefficients, 4)[...] = 0.0
    harmonics.truncate(coefficients, 6)[...] = 0.0
    np.testing.assert_array_equal(coefficients, kept[0])
    np.testing.assert_array_equal(field, kept[1])


@given(held=st.integers(0, 9), wanted=st.integers(0, 9))
def test_cutting_and_padding_keep_what_both_degrees_hold(held, wanted):
    coefficients = random_coefficients(held, 2)
    changed = harmonics.truncate(coefficients, wanted)
    assert changed.shape == (2, 2, wanted + 1, wanted + 1)
    common = min(held, wanted) + 1
    np.testing.assert_array_equal(
        changed[..., :common, :common], coefficients[..., :common, :common]
    )
    assert not changed[..., common:, :].any()
    assert not changed[..., common:].any()


# Peers


def test_gauss_nodes_and_analysis_agree_with_pyshtools():
    zeros, weights = pyshtools.expand.SHGLQ(60)
    grid = harmonics.gauss_legendre(61, n_lon=121)
    np.testing.assert_allclose(grid.cosine, zeros, atol=1e-15)
    np.testing.assert_allclose(grid.weights, weights, rtol=1e-11)  # theirs, next to the poles
    field = np.random.default_rng(5).standard_normal((61, 121))

    peer = pyshtools.expand.SHExpandGLQ(field, grid.weights, grid.cosine)

    assert_close(harmonics.analyse(field, grid, j_max=60), peer, PEERS)


def test_scattered_points_agree_with_pyshtools():
    coefficients = random_coefficients(60)
    latitude, longitude = random_points(40)
    peer = pyshtools.expand.MakeGridPoint(coefficients, latitude, longitude, lmax=60)
    assert_close(harmonics.synthesise_at(coefficients, latitude, longitude), peer, PEERS)


def test_rings_agree_with_ducc0():
    """ducc0: order-major, orthonormal, with the Condon-Shortley phase."""
    j_max, n_lon = 256, 600
    coefficients = random_coefficients(j_max)
    latitude = np.array([-89.9, -82.0, -60.3, -1.0, 45.0])
    peer = ducc0.sht.synthesis(
        alm=ducc_coefficients(coefficients),
        theta=np.radians(90.0 - latitude),
        nphi=np.full(5, n_lon, dtype=np.uint64),
        phi0=np.zeros(5),
        ringstart=np.arange(5, dtype=np.uint64) * n_lon,
        spin=0,
        lmax=j_max,
        nthreads=1,
    )
    longitude = np.arange(n_lon) * 360.0 / n_lon
    assert_close(
        harmonics.synthesise(coefficients, latitude, longitude), peer.reshape(5, n_lon), PEERS
    )


def ducc_coefficients(coefficients: np.ndarray) -> np.ndarray:
    """a_jm = (−1)^m (C − iS) √(4π / 2), and √4π C for order 0."""
    c, s = coefficients
    rows = []
    for m in range(c.shape[0]):
        scale = np.sqrt(4.0 * np.pi / (1 if m == 0 else 2)) * (-1) ** m
        rows.append(scale * (c[m:, m] - 1j * s[m:, m]))
    return np.concatenate(rows)[None]


def test_summation_agrees_with_gravity_toolkit(gravity_toolkit):
    coefficients = random_coefficients(90)
    latitude, longitude = np.arange(-89.75, -55.0, 5.0), np.arange(0.0, 360.0, 7.5)
    peer = gravity_toolkit.harmonic_summation(*coefficients, longitude, latitude, LMAX=90)
    assert_close(harmonics.synthesise(coefficients, latitude, longitude), peer.T, PEERS)


def test_projection_from_cells_agrees_with_gravity_toolkit(gravity_toolkit):
    """gen_stokes sums f Y_jm sin θ Δθ Δλ over the cells; its units would divide by 4π."""
    step = 5.0
    latitude, longitude = np.arange(87.5, -90.0, -step), np.arange(0.0, 360.0, step)
    field = np.random.default_rng(7).standard_normal((latitude.size, longitude.size))
    peer = gravity_toolkit.gen_stokes(
        field.T, longitude, latitude, LMAX=30, UNITS=np.ones(31), LOVE=(0, 0, 0)
    )
    solid_angle = np.cos(np.radians(latitude))[:, None] * np.radians(step) ** 2

    sums = harmonics.project_rows(field * solid_angle, latitude, longitude, j_max=30)

    assert_close(sums, np.stack([peer.clm, peer.slm]), PEERS)


# Refusals


@pytest.mark.parametrize("shape", [(3, 3), (3, 4, 4), (2, 4, 5)])
def test_coefficients_of_another_shape_are_refused(shape):
    with pytest.raises(harmonics.HarmonicsError, match=r"expected \(\.\.\., 2, J \+ 1, J \+ 1\)"):
        harmonics.synthesise(np.zeros(shape), np.zeros(1), np.zeros(1))


def test_weights_that_do_not_fit_the_lattice_are_refused():
    with pytest.raises(harmonics.HarmonicsError, match=r"expected \(\.\.\., 3, 4\)"):
        harmonics.project_rows(np.zeros((4, 3)), np.zeros(3), np.zeros(4), j_max=2)


def test_points_with_unequal_coordinates_are_refused():
    with pytest.raises(harmonics.HarmonicsError, match="ravel them"):
        harmonics.synthesise_at(np.zeros((2, 3, 3)), np.zeros(3), np.zeros(4))
    with pytest.raises(harmonics.HarmonicsError, match="ravel them"):
        harmonics.project_from(np.zeros((2, 2)), np.zeros((2, 2)), np.zeros((2, 2)), j_max=2)


def test_weights_that_are_not_one_per_point_are_refused():
    with pytest.raises(harmonics.HarmonicsError, match=r"expected \(\.\.\., 3\)"):
        harmonics.project_from(np.zeros(4), np.zeros(3), np.zeros(3), j_max=2)
