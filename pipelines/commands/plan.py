"""``nunatak plan``: what a run would read, do and write. Computes nothing."""

from __future__ import annotations

from pathlib import Path

import click

from pipelines.commands import products
from pipelines.commands.answers import Answer, common_options


@click.command("plan")
@click.argument("run_file", required=False, type=click.Path(path_type=Path), metavar="RUN.yaml")
@click.option("--example", metavar="PRODUCT", help="Print a complete commented run file and stop.")
@click.option("--scheduler", metavar="ADDRESS", help="Compare memory with the workers there.")
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Change a setting.")
@common_options
def plan_command(
    run_file: Path | None, example: str | None, scheduler: str | None, overrides: tuple[str, ...]
) -> Answer:
    """Say what RUN.yaml would read, do, write and cost; compute nothing."""
    if example is not None:
        return _print_example(example)
    if run_file is None:
        msg = "name a run file, or --example PRODUCT for one to start from"
        raise click.UsageError(msg)
    _, plan = products.plan_of(run_file, overrides)
    click.echo(plan.describe())
    limit = products.worker_bytes(scheduler, plan)
    products.require_fits(plan, limit)
    where = "here" if scheduler is None else f"at {scheduler}"
    click.echo(f"  fits  a worker {where} has {limit / 2**20:.0f} MiB")
    return Answer(facts={**plan.to_json(), "worker_bytes": limit})


def _print_example(product: str) -> Answer:
    from pipelines import settings

    text = settings.example(product)
    click.echo(text, nl=False)
    return Answer(facts={"product": product, "example": text})
