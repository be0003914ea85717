"""Landsat scenes of the demo: made, and put where the catalogue can name them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.commands import demo_runs

if TYPE_CHECKING:
    from pipelines.worlds.antarctica import Antarctica
    from pipelines.worlds.landsat_record import LandsatRecord
    from pipelines.worlds.shelves import Shelf


@dataclass(frozen=True)
class DemoScenes:
    """Scenes of the demo, and what is known of them.

    Attributes
    ----------
    record : LandsatRecord
        Files on this machine, and their truth.
    shelves : tuple of Shelf
        Where they were taken.
    places : tuple of str
        Metadata file of each product, where the catalogue finds it.
    tiles : tuple of str
        Annotated tiles.
    """

    record: LandsatRecord
    shelves: tuple[Shelf, ...]
    places: tuple[str, ...]
    tiles: tuple[str, ...]

    def sources(self) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        """Yield what is ingested: kind, collection, files."""
        yield "ice-shelves", demo_runs.SHELF_COLLECTION, (str(self.record.shelves),)
        yield "ice-shelves", demo_runs.FRONT_COLLECTION, (str(self.record.fronts),)
        yield "landsat", demo_runs.SCENE_COLLECTION, self.places
        yield "damage-labels", demo_runs.TILE_COLLECTION, self.tiles


def write(world: Antarctica, folder: Path, output: str) -> DemoScenes:
    """Write the scenes; for an output in a bucket, put them beside it.

    Scenes are catalogued in place, and a catalogue in a bucket cannot name files of a laptop.
    """
    from cluster import object_store, store_errors
    from pipelines.worlds import labelled_tiles, landsat_record, shelves

    chosen = tuple(
        shelves.find(world, name, size=demo_runs.SHELF_PIXELS) for name in demo_runs.SHELVES
    )
    with store_errors.local_errors(folder):
        record = landsat_record.write_landsat(
            world, folder, shelves=chosen, summers=demo_runs.SUMMERS,
            days_per_summer=demo_runs.SCENE_DAYS, seed=demo_runs.SEED,
        )  # fmt: skip
        annotated = tuple(
            shelves.find(world, name, size=demo_runs.SHELF_PIXELS)
            for name in demo_runs.TILE_SHELVES
        )
        written = labelled_tiles.write_tiles(
            folder / "tiles", shelves=annotated, views=1, seed=demo_runs.SEED
        )
        tiles = tuple(str(each.image) for each in written)
    if object_store.parse(output).is_local:
        return DemoScenes(record, chosen, tuple(str(path) for path in record.scenes), tiles)
    for path in record.scenes:
        for file in sorted(path.parent.iterdir()):
            address = _beside(output, folder, file)
            if not object_store.exists(address):
                object_store.write_bytes(address, file.read_bytes())
    beside = tuple(_beside(output, folder, path) for path in record.scenes)
    return DemoScenes(record, chosen, beside, tiles)


def _beside(output: str, folder: Path, path: Path) -> str:
    from cluster import object_store

    return object_store.join(output, "files", *path.relative_to(folder).parts)
