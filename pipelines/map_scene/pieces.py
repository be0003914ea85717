"""Maps of the viewer: layers, their steps in time, and the stored pieces that a browser reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipelines import stored
from pipelines.map_scene.palettes import Code, Scale

if TYPE_CHECKING:
    import zarr

MOST_CELLS = 2**24
"""Largest map that a page holds whole, for the Zarr copies have no overviews: 64 MiB of colours,
twice as much of 64-bit numbers."""

STORE = "product.zarr"

Extent = tuple[float, float, float, float]
"""West, south, east and north edge in EPSG:3031 [m]."""


class PieceError(ValueError):
    """An array that cannot be drawn as it is stored."""


@dataclass(frozen=True)
class Piece:
    """One stored raster, or one index of it.

    Attributes
    ----------
    path : str
        Array below ``product.zarr``, or a GeoTIFF below the product.
    extent : Extent
        Edges of its cells.
    shape : (int, int)
        Rows and columns.
    index : int or None
        Along the first of three dimensions.
    minus : int or None
        Index of what is taken away from it.
    upward : bool
        Whether y rises from row to row.
    absent : tuple of str
        Chunks that are not stored because they hold the fill value alone: asking for them would
        be an error in the browser's log, and in a bucket that may not be listed a refusal.
    name : str
        The shelf that it is of; empty for the whole continent.
    """

    path: str
    extent: Extent
    shape: tuple[int, int]
    index: int | None = None
    minus: int | None = None
    upward: bool = False
    absent: tuple[str, ...] = ()
    name: str = ""


@dataclass(frozen=True)
class Step:
    """What a layer shows at one place of its time slider."""

    label: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Layer:
    """One thing that the map can show.

    Attributes
    ----------
    id : str
        Output and what of it, such as ``gravimetry/mass_rate``: the page's address holds it.
    kind : {"zarr", "geotiff"}
        How its pieces are stored.
    url : str
        Where the product is, seen from the page.
    title, group, unit, note : str
        Words.
    steps : tuple of Step
        One at least, in the order of time.
    ramp : str
        Colours of numbers, empty for codes.
    scale : Scale or None
        Of numbers.
    codes : tuple of Code
        Of classes.
    sigma : tuple of Piece
        Standard deviation of the only step, told beside the value.
    """

    id: str
    kind: Literal["zarr", "geotiff"]
    url: str
    title: str
    group: str
    unit: str
    steps: tuple[Step, ...]
    note: str = ""
    ramp: str = ""
    scale: Scale | None = None
    codes: tuple[Code, ...] = ()
    sigma: tuple[Piece, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return what the page reads."""
        return asdict(self)


def zarr_piece(
    group: zarr.Group,
    path: str,
    *,
    names: frozenset[str],
    axes: tuple[str, str] = ("y", "x"),
    index: int | None = None,
    minus: int | None = None,
    name: str = "",
) -> Piece:
    """Return the piece that an array of the product is.

    Parameters
    ----------
    group : zarr.Group
        The product.
    path : str
        The array, below the root.
    names : frozenset of str
        Objects of the plain copy, relative to it.
    axes : (str, str)
        Its last two dimensions, which have arrays of their own beside it [m].
    index, minus, name
        See :class:`Piece`.

    Raises
    ------
    PieceError
        More bytes than a page can hold, or axes that are not evenly spaced.
    """
    array = stored.array(group, path)
    rows, columns = array.shape[-2:]
    if rows * columns > MOST_CELLS:
        msg = f"{path} has {rows} rows of {columns} cells, expected {MOST_CELLS:,} cells at the "
        raise PieceError(msg + "most; the page cannot show it, other programs can")
    folder = path.rpartition("/")[0]
    y, x = (stored.read(group, f"{folder}/{axis}".lstrip("/")) for axis in axes)
    upward = bool(y[-1] > y[0])
    shown = tuple(each for each in (index, minus) if each is not None)
    return Piece(
        path, extent_of(x, y), (len(y), len(x)), index, minus, upward,
        _absent(array, path, names, shown), name,
    )  # fmt: skip


def extent_of(x: NDArray[np.float64], y: NDArray[np.float64]) -> Extent:
    """Return the edges of cells around their centres [m].

    Raises
    ------
    PieceError
        Centres that are not evenly spaced.

    Examples
    --------
    >>> extent_of(np.array([5.0, 15.0]), np.array([30.0, 10.0, -10.0]))
    (0.0, -20.0, 20.0, 40.0)
    """
    ends = []
    for centres in (x, y):
        steps = np.diff(centres)
        # Centres are multiples of metres; a thousandth of a cell is rounding.
        even = steps.size and np.ptp(steps) <= 1e-3 * abs(steps[0]) and steps[0] != 0.0
        if not even:
            msg = f"found cell centres {centres[:3].tolist()} …, expected an even spacing"
            raise PieceError(msg)
        half = abs(float(steps[0])) / 2.0
        ends.append((float(centres.min()) - half, float(centres.max()) + half))
    return ends[0][0], ends[1][0], ends[0][1], ends[1][1]


def _absent(array: Any, path: str, names: frozenset[str], shown: Iterable[int]) -> tuple[str, ...]:
    """Return the chunks of the shown indices that the plain copy does not hold."""
    chunks = array.shards or array.chunks
    counts = [-(-size // chunk) for size, chunk in zip(array.shape, chunks, strict=True)]
    if len(counts) == 3:
        first = sorted({index // chunks[0] for index in shown})
        wanted = [(k, *place) for k in first for place in np.ndindex(*counts[1:])]
    else:
        wanted = list(np.ndindex(*counts))
    keys = ("/".join(str(part) for part in ("c", *place)) for place in wanted)
    return tuple(key for key in keys if f"{path}/{key}" not in names)
