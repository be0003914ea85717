"""Power by spherical-harmonic degree: of means, spreads, shares and errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas, degree_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLOAT = NDArray[np.float64]
POWER = "power of a degree [kg² m⁻⁴ yr⁻²]"

WINDOW = 5
"""Degrees either way that errors are averaged over; errors of single degrees scatter."""

STEADY = 5
"""Degrees in a row that one spread must be the larger; single degrees cross to and fro."""

STYLES: Mapping[str, Mapping[str, Any]] = {
    "altimetry": {"color": canvas.BLUE, "linewidth": 2.6, "alpha": 0.55},
    "retracker and fit": {"color": canvas.BLUE, "linestyle": "--"},
    "density model": {"color": canvas.BLUE, "linestyle": ":", "linewidth": 1.8},
    "gravimetry": {"color": canvas.RED, "linewidth": 2.6, "alpha": 0.55},
    "trend coefficients": {"color": canvas.RED, "linestyle": "--"},
    "GIA": {"color": canvas.RED, "linestyle": ":", "linewidth": 1.8},
}
"""How totals and parts of the spreads are drawn: the sensor's colour, wide lines for totals."""


def degree_power(signal: FLOAT, spread: FLOAT, *, title: str) -> bytes:
    """Draw the power of the mean member and the variance of the members by degree.

    Sasgen et al. (2019), figure 1.

    Parameters
    ----------
    signal, spread : ndarray, shape (degrees,)
        Sum over orders of squared coefficients, and of their variances [kg² m⁻⁴ yr⁻²].
    title : str
        What and when.

    Returns
    -------
    bytes
        A PNG picture.
    """
    canvas.check_shapes({"spread": spread}, np.shape(signal), what="power")
    made = canvas.figure(canvas.PAGE, 3.9)
    axes = made.add_subplot()
    _line(axes, signal, color=canvas.INK, label="mean of the members")
    _line(axes, spread, color=canvas.INK, linestyle="--", label="spread of the members")
    axes.set(xlabel="degree j", ylabel=POWER, yscale="log")
    axes.set_xlim(0, len(signal) - 1)
    degree_axes.powers_of_ten(axes, (signal, spread))
    _finish(axes, title)
    axes.legend(frameon=False, fontsize=8)
    return canvas.png(made)


def sensors(
    means: Mapping[str, FLOAT],
    spreads: Mapping[str, FLOAT],
    components: Mapping[str, FLOAT],
    *,
    taper: tuple[int, int],
    title: str,
) -> bytes:
    """Draw power and spread of the sensors, and what the spread of each is made of.

    Sasgen et al. (2019), figure 1.

    Parameters
    ----------
    means, spreads : mapping of str to ndarray, shape (J + 1,)
        Power of the mean and variance of the members, by sensor [kg² m⁻⁴ yr⁻²].
    components : mapping of str to ndarray, shape (components,)
        Parts of the variances, by what causes them [kg² m⁻⁴ yr⁻²]; of any length each.
    taper : tuple of int
        Degrees between which gravimetry loses its weight.
    title : str
        What and when.

    Returns
    -------
    bytes
        A PNG picture; degrees without a positive number leave gaps.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        Spreads of other sensors or degrees than the means, or a taper that does not rise.
    """
    canvas.check_names(spreads, means, what="spreads")
    shape = _first_shape(means)
    for power, what in ((means, "power"), (spreads, "variances")):
        canvas.check_shapes(power, shape, what=what)
    if not 0 <= taper[0] <= taper[1]:
        msg = f"found a taper from degree {taper[0]} to {taper[1]}, expected the lower one first"
        raise canvas.FigureError(msg)
    made = canvas.figure(canvas.PAGE, 4.3)
    left, right = made.subplots(1, 2)
    _power_panel(left, means, spreads, taper)
    _component_panel(right, components, taper)
    made.suptitle(title, fontsize=9.5, color=canvas.INK)
    return canvas.png(made)


def _first_shape(arrays: Mapping[str, FLOAT]) -> tuple[int, ...]:
    return next((np.shape(array) for array in arrays.values()), (0,))


def _power_panel(
    axes: Axes, means: Mapping[str, FLOAT], spreads: Mapping[str, FLOAT], taper: tuple[int, int]
) -> None:
    for name, power in means.items():
        _line(axes, power, color=canvas.colour(name), label=name)
    for name, power in spreads.items():
        _line(axes, power, color=canvas.colour(name), linestyle=(0, (4, 1.6)))
    shade = axes.axvspan(*taper, color=canvas.SHADE, zorder=0, label="taper")
    lines = axes.get_lines()[: len(means)]
    told = [*lines, *_equal(axes, spreads), *_line_styles(), shade]
    axes.set(xlabel="degree j", ylabel=POWER, xscale="log", yscale="log")
    degree_axes.degrees_of_ten(axes, max(len(power) for power in means.values()) - 1)
    degree_axes.powers_of_ten(axes, (*means.values(), *spreads.values()))
    _finish(axes, "(a) means and spreads", room=1.3 * degree_axes.ROOM)
    _legend_below(axes, told)


