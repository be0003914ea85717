"""Fits of heights: against lstsq pixel by pixel, planted surfaces, and what must be missing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.altimetry.surface_fits import (
    FIT_MODELS,
    FitError,
    Pixels,
    Points,
    fit,
    terrain_at,
)

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
    assert found.used.dtype == found.rejected.dtype == np.int64


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
    # What rounding leaves of a perfect fit is no outlier.
    assert found.rejected.sum() == 0


def test_m1_subtracts_the_terrain_it_is_given() -> None:
    points = tracks(4)
    terrain = 50.0 * np.sin(points.x / 300.0)

    found = fit(
        points._replace(height=terrain + 0.7 * points.time),
        PIXELS, model="M1", terrain=terrain,
    )  # fmt: skip

    np.testing.assert_allclose(found.rate, 0.7, atol=1e-9)


def literal_rejection(points: Points, limit: float) -> tuple[float, int]:
    """One pixel, M3: lstsq, leave out, lstsq again, until nothing is left out."""
    x, y, t, h = points
    kept = np.ones(x.size, dtype=bool)
    while True:
        design = np.stack([np.ones(kept.sum()), x[kept], y[kept], t[kept] - 2014.0], axis=1)
        solution = np.linalg.lstsq(design, h[kept], rcond=None)[0]
        size = np.abs(h[kept] - design @ solution)
        freedom = kept.sum() - 4
        bad = size > limit * 1.4826 * np.median(size) * np.sqrt(kept.sum() / freedom)
        if not bad.any():
            return solution[-1], int((~kept).sum())
        kept[np.flatnonzero(kept)[bad]] = False


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.floats(2.0, 4.0))
def test_rejection_is_the_plain_loop_over_pixels(seed: int, limit: float) -> None:
    generator = np.random.default_rng(seed)
    points = tracks(seed, 400)
    points = points._replace(height=points.height + generator.standard_t(2, 400))

    found = fit(points, PIXELS, model="M3", rejection=limit)

    index = PIXELS.index(points.x, points.y)
    for pixel in range(12):
        here = Points(*(column[index == pixel] for column in points))
        if here.x.size < 25:
            continue
        rate, rejected = literal_rejection(here, limit)
        if here.x.size - rejected < 15:
            assert np.isnan(found.rate.flat[pixel])
            continue
        assert found.rejected.flat[pixel] == rejected
        assert found.used.flat[pixel] == here.x.size - rejected
        assert found.rate.flat[pixel] == pytest.approx(rate, rel=1e-8, abs=1e-9)


def test_gross_errors_are_rejected_and_counted() -> None:
    points = tracks(5)
    wrong = np.zeros(1500, dtype=bool)
    wrong[::20] = True
    clean = fit(Points(*(column[~wrong] for column in points)), PIXELS, model="M3")

    found = fit(
        points._replace(height=points.height + 200.0 * wrong), PIXELS, model="M3"
    )  # fmt: skip

    # What is left once the gross errors are out is what there was without them.
    np.testing.assert_array_equal(found.rejected.sum(), clean.rejected.sum() + 75)
    np.testing.assert_allclose(found.rate, clean.rate, rtol=1e-9)


def test_errors_are_as_large_as_stated_and_fall_with_the_root_of_the_points() -> None:
    raster = Pixels(left=0.0, top=2e3, spacing=2e3, rows=1, columns=400)
    scatter = []
    for n in (60, 240):
        generator = np.random.default_rng(n)
        x = np.repeat(2e3 * np.arange(400), n) + generator.uniform(0.0, 2e3, 400 * n)
        y, t = generator.uniform(0.0, 2e3, 400 * n), generator.uniform(2011.0, 2017.5, 400 * n)
        height = 1e-5 * x * y / 2e3 + 0.3 * t + generator.normal(0.0, 0.5, 400 * n)
        found = fit(Points(x, y, t, height), raster, model="M4")
        # 400 pixels tell a standard deviation to 3.5 %: three of them.
        assert np.std((found.rate - 0.3) / found.sigma) == pytest.approx(1.0, abs=0.11)
        scatter.append(np.std(found.rate))
    assert scatter[0] / scatter[1] == pytest.approx(2.0, rel=0.2)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.sampled_from(FIT_MODELS[1:]))
def test_neither_the_order_of_points_nor_the_cut_into_tiles_matters(seed: int, model: str) -> None:
    points = tracks(seed)
    mixed = np.random.default_rng(seed).permutation(1500)
    tile = Pixels(left=-2e3, top=4e3, spacing=2e3, rows=2, columns=2)

    found = fit(points, PIXELS, model=model)
    again = fit(Points(*(column[mixed] for column in points)), PIXELS, model=model)
    part = fit(points, tile, model=model)

    np.testing.assert_allclose(again.rate, found.rate, rtol=1e-9)
    np.testing.assert_array_equal(again.rejected, found.rejected)
    np.testing.assert_array_equal(part.rate, found.rate[1:, 1:3])
    np.testing.assert_array_equal(part.used, found.used[1:, 1:3])


def test_heights_without_a_place_a_time_or_a_value_are_left_out() -> None:
    points = tracks(6)
    holes = [column.copy() for column in points]
    for i, column in enumerate(holes):
        column[i * 10 : i * 10 + 5] = (np.nan, np.inf, -np.inf, np.nan, np.nan)
    lost = np.concatenate([np.arange(i * 10, i * 10 + 5) for i in range(4)])

    found = fit(Points(*holes), PIXELS, model="M2")

    expected = fit(Points(*(np.delete(column, lost) for column in points)), PIXELS, model="M2")
    np.testing.assert_array_equal(found.rate, expected.rate)
    assert found.used.sum() + found.rejected.sum() == 1480


@pytest.mark.parametrize("falling", [False, True])
def test_a_dem_is_read_bilinearly_and_ends_at_its_edge(falling: bool) -> None:
    points = tracks(7)
    x, y = np.arange(-5e3, 5e3, 500.0), np.arange(1e3, 7e3, 500.0)
    y = y[::-1] if falling else y

    def bilinear(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return 900.0 + 0.02 * x - 0.03 * y + 1e-6 * x * y

    dem = bilinear(x, y[:, None])
    found = terrain_at(points, x, y, dem)

    inside = points.y >= 1e3
    np.testing.assert_allclose(
        found[inside], bilinear(points.x, points.y)[inside], rtol=1e-13
    )  # fmt: skip
    assert np.isnan(found[~inside]).all()
    rates = fit(
        points._replace(height=found + 0.7 * points.time), PIXELS, model="M1", terrain=found
    )
    np.testing.assert_allclose(rates.rate[:2], 0.7, atol=1e-9)
    assert (rates.used + rates.rejected)[2].sum() == inside[
        PIXELS.index(points.x, points.y) >= 8
    ].sum()


def test_too_few_points_too_short_a_time_and_one_line_are_missing_never_zero() -> None:
    generator = np.random.default_rng(0)
    n = 200
    t = generator.uniform(2011.0, 2017.0, n)
    few = Points(*(column[:10] for column in tracks(1)))
    line = Points(np.full(n, -3e3), generator.uniform(4e3, 6e3, n), t, t)
    place = Points(np.full(n, -3e3), np.full(n, 5e3), t, t)

    assert np.isnan(fit(few, PIXELS, model="M3").rate).all()
    assert np.isnan(fit(line, PIXELS, model="M3").rate[0, 0])
    assert np.isnan(fit(place, PIXELS, model="M4").sigma[0, 0])
    np.testing.assert_allclose(fit(place, PIXELS, model="M1", terrain=0.0 * t).rate[0, 0], 1.0)
    assert fit(few, PIXELS, model="M3").used.sum() == 10


@pytest.mark.parametrize(("years", "is_fitted"), [(1.9, False), (2.5, True)])
def test_a_rate_takes_two_years_also_after_rejection(years: float, is_fitted: bool) -> None:
    points = tracks(8, 1200)
    time = 2011.0 + years * (points.time - 2011.0) / 6.5
    height = 1500.0 + 0.2 * time
    # In each pixel one gross error is the only late point: without it the time is 1.9 years.
    index, first = np.unique(PIXELS.index(points.x, points.y), return_index=True)
    time[first], height[first] = 2015.0, 1580.0

    found = fit(points._replace(time=time, height=height), PIXELS, model="M3")

    assert index.size == 12
    assert (found.rejected == 1).all()
    assert (np.isfinite(found.rate) == is_fitted).all()


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
