"""What runs of networks are made from: annotated tiles of a catalogue, and weights.

Weights are items of kind ``weights``, or come with the project (``shipped:NAME``). Either way a
plan knows their SHA-256, and a worker that reads other bytes refuses them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cluster.gpu_pool import Needs
from cluster.ledger import KeyFailed
from pipelines.flows.catalogue_inputs import (
    InputError,
    Source,
    all_of,
    input_item,
    single,
    source_of,
)
from pipelines.lifecycle import InputItem, Job
from stac.catalogue import open_catalogue
from stac.contracts import ContractError
from stac.damage_labels import LOCAL, LabelError, LabelledTile, open_tile
from stac.locations import CatalogueError, read_bytes

if TYPE_CHECKING:
    import pystac
    import zarr

    from cluster.ledger import Receipt
    from stac.catalogue import Catalogue

SHIPPED = "shipped:"
TILES, WEIGHTS = "damage-labels", "weights"


@dataclass(frozen=True)
class Weights:
    """Where weights are: all that a worker needs to read them.

    Attributes
    ----------
    name : str
        ``shipped:NAME``, or COLLECTION/ITEM.
    href : str
        Address of the file; empty for those that come with the project.
    sha256 : str
        Of the file, in hexadecimal.
    """

    name: str
    href: str
    sha256: str

    def read(self) -> bytes:
        """Return the bytes of the file; others than were planned fail the key."""
        try:
            data = read_bytes(self.href) if self.href else _shipped(self.name)
        except (CatalogueError, InputError, OSError) as error:
            msg = f"{self.name} cannot be read any more: {error}"
            raise KeyFailed(msg) from error
        found = hashlib.sha256(data).hexdigest()
        if found != self.sha256:
            msg = f"{self.name} has SHA-256 {found[:16]}, the plan was made with "
            msg += f"{self.sha256[:16]}; run again, which plans with what is there now"
            raise KeyFailed(msg)
        return data


@dataclass(frozen=True)
class TileSource:
    """An annotated tile of a catalogue.

    Attributes
    ----------
    source : Source
        Where it is.
    region : str
        What splits are by.
    shape : tuple of int
        Rows and columns.
    place : tuple of float
        Affine transform of its pixels in EPSG:3031 [m]; empty where nobody knows.
    day : str
        When it was seen, ISO 8601; empty where nobody knows.
    """

    source: Source
    region: str
    shape: tuple[int, int]
    place: tuple[float, ...] = ()
    day: str = ""

    @property
    def name(self) -> str:
        """Id of its item."""
        return self.source.id

    def read(self) -> LabelledTile:
        """Read it whole; what cannot be read fails its key alone."""
        try:
            return open_tile(self.source.item())
        except (ContractError, CatalogueError, LabelError, OSError, LookupError) as error:
            reason = f"{self.name}: {error}; ingest it again"
            raise KeyFailed(reason, (self.name,)) from error


@dataclass(frozen=True)
class Refusing:
    """What a job opens into whose network cannot be had: every key fails, and says why."""

    reason: str

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Fail the key."""
        del key, group
        raise KeyFailed(self.reason)


def actors_of(choices: Any, *, memory: int, label: str) -> Needs:
    """Return what an actor of a run takes.

    Parameters
    ----------
    choices : TrainingChoices, EvaluationChoices or RestorationChoices
        Of the run.
    memory : int
        Of an actor at work [B].
    label : str
        Of the pool, for messages.
    """
    return Needs(
        cpus=choices.actors.cpus,
        gpus=choices.actors.gpus if choices.device == "cuda" else 0.0,
        memory=memory,
        threads=choices.threads,
        actors=choices.actors.count or None,
        label=label,
    )


def opening(make: Callable[[], Job]) -> Job:
    """Return what ``make`` opens, or a job that refuses if its weights are not the plan's."""
    try:
        return make()
    except KeyFailed as error:
        return Refusing(str(error))


@dataclass(frozen=True)
class Found:
    """Resolved inputs of a run of networks."""

    tiles: tuple[TileSource, ...]
    weights: dict[str, Weights]
    items: tuple[InputItem, ...]
    sources: tuple[pystac.Item, ...]

    @property
    def regions(self) -> tuple[str, ...]:
        """Regions of the tiles, in order."""
        return tuple(sorted({tile.region for tile in self.tiles}))


