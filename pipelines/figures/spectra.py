"""Power by spherical-harmonic degree."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas


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
