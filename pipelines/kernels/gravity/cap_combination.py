"""The combination on a cap in one sweep, without ever holding coefficients of high degree.

Beyond the degree of gravimetry the weight of altimetry is 1, so all that the combination does there
is to cut the field at degree J. Analysis and synthesis of one order meet in one small matrix over
rows of the grid, made once::

    P_m = K_mᵀ K_m        rows × rows, in place of degrees × rows twice

and what is left of the weights concerns the degrees of gravimetry alone (z: row spectra, W_G: their
weights, K_low: the rows of K_m up to J_G)::

    z_comb = P_m z_C − K_lowᵀ W_G K_low z_C + K_lowᵀ W_G C_G

Members enter as their mean and orthogonal deviations (:func:`centred_mixing`), whose squares sum to
the variance in every pixel. Along a row those squares have at most twice the orders of the fields,
so they are summed on as many points as these need and the sum is brought to the grid, not each
field. The results are those of :mod:`combination` on packed coefficients, to rounding.
"""

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pipelines.kernels.gravity import cap_kernel
from pipelines.kernels.gravity.cap_kernel import Block
from pipelines.kernels.gravity.cap_transform import CapTransform, half_cell_phases
from pipelines.kernels.gravity.combination import (
    GRAVIMETRY_DEGREE,
    TAPER_WIDTH,
    Combination,
    CombinationError,
    TaperMode,
    Weights,
    weights,
)
from pipelines.kernels.mixed_ensembles import MixedEnsemble, centred_mixing

FLOAT = NDArray[np.float64]
COMPLEX = NDArray[np.complex128]


class CapProduct(NamedTuple):
    """What a combination tells of all members.

    Attributes
    ----------
    regions : Combination
        Sums of every member over regions, shape (r,) [kg yr⁻¹].
    mean, variance : ndarray, shape (n_lat, n_lon)
        Of all members in each cell [kg m⁻² yr⁻¹ and its square].
    weights : Weights
        Of the packed coefficients up to the degree of gravimetry, shape (n, 2): C and S.
    """

    regions: Combination
    mean: FLOAT
    variance: FLOAT
    weights: Weights


class RoundTrip(NamedTuple):
    """Analysis and synthesis of one order in one.

    Attributes
    ----------
    m, row : int
        Order, and first row where it is not negligible.
    values : ndarray, shape (rows, rows)
        P_m, from that row on.
    """

    m: int
    row: int
    values: FLOAT


def round_trip(m: int, blocks: Sequence[Block], rows: int) -> RoundTrip:
    """Return Kᵀ K of the blocks of one order."""
    first = min(block.row for block in blocks)
    values = np.zeros((rows - first,) * 2)
    for block in blocks:
        inner = block.row - first
        values[inner:, inner:] += block.values.T @ block.values
    return RoundTrip(m, first, values)


