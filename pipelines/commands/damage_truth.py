"""Damage maps of the demo beside what is true of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import numpy as np

from pipelines import tables
from pipelines.commands import columns
from pipelines.commands.demo_scenes import DemoScenes
from pipelines.commands.reporting import table_rows

if TYPE_CHECKING:
    from pipelines.tables import Row

KM2 = 1e-6
HEADER = ("shelf", "summer", "damage [km2]", "sigma", "true [km2]", "z", "shelf [km2]", "true")
CAPTION = """\
Damage of the shelves beside what a person would label in the middle of the summer; z is the
difference in standard deviations. Scenes are days or weeks away from it, and damage drifts."""


def compare(scenes: DemoScenes, output: str) -> list[dict[str, Any]]:
    """Print, and return for scripts, mapped damage of each shelf and summer beside the truth."""
    found: dict[tuple[str, int], dict[str, Row]] = {}
    for row in table_rows(output, "shelves"):
        at = (row.region, int(row.told["summer"]))
        found.setdefault(at, {})[row.quantity] = row
    rows = [_beside(scenes, name, summer, told) for (name, summer), told in found.items()]
    click.echo(CAPTION)
    cells = [
        (
            each["shelf"], tables.summer_name(each["summer"]), f"{each['damage']:.1f}",
            f"± {each['sigma']:.1f}", f"{each['true_damage']:.1f}", f"{each['z']:+.1f}",
            f"{each['area']:.0f}", f"{each['true_area']:.0f}",
        )
        for each in rows
    ]  # fmt: skip
    columns.show(HEADER, cells, numbers=HEADER[2:])
    return rows


def _beside(scenes: DemoScenes, name: str, summer: int, told: dict[str, Row]) -> dict[str, Any]:
    damage, area = told["damage_area"], told["shelf_area"]
    true_damage, true_area = _truth(scenes, name, summer)
    return {
        "shelf": name,
        "summer": summer,
        "damage": damage.value,
        "sigma": damage.uncertainty,
        "true_damage": true_damage,
        "z": (damage.value - true_damage) / damage.uncertainty,
        "area": area.value,
        "true_area": true_area,
    }


def _truth(scenes: DemoScenes, name: str, summer: int) -> tuple[float, float]:
    """Return the areas of damage and of floating ice in the middle of a summer [km²]."""
    import datetime as dt

    from pipelines.kernels.damage import areas
    from pipelines.worlds import landsat_record
    from stac import ice_shelves

    shelf = next(each for each in scenes.shelves if each.name == name)
    area = areas.pixel_areas(shelf.grid.x, shelf.grid.y, spacing=shelf.grid.spacing) * KM2
    with np.load(scenes.record.truth[shelf.id, summer], allow_pickle=False) as held:
        damage = held["damage"]
    day = dt.date(summer + 1, *landsat_record.MIDDLE)
    ice = ice_shelves.burnt(shelf.extent(day), shelf.grid)
    return float(area[damage].sum()), float(area[ice].sum())
