"""Which maps a finished product gives the viewer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines import stored, tables
from pipelines.flows.product_arrays import labels_of
from pipelines.map_scene.palettes import (
    CHANGES,
    DAMAGE,
    Scale,
    change_scale,
    rate_scale,
    speed_scale,
    spread_scale,
)
from pipelines.map_scene.pieces import (
    STORE,
    Extent,
    Layer,
    Piece,
    PieceError,
    Step,
    zarr_piece,
)
from pipelines.report.outputs import Output, ReportError

if TYPE_CHECKING:
    import zarr

RATES = ("gravimetry", "altimetry", "combination")
"""Products of one rate of mass and its spread."""

MAPS = {
    "mass_rate": ("rate of mass change", "rates"),
    "mass_rate_gaussian": ("rate of mass change, smoothed for display", "rates"),
    "mass_rate_sigma": ("standard deviation of the rate", "spreads"),
}
"""Arrays of such products: words and colours."""

SAID = {
    "gravimetry": "Gravimetry", "altimetry": "Altimetry", "combination": "Combination",
    "mass_budget": "Mass budget", "shelf_damage": "Shelf damage", "consistency": "Consistency",
    "comparison": "Comparison",
}  # fmt: skip
"""Names of products as headings have them."""


@dataclass
class Found:
    """Layers, and what could not be shown."""

    layers: list[Layer] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Source:
    """A product, its arrays, and the objects of its plain copy."""

    output: Output
    url: str
    group: zarr.Group
    names: frozenset[str]
    warnings: list[str]

    @property
    def period(self) -> str:
        """First and last day, in words."""
        of = self.output.item["properties"]
        first, last = (str(of.get(f"{end}_datetime", "?"))[:10] for end in ("start", "end"))
        return f"{first} to {last}"

    def layer(self, what: str, title: str, **of: Any) -> Layer:
        """Return a layer of this product's arrays."""
        return Layer(id=f"{self.output.name}/{what}", kind="zarr", url=self.url, title=title,
                     group=heading(self.output), **of)  # fmt: skip


def heading(output: Output) -> str:
    """Return what a product is called on the page: its folder too, where that says more."""
    said = SAID.get(output.product, output.product)
    return said if output.name == output.product else f"{said} ({output.name})"


def layers(outputs: Sequence[Output], *, locate: Callable[[Output], str]) -> Found:
    """Return the layers of all products; maps of one quantity have one scale.

    Parameters
    ----------
    outputs : sequence of Output
        Finished products.
    locate : callable
        Where a product is, seen from the page.
    """
    found = Found()
    for output in outputs:
        if output.product == "shelf_damage":
            _add(found, output, lambda each: damage(each, locate(each)))
        elif output.product in MAKERS:
            _add(found, output, lambda each: _of_arrays(each, locate(each), found))
    found.layers = _with_common_scales(found.layers)
    return found


def _add(found: Found, output: Output, make: Callable[[Output], Sequence[Layer]]) -> None:
    """Add layers; what cannot be shown becomes a warning, and the other products are shown."""
    try:
        found.layers += make(output)
    except (PieceError, ReportError) as error:
        found.warnings.append(f"{heading(output)}: {error}")


def _of_arrays(output: Output, url: str, found: Found) -> Sequence[Layer]:
    from cluster import object_store

    copy = object_store.join(output.address, STORE)
    names = frozenset(object_store.list_objects(copy))
    if "zarr.json" not in names:
        msg = f"there is no {copy}, which the map reads; run it to its end"
        raise ReportError(msg)
    if _version(copy) != output.item["properties"].get("nunatak:snapshot"):
        found.warnings.append(
            f"{heading(output)}: {STORE} is of another version than its tables; run it again"
        )
    source = _Source(output, url, output.open(), names, found.warnings)
    return MAKERS[output.product](source)


def _version(copy: str) -> object:
    """Return the version that a plain copy says it is of; None where it says none.

    Raises
    ------
    ReportError
        A copy whose first document is no group's.
    """
    from cluster import object_store

    path = object_store.join(copy, "zarr.json")
    data = object_store.read_bytes(path)
    try:
        return dict(json.loads(data).get("attributes", {})).get("nunatak:snapshot")
    except (ValueError, TypeError, AttributeError) as error:
        msg = f"{path} is no group's document ({error}); run the product again"
        raise ReportError(msg) from error


