"""``nunatak simulate`` tells time, cost and bottleneck of a plan, and draws them."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cluster.ledger import Receipt
from pipelines import scale
from pipelines.cli import main
from pipelines.commands import products
from pipelines.figures.canvas import FigureError
from pipelines.figures.scale_curves import scale_curves
from pipelines.lifecycle import Plan, Stage, Traffic


def stage(name: str, count: int, seconds: float) -> Stage:
    names = tuple(f"{name}/{n}" for n in range(count))
    return Stage(name, names, lambda key, group: Receipt(key, "done"), 2**20, seconds, "an array")


@pytest.fixture
def plan() -> Plan:
    return Plan(
        product="scenes",
        output="/nowhere",
        run_id="a",
        run_text="",
        description={},
        inputs=(),
        stages=(stage("screen", 60, 2.0), stage("none", 0, 1.0), stage("store", 20, 6.0)),
        batch=8,
        template=lambda group: None,
        tell=lambda finished: None,
        bytes_to_write=240,
        traffic=Traffic(4800, 480, 960),
    )


def test_what_a_plan_moves_is_split_by_the_time_of_its_stages(plan):
    screen, store = scale.works(plan)

    assert (screen.name, screen.keys, store.name, store.keys) == ("screen", 60, "store", 20)
    assert sum(screen.seconds) / len(screen.seconds) == pytest.approx(2.0)
    for of_key, whole in (
        ("bytes_read", 4800), ("bytes_written", 240), ("reads", 480), ("writes", 960),
    ):  # fmt: skip
        parts = [work.keys * getattr(work, of_key) for work in (screen, store)]
        assert parts == pytest.approx([whole / 2, whole / 2])


def receipts(path: Path, *lines: Receipt) -> Path:
    path.write_text("".join(f"{line.to_json()}\n" for line in lines))
    return path


def test_times_come_from_receipts_of_a_finished_run(plan, tmp_path):
    path = receipts(
        tmp_path / "receipts.jsonl",
        Receipt("screen/7@ab12", "done", 0.5),
        Receipt("screen/8", "done", 0.7),
        Receipt("screen/9", "failed", 9.0, reason="truncated"),
        Receipt("other/1", "done", 9.0),
    )
    times = scale.times_of(path, plan)

    assert times == {"screen": [0.5, 0.7]}
    assert scale.works(plan, times)[0].seconds == (0.5, 0.7)
    assert sum(scale.works(plan, times)[1].seconds) == pytest.approx(6000.0)


def test_what_are_no_receipts_of_the_plan_is_refused(plan, tmp_path):
    path = receipts(tmp_path / "other.jsonl", Receipt("merge/1", "done", 1.0))
    with pytest.raises(scale.ScaleError, match=r"no done key of scenes .*screen, store"):
        scale.times_of(path, plan)
    path.write_text("{")
    with pytest.raises(scale.ScaleError, match=r"name the receipts\.jsonl of a run"):
        scale.times_of(path, plan)


def answered(*arguments: str) -> tuple[int, str]:
    found = CliRunner().invoke(main, ["simulate", "run.yaml", *arguments])
    return found.exit_code, found.output


def test_the_command_tells_each_size_and_draws(plan, tmp_path, monkeypatch):
    monkeypatch.setattr(products, "plan_of", lambda run_file, overrides: (None, plan))
    picture = tmp_path / "scale.png"

    status, said = answered("--workers", "1,4,16", "--to", str(picture), "--kept", "--json")

    assert status == 0
    runs = json.loads(said.splitlines()[-1])["runs"]
    assert [run["workers"] for run in runs] == [1, 4, 16]
    assert runs[0]["seconds"] > 240.0
    assert runs[0]["seconds"] > 2 * runs[1]["seconds"] > 2 * runs[2]["seconds"]
    assert runs[2]["utilisation"] < runs[0]["utilisation"]
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("workers", ["0", "many", "1,-2", "50000", ""])
def test_numbers_that_are_none_are_refused(plan, monkeypatch, workers):
    monkeypatch.setattr(products, "plan_of", lambda run_file, overrides: (None, plan))
    status, said = answered("--workers", workers)

    assert status == 2
    assert "expected whole numbers from 1 to 20000" in said


def test_unknown_costs_are_a_mistake_in_words(plan, monkeypatch, tmp_path):
    monkeypatch.setattr(products, "plan_of", lambda run_file, overrides: (None, plan))
    (tmp_path / "costs.json").write_text('{"engine": {"task": 1}}')
    status, said = answered("--costs", str(tmp_path / "costs.json"))

    assert status == 2
    assert "engine has task; expected some of scheduler_task" in said


def test_a_picture_needs_two_sizes_and_equal_series():
    with pytest.raises(FigureError, match="1 numbers of workers"):
        scale_curves([1], [1.0], [1.0], {"keys": [1.0]}, title="x")
    with pytest.raises(FigureError, match="series of"):
        scale_curves([1, 2], [1.0, 2.0], [1.0], {"keys": [1.0, 0.5]}, title="x")
