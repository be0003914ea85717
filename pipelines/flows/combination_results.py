"""How a finished combination is told: tables, figures, provenance, catalogue item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines import stored, tables
from pipelines.flows import combination_figures, product_results, regions
from pipelines.flows.combination_arrays import CORRECTION, SOURCES, Layout
from pipelines.kernels.constants import KG_PER_GT
from pipelines.kernels.gravity import mismatch
from pipelines.lifecycle import Finished

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.combination_inputs import CombinationInputs
    from pipelines.settings import Run

TITLE = "Rate of mass change of the Antarctic ice sheet from gravimetry and altimetry combined"


def provenance(run: Run, found: CombinationInputs) -> dict[str, Any]:
    """Return the attributes that say how the product was made."""
    return {
        **product_results.provenance(run, found.items, title=TITLE),
        "references": "Sasgen et al. (2019), sections 2.3 to 2.6, 4.2",
        "nunatak:products": {
            product.role: {"run_id": product.item.properties.get("nunatak:run_id", ""),
                           "snapshot": product.source.snapshot}
            for product in (found.gravimetry, found.altimetry)
        },
    }  # fmt: skip


def tell(finished: Finished, *, run: Run, found: CombinationInputs, layout: Layout) -> None:
    """Write tables, figures and, last, ``item.json``."""
    group = finished.group
    rows = [*region_rows(group, run, layout), *total_rows(group, run)]
    written = {
        "tables/regions.csv": tables.write_rows(rows),
        "tables/contribution.csv": tables.write_rows(contribution_rows(group, run, layout)),
        **combination_figures.figures(group, run, found, layout),
    }
    for path, data in written.items():
        finished.write(path, data)
    members = layout.gravimetry_members * layout.altimetry_members
    product_results.publish(
        run, TITLE, inputs=found, snapshot=finished.snapshot, properties={"members": members}
    )


def region_rows(group: zarr.Group, run: Run, layout: Layout) -> list[tables.Row]:
    """Return the mass rate of each region and group, and what the correction adds to it.

    Totals come from the members' sums over the joined kernels, never from adding rows.
    """
    rate = stored.read(group, "region_mass_rate") / KG_PER_GT
    before = stored.read(group, "region_mass_rate_uncorrected") / KG_PER_GT
    covariance = stored.read(group, "region_mass_rate_covariance") / KG_PER_GT**2
    sigma = np.sqrt(np.diag(covariance))
    return [
        product_results.row(
            run, "mass_rate", name, float(rate[i]), float(sigma[i]), unit="Gt yr-1",
            note=f"total_correction={rate[i] - before[i]:+.3f}",
        )
        for i, name in enumerate(layout.regions)
        if name != regions.BUFFERED
    ]  # fmt: skip


def total_rows(group: zarr.Group, run: Run) -> list[tables.Row]:
    """Return the correction of the total, leakage over the ocean, and how members agree."""
    held = dict(zip(CORRECTION, stored.read(group, "total_correction"), strict=True))
    state = "applied" if run.choices.total_correction == "ad_hoc" else "not applied"
    weight = held["gravimetry_weight"]
    about = f"{state};weight_gravimetry={weight:.4f}"
    score = stored.read(group, "member_mismatch")
    k, n = np.unravel_index(int(score.argmin()), score.shape)
    effective = mismatch.effective_members(stored.read(group, "member_weight"))
    best = f"gravimetry={k};altimetry={n};mean={score.mean():.3f};effective={effective:.0f}"
    sigma = held["target_sigma"] / KG_PER_GT
    leakage = stored.read(group, "ocean_leakage") / KG_PER_GT
    spread = stored.read(group, "ocean_leakage_sigma") / KG_PER_GT

    def total(quantity: str, value: float, sigma: float, unit: str, note: str) -> tables.Row:
        return product_results.row(run, quantity, regions.ALL, value, sigma, unit=unit, note=note)

    return [
        total("total_correction", held["total"] / KG_PER_GT, np.nan, "Gt yr-1", about),
        total("total_correction_density", held["density"], np.nan, "kg m-2 yr-1", about),
        total("weighted_mean_of_totals", held["target"] / KG_PER_GT, sigma, "Gt yr-1", about),
        total("least_member_mismatch", float(score.min()), np.nan, "1", best),
        *(total("ocean_leakage", float(leakage[i]), float(spread[i]), "Gt yr-1", f"of={name}")
          for i, name in enumerate(SOURCES)),
    ]  # fmt: skip


def contribution_rows(group: zarr.Group, run: Run, layout: Layout) -> list[tables.Row]:
    """Return the share of each mission in the power up to chosen degrees (equation 6)."""
    share = stored.read(group, "cumulative_power_fraction")
    wanted = sorted({min(degree, layout.j_max) for degree in run.choices.contribution_degrees})
    return [
        product_results.row(
            run, "cumulative_power_fraction", f"degree:{degree}", float(share[i, degree]), np.nan,
            unit="1", note=f"of={name};cross_term={share[2, degree]:+.4f}",
        )
        for degree in wanted
        for i, name in enumerate(SOURCES[:2])
    ]  # fmt: skip
