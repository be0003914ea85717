"""Shares of cells within polygons, against closed forms, exactextract and the ellipsoid."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from pipelines.geometry import cell_overlap
from pipelines.geometry.cell_overlap import OverlapError, grid_overlap, overlap
from pipelines.kernels import geodesy
from stac import model_cells
from stac.model_cells import Pole

H = 27_000.0
X = (np.arange(14) - 6.5) * H + 1.2e6
Y = -(np.arange(12) - 5.5) * H - 4.0e5
CENTRE = np.array([X.mean(), Y.mean()])


def series(*shapes: shapely.Geometry) -> gpd.GeoSeries:
    return gpd.GeoSeries(list(shapes), crs="EPSG:3031")


def corners(x=X, y=Y, h=H):
    grid_x, grid_y = (each.reshape(-1, 1) for each in np.meshgrid(x, y))
    return grid_x + h / 2 * np.array([-1, 1, 1, -1]), grid_y + h / 2 * np.array([-1, -1, 1, 1])


def blob(seed: int, *, reach: float = 1.4e5, holes: bool = True) -> shapely.Geometry:
    """Return a star of many teeth with a hole, and an islet beside it."""
    rng = np.random.default_rng(seed)
    angle = np.linspace(0.0, 2 * np.pi, 400, endpoint=False)
    radius = reach * rng.uniform(0.7, 1.0, angle.size)
    rim = CENTRE + np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    hole = CENTRE + rng.uniform(0.2, 0.5) * (rim[::-5] - CENTRE)
    star = shapely.Polygon(rim, [hole] if holes else [])
    islet = shapely.Point(CENTRE[0] + 1.6e5, CENTRE[1] - 1.2e5).buffer(rng.uniform(3e3, 1.1e4))
    return shapely.MultiPolygon([star, islet])


def exact_shares(polygons: gpd.GeoSeries) -> np.ndarray:
    """Return shares by exactextract, shape (region, cell)."""
    import exactextract

    west, north = X[0] - H / 2, Y[0] + H / 2
    raster = exactextract.raster.NumPyRasterSource(
        np.ones((Y.size, X.size)), west, Y[-1] - H / 2, X[-1] + H / 2, north
    )
    table = gpd.GeoDataFrame(geometry=polygons)
    found = np.zeros((len(polygons), Y.size * X.size))
    for i, each in enumerate(exactextract.exact_extract(raster, table, ["cell_id", "coverage"])):
        found[i, each["properties"]["cell_id"]] = each["properties"]["coverage"]
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_shares_are_those_of_exactextract(seed: int):
    polygons = series(blob(seed), blob(seed + 10, reach=6e4))

    expected = exact_shares(polygons)

    # exactextract keeps its coverage in single precision.
    assert np.abs(grid_overlap(X, Y, polygons).toarray() - expected).max() < 1e-6
    assert np.abs(overlap(*corners(), polygons).toarray() - expected).max() < 1e-6


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), turn=st.floats(0.0, 3.0), shift=st.floats(-3e5, 3e5))
def test_both_ways_to_shares_agree_wherever_a_polygon_lies(seed, turn, shift):
    moved = shapely.affinity.translate(shapely.affinity.rotate(blob(seed), turn, use_radians=True),
                                       shift, -0.7 * shift)  # fmt: skip

    squares = grid_overlap(X, Y, series(moved))
    quadrilaterals = overlap(*corners(), series(moved))

    assert abs(squares - quadrilaterals).max() < 1e-9
    inside = moved.intersection(shapely.box(X[0] - H / 2, Y[-1] - H / 2, X[-1] + H / 2,
                                            Y[0] + H / 2))  # fmt: skip
    assert squares.sum() * H**2 == pytest.approx(inside.area, abs=1.0)


@pytest.mark.parametrize("degrees", [0.0, 20.0, 45.0])
def test_a_square_turned_on_its_centre_keeps_the_known_octagon(degrees: float):
    angle = np.radians(degrees % 90.0)
    turned = shapely.affinity.rotate(shapely.box(-0.5, -0.5, 0.5, 0.5), degrees, (0, 0))
    x, y = shapely.get_coordinates(turned)[:4].T * H
    square = shapely.box(-H / 2, -H / 2, H / 2, H / 2)
    # Each corner that sticks out is a right triangle of legs (1 − w) / sin and (1 − w) / cos.
    sine, cosine = np.sin(angle), np.cos(angle)
    legs = (sine + cosine - 1.0) / 2.0
    triangle = 0.0 if sine == 0.0 else legs**2 / (2.0 * sine * cosine)

    share = overlap(x[None], y[None], series(square)).toarray()[0, 0]

    assert share == pytest.approx(1.0 - 4.0 * triangle, abs=1e-12)


def test_a_diamond_takes_half_of_the_square_around_it():
    diamond = shapely.Polygon([(0, -H / 2), (H / 2, 0), (0, H / 2), (-H / 2, 0)])
    x = np.array([-H, 0.0, H])

    shares = grid_overlap(x, x, series(diamond)).toarray().reshape(3, 3)

    assert shares[1, 1] == pytest.approx(0.5, abs=1e-14)
    assert shares.sum() == pytest.approx(0.5, abs=1e-14)


def test_regions_that_part_the_plane_share_every_cell_to_the_full():
    rng = np.random.default_rng(4)
    points = shapely.MultiPoint(CENTRE + rng.uniform(-1.5e5, 1.5e5, (30, 2)))
    frame = shapely.box(*(CENTRE - 4e5), *(CENTRE + 4e5))
    tiles = shapely.get_parts(shapely.voronoi_polygons(points, extend_to=frame))

    for shares in (grid_overlap(X, Y, series(*tiles)), overlap(*corners(), series(*tiles))):
        np.testing.assert_allclose(np.asarray(shares.sum(axis=0)), 1.0, atol=1e-9)
        assert not cell_overlap.counted_twice(shares).any()


def test_regions_that_overlap_are_found():
    one = shapely.box(*(CENTRE - 1e5), *(CENTRE + 1e5))

    shares = grid_overlap(X, Y, series(one, shapely.affinity.translate(one, 1.8e5, 0.0)))

    twice = cell_overlap.counted_twice(shares)
    assert 0.8 * 2e4 * 2e5 < twice.sum() * H**2 <= 2e4 * 2e5


def test_flipped_axes_give_the_same_shares_in_flipped_cells():
    polygons = series(blob(5))
    straight = grid_overlap(X, Y, polygons).toarray().reshape(Y.size, X.size)

    flipped = grid_overlap(X[::-1], Y[::-1], polygons).toarray().reshape(Y.size, X.size)

    np.testing.assert_allclose(flipped[::-1, ::-1], straight, atol=1e-11)


def test_the_order_of_cells_changes_no_sum():
    x, y = corners()
    polygons = series(blob(6), blob(7, reach=9e4))
    amounts = np.random.default_rng(8).normal(size=len(x))
    order = np.random.default_rng(9).permutation(len(x))

    sums = overlap(x, y, polygons) @ amounts
    shuffled = overlap(x[order][:, ::-1], y[order][:, ::-1], polygons) @ amounts[order]

    np.testing.assert_allclose(shuffled, sums, rtol=1e-12)


def lonely_basin(latitude: float) -> shapely.Geometry:
    x, y = geodesy.polar_stereographic(np.array(latitude), np.array(65.0))
    return shapely.Point(float(x), float(y)).buffer(3.0e5, quad_segs=90)


@pytest.mark.parametrize(("latitude", "is_larger"), [(-66.5, False), (-85.0, True)])
def test_areas_are_true_and_the_map_is_wrong_to_either_side_of_71_south(latitude, is_larger):
    basin = lonely_basin(latitude)
    west, south, east, north = basin.bounds
    x, y = np.arange(west - H, east + H, H), np.arange(south - H, north + H, H)
    middle = geodesy.inverse_polar_stereographic(*np.meshgrid(x, y))[0]
    area = (H / geodesy.map_scale(middle)).reshape(-1) ** 2

    weights = cell_overlap.area_weights(grid_overlap(x, y, series(basin)), area)

    dense = gpd.GeoSeries([basin.segmentize(2e3)], crs=3031).to_crs(4326)[0]
    geodesic = abs(Geod(ellps="WGS84").geometry_area_perimeter(dense)[0])
    # Stated tolerance: the scale within rim cells, and its curvature in the rest.
    assert weights.sum() == pytest.approx(geodesic, rel=2e-5)
    assert (geodesic > basin.area) == is_larger
    assert abs(basin.area / geodesic - 1.0) > 0.01


def test_cells_that_meet_at_the_pole_may_be_triangles():
    x = np.array([[0.0, 0.0, 1e4, 1e4], [0.0, 0.0, 1e4, -1e4]])
    y = np.array([[0.0, 0.0, -1e4, 1e4], [0.0, 0.0, 1e4, 1e4]])

    shares = overlap(x, y, series(shapely.box(0.0, -5e4, 5e4, 5e4)))

    np.testing.assert_allclose(shares.toarray(), [[1.0, 0.5]], atol=1e-12)


def test_polygons_beyond_the_grid_take_nothing():
    far = series(shapely.box(0.0, 2e6, 1e5, 2.1e6), shapely.box(1.19e6, 2e6, 1.21e6, 2.1e6))

    assert grid_overlap(X, Y, far).nnz == 0
    assert overlap(*corners(), far).nnz == 0
    assert grid_overlap(X, Y, series()).shape == (0, X.size * Y.size)


BOW = shapely.Polygon([(0, 0), (1e5, 1e5), (1e5, 0), (0, 1e5)])


@pytest.mark.parametrize(
    ("polygons", "message"),
    [
        (series(BOW), "Self-intersection.*repair or drop"),
        (series(shapely.Polygon()), "no area"),
        (series(shapely.LineString([(0, 0), (1, 1)])), "no area"),
        (gpd.GeoSeries([shapely.box(0, -80, 1, -79)], crs="EPSG:4326"), "expected EPSG:3031"),
    ],
)
def test_polygons_that_cannot_be_overlaid_are_refused(polygons, message: str):
    with pytest.raises(OverlapError, match=message):
        grid_overlap(X, Y, polygons)
    with pytest.raises(OverlapError, match=message):
        overlap(*corners(), polygons)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X**1.01, Y, "steps along x.*even ones"),
        (X[:1], Y, "steps along x are none"),
        (X, Y * 1.1, "27000 by 29700 m, expected squares"),
    ],
)
def test_grids_that_are_no_squares_are_refused(x, y, message: str):
    with pytest.raises(OverlapError, match=message):
        grid_overlap(x, y, series(blob(1)))


def test_corners_that_are_missing_or_cross_are_refused():
    x, y = corners()
    with pytest.raises(OverlapError, match=r"lack a corner, the first is cell 3"):
        overlap(np.where(np.arange(len(x))[:, None] == 3, np.nan, x), y, series(blob(1)))
    with pytest.raises(OverlapError, match="correct their order"):
        overlap(x[:, [0, 2, 1, 3]], y[:, [0, 2, 1, 3]], series(blob(1)))
    with pytest.raises(OverlapError, match=r"expected \(cell, 4\)"):
        overlap(x[:, :3], y[:, :3], series(blob(1)))
    with pytest.raises(OverlapError, match="expected one for each"):
        cell_overlap.area_weights(overlap(x, y, series(blob(1))), np.ones(3))


@pytest.mark.parametrize("kind", ["rotated", "meridians"])
def test_a_uniform_field_on_a_models_own_cells_gives_geodesic_areas(kind: str):
    basins = [lonely_basin(latitude) for latitude in (-72.0, -80.0, -86.0)]
    if kind == "rotated":
        axis = np.arange(-30.0, 30.1, 0.25)
        cells = model_cells.rotated_cells(axis, axis, Pole(-180.0, 10.0), what="test")
    else:
        latitude, longitude = np.arange(-90.0, -63.9, 0.1), np.arange(0.0, 359.0, 1.0)
        cells = model_cells.geographic_cells(latitude, longitude, what="test")
    area = model_cells.true_areas(cells)

    weights = cell_overlap.area_weights(overlap(cells.x, cells.y, series(*basins)), area)

    lines = gpd.GeoSeries(basins, crs=3031).segmentize(2e3).to_crs(4326)
    geod = Geod(ellps="WGS84")
    geodesic = [abs(geod.geometry_area_perimeter(each.exterior)[0]) for each in lines]
    # Stated tolerance; the 27 real basins are within 1.4e-5 on RACMO's cells, 2e-6 on ERA5-Land's.
    np.testing.assert_allclose(weights.sum(axis=1), geodesic, rtol=2e-5)
