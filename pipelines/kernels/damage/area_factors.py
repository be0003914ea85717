"""Bounds of a mapped damage area from the precision and the recall of evaluations.

Tang et al. (2026, section 3.2.4, equation 14) bound the area of a map by factors

::

    N_true = P / R · N_pred

of evaluations with precision P and recall R: the least and the largest factor of several make the
lower and the upper bound. They hold for a map as a whole and say nothing of a pixel.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class FactorError(ValueError):
    """Evaluations or parts of a map that no bounds can be made of."""


@dataclass(frozen=True)
class Factors:
    """Bounds of the true area over the mapped one, N_true / N_pred [1]."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0.0 < self.low <= self.high < math.inf:
            msg = (
                f"found factors from {self.low:g} to {self.high:g}, expected 0 < low <= high < inf"
            )
            raise FactorError(msg)

    @property
    def centre(self) -> float:
        """The geometric mean of both: what the evaluations say of the area's bias."""
        return math.sqrt(self.low * self.high)


def precision_over_recall(precision: float, recall: float) -> float:
    """Return λ = P / R, the true over the mapped number of damaged pixels (equation 14).

    Raises
    ------
    FactorError
        If precision or recall are not in (0, 1].

    Examples
    --------
    >>> round(precision_over_recall(0.8164, 0.8410), 3)  # the paper's test set
    0.971
    """
    if not (0.0 < precision <= 1.0 and 0.0 < recall <= 1.0):
        msg = (
            f"found a precision of {precision:g} and a recall of {recall:g}, expected both above 0 "
            "and at most 1; weights that find nothing have no factor"
        )
        raise FactorError(msg)
    return precision / recall


def factors(evaluations: Iterable[tuple[float, float]]) -> Factors:
    """Return the least and the largest P / R of evaluations, as (precision, recall).

    Give those of the weights in use, and of one sensor where there are such.

    Raises
    ------
    FactorError
        If there is none.

    Examples
    --------
    >>> made = factors([(0.8164, 0.8410), (0.8384, 0.7916)])  # the paper's two
    >>> round(made.low, 3), round(made.high, 3)
    (0.971, 1.059)
    """
    found = [precision_over_recall(*each) for each in evaluations]
    if not found:
        msg = "found no evaluation, expected at least one (precision, recall) of the weights in use"
        raise FactorError(msg)
    return Factors(min(found), max(found))


def gap_factor(whole: float, *, gap_fraction: float, evaluated_gap_fraction: float) -> float:
    """Return the restoration's factor of a map with another share of gaps than the evaluated one.

    The evaluation compares whole pictures (table 5), of which only gaps were restored. If each
    restored pixel errs alike, wherever it lies, the excess grows with their share g::

        λ(g) = 1 + (λ(g₀) − 1) g / g₀

    It is 1 of a map without gaps, and λ(g₀) as the paper has it for all maps.

    Parameters
    ----------
    whole : float
        λ(g₀), precision over recall of segmentations of restored pictures [1].
    gap_fraction : float
        g, share of the damage (or of the map) that lies in gaps [1].
    evaluated_gap_fraction : float
        g₀, the same of the evaluated pictures [1]; 0.22 is that of a Landsat 7 scene.

    Raises
    ------
    FactorError
        If shares are not from 0 to 1, g₀ is 0, or nothing would be left.

    Examples
    --------
    >>> round(gap_factor(1.044, gap_fraction=0.11, evaluated_gap_fraction=0.22), 3)
    1.022
    """
    if not (0.0 <= gap_fraction <= 1.0 and 0.0 < evaluated_gap_fraction <= 1.0):
        msg = (
            f"found gaps of {gap_fraction:g} of the map and {evaluated_gap_fraction:g} of the "
            "evaluated pictures, expected 0 to 1 and more than 0 to 1"
        )
        raise FactorError(msg)
    made = 1.0 + (whole - 1.0) * gap_fraction / evaluated_gap_fraction
    if not 0.0 < made < math.inf:
        msg = f"found a factor of {made:g} at gaps of {gap_fraction:g}, expected more than 0; "
        raise FactorError(msg + "evaluate pictures with as many gaps as the map has")
    return made


def with_restoration(of: Factors, restoration: float) -> Factors:
    """Return bounds that never narrow by what a restoration adds (section 3.2.4).

    A factor above 1 widens the upper bound, one below 1 the lower one, and the other stays, "so
    that the lower side of the uncertainty range is not narrowed".

    Examples
    --------
    >>> with_restoration(Factors(0.5, 2.0), 1.25), with_restoration(Factors(0.5, 2.0), 0.5)
    (Factors(low=0.5, high=2.5), Factors(low=0.25, high=2.0))
    """
    return Factors(of.low * min(1.0, restoration), of.high * max(1.0, restoration))


def area_bounds(area: Sequence[float], of: Sequence[Factors]) -> tuple[float, float]:
    """Return bounds of an area that is mapped in parts, by sensor or restored and not.

    Bounds add up: what a factor says of one part is no error of chance that another part evens out.

    Parameters
    ----------
    area : sequence of float
        Mapped damage of each part [m²].
    of : sequence of Factors
        Of each part.

    Returns
    -------
    low, high : float
        [m²]

    Raises
    ------
    FactorError
        If there are not as many parts as factors.
    """
    if len(area) != len(of):
        msg = f"found {len(area)} parts and factors of {len(of)}, expected one for each part"
        raise FactorError(msg)
    parts = list(zip(area, of, strict=True))
    return math.fsum(a * f.low for a, f in parts), math.fsum(a * f.high for a, f in parts)
