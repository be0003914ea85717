"""Labels of ice against the velocity of the world, which integrates nothing."""

import datetime as dt

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.kernels.geodesy import inverse_polar_stereographic, map_scale
from pipelines.worlds import shelves
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.shelf_surface import Surface, surface
from stac.pixel_grids import PixelGrid

FLOAT = NDArray[np.float64]
PIXEL = 30.0
NAMES = ("alder", "birch", "cedar", "dunlin")


def map_velocity(world: Antarctica, x: FLOAT, y: FLOAT) -> tuple[FLOAT, FLOAT]:
    """The world's velocity is on the ground; on the map it is longer by the scale factor."""
    v_x, v_y = world.velocity(x, y)
    k = map_scale(inverse_polar_stereographic(x, y)[0])
    return v_x * k, v_y * k


def carried(
    world: Antarctica, x: FLOAT, y: FLOAT, *, years: float, steps: int = 20
) -> tuple[FLOAT, FLOAT]:
    """Runge-Kutta of fourth order, straight from the velocity."""
    h = years / steps
    for _ in range(steps):
        k1 = map_velocity(world, x, y)
        k2 = map_velocity(world, x + h / 2 * k1[0], y + h / 2 * k1[1])
        k3 = map_velocity(world, x + h / 2 * k2[0], y + h / 2 * k2[1])
        k4 = map_velocity(world, x + h * k3[0], y + h * k3[1])
        x = x + h / 6 * (k1[0] + 2 * k2[0] + 2 * k3[0] + k4[0])
        y = y + h / 6 * (k1[1] + 2 * k2[1] + 2 * k3[1] + k4[1])
    return x, y


def floating_points(
    shelf: shelves.Shelf, *, years: float, least_age: float = 0.0
) -> tuple[FLOAT, FLOAT]:
    """Places on the shelf that stay on it, and in its window, for some years."""
    x, y = np.meshgrid(shelf.grid.x[8::64], shelf.grid.y[8::64])
    labels = [
        shelf.flow.labels(np.array([a]), np.array([b])) for a, b in zip(x.flat, y.flat, strict=True)
    ]
    age = np.array([label.age[0, 0] for label in labels])
    across = np.array([label.across[0, 0] for label in labels])
    oldest = shelf.front.on(across, shelf.flow.lines.age[:, -1])
    keep = (age > least_age) & (age + 1.02 * years < oldest)
    return x.ravel()[keep], y.ravel()[keep]


@pytest.mark.parametrize("name", NAMES)
def test_ice_carried_by_the_velocity_keeps_its_flow_line_and_grows_older(world, name):
    shelf = shelves.find(world, name)
    years = {"alder": 4.0, "cedar": 8.0}.get(name, 20.0)
    x, y = floating_points(shelf, years=years)
    west, south, east, north = shelf.grid.bounds

    x2, y2 = carried(world, x, y, years=years)

    inside = (x2 > west) & (x2 < east) & (y2 > south) & (y2 < north)
    assert inside.sum() > 20
    speed = np.hypot(*map_velocity(world, x2, y2))
    for a, b, a2, b2, v in np.stack([x, y, x2, y2, speed])[:, inside].T:
        before = shelf.flow.labels(np.array([a]), np.array([b]))
        after = shelf.flow.labels(np.array([a2]), np.array([b2]))
        # 0.3 pixels a year, over the years carried.
        assert abs(after.age - before.age - years).item() * v < 0.3 * PIXEL * years
        assert abs(after.across - before.across).item() < 0.3 * PIXEL * years


def warped(
    world: Antarctica, grid: PixelGrid, later: NDArray[np.float32], *, years: float
) -> NDArray[np.float32]:
    """What a later picture shows at the places where the ice of the earlier one has gone."""
    coarse_x, coarse_y = np.meshgrid(grid.x[::16], grid.y[::16])
    x, y = carried(world, coarse_x, coarse_y, years=years, steps=10)
    shape = grid.shape
    at = np.meshgrid(*(np.arange(n) / 16.0 for n in shape), indexing="ij")
    go_x, go_y = (
        ndimage.map_coordinates(np.nan_to_num(go, nan=1e6), at, order=1, mode="nearest")
        for go in (x - coarse_x, y - coarse_y)
    )
    rows, columns = np.indices(shape, dtype=np.float64)
    target = [rows - go_y / PIXEL, columns + go_x / PIXEL]
    return np.asarray(ndimage.map_coordinates(later, target, order=1, cval=np.nan))


def likeness(first: NDArray[np.float32], second: NDArray[np.float32], where) -> float:
    good = where & np.isfinite(first) & np.isfinite(second)
    return float(np.corrcoef(first[good], second[good])[0, 1])


def blurred(drawn: Surface) -> NDArray[np.float32]:
    return ndimage.gaussian_filter(drawn.fractured.astype(np.float32), 1.5)


def test_fractures_of_two_years_match_where_the_ice_went_and_only_there(world):
    shelf = shelves.find(world, "alder")
    window = shelf.grid.window(slice(0, 448), slice(128, 768))
    first = surface(world, shelf, day=dt.date(2014, 1, 15), grid=window)
    later = surface(world, shelf, day=dt.date(2015, 1, 15), grid=window)
    stays = np.isfinite(first.age_years) & (first.age_years > 1.0)

    tracked = warped(world, window, blurred(later), years=1.0)

    assert likeness(blurred(first), tracked, stays) > 0.75
    assert likeness(blurred(first), blurred(later), stays & np.isfinite(tracked)) < 0.35