@dataclass(frozen=True)
class CapCombination:
    """The combination on one grid; its matrices are made when they are first needed.

    Attributes
    ----------
    transform : CapTransform
        Grid, highest degree and quadrature (``cell`` or ``fejer``).
    gravimetry_degree, width : int
        See :func:`pipelines.kernels.gravity.combination.taper`.
    mode : {"intent", "printed"}
        How the taper is read.
    """

    transform: CapTransform
    gravimetry_degree: int = GRAVIMETRY_DEGREE
    width: int = TAPER_WIDTH
    mode: TaperMode = "intent"

    def __post_init__(self) -> None:
        """Refuse a quadrature whose synthesis has another kernel than its analysis."""
        if self.transform.quadrature == "exact":
            msg = "the quadrature 'exact' has two kernels; use 'cell' or 'fejer', or coefficients"
            raise CombinationError(msg)
        if self.gravimetry_degree > self.transform.j_max:
            msg = (
                f"gravimetry reaches degree {self.gravimetry_degree}, the transform only "
                f"{self.transform.j_max}; raise its degree"
            )
            raise CombinationError(msg)

    @functools.cached_property
    def low(self) -> CapTransform:
        """The transform up to the degree of gravimetry."""
        return replace(self.transform, j_max=self.gravimetry_degree)

    @functools.cached_property
    def round_trips(self) -> tuple[RoundTrip, ...]:
        """P_m of every order: 25 MB at degree 512 and 0.2°; the kernel itself is not kept."""
        transform, rows = self.transform, len(self.transform.grid.latitude)
        kernel = cap_kernel.blocks(
            transform.grid, j_max=transform.j_max, quadrature=transform.quadrature
        )
        return tuple(
            round_trip(m, tuple(blocks), rows)
            for m, blocks in itertools.groupby(kernel, key=lambda block: block.m)
        )

    @functools.cached_property
    def limits(self) -> NDArray[np.int64]:
        """Orders of each row that are not negligible, shape (n_lat,)."""
        limits = np.zeros(len(self.transform.grid.latitude), dtype=np.int64)
        for trip in self.round_trips:
            limits[trip.row :] = np.maximum(limits[trip.row :], trip.m + 1)
        return limits

    def combine(
        self, fields: FLOAT, mixing: FLOAT, gravimetry: MixedEnsemble, area: FLOAT
    ) -> CapProduct:
        """Combine two ensembles, see the top of this file.

        Parameters
        ----------
        fields : ndarray, shape (b, n_lat, n_lon)
            What the members of altimetry mix [kg m⁻² yr⁻¹].
        mixing : ndarray, shape (l, b)
            How they mix it.
        gravimetry : MixedEnsemble
            Members of gravimetry: packed coefficients (b', n, 2), C and S, up to its degree.
        area : ndarray, shape (r, n_lat, n_lon)
            Area of each cell in each region [m²].

        Returns
        -------
        CapProduct

        Raises
        ------
        CombinationError
            Coefficients of gravimetry of another degree, or fields of another grid.
        """
        self._check(fields, gravimetry, area)
        c_rows, c_scores = centred_mixing(mixing)
        g_rows, g_scores = centred_mixing(gravimetry.mixing)
        spectra = self._row_spectra(fields, c_rows)
        degrees = self._low_coefficients(spectra)
        known = np.tensordot(gravimetry.basis, g_rows, axes=(0, 1)).swapaxes(1, 2)
        w = self._weights(known, degrees)
        self._combine_rows(spectra, degrees * w.gravimetry[:, None])
        near = self._low_rows(known * w.gravimetry[:, None])
        regions = self._region_sums(area, near, spectra, (g_scores, c_scores))
        mean, variance = self._pixels(near, spectra)
        return CapProduct(regions, mean, variance, w)

    def _check(self, fields: FLOAT, gravimetry: MixedEnsemble, area: FLOAT) -> None:
        expected = (self.low.layout.size, 2)
        if gravimetry.shape != expected:
            msg = (
                f"members of gravimetry have the shape {gravimetry.shape}, expected {expected}: "
                f"C and S up to degree {self.gravimetry_degree}, packed by order"
            )
            raise CombinationError(msg)
        cells = (len(self.transform.grid.latitude), self.transform.grid.n_lon)
        if fields.shape[1:] != cells or area.shape[1:] != cells:
            msg = (
                f"found fields {fields.shape} and areas {area.shape}, expected (fields, *{cells}) "
                f"and (regions, *{cells}): the cells of the transform"
            )
            raise CombinationError(msg)

    def _row_spectra(self, fields: FLOAT, rows: FLOAT) -> COMPLEX:
        """Return Σ_k f_k e^{i m λ_k} of mixed fields, shape (order, row, field)."""
        limits, n_lon = self.limits, fields.shape[2]
        spectra = np.zeros((int(limits.max()), fields.shape[1], len(rows)), complex)
        phase = half_cell_phases(len(spectra), n_lon)[:, None]
        work = np.empty((len(fields), n_lon // 2 + 1), complex)
        for row, count in enumerate(limits.tolist()):
            np.fft.rfft(fields[:, row], axis=-1, out=work)
            waves = np.conj(work[:, :count])
            mixed = (rows @ waves.view(np.float64)).view(np.complex128)
            np.multiply(mixed.T, phase[:count], out=spectra[:count, row])
        return spectra

    def _low_coefficients(self, spectra: COMPLEX) -> FLOAT:
        """Return C and S up to the degree of gravimetry, shape (n, field, 2)."""
        layout = self.low.layout
        found = np.zeros((layout.size, spectra.shape[-1], 2))
        for block in self.low.kernel:
            place = layout.block_slice(block.m, block.degree, len(block.values))
            values = block.values @ spectra[block.m, block.row :].view(np.float64)
            found[place] = values.reshape(len(values), -1, 2)
        return found

    def _weights(self, gravimetry: FLOAT, altimetry: FLOAT) -> Weights:
        """Weigh by the squares of the deviations, fields 1 and on."""
        v_g, v_c = (np.square(fields[:, 1:]).sum(axis=1) for fields in (gravimetry, altimetry))
        return weights(
            v_g,
            v_c,
            self.low.layout.degrees()[:, None],
            gravimetry_degree=self.gravimetry_degree,
            width=self.width,
            mode=self.mode,
        )

    def _low_rows(self, coefficients: FLOAT) -> COMPLEX:
        """Return Kᵀ C of coefficients (n, field, 2), shape (order, row, field)."""
        count = min(self.gravimetry_degree + 1, int(self.limits.max()))
        rows = len(self.transform.grid.latitude)
        spectra = np.zeros((count, rows, coefficients.shape[1]), complex)
        for block in self.low.kernel:
            place = self.low.layout.block_slice(block.m, block.degree, len(block.values))
            part = coefficients[place].reshape(len(block.values), -1)
            spectra[block.m, block.row :] += (block.values.T @ part).view(np.complex128)
        return spectra

    def _combine_rows(self, spectra: COMPLEX, replaced: FLOAT) -> None:
        """Turn row spectra of altimetry into those of its part of the combination, in place."""
        for trip in self.round_trips:
            through = trip.values @ spectra[trip.m, trip.row :].view(np.float64)
            spectra[trip.m, : trip.row] = 0.0
            spectra[trip.m, trip.row :] = through.view(np.complex128)
        less = self._low_rows(replaced)
        spectra[: len(less)] -= less

    def _region_sums(
        self, area: FLOAT, near: COMPLEX, far: COMPLEX, scores: tuple[FLOAT, FLOAT]
    ) -> Combination:
        """Sum over regions by Parseval's theorem along every row."""
        of_area = self._row_spectra(area, np.eye(len(area)))
        of_area *= self.transform.row_factor[:, None]
        sums = [_real_product(spectra, of_area[: len(spectra)]) for spectra in (near, far)]
        g, c = (MixedEnsemble(*pair) for pair in zip(sums, scores, strict=True))
        return Combination(g, c)

    def _pixels(self, near: COMPLEX, far: COMPLEX) -> tuple[FLOAT, FLOAT]:
        """Return mean and variance in every cell, a row at a time."""
        grid = self.transform.grid
        mean, variance = np.zeros((2, len(grid.latitude), grid.n_lon))
        half = np.where(np.arange(len(far)) > 0, 0.5, 1.0)
        phase = (half * half_cell_phases(len(far), grid.n_lon))[:, None]
        for row, count in enumerate(self.limits.tolist()):
            scale = phase[:count] * self.transform.row_factor[row]
            c = np.conj(far[:count, row]) * scale
            g = np.conj(near[:count, row]) * scale[: len(near)]
            c[: len(g), 0] += g[:, 0]
            mean[row] = np.fft.irfft(c[:, 0], n=grid.n_lon, norm="forward")
            squares = sum_of_squares_series(c[:, 1:].T, grid.n_lon)
            squares += sum_of_squares_series(g[:, 1:].T, grid.n_lon)
            variance[row] = np.fft.irfft(squares, n=grid.n_lon, norm="forward")
        return mean, np.maximum(variance, 0.0)


def _real_product(spectra: COMPLEX, others: COMPLEX) -> FLOAT:
    """Return Σ Re(z̄ z') over orders and rows for all pairs of fields."""
    left, right = (z.reshape(-1, z.shape[-1]).view(np.float64) for z in (spectra, others))
    both = left.T @ right
    return np.asarray(both[0::2, 0::2] + both[1::2, 1::2])


def sum_of_squares_series(waves: COMPLEX, n_lon: int) -> COMPLEX:
    """Return the Fourier series of Σ f² along a row, on as few points as it needs.

    The square of a series of orders up to M has orders up to 2M, which 4M + 1 points hold.

    Parameters
    ----------
    waves : ndarray of complex, shape (field, M + 1)
        Fourier series of the fields: f_k = Re(s_0 + 2 Σ s_m e^{2πi m k / n}).
    n_lon : int
        Points of the row; where they are fewer than 4M + 1, squares at these points are meant.

    Returns
    -------
    ndarray of complex, shape (n_lon // 2 + 1,)
        Its series, in the same normalisation.
    """
    enough = int(scipy.fft.next_fast_len(4 * waves.shape[1] - 3, real=True))
    points = min(enough, n_lon)
    values = np.fft.irfft(waves, n=points, axis=-1, norm="forward")
    series = np.fft.rfft(np.einsum("ij,ij->j", values, values), norm="forward")
    out = np.zeros(n_lon // 2 + 1, complex)
    out[: len(series)] = series
    return out
