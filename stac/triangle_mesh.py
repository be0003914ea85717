"""Fields of an ice-flow model on a mesh of triangles, laid onto a square grid in EPSG:3031.

The mesh is an archive of NumPy arrays: ``x``, ``y`` (node) [m, EPSG:3031], ``tri`` (triangle, 3)
with the nodes of each triangle, and fields at the nodes: ``vx``, ``vy`` [m yr⁻¹], ``thickness``,
``surface``, ``bed`` [m]. Such an archive names neither units nor coordinates; values that cannot be
in these are refused. Models of this kind have ice of one density, so their thickness is that of ice
alone.
"""

import io
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from stac import gridded
from stac.field_units import FieldFormatError
from stac.grids import covering
from stac.netcdf import LARGEST_FIELDS, require_size
from stac.polar_axes import PolarAxes
from stac.thickness import require_plausible

FLOAT = NDArray[np.float64]
INDEX = NDArray[np.int64]
Reader = Callable[..., xr.Dataset]

MAGIC = b"PK\x03\x04"
SUFFIX = ".npz"
SPACINGS_M = (5000.0, 2500.0, 2000.0, 1000.0, 500.0, 250.0, 200.0, 100.0, 50.0)
"""Cell sizes to choose from."""
CELLS_PER_EDGE = 4.0
"""Least number of cells along the median edge."""
BLOCK = 2_000_000
"""Cells that are tried at once; each takes some 100 B."""
INSIDE = -1e-9
"""Barycentric weights above this are inside: nodes and edges belong to their triangles."""
FARTHEST_M = 4.6e6
"""Distance of 50° S from the pole on the map [m]."""
FASTEST = 50_000.0
SLOWEST_MAXIMUM = 1.0
"""Bounds of the largest speed on a map [m yr⁻¹]: nothing flows faster, and m s⁻¹ are slower."""
PRODUCT = "triangle-mesh"


@dataclass(frozen=True)
class Mesh:
    """Triangles between nodes.

    Attributes
    ----------
    x, y : ndarray, shape (node,)
        Nodes in EPSG:3031 [m].
    triangles : ndarray of int, shape (triangle, 3)
        Nodes of each triangle, from 0.
    """

    x: FLOAT
    y: FLOAT
    triangles: INDEX


@dataclass(frozen=True)
class Raster:
    """Where the centres of a grid's cells lie in the triangles of a mesh.

    Attributes
    ----------
    axes : PolarAxes
        The grid.
    cells : ndarray of int, shape (n,)
        Cells inside the mesh, counted along rows from the top left.
    nodes : ndarray of int, shape (n, 3)
        Nodes of the triangle around each.
    weights : ndarray, shape (n, 3)
        Barycentric weights; they sum to 1.
    """

    axes: PolarAxes
    cells: INDEX
    nodes: INDEX
    weights: FLOAT

    def field(self, values: FLOAT) -> FLOAT:
        """Interpolate values at the nodes, shape (node,), to shape (y, x); NaN outside."""
        made = np.full((self.axes.y.size, self.axes.x.size), np.nan)
        made.reshape(-1)[self.cells] = (values[self.nodes] * self.weights).sum(axis=1)
        return made


def is_mesh(data: bytes) -> bool:
    """Say whether bytes begin as an archive of NumPy arrays does."""
    return data.startswith(MAGIC)


def or_mesh(read_file: Reader, read_mesh: Reader) -> Reader:
    """Return a reader of a kind that comes as files of a grid and as meshes."""

    def read(data: bytes, *, name: str) -> xr.Dataset:
        return (read_mesh if is_mesh(data) else read_file)(data, name=name)

    return read


def read_mesh_velocity(data: bytes, *, name: str) -> xr.Dataset:
    """Read the velocity of a mesh.

    Parameters
    ----------
    data : bytes
        Archive of NumPy arrays (``.npz``).
    name : str
        File name, for messages.

    Returns
    -------
    xarray.Dataset
        ``v_x``, ``v_y`` (y, x) [m yr⁻¹], linear within triangles, NaN outside the mesh; attributes
        of a velocity, ``unknown`` where an archive does not tell.

    Raises
    ------
    FieldFormatError
        Arrays that are missing or damaged, triangles of nodes that are not there, coordinates or
        speeds that cannot be in m and m yr⁻¹.
    """
    arrays = _arrays(data, name)
    mesh = _mesh(arrays, name)
    v_x, v_y = (_at_nodes(arrays, key, mesh, name) for key in ("vx", "vy"))
    fastest = float(np.nanmax(np.hypot(v_x, v_y)))
    if not SLOWEST_MAXIMUM <= fastest <= FASTEST:
        msg = (
            f"{name}: the fastest node moves {fastest:.3g}, expected {SLOWEST_MAXIMUM:g} to "
            f"{FASTEST:g} m yr-1; convert 'vx' and 'vy' (1 m s-1 is 31557600 m yr-1)"
        )
        raise FieldFormatError(msg)
    unknown = dict.fromkeys(("velocity_frame", "year_definition"), "unknown")
    told = {"doi": "", **unknown, "sigma_kind": "none"}
    return _gridded(mesh, {"v_x": v_x, "v_y": v_y}, "m yr-1", told, name)


