"""``nunatak share``: let others read a finished product of a private bucket for a while."""

from __future__ import annotations

import html
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.commands.answers import DONE, Answer, common_options
from pipelines.page_server.shown import SHOWN, STORE

if TYPE_CHECKING:
    from cluster.presigned import Shared


@click.command("share")
@click.argument("output", metavar="OUTPUT")
@click.option("--for", "period", default="1h", show_default=True, metavar="TIME",
              help="How long the links work: 30min, 12h; 168h at the most.")  # fmt: skip
@click.option("--only", "patterns", multiple=True, metavar="PATTERN",
              help="Share only what matches, such as 'product.zarr/*'.")  # fmt: skip
@click.option("--to", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              default=Path("nunatak-links.json"), show_default=True,
              help="Where the links go; FILE.html makes a page of them.")  # fmt: skip
@common_options
def share_command(output: str, period: str, patterns: tuple[str, ...], to: Path) -> Answer:
    """Sign links to the files of OUTPUT in a bucket that is not public.

    Whoever has the file of links can read these objects until they end, and do nothing else.
    The links name the store as this machine does (AWS_ENDPOINT_URL): readers must reach it there.
    """
    from cluster import presigned, settings

    try:
        seconds = settings.duration(period)
    except ValueError as error:
        msg = f"{period!r} is no time ({error}); expected such as 45min or 12h"
        raise click.BadParameter(msg, param_hint="--for") from error
    shared = presigned.share(output, patterns or SHOWN, seconds=seconds)
    _write_private(to, _page(shared) if to.suffix == ".html" else shared.to_json())
    ends = f"{shared.ends:%Y-%m-%d %H:%M} UTC"
    click.echo(f"{to}: links to {len(shared.links)} files of {shared.url}, good until {ends}")
    click.echo("whoever has this file can read them until then; it cannot be taken back")
    facts = {"file": str(to), "links": len(shared.links), "ends": shared.ends.isoformat()}
    return Answer(DONE, facts)


def _page(shared: Shared) -> bytes:
    """Return a page that lists the links, without the many objects of a Zarr store."""
    listed = [(name, link) for name, link in shared.links if not name.startswith(STORE)]
    stored = len(shared.links) - len(listed)
    more = f"<p>{stored} objects of {STORE} are for programs: share them as FILE.json.</p>\n"
    title = f"{html.escape(shared.url)}, until {shared.ends:%Y-%m-%d %H:%M} UTC"
    rows = "\n".join(
        f'<li><a href="{html.escape(link)}">{html.escape(name)}</a></li>' for name, link in listed
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        # A page that is opened from a link would otherwise tell its own address to the next one.
        '<meta name="referrer" content="no-referrer"><meta name="robots" content="noindex">\n'
        f"<title>{title}</title></head>\n<body><h1>{title}</h1>\n<ul>\n{rows}\n</ul>\n"
        f"{more if stored else ''}</body></html>\n"
    ).encode()


def _write_private(path: Path, data: bytes) -> None:
    """Write for the owner alone: what is in it opens the bucket to whoever reads it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        os.fchmod(handle, 0o600)
        file.write(data)
