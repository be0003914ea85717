"""``nunatak search --summer``: Landsat scenes of a region in a summer, told and recorded."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.commands import columns
from pipelines.commands.answers import Answer

if TYPE_CHECKING:
    from stac.landsat_items import Granule
    from stac.landsat_search import Found

HEADER = ("id", "start", "path/row", "cloud", "sun")
NUMBERS = ("cloud", "sun")


def tell(found: Found, *, catalogue: str, save: Path | None) -> Answer:
    """Print the scenes and why others were left out; write the record if asked to."""
    columns.show(HEADER, [row(scene) for scene in found.granules], numbers=NUMBERS)
    for name, reason in found.rejected:
        click.echo(f"left out: {name}: {reason}", err=True)
    clouded = (
        f", {found.clouded} of them for clouds (--cloud 100 takes them)" if found.clouded else ""
    )
    click.echo(f"{len(found.granules)} scenes, {len(found.rejected)} left out{clouded}", err=True)
    if save is not None:
        _write(found, save)
    return Answer(
        facts={
            "catalogue": catalogue,
            "service": found.service,
            "count": len(found.granules),
            "items": [scene.to_dict() | {"footprint": {}} for scene in found.granules],
            "rejected": [{"id": name, "reason": reason} for name, reason in found.rejected],
            "saved": None if save is None else str(save),
        }
    )


def row(scene: Granule) -> tuple[str, ...]:
    """Return id, instant, path and row, cloud cover [%] and sun elevation [°] as text."""
    cloud, sun = (
        "" if math.isnan(number) else f"{number:.1f}"
        for number in (scene.cloud_cover, scene.sun_elevation)
    )
    return scene.id, scene.start[:16], f"{scene.path:03d}/{scene.row:03d}", cloud, sun


def _write(found: Found, save: Path) -> None:
    from stac.landsat_search import record
    from stac.locations import write_bytes

    write_bytes(str(save.absolute()), record(found))
    click.echo(f"recorded in {save}; a run file replays it without asking anyone", err=True)


def area(bbox: list[float] | None, region: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the region of interest as GeoJSON split at 180°; None if none is given."""
    from shapely.geometry import mapping

    from stac.queries import box_area

    if bbox is None:
        return region
    return dict(mapping(box_area(bbox)))
