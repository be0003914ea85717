"""What falls on the ice and what it becomes between gate and grounding line, summed by region.

Model cells keep their own grid and count by the exact share of them that a region takes, with
their true area. Between gate and grounding line (the slivers) terms carry the sign of the area:
negative where a gate lies beyond the grounding line.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from cluster.ledger import KeyFailed, Receipt
from pipelines import stored
from pipelines.flows.mass_budget_fields import M2_PER_KM2, field_sums
from pipelines.flows.mass_budget_inputs import TABULATED, Record
from pipelines.flows.mass_budget_nodes import Lines
from pipelines.geometry import cell_overlap, slivers
from pipelines.geometry.gate_parts import gate_parts
from pipelines.kernels.budget import balance, zonal
from pipelines.kernels.constants import KG_PER_GT

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr
    import zarr

    from pipelines.flows.catalogue_inputs import Source
    from pipelines.settings_mass_budget import Gates

FLOAT = NDArray[np.float64]

MONTHS_AT_ONCE = 24
"""Months of a climate model in memory at a time."""


@dataclass(frozen=True)
class Places:
    """Where regions are and what lies between each gate set and the grounding line."""

    regions: Source
    grounded: Source
    lines: tuple[Lines, ...]
    gates: Gates
    cases: tuple[int, ...]

    def open(self, group: zarr.Group) -> tuple[gpd.GeoDataFrame, list[gpd.GeoDataFrame]]:
        """Return the regions, and the slivers of each gate set.

        Open gates that the flux was turned at, since they were drawn against the flow, are turned
        here as well: the first case of a gate set says which.
        """
        regions, grounded = self.regions.open_regions(), self.grounded.open_regions()
        found = []
        for lines, case in zip(self.lines, self.cases, strict=True):
            table = lines.open(grounded, self.gates)
            names = [part.name for part in gate_parts(table)]
            signs = stored.read(group, "gate_sign", case)[: len(names)]
            against = [name for name, sign in zip(names, signs, strict=True) if sign < 0.0]
            found.append(slivers.slivers(table, grounded, regions, reversed_gates=against))
        return regions, found


def signed_sum(pieces: gpd.GeoDataFrame, regions: gpd.GeoDataFrame) -> scipy.sparse.csr_array:
    """Return the matrix that adds slivers to their regions with their signs, (region, sliver)."""
    row = {region: i for i, region in enumerate(regions.region)}
    rows = [row[region] for region in pieces.region]
    shape = (len(regions), len(pieces))
    signs = pieces.sign.to_numpy(dtype=np.float64)
    return scipy.sparse.csr_array((signs, (rows, np.arange(len(pieces)))), shape=shape)


@dataclass(frozen=True)
class RecordJob:
    """``record/0``: months of one climate model, over regions and between gates and line."""

    records: tuple[Record, ...]
    places: Places
    coast: Literal["renormalise", "as_missing"]

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write the sums of all months that the record has; others stay NaN."""
        number = int(key.partition("/")[2])
        record = self.records[number]
        regions, pieces = self.places.open(group)
        days = stored.values(group, "month").astype("datetime64[D]")
        months = days.astype("datetime64[M]")
        made = {
            name: np.full(stored.array(group, name).shape[1:], np.nan)
            for name in ("record_smb", "record_missing", "record_sliver_smb")
        }
        add = _tabulated if record.kind == TABULATED else self._gridded
        for source in record.sources:
            add(source, months, regions, pieces, made)
        for name, values in made.items():
            stored.write(group, name, values, number)
        return Receipt(key, "done", inputs=tuple(source.id for source in record.sources))

    def _gridded(
        self,
        source: Source,
        months: NDArray[np.datetime64],
        regions: gpd.GeoDataFrame,
        pieces: list[gpd.GeoDataFrame],
        made: dict[str, FLOAT],
    ) -> None:
        """Add the months of one item of model cells, some at a time."""
        corners = source.read(lambda data: (data.corner_x.values, data.corner_y.values))
        area = source.read(lambda data: data.area.values)
        whole = _weights(cell_overlap.overlap(*corners, regions.geometry), area)
        parts = [_weights(cell_overlap.overlap(*corners, p.geometry), area) for p in pieces]
        signs = [signed_sum(each, regions) for each in pieces]
        at = np.searchsorted(months, months_of(source))
        for first in range(0, len(at), MONTHS_AT_ONCE):
            some = slice(first, first + MONTHS_AT_ONCE)
            amounts = source.read(functools.partial(_amounts, some=some))
            sums, missing = zonal.region_sums(
                whole, amounts, coast=self.coast, whole=M2_PER_KM2 * regions.area_km2.to_numpy()
            )
            made["record_smb"][at[some]], made["record_missing"][at[some]] = sums, missing
            for g, (weights, sign) in enumerate(zip(parts, signs, strict=True)):
                whole_piece = M2_PER_KM2 * pieces[g].area_km2.to_numpy()
                in_slivers, _ = zonal.region_sums(
                    weights, amounts, coast=self.coast, whole=whole_piece
                )
                filled = _with_mean_rates(in_slivers, sums, pieces[g], regions)
                made["record_sliver_smb"][g, at[some]] = (sign @ filled.T).T


def _with_mean_rates(
    in_slivers: FLOAT, in_regions: FLOAT, pieces: gpd.GeoDataFrame, regions: gpd.GeoDataFrame
) -> FLOAT:
    """Return sums of slivers (month, sliver); where no cell has a value, at the region's rate."""
    row = {region: i for i, region in enumerate(regions.region)}
    of = [row[region] for region in pieces.region]
    part = pieces.area_km2.to_numpy() / regions.area_km2.to_numpy()[of]
    return np.where(np.isnan(in_slivers), in_regions[:, of] * part, in_slivers)


