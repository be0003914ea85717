"""``nunatak search``: what data exist, in a static catalogue or behind a STAC API."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.commands import columns
from pipelines.commands.answers import Answer, common_options

if TYPE_CHECKING:
    import pystac

    from stac.catalogue import Catalogue

HEADER = ("id", "collection", "start", "end")


class SearchError(ValueError):
    """A question that cannot be asked as it is written."""


@dataclass(frozen=True)
class Asked:
    """The conditions of one search as they were typed."""

    catalogue: str | None
    service: str | None
    collections: tuple[str, ...]
    bbox: str | None
    region: str | None
    period: str | None
    cql2: str | None
    ids: str | None
    limit: int | None
    summer: int | None
    cloud: float | None
    save: Path | None

    def __post_init__(self) -> None:
        """Refuse conditions that do not go together."""
        if self.catalogue is None and self.service is None:
            msg = "nowhere to search; give --catalogue URL, or --service NAME for Landsat scenes"
            raise SearchError(msg)
        if self.region is not None and self.catalogue is None:
            msg = "--region names a polygon of a catalogue; give --catalogue URL beside --service"
            raise SearchError(msg)
        if self.bbox is not None and self.region is not None:
            msg = "both --bbox and --region are given; a search takes one of them"
            raise SearchError(msg)
        if self.summer is None:
            self._refuse(("service", "cloud", "save"), "goes with --summer Y only; add it")
            return
        self._refuse(("period", "cql2", "ids", "limit"), "does not go with --summer; leave it out")
        if self.region is None and self.service is not None and self.catalogue is not None:
            msg = "--summer searches one place; give --catalogue or --service, or name a --region"
            raise SearchError(msg)
        if self.bbox is None and self.region is None:
            msg = "--summer asks for the scenes of a region; add --bbox W,S,E,N or --region"
            raise SearchError(msg)

    def _refuse(self, names: tuple[str, ...], said: str) -> None:
        options = {"period": "datetime", "cql2": "filter"}
        for name in names:
            if getattr(self, name) is not None:
                msg = f"--{options.get(name, name)} {said}"
                raise SearchError(msg)


@click.command("search")
@click.option("--catalogue", metavar="URL", help="Catalogue, or a STAC API.")
@click.option("--service", metavar="NAME", help="usgs, planetary-computer or earth-search.")
@click.option("--collection", "collections", metavar="NAME", multiple=True, help="Repeatable.")
@click.option("--bbox", metavar="W,S,E,N", help="Degrees; W > E crosses 180°.")
@click.option("--region", metavar="COLLECTION/ID", help="Polygon of a catalogued collection.")
@click.option("--datetime", "period", metavar="A/B", help="First and last day; .. for open.")
@click.option("--filter", "cql2", metavar="CQL2", help="Filter in CQL2 text.")
@click.option("--ids", metavar="ID,ID", help="Item ids.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most N items.")
@click.option("--summer", type=int, metavar="Y",
              help="Landsat scenes, November Y to March Y+1; needs --region or --bbox."
)  # fmt: skip
@click.option("--cloud", type=float, metavar="N", help="Cloud cover at most [%]; 80 if absent.")
@click.option("--save", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Record the scenes, to be replayed offline.")  # fmt: skip
@common_options
def search_command(**conditions: Any) -> Answer:
    """List the items of a catalogue, or the Landsat scenes of a summer, that answer all."""
    asked = Asked(**conditions)
    return _items(asked) if asked.summer is None else _scenes(asked, asked.summer)


def _items(asked: Asked) -> Answer:
    """List the items of a catalogue that answer every condition."""
    from stac.catalogue import open_catalogue

    box, days = _numbers(asked.bbox), _period(asked.period)
    opened = open_catalogue(asked.catalogue or "")
    items = opened.search(
        list(asked.collections) or None,
        bbox=box,
        intersects=None if asked.region is None else region_geometry(opened, asked.region),
        period=days,
        cql2=asked.cql2,
        ids=None if asked.ids is None else [each.strip() for each in asked.ids.split(",")],
        limit=asked.limit,
    )
    rows = [row(item) for item in items]
    columns.show(HEADER, rows)
    click.echo(f"{len(rows)} items", err=True)
    facts = [dict(zip(HEADER, each, strict=True)) for each in rows]
    return Answer(facts={"catalogue": opened.url, "count": len(rows), "items": facts})


def _scenes(asked: Asked, summer: int) -> Answer:
    """List the Landsat scenes of a region in a summer, from a service or a catalogue."""
    from pipelines.commands import search_landsat
    from stac import landsat_search, landsat_services
    from stac.catalogue import open_catalogue

    service = landsat_services.named(asked.service or landsat_services.OURS)
    polygon = None
    if asked.region is not None:
        polygon = region_geometry(open_catalogue(asked.catalogue or ""), asked.region)
    opened = open_catalogue(service.url or asked.catalogue or "")
    found = landsat_search.search(
        opened,
        roi=search_landsat.area(_numbers(asked.bbox), polygon) or {},
        summer=summer,
        most_cloud=80.0 if asked.cloud is None else asked.cloud,
        collections=asked.collections or None,
        service=service.name,
    )
    return search_landsat.tell(found, catalogue=opened.url, save=asked.save)


def _numbers(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError as error:
        msg = f"--bbox {text}: {error}; expected W,S,E,N in degrees, such as -180,-90,180,-60"
        raise SearchError(msg) from error
    if len(numbers) != 4:
        msg = f"--bbox {text}: found {len(numbers)} numbers; expected W,S,E,N in degrees"
        raise SearchError(msg)
    return numbers


def _period(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    first, slash, last = text.partition("/")
    return (first, last) if slash else (first, first)


def region_geometry(catalogue: Catalogue, name: str) -> dict[str, Any]:
    """Return a catalogued polygon as GeoJSON in longitude and latitude, split at 180°.

    Parameters
    ----------
    catalogue : Catalogue
        Where the polygons are.
    name : str
        ``COLLECTION/ID``: the id of a region, or the name of a group such as ``WAIS``.

    Raises
    ------
    SearchError
        The text names no polygon; the message says which there are.
    """
    from stac import boundaries, contracts, grids

    collection, slash, region = name.partition("/")
    if not slash or not region:
        msg = f"--region {name}: expected COLLECTION/ID, such as zwally2012/22"
        raise SearchError(msg)
    known: list[str] = []
    for item in catalogue.search(collection):
        polygons = contracts.open_regions(item)
        chosen = polygons[(polygons["region"] == region) | (polygons["group"] == region)]
        if len(chosen):
            return grids.footprint(boundaries.union(chosen))
        known += [str(each) for each in polygons["region"]]
    held = ", ".join(known) or "no polygons"
    msg = f"--region {name}: {collection} holds {held}; name one of its regions or groups"
    raise SearchError(msg)


def row(item: pystac.Item) -> tuple[str, str, str, str]:
    """Return id, collection, first and last day of an item; empty where it has no time."""
    start, end = (
        str(item.properties.get(key) or item.properties.get("datetime") or "")[:10]
        for key in ("start_datetime", "end_datetime")
    )
    return item.id, item.collection_id or "", start, end
