"""What a budget owes to its choices, and what its uncertainty is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLOAT = NDArray[np.float64]

CHOICES = ("gate", "bed", "mosaic", "model")
"""What the parts of a member's label choose."""

COLOURS = (canvas.BLUE, canvas.RED, canvas.GREEN, canvas.PURPLE)

TERMS = {
    "thickness": "#0072b2",
    "velocity": "#d55e00",
    "density": "#999999",
    "SMB": "#56b4e9",
    "gate-to-line": "#009e73",
    "volume": "#e69f00",
    "melt": "#cc79a7",
}
"""Colours of the terms of the variance (Okabe and Ito's), told apart with any colour vision."""

OTHER_TERMS = ("#f0e442", "#3b3b3b", "#b3de69")

LABELLED = 0.055
"""Share from which a part of a bar has its number in it."""

UNIT = "Gt yr⁻¹"


def sensitivity(
    labels: Sequence[str], totals: FLOAT, sigma: FLOAT, *, quantity: str, title: str
) -> bytes:
    """Draw every member of the ensemble by what was chosen, and the spread due to each choice.

    Parameters
    ----------
    labels : sequence of str
        Choices of the members, 'gate:bed:mosaic:model'.
    totals, sigma : ndarray, shape (members,)
        Total of the member and its own standard deviation [Gt yr⁻¹]; NaN is left out.
    quantity : str
        What is totalled: "discharge".
    title : str
        What and when.

    Returns
    -------
    bytes
        A PNG picture. Members are drawn once in the panel of each choice that was varied.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        No member, numbers that are not one for each, or labels that are not of four parts.
    """
    options = parts(labels)
    canvas.check_shapes({"totals": totals, "sigma": sigma}, (len(labels),), what="numbers")
    varied = [n for n in range(len(CHOICES)) if len(set(options[n])) > 1]
    made = canvas.figure(canvas.PAGE, 5.2)
    made.suptitle(title, fontsize=9.5, color=canvas.INK)
    grid = made.add_gridspec(2, 1, height_ratios=[2.6, 1.0])
    shown = varied or [0]
    widths = [max(len(set(options[n])), 2) for n in shown]
    cells = grid[0].subgridspec(1, len(shown), width_ratios=widths)
    panels = cells.subplots(sharey=True, squeeze=False)[0]
    for letter, (axes, n) in enumerate(zip(panels, shown, strict=True)):
        draw_members(axes, options[n], totals, sigma, colour=COLOURS[n])
        canvas.heading(axes, f"{canvas.letter(letter)} {CHOICES[n]}")
    panels[0].set_ylabel(f"{quantity} [{UNIT}]; error bars: one σ", fontsize=8)
    lower = made.add_subplot(grid[1])
    draw_spreads(lower, spreads(labels, totals))
    canvas.heading(lower, f"{canvas.letter(len(shown))} spread due to each choice",
                   right=f"{int(np.isfinite(totals).sum())} of {len(labels)} members")  # fmt: skip
    return canvas.png(made)


def parts(labels: Sequence[str]) -> list[list[str]]:
    """Return the options of the members by choice: of gates, beds, mosaics and models.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        No label, or one that is not of four parts.

    Examples
    --------
    >>> parts(["g1:b1:m1:racmo", "g2:b1:m1:racmo"])[0]
    ['g1', 'g2']
    """
    split = [label.split(":") for label in labels]
    wrong = [label for label, words in zip(labels, split, strict=True)
             if len(words) != len(CHOICES)]  # fmt: skip
    if wrong or not split:
        msg = f"found members {wrong}, expected at least one, labelled {':'.join(CHOICES)}"
        raise canvas.FigureError(msg)
    return [[words[n] for words in split] for n in range(len(CHOICES))]


def spreads(labels: Sequence[str], totals: FLOAT) -> dict[str, float]:
    """Return the spread due to each choice: that of the means of its options.

    Of a full factorial ensemble the squares of the choices' spreads and of their interactions
    sum to the square of the whole (analysis of variance)::

        s²_c = Σ_o n_o (m_o − m)² ∕ Σ_o n_o

    with n_o members of option o, their mean m_o, and the mean m of all.

    Parameters
    ----------
    labels : sequence of str
        Choices of the members, 'gate:bed:mosaic:model'.
    totals : ndarray, shape (members,)
        Total of each member [Gt yr⁻¹]; NaN is left out.

    Returns
    -------
    dict of str to float
        Spread by choice [Gt yr⁻¹], and under "all members" the whole; NaN without any total.

    Examples
    --------
    >>> told = spreads(["a:b:m:r", "c:b:m:r", "a:d:m:r", "c:d:m:r"], np.array([0.0, 2.0, 6.0, 8.0]))
    >>> told["gate"], told["bed"], told["mosaic"], round(told["all members"] ** 2, 9)
    (1.0, 3.0, 0.0, 10.0)
    """
    there = np.isfinite(totals)
    if not there.any():
        return dict.fromkeys((*CHOICES, "all members"), float("nan"))
    known = totals[there]
    found = {}
    for choice, options in zip(CHOICES, parts(labels), strict=True):
        of = np.unique(np.array(options)[there], return_inverse=True)[1]
        means = np.bincount(of, weights=known) / np.bincount(of)
        found[choice] = float(np.std(means[of]))
    return {**found, "all members": float(np.std(known))}


