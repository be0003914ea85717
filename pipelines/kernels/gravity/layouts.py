"""Layouts of spherical-harmonic coefficients: ours, packed ours, and those of other libraries.

=========== ================================================ =========== =============
layout      array                                            norm        phase
=========== ================================================ =========== =============
house       real ``(..., part, degree, order)``, C then S    4π          none
packed      complex ``(coefficient, ...)``, C + iS, by order 4π          none
pyshtools   real ``(part, degree, order)``: the house's      4π          ``csphase=1``
ducc0       complex ``(..., coefficient)``, by order         orthonormal Condon-Shortley
healpy      as ducc0
=========== ================================================ =========== =============

*By order* means m = 0 with degrees 0 to J, then m = 1 with degrees 1 to J, and so on.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FLOAT = NDArray[np.float64]
COMPLEX = NDArray[np.complex128]
INT = NDArray[np.int64]


class LayoutError(ValueError):
    """Coefficients that are not in the layout they should be in."""


@dataclass(frozen=True)
class PackedLayout:
    """Where the coefficients of each order stand when they are packed.

    Attributes
    ----------
    j_max : int
        Highest degree J.
    orders : range
        Orders that are held, consecutive; all from 0 to J by default.
    """

    j_max: int
    orders: range

    @classmethod
    def whole(cls, j_max: int) -> "PackedLayout":
        """Return the layout of all orders."""
        return cls(j_max, range(j_max + 1))

    @property
    def size(self) -> int:
        """Number of coefficients."""
        return self.order_slice(self.orders[-1]).stop if len(self.orders) else 0

    def order_slice(self, m: int) -> slice:
        """Return where degrees m to J of order m stand."""
        before = m - self.orders.start
        first = before * (self.j_max + 1) - (self.orders.start + m - 1) * before // 2
        return slice(first, first + self.j_max + 1 - m)

    def block_slice(self, m: int, degree: int, count: int) -> slice:
        """Return where ``count`` degrees of order m from ``degree`` on stand."""
        first = self.order_slice(m).start + degree - m
        return slice(first, first + count)

    def degrees(self) -> INT:
        """Return the degree of each coefficient, shape (size,)."""
        return np.concatenate([np.arange(m, self.j_max + 1) for m in self.orders])

    def order_of_each(self) -> INT:
        """Return the order of each coefficient, shape (size,)."""
        return np.repeat(np.array(self.orders), [self.j_max + 1 - m for m in self.orders])


def pack(coefficients: FLOAT) -> COMPLEX:
    """Return packed coefficients.

    Parameters
    ----------
    coefficients : ndarray, shape (..., 2, J + 1, J + 1)
        C and S.

    Returns
    -------
    ndarray of complex, shape (n, ...)
        C + iS by order.

    Raises
    ------
    LayoutError
        Another shape.
    """
    shape = coefficients.shape
    if len(shape) < 3 or shape[-3] != 2 or shape[-1] != shape[-2]:
        msg = f"found coefficients of shape {shape}, expected (..., 2, J + 1, J + 1)"
        raise LayoutError(msg)
    layout = PackedLayout.whole(shape[-1] - 1)
    degree, order = layout.degrees(), layout.order_of_each()
    held = coefficients[..., degree, order]
    return np.moveaxis(held[..., 0, :] + 1j * held[..., 1, :], -1, 0)


def unpack(packed: COMPLEX, *, j_max: int, orders: range | None = None) -> FLOAT:
    """Return coefficients in the house layout, the inverse of :func:`pack`.

    Parameters
    ----------
    packed : ndarray of complex, shape (n, ...)
        C + iS by order.
    j_max : int
        Highest degree J.
    orders : range, optional
        Orders that are held, all if not given.

    Returns
    -------
    ndarray, shape (..., 2, J + 1, orders)
        C and S, zero where the order exceeds the degree.

    Raises
    ------
    LayoutError
        Another number of coefficients.
    """
    layout = PackedLayout(j_max, range(j_max + 1) if orders is None else orders)
    if packed.shape[0] != layout.size:
        msg = (
            f"found {packed.shape[0]} packed coefficients, expected {layout.size} for orders "
            f"{layout.orders.start} to {layout.orders.stop - 1} of degree {j_max}"
        )
        raise LayoutError(msg)
    house = np.zeros((*packed.shape[1:], 2, j_max + 1, len(layout.orders)))
    for i, m in enumerate(layout.orders):
        part = np.moveaxis(packed[layout.order_slice(m)], 0, -1)
        house[..., 0, m:, i] = part.real
        house[..., 1, m:, i] = part.imag
    return house


def to_ducc0(packed: COMPLEX) -> COMPLEX:
    """Return packed coefficients as ducc0 and healpy have them, shape (..., n).

    ::

        a_jm = (−1)^m √(4π / 2) (C − iS)   m > 0,      a_j0 = √(4π) C
    """
    j_max = _degree_of(packed.shape[0])
    factor = _ducc0_factors(j_max)
    return np.asarray(np.moveaxis(np.conj(packed), 0, -1) * factor, dtype=np.complex128)


def from_ducc0(alm: COMPLEX) -> COMPLEX:
    """Return coefficients of ducc0 or healpy, shape (..., n), packed: shape (n, ...)."""
    j_max = _degree_of(alm.shape[-1])
    return np.moveaxis(np.conj(alm / _ducc0_factors(j_max)), -1, 0)


def _ducc0_factors(j_max: int) -> FLOAT:
    order = PackedLayout.whole(j_max).order_of_each()
    size = np.sqrt(np.where(order == 0, 4.0, 2.0) * np.pi)
    return np.asarray(size * (1.0 - 2.0 * (order % 2)))


def _degree_of(count: int) -> int:
    """Return J of (J + 1)(J + 2) / 2 coefficients."""
    j_max = (int(np.sqrt(8 * count + 1)) - 3) // 2
    if (j_max + 1) * (j_max + 2) // 2 != count:
        msg = f"found {count} coefficients, expected (J + 1)(J + 2) / 2 of all orders to a degree J"
        raise LayoutError(msg)
    return j_max
