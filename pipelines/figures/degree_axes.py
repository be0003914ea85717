"""Axes of spherical-harmonic degrees, with the lengths of their waves, and of powers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipelines.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLOAT = NDArray[np.float64]

DECADES = 8.0
"""Powers of ten below the largest that are shown at most; rounding lies far below."""

EMPTY = (0.1, 1.0)
"""Ends of a logarithmic axis along which nothing is positive."""

HALF_WAVES = 20_000.0
"""Half the circumference of the Earth [km]: half a wave of degree j is that over j."""

ROOM = 0.08
"""Share of the width of an axis that a number needs."""


def powers_of_ten(axes: Axes, drawn: Iterable[FLOAT], *, last: int | None = None) -> None:
    """End a logarithmic axis at whole powers of ten around nearly all that is drawn."""
    values = np.concatenate(
        [[], *(power[1 : None if last is None else last + 1] for power in drawn)]
    )
    values = values[np.isfinite(values) & (values > 0.0)]
    if not values.size:
        axes.set_ylim(*EMPTY)
        return
    high = float(values.max())
    low = float(np.quantile(values[values > high * 10.0**-DECADES], 0.01))
    axes.set_ylim(10.0 ** np.floor(np.log10(low)), 10.0 ** np.ceil(np.log10(1.05 * high)))


def degrees_of_ten(axes: Axes, last: int) -> None:
    """End a logarithmic axis of degrees at 1 and ``last``, and write degrees in full."""
    axes.set_xlim(1, max(last, 2))
    ticks = [t for t in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if t <= last]
    axes.set_xticks(ticks, labels=[f"{tick}" for tick in ticks])
    axes.set_xticks([], minor=True)


def half_waves(axes: Axes, *, room: float) -> None:
    """Write half a wave in kilometres above the degrees."""

    def convert(value: ArrayLike) -> FLOAT:
        return np.asarray(HALF_WAVES / np.maximum(np.asarray(value, dtype=np.float64), 1e-9))

    above = axes.secondary_xaxis("top", functions=(convert, convert))
    above.set_xlabel("half a wave [km]", fontsize=7.5, color=canvas.GREY)
    kept = _apart(np.array(_ROUND_KM), *axes.get_xlim(), room=room,
                  log=axes.get_xscale() == "log")  # fmt: skip
    above.set_ticks(kept, labels=[f"{tick:.0f}" for tick in kept])
    above.minorticks_off()
    above.tick_params(labelsize=7, width=0.5, color=canvas.FAINT)
    above.spines["top"].set(linewidth=0.6, color=canvas.FAINT)


_ROUND_KM = (20_000, 5000, 2000, 1000, 500, 400, 300, 250, 200, 150, 133, 100, 80, 60, 50,
             40, 30, 20, 10)  # fmt: skip


def _apart(kilometres: FLOAT, first: float, last: float, *, room: float, log: bool) -> list[float]:
    """Return half waves within an axis of degrees that leave room to write each, longest first.

    Examples
    --------
    >>> _apart(np.array([20_000.0, 1000.0, 100.0, 95.0]), 0.0, 250.0, room=0.08, log=False)
    [1000.0, 100.0]
    """
    degree = HALF_WAVES / kilometres
    along = np.log(degree / max(first, 1.0)) / np.log(last / max(first, 1.0)) if log else (
        degree - first) / (last - first)  # fmt: skip
    kept: list[float] = []
    edge = -1.0 if log else 0.05 - room
    for at, tick in zip(along, kilometres, strict=True):
        if -1e-9 <= at <= 1.0 + 1e-9 and at - edge >= room:
            kept.append(float(tick))
            edge = at
    return kept
