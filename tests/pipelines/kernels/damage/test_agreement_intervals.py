"""Intervals cover the truth about as often as they say, where neighbours say the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, stats

from pipelines.kernels.damage.agreement import AgreementError, agreement
from pipelines.kernels.damage.agreement_intervals import agreement_intervals


def smooth_fields(rng, n, *, size=36, width=1.5):
    """Gaussian fields of unit variance, correlated over a few cells, not periodic."""
    margin = int(6 * width)
    noise = rng.normal(size=(n, size + 2 * margin, size + 2 * margin))
    smooth = ndimage.gaussian_filter(noise, (0, width, width))[:, margin:-margin, margin:-margin]
    return smooth / smooth.std()


def pairs_of_correlation(rho, n, *, seed, width=1.5):
    rng = np.random.default_rng(seed)
    shared, one, other = (smooth_fields(rng, n, width=width) for _ in range(3))
    a, b = np.sqrt(rho), np.sqrt(1.0 - rho)
    return a * shared + b * one, a * shared + b * other


def as_density(field):
    """Zero in four cells of five."""
    return np.clip(0.4 * (field - 0.8), 0.0, 1.0)


def truth(rho, *, n=400_000):
    x, y = np.random.default_rng(77).multivariate_normal([0, 0], [[1, rho], [rho, 1]], n).T
    return agreement(as_density(x), as_density(y))


@pytest.mark.parametrize("rho", [0.6, 0.9])
def test_most_intervals_of_densities_cover_the_truth_and_naive_ones_do_not(rho):
    """Nominal 0.95. 100 draws of a chance of 0.9 scatter by 0.03."""
    expected = truth(rho)
    ranks, agreed, naive = [], [], []
    for x, y in zip(*pairs_of_correlation(rho, 100, seed=11), strict=True):
        found = agreement_intervals(as_density(x), as_density(y))
        assert found.blocks == 9
        ranks.append(found.rank_correlation[0] <= expected.rank_correlation)
        ranks[-1] &= expected.rank_correlation <= found.rank_correlation[1]
        agreed.append(found.concordance[0] <= expected.concordance <= found.concordance[1])
        r_s = agreement(as_density(x), as_density(y)).rank_correlation
        off = abs(np.arctanh(r_s) - np.arctanh(expected.rank_correlation))
        naive.append(off < 1.96 * np.sqrt(1.06 / (x.size - 3)))
    assert np.mean(ranks) >= 0.88
    assert np.mean(agreed) >= 0.84
    assert np.mean(naive) < 0.5


def test_independent_gaussian_cells_give_fishers_interval():
    """Half-width of artanh r_s: 1.96 √(1.06 / (n − 3)); nine blocks know it to a quarter."""
    widths = []
    for seed in range(30):
        x, y = np.random.default_rng(seed).normal(size=(2, 40, 40))
        low, high = agreement_intervals(x, x + y).rank_correlation
        widths.append((np.arctanh(high) - np.arctanh(low)) / 2)
    r = 6 / np.pi * np.arcsin(np.sqrt(0.5) / 2)
    # Bonett and Wright (2000): away from r = 0 the 1.06 is 1 + r²/2.
    expected = stats.t.ppf(0.975, 8) * np.sqrt((1 + r**2 / 2) / (1600 - 3))
    assert np.mean(widths) == pytest.approx(expected, rel=0.15)


def test_wider_belts_make_wider_intervals():
    widths = []
    for width in (0.5, 1.5, 4.0):
        x, y = pairs_of_correlation(0.7, 8, seed=8, width=width)
        found = [agreement_intervals(*pair).concordance for pair in zip(x, y, strict=True)]
        widths.append(np.mean([high - low for low, high in found]))
    assert widths[0] < 0.6 * widths[1] < 0.6 * 0.8 * widths[2]


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_the_interval_holds_its_estimate_and_sees_neither_holes_nor_order(seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=(14, 15))
    y = np.clip(x + 0.3 * rng.normal(size=x.shape), 0.0, 1.0)
    use = rng.uniform(size=x.shape) < 0.8
    one = agreement_intervals(x, y, use=use)
    holes = np.where(use, x, np.nan)
    assert one == agreement_intervals(holes, y)
    found = agreement(x, y, use=use)
    assert one.rank_correlation[0] < found.rank_correlation < one.rank_correlation[1]
    assert one.concordance[0] < found.concordance < one.concordance[1]
    swapped = agreement_intervals(y, x, use=use)
    assert swapped.concordance == pytest.approx(one.concordance, abs=1e-9)
    wider = agreement_intervals(x, y, use=use, level=0.99)
    assert wider.concordance[0] < one.concordance[0] < one.concordance[1] < wider.concordance[1]


def test_what_cannot_be_told_is_said():
    x = np.random.default_rng(1).uniform(size=(8, 8))
    flat = agreement_intervals(x, np.zeros((8, 8)))
    assert np.isnan(flat.rank_correlation).all()
    assert flat.concordance == (-1.0, 1.0)
    assert agreement_intervals(x, x).rank_correlation == (1.0, 1.0)
    one_block = np.zeros((8, 8))
    one_block[0, 0] = 0.5
    assert agreement_intervals(x, one_block).rank_correlation == (-1.0, 1.0)
    few = np.full((8, 8), np.nan)
    few[0, :3] = [0.1, 0.3, 0.2]
    assert agreement_intervals(few, x).rank_correlation == (-1.0, 1.0)
    nothing = agreement_intervals(np.full((2, 2), np.nan), np.zeros((2, 2)))
    assert np.isnan(nothing.concordance).all()
    assert nothing.blocks == 0


def test_refusals():
    with pytest.raises(AgreementError, match="expected \\(y, x\\)"):
        agreement_intervals(np.zeros(3), np.zeros(3))
    with pytest.raises(AgreementError, match="a level of 95"):
        agreement_intervals(np.zeros((2, 2)), np.zeros((2, 2)), level=95.0)
    with pytest.raises(AgreementError, match="found maps of \\(2, 2\\), 3 blocks"):
        agreement_intervals(np.zeros((2, 2)), np.zeros((2, 2)), blocks=3)
