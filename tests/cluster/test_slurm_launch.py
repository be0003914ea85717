"""Workers as jobs of Slurm: its three commands are small programs that start real processes."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cluster import slurm_launch
from cluster.launch import LaunchError, Size
from cluster.slurm_launch import Jobs
from tests.fixtures import interrupted_job, slurm_here

GIB = 2**30
BUSY = "slurm_load_jobs error: Unable to contact slurm controller"


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    folder = tmp_path / "slurm"
    for name, value in slurm_here.install(folder).items():
        monkeypatch.setenv(name, value)
    yield folder
    slurm_here.end(folder)


def jobs(tmp_path: Path, **changes: Any) -> Jobs:
    given: dict[str, Any] = {
        "workers": 2,
        "size": Size(1.0, GIB),
        "interface": "lo",
        "logs": str(tmp_path / "logs"),
    }
    return Jobs(**{**given, **changes})


def test_a_run_in_jobs_equals_the_one_here(slurm: Path, tmp_path: Path) -> None:
    asked = jobs(tmp_path, queue="long", project="ice", walltime="00:30:00")
    with slurm_launch.workers(asked) as address:
        interrupted_job.run(address, str(tmp_path / "there"))
        assert len(slurm_here.alive(slurm)) == 2
    interrupted_job.run(None, str(tmp_path / "here"))

    scripts = slurm_here.scripts(slurm)
    assert len(scripts) == 2
    assert all("#SBATCH -p long\n#SBATCH -A ice\n" in script for script in scripts)
    assert all("#SBATCH -t 00:30:00" in script and address in script for script in scripts)
    np.testing.assert_array_equal(
        interrupted_job.field(str(tmp_path / "there")),
        interrupted_job.field(str(tmp_path / "here")),
    )
    assert sorted((slurm / "jobs" / "cancelled").read_text().split()) == ["1", "2"]
    assert ended(slurm)


def ended(folder: Path) -> bool:
    deadline = time.monotonic() + 20
    while slurm_here.alive(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not slurm_here.alive(folder)


def test_the_script_asks_for_what_the_plan_needs(tmp_path: Path) -> None:
    script = slurm_launch.job_script(jobs(tmp_path, workers=8, cores=4, size=Size(1.0, 3 * GIB)))

    assert jobs(tmp_path, workers=9, cores=4).count == 3
    assert "#SBATCH --cpus-per-task=4" in script
    assert "#SBATCH --mem=12G" in script
    assert "--nworkers 4" in script
    assert "--nthreads 1" in script
    assert "export OMP_NUM_THREADS=1" in script
    assert not (tmp_path / "logs").exists()  # saying it makes nothing


def test_refusals_of_slurm_are_words(slurm: Path, tmp_path: Path) -> None:
    said = "sbatch: error: invalid partition specified: lnog"
    (slurm / "jobs" / "refused").write_text(said)

    with (
        pytest.raises(LaunchError, match=f"{said}; choose with --queue"),
        slurm_launch.workers(jobs(tmp_path, queue="lnog")),
    ):
        pass
    assert not slurm_here.scripts(slurm)


def test_jobs_that_end_before_they_work_are_said(slurm: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(LaunchError, match=r"every job of Slurm \(\d+, \d+\) ended before a worker"),
        slurm_launch.workers(jobs(tmp_path, python="/no/python")),
    ):
        pass
    printed = "".join(each.read_text() for each in (tmp_path / "logs").iterdir())
    assert "/no/python" in printed


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (BUSY, [f"unknown ({BUSY})"]),
        ("slurm_load_jobs error: Invalid job id specified", []),
    ],
)
def test_a_controller_that_does_not_answer_has_ended_no_job(
    slurm: Path, said: str, expected: list[str]
) -> None:
    squeue = slurm / "bin" / "squeue"
    squeue.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")

    assert slurm_launch.states(["1", "2"]) == expected


def test_a_machine_without_slurm_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LaunchError, match="found no sbatch, scancel, squeue here"):
        slurm_launch.require_slurm()
