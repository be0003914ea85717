"""Pictures to map damage in that are no stored scenes: any sensor, any size of pixels.

A picture is shown to the network on its own pixels, and the map lies on them. It takes the place of
a scene: nothing in it is known to be cloud, and nothing was filled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import shapely
from numpy.typing import NDArray

from pipelines.flows import catalogue_inputs
from pipelines.flows.catalogue_inputs import InputError, Source
from pipelines.flows.scenes_arrays import BANDS
from pipelines.flows.shelf_damage_records import DamageScene, DamageSummer, Stack
from pipelines.flows.shelf_damage_segmenting import SceneWindow
from stac import grids, ice_shelves, imagery
from stac.pixel_grids import PixelGrid

if TYPE_CHECKING:
    import pystac
    import xarray as xr

    from pipelines.settings import Run
    from stac.catalogue import Catalogue
    from stac.ice_shelves import ShelfRegion

FLOAT32 = NDArray[np.float32]

CHUNK = 512
"""Rows and columns of stored chunks."""
NOVEMBER, MARCH = 11, 3


@dataclass(frozen=True)
class DamageImage:
    """A picture of a shelf in a summer.

    Attributes
    ----------
    id : str
        Of its catalogue item.
    name : str
        Of the shelf, as its source has it.
    summer : int
        Year of its November.
    time : float
        The middle of when it was taken [s since 1970-01-01].
    day : str
        The same as a date.
    sensor : str
        As in released files.
    bands : tuple of str
        Names of its bands.
    grid : PixelGrid
        Its pixels.
    source : Source
        Where they are.
    """

    id: str
    name: str
    summer: int
    time: float
    day: str
    sensor: str
    bands: tuple[str, ...]
    grid: PixelGrid
    source: Source

    @property
    def shelf(self) -> str:
        """Region id."""
        return ice_shelves.slug(self.name)


def summer_of(first: datetime, last: datetime) -> int | None:
    """Return the year of the November of the summer that holds both instants; None if none does.

    >>> summer_of(datetime(2019, 12, 1), datetime(2020, 2, 29)), summer_of(
    ...     datetime(2019, 8, 1), datetime(2019, 8, 2))
    (2019, None)
    """
    years = {at.year - (at.month <= MARCH) for at in (first, last)}
    told = all(at.month >= NOVEMBER or at.month <= MARCH for at in (first, last))
    return years.pop() if told and len(years) == 1 else None


def resolve(catalogue: Catalogue, names: tuple[str, ...]) -> tuple[DamageImage, ...]:
    """Return the pictures of collections, by shelf and time; no pixel is read.

    Raises
    ------
    InputError
        One is of another kind, of no summer, or of no known place; two have one name; those of a
        shelf do not lie on the same pixels.
    """
    return _records([item for item, _ in _items(catalogue, names)])


def read(record: DamageImage, rows: slice, columns: slice) -> FLOAT32:
    """Return a window of a picture, shape (band, ny, nx) [1], NaN where nothing was measured.

    Bands are red, green and blue, or the only one that there is. What cannot be read fails its key.
    """

    def chosen(dataset: xr.Dataset) -> FLOAT32:
        bands = list(record.bands) if len(record.bands) == 1 else list(BANDS)
        held = dataset["image"].sel(band=bands)[:, rows, columns]
        return np.asarray(held.to_numpy(), dtype=np.float32)

    return record.source.read(chosen)


def window(record: DamageImage, rows: slice, columns: slice) -> SceneWindow:
    """Return a window as a scene is read: nothing hidden, nothing filled."""
    image = read(record, rows, columns)
    none = np.zeros(image.shape[1:], np.float32)
    return SceneWindow(image, none > 0.0, none > 0.0, none, none)


def stack(run: Run, catalogue: Catalogue | None, *, outlines: Mapping[str, ShelfRegion]) -> Stack:
    """Return the pictures that a run asks for, as the scenes of its summers.

    Raises
    ------
    InputError
        See :func:`resolve`, or a shelf is asked for that no picture shows.
    """
    assert catalogue is not None  # noqa: S101 - opened where pictures are named
    items = _items(catalogue, run.inputs.images)
    images = tuple(each for each in _chosen(run, _records([item for item, _ in items])))
    kept = {each.id for each in images}
    used = [(item, name) for item, name in items if item.id in kept]
    shapes = [shapely.geometry.shape(item.geometry) for item, _ in used if item.geometry]
    return Stack(
        scenes=None,
        restoration=None,
        chunk=CHUNK,
        summers=tuple(_summers(images, outlines)),
        items=tuple(catalogue_inputs.input_item("images", item) for item, _ in used),
        sources=tuple(item for item, _ in used),
        footprint=dict(shapely.geometry.mapping(shapely.union_all(shapes))) if shapes else {},
        region_set="+".join(dict.fromkeys(name for _, name in used)) or "images",
        images={each.id: each for each in images},
    )


def _items(catalogue: Catalogue, names: tuple[str, ...]) -> list[tuple[pystac.Item, str]]:
    """Return items with the names of their collections."""
    return [
        (item, name.partition("/")[0])
        for name in names
        for item in catalogue_inputs.all_of(catalogue, name, role="images", kinds=(imagery.KIND,))
    ]


def _records(items: list[pystac.Item]) -> tuple[DamageImage, ...]:
    found = sorted((_record(item) for item in items), key=lambda each: (each.shelf, each.time))
    ids = [each.id for each in found]
    twice = sorted({each for each in ids if ids.count(each) > 1})
    if twice:
        msg = f"inputs.images: two pictures are called {', '.join(twice)}; leave one out"
        raise InputError(msg)
    first: dict[str, DamageImage] = {}
    for each in found:
        other = first.setdefault(each.shelf, each)
        if each.grid != other.grid:
            msg = (
                f"inputs.images: {each.id} has {each.grid.shape} pixels of {each.grid.spacing:g} m "
                f"from {each.grid.west:g}, {each.grid.north:g}, but {other.id} of the same shelf "
                f"{other.grid.shape} of {other.grid.spacing:g} m from {other.grid.west:g}, "
                f"{other.grid.north:g}; put them on one grid, or name their shelves apart"
            )
            raise InputError(msg)
    return tuple(found)


def _record(item: pystac.Item) -> DamageImage:
    told = {key.removeprefix("nunatak:"): value for key, value in item.properties.items()}
    if told["place"] != grids.POLAR:
        msg = f"inputs.images: nobody knows where {item.id} lies, so its areas would be wrong; "
        raise InputError(msg + "write a corner into its note and ingest it again")
    first, end = (
        datetime.fromisoformat(str(told[f"time_{which}"])).replace(tzinfo=UTC)
        for which in ("start", "end")
    )
    middle = first + (end - first) / 2
    summer = summer_of(first, end - timedelta(seconds=1))
    if summer is None:
        msg = f"inputs.images: {item.id} is of {first:%Y-%m-%d} to {end:%Y-%m-%d}, expected"
        raise InputError(msg + " days of one summer, November to March")
    bands = tuple(str(told["bands"]).split())
    if len(bands) > 1 and not set(BANDS) <= set(bands):
        msg = f"inputs.images: {item.id} has bands {', '.join(bands)}, expected one, or "
        raise InputError(msg + f"{', '.join(BANDS)} among them; describe them, or ingest it gray")
    spacing, _, west, _, _, north = map(float, item.properties["proj:transform"])
    grid = PixelGrid(
        "", grids.POLAR, west, north, spacing, int(told["columns"]), int(told["rows"])
    )  # fmt: skip
    return DamageImage(
        item.id, str(told["region"]), summer, middle.timestamp(), f"{middle:%Y-%m-%d}",
        str(told["sensor"]), bands, grid, catalogue_inputs.source_of(item),
    )  # fmt: skip


def _chosen(run: Run, images: tuple[DamageImage, ...]) -> Iterator[DamageImage]:
    """Yield what lies in the period, on the shelves and in the summers that are asked for."""
    asked = {ice_shelves.slug(name) for name in run.choices.shelves}
    shown = sorted({each.shelf for each in images})
    unknown = sorted(asked - set(shown))
    if unknown:
        msg = f"shelf_damage.shelves: no picture shows {', '.join(unknown)}; they show "
        raise InputError(msg + ", ".join(shown))
    for each in images:
        meets = f"{run.period[0]:%Y-%m-%d}" <= each.day <= f"{run.period[1]:%Y-%m-%d}"
        here = not asked or each.shelf in asked
        if meets and here and (not run.choices.summers or each.summer in run.choices.summers):
            yield each


def _summers(
    images: tuple[DamageImage, ...], outlines: Mapping[str, ShelfRegion]
) -> Iterator[DamageSummer]:
    """Yield the summers of each shelf with their pictures in order of time, numbered from 1."""
    for shelf, summer in sorted({(each.shelf, each.summer) for each in images}):
        mine = [each for each in images if (each.shelf, each.summer) == (shelf, summer)]
        region = outlines.get(shelf)
        scenes = tuple(
            DamageScene(
                number=number, label=label, time=each.time, sensors=(each.sensor,),
                sun_elevation=float("nan"), granules=(each.id,), image=each.id,
            )
            for number, (each, label) in enumerate(zip(mine, _labels(mine), strict=True), start=1)
        )  # fmt: skip
        yield DamageSummer(
            shelf, region.name if region else mine[0].name, summer, mine[0].grid, scenes,
            front=region.extents.get(summer) if region else None,
            outline=region.extents.get(ice_shelves.ALWAYS) if region else None,
        )  # fmt: skip


def _labels(images: list[DamageImage]) -> list[str]:
    """Return the dates of pictures; those of one day are told apart by their ids."""
    days = [each.day for each in images]
    return [
        each.day if days.count(each.day) == 1 else f"{each.day} {each.id}" for each in images
    ]  # fmt: skip
