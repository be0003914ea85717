"""Basins of the synthetic ice sheet: sectors of bearing, numbered as Zwally's are.

Twenty-seven basins from the foot of the horn eastwards, that is with falling ν, in the groups of
Zwally et al. (2012): 1 and 18-23 WAIS, 2-17 EAIS, 24-27 AP.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

EDGES = (
    2.255,
    2.13,
    1.87,
    1.66,
    1.42,
    1.15,
    0.88,
    0.62,
    0.36,
    0.19,
    0.02,
    -0.21,
    -0.45,
    -0.72,
    -0.98,
    -1.22,
    -1.52,
    -1.90,
    -2.10,
    -2.34,
    -2.62,
    -2.92,
    -3.22,
    -3.68,
    -3.79,
    -3.87,
    -3.94,
    2.255 - 2.0 * np.pi,
)
"""ν of the borders [rad], falling; basin n lies between entries n − 1 and n."""

GROUPS = {
    "EAIS": tuple(str(n) for n in range(2, 18)),
    "WAIS": ("1", *(str(n) for n in range(18, 24))),
    "AP": tuple(str(n) for n in range(24, 28)),
}
STREAM_SPACING = 0.17
"""Aimed-at spacing of ice streams along the coast [rad]."""


@dataclass(frozen=True)
class Sector:
    """The bearings of one basin.

    Attributes
    ----------
    region : str
        Its id, "1" to "27".
    group : str
        EAIS, WAIS or AP.
    start, stop : float
        ν of its eastern and western border, ``start < stop`` [rad].
    streams : int
        Number of ice streams that drain it.
    """

    region: str
    group: str
    start: float
    stop: float
    streams: int


def sectors() -> tuple[Sector, ...]:
    """Return the 27 basins in the order of their numbers."""
    group_of = {region: group for group, regions in GROUPS.items() for region in regions}
    found = []
    for n, (stop, start) in enumerate(itertools.pairwise(EDGES), start=1):
        streams = max(1, round((stop - start) / STREAM_SPACING))
        found.append(Sector(str(n), group_of[str(n)], float(start), float(stop), streams))
    return tuple(found)


SECTORS = sectors()


def sector_index(nu: NDArray[np.float64]) -> NDArray[np.intp]:
    """Index into :data:`SECTORS` of the basin at a bearing.

    Parameters
    ----------
    nu : ndarray, shape (...)
        Bearing [rad].

    Returns
    -------
    ndarray of int, shape (...)
        0 to 26.
    """
    falling = EDGES[0] - np.mod(EDGES[0] - np.asarray(nu), 2.0 * np.pi)
    index = np.searchsorted(-np.asarray(EDGES), -falling, side="right") - 1
    return np.asarray(np.clip(index, 0, len(SECTORS) - 1))


def with_totals(by_region: dict[str, float]) -> dict[str, float]:
    """Add the groups and the whole ice sheet to sums by basin.

    Parameters
    ----------
    by_region : dict
        Basin id to a sum, all in one unit.

    Returns
    -------
    dict
        The same with EAIS, WAIS, AP and AIS.
    """
    groups = {group: sum(by_region[r] for r in regions) for group, regions in GROUPS.items()}
    return {**by_region, **groups, "AIS": sum(by_region.values())}


def by_region(sums: NDArray[np.float64]) -> dict[str, float]:
    """Name sums by basin, and add the groups and the whole ice sheet.

    Parameters
    ----------
    sums : ndarray, shape (region,)
        One sum for each of :data:`SECTORS`.

    Returns
    -------
    dict
        Basin id, EAIS, WAIS, AP and AIS to a sum.
    """
    return with_totals({s.region: float(v) for s, v in zip(SECTORS, sums, strict=True)})
