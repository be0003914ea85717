"""The cap transform on a GPU, in double precision: a few large products in place of many small.

Orders next to each other have boxes of nearly the same size, so a bundle of them, padded with
zeros, is one batched product. TF32 is a mode of single precision and cannot touch these numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.kernels.gravity.cap_engine import CapPlan, CapTransformError, half_cell_phases
from pipelines.kernels.gravity.layouts import PackedLayout

ORDERS_PER_BUNDLE = 16
"""Orders in one batched product: padding adds a twentieth to the work at degree 512."""

ROWS_AT_ONCE = 64
"""Rows of cells whose Fourier series are made together: 0.1 GB for 112 members."""


@dataclass(frozen=True)
class Bundle:
    """The kernels of consecutive orders on the device.

    Attributes
    ----------
    orders : slice
        Of the row spectra.
    row : int
        First row of the padded boxes.
    values : Tensor, shape (order, degree, row)
        Kernels; zero where padded.
    place : Tensor of int, shape (coefficient,)
        Where the coefficients of these orders stand in (order × degree).
    packed : slice
        Where they stand among all coefficients.
    """

    orders: slice
    row: int
    values: torch.Tensor
    place: torch.Tensor
    packed: slice


class TorchEngine:
    """Carries out cap transforms with torch; give it arrays, or tensors that stay on the device.

    Parameters
    ----------
    device : str
        ``cpu``, ``cuda`` or ``cuda:1``.
    """

    def __init__(self, device: str = "cuda") -> None:
        self.device = torch.device(device)

    def analyse(
        self,
        plan: CapPlan,
        field: Any,
        *,
        use: str,
        weight: NDArray[np.float64] | None,
        out: Any = None,
    ) -> Any:
        """Return Σ_i weight_i K_jm,i Σ_k f_ik e^{imλ_k}, shape (coefficient, member)."""
        with torch.inference_mode():
            held = self._held(field, torch.float64)
            bundles = self._kernel(plan, use)
            spectra = torch.view_as_real(self._row_spectra(held, bundles[-1].orders.stop, weight))
            spectra = spectra.flatten(2)
            layout = PackedLayout.whole(plan.j_max)
            packed = spectra.new_zeros((layout.size, spectra.shape[2]))
            for bundle in bundles:
                columns = spectra[bundle.orders, bundle.row :]
                found = torch.bmm(bundle.values, columns).flatten(0, 1)
                torch.index_select(found, 0, bundle.place, out=packed[bundle.packed])
            result = torch.view_as_complex(packed.view(len(packed), -1, 2))
            return _as_given(result, field, out)

    def synthesise(self, plan: CapPlan, packed: Any, *, use: str, out: Any = None) -> Any:
        """Return Re Σ_jm K_jm,i (C − iS) e^{imλ_k}, shape (member, n_lat, n_lon)."""
        with torch.inference_mode():
            held = torch.view_as_real(self._held(packed, torch.complex128).contiguous()).flatten(1)
            bundles = self._kernel(plan, use)
            rows = len(plan.limits_for(use))
            spectra = held.new_zeros((bundles[-1].orders.stop, rows, held.shape[1]))
            for bundle in bundles:
                count, degrees, _ = bundle.values.shape
                part = held.new_zeros((count * degrees, held.shape[1]))
                part.index_copy_(0, bundle.place, held[bundle.packed])
                columns = part.view(count, degrees, -1)
                spectra[bundle.orders, bundle.row :] = torch.bmm(bundle.values.mT, columns)
            waves = torch.view_as_complex(spectra.view(*spectra.shape[:2], -1, 2))
            return _as_given(self._row_fields(waves, plan.n_lon), packed, out)

    def _held(self, array: Any, dtype: torch.dtype) -> torch.Tensor:
        return torch.as_tensor(array, dtype=dtype, device=self.device)

    def _row_spectra(
        self, field: torch.Tensor, orders: int, weight: NDArray[np.float64] | None
    ) -> torch.Tensor:
        """Return row spectra, shape (order, row, member)."""
        members, rows, n_lon = field.shape
        spectra = torch.empty((orders, rows, members), dtype=torch.complex128, device=field.device)
        phase = self._held(half_cell_phases(orders, n_lon), torch.complex128)[:, None, None]
        for some in _row_blocks(rows):
            waves = torch.fft.rfft(field[:, some])[..., :orders].permute(2, 1, 0)
            spectra[:, some] = torch.conj(waves) * phase
        if not torch.isfinite(spectra[0].real).all():
            msg = "found missing values, expected a value in every cell of the cap; fill gaps"
            raise CapTransformError(msg)
        if weight is not None:
            spectra *= self._held(weight, torch.float64)[:, None]
        return spectra

    def _row_fields(self, spectra: torch.Tensor, n_lon: int) -> torch.Tensor:
        """Return rows of cells, shape (member, row, n_lon)."""
        orders, rows, members = spectra.shape
        order = np.arange(orders)
        # The inverse transform counts every wave twice but the constant and the shortest.
        half = np.where((order == 0) | (2 * order == n_lon), 1.0, 0.5)
        factor = self._held(half * half_cell_phases(orders, n_lon), torch.complex128)
        field = torch.empty((members, rows, n_lon), dtype=torch.float64, device=spectra.device)
        for some in _row_blocks(rows):
            waves = torch.conj(spectra[:, some]).permute(2, 1, 0) * factor
            field[:, some] = torch.fft.irfft(waves, n=n_lon, norm="forward")
        return field

    def _kernel(self, plan: CapPlan, use: str) -> list[Bundle]:
        """Return the kernel on the device, kept with the transform."""
        key = f"{self.device} {use}"
        if key not in plan.kept:
            plan.kept[key] = list(self._bundles(plan, use))
        found: list[Bundle] = plan.kept[key]
        return found

    def _bundles(self, plan: CapPlan, use: str) -> Iterator[Bundle]:
        layout = PackedLayout.whole(plan.j_max)
        rows = len(plan.limits_for(use))
        kernel = plan.kernel_for(use)
        for start in range(0, len(kernel), ORDERS_PER_BUNDLE):
            blocks = kernel[start : start + ORDERS_PER_BUNDLE]
            first, last = blocks[0], blocks[-1]
            degrees = plan.j_max + 1 - first.m
            values = np.zeros((len(blocks), degrees, rows - first.row))
            for padded, block in zip(values, blocks, strict=True):
                box = block.dense()
                padded[: len(box), values.shape[2] - box.shape[1] :] = box
            place = [i * degrees + np.arange(plan.j_max + 1 - b.m) for i, b in enumerate(blocks)]
            yield Bundle(
                slice(first.m, last.m + 1),
                first.row,
                torch.from_numpy(values).to(self.device),
                torch.from_numpy(np.concatenate(place)).to(self.device),
                slice(layout.order_slice(first.m).start, layout.order_slice(last.m).stop),
            )


def _row_blocks(rows: int) -> Iterator[slice]:
    return (slice(first, first + ROWS_AT_ONCE) for first in range(0, rows, ROWS_AT_ONCE))


def _as_given(result: torch.Tensor, given: Any, out: Any) -> Any:
    """Return a tensor for a tensor, an array for an array; in ``out`` if there is one."""
    if out is not None:
        if isinstance(out, torch.Tensor):
            return out.copy_(result)
        out[...] = result.cpu().numpy()
        return out
    return result if isinstance(given, torch.Tensor) else result.cpu().numpy()
