"""Speeds and their changes: faster is red, missing is grey, insignificant is pale."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipelines.figures import canvas, maps, velocity_change
from tests.fixtures import pictures

FLOAT = NDArray[np.float64]

X = np.linspace(-2.6e6, 2.6e6, 53)
Y = X[::-1]
ANGLE = np.linspace(0.0, 2.0 * np.pi, 181)
COAST: list[maps.Outline] = [(2.2e6 * np.cos(ANGLE), 2.2e6 * np.sin(ANGLE))]
SPEED = 2.0 * np.exp(np.hypot(*np.meshgrid(X, Y)) / 4e5)


def changes(*pairs: tuple[FLOAT, FLOAT | None]) -> bytes:
    named = {f"epoch {n}": pair for n, pair in enumerate(pairs)}
    return velocity_change.change_maps(X, Y, named, outlines=[], coast=COAST, title="Change")


def speed(field: FLOAT, sigma: FLOAT | None = None) -> bytes:
    return velocity_change.speed_map(
        X, Y, field, sigma=sigma, outlines=COAST, coast=COAST, title="Speed"
    )


@pytest.mark.parametrize("count", [1, 3, 4])
def test_changes_between_any_number_of_epochs_are_a_page_wide(count: int) -> None:
    assert pictures.is_sensible(changes(*[(SPEED - 50.0, None)] * count))


def test_faster_is_red_and_slower_is_blue() -> None:
    faster = pictures.pixels(changes((SPEED, None))).sum(axis=(0, 1))
    slower = pictures.pixels(changes((-SPEED, None))).sum(axis=(0, 1))

    assert faster[0] > faster[2]
    assert slower[2] > slower[0]


def test_cells_without_data_are_grey_and_no_change_is_not() -> None:
    still, holed = np.zeros_like(SPEED), np.zeros_like(SPEED)
    holed[20:30, 20:30] = np.nan

    whole, gappy = (pictures.count(changes((field, None)), canvas.MISSING)
                    for field in (still, holed))  # fmt: skip

    # 100 of the cells of 0.1e6 m, on a map of 4.9e6 m over some 1400 pixels
    assert gappy - whole > 0.8 * 100 * (1400 * 0.1 / 4.9) ** 2


def test_changes_are_read_back_with_a_symmetric_logarithmic_norm() -> None:
    axes = pictures.axes()

    shown = velocity_change.draw_change(axes, X, Y, SPEED, None, top=1000.0)

    np.testing.assert_allclose(shown.get_array(), SPEED)
    half = shown.norm(np.array([-1000.0, 0.0, 1000.0, 10.0, 100.0]))
    np.testing.assert_allclose(half[:3], [0.0, 0.5, 1.0])
    np.testing.assert_allclose(half[4] - half[3], half[2] - half[4], rtol=1e-6)


def test_changes_within_sigma_and_only_those_are_covered() -> None:
    axes = pictures.axes()
    change = np.where(np.arange(53) < 20, np.nan, 30.0) * np.ones_like(SPEED)
    sigma = np.where(np.arange(53) < 40, 50.0, 10.0) * np.ones_like(SPEED)

    velocity_change.draw_change(axes, X, Y, change, sigma, top=100.0)

    cover = np.ma.getmaskarray(axes.collections[1].get_array())
    assert not cover[:, 20:40].any()
    assert cover[:, :20].all()
    assert cover[:, 40:].all()
    told = velocity_change.sigma_text(change, sigma, changes=True)
    assert told == "61 % within σ, median 50 m yr⁻¹"  # 20 of the 33 columns measured


def test_slow_and_fast_ice_differ_in_decades() -> None:
    picture = speed(SPEED, np.full_like(SPEED, 3.0))

    assert pictures.is_sensible(picture)
    assert velocity_change.sigma_text(SPEED, None, changes=False) == "σ not given"


@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_nothing_measured_and_nothing_moving_are_still_pictures(value: float) -> None:
    field = np.full_like(SPEED, value)

    assert pictures.is_sensible(speed(field, field))
    assert pictures.is_sensible(changes((field, field), (field, None)))


def test_fields_off_their_axes_and_no_field_are_refused() -> None:
    with pytest.raises(canvas.FigureError, match=r"speeds of 'speed' of shape \(53, 52\)"):
        speed(SPEED[:, 1:])
    with pytest.raises(canvas.FigureError, match=r"standard deviations of 'epoch 0' of shape"):
        changes((SPEED, SPEED[1:]))
    with pytest.raises(canvas.FigureError, match="found no speeds"):
        changes()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 12))
def test_thinned_maps_keep_a_plane_where_it_was(columns: int, rows: int, most: int) -> None:
    x, y = np.arange(float(columns)), np.arange(float(rows))[::-1]
    plane = 2.0 * x - 3.0 * y[:, None]

    thin_x, thin_y, thin, _ = velocity_change.thinned(x, y, plane, None, most=most)

    np.testing.assert_allclose(thin, 2.0 * thin_x - 3.0 * thin_y[:, None], atol=1e-9)
    block = -(-max(columns, rows) // most)
    assert block > min(columns, rows) or max(thin.shape) <= most


def test_what_no_cell_of_a_block_measured_stays_missing() -> None:
    field = np.full((4, 4), np.nan)
    field[0, 0] = 7.0

    _, _, thin, sigma = velocity_change.thinned(X[:4], Y[:4], field, field, most=2)

    np.testing.assert_array_equal(thin, [[7.0, np.nan], [np.nan, np.nan]])
    assert sigma is not None
    np.testing.assert_array_equal(sigma, thin)
