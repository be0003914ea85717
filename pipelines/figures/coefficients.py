"""The size of single spherical-harmonic coefficients: triangles of order against degree."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas

FLOAT = NDArray[np.float64]

DECADES = 4.0
"""Powers of ten below the largest coefficient that colours tell apart."""


def triangle(coefficients: FLOAT, *, j_max: int) -> FLOAT:
    """Return coefficients by degree and signed order, sines at negative orders.

    Parameters
    ----------
    coefficients : ndarray, shape (2, J + 1, J + 1)
        C and S.
    j_max : int
        Highest degree shown.

    Returns
    -------
    ndarray, shape (j_max + 1, 2 j_max + 1)
        NaN where the order exceeds the degree.

    Examples
    --------
    >>> triangle(np.arange(8.0).reshape(2, 2, 2), j_max=1)
    array([[nan,  0., nan],
           [ 7.,  2.,  3.]])
    """
    shown = np.full((j_max + 1, 2 * j_max + 1), np.nan)
    cosine, sine = coefficients[:, : j_max + 1, : j_max + 1]
    top = len(cosine)
    shown[:top, j_max : j_max + top] = cosine
    shown[:top, j_max - top + 1 : j_max] = sine[:, :0:-1]
    degree, order = np.indices(shown.shape)
    return np.where(np.abs(order - j_max) <= degree, shown, np.nan)


def triangles(
    means: Mapping[str, FLOAT], spreads: Mapping[str, FLOAT], *, j_max: int, title: str
) -> bytes:
    """Draw the size of mean coefficients, and of their spreads, by sensor.

    Sasgen et al. (2019), figure 2.

    Parameters
    ----------
    means, spreads : mapping of str to ndarray, shape (2, J + 1, J + 1)
        Mean coefficients and standard deviations of the members [kg m⁻² yr⁻¹].
    j_max : int
        Highest degree shown.
    title : str
        What and when.

    Returns
    -------
    bytes
        A PNG picture.
    """
    from matplotlib.colors import LogNorm

    made = canvas.figure(9.0, 3.1 * len(means))
    panels = made.subplots(len(means), 2, squeeze=False, sharex=True, sharey=True)
    largest = max(float(np.abs(field).max()) for field in means.values())
    scale = LogNorm(largest * 10.0**-DECADES, largest)
    shown = None
    for row, name in enumerate(means):
        for axes, field, what in zip(
            panels[row], (means[name], spreads[name]), ("mean", "spread"), strict=True
        ):
            size = np.abs(triangle(field, j_max=j_max))
            shown = axes.imshow(
                np.where(size > 0.0, size, np.nan),
                extent=(-j_max - 0.5, j_max + 0.5, j_max + 0.5, -0.5),
                aspect="auto", cmap="magma_r", norm=scale, interpolation="nearest",
            )  # fmt: skip
            axes.set_title(f"({chr(97 + 2 * row + (what == 'spread'))}) {name}, {what}", loc="left")
    for axes in panels[-1]:
        axes.set_xlabel("order m (sines at negative orders)")
    for axes in panels[:, 0]:
        axes.set_ylabel("degree j")
    made.suptitle(title)
    if shown is not None:
        made.colorbar(shown, ax=panels, label="kg m⁻² yr⁻¹", extend="both", shrink=0.7)
    return canvas.png(made)
