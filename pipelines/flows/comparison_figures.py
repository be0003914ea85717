"""The pictures of a comparison, from its finished arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines import stored
from pipelines.flows.comparison_sums import years_of
from pipelines.flows.product_arrays import labels_of
from pipelines.kernels.constants import KG_PER_GT

if TYPE_CHECKING:
    import zarr

    from pipelines.figures.comparison_curves import Curve
    from pipelines.flows.comparison_arrays import Layout

FLOAT = NDArray[np.float64]

SUMMER_MIDDLE = 1.04
"""Where a summer stands on an axis of years: mid-January after its November [yr]."""


def pictures(group: zarr.Group, layout: Layout, *, least_covered: float) -> dict[str, bytes]:
    """Return the pictures of a comparison by path.

    Rates and curves that cover less than ``least_covered`` of the period [1] are left out: they
    are not compared, and tables tell them apart.
    """
    from pipelines.figures import comparison_curves, comparison_rates

    when = f"{layout.months[0]} to {layout.months[-1]}"
    usable = stored.read(group, "covered") >= least_covered
    groups = range(layout.regions, len(layout.rows))
    made = {
        f"figures/{name}.png": comparison_rates.method_rates(
            [layout.rows[r] for r in rows],
            held,
            combined=combined(group, list(rows)),
            title=f"Mass balance by every method, {when}",
        )
        for name, rows in (("groups", groups), ("regions", range(layout.regions)))
        if len(rows) and (held := rates(group, list(rows), usable))
    }
    if layout.pairs:
        made["figures/closures.png"] = comparison_rates.standardised_differences(
            layout.rows, closures(group), title=f"How far methods are apart, {when}"
        )
    drawn = {layout.rows[r]: curves(group, layout, r, usable) for r in groups}
    if drawn := {name: each for name, each in drawn.items() if each}:
        title = f"Mass beside its mean, {when}"
        made["figures/cumulative.png"] = comparison_curves.cumulative_by_method(drawn, title=title)
    return made | _damage(group)


def rates(
    group: zarr.Group, rows: list[int], usable: NDArray[np.bool_]
) -> dict[str, tuple[FLOAT, FLOAT]]:
    """Return rates and standard deviations of some rows by method [Gt yr⁻¹].

    NaN where a method is not usable, of shape (method, row of the comparison); a method that is
    nowhere is left out.
    """
    value = np.where(usable, stored.read(group, "mass_rate"), np.nan)[:, rows] / KG_PER_GT
    spread = np.einsum("mrr->mr", stored.read(group, "mass_rate_covariance"))[:, rows]
    sigma = np.where(np.isfinite(value), np.sqrt(spread) / KG_PER_GT, np.nan)
    return {
        name: (value[m], sigma[m])
        for m, name in enumerate(labels_of(group, "method"))
        if np.isfinite(value[m]).any()
    }


def combined(group: zarr.Group, rows: list[int]) -> tuple[FLOAT, FLOAT] | None:
    """Return the combined estimate of some rows [Gt yr⁻¹]; None where there is none."""
    value, sigma = (stored.read(group, name, 0)[rows] / KG_PER_GT
                    for name in ("combined", "combined_sigma"))  # fmt: skip
    return (value, sigma) if np.isfinite(value).any() else None


def closures(group: zarr.Group) -> dict[str, FLOAT]:
    """Return the differences of every two methods over their standard deviations, by row."""
    z = stored.read(group, "closure") / stored.read(group, "closure_sigma")
    methods = labels_of(group, "method")
    pairs = [(a, b) for i, a in enumerate(methods) for b in methods[i + 1 :]]
    return {f"{a} − {b}".replace("_", " "): z[p] for p, (a, b) in enumerate(pairs)}


def curves(
    group: zarr.Group, layout: Layout, row: int, usable: NDArray[np.bool_]
) -> dict[str, Curve]:
    """Return the curve of a row by every method that has one and is usable, gaps as NaN."""
    from pipelines.figures.comparison_curves import Curve

    mass, sigma = (stored.read(group, name)[:, row] / KG_PER_GT for name in ("mass", "mass_sigma"))
    times = 1970.0 + years_of(layout.months)
    return {
        name: Curve(times, mass[m], sigma[m])
        for m, name in enumerate(layout.methods)
        if usable[m, row] and np.isfinite(mass[m]).any()
    }


def _damage(group: zarr.Group) -> dict[str, bytes]:
    from pipelines.figures import comparison_dynamics
    from pipelines.figures.comparison_curves import Curve

    if "damage_fraction" not in group:
        return {}
    summers = np.array([int(each) for each in labels_of(group, "summer")]) + SUMMER_MIDDLE
    held = {name: (stored.read(group, name), stored.read(group, f"{name}_sigma"))
            for name in ("damage_fraction", "discharge_behind")}  # fmt: skip
    shelves = {
        shelf: comparison_dynamics.Beside(
            Curve(summers, *(each[s] for each in held["damage_fraction"])),
            Curve(summers, *(each[s] / KG_PER_GT for each in held["discharge_behind"])),
        )
        for s, shelf in enumerate(labels_of(group, "shelf")[: comparison_dynamics.MOST])
    }
    title = "Damage of ice shelves and discharge of the basins behind them"
    return {"figures/damage.png": comparison_dynamics.damage_beside_discharge(shelves, title=title)}
