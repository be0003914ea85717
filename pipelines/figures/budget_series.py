"""What falls on the ice against what leaves it, year by year, and the balance of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas, year_axis
from pipelines.figures.year_axis import Spans

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLOAT = NDArray[np.float64]

SNOW, DISCHARGE, GAIN, LOSS = canvas.BLUE, canvas.RED, "#92c5de", "#f4a582"
"""Colours of the two sides of the budget, and of bars of gain and loss: paler, so that error
bars on them can be read."""

BAR = 0.8
"""Share of a year that its bar takes."""

UNIT = "Gt yr⁻¹"


@dataclass(frozen=True)
class Budget:
    """The budget of one row of a table: a basin, a sector or an ice sheet.

    Parameters
    ----------
    snow, snow_sigma : ndarray, shape (years,)
        Surface mass balance and its standard deviation [Gt yr⁻¹].
    discharge, discharge_sigma : ndarray, shape (years,)
        Discharge D over the grounding line, positive outward [Gt yr⁻¹].
    balance, balance_sigma : ndarray, shape (years,)
        Mass balance, with the basins whose native balance is not trusted replaced [Gt yr⁻¹].
    native, native_sigma : ndarray, shape (years,), optional
        Mass balance of all basins by SMB − D [Gt yr⁻¹].
    """

    snow: FLOAT
    snow_sigma: FLOAT
    discharge: FLOAT
    discharge_sigma: FLOAT
    balance: FLOAT
    balance_sigma: FLOAT
    native: FLOAT | None = None
    native_sigma: FLOAT | None = None

    @property
    def replaced(self) -> bool:
        """Whether the native balance is known and differs from the balance."""
        return self.native is not None and not np.allclose(
            self.native, self.balance, rtol=0.0, atol=1e-6, equal_nan=True
        )


def budget_series(spans: Spans, rows: Mapping[str, Budget], *, title: str) -> bytes:
    """Draw the budget of each row: both sides above, their difference below.

    Yang et al. (2023), equation 3::

        MB = SMB − D

    Parameters
    ----------
    spans : Spans
        The years or epochs.
    rows : mapping of str to Budget
        The budgets by the name of their row.
    title : str
        What and when.

    Returns
    -------
    bytes
        A PNG picture. Bands and error bars are one standard deviation; years of NaN are empty.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        No row, or numbers that are not one for each year.
    """
    check(spans, rows)
    columns = 1 if len(rows) == 1 else 2
    lines = -(-len(rows) // columns)
    made = canvas.figure(canvas.PAGE, 0.75 + 2.75 * lines)
    made.suptitle(title, fontsize=9.5, color=canvas.INK)
    grid = made.add_gridspec(2 * lines, columns, height_ratios=[1.5, 1.0] * lines)
    inches = 0.87 * canvas.PAGE / columns - 0.15
    for n, (name, budget) in enumerate(rows.items()):
        line, column = divmod(n, columns)
        upper = made.add_subplot(grid[2 * line, column])
        lower = made.add_subplot(grid[2 * line + 1, column], sharex=upper)
        draw_sides(upper, spans, budget)
        draw_balance(lower, spans, budget)
        year_axis.draw(lower, spans, inches=inches)
        upper.tick_params(labelbottom=False)
        canvas.heading(upper, f"{canvas.letter(n)} {name}" if columns > 1 else name)
        if column == 0:
            upper.set_ylabel(f"SMB, D [{UNIT}]", fontsize=8)
            lower.set_ylabel(f"balance [{UNIT}]", fontsize=8)
    made.legend(handles=_legend(replaced=any(budget.replaced for budget in rows.values())), ncols=3,
                loc="outside lower center", frameon=False, fontsize=7)  # fmt: skip
    return canvas.png(made)


def check(spans: Spans, rows: Mapping[str, Budget]) -> None:
    """Refuse budgets that are not on the years.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        No row, numbers that are not one for each year, or a native balance without its sigma.
    """
    if not rows:
        msg = "found no rows of the budget, expected at least one; nothing can be drawn"
        raise canvas.FigureError(msg)
    for name, budget in rows.items():
        if (budget.native is None) != (budget.native_sigma is None):
            msg = f"found only one of native balance and sigma of {name!r}, expected both or none"
            raise canvas.FigureError(msg)
        numbers = {field.name: getattr(budget, field.name) for field in fields(budget)}
        given = {key: array for key, array in numbers.items() if array is not None}
        year_axis.check(spans, given, what=f"numbers of {name}")


def draw_sides(axes: Axes, spans: Spans, budget: Budget) -> None:
    """Draw surface mass balance and discharge as steps with bands of one sigma [Gt yr⁻¹]."""
    sides = (
        (budget.snow, budget.snow_sigma, SNOW, "-"),
        (budget.discharge, budget.discharge_sigma, DISCHARGE, (0, (4, 1.2))),
    )
    for level, sigma, colour, style in sides:
        t, mean, error = year_axis.steps(spans, level, sigma)
        axes.fill_between(t, mean - error, mean + error, color=colour, alpha=0.2, linewidth=0)
        axes.plot(t, mean, color=colour, linewidth=1.2, linestyle=style)
    canvas.tidy(axes)


def draw_balance(axes: Axes, spans: Spans, budget: Budget) -> None:
    """Draw the balance as bars coloured by sign, and the native one as diamonds if it differs."""
    there = np.isfinite(budget.balance)
    colours = [GAIN if value >= 0.0 else LOSS for value in budget.balance[there]]
    centres, wide = spans.centres, BAR * spans.lengths
    shift = 0.17 * wide if budget.replaced else np.zeros_like(wide)
    axes.bar(centres[there], budget.balance[there], width=wide[there], color=colours,
             edgecolor=canvas.GREY, linewidth=0.3)  # fmt: skip
    errors: dict[str, Any] = {"linestyle": "none", "elinewidth": 0.8, "capsize": 1.3,
                              "capthick": 0.8}  # fmt: skip
    axes.errorbar((centres - shift)[there], budget.balance[there],
                  yerr=budget.balance_sigma[there], ecolor=canvas.INK, **errors)  # fmt: skip
    if budget.replaced and budget.native is not None and budget.native_sigma is not None:
        known = np.isfinite(budget.native)
        axes.errorbar((centres + shift)[known], budget.native[known],
                      yerr=budget.native_sigma[known], ecolor=canvas.PURPLE,
                      color=canvas.PURPLE, marker="D", markersize=2.6,
                      markerfacecolor="white", markeredgewidth=0.8, **errors)  # fmt: skip
    axes.axhline(0.0, color=canvas.INK, linewidth=0.7)
    canvas.tidy(axes)


def _legend(*, replaced: bool) -> list[Any]:
    """Return what the colours mean; ``replaced`` tells the two balances apart."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    balance = "balance, basins replaced" if replaced else "balance SMB − D"
    told = [
        Line2D([], [], color=SNOW, linewidth=1.2, label="surface mass balance SMB"),
        Line2D([], [], color=DISCHARGE, linewidth=1.2, linestyle=(0, (4, 1.2)),
               label="discharge D"),
        Patch(color=canvas.MISSING, label="bands, error bars: one standard deviation"),
        Patch(facecolor=GAIN, edgecolor=canvas.GREY, label=f"{balance}: gain"),
        Patch(facecolor=LOSS, edgecolor=canvas.GREY, label=f"{balance}: loss"),
    ]  # fmt: skip
    if replaced:
        told.append(Line2D([], [], color=canvas.PURPLE, marker="D", markersize=3.5,
                           markerfacecolor="white", linewidth=0.8,
                           label="native balance SMB − D"))  # fmt: skip
    return told
