"""How finished scenes are told: a table, a sheet to review each summer, items, the search."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from cluster import object_store
from pipelines import settings, stored, tables
from pipelines.flows import catalogue_inputs, product_results
from pipelines.flows.scenes_arrays import GAP_QUANTITIES, GAP_SOURCES, SCORES, Layout
from pipelines.flows.scenes_story import Story, story
from pipelines.lifecycle import Finished
from stac import grids, landsat_search, scene_items, shelf_collections
from stac import publish as publishing

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.scenes_inputs import ScenesFound
    from pipelines.settings import Run

TITLE = "Landsat scenes of ice shelves, chosen by summer"


def provenance(run: Run, found: ScenesFound) -> dict[str, Any]:
    """Return the attributes that say how the product was made; granules stand in their summers."""
    listed = [item for item in found.items if item.role != "landsat"]
    return {
        **product_results.provenance(run, listed, title=TITLE),
        "references": "Tang et al. (2026), sections 2.1.3 and 2.4.1",
        "nunatak:shelves": {name: region.name for name, region in found.regions.items()},
    }


def tell(finished: Finished, *, run: Run, found: ScenesFound, layout: Layout) -> None:
    """Write table, review sheets, items of scenes, ROIs, the search, and last ``item.json``."""
    from pipelines.flows import scenes_figures
    from pipelines.flows.scenes import rules_of

    rules = rules_of(run, found)
    stories = [story(finished.group, summer, layout, rules) for summer in layout.summers]
    for told in stories:
        for scene in stored_scenes(finished.group, told, found):
            finished.write(scene.path, scene_items.document(scene))
        if told.summer.scenes:
            pictures = scenes_figures.of_summer(
                finished.group, told, found, layout, reject=rules.reject
            )
            for path, data in pictures.items():
                finished.write(path, data)
    rows = [row for told in stories for row in summer_rows(run, told)]
    reviews = [review_text(told) for told in stories if told.summer.scenes]
    finished.write("figures/overview.png", scenes_figures.overview(stories, found))
    finished.write("tables/scenes.csv", tables.write_rows(rows))
    finished.write("review.yaml", _REVIEW_HEAD.encode() + "".join(reviews).encode())
    finished.write("search.json", landsat_search.record(found.search))
    shelf_collections.write_roi_collection(found.regions, object_store.join(run.output, "rois"))
    _publish(run, found, finished.snapshot, sum(len(told.places) for told in stories))


def _publish(run: Run, found: ScenesFound, snapshot: str, chosen: int) -> None:
    union = shapely.union_all([region.roi for region in found.regions.values()])
    product = publishing.Product(
        name=run.product,
        title=TITLE,
        run_id=settings.run_id(run, catalogue_inputs.identity(found.items)),
        period=(run.period[0].isoformat(), run.period[1].isoformat()),
        lineage=settings.resolved(run),
        footprint=grids.footprint(union),
        code=grids.POLAR,
        properties={"snapshot": snapshot, "scenes": chosen, "shelves": list(found.regions)},
    )
    item = publishing.product_item(run.output, product, inputs=found.sources)
    publishing.publish(item, run.output)


def summer_rows(run: Run, told: Story) -> Iterator[tables.Row]:
    """Yield what a summer's candidates show, and what the chosen ones cover."""
    shelf, year = told.summer.shelf, told.summer.year
    span = told.summer.days
    for i, scene in enumerate(told.judged.scenes):
        scores = dict(zip(SCORES, map(float, told.judged.scores[i]), strict=True))
        note = (
            f"summer={year};scene={scene.label};platform={scene.platforms};"
            f"rows={scene.paths};chosen={int(i in told.places)};{told.reason(i).replace(';', ',')}"
        )
        day = scene.granules[0].moment.date()
        for name in ("valid", "valid_fast", "cloud", "gap", "saturated"):
            if math.isfinite(scores[name]):
                yield product_results.row(
                    run, f"{name}_fraction", shelf, scores[name],
                    _sampling(scores[name], told.cells), unit="1", note=note, days=(day, day),
                )  # fmt: skip
    note = f"summer={year};scenes={len(told.places)};candidates={len(told.judged.scenes)}"
    yield product_results.row(
        run, "covered_fraction", shelf, told.covered, _sampling(told.covered, told.cells),
        unit="1", note=note, days=span,
    )  # fmt: skip
    if told.places:
        yield product_results.row(
            run, "time_spread", shelf, told.spread_days, 0.0, unit="d", note=note, days=span
        )


def _sampling(fraction: float, cells: int) -> float:
    """Return the standard deviation of a fraction of pixels told from one in each cell [1].

    √(p (1 − p) / n): that of pixels drawn at random, an upper bound for those on a grid.
    """
    return math.sqrt(max(fraction * (1.0 - fraction), 0.0) / max(cells, 1))


_REVIEW_HEAD = """\
# What was chosen, and what there was to choose from. To decide otherwise, copy a list entry to
# `scenes.overrides` of the run file, give a reason, and run again: that summer is done anew.
# `use` is the whole set; leave it empty and name scenes under `drop` for the rule to choose again.
overrides:
"""


def review_text(told: Story) -> str:
    """Return a summer as an entry of ``scenes.overrides``, every candidate as a comment."""
    labels = ", ".join(told.judged.scenes[i].label for i in told.places)
    why = f"chosen by rule, {100.0 * told.covered:.1f} % of the ROI shown"
    if told.override is not None:
        labels, why = ", ".join(told.override.use), told.override.reason
    lines = [
        f"  - shelf: {told.summer.shelf}",
        f"    summer: {told.summer.year}",
        f"    use: [{labels}]",
        f"    drop: [{', '.join(told.override.drop) if told.override else ''}]",
        f"    reason: {json.dumps(why, ensure_ascii=False)}",
    ]
    lines += [
        f"    # {scene.label:<11} {scene.platforms:<10} {told.reason(i)}"
        for i, scene in enumerate(told.judged.scenes)
    ]
    return "\n".join(lines) + "\n"


def stored_scenes(
    group: zarr.Group, told: Story, found: ScenesFound
) -> Iterator[scene_items.StoredScene]:
    """Yield the stored scenes of a summer as their items tell them."""
    made = stored.group_at(group, told.summer.path)
    region = found.regions[told.summer.shelf]
    for candidate, place in told.places.items():
        scene = told.judged.scenes[candidate]
        yield scene_items.StoredScene(
            shelf=told.summer.shelf,
            label=scene.label,
            summer=told.summer.year,
            place=place,
            granules=scene.granules,
            grid=region.grid,
            footprint=region.footprint,
            properties={
                **_finite(dict(zip(SCORES, told.judged.scores[candidate].tolist(), strict=True))),
                **_gaps(stored.values(made, "gap_record", place)),
                "level": scene.granules[0].level,
                "why": told.reason(candidate),
            },
        )


def _finite(numbers: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 6) for name, value in numbers.items() if math.isfinite(value)}


def _gaps(record: np.ndarray) -> dict[str, Any]:
    told = dict(zip(GAP_QUANTITIES, record.tolist(), strict=True))
    source = GAP_SOURCES[int(told.pop("source"))]
    numbers = {f"gap_{name}": value for name, value in told.items()}
    return {**_finite(numbers), "gap_source": source}