def read_mesh_thickness(data: bytes, *, name: str) -> xr.Dataset:
    """Read the shape of the ice on a mesh.

    Returns
    -------
    xarray.Dataset
        ``thickness`` and, where the archive has them, ``surface`` and ``bed`` (y, x) [m], linear
        within triangles, NaN outside the mesh; ``thickness_kind`` is ``ice_equivalent``.

    Raises
    ------
    FieldFormatError
        As `read_mesh_velocity`; also for thickness that is negative or beyond 6 km.
    """
    arrays = _arrays(data, name)
    mesh = _mesh(arrays, name)
    present = ["thickness", *(key for key in ("surface", "bed") if key in arrays)]
    fields = {key: _at_nodes(arrays, key, mesh, name) for key in present}
    require_plausible(fields["thickness"], f"{name}: thickness")
    told = {"thickness_kind": "ice_equivalent", "firn_air": "removed"}
    return _gridded(mesh, fields, "m", told, name)


def rasterise(mesh: Mesh, *, spacing_m: float) -> Raster:
    """Find the triangle around the centre of every cell.

    Each triangle tries the cells of its bounding box, many triangles at once, a block of cells at
    a time. A centre P in the triangle ABC has the weights (Möbius 1827)::

        w_A = |PBC| / |ABC|,  w_B = |APC| / |ABC|,  w_C = 1 - w_A - w_B

    Parameters
    ----------
    mesh : Mesh
        Triangles; those without area hold no cell.
    spacing_m : float
        Cell size; cell edges are multiples of it [m].

    Returns
    -------
    Raster
        For `Raster.field`.
    """
    x, y = mesh.x[mesh.triangles], mesh.y[mesh.triangles]
    bounds = (float(x.min()), float(y.min()), float(x.max()), float(y.max()))
    grid = covering(bounds, spacing=spacing_m)
    require_size((grid.ny, grid.nx), what="the grid of the mesh")
    axes = PolarAxes(grid.x, grid.y[::-1].copy(), (False, False))
    # Corners in columns and rows of the grid: cell centres are whole numbers, rows count downwards.
    corners = (x - axes.x[0]) / spacing_m, (axes.y[0] - y) / spacing_m
    found = list(_inside(*corners))
    triangle, column, row = (np.concatenate([each[i] for each in found]) for i in range(3))
    weights = np.concatenate([each[3] for each in found])
    return Raster(axes, row * grid.nx + column, mesh.triangles[triangle], weights)


def _inside(column: FLOAT, row: FLOAT) -> Iterator[tuple[INDEX, INDEX, INDEX, FLOAT]]:
    """Yield triangle, column, row and weights of the centres inside, block by block.

    Corners of the triangles have shape (triangle, 3).
    """
    first = np.stack([np.ceil(axis.min(axis=1)) for axis in (column, row)]).astype(np.int64)
    last = np.stack([np.floor(axis.max(axis=1)) for axis in (column, row)]).astype(np.int64)
    width, height = np.maximum(last - first + 1, 0)
    for part in _blocks(width * height):
        triangle = np.repeat(np.arange(part.start, part.stop), (width * height)[part])
        within = np.arange(triangle.size) - np.repeat(_starts((width * height)[part]),
                                                      (width * height)[part])  # fmt: skip
        columns = first[0, triangle] + within % width[triangle]
        rows = first[1, triangle] + within // width[triangle]
        weights = _weights(column[triangle], row[triangle], columns, rows)
        inside = (weights >= INSIDE).all(axis=1)
        yield triangle[inside], columns[inside], rows[inside], weights[inside]


def _blocks(counts: INDEX) -> Iterator[slice]:
    """Yield runs of triangles that try at most `BLOCK` cells together, one triangle at least."""
    ends = np.cumsum(counts)
    start = 0
    while start < counts.size:
        before = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, before + BLOCK, side="right")), start + 1)
        yield slice(start, stop)
        start = stop


def _starts(counts: INDEX) -> INDEX:
    return np.cumsum(counts) - counts


