"""Polygons of every published make become one table; areas are those of the ellipsoid."""

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from shapely.geometry import mapping

from stac import boundaries
from stac.boundaries import BoundaryError, read_regions
from tests.stac.conftest import square, write_geojson

WGS84_A, WGS84_E2 = 6378137.0, 0.00669437999014


def parts_of(path: Path) -> dict[str, bytes]:
    if path.suffix != ".shp":
        return {path.suffix: path.read_bytes()}
    siblings = (path.with_suffix(s) for s in (".shp", ".shx", ".dbf", ".prj", ".cpg"))
    return {part.suffix: part.read_bytes() for part in siblings if part.exists()}


def polar(*shapes: shapely.Geometry, **columns: list[object]) -> gpd.GeoDataFrame:
    ids = {"id": [str(i) for i in range(len(shapes))]}
    return gpd.GeoDataFrame(ids | columns, geometry=list(shapes), crs="EPSG:3031")


def read_back(table: gpd.GeoDataFrame, path: Path) -> gpd.GeoDataFrame:
    table.to_file(path)
    return read_regions(parts_of(path), name=path.name)


def cap_area_km2(latitude: float) -> float:
    """Area of the ellipsoid south of a parallel (Snyder 1987, equation 3-12)."""
    e = np.sqrt(WGS84_E2)

    def q(phi: float) -> float:
        s = np.sin(phi)
        log = np.log((1 - e * s) / (1 + e * s)) / (2 * e)
        return float((1 - WGS84_E2) * (s / (1 - WGS84_E2 * s**2) - log))

    return np.pi * WGS84_A**2 * (q(np.pi / 2) - q(np.radians(abs(latitude)))) / 1e6


@pytest.mark.parametrize("latitude", [-60.0, -75.0, -89.0])
def test_the_area_of_a_polar_cap_is_that_of_the_ellipsoid(tmp_path: Path, latitude: float):
    """A ring of longitudes closed at the pole, as GeoJSON files have it; 1e-5 for edges of 0.1°."""
    ring = [[-180.0, -90.0], [-180.0, latitude], [180.0, latitude], [180.0, -90.0], [-180.0, -90.0]]
    path = write_geojson(tmp_path / "c.geojson", {"c": {"type": "Polygon", "coordinates": [ring]}})

    table = read_regions(parts_of(path), name=path.name)

    assert table["area_km2"].item() == pytest.approx(cap_area_km2(latitude), rel=1e-5)


def test_holes_are_not_counted():
    disc = shapely.Point(0, 0).buffer(1e6, 256)
    hole = shapely.Point(0, 0).buffer(5e5, 256)

    whole = boundaries.geodesic_area_km2(disc)
    ring = boundaries.geodesic_area_km2(shapely.difference(disc, hole))

    assert ring == pytest.approx(whole - boundaries.geodesic_area_km2(hole), rel=1e-12)


@pytest.mark.parametrize("suffix", [".gpkg", ".shp", ".geojson"])
def test_every_format_gives_the_same_table(tmp_path: Path, suffix: str):
    table = polar(shapely.box(0, 1e6, 1e5, 1.1e6), shapely.box(2e5, 1e6, 3e5, 1.1e6))

    read = read_back(table, tmp_path / f"two{suffix}")

    assert list(read.columns) == ["region", "name", "group", "area_km2", "geometry"]
    assert read["region"].tolist() == ["0", "1"]
    assert read.crs == "EPSG:3031"
    assert (
        shapely.equals_exact(read.geometry.to_numpy(), table.geometry.to_numpy(), 1.0).all()
        or (read.geometry.symmetric_difference(table.geometry).area < 1e6).all()
    )


def test_numbers_become_text_ids(tmp_path: Path):
    table = polar(shapely.box(0, 1e6, 1e5, 1.1e6)).drop(columns="id").assign(basin=22.0)

    assert read_back(table, tmp_path / "n.gpkg")["region"].tolist() == ["22"]


def test_a_single_region_may_be_named_by_its_file(tmp_path: Path):
    table = polar(shapely.box(0, 1e6, 1e5, 1.1e6)).drop(columns="id")

    assert read_back(table, tmp_path / "coast.gpkg")["region"].tolist() == ["coast"]


def test_rings_that_cross_themselves_are_repaired_and_told(tmp_path: Path):
    bow = shapely.Polygon([(0, 1e6), (1e5, 1.1e6), (1e5, 1e6), (0, 1.1e6)])

    table = read_back(polar(bow), tmp_path / "bow.gpkg")

    assert table.geometry.is_valid.all()
    assert table.geometry.area.item() == pytest.approx(5e9)
    assert table.attrs["remarks"] == ["rings that crossed themselves repaired in: 0"]


