"""Published polygons of the ice sheet: basins, grounded ice, coastlines.

Every file becomes one table with a row per region in EPSG:3031 and the same five columns, whatever
its own columns are called. What had to be chosen or repaired is said in the table's ``attrs``.
"""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pyproj
import shapely
from numpy.typing import NDArray

from stac.grids import GEOGRAPHIC, POLAR, covering

SUFFIXES = (".gpkg", ".geojson", ".json", ".shp")
SHAPEFILE_PARTS = (".shp", ".shx", ".dbf", ".prj")
ID_COLUMNS = ("region", "id", "basin", "basin_id", "subregion", "subregions", "name")
GROUP_COLUMNS = ("group", "regions")
GROUPS = {"East": "EAIS", "West": "WAIS", "Peninsula": "AP"}
GROUNDED_TYPES = ("GR", "IS")
NORTHERNMOST = -50.0
DEGREE_STEP = 0.1
EDGE_M = 10_000.0
SLIVER_M = 1_000.0
SMALLEST_PART_M2 = 1.0
ELLIPSOID = "WGS84"


class BoundaryError(ValueError):
    """A file of polygons that cannot be used: what was found, what was expected."""


@dataclass(frozen=True)
class _Named:
    """The three text columns of the table, and remarks on how they were chosen."""

    region: list[str]
    name: list[str]
    group: list[str]


def read_regions(parts: Mapping[str, bytes], *, name: str) -> gpd.GeoDataFrame:
    """Read polygons from a GeoPackage, GeoJSON file or shapefile.

    Parameters
    ----------
    parts : mapping of str to bytes
        Suffix and bytes of each file: one, or the four of a shapefile (and ``.cpg``).
    name : str
        File name, for messages; it names the region of a file that has but one.

    Returns
    -------
    GeoDataFrame
        Columns ``region`` (id as text), ``name``, ``group``, ``area_km2`` (geodesic on WGS84),
        ``geometry`` (EPSG:3031); ``attrs["remarks"]`` tells what was chosen or repaired.

    Raises
    ------
    BoundaryError
        If there is no polygon, no coordinate system, an id is missing or comes twice, or a region
        lies north of 50° S.
    """
    raw = read_shapes(parts, name)
    grounded, remarks = _grounded_only(raw)
    require_polygons(grounded, name)
    require_antarctic(grounded, name)
    geometry, changed = repaired(projected(grounded))
    named = _columns(grounded, Path(name).stem, name)
    broken = [region for region, bad in zip(named.region, changed, strict=True) if bad]
    if broken:
        remarks.append(f"rings that crossed themselves repaired in: {', '.join(broken)}")
    table = gpd.GeoDataFrame(
        {
            "region": named.region,
            "name": named.name,
            "group": named.group,
            "area_km2": [geodesic_area_km2(shape) for shape in geometry],
        },
        geometry=geometry,
        crs=POLAR,
    )
    table.attrs["remarks"] = remarks
    return table


def read_shapes(
    parts: Mapping[str, bytes], name: str, *, shape: str = "polygon"
) -> gpd.GeoDataFrame:
    """Read the rows of a GeoPackage, GeoJSON file or shapefile as they are.

    Parameters
    ----------
    parts : mapping of str to bytes
        Suffix and bytes of each file.
    name : str
        File name, for messages.
    shape : str
        What the file should hold, for messages.

    Returns
    -------
    GeoDataFrame
        In the file's own coordinates; shapes of too few points are None.

    Raises
    ------
    BoundaryError
        Not such a file, damaged, empty, or without a coordinate system.
    """
    suffix = next((s for s in SUFFIXES if s in parts), None)
    if suffix is None:
        msg = f"{name} is no file of {shape}s; expected one of {', '.join(SUFFIXES)}"
        raise BoundaryError(msg)
    absent = [part for part in SHAPEFILE_PARTS if suffix == ".shp" and part not in parts]
    if absent:
        msg = f"{name} comes without {', '.join(absent)}; put all parts of the shapefile beside it"
        raise BoundaryError(msg)
    with tempfile.TemporaryDirectory() as folder:
        for part, data in parts.items():
            Path(folder, f"polygons{part}").write_bytes(data)
        try:
            table = gpd.read_file(Path(folder, f"polygons{suffix}"), on_invalid="ignore")
        except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, ValueError) as error:
            reason = str(error).replace(folder, "").split(";")[0]
            msg = f"{name} cannot be read ({reason}); is it whole? expected {' '.join(SUFFIXES)}"
            raise BoundaryError(msg) from error
    if not isinstance(table, gpd.GeoDataFrame) or table.empty:
        msg = f"{name} holds no geometry; expected one {shape} at least"
        raise BoundaryError(msg)
    if table.crs is None:
        msg = (
            f"{name} does not say its coordinate system; add it (a .prj file, or a crs in the file)"
        )
        raise BoundaryError(msg)
    return table


