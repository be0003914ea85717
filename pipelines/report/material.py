"""What a report is made from: products at one version each, their tables, the lines of maps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.report import sheets
from pipelines.report.lineage import UNREADABLE, input_links, linked_item, run_of
from pipelines.report.outputs import Output, ReportError
from pipelines.report.sheets import Cited, Library, Sheet

if TYPE_CHECKING:
    import geopandas as gpd
    import zarr

FLOAT = NDArray[np.float64]
Line = tuple[FLOAT, FLOAT]
"""x and y in EPSG:3031 [m]."""

KINDS = {
    "gravimetry": "gravimetry",
    "altimetry": "altimetry",
    "combination": "combination",
    "mass_budget": "mass budget",
}
"""Products that tell a mass balance, in the order of a report, and what they are called."""

DEMO = "demo-"
"""What the names of the demo's collections begin with."""

OWN = "report"
"""Folder of the report's own table."""

DRAWN_M = 500.0
"""Lines of basins are drawn to this [m]: a tenth of a pixel of a map of the continent."""


class Groups:
    """Arrays of the products, each opened once."""

    def __init__(self) -> None:
        self._held: dict[str, zarr.Group] = {}

    def of(self, output: Output) -> zarr.Group:
        """Return the arrays of a product."""
        if output.name not in self._held:
            self._held[output.name] = output.open()
        return self._held[output.name]


@dataclass(frozen=True)
class Material:
    """Products and their tables.

    Attributes
    ----------
    outputs : tuple of Output
    in_folder : mapping of str to str
        Folder of each output, by its name.
    library : Library
    groups : Groups
    """

    outputs: tuple[Output, ...]
    in_folder: Mapping[str, str]
    library: Library
    groups: Groups = field(default_factory=Groups)

    def of(self, product: str) -> list[Output]:
        """Return the outputs of a product."""
        return [each for each in self.outputs if each.product == product]

    def rows(self, output: Output, table: str) -> list[Cited]:
        """Return the rows of a product's table with their addresses."""
        return self.library.of(self.in_folder[output.name], table)

    def label(self, output: Output) -> str:
        """Return what a product is called: with its name, where there are several of a kind."""
        kind = KINDS.get(output.product, output.product.replace("_", " "))
        return kind if len(self.of(output.product)) == 1 else f"{kind} ({output.name})"

    def with_sheet(self, made: Sheet) -> Material:
        """Return the same with a table of the report's own."""
        library = Library((*self.library.sheets, made), self.library.left_out)
        return Material(self.outputs, self.in_folder, library, self.groups)

    @cached_property
    def coast(self) -> list[Line]:
        """Lines around the grounded ice, from the footprint of a product of the continent."""
        return [] if self.continental is None else coast_of(self.continental.item.get("geometry"))

    @property
    def continental(self) -> Output | None:
        """The first product of the continent, whose regions are drawn."""
        return next((each for each in self.outputs if each.product in {*KINDS, "comparison"}), None)

    @cached_property
    def basins(self) -> gpd.GeoDataFrame | None:
        """Polygons of the regions that are drawn; None if out of reach."""
        return None if self.continental is None else polygons_of(self.continental)

    @property
    def basin_set(self) -> str:
        """The set of regions that :attr:`basins` are, as rows name it."""
        found = {} if self.continental is None else run_of(self.continental)
        return str(found.get("regions", ""))


def gather(outputs: Sequence[Output]) -> Material:
    """Read the tables of products, whose arrays and items are of one version each.

    Raises
    ------
    ReportError
        A product between two versions, or a table that cannot be used.
    """
    for output in outputs:
        require_one_version(output)
    in_folder = sheets.folders(outputs, taken=[OWN])
    return Material(tuple(outputs), in_folder, sheets.read(outputs, in_folder))


def require_one_version(output: Output) -> None:
    """Refuse a product whose item tells of other arrays than readers see.

    Raises
    ------
    ReportError
        Such a product, or one without arrays.
    """
    from cluster import object_store, zarr_sink

    told = output.item["properties"].get("nunatak:snapshot")
    url = object_store.join(output.address, "product.icechunk")
    try:
        shown = zarr_sink.Repository.open(url, read_only=True).published()
    except zarr_sink.NoRepository:
        shown = None
    if shown is None:
        msg = f"{output.address} has an item.json but no arrays; run {output.product} again"
        raise ReportError(msg)
    if told != shown:
        msg = (
            f"{output.address}: item.json tells of version {told}, the arrays are of {shown}: a "
            f"run is publishing, or was interrupted; run {output.product} again, which completes it"
        )
        raise ReportError(msg)


def notes_of(output: Output) -> list[str]:
    """Return what the plan of a product's run told before it began."""
    told = output.open().attrs.get("nunatak:notes", [])
    return [str(note) for note in told] if isinstance(told, list) else []


def coast_of(footprint: Any) -> list[Line]:
    """Return the outer rings of a footprint in longitude and latitude, drawn in EPSG:3031 [m].

    Footprints are cut at 180°; the parts are joined again here.
    """
    import shapely
    from shapely.geometry import shape

    from pipelines.kernels import geodesy

    try:
        found = shape(footprint)
    except (ValueError, TypeError, AttributeError, KeyError, shapely.errors.ShapelyError):
        return []

    def project(nodes: FLOAT) -> FLOAT:
        return np.stack(geodesy.polar_stereographic(nodes[:, 1], nodes[:, 0]), axis=1)

    placed = shapely.make_valid(shapely.transform(found, project))
    return _rings(placed.buffer(DRAWN_M).simplify(DRAWN_M))


def polygons_of(output: Output) -> gpd.GeoDataFrame | None:
    """Return the polygons that a product's tables are by; None if they cannot be read."""
    import pystac

    from stac import contracts

    try:
        item = linked_item(output, str(run_of(output).get("regions")))
        return contracts.open_regions(item)
    except (*UNREADABLE, pystac.STACError, pystac.STACTypeError):
        return None


def is_synthetic(outputs: Sequence[Output]) -> bool:
    """Return whether any product was made from what the demo draws."""
    return any(name.startswith(DEMO) for output in outputs for name in _made_from(output))


def _made_from(output: Output) -> Iterator[str]:
    """Yield the collections that a product names: of its regions, its inputs and its links."""
    run = run_of(output)
    yield from _strings([run.get("regions"), run.get("inputs")])
    yield from (str(link.get("nunatak:collection", "")) for link in input_links(output))


def _strings(held: Any) -> Iterator[str]:
    """Yield the texts among nested values."""
    if isinstance(held, str):
        yield held
    for each in held.values() if isinstance(held, dict) else held if isinstance(held, list) else ():
        yield from _strings(each)


def basin_shapes(polygons: gpd.GeoDataFrame) -> list[list[Line]]:
    """Return the outer rings of each polygon, drawn to half a kilometre."""
    return [_rings(each.simplify(DRAWN_M)) for each in polygons.geometry]


def _rings(shape: Any) -> list[Line]:
    from pipelines.flows.product_results import SMALLEST_DRAWN_M2

    parts = [part for part in getattr(shape, "geoms", [shape])
             if part.geom_type == "Polygon" and part.area > SMALLEST_DRAWN_M2]  # fmt: skip
    rings = [np.asarray(part.exterior.coords) for part in parts]
    return [(ring[:, 0], ring[:, 1]) for ring in rings]
