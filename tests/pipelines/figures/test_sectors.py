"""Discharge of sectors: anomalies from the mean of epochs, circles by the change."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from matplotlib.colors import to_hex
from numpy.typing import NDArray

from pipelines.figures import canvas, sectors
from tests.fixtures import pictures

FLOAT = NDArray[np.float64]

EPOCHS = ("2000", "2007–2011", "2013–2017", "2017–2020")
NAMES = ("Amundsen Sea", "Ross Sea")
# B20 to B22, and B17 to B19 with B16 of table 2 of Yang et al. (2023)
DISCHARGE = np.array([[401.0, 153.0], [454.0, 144.0], [482.0, 133.0], [501.0, 140.0]])
SIGMA = np.array([[18.0, 12.0], [14.0, 15.0], [20.0, 14.0], [19.0, 10.0]])


def draw(discharge: FLOAT, sigma: FLOAT, change_sigma: FLOAT | None = None) -> bytes:
    names = [f"sector {n}" for n in range(discharge.shape[1])]
    return sectors.sector_bars(
        names, EPOCHS, discharge, sigma, change_sigma=change_sigma, title="Discharge"
    )


@pytest.mark.parametrize("count", [1, 6, 27])
def test_any_number_of_sectors_is_a_page_wide(count: int) -> None:
    discharge = np.resize(DISCHARGE[:, 0], (4, count))

    assert pictures.is_sensible(draw(discharge, np.full((4, count), 10.0)))


def test_bars_are_anomalies_from_the_mean_with_the_sigma_of_the_epoch() -> None:
    axes = pictures.axes()

    sectors.draw_anomalies(axes, NAMES, EPOCHS, DISCHARGE, SIGMA)

    widths = np.array([bar.get_width() for bar in axes.patches]).reshape(4, 2)
    np.testing.assert_allclose(widths, DISCHARGE - [459.5, 142.5])
    first = axes.containers[0].lines[2][0].get_segments()
    np.testing.assert_allclose([segment[:, 0] for segment in first], [[-76.5, -40.5], [-1.5, 22.5]])
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "Amundsen Sea\nmean 460 Gt yr⁻¹", "Ross Sea\nmean 142 Gt yr⁻¹",
    ]  # fmt: skip


def test_areas_of_circles_go_with_the_change_and_colours_with_its_sign() -> None:
    axes = pictures.axes()

    sectors.draw_changes(axes, np.array([100.0, -25.0, np.nan]), np.full(3, 9.0), high=0.5)

    circles = axes.collections[0]
    sizes = np.asarray(circles.get_sizes())
    assert sizes[0] / sizes[1] == pytest.approx(4.0)
    assert [to_hex(colour) for colour in circles.get_facecolors()] == [canvas.RED, canvas.BLUE]
    assert [text.get_text() for text in axes.texts] == ["+100.0 ± 9.0", "−25.0 ± 9.0", "no data"]


def test_epochs_are_independent_unless_the_sigma_of_the_change_is_given() -> None:
    change, independent = sectors.changes(DISCHARGE, SIGMA, None)
    _, given_one = sectors.changes(DISCHARGE, SIGMA, np.array([5.0, 6.0]))

    np.testing.assert_array_equal(change, [100.0, -13.0])
    np.testing.assert_allclose(independent, np.sqrt([18.0**2 + 19.0**2, 12.0**2 + 10.0**2]))
    np.testing.assert_array_equal(given_one, [5.0, 6.0])
    assert pictures.is_sensible(draw(DISCHARGE, SIGMA, np.array([5.0, 6.0])))


def test_epochs_without_data_have_no_bar_and_are_not_in_the_mean() -> None:
    axes = pictures.axes()
    holed = DISCHARGE.copy()
    holed[0, 0] = np.nan

    sectors.draw_anomalies(axes, NAMES, EPOCHS, holed, SIGMA)

    assert len(axes.patches) == 7
    np.testing.assert_allclose(axes.patches[1].get_width(), 454.0 - 479.0)
    assert pictures.is_sensible(draw(np.full((4, 2), np.nan), np.full((4, 2), np.nan)))


def test_no_change_anywhere_is_still_a_picture() -> None:
    assert pictures.is_sensible(draw(np.full((4, 2), 9.0), np.zeros((4, 2))))


@given(npst.arrays(np.float64, (4, 3), elements=st.floats(-1e4, 1e4)))
def test_anomalies_sum_to_zero(discharge: FLOAT) -> None:
    mean, anomaly = sectors.anomalies(discharge)

    np.testing.assert_allclose(anomaly.sum(axis=0), 0.0, atol=1e-8)
    np.testing.assert_allclose(mean + anomaly, discharge, atol=1e-8)


def test_other_shapes_and_a_single_epoch_are_refused() -> None:
    with pytest.raises(canvas.FigureError, match=r"numbers of 'sigma' of shape \(3, 2\)"):
        draw(DISCHARGE, SIGMA[1:])
    with pytest.raises(canvas.FigureError, match=r"of 'change' of shape \(3,\), expected \(2,\)"):
        draw(DISCHARGE, SIGMA, np.ones(3))
    with pytest.raises(canvas.FigureError, match="found 1 epochs of 2 sectors"):
        sectors.sector_bars(NAMES, EPOCHS[:1], DISCHARGE[:1], SIGMA[:1], title="")
