"""Outlines of ice shelves, and the regions of interest on Landsat's pixels around them."""

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pystac
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from stac import ice_shelves
from stac.boundaries import BoundaryError
from stac.catalogue import open_catalogue
from stac.contracts import POLYGON_CONTRACTS, open_regions
from stac.ice_shelves import ShelfError, builtin, find, mask, read_shelves, shelf_regions, slug
from stac.ingest import ingest
from stac.shelf_collections import roi_items, rois_geopackage, write_roi_collection

SQUARE = shapely.box(2.0e6, 7.0e5, 2.1e6, 7.5e5)
EAST = shapely.box(2.1e6, 7.0e5, 2.12e6, 7.5e5)


def parts(tmp_path: Path, rows: dict, shapes: list, *, code: int = 3031) -> dict[str, bytes]:
    """Return the bytes of a GeoPackage."""
    path = tmp_path / "shelves.gpkg"
    gpd.GeoDataFrame(rows, geometry=shapes, crs=code).to_file(path)
    return {".gpkg": path.read_bytes()}


def write_measures(folder: Path) -> Path:
    """Write a shapefile with the columns of MEaSUREs IceShelf v2."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = {
        "NAME": ["Amery", "LarsenB", "Amery", "Some_Island"],
        "Regions": ["East", "Peninsula", "East", "Islands"],
        "Subregions": ["B-C", "I-Ipp", "B-C", None],
        "TYPE": ["FL", "FL", "FL", "IS"],
    }
    far = shapely.box(-2.4e6, 1.25e6, -2.3e6, 1.35e6)
    shapes = [SQUARE, far, EAST, shapely.box(0.0, 2.0e6, 1e4, 2.01e6)]
    path = folder / "IceShelf_Antarctica_v02.shp"
    gpd.GeoDataFrame(rows, geometry=shapes, crs=3031).to_file(path)
    return path


def test_polygons_of_one_shelf_are_merged_and_grounded_ones_left_out(tmp_path: Path):
    path = write_measures(tmp_path / "in")
    (found,) = ingest("ice-shelves", [str(path)], catalogue=str(tmp_path / "c"), collection="s")
    assert found.state == "added", found.reason

    (item,) = open_catalogue(str(tmp_path / "c")).search("s")
    table = open_regions(item)

    assert table["region"].tolist() == ["amery", "larsen-b"]
    assert table["group"].tolist() == ["EAIS", "AP"]
    assert table["year"].tolist() == [0, 0]
    assert table.geometry.iloc[0].equals(shapely.box(2.0e6, 7.0e5, 2.12e6, 7.5e5))
    assert "3 of 4 polygons kept: TYPE FL" in item.properties["processing:lineage"]
    assert "3 polygons merged into 2" in item.properties["processing:lineage"]
    (again,) = ingest("ice-shelves", [str(path)], catalogue=str(tmp_path / "c"), collection="s")
    assert again.state == "present"


def test_a_region_holds_the_outlines_of_all_years_and_its_buffer(tmp_path: Path):
    rows = {"name": ["Amery"] * 3, "year": [2002, 2003, 0]}
    table = read_shelves(parts(tmp_path, rows, [SQUARE, EAST, SQUARE]), name="x.gpkg")

    region = shelf_regions(table, buffer_m=5000.0)["amery"]

    assert region.years == (2002, 2003)
    assert region.outline.equals(SQUARE.union(EAST))
    assert region.extent(2003).equals(EAST)
    assert region.extent(1999).equals(SQUARE)
    assert region.roi.contains(region.outline)
    # A box grows by the buffer on each side, straight.
    assert region.roi.bounds == pytest.approx((1.995e6, 6.95e5, 2.125e6, 7.55e5))


def test_regions_of_other_kinds_hold_for_every_summer():
    table = gpd.GeoDataFrame({"region": ["B-C"], "name": ["x"]}, geometry=[SQUARE], crs=3031)

    regions = shelf_regions(table, buffer_m=0.0)

    assert find(regions, "B-C").extent(2010).equals(SQUARE)
    twice = gpd.GeoDataFrame(
        {"region": ["B-C", "b_c"], "name": ["x", "y"]}, geometry=[SQUARE, EAST], crs=3031
    )
    with pytest.raises(ShelfError, match="both 'b-c'"):
        shelf_regions(twice, buffer_m=0.0)


def test_a_summer_without_an_outline_is_none_and_cannot_be_drawn(tmp_path: Path):
    rows = {"name": ["Amery"], "year": [2002]}
    table = read_shelves(parts(tmp_path, rows, [SQUARE]), name="x.gpkg")
    region = shelf_regions(table, buffer_m=0.0)["amery"]

    assert region.extent(2003) is None
    with pytest.raises(ShelfError, match="no outline for summer 2003, only for 2002"):
        mask(region, region.grid.coarser(10), 2003)


@given(
    west=st.floats(-2.5e6, 2.4e6),
    south=st.floats(-2.5e6, 2.4e6),
    width=st.floats(50.0, 9e4),
    height=st.floats(50.0, 9e4),
    buffer_m=st.floats(0.0, 2e4),
    multiple=st.sampled_from([1, 2, 10, 17]),
)
def test_the_grid_of_a_region_contains_it_and_lies_on_landsats_lattice(
    west: float, south: float, width: float, height: float, buffer_m: float, multiple: int
):
    square = shapely.box(west, south, west + width, south + height)
    table = gpd.GeoDataFrame(
        {"region": ["a"], "name": ["A"], "year": [0]}, geometry=[square], crs=3031
    )

    region = shelf_regions(table, buffer_m=buffer_m, multiple=multiple)["a"]

    assert shapely.box(*region.grid.bounds).buffer(1e-3).contains(region.roi)
    assert region.roi.buffer(1e-6).contains(square)
    for edge in region.grid.bounds:
        assert ((edge - 15.0) / (30.0 * multiple)) % 1.0 in (0.0, 1.0)
    assert region.grid.nx % multiple == region.grid.ny % multiple == 0
    # No side is more than one cell beyond the region.
    beyond = np.abs(np.subtract(region.grid.bounds, region.roi.bounds))
    assert beyond.max() <= 30.0 * multiple + 1e-3


def test_a_mask_holds_the_pixels_whose_centres_lie_inside(tmp_path: Path):
    diamond = shapely.Polygon([(2.0e6, 7e5), (2.003e6, 7.02e5), (2.0e6, 7.04e5), (1.997e6, 7.02e5)])
    rows = {"name": ["Amery", "Amery"], "year": [2002, 2003]}
    table = read_shelves(parts(tmp_path, rows, [diamond, EAST]), name="x.gpkg")
    region = shelf_regions(table, buffer_m=300.0)["amery"]
    grid = region.grid.window(slice(-300 + region.grid.ny, region.grid.ny), slice(0, 250))

    for year, shape in ((None, region.roi), (2002, diamond)):
        found = mask(region, grid, year)
        x, y = np.meshgrid(grid.x, grid.y)
        assert found.any()
        assert np.array_equal(found, shapely.contains_xy(shape, x, y))


def test_a_mask_in_other_coordinates_is_refused():
    region = builtin()["totten"]
    grid = type(region.grid)("", "EPSG:32655", 0.0, 0.0, 30.0, 3, 3)
    with pytest.raises(ShelfError, match=r"EPSG:32655.*EPSG:3031"):
        mask(region, grid)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Larsen B", "larsen-b"), ("LarsenB", "larsen-b"), ("larsen_b", "larsen-b"),
        ("larsenb", "larsen-b"), ("LARSEN B", "larsen-b"), ("Brunt", "brunt-stancomb"),
        ("Pine_Island", "pine-island"), ("pine island", "pine-island"), ("Pine", "pine-island"),
    ],
)  # fmt: skip
def test_shelves_are_found_by_the_names_that_people_write(name: str, found: str):
    names = ["LarsenB", "LarsenC", "Brunt_Stancomb", "Pine_Island"]
    table = gpd.GeoDataFrame(
        {"region": [slug(n) for n in names], "name": names, "year": 0},
        geometry=[SQUARE] * 4,
        crs=3031,
    )
    regions = shelf_regions(table, buffer_m=0.0)

    assert find(regions, name).id == found
    with pytest.raises(ShelfError, match="begins the names of 2 ice shelves: 'LarsenB', 'LarsenC'"):
        find(regions, "Larsen")
    with pytest.raises(ShelfError, match="did you mean 'Pine_Island'"):
        find(regions, "Pine Iland")
    with pytest.raises(ShelfError, match="no ice shelf ''"):
        find(regions, "")


@pytest.mark.parametrize(
    ("rows", "shapes", "message"),
    [
        ({"name": ["a", None]}, [SQUARE, EAST], "rows .1. have no name"),
        ({"kind": ["a", "b"]}, [SQUARE, EAST], "expected a column NAME"),
        ({"name": ["a"], "year": [20]}, [SQUARE], "year '20' is none"),
        ({"name": ["a"], "year": ["soon"]}, [SQUARE], "year 'soon' is none"),
        ({"name": ["a"], "TYPE": ["GR"]}, [SQUARE], "no floating ice"),
        ({"name": ["a"]}, [shapely.LineString([(0, 1e6), (1e5, 1e6)])], "expected polygons"),
    ],
)
def test_files_that_hold_no_shelves_are_refused(
    tmp_path: Path, rows: dict, shapes: list, message: str
):
    with pytest.raises(BoundaryError, match=message):
        read_shelves(parts(tmp_path, rows, shapes), name="x.gpkg")


def test_shelves_of_the_north_and_negative_buffers_are_refused(tmp_path: Path):
    shapes = [shapely.box(10.0, 40.0, 11.0, 41.0)]
    with pytest.raises(BoundaryError, match="south of 50"):
        read_shelves(parts(tmp_path, {"name": ["a"]}, shapes, code=4326), name="x.gpkg")
    with pytest.raises(ShelfError, match="-1"):
        shelf_regions(ice_shelves.builtin_table(), buffer_m=-1.0)


def test_the_built_in_boxes_hold_the_places_of_the_nine_shelves():
    # Longitude and latitude of each shelf, from gazetteers.
    places = {
        "Amery": (71, -70), "Brunt": (-25, -75.5), "Crosson": (-110, -75),
        "Dotson": (-112.5, -74.5), "Holmes": (127, -66.7), "Larsen B": (-60, -65.5),
        "Pine Island": (-100.5, -75.2), "Thwaites": (-106, -75), "Totten": (116, -67),
    }  # fmt: skip
    regions = builtin()

    assert tuple(places) == ice_shelves.NINE == tuple(r.name for r in regions.values())
    for name, place in places.items():
        region = find(regions, name)
        footprint = shapely.geometry.shape(region.footprint)
        assert footprint.buffer(0.05).contains(shapely.Point(place)), name
        assert max(region.grid.shape) * 30.0 < 7e5
    POLYGON_CONTRACTS["ice-shelves"].check(ice_shelves.builtin_table())


@pytest.mark.realdata
def test_most_of_the_shelf_ice_at_each_place_lies_in_its_box(data_root: Path):
    import xarray as xr

    file = data_root / "basins/masks/zwallycfl_rignotgll_ant_floating_basins_10km.nc"
    with xr.open_dataset(file) as source:
        floating = source["ICE_SHELF_MASK"].to_numpy() > 0
        first = [float(source[f"ICE_SHELF_MIN{axis}M"]) for axis in "XY"]
    rows, columns = np.nonzero(floating)
    x, y = first[0] + 1e4 * (columns + 0.5), first[1] + 1e4 * (rows + 0.5)

    cells = {
        name: int(shapely.contains_xy(region.roi, x, y).sum()) for name, region in builtin().items()
    }

    # Areas [100 km²] of floating ice in the boxes: the published ones of Rignot et al. (2013),
    # table 1, are Amery 607, Brunt/Stancomb 369, Dotson 58, Pine Island 62, Thwaites 55, Totten 60.
    for name, area in (("amery", 607), ("dotson", 58), ("pine-island", 62), ("totten", 60)):
        assert cells[name] == pytest.approx(area, rel=0.35), name
    assert all(count >= 9 for count in cells.values())


def test_regions_become_a_collection_that_others_can_open(tmp_path: Path):
    table = ice_shelves.builtin_table()
    regions = shelf_regions(table, buffer_m=1000.0)

    url = write_roi_collection(regions, str(tmp_path / "rois"))
    before = {p: p.read_bytes() for p in (tmp_path / "rois").rglob("*") if p.is_file()}
    write_roi_collection(regions, str(tmp_path / "rois"))

    assert {p: p.read_bytes() for p in (tmp_path / "rois").rglob("*") if p.is_file()} == before
    collection = pystac.Collection.from_file(url)
    items = {item.id: item for item in collection.get_items()}
    assert set(items) == set(regions)
    totten = items["totten"].properties
    grid = regions["totten"].grid
    assert (totten["proj:code"], totten["proj:shape"]) == ("EPSG:3031", list(grid.shape))
    assert totten["proj:transform"] == list(grid.transform)
    package = gpd.read_file(tmp_path / "rois" / "rois.gpkg", layer="rois")
    assert package.crs.to_epsg() == 3031
    assert package.set_index("region").geometry["totten"].equals(regions["totten"].roi)


def test_items_tell_the_summers_that_have_outlines(tmp_path: Path):
    rows = {"name": ["Amery"] * 2, "year": [2002, 2013]}
    table = read_shelves(parts(tmp_path, rows, [SQUARE, EAST]), name="x.gpkg")
    regions = shelf_regions(table, buffer_m=0.0)

    (item,) = roi_items(regions)

    assert item["properties"]["nunatak:years"] == [2002, 2013]
    assert item["properties"]["start_datetime"] == "2002-11-01T00:00:00Z"
    assert item["properties"]["end_datetime"] == "2014-03-31T23:59:59Z"
    json.dumps(item, allow_nan=False)
    layer = tmp_path / "x.gpkg"
    layer.write_bytes(rois_geopackage(regions))
    assert gpd.read_file(layer, layer="extents")["year"].tolist() == [2002, 2013]
    with pytest.raises(ShelfError, match="no region to write"):
        roi_items([])