def test_only_grounded_ice_is_kept_where_a_type_says_so(tmp_path: Path):
    squares = [shapely.box(k * 2e5, 1e6, k * 2e5 + 1e5, 1.1e6) for k in range(3)]

    table = read_back(polar(*squares, TYPE=["GR", "FL", "IS"]), tmp_path / "t.gpkg")

    assert table["region"].tolist() == ["0", "2"]
    assert "floating ice (FL) left out" in table.attrs["remarks"][0]


def lines(tmp_path: Path) -> Path:
    table = polar(shapely.LineString([(0, 1e6), (1e5, 1e6)]))
    table.to_file(tmp_path / "l.gpkg")
    return tmp_path / "l.gpkg"


def without_crs(tmp_path: Path) -> Path:
    polar(shapely.box(0, 1e6, 1e5, 1.1e6)).to_file(tmp_path / "c.shp")
    (tmp_path / "c.prj").write_bytes(b"")
    return tmp_path / "c.shp"


def without_dbf(tmp_path: Path) -> Path:
    polar(shapely.box(0, 1e6, 1e5, 1.1e6)).to_file(tmp_path / "d.shp")
    (tmp_path / "d.dbf").unlink()
    return tmp_path / "d.shp"


def twice(tmp_path: Path) -> Path:
    squares = [shapely.box(k * 2e5, 1e6, k * 2e5 + 1e5, 1.1e6) for k in range(2)]
    polar(*squares, id=["a", "a"]).to_file(tmp_path / "2.gpkg")
    return tmp_path / "2.gpkg"


def nameless(tmp_path: Path) -> Path:
    squares = [shapely.box(k * 2e5, 1e6, k * 2e5 + 1e5, 1.1e6) for k in range(2)]
    polar(*squares).rename(columns={"id": "colour"}).to_file(tmp_path / "n.gpkg")
    return tmp_path / "n.gpkg"


def half_named(tmp_path: Path) -> Path:
    squares = [shapely.box(k * 2e5, 1e6, k * 2e5 + 1e5, 1.1e6) for k in range(2)]
    polar(*squares, id=["a", None]).to_file(tmp_path / "h.gpkg")
    return tmp_path / "h.gpkg"


def greenland(tmp_path: Path) -> Path:
    return write_geojson(tmp_path / "g.geojson", {"g": square(-45.0, 70.0)})


def flat_earth(tmp_path: Path) -> Path:
    """Metres that claim to be degrees."""
    ring = mapping(shapely.box(0, 1e6, 1e5, 1.1e6))
    return write_geojson(tmp_path / "m.geojson", {"m": ring})


def empty(tmp_path: Path) -> Path:
    path = tmp_path / "e.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": []}))
    return path


def no_geometry(tmp_path: Path) -> Path:
    path = write_geojson(tmp_path / "z.geojson", {"a": square(0, -75)})
    path.write_text(path.read_text().replace('"geometry": {', '"geometry": null, "other": {'))
    return path


def torn(tmp_path: Path) -> Path:
    polar(shapely.box(0, 1e6, 1e5, 1.1e6)).to_file(tmp_path / "t.gpkg")
    data = (tmp_path / "t.gpkg").read_bytes()
    (tmp_path / "t.gpkg").write_bytes(data[:3000])
    return tmp_path / "t.gpkg"


def picture(tmp_path: Path) -> Path:
    (tmp_path / "p.png").write_bytes(b"\x89PNG")
    return tmp_path / "p.png"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lines, "holds LineString, expected polygons"),
        (without_crs, "does not say its coordinate system"),
        (without_dbf, r"comes without \.dbf"),
        (twice, r"ids \['a'\] come more than once"),
        (nameless, "expected one of region, id, basin"),
        (half_named, "row 1 has no id"),
        (greenland, r"reaches latitude 72\.00°.*south of 50° S"),
        (flat_earth, "reaches latitude"),
        (empty, "holds no geometry"),
        (no_geometry, "no geometry"),
        (torn, "cannot be read"),
        (picture, "is no file of polygons"),
    ],
)
def test_what_cannot_be_regions_is_refused(tmp_path: Path, make, message: str):
    path = make(tmp_path)
    with pytest.raises(BoundaryError, match=message):
        read_regions(parts_of(path), name=path.name)


