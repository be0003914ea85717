"""A granule of Landsat: which row of which pass, under which weather, with which gain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from pipelines.kernels import geodesy
from pipelines.worlds import landsat_sun
from pipelines.worlds.landsat_passes import HALF_SWATH_M, SCAN_LINES_FAILED, SCENE_M, Swath

LOW_SUN = 20.0
"""Below this elevation Landsat 7 takes snow in high gain [degrees]."""


@dataclass(frozen=True)
class View:
    """One granule: a row of a pass, the weather and the state of the instrument.

    Attributes
    ----------
    swath : Swath
        The pass.
    row : int
        Of WRS-2.
    start : datetime
        When the satellite is over the granule's centre.
    first, last : float
        Where the granule begins and ends along the flight, in the swath's frame [m].
    sun_elevation, sun_azimuth : float
        At the granule's centre [degrees].
    cloudiness : float
        Expected part under cloud, 0 to 1; 0 is no cloud at all.
    seed : int
        Of weather and noise; the same for all rows of a pass.
    gap_phase : float
        Where the mirror's cycle begins, 0 to 1.
    gain : str
        Of Landsat 7: ``H`` saturates over bright snow, ``L`` does not.
    haze : float
        0 to 1.
    """

    swath: Swath
    row: int
    start: datetime
    first: float
    last: float
    sun_elevation: float
    sun_azimuth: float
    cloudiness: float
    seed: int
    gap_phase: float = 0.0
    gain: str = "L"
    haze: float = 0.1

    @property
    def platform(self) -> str:
        """Such as ``landsat-8``."""
        return self.swath.platform

    @property
    def path(self) -> int:
        """Of WRS-2."""
        return self.swath.path

    @property
    def slc_off(self) -> bool:
        """Whether the scan line corrector has failed."""
        return self.platform == "landsat-7" and self.start >= SCAN_LINES_FAILED

    @property
    def corners(self) -> tuple[tuple[float, float], ...]:
        """The footprint's corners in EPSG:3031: two at its end, then two at its beginning [m]."""
        w = HALF_SWATH_M
        ends = ((-w, self.last), (w, self.last), (w, self.first), (-w, self.first))
        return tuple(self.swath.place(*each) for each in ends)


def view(
    swath: Swath,
    row: int,
    *,
    cloudiness: float,
    seed: int,
    gain: str | None = None,
    haze: float = 0.1,
    shift: float = 0.0,
) -> View:
    """Return the granule of a row of a pass.

    Parameters
    ----------
    swath : Swath
        The pass.
    row : int
        Of WRS-2.
    cloudiness, seed, haze
        See :class:`View`; the mirror's phase is drawn from the seed.
    gain : str, optional
        If none, ``H`` where the sun is lower than 20°.
    shift : float
        How far the frames of this pass are displaced along the flight [m].
    """
    centre = swath.row_centre(row) + shift
    latitude, longitude = (
        float(each) for each in geodesy.inverse_polar_stereographic(
            *(np.asarray(each) for each in swath.place(0.0, centre))
        )
    )  # fmt: skip
    start = swath.row_moment(row)
    elevation, azimuth = landsat_sun.sun_position(start, latitude, longitude)
    return View(
        swath, row, start, centre - SCENE_M / 2.0, centre + SCENE_M / 2.0, elevation, azimuth,
        cloudiness, seed, float(np.random.default_rng([seed, 43]).random()),
        gain or ("H" if elevation < 20.0 else "L"), haze,
    )  # fmt: skip
