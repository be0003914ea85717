"""What people and scripts see of each command: words, JSON, exit status."""

import contextlib
import datetime as dt
import errno
import json
import os
import signal
import subprocess
import sys
import termios
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from cluster.ledger import Receipt
from cluster.store_errors import StoreError
from pipelines import settings, tables
from pipelines.commands import columns, products, truth
from pipelines.commands import ingest as commands_ingest
from pipelines.flows.catalogue_inputs import InputError
from pipelines.kernels.gravity.stokes import EpochError
from pipelines.lifecycle import InputItem, Outcome, Plan, Stage
from stac.catalogue import CatalogueError
from stac.ingest import READABLE
from tests.fixtures.commands import NUNATAK, last_line, nunatak

DAY = dt.date(2011, 2, 1)
FLOW = "tests_fake_flow"


@dataclass(frozen=True)
class FakePlan(Plan):
    """A plan whose outcome is decided by the test."""

    ends: Outcome | BaseException = field(default_factory=lambda: Outcome(2, 0, 0))
    asked: list[Any] = field(default_factory=list)
    rays: list[str | None] = field(default_factory=list)

    def execute(self, client_address: str | None = None, **choices: Any) -> Outcome:
        self.asked.append((client_address, choices["fresh"]))
        self.rays.append(choices.get("ray"))
        if isinstance(self.ends, BaseException):
            raise self.ends
        for key, reason in self.ends.failures:
            choices["on_receipt"](Receipt(key, "failed", reason=reason))
        return self.ends

    def status(self) -> Outcome:
        assert isinstance(self.ends, Outcome)
        return self.ends


def fake_plan(output: str, **changes: Any) -> FakePlan:
    stages = (
        Stage("prepare", ("a", "b"), no_job, 1, 0.1, "nothing"),
        Stage("sums", ("c",), no_job, 1, 0.1, "nothing"),
    )
    given: dict[str, Any] = {
        "product": "gravimetry",
        "output": output,
        "run_id": "ab" * 32,
        "run_text": "",
        "description": {},
        "inputs": (InputItem("gravity", "one", "1220", 2**20, "/one"),),
        "stages": stages,
        "batch": 1,
        "template": print,
        "tell": print,
        "bytes_to_write": 2**20,
    }
    return FakePlan(**{**given, **changes})


def no_job(key: str, group: Any) -> Receipt:
    return Receipt(key, "done")


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(settings.example("gravimetry"))
    return path


@pytest.fixture
def flow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """A flow module; the test may replace its plan, and finds tables where a run leaves them."""
    output = tmp_path / "out"
    rows = [
        tables.Row("gravimetry", quantity, "z", region, DAY, DAY, value, 1.5, "Gt yr-1")
        for quantity, region, value in (
            ("mass_rate", "22", -46.5),
            ("mass_rate", "AIS", -68.1),
            ("mass_rate_buffered", "AIS", -72.6),
        )
    ]
    (output / "tables").mkdir(parents=True)
    (output / "tables" / "regions.csv").write_bytes(tables.write_rows(rows))
    module = SimpleNamespace(made=fake_plan(str(output)))
    module.plan = lambda run: module.made
    monkeypatch.setitem(sys.modules, FLOW, module)
    monkeypatch.setattr(products, "FLOWS", {"gravimetry": FLOW})
    return module


def test_plan_says_what_will_happen(run_file: Path, flow: SimpleNamespace) -> None:
    result = nunatak("plan", run_file, "--json")

    assert result.exit_code == 0
    assert "1 catalogue items" in result.stdout
    assert last_line(result)["items"] == 1
    assert last_line(result)["worker_bytes"] > 0
    assert flow.made.asked == []


def test_plan_prints_an_example_that_reads(tmp_path: Path) -> None:
    result = nunatak("plan", "--example", "gravimetry")
    path = tmp_path / "run.yaml"
    path.write_text(result.stdout)

    assert result.exit_code == 0
    assert settings.read(path).product == "gravimetry"


def test_plan_refuses_what_outgrows_a_worker(run_file: Path, flow: SimpleNamespace) -> None:
    stage = Stage("prepare", ("a",), no_job, 2**50, 0.1, "a continent")
    flow.made = fake_plan("/out", stages=(stage,))

    for command in ("plan", "run"):
        result = nunatak(command, run_file)
        assert result.exit_code == 2
        assert "prepare needs 1048576.0 GiB" in result.stderr
        assert "but the smallest worker has" in result.stderr
    assert flow.made.asked == []


