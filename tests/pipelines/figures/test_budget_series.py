"""Budgets by year: steps over spans, bars by sign, native balances where they differ."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from numpy.typing import NDArray

from pipelines.figures import budget_series, canvas, year_axis
from pipelines.figures.budget_series import Budget
from pipelines.figures.year_axis import Spans
from tests.fixtures import pictures

FLOAT = NDArray[np.float64]

EPOCHS = Spans(
    np.array([2000.0, 2007.5, 2013.5, 2017.5]), np.array([2001.0, 2011.5, 2017.5, 2020.5]),
    ("2000", "2007–2011", "2013–2017", "2017–2020"),
)  # fmt: skip
NATIVE = np.array([59.0, -111.0, -49.0, -73.0])
AIS = Budget(
    snow=np.array([1851.0, 1765.0, 1859.0, 1867.0]), snow_sigma=np.full(4, 85.0),
    discharge=np.array([1792.0, 1876.0, 1908.0, 1940.0]), discharge_sigma=np.full(4, 47.0),
    balance=NATIVE - 26.0, balance_sigma=np.full(4, 97.0),
    native=NATIVE, native_sigma=np.full(4, 98.0),
)  # fmt: skip
ALONE = replace(AIS, balance=NATIVE)


def draw(rows: dict[str, Budget]) -> bytes:
    return budget_series.budget_series(EPOCHS, rows, title="Budget")


@pytest.mark.parametrize("rows", [1, 4])
def test_budgets_of_any_number_of_rows_are_a_page_wide(rows: int) -> None:
    assert pictures.is_sensible(draw({f"row {n}": AIS for n in range(rows)}))


def test_bars_are_the_balance_coloured_by_its_sign() -> None:
    axes = pictures.axes()

    budget_series.draw_balance(axes, EPOCHS, ALONE)

    bars = axes.patches
    np.testing.assert_allclose([bar.get_height() for bar in bars], NATIVE)
    np.testing.assert_allclose(
        [bar.get_center()[0] for bar in bars], [2000.5, 2009.5, 2015.5, 2019.0]
    )
    assert [to_hex(bar.get_facecolor()) for bar in bars] == [
        budget_series.GAIN, *[budget_series.LOSS] * 3,
    ]  # fmt: skip


def test_error_bars_reach_one_sigma_either_way() -> None:
    axes = pictures.axes()

    budget_series.draw_balance(axes, EPOCHS, ALONE)

    (errors,) = axes.containers[1].lines[2]
    ends = np.array([segment[:, 1] for segment in errors.get_segments()])
    np.testing.assert_allclose(ends, np.stack([NATIVE - 97.0, NATIVE + 97.0], axis=1))


def test_a_native_balance_is_drawn_only_where_it_differs() -> None:
    differs, same = draw({"AIS": AIS}), draw({"AIS": ALONE})

    assert pictures.count(differs, canvas.PURPLE) > 200
    assert pictures.count(same, canvas.PURPLE) == 0
    assert AIS.replaced
    assert not ALONE.replaced
    assert not replace(AIS, native=None, native_sigma=None).replaced


def test_native_diamonds_stand_at_the_native_numbers() -> None:
    axes = pictures.axes()

    budget_series.draw_balance(axes, EPOCHS, AIS)

    diamonds = next(line for line in axes.get_lines() if line.get_marker() == "D")
    np.testing.assert_allclose(np.asarray(diamonds.get_ydata(), dtype=float), NATIVE)


def test_years_without_a_number_have_no_bar_and_no_band() -> None:
    gap = np.array([1.0, np.nan, 1.0, 1.0])
    holed = Budget(*(getattr(ALONE, name) * gap for name in (
        "snow", "snow_sigma", "discharge", "discharge_sigma", "balance", "balance_sigma",
    )))  # fmt: skip
    axes = pictures.axes()

    budget_series.draw_balance(axes, EPOCHS, holed)

    assert len(axes.patches) == 3
    whole, gappy = draw({"AIS": ALONE}), draw({"AIS": holed})
    assert pictures.count(gappy, canvas.BLUE) < 0.9 * pictures.count(whole, canvas.BLUE)


def test_nothing_known_at_all_is_still_a_picture() -> None:
    assert pictures.is_sensible(draw({"AIS": Budget(*[np.full(4, np.nan)] * 6)}))


def test_bands_are_one_sigma_wide() -> None:
    axes = pictures.axes()

    budget_series.draw_sides(axes, EPOCHS, ALONE)

    snow = np.concatenate([path.vertices for path in axes.collections[0].get_paths()])
    assert snow[:, 1].min() == pytest.approx(1765.0 - 85.0)
    assert snow[:, 1].max() == pytest.approx(1867.0 + 85.0)


def test_numbers_of_other_years_and_half_given_natives_are_refused() -> None:
    with pytest.raises(canvas.FigureError, match=r"numbers of AIS of 'snow' of shape \(3,\)"):
        draw({"AIS": replace(AIS, snow=np.ones(3))})
    with pytest.raises(canvas.FigureError, match="only one of native balance and sigma of 'AIS'"):
        draw({"AIS": replace(AIS, native_sigma=None)})
    with pytest.raises(canvas.FigureError, match="found no rows"):
        draw({})


def test_years_out_of_order_or_without_labels_are_refused() -> None:
    start: FLOAT = np.array([2001.0, 2000.0])
    with pytest.raises(canvas.FigureError, match="expected decimal years in order"):
        Spans(start, start + 1.0, ("a", "b"))
    with pytest.raises(canvas.FigureError, match="expected decimal years in order"):
        Spans(start[:1], start[:1], ("a",))
    with pytest.raises(canvas.FigureError, match="1 labels of 2 years"):
        Spans(start, start + 1.0, ("a",))
    with pytest.raises(canvas.FigureError, match="at least one year"):
        Spans(np.empty(0), np.empty(0), ())


@given(st.lists(st.tuples(st.floats(0.1, 3.0), st.floats(0.05, 4.0)), min_size=1, max_size=30))
def test_steps_keep_every_number_over_its_span(pairs: list[tuple[float, float]]) -> None:
    lengths, gaps = np.array(pairs, dtype=np.float64).T
    starts = np.cumsum(gaps, dtype=np.float64) + np.cumsum(lengths) - lengths + 2000.0
    level = np.arange(float(len(pairs)))

    t, drawn = year_axis.steps(
        Spans(starts, np.asarray(starts + lengths, dtype=np.float64), ["y"] * len(pairs)), level
    )

    # every gap is longer than a week, so each span is followed by a cut
    assert np.isnan(drawn).sum() == len(pairs) - 1
    kept = np.isfinite(drawn)
    np.testing.assert_array_equal(drawn[kept], np.repeat(level, 2))
    np.testing.assert_array_equal(t[kept][::2], starts)


@given(st.integers(1, 80), st.floats(0.02, 2.0))
def test_labels_never_touch(years: int, inches: float) -> None:
    start = np.arange(1940.0, 1940.0 + years, dtype=np.float64)
    spans = Spans(start, start + 1.0, [f"{year:.0f}–{year + 1:.0f}" for year in start])

    shown = year_axis.untouched(spans, inches)

    assert shown[0] == 0
    assert all(b - a >= 10 * year_axis.LETTER_INCHES / inches - 1e-9
               for a, b in itertools.pairwise(shown))  # fmt: skip
