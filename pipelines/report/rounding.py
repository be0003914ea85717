"""Numbers as people read them: as many digits as one standard deviation allows, true signs."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

SIGNIFICANT = 2.0
"""Standard deviations beyond which a number is told from zero."""

MOST_PLACES = 15
"""Decimals, and digits before them, beyond which a number is told by its power of ten."""

Verdict = Literal["loss", "gain", "unclear", "unstated"]


def verdict(value: float, sigma: float) -> Verdict:
    """Return what may be said of a change.

    A loss or a gain only beyond two standard deviations; without one, or without a value, nothing
    can be said.

    >>> verdict(-99.0, 4.0), verdict(3.0, 5.0), verdict(-99.0, float("nan"))
    ('loss', 'unclear', 'unstated')
    """
    if not (math.isfinite(value) and math.isfinite(sigma) and sigma > 0.0):
        return "unstated"
    if abs(value) <= SIGNIFICANT * sigma:
        return "unclear"
    return "gain" if value > 0.0 else "loss"


def decimals(sigma: float, *, fine: bool = False) -> int:
    """Return after how many decimals a standard deviation is rounded, negative for tens.

    Two digits if ``fine``, or where it begins with less than 3.55, else one; 9.5 and more becomes
    10: the rule of the Particle Data Group.

    >>> [decimals(sigma) for sigma in (4.1, 14.5, 0.0958, 123.0)], decimals(4.1, fine=True)
    ([0, 0, 2, -1], 1)
    """
    exponent = math.floor(math.log10(sigma))
    lead = sigma / 10.0**exponent
    return 1 - exponent if fine or lead < 3.55 else -exponent


def counted(number: int, name: str) -> str:
    """Return how many there are of something.

    >>> counted(1, "case"), counted(1200, "region")
    ('1 case', '1,200 regions')
    """
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def rounded(value: float, places: int, *, signed: bool = False) -> str:
    """Return a number to some decimals, halves away from zero, with a true minus.

    What is no number is "not known".

    >>> rounded(-1936.4, 0), rounded(0.04, 1, signed=True), rounded(-0.04, 1), rounded(2.5, 0)
    ('−1,936', '0.0', '0.0', '3')
    """
    if not math.isfinite(value):
        return "not known"
    if places > MOST_PLACES or abs(value) >= 10.0**MOST_PLACES:
        return f"{value:{'+' if signed else ''}.3g}".replace("-", "\N{MINUS SIGN}")
    step = Decimal(1).scaleb(-places)
    found = Decimal(repr(float(value))).quantize(step, rounding=ROUND_HALF_UP)
    if found == 0:
        found = abs(found)
    sign = "\N{MINUS SIGN}" if found < 0 else "+" if signed and found > 0 else ""
    return f"{sign}{abs(found):,.{max(places, 0)}f}"


def pair(value: float, sigma: float, *, signed: bool = False, fine: bool = False) -> str:
    """Return a number with its standard deviation, both to the digits that the latter allows.

    ``fine`` is for tables: always two digits of the deviation.

    Examples
    --------
    >>> [each.split() for each in (pair(-99.31, 4.1), pair(118.74, 14.5), pair(0.0123, math.nan))]
    [['−99', '±', '4'], ['119', '±', '15'], ['0.0123']]
    >>> pair(math.nan, 1.0)
    'not known'
    """
    if not math.isfinite(value):
        return "not known"
    if not (math.isfinite(sigma) and sigma > 0.0):
        return rounded(value, _places(value), signed=signed)
    places = decimals(sigma, fine=fine)
    return f"{rounded(value, places, signed=signed)}\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}" + (
        rounded(sigma, places)
    )


def _places(value: float) -> int:
    """Return the decimals of three significant digits."""
    if value == 0.0:
        return 0
    return 2 - math.floor(math.log10(abs(value)))
