"""Stripes of a scene without scan line corrector: told by date and by the gaps, and measured.

A region of interest may be far larger than a granule, or than what stripes need be measured on. So
gaps are counted on cells of 300 m wherever the granule has data, and stripes are measured on all
pixels of the one window that shows most of them.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.flows import scenes_reading
from pipelines.flows.scenes_arrays import GAP_QUANTITIES, GAP_SOURCES
from pipelines.flows.scenes_candidates import Scene
from pipelines.flows.scenes_reading import BOOL, Drawn, Reading
from pipelines.kernels.imagery import quality_bits, scanline_gaps, stripe_geometry, stripe_profile
from pipelines.kernels.imagery.scanline_gaps import SlcState
from pipelines.kernels.imagery.stripe_profile import GapRecord
from pipelines.kernels.imagery.stripes import Stripes
from stac.landsat_items import Granule
from stac.pixel_grids import PixelGrid

SAMPLE_PX = 2048
"""Side of the window in which stripes are measured."""
CELL_PX = 10
"""Pixels along a cell on which gaps are counted."""
Window = tuple[slice, slice]


@dataclass(frozen=True)
class Gaps:
    """What is known of a scene's stripes.

    Attributes
    ----------
    record : GapRecord or None
        Of its granule with most gaps of those without scan line corrector; None if all had it.
    drawn : Drawn
        Stripes of each granule, measured where it shows most of them.
    note : str
        Where gaps and date of a granule disagree, or its gaps are not known from what was asked.
    by_date, by_gaps : bool
        Whether that granule was taken without corrector by its date, and by its gaps.
    """

    record: GapRecord | None
    drawn: Drawn
    note: str = ""
    by_date: bool = False
    by_gaps: bool = False

    @classmethod
    def of(cls, scene: Scene, grid: PixelGrid, reading: Reading) -> Gaps:
        """Measure the stripes of a scene on the ROI.

        Parameters
        ----------
        scene : Scene
            Its granules.
        grid : PixelGrid
            Pixels of the ROI.
        reading : Reading
            Where gaps are to be known from.
        """
        found = [
            each
            for granule in scene.granules
            if granule.platform in quality_bits.ETM_PLUS
            and (each := _found(granule, grid, reading)) is not None
        ]
        stripes = {each.granule: each.stripes for each in found if each.stripes is not None}
        drawn = Drawn(stripes, grid, instead=reading.gaps == "geometry")
        if not found:
            return cls(None, drawn)
        most = max(found, key=lambda each: np.nan_to_num(each.record.fraction, nan=-1.0))
        notes = "; ".join(each.note(reading) for each in found if each.note(reading))
        return cls(most.record, drawn, notes, most.state.by_date, most.state.by_gaps)

    def row(self) -> NDArray[np.float64]:
        """Return the record in the order of `scenes_arrays.GAP_QUANTITIES`.

        Without a record the gaps are 0 and the source is none; widths and periods are NaN.
        """
        told = {"fraction": 0.0, "source": 0.0}
        if self.record is not None:
            told = dataclasses.asdict(self.record)
            told["source"] = GAP_SOURCES.index(self.record.source)
        told |= {"off_by_date": self.by_date, "off_by_gaps": self.by_gaps}
        return np.array([float(told.get(name, math.nan)) for name in GAP_QUANTITIES])


@dataclass(frozen=True)
class _Found:
    """One granule that was taken without corrector, by its date or by its stripes."""

    granule: str
    state: SlcState
    record: GapRecord
    stripes: Stripes | None

    def note(self, reading: Reading) -> str:
        """Return what a person should know; empty if all is as it was asked and expected."""
        said = []
        if not self.state.by_date:
            said.append("stripes, but taken before the scan line corrector failed")
        elif not self.state.by_gaps and not math.isnan(self.record.fraction):
            said.append("no gaps here, but taken after the scan line corrector failed")
        if reading.gaps == "file" and self.record.source != "file":
            said.append("no gap-mask file, gaps are told by fill")
        if reading.gaps == "geometry" and self.stripes is None:
            said.append("no stripes could be measured, gaps are told by fill")
        return f"{self.granule}: {', '.join(said)}" if said else ""


def _found(granule: Granule, grid: PixelGrid, reading: Reading) -> _Found | None:
    """Return what is known of a granule's stripes; None if the corrector worked."""
    gap, valid, window = _counted(granule, grid)
    total, missing = int(np.count_nonzero(gap | valid)), int(np.count_nonzero(gap))
    state = scanline_gaps.slc_state(
        granule.platform, granule.start[:10], gap_pixels=missing, swath_pixels=total
    )
    if not (state.by_date or state.by_gaps):
        return None
    fraction = missing / total if total else math.nan
    stripes, record = None, None
    if window is not None:
        if window != _whole(grid):
            gap, valid = scenes_reading.found_gaps(granule, grid.window(*window))
        origin = (window[0].start, window[1].start)
        stripes = stripe_geometry.measure(gap, valid, spacing=grid.spacing, origin=origin)
        source = _source(granule, reading, stripes)
        if valid.any():
            record = stripe_profile.record(gap, valid, stripes, source=source, origin=origin)
    if stripes is None and not state.by_date:
        return None
    if record is None:
        source = _source(granule, reading, None)
        record = GapRecord(fraction, math.nan, math.nan, math.nan, math.nan, source)
    return _Found(granule.id, state, dataclasses.replace(record, fraction=fraction), stripes)