def _equal(axes: Axes, spreads: Mapping[str, FLOAT]) -> list[Any]:
    """Draw a line where gravimetry becomes less certain than altimetry; return it, if any."""
    if not {"gravimetry", "altimetry"} <= set(spreads):
        return []
    degree = crossing(spreads["gravimetry"], spreads["altimetry"])
    if degree is None:
        return []
    return [axes.axvline(degree, color=canvas.INK, linewidth=0.8, linestyle=(0, (6, 2)),
                         label=f"equal spreads: degree {degree}")]  # fmt: skip


def _component_panel(axes: Axes, components: Mapping[str, FLOAT], taper: tuple[int, int]) -> None:
    for n, (name, power) in enumerate(components.items()):
        style = STYLES.get(name, {"color": canvas.PURPLE, "linestyle": (0, (n + 1, 1))})
        there = bool(np.any(power > 0.0))
        told = f"{name}, total" if name in canvas.SENSORS else name
        _line(axes, power, label=told if there else f"{name}: none", **style)
    axes.set(xlabel="degree j", yscale="log")
    axes.set_xlim(0, max(taper[1], 1))
    degree_axes.powers_of_ten(axes, components.values(), last=taper[1])
    _finish(axes, "(b) what the spreads are made of", room=1.3 * degree_axes.ROOM)
    _legend_below(axes, axes.get_lines())


def _line_styles() -> list[Any]:
    """Return what a legend says of solid and dashed lines."""
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], color=canvas.FAINT, linewidth=1.3, label="mean"),
        Line2D([], [], color=canvas.FAINT, linewidth=1.3, linestyle=(0, (4, 1.6)), label="spread"),
    ]


def _legend_below(axes: Axes, lines: Iterable[Any]) -> None:
    axes.legend(handles=list(lines), frameon=False, fontsize=7, ncols=2, loc="upper center",
                bbox_to_anchor=(0.5, -0.14), columnspacing=1.6, handlelength=2.8)  # fmt: skip


def crossing(rising: FLOAT, other: FLOAT) -> int | None:
    """Return the first degree from which one spread is the larger over five degrees together.

    Examples
    --------
    >>> crossing(np.arange(12.0), np.full(12, 6.5))
    7
    """
    count = min(len(rising), len(other))
    above = rising[:count] > other[:count]
    for degree in range(1, count - STEADY + 1):
        if above[degree : degree + STEADY].all():
            return degree
    return None


def _line(axes: Axes, power: FLOAT, **style: Any) -> None:
    """Draw what is positive; degrees without power leave a gap on a logarithmic axis."""
    drawn = np.where(power > 0.0, power, np.nan)
    axes.plot(np.arange(len(power)), drawn, **{"linewidth": 1.3, **style})


def _finish(axes: Axes, title: str, *, room: float = degree_axes.ROOM) -> None:
    canvas.tidy(axes)
    canvas.heading(axes, title)
    degree_axes.half_waves(axes, room=room)


def contribution(shares: Mapping[str, FLOAT], *, marks: Sequence[int], title: str) -> bytes:
    """Draw how much each sensor adds to the power up to a degree.

    Sasgen et al. (2019), equation 6 and figure 5.

    Parameters
    ----------
    shares : mapping of str to ndarray, shape (J + 1,)
        Cumulative share of each sensor [1].
    marks : sequence of int
        Degrees whose shares are written out.
    title : str
        What and when.

    Returns
    -------
    bytes
        A PNG picture; a dashed line is drawn where two sensors add equally much.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        Shares of different degrees.
    """
    canvas.check_shapes(shares, _first_shape(shares), what="shares")
    made = canvas.figure(canvas.PAGE, 4.0)
    axes = made.add_subplot()
    last = len(next(iter(shares.values()))) - 1
    for name, share in shares.items():
        axes.plot(np.arange(last + 1), 100.0 * share, color=canvas.colour(name), linewidth=1.8,
                  label=name)  # fmt: skip
    for mark in sorted({m for m in marks if m <= last}):
        _mark(axes, shares, mark, last)
    _mark_equal(axes, shares)
    axes.set(xlabel="degree j", ylabel="share of the power up to degree j [%]")
    axes.set_xlim(0, last)
    axes.set_ylim(-4, 104)
    axes.set_yticks(range(0, 101, 20))
    _finish(axes, title)
    axes.legend(frameon=False, fontsize=8, loc="center right")
    return canvas.png(made)


