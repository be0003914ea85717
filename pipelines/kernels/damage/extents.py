"""The effective extent of an ice shelf in a year: fixed grounding line, moving front.

Tang et al. (2026, section 2.4.2) draw the front by hand, "to exclude detached ice bodies, sea ice
and other non-target areas". Here it is that of a front product, or the largest connected body of
ice that touches the grounding line, or, where clouds leave too little, last year's; which one is
recorded.

What is connected depends on the whole shelf, and its pixels do not fit into memory. So blocks of
pixels first leave the share of ice in coarse cells (:func:`coarse_share`, 10 × 10 pixels of 30 m to
a cell of 300 m), a hundredth of the pixels: 11 million cells of the largest shelf, at about 30
bytes each while bodies are labelled. The body is found on these (:func:`found_extent`); then each
block of pixels is refined along the body's edge by its own (:func:`refined`), from the cells and a
halo of :data:`HALO_CELLS` cells of pixels, so blocks agree wherever they meet.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

BOOL = NDArray[np.bool_]
FLOAT = NDArray[np.float64]

Source = Literal["front product", "imagery", "last year"]

HALO_CELLS = 2
"""Cells around a block on which its refined edge depends."""
SOLID_SHARE = 0.97
"""Part of a cell that must be ice, where sea ice is not told apart before [1]. After a calving of
the synthetic shelf Cedar, with bergs and pack ice where it was, the extent found from brightness
alone has an IoU of 0.95 with the truth; cells with 0.5 of ice have 0.64. Without a last extent an
open rift may cut it short, 0.88 a year before: begin a series with a front product."""
_SQUARE = np.ones((3, 3), bool)


class ExtentError(ValueError):
    """Masks that no extent can be found from."""


@dataclass(frozen=True)
class Limits:
    """How far to trust imagery.

    Attributes
    ----------
    advance : float
        How much faster than its measured velocity a front may advance [1].
    slack : float
        How far it may seem to advance besides, by cells and places of scenes [m]; fast ice that
        stays may add as much every year.
    neck : float
        Bridges of ice up to this wide join no bodies: mélange between a shelf and its bergs [m].
    least_known : float
        Least part of last year's extent (of the floating region, without one) that must be known.
    least_share : float
        Area of the smallest body kept, as a part of the largest's [1]: 1 keeps the largest alone,
        less also keeps other parts of a shelf that hang on the grounding line.
    """

    advance: float = 1.5
    slack: float = 600.0
    neck: float = 900.0
    least_known: float = 0.8
    least_share: float = 1.0

    def __post_init__(self) -> None:
        lengths = min(self.advance, self.slack, self.neck)
        shares = (self.least_known, self.least_share)
        if not (lengths >= 0.0 and all(0.0 <= share <= 1.0 for share in shares)):
            msg = f"found {self}, expected lengths and factors of at least 0 and shares up to 1"
            raise ExtentError(msg)


@dataclass(frozen=True, eq=False)
class Extent:
    """An extent on coarse cells, and how it came about.

    Attributes
    ----------
    body : ndarray of bool, shape (cell_y, cell_x)
        The ice shelf.
    source : {"front product", "imagery", "last year"}
        What it was taken from.
    unknown : float
        The part of last year's extent (of the floating region, without one) without imagery [1].
    detached, beyond : int
        Cells of ice that were left out: other bodies; farther than a front can have come.
    gained, lost : int
        Cells that last year's extent had not, or had; 0 without one.
    """

    body: BOOL
    source: Source
    unknown: float = 0.0
    detached: int = 0
    beyond: int = 0
    gained: int = 0
    lost: int = 0

    def describe(self) -> str:
        """Return one line for the review sheet."""
        return (
            f"extent from {self.source}: {int(self.body.sum())} cells, {100 * self.unknown:.1f} % "
            f"not seen; {self.detached} cells of detached ice and {self.beyond} beyond reach left "
            f"out; {self.gained} gained and {self.lost} lost since last year"
        )


def coarse_share(mask: BOOL, *, factor: int) -> NDArray[np.float32]:
    """Return the part of each coarse cell that is set.

    Parameters
    ----------
    mask : ndarray of bool, shape (y, x)
        A block that starts at the edge of a cell; cells cut at its end count what they have.
    factor : int
        Pixels along the side of a cell.

    Returns
    -------
    ndarray of float32, shape (⌈y / factor⌉, ⌈x / factor⌉)

    Examples
    --------
    >>> coarse_share(np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1]], bool), factor=2).tolist()
    [[0.75, 0.0], [1.0, 1.0]]
    """
    counts = mask.astype(np.float32)
    sizes = []
    for axis in (0, 1):
        starts = np.arange(0, mask.shape[axis], factor)
        counts = np.add.reduceat(counts, starts, axis=axis)
        sizes.append(np.minimum(factor, mask.shape[axis] - starts))
    return np.asarray(counts / np.multiply.outer(*sizes), np.float32)


def within_front(front: BOOL, roi: BOOL, grounded: BOOL) -> BOOL:
    """Return the extent of a front product, on pixels or cells: behind the front and afloat.

    Parameters
    ----------
    front, roi, grounded : ndarray of bool, shape (y, x)
        Ice behind the product's front, the region of interest, grounded ice and land.
    """
    _check(front, roi, grounded)
    return front & roi & ~grounded


def reach(last: BOOL, speed: FLOAT, *, years: float, spacing: float, limits: Limits) -> BOOL:
    """Return how far a front can have come since last year.

    A cell is within reach if d ≤ f v Δt + slack, with the distance d to the nearest cell of last
    year's extent and the speed v there. Distances are those of the map: true ones differ by 3 %.

    Parameters
    ----------
    last : ndarray of bool, shape (cell_y, cell_x)
        Last extent that is known.
    speed : ndarray, shape (cell_y, cell_x)
        Of the ice [m yr⁻¹]; where it is NaN, the highest of the shelf.
    years : float
        Since then, Δt [yr].
    spacing : float
        Width of a cell [m].
    limits : Limits
        f and slack.

    Returns
    -------
    ndarray of bool, shape (cell_y, cell_x)

    Raises
    ------
    ExtentError
        If there is no last extent, no speed, or no time between.
    """
    here = speed[last]
    if not (here.size and np.isfinite(here).any() and years > 0.0):
        msg = (
            f"found {here.size} cells of a last extent, {int(np.isfinite(here).sum())} of them with"
            f" a speed, {years:g} years ago, expected some of each and more than 0 years; without "
            "them leave out the last extent"
        )
        raise ExtentError(msg)
    known = np.where(np.isfinite(speed), speed, np.nanmax(here))
    distance, (row, column) = ndimage.distance_transform_edt(
        ~last, sampling=spacing, return_indices=True
    )
    return np.asarray(distance <= limits.advance * known[row, column] * years + limits.slack)


def attached_ice(ice: BOOL, grounded: BOOL, *, neck: int, least_share: float = 1.0) -> BOOL:
    """Return the largest body of floating ice that touches the grounding line.

    Bodies are told apart after their edges are worn off by half a neck, grounded ice being solid,
    and grow back by as much afterwards, within the ice. Holes that they and grounded ice enclose,
    rifts full of water or mélange, belong to them.

    Parameters
    ----------
    ice, grounded : ndarray of bool, shape (cell_y, cell_x)
        Floating ice; grounded ice and land.
    neck : int
        Cells across the widest bridge that joins no bodies.
    least_share : float
        See :class:`Limits`.

    Returns
    -------
    ndarray of bool, shape (cell_y, cell_x)
        Empty if no ice touches the grounding line.
    """
    worn = (neck + 1) // 2
    floating = ice & ~grounded
    solid = floating | grounded
    core = _worn(solid, worn) & floating
    label, count = ndimage.label(core)
    if not count:
        return np.zeros_like(ice)
    touching = np.unique(label[_grown(grounded, 1, within=None) & core])
    touching = touching[touching > 0]
    sizes = np.bincount(label.ravel(), minlength=count + 1)[touching]
    if not touching.size:
        return np.zeros_like(ice)
    kept = touching[sizes >= least_share * sizes.max()]
    body = _grown(np.isin(label, kept), 2 * worn, within=floating)
    return np.asarray(ndimage.binary_fill_holes(body | grounded) & ~grounded)


def _worn(mask: BOOL, times: int) -> BOOL:
    if not times:
        return mask
    return np.asarray(ndimage.binary_erosion(mask, _SQUARE, iterations=times, border_value=1))


def _grown(mask: BOOL, times: int, *, within: BOOL | None) -> BOOL:
    if not times:
        return mask
    return np.asarray(ndimage.binary_dilation(mask, iterations=times, mask=within))


def found_extent(
    ice: BOOL,
    known: BOOL,
    roi: BOOL,
    grounded: BOOL,
    last: BOOL | None = None,
    speed: FLOAT | None = None,
    *,
    years: float = 1.0,
    spacing: float,
    limits: Limits | None = None,
) -> Extent:
    """Return the extent that the imagery of a year shows, or last year's where it shows too little.

    Cells without imagery are as last year; without one they are no ice. What is not ice but was
    extent last year, and has ice all around, is a rift and stays.

    Parameters
    ----------
    ice, known : ndarray of bool, shape (cell_y, cell_x)
        Where ice is and where imagery says so; thresholds of brightness and texture are the
        caller's. Pack ice is as bright as a shelf, but has leads: cells with ice on at least
        :data:`SOLID_SHARE` of their pixels are the shelf's more often than the sea's.
    roi, grounded : ndarray of bool, shape (cell_y, cell_x)
        The region of interest; grounded ice and land behind the fixed grounding line.
    last : ndarray of bool, shape (cell_y, cell_x), optional
        Last extent that is known.
    speed : ndarray, shape (cell_y, cell_x), optional
        See :func:`reach`; without it a front may come any way.
    years : float
        Since the last extent [yr].
    spacing : float
        Width of a cell [m].
    limits : Limits, optional
        How far to trust imagery.

    Returns
    -------
    Extent

    Raises
    ------
    ExtentError
        If too little is known and there is no last extent, or no ice touches the grounding line.
    """
    limits = limits or Limits()
    _check(ice, known, roi, grounded, *(each for each in (last, speed) if each is not None))
    afloat = roi & ~grounded
    looked = last & afloat if last is not None else afloat
    unknown = 1.0 - int((known & looked).sum()) / max(int(looked.sum()), 1)
    if 1.0 - unknown < limits.least_known:
        return _as_last_year(last, afloat, unknown, limits)
    seen = _seen_ice(ice, known, last, afloat, grounded)
    candidate = seen
    if last is not None and speed is not None:
        candidate = seen & reach(last, speed, years=years, spacing=spacing, limits=limits)
    neck = round(limits.neck / spacing)
    body = attached_ice(candidate, grounded, neck=neck, least_share=limits.least_share) & roi
    if not body.any():
        msg = f"found {int(candidate.sum())} cells of ice, none in a body wider than "
        msg += f"{limits.neck:g} m on the grounding line ({int(grounded.sum())} grounded cells); "
        raise ExtentError(msg + "check the masks, or give a front product")
    return Extent(
        body,
        "imagery",
        unknown,
        detached=int((candidate & ~body).sum()),
        beyond=int((seen & ~candidate & ~body).sum()),
        gained=int((body & ~last).sum()) if last is not None else 0,
        lost=int((last & afloat & ~body).sum()) if last is not None else 0,
    )


def _seen_ice(ice: BOOL, known: BOOL, last: BOOL | None, afloat: BOOL, grounded: BOOL) -> BOOL:
    """Return floating ice, with last year's under clouds and in rifts that ice encloses.

    A rift leaves bridges at its tips; narrow ones would cut off all that lies before it.
    """
    if last is None:
        return ice & known & afloat
    seen = np.where(known, ice, last) & afloat
    enclosed = ndimage.binary_fill_holes(seen | grounded)
    return np.asarray(seen | (enclosed & last & afloat))


def _as_last_year(last: BOOL | None, afloat: BOOL, unknown: float, limits: Limits) -> Extent:
    if last is None:
        msg = (
            f"found {100 * unknown:.1f} % of the floating region without imagery and no extent of "
            f"another year, expected at most {100 * (1 - limits.least_known):.1f} %; give a front "
            "product, a last extent, or more scenes"
        )
        raise ExtentError(msg)
    return Extent(last & afloat, "last year", unknown)


def refined(
    ice: BOOL, afloat: BOOL, body: BOOL, grounded: BOOL, *, factor: int, rows: slice, columns: slice
) -> BOOL:
    """Return the extent on the pixels of a window, from the cells of the whole shelf.

    Cells inside the body, with the body or grounded ice all around, are extent wherever they
    float. Along the front it is ice that hangs together with ice of the body's cells over less than
    two cells, in these cells and their neighbours.

    Parameters
    ----------
    ice, afloat : ndarray of bool, shape (y, x)
        Of the window: ice, under cloud last year's; in the region and not grounded.
    body, grounded : ndarray of bool, shape (cell_y, cell_x)
        Of the whole shelf: :attr:`Extent.body`, and grounded cells.
    factor : int
        Pixels along the side of a cell.
    rows, columns : slice
        The window, in pixels of the whole grid: a block and :data:`HALO_CELLS` cells around it,
        where there are such. What is returned in the halo is not to be used.

    Returns
    -------
    ndarray of bool, shape (y, x)

    Raises
    ------
    ExtentError
        If the window and its masks differ in shape.
    """
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    if not shape == ice.shape == afloat.shape:
        msg = f"found a window of {shape} pixels and masks of {ice.shape} and {afloat.shape}, "
        raise ExtentError(msg + "expected one shape; give the masks with the halo")
    cells = np.ix_(*(np.arange(part.start, part.stop) // factor for part in (rows, columns)))
    around = ndimage.binary_dilation(body, _SQUARE)
    core = (_worn(body | grounded, 1) & around)[cells] & afloat
    ours = ice & afloat
    seeds = core | (ours & body[cells])
    return _grown(seeds, HALO_CELLS * factor, within=seeds | (ours & around[cells]))


def _check(*masks: BOOL | FLOAT) -> None:
    shapes = {mask.shape for mask in masks}
    if len(shapes) != 1 or masks[0].ndim != 2:
        msg = f"found masks of shapes {sorted(shapes)}, expected one shape (y, x); use one grid"
        raise ExtentError(msg)
