"""Maps of spherical-harmonic fields in EPSG:3031, by bands of rows and their mirror images.

A grid that is symmetric about the pole has each latitude up to eight times, and points of one
latitude share their Legendre functions; so a key owns a band of rows together with its mirror.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines import stored
from pipelines.kernels import geodesy
from pipelines.kernels.gravity import sphere

if TYPE_CHECKING:
    import zarr

FLOAT = NDArray[np.float64]

HALF_WIDTH_M = 3_040_000.0
"""Half the width of a map [m]: the grounded ice, its shelves and the 300 km buffer."""

BANDS = 4
"""Pairs of bands that a map is cut into, where it has as many rows."""


def axes(spacing_km: float) -> tuple[FLOAT, FLOAT]:
    """Return the cell centres of a map, x eastward and y southward in the image sense [m]."""
    spacing = 1_000.0 * spacing_km
    count = int(np.ceil(HALF_WIDTH_M / spacing))
    x: FLOAT = (np.arange(-count, count, dtype=np.float64) + 0.5) * spacing
    return x, x[::-1].copy()


def band_rows(rows: int) -> int:
    """Return the rows of one band, which is one stored chunk."""
    return -(-rows // (2 * BANDS))


def band_keys(rows: int) -> tuple[str, ...]:
    """Return the keys of a map: each a band north of the middle with its mirror south of it."""
    chunks = -(-rows // band_rows(rows))
    return tuple(f"map/{i}" for i in range(-(-chunks // 2)))


def bands_of(key: str, rows: int) -> tuple[slice, ...]:
    """Return the rows that a key owns, as slices of whole chunks."""
    step, first = band_rows(rows), int(key.partition("/")[2])
    chunks = -(-rows // step)
    owned = sorted({first, chunks - 1 - first})
    return tuple(slice(i * step, min((i + 1) * step, rows)) for i in owned)


def nodes(x: FLOAT, y: FLOAT, *, reading: sphere.Reading) -> tuple[FLOAT, FLOAT]:
    """Return latitude on the sphere and longitude of all cells, shape (y · x,) [degrees]."""
    latitude, longitude = geodesy.inverse_polar_stereographic(*np.meshgrid(x, y))
    return sphere.latitude_on_sphere(latitude, reading=reading).ravel(), longitude.ravel()


def write_bands(group: zarr.Group, name: str, field: FLOAT, bands: tuple[slice, ...]) -> None:
    """Write rows of a map that belong to several bands, stacked in their order."""
    first = 0
    for band in bands:
        count = band.stop - band.start
        stored.write(group, name, field[first : first + count], band)
        first += count


def degree_of(spacing_km: float, *, j_max: int) -> int:
    """Return the degree that a map can show: half a wave to a cell, 20 480 km / spacing.

    Sasgen et al. (2019), section 2.2, take degree 512 for 40 km.
    """
    return min(j_max, int(np.ceil(20_480.0 / spacing_km)))
