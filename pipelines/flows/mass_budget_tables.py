"""The numbers of a mass budget as tables: by epoch, year, gate and member, with their sources."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines import stored, tables
from pipelines.flows import mass_budget_epochs as epochs
from pipelines.flows import product_results
from pipelines.flows.mass_budget_arrays import FLUX_TERMS, QUANTITIES
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
        return product_results.row(
            self.run, quantity, region.replace("_", " "), value, sigma, unit=unit, note=note,
            days=days,
        )  # fmt: skip

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
    """Return every term of every region and group by year."""
    spans = epochs.single_years(of.layout.years)
    return [row for span in spans for row in _span_rows(of, span, f"year={span.name}")]


def _span_rows(of: Told, span: Span, note: str) -> Iterator[tables.Row]:
    """Yield the terms of one span; a region without a gate or a value has no row."""
    for quantity in of.quantities():
        found = epochs.told(of.group, quantity, span)
        for i, name in enumerate(of.layout.rows):
            if np.isfinite(found.value[i]):
                yield of.row(
                    quantity, name, span, float(found.value[i] / KG_PER_GT),
                    float(found.sigma[i] / KG_PER_GT), note=_note(note, found, i),
                )  # fmt: skip
    yield from _replaced_rows(of, span, note)


def _replaced_rows(of: Told, span: Span, note: str) -> Iterator[tables.Row]:
    """Yield balances with replacements beside the budget's own, and what they do to the sea."""
    native = epochs.told(of.group, "mass_balance", span)
    found = epochs.told(of.group, "replaced", span)
    replaced = ",".join(of.layout.places.replaced)
    for i, name in enumerate(of.layout.rows):
        value, sigma = found.value[i] / KG_PER_GT, found.sigma[i] / KG_PER_GT
        if replaced and np.isfinite(value):
            moved = (found.value[i] - native.value[i]) / KG_PER_GT
            why = f"{note};replaced={replaced};difference={moved:+.3f}"
            yield of.row("mass_balance_replaced", name, span, float(value), float(sigma), note=why)
        if i >= len(of.layout.regions) and np.isfinite(value):
            yield of.row(
                "sea_level_rate", name, span, float(balance.sea_level_rate(np.asarray(value))),
                float(np.abs(balance.sea_level_rate(np.asarray(sigma)))), unit="mm yr-1",
                note=f"{note};of={'mass_balance_replaced' if replaced else 'mass_balance'}",
            )  # fmt: skip


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
    rows = []
    for case, (gate_set, bed, mosaic) in enumerate(of.layout.cases):
        flux = stored.read(of.group, "gate_ice_flux", case)[weights > 0.0]
        mean = weights[weights > 0.0] @ flux / KG_PER_GT
        named = of.layout.nodes.gates[gate_set]
        choices = f"gates={of.layout.gate_sets[gate_set]};bed={of.layout.beds[bed]}"
        note = f"{choices};mosaic={of.layout.mosaics[mosaic]}"
        rows += [
            of.row("ice_flux", f"gate:{name}", span, float(value), float("nan"), note=note)
            for name, value in zip(named, mean[: len(named)], strict=True)
        ]
    return rows


def coverage(of: Told) -> list[tables.Row]:
    """Return which layer of each mosaic gave which part of a region's gate, by year."""
    rows = []
    spans = epochs.single_years(of.layout.years)
    layers = of.layout.attributes["nunatak:layers"]
    for mosaic, gate_set, weight in np.ndindex(len(of.layout.mosaics), len(of.layout.gate_sets), 2):
        part = stored.read(of.group, "coverage", (mosaic, gate_set, weight))
        named = [*layers[mosaic], *[""] * (part.shape[-1] - 1 - len(layers[mosaic])), "none"]
        about = f"mosaic={of.layout.mosaics[mosaic]};gates={of.layout.gate_sets[gate_set]}"
        for t, r, layer in np.argwhere(part > 0.0):
            by = ("length", "flux")[weight]
            rows.append(
                of.row(
                    "coverage",
                    of.layout.regions[r],
                    spans[t],
                    float(part[t, r, layer]),
                    0.0,
                    unit="1",
                    note=f"year={spans[t].name};layer={named[layer]};by={by};{about}",
                )
            )
    return rows


def flux_errors(of: Told) -> list[tables.Row]:
    """Return the parts of the flux's uncertainty, beside the paper's and the drawn ones."""
    span = epochs.spans(of.run.choices, of.layout.years)[-1]
    weights = np.asarray(span.weights)
    on = weights > 0.0
    rows = []
    kinds = range(len(FLUX_TERMS))
    for case in range(len(of.layout.cases)):
        spread = stored.read(of.group, "case_flux_covariance", case)[:, :, on][:, :, :, on]
        ours = np.einsum("t,u,krtu->kr", weights[on], weights[on], spread)
        # Equations 4 to 10 take years as independent of each other.
        printed = stored.read(of.group, "case_paper_sigma", case)[:, :, on] ** 2 @ weights[on] ** 2
        for term, i in np.ndindex(len(kinds), len(of.layout.rows)):
            value = float(np.sqrt(ours[term, i]) / KG_PER_GT)
            paper = float(np.sqrt(printed[term, i]) / KG_PER_GT)
            if np.isfinite(value):
                note = f"case={case};term={FLUX_TERMS[term]};paper_mode={paper:.4f}"
                rows.append(
                    of.row("ice_flux_uncertainty", of.layout.rows[i], span, value, 0.0, note=note)
                )
    return rows
