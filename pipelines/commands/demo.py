"""``nunatak demo``: a synthetic Antarctica with known truth, through the whole chain."""

from __future__ import annotations

import dataclasses
import datetime as dt
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.commands import columns, products, reporting, truth
from pipelines.commands.answers import DONE, SOME_FAILED, Answer, common_options
from pipelines.commands.ingest import ingest_all
from pipelines.commands.run import log_receipt

if TYPE_CHECKING:
    from pipelines.lifecycle import Outcome, Plan
    from pipelines.worlds.antarctica import Antarctica

SEED = 1
FIRST_MONTH = dt.date(2011, 2, 1)
MONTHS = 60
LAST_DAY = dt.date(2016, 1, 31)
J_MAX = 60

COLLECTIONS = {
    "gravity": ("grace-l2", "demo-gravity"),
    "degree_one": ("degree-one", "demo-degree-one"),
    "low_degrees": ("low-degrees", "demo-low-degrees"),
    "love_numbers": ("love-numbers", "demo-love-numbers"),
    "gia": ("gia", "demo-gia"),
    "basins": ("basins", "demo-basins"),
    "grounded": ("boundaries", "demo-grounded"),
}
"""Files of the synthetic record: their kind and the collection they go to."""

RUN_FILE = """\
# The demo: rates of mass change of a synthetic Antarctica. `nunatak plan --example gravimetry`
# prints every key that this file may have.
product: gravimetry
catalogue: {catalogue}
output: {output}
period: [{first}, {last}]
regions: demo-basins
inputs:
  gravity: demo-gravity
  degree_one: demo-degree-one
  low_degrees: demo-low-degrees
  love_numbers: demo-love-numbers
  gia: demo-gia
  grounded_ice: demo-grounded
gravimetry:
  j_max: {j_max}
"""


class DemoError(ValueError):
    """The demo cannot go on where it is."""


@dataclass(frozen=True)
class Place:
    """Where a demo puts its things: ``work`` is a local folder, the rest are addresses."""

    output: str
    work: Path
    catalogue: str
    results: str
    run_file: str


@click.command("demo")
@click.option("--output", metavar="URL", default="./nunatak-demo", show_default=True)
@common_options
def demo_command(output: str) -> Answer:
    """Build a small synthetic Antarctica, measure it, and print truth beside result."""
    from pipelines.worlds.antarctica import Antarctica

    started = time.perf_counter()
    with _place(output) as place:
        _announce(place)
        world = Antarctica(seed=SEED)
        _ingest_world(world, place)
        _, plan = products.plan_of(_write_run_file(place))
        click.echo(plan.describe())
        products.require_fits(plan, products.worker_bytes(None, plan))
        outcome = plan.execute(None, on_receipt=log_receipt)
    click.echo("\n".join(reporting.outcome_lines(plan, outcome)))
    facts = {**reporting.facts(plan, outcome), "compared": _compared(world, plan, outcome)}
    facts["seconds"] = round(time.perf_counter() - started, 1)
    click.echo(f"run file {place.run_file}, results in {plan.output}, {facts['seconds']:.0f} s")
    return Answer(SOME_FAILED if outcome.failed else DONE, facts)


def _compared(world: Antarctica, plan: Plan, outcome: Outcome) -> list[dict[str, Any]]:
    """Print truth beside result, and return it for scripts."""
    if not reporting.is_shown(plan, outcome):
        return []
    rows = reporting.region_rows(plan.output)
    seen = truth.seen_mass_rates(world, plan.output, j_max=J_MAX)
    compared = truth.compare(world.basin_mass_rates(), seen, rows)
    columns.show(truth.HEADER, truth.cells(compared), numbers=truth.HEADER[1:])
    click.echo("\n".join(truth.explanation(j_max=J_MAX)))
    return [{**dataclasses.asdict(each), "z": each.z} for each in compared]


@contextmanager
def _place(output: str) -> Iterator[Place]:
    """Yield the addresses of a demo; the files of a remote one are written to a passing folder."""
    from cluster import object_store

    address = object_store.parse(output)
    with tempfile.TemporaryDirectory(prefix="nunatak-demo-") as passing:
        work = address.local if address.is_local else Path(passing)
        base = "." if address.is_local else address.url
        yield Place(
            output=address.url,
            work=work,
            catalogue=f"{base}/catalogue",
            results=f"{base}/gravimetry",
            run_file=object_store.join(address.url, "gravimetry.yaml"),
        )


def _announce(place: Place) -> None:
    click.echo(f"A synthetic Antarctica, whose mass change is known, goes into {place.output}:")
    for step in (
        f"{MONTHS} months of gravity fields to degree {J_MAX}, in the format of the missions",
        "a STAC catalogue of them, below catalogue",
        "rates of mass change by basin, on local Dask processes, below gravimetry",
        "truth beside result",
    ):
        click.echo(f"  - {step}")
    click.echo("This takes a few minutes; if it is interrupted, the same command resumes.")


def _ingest_world(world: Antarctica, place: Place) -> None:
    """Write the files of the world, and catalogue what is not catalogued yet."""
    from cluster import object_store, store_errors
    from pipelines.worlds.gravity_files import write_gravity

    folder = place.work / "files"
    with store_errors.local_errors(folder):
        written = write_gravity(
            world, folder, start=f"{FIRST_MONTH:%Y-%m}", months=MONTHS, j_max=J_MAX
        )
    catalogue = object_store.join(place.output, "catalogue")
    for role, (kind, collection) in COLLECTIONS.items():
        sources = tuple(str(path) for path in getattr(written, role))
        found = ingest_all(kind, sources, catalogue=catalogue, collection=collection)
        failed = [each for each in found if each.state == "failed"]
        if failed:
            msg = f"{failed[0].source}: {failed[0].reason}; name an empty --output"
            raise DemoError(msg)


def _write_run_file(place: Place) -> Path:
    """Write the run file beside the results, and return a local copy."""
    from cluster import object_store

    text = RUN_FILE.format(
        catalogue=place.catalogue,
        output=place.results,
        first=FIRST_MONTH,
        last=LAST_DAY,
        j_max=J_MAX,
    )
    object_store.write_bytes(place.run_file, text.encode())
    copy = place.work / "gravimetry.yaml"
    if str(copy) != place.run_file:
        copy.write_text(text, encoding="utf-8")
    return copy
