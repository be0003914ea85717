"""What every finished product tells the same way: provenance, table rows, outlines, its item."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines import settings, tables
from pipelines.flows import catalogue_inputs
from pipelines.lifecycle import InputItem
from stac import boundaries, contracts, grids
from stac import publish as publishing

if TYPE_CHECKING:
    import geopandas as gpd
    import pystac

    from pipelines.settings import Run

FLOAT = NDArray[np.float64]

SMALLEST_DRAWN_M2 = 1e9
"""Islands below this are smaller than a line on the map [m²]."""

SOFTWARE = ("nunatak", "numpy", "scipy", "zarr", "icechunk", "dask", "xarray")
"""Distributions whose versions are written into the product."""


class Inputs(Protocol):
    """The resolved inputs of any run."""

    @property
    def items(self) -> tuple[InputItem, ...]:
        """Records of what is read, for the identity of the run."""

    @property
    def sources(self) -> tuple[pystac.Item, ...]:
        """Catalogue items that the product links to."""

    @property
    def regions(self) -> pystac.Item:
        """Polygons that the tables are by."""


def provenance(run: Run, items: Iterable[InputItem], *, title: str) -> dict[str, Any]:
    """Return the attributes that say how a product was made."""
    return {
        "title": title,
        "nunatak:product": run.product,
        "nunatak:run": settings.resolved(run),
        "nunatak:inputs": catalogue_inputs.checksums(items),
        "nunatak:software": {name: importlib.metadata.version(name) for name in SOFTWARE},
        "nunatak:period": [day.isoformat() for day in run.period],
        "nunatak:region_set": run.regions,
        "proj:code": "EPSG:3031",
    }


def publish(
    run: Run, title: str, *, inputs: Inputs, snapshot: str, properties: Mapping[str, Any]
) -> None:
    """Write ``item.json``, the catalogue item of the product, naming the snapshot that was told."""
    union = boundaries.union(contracts.open_regions(inputs.regions))
    product = publishing.Product(
        name=run.product,
        title=title,
        run_id=settings.run_id(run, catalogue_inputs.identity(inputs.items)),
        period=(run.period[0].isoformat(), run.period[1].isoformat()),
        lineage=settings.resolved(run),
        footprint=grids.footprint(union),
        properties={"snapshot": snapshot, **properties},
    )
    item = publishing.product_item(run.output, product, inputs=inputs.sources)
    publishing.publish(item, run.output)


def row(
    run: Run,
    quantity: str,
    region: str,
    value: float,
    uncertainty: float,
    *,
    unit: str,
    note: str,
    days: tuple[Any, Any] | None = None,
) -> tables.Row:
    """Return a row of a table; the period is the run's unless ``days`` are given."""
    first, last = days or run.period
    return tables.Row(
        product=run.product,
        quantity=quantity,
        region_set=run.regions,
        region=region,
        period_start=first,
        period_end=last,
        value=value,
        uncertainty=uncertainty,
        unit=unit,
        note=note,
    )


def outlines(polygons: gpd.GeoDataFrame) -> list[tuple[FLOAT, FLOAT]]:
    """Return the outer rings of polygons as lines in EPSG:3031 [m], tiny islands left out."""
    return _rings(polygons.geometry.explode())


def coastlines(item: pystac.Item) -> list[tuple[FLOAT, FLOAT]]:
    """Return the outer rings of all polygons of an item joined: coasts without the divides."""
    joined = boundaries.union(contracts.open_regions(item))
    return _rings(getattr(joined, "geoms", [joined]))


def _rings(shapes: Iterable[Any]) -> list[tuple[FLOAT, FLOAT]]:
    rings = [shape.exterior.coords.xy for shape in shapes if shape.area > SMALLEST_DRAWN_M2]
    return [(np.asarray(x), np.asarray(y)) for x, y in rings]
