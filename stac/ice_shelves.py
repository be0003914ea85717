"""Outlines of ice shelves, and the regions of interest around them on the grid of Landsat's pixels.

A shelf may have one outline for all time or one per summer (its front moves by kilometres a year);
summer Y runs from November Y to March Y + 1. Its region of interest is the union of all its
outlines, wider by a buffer, so that every year of a series lies on the same pixels.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from stac import boundaries, grids
from stac.boundaries import BoundaryError
from stac.pixel_grids import PixelGrid, snapped

KIND = "ice-shelves"
FLOATING = "FL"
ALWAYS = 0
"""Year of an outline that holds for every summer."""
BLOCK = 10
"""Grids of regions share cells of this many pixels: 300 m."""
NINE = (
    "Amery", "Brunt", "Crosson", "Dotson", "Holmes", "Larsen B", "Pine Island", "Thwaites",
    "Totten",
)  # fmt: skip
"""The shelves of Tang et al. (2026), section 2.1.1."""
BOXES = Path(__file__).with_name("ice_shelf_boxes.geojson")
YEARS = range(1972, 2200)
NO_BUFFER_M = 1.0e-3
"""Narrower buffers are none: far narrower ones make the geometry library return NaN."""


class ShelfError(LookupError):
    """A shelf, or an outline of it, that is not there: what was asked for, and what there is."""


@dataclass(frozen=True)
class ShelfRegion:
    """One ice shelf and the region of interest around it.

    Parameters
    ----------
    id : str
        Its name in lower case with hyphens: ``larsen-b``.
    name : str
        As its source has it.
    outline : Polygon or MultiPolygon
        Union over all years, EPSG:3031 [m].
    roi : Polygon or MultiPolygon
        The outline and all within the buffer around it, EPSG:3031 [m].
    grid : PixelGrid
        The pixels around `roi`.
    extents : mapping of int to Polygon or MultiPolygon
        Outline by summer; 0 is the one of every summer that has none of its own.
    """

    id: str
    name: str
    outline: shapely.Geometry
    roi: shapely.Geometry
    grid: PixelGrid
    extents: Mapping[int, shapely.Geometry] = field(hash=False)

    @property
    def years(self) -> tuple[int, ...]:
        """Summers that have an outline of their own, in order."""
        return tuple(sorted(year for year in self.extents if year != ALWAYS))

    @property
    def footprint(self) -> dict[str, Any]:
        """The region of interest as GeoJSON, split at 180°."""
        return grids.footprint(self.roi)

    def extent(self, summer: int) -> shapely.Geometry | None:
        """Return the outline of a summer, or of always; None if there is neither."""
        return self.extents.get(summer, self.extents.get(ALWAYS))


def read_shelves(parts: Mapping[str, bytes], *, name: str) -> gpd.GeoDataFrame:
    """Read outlines of ice shelves from a GeoPackage, GeoJSON file or shapefile.

    Parameters
    ----------
    parts : mapping of str to bytes
        Suffix and bytes of each file: one, or the four of a shapefile (and ``.cpg``).
    name : str
        File name, for messages; it names the shelf of a file that has but one.

    Returns
    -------
    GeoDataFrame
        Columns ``region`` (:func:`slug` of the name), ``name``, ``group``, ``year`` (0 where the
        file has none), ``area_km2`` (geodesic on WGS84), ``geometry`` (EPSG:3031). Polygons of one
        name and year are merged. ``attrs["remarks"]`` tells what was chosen or repaired.

    Raises
    ------
    BoundaryError
        If there is no floating polygon, no coordinate system, a name is missing, a year is no
        year, or a shelf lies north of 50° S.
    """
    raw = boundaries.read_shapes(parts, name)
    floating, remarks = _floating_only(raw, name)
    boundaries.require_polygons(floating, name)
    boundaries.require_antarctic(floating, name)
    geometry, broken = boundaries.repaired(boundaries.projected(floating))
    columns = {str(column).lower(): column for column in floating.columns}
    named = _names(floating, columns, name)
    rows = pd.DataFrame(
        {
            "region": [slug(word) for word in named],
            "name": named,
            "group": _groups(floating, columns),
            "year": _years(floating, columns, name),
        }
    )
    if broken.any():
        remarks.append(f"rings that crossed themselves repaired in {int(broken.sum())} polygons")
    table = _merged(gpd.GeoDataFrame(rows, geometry=geometry, crs=grids.POLAR))
    if len(table) < len(rows):
        remarks.append(f"{len(rows)} polygons merged into {len(table)} by name and year")
    table.attrs["remarks"] = remarks
    return table


def _floating_only(table: gpd.GeoDataFrame, name: str) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Keep floating ice where a column TYPE tells it apart (MEaSUREs)."""
    column = next((c for c in table.columns if str(c).lower() == "type"), None)
    known = {FLOATING, *boundaries.GROUNDED_TYPES}
    if column is None or not set(table[column].dropna()) & known:
        return table, []
    kept = table[table[column] == FLOATING].reset_index(drop=True)
    if kept.empty:
        found = ", ".join(sorted({str(word) for word in table[column].dropna()}))
        msg = f"{name} has no floating ice (TYPE {found}), expected TYPE FL; give the ice shelves"
        raise BoundaryError(msg)
    remark = f"{len(kept)} of {len(table)} polygons kept: TYPE FL (floating)"
    return kept, [remark] if len(kept) < len(table) else []


