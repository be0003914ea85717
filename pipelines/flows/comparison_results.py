"""How a finished comparison is told: tables, pictures, catalogue item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines import tables
from pipelines.flows import comparison_figures, comparison_tables, product_results

if TYPE_CHECKING:
    from pipelines.flows.comparison_arrays import Layout
    from pipelines.flows.comparison_inputs import ComparisonInputs
    from pipelines.lifecycle import Finished
    from pipelines.settings import Run

FLOAT = NDArray[np.float64]

TITLE = "Mass balance of the Antarctic ice sheet by several methods on common ground"


def provenance(run: Run, found: ComparisonInputs) -> dict[str, Any]:
    """Return the attributes that say how the product was made."""
    return {
        **product_results.provenance(run, found.items, title=TITLE),
        "references": "Sasgen et al. (2019), section 3.3; Yang et al. (2023), section 4",
        "nunatak:methods": {each.name: each.kind for each in found.methods},
        "nunatak:signals": comparison_tables.SIGNALS,
    }


def tell(finished: Finished, *, run: Run, found: ComparisonInputs, layout: Layout) -> None:
    """Write tables, pictures and, last, ``item.json``."""
    group = finished.group
    written = {
        "comparison": comparison_tables.comparison_rows(group, run, found),
        "series": comparison_tables.series_rows(group, run, layout),
        "causes": comparison_tables.cause_rows(group, run),
    }
    if layout.shelves and "damage_fraction" in group:
        written["damage"] = comparison_tables.damage_rows(group, run, layout)
    for name, rows in written.items():
        finished.write(f"tables/{name}.csv", tables.write_rows(rows))
    least = run.choices.least_covered
    for path, data in comparison_figures.pictures(group, layout, least_covered=least).items():
        finished.write(path, data)
    product_results.publish(
        run, TITLE, inputs=found, snapshot=finished.snapshot,
        properties={"methods": list(layout.methods)},
    )  # fmt: skip
