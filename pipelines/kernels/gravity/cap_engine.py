"""What carries out a cap transform: its two halves, in NumPy.

The halves are functions of arrays, so that a cluster may do them as two stages: rows of cells to
Fourier series (*row spectra*, ``(order, row, member)``), and these to degrees, order by order. An
:class:`Engine` does both for a whole batch; another one may do so on another device.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.gravity.layouts import PackedLayout

FLOAT = NDArray[np.float64]
COMPLEX = NDArray[np.complex128]
INT = NDArray[np.int64]
T = TypeVar("T")

MEMBERS_PER_FFT = 112
"""Members whose series of one row are made together: 1.6 MB of work space at 1800 columns."""


class CapTransformError(ValueError):
    """Fields or coefficients that do not belong to the transform."""


class OrderKernel(Protocol):
    """The kernel of one order, whole (:class:`cap_kernel.Block`) or compact."""

    @property
    def m(self) -> int:
        """Order."""

    @property
    def row(self) -> int:
        """First row where it is not negligible."""

    def dense(self) -> FLOAT:
        """Return the values of the whole box, shape (degrees, rows)."""

    def to_degrees(self, columns: FLOAT, out: FLOAT) -> None:
        """Write K z of columns z (rows, k), from the first row on, into ``out`` (degrees, k)."""

    def to_rows(self, coefficients: FLOAT, out: FLOAT) -> None:
        """Write Kᵀ c of coefficients c (degrees, k) into ``out`` (rows, k)."""


class CapPlan(Protocol):
    """What an engine needs to know of a transform."""

    @property
    def j_max(self) -> int:
        """Highest degree."""

    @property
    def threads(self) -> int:
        """Threads that share rows and orders."""

    @property
    def n_lon(self) -> int:
        """Columns."""

    def kernel_for(self, use: str) -> Sequence[OrderKernel]:
        """Return the kernel of all orders, without weights.

        ``analysis`` of the quadrature of the transform, ``means`` of cells, or ``centres``.
        """

    def limits_for(self, use: str) -> INT:
        """Return the orders of each row that are not negligible."""

    @property
    def kept(self) -> dict[str, Any]:
        """What an engine keeps with the transform, by names of its own."""

    def spectra(self, orders: int, members: int) -> AbstractContextManager[COMPLEX]:
        """Lend an array (order, row, member) without values."""


class Engine(Protocol):
    """Carries out both halves of a transform; arrays may live on a device of its own."""

    def analyse(
        self, plan: CapPlan, field: Any, *, use: str, weight: FLOAT | None, out: Any
    ) -> Any:
        """Return Σ_i weight_i K_jm,i Σ_k f_ik e^{imλ_k}, shape (coefficient, member)."""

    def synthesise(self, plan: CapPlan, packed: Any, *, use: str, out: Any) -> Any:
        """Return Re Σ_jm K_jm,i (C − iS) e^{imλ_k}, shape (member, n_lat, n_lon)."""


def half_cell_phases(count: int, n_lon: int) -> COMPLEX:
    """Return e^{i m Δλ / 2} of orders 0 to count − 1: columns begin half a cell east of 0°."""
    return np.asarray(np.exp(1j * np.pi / n_lon * np.arange(count)))


def row_spectra(field: FLOAT, limits: INT) -> COMPLEX:
    """Return the Fourier series of every row of cells, for all members.

    Parameters
    ----------
    field : ndarray, shape (member, row, n_lon)
        Cell means or values of some rows [u].
    limits : ndarray of int, shape (row,)
        Orders wanted of each row, see :attr:`cap_kernel.Reach.limits`; higher ones are zero.

    Returns
    -------
    ndarray of complex, shape (order, row, member)
        Σ_k f_k e^{i m λ_k}, with λ_k the centres of the columns [u].

    Raises
    ------
    CapTransformError
        Fields with missing values.
    """
    spectra = np.zeros((int(limits.max(initial=0)), field.shape[1], field.shape[0]), complex)
    fill_row_spectra(spectra, field, limits, rows=range(field.shape[1]))
    require_finite(spectra)
    return spectra


def fill_row_spectra(
    spectra: COMPLEX, field: FLOAT, limits: INT, *, rows: Iterable[int], weight: FLOAT | None = None
) -> None:
    """Write the Fourier series of some rows, times ``weight``, shape (row,), into ``spectra``.

    Orders beyond the limit of a row are not touched.
    """
    members, _, n_lon = field.shape
    # A row read backwards has the conjugate series, turned by a whole cell.
    phase = np.conj(half_cell_phases(len(spectra), n_lon))[:, None]
    work = np.empty((min(members, MEMBERS_PER_FFT), n_lon // 2 + 1), complex)
    for row in rows:
        count = int(limits[row])
        turn = phase[:count] if weight is None else phase[:count] * weight[row]
        for first in range(0, members if count else 0, MEMBERS_PER_FFT):
            some = slice(first, first + MEMBERS_PER_FFT)
            lines = field[some, row, ::-1]
            waves = np.fft.rfft(lines, axis=-1, out=work[: len(lines)])[:, :count]
            np.multiply(waves.T, turn, out=spectra[:count, row, some])


def require_finite(spectra: COMPLEX) -> None:
    """Refuse fields with a missing cell, which would spoil a whole member: order 0 sums all cells.

    Parameters
    ----------
    spectra : ndarray of complex, shape (order, row, member)
        Row spectra.

    Raises
    ------
    CapTransformError
        Sums that are not finite.
    """
    wrong = np.argwhere(~np.isfinite(spectra[:1]))
    if wrong.size:
        _, row, member = wrong[0]
        msg = (
            f"found missing values in row {row} of member {member}, expected a value in every "
            "cell of the cap; fill gaps, or set cells outside the ice to zero"
        )
        raise CapTransformError(msg)


def row_fields(spectra: COMPLEX, limits: INT, *, n_lon: int) -> FLOAT:
    """Return rows of cells from the Fourier series that :func:`legendre_synthesis` makes.

    Parameters
    ----------
    spectra : ndarray of complex, shape (order, row, member)
        Σ_j K_jm (C + iS) [u].
    limits : ndarray of int, shape (row,)
        Orders that each row has.
    n_lon : int
        Columns.

    Returns
    -------
    ndarray, shape (member, row, n_lon)
        Re Σ_m (C − iS) e^{i m λ_k} [u].
    """
    field = np.empty((spectra.shape[2], spectra.shape[1], n_lon))
    fill_row_fields(field, spectra, limits, rows=range(spectra.shape[1]))
    return field


def fill_row_fields(field: FLOAT, spectra: COMPLEX, limits: INT, *, rows: Iterable[int]) -> None:
    """Write some rows of cells into ``field``, as :func:`row_fields` has them.

    Parameters
    ----------
    field : ndarray, shape (member, row, n_lon)
        Filled in some rows [u].
    spectra : ndarray, shape (order, row, member)
        Σ_j K_jm (C + iS) [u].
    limits : ndarray, shape (row,)
        Orders that a row has.
    rows : iterable of int
        Which.
    """
    members, _, n_lon = field.shape
    order = np.arange(len(spectra))
    # The inverse transform counts every wave twice but the constant and, if there, the shortest.
    half = np.where((order == 0) | (2 * order == n_lon), 1.0, 0.5)
    factor = half * np.conj(half_cell_phases(len(spectra), n_lon))
    for row in rows:
        count = int(limits[row])
        for first in range(0, members, MEMBERS_PER_FFT):
            some = slice(first, first + MEMBERS_PER_FFT)
            waves = spectra[:count, row, some].T * factor[:count]
            np.conjugate(waves, out=waves)
            out = field[some, row]
            if count:
                np.fft.irfft(waves, n=n_lon, axis=-1, norm="forward", out=out)
            else:
                out[...] = 0.0


def legendre_analysis(
    spectra: COMPLEX, kernel: Sequence[OrderKernel], layout: PackedLayout, packed: COMPLEX
) -> None:
    """Write the coefficients of the orders of some kernels; others are not touched.

    Parameters
    ----------
    spectra : ndarray of complex, shape (orders, row, member)
        Row spectra of the orders of the layout, from the first.
    kernel : sequence of Block
        Kernels of some of these orders.
    layout : PackedLayout
        Where coefficients go.
    packed : ndarray of complex, shape (coefficient, member)
        Receives C + iS.
    """
    into = packed.view(np.float64)
    for block in kernel:
        part = into[layout.order_slice(block.m)]
        columns = spectra[block.m - layout.orders.start, block.row :].view(np.float64)
        block.to_degrees(columns, part)


def legendre_synthesis(
    packed: COMPLEX, kernel: Sequence[OrderKernel], layout: PackedLayout, spectra: COMPLEX
) -> None:
    """Write the row spectra Σ_j K_jm (C + iS) of some orders: the transpose of the analysis.

    Parameters
    ----------
    packed : ndarray of complex, shape (coefficient, member)
        C + iS.
    kernel : sequence of Block
        Kernels of some of these orders.
    layout : PackedLayout
        Where coefficients stand.
    spectra : ndarray of complex, shape (orders, row, member)
        Receives the spectra of the orders of the layout; rows that a kernel lacks are untouched.
    """
    held = packed.view(np.float64)
    for block in kernel:
        part = held[layout.order_slice(block.m)]
        columns = spectra[block.m - layout.orders.start, block.row :].view(np.float64)
        block.to_rows(part, columns)


def share(work: Callable[[Sequence[T]], None], items: Sequence[T], *, threads: int) -> None:
    """Let threads share items; each is done once, by one of them, in no particular order.

    Neighbouring rows and orders cost alike, so dealing them out in turn is fair. NumPy lets go of
    the interpreter while it transforms and multiplies. BLAS must be pinned to one thread, by
    ``OPENBLAS_NUM_THREADS`` or the like, before NumPy is imported.
    """
    if threads == 1:
        work(items)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, (items[i::threads] for i in range(threads))))


class NumpyEngine:
    """NumPy on the processor: a transform per row, a few matrix products per order."""

    def analyse(
        self,
        plan: CapPlan,
        field: FLOAT,
        *,
        use: str,
        weight: FLOAT | None,
        out: COMPLEX | None = None,
    ) -> COMPLEX:
        """Return Σ_i weight_i K_jm,i Σ_k f_ik e^{imλ_k}, shape (coefficient, member)."""
        limits, kernel = plan.limits_for(use), plan.kernel_for(use)
        layout = PackedLayout.whole(plan.j_max)
        shape = layout.size, len(field)
        packed = np.empty(shape, complex) if out is None else _fitting(out, shape)
        with plan.spectra(len(kernel), len(field)) as spectra:

            def to_series(rows: Sequence[int]) -> None:
                fill_row_spectra(spectra, field, limits, rows=rows, weight=weight)

            def to_degrees(some: Sequence[OrderKernel]) -> None:
                legendre_analysis(spectra, some, layout, packed)

            share(to_series, range(len(limits)), threads=plan.threads)
            require_finite(spectra)
            share(to_degrees, kernel, threads=plan.threads)
        packed[layout.order_slice(len(kernel)).start :] = 0.0
        return packed

    def synthesise(
        self, plan: CapPlan, packed: COMPLEX, *, use: str, out: FLOAT | None = None
    ) -> FLOAT:
        """Return Re Σ_jm K_jm,i (C − iS) e^{imλ_k}, shape (member, n_lat, n_lon)."""
        limits, kernel = plan.limits_for(use), plan.kernel_for(use)
        layout = PackedLayout.whole(plan.j_max)
        shape = packed.shape[1], len(limits), plan.n_lon
        field = np.empty(shape) if out is None else _fitting(out, shape)
        held = np.ascontiguousarray(packed)
        with plan.spectra(len(kernel), shape[0]) as spectra:

            def to_series(some: Sequence[OrderKernel]) -> None:
                legendre_synthesis(held, some, layout, spectra)

            def to_cells(rows: Sequence[int]) -> None:
                fill_row_fields(field, spectra, limits, rows=rows)

            share(to_series, kernel, threads=plan.threads)
            share(to_cells, range(len(limits)), threads=plan.threads)
        return field


def _fitting(out: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Refuse an array for results that cannot take them."""
    if out.shape != shape or not out.flags.c_contiguous:
        order = "contiguous" if out.flags.c_contiguous else "not contiguous"
        msg = f"found an array of shape {out.shape}, {order}, for results of shape {shape}"
        raise CapTransformError(msg + "; give a contiguous one of that shape, or none")
    return out


NUMPY = NumpyEngine()
"""The engine that every machine has."""
