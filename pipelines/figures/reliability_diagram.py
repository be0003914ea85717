"""Told against found: whether probabilities of damage are what they say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas

FLOAT = NDArray[np.float64]


def drawn(told: FLOAT, found: FLOAT, pixels: NDArray[np.int64], *, error: float) -> bytes:
    """Draw a reliability diagram with the number of pixels below it.

    Parameters
    ----------
    told, found : ndarray, shape (bin,)
        Mean probability and share of damaged pixels [1]; NaN in empty bins.
    pixels : ndarray of int, shape (bin,)
        How many there are.
    error : float
        Expected calibration error [1].

    Returns
    -------
    bytes
        PNG.
    """
    made = canvas.figure(canvas.PAGE * 0.62, 5.2)
    upper, lower = made.subplots(2, 1, height_ratios=[3, 1], sharex=True)
    upper.plot([0, 1], [0, 1], color=canvas.FAINT, linewidth=0.8, zorder=1)
    there = np.isfinite(told) & np.isfinite(found)
    # Binomial, as if pixels were independent; they are not, so this is the least it can be.
    sigma = np.sqrt(np.clip(found * (1.0 - found), 0.0, None) / np.maximum(pixels, 1))
    upper.errorbar(
        told[there], found[there], 2.0 * sigma[there], color=canvas.BLUE, marker="o",
        markersize=3.5, linewidth=1.0, zorder=2,
    )  # fmt: skip
    upper.set_ylabel("share of damaged pixels [1]")
    upper.set_ylim(-0.02, 1.02)
    edges = np.linspace(0.0, 1.0, pixels.size + 1)
    lower.stairs(pixels, edges, fill=True, color=canvas.SHADE)
    lower.set_yscale("symlog", linthresh=100)
    lower.set_ylabel("pixels")
    lower.set_xlabel("probability of damage [1]")
    for axes in (upper, lower):
        canvas.tidy(axes)
    canvas.heading(upper, "Reliability", right=f"expected error {error:.3f}")
    return canvas.png(made)
