"""Pictures of chosen scenes: a sheet for each summer, what it shows, all summers on a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import shapely

from pipelines import stored
from pipelines.figures import review_sheet, scene_coverage, scene_mosaic
from pipelines.flows.scenes_arrays import SCORES, Layout
from pipelines.flows.scenes_story import Story

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.scenes_inputs import ScenesFound


def of_summer(
    group: zarr.Group, told: Story, found: ScenesFound, layout: Layout, *, reject: int
) -> dict[str, bytes]:
    """Return the pictures of a summer by path: the sheet to review, and what the scenes show."""
    stem = f"figures/{told.summer.shelf}_{told.summer.year}"
    drawn = {f"{stem}_review.png": sheet(group, told, found, layout, reject=reject)}
    if told.places:
        drawn[f"{stem}.png"] = mosaic(group, told, found, layout)
    return drawn


def mosaic(group: zarr.Group, told: Story, found: ScenesFound, layout: Layout) -> bytes:
    """Return what the chosen scenes of a summer show, at the screening's spacing."""
    made = stored.group_at(group, told.summer.path)
    screen, region = layout.screen(told.summer.shelf), found.regions[told.summer.shelf]
    chosen = [told.judged.scenes[i] for i in told.places]
    return scene_mosaic.mosaic(
        np.stack([stored.values(made, "quicklook", i) for i in told.places]),
        _by_order(stored.values(made, "supplier"), told),
        screen.x,
        screen.y,
        title=f"{region.name}, summer {_name(told.summer.year)}",
        labels=[f"{scene.label} {scene.platforms}" for scene in chosen],
        outlines=[*_rings(region.outline), *_rings(region.roi)],
    )


def overview(stories: Sequence[Story], found: ScenesFound) -> bytes:
    """Return one page of all shelves and summers: what is shown, and by how many scenes."""
    shelves = list(found.regions)
    summers = sorted({told.summer.year for told in stories})
    shape = (len(shelves), len(summers))
    shown, scenes, candidates = np.full(shape, np.nan), np.zeros(shape, int), np.zeros(shape, int)
    platforms = [["" for _ in summers] for _ in shelves]
    for told in stories:
        at = shelves.index(told.summer.shelf), summers.index(told.summer.year)
        shown[at], scenes[at] = told.covered, len(told.places)
        candidates[at] = len(told.judged.scenes)
        flown = {told.judged.scenes[i].platforms[-1] for i in told.places}
        platforms[at[0]][at[1]] = "+".join(sorted(flown))
    names = [found.regions[shelf].name for shelf in shelves]
    return scene_coverage.coverage(names, summers, shown, scenes, platforms, found=candidates)


def sheet(
    group: zarr.Group, told: Story, found: ScenesFound, layout: Layout, *, reject: int
) -> bytes:
    """Return the page on which a person judges the choice of a summer."""
    made = stored.group_at(group, told.summer.path)
    ground = stored.group_at(group, told.summer.shelf)
    screen = layout.screen(told.summer.shelf)
    region = found.regions[told.summer.shelf]
    fast = stored.values(ground, "fast") > 0
    masks = stored.values(made, "screen_mask")[: len(told.judged.scenes)]
    return review_sheet.review_sheet(
        review_sheet.Sheet(
            title=f"{region.name}, summer {_name(told.summer.year)}",
            candidates=_candidates(told),
            thumbnails=stored.values(made, "quicklook")[: len(told.judged.scenes)],
            x=screen.x,
            y=screen.y,
            supplies=_by_order(stored.values(made, "supplier"), told),
            season=told.summer.days,
            outlines=[*_rings(region.outline), *_rings(region.roi)],
            fast=fast if fast.any() else None,
            rejected=(masks & np.uint16(reject)) != 0,
            note=f"the chosen scenes show {100.0 * told.covered:.1f} % of the region; to decide "
            "otherwise, take the entry of review.yaml into scenes.overrides of the run file",
        )
    )


def _candidates(told: Story) -> tuple[review_sheet.Candidate, ...]:
    """Return what the sheet says of each candidate."""
    order = list(told.places)
    ranks = _ranks(told)
    shown = ("valid", "valid_fast", "cloud", "gap", "saturated", "sun_elevation")
    return tuple(
        review_sheet.Candidate(
            name=scene.label,
            day=scene.granules[0].moment.date(),
            platforms=tuple(sorted({granule.platform for granule in scene.granules})),
            path_rows=tuple((granule.path, granule.row) for granule in scene.granules),
            **{name: float(told.judged.scores[i][SCORES.index(name)]) for name in shown},
            rank=ranks[i],
            order=order.index(i) + 1 if i in told.places else 0,
            reason=told.reason(i),
        )
        for i, scene in enumerate(told.judged.scenes)
    )


def _ranks(told: Story) -> list[int]:
    """Return ranks by what is clear of the ROI and of its fast part, from 1; 0 for one that is out.

    The paper ranks by the clear part (section 2.1.3) and heeds fast-flowing areas (2.4.1).
    """
    valid, fast = (told.judged.scores[:, SCORES.index(n)] for n in ("valid", "valid_fast"))
    worth = valid + np.where(np.isnan(fast), valid, fast)
    inside = [i for i, reason in enumerate(told.judged.reasons) if not reason]
    ranked = sorted(inside, key=lambda i: (-worth[i], told.judged.scenes[i].day))
    return [ranked.index(i) + 1 if i in inside else 0 for i in range(len(worth))]


def _rings(shape: shapely.Geometry) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the outer rings of polygons as lines [m]."""
    parts = [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon"]
    rings = [part.exterior.coords.xy for part in parts]
    return [(np.asarray(x), np.asarray(y)) for x, y in rings]


def _by_order(supplier: np.ndarray, told: Story) -> np.ndarray:
    """Return which of the chosen scenes, from 1 in their order, lies uppermost."""
    order = np.zeros(int(supplier.max(initial=0)) + 1, dtype=np.int16)
    for n, place in enumerate(told.places.values(), start=1):
        if place + 1 < order.size:
            order[place + 1] = n
    return np.asarray(order[supplier])


def _name(year: int) -> str:
    """Return a summer's name.

    >>> _name(1999)
    '1999/2000'
    """
    end = year + 1
    return f"{year}/{end}" if end % 100 == 0 else f"{year}/{end % 100:02d}"