def draw_members(
    axes: Axes, options: Sequence[str], totals: FLOAT, sigma: FLOAT, *, colour: str
) -> None:
    """Draw members in columns of their option, side by side, and the mean of each column."""
    names = list(dict.fromkeys(options))
    for column, name in enumerate(names):
        of = np.flatnonzero([option == name for option in options] & np.isfinite(totals))
        if not of.size:
            continue
        place = column + (np.linspace(-0.3, 0.3, of.size) if of.size > 1 else np.zeros(1))
        axes.errorbar(place, totals[of], yerr=sigma[of], linestyle="none", marker="o",
                      markersize=2.2, color=colour, elinewidth=0.6,
                      ecolor=(colour, 0.25 if of.size > 6 else 0.8))  # fmt: skip
        axes.hlines(totals[of].mean(), column - 0.38, column + 0.38, color=canvas.INK,
                    linewidth=1.4)  # fmt: skip
    axes.set_xlim(-0.55, len(names) - 0.45)
    canvas.tidy(axes)
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=6.5)
    axes.grid(visible=False, axis="x")


def draw_spreads(axes: Axes, found: Mapping[str, float]) -> None:
    """Draw a bar of the spread of each choice, and of all members [Gt yr⁻¹]."""
    rows = np.arange(len(found), dtype=np.float64)
    values = np.array(list(found.values()))
    there = np.isfinite(values)
    colours = np.array([*COLOURS, canvas.GREY])
    axes.barh(rows[there], values[there], height=0.65, color=list(colours[there]))
    for row, value in zip(rows, values, strict=True):
        told = f" {value:.1f}" if np.isfinite(value) else " no data"
        axes.text(value if np.isfinite(value) else 0.0, row, told, fontsize=7.5, va="center",
                  color=canvas.INK)  # fmt: skip
    axes.set_yticks(rows, list(found))
    axes.set(
        ylim=(len(found) - 0.4, -0.6), xlabel=f"standard deviation of the options' means [{UNIT}]"
    )
    axes.margins(x=0.08)
    axes.set_xlim(left=0.0)
    canvas.tidy(axes)


def variance_shares(
    rows: Sequence[str], variances: Mapping[str, FLOAT], *, quantity: str, title: str
) -> bytes:
    """Draw which terms the variance of a budget is made of, one bar for each row.

    Parameters
    ----------
    rows : sequence of str
        Basins, groups or ice sheets.
    variances : mapping of str to ndarray, shape (rows,)
        Variance by term [Gt² yr⁻²]. A term of NaN is not known and named beside its bar.
    quantity : str
        What is uncertain: "mass balance".
    title : str
        What and when.

    Returns
    -------
    bytes
        A PNG picture. The standard deviation of all known terms stands beside each bar.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        No row or term, variances that are not one for each row, or less than zero.
    """
    canvas.check_shapes(variances, (len(rows),), what="variances")
    low = [name for name, values in variances.items() if np.any(values < 0.0)]
    if low or not rows:
        msg = (
            f"found {len(rows)} rows and variances below zero of {low}, expected at least one "
            "row and no variance below zero; add covariances to the terms they belong to"
        )
        raise canvas.FigureError(msg)
    made = canvas.figure(canvas.PAGE, max(3.0, 1.35 + 0.34 * len(rows)))
    axes = made.add_subplot()
    draw_shares(axes, rows, variances)
    canvas.heading(axes, title, right=f"σ: one standard deviation of the {quantity}")
    made.legend(loc="outside lower center", ncols=min(len(variances), 7), frameon=False,
                fontsize=7, handlelength=1.2, columnspacing=1.2)  # fmt: skip
    return canvas.png(made)


def draw_shares(axes: Axes, rows: Sequence[str], variances: Mapping[str, FLOAT]) -> None:
    """Draw stacked bars of shares [%], with the standard deviation beside each [Gt yr⁻¹]."""
    known = np.array([np.nan_to_num(values) for values in variances.values()])
    total = known.sum(axis=0)
    share = np.divide(known, total, out=np.zeros_like(known), where=total > 0.0)
    left, place = np.zeros(len(rows)), np.arange(len(rows), dtype=np.float64)
    others = iter(OTHER_TERMS * len(variances))
    for name, part in zip(variances, share, strict=True):
        colour = TERMS[name] if name in TERMS else next(others)
        axes.barh(place, 100.0 * part, left=100.0 * left, height=0.68, color=colour,
                  edgecolor="white", linewidth=0.5, label=name)  # fmt: skip
        for row in np.flatnonzero(part >= LABELLED).tolist():
            axes.text(100.0 * (left[row] + part[row] / 2.0), row, f"{100.0 * part[row]:.0f}",
                      fontsize=6.5, ha="center", va="center", color=canvas.INK,
                      path_effects=canvas.halo())  # fmt: skip
        left = left + part
    for row, text in enumerate(_sigma_texts(variances, total)):
        axes.text(101.0, row, text, fontsize=7, va="center", color=canvas.INK)
    axes.set_yticks(place, list(rows))
    axes.set(xlim=(0.0, 128.0), ylim=(len(rows) - 0.4, -0.6), xlabel="share of the variance [%]")
    axes.set_xticks(range(0, 101, 20))
    canvas.tidy(axes)
    axes.grid(visible=False, axis="y")


def _sigma_texts(variances: Mapping[str, FLOAT], total: FLOAT) -> list[Any]:
    """Return the standard deviation of each row, and which of its terms are not known."""
    texts = []
    for row, variance in enumerate(total):
        unknown = [name for name, values in variances.items() if np.isnan(values[row])]
        if len(unknown) == len(variances):
            texts.append("no data")
            continue
        texts.append(f"σ = {np.sqrt(variance):.1f} {UNIT}")
        if unknown:
            texts[-1] = f"σ ≥ {np.sqrt(variance):.1f} {UNIT}\nunknown: {', '.join(unknown)}"
    return texts
