"""A run as a job of a real Ray: submitted, followed line by line, its exit status ours."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import requests

from cluster import following, ray_jobs
from cluster.following import LostSightError
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
        ("FAILED", 137, "", 130),
        ("FAILED", 127, "", 1),
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


class CutOff:
    """The part of Ray's client that following needs, with a log and looks that break."""

    def __init__(self, *logs: tuple[str, ...], looks: tuple[Any, ...]) -> None:
        self.logs = list(logs)
        self.looks = list(looks)

    async def tail_job_logs(self, _job: str) -> AsyncIterator[str]:
        for part in self.logs.pop(0):
            if part == "CUT":
                raise aiohttp.ServerDisconnectedError
            yield part

    def get_job_info(self, _job: str) -> Any:
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(look, Exception):
            raise look
        return SimpleNamespace(status=SimpleNamespace(is_terminal=lambda: look == "ended"))


def followed(client: CutOff) -> list[str]:
    said: list[str] = []
    asyncio.run(ray_jobs._follow(client, "g-1", said.append))  # type: ignore[arg-type]
    return said


def test_a_connection_that_breaks_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_jobs, "_LOOK_EVERY", 0.0)
    away = requests.ConnectionError("refused")
    client = CutOff(
        ("one\ntw", "CUT"), ("CUT",), ("one\n", "two\nth", "CUT"), ("one\ntwo\nthree",),
        looks=("runs", away, "ended"),
    )  # fmt: skip

    assert followed(client) == ["one", "two", "three"]


def test_a_ray_that_stays_away_is_given_up_as_resumable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_jobs, "_LOOK_EVERY", 0.0)
    monkeypatch.setattr(following, "AWAY_WITHIN", 0.0)
    away = requests.ConnectionError("refused")
    with pytest.raises(LostSightError, match=r"has not answered .*the same command follows it"):
        followed(CutOff(("one\n",), looks=(away,)))
    lost = RuntimeError("Request failed with status code 404: Job g-1 does not exist.")
    with pytest.raises(LostSightError, match="knows the job g-1 no more") as raised:
        followed(CutOff(("one\n",), looks=(lost,)))
    assert raised.value.resumable


@pytest.mark.parametrize("wrong", ["head:8265", "ray://head:10001", "http://me:pw@head:8265", ""])
def test_addresses_of_jobs(wrong: str) -> None:
    with pytest.raises(LaunchError, match=r"expected that of Ray's jobs, such as http://head:8265"):
        ray_jobs.checked_address(wrong)


def test_a_cluster_that_is_away_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    ray_head.use(monkeypatch, TOKEN)
    with pytest.raises(LaunchError, match="expected the job server of a Ray cluster there"):
        ray_jobs.carry_out("http://127.0.0.1:9", Submission("g", ""), print)
