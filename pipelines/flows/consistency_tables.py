"""Rows of a consistency product: agreement of pairs with medians, and areas of changes."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines import stored, tables
from pipelines.flows.consistency_arrays import ADVECTION, AREAS, MEASURES, pair_path
from pipelines.kernels.constants import SECONDS_PER_DAY
from pipelines.kernels.damage.agreement import Agreement, median_agreement
from pipelines.stored import group_at

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.consistency_inputs import ConsistencyFound, Shelf
    from pipelines.settings import Run

FLOAT = NDArray[np.float64]
Days = tuple[dt.date, dt.date]

QUANTITIES = {"spearman": "rank_correlation", "concordance": "concordance", "rmse": "rmse"}
"""Quantities of the table, with what the kernels call them."""
TOLD_AREAS = {
    "damage_gained": "gained", "damage_lost": "lost", "damage_carried": "carried_later",
    "damage_left": "left", "damage_entered": "entered",
}  # fmt: skip
"""Quantities of the table of changes, with the sums that they are."""
M2_PER_KM2 = 1e6


def day_of(seconds: float) -> dt.date:
    """Return the day of a time.

    >>> day_of(86_400.0 * 365)
    datetime.date(1971, 1, 1)
    """
    return dt.date(1970, 1, 1) + dt.timedelta(days=int(seconds // SECONDS_PER_DAY))


def days(group: zarr.Group, shelf: Shelf) -> list[dt.date]:
    """Return the mean days of a shelf's maps; of one that was not counted, that of its scenes."""
    times = stored.read(group_at(group, shelf.id), "time")
    return [
        day_of(made.time if math.isnan(time) else time)
        for made, time in zip(shelf.maps, times, strict=True)
    ]


def pair_days(group: zarr.Group, shelf: Shelf, pair: tuple[int, int]) -> Days:
    """Return the days of the two maps of a pair."""
    all_days = days(group, shelf)
    first, last = (all_days[shelf.place(summer)] for summer in pair)
    return first, last


def measures(group: zarr.Group, shelf: Shelf, pair: tuple[int, int]) -> dict[str, dict[str, float]]:
    """Return the numbers of a pair by ``yes`` and ``no`` of advection, then by name."""
    held = stored.read(group_at(group, pair_path(shelf.id, *pair)), "measure")
    return {
        way: dict(zip(MEASURES, (float(value) for value in row), strict=True))
        for way, row in zip(ADVECTION, held, strict=True)
    }


def agreement_rows(group: zarr.Group, run: Run, found: ConsistencyFound) -> Iterator[tables.Row]:
    """Yield the agreement of every pair, the medians of every shelf, and those of all."""
    every: dict[str, list[Agreement]] = {way: [] for way in ADVECTION}
    spans: list[Days] = []
    for shelf in found.shelves:
        of_shelf: dict[str, list[Agreement]] = {way: [] for way in ADVECTION}
        for pair in shelf.pairs:
            span = pair_days(group, shelf, pair)
            for way, numbers in measures(group, shelf, pair).items():
                yield from _pair_rows(run, found, shelf, pair, span, way, numbers)
                of_shelf[way].append(_agreement(numbers))
        held = days(group, shelf)
        spans.append((held[0], held[-1]))
        yield from _median_rows(run, found, shelf.id, spans[-1], of_shelf)
        for way in ADVECTION:
            every[way] += of_shelf[way]
    span = (min(first for first, _ in spans), max(last for _, last in spans))
    yield from _median_rows(run, found, "all", span, every)