def _names(table: gpd.GeoDataFrame, columns: Mapping[str, Any], name: str) -> list[str]:
    found = next((columns[c] for c in ("name", "region", "shelf") if c in columns), None)
    if found is None:
        if len(table) == 1:
            return [Path(name).stem]
        msg = f"{name} has columns {sorted(columns)}; expected a column NAME with names of shelves"
        raise BoundaryError(msg)
    named = boundaries.texts(table[found])
    nameless = [row for row, word in enumerate(named) if not slug(word)]
    if nameless:
        msg = f"{name}: rows {nameless[:10]} have no name; name them or leave them out"
        raise BoundaryError(msg)
    return named


def _groups(table: gpd.GeoDataFrame, columns: Mapping[str, Any]) -> list[str]:
    found = next((columns[c] for c in boundaries.GROUP_COLUMNS if c in columns), None)
    words = [""] * len(table) if found is None else boundaries.texts(table[found])
    return [boundaries.GROUPS.get(word, word) for word in words]


def _years(table: gpd.GeoDataFrame, columns: Mapping[str, Any], name: str) -> NDArray[np.int64]:
    words = boundaries.texts(table[columns["year"]]) if "year" in columns else [""] * len(table)
    wrong = [word for word in words if word and not _is_year(word)]
    if wrong:
        msg = (
            f"{name}: year {wrong[0]!r} is none, expected the year in which a summer begins "
            f"({YEARS.start} to {YEARS.stop - 1}), or 0 or nothing for every summer"
        )
        raise BoundaryError(msg)
    return np.array([int(word or ALWAYS) for word in words], dtype=np.int64)


def _is_year(word: str) -> bool:
    return word.isdecimal() and (int(word) == ALWAYS or int(word) in YEARS)


