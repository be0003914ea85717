"""Fits of heights: against lstsq pixel by pixel, planted surfaces, and what must be missing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.altimetry.surface_fits import FIT_MODELS, FitError, Pixels, Points, fit

PIXELS = Pixels(left=-4e3, top=6e3, spacing=2e3, rows=3, columns=4)


def tracks(seed: int, n: int = 1500) -> Points:
    generator = np.random.default_rng(seed)
    x, y = generator.uniform(-4e3, 4e3, n), generator.uniform(0.0, 6e3, n)
    t = generator.uniform(2011.0, 2017.5, n)
    h = 1500.0 + 0.01 * x - 0.02 * y + generator.normal(0.0, 0.5, n) - 0.4 * t
    return Points(x, y, t, h)


def literal_rate(points: Points, model: str, row: int, column: int) -> tuple[float, float]:
    """One pixel by numpy.linalg.lstsq, in metres and years."""
    left, top = PIXELS.left + column * 2e3, PIXELS.top - row * 2e3
    here = (points.x >= left) & (points.x < left + 2e3) & (points.y <= top) & (points.y > top - 2e3)
    x, y = points.x[here] - left - 1e3, points.y[here] - top + 1e3
    t = points.time[here] - points.time[here].mean()
    one = np.ones(x.size)
    terms = {"M1": [], "M2": [x, y, x * y], "M3": [x, y], "M4": [x, y, x * y, x**2, y**2]}
    design = np.stack([one, *terms[model], t], axis=1)
    scale = np.abs(design).max(axis=0)
    solution, squares, _, _ = np.linalg.lstsq(design / scale, points.height[here], rcond=None)
    variance = squares[0] / (x.size - design.shape[1])
    covariance = variance * np.linalg.inv((design / scale).T @ (design / scale))
    return solution[-1] / scale[-1], np.sqrt(covariance[-1, -1]) / scale[-1]


@pytest.mark.parametrize("model", FIT_MODELS)
def test_every_pixel_is_what_lstsq_makes_of_it(model: str) -> None:
    points = tracks(1)

    found = fit(points, PIXELS, model=model, terrain=np.zeros(1500), rejection=100.0)

    for row in range(3):
        for column in range(4):
            rate, sigma = literal_rate(points, model, row, column)
            # Normal equations of scaled columns: condition below 1e3, squared.
            assert found.rate[row, column] == pytest.approx(rate, rel=1e-9)
            assert found.sigma[row, column] == pytest.approx(sigma, rel=1e-8)
    assert found.used.sum() == 1500
    assert found.rejected.sum() == 0


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.floats(-5.0, 5.0), st.sampled_from(FIT_MODELS[1:]))
def test_a_planted_surface_gives_its_rate_exactly(seed: int, rate: float, model: str) -> None:
    points = tracks(seed)
    a, b, c, d, e = np.random.default_rng(seed).normal(0.0, 1e-2, 5)
    x, y = points.x / 1e3, points.y / 1e3
    bends = {"M2": 0.0, "M3": 0.0, "M4": 1.0}[model]
    twist = 0.0 if model == "M3" else c
    surface = 2000.0 + a * x + b * y + twist * x * y + bends * (d * x**2 + e * y**2)

    found = fit(
        points._replace(height=surface + rate * (points.time - 2014.0)), PIXELS, model=model
    )

    np.testing.assert_allclose(found.rate, rate, atol=1e-9)


def test_m1_subtracts_the_terrain_it_is_given() -> None:
    points = tracks(4)
    terrain = 50.0 * np.sin(points.x / 300.0)

    found = fit(
        points._replace(height=terrain + 0.7 * points.time),
        PIXELS, model="M1", terrain=terrain,
    )  # fmt: skip

    np.testing.assert_allclose(found.rate, 0.7, atol=1e-9)


def test_outliers_are_rejected_and_counted() -> None:
    points = tracks(5)
    height = points.height.copy()
    clean = fit(points, PIXELS, model="M3")
    height[::25] += 200.0

    found = fit(points._replace(height=height), PIXELS, model="M3")

    assert (found.rejected >= clean.rejected).all()
    assert found.rejected.sum() >= 60
    # Within the standard error of 120 points, 0.03 m/yr.
    np.testing.assert_allclose(found.rate, clean.rate, atol=0.03)


def test_too_few_points_too_short_a_time_and_one_line_are_missing_never_zero() -> None:
    generator = np.random.default_rng(0)
    n = 200
    t = generator.uniform(2011.0, 2017.0, n)
    few = Points(*(column[:10] for column in tracks(1)))
    x = generator.uniform(-4e3, -2e3, n)
    short = Points(x, np.full(n, 5e3) + x / 10, 2011.0 + (t - 2011.0) / 6, t)
    line = Points(np.full(n, -3e3), generator.uniform(4e3, 6e3, n), t, t)

    assert np.isnan(fit(few, PIXELS, model="M3").rate).all()
    assert np.isnan(fit(short, PIXELS, model="M3").rate).all()
    assert np.isnan(fit(line, PIXELS, model="M3").rate[0, 0])
    assert fit(few, PIXELS, model="M3").used.sum() == 10


def test_no_points_at_all_make_an_empty_map() -> None:
    empty = np.empty(0)

    found = fit(Points(empty, empty, empty, empty), PIXELS, model="M3")

    assert np.isnan(found.rate).all()
    assert found.rate.shape == (3, 4)


def test_wrong_requests_are_refused() -> None:
    points = tracks(1, 20)
    with pytest.raises(FitError, match="expected one of M1, M2, M3, M4"):
        fit(points, PIXELS, model="M5")  # type: ignore[arg-type]
    with pytest.raises(FitError, match="M1 subtracts a DEM and found none"):
        fit(points, PIXELS, model="M1")
    with pytest.raises(FitError, match="expected one length"):
        fit(points._replace(time=points.time[:5]), PIXELS, model="M3")
