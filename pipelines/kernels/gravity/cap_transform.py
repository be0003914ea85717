"""The batched cap transform: many fields around the south pole to coefficients and back.

Two halves, which a cluster may do as two stages. First each row of cells becomes a Fourier series,
for all members at once (*row spectra*, ``(order, row, member)``). Then, order by order, one matrix
product takes the rows of all members to degrees::

    C_jm + i S_jm = Σ_i K_jm,i Σ_k f_ik e^{i m λ_k}

K is made once per grid and degree (:mod:`pipelines.kernels.gravity.cap_kernel`). The synthesis is
its transpose. Matrix products over all members and orders are how ecTrans and fastSHT transform
whole spheres; here rows and degrees are cut to where a cap has anything (record 0011).
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.gravity import cap_kernel
from pipelines.kernels.gravity.cap_grid import CapGrid
from pipelines.kernels.gravity.cap_kernel import Block, Quadrature
from pipelines.kernels.gravity.layouts import PackedLayout

FLOAT = NDArray[np.float64]
COMPLEX = NDArray[np.complex128]
T = TypeVar("T")


class CapTransformError(ValueError):
    """Fields or coefficients that do not belong to the transform."""


class Engine(Protocol):
    """The operations that cost time, for arrays in the memory of one device."""

    def row_fft(self, rows: FLOAT, out: COMPLEX) -> None:
        """Write Fourier coefficients of rows (member, n_lon) to out (member, n_lon // 2 + 1)."""

    def inverse_row_fft(self, spectrum: COMPLEX, n_lon: int) -> FLOAT:
        """Return rows (member, n_lon) of Fourier coefficients (member, count)."""

    def product(self, kernel: FLOAT, columns: FLOAT, out: FLOAT) -> None:
        """Write the matrix product to out."""


class NumpyEngine:
    """NumPy on the processor; BLAS should have one thread per worker."""

    def row_fft(self, rows: FLOAT, out: COMPLEX) -> None:
        """Write Fourier coefficients of rows (member, n_lon) to out (member, n_lon // 2 + 1)."""
        np.fft.rfft(rows, axis=-1, out=out)

    def inverse_row_fft(self, spectrum: COMPLEX, n_lon: int) -> FLOAT:
        """Return rows (member, n_lon) of Fourier coefficients (member, count)."""
        return np.asarray(np.fft.irfft(spectrum, n=n_lon, axis=-1, norm="forward"))

    def product(self, kernel: FLOAT, columns: FLOAT, out: FLOAT) -> None:
        """Write the matrix product to out."""
        np.matmul(kernel, columns, out=out)


NUMPY = NumpyEngine()
"""The engine that every machine has."""


def row_limits(kernel: Iterable[Block], rows: int) -> NDArray[np.int64]:
    """Return for each row the number of orders that are not negligible there, shape (rows,)."""
    limits = np.zeros(rows, dtype=np.int64)
    for block in kernel:
        limits[block.row :] = np.maximum(limits[block.row :], block.m + 1)
    return limits


def half_cell_phases(count: int, n_lon: int) -> COMPLEX:
    """Return e^{i m Δλ / 2} of orders 0 to count − 1: columns begin half a cell east of 0°."""
    return np.asarray(np.exp(1j * np.pi / n_lon * np.arange(count)))


def row_spectra(field: FLOAT, limits: NDArray[np.int64], *, engine: Engine = NUMPY) -> COMPLEX:
    """Return the Fourier series of every row of cells, for all members.

    Parameters
    ----------
    field : ndarray, shape (member, n_lat, n_lon)
        Cell means or values.
    limits : ndarray of int, shape (n_lat,)
        Orders wanted of each row, see :func:`row_limits`; higher ones are zero.
    engine : Engine
        What computes.

    Returns
    -------
    ndarray of complex, shape (order, n_lat, member)
        Σ_k f_k e^{i m λ_k}, with λ_k the centres of the columns.
    """
    spectrum = np.zeros((int(limits.max(initial=0)), field.shape[1], field.shape[0]), complex)
    fill_row_spectra(spectrum, field, limits, engine=engine, rows=range(field.shape[1]))
    return spectrum


def fill_row_spectra(
    spectrum: COMPLEX,
    field: FLOAT,
    limits: NDArray[np.int64],
    *,
    engine: Engine,
    rows: Sequence[int],
) -> None:
    """Write the Fourier series of some rows into ``spectrum`` (order, n_lat, member)."""
    n_lon = field.shape[2]
    work = np.empty((field.shape[0], n_lon // 2 + 1), complex)
    phase = half_cell_phases(len(spectrum), n_lon)[:, None]
    for row in rows:
        count = int(limits[row])
        if count:
            engine.row_fft(field[:, row], work)
            waves = work[:, :count]
            np.conjugate(waves, out=waves)
            np.multiply(waves.T, phase[:count], out=spectrum[:count, row])


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

    @functools.cached_property
    def kernel(self) -> tuple[Block, ...]:
        """The Legendre kernel of all orders: 79 MB at degree 512 and 0.2°."""
        return tuple(cap_kernel.blocks(self.grid, j_max=self.j_max, quadrature=self.quadrature))

    @functools.cached_property
    def limits(self) -> NDArray[np.int64]:
        """Orders of each row that are not negligible."""
        return row_limits(self.kernel, len(self.grid.latitude))

    @property
    def layout(self) -> PackedLayout:
        """Where the packed coefficients stand."""
        return PackedLayout.whole(self.j_max)

    def analyse(self, field: FLOAT) -> COMPLEX:
        """Expand fields on the cells; outside the cap they are zero.

        ::

            C_jm = (1 / 4π) ∫ f Y_jm dΩ        Sasgen et al. (2019), equation 2, 4π-normalised

        Parameters
        ----------
        field : ndarray, shape (member, n_lat, n_lon)
            Cell means (``cell``), or values at the centres [u].

        Returns
        -------
        ndarray of complex, shape (coefficient, member)
            C + iS, packed by order (:mod:`pipelines.kernels.gravity.layouts`) [u].

        Raises
        ------
        CapTransformError
            Fields of another shape.
        """
        self._require_cells(field)
        spectrum = np.zeros((int(self.limits.max()), field.shape[1], field.shape[0]), complex)
        fill = functools.partial(fill_row_spectra, spectrum, field, self.limits, engine=self.engine)
        self._shared(lambda rows: fill(rows=rows), range(field.shape[1]))
        packed = np.zeros((self.layout.size, field.shape[0]), complex)
        self._shared(lambda each: self._to_degrees(each, spectrum, packed), self.kernel)
        return packed

    def _to_degrees(self, kernel: Iterable[Block], spectrum: COMPLEX, packed: COMPLEX) -> None:
        for block in kernel:
            place = self.layout.block_slice(block.m, block.degree, len(block.values))
            legendre_analysis(block, spectrum[block.m], packed[place], engine=self.engine)

    def synthesise(self, packed: COMPLEX) -> FLOAT:
        """Return cell means (``cell``) or values at the centres of expansions.

        Parameters
        ----------
        packed : ndarray of complex, shape (coefficient, member)
            C + iS [u].

        Returns
        -------
        ndarray, shape (member, n_lat, n_lon)
            [u].
        """
        layout = self.layout
        if packed.ndim != 2 or packed.shape[0] != layout.size:
            msg = f"found packed coefficients {packed.shape}, expected ({layout.size}, members)"
            raise CapTransformError(msg)
        rows, members = len(self.grid.latitude), packed.shape[1]
        spectrum = np.zeros((int(self.limits.max()), rows, members), complex)
        self._shared(lambda each: self._to_rows(each, packed, spectrum), self._synthesis_kernel)
        field = np.empty((members, rows, self.grid.n_lon))
        factor = self.row_factor

        # Rows are real, so their Fourier series needs C − iS, halved for m > 0.
        half = np.where(np.arange(len(spectrum)) > 0, 0.5, 1.0)
        phase = (half * half_cell_phases(len(spectrum), self.grid.n_lon))[:, None]

        def fill(each: Iterable[int]) -> None:
            for row in each:
                count = self.limits[row]
                waves = np.conj(spectrum[:count, row]) * (phase[:count] * factor[row])
                field[:, row] = self.engine.inverse_row_fft(waves.T, self.grid.n_lon)

        self._shared(fill, range(rows))
        return field

    @functools.cached_property
    def _synthesis_kernel(self) -> tuple[Block, ...]:
        if self.quadrature != "exact":
            return self.kernel
        return tuple(cap_kernel.blocks(self.grid, j_max=self.j_max, quadrature="fejer"))

    @functools.cached_property
    def row_factor(self) -> FLOAT:
        """What turns the kernel of the analysis into that of the synthesis, row by row."""
        if self.quadrature == "cell":
            return np.asarray(4.0 * np.pi / self.grid.solid_angles)
        weight = cap_kernel.fejer_weights(self.grid.globe_rows)[: len(self.grid.latitude)]
        return np.asarray(2.0 * self.grid.n_lon / weight)

    def _to_rows(self, kernel: Iterable[Block], packed: COMPLEX, spectrum: COMPLEX) -> None:
        for block in kernel:
            place = self.layout.block_slice(block.m, block.degree, len(block.values))
            spectrum[block.m, block.row :] += legendre_synthesis(
                block, packed[place], engine=self.engine
            )

    def adjoint(self, weights: FLOAT) -> COMPLEX:
        """Return Σ w Y_jm, each weight spread evenly over its cell: the transpose of synthesis.

        Parameters
        ----------
        weights : ndarray, shape (member, n_lat, n_lon)
            Weight of each cell, for instance the area that a region has in it [w].

        Returns
        -------
        ndarray of complex, shape (coefficient, member)
            Sums [w]; for a field f = Σ (C cos mλ + S sin mλ) P, Σ_jm of their real product with
            the coefficients is Σ w f̄ over the cells.
        """
        if self.quadrature == "exact":
            msg = "the quadrature 'exact' has no adjoint on the cap; use 'cell' or 'fejer'"
            raise CapTransformError(msg)
        return self.analyse(weights * self.row_factor[:, None])

    def _require_cells(self, field: FLOAT) -> None:
        expected = (len(self.grid.latitude), self.grid.n_lon)
        if field.ndim != 3 or field.shape[1:] != expected:
            msg = (
                f"found fields of shape {field.shape}, expected (members, {expected[0]}, "
                f"{expected[1]}): a row per latitude from the pole, a column per longitude"
            )
            raise CapTransformError(msg)

    def _shared(self, work: Callable[[Sequence[T]], None], items: Sequence[T]) -> None:
        """Let the threads share the items; every item is done once, by one of them."""
        if self.threads == 1:
            work(items)
            return
        with ThreadPoolExecutor(self.threads) as pool:
            # Neighbouring rows and orders cost alike, so dealing them out in turn is fair.
            list(pool.map(work, (items[i :: self.threads] for i in range(self.threads))))


def legendre_analysis(
    block: Block, spectrum: COMPLEX, out: COMPLEX, *, engine: Engine = NUMPY
) -> None:
    """Write the coefficients of one order, or some of its degrees, from its row spectra.

    Parameters
    ----------
    block : Block
        Kernel of the order.
    spectrum : ndarray of complex, shape (n_lat, member)
        Row spectra of the order.
    out : ndarray of complex, shape (degrees, member)
        Receives C + iS of the block's degrees; contiguous.
    engine : Engine
        What computes.
    """
    columns = spectrum[block.row :].view(np.float64)
    engine.product(block.values, columns, out.view(np.float64))


def legendre_synthesis(block: Block, coefficients: COMPLEX, *, engine: Engine = NUMPY) -> COMPLEX:
    """Return what some degrees of one order add to its row spectra.

    Parameters
    ----------
    block : Block
        Kernel of the order.
    coefficients : ndarray of complex, shape (degrees, member)
        C + iS of the block's degrees; contiguous.
    engine : Engine
        What computes.

    Returns
    -------
    ndarray of complex, shape (rows, member)
        From the block's first row on: Σ_j K_jm,i (C_jm + i S_jm).
    """
    rows = np.empty((block.values.shape[1], coefficients.shape[1]), complex)
    engine.product(block.values.T, coefficients.view(np.float64), rows.view(np.float64))
    return rows


def analyse_orders(
    spectra: Callable[[range], COMPLEX],
    grid: CapGrid,
    *,
    j_max: int,
    blocks: Iterable[range],
    quadrature: Quadrature = "cell",
    engine: Engine = NUMPY,
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
    quadrature, engine
        See :class:`CapTransform`.

    Yields
    ------
    orders, packed
        The orders, and their coefficients (coefficient, member) in ``PackedLayout(j_max, orders)``.
    """
    for orders in blocks:
        rows = spectra(orders)
        layout = PackedLayout(j_max, orders)
        packed = np.zeros((layout.size, rows.shape[-1]), complex)
        for block in cap_kernel.blocks(grid, j_max=j_max, quadrature=quadrature, orders=orders):
            place = layout.block_slice(block.m, block.degree, len(block.values))
            spectrum = rows[block.m - orders.start]
            legendre_analysis(block, spectrum, packed[place], engine=engine)
        yield orders, packed
