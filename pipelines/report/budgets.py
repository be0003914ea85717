"""Mass budgets of a report: snow against discharge year by year, and sectors by epoch."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines import stored
from pipelines.kernels.budget.years import decimal
from pipelines.kernels.constants import KG_PER_GT
from pipelines.report.maps import epoch_weights
from pipelines.report.methods import GROUPS, MEAN
from pipelines.report.pictures import Picture
from pipelines.report.rounding import rounded

if TYPE_CHECKING:
    from pipelines.figures.budget_series import Budget
    from pipelines.figures.year_axis import Spans
    from pipelines.report.material import Material
    from pipelines.report.outputs import Output
    from pipelines.report.sheets import Cited
    from pipelines.tables import Row

FLOAT = NDArray[np.float64]

SECTORS = ("Amundsen", "Bellingshausen", "Weddell", "West Indian", "East Indian", "Ross")
WHOLE_YEAR = 0.9
"""Rows of shorter spans are months [yr]."""


def pictures(of: Material) -> Iterator[Picture]:
    """Yield the pictures of each mass budget."""
    for output in of.of("mass_budget"):
        named = "" if len(of.of("mass_budget")) == 1 else f"-{of.in_folder[output.name]}"
        found = by_year(of.rows(output, "years"))
        if found is not None:
            yield _budget(*found, named)
        sectors = _sectors(of, output, named)
        if sectors is not None:
            yield sectors


def _budget(spans: Spans, rows: dict[str, Budget], named: str) -> Picture:
    from pipelines.figures import budget_series

    def draw() -> bytes:
        return budget_series.budget_series(spans, rows, title="Mass budget")

    told = "; ".join(
        f"{region}: snow {_range(row.snow)}, discharge {_range(row.discharge)}, balance "
        f"{_range(row.balance)}" for region, row in rows.items()
    )  # fmt: skip
    caption = (
        "Surface mass balance SMB against discharge D by year, with bands of one standard "
        "deviation, and below their difference, the mass balance [Gt yr⁻¹]; Yang et al. (2023), "
        "equation 3."
    )
    return Picture(f"budget{named}", draw, f"Series of the budget. {told} Gt yr⁻¹.", caption)


def _range(values: FLOAT) -> str:
    there = values[np.isfinite(values)]
    if not there.size:
        return "not known"
    return f"{rounded(float(there.min()), 0)} to {rounded(float(there.max()), 0)}"


def by_year(rows: Sequence[Cited]) -> tuple[Spans, dict[str, Budget]] | None:
    """Return the years of a budget and the rows of its groups; None where snow is not known.

    Of a run of months the whole calendar years, if there are any.
    """
    from pipelines.figures import canvas
    from pipelines.figures.budget_series import Budget
    from pipelines.figures.year_axis import Spans

    known = [each.row for each in rows if each.row.region in GROUPS]
    days = _years(known)
    if not days:
        return None
    held = {(row.quantity, row.region, (row.period_start, row.period_end)): row for row in known}

    def series(quantity: str, region: str) -> tuple[FLOAT, FLOAT]:
        found = [held.get((quantity, region, each)) for each in days]
        value, sigma = (
            [math.nan if row is None else getattr(row, part) for row in found]
            for part in ("value", "uncertainty")
        )
        return np.array(value, dtype=np.float64), np.array(sigma, dtype=np.float64)

    budgets = {}
    for region in GROUPS:
        snow, out, native, replaced = (
            series(name, region)
            for name in (
                "surface_mass_balance", "discharge", "mass_balance", "mass_balance_replaced"
            )
        )  # fmt: skip
        if not (np.isfinite(snow[0]).any() and np.isfinite(out[0]).any()):
            continue
        known_as = (*replaced, *native) if np.isfinite(replaced[0]).any() else native
        budgets[region] = Budget(*snow, *out, *known_as)
    labels = {
        (row.period_start, row.period_end): canvas.plain(row.told.get("year", "")) for row in known
    }
    starts = np.array([decimal(first) for first, _ in days])
    ends = np.array([decimal(last + dt.timedelta(days=1)) for _, last in days])
    return (Spans(starts, ends, [labels[each] for each in days]), budgets) if budgets else None


def _years(rows: Sequence[Row]) -> list[tuple[dt.date, dt.date]]:
    """Return the years of a table in order: whole ones, or months where there is no whole one."""
    found = sorted({(row.period_start, row.period_end) for row in rows if "year" in row.told})
    whole = [each for each in found if (each[1] - each[0]).days > WHOLE_YEAR * 365]
    kept: list[tuple[dt.date, dt.date]] = []
    for first, last in whole or found:
        if not kept or first > kept[-1][0]:
            kept.append((first, last))
    return kept


def _sectors(of: Material, output: Output, named: str) -> Picture | None:
    """Return discharge by sector and epoch, where there are epochs to compare."""
    from pipelines.figures import sectors

    rows = [each.row for each in of.rows(output, "regions") if each.row.quantity == "discharge"]
    epochs = list(dict.fromkeys(row.told.get("epoch", MEAN) for row in rows))
    epochs = [name for name in epochs if name != MEAN]
    here = {row.region for row in rows}
    names = [name for name in SECTORS if name in here] or [
        name for name in GROUPS[1:] if name in here
    ]
    if len(epochs) < 2 or not names:
        return None
    held = {(row.told.get("epoch"), row.region): row for row in rows}
    values, sigmas = (
        np.array([[getattr(held[epoch, name], part) if (epoch, name) in held else np.nan
                   for name in names] for epoch in epochs])
        for part in ("value", "uncertainty")
    )  # fmt: skip
    if not np.isfinite(values).any():
        return None
    changes = _change_sigmas(of, output, epochs, names)

    def draw() -> bytes:
        return sectors.sector_bars(
            names, epochs, values, sigmas, change_sigma=changes, title="Discharge by sector"
        )

    told = "; ".join(
        f"{name} {rounded(float(values[0, n]), 0)} to {rounded(float(values[-1, n]), 0)}"
        for n, name in enumerate(names) if np.isfinite(values[[0, -1], n]).all()
    )  # fmt: skip
    caption = (
        "Discharge of each sector by epoch, less its mean over the epochs [Gt yr⁻¹], and how much "
        "more the last epoch has than the first; error bars are one standard deviation. After "
        "Yang et al. (2023), figure 3."
    )
    alt = f"Bars of discharge by sector, from {epochs[0]} to {epochs[-1]}: {told} Gt yr⁻¹."
    return Picture(f"sectors{named}", draw, alt, caption)


def _change_sigmas(
    of: Material, output: Output, epochs: Sequence[str], names: Sequence[str]
) -> FLOAT | None:
    """Return the deviation of the change of discharge between first and last epoch [Gt yr⁻¹].

    Of the first member, as the product's own picture has it: epochs share beds and maps. None where
    the arrays do not tell.
    """
    group = of.groups.of(output)
    if not {"budget_covariance", "quantity", "row", "year_start"} <= set(group):
        return None
    weights = epoch_weights(of, output)
    rows, quantities = (
        str(stored.array(group, name).attrs["flag_meanings"]).split()
        for name in ("row", "quantity")
    )
    places = [rows.index(name.replace(" ", "_")) for name in names
              if name.replace(" ", "_") in rows]  # fmt: skip
    if not {epochs[0], epochs[-1]} <= set(weights) or len(places) < len(names):
        return None
    change = np.array(weights[epochs[-1]]) - np.array(weights[epochs[0]])
    spread = stored.read(group, "budget_covariance", (0, quantities.index("discharge")))
    on = change != 0.0
    variance = np.einsum("t,u,rtu->r", change[on], change[on], spread[:, on][:, :, on])
    return np.asarray(np.sqrt(np.maximum(variance[places], 0.0)) / KG_PER_GT)