def test_a_union_closes_slivers_and_keeps_holes_and_islands():
    left, right = shapely.box(0, 1e6, 99_900, 1.1e6), shapely.box(1e5, 1e6, 2e5, 1.1e6)
    bridge = shapely.union(shapely.box(0, 1.0e6, 2e5, 1.001e6), shapely.box(0, 1.099e6, 2e5, 1.1e6))
    lake = shapely.box(2e4, 1.02e6, 4e4, 1.04e6)
    island = shapely.box(3e5, 1e6, 3.1e5, 1.01e6)
    table = polar(shapely.difference(left, lake), right, bridge, island)

    merged = boundaries.union(table)

    assert len(merged.geoms) == 2
    assert sum(len(part.interiors) for part in merged.geoms) == 1
    expected = shapely.union(shapely.box(0, 1e6, 2e5, 1.1e6), island).area - lake.area
    assert merged.area == pytest.approx(expected)


def test_boundary_points_follow_the_outline_at_the_spacing_asked_for():
    table = polar(shapely.box(0, 1e6, 1e5, 1.1e6), shapely.box(1e5, 1e6, 2e5, 1.1e6))

    latitude, longitude = boundaries.boundary_points(table, spacing_m=5_000.0)

    assert latitude.size == 6 * 20
    assert (latitude > -90).all()
    points = gpd.GeoSeries.from_xy(longitude, latitude, crs="EPSG:4326").to_crs("EPSG:3031")
    outline = shapely.boundary(shapely.box(0, 1e6, 2e5, 1.1e6))
    assert (points.distance(outline) < 1e-3).all()


def test_labels_are_rows_and_cover_the_true_cells():
    """Oracle: ask shapely about every cell centre."""
    triangle = shapely.Polygon([(0, 1e6), (1e5, 1e6), (0, 1.2e6)])
    square_ = shapely.box(-1e5, 1e6, 0, 1.05e6)

    x, y, labels = boundaries.rasterise(polar(triangle, square_), spacing_m=2_000.0)

    centres = shapely.points(*np.meshgrid(x, y))
    expected = np.where(shapely.contains(square_, centres), 1, -1)
    expected = np.where(shapely.contains(triangle, centres), 0, expected)
    assert labels.dtype == np.int16
    assert labels.shape == (y.size, x.size)
    assert (labels != expected).sum() <= 2
    assert np.all(np.diff(y) > 0)
    assert x[0] % 2_000 == 1_000


REAL = {
    "zwally": "basins/zwally2012_grounded_27basins_simpl400m_epsg3031.gpkg",
    "measures": "basins/measures_imbie_basins_v02/Basins_IMBIE_Antarctica_v02.shp",
    "imbie": "basins/imbie2_rignot2016_v1.6/ANT_Basins_IMBIE2_v1.6.shp",
    "coast": "basins/measures_coastline_v02/Coastline_Antarctica_v02.shp",
}


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "count", "area"),
    [("zwally", 27, 12.160e6), ("measures", 19, 12.356e6), ("coast", 1, 13.919e6)],
)
def test_real_areas_are_the_published_ones(data_root: Path, name: str, count: int, area: float):
    path = data_root / REAL[name]

    table = read_regions(parts_of(path), name=path.name)

    assert len(table) == count
    assert table["area_km2"].sum() == pytest.approx(area, rel=1e-4)


@pytest.mark.realdata
def test_zwally_areas_and_groups_agree_with_the_file(data_root: Path):
    path = data_root / REAL["zwally"]
    table = read_regions(parts_of(path), name=path.name)

    told = gpd.read_file(path)["area_km2_simplified"].to_numpy()

    np.testing.assert_allclose(table["area_km2"].to_numpy(), told, rtol=5e-6)
    groups = table.set_index("region")["group"]
    assert (
        groups[["1", "22", "2", "17", "24", "27"]].tolist()
        == ["WAIS"] * 2 + ["EAIS"] * 2 + ["AP"] * 2
    )


@pytest.mark.realdata
def test_measures_groups_have_the_published_areas(data_root: Path):
    path = data_root / REAL["measures"]
    table = read_regions(parts_of(path), name=path.name)

    million = table.groupby("group")["area_km2"].sum() / 1e6

    expected = {"EAIS": 9.820, "WAIS": 2.114, "AP": 0.280, "Islands": 0.142}
    assert million.round(3).to_dict() == expected


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["zwally", "measures", "imbie"])
def test_no_real_divide_passes_for_coast(data_root: Path, name: str):
    """Simplified neighbours leave 521 slivers in the Zwally union; none may stay."""
    path = data_root / REAL[name]
    table = read_regions(parts_of(path), name=path.name)

    merged = boundaries.union(table)

    assert sum(len(part.interiors) for part in shapely.get_parts(merged)) == 0
    latitude, _ = boundaries.boundary_points(table, spacing_m=20_000.0)
    assert latitude.min() > -86.0
