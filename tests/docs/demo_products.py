"""Two products of the demo's Antarctica in a bucket: what the notebook opens."""

from pathlib import Path

from pipelines.commands import demo_runs
from pipelines.commands.ingest import ingest_all
from pipelines.worlds import antarctica, forcing
from pipelines.worlds.gravity_files import write_gravity
from pipelines.worlds.mass_budget_files import write_mass_budget
from tests.fixtures.commands import nunatak

PRODUCTS = ("gravimetry", "mass_budget")


def publish(root: str, folder: Path) -> None:
    """Write the files of the demo below a folder, and run `PRODUCTS` into ``root``, an address."""
    catalogue = f"{root}/catalogue"
    for role, sources in _files(folder).items():
        kind, collection = demo_runs.COLLECTIONS[role]
        found = ingest_all(kind, sources, catalogue=catalogue, collection=collection)
        assert not [each.reason for each in found if each.state == "failed"]
    for product in PRODUCTS:
        run_file = folder / f"{product}.yaml"
        run_file.write_text(demo_runs.run_file(product, catalogue=catalogue, root=root))
        done = nunatak("run", run_file)
        assert done.exit_code == 0, done.output


def _files(folder: Path) -> dict[str, tuple[str, ...]]:
    """Return the files of the demo's world that these products read, by role."""
    world = antarctica.Antarctica(
        seed=demo_runs.SEED, anomalies=forcing.ANOMALIES + forcing.OUTLETS
    )
    gravity = write_gravity(
        world,
        folder / "gravity",
        start=f"{demo_runs.FIRST_MONTH:%Y-%m}",
        months=demo_runs.MONTHS,
        j_max=demo_runs.J_MAX,
    )
    budget = write_mass_budget(
        world,
        folder / "budget",
        seed=demo_runs.SEED,
        spacing_km=demo_runs.VELOCITY_KM,
        first_year=demo_runs.FIRST_MONTH.year,
        years=demo_runs.MONTHS // 12,
    )
    return {
        role: tuple(str(path) for path in getattr(written, role))
        for role in demo_runs.COLLECTIONS
        for written in (gravity, budget)
        if hasattr(written, role)
    }
