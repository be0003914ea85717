"""Series of single coefficients: windows in order, values finite, one dataset."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from stac.gravity_text import FLOAT, INT, GravityFormatError

DATES = NDArray[np.datetime64]

GM = 3.986004415e14
"""Of the GRACE standards, for series that do not state theirs [m³ s⁻²]."""
RADIUS = 6_378_136.3
"""Of the GRACE standards, for series that do not state theirs [m]."""
DAY_NS = 86_400_000_000_000


@dataclass(frozen=True)
class Windows:
    """Windows of a series in the order of its file.

    Attributes
    ----------
    name : str
        File, for messages.
    start, end : ndarray of datetime64[ns], shape (time,)
        Begin and exclusive end.
    lines : ndarray of int64, shape (time,)
        Where each stands in the file.
    """

    name: str
    start: DATES
    end: DATES
    lines: INT

    def middle(self) -> DATES:
        """Return the middle of each window, shape (time,)."""
        found: DATES = self.start + (self.end - self.start) // 2
        return found


def series(
    windows: Windows,
    coefficients: Sequence[str],
    value: FLOAT,
    sigma: FLOAT,
    *,
    source: str,
    frame: str,
    tide_system: str = "zero_tide",
    gia_removed: str = "",
    gm: float = GM,
    radius: float = RADIUS,
) -> xr.Dataset:
    """Return a series of low degrees in the order of time, shape (time, coefficient)."""
    time = windows.middle()
    _require_windows(windows)
    _require_values(value, sigma, coefficients, windows)
    sort = np.argsort(time, kind="stable")
    values = {"value": value[sort], "sigma": sigma[sort]}
    return xr.Dataset(
        {key: (("time", "coefficient"), array, {"units": "1"}) for key, array in values.items()},
        coords={
            "coefficient": np.array(coefficients),
            "time": time[sort],
            "time_start": ("time", windows.start[sort]),
            "time_end": ("time", windows.end[sort]),
        },
        attrs={
            "source": source,
            "tide_system": tide_system,
            "frame": frame,
            "gia_removed": gia_removed,
            "gm": gm,
            "radius": radius,
        },
    )


def _require_values(
    value: FLOAT, sigma: FLOAT, coefficients: Sequence[str], windows: Windows
) -> None:
    """Refuse gaps, except in C30, which begins in 2012, and infinity."""
    needed = value[:, :1] if "C30" in coefficients else value
    infinite = np.isinf(value) | np.isinf(sigma)
    wrong = ~np.isfinite(needed).all(axis=1) | infinite.any(axis=1)
    if wrong.any():
        i = int(wrong.argmax())
        msg = (
            f"{windows.name}: line {windows.lines[i]}: found {value[i].tolist()} with sigmas "
            f"{sigma[i].tolist()} for {', '.join(coefficients)}, expected finite numbers; fetch "
            "the file again"
        )
        raise GravityFormatError(msg)


def _require_windows(windows: Windows) -> None:
    """Refuse windows that end before they begin, and epochs that come twice."""
    reversed_ = windows.end <= windows.start
    if reversed_.any():
        i = int(reversed_.argmax())
        msg = (
            f"{windows.name}: line {windows.lines[i]}: the window ends {windows.end[i]:.10}, not "
            f"after its start {windows.start[i]:.10}; correct the table or fetch it again"
        )
        raise GravityFormatError(msg)
    time = windows.middle()
    sort = np.argsort(time, kind="stable")
    twice = np.flatnonzero(np.diff(time[sort]) == np.timedelta64(0))
    if twice.size:
        one, other = sort[twice[0]], sort[twice[0] + 1]
        msg = (
            f"{windows.name}: lines {windows.lines[one]} and {windows.lines[other]} both give the "
            f"window from {windows.start[one]:.10}, expected each once; remove one of them"
        )
        raise GravityFormatError(msg)
