"""Outlines of synthetic ice shelves in the form of NSIDC-0709's, of all time or of each summer."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import geopandas as gpd
import shapely

from pipelines.worlds.boundary_files import write_polygons
from pipelines.worlds.shelves import Shelf

VERSION = 1
"""Of the way in which outlines are made; another one makes them anew."""


def write(
    shelves: Sequence[Shelf], path: Path, *, days: Mapping[int, dt.date] | None = None
) -> Path:
    """Write floating ice as a GeoPackage; keep what is the same.

    Parameters
    ----------
    shelves : sequence of Shelf
        Whose.
    path : Path
        File to write.
    days : mapping of int to date, optional
        The day of each summer whose outline is told, with its first year in a column ``year``;
        without it the farthest that the ice ever reaches.

    Returns
    -------
    Path
        The same path.
    """
    if days is None:
        rows = [(shelf.name, 0, shelf.region) for shelf in shelves]
    else:
        rows = [
            (shelf.name, summer, shapely.make_valid(shelf.extent(day)))
            for shelf in shelves
            for summer, day in sorted(days.items())
        ]
    parts = [
        (name, year, part)
        for name, year, shape in rows
        for part in shapely.get_parts(shape)
        if part.geom_type == "Polygon"
    ]
    token = hashlib.sha256(
        repr([VERSION, *((name, year, part.wkb_hex) for name, year, part in parts)]).encode()
    ).hexdigest()
    mark = path.with_suffix(".token")
    if path.exists() and mark.exists() and mark.read_text() == token:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    mark.unlink(missing_ok=True)
    write_polygons(_table(parts, dated=days is not None), path)
    mark.write_text(token)
    return path


def _table(parts: Sequence[tuple[str, int, shapely.Geometry]], *, dated: bool) -> gpd.GeoDataFrame:
    names = [name for name, _, _ in parts]
    columns = {
        "NAME": names, "Regions": ["Synthetic"] * len(parts),
        "Subregions": ["Synthetic"] * len(parts), "TYPE": ["FL"] * len(parts),
        "Asso_Shelf": names,
    }  # fmt: skip
    if dated:
        columns["year"] = [str(year) for _, year, _ in parts]
    return gpd.GeoDataFrame(columns, geometry=[part for _, _, part in parts], crs="EPSG:3031")