def _pair_rows(
    run: Run, found: ConsistencyFound, shelf: Shelf, pair: tuple[int, int], span: Days,
    way: str, numbers: dict[str, float],
) -> Iterator[tables.Row]:  # fmt: skip
    """Yield the three numbers of a pair, one way."""
    cells = "" if math.isnan(numbers["cells"]) else f";cells={numbers['cells']:.0f}"
    note = f"advection={way};pair={pair[0]}-{pair[1]}{cells}"
    for name in QUANTITIES:
        value = numbers[name]
        low, high = (numbers.get(f"{name}_{end}", math.nan) for end in ("lower", "upper"))
        more = f";lower={low:.6g};upper={high:.6g}" if math.isfinite(high - low) else ""
        if name == "spearman" and math.isfinite(numbers["spearman_printed"]):
            more += f";equation_10={numbers['spearman_printed']:.6g}"
        own = numbers[f"{name}_own"]
        if math.isfinite(own):
            more += f";own_cells={numbers['cells_own']:.0f};on_own_cells={own:.6g}"
        if math.isnan(value):
            more += f";reason={_reason(run, numbers)}"
        yield _row(run, found, name, shelf.id, span, value, (high - low) / 2.0, "1", note + more)


def _reason(run: Run, numbers: dict[str, float]) -> str:
    if math.isnan(numbers["cells"]):
        return "not_done"
    return "few_cells" if numbers["cells"] < run.choices.least_cells else "constant_map"


def _agreement(numbers: dict[str, float]) -> Agreement:
    """Return the numbers of a pair as the kernels hold them."""
    return Agreement(
        rank_correlation=numbers["spearman"],
        printed_rank_correlation=numbers["spearman_printed"],
        concordance=numbers["concordance"],
        rmse=numbers["rmse"],
        bias=numbers["bias"],
        n=0 if math.isnan(numbers["cells"]) else int(numbers["cells"]),
        reason="undefined" if any(math.isnan(numbers[name]) for name in QUANTITIES) else "",
    )


def _median_rows(
    run: Run, found: ConsistencyFound, region: str, span: Days,
    pairs: dict[str, list[Agreement]],
) -> Iterator[tables.Row]:  # fmt: skip
    """Yield the medians over pairs, as tables 6 and 7 of the paper."""
    for way, agreements in pairs.items():
        middle = median_agreement(agreements)
        note = f"advection={way};median=pairs;pairs={middle.pairs};undefined={middle.undefined}"
        for name, held in QUANTITIES.items():
            value = float(getattr(middle, held))
            yield _row(run, found, name, region, span, value, math.nan, "1", note)


def change_rows(group: zarr.Group, run: Run, found: ConsistencyFound) -> Iterator[tables.Row]:
    """Yield what was gained, lost and carried between the maps of every pair."""
    for shelf in found.shelves:
        for pair in shelf.pairs:
            span = pair_days(group, shelf, pair)
            sums, missing = change_sums(group, shelf, pair)
            note = f"pair={pair[0]}-{pair[1]};tolerance_px={run.choices.tolerance_px:g}"
            if missing:
                note += f";blocks_missing={missing}"
            for name, of in TOLD_AREAS.items():
                more = ""
                if name == "damage_carried":
                    more = f";on_the_earlier_map={sums['carried_earlier'] / M2_PER_KM2:.6g}"
                value = sums[of] / M2_PER_KM2
                yield _row(run, found, name, shelf.id, span, value, math.nan, "km2", note + more)


def change_sums(
    group: zarr.Group, shelf: Shelf, pair: tuple[int, int]
) -> tuple[dict[str, float], int]:
    """Return the areas of a pair's changes [m²], and how many blocks are missing."""
    held = stored.read(group_at(group, pair_path(shelf.id, *pair)), "areas")
    missing = int(np.isnan(held[..., 0]).sum())
    if missing == held[..., 0].size:
        return dict.fromkeys(AREAS, math.nan), missing
    return dict(zip(AREAS, np.nansum(held, axis=(0, 1)).tolist(), strict=True)), missing


def _row(
    run: Run, found: ConsistencyFound, quantity: str, region: str, span: Sequence[dt.date],
    value: float, uncertainty: float, unit: str, note: str,
) -> tables.Row:  # fmt: skip
    return tables.Row(
        run.product, quantity, found.region_set, region, span[0], span[1],
        value, uncertainty, unit, note,
    )  # fmt: skip
