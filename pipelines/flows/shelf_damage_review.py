"""What a person judges a map by: a sheet for each summer, and ``review.yaml`` of all of them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import KeyFailed
from pipelines import stored
from pipelines.figures import damage_review
from pipelines.figures.damage_review import ReviewedScene, ReviewedSummer
from pipelines.flows import shelf_damage_arrays, shelf_damage_overview
from pipelines.flows.shelf_damage_overview import Overview, days_of
from pipelines.flows.shelf_damage_release import extent_source
from pipelines.flows.shelf_damage_release_names import is_published
from pipelines.stored import group_at
from pipelines.tables import summer_name

if TYPE_CHECKING:
    import zarr

Picture = Callable[[str, dict[str, Any]], "NDArray[np.uint8] | None"]
"""Takes ``SHELF/SUMMER`` and a scene; returns its colours (yc, xc, 3), or nothing."""
HEAD = """\
# What each map was made from. To decide otherwise, copy a list entry to `shelf_damage.overrides` of
# the run file, change it, give a reason, and run again: that summer is done anew.
# `drop` names scenes that are not to be used. `publish` shows or withholds a map whatever it
# covers; it is a comment here, for without it the rule decides.
overrides:
"""
NOTE = (
    "to decide otherwise, take the entry of review.yaml into shelf_damage.overrides of the run "
    "file: drop scenes, or publish or withhold the map"
)


def write(
    group: zarr.Group,
    put: Callable[[str, bytes], None],
    *,
    reasons: Mapping[tuple[str, int], str],
    dropped: Mapping[tuple[str, int], Collection[str]] | None = None,
    picture: Picture | None = None,
) -> None:
    """Draw the sheet of every summer, and write ``review.yaml``.

    Parameters
    ----------
    group : zarr.Group
        The product, read only.
    put : callable
        ``put(path, data)`` keeps a file: ``figures/review/SHELF_SUMMER.png`` and ``review.yaml``.
    reasons : mapping of (shelf, summer) to str
        Why maps are not published, of those that are not.
    dropped : mapping of (shelf, summer) to collection of str
        Labels of scenes that a person left out.
    picture : callable, optional
        Gives scenes their colours, see :func:`quicklooks`.
    """
    entries = []
    for shelf in shelf_damage_arrays.shelves(group):
        for year in shelf_damage_arrays.summers(group, shelf):
            made = group_at(group, f"{shelf}/{year}")
            reason = "" if is_published(made) else reasons.get((shelf, year), "it was not judged")
            left_out = tuple((dropped or {}).get((shelf, year), ()))
            seen = shelf_damage_overview.overview(made)
            shown = reviewed(made, seen, year, reason=reason, dropped=left_out,
                             picture=_of(picture, f"{shelf}/{year}"))  # fmt: skip
            put(f"figures/review/{shelf}_{year}.png", damage_review.sheet(shown))
            entries.append(entry(shown, shelf, year, dropped=left_out))
    put("review.yaml", (HEAD + "".join(entries)).encode())


def _of(picture: Picture | None, path: str) -> Callable[[dict[str, Any]], Any]:
    return lambda scene: picture(path, scene) if picture else None


def reviewed(
    made: zarr.Group,
    seen: Overview,
    year: int,
    *,
    reason: str,
    dropped: Collection[str],
    picture: Callable[[dict[str, Any]], Any],
) -> ReviewedSummer:
    """Return what the sheet of a summer shows."""
    told = shelf_damage_arrays.scenes_of(made)
    scenes = []
    for place, (scene, day) in enumerate(zip(told, days_of(told), strict=True)):
        probability = shelf_damage_overview.scene_overview(made, place, seen.factor)
        scenes.append(ReviewedScene(
            int(scene["number"]), str(scene["label"]), "+".join(map(str, scene["sensors"])), day,
            float(seen.supplied[int(scene["number"])]), float(np.isfinite(probability).mean()),
            marks(scene, dropped), probability, picture(scene),
        ))  # fmt: skip
    name = str(made.attrs["nunatak:name"])
    return ReviewedSummer(
        f"{name}, summer {summer_name(year)}", tuple(scenes), seen.x, seen.y, seen.supplier,
        seen.region, seen.extent, facts(made, seen), reason, note=NOTE,
    )  # fmt: skip


def facts(made: zarr.Group, seen: Overview) -> tuple[str, ...]:
    """Return what is known of a map, a line each."""
    covered = "–" if math.isnan(seen.covered) else f"{100.0 * seen.covered:.1f} %"
    told: Any = made.attrs.get("spatial:shape", stored.array(made, "damage").shape)
    share = "–" if math.isnan(seen.fraction) else f"{100.0 * seen.fraction:.2f} %"
    return (
        f"covered: {covered} of the extent",
        f"extent from: {extent_source(made) or 'not recorded'}",
        f"damage: {share} of the pixels that are covered",
        f"map: {told[1]} × {told[0]} pixels, here in cells of {seen.factor} pixels",
    )


def marks(scene: Mapping[str, Any], dropped: Collection[str]) -> tuple[str, ...]:
    """Return what else should be known of a scene.

    Examples
    --------
    >>> marks({"label": "a", "sun_elevation": 24.4, "slc_off": True, "restored": True}, ["a"])
    ('sun 24°', 'SLC-off, restored', 'left out by hand')
    """
    found = []
    sun = scene.get("sun_elevation")
    if sun is not None and math.isfinite(float(sun)):
        found.append(f"sun {float(sun):.0f}°")
    if scene["slc_off"]:
        found.append("SLC-off, restored" if scene["restored"] else "SLC-off, not restored")
    if scene["label"] in dropped:
        found.append("left out by hand")
    return tuple(found)


def entry(shown: ReviewedSummer, shelf: str, year: int, *, dropped: Collection[str]) -> str:
    """Return a summer as an entry of ``shelf_damage.overrides``, every scene as a comment."""
    covered, source = shown.facts[:2]
    why = shown.unpublished or f"by rule; {covered}; {source}"
    lines = [
        f"  - shelf: {shelf}",
        f"    summer: {year}",
        f"    drop: {json.dumps(list(dropped))}",
        f"    # publish: {'true' if shown.unpublished else 'false'}",
        f"    reason: {json.dumps(why, ensure_ascii=False)}",
    ]
    for one in shown.scenes:
        told = [f"gives {100 * one.supplied:.1f} %", f"shows {100 * one.known:.1f} %", *one.marks]
        name = f"{one.number:>2} {one.label:<11} {one.sensors:<10}"
        lines.append(f"    # {name} {', '.join(told)}")
    return "\n".join(lines) + "\n"


def quicklooks(scenes: zarr.Group) -> Picture:
    """Return what gives scenes their colours: the quicklooks of the product of scenes."""

    def picture(path: str, scene: dict[str, Any]) -> NDArray[np.uint8] | None:
        place = int(scene.get("place", -1))
        if place < 0 or path not in scenes:
            return None
        made = group_at(scenes, path)
        if "quicklook" not in made or "candidate_of" not in made:
            return None
        try:
            candidate = int(stored.values(made, "candidate_of")[place]) - 1
            return stored.values(made, "quicklook", candidate) if candidate >= 0 else None
        except KeyFailed:  # damaged chunks: a sheet without its colours is a sheet
            return None

    return picture