def _rates(source: _Source) -> list[Layer]:
    made = []
    for name, (words, ramp) in MAPS.items():
        if name in source.group:
            piece = zarr_piece(source.group, name, names=source.names)
            sigma = zarr_piece(source.group, "mass_rate_sigma", names=source.names)
            made.append(
                source.layer(
                    name,
                    words,
                    unit=str(stored.array(source.group, name).attrs["units"]),
                    steps=(Step(source.period, (piece,)),),
                    ramp=ramp,
                    scale=_scale(ramp, _limit(source.group, name)),
                    sigma=(sigma,) if name == "mass_rate" else (),
                )
            )
    return made


def _limit(group: zarr.Group, name: str) -> float:
    from pipelines.figures import maps

    return maps.round_limit(stored.read(group, name))


def _scale(ramp: str, limit: float) -> Scale:
    return rate_scale(limit) if ramp == "rates" else spread_scale(limit)


def _speeds(source: _Source) -> list[Layer]:
    """Return the speed of each year, and its change since the first."""
    if "speed" not in source.group:
        return []
    years = labels_of(source.group, "year")
    unit = str(stored.array(source.group, "speed").attrs["units"])

    def piece(index: int, minus: int | None = None) -> Piece:
        return zarr_piece(source.group, "speed", names=source.names, index=index, minus=minus)

    # Pieces come before any speed is read: they refuse what is too large to be read.
    shown = tuple(Step(year, (piece(k),)) for k, year in enumerate(years))
    top, change = _speed_limits(source.group, len(years))
    made = [
        source.layer(
            "speed", "ice speed", unit=unit, ramp="speeds", scale=speed_scale(top), steps=shown,
        )
    ]  # fmt: skip
    if len(years) > 1:
        steps = (
            Step(f"{year} less {years[0]}", (piece(k, 0),)) for k, year in enumerate(years) if k
        )
        made.append(
            source.layer(
                "speed_change", "change of ice speed", unit=unit, ramp="changes",
                scale=change_scale(change), steps=tuple(steps), note="red is faster",
            )
        )  # fmt: skip
    return made


def _speed_limits(group: zarr.Group, years: int) -> tuple[float, float]:
    """Return the widest colour limits of the years' speeds and of their changes [m yr⁻¹].

    Two years are held at once, however many there are.
    """
    from pipelines.figures import maps

    first = stored.read(group, "speed", 0)
    tops, changes = [maps.round_limit(first, within=0.9995)], [0.0]
    for k in range(1, years):
        speed = stored.read(group, "speed", k)
        tops.append(maps.round_limit(speed, within=0.9995))
        changes.append(maps.round_limit(speed - first, within=0.999))
    return max(tops), max(changes)


def _changes(source: _Source) -> list[Layer]:
    """Return what became of damage, by pairs of summers, of all shelves together.

    A shelf whose map is too large for the page is left out with a warning, the others are shown.
    """
    pairs: dict[str, list[Piece]] = {}
    refused: dict[str, PieceError] = {}
    for shelf, pair, path in _pairs(source.group):
        try:
            piece = zarr_piece(source.group, path, names=source.names, axes=("y_pixel", "x_pixel"),
                               name=shelf)  # fmt: skip
        except PieceError as error:
            refused.setdefault(shelf, error)
            continue
        pairs.setdefault(pair, []).append(piece)
    source.warnings.extend(
        f"{heading(source.output)}: {shelf} is left out, for {error}"
        for shelf, error in refused.items()
    )
    if not pairs:
        return []
    steps = tuple(Step(_pair_name(pair), tuple(pairs[pair])) for pair in sorted(pairs))
    return [source.layer("change", "what became of damage", unit="", steps=steps, codes=CHANGES)]


def _pairs(group: zarr.Group) -> Iterator[tuple[str, str, str]]:
    """Yield shelf, pair of summers, and where the map of its changes is."""
    for shelf in sorted(str(key) for key in group.group_keys()):
        for pair in sorted(str(key) for key in group[shelf].group_keys()):  # type: ignore[union-attr]
            if (path := f"{shelf}/{pair}/change") in group:
                yield shelf, pair, path


def _pair_name(pair: str) -> str:
    """Return a pair of summers as people write it.

    Examples
    --------
    >>> _pair_name("2013-2014")
    '2013/14 to 2014/15'
    """
    return " to ".join(tables.summer_name(int(year)) for year in pair.split("-"))


