"""The cap transform: closed forms, adjoints, and three libraries that share no code with ours."""

import ducc0
import mpmath
import numpy as np
import pyshtools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.gravity import cap_transform, harmonics
from pipelines.kernels.gravity.cap_grid import CapGrid, CapGridError, cap_grid
from pipelines.kernels.gravity.cap_kernel import fejer_weights
from pipelines.kernels.gravity.cap_transform import CapTransform, CapTransformError
from pipelines.kernels.gravity.layouts import PackedLayout, from_ducc0, pack, to_ducc0, unpack

PEERS = 1e-12
GRID = cap_grid(1.0, north=-50.0)
QUADRATURES = ["cell", "fejer", "exact"]


def random_fields(grid: CapGrid, members: int, *, seed: int = 1) -> np.ndarray:
    shape = members, len(grid.latitude), grid.n_lon
    return np.random.default_rng(seed).standard_normal(shape)


def random_packed(j_max: int, members: int, *, seed: int = 2) -> np.ndarray:
    """Coefficients of white spectrum, S_j0 = 0."""
    layout = PackedLayout.whole(j_max)
    parts = np.random.default_rng(seed).standard_normal((2, layout.size, members))
    parts[1, layout.order_slice(0)] = 0.0
    return parts[0] + 1j * parts[1]


def assert_close(found: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


# Closed forms


def cap_coefficients(radius: float, j_max: int) -> np.ndarray:
    """C_j0 of a polar cap of 1 in the north: (P_{j−1}(cos α) − P_{j+1}(cos α)) / (2 √(2j + 1))."""
    with mpmath.workdps(40):
        x = mpmath.cos(mpmath.radians(radius))
        plain = [mpmath.legendre(j, x) for j in range(j_max + 2)]
        tail = [
            (plain[j - 1] - plain[j + 1]) / (2 * mpmath.sqrt(2 * j + 1))
            for j in range(1, j_max + 1)
        ]
        return np.array([float((1 - x) / 2), *map(float, tail)])


def test_a_polar_cap_that_ends_between_cells_has_its_closed_form_to_the_last_digits():
    grid = cap_grid(0.5, north=-60.0)
    field = np.zeros((60, 720))
    field[:50] = 1.0
    packed = CapTransform(grid, 256).analyse(field)[:, 0]
    zonal = PackedLayout.whole(256).order_slice(0)
    south = (-1.0) ** np.arange(257) * cap_coefficients(25.0, 256)
    np.testing.assert_allclose(packed[zonal], south, rtol=0, atol=1e-15)
    np.testing.assert_allclose(packed[zonal.stop :], 0.0, rtol=0, atol=1e-16)


def test_samples_of_the_same_cap_are_off_by_a_thousandth_for_every_quadrature_of_points():
    """Ice fields are not band-limited: why cells are the default."""
    grid = cap_grid(0.5, north=-60.0)
    field = np.zeros((60, 720))
    field[:50] = 1.0
    for quadrature in ("fejer", "exact"):
        packed = CapTransform(grid, 256, quadrature).analyse(field)[:257, 0].real
        error = np.abs(packed - (-1.0) ** np.arange(257) * cap_coefficients(25.0, 256)).max()
        assert 1e-4 < error / 0.0468 < 1e-2


def test_a_disc_off_the_pole_nears_its_closed_form_as_cells_shrink():
    """C_jm = C_j0 Y_jm(centre) / √(2j + 1) (addition theorem); cells smooth it, so by h²."""
    centre, radius, j_max = (-78.0, 40.0), 6.0, 20
    degree = np.arange(j_max + 1)
    disc = harmonics.project_from(np.ones(1), *(np.array([x]) for x in centre), j_max=j_max)
    disc *= (cap_coefficients(radius, j_max) / np.sqrt(2 * degree + 1))[:, None]
    errors = []
    for step in (1.0, 0.5, 0.25):
        grid = cap_grid(step, north=-60.0)
        inside = share_inside(grid, centre, radius)
        found = unpack(CapTransform(grid, j_max).analyse(inside), j_max=j_max)[0]
        errors.append(np.abs(found - disc).max() / np.abs(disc).max())
    assert errors[0] < 5e-3
    assert errors[1] < errors[0] / 3.5
    assert errors[2] < errors[1] / 3.5


def share_inside(grid: CapGrid, centre: tuple[float, float], radius: float) -> np.ndarray:
    """Share of each cell within a disc, from 10 × 10 points in it."""
    part = (np.arange(10) + 0.5) / 10.0
    lat = np.radians(grid.edges[:-1, None] + grid.step * part).ravel()
    lon = np.radians((np.arange(grid.n_lon)[:, None] + part) * grid.lon_step).ravel()
    lat_0, lon_0 = np.radians(centre)
    across = np.cos(lat)[:, None] * np.cos(lat_0) * np.cos(lon - lon_0)
    near = np.sin(lat)[:, None] * np.sin(lat_0) + across >= np.cos(np.radians(radius))
    weight = np.cos(lat).reshape(-1, 10)
    inside = near.reshape(len(weight), 10, grid.n_lon, 10).mean(axis=3)
    return np.einsum("iqk,iq->ik", inside, weight / weight.sum(axis=1, keepdims=True))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99), j_max=st.integers(0, 60))
