"""Scenes to map damage in, found in a finished product of scenes and in one of restored scenes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines import stored
from pipelines.flows import (
    austral_summers,
    finished_products,
    finished_scenes,
    product_arrays,
    scenes_candidates,
)
from pipelines.flows.catalogue_inputs import InputError
from pipelines.flows.scenes_arrays import GAP_QUANTITIES, SCORES
from pipelines.flows.shelf_damage_records import DamageScene, DamageSummer, Stack
from pipelines.stored import group_at
from stac import ice_shelves
from stac.ice_shelves import ShelfRegion

if TYPE_CHECKING:
    import zarr

    from pipelines.settings import Run

SENSORS = {"landsat-7": "LE07", "landsat-8": "LC08", "landsat-9": "LC09"}
"""Names of satellites in released files (Tang et al., 2026, section 4)."""
FRACTION = GAP_QUANTITIES.index("fraction")
SUN = SCORES.index("sun_elevation")


def stack(run: Run, outlines: dict[str, ShelfRegion]) -> Stack:
    """Return the scenes of a finished product, with those that were restored."""
    made = finished_scenes.find(run.inputs.scenes)
    restored = _restored(run, made)
    group = made.source.open()
    rows = {} if restored is None else _restored_rows(restored.source.open())
    found = (made,) if restored is None else (made, restored)
    return Stack(
        scenes=made.source,
        restoration=None if restored is None else restored.source,
        chunk=int(made.run["scenes"]["chunk"]),
        summers=tuple(_stored_summers(run, group, rows, outlines)),
        items=tuple(each.record for each in found),
        sources=tuple(each.item for each in found),
        footprint=dict(made.item.geometry or {}),
        region_set=str(made.run.get("regions") or "scenes"),
        images={},
    )


def _restored(run: Run, scenes: finished_products.Finished) -> finished_products.Finished | None:
    """Return the restored scenes; refuse those of another version of the scenes."""
    if not run.inputs.restoration:
        return None
    address = run.inputs.restoration
    found = finished_products.find(address, role="restoration", product="restoration")
    told: Any = found.attributes.get("nunatak:inputs", {})
    of = {value for key, value in dict(told).items() if key.startswith("scenes/")}
    if of != {scenes.record.checksum}:
        msg = f"inputs.restoration: {address} was made from another version of the scenes than "
        raise InputError(msg + f"{run.inputs.scenes} holds; run restoration again")
    return found


def _restored_rows(group: zarr.Group) -> dict[tuple[str, int], int]:
    """Return where the restored scenes lie, by summer and place of the scene."""
    found: dict[tuple[str, int], int] = {}
    for shelf in group.group_keys():
        for summer in group_at(group, shelf).group_keys():
            path = f"{shelf}/{summer}"
            places: Any = group_at(group, path).attrs["nunatak:places"]
            found |= {(path, int(place)): row for row, place in enumerate(places)}
    return found


def _stored_summers(
    run: Run,
    group: zarr.Group,
    restored: Mapping[tuple[str, int], int],
    outlines: dict[str, ShelfRegion],
) -> Iterator[DamageSummer]:
    """Yield the summers that the run asks for and that hold a scene."""
    choices, held = run.choices, sorted(str(name) for name in group.group_keys())
    for shelf in _asked(choices.shelves, held):
        region = _region(outlines, shelf)
        for name in sorted(group_at(group, shelf).group_keys()):
            summer, path = int(name), f"{shelf}/{name}"
            if not _is_wanted(run, summer):
                continue
            made = group_at(group, path)
            scenes = _stored_scenes(made, path, restored)
            if scenes:
                yield DamageSummer(
                    shelf, region.name if region else shelf.replace("-", " ").title(), summer,
                    scenes_candidates.grid_of(made), scenes,
                    front=region.extents.get(summer) if region else None,
                    outline=region.extents.get(ice_shelves.ALWAYS) if region else None,
                )  # fmt: skip


def _asked(wanted: tuple[str, ...], held: list[str]) -> list[str]:
    found = {ice_shelves.slug(name) for name in wanted}
    unknown = sorted(found - set(held))
    if unknown:
        msg = f"shelf_damage.shelves: the scenes hold no {', '.join(unknown)}; they hold "
        raise InputError(msg + ", ".join(held))
    return sorted(found or held)


def _region(outlines: dict[str, ShelfRegion], shelf: str) -> ShelfRegion | None:
    return outlines.get(shelf)


def _is_wanted(run: Run, summer: int) -> bool:
    """Return whether a summer is asked for and meets the period."""
    asked = not run.choices.summers or summer in run.choices.summers
    return asked and austral_summers.meets(summer, run.period)


def _stored_scenes(
    made: zarr.Group, path: str, restored: Mapping[tuple[str, int], int]
) -> tuple[DamageScene, ...]:
    """Return the chosen scenes of a summer in order of time, numbered from 1."""
    selected, times = stored.values(made, "selected"), stored.read(made, "time")
    of, gaps = stored.values(made, "candidate_of"), stored.read(made, "gap_record")[:, FRACTION]
    candidates, scores = scenes_candidates.read(made), stored.read(made, "score")
    labels = product_arrays.labels_of(made, "candidate")
    places = [int(n) for n in np.flatnonzero((selected > 0) & (of > 0))]
    places.sort(key=lambda place: (float(times[place]), place))
    return tuple(
        DamageScene(
            number=number, label=labels[of[place] - 1], time=float(times[place]),
            sensors=sensors_of({g.platform for g in candidates[of[place] - 1].granules}),
            sun_elevation=float(scores[of[place] - 1, SUN]), place=place,
            restored_row=restored.get((path, place), -1),
            slc_off=bool(np.nan_to_num(gaps[place]) > 0.0),
            granules=tuple(g.id for g in candidates[of[place] - 1].granules),
        )
        for number, place in enumerate(places, start=1)
    )  # fmt: skip


def sensors_of(platforms: set[str]) -> tuple[str, ...]:
    """Return the names of satellites as released files have them, oldest first.

    >>> sensors_of({"landsat-9", "landsat-8"})
    ('LC08', 'LC09')
    """
    return tuple(code for name, code in SENSORS.items() if name in platforms)
