"""More shelves: kin of the four of the demonstration, elsewhere, and drawn anew by chance.

Four shelves are few to learn from. A kin keeps the time scales of its elder, which belong to the
speed of the ice there, and differs in everything else: its place along the coast, the hand of its
fractures, their size, depth and number, its ponds, bare ice, rock, stripes, snow and sea ice. It
has a few rifts more, so that a net that never saw one shelf has still seen rifts.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipelines.worlds import outline, shelves
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.shelf_examples import NATURES
from pipelines.worlds.shelf_natures import CrevasseField, Nature, Rift
from pipelines.worlds.shelves import Shelf, ShelfError

NAMES = ("Elder", "Fir", "Gorse", "Heron", "Ivy", "Juniper", "Kelp", "Lapwing")
"""Of kin; the n-th is kin of the n-th shelf of the demonstration, counted round."""
FARTHEST = (0.25, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03)
"""Largest part of a floating coast's half width between a shelf and its kin: the first of these
that leaves all its fields of crevasses inside the window [1]."""
SHARE = 0.7
"""Least reach of the floating ice there, as part of the elder's [1]."""


def kin(world: Antarctica, number: int, *, seed: int = 1, size: int = shelves.SIZE) -> Shelf:
    """Return one more shelf.

    Parameters
    ----------
    world : Antarctica
        Where it lies.
    number : int
        Of :data:`NAMES`.
    seed : int
        Of chance.
    size : int
        Rows and columns of its window, a multiple of 64 [1].

    Raises
    ------
    ShelfError
        A number that has no name.

    Examples
    --------
    >>> shelf = kin(Antarctica(), 2)
    >>> shelf.name, elder_of(shelf.id)
    ('Gorse', 'cedar')
    """
    if not 0 <= number < len(NAMES):
        msg = f"found kin {number}, expected 0 to {len(NAMES) - 1}; ask for at most {len(NAMES)}"
        raise ShelfError(msg)
    rng = np.random.default_rng([seed, number, 71])
    elder = _changed(NATURES[number % len(NATURES)], NAMES[number], rng)
    shelf = shelves.placed(world, elder, size)
    for farthest in FARTHEST:
        moved = replace(elder, bearing=_beside(elder.bearing, farthest, rng))
        shelf = shelves.placed(world, moved, size)
        if all(_cracks_inside(shelf, each) for each in elder.fields):
            return shelf
    kept = tuple(each for each in elder.fields if _cracks_inside(shelf, each))
    return replace(shelf, nature=replace(shelf.nature, fields=kept))


def _cracks_inside(shelf: Shelf, field: CrevasseField) -> bool:
    """Return whether the place where the middle of a field cracks lies in the window."""
    lines = shelf.flow.lines
    line = int(np.abs(lines.across - field.across).argmin())
    age = max(field.birth, 0.0)
    x, y = (float(np.interp(age, lines.age[line], place[line])) for place in (lines.x, lines.y))
    west, south, east, north = shelf.grid.bounds
    return west < x < east and south < y < north


def elder_of(shelf_id: str) -> str:
    """Return the shelf of the demonstration that a shelf takes after: itself, if it is one.

    Splits that keep kin and elder together test on a nature that was never seen.
    """
    names = [name.lower() for name in NAMES]
    if shelf_id in names:
        return NATURES[names.index(shelf_id) % len(NATURES)].name.lower()
    return shelf_id


def _changed(elder: Nature, name: str, rng: np.random.Generator) -> Nature:
    hand = -1.0 if rng.random() < 0.5 else 1.0
    return replace(
        elder,
        name=name,
        fields=tuple(_field(each, hand, rng) for each in elder.fields),
        rifts=(*(_rift(each, hand, rng) for each in elder.rifts), *_new_rifts(rng)),
        ponds=float(rng.random() ** 2),
        blue_ice=float(rng.random() ** 1.5),
        rock=float(rng.random() ** 1.5),
        stripes=float(rng.uniform(0.3, 1.6)),
        relief=float(rng.uniform(0.3, 1.0)),
        pack=float(rng.uniform(0.2, 0.9)),
    )


def _beside(bearing: float, farthest: float, rng: np.random.Generator) -> float:
    """Return a bearing near another one where nearly as much ice floats [rad]."""
    least = SHARE * float(outline.floating_reach(np.asarray(bearing)))
    widths = [
        coast.half_width
        for coast in outline.SHELVES
        if abs(float(outline.offset(np.asarray(bearing), coast.bearing))) < coast.half_width
    ]
    shifts = rng.uniform(0.1, 1.0, 32) * rng.choice([-1.0, 1.0], 32) * farthest * min(widths)
    places = bearing + shifts
    floats = outline.floating_reach(places) >= least
    return float(places[int(floats.argmax())]) if floats.any() else bearing


def _field(elder: CrevasseField, hand: float, rng: np.random.Generator) -> CrevasseField:
    return replace(
        elder,
        across=hand * elder.across * rng.uniform(0.75, 1.2),
        strike=hand * elder.strike + rng.normal(0.0, 8.0),
        length=elder.length * rng.uniform(0.75, 1.35),
        spacing=elder.spacing * rng.uniform(0.8, 1.3),
        width=elder.width * rng.uniform(0.85, 1.25),
        depth=elder.depth * rng.uniform(0.75, 1.3),
        density=min(elder.density * rng.uniform(0.7, 1.25), 0.95),
    )


def _rift(elder: Rift, hand: float, rng: np.random.Generator) -> Rift:
    return replace(
        elder,
        year=elder.year + rng.uniform(-4.0, 2.0),
        across=hand * elder.across * rng.uniform(0.7, 1.2),
        tilt=hand * elder.tilt,
        part=elder.part * rng.uniform(0.8, 1.1),
        reach=elder.reach * rng.uniform(0.8, 1.25),
        widest=elder.widest * rng.uniform(0.7, 1.3),
    )


def _new_rifts(rng: np.random.Generator) -> tuple[Rift, ...]:
    """Draw two to four rifts more: any shelf may have them, narrow or wide enough for sea ice."""
    return tuple(
        Rift(
            year=float(rng.uniform(-10.0, 16.0)),
            part=float(rng.uniform(0.15, 0.5)),
            across=float(rng.uniform(-9e3, 9e3)),
            reach=float(rng.uniform(2.5e3, 8e3)),
            tilt=float(rng.normal(0.0, 0.2)),
            opening=float(rng.uniform(10.0, 32.0)),
            widest=float(rng.uniform(200.0, 550.0)),
            pace=float(rng.uniform(300.0, 1200.0)),
        )
        for _ in range(int(rng.integers(2, 5)))
    )
