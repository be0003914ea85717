import numpy as np
import pytest

from pipelines.kernels import geodesy
from pipelines.worlds import elevation_errors as errors
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.elevation import elevation_change
from pipelines.worlds.smooth_noise import smooth_noise

SPACING = 40e3
AXIS = np.arange(-2.8e6 + SPACING / 2, 2.8e6, SPACING)
X, Y = np.meshgrid(AXIS, AXIS[::-1])


@pytest.fixture(scope="module")
def at(world: Antarctica) -> errors.Places:
    return errors.places(world, X, Y)


@pytest.fixture(scope="module")
def inside(world: Antarctica) -> np.ndarray:
    return world.is_grounded(*geodesy.inverse_polar_stereographic(X, Y))


def test_smooth_noise_has_the_covariance_it_is_asked_for():
    length, lag = 200e3, 5  # 5 cells of 40 km are one length
    draws = np.stack([
        smooth_noise(X, Y, np.random.default_rng([1, n]), length=length) for n in range(24)
    ])  # fmt: skip

    here, there = draws[:, :, :-lag], draws[:, :, lag:]

    # 24 draws of (5600 km)² / (4π L²) = 62 independent patches each: mean squares of 1500 normal
    # numbers scatter by √(2/1500) = 0.037; four of that.
    assert (draws**2).mean() == pytest.approx(1.0, abs=0.15)
    assert (here * there).mean() == pytest.approx(np.exp(-0.5), abs=0.15)
    assert (draws[:, :, :-20] * draws[:, :, 20:]).mean() == pytest.approx(np.exp(-8.0), abs=0.15)


def test_smooth_noise_is_the_same_field_on_any_grid():
    coarse = smooth_noise(X, Y, np.random.default_rng(3), length=60e3)
    part = (slice(10, 20), slice(70, 75))

    alone = smooth_noise(X[part], Y[part], np.random.default_rng(3), length=60e3)

    assert np.array_equal(coarse[part], alone)


def test_a_length_that_needs_too_large_a_lattice_is_refused():
    with pytest.raises(ValueError, match="correlation length of 5 km, expected 10 km or more"):
        smooth_noise(X, Y, np.random.default_rng(1), length=5e3)


def test_errors_are_wide_and_large_on_the_plateau_narrow_and_large_at_the_coast(at, inside):
    sizes = errors.ErrorSizes(common=0.0)
    drawn = np.stack(list(errors.elevation_errors(at, seed=1, sizes=sizes)))
    of_retracker = drawn.mean(axis=1)
    of_fit = drawn - of_retracker[:, None]
    plateau, coast = inside & (at.inland < 0.1), inside & (at.inland > 0.8)

    assert of_retracker[:, plateau].std() > 1.5 * of_fit[..., plateau].std()
    assert of_fit[..., coast].std() > 1.3 * of_retracker[:, coast].std()
    # One lag of 80 km is a sixth of the one length and twice the other.
    assert _correlation(of_retracker, inside & (at.inland < 0.2), lag=2) > 0.9
    assert abs(_correlation(of_fit, inside, lag=2)) < 0.3


def _correlation(fields: np.ndarray, where: np.ndarray, *, lag: int) -> float:
    both = where[:, :-lag] & where[:, lag:]
    return float(np.corrcoef(fields[..., :-lag][..., both].ravel(),
                             fields[..., lag:][..., both].ravel())[0, 1])  # fmt: skip


def test_the_truth_lies_in_the_spread_of_the_members_as_any_of_them_does(world):
    """Rank of zero error among 8 = 7 members and the truth: each rank is equally likely."""
    points = errors.places(world, X[::14, ::14], Y[::14, ::14])
    sizes = errors.ErrorSizes(fit=(0.0, 0.0))
    ranks = np.concatenate([
        (np.stack(list(errors.elevation_errors(points, seed=s, sizes=sizes, fits=1))) < 0.0)
        .sum(axis=0)
        .ravel()
        for s in range(20)
    ])  # fmt: skip

    share = np.bincount(ranks, minlength=8) / ranks.size

    # 20 seeds of about 20 independent patches (5600 km square over 4π (500 km)², less what the
    # lattice lacks): 1/8 ± √(7/64 / 200) = 0.023 with half of them counted; three of that.
    assert share == pytest.approx(np.full(8, 1 / 8), abs=0.07)


def test_every_member_is_the_same_whatever_else_is_drawn(at):
    seven = list(errors.elevation_errors(at, seed=7))
    three = list(errors.elevation_errors(at, seed=7, retrackers=3, fits=2))

    # Sums of the same draws in another order of additions.
    assert np.abs(seven[2][:2] - three[2]).max() < 1e-15
    assert not np.array_equal(seven[0], next(errors.elevation_errors(at, seed=8)))


def test_perfect_sizes_make_no_error(world, at):
    change = elevation_change(world, X, Y)

    height, mass = errors.modelled_surface(world, at, change, seed=1, sizes=errors.PERFECT)

    for drawn in errors.elevation_errors(at, seed=1, sizes=errors.PERFECT):
        assert (drawn == 0.0).all()
    assert np.array_equal(height, change.surface_elevation_rate)
    assert np.array_equal(mass, change.snow)


def test_a_model_that_misses_snow_misses_its_height_at_the_density_of_snow(world, at):
    change = elevation_change(world, X, Y)
    sizes = errors.ErrorSizes(compaction=0.0)

    height, mass = errors.modelled_surface(world, at, change, seed=1, sizes=sizes)

    missed = (height - change.surface_elevation_rate) * change.snow_density
    assert missed == pytest.approx(mass - change.snow, abs=1e-12)


def test_gaps_lie_at_the_pole_in_mountains_and_on_steep_coasts(world, at, inside):
    missing = errors.gaps(world, at)

    assert missing[np.hypot(X, Y) < 200e3].all()
    assert 0.05 < missing[inside].mean() < 0.20
    assert missing[inside & (at.inland > 0.9)].mean() > 0.3
    plain = inside & (at.inland < 0.3) & (np.hypot(X, Y) > 300e3)
    assert missing[plain].mean() < 0.02


def test_members_may_lack_cells_of_their_own(at, inside):
    one = errors.member_gaps(at, retracker=0, fit=0, seed=1)
    other = errors.member_gaps(at, retracker=0, fit=1, seed=1)

    # A standard normal field exceeds 2.05 on 2.0 % of the ground.
    assert one[inside].mean() == pytest.approx(0.02, abs=0.01)
    assert (one != other)[inside].any()
