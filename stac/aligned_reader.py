"""Windows of one band: pixels as they are stored where the grid allows, else the nearest ones.

stackstac reads through a ``WarpedVRT`` unless file and output have the same corner and size, so a
region of interest inside a scene would be resampled onto its own lattice, with whatever rounding
that brings. Here pixels are addressed by index. What a file declares as nodata changes nothing:
the number 0 stays 0; only what lies outside the file becomes the fill.
"""

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyproj.exceptions import ProjError

from stac import raster_access, raster_places, signing
from stac.landsat_items import Asset
from stac.pixel_grids import PixelGrid
from stac.raster_addresses import RasterError, shown
from stac.raster_places import INDEX, Place

PIXELS = NDArray[np.uint16]
# At most this many pixels of a file are held at once: 32 MiB of them.
MOST_PIXELS = 1 << 24
TILE = 1024
# GDAL waits out answers like 503, but does not ask again where an answer breaks off.
PAUSES = (0.1, 0.5)


@dataclass(frozen=True)
class Source:
    """One band of one granule: where its file is, and where the catalogue says that it lies.

    Parameters
    ----------
    granule, band : str
        For messages.
    asset : Asset
        The file, its address not signed.
    service : str
        Who signs it.
    code : str
        ``EPSG:n`` or "".
    transform, shape : tuple
        As ``proj:transform`` and ``proj:shape``, or empty.
    """

    granule: str
    band: str
    asset: Asset
    service: str
    code: str
    transform: tuple[float, ...]
    shape: tuple[int, ...]

    @property
    def promised(self) -> Place | None:
        """Where the catalogue says that it lies; None if it does not say all of it."""
        if not (self.code and len(self.transform) >= 6 and len(self.shape) == 2):
            return None
        return Place(self.code, self.transform[:6], self.shape)


def place_of(dataset: Any, source: Source) -> Place:
    """Return where the pixels of an open file lie; what the file lacks comes from the catalogue.

    Raises
    ------
    RasterError
        If neither tells, or if they contradict each other.
    """
    crs, transform = dataset.crs, tuple(dataset.transform)[:6]
    is_placed = not dataset.transform.is_identity
    missing = [
        name
        for name, lacks in (
            ("proj:code", not crs and not source.code),
            ("proj:transform", not is_placed and len(source.transform) < 6),
        )
        if lacks
    ]
    if missing:
        msg = (
            f"neither {shown(source.asset.href)} nor its item tells where it lies; expected "
            f"{' and '.join(missing)} in the item: correct it, or write the projection into the "
            "file (gdal_edit.py -a_srs ... -a_ullr ...)"
        )
        raise RasterError(msg)
    shape = (dataset.height, dataset.width)
    # Overviews given in place of the image have fewer pixels than the item tells.
    place = Place(
        crs.to_wkt() if crs else source.code,
        transform if is_placed else _stretched(source, shape),
        shape,
    )
    _check_promise(place, source)
    return place


def _stretched(source: Source, shape: tuple[int, int]) -> tuple[float, ...]:
    rows, columns = source.shape or shape
    across, down = columns / shape[1], rows / shape[0]
    a, b, c, d, e, f = source.transform[:6]
    return a * across, b * down, c, d * across, e * down, f


def _check_promise(place: Place, source: Source) -> None:
    promised = source.promised
    if promised is None:
        return
    wrong = ""
    if not raster_places.same_projection(place, promised.crs):
        wrong = f"another projection than {promised.crs}"
    else:
        far = max(abs(a - b) for a, b in zip(place.bounds, promised.bounds, strict=True))
        if far > max(*place.pixel_m, *promised.pixel_m):
            wrong = f"edges {place.bounds}, the item {promised.bounds}"
    if wrong:
        msg = (
            f"{shown(source.asset.href)} has {wrong}; file and item must agree to a pixel: "
            "correct proj:code, proj:transform and proj:shape of the item, or ingest it again"
        )
        raise RasterError(msg)


def read_window(source: Source, grid: PixelGrid, *, fill: int) -> PIXELS:
    """Read the pixels of a grid.

    Parameters
    ----------
    source : Source
        The band.
    grid : PixelGrid
        The pixels wanted, in any projection and of any size.
    fill : int
        Value of pixels outside the file.

    Returns
    -------
    ndarray, shape (ny, nx), uint16
        Stored numbers, neither scaled nor masked. On a coarser grid they are of an overview:
        quality bits are right there if it was made by taking pixels, as Landsat's are; a file
        does not tell.

    Raises
    ------
    RasterError
        If the file is not there, damaged, without a place, or contradicts its item.
    """
    try:
        for pause in PAUSES:
            with contextlib.suppress(raster_access.InterruptedReadError):
                return _read(source, grid, fill=fill)
            time.sleep(pause)
        return _read(source, grid, fill=fill)
    except (RasterError, signing.SigningError, ProjError) as error:
        msg = f"{source.granule}, {source.band}: {error}"
        raise RasterError(msg) from None


def _read(source: Source, grid: PixelGrid, *, fill: int) -> PIXELS:
    out = np.full(grid.shape, fill, dtype=np.uint16)
    href = signing.signed(source.asset.href, source.service)
    asset = dataclasses.replace(source.asset, href=href)
    with raster_access.opened(asset) as dataset:
        place = place_of(dataset, source)
        overview = _overview(dataset, place, grid)
        if overview is None:
            _fill(out, dataset, place, grid)
            return out
    with raster_access.opened(asset, overview=overview) as dataset:
        _fill(out, dataset, place, grid)
    return out