def _weights(shares: scipy.sparse.csr_array, area: FLOAT) -> scipy.sparse.csr_array:
    return scipy.sparse.csr_array(shares.multiply(area[None, :]))


def _amounts(data: xr.Dataset, *, some: slice) -> FLOAT:
    return np.asarray(data.surface_mass_balance[some].values, dtype=np.float64)


def cells_of(record: Record) -> int:
    """Return how many cells a climate model has; a table has none."""
    if record.kind == TABULATED:
        return 0
    return max(source.read(lambda data: int(data.sizes["cell"])) for source in record.sources)


def months_of(source: Source) -> NDArray[np.datetime64]:
    """Return the months of one item of a climate model."""
    found: NDArray[np.datetime64] = source.read(
        lambda data: data.time_start.values.astype("datetime64[M]")
    )
    return found


def _tabulated(
    source: Source,
    months: NDArray[np.datetime64],
    regions: gpd.GeoDataFrame,
    pieces: list[gpd.GeoDataFrame],
    made: dict[str, FLOAT],
) -> None:
    """Add the months of a table by region; slivers get the mean rate of their region."""
    names, sums = source.read(
        lambda data: (
            [str(name) for name in data.region.values],
            KG_PER_GT * data.surface_mass_balance.values,
        )
    )
    at = np.searchsorted(months, months_of(source))
    known = {name: column for column, name in enumerate(names)}
    columns = [known.get(str(region)) for region in regions.region]
    if not any(column is not None for column in columns):
        msg = (
            f"{source.id}: the table has regions {', '.join(names[:6])} …, the run has "
            f"{', '.join(map(str, regions.region[:6]))} …; take the table of the run's regions"
        )
        raise KeyFailed(msg, (source.id,))
    for r, column in enumerate(columns):
        if column is not None:
            made["record_smb"][at, r] = sums[:, column]
            made["record_missing"][at, r] = 0.0
    for g, table in enumerate(pieces):
        share = signed_sum(table, regions) @ table.area_km2.to_numpy() / regions.area_km2.to_numpy()
        made["record_sliver_smb"][g, at] = made["record_smb"][at] * share


@dataclass(frozen=True)
class SliverJob:
    """``slivers``: area, rate of volume and basal melt between every gate set and the line."""

    places: Places
    elevation_rate: Source | None
    basal_melt: Source | None

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write the sums of all gate sets."""
        regions, pieces = self.places.open(group)
        shape = (len(pieces), len(regions))
        area, gross, volume, missing, melt = (np.zeros(shape) for _ in range(5))
        for g, table in enumerate(pieces):
            sign = signed_sum(table, regions)
            true = M2_PER_KM2 * table.area_km2.to_numpy()
            area[g], gross[g] = sign @ true, np.abs(sign) @ true
            volume[g], missing[g] = field_sums(self.elevation_rate, "elevation_rate", table, sign)
            melt[g], _ = field_sums(self.basal_melt, "basal_melt_rate", table, sign)
        written: dict[str, NDArray[Any]] = {
            "sliver_area": area, "sliver_area_gross": gross,
            "volume_rate": volume, "volume_rate_missing": missing,
            "sliver_melt": melt, "region_melt": self._region_melt(regions),
            "region_area": self._areas(regions), "is_closed": self._closed(group, regions, pieces),
        }  # fmt: skip
        for name, values in written.items():
            stored.write(group, name, values)
        used = tuple(each.id for each in (self.elevation_rate, self.basal_melt) if each is not None)
        said = (
            f"gates {lines.name}: {remark}"
            for lines, table in zip(self.places.lines, pieces, strict=True)
            for remark in table.attrs["remarks"]
        )
        return Receipt(key, "done", inputs=used, note="; ".join(said))

    def _closed(
        self, group: zarr.Group, regions: gpd.GeoDataFrame, pieces: list[gpd.GeoDataFrame]
    ) -> NDArray[np.int8]:
        """Return where gates enclose a region's ice, (gate_set, region).

        A closed gate does; so does an open one that cuts its region from coast to coast, and has
        ice below it. What passes an open gate with a way around it is no discharge of a region.
        """
        sets, region = (stored.values(group, f"node_{name}") for name in ("gate_set", "region"))
        is_open = stored.values(group, "node_is_open").astype(bool)
        found = np.zeros((len(pieces), len(regions)), dtype=np.int8)
        for g, table in enumerate(pieces):
            has_open = np.unique(region[(sets == g) & is_open & (region >= 0)])
            found[g] = 1
            found[g, has_open] = regions.region.isin(table.region).to_numpy()[has_open]
        return found

    def _region_melt(self, regions: gpd.GeoDataFrame) -> FLOAT:
        """Return the melt under each whole region [kg yr⁻¹]; 0 where none is asked for."""
        whole = scipy.sparse.eye_array(len(regions), format="csr")
        return field_sums(self.basal_melt, "basal_melt_rate", regions, whole)[0]

    def _areas(self, regions: gpd.GeoDataFrame) -> FLOAT:
        """Return the geodesic area of regions and groups [m²]."""
        area = M2_PER_KM2 * regions.area_km2.to_numpy(dtype=np.float64)
        _, matrix = balance.membership(list(regions.region), list(regions.group))
        return np.concatenate([area, matrix @ area])