def test_mass_is_kept_to_the_last_digits(seed, j_max):
    """4π C_00 = Σ f Ω, in cells."""
    field = random_fields(GRID, 1, seed=seed)
    total = (field[0] * GRID.solid_angles[:, None]).sum()
    size = (np.abs(field[0]) * GRID.solid_angles[:, None]).sum()
    found = 4.0 * np.pi * CapTransform(GRID, j_max).analyse(field)[0, 0]
    assert abs(found - total) < 1e-15 * size


# Structure


@pytest.mark.parametrize("quadrature", QUADRATURES)
def test_the_adjoint_is_the_transpose_of_the_synthesis(quadrature):
    transform = CapTransform(GRID, 90, quadrature)
    packed, weights = random_packed(90, 2), random_fields(GRID, 2)

    seen = np.einsum("bik,bik->b", transform.synthesise(packed), weights)
    kernel = transform.adjoint(weights)

    weighed = (packed.real * kernel.real + packed.imag * kernel.imag).sum(axis=0)
    np.testing.assert_allclose(seen, weighed, rtol=0, atol=1e-13 * np.abs(kernel * packed).sum())


def test_analysis_of_cells_is_the_adjoint_of_their_solid_angles():
    transform = CapTransform(GRID, 70)
    field = random_fields(GRID, 1)
    weighed = transform.adjoint(field * GRID.solid_angles[:, None])
    assert_close(weighed / (4.0 * np.pi), transform.analyse(field), 1e-14)


@settings(max_examples=20, deadline=None)
@given(cells=st.integers(-400, 400), quadrature=st.sampled_from(QUADRATURES))
def test_a_turn_by_whole_cells_turns_every_order(cells, quadrature):
    transform = CapTransform(GRID, 40, quadrature)
    field = random_fields(GRID, 1)
    order = transform.layout.order_of_each()
    turn = np.exp(1j * order * np.radians(cells * GRID.lon_step))[:, None]
    turned = transform.analyse(np.roll(field, cells, axis=-1))
    assert_close(turned, transform.analyse(field) * turn, 1e-13)


@settings(max_examples=20, deadline=None)
@given(a=st.floats(-9, 9), b=st.floats(-9, 9), quadrature=st.sampled_from(QUADRATURES))
def test_sums_of_fields_have_sums_of_coefficients(a, b, quadrature):
    transform = CapTransform(GRID, 30, quadrature)
    f, g = random_fields(GRID, 1, seed=3), random_fields(GRID, 1, seed=4)
    together = transform.analyse(a * f + b * g)
    apart = a * transform.analyse(f) + b * transform.analyse(g)
    np.testing.assert_allclose(together, apart, rtol=0, atol=1e-14 * (abs(a) + abs(b) + 1e-3))


def test_members_do_not_know_of_each_other_however_many_they_are():
    transform = CapTransform(cap_grid(2.0, north=-60.0), 50)
    fields = random_fields(transform.grid, 120)
    together = transform.analyse(fields.reshape(3, 40, *fields.shape[1:]))
    back = transform.synthesise(together)
    for member in (0, 55, 56, 119):
        alone = transform.analyse(fields[member])
        assert_close(together[:, member], alone[:, 0], 1e-14)
        assert_close(back[member], transform.synthesise(alone)[0], 1e-14)