def _weights(x: FLOAT, y: FLOAT, at_x: INDEX, at_y: INDEX) -> FLOAT:
    """Return barycentric weights, shape (n, 3), of points in triangles x, y, shape (n, 3).

    Those of triangles without area are not finite, so nothing is inside.
    """
    u_x, u_y = x[:, 0] - x[:, 2], y[:, 0] - y[:, 2]
    v_x, v_y = x[:, 1] - x[:, 2], y[:, 1] - y[:, 2]
    p_x, p_y = at_x - x[:, 2], at_y - y[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        first = (p_x * v_y - p_y * v_x) / (u_x * v_y - u_y * v_x)
        second = (u_x * p_y - u_y * p_x) / (u_x * v_y - u_y * v_x)
        return np.stack([first, second, 1.0 - first - second], axis=1)


def grid_spacing(mesh: Mesh) -> float:
    """Return the largest of `SPACINGS_M` that cuts the median edge into `CELLS_PER_EDGE` [m]."""
    x, y = mesh.x[mesh.triangles], mesh.y[mesh.triangles]
    edges = np.hypot(x - np.roll(x, 1, axis=1), y - np.roll(y, 1, axis=1))
    wanted = float(np.median(edges)) / CELLS_PER_EDGE
    return next((each for each in SPACINGS_M if each <= wanted), SPACINGS_M[-1])


def _gridded(
    mesh: Mesh, fields: Mapping[str, FLOAT], unit: str, told: Mapping[str, str], name: str
) -> xr.Dataset:
    raster = rasterise(mesh, spacing_m=grid_spacing(mesh))
    if not raster.cells.size:
        msg = f"{name}: no triangle holds the centre of a cell; check 'x', 'y' and 'tri'"
        raise FieldFormatError(msg)
    placed = {key: (("y", "x"), raster.field(values), unit) for key, values in fields.items()}
    period = {"time_start": "", "time_end": "", "source_variable": ", ".join(fields)}
    return gridded.dataset(raster.axes, placed, {"product": PRODUCT, **told, **period})


def _arrays(data: bytes, name: str) -> dict[str, NDArray[np.generic]]:
    """Read all arrays of an archive; none may hold objects, which could run code."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(each.file_size for each in archive.infolist())
        if size > LARGEST_FIELDS:
            msg = f"{name} unpacks to {size} B, expected at most {LARGEST_FIELDS}; split it"
            raise FieldFormatError(msg)
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            return {key: np.asarray(archive[key]) for key in archive.files}
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, KeyError) as error:
        if isinstance(error, FieldFormatError):
            raise
        msg = f"{name} cannot be read as an archive of NumPy arrays ({error}); fetch it again"
        raise FieldFormatError(msg) from error


def _mesh(arrays: Mapping[str, NDArray[np.generic]], name: str) -> Mesh:
    x, y = (_numbers(arrays, key, name) for key in ("x", "y"))
    triangles = _array(arrays, "tri", name)
    if triangles.dtype.kind not in "iu" or triangles.ndim != 2 or triangles.shape[1] != 3:
        msg = (
            f"{name}: 'tri' has type {triangles.dtype} and shape {triangles.shape}, expected whole "
            "numbers of shape (triangle, 3)"
        )
        raise FieldFormatError(msg)
    nodes = triangles.astype(np.int64)
    if not nodes.size or nodes.min() < 0 or nodes.max() >= x.size or y.size != x.size:
        low, high = (nodes.min(), nodes.max()) if nodes.size else (0, 0)
        msg = (
            f"{name}: triangles join nodes {low} to {high} of {x.size} x and {y.size} y, expected "
            "0 to one less; subtract 1 from nodes that are counted from 1"
        )
        raise FieldFormatError(msg)
    if not np.isfinite([x, y]).all() or np.hypot(x, y).max() > FARTHEST_M:
        msg = (
            f"{name}: nodes lie up to {np.hypot(x, y).max():.3g} m from the pole, expected "
            f"finite x and y of EPSG:3031 within {FARTHEST_M:.3g} m; project them first"
        )
        raise FieldFormatError(msg)
    return Mesh(x, y, nodes)


def _at_nodes(arrays: Mapping[str, NDArray[np.generic]], key: str, mesh: Mesh, name: str) -> FLOAT:
    values = _numbers(arrays, key, name)
    if values.shape != mesh.x.shape or not np.isfinite(values).any():
        msg = (
            f"{name}: {key!r} has shape {values.shape} and {np.isfinite(values).sum()} finite "
            f"values, expected one for each of {mesh.x.size} nodes"
        )
        raise FieldFormatError(msg)
    return values


def _numbers(arrays: Mapping[str, NDArray[np.generic]], key: str, name: str) -> FLOAT:
    found = _array(arrays, key, name)
    if found.dtype.kind not in "iuf":
        msg = f"{name}: {key!r} has type {found.dtype}, expected numbers"
        raise FieldFormatError(msg)
    return found.astype(np.float64).squeeze()


def _array(arrays: Mapping[str, NDArray[np.generic]], key: str, name: str) -> NDArray[np.generic]:
    if key not in arrays:
        msg = (
            f"{name} holds {', '.join(sorted(arrays)) or 'nothing'}, expected {key!r} among them; "
            "a mesh has 'x', 'y', 'tri' and fields at its nodes"
        )
        raise FieldFormatError(msg)
    return arrays[key]