def resolve(catalogue: str, labels: Sequence[str], weights: dict[str, str | None]) -> Found:
    """Find tiles and weights; nothing of them is read but their records.

    Parameters
    ----------
    catalogue : str
        Address; not opened if nothing of it is asked for.
    labels : sequence of str
        Collections of tiles.
    weights : dict of str to str or None
        Role to what the run file says; roles without any are left out.

    Raises
    ------
    InputError
        What is named is not there, or of another kind, or two tiles have one name.
    """
    wanted = {role: name for role, name in weights.items() if name}
    elsewhere = [name for name in wanted.values() if not name.startswith(SHIPPED)]
    opened = open_catalogue(catalogue) if labels or elsewhere else None
    tiles = [
        ("labels", item)
        for name in labels
        if opened is not None
        for item in all_of(opened, name, role="labels", kinds=(TILES,))
    ]
    found = tuple(_tile(item) for _, item in tiles)
    _require_names(found)
    held: dict[str, Weights] = {}
    records = [input_item(role, item) for role, item in tiles]
    items = [item for _, item in tiles]
    for role, name in wanted.items():
        held[role], record, more = _weights(opened, role, name)
        records.append(record)
        items += more
    return Found(found, held, tuple(records), tuple(items))


def opened(weights: Weights, *, role: str, task: str, device: str = "cpu") -> Any:
    """Return the network of weights in the memory of a device; imports torch.

    Raises
    ------
    InputError
        They are of another task, damaged, or not those that the catalogue tells of.
    """
    from pipelines.nets import models
    from pipelines.nets.checkpoints import CheckpointError

    try:
        return models.opened(
            weights.read(), name=weights.name, sha256=weights.sha256, task=task, device=device
        )
    except (CheckpointError, KeyFailed, CatalogueError) as error:
        msg = f"inputs.{role}: {error}"
        raise InputError(msg) from error


def learnt_regions(card: Any) -> frozenset[str]:
    """Return the regions that weights learnt from, in lower case, as their card tells them.

    Cards name them in ``recipe["regions"]``; older ones in a sentence of ``data`` or of ``split``.

    >>> from types import SimpleNamespace as Card
    >>> text = "12 annotated tiles of 2 regions: alder, birch"
    >>> sorted(learnt_regions(Card(recipe={}, data=text, split="by region; left out: cedar")))
    ['alder', 'birch']
    """
    told = card.recipe.get("regions")
    if isinstance(told, (list, tuple)):
        return frozenset(str(name).lower() for name in told)
    words = re.search(r" regions?: ([^;.(]+)", card.data)
    words = words or re.search(r"Trained on ([^;.(]+)", card.split)
    names = words[1].split(",") if words else []
    return frozenset(name.strip().lower() for name in names if name.strip())


def seen(card: Any, regions: Collection[str]) -> frozenset[str]:
    """Return those of some regions that weights learnt from, see :func:`learnt_regions`."""
    learnt = learnt_regions(card)
    return frozenset(region for region in regions if region.lower() in learnt)


def _tile(item: pystac.Item) -> TileSource:
    rows, columns = (int(item.properties[f"nunatak:{name}"]) for name in ("rows", "columns"))
    region = str(item.properties["nunatak:region"])
    placed = item.properties.get("nunatak:place", LOCAL) != LOCAL
    place = tuple(map(float, item.properties.get("proj:transform", ()))) if placed else ()
    day = str(item.properties.get("nunatak:time_start") or "")
    return TileSource(source_of(item), region, (rows, columns), place, day)


def another_date(tile: TileSource, tiles: Sequence[TileSource]) -> TileSource | None:
    """Return the tile of the same pixels that was seen nearest in time, on another day; or None."""
    if not (tile.place and tile.day):
        return None
    here = [
        each
        for each in tiles
        if (each.place, each.shape) == (tile.place, tile.shape)
        and each.day
        and each.day[:10] != tile.day[:10]
    ]
    apart = [abs(np.datetime64(each.day) - np.datetime64(tile.day)) for each in here]
    return here[int(np.argmin(apart))] if here else None


def _require_names(tiles: Sequence[TileSource]) -> None:
    names = [tile.name for tile in tiles]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        msg = f"inputs.labels: two tiles are called {', '.join(twice)}; leave one collection out"
        raise InputError(msg)


def _weights(
    catalogue: Catalogue | None, role: str, name: str
) -> tuple[Weights, InputItem, list[pystac.Item]]:
    """Return where weights are, their record for the plan, and their item if they have one."""
    if name.startswith(SHIPPED):
        data = _shipped(name)
        sha256 = hashlib.sha256(data).hexdigest()
        return Weights(name, "", sha256), InputItem(role, name, sha256, len(data), name), []
    assert catalogue is not None  # noqa: S101 - opened where a name is not shipped
    item = single(catalogue, name, role=role, kinds=(WEIGHTS,))
    record = input_item(role, item)
    sha256 = str(item.properties["nunatak:sha256"])
    return Weights(name, record.href, sha256), record, [item]


def _shipped(name: str) -> bytes:
    """Return weights that come with the project; without importing torch."""
    from pipelines.nets import shipped

    try:
        return shipped.read(name.removeprefix(SHIPPED))
    except LookupError as error:
        msg = f"found {name!r}: {error.args[0]}; name one of them, or COLLECTION/ITEM"
        raise InputError(msg) from error
