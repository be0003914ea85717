"""The true area of damage of a shelf by day, for series over the years."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pipelines.kernels.geodesy import cell_areas
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.shelf_surface import Surface, surface
from pipelines.worlds.shelves import Shelf

_KM2 = 1e-6


@dataclass(frozen=True)
class Totals:
    """Areas of a shelf's window on one day, on the ground and not on the map.

    Attributes
    ----------
    damage_km2 : float
        Damage as labelled, on floating ice [km²].
    fractured_km2 : float
        Everything carved, on floating ice [km²].
    extent_km2 : float
        Floating ice, open rifts included [km²].
    """

    damage_km2: float
    fractured_km2: float
    extent_km2: float

    @property
    def fraction(self) -> float:
        """Damaged part of the floating ice [1]."""
        return self.damage_km2 / self.extent_km2


@lru_cache(maxsize=512)
def totals(world: Antarctica, shelf: Shelf, day: dt.date) -> Totals:
    """Add up the true areas of a shelf on a day.

    Parameters
    ----------
    world : Antarctica
        Where it lies.
    shelf : Shelf
        Of :func:`pipelines.worlds.shelves.demo_shelves`.
    day : date
        Of the truth.

    Returns
    -------
    Totals
        Of the shelf's window.
    """
    return totals_of(surface(world, shelf, day=day))


def totals_of(drawn: Surface) -> Totals:
    """Return the areas of a surface that is drawn already."""
    area = cell_areas(*np.meshgrid(drawn.grid.x, drawn.grid.y), drawn.grid.spacing) * _KM2
    afloat = np.isfinite(drawn.age_years)
    return Totals(
        damage_km2=float(area[afloat & drawn.damage].sum()),
        fractured_km2=float(area[afloat & drawn.fractured].sum()),
        extent_km2=float(area[afloat].sum()),
    )


def damage_area_km2(world: Antarctica, shelf: Shelf, day: dt.date) -> float:
    """Return the true area of damage on the floating ice of a shelf on a day [km²]."""
    return totals(world, shelf, day).damage_km2
