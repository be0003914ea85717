"""Maps: missing is not zero, what is beyond the colours is told, basins carry their numbers."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.figures import basins, canvas, maps, panels
from tests.fixtures import pictures

FLOAT = NDArray[np.float64]

X = np.linspace(-3e6, 3e6, 61)
SENSORS = ("altimetry", "gravimetry", "combination")


def circle(radius: float, centre: tuple[float, float] = (0.0, 0.0)) -> maps.Outline:
    angle = np.linspace(0.0, 2.0 * np.pi, 181)
    return centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)


COAST = [circle(2.2e6)]


def field(height: float) -> FLOAT:
    x, y = np.meshgrid(X, X)
    return height * np.exp(-((x + 1e6) ** 2 + y**2) / 5e11)


def rate_map(values: FLOAT, *, diverging: bool = True) -> bytes:
    return maps.rate_map(
        X, X, values, outlines=COAST, coast=COAST, title="Rate", diverging=diverging
    )


def rate_maps(means: dict[str, FLOAT], spreads: dict[str, FLOAT]) -> bytes:
    return panels.rate_maps(X, X, means, spreads, outlines=COAST, coast=COAST, title="Rates")


@pytest.mark.parametrize("diverging", [True, False])
def test_a_map_is_a_picture_of_a_pages_width(*, diverging: bool) -> None:
    assert pictures.is_sensible(rate_map(field(-100.0), diverging=diverging))


def test_equal_data_give_equal_files() -> None:
    assert rate_map(field(-100.0)) == rate_map(field(-100.0))


def test_cells_without_data_are_grey_and_zero_is_not() -> None:
    values = field(-100.0)
    whole = rate_map(values)
    values[20:40, 30:50] = np.nan

    holed = rate_map(values)

    assert pictures.count(whole, canvas.MISSING) < 500
    # 400 of the cells of 0.1e6 m, on a map of 4.9e6 m over some 1200 pixels.
    assert pictures.count(holed, canvas.MISSING) > 0.8 * 400 * (1200 * 0.1 / 4.9) ** 2


def test_loss_is_red_gain_is_blue_and_both_are_as_strong() -> None:
    loss = pictures.pixels(rate_map(field(-100.0))).sum(axis=(0, 1))
    gain = pictures.pixels(rate_map(field(+100.0))).sum(axis=(0, 1))

    assert loss[0] > loss[2]
    assert gain[2] > gain[0]


def test_a_map_without_any_data_is_still_a_picture() -> None:
    empty = np.full((61, 61), np.nan)

    assert pictures.is_sensible(rate_map(empty))


def test_a_field_off_its_axes_is_refused() -> None:
    with pytest.raises(canvas.FigureError, match=r"shape \(61, 60\), expected \(61, 61\)"):
        rate_map(field(1.0)[:, 1:])


def test_limits_are_round_and_hold_nearly_all_cells() -> None:
    values = np.concatenate([np.full(1000, -37.0), [-5000.0]])

    assert maps.round_limit(values) == 40.0
    assert maps.extend(values, -40.0, 40.0) == "min"
    assert maps.round_limit(np.zeros(5)) == 1.0
    assert maps.round_limit(np.full(9, 30.0)) == 30.0


def test_three_sensors_make_six_panels() -> None:
    means = {name: field(-100.0 * (n + 1)) for n, name in enumerate(SENSORS)}
    spreads = {name: np.abs(values) / 10.0 for name, values in means.items()}

    picture = rate_maps(means, spreads)

    assert pictures.is_sensible(picture)
    rows, _, _ = pictures.pixels(picture).shape
    assert rows > 1440


def test_spreads_of_other_sensors_are_refused() -> None:
    with pytest.raises(canvas.FigureError, match=r"without \['altimetry'\].*\['gravimetry'\]"):
        rate_maps({"altimetry": field(1.0)}, {"gravimetry": field(1.0)})


def test_no_sensor_at_all_is_refused() -> None:
    with pytest.raises(canvas.FigureError, match="found no rates"):
        rate_maps({}, {})


SHAPES = [[circle(6e5, (-1e6, 0.0))], [circle(6e5, (1e6, 0.0)), circle(1e5, (1e6, 1e6))]]


def basin_maps(values: list[float], sigmas: list[float]) -> bytes:
    names = [f"{n}" for n in range(1, len(SHAPES) + 1)]
    return panels.basin_maps(
        SHAPES, names, {"combination": np.array(values)}, {"combination": np.array(sigmas)},
        title="Basins",
    )  # fmt: skip


def test_basins_without_a_number_are_grey() -> None:
    whole, holed = basin_maps([-50.0, 20.0], [3.0, 2.0]), basin_maps([-50.0, np.nan], [3.0, np.nan])

    assert pictures.is_sensible(whole)
    assert pictures.count(whole, canvas.MISSING) < 500
    assert pictures.count(holed, canvas.MISSING) > 20_000


def test_a_rate_within_its_spread_looks_different_from_one_beyond_it() -> None:
    certain, uncertain = (
        basin_maps([-50.0, 20.0], [3.0, 19.0]),
        basin_maps([-50.0, 20.0], [3.0, 21.0]),
    )
    left = slice(0, 700)

    changed = (pictures.pixels(certain)[:, left] != pictures.pixels(uncertain)[:, left]).any(
        axis=-1
    )

    assert 1000 < changed.sum() < 50_000


def test_basins_need_a_name_and_a_number_each() -> None:
    numbers = {"combination": np.zeros(2)}
    with pytest.raises(canvas.FigureError, match="found 1 names of 2 basins"):
        panels.basin_maps(SHAPES, ["1"], numbers, numbers, title="")
    with pytest.raises(canvas.FigureError, match=r"shape \(3,\), expected \(2,\)"):
        panels.basin_maps(SHAPES, ["1", "2"], {"combination": np.zeros(3)}, numbers, title="")
    with pytest.raises(canvas.FigureError, match="found no rings"):
        panels.basin_maps([[], []], ["1", "2"], numbers, numbers, title="")


def test_the_label_of_a_horseshoe_lies_in_its_bend_and_not_in_its_hollow() -> None:
    x = np.array([0.0, 3.0, 3.0, 1.0, 1.0, 3.0, 3.0, 0.0])
    y = np.array([0.0, 0.0, 0.4, 0.4, 2.6, 2.6, 3.0, 3.0])

    at_x, at_y = basins.inside((x, y))

    assert 0.3 < at_x < 0.7
    assert 0.4 < at_y < 2.6


def test_a_ring_too_thin_for_a_lattice_still_has_a_label() -> None:
    x, y = basins.inside((np.array([0.0, 1.0, 1.0]), np.array([0.0, 1.0, 1.0 + 1e-9])))

    assert 0.0 <= x <= 1.0
    assert 0.0 <= y <= 1.1
