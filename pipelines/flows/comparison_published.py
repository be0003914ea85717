"""Rates that others published, on the common ground: the period is matched, the mask cannot be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import KeyFailed, Receipt
from pipelines.flows.comparison_masks import row_matrix
from pipelines.flows.comparison_sums import MethodSum, centred, months_in, straight
from pipelines.flows.product_arrays import labels_of
from pipelines.kernels.comparison import alignment
from pipelines.kernels.constants import DAYS_PER_YEAR, KG_PER_GT
from pipelines.published_masses import rate_sigma
from stac import boundaries

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.comparison_inputs import Ground, Method
    from pipelines.published_rates import Interval

FLOAT = NDArray[np.float64]
DATES = NDArray[np.datetime64]

MOST_APART = 0.2
"""Part of an area by which one and the same basin may differ between outlines; masks of shelves and
islands make a few per cent."""

NOTHING = (float("nan"), float("nan"), 0.0)


@dataclass(frozen=True)
class PublishedJob:
    """``sum/NAME``: rates as they were printed, those of the period weighed by overlap.

    Printed errors of neighbouring intervals are taken as one error: they add as they are. Errors
    of masses are those of the period's change, see :mod:`pipelines.published_masses`.
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
        curves = zip(rows, rate, strict=True)
        mass = np.stack([self._curve(row, each, months) for row, each in curves])
        rate, sigma, mass = KG_PER_GT * rate, KG_PER_GT * sigma, KG_PER_GT * mass
        _, spread = straight(rate, sigma, months)
        MethodSum(
            rate, np.diag(sigma**2), covered, centred(mass), np.where(np.isnan(mass), mass, spread)
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
        weights = self._weights(start, end)
        total = float(weights.sum())
        if not total > 0.0:
            return NOTHING
        value = sum(w * each.value for w, each in zip(weights, held, strict=True)) / total
        covered = alignment.covered_share(start, end, self.ground.period)
        return float(value), self._sigma(row, held, weights) / total, min(1.0, covered)

    def _sigma(self, row: str, held: list[Interval], weights: FLOAT) -> float:
        """Return the standard deviation of Σ w r: of printed rates one error, of masses theirs."""
        sigma, taken = 0.0, np.zeros(len(held), dtype=bool)
        for masses in self.method.series.masses if self.method.series else ():
            if masses.region == row:
                days = np.array(masses.days, dtype="datetime64[D]")
                sigma += rate_sigma(masses, self._weights(days[:-1], days[1:]))
                taken |= [days[0] <= np.datetime64(each.first) < days[-1] for each in held]
        counted = zip(weights, held, taken, strict=True)
        return float(
            sigma + sum(w * each.sigma for w, each, done in counted if w > 0.0 and not done)
        )

    def _weights(self, start: DATES, end: DATES) -> FLOAT:
        return alignment.interval_weights(start, end, self.ground.period, reading=self.reading)

    def _curve(self, row: str, rate: float, months: NDArray[np.datetime64]) -> FLOAT:
        """Return the mass of a region by months beside its mean, (month,) [Gt].

        The sum of the rates of each day; days without one have the rate of the period [Gt yr⁻¹],
        and months whose middle is such a day are NaN.
        """
        first = months[0].astype("datetime64[D]")
        day = np.arange(first, (months[-1] + 1).astype("datetime64[D]"))
        daily, known = np.full(len(day), rate), np.zeros(len(day), dtype=bool)
        for each in self._intervals():
            if each.region == row:
                within = (day >= np.datetime64(each.first)) & (day < np.datetime64(each.after))
                daily[within], known[within] = each.value, True
        since = np.append(0.0, np.cumsum(daily)) / DAYS_PER_YEAR
        edges = np.append(months, months[-1] + 1).astype("datetime64[D]")
        middle = 0.5 * (edges[:-1] - first + (edges[1:] - first)).astype(np.float64)
        mass = np.interp(middle, np.arange(len(since)), since)
        measured = known[middle.astype(np.int64)] & np.isfinite(rate)
        return np.where(measured, mass, np.nan)

    def _intervals(self) -> tuple[Interval, ...]:
        return self.method.series.intervals if self.method.series else ()
