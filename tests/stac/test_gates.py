"""Gates drawn by anybody, in any format and coordinates, become one table of lines."""

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from stac.boundaries import BoundaryError
from stac.catalogue import open_catalogue
from stac.contracts import LINE_CONTRACTS, ContractError, open_gates, open_item, open_regions
from stac.gates import GateFileError, read_gates, true_length_km
from stac.ingest import ingest
from tests.stac.test_boundaries import parts_of

OPEN = shapely.LineString([(0.0, 1.0e6), (4.0e4, 1.0e6), (8.0e4, 1.02e6)])
SQUARE = shapely.box(2.0e5, 1.0e6, 3.0e5, 1.1e6)


def table_of(*shapes: shapely.Geometry, crs: str = "EPSG:3031", **columns: list[object]):
    return gpd.GeoDataFrame(columns, geometry=list(shapes), crs=crs)


def read_back(table: gpd.GeoDataFrame, path: Path) -> gpd.GeoDataFrame:
    table.to_file(path)
    return read(path)


def read(path: Path) -> gpd.GeoDataFrame:
    return LINE_CONTRACTS["gates"].check(read_gates(parts_of(path), name=path.name))


def geojson(path: Path, *geometries: dict[str, object], **properties: object) -> Path:
    """Write longitude and latitude, or whatever the numbers are, without naming a system."""
    features = [
        {"type": "Feature", "properties": {"gate": f"g{i}", **properties}, "geometry": geometry}
        for i, geometry in enumerate(geometries)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


@pytest.mark.parametrize("suffix", [".gpkg", ".shp", ".geojson"])
def test_every_format_gives_the_same_lines(tmp_path: Path, suffix: str):
    table = table_of(OPEN, SQUARE.exterior, gate=["outlet", "island"])

    made = read_back(table, tmp_path / f"gates{suffix}")

    assert list(made.columns) == ["gate", "name", "closed", "length_km", "geometry"]
    assert made["gate"].tolist() == ["outlet", "island"]
    assert made["closed"].tolist() == [False, True]
    np.testing.assert_allclose(
        shapely.get_coordinates(made.geometry.iloc[0]), shapely.get_coordinates(OPEN), atol=0.1
    )


def test_polygons_become_their_rings(tmp_path: Path):
    holed = SQUARE.difference(shapely.box(2.4e5, 1.04e6, 2.6e5, 1.06e6))
    both = shapely.MultiPolygon([shapely.box(0.0, 1.0e6, 1.0e5, 1.1e6), holed])
    table = table_of(SQUARE.exterior, holed, both, gate=["a", "b", "c"])
    polygons = table.set_geometry([SQUARE, holed, both])

    made = read_back(polygons, tmp_path / "p.gpkg")

    assert made["closed"].all()
    assert [len(shapely.get_parts(shape)) for shape in made.geometry] == [1, 2, 3]
    assert made.geometry.iloc[0].equals(SQUARE.exterior)
    assert set(made.geom_type) == {"LineString", "MultiLineString"}


def test_open_lines_keep_the_direction_in_which_they_were_drawn(tmp_path: Path):
    made = read_back(table_of(OPEN, OPEN.reverse(), gate=["a", "b"]), tmp_path / "d.gpkg")
    first, second = map(shapely.get_coordinates, made.geometry)
    np.testing.assert_array_equal(first, second[::-1])


def test_parts_that_meet_become_one_line_in_one_direction(tmp_path: Path):
    """Drawn piecewise, one piece backwards: its normals would point the other way."""
    pieces = shapely.MultiLineString([[(0, 1e6), (4e4, 1e6)], [(8e4, 1e6), (4e4, 1e6)]])

    made = read_back(table_of(pieces, gate=["a"]), tmp_path / "m.gpkg").geometry.item()

    steps = np.diff(shapely.get_coordinates(made)[:, 0])
    assert made.geom_type == "LineString"
    assert abs(np.sign(steps).sum()) == len(steps) == 2


def test_ends_that_differ_by_rounding_close_a_ring(tmp_path: Path):
    ring = shapely.get_coordinates(SQUARE.exterior).copy()
    ring[-1] += 1e-3

    made = read_back(table_of(shapely.LineString(ring), gate=["a"]), tmp_path / "r.gpkg")

    assert made["closed"].item()
    assert made.geometry.item().is_closed


def test_heights_and_repeated_nodes_go(tmp_path: Path):
    line = shapely.LineString([(0, 1e6, 50.0), (0, 1e6, 50.0), (4e4, 1e6, 70.0)])

    made = read_back(table_of(line, gate=["a"]), tmp_path / "z.gpkg").geometry.item()

    assert not made.has_z
    np.testing.assert_array_equal(shapely.get_coordinates(made), [[0, 1e6], [4e4, 1e6]])


def test_names_in_any_script_are_kept(tmp_path: Path):
    """The same accent may be written in two ways: they are one name."""
    names = ["Ùmîarnâp", "Jutulstraumen – nørd", "白瀬氷河"]
    decomposed = ["U\u0300mi\u0302arna\u0302p", *names[1:]]
    shapes = [shapely.transform(OPEN, lambda p, k=k: p + 1e5 * k) for k in range(3)]

    made = read_back(table_of(*shapes, id=[3, 1, 2], name=decomposed), tmp_path / "n.gpkg")

    assert made["name"].tolist() == names
    assert made["gate"].tolist() == ["3", "1", "2"]


@pytest.mark.parametrize("column", ["gate", "GATE", "name", "Name", "id"])
def test_ids_come_from_the_columns_that_people_use(tmp_path: Path, column: str):
    made = read_back(table_of(OPEN, SQUARE, **{column: ["p", "q"]}), tmp_path / "i.geojson")
    assert made["gate"].tolist() == ["p", "q"]


def test_gates_without_ids_are_numbered_and_told(tmp_path: Path):
    table = table_of(OPEN, SQUARE.exterior, role=["trunk", "island"], id=[None, None])

    made = read_back(table, tmp_path / "n.gpkg")

    assert made["gate"].tolist() == ["1", "2"]
    assert made.attrs["remarks"] == ["gates numbered 1 to 2: no column gate, id, name"]


def test_an_edge_along_a_parallel_is_bent_when_it_is_projected(tmp_path: Path):
    """Two nodes at 80° S, 60° of longitude apart: the chord would cut off 350 m in every 2.6 km."""
    line = {"type": "LineString", "coordinates": [[-30.0, -80.0], [30.0, -80.0]]}

    made = read(geojson(tmp_path / "p.geojson", line))

    x, y = shapely.get_coordinates(made.geometry.item()).T
    radius = np.hypot(*pyproj.Proj("EPSG:3031")(30.0, -80.0))
    np.testing.assert_allclose(np.hypot(x, y), radius, rtol=1e-9)
    parallel = 6378137.0 * np.cos(np.radians(80.0)) * np.pi / 3.0
    parallel /= np.sqrt(1.0 - 0.00669437999014 * np.sin(np.radians(80.0)) ** 2)
    assert made["length_km"].item() == pytest.approx(parallel / 1e3, rel=1e-5)


def test_a_straight_edge_of_another_projection_is_bent_too(tmp_path: Path):
    """UTM zone 21 S in km: the middle of the edge lands where PROJ puts it."""
    ends = np.array([[300.0, 1900.0], [700.0, 1950.0]])
    crs = pyproj.CRS.from_proj4("+proj=utm +zone=21 +south +datum=WGS84 +units=km")

    made = read_back(table_of(shapely.LineString(ends), crs=crs, gate=["a"]), tmp_path / "u.gpkg")

    to_polar = pyproj.Transformer.from_crs(crs, "EPSG:3031", always_xy=True)
    middle = shapely.Point(to_polar.transform(*ends.mean(axis=0)))
    assert made.geometry.item().distance(middle) < 0.05
    assert made.geometry.item().centroid.distance(middle) > 1.0


def test_a_line_across_the_antimeridian_takes_the_short_way(tmp_path: Path):
    line = {"type": "LineString", "coordinates": [[179.0, -75.0], [-179.0, -75.0]]}
    made = read(geojson(tmp_path / "d.geojson", line))
    assert made["length_km"].item() == pytest.approx(57.9, abs=0.1)


@pytest.mark.parametrize("seam", [[], [[180.0, -90.0], [-180.0, -90.0]]])
def test_a_ring_around_the_pole_closes_with_and_without_its_seam(tmp_path: Path, seam: list):
    """The seam along 180° to the pole and back is the map's, and no flux crosses it."""
    around = [[float(lon), -75.0] for lon in range(-180, 181, 5)]
    polygon = {"type": "Polygon", "coordinates": [[*around, *seam, around[0]]]}

    made = read(geojson(tmp_path / "c.geojson", polygon))

    assert made["closed"].item()
    assert shapely.Polygon(made.geometry.item()).contains(shapely.Point(0.0, 0.0))
    radius = np.cos(np.radians(75.0)) / np.sqrt(1 - 0.00669437999014 * np.sin(np.radians(75)) ** 2)
    assert made["length_km"].item() == pytest.approx(2 * np.pi * 6378.137 * radius, rel=1e-5)


@given(
    x=st.floats(-2e6, 2e6),
    y=st.floats(-2e6, 2e6),
    dx=st.floats(-2e5, 2e5),
    dy=st.floats(-2e5, 2e5).filter(lambda d: abs(d) > 10.0),
    cut=st.floats(0.1, 0.9),
)
def test_lengths_add_up_and_know_no_direction(x: float, y: float, dx: float, dy: float, cut: float):
    """1e-6: edges are cut into whole numbers of pieces, other ones in each part."""
    ends = np.array([[x, y], [x + dx, y + dy]])
    middle = ends[0] + cut * (ends[1] - ends[0])
    whole = true_length_km(shapely.LineString(ends))
    parts = true_length_km(shapely.MultiLineString([[ends[0], middle], [middle, ends[1]]]))
    assert parts == pytest.approx(whole, rel=1e-6, abs=1e-8)
    assert true_length_km(shapely.LineString(ends[::-1])) == pytest.approx(whole, rel=1e-9)


CROSSED = shapely.LineString([(0, 1e6), (1e5, 1.1e6), (1e5, 1e6), (0, 1.1e6)])
TOUCHED = shapely.LineString([(0, 1e6), (1e5, 1e6), (5e4, 1.1e6), (5e4, 1e6)])
RETRACED = shapely.LineString([(0, 1e6), (1e5, 1e6), (5e4, 1e6)])
EIGHT = shapely.LineString(
    [(0, 1e6), (5e4, 1.05e6), (1e5, 1e6), (1e5, 1.1e6), (5e4, 1.05e6), (0, 1.1e6), (0, 1e6)]
)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (CROSSED, r"gate 'a' crosses or touches itself at x = 50000, y = 1050000 m \(-80.*split"),
        (TOUCHED, "touches itself at x = 50000, y = 1000000 m"),
        (RETRACED, "touches itself at x = "),
        (EIGHT, "touches itself at x = 50000, y = 1050000 m"),
        (
            shapely.LineString([(0, 1e6), (0, 1e6)]),
            "length zero at x = 0, y = 1000000 m.*two nodes",
        ),
        (shapely.LineString([(0, 1e6), (0.2, 1e6)]), "length zero"),
        (shapely.Point(0, 1e6), "is a Point, expected a line or a polygon; join its points"),
        (None, "has no geometry, or a single node"),
        (shapely.LineString([(0, 6e6), (1e4, 6e6)]), r"reaches latitude -3.*south of 50° S"),
        (
            shapely.MultiLineString([[(0, 1e6), (1e5, 1e6)], SQUARE.exterior.coords]),
            "has closed and open parts",
        ),
    ],
)
def test_what_is_no_gate_is_refused(tmp_path: Path, shape: shapely.Geometry, message: str):
    shapes, ids = [shape, OPEN], ["a", "b"]
    with pytest.raises(GateFileError, match=message):
        read_back(table_of(*shapes, gate=ids), tmp_path / "bad.geojson")


