"""Elevation rates of an altimetry run, member by member: read, compared, filled, given a density.

Sasgen et al. (2019), section 2.2 and appendix A. Every job reads and writes whole chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import KeyFailed, Receipt
from pipelines import stored
from pipelines.flows import regions
from pipelines.kernels.altimetry import density, gap_filling, regridding

if TYPE_CHECKING:
    import xarray as xr
    import zarr

    from pipelines.flows.altimetry_inputs import Member
    from pipelines.flows.catalogue_inputs import Source
    from pipelines.settings_altimetry import Densities, GapFilling

BAND_ROWS = 16
"""Rows of the run's grid for which a finer field is read together."""

MOST_UNCOVERED = 0.05
"""Part of the grounded ice that a model may miss where its own margin is drawn otherwise [1]."""

FLOAT = NDArray[np.float64]
BOOL = NDArray[np.bool_]


@dataclass(frozen=True)
class GroundedJob:
    """``grounded``: which cells of the grid of elevation rates lie inside the grounding line."""

    grounded_ice: Source

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write the mask; a cell counts where its centre lies on grounded ice."""
        x, y = stored.read(group, "x_grid"), stored.read(group, "y_grid")
        inside = regions.labels_at(self.grounded_ice.open_regions(), *np.meshgrid(x, y)) >= 0
        if not inside.any():
            msg = (
                f"no cell of the elevation rates ({len(y)} × {len(x)} cells) lies on the grounded "
                f"ice of {self.grounded_ice.id}; name rates and polygons of the same ice sheet"
            )
            raise KeyFailed(msg)
        stored.write(group, "is_grounded", inside.astype(np.uint8))
        return Receipt(key, "done", inputs=(self.grounded_ice.id,))


@dataclass(frozen=True)
class ReadJob:
    """``read/3``: the measured rates of one gridded member."""

    members: Mapping[str, Member]
    largest: float

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Copy one member into the product; missing stays missing."""
        member = self.members[key.replace("read", "height")]
        if member.source is None:
            msg = f"member {member.label} has no source"
            raise KeyFailed(msg)
        # One field, 10 MB.
        rate = member.source.read(lambda data: data.elevation_rate[member.position].values)
        self._require_plausible(member, rate)
        stored.write(group, "elevation_rate_measured", rate, member.index)
        return Receipt(key, "done", inputs=(member.source.id,))

    def _require_plausible(self, member: Member, rate: FLOAT) -> None:
        """Refuse what no ice sheet does: fill values that a file does not declare, wrong units."""
        beyond = np.abs(rate[np.isfinite(rate)]) > self.largest
        if beyond.any():
            msg = (
                f"{member.label}: {int(beyond.sum())} of {beyond.size} rates are beyond "
                f"{self.largest:g} m/yr (from {np.nanmin(rate):g} to {np.nanmax(rate):g}): a fill "
                "value that the file does not declare, or another unit? Mend and ingest the file, "
                "or raise altimetry.largest_rate_m_per_yr"
            )
            raise KeyFailed(msg)


@dataclass(frozen=True)
class GapJob:
    """``gaps``: whether the members lack the same cells, and what to do if they do not."""

    labels: tuple[str, ...]
    policy: str

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Refuse members with different gaps unless the run file says how to read them."""
        inside = read_mask(group, "is_grounded")
        members = range(len(self.labels))
        measured = (stored.read(group, "elevation_rate_measured", i) for i in members)
        patterns = gap_filling.gap_patterns(measured, inside)
        if self.policy == "refuse":
            try:
                patterns.require_same(self.labels)
            except gap_filling.GapError as error:
                msg = f"altimetry.gaps: {error}"
                raise KeyFailed(msg) from error
        lacking = patterns.lacking
        note = f"{min(lacking)} to {max(lacking)} of {patterns.pixels} cells lack a rate"
        if patterns.differing:
            note += f", {patterns.differing} in some members only, read as gaps: {self.policy}"
        return Receipt(key, "done", note=note)


@dataclass(frozen=True)
class FillJob:
    """``height/3``: one member with its gaps filled inside the grounding line, zero outside."""

    policy: str
    choices: GapFilling
    members: int

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write one filled member and where it was filled."""
        index = int(key.partition("/")[2])
        inside = read_mask(group, "is_grounded")
        rate = stored.read(group, "elevation_rate_measured", index)
        if self.policy == "union":
            rate[self._missing_in_any(group)] = np.nan
        x = stored.read(group, "x_grid")
        try:
            filled, is_filled = gap_filling.fill(
                rate,
                inside,
                spacing_m=float(x[1] - x[0]),
                neighbours=self.choices.neighbours,
                power=self.choices.power,
            )
        except gap_filling.GapError as error:
            raise KeyFailed(str(error)) from error
        stored.write(group, "elevation_rate", filled, index)
        stored.write(group, "is_filled", is_filled.astype(np.uint8), index)
        return Receipt(key, "done", note=f"{is_filled.sum() / inside.sum():.1%} of cells filled")

    def _missing_in_any(self, group: zarr.Group) -> BOOL:
        missing = np.isnan(stored.read(group, "elevation_rate_measured", 0))
        for member in range(1, self.members):
            missing |= np.isnan(stored.read(group, "elevation_rate_measured", member))
        return missing


