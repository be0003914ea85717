"""Why a region has no number: nothing that is missing is ever told as zero, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines import stored
from pipelines.flows.mass_budget_arrays import QUANTITIES

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.mass_budget_arrays import Layout
    from pipelines.flows.mass_budget_epochs import Span

NO_GATE = "no gate crosses the region"
NOT_ENCLOSED = "gates leave a way around them or lie in a row: see tables/gates.csv"
GAP = "more of the gate than largest_gap has no velocity or thickness"
NO_SNOW = "no surface mass balance of the whole time"
NO_RATE = "no elevation rate or melt between gate and grounding line"


def not_enclosed(group: zarr.Group, layout: Layout) -> NDArray[np.bool_]:
    """Return the rows that a gate set does not enclose, groups of such regions among them."""
    closed = (stored.values(group, "is_closed") == 1).all(axis=0)
    return np.asarray(layout.places.matrix() @ ~closed > 0.0)


def reasons(group: zarr.Group, layout: Layout, span: Span) -> list[str]:
    """Return why each row has no flux, discharge or balance over a span; empty if it has.

    Parameters
    ----------
    group : zarr.Group
        A finished product.
    layout : Layout
        Its regions and choices.
    span : Span
        Years that count.

    Returns
    -------
    list of str
        By row; a group names the regions that it lacks.
    """
    found = [_reason(group, layout, span, region) for region in range(len(layout.regions))]
    for _, members in layout.places.groups:
        lacking = [r for r, why in zip(layout.regions, found, strict=False) if why and r in members]
        found.append(f"regions {' '.join(lacking)}" if lacking else "")
    return found


def _reason(group: zarr.Group, layout: Layout, span: Span, region: int) -> str:
    on = np.asarray(span.weights) > 0.0
    nodes = layout.nodes
    sets = range(len(layout.gate_sets))
    if not all(((nodes.gate_set == g) & (nodes.region == region)).any() for g in sets):
        return NO_GATE
    if not (stored.values(group, "is_closed")[:, region] == 1).all():
        return NOT_ENCLOSED
    terms = stored.read(group, "budget")[:, :, on, region]
    finite = np.asarray(np.isfinite(terms).all(axis=(0, 2)))
    known = dict(zip(QUANTITIES, finite.tolist(), strict=True))
    if not known["ice_flux"]:
        return GAP
    if not (known["surface_mass_balance"] and known["smb_gate_to_grounding_line"]):
        return NO_SNOW
    return "" if known["discharge"] else NO_RATE
