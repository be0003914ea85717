"""``nunatak demo``: a synthetic Antarctica with known truth, through the whole chain."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.commands import (
    budget_truth,
    columns,
    demo_runs,
    demo_scenes,
    network_reporting,
    products,
    reporting,
    truth,
)
from pipelines.commands.answers import DONE, SOME_FAILED, Answer, common_options
from pipelines.commands.demo_runs import COLLECTIONS, PRODUCTS
from pipelines.commands.demo_scenes import DemoScenes
from pipelines.commands.ingest import ingest_all
from pipelines.commands.run import log_receipt

if TYPE_CHECKING:
    from pipelines.lifecycle import Outcome, Plan
    from pipelines.worlds.antarctica import Antarctica


class DemoError(ValueError):
    """The demo cannot go on where it is."""


@dataclass(frozen=True)
class Place:
    """Where a demo puts its things: ``work`` is a local folder, the rest are addresses."""

    output: str
    work: Path
    catalogue: str
    root: str

    def run_file(self, product: str) -> str:
        """Return the address of the run file of a product."""
        from cluster import object_store

        return object_store.join(self.output, f"{product}.yaml")


@dataclass(frozen=True)
class Ran:
    """A product of the demo: its plan, and what became of it."""

    plan: Plan
    outcome: Outcome


@click.command("demo")
@click.option("--output", metavar="URL", default="./nunatak-demo", show_default=True)
@common_options
def demo_command(output: str) -> Answer:
    """Build a small synthetic Antarctica, measure it, and print truth beside result."""
    started = time.perf_counter()
    with _place(output) as place:
        _announce(place)
        world = _world()
        scenes = _ingest_world(world, place)
        ran = _run_all(place)
        facts = _facts(world, place, ran)
        if "scenes" in ran and _is_shown(ran["scenes"]):
            facts["scenes"] = _scenes_compared(scenes, ran["scenes"].plan.output)
        if "shelf_damage" in ran and _is_shown(ran["shelf_damage"]):
            facts["damage"] = _damage_compared(scenes, ran["shelf_damage"].plan.output)
        if "comparison" in ran and _is_shown(ran["comparison"]):
            facts["comparison"] = _methods_compared(world, ran["comparison"].plan.output)
        facts["report"] = _report(place, ran)
    facts["seconds"] = round(time.perf_counter() - started, 1)
    click.echo(f"run files and results in {place.output}, {facts['seconds']:.0f} s")
    click.echo(f"report: {facts['report']}")
    failed = any(each.outcome.failed for each in ran.values())
    return Answer(SOME_FAILED if failed else DONE, facts)


def _is_shown(ran: Ran) -> bool:
    return reporting.is_shown(ran.plan, ran.outcome)


def _damage_compared(scenes: DemoScenes, output: str) -> list[dict[str, Any]]:
    """Print damage beside its truth; NumPy is loaded only here, so that help is quick."""
    from pipelines.commands import damage_truth

    return damage_truth.compare(scenes, output)


def _scenes_compared(scenes: DemoScenes, output: str) -> list[dict[str, Any]]:
    """Print chosen scenes beside their truth; NumPy is loaded only here, so that help is quick."""
    from pipelines.commands import scenes_truth

    return scenes_truth.compare(scenes, output)


TOLD_APART = ("training", "restoration", "scenes")
"""Products that the report leaves to their own pages: what is made of them is in it."""


def _report(place: Place, ran: dict[str, Ran]) -> str:
    """Write the page of the products, and return its address; nothing without any."""
    from cluster import object_store
    from pipelines.report.build import build
    from pipelines.report.outputs import open_outputs

    shown = [each.plan.output for name, each in ran.items()
             if _is_shown(each) and name not in TOLD_APART]  # fmt: skip
    if not shown:
        return ""
    click.echo("A page of all this, which opens without a server or a network:")
    made = build(open_outputs(shown), object_store.join(place.output, "report"), say=click.echo)
    return made.page


def _methods_compared(world: Antarctica, output: str) -> list[dict[str, Any]]:
    """Print all methods on common ground beside the truth."""
    from pipelines.commands import comparison_truth

    return comparison_truth.compare(world.basin_mass_rates(), output)


def _world() -> Antarctica:
    """Return the Antarctica of the demo, whose glaciers thin at the mouths of their streams."""
    from pipelines.worlds import antarctica, forcing

    return antarctica.Antarctica(seed=demo_runs.SEED, anomalies=forcing.ANOMALIES + forcing.OUTLETS)


def _run_all(place: Place) -> dict[str, Ran]:
    """Run the products in turn, up to the first that has nothing to show; they share their workers.

    Starting processes takes seconds each time, of which a product of the demo has few.
    """
    from cluster import dask_cluster

    ran = {}
    with dask_cluster.connect(None) as client:
        address = str(client.scheduler_info()["address"])
        for product in PRODUCTS:
            ran[product] = _run(product, place, address)
            if not reporting.is_shown(ran[product].plan, ran[product].outcome):
                break
    return ran


def _run(product: str, place: Place, scheduler: str) -> Ran:
    """Plan one product, say so, and run it."""
    _, plan = products.plan_of(_write_run_file(product, place))
    click.echo(plan.describe())
    products.require_fits(plan, products.worker_bytes(None, plan))
    outcome = plan.execute(scheduler, on_receipt=log_receipt)
    if reporting.is_shown(plan, outcome) and product in network_reporting.TABLES:
        network_reporting.TABLES[product](plan)
    click.echo("\n".join(reporting.outcome_lines(plan, outcome)))
    return Ran(plan, outcome)


def _facts(world: Antarctica, place: Place, ran: dict[str, Ran]) -> dict[str, Any]:
    """Print truth beside results, and return both for scripts."""
    told = [reporting.facts(each.plan, each.outcome) for each in ran.values()]
    counts = {name: sum(fact[name] for fact in told) for name in ("done", "failed", "left")}
    compared, errors = _compared(world, place, ran)
    return {
        "product": "demo",
        "output": place.output,
        **counts,
        "products": told,
        "compared": compared,
        "errors_by_scale": errors,
    }


def _compared(
    world: Antarctica, place: Place, ran: dict[str, Ran]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    shown = [name for name, each in ran.items() if reporting.is_shown(each.plan, each.outcome)]
    if not shown:
        return [], []
    shown = [name for name in shown if name not in reporting.WITHOUT_REGIONS]
    rows = {name: reporting.table_rows(ran[name].plan.output, "regions") for name in shown}
    true = world.basin_mass_rates()
    _keep_truth(place, true)
    header, lines = truth.side_by_side(true, rows)
    click.echo("Mass change [Gt/yr] with one standard deviation beside it:")
    columns.show(header, lines, numbers=header[1:])
    click.echo("\n".join(truth.explanation(j_max=demo_runs.J_MAX)))
    seen = truth.seen_mass_rates(world, ran["gravimetry"].plan.output, j_max=demo_runs.J_MAX)
    compared = truth.compare(true, seen, rows["gravimetry"])
    if "mass_budget" in rows:
        click.echo("Terms of the mass budget [Gt/yr], mean of its years:")
        header, lines = budget_truth.terms(world, rows["mass_budget"])
        columns.show(header, lines, numbers=header[1:])
    found = [{**dataclasses.asdict(each), "z": each.z} for each in compared]
    return found, _errors_by_scale(world, place, shown)


def _keep_truth(place: Place, true: Mapping[str, float]) -> None:
    """Write the truth beside the results, for whoever comes after the terminal has scrolled."""
    from cluster import object_store

    lines = ["region,mass_rate_truth,unit", *(f"{name},{rate!r},Gt yr-1"
                                               for name, rate in true.items())]  # fmt: skip
    path = object_store.join(place.output, "truth.csv")
    object_store.write_bytes(path, "".join(f"{line}\n" for line in lines).encode())
    click.echo(f"The truth is kept in {path}")


def _errors_by_scale(world: Antarctica, place: Place, shown: list[str]) -> list[dict[str, Any]]:
    """Print, draw and return how large the errors are at each scale, where all three are there."""
    from cluster import object_store
    from pipelines.commands import truth_by_degree

    if not set(truth_by_degree.NEEDED) <= set(shown):
        return []
    errors = truth_by_degree.errors(world, object_store.join(place.output, "combination"))
    path = object_store.join(place.output, "error_by_degree.png")
    object_store.write_bytes(path, truth_by_degree.figure(errors))
    table = truth_by_degree.by_scale(errors)
    click.echo(truth_by_degree.CAPTION)
    columns.show(truth_by_degree.HEADER, truth_by_degree.cells(table),
                 numbers=truth_by_degree.HEADER)  # fmt: skip
    click.echo(f"Errors by degree are drawn in {path}")
    return table


@contextmanager
def _place(output: str) -> Iterator[Place]:
    """Yield the addresses of a demo; the files of a remote one are written to a passing folder."""
    from cluster import object_store

    address = object_store.parse(output)
    with tempfile.TemporaryDirectory(prefix="nunatak-demo-") as passing:
        work = address.local if address.is_local else Path(passing)
        base = "." if address.is_local else address.url
        yield Place(output=address.url, work=work, catalogue=f"{base}/catalogue", root=base)


def _announce(place: Place) -> None:
    click.echo(f"A synthetic Antarctica, whose mass change is known, goes into {place.output}:")
    months, degree = demo_runs.MONTHS, demo_runs.J_MAX
    for step in (
        f"{months} months of gravity fields to degree {degree}, in the format of the missions",
        "elevation rates of 7 retrackers and 4 fits, with gaps, and models of snow and firn",
        "a STAC catalogue of them, below catalogue",
        "maps of velocity with gaps, two beds, a gate, months of snow, thinning",
        "Landsat scenes of two ice shelves in three summers, with clouds and gaps of Landsat 7",
        "annotated tiles of two ice shelves",
        "gravimetry, altimetry, their combination, the mass budget and scenes, on local Dask",
        "gaps of Landsat 7 filled, a network trained, networks scored, damage mapped, on local Ray",
        "damage of two years compared where the ice has moved",
        "all methods on common ground: differences, combined estimates, closed budgets",
        "truth beside results, and errors by scale",
        "a page of maps, curves and tables, below report",
    ):
        click.echo(f"  - {step}")
    click.echo("This takes a few minutes; if it is interrupted, the same command resumes.")


def _ingest_world(world: Antarctica, place: Place) -> DemoScenes:
    """Write the files of the world, and catalogue what is not catalogued yet."""
    from cluster import object_store, store_errors
    from pipelines.worlds.elevation_files import write_altimetry
    from pipelines.worlds.gravity_files import write_gravity
    from pipelines.worlds.mass_budget_files import write_mass_budget

    folder = place.work / "files"
    with store_errors.local_errors(folder):
        first = f"{demo_runs.FIRST_MONTH:%Y-%m}"
        gravity = write_gravity(
            world, folder, start=first, months=demo_runs.MONTHS, j_max=demo_runs.J_MAX
        )
        altimetry = write_altimetry(
            world,
            folder,
            seed=demo_runs.SEED,
            spacing_km=demo_runs.SPACING_KM,
            period=(demo_runs.FIRST_MONTH, demo_runs.LAST_DAY),
        )
        budget = write_mass_budget(
            world, folder / "budget", seed=demo_runs.SEED, spacing_km=demo_runs.VELOCITY_KM,
            first_year=demo_runs.FIRST_MONTH.year, years=demo_runs.MONTHS // 12,
        )  # fmt: skip
    scenes = demo_scenes.write(world, place.work / "files", place.output)
    catalogue = object_store.join(place.output, "catalogue")
    for kind, collection, sources in scenes.sources():
        _ingest(kind, sources, catalogue, collection)
    for role, (kind, collection) in COLLECTIONS.items():
        written = next(each for each in (gravity, altimetry, budget) if hasattr(each, role))
        sources = tuple(str(path) for path in getattr(written, role))
        _ingest(kind, sources, catalogue, collection)
    return scenes


def _ingest(kind: str, sources: tuple[str, ...], catalogue: str, collection: str) -> None:
    found = ingest_all(kind, sources, catalogue=catalogue, collection=collection)
    failed = [each for each in found if each.state == "failed"]
    if failed:
        msg = f"{failed[0].source}: {failed[0].reason}; name an empty --output"
        raise DemoError(msg)


def _write_run_file(product: str, place: Place) -> Path:
    """Write a run file beside the results, and return a local copy."""
    from cluster import object_store

    text = demo_runs.run_file(product, catalogue=place.catalogue, root=place.root)
    address = place.run_file(product)
    object_store.write_bytes(address, text.encode())
    copy = place.work / f"{product}.yaml"
    if str(copy) != address:
        copy.write_text(text, encoding="utf-8")
    return copy
