"""Areas that pixels share with cells: against closed forms, polygons, and what must add up."""

import mpmath
import numpy as np
import pyproj
import pytest
import scipy.sparse
import shapely

from pipelines.kernels import geodesy
from pipelines.kernels.altimetry.polar_overlap import (
    FARTHEST_M,
    Cells,
    OverlapError,
    area_per_radian,
    overlap_blocks,
    overlaps,
)

WGS84_A, WGS84_F = "6378137", "298.257223563"


def authalic_area(latitude: np.ndarray) -> np.ndarray:
    """True area from the pole to a latitude, per radian (Snyder 1987, 3-12), to 40 digits."""
    with mpmath.workdps(40):
        flattening = 1 / mpmath.mpf(WGS84_F)
        e = mpmath.sqrt(flattening * (2 - flattening))

        def q(s: mpmath.mpf) -> mpmath.mpf:
            return (1 - e**2) * (s / (1 - e**2 * s**2) + mpmath.atanh(e * s) / e)

        sines = [mpmath.sin(mpmath.radians(-mpmath.mpf(float(each)))) for each in latitude]
        return np.array([float(mpmath.mpf(WGS84_A) ** 2 / 2 * (q(1) - q(s))) for s in sines])


def quadrature_areas(
    left: np.ndarray, right: np.ndarray, bottom: np.ndarray, top: np.ndarray
) -> np.ndarray:
    """True areas of rectangles as ∬ dx dy / k² over them, by Gauss points in both directions."""
    node, weight = np.polynomial.legendre.leggauss(10)
    x = (left + right)[:, None, None] / 2 + (right - left)[:, None, None] / 2 * node[:, None]
    y = (bottom + top)[:, None, None] / 2 + (top - bottom)[:, None, None] / 2 * node
    latitude, _ = geodesy.inverse_polar_stereographic(*np.broadcast_arrays(x, y))
    mean = np.einsum("pij,i,j->p", geodesy.map_scale(latitude) ** -2.0, weight, weight) / 4
    return (right - left) * (top - bottom) * mean


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

    # The radius at 85° S is known to the rounding of π/4 − φ/2: 1e-16 / 0.04, twice in its square.
    np.testing.assert_allclose(area_per_radian(radius), authalic_area(latitude), rtol=1e-14)


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


@pytest.mark.parametrize("centre", [(0.0, 0.0), (2.0e6, 2.0e6), (-1.6e6, 0.0), (0.7e6, -2.9e6)])
def test_cells_under_many_pixels_are_shared_out_to_the_last_digits(
    centre: tuple[float, float],
) -> None:
    grid, size, n = cells(0.2, 160), 5e3, 40

    found = np.asarray(overlaps(*squares(centre, size, n), grid).sum(axis=1)).reshape(160, -1)

    edges = -90.0 + np.arange(161) * 0.2
    whole = np.diff(authalic_area(edges)) * np.radians(0.2)
    turn = np.radians(np.arange(grid.n_lon + 1) * 0.2)
    x, y = grid.radius[:, None] * np.sin(turn), grid.radius[:, None] * np.cos(turn)
    # A corner of a margin keeps the bulge of arcs inside.
    near = np.maximum(np.abs(x - centre[0]), np.abs(y - centre[1])) < n / 2 * size - 1e3
    covered = near[1:, 1:] & near[1:, :-1] & near[:-1, 1:] & near[:-1, :-1]
    assert covered.sum() > 10
    np.testing.assert_allclose(
        found[covered], np.broadcast_to(whole[:, None], found.shape)[covered], rtol=1e-12
    )


@pytest.mark.parametrize("centre", [(0.0, 0.0), (1.2e6, -0.4e6), (2.0e6, 2.0e6), (0.0, -2.9e6)])
@pytest.mark.parametrize("size", [5e3, 25e3])
def test_the_shares_of_a_pixel_sum_to_its_area(centre: tuple[float, float], size: float) -> None:
    sides = squares(centre, size, 20)

    found = np.asarray(overlaps(*sides, cells(0.5, 66)).sum(axis=0))

    # q at 2900 km is 1e3 times the area of a pixel of 5 km times its angle; rounding grows so.
    np.testing.assert_allclose(found, quadrature_areas(*sides), rtol=5e-13)


@pytest.mark.parametrize("offset", [(0.0, 0.0), (0.5, 0.0), (0.0, 0.3), (1e-14, -1e-14)])
@pytest.mark.parametrize("step", [0.02, 0.045])
def test_nothing_is_lost_where_the_pole_is_on_the_rim_of_pixels_wider_than_a_ring(
    offset: tuple[float, float], step: float
) -> None:
    size, grid = 5e3, cells(180 / round(180 / step), 40)
    sides = squares((offset[0] * size, offset[1] * size), size, 4)
    assert grid.radius[1] < size

    found = overlaps(*sides, grid)

    np.testing.assert_allclose(np.asarray(found.sum(axis=0)), quadrature_areas(*sides), rtol=1e-12)
    innermost = np.asarray(found.sum(axis=1))[: grid.n_lon]
    # Shares below 1e-12 of a pixel are dropped.
    assert innermost.min() == pytest.approx(innermost.max(), rel=1e-11, abs=2e-12 * size**2)


