"""Power by spherical-harmonic degree: of means, spreads, shares and errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipelines.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLOAT = NDArray[np.float64]
POWER = "power [kg² m⁻⁴ yr⁻²]"
GRID = "#e3e7ea"

DECADES = 8.0
"""Powers of ten below the largest that are shown; rounding lies far below."""

WINDOW = 5
"""Degrees either way that errors are averaged over; errors of single degrees scatter."""


def degree_power(signal: NDArray[np.float64], spread: NDArray[np.float64], *, title: str) -> bytes:
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
    made = canvas.figure(7.0, 4.2)
    axes = made.add_subplot()
    degree = np.arange(len(signal))
    axes.semilogy(degree, signal, color=canvas.BLUE, label="mean of the members")
    axes.semilogy(degree, spread, color=canvas.RED, linestyle="--", label="spread of the members")
    axes.set(title=title, xlabel="degree j", ylabel="power [kg² m⁻⁴ yr⁻²]")
    axes.grid(visible=True, color="#e3e7ea", linewidth=0.6)
    axes.legend(frameon=False)
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
    components : mapping of str to ndarray, shape (J + 1,)
        Parts of the variances, by what causes them [kg² m⁻⁴ yr⁻²].
    taper : tuple of int
        Degrees between which gravimetry loses its weight.
    title : str
        What and when.

    Returns
    -------
    bytes
        A PNG picture.
    """
    made = canvas.figure(10.5, 4.6)
    left, right = made.subplots(1, 2)
    for name, power in means.items():
        _line(left, power, color=canvas.SENSORS[name], label=f"{name}, mean")
        _line(left, spreads[name], color=canvas.SENSORS[name], label="spread", linestyle="--")
    left.axvspan(*taper, color="#dfe5e9", zorder=0, label="taper")
    equal = crossing(spreads["gravimetry"], spreads["altimetry"])
    if equal is not None:
        left.axvline(equal, color=canvas.INK, linewidth=0.9, linestyle=":")
        left.text(equal, 0.02, f" equal spreads, degree {equal}", fontsize=8, rotation=90,
                  transform=left.get_xaxis_transform(), ha="right")  # fmt: skip
    left.set(title=f"(a) {title}", xlabel="degree j", ylabel=POWER, xscale="log")
    left.set_xlim(1, max(len(power) for power in means.values()) - 1)
    hues = ("#2166ac", "#67a9cf", "#1b7837", "#b2182b", "#ef8a62", "#762a83")
    for hue, (name, power) in zip(hues, components.items(), strict=False):
        _line(right, power, color=hue, label=name)
    right.set(title="(b) what the spreads are made of", xlabel="degree j", ylabel=POWER)
    right.set_xlim(0, taper[1])
    for axes, drawn in ((left, (*means.values(), *spreads.values())), (right, components.values())):
        axes.set_yscale("log")
        top = max(float(np.max(power)) for power in drawn)
        axes.set_ylim(top * 10.0**-DECADES, 10.0 * top)
        axes.grid(visible=True, color=GRID, linewidth=0.6)
        axes.legend(frameon=False, fontsize=8, ncols=2)
    return canvas.png(made)


def crossing(rising: FLOAT, other: FLOAT) -> int | None:
    """Return the first degree from which one spread is the larger over five degrees together.

    Examples
    --------
    >>> crossing(np.arange(12.0), np.full(12, 6.5))
    7
    """
    count = min(len(rising), len(other))
    above = rising[:count] > other[:count]
    for degree in range(1, count - 4):
        if above[degree : degree + 5].all():
            return degree
    return None


def _line(axes: Axes, power: FLOAT, **style: str) -> None:
    """Draw what is positive; degrees without power leave a gap on a logarithmic axis."""
    axes.plot(np.arange(len(power)), np.where(power > 0.0, power, np.nan), linewidth=1.4, **style)  # type: ignore[arg-type]


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
        A PNG picture.
    """
    made = canvas.figure(7.0, 4.4)
    axes = made.add_subplot()
    degree = np.arange(len(next(iter(shares.values()))))
    for name, share in shares.items():
        axes.plot(degree, 100.0 * share, color=canvas.SENSORS[name], linewidth=1.8, label=name)
    for mark in (m for m in marks if m <= degree[-1]):
        axes.axvline(mark, color=canvas.FAINT, linewidth=0.7, linestyle=":")
        for name, share in shares.items():
            axes.annotate(f"{100.0 * share[mark]:.0f} %", (mark, 100.0 * share[mark]),
                          textcoords="offset points", xytext=(-4, 4), ha="right", fontsize=8,
                          color=canvas.SENSORS[name])  # fmt: skip
    axes.set(title=title, xlabel="degree j", ylabel="share of the power up to degree j [%]")
    axes.set_xlim(0, degree[-1])
    axes.set_ylim(0, 100)
    _half_waves(axes)
    axes.grid(visible=True, color=GRID, linewidth=0.6)
    axes.legend(frameon=False, loc="center right")
    return canvas.png(made)


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
        A PNG picture; lines are running means over eleven degrees.
    """
    made = canvas.figure(7.0, 4.4)
    axes = made.add_subplot()
    for name, values in power.items():
        style = {"color": canvas.SENSORS.get(name, canvas.FAINT)}
        told = "true signal" if name == "signal" else f"error of {name}"
        _line(axes, np.sqrt(running_mean(values)), label=told, **style)
    axes.set(title=title, xlabel="degree j", xscale="log", yscale="log")
    axes.set_ylabel("root of the power of a degree,\nmean of 11 degrees [kg m⁻² yr⁻¹]")
    axes.set_xlim(1, max(len(values) for values in power.values()) - 1)
    _half_waves(axes)
    axes.grid(visible=True, color=GRID, linewidth=0.6)
    axes.legend(frameon=False)
    return canvas.png(made)


def running_mean(values: FLOAT) -> FLOAT:
    """Return means over a window that narrows towards both ends, shape (n,)."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    reach = np.minimum(np.minimum(index, WINDOW), len(values) - 1 - index)
    return np.asarray((total[index + reach + 1] - total[index - reach]) / (2 * reach + 1))


def _half_waves(axes: Axes) -> None:
    """Write half a wave in kilometres above the degrees."""

    def convert(value: ArrayLike) -> FLOAT:
        return np.asarray(20_000.0 / np.maximum(np.asarray(value, dtype=np.float64), 1e-9))

    above = axes.secondary_xaxis("top", functions=(convert, convert))
    above.set_xlabel("half a wave [km]")
    ticks = [1000, 250, 133, 80, 60, 50, 40]
    if axes.get_xscale() == "log":
        ticks = [20_000, 4000, 1000, 400, 200, 80, 40]
    above.set_ticks(ticks, labels=[f"{tick}" for tick in ticks])
    above.minorticks_off()
