"""Which granules make one scene: those of one pass of a satellite, or of one UTC date.

The paper mosaics all images of a UTC date (Tang et al., 2026, section 2.1.3). That cuts a pass in
two where it crosses 00:00 UTC, as daytime passes do near 134° E at 67° S (Dibble) and 121° E at
75° S, and lays passes on each other between which the sun has moved by 15° an hour, so that
crevasses are lit from two sides. Here a scene is one pass: rows of one path, one after the other.
Two passes of a day stay two scenes; if they complement each other, the choice of scenes takes both.
"""

import datetime as dt
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipelines.kernels.constants import SECONDS_PER_DAY

FLOAT = NDArray[np.float64]

Rule = Literal["pass", "utc"]

PASS_GAP_S = 1800.0
"""Longest time between two granules of one pass [s]. Rows follow each other every 24 s, the same
path comes again after 16 days: rows missing within a region do not cut a pass."""

_EPOCH = dt.date(1970, 1, 1)


class AcquisitionDayError(ValueError):
    """Granules cannot be grouped into scenes."""


def group(
    starts: ArrayLike,
    platforms: ArrayLike,
    paths: ArrayLike,
    *,
    rule: Rule = "pass",
    hours: float = 0.0,
) -> tuple[str, ...]:
    """Return the scene of each granule, as a date.

    Parameters
    ----------
    starts : array_like, shape (granule,)
        Acquisition, since 1970-01-01T00:00 UTC [s].
    platforms : array_like of str or int, shape (granule,)
        Satellites.
    paths : array_like of int, shape (granule,)
        Paths of the Worldwide Reference System 2.
    rule : {"pass", "utc"}
        "pass": one platform and path, without a pause longer than :data:`PASS_GAP_S`.
        "utc": one UTC date, as the paper.
    hours : float
        Passes, of any platform and path, that begin within this time after the first of them are
        one scene [h]; 0 keeps passes apart. 2 joins the next orbit of a satellite. Only for "pass".

    Returns
    -------
    tuple of str
        UTC date of the scene's first granule, "2011-01-23"; for the second and third scene that
        begin on a date "2011-01-23b", "2011-01-23c". Granules of a scene have the same label.

    Raises
    ------
    AcquisitionDayError
        If lengths differ, a time is not finite, or the rule is unknown.

    Examples
    --------
    >>> midnight = 1_295_740_800.0  # 2011-01-23
    >>> group([midnight - 12.0, midnight + 12.0], ["landsat-7"] * 2, [50, 50])
    ('2011-01-22', '2011-01-22')
    >>> group([midnight - 12.0, midnight + 12.0], ["landsat-7"] * 2, [50, 50], rule="utc")
    ('2011-01-22', '2011-01-23')
    """
    time = np.asarray(starts, dtype=np.float64)
    platform, path = np.asarray(platforms), np.asarray(paths)
    _check(time, platform, path, rule, hours)
    if time.size == 0:
        return ()
    if rule == "utc":
        return tuple(_date(start) for start in time.tolist())
    return _labels(time, _joined(time, _passes(time, platform, path), 3600.0 * hours))


def _passes(
    time: FLOAT, platform: NDArray[np.generic], path: NDArray[np.generic]
) -> NDArray[np.intp]:
    """Return the number (granule,) of the pass of each granule."""
    _, satellite = np.unique(platform, return_inverse=True)
    _, track = np.unique(path, return_inverse=True)
    order = np.lexsort((time, track, satellite))
    new = np.ones(time.size, dtype=bool)
    new[1:] = (
        (np.diff(satellite[order]) != 0)
        | (np.diff(track[order]) != 0)
        | (np.diff(time[order]) > PASS_GAP_S)
    )
    number = np.empty(time.size, dtype=np.intp)
    number[order] = np.cumsum(new) - 1
    return number


def _firsts(time: FLOAT, number: NDArray[np.intp]) -> FLOAT:
    """Return the first time of each group (group,) [s]."""
    first = np.full(int(number.max()) + 1, np.inf)
    np.minimum.at(first, number, time)
    return first


def _joined(time: FLOAT, number: NDArray[np.intp], window: float) -> NDArray[np.intp]:
    """Return the numbers (granule,) of groups of passes that begin within a window [s]."""
    if window == 0.0:
        return number
    first = _firsts(time, number)
    scene = np.empty(first.size, dtype=np.intp)
    current, opened = -1, -np.inf
    for index in np.argsort(first, kind="stable"):
        if first[index] - opened > window:
            current, opened = current + 1, float(first[index])
        scene[index] = current
    return scene[number]


def _labels(time: FLOAT, number: NDArray[np.intp]) -> tuple[str, ...]:
    """Return a date for each granule, with letters where two scenes begin on one date.

    Groups are numbered by platform and path, so that scenes of one instant keep their letters
    whatever the order of the granules.
    """
    first = _firsts(time, number)
    names, taken = [""] * first.size, dict[str, int]()
    for index in np.argsort(first, kind="stable").tolist():
        date = _date(float(first[index]))
        taken[date] = taken.get(date, 0) + 1
        names[index] = date + _letters(taken[date])
    return tuple(names[index] for index in number.tolist())


def _date(seconds: float) -> str:
    """Return the UTC date of a time [s]."""
    return (_EPOCH + dt.timedelta(days=seconds // SECONDS_PER_DAY)).isoformat()


def _letters(number: int) -> str:
    """Return "" of 1, "b" of 2, …, "z" of 26, "ab" of 28: no two alike."""
    if number == 1:
        return ""
    letters = ""
    while number > 0:
        number, digit = divmod(number - 1, 26)
        letters = chr(ord("a") + digit) + letters
    return letters


def _check(
    time: FLOAT,
    platform: NDArray[np.generic],
    path: NDArray[np.generic],
    rule: str,
    hours: float,
) -> None:
    if rule not in get_args(Rule):
        msg = f"the rule of acquisition days is {rule!r}, expected one of {get_args(Rule)}"
        raise AcquisitionDayError(msg)
    if not 0.0 <= hours < 24.0:
        msg = f"hours is {hours:g}, expected 0 (each pass a scene) to less than 24"
        raise AcquisitionDayError(msg)
    if not (time.ndim == 1 and time.shape == platform.shape == path.shape):
        msg = (
            f"there are starts {time.shape}, platforms {platform.shape} and paths {path.shape}; "
            "expected one of each per granule"
        )
        raise AcquisitionDayError(msg)
    if not np.isfinite(time).all():
        bad = np.flatnonzero(~np.isfinite(time)).tolist()
        msg = f"granules {bad} have no finite start; drop them or read their metadata again"
        raise AcquisitionDayError(msg)
