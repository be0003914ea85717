"""Triangles of coefficients: orders where they belong, zero is pale and missing is grey."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.figures import canvas, coefficients
from tests.fixtures import pictures

FLOAT = NDArray[np.float64]


def magnitudes(j_max: int) -> FLOAT:
    degree, order = np.mgrid[: j_max + 1, : j_max + 1].astype(np.float64)
    size = np.exp(-order / 3.0) / (1.0 + degree) * (order <= degree)
    return np.stack([size, np.where(order > 0, -size, 0.0)])


def draw(mean: FLOAT, spread: FLOAT, *, j_max: int) -> bytes:
    return coefficients.triangles(
        {"gravimetry": mean}, {"gravimetry": spread}, j_max=j_max, title="Coefficients"
    )


def test_sines_lie_left_and_cosines_right_at_their_orders() -> None:
    held = np.zeros((2, 5, 5))
    held[0, 4, 3], held[1, 2, 1] = 7.0, -5.0

    shown = coefficients.triangle(held, j_max=6)

    assert shown.shape == (7, 13)
    assert shown[4, 6 + 3] == 7.0
    assert shown[2, 6 - 1] == -5.0
    assert np.isnan(shown[5:]).all()
    assert np.isnan(shown[1, 6 + 2])


def test_triangles_are_a_picture_and_zero_is_not_missing() -> None:
    picture = draw(magnitudes(30), magnitudes(30) / 10.0, j_max=30)

    assert pictures.is_sensible(picture)
    assert pictures.count(picture, canvas.MISSING) < 500


@pytest.mark.parametrize("lost", ["beyond the highest degree", "in between"])
def test_missing_coefficients_are_grey(lost: str) -> None:
    held = magnitudes(15 if lost.startswith("beyond") else 30)
    if lost == "in between":
        held[:, 10:20] = np.nan

    assert pictures.count(draw(held, held, j_max=30), canvas.MISSING) > 20_000


def test_coefficients_that_are_all_zero_are_a_picture() -> None:
    assert pictures.is_sensible(draw(np.zeros((2, 9, 9)), np.zeros((2, 9, 9)), j_max=8))


def test_other_shapes_and_sensors_are_refused() -> None:
    held = magnitudes(8)
    with pytest.raises(canvas.FigureError, match=r"shape \(9, 9\), expected \(2, 9, 9\)"):
        draw(held[0], held, j_max=8)
    with pytest.raises(canvas.FigureError, match=r"shape \(2, 8, 9\), expected \(2, 9, 9\)"):
        draw(held, held[:, 1:], j_max=8)
    with pytest.raises(canvas.FigureError, match="expected the same names"):
        coefficients.triangles({"altimetry": held}, {"gravimetry": held}, j_max=8, title="")
