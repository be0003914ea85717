"""Pixel grids: the lattice of real Landsat scenes, windows, cells shared by overlapping ROIs."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio.transform
from hypothesis import given
from hypothesis import strategies as st

from stac.pixel_grids import GRID_NAME, ORIGIN_M, PixelGrid, PixelGridError, snapped

places = st.floats(-3.0e6, 3.0e6, allow_nan=False)
sizes = st.floats(1.0, 4.0e5, allow_nan=False)


@st.composite
def bounds_of_a_region(draw: st.DrawFn) -> tuple[float, float, float, float]:
    west, south, width, height = draw(places), draw(places), draw(sizes), draw(sizes)
    return west, south, west + width, south + height


def test_the_named_lattice_is_that_of_a_real_antarctic_scene():
    # Corner of LC08_L2SR_099120_20191129: pixel centre in the MTL, pixel edge in the GeoTIFF.
    centre, edge = (733800.0, 494400.0), (733785.0, 494415.0)

    grid = snapped((edge[0], edge[1] - 9011 * 30.0, edge[0] + 9031 * 30.0, edge[1]))

    assert (grid.west, grid.north) == edge
    assert (grid.x[0], grid.y[0]) == centre
    assert grid.shape == (9011, 9031)
    assert (grid.name, grid.spacing, ORIGIN_M) == (GRID_NAME, 30.0, 15.0)


@pytest.mark.realdata
def test_a_snapped_grid_has_the_corner_of_the_real_metadata(data_root: Path):
    folder = data_root / "optical" / "imagery"
    (mtl,) = folder.glob("landsat8_antarctica_*/*MTL.json")
    projection = json.loads(mtl.read_text())["LANDSAT_METADATA_FILE"]["PROJECTION_ATTRIBUTES"]
    corner = tuple(float(projection[f"CORNER_UL_PROJECTION_{axis}_PRODUCT"]) for axis in "XY")
    grid = snapped((corner[0], corner[1] - 3000.0, corner[0] + 3000.0, corner[1]))
    assert (grid.x[0], grid.y[0]) == corner


@given(bounds_of_a_region(), st.integers(1, 40))
def test_a_snapped_grid_is_the_smallest_of_its_lattice_around_the_bounds(bounds, multiple):
    grid = snapped(bounds, multiple=multiple)
    west, south, east, north = grid.bounds
    cell = 30.0 * multiple
    slack = 1e-4
    assert west <= bounds[0] + slack
    assert south <= bounds[1] + slack
    assert east >= bounds[2] - slack
    assert north >= bounds[3] - slack
    assert west + cell > bounds[0] - slack
    assert north - cell < bounds[3] + slack
    for edge in grid.bounds:
        assert abs((edge - ORIGIN_M) / cell - round((edge - ORIGIN_M) / cell)) < 1e-9
    assert grid.nx % multiple == 0
    assert grid.ny % multiple == 0
    assert snapped(grid.bounds, multiple=multiple) == grid


@given(bounds_of_a_region(), bounds_of_a_region(), st.sampled_from([2, 5, 10]))
def test_two_regions_share_the_cells_of_their_coarser_grids(first, second, factor):
    one, other = (snapped(bounds, multiple=factor).coarser(factor) for bounds in (first, second))
    for a, b in ((one.west, other.west), (one.north, other.north)):
        assert (a - b) % one.spacing == 0.0


@given(bounds_of_a_region())
def test_transform_is_rasterios_and_y_falls(bounds):
    grid = snapped(bounds)
    affine = rasterio.transform.Affine(*grid.transform)
    x, y = rasterio.transform.xy(affine, grid.ny - 1, grid.nx - 1)
    np.testing.assert_allclose((grid.x[-1], grid.y[-1]), (x, y), atol=1e-6)
    assert (np.diff(grid.y) < 0).all()
    assert (np.diff(grid.x) > 0).all()
    assert rasterio.transform.array_bounds(grid.ny, grid.nx, affine) == grid.bounds


@given(st.data())
def test_a_window_holds_the_centres_of_its_pixels(data):
    grid = snapped((1.0e6, 5.0e5, 1.003e6, 5.02e5))
    top = data.draw(st.integers(0, grid.ny - 1))
    left = data.draw(st.integers(0, grid.nx - 1))
    rows = slice(top, data.draw(st.integers(top + 1, grid.ny)))
    columns = slice(left, data.draw(st.integers(left + 1, grid.nx)))
    part = grid.window(rows, columns)
    np.testing.assert_array_equal(part.x, grid.x[columns])
    np.testing.assert_array_equal(part.y, grid.y[rows])
    assert snapped(part.bounds) == part


def test_the_centres_of_coarser_pixels_are_means_of_the_fine_ones():
    grid = snapped((0.0, 0.0, 6000.0, 3000.0), multiple=10)
    coarse = grid.coarser(10)
    np.testing.assert_allclose(coarse.x, grid.x.reshape(-1, 10).mean(axis=1))
    np.testing.assert_allclose(coarse.y, grid.y.reshape(-1, 10).mean(axis=1))
    assert coarse.bounds == grid.bounds


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ((0.0, 0.0, 0.0, 10.0), "enclose nothing"),
        ((0.0, 0.0, float("nan"), 10.0), "enclose nothing"),
        ((0.0, 10.0, 10.0, 0.0), "west < east"),
    ],
)
def test_bounds_without_an_area_are_refused(bounds, expected):
    with pytest.raises(PixelGridError, match=expected):
        snapped(bounds)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("", "EPSG:3031", 0.0, 0.0, 0.0, 1, 1), "spacing above 0"),
        (("", "EPSG:3031", 0.0, 0.0, 30.0, 0, 1), "one of each"),
        (("", "PS WGS84", 0.0, 0.0, 30.0, 1, 1), "like EPSG:3031"),
    ],
)
def test_numbers_that_are_no_grid_are_refused(arguments, expected):
    with pytest.raises(PixelGridError, match=expected):
        PixelGrid(*arguments)


def test_parts_that_a_grid_does_not_have_are_refused():
    grid = snapped((0.0, 0.0, 300.0, 300.0))
    for part in (slice(0, 99), slice(-1, 2), slice(3, 3), slice(0, 4, 2)):
        with pytest.raises(PixelGridError, match="rows"):
            grid.window(part, slice(None))
    with pytest.raises(PixelGridError, match="multiple=4"):
        grid.coarser(4)
    with pytest.raises(PixelGridError, match="multiple"):
        snapped((0.0, 0.0, 300.0, 300.0), multiple=0)
