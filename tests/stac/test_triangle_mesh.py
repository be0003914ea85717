"""Fields on triangles lie on a grid as they lay on the mesh."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import LinearNDInterpolator, RegularGridInterpolator
from scipy.spatial import Delaunay

from stac import triangle_mesh
from stac.catalogue import open_catalogue
from stac.contracts import CONTRACTS, open_item
from stac.field_units import FieldFormatError
from stac.gates import read_gates
from stac.ingest import ingest
from stac.triangle_mesh import Mesh, grid_spacing, rasterise
from tests.stac.test_boundaries import parts_of

DENSITY = 917.0


def scattered(n: int, seed: int = 0) -> Mesh:
    """Return a Delaunay mesh of a square of 100 km, its corners among the nodes."""
    points = np.random.default_rng(seed).uniform(0.0, 1e5, (n, 2))
    points = np.vstack([points, [[0, 0], [0, 1e5], [1e5, 0], [1e5, 1e5]]])
    points += [-1.6e6, -3.0e5]
    return Mesh(*points.T, Delaunay(points).simplices.astype(np.int64))


def write_mesh(path: Path, mesh: Mesh, **changed: object) -> Path:
    """Write the arrays of the Pine Island mesh, big-endian coordinates and all."""
    n = mesh.x.size
    arrays = {
        "x": mesh.x.astype(">f8"), "y": mesh.y.astype(">f8"),
        "tri": mesh.triangles.astype(np.int32), "vx": np.full(n, 300.0), "vy": np.full(n, -400.0),
        "thickness": np.full(n, 1000.0), "surface": np.full(n, 200.0), "bed": np.full(n, -800.0),
    } | changed  # fmt: skip
    np.savez_compressed(path, **{k: v for k, v in arrays.items() if v is not None})
    return path


def test_the_raster_is_scipys_interpolation():
    """Qhull finds the triangles there, bounding boxes here; linear in each, NaN outside both."""
    mesh = scattered(300)
    values = np.random.default_rng(1).normal(size=mesh.x.size)
    raster = rasterise(mesh, spacing_m=1000.0)
    simplices = Delaunay(np.column_stack([mesh.x, mesh.y]))
    oracle = LinearNDInterpolator(simplices, values)(*np.meshgrid(raster.axes.x, raster.axes.y))

    made = raster.field(values)

    np.testing.assert_array_equal(np.isnan(made), np.isnan(oracle))
    np.testing.assert_allclose(made, oracle, atol=1e-9)


METRES = st.floats(-5e4, 5e4).map(lambda metres: round(metres, 3))
"""Corners to a millimetre: shapely divides by the square of an edge."""


@given(
    corners=st.lists(st.tuples(METRES, METRES), min_size=3, max_size=3),
    a=st.floats(-1, 1),
    b=st.floats(-1, 1),
)
def test_a_plane_stays_a_plane_in_any_triangle(corners: list, a: float, b: float):
    """Also in slivers; the cells inside are those that shapely finds."""
    x, y = np.array(corners).T
    shape = shapely.Polygon(corners)
    mesh = Mesh(x, y, np.array([[0, 1, 2]]))

    raster = rasterise(mesh, spacing_m=2500.0)

    made = raster.field(a * x + b * y)
    centres = np.meshgrid(raster.axes.x, raster.axes.y)
    inside = ~np.isnan(made)
    expected = a * centres[0] + b * centres[1]
    sure = shapely.distance(shapely.boundary(shape), shapely.points(*centres)) > 1e-3
    if shape.area > 1e4:
        np.testing.assert_allclose(made[inside], expected[inside], atol=1e-3)
        np.testing.assert_array_equal(inside[sure], shapely.contains_xy(shape, *centres)[sure])
        np.testing.assert_allclose(raster.weights.sum(axis=1), 1.0)


def test_the_order_of_nodes_and_triangles_does_not_matter():
    mesh = scattered(50)
    values = mesh.x**2 / 1e9
    turned = Mesh(mesh.x, mesh.y, mesh.triangles[::-1, [2, 0, 1]])
    mirrored = Mesh(mesh.x, mesh.y, mesh.triangles[:, ::-1])
    whole = rasterise(mesh, spacing_m=1000.0).field(values)
    for other in (turned, mirrored):
        np.testing.assert_allclose(rasterise(other, spacing_m=1000.0).field(values), whole)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch):
    mesh = scattered(50)
    whole = rasterise(mesh, spacing_m=1000.0)
    monkeypatch.setattr(triangle_mesh, "BLOCK", 7)
    pieces = rasterise(mesh, spacing_m=1000.0)
    np.testing.assert_array_equal(whole.cells, pieces.cells)
    np.testing.assert_array_equal(whole.weights, pieces.weights)


def test_triangles_without_area_hold_no_cell():
    mesh = scattered(20)
    flat = np.concatenate([mesh.triangles, [[0, 0, 1], [2, 2, 2]]])
    values = mesh.x / 1e3
    np.testing.assert_allclose(
        rasterise(Mesh(mesh.x, mesh.y, flat), spacing_m=2000.0).field(values),
        rasterise(mesh, spacing_m=2000.0).field(values),
    )


def test_a_hole_in_the_mesh_stays_nan():
    mesh = scattered(50)
    middle = mesh.triangles[17]
    holed = Mesh(mesh.x, mesh.y, np.delete(mesh.triangles, 17, axis=0))
    made = rasterise(holed, spacing_m=500.0).field(np.ones(mesh.x.size))
    full = rasterise(mesh, spacing_m=500.0).field(np.ones(mesh.x.size))
    area = 500.0**2 * (np.isnan(made) & ~np.isnan(full)).sum()
    x, y = mesh.x[middle], mesh.y[middle]
    assert area == pytest.approx(shapely.Polygon(np.column_stack([x, y])).area, rel=0.05)


def test_nodes_without_a_value_leave_their_triangles_without():
    mesh = scattered(50)
    values = np.ones(mesh.x.size)
    values[3] = np.nan
    made = rasterise(mesh, spacing_m=1000.0).field(values)
    full = rasterise(mesh, spacing_m=1000.0).field(np.ones(mesh.x.size))
    lost = 1e6 * (np.isnan(made) & ~np.isnan(full)).sum()
    around = mesh.triangles[(mesh.triangles == 3).any(axis=1)]
    shapes = [shapely.Polygon(np.column_stack([mesh.x[t], mesh.y[t]])) for t in around]
    assert lost == pytest.approx(shapely.union_all(shapes).area, rel=0.1)


def test_cells_are_a_quarter_of_the_median_edge_or_less():
    x, y = np.array([0.0, 2100.0, 0.0]), np.array([0.0, 0.0, 2100.0])
    assert grid_spacing(Mesh(x, y, np.array([[0, 1, 2]]))) == 500.0


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_mean_over_cells_is_that_over_triangles(seed: int):
    """Values of order 1; the midpoint rule errs at the kinks, by less than 2e-3 at 250 m."""
    mesh = scattered(40, seed)
    values = np.random.default_rng(seed).normal(size=mesh.x.size)
    x, y = mesh.x[mesh.triangles], mesh.y[mesh.triangles]
    area = 0.5 * np.abs(np.cross(
        np.stack([x[:, 1] - x[:, 0], y[:, 1] - y[:, 0], 0 * x[:, 0]], 1),
        np.stack([x[:, 2] - x[:, 0], y[:, 2] - y[:, 0], 0 * x[:, 0]], 1),
    )[:, 2])  # fmt: skip
    exact = (area * values[mesh.triangles].mean(axis=1)).sum() / area.sum()
    made = rasterise(mesh, spacing_m=250.0).field(values)
    assert np.nanmean(made) == pytest.approx(exact, abs=2e-3)


def test_an_archive_gives_velocity_and_thickness(tmp_path: Path):
    path = write_mesh(tmp_path / "pig_mesh.npz", scattered(300))
    catalogue = str(tmp_path / "c")
    for kind in ("velocity", "thickness"):
        (done,) = ingest(kind, [str(path)], catalogue=catalogue, collection=kind)
        assert done.state == "added", done.reason
        assert done.item_id == "pig_mesh"
    (velocity,) = open_catalogue(catalogue).search("velocity")
    (thickness,) = open_catalogue(catalogue).search("thickness")

    v, h = open_item(velocity), open_item(thickness)

    inside = np.isfinite(h["thickness"].to_numpy())
    np.testing.assert_allclose(v["v_x"].to_numpy()[inside], 300.0)
    np.testing.assert_allclose(v["v_y"].to_numpy()[inside], -400.0)
    np.testing.assert_allclose(h["thickness"].to_numpy()[inside], 1000.0)
    np.testing.assert_array_equal(np.isnan(v["v_x"]), ~inside)
    np.testing.assert_allclose(h["bed"].to_numpy()[inside], -800.0)
    assert thickness.properties["nunatak:thickness_kind"] == "ice_equivalent"
    assert velocity.properties["nunatak:velocity_frame"] == "unknown"
    assert velocity.properties["nunatak:spacing_m"] == 1000.0


def test_a_folder_of_meshes_is_looked_through(tmp_path: Path):
    (tmp_path / "in").mkdir()
    write_mesh(tmp_path / "in" / "a.npz", scattered(30))
    found = ingest("velocity", [str(tmp_path / "in")], catalogue=str(tmp_path), collection="v")
    assert [each.state for each in found] == ["added"]


MESH = scattered(20)
N = MESH.x.size


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"tri": None}, "expected 'tri' among them"),
        ({"tri": MESH.triangles + 1}, "subtract 1 from nodes that are counted from 1"),
        ({"tri": MESH.triangles[:, :2]}, r"expected whole numbers of shape \(triangle, 3\)"),
        ({"tri": MESH.triangles.astype(float)}, "type float64"),
        ({"x": MESH.x[:-1]}, "triangles join nodes"),
        ({"x": MESH.x * 1e3}, "within 4.6e.06 m; project them first"),
        ({"x": np.full(N, np.nan)}, "finite x and y"),
        ({"vx": np.ones(3)}, "expected one for each of"),
        ({"vx": np.full(N, np.nan)}, "0 finite values"),
        ({"vx": np.full(N, "a")}, "expected numbers"),
        ({"vx": np.full(N, 1e-5), "vy": np.full(N, 1e-5)}, r"1 m s-1 is 31557600 m yr-1"),
        ({"vx": np.array([None] * N)}, "cannot be read as an archive"),
    ],
)
def test_a_damaged_mesh_is_refused(tmp_path: Path, changed: dict, message: str):
    path = write_mesh(tmp_path / "m.npz", MESH, **changed)
    with pytest.raises(FieldFormatError, match=message):
        triangle_mesh.read_mesh_velocity(path.read_bytes(), name=path.name)


@pytest.mark.parametrize(
    ("thickness", "message"),
    [(-9999.0, "such as -9999"), (1.0, "looks like km"), (9999.0, "outside 0 to 6000 m")],
)
def test_a_thickness_of_fillers_is_refused(tmp_path: Path, thickness: float, message: str):
    path = write_mesh(tmp_path / "m.npz", MESH, thickness=np.full(N, thickness))
    with pytest.raises(FieldFormatError, match=message):
        triangle_mesh.read_mesh_thickness(path.read_bytes(), name=path.name)


def test_an_archive_of_something_else_is_refused():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("readme.txt", "nothing")
    for data in (packed.getvalue(), packed.getvalue()[:20]):
        with pytest.raises(FieldFormatError, match=r"m.npz (cannot be read|holds)"):
            triangle_mesh.read_mesh_velocity(data, name="m.npz")


def test_an_archive_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(triangle_mesh, "LARGEST_FIELDS", 1000)
    path = write_mesh(tmp_path / "m.npz", MESH)
    with pytest.raises(FieldFormatError, match=r"unpacks to .* B, expected at most 1000"):
        triangle_mesh.read_mesh_velocity(path.read_bytes(), name=path.name)


def gate_flux(gate: shapely.LineString, v, h, *, with_scale_factor: bool) -> float:
    """Sum rho H (-v_x dy + v_y dx) / k over pieces of 50 m [Gt yr⁻¹]; NaN if a piece has no ice."""
    nodes = shapely.get_coordinates(shapely.segmentize(gate, 50.0))
    (dx, dy), (x, y) = np.diff(nodes, axis=0).T, 0.5 * (nodes[1:] + nodes[:-1]).T
    axes = (h["y"].to_numpy()[::-1], h["x"].to_numpy())
    thickness, v_x, v_y = (
        RegularGridInterpolator(axes, field.to_numpy()[::-1])(np.column_stack([y, x]))
        for field in (h["thickness"], v["v_x"], v["v_y"])
    )
    longitude, latitude = pyproj.Transformer.from_crs(3031, 4326, always_xy=True).transform(x, y)
    k = pyproj.Proj("EPSG:3031").get_factors(longitude, latitude).meridional_scale
    width = 1.0 / np.asarray(k) if with_scale_factor else np.ones(x.size)
    return float((DENSITY * thickness * (-v_x * dy + v_y * dx) * width).sum() * 1e-12)


@pytest.mark.realdata
def test_the_gates_of_pine_island_carry_what_is_expected_of_them(data_root: Path):
    """The figures of data/README.md: 47.7, 58.4, 63.3 and 55.6 Gt/yr, on the widths of the map.

    Integrated on the triangles themselves (no grid) they are 47.673, 58.351, 63.255 and 55.586, so
    the published figures leave out the scale factor; the grid of 500 m is within 0.05 of them
    (most at gate 2, which bends within cells). True widths give 1.1 % more: 48.2, 58.9, 64.0, 56.2.
    """
    optical = data_root / "optical"
    path = optical / "velocity_thickness/pig_issm/pig_mesh.npz"
    v = triangle_mesh.read_mesh_velocity(path.read_bytes(), name=path.name)
    h = triangle_mesh.read_mesh_thickness(path.read_bytes(), name=path.name)
    for kind, made in (("velocity", v), ("thickness", h)):
        CONTRACTS[kind].check_values(made)
    gates_file = optical / "gates/pig_massflux_gates_3031.geojson"
    gates = read_gates(parts_of(gates_file), name=gates_file.name)

    def carried(*, with_scale_factor: bool) -> np.ndarray:
        each = [gate_flux(g, v, h, with_scale_factor=with_scale_factor) for g in gates.geometry]
        return np.array([*map(abs, each[:3]), abs(sum(each[3:]))])

    on_the_map = carried(with_scale_factor=False)
    assert float(h["x"][1] - h["x"][0]) == 500.0
    np.testing.assert_allclose(on_the_map, [47.673, 58.351, 63.255, 55.586], atol=0.05)
    np.testing.assert_allclose(on_the_map, [47.7, 58.4, 63.3, 55.6], atol=0.1)
    np.testing.assert_allclose(carried(with_scale_factor=True) / on_the_map, 1.0108, atol=0.001)
