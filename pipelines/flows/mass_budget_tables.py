"""The numbers of a mass budget as tables: by epoch, year, gate and member, with their sources."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines import stored, tables
from pipelines.flows import mass_budget_epochs as epochs
from pipelines.flows import mass_budget_missing as missing
from pipelines.flows import product_results
from pipelines.flows.mass_budget_arrays import QUANTITIES
from pipelines.flows.mass_budget_epochs import Span
from pipelines.kernels.budget import balance
from pipelines.kernels.constants import KG_PER_GT

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.mass_budget_arrays import Layout
    from pipelines.settings import Run

FLOAT = NDArray[np.float64]

GT = "Gt yr-1"

OPTIONAL = {
    "dynamic_volume_change": "elevation_rate",
    "basal_melt_gate_to_line": "basal_melt",
    "basal_melt": "basal_melt",
    "smb_gate_to_grounding_line": "surface_mass_balance",
    "surface_mass_balance": "surface_mass_balance",
    "mass_balance": "surface_mass_balance",
}
"""Terms that are told only where a run has the input that they need."""


@dataclasses.dataclass(frozen=True)
class Told:
    """A finished budget and the run that made it."""

    group: zarr.Group
    run: Run
    layout: Layout

    def row(
        self, quantity: str, region: str, span: Span, value: float, sigma: float, *, note: str,
        unit: str = GT,
    ) -> tables.Row:  # fmt: skip
        """Return a row of a table for a span of years."""
        days = (span.first, span.last)
        if region in self.layout.rows[len(self.layout.regions) :]:
            region = region.replace("_", " ")
        return product_results.row(
            self.run, quantity, region, value, sigma, unit=unit, note=note,
            days=days,
        )  # fmt: skip

    def without(self, quantity: str) -> str:
        """Return which terms a discharge of this run lacks, as the end of a note."""
        absent = [
            name
            for name in ("smb_gate_to_grounding_line", "dynamic_volume_change")
            if name not in self.quantities()
        ]
        return f";without={' '.join(absent)}" if quantity == "discharge" and absent else ""

    def case_note(self, case: int) -> str:
        """Return the choices of a case as a note."""
        gate_set, bed, mosaic = self.layout.cases[case]
        chosen = f"gates={self.layout.gate_sets[gate_set]};bed={self.layout.beds[bed]}"
        return f"{chosen};mosaic={self.layout.mosaics[mosaic]}"

    def quantities(self) -> tuple[str, ...]:
        """Return the terms that this run has."""
        return tuple(
            name for name in QUANTITIES
            if name not in OPTIONAL or getattr(self.run.inputs, OPTIONAL[name])
        )  # fmt: skip


def regions(of: Told) -> list[tables.Row]:
    """Return every term of every region and group by epoch, and their areas."""
    spans = epochs.spans(of.run.choices, of.layout.years)
    rows = [row for span in spans for row in _span_rows(of, span, f"epoch={span.name}")]
    area = stored.read(of.group, "region_area") / 1e6
    whole = spans[-1]
    return rows + [
        of.row("area", name, whole, float(size), 0.0, unit="km2", note="geodesic")
        for name, size in zip(of.layout.rows, area, strict=True)
    ]


def years(of: Told) -> list[tables.Row]:
    """Return every term of every region and group by year; where years are months, by both."""
    years_of = epochs.years_of_months(of.layout.years)
    spans = [*epochs.single_years(of.layout.years), *years_of]
    return [row for span in spans for row in _span_rows(of, span, f"year={span.name}")]


TOLD_MISSING = ("ice_flux", "discharge", "mass_balance")
"""Terms whose absence has a row of its own, NaN with the reason."""


def _span_rows(of: Told, span: Span, note: str) -> Iterator[tables.Row]:
    """Yield the terms of one span; what is not known is NaN, and the note says why."""
    reasons = missing.reasons(of.group, of.layout, span)
    open_rows = missing.not_enclosed(of.group, of.layout)
    for quantity in of.quantities():
        found = epochs.told(of.group, quantity, span)
        for i, name in enumerate(of.layout.rows):
            known = np.isfinite(found.value[i]) and not (quantity == "ice_flux" and open_rows[i])
            if known:
                yield of.row(
                    quantity, name, span, float(found.value[i] / KG_PER_GT),
                    float(found.sigma[i] / KG_PER_GT),
                    note=_note(note, found, i) + of.without(quantity),
                )  # fmt: skip
            elif quantity in TOLD_MISSING:
                why = reasons[i] if quantity != "mass_balance" else reasons[i] or "snow"
                said = f"{note};missing={why or 'unknown'}"
                yield of.row(quantity, name, span, float("nan"), float("nan"), note=said)
    yield from _replaced_rows(of, span, note)


def _replaced_rows(of: Told, span: Span, note: str) -> Iterator[tables.Row]:
    """Yield balances with replacements beside the budget's own, and what they do to the sea."""
    native = epochs.told(of.group, "mass_balance", span)
    found = epochs.told(of.group, "replaced", span)
    replaced = ",".join(of.layout.places.replaced)
    for i, name in enumerate(of.layout.rows):
        value, sigma = found.value[i] / KG_PER_GT, found.sigma[i] / KG_PER_GT
        is_moved = of.layout.places.matrix()[i] @ of.layout.places.is_replaced() > 0.0
        if is_moved and np.isfinite(value):
            moved = (found.value[i] - native.value[i]) / KG_PER_GT
            why = f"{note};replaced={replaced};difference={moved:+.3f}"
            yield of.row("mass_balance_replaced", name, span, float(value), float(sigma), note=why)
        if i >= len(of.layout.regions):
            yield from _sea_level(of, span, note, name, native, i, "mass_balance")
            if is_moved:
                yield from _sea_level(of, span, note, name, found, i, "mass_balance_replaced")


