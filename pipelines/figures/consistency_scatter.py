"""Damage densities of two years against each other, before and after the ice is carried."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas

FLOAT = NDArray[np.float64]

BINS = 40
"""Bins along each axis; cells without damage are their own first bin."""


def drawn(
    was: FLOAT,
    carried: FLOAT,
    now: FLOAT,
    *,
    title: str,
    told: tuple[str, str],
    years: tuple[str, str],
) -> bytes:
    """Draw how densities of the same cells lie around the line of equality.

    Parameters
    ----------
    was, carried, now : ndarray, shape (y, x)
        Densities of the earlier map, of the same carried, and of the later map [1]; NaN where not
        known. Cells that all three know are drawn.
    title : str
        Which pair of which shelf.
    told : (str, str)
        What is said of the panels: before, after.
    years : (str, str)
        The summers.

    Returns
    -------
    bytes
        PNG.
    """
    from matplotlib.colors import LogNorm

    shape = np.shape(now)
    canvas.check_shapes({"earlier": was, "carried": carried, "later": now}, shape, what="densities")
    common = ~(np.isnan(was) | np.isnan(carried) | np.isnan(now))
    edges = np.linspace(0.0, 1.0, BINS + 1)
    counts = [np.histogram2d(each[common], now[common], bins=(edges, edges))[0]
              for each in (was, carried)]  # fmt: skip
    most = max(10.0, *(float(each.max()) for each in counts))
    made = canvas.figure(canvas.PAGE, 3.75)
    panels = made.subplots(1, 2, sharey=True)
    names = (f"{years[0]} as it was", f"{years[0]} carried to {years[1]}")
    for n, axes in enumerate(panels):
        shown = axes.pcolormesh(
            edges, edges, np.ma.masked_equal(counts[n].T, 0.0), cmap="cividis_r",
            norm=LogNorm(1.0, most), rasterized=True,
        )  # fmt: skip
        axes.plot([0, 1], [0, 1], color=canvas.INK, linewidth=0.7)
        axes.set(aspect="equal", xlim=(0, 1), ylim=(0, 1))
        axes.set_xlabel(f"density, {names[n]} [1]")
        canvas.heading(axes, f"{canvas.letter(n)} {told[n]}")
        canvas.tidy(axes)
    panels[0].set_ylabel(f"density, {years[1]} [1]", fontsize=8.5)
    bar = made.colorbar(shown, ax=panels, shrink=0.85, aspect=28)
    bar.set_label(f"cells of a bin; {int(common.sum())} cells", fontsize=7.5)
    bar.ax.tick_params(labelsize=7)
    made.suptitle(title, fontsize=9.5, color=canvas.INK)
    return canvas.png(made)
