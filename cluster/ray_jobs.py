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
from cluster.following import DEFECT, LostSightError, Patience, contract_status
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
# What Ray's client raises of an answer 404 is a RuntimeError with these words.
_UNKNOWN = "status code 404"


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
    LostSightError
        Ray has not answered for ten minutes while the job was followed, or lost it.
    """
    with _refusals_in_words(address):
        client = _client(address)
        job, found = _submitted(client, submission)
    say(f"ray: {'following' if found else 'submitted'} the job {job}")
    return exit_status(asyncio.run(_follow(client, job, say)))


def exit_status(info: "JobDetails") -> int:
    """Return the exit status of a job that has ended; 1 where Ray does not know it."""
    if str(info.status) == "SUCCEEDED":
        return 0
    code = info.driver_exit_code
    if code is None:
        match = _EXIT.search(info.message or "")
        code = int(match[1]) if match else DEFECT
    logger.info("ray: the job ended as %s: %s", info.status, info.message)
    return contract_status(int(code) or DEFECT)


def _client(address: str) -> "JobSubmissionClient":
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.job_submission import JobSubmissionClient

    ray_token.read_from_environment()
    with _without_addresses():
        return JobSubmissionClient(address)


@contextmanager
def _refusals_in_words(address: str) -> Iterator[None]:
    """Tell what Ray's client raises of an answer, or of none."""
    try:
        yield
    except (RuntimeError, OSError) as error:
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


async def _follow(
    client: "JobSubmissionClient", job: str, say: Callable[[str], None]
) -> "JobDetails":
    """Hand over the log until the job has ended, and return what became of it.

    The log is one answer that lasts as long as the job, and whatever lies between may cut it.
    """
    log = _Log(client, job, say)
    left = f"the job {job} goes on without us; the same command follows it"
    patience = Patience("the job server of Ray", left)
    while True:
        whole = await log.read()
        info = _looked_at(client, job, patience)
        if info is not None and info.status.is_terminal():
            if not whole:
                await log.read()
            log.end()
            return info
        await asyncio.sleep(_LOOK_EVERY)


def _looked_at(client: "JobSubmissionClient", job: str, patience: Patience) -> "JobDetails | None":
    """Return a job as it is now, or None where Ray does not answer.

    Raises
    ------
    LaunchError
        Ray knows no such job any more: its head was started anew.
    """
    try:
        info = client.get_job_info(job)
    except (OSError, RuntimeError) as error:
        if _UNKNOWN in str(error):
            msg = f"Ray knows the job {job} no more: its head was started anew, and the job ended "
            raise LostSightError(msg + "with it; the same command resumes what is left") from error
        patience.lost(error)
        return None
    patience.answered()
    return info


class _Log:
    """The log of a job: each line is said once, however often it is read from its beginning."""

    def __init__(self, client: "JobSubmissionClient", job: str, say: Callable[[str], None]) -> None:
        self._client = client
        self._job = job
        self._say = say
        self._told = 0
        self._held = ""

    async def read(self) -> bool:
        """Say what is new; return whether the log was read to its end."""
        import aiohttp

        seen = 0
        parts = aiter(self._client.tail_job_logs(self._job))
        while True:
            try:
                part = await anext(parts)
            except StopAsyncIteration:
                return True
            except (aiohttp.ClientError, OSError, RuntimeError) as error:
                logger.debug("ray: the log of %s broke off: %s", self._job, error)
                return False
            self._held += part[max(0, self._told - seen) :]
            seen += len(part)
            self._told = max(self._told, seen)
            *lines, self._held = self._held.split("\n")
            for line in lines:
                self._say(line)

    def end(self) -> None:
        """Say what has no end of line."""
        if self._held:
            self._say(self._held)
            self._held = ""