def test_cell_means_are_means_of_values_within_the_cells():
    """Gauss points within each cell, evaluated one by one."""
    grid, j_max = cap_grid(3.0, north=-60.0), 40
    packed = random_packed(j_max, 1)
    node, weight = np.polynomial.legendre.leggauss(8)
    half = grid.step / 2.0
    lat = (grid.latitude[:, None] + half * node).ravel()
    lon = (grid.longitude[:, None] + half * node).ravel()
    house = unpack(packed, j_max=j_max)[0]
    values = harmonics.synthesise(house, lat, lon).reshape(len(grid.latitude), 8, -1, 8)
    across = np.cos(np.radians(lat)).reshape(-1, 8) * weight
    across /= across.sum(axis=1, keepdims=True)
    means = np.einsum("iqkp,iq,p->ik", values, across, weight / 2.0)

    assert_close(CapTransform(grid, j_max).synthesise(packed)[0], means, 1e-13)


@pytest.mark.parametrize("quadrature", QUADRATURES)
def test_values_at_centres_are_those_of_the_plain_synthesis(quadrature):
    transform = CapTransform(GRID, 90, quadrature)
    packed = random_packed(90, 2)
    expected = harmonics.synthesise(unpack(packed, j_max=90), GRID.latitude, GRID.longitude)
    assert_close(transform.synthesise(packed, at="centres"), expected, 1e-13)


def test_the_highest_degree_of_the_cells_is_handled_to_its_last_order():
    """Degree and order 180° / step on a globe but for one row: the shortest wave that cells see."""
    grid = CapGrid(np.linspace(-90.0, 89.0, 180), 360)
    transform = CapTransform(grid, 180)
    packed, weights = random_packed(180, 1), random_fields(grid, 1)
    kernel = transform.adjoint(weights)
    weighed = (packed.real * kernel.real + packed.imag * kernel.imag).sum()
    assert (transform.synthesise(packed) * weights).sum() == pytest.approx(weighed, rel=1e-11)
    total = (weights[0] * grid.solid_angles[:, None]).sum() / (4.0 * np.pi)
    assert transform.analyse(weights)[0, 0].real == pytest.approx(total, rel=1e-12)


def test_a_band_limited_field_of_the_globe_comes_back_by_the_exact_quadrature():
    """All rows but one, where the field is set to zero by a zero of the field itself."""
    j_max, n = 20, 48
    grid = CapGrid(np.linspace(-90.0, 90.0, n + 1)[:-1], 2 * n)
    packed = random_packed(j_max, 1)
    last = np.array([90.0 - 90.0 / n])
    values = harmonics.synthesise(unpack(packed, j_max=j_max)[0], last, grid.longitude)
    # What the missing row would add, from the symmetric place of the southern half.
    mirrored = np.zeros((1, n - 1, 2 * n))
    mirrored[0, 0] = values[0]
    transform = CapTransform(grid, j_max, "exact")
    parity = (-1.0) ** (transform.layout.degrees() + transform.layout.order_of_each())
    missing = transform.analyse(mirrored) * parity[:, None]
    found = transform.analyse(transform.synthesise(packed)) + missing
    assert_close(found, packed, 1e-13)


# Threads and streams


def test_threads_change_nothing():
    one, two = CapTransform(GRID, 100), CapTransform(GRID, 100, threads=3)
    field = random_fields(GRID, 5)
    packed = one.analyse(field)
    np.testing.assert_array_equal(two.analyse(field), packed)
    np.testing.assert_array_equal(two.synthesise(packed), one.synthesise(packed))


@pytest.mark.parametrize("quadrature", QUADRATURES)
@pytest.mark.parametrize("threads", [1, 2])
def test_a_stream_of_orders_is_the_whole_transform(quadrature, threads):
    transform = CapTransform(GRID, 90, quadrature, threads=threads)
    field = random_fields(GRID, 3)
    packed = transform.analyse(field)
    orders = cap_transform.order_blocks(90, coefficients=500)
    asked = []

    def rows(some):
        asked.append(some)
        return field[:, some]

    streamed = list(transform.analyse_stream(rows, orders, rows_at_once=7))

    assert [block for block, _ in streamed] == orders
    assert_close(np.concatenate([part for _, part in streamed]), packed, 1e-14)
    assert max(some.stop - some.start for some in asked) == 7


@settings(max_examples=30, deadline=None)
@given(j_max=st.integers(0, 300), coefficients=st.integers(1, 9000))
def test_blocks_of_orders_hold_every_order_once(j_max, coefficients):
    blocks = cap_transform.order_blocks(j_max, coefficients=coefficients)
    assert [m for block in blocks for m in block] == list(range(j_max + 1))
    for block in blocks[:-1]:
        assert PackedLayout(j_max, block).size >= coefficients


