"""Coordinates that follow the ice: from a divide between two domes along confocal hyperbolas.

The conformal map Z = Z₀ + c e^{iα} cosh(μ + iν) sends the strip μ ≥ 0, −π < ν ≤ π to the plane cut
along the segment between its foci. That segment (μ = 0) is the ice divide, lines of constant ν
are flow lines that leave it at right angles, and the flow from the foci, the domes, fans out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Divide:
    """An ice divide between two domes in the equal-area plane.

    Attributes
    ----------
    west, east : complex
        The foci [m]; ν = ±π beyond the western one, ν = 0 beyond the eastern one, and ν grows
        anticlockwise (westwards) on the map.
    """

    west: complex
    east: complex

    @property
    def centre(self) -> complex:
        """Midpoint Z₀ of the foci [m]."""
        return (self.west + self.east) / 2.0

    @property
    def half_axis(self) -> complex:
        """Half the vector between the foci, c e^{iα} [m]."""
        return (self.east - self.west) / 2.0

    def coordinates(
        self, z: NDArray[np.complex128]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Distance-like μ and bearing-like ν of points of the plane.

        Parameters
        ----------
        z : ndarray, shape (...)
            Position in the equal-area plane [m].

        Returns
        -------
        mu, nu : ndarray, shape (...)
            μ ≥ 0 [1] and ν in [−π, π] [rad].
        """
        w = np.arccosh((np.asarray(z, dtype=np.complex128) - self.centre) / self.half_axis)
        return np.asarray(w.real), np.asarray(w.imag)

    def position(self, mu: NDArray[np.float64], nu: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Invert :meth:`coordinates`.

        Parameters
        ----------
        mu, nu : ndarray, shape (...)
            Coordinates along and across the flow lines [1, rad].

        Returns
        -------
        ndarray, shape (...)
            Position Z in the equal-area plane [m].
        """
        stretched = np.cosh(mu) * np.cos(nu) + 1j * (np.sinh(mu) * np.sin(nu))
        return np.asarray(self.centre + self.half_axis * stretched)

    def tangent(self, mu: NDArray[np.float64], nu: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Vector dZ/dμ along a flow line; times i it is dZ/dν.

        Parameters
        ----------
        mu, nu : ndarray, shape (...)
            Coordinates along and across the flow lines [1, rad].

        Returns
        -------
        ndarray, shape (...)
            c e^{iα} sinh(μ + iν) [m].
        """
        stretched = np.sinh(mu) * np.cos(nu) + 1j * (np.cosh(mu) * np.sin(nu))
        return np.asarray(self.half_axis * stretched)

    def jacobian(self, mu: NDArray[np.float64], nu: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the true area per unit of μ and ν.

        Parameters
        ----------
        mu, nu : ndarray, shape (...)
            Coordinates along and across the flow lines [1, rad].

        Returns
        -------
        ndarray, shape (...)
            J = c² (sinh²μ + sin²ν) [m² rad⁻¹].
        """
        c2 = abs(self.half_axis) ** 2
        return np.asarray(c2 * (np.sinh(mu) ** 2 + np.sin(nu) ** 2))

    def area_within(self, mu: NDArray[np.float64], nu: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the true area between the divide and μ, per unit of ν.

        Parameters
        ----------
        mu, nu : ndarray, shape (...)
            Coordinates along and across the flow lines [1, rad].

        Returns
        -------
        ndarray, shape (...)
            ∫₀^μ J dμ' = c² (sinh 2μ / 4 − μ / 2 + μ sin²ν) [m² rad⁻¹].
        """
        c2 = abs(self.half_axis) ** 2
        return np.asarray(c2 * (np.sinh(2.0 * mu) / 4.0 - mu / 2.0 + mu * np.sin(nu) ** 2))
