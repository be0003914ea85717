"""Elevation rates to spherical harmonics in two stages: rows of cells first, then orders.

The first stage splits the work by members, the second by orders, and they meet in the stored row
spectra: at degree 512 the second is one task, at degree 4000 it is dozens, each with its own part
of the Legendre functions and never more of them in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import KeyFailed, Receipt
from pipelines import stored
from pipelines.flows import regions
from pipelines.kernels.altimetry import density, regridding
from pipelines.kernels.altimetry.polar_overlap import OverlapError
from pipelines.kernels.gravity import cap_transform
from pipelines.kernels.gravity.cap_grid import CapGrid, cap_grid
from pipelines.kernels.gravity.layouts import unpack

if TYPE_CHECKING:
    import zarr

    from pipelines.settings_altimetry import AltimetryChoices, Cells

FLOAT = NDArray[np.float64]

MEMBERS_PER_KEY = 7
"""Rates that one task regrids; each task finds the common areas anew, in about 4 s at 5 km."""


def members_per_key(members: int) -> int:
    """Return how many rates one task regrids."""
    return min(members, MEMBERS_PER_KEY)


def grid_of(cells: Cells) -> CapGrid:
    """Return the cells that a run asks for."""
    return cap_grid(cells.step_degrees, north=cells.north)


@dataclass(frozen=True)
class RowJob:
    """``rows/7``: some members on rows of cells, as Fourier series; ``rows/0`` has the constant."""

    choices: AltimetryChoices
    models: tuple[str, ...]
    heights: int
    per_key: int

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write the row spectra of the basis fields of these members."""
        first = int(key.partition("/")[2])
        operator = self._operator(group)
        fields = {
            "density": stored.read(group, "density"),
            "constant": stored.read(group, "surface_process_rate"),
        }
        count = 0
        for index, name in enumerate(density.field_names(self.heights, self.models)):
            member = int(name.partition(":")[2] or 0)
            if first <= member < first + self.per_key and (name != "constant" or first == 0):
                rate = stored.read(group, "elevation_rate", member)
                field = density.basis_field(name, rate, fields["density"], fields["constant"])
                if name.startswith("h:"):
                    field = self.choices.density.ice * field
                self._write(group, index, operator.apply(field))
                count += 1
        return Receipt(key, "done", note=f"{count} fields on rows of cells")

    def _operator(self, group: zarr.Group) -> regridding.Regridding:
        x, y = stored.read(group, "x_grid"), stored.read(group, "y_grid")
        grid, reading = grid_of(self.choices.cells), self.choices.latitude
        if self.choices.regridding == "bilinear":
            return regridding.bilinear(x, y, grid, reading=reading)
        wanted = stored.read(group, "is_grounded") > 0.0
        try:
            return regridding.conservative(x, y, grid, reading=reading, wanted=wanted)
        except OverlapError as error:
            msg = f"altimetry.cells.north: {error}"
            raise KeyFailed(msg) from error

    def _write(self, group: zarr.Group, index: int, cells: FLOAT) -> None:
        limits = np.full(len(cells), self.choices.j_max + 1)
        waves = cap_transform.row_spectra(cells[None], limits)[:, :, 0]
        stored.write(group, "row_spectrum", np.stack([waves.real, waves.imag]), index)


@dataclass(frozen=True)
class OrderJob:
    """``orders/0-64``: coefficients of some orders of all basis fields, from their row spectra."""

    choices: AltimetryChoices

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write the coefficients, a stored chunk of orders at a time."""
        wanted = regions.orders_of(key, degree=self.choices.j_max)
        held = stored.array(group, "mass_rate_basis")
        step = held.chunks[-1]
        blocks = [
            range(first, min(first + step, wanted.stop))
            for first in range(wanted.start, wanted.stop, step)
        ]
        found = cap_transform.analyse_orders(
            lambda orders: _waves(group, orders),
            grid_of(self.choices.cells),
            j_max=self.choices.j_max,
            blocks=blocks,
            quadrature=self.choices.quadrature,
        )
        for orders, packed in found:
            part = slice(orders.start, orders.stop)
            held[..., part] = unpack(packed, j_max=self.choices.j_max, orders=orders)
        return Receipt(key, "done", note=f"quadrature {self.choices.quadrature}")


def _waves(group: zarr.Group, orders: range) -> NDArray[np.complex128]:
    """Return row spectra (order, row, basis) of some orders."""
    held = stored.array(group, "row_spectrum")
    parts = np.asarray(held[:, :, orders.start : orders.stop], dtype=np.float64)
    return np.ascontiguousarray((parts[:, 0] + 1j * parts[:, 1]).transpose(1, 2, 0))
