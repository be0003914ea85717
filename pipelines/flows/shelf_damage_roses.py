"""How the fractures of a shelf run from summer to summer, as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipelines import stored
from pipelines.figures import fracture_rose
from pipelines.flows import shelf_damage_fractures
from pipelines.stored import group_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    import zarr

MOST_ROSES = 8


def drawn(group: zarr.Group, shelf: str, summers: Sequence[int]) -> bytes | None:
    """Return roses of a shelf's summers, at most eight spread over the series.

    None if fractures of no summer were told. Axes are those of the map: x to the right, y up.

    Parameters
    ----------
    group : zarr.Group
        The finished product.
    shelf : str
        Id of the shelf.
    summers : sequence of int
        Those to be shown, in order.
    """
    told = [summer for summer in summers if _is_told(group_at(group, f"{shelf}/{summer}"))]
    if not told:
        return None
    shown = np.unique(np.linspace(0, len(told) - 1, min(MOST_ROSES, len(told))).round().astype(int))
    roses = []
    for summer in (told[k] for k in shown):
        table = shelf_damage_fractures.table_of(group_at(group, f"{shelf}/{summer}"))
        title = f"{summer}/{(summer + 1) % 100:02d}"
        roses.append(fracture_rose.Rose(title, table["orientation_deg"], table["length_m"]))
    name = str(group_at(group, f"{shelf}/{told[0]}").attrs.get("nunatak:name", shelf))
    title = f"{name}: how fractures run on the map, by length"
    return fracture_rose.drawn(roses, title=title)


def _is_told(made: zarr.Group) -> bool:
    """Return whether the fractures of a summer were told."""
    if "fracture_left_out" not in made:
        return False
    return not bool(np.isnan(stored.read(made, "fracture_left_out")).any())
