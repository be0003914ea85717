"""How a finished altimetry product is told: tables, figures, provenance, catalogue item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines import stored, tables
from pipelines.flows import product_results, regions
from pipelines.flows.altimetry_arrays import Layout
from pipelines.kernels.constants import KG_PER_GT
from pipelines.lifecycle import Finished
from stac import contracts

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.altimetry_inputs import AltimetryInputs
    from pipelines.settings import Run

TITLE = "Rate of mass change of the Antarctic ice sheet from satellite altimetry"


def provenance(run: Run, found: AltimetryInputs) -> dict[str, Any]:
    """Return the attributes that say how the product was made."""
    return {
        **product_results.provenance(run, found.items, title=TITLE),
        "references": "Sasgen et al. (2019), section 2.2, appendix A",
        "nunatak:member_dimensions": "/".join(filter(None, (found.member_dimensions, "density"))),
    }


def tell(finished: Finished, *, run: Run, found: AltimetryInputs, layout: Layout) -> None:
    """Write tables, figures and, last, ``item.json``."""
    written = {
        "tables/regions.csv": tables.write_rows(region_rows(finished.group, run, layout)),
        **figures(finished.group, run, found, layout),
    }
    for path, data in written.items():
        finished.write(path, data)
    members = len(layout.members)
    product_results.publish(
        run, TITLE, inputs=found, snapshot=finished.snapshot, properties={"members": members}
    )


def region_rows(group: zarr.Group, run: Run, layout: Layout) -> list[tables.Row]:
    """Return the mass rate of each region and group, and how much of its area was filled.

    Totals come from the members' sums over the joined kernels, never from adding rows.
    """
    rate = stored.read(group, "region_mass_rate") / KG_PER_GT
    covariance = stored.read(group, "region_mass_rate_covariance") / KG_PER_GT**2
    filled = stored.read(group, "region_filled_fraction")
    spread = np.sqrt(np.diag(covariance))
    shown = [i for i, name in enumerate(layout.regions) if name != regions.BUFFERED]
    rows = [
        product_results.row(
            run, "mass_rate", layout.regions[i], float(rate[i]), float(spread[i]), unit="Gt yr-1",
            note=f"members={len(layout.members)};filled={filled[:, i].mean():.4f}",
        )
        for i in shown
    ]  # fmt: skip
    return rows + [
        product_results.row(
            run, "filled_fraction", layout.regions[i], float(filled[:, i].mean()),
            float(filled[:, i].std()), unit="1", note="of the area, mean and spread of the rates",
        )
        for i in shown
        if np.isfinite(filled[:, i]).all()
    ]  # fmt: skip


def figures(
    group: zarr.Group, run: Run, found: AltimetryInputs, layout: Layout
) -> dict[str, bytes]:
    """Return the pictures people expect of altimetry, as PNG."""
    from pipelines.figures import maps, spectra

    named = f"{run.period[0]} to {run.period[1]}"
    power = stored.read(group, "degree_power"), stored.read(group, "degree_power_spread")
    lines = product_results.outlines(contracts.open_regions(found.regions))
    coast = product_results.coastlines(found.grounded_ice)
    wanted = {
        "mass_rate_map": ("mass_rate", f"Mass change by altimetry, {named}", True),
        "spread_map": ("mass_rate_sigma", f"Spread of the members, {named}", False),
    }
    drawn = {
        f"figures/{path}.png": maps.rate_map(
            layout.x, layout.y, stored.read(group, array), outlines=lines, coast=coast,
            title=title, diverging=diverging,
        )
        for path, (array, title, diverging) in wanted.items()
    }  # fmt: skip
    drawn["figures/degree_power.png"] = spectra.degree_power(
        *power, title=f"Power by degree, {named}"
    )
    return drawn
