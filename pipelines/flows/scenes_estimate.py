"""Scenes as Landsat's orbit would bring them, to plan with where no service answers.

Every descending, sunlit pass of a satellite over a ROI counts, whether its images were kept and
however cloudy they are: an upper bound. Nothing here can be run; a search has to find real scenes.
"""

from __future__ import annotations

import math
import os
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from pipelines.flows.scenes_arrays import Summer
from pipelines.flows.scenes_candidates import scenes_of
from pipelines.flows.scenes_inputs import ScenesFound, Shelves, years_of
from pipelines.kernels.imagery import wrs2
from stac import grids
from stac.ice_shelves import ShelfRegion
from stac.landsat_items import Granule
from stac.landsat_search import SPANS
from stac.queries import rfc3339

if TYPE_CHECKING:
    from pipelines.settings import Run

STEP_M = 30_000.0
"""Points that fill a ROI lie on a lattice of this spacing [m]: six to a scene each way."""
LEVEL = 1
ERRNO = re.compile(r"\[Errno -?\d+\] ([^\])'\";]+)")
REMEDY = "check the network, or replay a recorded search (inputs.recorded)"
LONGEST = 120
"""Characters of a reason that are told."""


def found(run: Run, reason: str) -> ScenesFound:
    """Return the scenes that satellites could have taken of every summer of a run.

    Parameters
    ----------
    run : Run
        Its shelves must be at hand: the built-in ones, or a catalogue of files.
    reason : str
        Why there is no answer, see `silence`.
    """
    shelves = Shelves.of(run)
    summers = tuple(
        Summer(shelf, year, scenes_of(_granules(region, year, run), rule=run.choices.days))
        for shelf, region in shelves.regions.items()
        for year in years_of(run)
    )
    note = (
        f"{reason}: scenes are estimated from Landsat's orbit (WRS-2), every sunlit pass over a "
        "ROI, however cloudy and whether or not it was kept; an upper bound"
    )
    return ScenesFound(
        regions=shelves.regions,
        summers=summers,
        velocity=None,
        outlines=shelves.outlines,
        rejected=(),
        overrides=shelves.by_ids(run.choices.overrides),
        notes=(note,),
    )


def silence(service: str, error: Exception) -> str:
    """Return in a few words that a service does not answer, and why.

    Parameters
    ----------
    service : str
        Its name.
    error : Exception
        What was raised; causes tell the reason of the system, if there is one.

    Examples
    --------
    >>> silence("usgs", OSError("host x: [Errno -2] Name or service not known; check it"))
    'usgs does not answer (Name or service not known)'
    """
    cause = error.__cause__ or error
    system = getattr(cause, "os_error", cause)
    told = ERRNO.search(str(cause))
    number = getattr(system, "errno", None) or 0
    reason = os.strerror(number) if number > 0 else getattr(system, "strerror", None)
    reason = reason or (told[1] if told else str(cause) or "no reason")
    return f"{service} does not answer ({' '.join(str(reason).split())[:LONGEST]})"


def _granules(region: ShelfRegion, year: int, run: Run) -> tuple[Granule, ...]:
    longitude, latitude = _points(region.roi)
    passes = wrs2.passes_over(
        longitude,
        latitude,
        summer=year,
        platforms=run.choices.platforms,
        least_sun=run.choices.least_sun_degrees,
    )
    every = zip(*(np.asarray(column).tolist() for column in _columns(passes)), strict=True)
    made = (_granule(*each) for each in every)
    return tuple(granule for granule in made if _flies(granule))


def _columns(passes: wrs2.Passes) -> tuple[NDArray[np.generic], ...]:
    return passes.platform, passes.path, passes.row, passes.time, passes.sun_elevation


def _flies(granule: Granule) -> bool:
    first, last = SPANS[granule.platform]
    return first <= granule.moment.date() <= last


def _granule(platform: str, path: int, row: int, time: float, sun: float) -> Granule:
    moment = datetime.fromtimestamp(time, UTC)
    number = platform[-1]
    return Granule(
        id=f"L{number}-{path:03d}{row:03d}-{moment:%Y%m%d}-estimated",
        platform=platform,
        start=rfc3339(moment.replace(microsecond=0)),
        path=path,
        row=row,
        category="T2",
        collection_number=2,
        level=LEVEL,
        sun_elevation=sun,
        sun_azimuth=math.nan,
        cloud_cover=math.nan,
        code=grids.POLAR,
        shape=(),
        transform=(),
        assets={},
    )


def _points(roi: shapely.Geometry) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return points that fill a polygon, in longitude and latitude [degrees]."""
    west, south, east, north = roi.bounds
    x, y = (
        axis.ravel()
        for axis in np.meshgrid(
            np.arange(west, east + STEP_M, STEP_M), np.arange(south, north + STEP_M, STEP_M)
        )
    )
    inside = shapely.contains_xy(roi, x, y)
    centre = roi.representative_point()
    x, y = np.append(x[inside], centre.x), np.append(y[inside], centre.y)
    lon, lat = pyproj.Transformer.from_crs(grids.POLAR, grids.GEOGRAPHIC, always_xy=True).transform(
        x, y
    )
    return np.asarray(lon), np.asarray(lat)
