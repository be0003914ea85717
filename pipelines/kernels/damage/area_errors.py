"""How far mapped areas of damage lie from true ones, fitted to labelled tiles.

The error of an area, true minus mapped, has over a tile the standard deviation

::

    σ² = (s M)² + (κ U)² + (m N)²

with the mapped area M, the unsure area U = Σ a p (1 − p) of calibrated probabilities, and the area
N that was looked at. s, κ and m are those under which the errors of labelled tiles are most likely,
normal around 0, so that a bias counts as error. The second term leads: where a network hesitates it
errs, and by more than chance would have it (κ = √N / N for independent pixels), because neighbours
err alike. The errors of a tile are taken to hold for a whole shelf, as if all of it erred alike.
Tang et al. (2026, equation 14) have a constant factor for all maps.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

FLOAT = NDArray[np.float64]

FEWEST_TILES = 8
"""Fewer tiles tell no three numbers."""
_STARTS = ((-2.0, 0.0, -6.0), (-4.0, 0.5, -9.0), (-1.0, -3.0, -5.0), (-6.0, -6.0, -4.0))


class AreaErrorsError(ValueError):
    """Tiles that tell nothing of errors."""


@dataclass(frozen=True)
class AreaErrors:
    """s, κ and m, and how many tiles they are from.

    Attributes
    ----------
    mapped, unsure, seen : float
        s, κ, m [1].
    tiles : int
        That told them.
    """

    mapped: float
    unsure: float
    seen: float
    tiles: int

    def sigma(self, mapped: float, unsure: float, seen: float) -> float:
        """Return σ of an area from M, U and N, all in one unit.

        >>> AreaErrors(0.3, 4.0, 0.0, 30).sigma(10.0, 1.0, 100.0)
        5.0
        """
        return math.hypot(self.mapped * mapped, self.unsure * unsure, self.seen * seen)


def fitted(mapped: FLOAT, true: FLOAT, unsure: FLOAT, seen: FLOAT) -> AreaErrors:
    """Fit s, κ and m to labelled tiles.

    Parameters
    ----------
    mapped, true, unsure, seen : ndarray, shape (tile,)
        M, the labelled area of damage, U, and N of each tile, in one unit; tiles where N is 0
        do not count.

    Raises
    ------
    AreaErrorsError
        If fewer than :data:`FEWEST_TILES` tiles have labels, or none errs.
    """
    used = seen > 0.0
    error = (true - mapped)[used] / seen[used]
    if used.sum() < FEWEST_TILES or not error.any():
        msg = f"found {int(used.sum())} labelled tiles, {int(np.count_nonzero(error))} of them with"
        msg += f" an error, expected {FEWEST_TILES} tiles at least, of which some err"
        raise AreaErrorsError(msg)
    # Per area seen: tiles of all sizes count alike, and numbers lie near 1.
    terms = np.stack([mapped[used] / seen[used], unsure[used] / seen[used], np.ones(error.size)])
    terms = terms.T**2 + np.finfo(float).tiny

    def cost(logarithms: FLOAT) -> float:
        variance = terms @ np.exp(2.0 * logarithms)
        return float(np.sum(np.log(variance) + error**2 / variance))

    found = min(
        (
            optimize.minimize(cost, np.array(start), method="L-BFGS-B", bounds=[(-12.0, 3.0)] * 3)
            for start in _STARTS
        ),
        key=lambda each: float(each.fun),
    )
    mapped_by, unsure_by, seen_by = (float(value) for value in np.exp(found.x))
    return AreaErrors(mapped_by, unsure_by, seen_by, int(used.sum()))
