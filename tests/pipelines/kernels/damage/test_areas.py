"""Areas are true, and spreads are those of simulated maps."""

import math

import numpy as np
import pyproj
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pipelines.kernels.damage import areas, correlated_sums
from pipelines.kernels.damage.areas import DamageSums

SPACING = 30.0


def test_pixels_have_the_area_of_a_geodesic_polygon():
    geod = pyproj.Geod(ellps="WGS84")
    place = pyproj.Transformer.from_crs(3031, 4326, always_xy=True)
    side = 3000.0  # a polygon of 30 m would have only its rounding left
    for x, y in ((1.2e6, -0.4e6), (-1.6e6, -0.26e6), (2.2e6, -1.1e6), (0.0, 5e4)):
        edge = np.linspace(-side / 2, side / 2, 60)
        flat = np.full_like(edge, side / 2)
        ring = np.concatenate([(edge, -flat), (flat, edge), (-edge, flat), (-flat, -edge)], axis=1)
        polygon = abs(
            geod.polygon_area_perimeter(*place.transform(*(ring + np.array([[x], [y]]))))[0]
        )
        centres = (np.arange(100) + 0.5) * SPACING - side / 2

        made = areas.pixel_areas(x + centres, y + centres, spacing=SPACING)

        assert made.shape == (100, 100)
        # 60 chords a side cut less than 1e-8 of the square off
        assert made.sum() == pytest.approx(polygon, rel=1e-6)


def random_map(seed, shape=(20, 24)):
    rng = np.random.default_rng(seed)
    p = rng.beta(0.4, 0.8, shape)
    p[rng.random(shape) < 0.1] = np.nan
    return p, rng.uniform(850.0, 950.0, shape), rng.random(shape) < 0.8, rng.random(shape) < 0.2


@settings(max_examples=40)
@given(st.integers(0, 99), st.integers(0, 20), st.sampled_from([0.3, 0.5, 0.9]))
def test_blocks_add_up_to_the_whole(seed, row, threshold):
    p, area, extent, restored = random_map(seed)

    whole = areas.damage_sums(p, area, extent, restored, threshold=threshold)
    above = areas.damage_sums(*(v[:row] for v in (p, area, extent, restored)), threshold=threshold)
    below = areas.damage_sums(*(v[row:] for v in (p, area, extent, restored)), threshold=threshold)

    for name in ("damage", "expected", "known", "extent", "restored"):
        assert getattr(above + below, name) == pytest.approx(getattr(whole, name), rel=1e-12)
    assert whole.restored <= whole.damage <= whole.known <= whole.extent
    assert areas.damage_fraction(whole) == pytest.approx(whole.damage / whole.known)
    assert whole.covered < 1.0


def test_damage_outside_the_extent_does_not_count():
    extent = np.array([[True, False]])

    made = areas.damage_sums(np.ones((1, 2)), np.full((1, 2), 900.0), extent)

    assert made == DamageSums(900.0, 900.0, 900.0, 900.0, 0.0)
    assert areas.damage_fraction(made) == 1.0


def test_of_nothing_there_is_no_fraction():
    assert math.isnan(areas.damage_fraction(DamageSums()))
    assert math.isnan(DamageSums().covered)


def test_independent_pixels_scatter_as_their_probabilities_say():
    p, area, extent, _ = random_map(3)
    spread, none = areas.pixel_spreads(p, area, extent)
    known = extent & ~np.isnan(p)
    n = 4000
    draws = np.random.default_rng(11).random((n, known.sum())) < p[known]

    scatter = (draws @ area[known]).std()

    made = correlated_sums.block_sum(spread, length=0.0, spacing=SPACING).variance
    # a deviation of n nearly normal draws scatters by 1 / √(2 n) = 1.1 %: four of these
    assert math.sqrt(made) == pytest.approx(scatter, rel=4.0 / math.sqrt(2 * n))
    assert not none.any()


def test_simulated_maps_lie_within_the_bounds_of_their_probabilities():
    """Damage where a correlated field lies below the probability: calibrated, by its making."""
    rng = np.random.default_rng(15)
    n, size, length = 600, 48, 90.0
    p = rng.beta(0.6, 1.5, (size, size))
    area = np.full((size, size), 900.0)
    rho = np.exp(-SPACING * abs(np.subtract.outer(*2 * [np.arange(size)])) / length)
    root = np.linalg.cholesky(rho)
    field = root @ rng.standard_normal((n, size, size)) @ root.T
    damaged = ((field < stats.norm.ppf(p)) * area).sum(axis=(1, 2))
    spread, _ = areas.pixel_spreads(p, area, area > 0)

    sigma = math.sqrt(correlated_sums.block_sum(spread, length=length, spacing=SPACING).variance)

    error = abs(damaged - areas.damage_sums(p, area, area > 0).expected)
    # cutting a field at a threshold never raises its correlation, so bounds are on the safe side
    assert (error <= sigma).mean() >= 0.68
    assert (error <= 2.0 * sigma).mean() >= 0.95
    assert 1.0 <= sigma / damaged.std() < 1.5