def _grounded_only(table: gpd.GeoDataFrame) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Keep grounded ice where a column TYPE tells it apart (MEaSUREs): GR and islands, not FL."""
    if "TYPE" not in table.columns or not set(table["TYPE"].dropna()) & {*GROUNDED_TYPES, "FL"}:
        return table, []
    kept = table[table["TYPE"].isin(GROUNDED_TYPES)].reset_index(drop=True)
    remark = (
        f"{len(kept)} of {len(table)} polygons kept: TYPE GR (grounded) and IS (islands); "
        "floating ice (FL) left out"
    )
    return kept, [remark]


def require_polygons(table: gpd.GeoDataFrame, name: str) -> None:
    """Refuse rows without a geometry, and geometries that are not areas."""
    empty = table.geometry.isna() | table.geometry.is_empty
    if empty.any():
        msg = f"{name}: rows {table.index[empty].tolist()} have no geometry; remove or fill them"
        raise BoundaryError(msg)
    found = sorted(set(table.geom_type))
    if not found or not set(found) <= {"Polygon", "MultiPolygon"}:
        msg = f"{name} holds {', '.join(found) or 'nothing'}, expected polygons; close its lines"
        raise BoundaryError(msg)


def require_antarctic(table: gpd.GeoDataFrame, name: str) -> None:
    """Refuse shapes that reach north of 50° S."""
    to_geographic = pyproj.Transformer.from_crs(table.crs, GEOGRAPHIC, always_xy=True)
    points = shapely.get_coordinates(table.geometry.to_numpy())
    latitude = np.asarray(to_geographic.transform(points[:, 0], points[:, 1])[1])
    if not np.isfinite(latitude).all() or latitude.max() > NORTHERNMOST:
        msg = (
            f"{name} reaches latitude {latitude.max():.2f}° ({table.crs.to_string()[:40]}), "
            f"expected regions south of {-NORTHERNMOST:.0f}° S; check the file and its coordinates"
        )
        raise BoundaryError(msg)


def projected(table: gpd.GeoDataFrame) -> NDArray[np.object_]:
    """Return geometries in EPSG:3031; edges along parallels, curves there, are cut up first."""
    if table.crs.is_geographic:
        table = table.set_geometry(table.geometry.segmentize(DEGREE_STEP))
    return np.asarray(table.to_crs(POLAR).geometry.to_numpy())


def repaired(geometry: NDArray[np.object_]) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """Return valid polygons, and which rows had to be changed."""
    broken = ~shapely.is_valid(geometry)
    whole = geometry.copy()
    whole[broken] = shapely.make_valid(geometry[broken], method="structure", keep_collapsed=False)
    return shapely.force_2d(whole), broken


def _columns(table: gpd.GeoDataFrame, stem: str, name: str) -> _Named:
    lower = {str(column).lower(): column for column in table.columns}
    group = next((lower[c] for c in GROUP_COLUMNS if c in lower), None)
    ids = next((lower[c] for c in ID_COLUMNS if c in lower and table[lower[c]].notna().any()), None)
    if ids is None and len(table) > 1:
        msg = f"{name} has columns {sorted(lower)}; expected one of {', '.join(ID_COLUMNS)} as id"
        raise BoundaryError(msg)
    groups = texts(table[group]) if group is not None else [""] * len(table)
    region = [stem] if ids is None else texts(table[ids])
    region = [own or fallback for own, fallback in zip(region, groups, strict=True)]
    _require_unique(region, name)
    names = texts(table[lower["name"]]) if "name" in lower else region
    return _Named(
        region=region,
        name=[own or fallback for own, fallback in zip(names, region, strict=True)],
        group=[GROUPS.get(word, word) for word in groups] if group else _zwally_groups(region),
    )


def texts(column: Iterable[Any]) -> list[str]:
    """Return ids as text: 22, 22.0 and "22" are all "22"; nothing is ""."""
    return [
        "" if pd.isna(value)
        else str(int(value)) if isinstance(value, float) and value.is_integer()
        else str(value).strip()
        for value in column
    ]  # fmt: skip


def _require_unique(region: Sequence[str], name: str) -> None:
    if "" in region:
        msg = f"{name}: row {list(region).index('')} has no id; give every region one"
        raise BoundaryError(msg)
    twice = sorted({word for word in region if list(region).count(word) > 1})
    if twice:
        msg = f"{name}: ids {twice} come more than once; merge their polygons or rename them"
        raise BoundaryError(msg)


def _zwally_groups(region: Sequence[str]) -> list[str]:
    """Group the 27 basins of Zwally et al. (2012): AP 24-27, WAIS 1 and 18-23, EAIS 2-17."""
    if sorted(region) != sorted(str(number) for number in range(1, 28)):
        return [""] * len(region)
    numbers = [int(word) for word in region]
    return ["AP" if n >= 24 else "EAIS" if 2 <= n <= 17 else "WAIS" for n in numbers]


def geodesic_area_km2(shape: shapely.Geometry) -> float:
    """Area [km²] on the WGS84 ellipsoid of polygons in EPSG:3031.

    Geodesics between vertices at most 10 km apart (Karney 2013) stand for the straight edges of
    the projection; holes are subtracted ring by ring, so the pole may lie anywhere.
    """
    to_geographic = pyproj.Transformer.from_crs(POLAR, GEOGRAPHIC, always_xy=True)
    geod = pyproj.Geod(ellps=ELLIPSOID)

    def ring_area(ring: shapely.LinearRing) -> float:
        x, y = shapely.get_coordinates(shapely.segmentize(ring, EDGE_M)).T
        area, _ = geod.polygon_area_perimeter(*to_geographic.transform(x, y))
        return abs(float(area))

    total = sum(
        ring_area(polygon.exterior) - sum(ring_area(hole) for hole in polygon.interiors)
        for polygon in shapely.get_parts(shape)
    )
    return total / 1.0e6


def union(table: gpd.GeoDataFrame) -> shapely.Geometry:
    """Merge all regions into one shape in EPSG:3031.

    Neighbours that were simplified apart leave gaps along their common divides, and those would
    pass for coast. So holes narrower than 1 km on average (2 area / perimeter) are filled, and
    specks under 1 m² dropped; true holes and every island stay.
    """
    merged = shapely.union_all(table.geometry.to_numpy())
    polygons = [part for part in shapely.get_parts(merged) if part.area >= SMALLEST_PART_M2]
    return shapely.union_all([shapely.Polygon(p.exterior, _true_holes(p)) for p in polygons])


def _true_holes(polygon: shapely.Polygon) -> list[shapely.LinearRing]:
    return [
        ring
        for ring in polygon.interiors
        if 2.0 * shapely.Polygon(ring).area / ring.length >= SLIVER_M
    ]


def boundary_points(
    table: gpd.GeoDataFrame, *, spacing_m: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return points along the outline of all regions together, islands included.

    Parameters
    ----------
    table : GeoDataFrame
        Regions in EPSG:3031.
    spacing_m : float
        Longest distance between neighbours [m].

    Returns
    -------
    latitude, longitude : ndarray, shape (n,)
        Geodetic [°]; every vertex once.
    """
    outline = shapely.segmentize(shapely.boundary(union(table)), spacing_m)
    rings = shapely.get_parts(outline)
    points = np.concatenate([shapely.get_coordinates(ring)[:-1] for ring in rings])
    to_geographic = pyproj.Transformer.from_crs(POLAR, GEOGRAPHIC, always_xy=True)
    longitude, latitude = to_geographic.transform(points[:, 0], points[:, 1])
    return np.asarray(latitude), np.asarray(longitude)


def rasterise(
    table: gpd.GeoDataFrame, *, spacing_m: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int16]]:
    """Label the cells whose centres lie in each region.

    Parameters
    ----------
    table : GeoDataFrame
        Regions in EPSG:3031; row ``i`` becomes label ``i``.
    spacing_m : float
        Cell size [m]; cell edges are multiples of it.

    Returns
    -------
    x : ndarray, shape (nx,)
        Cell centres [m], increasing.
    y : ndarray, shape (ny,)
        Cell centres [m], increasing.
    labels : ndarray of int16, shape (ny, nx)
        Row of the region; -1 outside all. Where regions overlap the later one counts.
    """
    from affine import Affine
    from rasterio.features import rasterize

    west, south, east, north = (float(edge) for edge in table.total_bounds)
    grid = covering((west, south, east, north), spacing=spacing_m)
    labels = rasterize(
        zip(table.geometry, range(len(table)), strict=True),
        out_shape=(grid.ny, grid.nx),
        fill=-1,
        transform=Affine(spacing_m, 0.0, grid.west, 0.0, spacing_m, grid.south),
        dtype=np.int16,
    )
    return grid.x, grid.y, labels
