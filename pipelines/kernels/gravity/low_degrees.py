"""Low degrees from better sources: which coefficient, from where, over which months.

Satellites that see their own distance do not see degree 1 at all, and C20 and C30 badly. Each
row of the policy table is one :class:`Policy`; :func:`resolve` turns a policy and a source into
a value and a state per month, so that no month is changed, kept or lost without being named.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.gravity.stokes import decimal_years

Missing = Literal["drop", "interpolate", "refuse", "keep"]
TideSystem = Literal["zero_tide", "tide_free", "mean_tide"]
Times = NDArray[np.float64] | NDArray[np.datetime64]

NOMINAL_K2 = 0.30190
"""Nominal degree-2 Love number k₂₀ of the anelastic Earth, IERS (2010), table 6.3 [1]."""

_PERMANENT_A0 = 4.4228e-8  # m⁻¹, IERS (2010), equation 6.8c
_PERMANENT_H0 = -0.31460  # m, IERS (2010), after equation 6.14

_HALF = 0.5
_NOT_IN_SOURCE = "the source has no value whose interval shares half of the month"


class LowDegreeError(ValueError):
    """A policy for low degrees that contradicts itself, its source or the months."""


@dataclass(frozen=True)
class Policy:
    """One row of the policy table.

    Attributes
    ----------
    coefficients : tuple of str
        Names such as ``C20``; they stand or fall together: a source epoch counts only where it
        gives all of them. C30 of TN-14 begins in 2012, so C20 and C30 are two policies.
    source : str
        Where the values come from, for provenance and messages.
    start, end : float or None
        Months whose mid epoch lies in ``[start, end)`` are covered [yr]; None is unbounded.
    missing : {"drop", "interpolate", "refuse", "keep"}
        What happens to a covered month that the source lacks. ``keep`` leaves the field's own
        coefficient; GSM fields have none of degree 1, where it means zero.
    """

    coefficients: tuple[str, ...]
    source: str
    start: float | None = None
    end: float | None = None
    missing: Missing = "drop"

    def __post_init__(self) -> None:
        """Refuse a row that could not be followed."""
        parsed = [parse_coefficient(name) for name in self.coefficients]
        if not parsed or len(set(parsed)) < len(parsed):
            msg = f"found coefficients {self.coefficients}; name each at least and at most once"
            raise LowDegreeError(msg)
        if self.missing not in get_args(Missing):
            msg = f"found missing={self.missing!r}; expected one of {', '.join(get_args(Missing))}"
            raise LowDegreeError(msg)
        if self.start is not None and self.end is not None and not self.start < self.end:
            msg = (
                f"the policy for {', '.join(self.coefficients)} runs from {self.start} to "
                f"{self.end}; its start must precede its end (the end is exclusive)"
            )
            raise LowDegreeError(msg)


@dataclass(frozen=True)
class Resolved:
    """What a policy does to each month.

    Attributes
    ----------
    value, sigma : ndarray, shape (n, n_coeff)
        Replacement and its standard deviation [1]; NaN where there is none.
    state : ndarray of str, shape (n,)
        ``replaced``, ``interpolated``, ``kept`` (source lacks it, field's own value stays),
        ``dropped`` (leave the month out) or ``outside`` (the policy does not cover it).
    notes : tuple of str, length n
        Why a month is not simply replaced; empty where it is.
    """

    value: NDArray[np.float64]
    sigma: NDArray[np.float64]
    state: NDArray[np.str_]
    notes: tuple[str, ...]


def parse_coefficient(name: str) -> tuple[int, int, int]:
    """Read part, degree and order from the name of a coefficient.

    A letter and the digits of degree and order: ``C20``, ``S11``, ``C100`` (degree 10, order
    0). Where the digits can be split in two ways (``C1010``: 10, 10 or 101, 0) the name is
    refused; an underscore settles it: ``C10_10``.

    Parameters
    ----------
    name : str
        Name of a Stokes coefficient.

    Returns
    -------
    tuple of int
        Part (0 for C, 1 for S), degree j and order m.

    Raises
    ------
    LowDegreeError
        A name that is malformed, ambiguous, has m > j, or is a sine of order 0.

    Examples
    --------
    >>> parse_coefficient("S21"), parse_coefficient("C10_10")
    ((1, 2, 1), (0, 10, 10))
    """
    match = re.fullmatch(r"([CS])(\d+)(?:_(\d+))?", name, flags=re.ASCII)
    readings = [] if match is None else _readings(match[2], match[3])
    if len(readings) > 1:
        listed = " or ".join(f"{name[0]}{j}_{m}" for j, m in readings)
        msg = f"{name!r} is ambiguous; write {listed}"
        raise LowDegreeError(msg)
    if not readings or (name[0] == "S" and readings[0][1] == 0):
        msg = (
            f"found {name!r}, expected a coefficient such as C20, S11 or C10_10: C or S, degree, "
            "order not above the degree (and not 0 for S)"
        )
        raise LowDegreeError(msg)
    degree, order = readings[0]
    return "CS".index(name[0]), degree, order


def _readings(digits: str, after: str | None) -> list[tuple[int, int]]:
    splits = (
        [(digits, after)]
        if after is not None
        else [(digits[:i], digits[i:]) for i in range(1, len(digits))]
    )
    plain = [(j, m) for j, m in splits if str(int(j)) == j and str(int(m)) == m]
    return [(int(j), int(m)) for j, m in plain if int(m) <= int(j)]


def match_months(
    gsm_start: Times, gsm_end: Times, source_start: Times, source_end: Times
) -> NDArray[np.int64]:
    """Find the epoch of a source that goes with each month.

    It is the one whose interval shares the most time with the month, provided that this is at
    least half of the shorter of the two; of equals, the one with the nearest middle. Starts of
    days need not agree: centres leave out different days.

    Parameters
    ----------
    gsm_start, gsm_end : ndarray, shape (n,)
        Windows ``[start, end)`` of the months, decimal years [yr] or datetime64.
    source_start, source_end : ndarray, shape (k,)
        Intervals of the source, likewise.

    Returns
    -------
    ndarray of int, shape (n,)
        Row of the source, −1 where none goes with the month.
    """
    begin, finish = _years(gsm_start)[:, None], _years(gsm_end)[:, None]
    other_begin, other_finish = _years(source_start)[None, :], _years(source_end)[None, :]
    if other_begin.size == 0:
        return np.full(begin.shape[0], -1, dtype=np.int64)
    shared = np.minimum(finish, other_finish) - np.maximum(begin, other_begin)
    shorter = np.minimum(finish - begin, other_finish - other_begin)
    # A second is far above the rounding of decimal years (7 µs) and far below any difference.
    second = 1.0 / (366.0 * 86400.0)
    fits = shared >= _HALF * shorter - second
    most = np.where(fits, shared, -np.inf).max(axis=1, keepdims=True)
    away = np.abs(begin + finish - other_begin - other_finish)
    away = np.where(fits & (shared >= most - second), away, np.inf)
    return np.where(fits.any(axis=1), away.argmin(axis=1), -1)


def _years(time: Times) -> NDArray[np.float64]:
    if np.issubdtype(time.dtype, np.datetime64):
        return decimal_years(time.astype("datetime64[ns]"))
    return np.asarray(time, dtype=np.float64)


def resolve(
    policy: Policy,
    month_start: Times,
    month_end: Times,
    month_mid: Times,
    source_start: Times,
    source_end: Times,
    source_mid: Times,
    source_value: NDArray[np.float64],
    source_sigma: NDArray[np.float64],
    *,
    max_gap_years: float = 0.5,
) -> Resolved:
    """Say for each month what a policy makes of it.

    Covered months that the source gives are replaced. Of the others, ``missing`` decides;
    ``interpolate`` is linear in time between the neighbouring epochs of the source, never
    beyond its span nor across more than ``max_gap_years``, and falls back to ``dropped``.

    Parameters
    ----------
    policy : Policy
        Row of the table.
    month_start, month_end, month_mid : ndarray, shape (n,)
        Windows and middles of the months, decimal years [yr] or datetime64.
    source_start, source_end, source_mid : ndarray, shape (k,)
        Intervals and middles of the source, likewise; in any order.
    source_value, source_sigma : ndarray, shape (k, n_coeff)
        Values and standard deviations [1] in the order of ``policy.coefficients``; an epoch
        with a NaN value is one that the source lacks.
    max_gap_years : float
        Longest distance between the two epochs that interpolation may bridge [yr].

    Returns
    -------
    Resolved
        Values, states and reasons by month. The sigma of an interpolated value is interpolated
        too: the errors of neighbours are taken as equal, not as independent (which would
        promise more than the source's own months do).

    Raises
    ------
    LowDegreeError
        Columns that do not match the policy; months that it refuses, by their windows.
    """
    _check_source(policy, source_mid, source_value, source_sigma)
    given = np.isfinite(source_value).all(axis=1)
    row = match_months(month_start, month_end, source_start[given], source_end[given])
    epochs = _years(month_mid)
    covered = _covered(policy, epochs)
    found, lacking = covered & (row >= 0), covered & (row < 0)
    if policy.missing == "refuse" and lacking.any():
        _refuse_missing(policy, month_start[lacking], month_end[lacking])
    table = np.concatenate([source_value, source_sigma], axis=1)[given]
    # The last row stands for "no value": row −1 of a month without one selects it.
    chosen = np.vstack([table, np.full(table.shape[1], np.nan)])[np.where(found, row, -1)]
    state = np.full(epochs.shape, "outside", dtype="<U12")
    state[found] = "replaced"
    state[lacking] = "kept" if policy.missing == "keep" else "dropped"
    notes = np.where(lacking, f"{policy.source}: {_NOT_IN_SOURCE}", "").astype(object)
    if policy.missing == "interpolate":
        mid = _years(source_mid)[given]
        for i in np.flatnonzero(lacking):
            objection = _objection(epochs[i], mid, max_gap_years=max_gap_years)
            notes[i] += f"; {objection or 'interpolated between its neighbours'}"
            if not objection:
                chosen[i], state[i] = _between(epochs[i], mid, table), "interpolated"
    n_coeff = len(policy.coefficients)
    return Resolved(chosen[:, :n_coeff], chosen[:, n_coeff:], state, tuple(notes.tolist()))


def _covered(policy: Policy, epochs: NDArray[np.float64]) -> NDArray[np.bool_]:
    start = -np.inf if policy.start is None else policy.start
    end = np.inf if policy.end is None else policy.end
    return np.asarray((epochs >= start) & (epochs < end))


def _check_source(
    policy: Policy,
    source_mid: Times,
    source_value: NDArray[np.float64],
    source_sigma: NDArray[np.float64],
) -> None:
    expected = (source_mid.size, len(policy.coefficients))
    if source_value.shape != expected or source_sigma.shape != expected:
        msg = (
            f"{policy.source}: found values {source_value.shape} and sigmas {source_sigma.shape}, "
            f"expected {expected}: a row per epoch and a column for each of "
            f"{', '.join(policy.coefficients)}"
        )
        raise LowDegreeError(msg)


def _refuse_missing(policy: Policy, start: Times, end: Times) -> None:
    listed = "; ".join(f"{a} to {b}" for a, b in zip(start, end, strict=True))
    msg = (
        f"{policy.source} lacks {', '.join(policy.coefficients)} for {start.size} month(s) "
        f"({listed}), and the policy says refuse; choose drop, interpolate or keep, or end the "
        "policy before them"
    )
    raise LowDegreeError(msg)


def _objection(epoch: float, mid: NDArray[np.float64], *, max_gap_years: float) -> str:
    """Say why the source cannot be interpolated to an epoch; nothing if it can."""
    earlier, later = mid[mid <= epoch], mid[mid >= epoch]
    if earlier.size == 0 or later.size == 0:
        return "the month lies beyond its span, and nothing is extrapolated"
    gap = float(later.min() - earlier.max())
    if gap > max_gap_years:
        return f"its gap of {gap:.2f} yr around the month exceeds {max_gap_years:g} yr"
    return ""


def _between(
    epoch: float, mid: NDArray[np.float64], table: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Interpolate the rows of a table (k, c) at ``mid`` (k,) linearly to one epoch, (c,)."""
    order = np.argsort(mid, kind="stable")
    columns = [np.interp(epoch, mid[order], column[order]) for column in table.T]
    return np.asarray(columns, dtype=np.float64)


def apply(
    stokes: NDArray[np.float64], values: Mapping[str, float | NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Return Stokes coefficients with some of them replaced.

    Parameters
    ----------
    stokes : ndarray, shape (..., 2, J + 1, J + 1)
        Coefficients [1]; left as they are.
    values : mapping of str to float or ndarray, shape (...)
        Replacement of each named coefficient [1].

    Returns
    -------
    ndarray, shape (..., 2, J + 1, J + 1)
        A new array.

    Raises
    ------
    LowDegreeError
        A coefficient beyond J, or a replacement that is not finite.
    """
    replaced = np.array(stokes, dtype=np.float64)
    j_max = replaced.shape[-1] - 1
    for name, value in values.items():
        part, degree, order = parse_coefficient(name)
        if degree > j_max:
            msg = f"{name} has degree {degree}, but the field ends at degree {j_max}"
            raise LowDegreeError(msg)
        if not np.isfinite(value).all():
            msg = f"the replacement of {name} is {value}; expected finite values (drop the month?)"
            raise LowDegreeError(msg)
        replaced[..., part, degree, order] = value
    return replaced


def permanent_tide_c20(
    *, from_system: TideSystem, to_system: TideSystem, k2: float = NOMINAL_K2
) -> float:
    """Correction of C20 from one tide system to another.

    IERS Conventions (2010), section 6.2.2, equation 6.14: the permanent tide stretches the
    equator, so it makes C20 more negative. Directly, by the attraction of Moon and Sun, and
    indirectly, by the deformation that follows::

        C20(zero tide) = C20(tide free) + A₀ H₀ k₂₀
        C20(mean tide) = C20(zero tide) + A₀ H₀

    with A₀ H₀ = −1.3914·10⁻⁸ and, for k₂₀ = 0.30190, A₀ H₀ k₂₀ = −4.2007·10⁻⁹.

    Parameters
    ----------
    from_system, to_system : {"zero_tide", "tide_free", "mean_tide"}
        System of the value at hand and of the one wanted.
    k2 : float
        Degree-2 Love number with which the tide-free value was made [1]; EGM2008 used 0.3,
        so its two values differ by 4.1736·10⁻⁹.

    Returns
    -------
    float
        ΔC20 [1], to be added.

    Raises
    ------
    LowDegreeError
        A tide system that is none of the three: an unknown one cannot be reconciled.

    Notes
    -----
    A constant disappears from trends and anomalies when *all* months share it. It matters in
    absolute fields, and in trends when the systems are mixed: months of one centre with C20 of
    another system only in part of the period, where 4.2·10⁻⁹ is tens of times the yearly cycle.
    """
    direct = _PERMANENT_A0 * _PERMANENT_H0
    content = {"tide_free": 0.0, "zero_tide": direct * k2, "mean_tide": direct * (1.0 + k2)}
    for system in (from_system, to_system):
        if system not in content:
            msg = (
                f"found tide system {system!r}, expected one of {', '.join(content)}; state the "
                "system of the source before mixing it with another"
            )
            raise LowDegreeError(msg)
    return content[to_system] - content[from_system]
