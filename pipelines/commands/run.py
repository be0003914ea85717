"""``nunatak run``: plan, say the plan, compute what is left, say what came out."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.commands import launching, network_reporting, products, reporting
from pipelines.commands.answers import DONE, SOME_FAILED, Answer, common_options

if TYPE_CHECKING:
    from cluster.ledger import Receipt
    from pipelines.lifecycle import Outcome, Plan

logger = logging.getLogger(__name__)


@click.command("run")
@click.argument("run_file", type=click.Path(path_type=Path), metavar="RUN.yaml")
@click.option("--scheduler", metavar="ADDRESS", help="Dask scheduler; local processes if absent.")
@click.option(
    "--ray",
    metavar="ADDRESS",
    help="Ray for networks, and instead of Dask unless a scheduler is named: host:port, "
    "ray://host:port or local.",
)
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Change a setting.")
@click.option("--fresh", is_flag=True, help="Begin a new version; nothing is resumed.")
@launching.launch_options
@common_options
def run_command(
    run_file: Path,
    scheduler: str | None,
    ray: str | None,
    overrides: tuple[str, ...],
    fresh: bool,  # noqa: FBT001 - click passes options by name
    **launch: Any,
) -> Answer:
    """Make the product of RUN.yaml; resume what an earlier run left undone.

    With --on, say first what will be created there and what it costs, then create it and run.
    """
    from pipelines import launch_settings

    options = launch_settings.read(launch, scheduler=scheduler, ray=ray)
    run, plan = products.plan_of(run_file, overrides)
    if not plan.estimated:
        click.echo(plan.describe())
    if {scheduler, ray} <= {None, "local"} and options.target in {None, "local"}:
        products.require_fits(plan, products.worker_bytes(None, plan))

    def carry_out(*, scheduler: str | None, ray: str | None) -> Answer:
        return executed(plan, scheduler, ray=ray, fresh=fresh)

    if options.target is None:
        return carry_out(scheduler=scheduler, ray=ray)
    return launching.launch(launching.Request(run, plan, options, fresh, ray), carry_out)


def executed(plan: Plan, scheduler: str | None, *, ray: str | None, fresh: bool) -> Answer:
    """Carry a plan out with these workers, and say what came out."""
    outcome = plan.execute(scheduler, ray=ray, fresh=fresh, on_receipt=log_receipt)
    rows = conclude(plan, outcome)
    status = SOME_FAILED if outcome.failed else DONE
    return Answer(status, {**reporting.facts(plan, outcome), "regions": rows})


def log_receipt(receipt: Receipt) -> None:
    """Say at once why a key failed; the run goes on."""
    if receipt.state == "failed":
        key = receipt.key.partition("@")[0]
        logger.warning("%s failed: %s", receipt.key, receipt.reason, extra={"key": key})


def conclude(plan: Plan, outcome: Outcome) -> list[dict[str, Any]]:
    """Print the short table of the results, failures, and where everything is."""
    shown = reporting.is_shown(plan, outcome)
    rows = reporting.main_rows(plan) if shown else []
    reporting.show_groups(rows)
    if shown and plan.product == "scenes":
        reporting.show_summers(plan)
    if shown and plan.product in network_reporting.TABLES:
        network_reporting.TABLES[plan.product](plan)
    click.echo("\n".join(reporting.outcome_lines(plan, outcome)))
    return reporting.region_facts(rows)
