"""A shelf looks the same through windows of all sizes, however little of it they show."""

import datetime as dt

import numpy as np
import pytest

from pipelines.worlds import shelf_kin, shelves
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.shelf_surface import surface

DAY = dt.date(2015, 1, 15)
DEMO = ("alder", "birch", "cedar", "dunlin")


@pytest.mark.parametrize(
    ("name", "size"),
    [
        *((name, 192) for name in DEMO),
        ("alder", 512),
        *(pytest.param(n, size, marks=pytest.mark.slow) for n in DEMO for size in (320, 768)),
    ],
)
def test_a_small_window_shows_what_the_usual_one_shows_there(
    world: Antarctica, name: str, size: int
) -> None:
    small = shelves.find(world, name, size=size)
    usual = shelves.find(world, name)
    window = small.grid.window(slice(64, 192), slice(0, 192))

    found = surface(world, small, day=DAY, grid=window)
    expected = surface(world, usual, day=DAY, grid=window)

    np.testing.assert_array_equal(found.damage, expected.damage)
    np.testing.assert_array_equal(found.kind, expected.kind)
    # Labels are read from splines whose ends lie elsewhere: 0.27 to the tenth node of the margin.
    for band, values in found.reflectance.items():
        np.testing.assert_allclose(values, expected.reflectance[band], atol=2e-3)


@pytest.mark.parametrize("number", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 7))])
def test_kin_are_seen_through_small_windows(world: Antarctica, number: int) -> None:
    usual = shelf_kin.kin(world, number)
    small = shelves.placed(world, usual.nature, 192)

    found = surface(world, small, day=DAY)
    expected = surface(world, usual, day=DAY, grid=small.grid)

    np.testing.assert_array_equal(found.damage, expected.damage)
