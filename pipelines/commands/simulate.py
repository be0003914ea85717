"""``nunatak simulate``: time, cost and bottleneck of a run from one worker to thousands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.commands import products
from pipelines.commands.answers import Answer, common_options

if TYPE_CHECKING:
    from cluster.simulation import Simulated

WORKERS = "1,10,100,1000,10000"
MOST_WORKERS = 20_000


@click.command("simulate")
@click.argument("run_file", type=click.Path(path_type=Path), metavar="RUN.yaml")
@click.option("--workers", default=WORKERS, show_default=True, help="Numbers, with commas.")
@click.option("--costs", type=click.Path(path_type=Path), help="Measured unit costs, as JSON.")
@click.option(
    "--receipts",
    type=click.Path(path_type=Path),
    help="receipts.jsonl of a finished run: its keys' times instead of the plan's.",
)
@click.option("--kept", is_flag=True, help="Machines at full price that are never taken back.")
@click.option("--to", type=click.Path(path_type=Path), help="Draw the curves into a PNG file.")
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Change a setting.")
@common_options
def simulate_command(
    run_file: Path,
    workers: str,
    costs: Path | None,
    receipts: Path | None,
    kept: bool,  # noqa: FBT001 - click passes options by name
    to: Path | None,
    overrides: tuple[str, ...],
) -> Answer:
    """Simulate RUN.yaml on clusters of growing size; compute and create nothing."""
    from cluster import prices, unit_costs
    from cluster.simulation import Fleet, simulate
    from pipelines import scale

    counts = _counts(workers)
    measured = unit_costs.UnitCosts() if costs is None else unit_costs.read(costs)
    _, plan = products.plan_of(run_file, overrides)
    works = scale.works(plan, scale.times_of(receipts, plan) if receipts else None)
    price = prices.read()
    click.echo(f"{plan.product}: {sum(work.keys for work in works):,} keys in {len(works)} stages")
    click.echo(f"{'workers':>8}{'hours':>10}{'dollars':>10}{'useful':>8}  bottleneck")
    found = []
    for count in counts:
        fleet = Fleet(count, spot=not kept, batch=plan.batch)
        found.append(simulate(works, fleet, costs=measured, prices=price))
        click.echo(_row(found[-1]))
    if to is not None:
        to.write_bytes(_drawn(found, plan.product))
        click.echo(f"curves in {to}")
    return Answer(facts={"product": plan.product, "runs": [_facts(each) for each in found]})


def _counts(text: str) -> list[int]:
    """Return the numbers of workers, growing."""
    try:
        counts = sorted({int(part) for part in text.split(",")})
    except ValueError:
        counts = []
    if not counts or not 1 <= counts[0] <= counts[-1] <= MOST_WORKERS:
        msg = f"--workers is {text!r}; expected whole numbers from 1 to {MOST_WORKERS}, such as "
        raise click.UsageError(msg + WORKERS)
    return counts


def _row(run: Simulated) -> str:
    return (
        f"{run.workers:8d}{run.seconds / 3600:10.3f}{run.dollars:10.2f}{run.utilisation:8.0%}  "
        f"{run.bottleneck} ({run.shares[run.bottleneck]:.0%})"
    )


def _facts(run: Simulated) -> dict[str, Any]:
    return {
        "workers": run.workers,
        "seconds": round(run.seconds, 1),
        "dollars": round(run.dollars, 4),
        "utilisation": round(run.utilisation, 4),
        "bottleneck": run.bottleneck,
        "shares": {name: round(share, 4) for name, share in run.shares.items()},
        "preempted": run.preempted,
    }


def _drawn(runs: list[Simulated], product: str) -> bytes:
    from pipelines.figures.scale_curves import scale_curves

    return scale_curves(
        [run.workers for run in runs],
        [run.seconds for run in runs],
        [run.dollars for run in runs],
        {name: [run.shares[name] for run in runs] for name in runs[0].shares},
        title=f"{product}: simulated",
    )
