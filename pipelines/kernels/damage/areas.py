"""Damage area and fraction of a map on the ellipsoid, and their spread from errors of pixels.

The damage fraction is damage area over ice shelf area (Tang et al., 2026, equation 15). The paper
bounds a map as a whole (:mod:`pipelines.kernels.damage.area_factors`). Beyond that a pixel has a
variance here. Of a binary pixel whose probability is calibrated it is p (1 − p); where p is the
mean over restored samples of a gap, p (1 − p) = mean of p_k (1 − p_k) + variance of p_k, so the
spread of the restoration is a part of it and adds nothing: it only is correlated over another
length. Sums of such errors are in :mod:`pipelines.kernels.damage.correlated_sums`.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels import geodesy

FLOAT = NDArray[np.float64]
REAL = NDArray[np.floating]
BOOL = NDArray[np.bool_]


class AreaError(ValueError):
    """Maps, evaluations or errors that no area can be made of."""


@dataclass(frozen=True)
class DamageSums:
    """Areas of some blocks of a map; those of several blocks add up.

    Attributes
    ----------
    damage : float
        Mapped damage: pixels of probability above the threshold [m²].
    expected : float
        Σ a p [m²], the expected area of damage if p is calibrated.
    known : float
        Extent where something is known [m²].
    extent : float
        Extent [m²].
    restored : float
        Mapped damage on pixels that were restored [m²].
    """

    damage: float = 0.0
    expected: float = 0.0
    known: float = 0.0
    extent: float = 0.0
    restored: float = 0.0

    def __add__(self, other: "DamageSums") -> "DamageSums":
        return DamageSums(
            self.damage + other.damage,
            self.expected + other.expected,
            self.known + other.known,
            self.extent + other.extent,
            self.restored + other.restored,
        )

    @property
    def covered(self) -> float:
        """The part of the extent where something is known [1]; NaN of no extent."""
        return self.known / self.extent if self.extent else math.nan


def pixel_areas(x: FLOAT, y: FLOAT, *, spacing: float) -> FLOAT:
    """Return the true areas of a block's pixels on the ellipsoid.

    Parameters
    ----------
    x, y : ndarray, shapes (x,) and (y,)
        Centres of columns and rows in EPSG:3031 [m].
    spacing : float
        Width of a pixel on the map [m].

    Returns
    -------
    ndarray, shape (y, x)
        Areas [m²]: 951 m² of 30 m pixels at the pole, 900 m² at 71° S, 864 m² at 65° S.
    """
    return geodesy.cell_areas(x[np.newaxis, :], y[:, np.newaxis], spacing)


def damage_sums(
    probability: REAL,
    area: FLOAT,
    extent: BOOL,
    restored: BOOL | None = None,
    *,
    threshold: float = 0.5,
) -> DamageSums:
    """Return the areas of a block.

    Parameters
    ----------
    probability : ndarray, shape (y, x)
        Of damage [1]; NaN where nothing is known.
    area : ndarray, shape (y, x)
        Areas of pixels [m²], see :func:`pixel_areas`.
    extent : ndarray of bool, shape (y, x)
        The ice shelf, or a part of it.
    restored : ndarray of bool, shape (y, x), optional
        Pixels in gaps that were restored.
    threshold : float
        Probability from which on a pixel is damage [1].

    Returns
    -------
    DamageSums

    Raises
    ------
    AreaError
        If shapes differ.

    Examples
    --------
    >>> p = np.array([[0.75, 0.25, np.nan]])
    >>> damage_sums(p, np.full(p.shape, 900.0), np.ones(p.shape, bool))
    DamageSums(damage=900.0, expected=900.0, known=1800.0, extent=2700.0, restored=0.0)
    """
    shapes = {each.shape for each in (probability, area, extent, restored) if each is not None}
    if len(shapes) != 1:
        msg = f"found shapes {sorted(shapes)} of probabilities, areas and masks, expected one"
        raise AreaError(msg)
    known = extent & ~np.isnan(probability)
    damage = known & (np.nan_to_num(probability, nan=-1.0) >= threshold)
    in_gaps = damage & restored if restored is not None else np.zeros_like(damage)
    return DamageSums(
        damage=float(area[damage].sum()),
        expected=float(np.sum(area[known] * probability[known], dtype=np.float64)),
        known=float(area[known].sum()),
        extent=float(area[extent].sum()),
        restored=float(area[in_gaps].sum()),
    )


def pixel_spreads(
    probability: REAL, area: FLOAT, extent: BOOL, restoration_variance: REAL | None = None
) -> tuple[FLOAT, FLOAT]:
    """Return the spread of each pixel's damage area: of the segmentation, and of the restoration.

    ::

        σ² = a² p (1 − p) = a² (p (1 − p) − v) + a² v,   v ≤ p (1 − p)

    Parameters
    ----------
    probability : ndarray, shape (y, x)
        Calibrated [1], the mean over samples where pixels were restored; NaN where not known.
    area : ndarray, shape (y, x)
        Areas of pixels [m²].
    extent : ndarray of bool, shape (y, x)
        Where pixels count.
    restoration_variance : ndarray, shape (y, x), optional
        v, variance of p between samples of the restoration [1]; 0 where nothing was restored. That
        of a sample may exceed the bound by chance, and is cut there.

    Returns
    -------
    segmentation, restoration : ndarray, shape (y, x)
        Spreads [m²]; 0 outside the extent and where nothing is known.

    Raises
    ------
    AreaError
        If probabilities are not from 0 to 1, or a variance is negative.
    """
    known = extent & ~np.isnan(probability)
    p = np.where(known, probability, 0.0).astype(np.float64)
    if not (p.min(initial=0.0) >= 0.0 and p.max(initial=0.0) <= 1.0):
        msg = f"found probabilities from {p.min():g} to {p.max():g}, expected 0 to 1"
        raise AreaError(msg)
    whole = p * (1.0 - p)
    part = np.zeros_like(whole)
    if restoration_variance is not None:
        part = np.where(known, restoration_variance, 0.0).astype(np.float64)
        if not (part >= 0.0).all():
            msg = f"found a variance of {part.min():g} between restorations, expected at least 0 "
            raise AreaError(msg + "wherever a probability is known; give 0 where none was restored")
        part = np.minimum(part, whole)
    return area * np.sqrt(whole - part), area * np.sqrt(part)


def combined_spread(independent: Iterable[float] = (), correlated: Iterable[float] = ()) -> float:
    """Return the spread of a sum of errors, some independent and others fully correlated.

    ::

        σ² = Σ σ_i² + (Σ τ_k)²

    Examples
    --------
    >>> combined_spread(independent=[3.0, 4.0], correlated=[4.0, 8.0])
    13.0
    """
    return math.hypot(*independent, math.fsum(correlated))


def damage_fraction(sums: DamageSums) -> float:
    """Return damage area over ice shelf area (equation 15) [1]; NaN where nothing is known.

    A map that covers its extent, as the paper's do, has the paper's fraction; of one that does not,
    what is known stands for the rest.
    """
    return sums.damage / sums.known if sums.known else math.nan


def fraction_spread(
    fraction: float,
    *,
    area_spread: float,
    shelf_area: float,
    shelf_spread: float = 0.0,
    correlation: float = 0.0,
) -> float:
    """Return the spread of a fraction f = A / E, to first order.

    ::

        σ_f² = (σ_A² − 2 ρ f σ_A σ_E + f² σ_E²) / E²

    Parameters
    ----------
    fraction : float
        f [1].
    area_spread : float
        σ_A, of the damage area [m²].
    shelf_area, shelf_spread : float
        E and σ_E [m²]; the paper leaves σ_E out (section 3.3).
    correlation : float
        ρ of both errors [1]: above 0 if ice that is taken for shelf by mistake is damaged.

    Raises
    ------
    AreaError
        If the shelf has no area, spreads are negative or a correlation is beyond 1.
    """
    if not (shelf_area > 0.0 and area_spread >= 0.0 and shelf_spread >= 0.0):
        msg = (
            f"found a shelf of {shelf_area:g} m² and spreads of {area_spread:g} and "
            f"{shelf_spread:g} m², expected an area above 0 and spreads of at least 0"
        )
        raise AreaError(msg)
    if not -1.0 <= correlation <= 1.0:
        msg = f"found a correlation of {correlation:g}, expected -1 to 1"
        raise AreaError(msg)
    edge = fraction * shelf_spread
    square = area_spread**2 - 2.0 * correlation * area_spread * edge + edge**2
    return math.sqrt(max(square, 0.0)) / shelf_area