def test_plan_without_a_run_file_is_a_usage_error() -> None:
    result = nunatak("plan", "--json")

    assert result.exit_code == 2
    assert "--example PRODUCT" in result.stderr
    assert last_line(result)["error"] == "UsageError"


def test_run_prints_plan_groups_and_places(run_file: Path, flow: SimpleNamespace) -> None:
    flow.made = fake_plan(
        flow.made.output, ends=Outcome(3, 0, 0, results={"tables": "/out/tables"})
    )

    result = nunatak("run", run_file, "--json", "--fresh", "--scheduler", "tcp://here:8786")

    assert result.exit_code == 0
    assert flow.made.asked == [("tcp://here:8786", True)]
    lines = result.stdout.splitlines()
    assert lines[0].startswith("gravimetry: 1 catalogue items")
    assert any(line.split()[:3] == ["AIS", "mass_rate", "-68.1"] for line in lines)
    assert not any(line.split()[:1] == ["22"] for line in lines)
    assert last_line(result)["results"] == {"tables": "/out/tables"}
    assert [each["value"] for each in last_line(result)["regions"]] == [-68.1, -72.6]


def test_run_with_failed_keys_lists_them_and_ends_with_3(
    run_file: Path, flow: SimpleNamespace
) -> None:
    flow.made = fake_plan(flow.made.output, ends=Outcome(2, 1, 0, failures=(("a", "NaN found"),)))

    result = nunatak("run", run_file, "--json")

    assert result.exit_code == 3
    assert "failed  a: NaN found" in result.stdout
    assert "a failed: NaN found" in result.stderr
    assert last_line(result)["failures"] == [{"key": "a", "reason": "NaN found"}]
    assert last_line(result)["regions"] != []


@pytest.mark.parametrize(
    "ends", [Outcome(1, 1, 1, (("a", "no"),)), Outcome(2, 1, 0, (("c@1", "no"),))]
)
def test_tables_of_an_earlier_run_are_not_shown_as_results(
    run_file: Path, flow: SimpleNamespace, ends: Outcome
) -> None:
    flow.made = fake_plan(flow.made.output, ends=ends)

    result = nunatak("run", run_file, "--json")

    assert result.exit_code == 3
    assert "no results of this run yet" in result.stdout
    assert last_line(result)["regions"] == []
    assert last_line(result)["results"] == {}


def test_run_gives_the_address_of_ray_to_the_plan(run_file: Path, flow: SimpleNamespace) -> None:
    result = nunatak("run", run_file, "--ray", "ray://there:10001")

    assert result.exit_code == 0
    assert flow.made.rays == ["ray://there:10001"]
    assert flow.made.asked == [(None, False)]


def test_run_takes_dask_for_arrays_and_ray_for_networks(
    run_file: Path, flow: SimpleNamespace
) -> None:
    result = nunatak("run", run_file, "--ray", "local", "--scheduler", "tcp://here:8786")

    assert result.exit_code == 0
    assert flow.made.asked == [("tcp://here:8786", False)]
    assert flow.made.rays == ["local"]


def test_set_reaches_the_flow(run_file: Path, flow: SimpleNamespace) -> None:
    runs: list[settings.Run] = []

    def plan(run: settings.Run) -> Plan:
        runs.append(run)
        return flow.made  # type: ignore[no-any-return]

    flow.plan = plan
    nunatak("run", run_file, "--set", "gravimetry.members=7", "--set", "gravimetry.seed=3")

    assert (runs[0].choices.members, runs[0].choices.seed) == (7, 3)


@pytest.mark.parametrize(
    ("ends", "status", "said"),
    [
        (Outcome(0, 0, 3), 0, "nothing is done yet"),
        (Outcome(1, 0, 2), 0, "1 done, 0 failed, 2 left"),
        (Outcome(2, 1, 0, (("b", "no header"),)), 3, "failed  b: no header"),
    ],
)
def test_status(
    run_file: Path, flow: SimpleNamespace, ends: Outcome, status: int, said: str
) -> None:
    flow.made = fake_plan(flow.made.output, ends=ends)

    result = nunatak("status", run_file, "--json")

    assert result.exit_code == status
    assert said in result.stdout
    assert last_line(result)["left"] == ends.left


