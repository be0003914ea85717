"""A run as a job of Ray: submitted over HTTP, followed by its log, ended with its exit status.

The job gets the resolved run file and runs the same command on a node of the cluster. The token
comes from the environment and goes into one header; nothing secret travels with the job, because
whoever sees the dashboard sees what a job was given.
"""

import asyncio
import logging
import os
import re
import shlex
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cluster import ray_token
from cluster.launch import LaunchError

if TYPE_CHECKING:
    from ray.job_submission import JobDetails, JobSubmissionClient

logger = logging.getLogger(__name__)

RUN_FILE = "run.yaml"
# Where things are, not who may: names of secrets are never among them.
PASSED = ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "NUNATAK_LOG", "NUNATAK_RUN_ID")
_PREFERRED = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
_EXIT = re.compile(r"exit code (\d+)")
_LOOK_EVERY = 1.0  # [s]
_DEFECT = 1


@dataclass(frozen=True)
class Submission:
    """What is submitted.

    Attributes
    ----------
    name : str
        Of the run; jobs of one run are numbered.
    run_file : str
        Its resolved text.
    arguments : tuple of str
        Further arguments of the command.
    """

    name: str
    run_file: str
    arguments: tuple[str, ...] = ()

    def entrypoint(self) -> str:
        """Return the command of the job; Ray puts the address of its head into ``RAY_ADDRESS``."""
        more = "".join(f" {shlex.quote(each)}" for each in self.arguments)
        return f'nunatak run {RUN_FILE} --ray "$RAY_ADDRESS"{more}'


def checked_address(text: str) -> str:
    """Return the address of the job server.

    Raises
    ------
    LaunchError
        It is no http(s) URL with a host.

    Examples
    --------
    >>> checked_address("http://head:8265/")
    'http://head:8265'
    """
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        msg = f"found --address {text!r}; expected that of Ray's jobs, such as http://head:8265"
        raise LaunchError(msg)
    return text.rstrip("/")


def carry_out(address: str, submission: Submission, say: Callable[[str], None]) -> int:
    """Submit a run, or find the job of it that works, and follow it; return its exit status.

    Parameters
    ----------
    address : str
        ``http://head:8265``.
    submission : Submission
        What.
    say : callable
        Gets each line of its log.

    Raises
    ------
    LaunchError
        Ray does not answer, or demands another token.
    """
    client = _client(address)
    job, found = _submitted(client, submission)
    say(f"ray: {'following' if found else 'submitted'} the job {job}")
    asyncio.run(_follow(client, job, say))
    return exit_status(client.get_job_info(job))


def exit_status(info: "JobDetails") -> int:
    """Return the exit status of a job that has ended; 1 where Ray does not know it."""
    if str(info.status) == "SUCCEEDED":
        return 0
    code = info.driver_exit_code
    if code is None:
        match = _EXIT.search(info.message or "")
        code = int(match[1]) if match else _DEFECT
    logger.info("ray: the job ended as %s: %s", info.status, info.message)
    return int(code) or _DEFECT


def _client(address: str) -> "JobSubmissionClient":
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.job_submission import JobSubmissionClient

    ray_token.read_from_environment()
    try:
        with _without_addresses():
            return JobSubmissionClient(address)
    except (ConnectionError, RuntimeError, OSError) as error:
        ray_token.require_not_refused(address, str(error))
        msg = f"{address}: {error}; expected the job server of a Ray cluster there (its dashboard, "
        raise LaunchError(msg + "port 8265)") from error


@contextmanager
def _without_addresses() -> Iterator[None]:
    """Hide the variables that Ray's client prefers to the address that it is given."""
    held = {name: os.environ.pop(name) for name in _PREFERRED if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(held)


def _submitted(client: "JobSubmissionClient", submission: Submission) -> tuple[str, bool]:
    """Return the job of a run that works, or of a new one, and whether it was there."""
    jobs = [each for each in client.list_jobs() if _is_of(each, submission.name)]
    working = [each.submission_id for each in jobs if not each.status.is_terminal()]
    if working:
        return str(working[0]), True
    with tempfile.TemporaryDirectory(prefix="nunatak-job-") as folder:
        (Path(folder) / RUN_FILE).write_text(submission.run_file)
        runtime: dict[str, Any] = {
            "working_dir": folder,
            "env_vars": {name: os.environ[name] for name in PASSED if os.environ.get(name)},
        }
        job = client.submit_job(
            entrypoint=submission.entrypoint(),
            submission_id=f"{submission.name}-{len(jobs) + 1}",
            runtime_env=runtime,
            metadata={"nunatak.run": submission.name},
        )
    return str(job), False


def _is_of(job: "JobDetails", name: str) -> bool:
    return bool((job.metadata or {}).get("nunatak.run") == name and job.submission_id)


async def _follow(client: "JobSubmissionClient", job: str, say: Callable[[str], None]) -> None:
    """Hand over the log until the job has ended, also if a connection ends before."""
    told, held = 0, ""
    while True:
        seen = 0
        async for part in client.tail_job_logs(job):
            held += part[max(0, told - seen) :]
            seen += len(part)
            told = max(told, seen)
            *lines, held = held.split("\n")
            for line in lines:
                say(line)
        if client.get_job_status(job).is_terminal():
            break
        await asyncio.sleep(_LOOK_EVERY)
    if held:
        say(held)
