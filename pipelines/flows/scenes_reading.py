"""Pixels of a scene: windows of its granules, calibrated, flagged, laid side by side.

Overall strategy: a window is read of every granule that reaches it, with a margin in which gaps of
the scan line corrector can be told from the outside of the scene. Each granule becomes stored
counts and flags on its own; then they are joined, each pixel from the granule that holds it deepest
inside (:mod:`pipelines.kernels.imagery.mosaics`). Nothing larger than a window is ever held.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import KeyFailed
from pipelines.flows.scenes_candidates import Scene
from pipelines.kernels.imagery import (
    cloud_opinion,
    mosaics,
    quality_bits,
    radiometry,
    saturation,
    scanline_gaps,
)
from pipelines.kernels.imagery.scanline_gaps import GapSource
from pipelines.kernels.imagery.stripes import Stripes, render
from pipelines.kernels.imagery.sun_surface import SunSurface
from stac import gap_masks, landsat_stack, raster_access
from stac.landsat_calibration import CalibrationError, calibration, require_mtl
from stac.landsat_items import Asset, Granule
from stac.locations import CatalogueError, read_bytes
from stac.pixel_grids import SPACING_M, PixelGrid
from stac.raster_addresses import RasterError, require_plain, shown
from stac.signing import SigningError, signed

BOOL = NDArray[np.bool_]
COUNTS = NDArray[np.uint16]
FLOAT = NDArray[np.float32]
RGB = ("red", "green", "blue")
LEAST_SUN = 0.5
"""Elevation below which a pixel has no reflectance [degrees]."""
READERS = 5
"""Windows of a granule's files that are fetched at once: stores answer late, not slowly."""
UNREADABLE = (
    RasterError,
    CalibrationError,
    CatalogueError,
    gap_masks.GapMaskError,
    radiometry.RadiometryError,
    quality_bits.QualityError,
)
"""What a scene that cannot be used raises; anything else is a defect."""


@dataclass(frozen=True)
class Reading:
    """How pixels are read: the choices of a run that matter here."""

    opinion: str = "none"
    sun: Literal["scene", "pixel"] = "pixel"
    gaps: Literal["auto", "fill", "file", "geometry"] = "auto"
    verify: Literal["none", "size", "full"] = "size"
    feather_m: float = 300.0

    @property
    def bands(self) -> tuple[str, ...]:
        """Bands that are read: red, green and blue first."""
        wanted = cloud_opinion.opinion(self.opinion).needs
        return (*RGB, *(band for band in wanted if band not in RGB))


@dataclass(frozen=True)
class Look:
    """One granule, or several joined, on a grid.

    Attributes
    ----------
    counts : ndarray of uint16, shape (3, ny, nx)
        Stored counts of red, green and blue; 0 for none.
    mask : ndarray of uint16, shape (ny, nx)
        Flags of :mod:`pipelines.kernels.imagery.quality_bits`.
    """

    counts: COUNTS
    mask: COUNTS


def failing(scene: Scene) -> Any:
    """Turn what an unusable scene raises into a failed receipt that names its granules."""
    return _Failing(tuple(granule.id for granule in scene.granules))


class _Failing:
    """Context that turns errors of input into `KeyFailed`."""

    def __init__(self, ids: tuple[str, ...]) -> None:
        self._ids = ids

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, UNREADABLE):
            raise KeyFailed(str(error), self._ids) from error


def verify(scene: Scene, names: Sequence[str], how: Literal["none", "size", "full"]) -> None:
    """Refuse assets whose size or checksum is not what their item says.

    Files that have names to go by are asked nothing if they are called otherwise.
    """
    for granule in scene.granules:
        for name in (each for each in names if each in granule.assets):
            asset = granule.assets[name]
            if name == "mtl":
                require_mtl(granule)
            elif name.startswith("gap_"):
                _require_gap_mask(asset.href)
            if how != "none" and (asset.size or asset.checksum):
                raster_access.verify(_signed(granule, asset), how)


def _signed(granule: Granule, asset: Asset) -> Asset:
    """Return an asset as it can be read now."""
    try:
        return dataclasses.replace(asset, href=signed(asset.href, granule.service))
    except SigningError as error:
        msg = f"{granule.id}: {error}"
        raise RasterError(msg) from None


@dataclass(frozen=True)
class Drawn:
    """Stripes of a scene as they were measured, on the pixels of the 30 m grid.

    Attributes
    ----------
    stripes : mapping of str to Stripes
        By id of the granule.
    grid : PixelGrid
        Whose first pixel is their origin.
    instead : bool
        Whether gaps are where stripes are drawn, and not where fill is.
    """

    stripes: Mapping[str, Stripes] = field(hash=False)
    grid: PixelGrid
    instead: bool = False

    def on(self, granule: Granule, window: PixelGrid) -> BOOL | None:
        """Return the gaps of a granule on a window; None if it has no stripes or other pixels."""
        found = self.stripes.get(granule.id)
        if not self.instead or found is None or window.spacing != self.grid.spacing:
            return None
        top = round((self.grid.north - window.north) / window.spacing)
        left = round((window.west - self.grid.west) / window.spacing)
        return render(found, window.shape, origin=(top, left))