def test_many_keys_share_a_note(run_file: Path, flow: SimpleNamespace) -> None:
    notes = tuple((f"month/{n}@12", "kept: C30") for n in range(1, 4))
    flow.made = fake_plan(flow.made.output, ends=Outcome(3, 0, 0, notes=notes))

    assert "month/1 … month/3 (3 keys): kept: C30" in nunatak("status", run_file).stdout


@pytest.mark.parametrize(
    "error",
    [
        StoreError("bucket: not there; create it"),
        CatalogueError("nothing at /here; ingest first"),
        InputError("no month; ingest one"),
        EpochError("two months overlap: a, b"),
    ],
)
def test_mistakes_of_people_are_told_without_a_traceback(
    run_file: Path, flow: SimpleNamespace, error: Exception
) -> None:
    flow.made = fake_plan(flow.made.output, ends=error)

    result = nunatak("run", run_file, "--json")

    assert result.exit_code == 2
    assert result.stderr.endswith(f"Error: {error.args[0]}\n")
    assert "Traceback" not in result.stderr
    assert last_line(result)["message"] == error.args[0]


def test_a_full_disk_is_no_defect(run_file: Path, flow: SimpleNamespace) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/out/x")
    flow.made = fake_plan(flow.made.output, ends=full)

    result = nunatak("run", run_file)

    assert result.exit_code == 2
    assert "/out/x: No space left on device; make room" in result.stderr


def test_a_defect_is_one_line_and_keeps_its_traceback(
    run_file: Path, flow: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret-value")

    def broken(run: settings.Run) -> Plan:
        np.zeros((2, 2)).reshape(3, -1)
        raise AssertionError

    flow.plan = broken
    command = ["nunatak", "run", "x.yaml", "--set", "output=https://ice.example/c?sig=hunter2"]
    monkeypatch.setattr(sys, "argv", command)
    result = nunatak("run", run_file, "--json")

    assert result.exit_code == 1
    assert "nunatak has a defect: ValueError: cannot reshape" in result.stderr
    assert "Traceback" not in result.stderr
    kept = Path(last_line(result)["traceback"])
    text = kept.read_text()
    assert "np.zeros((2, 2)).reshape(3, -1)" in text
    assert text.startswith("nunatak run x.yaml --set output=https://ice.example/c?sig=***\n")
    kept.unlink()


def test_a_usage_error_repeats_no_secret(run_file: Path) -> None:
    result = nunatak("run", run_file, "https://ann:hunter2@ice.example/c?sig=hunter3", "--json")

    assert result.exit_code == 2
    assert "ice.example" in result.stderr
    assert "hunter" not in result.output


def test_debug_shows_the_traceback_without_secrets(
    run_file: Path, flow: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret-value")
    flow.made = fake_plan(flow.made.output, ends=StoreError("very-secret-value"))

    result = nunatak("run", run_file, "--debug")

    assert result.exit_code == 2
    assert "Traceback" in result.stderr
    assert "very-secret-value" not in result.output


def test_an_interrupted_run_can_be_resumed(run_file: Path, flow: SimpleNamespace) -> None:
    flow.made = fake_plan(flow.made.output, ends=KeyboardInterrupt())

    result = nunatak("run", run_file, "--json")

    assert result.exit_code == 130
    assert "the same command resumes" in result.stderr
    assert last_line(result)["exit_status"] == 130


def test_sigterm_interrupts_as_ctrl_c_does(run_file: Path, flow: SimpleNamespace) -> None:
    before = signal.getsignal(signal.SIGTERM)
    flow.plan = lambda run: os.kill(os.getpid(), signal.SIGTERM)

    assert nunatak("run", run_file).exit_code == 130
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_run_file_with_mistakes_is_refused(run_file: Path) -> None:
    result = nunatak("run", run_file, "--set", "gravimetry.member=3", "--json")

    assert result.exit_code == 2
    assert "did you mean 'members'?" in result.stderr
    assert last_line(result)["error"] == "SettingsError"


def polygons(path: Path, *, region: str = "west") -> Path:
    """Write one polygon that lies across 180°."""
    ring = [
        [-300e3, -900e3],
        [300e3, -900e3],
        [300e3, -1200e3],
        [-300e3, -1200e3],
        [-300e3, -900e3],
    ]
    document = {
        "type": "FeatureCollection",
        "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3031"}},
        "features": [
            {
                "type": "Feature",
                "properties": {"region": region, "name": region, "group": "WAIS"},
                "geometry": {"type": "Polygon", "coordinates": [ring]},
            }
        ],
    }
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """A catalogue of one polygon across 180°."""
    result = ingest(tmp_path / "catalogue", polygons(tmp_path / "ice.geojson"))
    assert result.exit_code == 0, result.output
    return tmp_path / "catalogue"


