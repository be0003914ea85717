"""Areas that pixels share with cells: against closed forms, polygons, and what must add up."""

import numpy as np
import pyproj
import pytest
import shapely

from pipelines.kernels import geodesy
from pipelines.kernels.altimetry.polar_overlap import Cells, OverlapError, area_per_radian, overlaps

WGS84_A, WGS84_E2 = 6378137.0, 0.0066943799901413165


def authalic_area(latitude: np.ndarray) -> np.ndarray:
    """True area from the pole to a latitude, per radian (Snyder 1987, equation 3-12)."""
    e = np.sqrt(WGS84_E2)

    def q(s: np.ndarray) -> np.ndarray:
        return (1 - WGS84_E2) * (s / (1 - WGS84_E2 * s * s) + np.arctanh(e * s) / e)

    return WGS84_A**2 / 2 * (q(np.ones(1)) - q(np.sin(np.radians(-latitude))))


def cells(step: float = 1.0, rows: int = 30) -> Cells:
    edges = -90.0 + np.arange(rows + 1) * step
    _, radius = geodesy.polar_stereographic(edges, np.zeros(edges.shape))
    radius[0] = 0.0
    return Cells(radius, round(360 / step))


def squares(centre: tuple[float, float], size: float, n: int) -> tuple[np.ndarray, ...]:
    corner = (np.arange(n) - n / 2) * size
    x, y = (a.ravel() for a in np.meshgrid(centre[0] + corner, centre[1] + corner))
    return x, x + size, y, y + size


def test_area_between_pole_and_parallel_is_the_authalic_one() -> None:
    latitude = np.array([-85.0, -75.0, -60.0, -45.0])
    _, radius = geodesy.polar_stereographic(latitude, np.zeros(4))

    # The closed form loses 1e-14 / (1 - sin) to cancellation: 3e-12 at 85° S.
    np.testing.assert_allclose(area_per_radian(radius), authalic_area(latitude), rtol=5e-12)


@pytest.mark.parametrize("offset", [0.0, 0.5, 0.3141])
def test_pixels_around_the_pole_fill_whole_cells(offset: float) -> None:
    size, grid = 20e3, cells(0.5, 40)
    sides = squares((offset * size, -offset * size), size, 40)

    found = np.asarray(overlaps(*sides, grid).sum(axis=1)).reshape(40, -1)

    whole = np.diff(area_per_radian(grid.radius)) * np.radians(0.5)
    covered = grid.radius[1:] < 380e3
    np.testing.assert_allclose(
        found[covered], np.broadcast_to(whole[covered, None], found[covered].shape), rtol=1e-11
    )


def test_the_shares_of_a_pixel_sum_to_its_area() -> None:
    sides = squares((1.2e6, -0.4e6), 25e3, 20)

    found = np.asarray(overlaps(*sides, cells()).sum(axis=0))

    centre_x, centre_y = sides[0] + 12.5e3, sides[2] + 12.5e3
    # Area by the scale at the centre is right to the curvature of the scale, (25 km / 6371 km)².
    np.testing.assert_allclose(found, geodesy.cell_areas(centre_x, centre_y, 25e3), rtol=1.6e-5)


@pytest.mark.parametrize("seed", range(12))
def test_a_rectangle_and_a_cell_share_what_polygons_share(seed: int) -> None:
    generator = np.random.default_rng(seed)
    grid = cells(2.0, 12)
    left, bottom = generator.uniform(-1.5e6, 1.5e6, 2)
    if seed == 0:
        left = bottom = -40e3  # around the pole
    width, height = generator.uniform(50e3, 300e3, 2)
    rectangle = shapely.box(left, bottom, left + width, bottom + height)

    found = overlaps(*(np.array([v]) for v in (left, left + width, bottom, bottom + height)), grid)

    to_degrees = pyproj.Transformer.from_crs("EPSG:3031", "EPSG:6932", always_xy=True)
    for cell in found.indices if found.format == "csc" else np.unique(found.nonzero()[0]):
        row, column = divmod(int(cell), grid.n_lon)
        turn = np.radians(np.linspace(column * 2.0, column * 2.0 + 2.0, 400))
        rim = np.stack([np.sin(turn), np.cos(turn)], axis=1)
        sector = shapely.Polygon(
            np.concatenate([grid.radius[row] * rim, grid.radius[row + 1] * rim[::-1]])
        )
        shared = shapely.segmentize(shapely.intersection(rectangle, sector.buffer(0)), 2e3)
        # EPSG:6932 is an equal-area projection of the same ellipsoid.
        equal = shapely.transform(shared, lambda xy: np.stack(to_degrees.transform(*xy.T), axis=1))
        assert found[cell, 0] == pytest.approx(equal.area, rel=1e-5, abs=2e5)


def test_what_lies_north_of_the_cells_is_refused_with_its_area() -> None:
    with pytest.raises(OverlapError, match=r"lie north of the cells.*move the northern edge"):
        overlaps(*squares((3.35e6, 0.0), 50e3, 4), cells())


def test_no_pixels_share_nothing() -> None:
    empty = np.empty(0)

    assert overlaps(empty, empty, empty, empty, cells()).shape == (30 * 360, 0)
