"""From the numbers of a Landsat product to reflectance, and to what is stored and shown.

Level 1 (USGS, Landsat 8 and Landsat 7 Data Users Handbooks; the coefficients of OLI are the same in
all bands, those of ETM+ are not)::

    ρ = (M Q + A) / sin θ

with Q the digital number, M and A `REFLECTANCE_MULT_BAND_n` and `REFLECTANCE_ADD_BAND_n`, and θ the
elevation of the sun: one angle for a scene, or one for each pixel. Level 2 holds the reflectance of
the surface, ρ = M Q + A, without the sun.

Reflectance is stored as a count of 2.5·10⁻⁵ in uint16, with 0 where there is none: up to 1.638,
because snow under a low sun reflects more than a level white plate would (ρ > 1).
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FLOAT = NDArray[np.float32]

PER_COUNT = 2.5e-5
"""Reflectance of one stored count: no more than a digital number of OLI, 2·10⁻⁵ / sin θ, is worth
while the sun stands below 53°, as it always does over the ice shelves."""
MOST_COUNTS = 65535

_LARGEST_TABLE = 65536
"""Digital numbers of uint16."""


class RadiometryError(ValueError):
    """Coefficients, angles or numbers that no Landsat product has."""


def top_of_atmosphere(
    dn: NDArray[Any], *, mult: ArrayLike, add: ArrayLike, sun_elevation: ArrayLike
) -> FLOAT:
    """Reflectance at the top of the atmosphere, ρ = (M Q + A) / sin θ.

    Parameters
    ----------
    dn : ndarray, shape (..., y, x) or (..., band, y, x)
        Digital numbers Q of a level-1 product; 0 is fill.
    mult, add : array_like, shape () or (band,)
        M and A of the scene, for all of `dn` or for each of its bands.
    sun_elevation : array_like, shape () or (y, x)
        θ [degrees], at the centre of the scene or of every pixel; NaN where it is not known.

    Returns
    -------
    ndarray of float32, shape of `dn`
        ρ, NaN where `dn` is 0. Rounding stays below a tenth of a stored count where ρ < 1.6.

    Raises
    ------
    RadiometryError
        A sun that does not shine or stands beyond the zenith, a factor that is not positive,
        or coefficients for another number of bands.

    Examples
    --------
    >>> dn = np.array([[0, 15000]], np.uint16)
    >>> top_of_atmosphere(dn, mult=2e-5, add=-0.1, sun_elevation=30.0).round(4)
    array([[nan, 0.4]], dtype=float32)
    """
    sine = _sine(sun_elevation)
    if sine.ndim == 0:
        return _linear(dn, np.asarray(mult, float) / sine, np.asarray(add, float) / sine)
    rho = _linear(dn, np.asarray(mult, float), np.asarray(add, float))
    rho /= sine
    return rho


def surface_reflectance(dn: NDArray[Any], *, mult: ArrayLike, add: ArrayLike) -> FLOAT:
    """Reflectance of the surface from a level-2 product, ρ = M Q + A.

    Parameters
    ----------
    dn : ndarray, shape (..., y, x) or (..., band, y, x)
        Digital numbers Q; 0 is fill.
    mult, add : array_like, shape () or (band,)
        M and A (2.75·10⁻⁵ and −0.2 in Collection 2).

    Returns
    -------
    ndarray of float32, shape of `dn`
        ρ, NaN where `dn` is 0.

    Raises
    ------
    RadiometryError
        A factor that is not positive, or coefficients for another number of bands.

    Examples
    --------
    >>> surface_reflectance(np.array([[0, 20000]]), mult=2.75e-5, add=-0.2).round(4)
    array([[ nan, 0.35]], dtype=float32)
    """
    return _linear(dn, np.asarray(mult, float), np.asarray(add, float))


def counts(reflectance: NDArray[np.floating[Any]]) -> NDArray[np.uint16]:
    """Return reflectances as they are stored: multiples of 2.5·10⁻⁵, 0 where there is none.

    Parameters
    ----------
    reflectance : ndarray, any shape
        ρ, NaN where there is none.

    Returns
    -------
    ndarray of uint16, the same shape
        ``clip(round(ρ / 2.5e-5), 1, 65535)``. Reflectances below 1.25·10⁻⁵, the slightly negative
        ones over dark water among them, become 1, and those above 1.638 become 65535: they were
        measured, so they must not become 0.

    Examples
    --------
    >>> counts(np.array([np.nan, -0.02, 0.0, 0.5, 9.0], np.float32))
    array([    0,     1,     1, 20000, 65535], dtype=uint16)
    """
    scaled = np.multiply(reflectance, np.float32(1.0 / PER_COUNT), dtype=np.float32)
    np.rint(scaled, out=scaled)
    np.clip(scaled, 1.0, MOST_COUNTS, out=scaled)
    return _without_nan(scaled).astype(np.uint16)


def reflectance_of(stored: NDArray[np.uint16]) -> FLOAT:
    """Return the reflectance that stored counts stand for, NaN where the count is 0.

    Parameters
    ----------
    stored : ndarray of uint16, shape (...)
        Counts, see :func:`counts`.

    Returns
    -------
    ndarray of float32, shape (...)
        Reflectance [1].

    Examples
    --------
    >>> reflectance_of(np.array([0, 1, 40000], np.uint16))
    array([    nan, 2.5e-05, 1.0e+00], dtype=float32)
    """
    return _linear(stored, np.asarray(PER_COUNT), np.asarray(0.0))


def scene_counts(
    dn: NDArray[np.uint8] | NDArray[np.uint16],
    *,
    mult: ArrayLike,
    add: ArrayLike,
    sun_elevation: float | None,
) -> NDArray[np.uint16]:
    """Return the stored counts of a scene with one sun, by a table of all digital numbers.

    The same counts as :func:`counts` of :func:`top_of_atmosphere`, or of
    :func:`surface_reflectance` where `sun_elevation` is None, bit for bit; several times faster and
    without an array of floats.

    Parameters
    ----------
    dn : ndarray of uint8 or uint16, shape (..., y, x) or (..., band, y, x)
        Digital numbers; 0 is fill.
    mult, add : array_like, shape () or (band,)
        M and A of the scene.
    sun_elevation : float or None
        θ [degrees] of a level-1 scene, None for level 2.

    Returns
    -------
    ndarray of uint16, shape of `dn`

    Raises
    ------
    RadiometryError
        As the two functions above, and numbers that are neither uint8 nor uint16.

    Examples
    --------
    >>> scene_counts(np.array([[0, 150]], np.uint8), mult=2e-3, add=-0.1, sun_elevation=30.0)
    array([[    0, 16000]], dtype=uint16)
    """
    if dn.dtype not in {np.dtype(np.uint8), np.dtype(np.uint16)}:
        msg = (
            f"found digital numbers of type {dn.dtype}, expected uint8 or uint16 as Landsat's "
            "files hold them; read them without scaling, or use top_of_atmosphere and counts"
        )
        raise RadiometryError(msg)
    every = np.arange(min(_LARGEST_TABLE, int(np.iinfo(dn.dtype).max) + 1), dtype=dn.dtype)
    factors = np.broadcast_arrays(np.asarray(mult, float), np.asarray(add, float))
    per_band = [m.ravel() for m in factors]
    tables = [_table(every, m, a, sun_elevation) for m, a in zip(*per_band, strict=True)]
    if factors[0].ndim == 0:
        return tables[0][dn]
    _check_bands(factors[0], dn)
    out = np.empty(dn.shape, np.uint16)
    for band, table in enumerate(tables):
        out[..., band, :, :] = table[dn[..., band, :, :]]
    return out


def paper_bytes(reflectance: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Return the bytes that the networks of Tang et al. (2026) were trained on.

    Earth Engine's ``image.multiply(255).toByte()``: it clamps to 0..255 and drops the fraction.
    Snow that reflects more than 1 is 255 and loses its texture; :func:`stretched_bytes` keeps it.

    Parameters
    ----------
    reflectance : ndarray, any shape
        ρ, NaN where there is none.

    Returns
    -------
    ndarray of uint8, the same shape
        ``trunc(clip(255 ρ, 0, 255))``, 0 also where there is none.

    Examples
    --------
    >>> paper_bytes(np.array([np.nan, -0.1, 0.5, 0.999, 1.2], np.float32))
    array([  0,   0, 127, 254, 255], dtype=uint8)
    """
    scaled = np.multiply(reflectance, np.float32(255.0), dtype=np.float32)
    np.clip(scaled, 0.0, 255.0, out=scaled)
    return _without_nan(scaled).astype(np.uint8)


