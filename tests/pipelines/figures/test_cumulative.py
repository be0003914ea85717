"""Cumulative change: from zero, with bands that grow, and the sea level it makes."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.figures import canvas, cumulative
from tests.fixtures import pictures

FLOAT = NDArray[np.float64]

ENDS = 2001.0 + np.arange(20.0)
GROUPS = {
    "EAIS": (53.0 * np.arange(1.0, 21.0), 56.0 * np.sqrt(np.arange(1.0, 21.0))),
    "WAIS": (-127.0 * np.arange(1.0, 21.0), 56.0 * np.sqrt(np.arange(1.0, 21.0))),
}


def draw(groups: dict[str, tuple[FLOAT, FLOAT]], ends: FLOAT = ENDS) -> bytes:
    return cumulative.cumulative(ends, groups, start=2000.0, title="Change")


def test_curves_have_the_colours_of_their_ice_sheets() -> None:
    picture = draw(GROUPS)

    assert pictures.is_sensible(picture)
    assert pictures.count(picture, canvas.BLUE) > 1000
    assert pictures.count(picture, canvas.RED) > 1000


def test_curves_begin_at_zero_and_bands_grow_to_sigma() -> None:
    axes = pictures.axes()

    cumulative.draw_changes(axes, ENDS, GROUPS, start=2000.0)

    line = axes.get_lines()[1]
    np.testing.assert_allclose(np.asarray(line.get_xdata(), float), [2000.0, *ENDS])
    np.testing.assert_allclose(np.asarray(line.get_ydata(), float), [0.0, *GROUPS["WAIS"][0]])
    band = axes.collections[1].get_paths()[0].vertices
    at_end = band[band[:, 0] == ENDS[-1], 1]
    assert np.ptp(at_end) == pytest.approx(2.0 * GROUPS["WAIS"][1][-1])
    assert np.ptp(band[band[:, 0] == 2000.0, 1]) == 0.0


def test_a_loss_of_361_8_gt_lies_at_one_millimetre_of_sea() -> None:
    axes = pictures.axes()
    cumulative.draw_changes(axes, ENDS, GROUPS, start=2000.0)
    axes.figure.canvas.draw()

    right = axes.child_axes[0]

    for rise in (-1.0, 2.0):
        height = right.transData.transform((0.0, rise))[1]
        assert height == pytest.approx(axes.transData.transform((0.0, -361.8 * rise))[1])
    assert "mm" in right.get_ylabel()
    assert float(cumulative.sea_level_mass(2.0)) == pytest.approx(-723.6)


def test_last_change_is_told_with_its_sigma() -> None:
    axes = pictures.axes()

    cumulative.draw_changes(axes, ENDS, GROUPS, start=2000.0)

    assert axes.get_legend_handles_labels()[1] == ["EAIS: +1060 ± 250 Gt", "WAIS: −2540 ± 250 Gt"]


def test_unknown_years_leave_a_gap_and_unknown_groups_no_curve() -> None:
    change, sigma = (values.copy() for values in GROUPS["WAIS"])
    change[5:12] = np.nan

    whole, gappy = draw({"WAIS": GROUPS["WAIS"]}), draw({"WAIS": (change, sigma)})

    assert pictures.count(gappy, canvas.RED) < 0.8 * pictures.count(whole, canvas.RED)
    assert pictures.is_sensible(draw({"AIS": (np.full(20, np.nan), np.full(20, np.nan))}))
    assert cumulative.last_text(np.full(2, np.nan), np.ones(2)) == "no data"


def test_groups_without_a_colour_of_their_own_get_different_ones() -> None:
    axes = pictures.axes()
    sectors = {f"sector {n}": GROUPS["WAIS"] for n in range(3)}

    cumulative.draw_changes(axes, ENDS, sectors, start=2000.0)

    assert len({str(line.get_color()) for line in axes.get_lines()[:3]}) == 3


def test_other_years_and_years_before_the_start_are_refused() -> None:
    with pytest.raises(canvas.FigureError, match=r"changes of 'WAIS' of shape \(19,\)"):
        draw({"WAIS": (np.ones(19), np.ones(19))})
    with pytest.raises(canvas.FigureError, match=r"standard deviations of 'WAIS' of shape \(19,\)"):
        draw({"WAIS": (np.ones(20), np.ones(19))})
    with pytest.raises(canvas.FigureError, match=r"in order after the start 2000\.0"):
        draw(GROUPS, ENDS - 2.0)
    with pytest.raises(canvas.FigureError, match="found no changes"):
        draw({})