def test_the_spread_of_restorations_is_a_part_of_the_pixels_own():
    """Law of total variance: p_k drawn first, then damage from p_k, scatters by p̄ (1 − p̄)."""
    rng = np.random.default_rng(12)
    n = 200_000
    p_k = rng.beta(2.0, 3.0, n)
    damage = rng.random(n) < p_k
    mean, v = np.full((1, 1), p_k.mean()), np.full((1, 1), p_k.var())

    one, other = areas.pixel_spreads(mean, np.ones((1, 1)), np.ones((1, 1), bool), v)

    # the variance of a binary draw near 1/2 is flat: its scatter is below 1 / n of itself, and
    # with p̄ = 0.4 it is |1 − 2 p̄| / √n / √(p̄ (1 − p̄)) = 0.1 %; five of these
    assert one.item() ** 2 + other.item() ** 2 == pytest.approx(damage.var(), rel=5e-3)
    assert other.item() ** 2 == pytest.approx(0.04, rel=0.02)  # of beta(2, 3): 6 / (25 · 6)


@settings(max_examples=40)
@given(st.integers(0, 99), st.floats(0.0, 1.0))
def test_parts_of_a_pixel_never_exceed_it(seed, v):
    p, area, extent, _ = random_map(seed)

    one, other = areas.pixel_spreads(p, area, extent, np.full(p.shape, v))

    known = extent & ~np.isnan(p)
    whole = np.where(known, area**2 * np.nan_to_num(p) * (1 - np.nan_to_num(p)), 0.0)
    np.testing.assert_allclose(one**2 + other**2, whole, rtol=1e-9, atol=1e-6)
    assert not one[~known].any()


def test_combined_errors_follow_simulated_ones():
    rng = np.random.default_rng(13)
    n = 100_000
    shared = rng.standard_normal(n)
    total = 2.0 * rng.standard_normal(n) + 1.0 * rng.standard_normal(n) + (1.5 + 0.5) * shared

    made = areas.combined_spread(independent=[2.0, 1.0], correlated=[1.5, 0.5])

    assert made == pytest.approx(3.0)
    assert total.std() == pytest.approx(made, rel=4.0 / math.sqrt(2 * n))


def test_the_spread_of_a_fraction_follows_simulated_ones():
    rng = np.random.default_rng(14)
    n, rho = 100_000, 0.6
    first, second = rng.standard_normal((2, n))
    area = 200.0 + 4.0 * first
    shelf = 1000.0 + 10.0 * (rho * first + math.sqrt(1 - rho**2) * second)

    made = areas.fraction_spread(
        0.2, area_spread=4.0, shelf_area=1000.0, shelf_spread=10.0, correlation=rho
    )

    # four times the scatter of a deviation; terms of second order are 1e-4 of it
    assert (area / shelf).std() == pytest.approx(made, rel=4.0 / math.sqrt(2 * n) + 1e-3)
    assert areas.fraction_spread(0.2, area_spread=4.0, shelf_area=1000.0) == 0.004


ONE = np.ones((1, 1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: areas.damage_sums(ONE, np.ones((1, 2)), ONE > 0), "expected one"),
        (lambda: areas.pixel_spreads(2 * ONE, ONE, ONE > 0), "expected 0 to 1"),
        (lambda: areas.pixel_spreads(ONE, ONE, ONE > 0, -ONE), "variance of -1"),
        (lambda: areas.pixel_spreads(ONE, ONE, ONE > 0, np.nan * ONE), "give 0 where none"),
        (lambda: areas.fraction_spread(0.1, area_spread=1.0, shelf_area=0.0), "a shelf of 0 m²"),
        (
            lambda: areas.fraction_spread(0.1, area_spread=1.0, shelf_area=1.0, correlation=2.0),
            "correlation of 2",
        ),
    ],
)
def test_what_has_no_area_is_refused(make, message):
    with pytest.raises(areas.AreaError, match=message):
        make()
