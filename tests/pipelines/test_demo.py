"""The whole chain on a synthetic Antarctica: interrupted, resumed, and against its truth."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pipelines import tables
from pipelines.commands import demo_runs
from tests.fixtures.commands import NUNATAK, last_line, nunatak


def interrupt_demo(output: Path) -> str:
    """Start a demo, press Ctrl-C in it, and return what it said: the whole group is reached."""
    command = [*NUNATAK, "demo", "--output", str(output)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if "gravimetry: prepare" in line:
                break
        os.killpg(running.pid, signal.SIGINT)
        _, told = running.communicate(timeout=120)
        assert running.returncode == 130, told
    return told


@pytest.mark.slow
@pytest.mark.timeout(2400)  # ten minutes alone on two cores
def test_the_demo_ends_at_ctrl_c_resumes_and_finds_the_truth(tmp_path: Path) -> None:
    """Basins within five, wide regions within four standard deviations of what can be seen."""
    output = tmp_path / "demo"

    told = interrupt_demo(output)
    first = nunatak("demo", "--output", output, "--json")
    again = nunatak("demo", "--output", output, "--json")

    assert "the same command resumes" in told
    assert "Traceback" not in told
    assert first.exit_code == 0, first.output
    assert last_line(first)["left"] == 0
    compared = {each["region"]: each for each in last_line(first)["compared"]}
    assert set(compared) >= {str(n) for n in range(1, 28)} | {"EAIS", "WAIS", "AP", "AIS"}
    assert all(abs(each["z"]) < 5.0 for each in compared.values())
    assert all(abs(compared[name]["z"]) < 4.0 for name in ("EAIS", "WAIS", "AP", "AIS"))
    assert last_line(again)["compared"] == last_line(first)["compared"]
    assert [each["product"] for each in last_line(first)["products"]] == list(demo_runs.PRODUCTS)
    assert_scales(last_line(first)["errors_by_scale"])
    damage = last_line(first)["damage"]
    assert len(damage) == len(demo_runs.SHELVES) * len(demo_runs.SUMMERS)
    assert all(abs(each["z"]) < 2.5 for each in damage)
    assert_methods(last_line(first)["comparison"])
    assert Path(last_line(first)["report"]) == output / "report" / "index.html"
    assert_report(output / "report")
    true = {region: each["truth"] for region, each in compared.items()}
    assert_budget(output / "mass_budget", true, compared)


def assert_scales(errors: list[dict[str, float]]) -> None:
    scales = {row["scale_km"]: row for row in errors}
    for scale in (500, 333, 200, 133, 80, 40):
        found = scales[scale]
        assert found["combination"] < min(found["gravimetry"], found["altimetry"])
    for scale in (4000, 2000, 1000):
        # One world may go either way where altimetry has 2 % of the weight and errors that are five
        # times as large: by a tenth at most.
        assert scales[scale]["combination"] < 1.1 * scales[scale]["gravimetry"]


def assert_methods(compared: list[dict[str, Any]]) -> None:
    """On common ground every method and all together find the truth of every region."""
    names = {"gravimetry", "altimetry", "combination", "mass_budget", "combined"}
    assert {each["method"] for each in compared} == names
    assert {each["region"] for each in compared} >= {"1", "27", "EAIS", "WAIS", "AP", "AIS"}
    assert all(abs(each["z"]) < 5.0 for each in compared)
    z = [abs(each["z"]) for each in compared if each["method"] in ("gravimetry", "mass_budget")]
    # Two thirds and 95 % if all errors were normal and as they are told; of one world, less.
    assert sum(each < 2.0 for each in z) > 0.8 * len(z)


def assert_report(folder: Path) -> None:
    """The page is there with its map, its pictures in both formats, and a table for each number."""
    page = (folder / "index.html").read_text()
    assert "map/index.html" in page
    assert (folder / "map" / "scene.json").exists()
    drawn = {path.stem for path in (folder / "figures").glob("*.png")}
    assert len(drawn) >= 10
    assert drawn == {path.stem for path in (folder / "figures").glob("*.svg")}
    assert (folder / "tables" / "comparison" / "comparison.csv").exists()


def assert_budget(output: Path, true: dict[str, float], seen: dict[str, dict[str, float]]) -> None:
    """The budget finds the truth of every region, and agrees with gravimetry on the whole."""
    rows = tables.read_rows((output / "tables" / "regions.csv").read_bytes())
    found = {
        row.region: row for row in rows
        if row.quantity == "mass_balance" and row.note.split(";")[0] == "epoch=mean"
    }  # fmt: skip
    z = [(found[name].value - truth) / found[name].uncertainty for name, truth in true.items()]
    assert max(map(abs, z)) < 4.0
    assert sum(abs(each) < 2.0 for each in z) > 0.8 * len(z)
    whole, by_gravity = found["AIS"], seen["AIS"]
    # A field of degree 60 sees less than all of it; sigmas of both, and that difference.
    apart = whole.value - by_gravity["value"]
    unseen = by_gravity["truth"] - by_gravity["seen"]
    assert (
        abs(apart - unseen) < 2.0 * (whole.uncertainty**2 + by_gravity["uncertainty"] ** 2) ** 0.5
    )
