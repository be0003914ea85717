"""Sums of gridded rates over polygons, a band of rows in memory at a time."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse
import shapely
from numpy.typing import NDArray

from pipelines.geometry import cell_overlap
from pipelines.kernels import geodesy
from pipelines.kernels.budget import zonal

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

    from pipelines.flows.catalogue_inputs import Source

FLOAT = NDArray[np.float64]

CELLS_AT_ONCE = 2_000_000
"""Cells of a band, unless two rows have more."""
BYTES_PER_CELL = 200
"""Values, shares of polygons, areas and what zarr holds, as measured for a band full of ice [B]."""
AREAS_AT_ONCE = 100_000
"""Cells whose area is computed at a time, with a dozen arrays of their size between."""

M2_PER_KM2 = 1e6


@dataclass(frozen=True)
class Field:
    """A rate on an even grid in EPSG:3031, and how its store is best read.

    Attributes
    ----------
    source : Source
        Where it is; members are averaged, those without a value aside.
    name : str
        Its variable.
    x, y : ndarray, shape (nx,), (ny,)
        Cell centres [m].
    members : int
        Members beside each other, 1 if there is no such axis.
    chunk_rows : int
        Rows of a stored chunk.
    """

    source: Source
    name: str
    x: FLOAT
    y: FLOAT
    members: int
    chunk_rows: int

    @classmethod
    def of(cls, source: Source, name: str) -> Field:
        """Return the field of a source without reading its values."""

        def look(data: xr.Dataset) -> Field:
            array = data[name]
            rows = int(array.encoding.get("preferred_chunks", {}).get("y", 1))
            members = int(array.sizes.get("member", 1))
            x, y = (np.asarray(data[axis].values, dtype=np.float64) for axis in "xy")
            return cls(source, name, x, y, members, rows)

        return source.read(look)

    def rows_at_once(self, columns: int) -> int:
        """Return the rows of a band: whole chunks where they fit, two at least."""
        fitting = CELLS_AT_ONCE // max(1, columns)
        return max(2, fitting - fitting % self.chunk_rows or fitting)

    def bytes(self) -> int:
        """Return the memory that summing it needs at the most, whatever the window [B]."""
        cells = min(max(CELLS_AT_ONCE, 2 * self.x.size) + self.x.size, self.y.size * self.x.size)
        return cells * (BYTES_PER_CELL + 8 * self.members)

    def read(self, rows: slice, columns: slice) -> FLOAT:
        """Return the mean of the members over a window, shape (rows, columns)."""
        return self.source.read(
            functools.partial(_window, name=self.name, rows=rows, columns=columns)
        )


def _window(data: xr.Dataset, *, name: str, rows: slice, columns: slice) -> FLOAT:
    field = data[name].isel(y=rows, x=columns)
    mean = field.mean("member") if "member" in field.dims else field
    return np.asarray(mean.values, dtype=np.float64)


def field_sums(
    source: Source | None, name: str, polygons: gpd.GeoDataFrame, sign: scipy.sparse.csr_array
) -> tuple[FLOAT, FLOAT]:
    """Return Σ field · area over regions, and the part of their area without a value.

    Without a field there is no such term: zeros. Where a part of a polygon is not measured, the
    measured part stands for it; where nothing is, the other polygons of its region do; where a
    region has no value at all, the sum is NaN.

    Parameters
    ----------
    source : Source or None
        Holds ``name`` [per m² of true area].
    polygons : GeoDataFrame, length p
        In EPSG:3031, with their true area ``area_km2``.
    sign : csr_array, shape (region, p)
        Which polygons add to which region, and with what sign.

    Returns
    -------
    sums, missing : ndarray, shape (region,)
    """
    regions = sign.shape[0]
    if source is None or not len(polygons):
        return np.zeros(regions), np.zeros(regions)
    area = M2_PER_KM2 * polygons.area_km2.to_numpy(dtype=np.float64)
    amount, known = _measured(Field.of(source, name), polygons)
    sums, missing = zonal.completed(amount, known, area, coast="renormalise")
    total, lacking = np.abs(sign) @ area, np.abs(sign) @ (missing * area)
    share = np.divide(lacking, total, out=np.zeros(regions), where=total > 0.0)
    return sign @ _at_mean_rates(sums, area, np.abs(sign)), share


def _measured(field: Field, polygons: gpd.GeoDataFrame) -> tuple[FLOAT, FLOAT]:
    """Return the sum over each polygon of what is measured, and the area that is [m²]."""
    amount, known = np.zeros(len(polygons)), np.zeros(len(polygons))
    spacing = abs(float(field.x[1] - field.x[0]))
    west, south, east, north = polygons.total_bounds
    columns = _within(field.x, west, east, spacing)
    rows = _within(field.y, south, north, spacing)
    if columns.stop == columns.start:
        return amount, known
    for band in _bands(rows, field.rows_at_once(columns.stop - columns.start)):
        y, x = field.y[band], field.x[columns]
        low, high = y.min() - spacing, y.max() + spacing
        bounds = shapely.bounds(polygons.geometry.to_numpy())
        near = np.flatnonzero((bounds[:, 1] < high) & (bounds[:, 3] > low))
        if not near.size:
            continue
        shares = cell_overlap.grid_overlap(x, y, polygons.geometry.iloc[near])
        used = np.unique(shares.indices)
        if not used.size:
            continue
        at_row, at_column = np.divmod(used, x.size)
        values = field.read(band, columns).ravel()[used]
        true = _areas(x[at_column], y[at_row], spacing)
        weights = shares[:, used].multiply(true[None, :]).tocsr()
        has = np.isfinite(values)
        amount[near] += weights @ np.where(has, values, 0.0)
        known[near] += weights @ has.astype(np.float64)
    return amount, known


def _areas(x: FLOAT, y: FLOAT, spacing: float) -> FLOAT:
    area = np.empty(x.size)
    for first in range(0, x.size, AREAS_AT_ONCE):
        some = slice(first, first + AREAS_AT_ONCE)
        area[some] = geodesy.cell_areas(x[some], y[some], spacing)
    return area


def _within(centres: FLOAT, low: float, high: float, spacing: float) -> slice:
    """Return the cells that reach into an interval, two at least; none where none does."""
    half = 0.5 * spacing
    at = np.flatnonzero((centres + half > low) & (centres - half < high))
    if not at.size:
        return slice(0, 0)
    first = min(int(at[0]), centres.size - 2)
    return slice(first, max(int(at[-1]) + 1, first + 2))


def _bands(rows: slice, size: int) -> Iterator[slice]:
    """Yield bands of rows that follow each other; none has a single row, which has no spacing."""
    first = rows.start
    while first < rows.stop:
        last = min(first + size, rows.stop)
        if rows.stop - last == 1:
            last = rows.stop
        yield slice(first, last)
        first = last


def _at_mean_rates(sums: FLOAT, area: FLOAT, members: scipy.sparse.csr_array) -> FLOAT:
    """Return sums of pieces; one without any value changes as the others of its region do."""
    known = np.isfinite(sums) & (area > 0.0)
    of_region = members @ np.where(known, sums, 0.0)
    measured = members @ np.where(known, area, 0.0)
    rate = np.divide(of_region, measured, out=np.full(len(measured), np.nan), where=measured > 0.0)
    column = members.tocoo()
    rate_of = np.full(len(sums), np.nan)
    rate_of[column.col] = rate[column.row]
    return np.where(known, sums, np.where(area > 0.0, rate_of * area, 0.0))