def _mark(axes: Axes, shares: Mapping[str, FLOAT], mark: int, last: int) -> None:
    """Write the shares at a degree beside the curves, away from the middle."""
    axes.axvline(mark, color=canvas.FAINT, linewidth=0.6, linestyle=":", zorder=1)
    for name, share in shares.items():
        at = 100.0 * float(share[mark])
        if np.isfinite(at):
            upper = at >= 50.0
            side = "right" if mark > 0.9 * last else "left"
            axes.plot([mark], [at], color=canvas.colour(name), marker="o", markersize=4,
                      markeredgecolor="white", markeredgewidth=0.7, clip_on=False,
                      zorder=4)  # fmt: skip
            axes.annotate(f"{at:.0f} %", (mark, at), textcoords="offset points",
                          xytext=(-5 if side == "right" else 5, -6 if upper else 6), ha=side,
                          va="top" if upper else "bottom", fontsize=8, zorder=5,
                          color=canvas.colour(name), path_effects=canvas.halo(2.0))  # fmt: skip


def _mark_equal(axes: Axes, shares: Mapping[str, FLOAT]) -> None:
    """Tell from which degree on altimetry adds more than gravimetry."""
    if {"altimetry", "gravimetry"} <= set(shares):
        equal = crossing(shares["altimetry"], shares["gravimetry"])
        if equal is not None:
            axes.axvline(equal, color=canvas.INK, linewidth=0.8, linestyle=(0, (6, 2)), zorder=1)
            told = f"equal, degree {equal}, {degree_axes.HALF_WAVES / equal:.0f} km"
            axes.text(equal, 0.03, told,
                      fontsize=7, rotation=90, ha="right", va="bottom",
                      transform=axes.get_xaxis_transform(), path_effects=canvas.halo())  # fmt: skip


def error_by_degree(power: Mapping[str, FLOAT], *, title: str) -> bytes:
    """Draw the errors of the sensors against a known truth.

    Parameters
    ----------
    power : mapping of str to ndarray, shape (J + 1,)
        ``signal``, and the error of each sensor, by degree [kg² m⁻⁴ yr⁻²].
    title : str
        What.

    Returns
    -------
    bytes
        A PNG picture; bold lines are running means over eleven degrees, thin ones single degrees.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        Errors of different degrees.
    """
    canvas.check_shapes(power, _first_shape(power), what="errors")
    made = canvas.figure(canvas.PAGE, 4.2)
    axes = made.add_subplot()
    for name, values in power.items():
        true = name == "signal"
        colour, told = (
            (canvas.INK, "true signal") if true else (canvas.colour(name), f"error of {name}")
        )
        _line(axes, np.sqrt(values), color=colour, linewidth=0.6, alpha=0.35)
        _line(axes, np.sqrt(running_mean(values)), color=colour, label=told,
              linewidth=1.2 if true else 2.0, linestyle=(0, (1, 1)) if true else "-")  # fmt: skip
    axes.set(xlabel="degree j", xscale="log", yscale="log")
    axes.set_ylabel("root of the power of a degree [kg m⁻² yr⁻¹]")
    if not any(np.any(values > 0.0) for values in power.values()):
        axes.set_ylim(*degree_axes.EMPTY)
    degree_axes.degrees_of_ten(axes, max(len(values) for values in power.values()) - 1)
    _finish(axes, title)
    axes.legend(frameon=False, fontsize=8, title=f"means over {2 * WINDOW + 1} degrees",
                title_fontsize=8, alignment="left")  # fmt: skip
    return canvas.png(made)


def running_mean(values: FLOAT) -> FLOAT:
    """Return means over a window that narrows towards both ends, shape (n,).

    NaN stays, and is left out of the means beside it.

    Examples
    --------
    >>> running_mean(np.array([0.0, 3.0, 6.0, np.nan, 9.0]))
    array([0. , 3. , 4.5, nan, 9. ])
    """
    there = np.isfinite(values)
    total, count = (
        np.concatenate([[0.0], np.cumsum(each)]) for each in (np.where(there, values, 0.0), there)
    )
    index = np.arange(len(values))
    reach = np.minimum(np.minimum(index, WINDOW), len(values) - 1 - index)
    low, high = index - reach, index + reach + 1
    means = (total[high] - total[low]) / np.maximum(count[high] - count[low], 1.0)
    return np.where(there, means, np.nan)
