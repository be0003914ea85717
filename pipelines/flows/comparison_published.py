"""Rates that others published, on the common ground: the period is matched, the mask cannot be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cluster.ledger import KeyFailed, Receipt
from pipelines.flows.comparison_masks import row_matrix
from pipelines.flows.comparison_sums import MethodSum, months_in, straight
from pipelines.flows.product_arrays import labels_of
from pipelines.kernels.comparison import alignment
from pipelines.kernels.constants import KG_PER_GT
from stac import boundaries

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.comparison_inputs import Ground, Method
    from pipelines.published_rates import Interval

MOST_APART = 0.2
"""Part of an area by which one and the same basin may differ between outlines; masks of shelves and
islands make a few per cent."""

NOTHING = (float("nan"), float("nan"), 0.0)


@dataclass(frozen=True)
class PublishedJob:
    """``sum/NAME``: rates as they were printed, those of the period weighed by overlap.

    Printed errors of neighbouring intervals are taken as one error: they add as they are.
    """

    method: Method
    ground: Ground
    reading: alignment.Reading

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write the slot of the method."""
        rows = labels_of(group, "row")
        found = [self._row(row) for row in rows]
        rate, sigma, covered = (np.array(each) for each in zip(*found, strict=True))
        other = self._other_ice(rows)
        rate[[rows.index(row) for row in other]] = np.nan
        if not np.isfinite(rate).any():
            msg = (
                f"{self.method.name}: has no rate of {', '.join(rows[:5])} … between "
                f"{self.ground.first} and {self.ground.last}; are its regions others?"
            )
            raise KeyFailed(msg)
        months = months_in(group)
        rate, sigma = KG_PER_GT * rate, KG_PER_GT * sigma
        MethodSum(
            rate, np.diag(sigma**2), covered, *straight(rate, sigma, months)
        ).write(group, self.method.name)  # fmt: skip
        note = "on the mask that it was printed for"
        if other:
            told = ", ".join(f"{row} ({a:,.0f} for {b:,.0f} km²)" for row, (a, b) in other.items())
            note += f"; left out, for their areas are of other ice: {told}"
        return Receipt(key, "done", note=note)

    def _other_ice(self, rows: tuple[str, ...]) -> dict[str, tuple[float, float]]:
        """Return the rows whose printed area is not that of the common region, both [km²].

        Sets of basins share numbers: basin 12 of one is not that of another.
        """
        printed = dict(self.method.series.areas) if self.method.series else {}
        if not printed:
            return {}
        polygons = self.ground.polygons()
        own = [boundaries.geodesic_area_km2(shape) for shape in polygons.geometry]
        areas = dict(zip(rows, row_matrix(polygons) @ np.array(own), strict=True))
        return {
            row: (printed[row], area)
            for row, area in areas.items()
            if row in printed and abs(printed[row] - area) > MOST_APART * area
        }

    def _row(self, row: str) -> tuple[float, float, float]:
        """Return rate and standard deviation of a region [Gt yr⁻¹], and how much is covered."""
        held = [each for each in self._intervals() if each.region == row]
        if not held:
            return NOTHING
        start = np.array([each.first for each in held], dtype="datetime64[D]")
        end = np.array([each.after for each in held], dtype="datetime64[D]")
        weights = alignment.interval_weights(start, end, self.ground.period, reading=self.reading)
        total = float(weights.sum())
        counted = [(w / total, each) for w, each in zip(weights, held, strict=True) if w > 0.0]
        if not counted:
            return NOTHING
        value = sum(weight * each.value for weight, each in counted)
        sigma = sum(weight * each.sigma for weight, each in counted)
        return float(value), float(sigma), min(1.0, total)

    def _intervals(self) -> tuple[Interval, ...]:
        return self.method.series.intervals if self.method.series else ()