def test_a_line_of_one_node_is_refused(tmp_path: Path):
    one = {"type": "LineString", "coordinates": [[0.0, -75.0]]}
    two = {"type": "LineString", "coordinates": [[0.0, -75.0], [1.0, -75.0]]}
    with pytest.raises(GateFileError, match="gate 'g0' has no geometry, or a single node"):
        read(geojson(tmp_path / "one.geojson", one, two))


def test_metres_that_pass_for_degrees_are_refused(tmp_path: Path):
    """GeoJSON without a crs is longitude and latitude, whatever its numbers."""
    line = {"type": "LineString", "coordinates": [[-1.6e6, -3.3e5], [-1.5e6, -3.3e5]]}
    with pytest.raises(GateFileError, match=r"look like metres.*ogr2ogr -a_srs EPSG:3031"):
        read(geojson(tmp_path / "m.geojson", line))


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["a", "a"], r"\['a'\] come more than once in column 'gate'"),
        (["a", None], "row 1 has no gate"),
        (["é", "e\u0301"], "come more than once"),
    ],
)
def test_ids_that_tell_no_gates_apart_are_refused(tmp_path: Path, ids: list, message: str):
    with pytest.raises(GateFileError, match=message):
        read_back(table_of(OPEN, SQUARE.exterior, gate=ids), tmp_path / "i.gpkg")


