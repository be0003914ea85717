"""How a finished consistency product is told: tables, pictures, catalogue item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines import stored, tables
from pipelines.flows import consistency_rift_tables, consistency_tables, network_results
from pipelines.flows.consistency_arrays import MEASURES, pair_path
from pipelines.flows.consistency_inputs import decimal_year
from pipelines.stored import group_at

if TYPE_CHECKING:
    import zarr

    from pipelines.figures.consistency_changes import Shrunk
    from pipelines.flows.consistency_inputs import ConsistencyFound, Shelf
    from pipelines.lifecycle import Finished
    from pipelines.settings import Run

FLOAT = NDArray[np.float64]
Pair = tuple[int, int]

TITLE = "Agreement and change of ice-shelf damage from year to year in the frame of the ice"


def provenance(run: Run, found: ConsistencyFound) -> dict[str, Any]:
    """Return the attributes that say how the product was made."""
    return {
        **network_results.provenance(run, found.items, title=TITLE),
        "references": "Tang et al. (2026), sections 2.5.2 and 3.2.5",
        "nunatak:region_set": found.region_set,
    }


def tell(finished: Finished, *, run: Run, found: ConsistencyFound) -> None:
    """Write tables, pictures of every shelf and, last, ``item.json``."""
    group = finished.group
    rows = consistency_tables.agreement_rows(group, run, found)
    finished.write("tables/consistency.csv", tables.write_rows(rows))
    if run.choices.changes:
        changed = consistency_tables.change_rows(group, run, found)
        finished.write("tables/changes.csv", tables.write_rows(changed))
    if consistency_rift_tables.is_linked(group, found):
        for name, of in consistency_rift_tables.TABLES.items():
            finished.write(f"tables/{name}.csv", tables.write_rows(of(group, run, found)))
    for shelf in found.shelves:
        for path, data in pictures(group, run, shelf).items():
            finished.write(path, data)
    network_results.publish(
        run, TITLE, items=found.items, sources=found.sources, snapshot=finished.snapshot,
        properties={"shelves": [shelf.id for shelf in found.shelves],
                    "pairs": sum(len(shelf.pairs) for shelf in found.shelves)},
        footprint=_footprint(found),
    )  # fmt: skip


def _footprint(found: ConsistencyFound) -> dict[str, Any] | None:
    """Return the outline of all products of damage maps together."""
    import shapely

    if not found.footprints:
        return None
    shapes = [shapely.geometry.shape(each) for each in found.footprints]
    return dict(shapely.geometry.mapping(shapely.union_all(shapes)))


def pictures(group: zarr.Group, run: Run, shelf: Shelf) -> dict[str, bytes]:
    """Return the pictures of a shelf: all its pairs, and one of them closely."""
    made = {f"figures/{shelf.id}_consistency.png": series(group, shelf)}
    pair = shown_pair(group, shelf)
    if pair is None:
        return made
    name = f"{shelf.id}_{pair[0]}_{pair[1]}"
    made[f"figures/{name}_densities.png"] = densities(group, shelf, pair)
    if run.choices.changes:
        made[f"figures/{name}_changes.png"] = changes(group, shelf, pair)
    return made


def shown_pair(group: zarr.Group, shelf: Shelf) -> Pair | None:
    """Return the pair with most cells in common, the latest of equals; None if none was made."""
    cells = {
        pair: consistency_tables.measures(group, shelf, pair)["yes"]["cells"]
        for pair in shelf.pairs
    }
    known = {pair: count for pair, count in cells.items() if count > 0}
    return max(known, key=lambda pair: (known[pair], pair)) if known else None


def series(group: zarr.Group, shelf: Shelf) -> bytes:
    """Draw how the pairs of a shelf agree; of several with one earlier map, the closest."""
    from pipelines.figures import consistency_series, year_axis

    closest = dict(sorted(shelf.pairs, reverse=True))
    pairs = tuple(sorted(closest.items()))
    held = [stored.read(group_at(group, pair_path(shelf.id, *pair)), "measure")
            for pair in pairs]  # fmt: skip
    measured = np.stack(held)

    def of(name: str, way: int) -> consistency_series.Agreements:
        return consistency_series.Agreements(
            *(measured[:, way, MEASURES.index(f"{name}{end}")] for end in ("", "_lower", "_upper"))
        )

    times = np.array([decimal_year(shelf.maps[shelf.place(s)].time) for s in _ends(pairs)])
    starts, ends = times.reshape(-1, 2).T
    spans = year_axis.Spans(starts, ends, [f"{a}–{b}" for a, b in pairs])
    return consistency_series.drawn(
        spans,
        [(title, of(name, 0), of(name, 1)) for name, title in (
            ("concordance", "Lin's concordance of damage density"),
            ("spearman", "Spearman's rank correlation of damage density"))],
        title=shelf.maps[0].name,
    )  # fmt: skip


def _ends(pairs: tuple[Pair, ...]) -> list[int]:
    return [summer for pair in pairs for summer in pair]


def densities(group: zarr.Group, shelf: Shelf, pair: Pair) -> bytes:
    """Draw the densities of a pair against each other, as they were and carried."""
    from pipelines.figures import consistency_scatter

    held, made = group_at(group, shelf.id), group_at(group, pair_path(shelf.id, *pair))
    was, now = (stored.read(held, "density", shelf.place(summer)) for summer in pair)
    numbers = consistency_tables.measures(group, shelf, pair)
    told = [
        f"concordance {numbers[way]['concordance']:.3f}, Spearman's {numbers[way]['spearman']:.3f}"
        for way in ("no", "yes")
    ]
    return consistency_scatter.drawn(
        was, stored.read(made, "advected"), now, told=(told[0], told[1]),
        title=f"{shelf.maps[0].name}: damage density of cells",
        years=(str(pair[0]), str(pair[1])),
    )  # fmt: skip


def changes(group: zarr.Group, shelf: Shelf, pair: Pair) -> bytes:
    """Draw what became of damage between the maps of a pair."""
    from pipelines.figures import consistency_changes

    sums, _ = consistency_tables.change_sums(group, shelf, pair)
    km2 = {name: value / consistency_tables.M2_PER_KM2 for name, value in sums.items()}
    first, last = consistency_tables.pair_days(group, shelf, pair)
    return consistency_changes.drawn(
        thinned(group, shelf, pair),
        {**km2, "carried": km2["carried_later"]},
        title=f"{shelf.maps[0].name}: damage from {first} to {last}, on the ice of the latter",
    )


def thinned(group: zarr.Group, shelf: Shelf, pair: Pair) -> Shrunk:
    """Return the classes of a pair's changes for a picture, read band by band."""
    from pipelines.figures import consistency_changes

    made = group_at(group, pair_path(shelf.id, *pair))
    grid = shelf.grid
    each = consistency_changes.thinning((grid.ny, grid.nx))
    step = max(1, shelf.maps[0].chunk // each) * each
    bands = [
        consistency_changes.classes_of(
            stored.values(made, "change", slice(top, min(top + step, grid.ny))), each=each
        )
        for top in range(0, grid.ny, step)
    ]
    classes = np.concatenate(bands)
    wide = each * grid.spacing
    rows, columns = ((np.arange(size, dtype=np.float64) + 0.5) * wide for size in classes.shape)
    return consistency_changes.Shrunk(classes, grid.west + columns, grid.north - rows)
