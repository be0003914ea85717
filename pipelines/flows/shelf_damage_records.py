"""Scenes and summers of damage maps, wherever their pixels are stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from pipelines.flows.finished_products import ProductSource
from pipelines.flows.shelf_damage_arrays import WHOLE
from pipelines.lifecycle import InputItem

if TYPE_CHECKING:
    import pystac

    from stac.pixel_grids import PixelGrid


@dataclass(frozen=True)
class DamageScene:
    """A stored scene of a summer.

    Attributes
    ----------
    number : int
        From 1, as it stands in the map of suppliers.
    label : str
        Its date.
    time : float
        Acquisition [s since 1970-01-01].
    sensors : tuple of str
        Of its granules, as in released files.
    sun_elevation : float
        At its centre [°]; NaN if not known.
    place : int
        Row in the product of scenes.
    restored_row : int
        Row in the product of restored scenes; -1 if it is not there.
    slc_off : bool
        Whether it has gaps of the scan line corrector.
    granules : tuple of str
        Ids of its granules.
    image : str
        Id of the catalogue item, of a picture that is no stored scene.
    """

    number: int
    label: str
    time: float
    sensors: tuple[str, ...]
    sun_elevation: float
    place: int = -1
    restored_row: int = -1
    slc_off: bool = False
    granules: tuple[str, ...] = ()
    image: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return what the product remembers of it, for JSON; an unknown sun is null."""
        known = bool(np.isfinite(self.sun_elevation))
        return {
            "number": self.number,
            "label": self.label,
            "time": self.time,
            "sensors": list(self.sensors),
            "sun_elevation": self.sun_elevation if known else None,
            "slc_off": self.slc_off,
            "restored": self.restored_row >= 0,
            "place": self.place,
            "restored_row": self.restored_row,
            "scene_ids": list(self.granules),
            "image": self.image,
        }


@dataclass(frozen=True)
class DamageSummer:
    """One shelf in one summer: its scenes, and what is known of where it ends.

    Attributes
    ----------
    shelf, name : str
        Region id, and name as its source has it.
    summer : int
        Year of its November.
    grid : PixelGrid
        Of the scenes.
    scenes : tuple of DamageScene
        In order of time.
    front : Geometry or None
        Floating ice in this very summer, EPSG:3031, by a front product.
    outline : Geometry or None
        Floating ice, of no certain year.
    parts : tuple of str
        The whole shelf, then its sub-regions.
    """

    shelf: str
    name: str
    summer: int
    grid: PixelGrid
    scenes: tuple[DamageScene, ...]
    front: shapely.Geometry | None = None
    outline: shapely.Geometry | None = None
    parts: tuple[str, ...] = (WHOLE,)

    @property
    def path(self) -> str:
        """Its group."""
        return f"{self.shelf}/{self.summer}"


@dataclass(frozen=True)
class Stack:
    """What there is to segment, wherever it is stored."""

    scenes: ProductSource | None
    restoration: ProductSource | None
    chunk: int
    summers: tuple[DamageSummer, ...]
    items: tuple[InputItem, ...]
    sources: tuple[pystac.Item, ...]
    footprint: dict[str, Any]
    region_set: str
    images: Mapping[str, Any]
