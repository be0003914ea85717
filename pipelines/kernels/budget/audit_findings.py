"""What an audit of a table says: one finding a check, with numbers and a likely cause."""

from dataclasses import dataclass
from typing import Literal

from pipelines.kernels.budget.printed_numbers import Column, Interval, Printed, can_be, is_likely

State = Literal["holds", "doubtful", "fails"]
"""Doubtful: rounding could explain it, but only by luck that is rare."""


@dataclass(frozen=True)
class Finding:
    """One check of one number.

    Attributes
    ----------
    check : str
        Which arithmetic: ``sum``, ``total``, ``sigma``, ``relative sigma``, ``mean``, ``balance``,
        ``sigma of balance``, ``mean of epochs``, ``sigma of mean``, ``replaced``.
    table, column, region : str
        Where the number stands.
    state : {"holds", "doubtful", "fails"}
        Whether the numbers agree.
    printed, expected, low, high : float
        The number, what follows from others, and between what it may lie by their rounding.
    cause : str
        What would explain a disagreement, or how the expected number was found.
    """

    check: str
    table: str
    column: str
    region: str
    state: State
    printed: float
    expected: float
    low: float
    high: float
    cause: str = ""


def judged(
    check: str,
    column: Column,
    region: str,
    printed: Printed,
    expected: Interval,
    *,
    cause: str = "",
    strict: bool = True,
) -> Finding:
    """Return the finding that compares a printed number with what it should be.

    Parameters
    ----------
    check, column, region
        What is checked.
    printed, expected : Printed, Interval
        The two sides; the interval of the finding includes the rounding of the first.
    cause : str
        Kept as it is.
    strict : bool
        Whether luck that is rare is doubted; otherwise only what rounding cannot do at all fails.
    """
    state: State = "holds"
    if not can_be(printed, expected):
        state = "fails"
    elif strict and not is_likely(printed, expected):
        state = "doubtful"
    return Finding(
        check,
        column.table,
        column.name,
        region,
        state,
        printed.value,
        expected.centre,
        expected.low - printed.half,
        expected.high + printed.half,
        cause,
    )
