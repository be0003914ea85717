"""Roses of how fractures run, weighted by their length, against the map or against the flow.

An axis has no head, so each petal is drawn twice, half a turn apart. The radius of a petal is the
share of the length of all fractures that run within its ten degrees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas

if TYPE_CHECKING:
    from matplotlib.projections.polar import PolarAxes

FLOAT = NDArray[np.float64]

PETAL = 10.0
"""Width of a petal [degrees]."""
ACROSS = 4
"""Roses side by side."""
_SIDE, _HEAD = 1.8, 0.35


@dataclass(frozen=True, eq=False)
class Rose:
    """The fractures of a map.

    Attributes
    ----------
    title : str
        What they are of.
    orientation : ndarray, shape (n,)
        Axes [degrees] from the x axis of the map towards y; NaN where not known.
    length : ndarray, shape (n,)
        Weights: lengths [m].
    flow : ndarray, shape (n,), optional
        Direction of the flow at each fracture [degrees], counted alike; axes are then drawn against
        it, with the flow upwards.
    """

    title: str
    orientation: FLOAT
    length: FLOAT
    flow: FLOAT | None = None


def petals(rose: Rose) -> FLOAT:
    """Return the share of length in each petal of half a turn, shape (18,) [1].

    Petals are centred on 0, 10, … 170 degrees: from the x axis, or from the flow leftwards. NaN
    where no fracture has a length and an axis.

    Examples
    --------
    >>> made = petals(Rose("", np.array([-90.0, 88.0, 3.0]), np.array([1.0, 1.0, 2.0])))
    >>> made[9], made[0]
    (np.float64(0.5), np.float64(0.5))
    """
    angle = rose.orientation - (0.0 if rose.flow is None else rose.flow)
    known = np.isfinite(angle) & np.isfinite(rose.length)
    count = round(180.0 / PETAL)
    petal = np.floor(angle[known] / PETAL + 0.5).astype(int) % count
    total = np.bincount(petal, weights=rose.length[known], minlength=count).astype(np.float64)
    whole = float(total.sum())
    return total / whole if whole else np.full(count, np.nan)


def drawn(roses: Sequence[Rose], *, title: str) -> bytes:
    """Return roses side by side, all of one scale, as PNG.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        If there is no rose, some are against the flow and others not, or arrays differ in length.
    """
    _require(roses)
    rows = -(-len(roses) // ACROSS)
    made = canvas.figure(canvas.PAGE, rows * (_SIDE + _HEAD) + 0.5)
    made.suptitle(title, fontsize=10, color=canvas.INK)
    shares = [petals(rose) for rose in roses]
    outer = _ring(max(float(np.nanmax(each, initial=0.0)) for each in shares))
    for k, (rose, share) in enumerate(zip(roses, shares, strict=True)):
        axes: Any = made.add_subplot(rows, min(len(roses), ACROSS), k + 1, projection="polar")
        _frame(axes, outer, against_flow=rose.flow is not None)
        _draw(axes, share)
        km = float(np.nansum(rose.length)) / 1000.0
        axes.set_title(f"{rose.title}\n{rose.length.size} fractures, {km:,.0f} km", fontsize=7.5,
                       color=canvas.INK, pad=10)  # fmt: skip
    return canvas.png(made)


def _draw(axes: PolarAxes, share: FLOAT) -> None:
    if np.isnan(share).all():
        axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center", va="center",
                  fontsize=8, color=canvas.GREY)  # fmt: skip
        return
    middle = np.radians(np.arange(share.size) * PETAL)
    for turned in (0.0, np.pi):
        axes.bar(middle + turned, share, width=np.radians(PETAL), color=canvas.BLUE,
                 edgecolor="white", linewidth=0.4)  # fmt: skip


def _frame(axes: PolarAxes, outer: float, *, against_flow: bool) -> None:
    """Draw rings of shares, and name the directions."""
    names = ("flow", "", "", "") if against_flow else ("x", "y", "", "")
    axes.set_theta_zero_location("N" if against_flow else "E")
    axes.set_xticks(np.radians([0.0, 90.0, 180.0, 270.0]), labels=names)
    axes.set_ylim(0.0, outer)
    axes.set_yticks([outer / 2.0, outer], labels=[f"{50 * outer:g} %", f"{100 * outer:g} %"])
    axes.set_rlabel_position(-45.0 if against_flow else 315.0)
    axes.tick_params(labelsize=6.5, colors=canvas.GREY, pad=-1)
    axes.grid(visible=True, color=canvas.GRID, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines["polar"].set(linewidth=0.6, color=canvas.FAINT)


def _ring(highest: float) -> float:
    """Return the share of the outer ring: the next of a few round ones.

    >>> _ring(0.27), _ring(0.0)
    (0.4, 0.1)
    """
    return next(ring for ring in (0.1, 0.2, 0.4, 0.6, 0.8, 1.0) if highest <= ring + 1e-9)


def _require(roses: Sequence[Rose]) -> None:
    if not roses:
        msg = "found no fractures, expected one rose at least; nothing can be drawn"
        raise canvas.FigureError(msg)
    if len({rose.flow is None for rose in roses}) > 1:
        msg = "found roses against the flow and against the map, expected one kind; draw them apart"
        raise canvas.FigureError(msg)
    for rose in roses:
        flow = rose.length if rose.flow is None else rose.flow
        sizes = {rose.orientation.shape, rose.length.shape, flow.shape}
        if len(sizes) > 1:
            msg = f"found axes, lengths or flow of shapes {sorted(sizes)} of {rose.title!r}, "
            raise canvas.FigureError(msg + "expected one; give all of each fracture")
