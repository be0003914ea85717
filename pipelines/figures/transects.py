"""Rates of mass along lines across the ice sheet, by each sensor with its spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas

FLOAT = NDArray[np.float64]


@dataclass(frozen=True)
class Profile:
    """One transect.

    Attributes
    ----------
    name : str
        Its name, AA' or cc'.
    distance_km : ndarray, shape (p,)
        Distance from its first point [km].
    curves : mapping of str to (mean, spread), each ndarray, shape (p,)
        Rate and standard deviation by sensor [kg m⁻² yr⁻¹].
    grounded : ndarray, shape (p,)
        1 on grounded ice, 0 off it.
    """

    name: str
    distance_km: FLOAT
    curves: Mapping[str, tuple[FLOAT, FLOAT]]
    grounded: FLOAT


def profiles(lines: Sequence[Profile], *, title: str) -> bytes:
    """Draw transects one above the other, long ones left and short ones right.

    Sasgen et al. (2019), figure 6.

    Parameters
    ----------
    lines : sequence of Profile
        Transects.
    title : str
        What and when.

    Returns
    -------
    bytes
        A PNG picture; bands are one standard deviation, grey is off the grounded ice.
    """
    rows = -(-len(lines) // 2)
    made = canvas.figure(11.0, 2.9 * rows)
    made.suptitle(title)
    panels = made.subplots(rows, 2, squeeze=False)
    half = [*lines[:rows], *([None] * rows)][:rows], lines[rows:]
    for column, group in enumerate(half):
        for row, line in enumerate(group):
            if line is not None:
                _profile(panels[row][column], line, legend=row == column == 0)
    for axes in panels.ravel()[len(lines) :] if len(lines) < panels.size else ():
        axes.set_axis_off()
    return canvas.png(made)


def _profile(axes: object, line: Profile, *, legend: bool) -> None:
    from matplotlib.axes import Axes

    if not isinstance(axes, Axes):
        msg = f"found {type(axes).__name__}, expected axes to draw on"
        raise TypeError(msg)
    for name, (mean, spread) in line.curves.items():
        hue = canvas.SENSORS[name]
        axes.fill_between(line.distance_km, mean - spread, mean + spread, color=hue, alpha=0.2,
                          linewidth=0)  # fmt: skip
        axes.plot(line.distance_km, mean, color=hue, linewidth=1.3, label=name)
    off = line.grounded < 0.5
    axes.fill_between(line.distance_km, 0, 1, where=off.tolist(), color="#dfe5e9", zorder=0,
                      transform=axes.get_xaxis_transform(), step="mid", linewidth=0)  # fmt: skip
    axes.axhline(0.0, color=canvas.INK, linewidth=0.6)
    axes.set_title(line.name, loc="left", fontsize=10)
    axes.set(xlabel="distance [km]", ylabel="kg m⁻² yr⁻¹")
    axes.set_xlim(float(line.distance_km[0]), float(line.distance_km[-1]))
    axes.grid(visible=True, color="#e3e7ea", linewidth=0.6)
    if legend:
        axes.legend(frameon=False, fontsize=8, ncols=3)
