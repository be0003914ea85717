"""Epochs of a set of monthly gravity fields, and the checks a set must pass.

A monthly solution covers a window ``[start, end)`` of days, rarely a calendar month: a
solution borrows days from its neighbours when its own are too few. Windows may therefore
share days, but two solutions that share most of their days are one observation counted twice.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Instants = NDArray[np.datetime64]

OVERLAP_LIMIT = 0.7
"""Shared part of the shorter window above which two solutions count as one [1].

The largest legitimate overlap of CSR RL06 is 0.633 (2015-04-01/30 and 2015-04-12/05-11).
"""

_EPOCH_YEAR = 1970


class EpochError(ValueError):
    """The windows of a set of monthly fields contradict each other."""


def decimal_years(time: Instants) -> NDArray[np.float64]:
    """Express instants as decimal years: the calendar year and the elapsed fraction of it.

    ::

        t = Y + (τ − τ_Y) / (τ_{Y+1} − τ_Y),    τ_Y the first instant of year Y

    A leap year has 366 days, so a year is never longer than 1.0 and 1 January is whole; the
    price is a rate of time that differs by 0.3 % between years (at most a day in phase).

    Parameters
    ----------
    time : ndarray of datetime64, shape (...)
        Instants of any resolution.

    Returns
    -------
    ndarray, shape (...)
        Decimal years [yr]; NaN where ``time`` is NaT.

    Examples
    --------
    >>> float(decimal_years(np.datetime64("2012-07-02")))
    2012.5
    """
    instant = np.asarray(time).astype("datetime64[ns]")
    year = instant.astype("datetime64[Y]")
    first = year.astype("datetime64[ns]")
    following = (year + np.timedelta64(1, "Y")).astype("datetime64[ns]")
    number = np.where(np.isnat(instant), np.nan, year.astype(np.int64) + _EPOCH_YEAR)
    fraction = (instant - first) / (following - first)
    return np.asarray(number + fraction, dtype=np.float64)


def _middles(start: Instants, end: Instants) -> Instants:
    begin = np.asarray(start).astype("datetime64[ns]")
    finish = np.asarray(end).astype("datetime64[ns]")
    if begin.shape != finish.shape:
        msg = f"found {begin.shape} starts and {finish.shape} ends; give one of each per month"
        raise EpochError(msg)
    backwards = np.flatnonzero(~(finish > begin))
    if backwards.size:
        i = int(backwards[0])
        msg = (
            f"window {i} runs from {begin.flat[i]} to {finish.flat[i]}: its end must follow its "
            "start (ends are exclusive, midnight after the last day)"
        )
        raise EpochError(msg)
    middle: Instants = begin + (finish - begin) // 2
    return middle


def mid_epochs(start: Instants, end: Instants) -> NDArray[np.float64]:
    """Return the middle of each window as decimal years, see :func:`decimal_years`.

    Parameters
    ----------
    start, end : ndarray of datetime64, shape (n,)
        Windows ``[start, end)``; the end is exclusive (midnight after the last day).

    Returns
    -------
    ndarray, shape (n,)
        Mid epochs [yr].

    Raises
    ------
    EpochError
        A window that ends before it starts.
    """
    return decimal_years(_middles(start, end))


def overlapping(
    start: Instants, end: Instants, *, limit: float = OVERLAP_LIMIT
) -> list[tuple[int, int]]:
    """Pairs of windows that share more than ``limit`` of the shorter one.

    Duplicates share all of it. Real months overlap legitimately: CSR RL06 by as much as 0.63
    (April and May 2015), hence the default; what lies above is the same observation twice.

    Parameters
    ----------
    start, end : ndarray of datetime64, shape (n,)
        Windows ``[start, end)``.
    limit : float
        Largest part that two windows may share [1].

    Returns
    -------
    list of tuple of int
        Pairs ``(i, k)`` of indices, ``i < k``, in order.
    """
    _middles(start, end)
    begin = np.asarray(start).astype("datetime64[ns]")
    finish = np.asarray(end).astype("datetime64[ns]")
    shared = np.minimum(finish[:, None], finish) - np.maximum(begin[:, None], begin)
    duration = finish - begin
    part = shared / np.minimum(duration[:, None], duration)
    first, second = np.nonzero(np.triu(part > limit, k=1))
    return list(zip(first.tolist(), second.tolist(), strict=True))


def refuse_overlaps(
    start: Instants, end: Instants, names: Sequence[str], *, limit: float = OVERLAP_LIMIT
) -> None:
    """Raise if two windows are one observation counted twice, see :func:`overlapping`.

    Parameters
    ----------
    start, end : ndarray of datetime64, shape (n,)
        Windows ``[start, end)``.
    names : sequence of str, length n
        Names of the files, for the message.
    limit : float
        Largest part that two windows may share [1].

    Raises
    ------
    EpochError
        Names every offending pair with its windows.
    """
    pairs = overlapping(start, end, limit=limit)
    if not pairs:
        return
    listed = "; ".join(
        f"{names[i]} ({_window(start[i], end[i])}) and {names[k]} ({_window(start[k], end[k])})"
        for i, k in pairs
    )
    msg = (
        f"{len(pairs)} pair(s) of months share more than {limit:.0%} of the shorter window: "
        f"{listed}; keep one of each pair (two releases or two centres may be mixed up)"
    )
    raise EpochError(msg)


def _window(start: np.datetime64, end: np.datetime64) -> str:
    last = end.astype("datetime64[D]") - np.timedelta64(1, "D")
    return f"{start.astype('datetime64[D]')} to {last}"


def nominal_month(start: Instants, end: Instants) -> list[str]:
    """Name a distinct calendar month for each window of a series.

    The middle of a window decides, as long as no other window claims the same month. The set
    of labels is the one that, in the order of the middles,

    * increases strictly,
    * gives each window a month it touches, and
    * has the least sum of squared distances between middles of windows and of months.

    So CSR's 2011-10-01/31 and 2011-10-16/11-15, whose middles both lie in October, are October
    and November 2011, as its centre names them.

    Parameters
    ----------
    start, end : ndarray of datetime64, shape (n,)
        Windows ``[start, end)`` in any order.

    Returns
    -------
    list of str, length n
        Labels ``YYYY-MM``, in the order of the input.

    Raises
    ------
    EpochError
        The windows outnumber the months they touch.

    Examples
    --------
    >>> nominal_month(
    ...     np.array(["2015-04-01", "2015-04-12"], dtype="datetime64[D]"),
    ...     np.array(["2015-05-01", "2015-05-12"], dtype="datetime64[D]"),
    ... )
    ['2015-04', '2015-05']
    """
    middle = _middles(start, end)
    if middle.size == 0:
        return []
    order = np.argsort(middle, kind="stable")
    first = np.asarray(start)[order].astype("datetime64[M]").astype(np.int64)
    final = np.asarray(end)[order].astype("datetime64[ns]") - np.timedelta64(1, "ns")
    last = final.astype("datetime64[M]").astype(np.int64)
    cost = _distances(middle[order], first, int((last - first).max()) + 1)
    chosen = _increasing_choice(first, last, cost)
    labels = np.empty(middle.size, dtype="datetime64[M]")
    labels[order] = chosen.astype("datetime64[M]")
    return [str(label) for label in labels]


def _distances(middle: Instants, first: NDArray[np.int64], width: int) -> NDArray[np.float64]:
    """Squared distances [day²] of middles (n,) from months ``first + 0 … width − 1``."""
    months = first[:, None] + np.arange(width)
    opening = months.astype("datetime64[M]").astype("datetime64[ns]")
    closing = (months + 1).astype("datetime64[M]").astype("datetime64[ns]")
    away = (middle[:, None] - (opening + (closing - opening) // 2)) / np.timedelta64(1, "D")
    return np.asarray(away**2, dtype=np.float64)


def _increasing_choice(
    first: NDArray[np.int64], last: NDArray[np.int64], cost: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Strictly increasing months of least total cost: a shortest path through the candidates.

    ``total[i, c]`` is the least cost of windows 0 … i if window i takes ``first[i] + c``;
    ``back[i, c]`` is the candidate of window i − 1 on that path.
    """
    n, width = cost.shape
    months = first[:, None] + np.arange(width)
    allowed = months <= last[:, None]
    total = np.where(allowed, cost, np.inf)
    back = np.zeros((n, width), dtype=np.int64)
    for i in range(1, n):
        earlier = months[i - 1][None, :] < months[i][:, None]
        reach = np.where(earlier, total[i - 1][None, :], np.inf)
        back[i] = reach.argmin(axis=1)
        total[i] += reach.min(axis=1)
        if not np.isfinite(total[i]).any():
            _refuse_crowding(months[i], allowed[i], i)
    path = np.empty(n, dtype=np.int64)
    path[-1] = total[-1].argmin()
    for i in range(n - 1, 0, -1):
        path[i - 1] = back[i, path[i]]
    return months[np.arange(n), path]


def _refuse_crowding(months: NDArray[np.int64], allowed: NDArray[np.bool_], i: int) -> None:
    touched = ", ".join(str(month) for month in months[allowed].astype("datetime64[M]"))
    msg = (
        f"the {i + 1} earliest windows cannot each have a calendar month of their own: window "
        f"number {i + 1} by middle touches only {touched}, and earlier windows fill them; "
        "remove the duplicates (refuse_overlaps names them)"
    )
    raise EpochError(msg)