def ingest(catalogue: Path, *sources: Path, kind: str = "boundaries") -> Result:
    return nunatak(
        "ingest", kind, *sources, "--catalogue", catalogue, "--collection", "ice", "--json"
    )


def test_ingest_adds_once(catalogue: Path, tmp_path: Path) -> None:
    again = ingest(catalogue, tmp_path / "ice.geojson")

    assert again.exit_code == 0
    assert again.stdout.startswith("present  ice")
    assert (last_line(again)["added"], last_line(again)["present"]) == (0, 1)


def test_ingest_of_some_bad_sources_ends_with_3_and_of_none_good_with_2(
    catalogue: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.geojson"
    empty.write_bytes(b"")

    some = ingest(catalogue, tmp_path / "ice.geojson", empty)
    none = ingest(catalogue, tmp_path / "absent.geojson")

    assert (some.exit_code, none.exit_code) == (3, 2)
    assert "is empty" in some.stdout
    assert "check the path" in none.stdout
    assert [each["state"] for each in last_line(some)["sources"]] == ["present", "failed"]


def test_ingest_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    result = ingest(tmp_path / "catalogue", tmp_path, kind="basin")

    assert result.exit_code == 2
    assert "'basin' is no kind of source" in result.stderr


def test_help_of_ingest_lists_every_kind_that_can_be_ingested() -> None:
    shown = " ".join(nunatak("ingest", "--help").stdout.split())

    assert commands_ingest.KINDS == READABLE
    assert f"Kinds: {', '.join(READABLE)}." in shown.replace("- ", "-")


def test_help_of_search_says_what_a_summer_needs() -> None:
    assert "needs --region or --bbox" in " ".join(nunatak("search", "--help").stdout.split())


@pytest.mark.parametrize(
    ("conditions", "count"),
    [
        ([], 1),
        (["--collection", "ice"], 1),
        (["--ids", "ice,other"], 1),
        (["--ids", "other"], 0),
        (["--bbox", "175,-85,-175,-75"], 1),
        (["--bbox", "0,-85,10,-75"], 0),
        (["--region", "ice/west"], 1),
        (["--region", "ice/WAIS"], 1),
        (["--filter", "\"nunatak:kind\" = 'boundaries'"], 1),
        (["--filter", "\"nunatak:kind\" = 'gia'"], 0),
        (["--limit", "1"], 1),
    ],
)
def test_search_lists_what_answers(catalogue: Path, conditions: list[str], count: int) -> None:
    result = nunatak("search", "--catalogue", catalogue, "--json", *conditions)

    assert result.exit_code == 0, result.output
    assert result.stdout.split()[:4] == ["id", "collection", "start", "end"]
    assert last_line(result)["count"] == count


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        (["--bbox", "1,2,3"], "found 3 numbers; expected W,S,E,N"),
        (["--bbox", "a,b,c,d"], "expected W,S,E,N in degrees"),
        (["--bbox", "0,80,10,95"], "within -90 to 90 degrees\n"),
        (["--bbox", "0,224085,10,494415"], "within -90 to 90 degrees, not metres of EPSG:3031"),
        (["--datetime", "soon/later"], "'soon' is no date"),
        (["--region", "ice"], "expected COLLECTION/ID"),
        (["--region", "ice/east"], "holds west; name one"),
        (["--filter", "kind =="], "is not CQL2 text"),
        (["--bbox", "0,-85,10,-75", "--region", "ice/west"], "takes one of them"),
        (["--limit", "0"], "0 is not in the range"),
    ],
)
def test_search_refuses_what_cannot_be_asked(
    catalogue: Path, conditions: list[str], said: str
) -> None:
    result = nunatak("search", "--catalogue", catalogue, *conditions)

    assert result.exit_code == 2
    assert said in result.stderr


