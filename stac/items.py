"""STAC items of converted sources: where and when, checksums, and how they were made."""

import importlib.metadata
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

import geopandas as gpd
import numpy as np
import pystac
import shapely
import xarray as xr
from numpy.typing import NDArray

from stac import grids
from stac.queries import rfc3339
from stac.stores import Stored

FILE_EXTENSION = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
PROCESSING_EXTENSION = "https://stac-extensions.github.io/processing/v1.2.0/schema.json"
PROJECTION_EXTENSION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
EXTENSIONS = (FILE_EXTENSION, PROCESSING_EXTENSION, PROJECTION_EXTENSION)
SHA256_MULTIHASH = "1220"
REFERENCED = "nunatak:referenced"
"""True on an item whose files are another's and stay where they are, also outside the catalogue."""
JSON_MEDIA = "application/json"
# Love numbers and outlines have no date; a span that every period overlaps stands for "always".
ALWAYS = (datetime(1900, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
SECOND = timedelta(seconds=1)
TRACK_M = 10_000.0
"""How far points may lie from the line that stands for their track [m]."""
MOST_CORNERS = 1000
CONTINENT_M = 3.0e6
"""Map radius around the pole that holds the ice sheet [m]."""
KNOWN_SUFFIXES = frozenset(
    {
        ".gz",
        ".txt",
        ".gfc",
        ".gpkg",
        ".geojson",
        ".json",
        ".shp",
        ".nc",
        ".csv",
        ".dat",
        ".tar",
        ".nc4",
        ".npz",
        ".cdf",
        ".h5",
        ".tif",
        ".tiff",
        ".safetensors",
        ".png",
        ".jpg",
        ".jpeg",
    }
)
WRITERS = ("nunatak", "numpy", "xarray", "zarr")
FIELD_WRITERS = (*WRITERS, "netCDF4", "pyproj", "rasterio")
FORMS = {".parquet": "GeoParquet", ".safetensors": "it came"}
POLYGON_WRITERS = ("nunatak", "geopandas", "pyarrow", "pyproj", "shapely")


@dataclass(frozen=True)
class Source:
    """A file as it came: its name, its size [bytes] and the SHA-256 of its bytes in hex."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Coverage:
    """Where and when data hold, and what is worth searching for.

    `start` and `end` are instants in UTC, both inclusive; `geometry` is GeoJSON in longitude and
    latitude that keeps to one side of 180°.
    """

    geometry: Mapping[str, Any]
    start: datetime
    end: datetime
    code: str
    properties: Mapping[str, Any] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def multihash(sha256: str) -> str:
    """Return a SHA-256 in hex as the multihash that ``file:checksum`` wants."""
    return SHA256_MULTIHASH + sha256


def item_id(name: str) -> str:
    """Return the item id of a source: its file name without known suffixes and odd characters.

    >>> item_id("GSM-2_2011032-2011059_GRAC_UTCSR_BB01_0600.gz")
    'GSM-2_2011032-2011059_GRAC_UTCSR_BB01_0600'
    """
    stem = PurePosixPath(name)
    while stem.suffix.lower() in KNOWN_SUFFIXES:
        stem = stem.with_suffix("")
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", stem.name).strip(".-") or "unnamed"


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Return the installed versions of distributions, for ``processing:software``."""
    return {name: importlib.metadata.version(name) for name in packages}


def field_coverage(dataset: xr.Dataset) -> Coverage:
    """Cover the globe for the time span that a dataset of coefficients tells.

    Its scalar attributes become properties ``nunatak:NAME``, so a search can ask for them.
    """
    return Coverage(grids.whole_globe(), *_span(dataset), grids.GEOCENTRIC, _searchable(dataset))


def array_coverage(dataset: xr.Dataset) -> Coverage:
    """Cover the track, the grid or the globe that a dataset is about."""
    if "point" in dataset.dims:
        return track_coverage(dataset)
    if {"y", "x"} <= set(dataset.dims):
        return grid_coverage(dataset)
    if {"cell", "region"} & set(dataset.dims):
        return cell_coverage(dataset)
    return field_coverage(dataset)


def grid_coverage(dataset: xr.Dataset) -> Coverage:
    """Cover the box of EPSG:3031 around all cells that hold a value, or the grid if none does.

    Shape, affine transform and bounds of the whole grid are told as the projection extension has
    them, and how many members there are.
    """
    x, y = dataset["x"].to_numpy(), dataset["y"].to_numpy()
    half = float(x[1] - x[0]) / 2.0
    bounds = (x[0] - half, y[-1] - half, x[-1] + half, y[0] + half)
    held = _holds_values(dataset)
    rows, columns = (np.flatnonzero(held.any(axis=axis)) for axis in (1, 0))
    box = shapely.box(*bounds)
    if rows.size:
        west, east = x[columns[[0, -1]]]
        north, south = y[rows[[0, -1]]]
        box = shapely.box(west - half, south - half, east + half, north + half)
    properties = {
        "proj:shape": [int(y.size), int(x.size)],
        "proj:transform": [2.0 * half, 0.0, float(bounds[0]), 0.0, -2.0 * half, float(bounds[3])],
        "proj:bbox": [float(edge) for edge in bounds],
        "nunatak:spacing_m": 2.0 * half,
        "nunatak:covered_share": round(float(held.mean()), 6),
        **_searchable(dataset),
    }
    if "member" in dataset.sizes:
        properties["nunatak:members"] = int(dataset.sizes["member"])
    footprint = grids.footprint(box)
    return Coverage(footprint, *_span(dataset), grids.POLAR, properties)


def cell_coverage(dataset: xr.Dataset) -> Coverage:
    """Cover the hull of all cells of a model that hold a value, or what may be ice sheet."""
    properties = {name: int(dataset.sizes[dim]) for name, dim in
                  (("nunatak:months", "time"), ("nunatak:cells", "cell"),
                   ("nunatak:regions", "region")) if dim in dataset.sizes}  # fmt: skip
    hull = shapely.Point(0.0, 0.0).buffer(CONTINENT_M)
    if "cell" in dataset.dims:
        amounts = dataset["surface_mass_balance"].to_numpy()
        held = np.zeros(amounts.shape[1], dtype=bool)
        for month in amounts:
            held |= np.isfinite(month)
        held |= not held.any()
        corners = [dataset[name].to_numpy()[held].ravel() for name in ("corner_x", "corner_y")]
        hull = shapely.convex_hull(shapely.MultiPoint(np.column_stack(corners)))
    properties |= _searchable(dataset)
    return Coverage(grids.footprint(hull), *_span(dataset), grids.POLAR, properties)


def _holds_values(dataset: xr.Dataset) -> NDArray[np.bool_]:
    """Return which cells hold a value in any field but classes, shape (y, x)."""
    held = np.zeros((dataset.sizes["y"], dataset.sizes["x"]), dtype=bool)
    for array in dataset.data_vars.values():
        if array.dtype.kind != "f":
            continue
        values = array.to_numpy()
        for member in values.reshape(-1, *held.shape):
            held |= np.isfinite(member)
    return held


def track_coverage(dataset: xr.Dataset) -> Coverage:
    """Cover a corridor around the points of a track, for the span of their times."""
    order = np.argsort(dataset["time"].to_numpy(), kind="stable")
    points = np.column_stack([dataset[axis].to_numpy()[order] for axis in ("x", "y")])
    properties = {"nunatak:points": int(points.shape[0]), **_searchable(dataset)}
    footprint = grids.footprint(_corridor(points))
    return Coverage(footprint, *_span(dataset), grids.POLAR, properties)


def _corridor(points: NDArray[np.float64]) -> shapely.Geometry:
    """Return a polygon around points in order, shape (n, 2) [m]: the smaller of two that hold them.

    A line within `TRACK_M` of all points, widened by a little more than that; or their hull.
    """
    hull = shapely.convex_hull(shapely.MultiPoint(points)).buffer(TRACK_M / 10.0)
    line = shapely.LineString(points if len(points) > 1 else np.repeat(points, 2, axis=0))
    line = shapely.simplify(line, TRACK_M, preserve_topology=False)
    if shapely.get_num_coordinates(line) > MOST_CORNERS or line.is_empty:
        return hull
    corridor = shapely.buffer(line, 1.1 * TRACK_M)
    return corridor if corridor.area < hull.area else hull


def _searchable(dataset: xr.Dataset) -> dict[str, Any]:
    """Return scalar attributes as properties of an item."""
    return {
        f"nunatak:{name}": value.item() if isinstance(value, np.generic) else value
        for name, value in dataset.attrs.items()
        if isinstance(value, str | int | float | np.generic) and value != ""
    }


def region_coverage(table: gpd.GeoDataFrame) -> Coverage:
    """Cover the convex hull of all regions, at any time."""
    hull = shapely.convex_hull(shapely.geometrycollections(table.geometry.to_numpy()))
    properties = {
        "nunatak:regions": int(table["region"].nunique()),
        "nunatak:area_km2": round(float(table["area_km2"].sum()), 3),
    }
    remarks = tuple(table.attrs.get("remarks", ()))
    return Coverage(grids.footprint(hull), *ALWAYS, grids.POLAR, properties, remarks)


def gate_coverage(table: gpd.GeoDataFrame) -> Coverage:
    """Cover the convex hull of all gates, `TRACK_M` wider, at any time."""
    hull = shapely.convex_hull(shapely.geometrycollections(table.geometry.to_numpy()))
    properties = {
        "nunatak:gates": len(table),
        "nunatak:length_km": round(float(table["length_km"].sum()), 3),
    }
    remarks = tuple(table.attrs.get("remarks", ()))
    return Coverage(
        grids.footprint(hull.buffer(TRACK_M)), *ALWAYS, grids.POLAR, properties, remarks
    )


def _span(dataset: xr.Dataset) -> tuple[datetime, datetime]:
    """Return first and last second; stored ends are exclusive."""
    if "time_start" in dataset.variables:
        first = dataset["time_start"].to_numpy().min().astype("datetime64[s]").item()
        last = dataset["time_end"].to_numpy().max().astype("datetime64[s]").item()
    elif dataset.attrs.get("time_start"):
        first, last = (datetime.fromisoformat(dataset.attrs[f"time_{e}"]) for e in ("start", "end"))
    else:
        return ALWAYS
    return first.replace(tzinfo=UTC), last.replace(tzinfo=UTC) - SECOND


def source_item(
    *, kind: str, collection: str, source: Source, stored: Stored, coverage: Coverage
) -> pystac.Item:
    """Build the item of one converted source, as it is written at COLLECTION/ID/ID.json.

    All hrefs are relative. ``file:checksum`` of a Zarr group is that of its manifest, see
    `stores.Stored`.
    """
    writers: tuple[str, ...] = FIELD_WRITERS if coverage.code == grids.POLAR else WRITERS
    if stored.path.suffix == ".parquet":
        writers = POLYGON_WRITERS
    if stored.path.suffix == ".safetensors":
        writers = WRITERS[:1]
    made = pystac.Item(
        id=item_id(source.name),
        geometry=dict(coverage.geometry),
        bbox=grids.bounding_box(coverage.geometry),
        datetime=None,
        collection=collection,
        stac_extensions=list(EXTENSIONS),
        properties={
            "start_datetime": rfc3339(coverage.start),
            "end_datetime": rfc3339(coverage.end),
            "created": rfc3339(datetime.now(UTC).replace(microsecond=0)),
            "nunatak:kind": kind,
            "nunatak:source_name": source.name,
            "nunatak:source_checksum": multihash(source.sha256),
            "nunatak:source_size": source.size,
            "proj:code": coverage.code,
            "processing:lineage": _lineage(kind, source, stored, coverage),
            "processing:software": versions(writers),
            **coverage.properties,
        },
    )
    made.add_asset("data", data_asset(stored, f"./{store_name(source, stored)}"))
    for relation, href in (
        ("root", "../../catalog.json"),
        ("parent", "../collection.json"),
        ("collection", "../collection.json"),
    ):
        made.add_link(pystac.Link(relation, href, JSON_MEDIA))
    return made


def store_name(source: Source, stored: Stored) -> str:
    """Return the name of a data store: the start of the checksum of its source."""
    return source.sha256[:16] + stored.path.suffix


def data_asset(stored: Stored, href: str) -> pystac.Asset:
    """Return the asset of a data store with its size and checksum."""
    fields = {"file:checksum": multihash(stored.sha256), "file:size": stored.size}
    return pystac.Asset(href, media_type=stored.media_type, roles=["data"], extra_fields=fields)


def _lineage(kind: str, source: Source, stored: Stored, coverage: Coverage) -> str:
    form = FORMS.get(stored.path.suffix, "a Zarr v3 group")
    told = [f"{source.name} (SHA-256 {source.sha256}) read as {kind} and written as {form}"]
    return "; ".join([*told, *coverage.remarks])
