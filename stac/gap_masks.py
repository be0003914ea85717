"""Official gap masks of Landsat 7 scenes without scan line corrector (USGS, folder ``gap_mask``).

One GeoTIFF per band on the band's own grid, packed by gzip or not: 1 where the instrument saw the
ground, 0 in gaps and outside of the swath alike. Their names end as ``_GM_B3.TIF.gz``.
"""

import re
import warnings
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader, MemoryFile

from stac.pixel_grids import PixelGrid

LARGEST_BYTES = 512 * 2**20
"""Largest size of a file, unpacked; a panchromatic mask of a scene has 230 MB."""

LARGEST_PIXELS = 512 * 10**6

_GZIP = b"\x1f\x8b"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_NAME = re.compile(r"_GM_B(\d)\.TIF(\.gz)?$", re.IGNORECASE)


class GapMaskError(ValueError):
    """A gap-mask file that cannot be used: what was found, what was expected, what to do."""


@dataclass(frozen=True)
class GapMask:
    """Where one band of a scene has data.

    Attributes
    ----------
    present : ndarray of bool, shape (y, x)
        False in gaps and outside of the swath; rows from north to south.
    transform : tuple of float
        Size of a column, 0, west edge, 0, size of a row (negative), north edge [m], as
        ``proj:transform``.
    code : str
        Projection, such as ``EPSG:3031``.
    """

    present: NDArray[np.bool_]
    transform: tuple[float, float, float, float, float, float]
    code: str


def band_of(name: str) -> int:
    """Return the number of the band whose gaps a file tells, by its name.

    Raises
    ------
    GapMaskError
        Not the name of a gap mask.

    Examples
    --------
    >>> band_of("LE07_L1TP_092084_20110809_20161206_01_T1_GM_B3.TIF.gz")
    3
    """
    match = _NAME.search(name)
    if not match:
        msg = f"found {name!r}, expected a gap mask named as ..._GM_B3.TIF or ..._GM_B3.TIF.gz"
        raise GapMaskError(msg)
    return int(match[1])


def read(data: bytes, *, name: str) -> GapMask:
    """Read a gap mask from the bytes of its file, packed by gzip or not.

    Raises
    ------
    GapMaskError
        Not a GeoTIFF, damaged, cut off, unpacking to more than `LARGEST_BYTES`; more than one
        band, other values than 0 and 1, or no place on the ground.
    """
    tiff = _unpacked(data, name=name) if data.startswith(_GZIP) else data
    if not tiff.startswith(_TIFF):
        msg = f"{name} begins with {tiff[:4]!r}, expected a GeoTIFF; fetch it again"
        raise GapMaskError(msg)
    with warnings.catch_warnings(), MemoryFile(tiff) as memory:
        # A file without a place is refused below, in words.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            with memory.open(driver="GTiff", sharing=False) as source:
                _require_form(source, name=name)
                step = source.transform
                transform = (step.a, step.b, step.c, step.d, step.e, step.f)
                return GapMask(_present(source.read(1), name=name), transform, _code(source))
        except (RasterioError, OSError, MemoryError) as error:
            msg = f"{name} cannot be read as GeoTIFF ({error}); it is damaged: fetch it again"
            raise GapMaskError(msg) from error


def on_grid(mask: GapMask, grid: PixelGrid, *, name: str) -> NDArray[np.bool_]:
    """Return a gap mask on a grid of its own pixels; False where the file does not reach.

    Raises
    ------
    GapMaskError
        Another projection, another size of pixels, or a lattice that is shifted.
    """
    step_x, _, west, _, step_y, north = mask.transform
    column, row = (grid.west - west) / step_x, (grid.north - north) / step_y
    same = step_x == -step_y == grid.spacing and _is_whole(column) and _is_whole(row)
    if mask.code != grid.code or not same:
        msg = (
            f"{name} has pixels of {step_x:g} m in {mask.code or 'no projection'} from {west:g}, "
            f"{north:g}, expected those of the scene ({grid.spacing:g} m, {grid.code}); it is of "
            "another product: correct the item, or set scenes.gaps to fill"
        )
        raise GapMaskError(msg)
    out = np.zeros(grid.shape, dtype=bool)
    rows, height = _common(round(row), grid.ny, mask.present.shape[0])
    columns, width = _common(round(column), grid.nx, mask.present.shape[1])
    out[rows, columns] = mask.present[height, width]
    return out


def _is_whole(number: float) -> bool:
    return abs(number - round(number)) < 1e-6


def _common(first: int, wanted: int, held: int) -> tuple[slice, slice]:
    """Return where a window that begins at ``first`` and a file share pixels: in either."""
    low, high = max(first, 0), min(first + wanted, held)
    high = max(low, high)
    return slice(low - first, high - first), slice(low, high)


def _unpacked(data: bytes, *, name: str) -> bytes:
    """Decompress one gzip stream, never beyond `LARGEST_BYTES` and a byte."""
    stream = zlib.decompressobj(wbits=31)
    try:
        content = stream.decompress(data, LARGEST_BYTES + 1)
    except zlib.error as error:
        msg = f"{name} is a damaged gzip stream ({error}); fetch it again"
        raise GapMaskError(msg) from error
    if len(content) > LARGEST_BYTES:
        msg = (
            f"{name} unpacks to more than {LARGEST_BYTES} bytes, expected one mask of a scene, "
            "60 to 230 MB; check what it is"
        )
        raise GapMaskError(msg)
    if not stream.eof:
        msg = f"{name} ends early, after {len(content)} bytes unpacked; fetch it again"
        raise GapMaskError(msg)
    return content


def _require_form(source: DatasetReader, *, name: str) -> None:
    """Refuse what is no mask of a scene before any pixel is read."""
    if source.count != 1 or source.dtypes[0] != "uint8":
        msg = f"{name} has bands {source.dtypes}, expected one of uint8; give a gap-mask file"
        raise GapMaskError(msg)
    if source.height * source.width > LARGEST_PIXELS:
        msg = (
            f"{name} has {source.height} × {source.width} pixels, expected at most "
            f"{LARGEST_PIXELS}; check what it is"
        )
        raise GapMaskError(msg)
    step = source.transform
    if not source.crs or step.b or step.d or step.a <= 0 or step.e >= 0:
        msg = (
            f"{name} has projection {source.crs} and transform {tuple(step[:6])}, expected a "
            "projection and rows from north to south; fetch it again"
        )
        raise GapMaskError(msg)


def _present(values: NDArray[np.uint8], *, name: str) -> NDArray[np.bool_]:
    largest = int(values.max())
    if largest > 1:
        msg = f"{name} holds values up to {largest}, expected 0 (missing) and 1 (present) only"
        raise GapMaskError(msg)
    return np.asarray(values == 1)


def _code(source: DatasetReader) -> str:
    number = source.crs.to_epsg()
    return f"EPSG:{number}" if number else str(source.crs.to_wkt())
