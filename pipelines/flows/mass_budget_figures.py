"""The pictures that people expect of a mass budget."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines import stored
from pipelines.flows import mass_budget_epochs as epochs
from pipelines.flows import mass_budget_series as series
from pipelines.flows import product_results
from pipelines.flows.mass_budget_arrays import FLUX_TERMS, QUANTITIES
from pipelines.kernels.budget.balance import SECTORS
from pipelines.kernels.constants import KG_PER_GT
from stac import contracts

if TYPE_CHECKING:
    from pipelines.figures.budget_series import Budget
    from pipelines.flows.mass_budget_inputs import MassBudgetInputs
    from pipelines.flows.mass_budget_tables import Told

FLOAT = NDArray[np.float64]

SHEETS = ("AIS", "EAIS", "WAIS", "AP")


def figures(of: Told, found: MassBudgetInputs) -> dict[str, bytes]:
    """Return every picture that the run has the numbers for, as PNG by path."""
    drawn: dict[str, bytes | None] = {
        "gate_flux": _gate_flux(of, found),
        "variance": _variance(of),
        **_maps(of, found),
    }
    if of.run.inputs.surface_mass_balance:
        drawn |= {"budget": _budget(of), **_cumulative(of)}
    if len(of.layout.members) > 1:
        drawn["ensemble"] = _ensemble(of)
    drawn |= _sectors(of)
    return {f"figures/{name}.png": data for name, data in drawn.items() if data is not None}


def _lines(found: MassBudgetInputs) -> tuple[list[tuple[FLOAT, FLOAT]], list[tuple[FLOAT, FLOAT]]]:
    outlines = product_results.outlines(contracts.open_regions(found.regions))
    return outlines, product_results.coastlines(found.grounded_ice)


def _title(of: Told, text: str) -> str:
    return f"{text}, {of.run.period[0]} to {of.run.period[1]}"


def _gate_flux(of: Told, found: MassBudgetInputs) -> bytes:
    from pipelines.figures import gate_flux

    nodes = of.layout.nodes
    first = nodes.gate_set == 0
    flux = stored.read(of.group, "node_flux", 0)[first]
    total = epochs.told(of.group, "ice_flux", epochs.spans(of.run.choices, of.layout.years)[-1])
    whole = of.layout.places.whole
    outlines, coast = _lines(found)
    return gate_flux.gate_flux(
        nodes.x[first], nodes.y[first], flux / nodes.length[first],
        total=(total.members[0, whole] / KG_PER_GT, total.sigmas[0, whole] / KG_PER_GT),
        outlines=outlines, coast=coast,
        title=_title(of, f"Flux through {of.layout.gate_sets[0]}"),
    )  # fmt: skip


def _variance(of: Told) -> bytes:
    """Draw what the variance of discharge is made of; of its terms each errs by itself."""
    from pipelines.figures import ensemble

    span = epochs.spans(of.run.choices, of.layout.years)[-1]
    weights = np.asarray(span.weights)
    on = weights > 0.0
    at_gate = stored.read(of.group, "case_flux_covariance", 0)[:, :, on][:, :, :, on]
    variance = np.einsum("t,u,krtu->kr", weights[on], weights[on], at_gate)
    variances = dict(zip(FLUX_TERMS, variance / KG_PER_GT**2, strict=True))
    for name in ("smb_gate_to_grounding_line", "dynamic_volume_change", "basal_melt_gate_to_line"):
        if name in of.quantities():
            variances[name] = (epochs.told(of.group, name, span).sigmas[0] / KG_PER_GT) ** 2
    shown = [row for row in of.layout.rows if row in SHEETS] or list(of.layout.rows[:12])
    at = [of.layout.rows.index(row) for row in shown]
    return ensemble.variance_shares(
        [row.replace("_", " ") for row in shown],
        {name.replace("_", " "): values[at] for name, values in variances.items()},
        quantity="discharge",
        title=f"What makes discharge uncertain: member {of.layout.member_name(0)}",
    )


def _budget(of: Told) -> bytes | None:
    from pipelines.figures import budget_series

    spans = series.spans(of)
    rows = {row: _row(of, row) for row in SHEETS if row in of.layout.rows}
    known = {name: row for name, row in rows.items() if np.isfinite(row.discharge).any()}
    if not known:
        return None
    return budget_series.budget_series(spans, known, title=_title(of, "Mass budget"))


def _row(of: Told, row: str) -> Budget:
    """Return the series of one row, mean of the members with all that is uncertain [Gt yr⁻¹]."""
    from pipelines.figures.budget_series import Budget

    at = of.layout.rows.index(row)
    names = ("surface_mass_balance", "discharge", "replaced", "mass_balance")
    found = [series.by_year(of, name, at) for name in names]
    (snow, out, balance, native) = found
    if not of.layout.places.replaced:
        return Budget(*snow, *out, *native)
    return Budget(*snow, *out, *balance, *native)


def _cumulative(of: Told) -> dict[str, bytes]:
    """Draw sums of the balance over years that follow each other without a gap."""
    from pipelines.figures import cumulative

    if not series.is_unbroken(of):
        return {}
    changes = {
        row: series.cumulative(of, of.layout.rows.index(row))
        for row in SHEETS
        if row in of.layout.rows
    }
    known = {name: each for name, each in changes.items() if np.isfinite(each[0]).all()}
    if not known:
        return {}
    spans = series.spans(of)
    replaced = of.layout.places.replaced
    text = f"Mass change, regions {', '.join(replaced)} replaced" if replaced else "Mass change"
    return {
        "cumulative": cumulative.cumulative(
            spans.ends, known, start=float(spans.starts[0]), title=_title(of, text)
        )
    }


def _ensemble(of: Told) -> bytes | None:
    from pipelines.figures import ensemble

    span = epochs.spans(of.run.choices, of.layout.years)[-1]
    found = epochs.told(of.group, "discharge", span)
    whole = of.layout.places.whole
    if not np.isfinite(found.members[:, whole]).any():
        return None
    labels = [of.layout.member_name(i) for i in range(len(of.layout.members))]
    labels = [label if label.count(":") == 3 else f"{label}:none" for label in labels]
    return ensemble.sensitivity(
        labels, found.members[:, whole] / KG_PER_GT, found.sigmas[:, whole] / KG_PER_GT,
        quantity="discharge", title=_title(of, "Discharge by choice"),
    )  # fmt: skip


def _sectors(of: Told) -> dict[str, bytes]:
    """Draw discharge by sector and epoch, where there are epochs to compare."""
    from pipelines.figures import sectors

    spans = epochs.spans(of.run.choices, of.layout.years)[:-1]
    rows = [row for row in of.layout.rows if row.replace("_", " ") in SECTORS]
    rows = rows or [row for row in SHEETS[1:] if row in of.layout.rows]
    if len(spans) < 2 or not rows:
        return {}
    at = [of.layout.rows.index(row) for row in rows]
    found = [epochs.told(of.group, "discharge", span) for span in spans]
    change = np.asarray(spans[-1].weights) - np.asarray(spans[0].weights)
    spread = stored.read(of.group, "budget_covariance", (0, QUANTITIES.index("discharge")))
    on = change != 0.0
    variance = np.einsum("t,u,rtu->r", change[on], change[on], spread[:, on][:, :, on])
    values = np.stack([each.value[at] for each in found]) / KG_PER_GT
    if not np.isfinite(values).any():
        return {}
    return {
        "sectors": sectors.sector_bars(
            [row.replace("_", " ") for row in rows], [span.name for span in spans], values,
            np.stack([each.sigma[at] for each in found]) / KG_PER_GT,
            change_sigma=np.sqrt(np.maximum(variance[at], 0.0)) / KG_PER_GT,
            title=_title(of, "Discharge by sector"),
        )
    }  # fmt: skip


def _maps(of: Told, found: MassBudgetInputs) -> dict[str, bytes]:
    """Draw the speed of the last epoch, and how it changed from epoch to epoch."""
    from pipelines.figures import velocity_change

    if not of.layout.x.size:
        return {}
    spans = epochs.spans(of.run.choices, of.layout.years)
    outlines, coast = _lines(found)
    where = {"outlines": outlines, "coast": coast}
    speeds = {span.name: _speed(of, span) for span in spans}
    x, y = of.layout.x, of.layout.y
    drawn = {
        "speed": velocity_change.speed_map(
            x, y, speeds[spans[-1].name], sigma=None, **where, title=_title(of, "Ice speed")
        )
    }
    pairs = list(itertools.pairwise(spans[:-1]))
    if len(spans) > 3:
        pairs.append((spans[0], spans[-2]))
    changes = {f"{a.name} to {b.name}": (speeds[b.name] - speeds[a.name], None) for a, b in pairs}
    if changes:
        drawn["speed_change"] = velocity_change.change_maps(
            x, y, changes, **where, title=_title(of, "Change of ice speed")
        )
    return drawn


def _speed(of: Told, span: epochs.Span) -> FLOAT:
    """Return the speed of an epoch, mean of the years that count (y, x) [m yr⁻¹]."""
    total = np.zeros((len(of.layout.y), len(of.layout.x)))
    for t, weight in enumerate(span.weights):
        if weight > 0.0:
            total += weight * stored.read(of.group, "speed", t)
    return total