def look(
    granule: Granule,
    grid: PixelGrid,
    reading: Reading,
    *,
    sun: SunSurface | float | None,
    drawn: Drawn | None = None,
) -> Look:
    """Read one granule on a grid: counts, and flags with gaps told from the outside.

    Parameters
    ----------
    granule : Granule
        What to read.
    grid : PixelGrid
        Where: a window of the 30 m grid, or a coarser grid.
    reading : Reading
        How.
    sun : SunSurface, float or None
        Where the sun stood, see `scenes_sun.sun_of`.
    drawn : Drawn, optional
        Stripes that were measured.

    Returns
    -------
    Look
    """
    bands = reading.bands
    striped = _has_gaps(granule, drawn)
    # Gaps are told apart on a wider window, so their quality bits are read for themselves.
    names = (*bands, *_extra(granule), *(() if striped else ("qa_pixel",)))
    read = functools.partial(landsat_stack.read, granule, grid=grid)
    with ThreadPoolExecutor(READERS) as pool:
        numbers = dict(zip(names, pool.map(lambda name: read(band=name), names), strict=True))
    counts = _counts(granule, np.stack([numbers[band] for band in bands]), bands, grid, sun)
    if striped:
        mask = quality(granule, grid, reading, drawn=drawn)
    else:
        mask = _flags_of(granule, numbers["qa_pixel"])
    if "qa_radsat" in numbers:
        numbered = saturation.RGB[granule.platform]
        mask |= saturation.saturated(numbers["qa_radsat"], bands=numbered)
    _flag_empty(mask, (counts[:3] == 0).any(axis=0), striped=striped)
    if reading.opinion != "none":
        values = {band: radiometry.reflectance_of(c) for band, c in zip(bands, counts, strict=True)}
        says = cloud_opinion.opinion(reading.opinion)(values, mask)
        mask[says] |= np.uint16(quality_bits.OPINION)
    return Look(counts[:3], mask)


def _flag_empty(mask: COUNTS, empty: BOOL, *, striped: bool) -> None:
    """Flag pixels that lack a band: stripes of two bands lie a pixel or two apart."""
    inside = empty & ((mask & np.uint16(quality_bits.FILL)) == 0)
    mask[empty] |= np.uint16(quality_bits.FILL)
    if striped:
        mask[inside] |= np.uint16(quality_bits.GAP)


def _extra(granule: Granule) -> tuple[str, ...]:
    return ("qa_radsat",) if "qa_radsat" in granule.assets else ()


def _counts(
    granule: Granule,
    numbers: COUNTS,
    bands: tuple[str, ...],
    grid: PixelGrid,
    sun: SunSurface | float | None,
) -> COUNTS:
    """Return stored counts, shape (band, ny, nx), by the sun of the scene or of each pixel."""
    mult, add = calibration(granule).of(bands)
    if not isinstance(sun, SunSurface):
        return radiometry.scene_counts(numbers, mult=mult, add=add, sun_elevation=sun)
    elevation = sun.at(grid.x, grid.y)
    elevation[elevation < LEAST_SUN] = np.nan
    rho = radiometry.top_of_atmosphere(numbers, mult=mult, add=add, sun_elevation=elevation)
    return radiometry.counts(rho)


