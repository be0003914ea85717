"""Time series with their uncertainty and trend; gaps stay gaps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas

FLOAT = NDArray[np.float64]

GAP_YEARS = 0.2
"""Months further apart than this are not joined by a line."""


def group_series(
    epochs: FLOAT,
    groups: Mapping[str, tuple[FLOAT, FLOAT, float, float]],
    *,
    title: str,
) -> bytes:
    """Draw the monthly mass anomaly of each group, one panel each, with its trend.

    Parameters
    ----------
    epochs : ndarray, shape (n,)
        Middle of each month [decimal years].
    groups : mapping of name to (anomaly, sigma, rate, spread)
        Anomaly and its standard deviation, shape (n,) [Gt]; rate and spread [Gt yr⁻¹].
    title : str
        What and when.

    Returns
    -------
    bytes
        A PNG picture.
    """
    made = canvas.figure(canvas.PAGE, 0.9 + 1.6 * len(groups))
    panels = made.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0]
    colours = (canvas.BLUE, canvas.RED, canvas.GREEN, canvas.PURPLE)
    for n, (panel, (name, values)) in enumerate(zip(panels, groups.items(), strict=True)):
        anomaly, sigma, rate, spread = values
        colour = colours[n % len(colours)]
        t, mean, error = _broken(epochs, anomaly, sigma)
        panel.fill_between(t, mean - error, mean + error, color=colour, alpha=0.25, linewidth=0)
        panel.plot(t, mean, color=colour, linewidth=1.0, marker=".", markersize=3)
        there = np.isfinite(anomaly)
        centre, level = epochs[there].mean(), anomaly[there].mean()
        line = level + rate * (epochs - centre)
        panel.plot(epochs, line, color=canvas.INK, linewidth=1.0, linestyle="--")
        told = f"{rate:+.1f}".replace("-", "\N{MINUS SIGN}")
        label = f"{name}: {told} ± {spread:.1f} Gt yr⁻¹"
        panel.set_ylabel("Gt")
        canvas.tidy(panel)
        canvas.heading(panel, label)
    panels[-1].set_xlabel("year", fontsize=8.5)
    made.suptitle(f"{title} (band: one standard deviation)", fontsize=9.5, color=canvas.INK)
    return canvas.png(made)


def _broken(epochs: FLOAT, *series: FLOAT) -> tuple[FLOAT, ...]:
    """Return epochs and series with a NaN put into each gap, so that no line crosses it."""
    there = np.isfinite(series[0])
    t = epochs[there]
    gaps = np.flatnonzero(np.diff(t) > GAP_YEARS) + 1
    cut = tuple(np.insert(values[there], gaps, np.nan) for values in series)
    return (np.insert(t, gaps, t[gaps - 1] if gaps.size else []), *cut)
