"""Rows on fractures through the years: how many last, how they grow, and the history of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines import stored, tables
from pipelines.flows.consistency_arrays import pair_path
from pipelines.flows.consistency_inputs import decimal_year
from pipelines.flows.consistency_rifts import (
    KINDS,
    MERGED,
    QUANTITIES,
    RECORD,
    SAME,
    SPLIT,
)
from pipelines.flows.consistency_tables import days, pair_days
from pipelines.kernels.damage import fracture_links
from pipelines.kernels.damage.fracture_links import Links
from pipelines.stored import group_at

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.consistency_inputs import ConsistencyFound, Shelf
    from pipelines.settings import Run

FLOAT = NDArray[np.float64]
INDEX = NDArray[np.intp]

RIFT_KM = 2.0
"""Length of a fracture, in one year of a pair at least, from which on it is called a rift [km]."""


def links_of(group: zarr.Group, shelf: str, pair: tuple[int, int]) -> dict[str, FLOAT] | None:
    """Return the links of a pair by quantity; None if it was not linked."""
    made = group_at(group, pair_path(shelf, *pair))
    if "link" not in made or np.isnan(stored.read(made, "link_record")).any():
        return None
    table = stored.read(made, "link")
    table = table[np.isfinite(table[:, 0])]
    return {name: table[:, k] for k, name in enumerate(QUANTITIES)}


def counts_of(group: zarr.Group, shelf: str, pair: tuple[int, int]) -> tuple[int, int]:
    """Return how many fractures both summers of a linked pair have."""
    held = stored.read(group_at(group, pair_path(shelf, *pair)), "link_record")
    earlier, later = (int(held[RECORD.index(name)]) for name in ("earlier_count", "later_count"))
    return earlier, later


def rows(group: zarr.Group, run: Run, found: ConsistencyFound) -> Iterator[tables.Row]:
    """Yield how many rifts of each pair lasted, came and went, and how fast those grew that lasted.

    Growth is the sum over the rifts that lasted, of new length in a year; its uncertainty is what
    their differences leave of such a sum, √n times their standard deviation. A pair that was not
    linked has NaN.
    """
    for shelf in found.shelves:
        for pair in shelf.pairs:
            links = links_of(group, shelf.id, pair)
            span = pair_days(group, shelf, pair)
            note = f"pair={pair[0]}-{pair[1]};least_km={RIFT_KM:g}"
            told = _no_numbers() if links is None else _numbers(links, _years(group, shelf, pair))
            for name, (value, sigma, unit, more) in told.items():
                yield tables.Row(
                    run.product, name, found.region_set, shelf.id, *span, float(value), sigma, unit,
                    note + more,
                )  # fmt: skip


Told = dict[str, tuple[float, float, str, str]]


def _no_numbers() -> Told:
    units = {"rifts_continued": "1", "rifts_new": "1", "rifts_gone": "1",
             "rift_growth": "km yr-1"}  # fmt: skip
    return {name: (np.nan, np.nan, unit, ";reason=not_linked") for name, unit in units.items()}


def _numbers(links: dict[str, FLOAT], years: float) -> Told:
    """Return value, uncertainty, unit and note of each quantity."""
    before, after = links["earlier_length_m"] / 1000.0, links["later_length_m"] / 1000.0
    long = np.fmax(before, after) >= RIFT_KM
    counts = {kind: int((long & (links["kind"] == k)).sum()) for k, kind in enumerate(KINDS)}
    kept = long & (links["kind"] == SAME)
    growth = (after - before)[kept] / years
    sigma = float(np.sqrt(growth.size) * growth.std(ddof=1)) if growth.size > 1 else np.nan
    middle = f";median={np.median(growth):.6g}" if growth.size else ""
    unseen = f";unseen={counts['unseen']}"
    return {
        "rifts_continued": (counts["same"], np.nan, "1", f";merged={counts['merged']}"),
        "rifts_new": (counts["new"], np.nan, "1", f";split={counts['split']}{unseen}"),
        "rifts_gone": (counts["gone"], np.nan, "1", unseen),
        "rift_growth": (float(growth.sum()), sigma, "km yr-1",
                        f";rifts={growth.size};years={years:.4g}{middle}"),
    }  # fmt: skip


def _years(group: zarr.Group, shelf: Shelf, pair: tuple[int, int]) -> float:
    times = stored.read(group_at(group, shelf.id), "time")
    first, last = (decimal_year(float(times[shelf.place(summer)])) for summer in pair)
    return last - first


def identities(group: zarr.Group, shelf: Shelf) -> dict[int, INDEX]:
    """Return the identity of each label of each summer that was linked; 0 of label 0.

    A summer is linked to the nearest earlier one that it was compared with. One that was linked to
    none begins anew.
    """
    linked = [pair for pair in shelf.pairs if links_of(group, shelf.id, pair) is not None]
    counts: dict[int, int] = {}
    for pair in linked:
        counts |= dict(zip(pair, counts_of(group, shelf.id, pair), strict=True))
    made: dict[int, INDEX] = {}
    following = 1
    for summer in sorted(counts):
        earlier = [a for a, b in linked if b == summer]
        if earlier:
            links = _stored_links(group, shelf.id, (max(earlier), summer))
            made[summer], following = fracture_links.kept_identities(
                links, made[max(earlier)], following=following
            )
        else:
            new = following + np.arange(counts[summer])
            made[summer], following = np.concatenate([[0], new]), following + counts[summer]
    return made


def _stored_links(group: zarr.Group, shelf: str, pair: tuple[int, int]) -> Links:
    """Return the links of a pair as the kernels hold them."""
    held = links_of(group, shelf, pair) or {}
    earlier_count, later_count = counts_of(group, shelf, pair)
    earlier, later = (held[name].astype(np.intp) for name in ("earlier", "later"))
    same, split, merged = (held["kind"] == kind for kind in (SAME, SPLIT, MERGED))
    parent, heir = np.zeros(later_count + 1, np.intp), np.zeros(earlier_count + 1, np.intp)
    parent[later[split]] = earlier[split]
    heir[earlier[merged]] = later[merged]
    pairs = np.stack([earlier[same], later[same]], axis=1)
    return Links(pairs, held["share"][same], parent, heir)


def track_rows(group: zarr.Group, run: Run, found: ConsistencyFound) -> Iterator[tables.Row]:
    """Yield the length of each rift in each summer, by an identity that lasts through the series.

    Only identities of rifts: fractures as long as one in some summer.
    """
    for shelf in found.shelves:
        held = days(group, shelf)
        identity = identities(group, shelf)
        seen = _seen(group, shelf)
        longest: dict[int, float] = {}
        for summer, labels in seen.items():
            for label, (length, _, _) in labels.items():
                number = int(identity[summer][label])
                longest[number] = max(longest.get(number, 0.0), length)
        for summer, labels in sorted(seen.items()):
            day = held[shelf.place(summer)]
            for label, (length, x, y) in sorted(labels.items()):
                number = int(identity[summer][label])
                if longest[number] >= RIFT_KM:
                    note = f"identity={number};summer={summer};label={label}"
                    note += f";x_km={x / 1e3:.2f};y_km={y / 1e3:.2f}"
                    yield tables.Row(
                        run.product, "rift_length", found.region_set, shelf.id, day, day, length,
                        np.nan, "km", note,
                    )  # fmt: skip


def _seen(group: zarr.Group, shelf: Shelf) -> dict[int, dict[int, tuple[float, float, float]]]:
    """Return length [km] and place [m] of every label of every linked summer."""
    made: dict[int, dict[int, tuple[float, float, float]]] = {}
    for pair in shelf.pairs:
        links = links_of(group, shelf.id, pair)
        if links is None:
            continue
        for end, summer in zip(("earlier", "later"), pair, strict=True):
            told = (links[f"{end}_{name}_m"] for name in ("length", "x", "y"))
            numbers = zip(links[end].tolist(), *(each.tolist() for each in told), strict=True)
            labels = made.setdefault(summer, {})
            for label, length, x, y in numbers:
                if label > 0:
                    labels[int(label)] = (length / 1000.0, x, y)
    return made


def is_linked(group: zarr.Group, found: ConsistencyFound) -> bool:
    """Return whether some pair was to be linked, so that there are tables of rifts."""
    return any(
        "link" in group_at(group, pair_path(shelf.id, *pair))
        for shelf in found.shelves
        for pair in shelf.pairs
    )


TABLES = {"rifts": rows, "rift_tracks": track_rows}
"""What makes the rows of each table."""
