"""The pictures of a combination, in the manner of figures 1, 2, 4, 5, 6 and 7 of the paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines import stored
from pipelines.flows import product_results
from stac import contracts

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.combination_arrays import Layout
    from pipelines.flows.combination_inputs import CombinationInputs
    from pipelines.settings import Run


def figures(
    group: zarr.Group, run: Run, found: CombinationInputs, layout: Layout
) -> dict[str, bytes]:
    """Return the pictures of a finished combination, as PNG."""
    from pipelines.figures import maps

    named = f"{run.period[0]} to {run.period[1]}"
    lines = product_results.outlines(contracts.open_regions(found.regions))
    coast = product_results.outlines(contracts.open_regions(found.grounded_ice))
    return {
        "figures/mass_rate_map.png": maps.rate_map(
            layout.x, layout.y, stored.read(group, "mass_rate"), outlines=lines, coast=coast,
            title=f"Mass change, gravimetry and altimetry combined, {named}", diverging=True,
        ),
    }  # fmt: skip
