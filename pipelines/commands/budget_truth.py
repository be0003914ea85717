"""Terms of a mass budget beside what they truly are in the synthetic ice sheet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.tables import Row
    from pipelines.worlds.antarctica import Antarctica

TERMS = (("discharge", "discharge"), ("surface_mass_balance", "SMB"), ("mass_balance", "balance"))
"""Terms that do not depend on where a gate lies, and what a table calls them."""


def terms(world: Antarctica, rows: Sequence[Row]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return a table of the truth and of what the budget found, a line per region.

    Parameters
    ----------
    world : Antarctica
        The truth.
    rows : sequence of Row
        Of ``tables/regions.csv``.

    Returns
    -------
    header, lines
        For each term the truth, the result and its standard deviation.
    """
    true = {
        "discharge": world.basin_discharge(),
        "surface_mass_balance": world.basin_surface_mass_balance(),
        "mass_balance": world.basin_mass_rates(),
    }
    found = {(r.quantity, r.region): r for r in rows if r.note.split(";")[0] == "epoch=mean"}
    header = ["region"]
    for name, short in TERMS:
        header += [f"true {short}", short, f"sigma {name[0]}"]
    lines = []
    for region in true["discharge"]:
        cells = [region]
        for name, _ in TERMS:
            row = found.get((name, region))
            cells.append(f"{true[name][region]:.1f}")
            cells += [f"{row.value:.1f}", f"± {row.uncertainty:.1f}"] if row else ["", ""]
        lines.append(tuple(cells))
    return tuple(header), lines