def _merged(table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return one row per shelf and year, in the order of the file, with areas."""
    groups = table.groupby(["region", "year"], sort=False)
    first = groups[["name", "group"]].first().reset_index()
    outlines = [shapely.union_all(rows.geometry.to_numpy()) for _, rows in groups]
    first["area_km2"] = [boundaries.geodesic_area_km2(outline) for outline in outlines]
    return gpd.GeoDataFrame(first, geometry=outlines, crs=table.crs)


def slug(name: str) -> str:
    """Return the id of a shelf.

    >>> slug("Larsen B"), slug("LarsenB"), slug("Brunt_Stancomb")
    ('larsen-b', 'larsen-b', 'brunt-stancomb')
    """
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name)
    return re.sub(r"[^a-z0-9]+", "-", apart.lower()).strip("-")


def shelf_regions(
    table: gpd.GeoDataFrame, *, buffer_m: float, multiple: int = BLOCK
) -> dict[str, ShelfRegion]:
    """Return the region of interest around each shelf of a table.

    Parameters
    ----------
    table : GeoDataFrame
        As `read_shelves` makes it, or `contracts.open_regions` opens it; of kinds without a
        column ``year`` too (basins, boundaries), whose outlines hold for every summer.
    buffer_m : float
        How far the region reaches beyond all outlines, on the map [m].
    multiple : int
        Corner and size of each grid are multiples of this many pixels.

    Returns
    -------
    dict of str to ShelfRegion
        By id, in the order of the table.

    Raises
    ------
    ShelfError
        If the buffer is negative or no number, or two regions have the same id.
    """
    if not (np.isfinite(buffer_m) and buffer_m >= 0.0):
        msg = f"the buffer is {buffer_m} m, expected 0 or more: a region holds its whole shelf"
        raise ShelfError(msg)
    found: dict[str, ShelfRegion] = {}
    for region, rows in table.groupby("region", sort=False):
        key = slug(str(region))
        if key in found:
            msg = f"regions {found[key].name!r} and {region!r} are both {key!r}; rename one"
            raise ShelfError(msg)
        years = rows["year"] if "year" in rows.columns else [ALWAYS] * len(rows)
        extents = dict(zip((int(year) for year in years), rows.geometry, strict=True))
        outline = shapely.union_all(list(extents.values()))
        roi = outline.buffer(buffer_m) if buffer_m > NO_BUFFER_M else outline
        grid = snapped(roi.bounds, multiple=multiple)
        name = str(rows["name"].iloc[0])
        found[key] = ShelfRegion(key, name, outline, roi, grid, extents)
    return found


def find(regions: Mapping[str, ShelfRegion], name: str) -> ShelfRegion:
    """Return a region by its name as people write it.

    ``Larsen B``, ``LarsenB`` and ``larsen_b`` are one; the first words of a name will do where
    only one shelf has them: ``Brunt`` finds ``Brunt_Stancomb``.

    Raises
    ------
    ShelfError
        If no shelf, or more than one, answers; it names the nearest.
    """
    wanted = slug(name)
    bare = wanted.replace("-", "")
    same = [key for key in regions if key.replace("-", "") == bare]
    begun = [key for key in regions if wanted and key.startswith(f"{wanted}-")]
    answers = same or begun
    if len(answers) == 1:
        return regions[answers[0]]
    if answers:
        names = ", ".join(repr(regions[key].name) for key in answers)
        msg = f"{name!r} begins the names of {len(answers)} ice shelves: {names}; give one of them"
        raise ShelfError(msg)
    near = difflib.get_close_matches(wanted, regions, n=1, cutoff=0.5)
    hint = f"; did you mean {regions[near[0]].name!r}?" if near else ""
    msg = f"no ice shelf {name!r} among {', '.join(r.name for r in regions.values())}{hint}"
    raise ShelfError(msg)


def chosen(regions: Mapping[str, ShelfRegion], names: Iterable[str]) -> dict[str, ShelfRegion]:
    """Return the regions of some names, each once, in the order asked for."""
    return {region.id: region for region in (find(regions, name) for name in names)}


def builtin_table() -> gpd.GeoDataFrame:
    """Return boxes around the `NINE`, as `read_shelves` would: approximate, drawn by us.

    They are neither outlines of ice shelves nor the regions of the paper, and hold sea and
    grounded ice; they serve to search for scenes where no outlines are at hand.
    """
    return read_shelves({".geojson": BOXES.read_bytes()}, name=BOXES.name)


def builtin(*, multiple: int = BLOCK) -> dict[str, ShelfRegion]:
    """Return the regions of `builtin_table`, without a buffer."""
    return shelf_regions(builtin_table(), buffer_m=0.0, multiple=multiple)


def mask(region: ShelfRegion, grid: PixelGrid, year: int | None = None) -> NDArray[np.bool_]:
    """Return which pixels have their centre in a region of interest, or in an outline.

    Parameters
    ----------
    region : ShelfRegion
        The shelf.
    grid : PixelGrid
        Any grid in EPSG:3031: that of the region, a window of it, a coarser one.
    year : int, optional
        Summer whose outline is meant; the region of interest without it.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        Row 0 in the north.

    Raises
    ------
    ShelfError
        If the grid is not in EPSG:3031, or the shelf has no outline for the summer.
    """
    if grid.code != grids.POLAR:
        msg = f"the grid is in {grid.code}, the outline of {region.name!r} in {grids.POLAR}"
        raise ShelfError(msg + "; give a grid of the same coordinates")
    shape = region.roi if year is None else region.extent(year)
    if shape is None:
        known = ", ".join(str(known) for known in region.years)
        msg = f"{region.name!r} has no outline for summer {year}, only for {known}; choose one"
        raise ShelfError(msg + ", or add an outline for every summer (year 0)")
    return burnt(shape, grid)


def burnt(shape: shapely.Geometry, grid: PixelGrid) -> NDArray[np.bool_]:
    """Return which pixels have their centre in a shape; none in an empty one.

    Parameters
    ----------
    shape : Geometry
        In the coordinates of the grid.
    grid : PixelGrid
        Any.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        Row 0 in the north.
    """
    from affine import Affine
    from rasterio.features import rasterize

    if shape.is_empty:
        return np.zeros(grid.shape, bool)
    made = rasterize([(shape, 1)], out_shape=grid.shape, transform=Affine(*grid.transform),
                     dtype=np.uint8)  # fmt: skip
    return np.asarray(made, dtype=bool)