def stretched_bytes(
    reflectance: NDArray[np.floating[Any]], *, low: float = 0.0, high: float = 1.2
) -> NDArray[np.uint8]:
    """Return reflectances from `low` to `high` as bytes from 1 to 255, 0 where there is none.

    Parameters
    ----------
    reflectance : ndarray, any shape
        ρ, NaN where there is none.
    low, high : float
        Reflectances of the bytes 1 and 255; what lies beyond is clipped to them.

    Returns
    -------
    ndarray of uint8, the same shape
        ``1 + round(254 (ρ − low) / (high − low))``.

    Raises
    ------
    RadiometryError
        `high` is not above `low`.

    Examples
    --------
    >>> stretched_bytes(np.array([np.nan, -0.1, 0.6, 1.2, 1.5], np.float32))
    array([  0,   1, 128, 255, 255], dtype=uint8)
    """
    if not high > low:
        msg = (
            f"found a stretch from {low:g} to {high:g}, expected the upper reflectance above the "
            "lower one; swap them, or use the usual 0 to 1.2"
        )
        raise RadiometryError(msg)
    step = 254.0 / (high - low)
    scaled = np.multiply(reflectance, np.float32(step), dtype=np.float32)
    np.add(scaled, np.float32(1.0 - low * step), out=scaled)
    np.rint(scaled, out=scaled)
    np.clip(scaled, 1.0, 255.0, out=scaled)
    return _without_nan(scaled).astype(np.uint8)


