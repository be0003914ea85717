"""Years of ice flow and months of snow over the common period."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import KeyFailed
from pipelines import stored
from pipelines.flows.product_arrays import labels_of
from pipelines.kernels.comparison import alignment
from pipelines.kernels.constants import DAYS_PER_YEAR

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.comparison_inputs import Ground

FLOAT = NDArray[np.float64]
DATES = NDArray[np.datetime64]


@dataclass(frozen=True)
class Calendar:
    """Years and months of a budget, as the comparison takes them."""

    start: DATES
    end: DATES
    months: DATES
    period: tuple[np.datetime64, np.datetime64]
    reading: alignment.Reading

    def year_weights(self) -> FLOAT:
        """Return what each year counts, every day of the period taking the nearest, (year,)."""
        return alignment.interval_weights(*self._nearest(), self.period, reading=self.reading)

    def elapsed(self, ends: DATES) -> FLOAT:
        """Return the time since the period began that is of each year, (end, year) [yr]."""
        start, end = self._nearest()
        first = self.period[0]
        spent = np.minimum(ends[:, None], end) - np.maximum(first, start)
        return np.maximum(spent.astype(np.float64), 0.0) / DAYS_PER_YEAR

    def month_weights(self) -> FLOAT:
        """Return what the rate of each month counts, (month,)."""
        days = self.months.astype("datetime64[D]"), (self.months + 1).astype("datetime64[D]")
        return alignment.interval_weights(*days, self.period, reading=self.reading)

    def covered(self) -> float:
        """Return the share of the period that years of velocity cover."""
        return alignment.covered_share(self.start, self.end, self.period)

    def _nearest(self) -> tuple[DATES, DATES]:
        return alignment.nearest_intervals(self.start, self.end, self.period)


def calendar_of(product: zarr.Group, ground: Ground, reading: alignment.Reading) -> Calendar:
    """Return the calendar of a mass-budget product over the common period.

    Raises
    ------
    KeyFailed
        Years of velocity that overlap: a day in both has no nearest one.
    """
    start, end = (
        stored.values(product, name).astype("datetime64[D]") for name in ("year_start", "year_end")
    )
    _require_disjoint(labels_of(product, "year"), start, end)
    first, after = ground.period
    months = np.arange(first.astype("datetime64[M]"), (after - 1).astype("datetime64[M]") + 1)
    return Calendar(start, end, months, ground.period, reading)


def _require_disjoint(names: tuple[str, ...], start: DATES, end: DATES) -> None:
    """Refuse years, in order of their first days, of which two have a day in common."""
    for i in np.flatnonzero(start[1:] < end[:-1]):
        one, other = (f"{names[n]} ({start[n]} to {end[n] - 1})" for n in (i, i + 1))
        msg = (
            f"its years of velocity {one} and {other} overlap, so days in both have no nearest "
            "year; run mass_budget again with maps of years that follow each other, naming them "
            "as inputs.velocity: COLLECTION/ITEM"
        )
        raise KeyFailed(msg)
