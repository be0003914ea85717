"""``nunatak demo``: a synthetic Antarctica with known truth, through the whole chain."""

from __future__ import annotations

import datetime as dt
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.commands import products, reporting
from pipelines.commands.answers import DONE, SOME_FAILED, Answer, common_options
from pipelines.commands.ingest import ingest_all
from pipelines.commands.run import conclude, log_receipt

if TYPE_CHECKING:
    from pipelines.tables import Row
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

LEAKAGE = (
    f"A field of degree {J_MAX} sees {20_000 // J_MAX} km and more: mass of one basin shows partly "
    "in its neighbours and in the sea, and no member of the ensemble varies that. So z of a small "
    "basin or of a sharp loss at the coast can be large without a mistake; sums over wide regions "
    "compare better."
)


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
        products.require_fits(plan, products.local_worker_bytes())
        outcome = plan.execute(None, on_receipt=log_receipt)
    conclude(plan, outcome)
    compared: list[dict[str, float | str]] = []
    if reporting.is_shown(plan, outcome):
        compared = compare(world.basin_mass_rates(), reporting.region_rows(plan.output))
        click.echo("\n".join(comparison_lines(compared)))
    seconds = time.perf_counter() - started
    click.echo(f"run file {place.run_file}, results in {plan.output}, {seconds:.0f} s")
    facts = {**reporting.facts(plan, outcome), "compared": compared, "seconds": round(seconds, 1)}
    return Answer(SOME_FAILED if outcome.failed else DONE, facts)


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
        f"a STAC catalogue of them, {place.catalogue}",
        f"rates of mass change by basin on local Dask processes, {place.results}",
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


class DemoError(ValueError):
    """The demo cannot go on where it is."""


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


def compare(truth: Mapping[str, float], rows: Sequence[Row]) -> list[dict[str, float | str]]:
    """Set the result beside the truth.

    Parameters
    ----------
    truth : mapping of str to float
        Mass change by basin and group [Gt yr⁻¹].
    rows : sequence of Row
        Of ``tables/regions.csv``.

    Returns
    -------
    list of dict
        ``region``, ``truth``, ``value``, ``uncertainty`` [Gt yr⁻¹] and ``z``, the difference in
        standard deviations, in the order of the table.
    """
    found = {row.region: row for row in rows if row.quantity == "mass_rate"}
    return [
        {
            "region": region,
            "truth": expected,
            "value": found[region].value,
            "uncertainty": found[region].uncertainty,
            "z": (found[region].value - expected) / found[region].uncertainty,
        }
        for region, expected in truth.items()
        if region in found
    ]


def comparison_lines(compared: Sequence[Mapping[str, float | str]]) -> Iterator[str]:
    """Yield truth beside result, a line per region, and what the difference means."""
    yield f"{'region':<8} {'truth':>8} {'result':>8} {'± sigma':>9} {'z':>6}   [Gt/yr]"
    for each in compared:
        yield (
            f"{each['region']:<8} {each['truth']:8.1f} {each['value']:8.1f} "
            f"± {each['uncertainty']:7.1f} {each['z']:6.1f}"
        )
    yield LEAKAGE