def _linear(dn: NDArray[Any], mult: NDArray[np.float64], add: NDArray[np.float64]) -> FLOAT:
    """Return M Q + A in float32, NaN where Q is 0; M and A for all, or for the axis of bands."""
    if not np.all(mult > 0.0) or not np.all(np.isfinite(mult) & np.isfinite(add)):
        msg = (
            f"found the coefficients M = {mult.tolist()} and A = {add.tolist()}, expected finite "
            "numbers with M > 0; read REFLECTANCE_MULT_BAND_n and REFLECTANCE_ADD_BAND_n of the "
            "product's own level from its metadata"
        )
        raise RadiometryError(msg)
    for coefficient in (mult, add):
        if coefficient.ndim:
            _check_bands(coefficient, dn)
    rho: FLOAT = np.multiply(dn, _beside_bands(mult), dtype=np.float32)
    np.add(rho, _beside_bands(add), out=rho)
    rho[dn == 0] = np.nan
    return rho


def _beside_bands(coefficient: NDArray[np.float64]) -> FLOAT:
    """Return a coefficient in float32 so that its bands lie along the third axis from the end."""
    narrow = coefficient.astype(np.float32)
    return narrow[:, None, None] if narrow.ndim else narrow


def _check_bands(coefficient: NDArray[np.float64], dn: NDArray[Any]) -> None:
    """Refuse coefficients of other bands than the third axis from the end has."""
    bands = dn.shape[-3] if dn.ndim >= 3 else 0
    if coefficient.shape != (bands,):
        msg = (
            f"found coefficients of shape {coefficient.shape} for numbers of shape {dn.shape}, "
            "expected one of each for all, or one for each band of (..., band, y, x)"
        )
        raise RadiometryError(msg)


def _sine(sun_elevation: ArrayLike) -> FLOAT:
    """Return sin θ in float32, which is 10⁻⁷ of itself exact; NaN angles stay."""
    angle = np.asarray(sun_elevation)
    if np.any(angle <= 0.0) or np.any(angle > 90.0) or (angle.ndim == 0 and np.isnan(angle)):
        low, high = (float(end(angle)) for end in (np.min, np.max))
        msg = (
            f"found the sun at an elevation of {low:g}° to {high:g}°, expected above 0° and at "
            "most 90°; take the scene out, or give NaN for single pixels without sun"
        )
        raise RadiometryError(msg)
    if angle.ndim == 0:
        return np.asarray(np.sin(np.radians(float(angle))))
    radians: FLOAT = np.radians(angle, dtype=np.float32)
    np.sin(radians, out=radians)
    return radians


def _without_nan(scaled: FLOAT) -> FLOAT:
    """Set NaN to 0 in place."""
    np.copyto(scaled, np.float32(0.0), where=np.isnan(scaled))
    return scaled


def _table(
    every: NDArray[Any], mult: float, add: float, sun_elevation: float | None
) -> NDArray[np.uint16]:
    """Return the stored count of every digital number of a band."""
    if sun_elevation is None:
        return counts(surface_reflectance(every, mult=mult, add=add))
    return counts(top_of_atmosphere(every, mult=mult, add=add, sun_elevation=sun_elevation))