def test_the_halves_make_the_whole_from_spectra_of_some_rows_and_kernels_of_some_orders():
    transform = CapTransform(GRID, 60)
    field, limits = random_fields(GRID, 2), transform.limits
    parts = [
        cap_transform.row_spectra(field[:, rows], limits[rows])
        for rows in (slice(0, 11), slice(11, None))
    ]
    spectra = np.zeros((int(limits.max()), len(limits), 2), complex)
    spectra[: len(parts[0]), :11] = parts[0]
    spectra[: len(parts[1]), 11:] = parts[1]
    packed = np.zeros((transform.layout.size, 2), complex)
    for first in (0, 1):
        kernel = transform.kernel[first::2]
        cap_transform.legendre_analysis(spectra, kernel, transform.layout, packed)
    assert_close(packed, transform.analyse(field), 1e-14)

    waves = np.zeros_like(spectra)
    cap_transform.legendre_synthesis(packed, transform.kernel, transform.layout, waves)
    rows = cap_transform.row_fields(waves, limits, n_lon=GRID.n_lon)
    assert_close(rows * transform.row_factor[:, None], transform.synthesise(packed), 1e-14)


# Peers


def rings(grid: CapGrid) -> dict:
    n_lat, n_lon = len(grid.latitude), grid.n_lon
    return {
        "theta": np.radians(90.0 - grid.latitude),
        "nphi": np.full(n_lat, n_lon, dtype=np.uint64),
        "phi0": np.full(n_lat, np.pi / n_lon),
        "ringstart": np.arange(n_lat, dtype=np.uint64) * n_lon,
        "spin": 0,
        "nthreads": 1,
    }


def test_analysis_by_fejers_rule_agrees_with_ducc0_on_the_same_rings():
    grid, j_max = cap_grid(0.5, north=-60.0), 256
    field = random_fields(grid, 2)
    weight = fejer_weights(grid.globe_rows)[: len(grid.latitude)] * 2.0 * np.pi / grid.n_lon
    alm = ducc0.sht.adjoint_synthesis(
        map=field.reshape(2, 1, -1), lmax=j_max, ringfactor=weight, **rings(grid)
    )
    # ducc0 sums f Y̅ dΩ with orthonormal Y: our coefficients but for its norm and phase.
    found = CapTransform(grid, j_max, "fejer").analyse(field)
    assert_close(to_ducc0(found), alm[:, 0], PEERS)


def test_synthesis_agrees_with_ducc0_on_the_same_rings():
    grid, j_max = cap_grid(0.5, north=-60.0), 256
    packed = random_packed(j_max, 2)
    theirs = ducc0.sht.synthesis(alm=to_ducc0(packed)[:, None], lmax=j_max, **rings(grid))
    found = CapTransform(grid, j_max, "fejer").synthesise(packed)
    assert_close(found, theirs.reshape(found.shape), PEERS)


@pytest.mark.parametrize(("step", "j_max"), [(2.0, 60), (2.0, 89), (1.0, 128)])
def test_the_exact_quadrature_is_that_of_ducc0_for_any_field(step, j_max):
    """Fields of noise on the cap, zero elsewhere: as far from band-limited as can be.

    Of such fields ducc0's coefficients depend on the degree that is asked for, so ask for all.
    """
    grid = cap_grid(step, north=-60.0)
    field = random_fields(grid, 1)[0]
    globe = np.zeros((grid.globe_rows, grid.n_lon))
    globe[-len(field) :] = field[::-1]
    alm = ducc0.sht.analysis_2d(
        map=globe[None],
        spin=0,
        lmax=grid.highest_degree,
        geometry="F1",
        phi0=np.pi / grid.n_lon,
        nthreads=1,
    )
    peer = harmonics.truncate(unpack(from_ducc0(alm), j_max=grid.highest_degree), j_max)
    found = CapTransform(grid, j_max, "exact").analyse(field)
    assert_close(unpack(found, j_max=j_max), peer, PEERS)


def test_sums_over_points_agree_with_gravity_toolkit(gravity_toolkit):
    """gen_stokes sums f Y_jm sin θ Δθ Δλ over the cells; its units would divide by 4π."""
    grid, j_max = cap_grid(1.0, north=-60.0), 60
    field = random_fields(grid, 1)[0]
    peer = gravity_toolkit.gen_stokes(
        field.T, grid.longitude, grid.latitude, LMAX=j_max, UNITS=np.ones(j_max + 1), LOVE=(0, 0, 0)
    )
    weight = np.cos(np.radians(grid.latitude))[:, None] * np.radians(grid.step) ** 2
    found = unpack(CapTransform(grid, j_max, "fejer").adjoint(field * weight), j_max=j_max)[0]
    assert_close(found, np.stack([peer.clm, peer.slm]), PEERS)


