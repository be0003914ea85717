"""How finished damage maps are told: tables, figures, review sheets, released files, the item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipelines import tables
from pipelines.flows import (
    network_results,
    shelf_damage_extents,
    shelf_damage_fractures,
    shelf_damage_judging,
    shelf_damage_tables,
)
from pipelines.flows.shelf_damage_release_names import is_published
from pipelines.stored import group_at

if TYPE_CHECKING:
    from pipelines.flows.shelf_damage_inputs import DamageFound
    from pipelines.lifecycle import Finished
    from pipelines.settings import Run

TITLE = "Yearly maps of surface damage of Antarctic ice shelves"
RELEASE = "release"
"""Folder below the output where maps lie as Tang et al. (2026) release theirs."""


def provenance(run: Run, found: DamageFound) -> dict[str, Any]:
    """Return the attributes that say how the product was made."""
    evaluated = found.evaluated
    return {
        **network_results.provenance(run, found.items, title=TITLE),
        "references": "Tang et al. (2026)",
        "nunatak:region_set": found.region_set,
        "nunatak:weights_sha256": found.weights.sha256,
        "nunatak:uncertainty": {
            "source": evaluated.source,
            **evaluated.errors.to_json(),
            "restoration": [list(pair) for pair in evaluated.errors.restoration],
        },
    }


def tell(finished: Finished, *, run: Run, found: DamageFound) -> None:
    """Write tables, figures, review sheets, released files, and last ``item.json``."""
    from cluster import object_store
    from pipelines.flows import shelf_damage_figures, shelf_damage_release

    rows = list(shelf_damage_tables.shelf_rows(finished.group, run=run, found=found))
    _write_tables(finished, rows, run=run, found=found)
    shelf_damage_figures.write(finished.group, rows, finished.write)
    if run.choices.fractures:
        _draw_fractures(finished, found)
    if run.choices.review:
        _write_review(finished, run=run, found=found)
    if run.choices.release:
        shelf_damage_release.write(finished.group, object_store.join(run.output, RELEASE))
    _publish(finished, run, found, rows)


def _write_tables(
    finished: Finished, rows: list[tables.Row], *, run: Run, found: DamageFound
) -> None:
    group = finished.group
    told = {
        "shelves": rows,
        "unpublished": list(shelf_damage_tables.unpublished_rows(group, run=run, found=found)),
        "scenes": list(shelf_damage_tables.scene_rows(group, run=run, found=found)),
    }
    if run.choices.fractures:
        told["fractures"] = [
            row for summer in found.summers if is_published(group_at(group, summer.path))
            for row in shelf_damage_fractures.rows(group, run, summer.shelf, summer.summer)
        ]  # fmt: skip
    for name, found_rows in told.items():
        finished.write(f"tables/{name}.csv", tables.write_rows(found_rows))


def _draw_fractures(finished: Finished, found: DamageFound) -> None:
    from pipelines.flows import shelf_damage_roses

    for shelf in found.shelves:
        summers = [
            summer.summer for summer in found.summers
            if summer.shelf == shelf and is_published(group_at(finished.group, summer.path))
        ]  # fmt: skip
        picture = shelf_damage_roses.drawn(finished.group, shelf, summers)
        if picture is not None:
            finished.write(f"figures/{shelf}_fractures.png", picture)


def _write_review(finished: Finished, *, run: Run, found: DamageFound) -> None:
    from pipelines.flows import shelf_damage_review

    reasons, left_out = {}, {}
    for summer in found.summers:
        made = group_at(finished.group, summer.path)
        at = (summer.shelf, summer.summer)
        reasons[at] = shelf_damage_judging.unpublished(made, run.choices)
        left_out[at] = shelf_damage_extents.dropped(run.choices.overrides, summer.path)
    scenes = found.scenes.open() if found.scenes is not None else None
    shelf_damage_review.write(
        finished.group, finished.write, reasons=reasons, dropped=left_out,
        picture=shelf_damage_review.quicklooks(scenes) if scenes is not None else None,
    )  # fmt: skip


def _publish(finished: Finished, run: Run, found: DamageFound, rows: list[tables.Row]) -> None:
    published = [row for row in rows if row.quantity == "shelf_area"]
    network_results.publish(
        run, TITLE, items=found.items, sources=found.sources, snapshot=finished.snapshot,
        properties={"shelves": list(found.shelves), "summers": len(found.summers),
                    "published": len(published),
                    "segmenter_sha256": found.weights.sha256},
        footprint=found.footprint or None,
    )  # fmt: skip