def test_a_file_that_holds_no_shapes_is_refused():
    with pytest.raises(BoundaryError, match="is no file of lines"):
        read_gates({".kml": b"<kml/>"}, name="gates.kml")


def test_gates_become_an_item(tmp_path: Path):
    path = tmp_path / "two.shp"
    table_of(OPEN, SQUARE.exterior, gate=["a", "b"]).to_file(path)

    (done,) = ingest("gates", [str(path)], catalogue=str(tmp_path / "c"), collection="g")

    assert done.state == "added", done.reason
    (item,) = open_catalogue(str(tmp_path / "c")).search("g")
    gates = open_gates(item)
    assert gates["closed"].tolist() == [False, True]
    assert item.properties["nunatak:gates"] == 2
    assert item.properties["nunatak:length_km"] == pytest.approx(gates["length_km"].sum(), abs=1e-3)
    for other in (open_item, open_regions):
        with pytest.raises(ContractError, match="is of kind 'gates'"):
            other(item)


def test_a_table_of_gates_names_all_its_faults():
    contract = LINE_CONTRACTS["gates"]
    example = contract.check(contract.example())
    bad = example.set_crs("EPSG:3413", allow_override=True).assign(length_km=0.0, closed="no")
    with pytest.raises(ContractError, match=r"EPSG:3413.*'closed' has type.*not positive"):
        contract.check(bad)
    with pytest.raises(ContractError, match=r"columns \['gate'\] are missing"):
        contract.check(example.drop(columns="gate"))
    with pytest.raises(ContractError, match=r"\['1'\] come twice"):
        contract.check(gpd.GeoDataFrame(example.loc[[0, 0]]))
    with pytest.raises(ContractError, match="has no gate"):
        contract.check(example.iloc[:0])
    with pytest.raises(ContractError, match="expected lines"):
        contract.check(example.set_geometry([SQUARE], crs="EPSG:3031"))
    with pytest.raises(ContractError, match=r"gates \['1'\] cross themselves"):
        contract.check(example.set_geometry([CROSSED], crs="EPSG:3031"))


@pytest.mark.realdata
def test_the_gates_of_pine_island(data_root: Path):
    """13 open gates; at 75° S true lengths are 1 % longer than those on the map."""
    made = read(data_root / "optical/gates/pig_massflux_gates_3031.geojson")
    assert made["gate"].tolist() == [f"MassFlux{i}" for i in range(1, 14)]
    assert not made["closed"].any()
    ratio = made["length_km"] * 1e3 / made.geometry.length
    assert ratio.between(1.008, 1.015).all()


@pytest.mark.realdata
def test_the_gates_of_greenland_are_refused(data_root: Path):
    with pytest.raises(GateFileError, match=r"latitude 8.*EPSG:3413.*south of 50° S"):
        read(data_root / "optical/gates/greenland-flux-gates.gpkg")
