"""Roses: petals by length, twice around, against the map or the flow, refusals."""

from dataclasses import replace

import numpy as np
import pytest

from pipelines.figures import canvas, fracture_rose
from pipelines.figures.fracture_rose import Rose
from tests.fixtures import pictures

RNG = np.random.default_rng(5)
AXES = np.concatenate([RNG.normal(30.0, 8.0, 200), RNG.normal(-60.0, 4.0, 60)])
LENGTHS = RNG.gamma(2.0, 900.0, 260)
ROSE = Rose("2005/06", AXES, LENGTHS)


def test_petals_weigh_by_length_and_are_of_axes():
    made = fracture_rose.petals(Rose("", np.array([2.0, 182.0, 45.0]), np.array([1.0, 2.0, 1.0])))

    assert made.sum() == pytest.approx(1.0)
    assert made[0] == 0.75
    assert made[5] == 0.25  # from 45 on to the petal of 50


def test_a_rose_against_the_flow_turns_with_it():
    turned = replace(ROSE, orientation=AXES + 40.0, flow=np.full(260, 40.0))

    # some axes lie at an edge between petals
    np.testing.assert_allclose(fracture_rose.petals(turned), fracture_rose.petals(ROSE), atol=1e-6)


def test_petals_are_drawn_twice_half_a_turn_apart():
    picture = pictures.pixels(fracture_rose.drawn([ROSE], title="Alder"))
    blue = np.all(abs(picture[..., :3].astype(int) - [0x21, 0x66, 0xAC]) < 12, axis=-1)
    rows, columns = np.nonzero(blue)

    middle = (rows.min() + rows.max()) / 2, (columns.min() + columns.max()) / 2
    turned = blue[
        np.clip((2 * middle[0] - rows).round().astype(int), 0, blue.shape[0] - 1),
        np.clip((2 * middle[1] - columns).round().astype(int), 0, blue.shape[1] - 1),
    ]
    assert blue.sum() > 1000
    assert turned.mean() > 0.9
    # most fractures run from the lower left to the upper right
    upper_right = blue[: int(middle[0]), int(middle[1]) :].sum()
    assert upper_right > 2 * blue[: int(middle[0]), : int(middle[1])].sum()


@pytest.mark.parametrize("count", [1, 4, 7])
def test_any_number_of_roses_makes_a_picture(count):
    picture = fracture_rose.drawn([ROSE] * count, title="Alder")

    assert pictures.pixels(picture).shape[1] == 1440


def test_a_summer_without_fractures_says_so():
    nothing = Rose("2006/07", np.zeros(0), np.zeros(0))

    assert np.isnan(fracture_rose.petals(nothing)).all()
    assert pictures.count(fracture_rose.drawn([nothing], title=""), canvas.BLUE) == 0


def test_roses_that_do_not_fit_are_refused():
    with pytest.raises(canvas.FigureError, match="found no fractures"):
        fracture_rose.drawn([], title="")
    with pytest.raises(canvas.FigureError, match="expected one kind"):
        fracture_rose.drawn([ROSE, replace(ROSE, flow=AXES)], title="")
    with pytest.raises(canvas.FigureError, match=r"shapes .* of '2005/06'"):
        fracture_rose.drawn([replace(ROSE, length=LENGTHS[1:])], title="")
