"""``nunatak demo-tiles``: annotated tiles of synthetic shelves, to train on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from pipelines.commands.answers import Answer, common_options


@click.command("demo-tiles")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--views", type=click.IntRange(1), default=4, show_default=True, metavar="N",
              help="Passes of Landsat over each shelf.")  # fmt: skip
@click.option("--kin", type=click.IntRange(0, 8), default=0, show_default=True, metavar="N",
              help="Shelves beside the four of the demo.")  # fmt: skip
@click.option("--seed", type=int, default=1, show_default=True,
              help="Of kin, passes, weather and noise, and of the ice sheet too.")  # fmt: skip
@click.option("--world-seed", type=int, metavar="N", help="Of the ice sheet, if not --seed.")
@click.option("--without-elders", is_flag=True,
              help="Only kin, on an ice sheet without the outlets of the demo.")  # fmt: skip
@common_options
def demo_tiles_command(
    folder: Path, *, views: int, kin: int, seed: int, world_seed: int | None, without_elders: bool
) -> Answer:
    """Write annotated Landsat tiles of synthetic ice shelves; what is there is kept.

    X.tif holds reflectance, X_mask.tif 0 intact, 1 damage, 255 not labelled. By the tag
    REGION training and test are split: kin overlap and take after the shelf that it names.
    `nunatak ingest damage-labels` reads them.
    """
    from cluster import store_errors, telemetry
    from pipelines.worlds import antarctica, forcing, labelled_tiles

    if without_elders and not kin:
        msg = "--without-elders leaves no shelf; expected some kin beside it, such as --kin 8"
        raise click.UsageError(msg)
    world = antarctica.Antarctica(
        seed=seed if world_seed is None else world_seed,
        anomalies=forcing.ANOMALIES + (() if without_elders else forcing.OUTLETS),
    )
    shelves = labelled_tiles.tile_shelves(world, kin=kin, seed=seed, elders=not without_elders)
    tiles = sum(shelf.grid.nx * shelf.grid.ny for shelf in shelves) // labelled_tiles.SIZE**2
    count: Counter[str] = Counter()
    with (
        store_errors.local_errors(folder),
        telemetry.progress(tiles * views, "tiles") as bar,
    ):
        for tile in labelled_tiles.write_tiles(folder, shelves=shelves, views=views, seed=seed):
            count[tile.shelf] += 1
            bar.advance()
    for shelf, number in sorted(count.items()):
        click.echo(f"{shelf:<8} {number} tiles")
    click.echo(f"{sum(count.values())} tiles in {folder}")
    return Answer(facts={"folder": str(folder), "tiles": dict(sorted(count.items()))})
