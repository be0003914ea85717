"""How fractures run and how long they are, from a map of damage.

A fracture is a connected body of damaged pixels. Its second moments say how it runs and, if it is
straight, how long it is: of a rectangle of length ℓ and width w the variances along its axes are
ℓ² / 12 and w² / 12, so

::

    tan 2θ = 2 C_xy / (C_xx − C_yy),   ℓ = √(12 λ₁),   w = √(12 λ₂)

with the covariance C of the pixels' places and its eigenvalues λ; a pixel is a square of variance
1/12. No skeleton is made. Sums that make C are whole numbers of pixels, so those of blocks add up
exactly (:class:`Moments`, :mod:`pipelines.kernels.damage.block_labels`). A bent fracture is as long
as the longest of the shortest paths in it, :func:`geodesic_length`. Within wide bodies of damage,
orientations come from the normalised Radon transform of windows
(:mod:`pipelines.kernels.imagery.radon_operator`).

Angles are degrees from the x axis towards the y axis of the map, in (−90, 90], with row 0 in the
north: 0 runs along rows, 45 from south-west to north-east. They are axes, so means are taken of
doubled angles.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from pipelines.kernels.imagery import radon_operator

FLOAT = NDArray[np.float64]
REAL = NDArray[np.floating]
BOOL = NDArray[np.bool_]
LABELS = NDArray[np.integer]

MOST_PIXELS = 100_000
"""Pixels of a body whose paths are searched as they are; a larger one is coarsened before."""
EIGHT = np.ones((3, 3), bool)
_STEPS = ((0, 1), (1, 0), (1, 1), (1, -1), (1, 2), (2, 1), (1, -2), (2, -1))
"""Half of the 16 neighbours of a pixel, rows and columns."""


class FractureError(ValueError):
    """Maps or labels that no fracture can be measured in."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over the pixels of each label, from 0 up, as `total`, `row`, `column` and products.

    Attributes
    ----------
    sums : ndarray, shape (6, labels)
        Σ w, Σ w r, Σ w c, Σ w r r, Σ w r c, Σ w c c with rows r and columns c of the whole grid
        [pixels] and weights w [1].
    """

    sums: FLOAT

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(self.sums + other.sums)

    def grouped(self, group: NDArray[np.intp]) -> "Moments":
        """Return the sums of groups of labels, such as those that meet across edges of blocks.

        Parameters
        ----------
        group : ndarray of int, shape (labels,)
            Group of each label.
        """
        return Moments(np.stack([np.bincount(group, weights=each) for each in self.sums]))


@dataclass(frozen=True, eq=False)
class Fractures:
    """Bodies of damage, one entry for each label; NaN where a label has no pixel.

    Attributes
    ----------
    area : ndarray, shape (labels,)
        Weight times area of a pixel on the map [m²].
    row, column : ndarray, shape (labels,)
        Centre, in pixels of the whole grid.
    length, width : ndarray, shape (labels,)
        Of a straight body with these moments, on the map [m].
    orientation : ndarray, shape (labels,)
        θ [degrees]; NaN of bodies alike in all directions.
    """

    area: FLOAT
    row: FLOAT
    column: FLOAT
    length: FLOAT
    width: FLOAT
    orientation: FLOAT


def bodies(damage: BOOL) -> tuple[NDArray[np.int32], int]:
    """Return the label of each pixel's body, 0 where there is none, and how many there are.

    Pixels that touch at a corner are of one body.

    Parameters
    ----------
    damage : ndarray of bool, shape (y, x)
        Where there is damage.

    Returns
    -------
    label : ndarray of int32, shape (y, x)
    count : int
    """
    label = np.zeros(damage.shape, np.int32)
    return label, int(ndimage.label(damage, EIGHT, output=label))


def moments(
    label: LABELS, weight: REAL | None = None, *, count: int, row: int = 0, column: int = 0
) -> Moments:
    """Return the sums of a block.

    Parameters
    ----------
    label : ndarray of int, shape (y, x)
        0 where there is no body.
    weight : ndarray, shape (y, x), optional
        Probability of damage, for example [1]; 1 by default.
    count : int
        Labels up to this one; sums of blocks with the same count add up.
    row, column : int
        Place of the block's first pixel in the whole grid.

    Returns
    -------
    Moments
        Of labels 0 to `count`; nothing of label 0.

    Raises
    ------
    FractureError
        If labels are beyond the count, or weights do not fit or are negative or NaN in a body.
    """
    at = np.nonzero(label)
    own = label[at]
    if own.size and not 0 < own.min() <= own.max() <= count:
        msg = f"found labels from {own.min()} to {own.max()}, expected 0 to {count}; see bodies"
        raise FractureError(msg)
    if weight is not None and (weight.shape != label.shape or not (weight[at] >= 0.0).all()):
        msg = f"found weights of shape {weight.shape} or some below 0 or NaN in a body, expected "
        raise FractureError(msg + f"{label.shape} and 0 or more; label where weights are known")
    w = np.ones(own.size) if weight is None else weight[at].astype(np.float64)
    r, c = at[0].astype(np.float64) + row, at[1].astype(np.float64) + column
    terms = (w, w * r, w * c, w * r * r, w * r * c, w * c * c)
    return Moments(np.stack([np.bincount(own, weights=t, minlength=count + 1) for t in terms]))


def fractures(of: Moments, *, spacing: float) -> Fractures:
    """Return how bodies lie, run and reach.

    Parameters
    ----------
    of : Moments
        Their sums.
    spacing : float
        Width of a pixel on the map [m]. Divide lengths by the map scale for true ones.
    """
    total = np.where(of.sums[0] > 0.0, of.sums[0], np.nan)
    row, column = of.sums[1] / total, of.sums[2] / total
    # a pixel is a square, not a point; rows grow southwards
    c_yy = of.sums[3] / total - row**2 + 1.0 / 12.0
    c_xy = -(of.sums[4] / total - row * column)
    c_xx = of.sums[5] / total - column**2 + 1.0 / 12.0
    middle, apart = (c_xx + c_yy) / 2.0, np.hypot((c_xx - c_yy) / 2.0, c_xy)
    angle = np.degrees(np.arctan2(2.0 * c_xy, c_xx - c_yy)) / 2.0
    # below what rounding of the sums leaves, no direction stands out
    round_ = ~(apart > 1e-9 * (middle + row**2 + column**2))
    return Fractures(
        area=total * spacing**2,
        row=row,
        column=column,
        length=spacing * np.sqrt(12.0 * (middle + apart)),
        width=spacing * np.sqrt(12.0 * np.maximum(middle - apart, 0.0)),
        orientation=np.where(round_, np.nan, within_half_turn(angle)),
    )


def within_half_turn(angle: REAL) -> FLOAT:
    """Return the same axes with angles in (−90, 90] [degrees].

    >>> within_half_turn(np.array([-90.0, 90.0, 100.0, 269.0])).tolist()
    [90.0, 90.0, -80.0, 89.0]
    """
    return np.asarray(90.0 - (90.0 - np.asarray(angle, np.float64)) % 180.0)


def geodesic_length(body: BOOL, *, spacing: float, most_pixels: int = MOST_PIXELS) -> float:
    """Return the length of the longest of all shortest paths within a body, bends included.

    A path steps from a pixel to one of 16 neighbours, rows, columns, diagonals and knight's moves,
    which makes it at most 2.8 % too long in the directions between. The ends are found by going
    from any pixel to the farthest one, and from there again, twice: exact in bodies without loops,
    else never too long. One pixel is added for the two halves at the ends.

    Parameters
    ----------
    body : ndarray of bool, shape (y, x)
        One connected body. Of several that of the first pixel is measured.
    spacing : float
        Width of a pixel on the map [m].
    most_pixels : int
        A body of more is made of cells twice as wide until it has no more, and its length is good
        to two such cells.

    Returns
    -------
    float
        Length [m].

    Raises
    ------
    FractureError
        If the body is empty.

    Examples
    --------
    >>> geodesic_length(np.ones((1, 5), bool), spacing=30.0)
    150.0
    """
    if not body.any():
        msg = "found a body without pixels, expected at least one; measure labels that occur"
        raise FractureError(msg)
    while int(body.sum()) > most_pixels:
        even = np.pad(body, [(0, size % 2) for size in body.shape])
        cells = even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2)
        body = np.asarray(cells.any(axis=(1, 3)))
        spacing *= 2.0
    graph = _paths(body)
    start, longest = 0, 0.0
    for _ in range(3):
        distance = csgraph.dijkstra(graph, directed=False, indices=start)
        distance[np.isinf(distance)] = 0.0
        start, longest = int(distance.argmax()), max(longest, float(distance.max()))
    return (longest + 1.0) * spacing


def _paths(body: BOOL) -> sparse.csr_array:
    """Return the steps between pixels of a body as a graph with their lengths [pixels]."""
    number = np.pad(np.cumsum(body.ravel()).reshape(body.shape) * body, 2)
    ends, lengths = [], []
    inner = (slice(2, -2), slice(2, -2))
    for down, right in _STEPS:
        there = number[
            2 + down : number.shape[0] - 2 + down, 2 + right : number.shape[1] - 2 + right
        ]
        both = (number[inner] > 0) & (there > 0)
        ends.append(np.stack([number[inner][both], there[both]]) - 1)
        lengths.append(np.full(int(both.sum()), np.hypot(down, right)))
    n = int(body.sum())
    return sparse.csr_array((np.concatenate(lengths), tuple(np.concatenate(ends, axis=1))), (n, n))


def geodesic_lengths(label: LABELS, *, count: int, spacing: float) -> FLOAT:
    """Return the length of each labelled body, see :func:`geodesic_length`.

    Returns
    -------
    ndarray, shape (count + 1,)
        [m]; NaN of labels without a pixel, and of label 0.
    """
    lengths = np.full(count + 1, np.nan)
    for k, box in enumerate(ndimage.find_objects(label, max_label=count), start=1):
        if box is not None:
            lengths[k] = geodesic_length(label[box] == k, spacing=spacing)
    return lengths


def axial_mean(angle: REAL, weight: REAL, group: LABELS, *, count: int) -> tuple[FLOAT, FLOAT]:
    """Return the mean axis of groups of axes, and how much they agree.

    ::

        R e^(2 i θ̄) = Σ w e^(2 i θ) / Σ w

    Parameters
    ----------
    angle, weight : ndarray, shape (...)
        θ [degrees], NaN where there is none; w of at least 0.
    group : ndarray of int, shape (...)
        From 0 to `count`.
    count : int
        Highest group.

    Returns
    -------
    mean, agreement : ndarray, shape (count + 1,)
        θ̄ in (−90, 90] [degrees] and R from 0 to 1; NaN of groups without an axis.

    Examples
    --------
    >>> axes, weight = np.array([89.0, -89.0]), np.ones(2)
    >>> mean, agreement = axial_mean(axes, weight, np.zeros(2, int), count=0)
    >>> mean.round(6).item(), agreement.round(3).item()
    (90.0, 0.999)
    """
    known = ~np.isnan(angle)
    w = np.asarray(weight, np.float64)[known]
    doubled = np.radians(2.0 * np.asarray(angle, np.float64)[known])

    def total(of: FLOAT) -> FLOAT:
        return np.asarray(np.bincount(group[known], weights=of, minlength=count + 1), np.float64)

    mass = total(w)
    mass[mass == 0.0] = np.nan
    across, up = total(w * np.cos(doubled)) / mass, total(w * np.sin(doubled)) / mass
    mean = within_half_turn(np.degrees(np.arctan2(up, across)) / 2.0)
    return np.where(np.isnan(mass), np.nan, mean), np.hypot(across, up)


def window_orientations(
    probability: REAL, *, window: int, least_signal: float
) -> tuple[FLOAT, FLOAT]:
    """Return how fractures run in each window of a map, and how strongly it shows.

    The normalised Radon transform (Izeboud and Lhermitte, 2023) of probabilities of damage, with
    peaks sought around the circle, so that fractures along columns are found too.

    Parameters
    ----------
    probability : ndarray, shape (y, x)
        Of damage, or 0 and 1 [1]; NaN where not known.
    window : int
        Side of a window [pixels].
    least_signal : float
        Signal below which a window has no orientation [1].

    Returns
    -------
    orientation, signal : ndarray, shape (y // window, x // window)
        θ [degrees], NaN where there is none; signal [1], NaN where something is not known.

    Raises
    ------
    pipelines.kernels.imagery.radon_operator.RadonError
        If there is no whole window.
    """
    found = radon_operator.signals(probability, window, peaks="circular")
    signal = np.asarray(found.signal, np.float64)
    orientation = within_half_turn(found.orientation)
    return np.where(signal >= least_signal, orientation, np.nan), signal


def body_orientations(
    label: LABELS, orientation: REAL, signal: REAL, *, window: int, count: int
) -> tuple[FLOAT, FLOAT]:
    """Return how each body runs on average by the windows that its pixels lie in.

    Parameters
    ----------
    label : ndarray of int, shape (y, x)
        From :func:`bodies`.
    orientation, signal : ndarray, shape (y // window, x // window)
        From :func:`window_orientations`; a pixel weighs by the signal of its window.
    window, count : int
        Side of a window [pixels]; highest label.

    Returns
    -------
    mean, agreement : ndarray, shape (count + 1,)
        See :func:`axial_mean`; R is low where a body bends or branches.
    """
    at = np.nonzero(label[: orientation.shape[0] * window, : orientation.shape[1] * window])
    here = (at[0] // window, at[1] // window)
    weight = np.nan_to_num(signal[here])
    return axial_mean(orientation[here], weight, label[at], count=count)