@pytest.mark.parametrize("centre", [(2.0e6, 2.0e6), (-1.5e6, 1.5e6), (0.0, -2.0e6), (2.0e6, 0.0)])
def test_no_share_is_negative_where_rays_meet_corners(centre: tuple[float, float]) -> None:
    sides = squares(centre, 5e3, 40)

    found = overlaps(*sides, cells(0.2, 160))

    assert found.data.min() > 0.0


def test_pixels_astride_the_meridians_0_and_180_have_equal_halves() -> None:
    grid = cells(1.0, 30)
    left, right = np.full(2, -20e3), np.full(2, 20e3)
    bottom = np.array([1.0e6, -1.04e6])

    found = overlaps(left, right, bottom, bottom + 40e3, grid).toarray().reshape(30, 360, 2)

    np.testing.assert_allclose(found[:, 0, 0], found[:, 359, 0], rtol=1e-12)
    np.testing.assert_allclose(found[:, 180, 1], found[:, 179, 1], rtol=1e-12)
    np.testing.assert_allclose(found[:, 0, 0], found[:, 180, 1], rtol=1e-12)
    assert found[:, 0, 0].sum() > 1e8


def test_blocks_are_the_columns_of_the_whole() -> None:
    sides, grid = squares((0.3e6, -0.2e6), 25e3, 9), cells()

    blocks = list(overlap_blocks(*sides, grid, pixels_at_once=30))

    assert [where for where, _ in blocks] == [slice(0, 30), slice(30, 60), slice(60, 81)]
    together = scipy.sparse.hstack([shared for _, shared in blocks])
    difference = abs(together - overlaps(*sides, grid))
    assert difference.max() == 0.0


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
        turn = np.radians(np.linspace(column * 2.0, column * 2.0 + 2.0, 4001))
        rim = np.stack([np.sin(turn), np.cos(turn)], axis=1)
        sector = shapely.Polygon(
            np.concatenate([grid.radius[row] * rim, grid.radius[row + 1] * rim[::-1]])
        )
        shared = shapely.segmentize(shapely.intersection(rectangle, sector.buffer(0)), 100.0)
        # EPSG:6932 is an equal-area projection of the same ellipsoid.
        equal = shapely.transform(shared, lambda xy: np.stack(to_degrees.transform(*xy.T), axis=1))
        # A chord of 13 m on an arc of 1500 km is 1e-5 m from it: 0.5 m² over 50 km. With chords
        # of 3 m and pieces of 25 m the polygons come within 1e-11.
        assert found[cell, 0] == pytest.approx(equal.area, rel=1e-9, abs=1.0)


def test_what_lies_north_of_the_cells_is_refused_with_its_area() -> None:
    grid, sides = cells(), squares((3.35e6, 0.0), 50e3, 4)
    everything = overlaps(*sides, cells(rows=40))
    beyond = everything[30 * 360 :].sum() / 1e6

    with pytest.raises(OverlapError, match=r"lie north of the cells.*move the northern edge") as no:
        overlaps(*sides, grid)

    stated, unit = str(no.value).split()[:2]
    assert unit == "km²"
    assert float(stated) == pytest.approx(beyond, rel=1e-5)


def test_a_single_pixel_a_centimetre_too_far_among_many_is_refused() -> None:
    grid = cells()
    many = squares((0.0, 0.0), 50e3, 60)
    one = (-1.0, 1.0, grid.radius[-1] - 5e3, grid.radius[-1] + 0.01)
    sides = [np.append(a, b) for a, b in zip(many, one, strict=True)]

    with pytest.raises(OverlapError, match=r"of 1 pixels lie north"):
        overlaps(*sides, grid)


def test_cells_may_reach_farther_than_areas_are_known_but_pixels_may_not() -> None:
    wide, near = cells(rows=70), squares((3.0e6, 0.0), 50e3, 4)
    assert wide.radius[-1] > FARTHEST_M

    found, expected = overlaps(*near, wide), overlaps(*near, cells(rows=40))

    assert found[: 40 * 360].sum() == pytest.approx(expected.sum(), rel=1e-14)
    with pytest.raises(OverlapError, match="areas are known to 6000 km, 38° S"):
        overlaps(*squares((6.0e6, 0.0), 50e3, 4), wide)


def test_no_pixels_share_nothing() -> None:
    empty = np.empty(0)

    assert overlaps(empty, empty, empty, empty, cells()).shape == (30 * 360, 0)
