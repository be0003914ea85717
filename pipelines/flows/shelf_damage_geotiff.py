"""Cloud-optimised GeoTIFFs of codes, written block by block: memory does not grow with a map.

Blocks go to a plain tiled GeoTIFF in a temporary folder, and GDAL lays that out for the cloud:
directories first, then overviews, then tiles of 512. Overviews take the nearest pixel, so that they
keep the codes and, of thin fractures, the share of damage (docs/decisions/0033).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

CODES = NDArray[np.uint8]

TILE = 512
"""Side of a tile [pixels]."""
CACHE_BYTES = 64 * 2**20
"""Memory that GDAL may keep tiles in [B]: rasterio hands a number on as bytes, however small."""


class CodesFile:
    """A GeoTIFF of codes that is being written.

    Parameters
    ----------
    folder : Path
        An empty temporary folder.
    shape : (int, int)
        Rows and columns.
    transform : sequence of six numbers
        Column and row to x and y [m], as ``proj:transform`` has them.
    code : str or None
        Reference system; None where the picture has no place.
    nodata : int or None
        Code of nothing.
    """

    def __init__(
        self,
        folder: Path,
        shape: tuple[int, int],
        transform: tuple[float, ...],
        *,
        code: str | None,
        nodata: int | None,
    ) -> None:
        import rasterio

        self._folder, self._digest = folder, hashlib.sha256(f"{shape}".encode())
        profile: dict[str, Any] = {
            "driver": "GTiff", "width": shape[1], "height": shape[0], "count": 1, "dtype": "uint8",
            "transform": rasterio.Affine(*transform), "tiled": True, "blockxsize": TILE,
            "blockysize": TILE, "compress": "lzw", "bigtiff": "if_safer",
        }  # fmt: skip
        profile |= {"crs": code, "nodata": nodata}
        with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES):
            self._file = rasterio.open(folder / "plain.tif", "w", **profile)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def write(self, codes: CODES, rows: slice, columns: slice) -> None:
        """Write a block; blocks come in a fixed order, for the digest is of them in that order."""
        import rasterio
        from rasterio.windows import Window

        with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES):
            self._file.write(codes, 1, window=Window.from_slices(rows, columns))
        self._digest.update(codes.tobytes())

    @property
    def sha256(self) -> str:
        """Digest of the codes that were written, whatever the compression."""
        return self._digest.hexdigest()

    def laid_out(self) -> bytes:
        """Return the bytes of the cloud-optimised file: a few MB where the plain one is many."""
        import rasterio
        from rasterio.shutil import copy

        self._file.close()
        made = self._folder / "laid_out.tif"
        with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES):
            copy(
                self._folder / "plain.tif", made, driver="COG", COMPRESS="LZW", PREDICTOR="NO",
                BLOCKSIZE=TILE, OVERVIEW_RESAMPLING="NEAREST", OVERVIEW_COMPRESS="LZW",
            )  # fmt: skip
        data = made.read_bytes()
        made.unlink()
        return data
