"""A run as a job of a real Ray: submitted, followed line by line, its exit status ours."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import ray_jobs
from cluster.launch import LaunchError
from cluster.ray_jobs import Submission
from tests.fixtures import ray_head
from tests.fixtures.ray_head import Head

TOKEN = "7" * 64
MISTAKEN = "product: gravimetri\n"


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with ray_head.started(
        cpus=1, token=TOKEN, alone=True, dashboard=True, variables={"PATH": path}
    ) as started:
        yield started


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(300)
# Ray's own client asks aiohttp so.
@pytest.mark.filterwarnings("ignore:ssl=None is deprecated:DeprecationWarning")
def test_a_job_gives_back_its_words_and_its_status(
    head: Head, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray_head.use(monkeypatch, TOKEN)
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:9")  # Ray's client would prefer it
    said: list[str] = []

    mistaken = ray_jobs.carry_out(head.jobs_address, Submission("g-1", MISTAKEN), said.append)
    helped = ray_jobs.carry_out(
        head.jobs_address, Submission("g-1", MISTAKEN, ("--help",)), said.append
    )

    assert mistaken == 2
    assert helped == 0
    assert "ray: submitted the job g-1-1" in said
    assert "ray: submitted the job g-1-2" in said
    assert any("did you mean 'gravimetry'?" in line for line in said)
    assert any("Usage: nunatak run" in line for line in said)
    assert os.environ["RAY_ADDRESS"] == "http://127.0.0.1:9"


def test_the_command_of_a_job() -> None:
    command = Submission("g-1", "", ("--fresh",)).entrypoint()

    assert command == 'nunatak run run.yaml --ray "$RAY_ADDRESS" --fresh'


@pytest.mark.parametrize(
    ("status", "code", "message", "expected"),
    [
        ("SUCCEEDED", 0, "", 0),
        ("FAILED", 3, "", 3),
        ("FAILED", None, "entrypoint command failed with exit code 2, last lines:", 2),
        ("STOPPED", None, "Job was intentionally stopped.", 1),
    ],
)
def test_statuses(status: str, code: int | None, message: str, expected: int) -> None:
    from ray.dashboard.modules.job.pydantic_models import JobDetails, JobType

    details = JobDetails(
        type=JobType.SUBMISSION,
        entrypoint="x",
        status=status,
        driver_exit_code=code,
        message=message,
    )

    assert ray_jobs.exit_status(details) == expected


@pytest.mark.parametrize("wrong", ["head:8265", "ray://head:10001", "http://me:pw@head:8265", ""])
def test_addresses_of_jobs(wrong: str) -> None:
    with pytest.raises(LaunchError, match=r"expected that of Ray's jobs, such as http://head:8265"):
        ray_jobs.checked_address(wrong)


def test_a_cluster_that_is_away_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    ray_head.use(monkeypatch, TOKEN)
    with pytest.raises(LaunchError, match="expected the job server of a Ray cluster there"):
        ray_jobs.carry_out("http://127.0.0.1:9", Submission("g", ""), print)
