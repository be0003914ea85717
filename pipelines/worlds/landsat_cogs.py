"""Cloud-optimised GeoTIFFs as the Landsat archive holds them, on Landsat's lattice of pixels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine

from pipelines.worlds.landsat_sensors import BANDS
from pipelines.worlds.landsat_view import Seen
from stac.pixel_grids import PixelGrid

BLOCK = 512
"""Rows and columns of a tile."""
OVERVIEWS = 3
"""Halved copies in a file; a scene of the archive has more, as it is larger."""


def write_cog(
    values: NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.int16],
    grid: PixelGrid,
    path: Path,
    *,
    nodata: int | None,
) -> Path:
    """Write one image, tiled, deflated, with overviews of nearest pixels; the same bytes each time.

    Parameters
    ----------
    values : ndarray, shape (ny, nx)
        Counts or bits.
    grid : PixelGrid
        Where they lie.
    path : Path
        File to write; one that exists is replaced.
    nodata : int or None
        What the file declares as nothing.

    Returns
    -------
    Path
        The same path.
    """
    west, north, spacing = grid.west, grid.north, grid.spacing
    with rasterio.open(
        path, "w", driver="COG", width=grid.nx, height=grid.ny, count=1, dtype=values.dtype.name,
        crs=grid.code, transform=Affine(spacing, 0.0, west, 0.0, -spacing, north), nodata=nodata,
        BLOCKSIZE=BLOCK, COMPRESS="DEFLATE", PREDICTOR="YES", LEVEL=4, OVERVIEW_COUNT=OVERVIEWS,
        OVERVIEW_RESAMPLING="NEAREST",
    ) as image:  # fmt: skip
        image.write(values, 1)
    return path


def write_seen(
    seen: Seen, grid: PixelGrid, folder: Path, names: Mapping[str, str]
) -> dict[str, Path]:
    """Write all images of a granule.

    Parameters
    ----------
    seen : Seen
        Pixels.
    grid : PixelGrid
        Of them.
    folder : Path
        Of the granule.
    names : mapping
        File name of each image by its common name.

    Returns
    -------
    dict
        Path of each image by its common name.
    """
    images = {band: (seen.dn[band], 0) for band in BANDS}
    quality = {"qa_pixel": (seen.qa_pixel, 1), "qa_radsat": (seen.qa_radsat, None)}
    everything = {**images, **quality, "sza": (seen.sza, 0)}
    return {
        name: write_cog(values, grid, folder / names[name], nodata=nodata)
        for name, (values, nodata) in everything.items()
    }