@dataclass(frozen=True)
class DensityJob:
    """``density``: ρ*, ice where flow is fast or lowering fast, snow elsewhere; one map for all."""

    choices: Densities
    velocity: Source
    members: int

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write ρ* from the speed and the mean rate of the ensemble; no speed counts as slow."""
        inside = read_mask(group, "is_grounded")
        speed = self.velocity.read(lambda data: on_grid(data, _speed, group))
        mean = np.zeros(inside.shape)
        for member in range(self.members):
            mean += stored.read(group, "elevation_rate", member) / self.members
        unknown = np.isnan(speed)
        found = density.fast_or_lowering_density(
            np.where(unknown, 0.0, speed),
            mean,
            fast=self.choices.fast_m_per_yr,
            lowering=self.choices.lowering_m_per_yr,
            ice=self.choices.ice,
            snow=self.choices.snow,
        )
        stored.write(group, "density", np.where(inside, found, 0.0))
        ice = (found == self.choices.ice)[inside].mean()
        note = f"{ice:.1%} of cells count as ice, {unknown[inside].mean():.1%} have no speed"
        return Receipt(key, "done", inputs=(self.velocity.id,), note=note)


@dataclass(frozen=True)
class ConstantJob:
    """``constant``: what equation A1 adds to the mass of the measured height, ∂σ_SMB − ρ ∂h_S."""

    choices: Densities
    surface_processes: Source

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write the constant on the grid of the rates; it must cover all grounded ice."""
        inside = read_mask(group, "is_grounded")
        height, mass = (
            self._field(name, group) for name in ("surface_elevation_rate", "surface_mass_rate")
        )
        constant = density.surface_process_constant(height, mass, ice=self.choices.ice)
        lacking = int(np.isnan(constant[inside]).sum())
        if lacking > MOST_UNCOVERED * inside.sum():
            msg = (
                f"{self.surface_processes.id}: lacks {lacking} of {inside.sum()} cells on grounded "
                "ice; give trends that cover the ice, or leave out the model surface_processes"
            )
            raise KeyFailed(msg)
        spacing = float(np.diff(stored.read(group, "x_grid", slice(0, 2)))[0])
        filled = gap_filling.fill(constant, inside, spacing_m=spacing).field
        stored.write(group, "surface_process_rate", filled)
        note = f"{lacking} cells at the margin of the model take those beside them"
        used = (self.surface_processes.id,)
        return Receipt(key, "done", inputs=used, note=note if lacking else "")

    def _field(self, name: str, group: zarr.Group) -> FLOAT:
        def field_of(part: xr.Dataset) -> FLOAT:
            return np.asarray(part[name].values)

        return self.surface_processes.read(lambda data: on_grid(data, field_of, group))


def read_mask(group: zarr.Group, name: str) -> BOOL:
    """Return a mask that is stored as zeros and ones."""
    return stored.read(group, name) > 0.0


def _speed(part: xr.Dataset) -> FLOAT:
    return np.asarray(np.hypot(part.v_x.values, part.v_y.values))


def on_grid(data: xr.Dataset, field_of: Callable[[xr.Dataset], FLOAT], group: zarr.Group) -> FLOAT:
    """Return a field of a catalogue item on the cells of the run, bilinearly; NaN beyond it.

    The item may be a hundred times finer than the run: it is read a band of rows at a time.
    """
    x, y = stored.read(group, "x_grid"), stored.read(group, "y_grid")
    found = np.full((len(y), len(x)), np.nan)
    rows = data.y.values
    step = abs(float(rows[1] - rows[0]))
    for first in range(0, len(y), BAND_ROWS):
        band = slice(first, first + BAND_ROWS)
        near = (rows >= y[band].min() - 2.0 * step) & (rows <= y[band].max() + 2.0 * step)
        if near.sum() > 1:
            part = data.isel(y=np.flatnonzero(near))
            source = part.x.values, part.y.values, field_of(part)
            found[band] = regridding.resample(*source, x, y[band])
    return found


def band_bytes(data: xr.Dataset, spacing_m: float) -> int:
    """Return what reading one band of a catalogue item takes [B]."""
    step = abs(float(data.y[1] - data.y[0]))
    rows = int(BAND_ROWS * spacing_m / step) + 5
    return 5 * 8 * rows * int(data.sizes["x"])
