"""Errors of mapped areas are found again in tiles that were drawn with them."""

import numpy as np
import pytest

from pipelines.kernels.damage.area_errors import AreaErrors, AreaErrorsError, fitted


def drawn(errors: AreaErrors, count: int, seed: int = 1):
    rng = np.random.default_rng(seed)
    seen = rng.uniform(0.2, 1.0, count)
    mapped = seen * rng.uniform(0.0, 0.3, count)
    unsure = seen * rng.uniform(0.0, 0.05, count)
    sigma = np.array([errors.sigma(*row) for row in zip(mapped, unsure, seen, strict=True)])
    return mapped, mapped + sigma * rng.standard_normal(count), unsure, seen


@pytest.mark.parametrize(
    "errors",
    [AreaErrors(0.2, 0.0, 0.0, 0), AreaErrors(0.0, 2.0, 0.0, 0), AreaErrors(0.0, 0.0, 0.01, 0)],
)
def test_one_kind_of_error_is_found_again(errors):
    # Of 3000 normal errors a standard deviation is known to 1.3 %: three of them, and what little
    # the other two terms take.
    found = fitted(*drawn(errors, 3000))

    for name in ("mapped", "unsure", "seen"):
        assert getattr(found, name) == pytest.approx(getattr(errors, name), rel=0.06, abs=2e-3)
    assert found.tiles == 3000


def test_mixed_errors_cover_as_a_normal_error_does():
    errors = AreaErrors(0.1, 1.5, 0.003, 0)
    found = fitted(*drawn(errors, 2000))
    mapped, true, unsure, seen = drawn(errors, 4000, seed=2)

    sigma = np.array([found.sigma(*row) for row in zip(mapped, unsure, seen, strict=True)])
    within = np.abs(true - mapped) / sigma

    # 4000 draws: one standard error is 0.7 %, and sigma is known to 2 %.
    assert np.mean(within < 1.0) == pytest.approx(0.683, abs=0.035)
    assert np.mean(within < 2.0) == pytest.approx(0.954, abs=0.015)


def test_a_bias_counts_as_error():
    mapped, seen = np.full(40, 0.1), np.ones(40)
    found = fitted(mapped, np.full(40, 0.13), np.full(40, 0.01), seen)

    assert found.sigma(0.1, 0.01, 1.0) == pytest.approx(0.03, rel=1e-3)


def test_the_unit_of_areas_does_not_matter():
    tiles = drawn(AreaErrors(0.1, 1.5, 0.003, 0), 50)
    found, in_m2 = fitted(*tiles), fitted(*(1e6 * column for column in tiles))

    # The optimum is flat: to a part in a thousand both searches end at the same place.
    for name in ("mapped", "unsure", "seen"):
        assert getattr(in_m2, name) == pytest.approx(getattr(found, name), rel=1e-3, abs=1e-4)


def test_too_few_tiles_and_tiles_without_errors_are_refused():
    with pytest.raises(AreaErrorsError, match="found 3 labelled tiles"):
        fitted(*(np.ones(3) for _ in range(4)))
    with pytest.raises(AreaErrorsError, match="0 of them with an error"):
        fitted(np.ones(20), np.ones(20), np.ones(20), np.ones(20))