def _overview(dataset: Any, place: Place, grid: PixelGrid) -> int | None:
    """Return which overview is the coarsest that is no coarser than the grid, if any."""
    ratio = raster_places.pixels_per_cell(place, grid) * (1.0 + raster_places.SAME_PIXELS)
    fitting = [i for i, factor in enumerate(dataset.overviews(1)) if factor <= ratio]
    return fitting[-1] if fitting else None


def _fill(out: PIXELS, dataset: Any, place: Place, grid: PixelGrid) -> None:
    """Write the pixels of a grid that lie in the file into `out`."""
    for rows, columns in _tiles(grid, whole=alignable(place, grid)):
        at = raster_places.nearest(
            place, grid.window(rows, columns), stored=(dataset.height, dataset.width)
        )
        if at[0].ndim == 1:
            _take_lines(out[rows, columns], dataset, *at)
        else:
            _take_points(out[rows, columns], dataset, *at)


def alignable(place: Place, grid: PixelGrid) -> bool:
    """Tell whether rows of the grid are rows of the file."""
    return place.is_upright and raster_places.same_projection(place, grid.code)


def _tiles(grid: PixelGrid, *, whole: bool) -> Iterator[tuple[slice, slice]]:
    step = max(grid.shape) if whole else TILE
    for row in range(0, grid.ny, step):
        for column in range(0, grid.nx, step):
            yield (
                slice(row, min(row + step, grid.ny)),
                slice(column, min(column + step, grid.nx)),
            )


def _take_lines(out: PIXELS, dataset: Any, rows: INDEX, columns: INDEX) -> None:
    """Take pixels at rows x columns, shapes (n,) and (m,), a limited number of rows at a time."""
    inside = tuple(np.flatnonzero(axis >= 0) for axis in (rows, columns))
    if not (inside[0].size and inside[1].size):
        return
    # Positions rise or fall along an axis, so those inside are without a hole.
    into = tuple(slice(int(axis[0]), int(axis[-1]) + 1) for axis in inside)
    part, rows, columns = out[into], rows[into[0]], columns[into[1]]
    area = int(np.ptp(columns) + 1) * int(np.ptp(rows) + 1)
    pieces = min(-(-area // MOST_PIXELS), rows.size)
    for some in np.array_split(np.arange(rows.size), pieces):
        lines = slice(int(some[0]), int(some[-1]) + 1)
        block, top, left = _block(dataset, rows[lines], columns)
        if _is_run(rows[lines]) and _is_run(columns):
            part[lines] = block
        else:
            part[lines] = block[np.ix_(rows[lines] - top, columns - left)]


def _is_run(indices: INDEX) -> bool:
    return bool((np.diff(indices) == 1).all())


def _take_points(out: PIXELS, dataset: Any, rows: INDEX, columns: INDEX) -> None:
    """Take pixels at points (row, column), both of shape (n, m), from limited blocks."""
    inside = (rows >= 0) & (columns >= 0)
    if not inside.any():
        return
    at = rows[inside], columns[inside]
    area = int(np.ptp(at[0]) + 1) * int(np.ptp(at[1]) + 1)
    if area > MOST_PIXELS and rows.size > 1:
        axis = int(np.argmax(rows.shape))
        halves = (np.array_split(array, 2, axis=axis) for array in (out, rows, columns))
        for half in zip(*halves, strict=True):
            _take_points(half[0], dataset, half[1], half[2])
        return
    block, top, left = _block(dataset, *at)
    out[inside] = block[at[0] - top, at[1] - left]


def _block(dataset: Any, rows: INDEX, columns: INDEX) -> tuple[PIXELS, int, int]:
    """Read the smallest block that holds some rows and columns; return it and its corner."""
    from rasterio.windows import Window

    top, left = int(rows.min()), int(columns.min())
    height, width = int(rows.max()) - top + 1, int(columns.max()) - left + 1
    block = dataset.read(1, window=Window(left, top, width, height))
    if block.dtype.kind == "i" and block.size and block.min() < 0:
        msg = (
            f"{shown(dataset.name)} holds {block.min()}; expected no number below 0 in a Landsat "
            "band: the item points to another file"
        )
        raise RasterError(msg)
    return block.astype(np.uint16, copy=False), top, left


class AlignedReader:
    """Reads one band for stackstac: a :class:`stackstac.reader_protocol.Reader`.

    It holds no file, so that it travels as a few numbers and any thread may use it;
    `raster_access` lends each read an open file of its own.

    Parameters
    ----------
    url : Source
        stackstac passes on what an item has as ``href``.
    spec : stackstac.raster_spec.RasterSpec
        The grid.
    fill_value : int
        Value outside the file.
    **others
        What stackstac's reader may choose: here pixels are the nearest, never scaled, and no
        failure passes as fill.
    """

    def __init__(self, *, url: Source, spec: Any, fill_value: int, **others: Any) -> None:
        del others
        rows, columns = spec.shape
        west, north = float(spec.bounds[0]), float(spec.bounds[3])
        self._grid = PixelGrid(
            "", f"EPSG:{spec.epsg}", west, north, float(spec.resolutions_xy[0]), columns, rows
        )
        self._source = url
        self._fill = int(fill_value)

    def read(self, window: Any, **_: Any) -> PIXELS:
        """Read a window of the grid, shape (height, width)."""
        top, left = round(window.row_off), round(window.col_off)
        rows = slice(top, top + round(window.height))
        columns = slice(left, left + round(window.width))
        return read_window(self._source, self._grid.window(rows, columns), fill=self._fill)

    def close(self) -> None:
        """Do nothing: no file is held."""

    def __getstate__(self) -> tuple[PixelGrid, Source, int]:
        """Return the three values that it consists of."""
        return self._grid, self._source, self._fill

    def __setstate__(self, state: tuple[PixelGrid, Source, int]) -> None:
        """Restore it."""
        self._grid, self._source, self._fill = state