def quality(
    granule: Granule, grid: PixelGrid, reading: Reading, *, drawn: Drawn | None = None
) -> COUNTS:
    """Read QA_PIXEL of a granule in our layout, gaps of the scan line corrector among it."""
    if not _has_gaps(granule, drawn):
        return _flags(granule, grid)
    if (parts := scanline_gaps.parts_of(grid.spacing)) > 1:
        middle = slice(parts // 2, None, parts)
        return quality(granule, divided(grid, parts), reading)[middle, middle]
    halo = scanline_gaps.halo_px(grid.spacing)
    wide, inner = grown(grid, halo), slice(halo, -halo)
    flags = _flags(granule, wide)
    empty = (flags & np.uint16(quality_bits.FILL)) != 0
    if gap_source(granule, reading) == "file" and grid.spacing == SPACING_M:
        empty |= _officially_empty(granule, wide)
    lost = scanline_gaps.gap_mask(empty, spacing=grid.spacing)[inner, inner]
    striped = None if drawn is None else drawn.on(granule, grid)
    if striped is not None:
        lost = striped & empty[inner, inner]
    mask = flags[inner, inner].copy()
    mask[lost] |= np.uint16(quality_bits.GAP | quality_bits.FILL)
    return mask


def _has_gaps(granule: Granule, drawn: Drawn | None) -> bool:
    """Whether a granule lacks the scan line corrector: by its date, or by stripes that it has."""
    measured = drawn is not None and granule.id in drawn.stripes
    return measured or scanline_gaps.is_slc_off(granule.platform, granule.start[:10])


def found_gaps(granule: Granule, grid: PixelGrid) -> tuple[BOOL, BOOL]:
    """Return gaps and data of a granule whatever its date says, shape (ny, nx)."""
    halo = scanline_gaps.halo_px(grid.spacing)
    empty = (_flags(granule, grown(grid, halo)) & np.uint16(quality_bits.FILL)) != 0
    inner = slice(halo, -halo)
    gap = scanline_gaps.gap_mask(empty, spacing=grid.spacing)[inner, inner]
    return gap, ~empty[inner, inner]


def _officially_empty(granule: Granule, grid: PixelGrid) -> BOOL:
    """Return where the gap-mask files of a granule have no data in one of their bands."""
    empty = np.zeros(grid.shape, dtype=bool)
    for name in ("gap_red", "gap_green", "gap_blue"):
        if name in granule.assets:
            address = granule.assets[name].href
            mask = _gap_file(address, granule.id, granule.service)
            empty |= ~gap_masks.on_grid(mask, grid, name=shown(address))
    return empty


@functools.lru_cache(maxsize=3)
def _gap_file(href: str, granule: str, service: str) -> gap_masks.GapMask:
    _require_gap_mask(href)
    try:
        data = read_bytes(signed(href, service))
    except FileNotFoundError:
        msg = f"{granule}: there is no gap mask {shown(href)}, which its item names; correct it"
        raise gap_masks.GapMaskError(msg) from None
    except (CatalogueError, SigningError) as error:
        msg = f"{granule}: {shown(str(error))}"
        raise gap_masks.GapMaskError(msg) from None
    return gap_masks.read(data, name=shown(href).rsplit("/", 1)[-1])


def _require_gap_mask(href: str) -> None:
    """Refuse what is not called a gap mask: what is found there may be told in a message."""
    require_plain(href)
    gap_masks.band_of(shown(href).partition("?")[0])


def gap_source(granule: Granule, reading: Reading) -> GapSource:
    """Return where the gaps of a granule are known from: files where there are any and they may."""
    has_file = any(name.startswith("gap_") for name in granule.assets)
    if has_file and reading.gaps in {"auto", "file"}:
        return "file"
    return "geometry" if reading.gaps == "geometry" else "fill"


def _flags(granule: Granule, grid: PixelGrid) -> COUNTS:
    return _flags_of(granule, landsat_stack.read(granule, band="qa_pixel", grid=grid))


def _flags_of(granule: Granule, numbers: COUNTS) -> COUNTS:
    return quality_bits.flags(
        numbers, collection=granule.collection_number, platform=granule.platform
    )


def divided(grid: PixelGrid, parts: int) -> PixelGrid:
    """Return a grid of ``parts`` by ``parts`` times as many cells."""
    spacing, nx, ny = grid.spacing / parts, grid.nx * parts, grid.ny * parts
    return dataclasses.replace(grid, spacing=spacing, nx=nx, ny=ny)


def grown(grid: PixelGrid, margin: int) -> PixelGrid:
    """Return a grid with ``margin`` more pixels on each side."""
    return PixelGrid(
        grid.name,
        grid.code,
        grid.west - margin * grid.spacing,
        grid.north + margin * grid.spacing,
        grid.spacing,
        grid.nx + 2 * margin,
        grid.ny + 2 * margin,
    )


@dataclass(frozen=True)
class Depths:
    """How deep inside each granule of a scene the cells of a coarse grid lie.

    Attributes
    ----------
    distance : ndarray, shape (granule, ny, nx)
        Distance from the edge of the granule [m]; 0 outside.
    factor : int
        Pixels of the fine grid along a cell.
    """

    distance: FLOAT
    factor: int

    def on(self, rows: slice, columns: slice) -> FLOAT:
        """Return distances on a window of the fine grid, shape (granule, ny, nx) [m]."""
        return mosaics.on_block(self.distance, factor=self.factor, rows=rows, columns=columns)


def depths(scene: Scene, screen: PixelGrid, *, factor: int) -> Depths | None:
    """Return how deep cells lie in each granule; None for a scene of one granule."""
    if len(scene.granules) == 1:
        return None
    held = np.stack(
        [
            mosaics.footprint((_flags(granule, screen) & np.uint16(quality_bits.FILL)) == 0)
            for granule in scene.granules
        ]
    )
    return Depths(mosaics.edge_distance(held, spacing=screen.spacing), factor)


def joined(looks: Sequence[Look], distance: FLOAT | None, *, feather_m: float) -> Look:
    """Lay granules side by side: deepest inside uppermost, blended within the feather of a seam."""
    if len(looks) == 1 or distance is None:
        return looks[0]
    masks = np.stack([each.mask for each in looks])
    valid = (masks & np.uint16(quality_bits.FILL)) == 0
    weights = mosaics.seam_weights(distance, valid, feather=feather_m)
    counts = mosaics.mosaic(np.stack([each.counts for each in looks]), weights)
    return Look(counts, mosaics.mosaic_flags(masks, weights))
