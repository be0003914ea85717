"""``nunatak serve``: the page and its map in a browser, read from finished products as they are."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from pipelines.commands.answers import DONE, Answer, common_options

if TYPE_CHECKING:
    from pipelines.report.outputs import Output


@click.command("serve")
@click.argument("outputs", metavar="OUTPUT...", nargs=-1, required=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8050, show_default=True, type=click.IntRange(0, 65535),
              help="0 for any that is free.")  # fmt: skip
@click.option("--allow-host", "hosts", multiple=True, metavar="NAME",
              help="A name that browsers may call this server by, such as a proxy's.")  # fmt: skip
@common_options
def serve_command(outputs: tuple[str, ...], host: str, port: int, hosts: tuple[str, ...]) -> Answer:
    """Serve the page of finished products, with maps that pan and zoom, until Ctrl-C.

    Each OUTPUT is the folder or the bucket prefix of a finished run. Its arrays stay where they are
    and are passed on piece by piece; nothing is written to it. The page is drawn first, unless one
    OUTPUT is the folder of a report that `nunatak report` made of the others.
    """
    from pipelines.page_server import running
    from pipelines.report import outputs as finished

    report, addresses = running.parted(outputs)
    found = finished.open_outputs(addresses)
    with (
        running.bound(host, port) as made,
        tempfile.TemporaryDirectory(prefix="nunatak-page-") as page,
    ):
        if running.is_open(made):
            click.echo(
                f"warning: whoever reaches {host} can read these products: there is no password "
                "and no encryption; put a server that has both before it, or use 127.0.0.1. By a "
                "name of this machine they need --allow-host NAME",
                err=True,
            )
        served = running.names(found)
        _write(found, page, running.locate(served), with_report=report is None)
        address = running.address_of(made)
        what = "one product" if len(found) == 1 else f"{len(found)} products"
        told = f"{address} shows {what}, {address}map/ the map; Ctrl-C ends it"
        site = running.site(page, served, report=report, hosts=(host, *hosts))
        running.serve(site, made, ready=lambda: click.echo(told))
    click.echo("ended")
    return Answer(DONE, {"address": address, "products": sorted(served)})


def _write(
    found: tuple[Output, ...], page: str, locate: Callable[[Output], str], *, with_report: bool
) -> None:
    """Write the map, and the report around it where none is given."""
    from pipelines.map_scene import writing
    from pipelines.report import build

    if with_report:
        click.echo("drawing the page; a folder that `nunatak report` made saves this", err=True)
        build.build(found, page, locate_product=locate, say=lambda text: click.echo(text, err=True))
    else:
        writing.write(found, page, locate=locate)
