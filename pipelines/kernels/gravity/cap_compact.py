"""Cap kernels on fewer rows than the grid has: nothing is lost, a third of the work is saved.

On a cap of angle Θ the functions of one order up to degree j are combinations of some jΘ / π rows
and twenty more (Slepian's concentration), fewer than the rows of a grid that carries degree J, and
fewest for low degrees. With Q orthonormal combinations of rows, ordered so that the first r_p hold
all degrees of panel p and those below::

    P_p = A_p Q_pᵀ,        C = A_p (Q_pᵀ z)

Q comes from singular value decompositions, from the highest panel down.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.gravity.cap_kernel import Block

FLOAT = NDArray[np.float64]

DEGREES_PER_PANEL = 128
"""Degrees that share their combinations of rows: fewer need fewer, and multiply slower."""

INDEPENDENT = 1e-15
"""Part of the largest value below which what a combination of rows adds is rounding."""


@dataclass(frozen=True)
class CompactBlock:
    """The kernel of one order, factorised if that saves work.

    Attributes
    ----------
    m, row : int
        Order, and first row where it is not negligible.
    combine : ndarray, shape (combination, rows), or None
        Qᵀ from that row on, last combinations first; None if rows serve as they are.
    panels : tuple of (slice, ndarray)
        Degrees, from m on, and A_p, shape (degrees, r_p), for the last r_p combinations.
    """

    m: int
    row: int
    combine: FLOAT | None
    panels: tuple[tuple[slice, FLOAT], ...]

    @property
    def size(self) -> int:
        """Products for each column that is transformed."""
        own = 0 if self.combine is None else self.combine.size
        return own + sum(values.size for _, values in self.panels)

    def dense(self) -> FLOAT:
        """Return the values of the whole box, shape (degrees, rows)."""
        rows = self.panels[-1][1].shape[1] if self.combine is None else self.combine.shape[1]
        combine = np.eye(rows) if self.combine is None else self.combine
        return np.vstack(
            [values @ combine[len(combine) - values.shape[1] :] for _, values in self.panels]
        )

    def to_degrees(self, columns: FLOAT, out: FLOAT) -> None:
        """Write A Qᵀ z of columns z (rows, k) into ``out`` (degrees, k)."""
        combined = columns if self.combine is None else self.combine @ columns
        for degrees, values in self.panels:
            np.matmul(values, combined[len(combined) - values.shape[1] :], out=out[degrees])

    def to_rows(self, coefficients: FLOAT, out: FLOAT) -> None:
        """Write Q Aᵀ c of coefficients c (degrees, k) into ``out`` (rows, k)."""
        if self.combine is None:
            self._add_up(coefficients, out)
        else:
            combined = np.empty((len(self.combine), coefficients.shape[1]))
            self._add_up(coefficients, combined)
            np.matmul(self.combine.T, combined, out=out)

    def _add_up(self, coefficients: FLOAT, combined: FLOAT) -> None:
        """Write Aᵀ c, the highest degrees first: they have every combination."""
        degrees, values = self.panels[-1]
        np.matmul(values.T, coefficients[degrees], out=combined)
        for degrees, values in self.panels[:-1]:
            combined[len(combined) - values.shape[1] :] += values.T @ coefficients[degrees]


def compact(block: Block, row_weight: FLOAT) -> CompactBlock:
    """Return the factors of a kernel without its weights.

    Parameters
    ----------
    block : Block
        Kernel of one order.
    row_weight : ndarray, shape (n_lat,)
        Weight of each row in the kernel; it is divided out, so that rounding is a part of values
        and not of masses.

    Returns
    -------
    CompactBlock
    """
    values = block.values / row_weight[block.row :]
    whole = CompactBlock(
        block.m,
        block.row,
        None,
        tuple((p.degrees, values[p.degrees, p.rows].copy()) for p in block.by_degree),
    )
    factors = _factors(values, most=whole.size)
    return whole if factors is None else CompactBlock(block.m, block.row, *factors)


def _factors(values: FLOAT, *, most: int) -> tuple[FLOAT, tuple[tuple[slice, FLOAT], ...]] | None:
    """Return Qᵀ and the panels, or nothing if they need no fewer than ``most`` products."""
    enough = INDEPENDENT * np.abs(values).max() * np.sqrt(values.shape[1])
    basis, seen, cuts, ranks = np.eye(values.shape[1]), values, _cuts(len(values)), []
    for degrees in cuts[::-1]:
        turn, rank = _principal(seen[: degrees.stop], enough)
        # Only combinations that these degrees need are turned; later ones stay as they are.
        basis[:, : len(turn)] = basis[:, : len(turn)] @ turn
        seen = seen[: degrees.start] @ turn[:, :rank]
        ranks.append(rank)
    basis = basis[:, : ranks[0]][:, ::-1]
    size = basis.size + sum(
        (degrees.stop - degrees.start) * rank
        for degrees, rank in zip(cuts, ranks[::-1], strict=True)
    )
    if size >= most:
        return None
    panels = (
        (degrees, values[degrees] @ basis[:, ranks[0] - rank :])
        for degrees, rank in zip(cuts, ranks[::-1], strict=True)
    )
    return np.ascontiguousarray(basis.T), tuple(panels)


def _principal(values: FLOAT, enough: float) -> tuple[FLOAT, int]:
    """Return principal directions in the space of rows, best first, and how many are needed."""
    triangle = np.linalg.qr(values, mode="r")
    _, sizes, directions = np.linalg.svd(triangle)
    return directions.T, int((sizes > enough).sum())


def _cuts(degrees: int) -> list[slice]:
    count = max(1, round(degrees / DEGREES_PER_PANEL))
    cuts = (degrees * i // count for i in range(count + 1))
    return [slice(start, stop) for start, stop in itertools.pairwise(cuts)]
