"""How much damage a restoration hides, from how much was missing.

Where gaps are wide, a smooth fill loses fractures: recall falls, precision does not. The factor

    λ = precision / recall

by which damage mapped in restored pixels is to be multiplied is therefore a function of the local
gap fraction, and not the one number of Tang et al. (2026), section 2.5: 1.044 for all that was
restored. Precision and recall are of restored pixels alone.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from pipelines.nets.restoration_stage import RestorationError

FLOAT = NDArray[np.float64]


class Row(Protocol):
    """A bin of an evaluation's table."""

    @property
    def fraction(self) -> float:
        """Mean local gap fraction of its pixels [1]."""
        ...

    @property
    def pixels(self) -> int:
        """Scored pixels of the bin."""
        ...


@dataclass(frozen=True)
class UncertaintyFactor:
    """λ at local gap fractions, linear in between, constant beyond.

    Attributes
    ----------
    fractions : tuple of float
        Local gap fractions, rising [1].
    factors : tuple of float
        λ there, never falling [1].
    """

    fractions: tuple[float, ...]
    factors: tuple[float, ...]

    def __call__(self, fraction: FLOAT) -> FLOAT:
        """Return λ at local gap fractions of any shape [1]; NaN where they are NaN."""
        return np.interp(fraction, self.fractions, self.factors)

    def to_json(self) -> dict[str, Any]:
        """Return plain lists."""
        return {name: list(values) for name, values in asdict(self).items()}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "UncertaintyFactor":
        """Return what :meth:`to_json` came from."""
        return cls(tuple(plain["fractions"]), tuple(plain["factors"]))


def fitted(rows: Sequence[Row], factors: Sequence[float]) -> UncertaintyFactor:
    """Fit λ to a table by monotone regression of ln λ, bins weighted by their pixels.

    More gaps never hide less: where the table says so, it is by chance, and its bins are pooled.

    Parameters
    ----------
    rows : sequence of Row
        Bins, such as :class:`~pipelines.nets.restoration_scores.FractionScores`.
    factors : sequence of float
        λ of each; a bin whose λ is not a positive number is not used.

    Returns
    -------
    UncertaintyFactor
        At the mean fractions of the bins.

    Raises
    ------
    RestorationError
        No bin with a λ.
    """
    used = [
        (row.fraction, factor, row.pixels)
        for row, factor in zip(rows, factors, strict=True)
        if math.isfinite(factor) and factor > 0.0 and row.pixels > 0 and math.isfinite(row.fraction)
    ]
    if not used:
        msg = (
            f"found no λ in {len(rows)} bins of gap fractions, expected one at least; evaluate "
            "tiles that have damage, and a segmenter that finds some of it"
        )
        raise RestorationError(msg)
    fraction, factor, pixels = (
        np.array(column, dtype=np.float64) for column in zip(*sorted(used), strict=True)
    )
    logarithm = isotonic_regression(np.log(factor), weights=pixels).x
    return UncertaintyFactor(
        tuple(float(each) for each in fraction), tuple(float(each) for each in np.exp(logarithm))
    )