def _source(granule: Granule, reading: Reading, stripes: Stripes | None) -> scanline_gaps.GapSource:
    """Return where gaps are known from: stripes that were not measured cannot be drawn."""
    source = scenes_reading.gap_source(granule, reading)
    return "fill" if source == "geometry" and stripes is None else source


def _counted(granule: Granule, grid: PixelGrid) -> tuple[BOOL, BOOL, Window | None]:
    """Return gaps and data on the ROI, and the window in which stripes are best measured.

    On all pixels of an ROI that is no larger than such a window, else on cells where the granule's
    file reaches; no window where there are no gaps.
    """
    if max(grid.shape) <= SAMPLE_PX:
        gap, valid = scenes_reading.found_gaps(granule, grid)
        return gap, valid, _whole(grid) if gap.any() else None
    rows, columns = reached(granule, grid)
    if rows.stop <= rows.start or columns.stop <= columns.start:
        nothing = np.zeros((0, 0), dtype=np.bool_)
        return nothing, nothing, None
    cells = grid.window(rows, columns).coarser(CELL_PX)
    gap, valid = scenes_reading.found_gaps(granule, cells)
    best = most_striped(gap, valid, size=SAMPLE_PX // CELL_PX)
    if best is None:
        return gap, valid, None
    top, left = rows.start + CELL_PX * best[0], columns.start + CELL_PX * best[1]
    return gap, valid, (
        slice(top, min(top + SAMPLE_PX, grid.ny)),
        slice(left, min(left + SAMPLE_PX, grid.nx)),
    )  # fmt: skip


def _whole(grid: PixelGrid) -> Window:
    return slice(0, grid.ny), slice(0, grid.nx)


def reached(granule: Granule, grid: PixelGrid) -> Window:
    """Return rows and columns that a granule's file may reach, in whole cells of `CELL_PX`.

    All of them where its item does not say; what is left of the last cell is never reached.
    """
    most = tuple(length // CELL_PX * CELL_PX for length in grid.shape)
    if granule.code != grid.code or not (granule.shape and granule.transform):
        return slice(0, most[0]), slice(0, most[1])
    step_x, _, west, _, step_y, north = granule.transform[:6]
    cell = grid.spacing * CELL_PX
    ends = (
        ((grid.north - north) / cell, (grid.north - north - granule.shape[0] * step_y) / cell),
        ((west - grid.west) / cell, (west + granule.shape[1] * step_x - grid.west) / cell),
    )
    first, second = (
        slice(
            min(max(math.floor(begin), 0) * CELL_PX, length),
            min(max(math.ceil(end), 0) * CELL_PX, length),
        )
        for (begin, end), length in zip(ends, most, strict=True)
    )
    return first, second


def most_striped(gap: BOOL, valid: BOOL, *, size: int) -> tuple[int, int] | None:
    """Return the corner of the window that shows most of the swath, and most gaps in it.

    The product of both counts decides: neither a window at nadir, without gaps, is taken, nor one
    that lies outside by half.

    Parameters
    ----------
    gap, valid : ndarray of bool, shape (ny, nx)
        Where gaps are, and where there are data.
    size : int
        Side of the window [cells]; windows lie a quarter of it apart.

    Returns
    -------
    tuple of int, or None
        Row and column; None without gaps.
    """
    step = max(size // 4, 1)
    starts = [
        sorted({*range(0, max(length - size, 0), step), max(length - size, 0)})
        for length in gap.shape
    ]
    best, most = None, 0
    for row in starts[0]:
        for column in starts[1]:
            at = slice(row, row + size), slice(column, column + size)
            missing = int(np.count_nonzero(gap[at]))
            score = missing * (missing + int(np.count_nonzero(valid[at])))
            if score > most:
                best, most = (row, column), score
    return best
