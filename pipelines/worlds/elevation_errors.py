"""Errors of the synthetic altimetry: of its re-trackers, its fits, and its modelled firn.

A member is a re-tracker and a fit. The radar sees into dry snow, and each re-tracker reads its
echo in another way: errors that are wide and largest on the plateau. Fits differ by what they make
of rough ground: errors that are narrow and largest at the coast. All re-trackers and fits share
part of their error, which no spread of members shows as such, so the truth is made one more draw
from the same bag: the error of the member of re-tracker r and fit f is ::

    e_rf = p (R_r − κ R_*) + q (F_f − κ F_*) + q' (G_rf − κ G_*)        [m yr⁻¹]

with R, F, G independent smooth fields of variance 1 and R_*, F_*, G_* drawn as the others are.
With κ = 1 the truth is exchangeable with the members: it lies in their spread as any of them does.
With κ = 0 their mean is far better than the spread says; with κ > 1 worse.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels import geodesy
from pipelines.worlds import equal_area
from pipelines.worlds.elevation import ElevationChange
from pipelines.worlds.regions import GROUPS, SECTORS, sector_index
from pipelines.worlds.smooth_noise import smooth_noise

if TYPE_CHECKING:
    from pipelines.worlds.antarctica import Antarctica

FLOAT = NDArray[np.float64]
BOOL = NDArray[np.bool_]

RETRACKERS = (
    "TFMRA",
    "AWI_OCOG",
    "AWI_ICE2",
    "EC_TFMRA",
    "ESA_OCOG",
    "ESA_ICE",
    "ESA_OCEAN",
)
"""As in appendix A of Sasgen et al. (2019)."""
FITS = ("M1", "M2", "M3", "M4")
POLE_HOLE = -88.0
"""Latitude that no ground track reaches beyond [degrees]."""
MOUNTAINS = ((-84.5, 180.0), (-72.0, 165.0))
"""Ends of a range that echoes are lost in: latitude, longitude [degrees]."""
MOUNTAIN_WIDTH = 60e3
COAST_WIDTH = 0.04
"""Way from the coast over which the ground is too steep, as a part of the way to the divide [1]."""
GAP_LENGTH = 25e3
"""Size of a patch without rates [m]."""
_RETRACKER, _FIT, _MEMBER, _MASS, _COMPACTION, _GAP, _MEMBER_GAP = range(201, 208)
"""First part of the seeds, so that no two fields are drawn alike."""
_COMMON = 10_000
"""Index of the draw that belongs to the truth."""


@dataclass(frozen=True)
class ErrorSizes:
    """How large the errors are, one standard deviation each, and how far they reach.

    Attributes
    ----------
    retracker : tuple of float
        p, at the divide and at the coast [m yr⁻¹].
    retracker_length : float
        Correlation length of R [m].
    fit : tuple of float
        q, at the divide and at the coast [m yr⁻¹].
    member : float
        q' over q [1].
    fit_length : float
        Correlation length of F and G [m].
    common : float
        κ: 1 draws the truth as the members [1].
    surface_mass : float
        Error of the modelled trend of snowfall, over accumulation [1].
    compaction : float
        Error of the modelled trend of firn air [m yr⁻¹].
    model_length : float
        Correlation length of both [m].
    """

    retracker: tuple[float, float] = (0.018, 0.006)
    retracker_length: float = 500e3
    fit: tuple[float, float] = (0.004, 0.020)
    member: float = 0.5
    fit_length: float = 40e3
    common: float = 1.0
    surface_mass: float = 0.06
    compaction: float = 0.005
    model_length: float = 300e3


SIZES = ErrorSizes()
PERFECT = ErrorSizes((0.0, 0.0), fit=(0.0, 0.0), surface_mass=0.0, compaction=0.0)
"""No error at all."""


@dataclass(frozen=True)
class Places:
    """Points, and what of the errors depends on where they are.

    Attributes
    ----------
    x, y : ndarray, shape (...)
        EPSG:3031 [m].
    inland : ndarray, shape (...)
        Part of the way from the divide to the coast, to the power 4 as snowfall is: 0 to 1 [1].
    """

    x: FLOAT
    y: FLOAT
    inland: FLOAT

    def between(self, ends: tuple[float, float]) -> FLOAT:
        """Return what is the first at the divide and the second at the coast, shape (...)."""
        return np.asarray(ends[0] + (ends[1] - ends[0]) * self.inland)

    def drawn(self, spread: FLOAT, length: float, *seed: int) -> FLOAT:
        """Return a smooth field of a spread, see :func:`smooth_noise`, shape (...) [its unit]."""
        if not np.any(spread):
            return np.zeros(np.shape(self.x))
        return spread * smooth_noise(self.x, self.y, np.random.default_rng(seed), length=length)


def places(world: Antarctica, x: FLOAT, y: FLOAT) -> Places:
    """Return the points of a map as the errors see them."""
    mu, nu = world.divide.coordinates(equal_area.plane_from_map(x, y))
    return Places(x, y, world.fraction(mu, nu) ** 4)


def elevation_errors(
    at: Places,
    *,
    seed: int,
    sizes: ErrorSizes = SIZES,
    retrackers: int = len(RETRACKERS),
    fits: int = len(FITS),
) -> Iterator[FLOAT]:
    """Draw the errors of all members, a re-tracker at a time.

    Parameters
    ----------
    at : Places
        Points, shape (...).
    seed : int
        Of the ensemble; it and its indices make each member, whatever else is drawn.
    sizes : ErrorSizes
        How large the errors are.
    retrackers, fits : int
        Number of re-trackers r and of fits f.

    Yields
    ------
    ndarray, shape (f, ...)
        e_rf of one re-tracker r [m yr⁻¹].
    """
    narrow, wide = sizes.fit_length, sizes.retracker_length
    p, q = at.between(sizes.retracker), at.between(sizes.fit)
    of_fits = np.stack([at.drawn(q, narrow, seed, _FIT, fit) for fit in range(fits)])
    if sizes.common:
        of_fits -= sizes.common * (
            at.drawn(p, wide, seed, _RETRACKER, _COMMON)
            + at.drawn(q, narrow, seed, _FIT, _COMMON)
            + at.drawn(sizes.member * q, narrow, seed, _MEMBER, _COMMON)
        )
    for r in range(retrackers):
        own = [at.drawn(sizes.member * q, narrow, seed, _MEMBER, r, fit) for fit in range(fits)]
        yield of_fits + at.drawn(p, wide, seed, _RETRACKER, r) + np.stack(own)


def modelled_surface(
    world: Antarctica,
    at: Places,
    change: ElevationChange,
    *,
    seed: int,
    sizes: ErrorSizes = SIZES,
) -> tuple[FLOAT, FLOAT]:
    """Return what a model of snowfall and firn makes of the surface: the truth and an error.

    The error of snowfall is in both trends, at the density of snow in that of height.

    Parameters
    ----------
    world : Antarctica
        Whose snowfall.
    at : Places
        Points, shape (...).
    change : ElevationChange
        The truth there.
    seed : int
        Draws the error.
    sizes : ErrorSizes
        How large it is.

    Returns
    -------
    surface_elevation_rate, surface_mass_rate : ndarray, shape (...)
        ∂h_S/∂t [m yr⁻¹] and ∂σ_SMB/∂t [kg m⁻² yr⁻¹].
    """
    snowfall = sizes.surface_mass * world.accumulation(at.x, at.y)
    mass = at.drawn(snowfall, sizes.model_length, seed, _MASS)
    height = mass / change.snow_density
    height += at.drawn(np.asarray(sizes.compaction), sizes.model_length, seed, _COMPACTION)
    return change.surface_elevation_rate + height, change.snow + mass


def gaps(world: Antarctica, at: Places) -> BOOL:
    """Return where no member has a rate: beyond the tracks, in mountains, on steep coasts.

    Parameters
    ----------
    world : Antarctica
        Whose coast.
    at : Places
        Points, shape (...).

    Returns
    -------
    ndarray of bool, shape (...)
    """
    latitude, _ = geodesy.inverse_polar_stereographic(at.x, at.y)
    patchy = at.drawn(np.ones(()), GAP_LENGTH, world.seed, _GAP)
    likely = np.maximum(_near_mountains(at), _steep(world, at))
    return np.asarray((latitude < POLE_HOLE) | (patchy > 1.0 - 1.6 * likely) & (likely > 0.05))


def member_gaps(at: Places, *, retracker: int, fit: int, seed: int) -> BOOL:
    """Return where one member alone lacks a rate, about 2 % of all points, shape (...)."""
    return np.asarray(at.drawn(np.ones(()), GAP_LENGTH, seed, _MEMBER_GAP, retracker, fit) > 2.05)


def _near_mountains(at: Places) -> FLOAT:
    """Return a ridge of height 1 along the range, shape (...) [1]."""
    ends = [complex(*geodesy.polar_stereographic(*map(np.asarray, end))) for end in MOUNTAINS]
    z, along = at.x + 1j * at.y - ends[0], ends[1] - ends[0]
    way = np.clip((z * along.conjugate()).real / abs(along) ** 2, 0.0, 1.0)
    return np.asarray(np.exp(-0.5 * (np.abs(z - way * along) / MOUNTAIN_WIDTH) ** 2))


def _steep(world: Antarctica, at: Places) -> FLOAT:
    """Return how steep the ground is: 1 at the coast, much of it on the horn, shape (...) [1].

    Beyond the coast, where other ice sheets than this world's may have ice, it is 0.
    """
    mu, nu = world.divide.coordinates(equal_area.plane_from_map(at.x, at.y))
    t = world.fraction(mu, nu)
    horn = np.isin(sector_index(nu), [n for n, s in enumerate(SECTORS) if s.region in GROUPS["AP"]])
    width = np.where(horn, 8.0, 1.0) * COAST_WIDTH
    return np.where(t < 1.0, np.exp(-((1.0 - t) / width)), 0.0)
