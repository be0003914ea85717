"""``nunatak search``: what data exist, in a static catalogue or behind a STAC API."""

from __future__ import annotations

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


@click.command("search")
@click.option("--catalogue", metavar="URL", required=True, help="Catalogue, or a STAC API.")
@click.option("--collection", "collections", metavar="NAME", multiple=True, help="Repeatable.")
@click.option("--bbox", metavar="W,S,E,N", help="Degrees; W > E crosses 180°.")
@click.option("--region", metavar="COLLECTION/ID", help="Polygon of a catalogued collection.")
@click.option("--datetime", "period", metavar="A/B", help="First and last day; .. for open.")
@click.option("--filter", "cql2", metavar="CQL2", help="Filter in CQL2 text.")
@click.option("--ids", metavar="ID,ID", help="Item ids.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most N items.")
@common_options
def search_command(
    catalogue: str,
    collections: tuple[str, ...],
    bbox: str | None,
    region: str | None,
    period: str | None,
    cql2: str | None,
    ids: str | None,
    limit: int | None,
) -> Answer:
    """List the items of a catalogue that answer every condition."""
    from stac.catalogue import open_catalogue

    box, days = _numbers(bbox), _period(period)
    opened = open_catalogue(catalogue)
    items = opened.search(
        list(collections) or None,
        bbox=box,
        intersects=None if region is None else region_geometry(opened, region),
        period=days,
        cql2=cql2,
        ids=None if ids is None else [each.strip() for each in ids.split(",")],
        limit=limit,
    )
    rows = [row(item) for item in items]
    columns.show(HEADER, rows)
    click.echo(f"{len(rows)} items", err=True)
    facts = [dict(zip(HEADER, each, strict=True)) for each in rows]
    return Answer(facts={"catalogue": opened.url, "count": len(rows), "items": facts})


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
