"""The batched cap transform: many fields around the south pole to coefficients and back.

Each row of cells becomes a Fourier series, for all members at once; then, order by order, matrix
products take the rows of all members to degrees::

    C_jm + i S_jm = Σ_i K_jm,i Σ_k f_ik e^{i m λ_k}

K is made once per grid and degree (:mod:`pipelines.kernels.gravity.cap_kernel`). The synthesis is
its transpose. Matrix products over all members and orders are how ecTrans and fastSHT transform
whole spheres; here rows and degrees are cut to where a cap has anything (record 0011).

At high degrees neither the kernel nor the coefficients fit in memory: :func:`analyse_orders` and
:meth:`CapTransform.analyse_stream` make both a few orders at a time.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.gravity import cap_compact, cap_kernel
from pipelines.kernels.gravity.cap_compact import CompactBlock
from pipelines.kernels.gravity.cap_engine import (
    NUMPY,
    CapTransformError,
    Engine,
    fill_row_spectra,
    half_cell_phases,
    legendre_analysis,
    legendre_synthesis,
    require_finite,
    row_fields,
    row_spectra,
    share,
)
from pipelines.kernels.gravity.cap_grid import CapGrid
from pipelines.kernels.gravity.cap_kernel import Block, Quadrature
from pipelines.kernels.gravity.layouts import PackedLayout

__all__ = [
    "NUMPY",
    "CapTransform",
    "CapTransformError",
    "Engine",
    "analyse_orders",
    "half_cell_phases",
    "legendre_analysis",
    "legendre_synthesis",
    "order_blocks",
    "row_fields",
    "row_spectra",
]

FLOAT = NDArray[np.float64]
COMPLEX = NDArray[np.complex128]
INT = NDArray[np.int64]

Use = Literal["analysis", "means", "centres"]


@dataclass(frozen=True)
class CapTransform:
    """The transform of one grid to one degree; its kernel is made when it is first needed.

    Attributes
    ----------
    grid : CapGrid
        Cells.
    j_max : int
        Highest degree.
    quadrature : {"cell", "fejer", "exact"}
        How fields are integrated, see :func:`pipelines.kernels.gravity.cap_kernel.blocks`.
    threads : int
        Threads that share rows and orders; pin BLAS to one thread each.
    engine : Engine
        What computes.
    """

    grid: CapGrid
    j_max: int
    quadrature: Quadrature = "cell"
    threads: int = 1
    engine: Engine = NUMPY

    def __post_init__(self) -> None:
        """Refuse degrees that the cells do not carry."""
        cap_kernel.require_carried(self.grid, j_max=self.j_max, quadrature=self.quadrature)

    @property
    def n_lon(self) -> int:
        """Columns."""
        return self.grid.n_lon

    @property
    def layout(self) -> PackedLayout:
        """Where the packed coefficients stand."""
        return PackedLayout.whole(self.j_max)

    @functools.cached_property
    def kernel(self) -> tuple[Block, ...]:
        """The kernel of the analysis with its weights, a block per order that reaches the cap.

        Transforms do without it: 85 MB at degree 512 and 0.2°.
        """
        return tuple(cap_kernel.blocks(self.grid, j_max=self.j_max, quadrature=self.quadrature))

    @property
    def limits(self) -> INT:
        """Orders of each row that are not negligible, shape (n_lat,)."""
        return self.limits_for("analysis")

    @property
    def row_factor(self) -> FLOAT:
        """What turns :attr:`kernel` into that of the synthesis, shape (n_lat,)."""
        return 1.0 / cap_kernel.row_weights(self.grid, self.quadrature)

    def kernel_for(self, use: str) -> tuple[CompactBlock, ...]:
        """Return the kernel without weights for ``analysis``, ``means`` or ``centres``: 40 MB."""
        quadrature = self._quadrature_for(use)
        if quadrature not in self._compact:
            self._compact[quadrature] = self._made(quadrature)
        return self._compact[quadrature]

    def limits_for(self, use: str) -> INT:
        """Return the orders of each row that are not negligible."""
        quadrature = self._quadrature_for(use)
        if quadrature not in self._limits:
            reach = cap_kernel.reach(self.grid, j_max=self.j_max, quadrature=quadrature)
            self._limits[quadrature] = reach.limits
        return self._limits[quadrature]

    @functools.cached_property
    def kept(self) -> dict[str, Any]:
        """What an engine keeps with the transform, by names of its own."""
        return {}

    @contextmanager
    def spectra(self, orders: int, members: int) -> Iterator[COMPLEX]:
        """Lend an array (order, row, member) without values; one is kept for the next caller."""
        shape = orders, len(self.grid.latitude), members
        try:
            lent = self._spare.pop()
        except IndexError:
            lent = np.empty(0, complex)
        if lent.shape != shape:
            lent = np.empty(shape, complex)
        yield lent
        if not self._spare:
            self._spare.append(lent)

    def _quadrature_for(self, use: str) -> Quadrature:
        if use == "analysis":
            return self.quadrature
        return "cell" if use == "means" else "fejer"

    @functools.cached_property
    def _compact(self) -> dict[str, tuple[CompactBlock, ...]]:
        return {}

    @functools.cached_property
    def _limits(self) -> dict[str, INT]:
        return {}

    @functools.cached_property
    def _spare(self) -> list[COMPLEX]:
        return []

    def _made(self, quadrature: Quadrature) -> tuple[CompactBlock, ...]:
        weight = cap_kernel.row_weights(self.grid, quadrature)
        made: dict[int, CompactBlock] = {}

        def make(orders: Sequence[int]) -> None:
            some = range(orders[0], orders[-1] + 1, self.threads)
            for block in cap_kernel.blocks(
                self.grid, j_max=self.j_max, quadrature=quadrature, orders=some
            ):
                made[block.m] = cap_compact.compact(block, weight)

        share(make, range(self.j_max + 1), threads=min(self.threads, self.j_max + 1))
        return tuple(made[m] for m in sorted(made))

    def analyse(self, field: Any, *, out: Any = None) -> Any:
        """Expand fields on the cells; outside the cap they are zero.

        ::

            C_jm = (1 / 4π) ∫ f Y_jm dΩ        Sasgen et al. (2019), equation 2, 4π-normalised

        Parameters
        ----------
        field : ndarray, shape (..., n_lat, n_lon)
            Cell means (``cell``), or values at the centres [u]. Or an array of the engine.
        out : ndarray of complex, shape (coefficient, member), optional
            Receives the result.

        Returns
        -------
        ndarray of complex, shape (coefficient, member)
            C + iS, packed by order (:mod:`pipelines.kernels.gravity.layouts`) [u].

        Raises
        ------
        CapTransformError
            Fields of another shape, or with missing values.
        """
        members, weight = self._members(field), 1.0 / self.row_factor
        return self.engine.analyse(self, members, use="analysis", weight=weight, out=out)

    def synthesise(
        self, packed: Any, *, at: Literal["cells", "centres"] = "cells", out: Any = None
    ) -> Any:
        """Return cell means (``cell``) or values at the centres of expansions.

        Parameters
        ----------
        packed : ndarray of complex, shape (coefficient, member)
            C + iS [u].
        at : {"cells", "centres"}
            ``centres`` gives values at the centres whatever the quadrature.
        out : ndarray, shape (member, n_lat, n_lon), optional
            Receives the result.

        Returns
        -------
        ndarray, shape (member, n_lat, n_lon)
            [u].

        Raises
        ------
        CapTransformError
            Coefficients of another shape.
        """
        layout = self.layout
        if packed.ndim != 2 or packed.shape[0] != layout.size:
            msg = (
                f"found packed coefficients of shape {tuple(packed.shape)}, expected "
                f"({layout.size}, members) for degree {self.j_max}"
            )
            raise CapTransformError(msg)
        use = "means" if self.quadrature == "cell" and at == "cells" else "centres"
        return self.engine.synthesise(self, packed, use=use, out=out)

    def adjoint(self, weights: Any) -> Any:
        """Return Σ w Y_jm, the transpose of :meth:`synthesise`.

        With ``cell`` each weight is spread evenly over its cell; otherwise it sits at the centre.

        Parameters
        ----------
        weights : ndarray, shape (..., n_lat, n_lon)
            Weight of each cell, for instance the area that a region has in it [w].

        Returns
        -------
        ndarray of complex, shape (coefficient, member)
            Sums [w]; for a field f = Σ (C cos mλ + S sin mλ) P, Σ_jm of their real product with
            the coefficients is Σ w f̄ over the cells.

        Raises
        ------
        CapTransformError
            Weights of another shape, or missing.
        """
        use = "means" if self.quadrature == "cell" else "centres"
        return self.engine.analyse(self, self._members(weights), use=use, weight=None, out=None)

    def _members(self, field: Any) -> Any:
        expected = (len(self.grid.latitude), self.grid.n_lon)
        if tuple(field.shape[-2:]) != expected:
            msg = (
                f"found fields of shape {tuple(field.shape)}, expected (..., {expected[0]}, "
                f"{expected[1]}): a row per latitude from the pole, a column per longitude"
            )
            raise CapTransformError(msg)
        return field.reshape(-1, *expected)

    def analyse_stream(
        self, rows: Callable[[slice], FLOAT], orders: Iterable[range], *, rows_at_once: int = 16
    ) -> Iterator[tuple[range, COMPLEX]]:
        """Expand fields that are read by rows, a few orders at a time.

        Memory holds row spectra, and the kernel and the coefficients of a few orders; threads share
        the rows, then the orders of each block.

        Parameters
        ----------
        rows : callable
            From a slice of rows to fields on them, shape (member, rows, n_lon) [u].
        orders : iterable of range
            Orders to do together.
        rows_at_once : int
            Rows to ask for.

        Yields
        ------
        orders, packed
            As :func:`analyse_orders`.
        """
        spectra = self._streamed_spectra(rows, rows_at_once)
        yield from analyse_orders(
            lambda wanted: spectra[wanted.start : wanted.stop],
            self.grid,
            j_max=self.j_max,
            blocks=orders,
            quadrature=self.quadrature,
            threads=self.threads,
        )

    def _streamed_spectra(self, rows: Callable[[slice], FLOAT], at_once: int) -> COMPLEX:
        limits, count = self.limits, len(self.grid.latitude)
        members = len(rows(slice(0, 1)))
        spectra = np.zeros((self.j_max + 1, count, members), complex)

        def fill(firsts: Sequence[int]) -> None:
            for first in firsts:
                some = slice(first, min(first + at_once, count))
                field = rows(some)
                inner = range(field.shape[1])
                fill_row_spectra(spectra[:, some], field, limits[some], rows=inner)

        share(fill, range(0, count, at_once), threads=self.threads)
        require_finite(spectra)
        return spectra


def order_blocks(j_max: int, *, coefficients: int) -> list[range]:
    """Return all orders in ranges that hold about this many coefficients each."""
    blocks, start, held = [], 0, 0
    for m in range(j_max + 1):
        held += j_max + 1 - m
        if held >= coefficients or m == j_max:
            blocks.append(range(start, m + 1))
            start, held = m + 1, 0
    return blocks


def analyse_orders(
    spectra: Callable[[range], COMPLEX],
    grid: CapGrid,
    *,
    j_max: int,
    blocks: Iterable[range],
    quadrature: Quadrature = "cell",
    threads: int = 1,
) -> Iterator[tuple[range, COMPLEX]]:
    """Expand fields a few orders at a time, for degrees whose kernel is larger than memory.

    Parameters
    ----------
    spectra : callable
        Row spectra (orders, n_lat, member) of a range of orders.
    grid : CapGrid
        Cells.
    j_max : int
        Highest degree.
    blocks : iterable of range
        Orders to do together; the kernel is made for each anew.
    quadrature : {"cell", "fejer", "exact"}
        See :class:`CapTransform`.
    threads : int
        Threads that share the orders of a block.

    Yields
    ------
    orders, packed
        The orders, and their coefficients (coefficient, member) in ``PackedLayout(j_max, orders)``.
    """
    for orders in blocks:
        rows = spectra(orders)
        layout = PackedLayout(j_max, orders)
        packed = np.zeros((layout.size, rows.shape[-1]), complex)

        def work(some: Sequence[int]) -> None:
            for m in some:
                kernel = cap_kernel.blocks(
                    grid, j_max=j_max, quadrature=quadrature, orders=range(m, m + 1)
                )
                legendre_analysis(rows, tuple(kernel), layout, packed)  # noqa: B023

        share(work, orders, threads=threads)
        yield orders, packed
