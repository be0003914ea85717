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

from stac import grids
from stac.queries import rfc3339
from stac.stores import Stored

FILE_EXTENSION = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
PROCESSING_EXTENSION = "https://stac-extensions.github.io/processing/v1.2.0/schema.json"
PROJECTION_EXTENSION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
EXTENSIONS = (FILE_EXTENSION, PROCESSING_EXTENSION, PROJECTION_EXTENSION)
SHA256_MULTIHASH = "1220"
JSON_MEDIA = "application/json"
# Love numbers and outlines have no date; a span that every period overlaps stands for "always".
ALWAYS = (datetime(1900, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
SECOND = timedelta(seconds=1)
KNOWN_SUFFIXES = frozenset(
    {".gz", ".txt", ".gfc", ".gpkg", ".geojson", ".json", ".shp", ".nc", ".csv", ".dat", ".tar"}
)
WRITERS = ("nunatak", "numpy", "xarray", "zarr")
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
    start, end = _span(dataset)
    properties = {
        f"nunatak:{name}": value.item() if isinstance(value, np.generic) else value
        for name, value in dataset.attrs.items()
        if isinstance(value, str | int | float | np.generic) and value != ""
    }
    return Coverage(grids.whole_globe(), start, end, grids.GEOCENTRIC, properties)


def region_coverage(table: gpd.GeoDataFrame) -> Coverage:
    """Cover the convex hull of all regions, at any time."""
    hull = shapely.convex_hull(shapely.geometrycollections(table.geometry.to_numpy()))
    properties = {
        "nunatak:regions": len(table),
        "nunatak:area_km2": round(float(table["area_km2"].sum()), 3),
    }
    remarks = tuple(table.attrs.get("remarks", ()))
    return Coverage(grids.footprint(hull), *ALWAYS, grids.POLAR, properties, remarks)


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
    writers = POLYGON_WRITERS if coverage.code == grids.POLAR else WRITERS
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
    suffix = ".parquet" if stored.path.suffix == ".parquet" else ".zarr"
    return source.sha256[:16] + suffix


def data_asset(stored: Stored, href: str) -> pystac.Asset:
    """Return the asset of a data store with its size and checksum."""
    fields = {"file:checksum": multihash(stored.sha256), "file:size": stored.size}
    return pystac.Asset(href, media_type=stored.media_type, roles=["data"], extra_fields=fields)


def _lineage(kind: str, source: Source, stored: Stored, coverage: Coverage) -> str:
    form = "GeoParquet" if stored.path.suffix == ".parquet" else "a Zarr v3 group"
    told = [f"{source.name} (SHA-256 {source.sha256}) read as {kind} and written as {form}"]
    return "; ".join([*told, *coverage.remarks])
