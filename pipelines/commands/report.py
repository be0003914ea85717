"""``nunatak report``: a page of maps, plots and tables of finished products."""

from __future__ import annotations

import click

from pipelines.commands.answers import Answer, common_options

DEFAULT = "./nunatak-report"


@click.command("report")
@click.argument("outputs", metavar="OUTPUT...", nargs=-1, required=True)
@click.option(
    "--to",
    metavar="URL",
    default=DEFAULT,
    show_default=True,
    help="Folder or s3://bucket/prefix; an earlier report there is replaced.",
)
@click.option("--title", metavar="TEXT", default="", help="Of the page, instead of its own.")
@common_options
def report_command(outputs: tuple[str, ...], to: str, title: str) -> Answer:
    """Write a page of what the finished products at OUTPUT... tell, warnings first.

    It needs no server and no network: every number leads to the row that it stands in, tables come
    as CSV, figures as PNG and SVG.
    """
    from pipelines.report.build import build
    from pipelines.report.outputs import open_outputs
    from pipelines.report.rounding import counted

    found = open_outputs(outputs)
    names = ", ".join(each.name for each in found)
    click.echo(f"report of {names}, to {to}")
    made = build(found, to, title=title, say=lambda text: click.echo(text, err=True))
    for paragraph in made.summary:
        click.echo(f"\n{paragraph}")
    told = ", ".join(counted(count, level) for level, count in made.warnings.items())
    drawn, tables = counted(made.figures, "figure"), counted(made.tables, "table")
    click.echo(f"\n{drawn}, {tables} of {counted(made.rows, 'row')}; {told}")
    size = made.bytes / 2**20
    click.echo(f"{counted(made.files, 'file')}, {size:.1f} MiB, in {made.seconds:.0f} s")
    for reason in made.left_out:
        click.echo(f"left out: {reason}")
    click.echo(f"open {made.page}")
    return Answer(facts=made.document())
