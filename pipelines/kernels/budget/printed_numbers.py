"""Numbers as a table prints them, and what can follow from rounded ones.

A printed number is known to half its last digit, so what is computed from several of them lies in
an interval. Rounding errors of n summands rarely all add up: their sum has the standard deviation
``√(n/12)`` of the last digit, and twice that is exceeded by chance once in twenty sums.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

RARE = 2.0
"""Standard deviations of rounding beyond which a sum is doubted."""

_FLOAT = 1e-9


@dataclass(frozen=True)
class Printed:
    """A number and half of its last printed digit."""

    value: float
    half: float = 0.5


@dataclass(frozen=True)
class Interval:
    """Where a number computed from rounded ones lies.

    Attributes
    ----------
    centre, low, high : float
        From the printed numbers as they are, and at worst.
    spread : float
        Standard deviation by rounding alone.
    """

    centre: float
    low: float
    high: float
    spread: float


@dataclass(frozen=True)
class Column:
    """What a table prints of one quantity in one period.

    Attributes
    ----------
    table, quantity, period : str
        Such as ``table2``, ``D``, ``2007-2011``.
    values, sigmas : mapping of str to Printed
        By region; a region that is not printed is absent.
    """

    table: str
    quantity: str
    period: str
    values: Mapping[str, Printed]
    sigmas: Mapping[str, Printed] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What people call the column."""
        return " ".join(part for part in (self.quantity, self.period) if part)


def combined(terms: Sequence[tuple[float, Printed]]) -> Interval:
    """Return the interval of a weighted sum.

    Examples
    --------
    >>> combined([(1.0, Printed(968.0)), (1.0, Printed(652.0)), (1.0, Printed(172.0))])
    Interval(centre=1792.0, low=1790.5, high=1793.5, spread=0.5)
    """
    centre = math.fsum(weight * each.value for weight, each in terms)
    reach = math.fsum(abs(weight) * each.half for weight, each in terms)
    square = math.fsum((weight * each.half) ** 2 for weight, each in terms)
    return Interval(centre, centre - reach, centre + reach, math.sqrt(square / 3.0))


def quadrature(terms: Sequence[Printed]) -> Interval:
    """Return the interval of ``√Σσ²``, worst cases of rounding throughout.

    Examples
    --------
    >>> found = quadrature([Printed(3.0), Printed(4.0)])
    >>> found.centre, round(found.low, 2), round(found.high, 2)
    (5.0, 4.3, 5.7)
    """
    centre = math.hypot(*(each.value for each in terms))
    low = math.hypot(*(max(abs(each.value) - each.half, 0.0) for each in terms))
    high = math.hypot(*(abs(each.value) + each.half for each in terms))
    return Interval(centre, low, high, (high - low) / math.sqrt(12.0))


def can_be(printed: Printed, expected: Interval) -> bool:
    """Return whether a printed number and an interval overlap: whether rounding can explain it."""
    slack = printed.half + _FLOAT * max(1.0, abs(printed.value))
    return expected.low - slack <= printed.value <= expected.high + slack


def is_likely(printed: Printed, expected: Interval) -> bool:
    """Return whether rounding explains a printed number without rare luck."""
    spread = math.hypot(expected.spread, printed.half / math.sqrt(3.0))
    error = abs(printed.value - expected.centre)
    return can_be(printed, expected) and error <= RARE * spread + _FLOAT * abs(printed.value) + (
        printed.half if spread == 0.0 else 0.0
    )