MAKERS: Mapping[str, Callable[[_Source], list[Layer]]] = {
    **dict.fromkeys(RATES, _rates),
    "mass_budget": _speeds,
    "consistency": _changes,
}
"""Products whose maps come from arrays."""


def damage(output: Output, url: str) -> list[Layer]:
    """Return the release of damage maps as one layer of summers, of all shelves together.

    Raises
    ------
    ReportError
        No release, or one that is not as its items say.
    """
    try:
        summers = _summers(output)
    except ReportError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        msg = f"{output.address}/release is not as its items say ({error!r}); run it again"
        raise ReportError(msg) from error
    if not summers:
        return []
    steps = tuple(Step(tables.summer_name(year), tuple(summers[year])) for year in sorted(summers))
    return [
        Layer(
            id=f"{output.name}/damage", kind="geotiff", url=url, title="damage by summer",
            group=heading(output), unit="", steps=steps, codes=DAMAGE,
        )
    ]  # fmt: skip


def _summers(output: Output) -> dict[int, list[Piece]]:
    """Return the maps of shelves in the release, by summer."""
    summers: dict[int, list[Piece]] = {}
    for path, item in _release_items(output):
        of = item["properties"]
        if of.get("nunatak:part", "shelf") == "shelf":
            folder = path.rpartition("/")[0]
            name = str(item["assets"]["extent"]["href"]).removeprefix("./")
            piece = Piece(
                _inside(f"{folder}/{name}"), _raster_extent(of), _raster_shape(of),
                name=str(of["nunatak:shelf"]),
            )  # fmt: skip
            summers.setdefault(int(of["nunatak:summer"]), []).append(piece)
    return summers


def _release_items(output: Output) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the items of the release and where they are below the product."""
    from cluster import object_store

    listed = "release/collection.json"
    if not object_store.exists(object_store.join(output.address, listed)):
        msg = "its maps were not released (shelf_damage.release), so the map cannot show them"
        raise ReportError(msg)
    for link in json.loads(output.read(listed))["links"]:
        if link["rel"] == "item":
            path = _inside("release/" + str(link["href"]).removeprefix("./"))
            yield path, json.loads(output.read(path))


def _inside(path: str) -> str:
    """Return a path that stays below the release.

    Raises
    ------
    ReportError
        One that climbs out of it.
    """
    parts = path.split("/")
    if parts[0] != "release" or {"", ".", ".."} & set(parts):
        msg = f"its release links to {path!r}, which is outside it; run the product again"
        raise ReportError(msg)
    return path


def _raster_shape(of: Mapping[str, Any]) -> tuple[int, int]:
    rows, columns = of["proj:shape"]
    return int(rows), int(columns)


def _raster_extent(of: Mapping[str, Any]) -> Extent:
    """Return the edges of a north-up raster by its ``proj:transform``."""
    dx, _, west, _, dy, north = (float(each) for each in of["proj:transform"][:6])
    rows, columns = _raster_shape(of)
    extent = west, north + dy * rows, west + dx * columns, north
    if not np.all(np.isfinite(extent)):
        msg = f"found the edges {extent} of a map, expected numbers"
        raise ValueError(msg)
    return extent


def _with_common_scales(made: Sequence[Layer]) -> list[Layer]:
    """Return layers of which those of rates, and those of spreads, have one scale each."""
    common = {
        ramp: max((each.scale.high for each in made if each.ramp == ramp and each.scale), default=0)
        for ramp in ("rates", "spreads")
    }
    return [
        replace(each, scale=_scale(each.ramp, common[each.ramp])) if each.ramp in common else each
        for each in made
    ]


def places(made: Sequence[Layer]) -> dict[str, Extent]:
    """Return where the shelves of all layers are, by their names in small letters."""
    pieces = (piece for each in made for step in each.steps for piece in step.pieces)
    return {piece.name.casefold(): piece.extent for piece in pieces if piece.name}


def bounds(made: Sequence[Layer]) -> Extent | None:
    """Return the edges of all pieces together; None of none."""
    pieces = [piece for each in made for step in each.steps for piece in step.pieces]
    if not pieces:
        return None
    edges = np.array([piece.extent for piece in pieces])
    low, high = edges[:, :2].min(axis=0), edges[:, 2:].max(axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])