def _sea_level(
    of: Told, span: Span, note: str, name: str, found: epochs.Told, row: int, what: str
) -> Iterator[tables.Row]:
    """Yield the rise of the sea that a balance of a group amounts to."""
    value, sigma = found.value[row] / KG_PER_GT, found.sigma[row] / KG_PER_GT
    if np.isfinite(value):
        rise, spread = (float(balance.sea_level_rate(np.asarray(each))) for each in (value, sigma))
        said = f"{note};of={what}"
        yield of.row("sea_level_rate", name, span, rise, abs(spread), unit="mm yr-1", note=said)


def _note(note: str, found: epochs.Told, row: int) -> str:
    if len(found.members) == 1:
        return note
    return (
        f"{note};members={len(found.members)};within={found.within[row] / KG_PER_GT:.3f}"
        f";between={found.between[row] / KG_PER_GT:.3f}"
    )


def members(of: Told) -> list[tables.Row]:
    """Return discharge and balance of every member of the ensemble, over the whole run."""
    span = epochs.spans(of.run.choices, of.layout.years)[-1]
    rows = []
    for quantity in ("ice_flux", "discharge", "surface_mass_balance", "mass_balance"):
        found = epochs.told(of.group, quantity, span)
        for member in range(len(of.layout.members)):
            note = f"member={of.layout.member_name(member)}"
            rows += [
                of.row(quantity, name, span, float(value), float(sigma), note=note)
                for name, value, sigma in zip(
                    of.layout.rows, found.members[member] / KG_PER_GT,
                    found.sigmas[member] / KG_PER_GT, strict=True,
                )
                if np.isfinite(value)
            ]  # fmt: skip
    return rows


def gates(of: Told) -> list[tables.Row]:
    """Return the flux through each gate by itself, mean of the whole run, for every case."""
    span = epochs.spans(of.run.choices, of.layout.years)[-1]
    weights = np.asarray(span.weights)
    on = weights > 0.0
    rows = []
    for case, (gate_set, _, _) in enumerate(of.layout.cases):
        named = of.layout.nodes.gates[gate_set]
        mean = weights[on] @ stored.read(of.group, "gate_ice_flux", case)[on] / KG_PER_GT
        spread = stored.read(of.group, "gate_flux_covariance", case)[:, on][:, :, on]
        sigma = np.sqrt(np.einsum("t,u,gtu->g", weights[on], weights[on], spread)) / KG_PER_GT
        rows += [
            of.row("ice_flux", f"gate:{name}", span, float(mean[g]), float(sigma[g]),
                   note=of.case_note(case))
            for g, name in enumerate(named)
        ]  # fmt: skip
    return rows


def coverage(of: Told) -> list[tables.Row]:
    """Return what inputs have values for, as parts of 1.

    Of each region's gate, by year: which layer of each mosaic gave it. Of each region: months of
    climate models, and rates of elevation between gate and grounding line.
    """
    return [*_coverage_of_velocity(of), *_coverage_of_sources(of)]


def _coverage_of_velocity(of: Told) -> Iterator[tables.Row]:
    spans = epochs.single_years(of.layout.years)
    layers = of.layout.attributes["nunatak:layers"]
    for mosaic, gate_set, weight in np.ndindex(len(of.layout.mosaics), len(of.layout.gate_sets), 2):
        part = stored.read(of.group, "coverage", (mosaic, gate_set, weight))
        named = [*layers[mosaic], *[""] * (part.shape[-1] - 1 - len(layers[mosaic])), "none"]
        about = f"mosaic={of.layout.mosaics[mosaic]};gates={of.layout.gate_sets[gate_set]}"
        for t, r, layer in np.argwhere(part > 0.0):
            by = ("length", "flux")[weight]
            note = f"year={spans[t].name};layer={named[layer]};by={by};{about}"
            yield of.row(
                "coverage", of.layout.regions[r], spans[t], float(part[t, r, layer]), 0.0,
                unit="1", note=note,
            )  # fmt: skip


def _coverage_of_sources(of: Told) -> Iterator[tables.Row]:
    span = epochs.spans(of.run.choices, of.layout.years)[-1]
    for number, name in enumerate(of.layout.records):
        lacking = stored.read(of.group, "record_missing", number)
        had = np.isfinite(lacking)
        months = had.sum(axis=0)
        mean = np.where(had, 1.0 - lacking, 0.0).sum(axis=0) / np.maximum(months, 1)
        for region, part, count in zip(of.layout.regions, mean, months, strict=True):
            note = f"of=surface_mass_balance;record={name};months={count}"
            yield of.row("coverage", region, span, float(part), 0.0, unit="1", note=note)
    if of.run.inputs.elevation_rate is None:
        return
    lacking = stored.read(of.group, "volume_rate_missing")
    for gate_set, name in enumerate(of.layout.gate_sets):
        for region, part in zip(of.layout.regions, lacking[gate_set], strict=True):
            note = f"of=elevation_rate;gates={name};between=gate and grounding line"
            yield of.row("coverage", region, span, float(1.0 - part), 0.0, unit="1", note=note)