def test_values_agree_with_pyshtools_point_by_point():
    packed = random_packed(60, 1)
    lat, lon = (a.ravel() for a in np.meshgrid(GRID.latitude[::9], GRID.longitude[::37]))
    peer = pyshtools.expand.MakeGridPoint(unpack(packed, j_max=60)[0], lat, lon, lmax=60)
    found = CapTransform(GRID, 60, "fejer").synthesise(packed)[0, ::9, ::37]
    assert_close(found.T.ravel(), peer, PEERS)


def test_mass_far_below_the_rows_of_high_orders_is_not_lost_by_pruning():
    """One cell next to the pole, and a ring at the rim, against sums over all orders and rows."""
    grid, j_max = cap_grid(1.0, north=-60.0), 120
    field = np.zeros((2, 30, 360))
    field[0, 1, 5], field[1, 29] = 1.0, np.cos(np.radians(40 * grid.longitude))
    weights = field * (fejer_weights(180)[:30, None] / (2.0 * 360))
    expected = harmonics.project_rows(weights, grid.latitude, grid.longitude, j_max=j_max)
    found = CapTransform(grid, j_max, "fejer").analyse(field)
    for member in (0, 1):
        assert_close(found[:, member], pack(expected)[:, member], PEERS)


def test_results_go_where_they_are_wanted():
    transform = CapTransform(GRID, 20)
    field, packed = random_fields(GRID, 2), random_packed(20, 2)
    coefficients, values = np.empty_like(packed), np.empty_like(field)
    assert transform.analyse(field, out=coefficients) is coefficients
    assert transform.synthesise(packed, out=values) is values
    np.testing.assert_array_equal(coefficients, transform.analyse(field))
    np.testing.assert_array_equal(values, transform.synthesise(packed))
    assert_close(transform.analyse(field[:1]), coefficients[:, :1], 1e-14)


# Refusals


def test_degrees_beyond_the_cells_are_refused():
    with pytest.raises(CapGridError, match=r"found degree 181, but cells of 1° .* carry 0 to 180"):
        CapTransform(GRID, 181)
    with pytest.raises(CapGridError, match="carry 0 to 179"):
        CapTransform(GRID, 180, "fejer")
    with pytest.raises(CapGridError, match="carry 0 to 20"):
        CapTransform(CapGrid(GRID.edges, 41), 21)


def test_an_unknown_quadrature_is_refused():
    with pytest.raises(CapGridError, match="expected one of cell, fejer, exact"):
        CapTransform(GRID, 20, "midpoint")


def test_points_on_rows_that_do_not_divide_the_globe_are_refused():
    with pytest.raises(CapGridError, match="do not divide 180"):
        CapTransform(CapGrid(-90.0 + 0.7 * np.arange(30), 360), 20, "exact")


def test_fields_of_another_shape_are_refused():
    with pytest.raises(CapTransformError, match=r"expected \(\.\.\., 40, 360\)"):
        CapTransform(GRID, 20).analyse(np.zeros((2, 360, 40)))
    with pytest.raises(CapTransformError, match=r"expected \(231, members\)"):
        CapTransform(GRID, 20).synthesise(np.zeros((230, 2), complex))


def test_places_for_results_that_cannot_take_them_are_refused():
    transform = CapTransform(GRID, 20)
    with pytest.raises(CapTransformError, match=r"of shape \(231, 2\), contiguous, for"):
        transform.analyse(random_fields(GRID, 3), out=np.empty((231, 2), complex))
    with pytest.raises(CapTransformError, match="not contiguous"):
        transform.synthesise(random_packed(20, 2), out=np.empty((2, 40, 720))[..., ::2])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_missing_values_are_refused_by_their_place(value):
    field = np.zeros((70, 40, 360))
    field[61, 7, 3] = value
    with pytest.raises(CapTransformError, match="missing values in row 7 of member 61"):
        CapTransform(GRID, 20).analyse(field)


def test_inputs_are_left_as_they_were():
    transform = CapTransform(GRID, 20)
    field, packed = random_fields(GRID, 2), random_packed(20, 2)
    kept = field.copy(), packed.copy()
    transform.analyse(field)
    transform.adjoint(field)
    transform.synthesise(packed)
    np.testing.assert_array_equal(field, kept[0])
    np.testing.assert_array_equal(packed, kept[1])
