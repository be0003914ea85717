"""How a finished mass budget is told: tables, IMBIE files, NetCDF, figures, catalogue item."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pipelines import tables
from pipelines.flows import mass_budget_epochs as epochs
from pipelines.flows import mass_budget_errors, product_results
from pipelines.flows import mass_budget_exchange as exchange
from pipelines.flows import mass_budget_figures as figures
from pipelines.flows import mass_budget_tables as budget_tables

if TYPE_CHECKING:
    from pipelines.flows.mass_budget_arrays import Layout
    from pipelines.flows.mass_budget_inputs import MassBudgetInputs
    from pipelines.lifecycle import Finished
    from pipelines.settings import Run

TITLE = "Mass budget of the Antarctic ice sheet: discharge, surface mass balance and what remains"


def provenance(run: Run, found: MassBudgetInputs) -> dict[str, Any]:
    """Return the attributes that say how the product was made."""
    return {
        **product_results.provenance(run, found.items, title=TITLE),
        "references": "Yang et al. (2023), section 2",
        "nunatak:seed": run.choices.uncertainty.seed,
        "nunatak:velocity_products": sorted({each.product for each in found.maps}),
    }


def planned_notes(run: Run, layout: Layout) -> Iterator[str]:
    """Say what the plan makes of the run's years and choices."""
    labels = ", ".join(year.label for year in layout.years[:12])
    more = f" … {layout.years[-1].label}" if len(layout.years) > 12 else ""
    yield f"years of velocity: {labels}{more}"
    yield from epochs.skipped(run.choices, layout)
    yield (
        f"{len(layout.nodes.x)} nodes; {len(layout.members)} members: {len(layout.gate_sets)} gate "
        f"sets × {len(layout.beds)} beds × {len(layout.mosaics)} mosaics × "
        f"{len(layout.models) or 'no'} models of surface mass balance"
    )


def tell(finished: Finished, *, run: Run, found: MassBudgetInputs, layout: Layout) -> None:
    """Write tables, files of other tools, figures and, last, ``item.json``."""
    of = budget_tables.Told(finished.group, run, layout)
    written = {
        "tables/regions.csv": tables.write_rows(budget_tables.regions(of)),
        "tables/years.csv": tables.write_rows(budget_tables.years(of)),
        "tables/members.csv": tables.write_rows(budget_tables.members(of)),
        "tables/gates.csv": tables.write_rows(budget_tables.gates(of)),
        "tables/coverage.csv": tables.write_rows(budget_tables.coverage(of)),
        "tables/uncertainty.csv": tables.write_rows(mass_budget_errors.uncertainties(of)),
        "tables/budget.nc": exchange.netcdf(of),
        **exchange.imbie_files(of),
        **figures.figures(of, found),
    }
    for path, data in written.items():
        finished.write(path, data)
    product_results.publish(
        run, TITLE, inputs=found, snapshot=finished.snapshot,
        properties={"members": len(layout.members), "seed": run.choices.uncertainty.seed},
    )  # fmt: skip
