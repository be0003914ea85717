"""``nunatak status``: how far the runs of a run file have come. Changes nothing."""

from __future__ import annotations

from pathlib import Path

import click

from pipelines.commands import products, reporting
from pipelines.commands.answers import DONE, SOME_FAILED, Answer, common_options


@click.command("status")
@click.argument("run_file", type=click.Path(path_type=Path), metavar="RUN.yaml")
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Change a setting.")
@common_options
def status_command(run_file: Path, overrides: tuple[str, ...]) -> Answer:
    """Say what is done, failed and left of RUN.yaml, and where its results are."""
    _, plan = products.plan_of(run_file, overrides)
    outcome = plan.status()
    click.echo("\n".join(reporting.outcome_lines(plan, outcome)))
    return Answer(SOME_FAILED if outcome.failed else DONE, reporting.facts(plan, outcome))
