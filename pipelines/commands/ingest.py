"""``nunatak ingest``: published files become items of a catalogue."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from pipelines.commands.answers import DONE, MISTAKE, SOME_FAILED, Answer, common_options

if TYPE_CHECKING:
    from stac.ingest import Ingested

KINDS = (
    "grace-l2", "degree-one", "low-degrees", "love-numbers", "gia", "elevation-rate", "elevation",
    "surface-elevation", "velocity", "thickness", "basal-melt", "surface-processes",
    "surface-mass-balance", "basins", "boundaries", "ice-shelves", "gates", "landsat",
    "damage-labels", "imagery", "weights",
)  # fmt: skip
"""What `stac.ingest` reads, written out so that help needs no reader; a test compares the two."""


MOST_LINES = 20
"""Sources of which a line is printed, unless there is something to say of more."""


@click.command("ingest", epilog=f"Kinds: {', '.join(KINDS)}.")
@click.argument("kind")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--catalogue", metavar="URL", required=True, help="Folder or s3:// address.")
@click.option("--collection", metavar="NAME", required=True, help="Collection to add to.")
@common_options
def ingest_command(kind: str, sources: tuple[str, ...], catalogue: str, collection: str) -> Answer:
    """Read files of KIND and add them to a collection; repeating it changes nothing.

    A SOURCE is a file, a folder, a glob or an address that fsspec knows.
    """
    found = ingest_all(kind, sources, catalogue=catalogue, collection=collection, say=click.echo)
    counts = Counter(each.state for each in found)
    total = ", ".join(f"{counts[state]} {state}" for state in ("added", "present", "failed"))
    click.echo(f"{collection}: {total} in {catalogue}")
    succeeded = counts["added"] + counts["present"]
    status = (SOME_FAILED if succeeded else MISTAKE) if counts["failed"] or not succeeded else DONE
    facts = {
        "collection": collection,
        "catalogue": catalogue,
        **{state: counts[state] for state in ("added", "present", "failed")},
        "sources": [dataclasses.asdict(each) for each in found],
    }
    return Answer(status, facts)


def ingest_all(
    kind: str,
    sources: tuple[str, ...],
    *,
    catalogue: str,
    collection: str,
    say: Callable[[str], object] | None = None,
) -> list[Ingested]:
    """Ingest sources with progress, and say a line for each of them.

    Parameters
    ----------
    kind, sources, catalogue, collection
        See :func:`stac.ingest.ingest`.
    say : callable, optional
        Called with a line for each of the first sources, and each that is not as it should be.

    Returns
    -------
    list of Ingested
        What became of each.
    """
    from cluster import telemetry
    from stac import ingest

    urls = [url for source in sources for url in ingest.expand(source, kind)]
    results = ingest.ingest_found(kind, urls, catalogue=catalogue, collection=collection)
    found = []
    with telemetry.progress(len(urls), f"ingest {collection}") as bar:
        for each in results:
            found.append(each)
            bar.advance()
            if say is not None and (len(found) <= MOST_LINES or _is_remarkable(each)):
                say(_line(each))
    hidden = sum(not _is_remarkable(each) for each in found[MOST_LINES:])
    if say is not None and hidden:
        say(f"… and {hidden} more, like these")
    return found


def _is_remarkable(each: Ingested) -> bool:
    return each.state == "failed" or bool(each.reason)


def _line(each: Ingested) -> str:
    if each.state == "failed":
        return f"failed   {each.source}: {each.reason}"
    note = f" ({each.reason})" if each.reason else ""
    return f"{each.state:<8} {each.item_id}{note}"