def on_a_terminal(*arguments: str | Path) -> str:
    """Run nunatak with a terminal for standard output; return what is shown there."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 60))
    with subprocess.Popen(
        [*NUNATAK, *map(str, arguments)], stdout=theirs, stderr=subprocess.PIPE
    ) as running:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # of a terminal whose other end is closed
            while part := os.read(ours, 4096):
                shown += part
        os.close(ours)
    assert running.returncode == 0
    return shown.decode()


def test_a_terminal_sees_a_drawn_table_with_whole_cells(catalogue: Path) -> None:
    shown = on_a_terminal("search", "--catalogue", catalogue)

    assert "─" in shown
    assert "ice" in shown


def test_a_drawn_table_folds_long_cells_and_knows_no_markup(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    columns.show(["id", "n"], [["[red]" + 30 * "x", "1"]], numbers=["n"])

    shown = capsys.readouterr().out
    assert "[red]" in shown
    assert shown.count("x") == 30


def test_a_broken_pipe_elsewhere_is_a_defect(run_file: Path, flow: SimpleNamespace) -> None:
    flow.made = fake_plan(flow.made.output, ends=BrokenPipeError(errno.EPIPE, "to a worker"))

    result = nunatak("run", run_file, "--json")

    assert result.exit_code == 1
    assert "has a defect: BrokenPipeError" in result.stderr
    Path(last_line(result)["traceback"]).unlink()


@pytest.mark.parametrize("arguments", [["plan", "--example", "gravimetry"], ["search"]])
def test_output_that_nobody_reads_is_no_defect(catalogue: Path, arguments: list[str]) -> None:
    where = ["--catalogue", str(catalogue), "--json"] if arguments == ["search"] else []
    ours, theirs = os.pipe()
    os.close(ours)

    with subprocess.Popen(
        [*NUNATAK, *arguments, *where], stdout=theirs, stderr=subprocess.PIPE, text=True
    ) as running:
        os.close(theirs)
        _, told = running.communicate(timeout=60)

    assert running.returncode == 130
    assert "Traceback" not in told
    assert "Exception" not in told


def test_search_of_no_catalogue_is_refused(tmp_path: Path) -> None:
    result = nunatak("search", "--catalogue", tmp_path / "nowhere")

    assert result.exit_code == 2
    assert "Traceback" not in result.stderr


def test_truth_is_set_beside_every_region_once() -> None:
    rows = [
        tables.Row("g", quantity, "z", region, DAY, DAY, value, 2.0, "Gt yr-1")
        for quantity, region, value in (
            ("mass_rate", "1", 5.0),
            ("mass_rate", "AIS", 9.0),
            ("mass_rate_buffered", "AIS", 99.0),
        )
    ]
    expected: Mapping[str, float] = {"1": 4.0, "AIS": 11.0, "nowhere": 0.0}

    compared = truth.compare(expected, {"1": 3.0, "AIS": 9.0, "nowhere": 0.0}, rows)
    lines = columns.aligned(truth.HEADER, truth.cells(compared))

    assert [(each.region, each.value, each.z) for each in compared] == [
        ("1", 5.0, 1.0),
        ("AIS", 9.0, 0.0),
    ]
    assert lines[1].split() == ["1", "4.0", "3.0", "5.0", "±", "2.0", "1.0"]


def test_the_truth_stands_beside_every_product() -> None:
    day = dt.date(2011, 2, 1)

    def row(product: str, region: str, value: float) -> tables.Row:
        return tables.Row(product, "mass_rate", "r", region, day, day, value, 0.5, "Gt yr-1")

    rows = {"gravimetry": [row("gravimetry", "1", 2.0)], "altimetry": [row("altimetry", "2", 3.0)]}
    header, lines = truth.side_by_side({"1": 1.0, "2": 4.0}, rows)

    assert header == ("region", "truth", "gravimetry", "sigma", "altimetry", "sigma_alt")
    assert lines[0] == ("1", "1.0", "2.0", "± 0.5", "", "")
    assert lines[1] == ("2", "4.0", "", "", "3.0", "± 0.5")
