"""A scene with gaps, without them, and how sure the filled pixels are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas

FLOAT = NDArray[np.float64]


def drawn(was: FLOAT, now: FLOAT, spread: FLOAT, *, title: str) -> bytes:
    """Draw a part of a scene three times.

    Parameters
    ----------
    was, now : ndarray, shape (3, ny, nx)
        Reflectance of red, green and blue with gaps and without [1]; NaN where there is none.
    spread : ndarray, shape (ny, nx)
        Standard deviation of filled pixels [1]; 0 where measured, NaN where not known.
    title : str
        Shelf and date.

    Returns
    -------
    bytes
        PNG.
    """
    made = canvas.figure(canvas.PAGE, 3.1)
    axes = made.subplots(1, 3)
    known = now[np.isfinite(now)]
    low, high = np.percentile(known, [1, 99]) if known.size else (0.0, 1.0)
    for place, (image, name) in enumerate(((was, "with gaps"), (now, "restored"))):
        axes[place].imshow(_picture(image, low, high), interpolation="nearest")
        canvas.heading(axes[place], f"{canvas.letter(place)} {name}")
    shown = np.where(spread > 0, spread, np.nan)
    most = float(np.nanpercentile(shown, 99)) if np.isfinite(shown).any() else 1.0
    mapped = axes[2].imshow(shown, cmap=canvas.SPREADS, vmin=0, vmax=most, interpolation="nearest")
    canvas.heading(axes[2], f"{canvas.letter(2)} spread of reflectance")
    made.colorbar(mapped, ax=axes[2], shrink=0.8, label="1 σ [1]")
    for each in axes:
        each.set_xticks([])
        each.set_yticks([])
    made.suptitle(f"{title}; pixels of 30 m", fontsize=9, color=canvas.INK)
    return canvas.png(made)


def _picture(image: FLOAT, low: float, high: float) -> FLOAT:
    """Return a picture (ny, nx, 3) between two reflectances, grey where there is nothing."""
    from matplotlib.colors import to_rgb

    picture = np.clip((np.moveaxis(image, 0, -1) - low) / max(high - low, 1e-6), 0.0, 1.0)
    picture[~np.isfinite(picture).all(axis=-1)] = to_rgb(canvas.MISSING)
    return picture
