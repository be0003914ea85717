"""Dask workers as jobs of Slurm, through dask-jobqueue; scheduler and driver stay here.

Each job is one worker process for each of its cores, sized by the plan. They come as Slurm lets
them in: work begins with the first, and a job that ends at its walltime costs time and no number.
All of them are cancelled when the block ends, however it ends.
"""

import logging
import math
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster import certificates, dask_cluster, settings
from cluster.launch import LaunchError, Size, missing_package

logger = logging.getLogger(__name__)

COMMANDS = ("sbatch", "scancel", "squeue")
_SAID_EVERY = 30.0  # [s]
_LOOK_EVERY = 1.0  # [s]
_MIB = 2**20
# What squeue says, and exits with 1, when it has forgotten the only jobs that it was asked for.
_NO_SUCH_JOB = "Invalid job id"


@dataclass(frozen=True)
class Jobs:
    """What is asked of Slurm.

    Attributes
    ----------
    workers : int
        Processes in all.
    size : Size
        Of each.
    cores : int
        Of one job, which has as many processes.
    queue, project, walltime : str
        Partition, account and time limit (``08:00:00``); empty for the site's defaults.
    interface : str
        Network that scheduler and workers meet on, such as ``ib0``; empty for this machine's own.
    python : str
        Interpreter on the nodes.
    logs : str
        Folder of what the jobs print; the nodes see it.
    """

    workers: int
    size: Size
    cores: int = 1
    queue: str = ""
    project: str = ""
    walltime: str = "01:00:00"
    interface: str = ""
    python: str = sys.executable
    logs: str = "nunatak-slurm"

    @property
    def count(self) -> int:
        """How many jobs."""
        return math.ceil(self.workers / self.cores)

    def directives(self) -> list[str]:
        """Return the ``#SBATCH`` lines that the site's defaults do not say, without that word."""
        return [f"-o {self.logs}/%x-%j.out", f"-e {self.logs}/%x-%j.out"]


def job_script(jobs: Jobs, address: str = "tls://THIS-MACHINE:PORT") -> str:
    """Return the script of one job, as ``sbatch`` gets it."""
    job = _jobqueue().slurm.SLURMJob(address, name="nunatak-0", **_job_options(jobs))
    return str(job.job_script())


@contextmanager
def workers(jobs: Jobs) -> Iterator[str]:
    """Yield the address of a scheduler here whose workers are jobs, once the first has come.

    Raises
    ------
    LaunchError
        Slurm is not here, refuses the script, or every job ended before a worker came.
    """
    require_slurm()
    jobqueue = _jobqueue()
    require_accepted(job_script(jobs))
    Path(jobs.logs).mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        cluster = stack.enter_context(_cluster(jobqueue, jobs))
        cluster.scale(n=jobs.workers)
        _wait(cluster, jobs)
        yield str(cluster.scheduler_address)


def require_slurm() -> None:
    """Refuse a machine that cannot submit jobs."""
    absent = [name for name in COMMANDS if shutil.which(name) is None]
    if absent:
        msg = f"--on slurm found no {', '.join(absent)} here; run it on a machine that submits "
        msg += "jobs (a login node), with Slurm's commands in PATH"
        raise LaunchError(msg)


def require_accepted(script: str) -> None:
    """Let Slurm check a script without queueing it; say when it expects to start it.

    Raises
    ------
    LaunchError
        In Slurm's own words.
    """
    command = ["sbatch", "--test-only"]
    asked = subprocess.run(  # noqa: S603
        command, input=script, capture_output=True, text=True, check=False
    )
    said = (asked.stderr or asked.stdout).strip()
    if asked.returncode != 0:
        msg = f"Slurm would not take the job: {said}; choose with --queue, --project, --walltime, "
        msg += "or look at the script with --dry-run"
        raise LaunchError(msg)
    if said:
        logger.info("slurm: %s", said)


def states(identifiers: list[str]) -> list[str]:
    """Return the states of those jobs that Slurm still knows, such as ``PENDING``.

    A controller that is too busy to answer has not ended them.
    """
    command = ["squeue", "--noheader", "--format=%T", f"--jobs={','.join(identifiers)}"]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if asked.returncode and _NO_SUCH_JOB not in asked.stderr:
        return [f"unknown ({asked.stderr.strip()})"]
    return asked.stdout.split()


def _jobqueue() -> Any:
    try:
        import dask_jobqueue
        import dask_jobqueue.slurm
    except ImportError as error:
        name = "dask-jobqueue"
        raise missing_package(name, "slurm") from error
    return dask_jobqueue


@contextmanager
def _cluster(jobqueue: Any, jobs: Jobs) -> Iterator[Any]:
    import dask
    from distributed import Security

    options = _job_options(jobs)
    folder = certificates.folder()
    secured = certificates.dask_configuration(folder) if folder else {}
    with dask.config.set({**dask_cluster.spot_configuration(settings.read()), **secured}):
        if folder:
            certificates.require_usable(folder)
            options |= {"security": Security(), "protocol": "tls://"}  # type: ignore[no-untyped-call]
        try:
            cluster = jobqueue.SLURMCluster(
                scheduler_options={"dashboard_address": "127.0.0.1:0"},
                silence_logs=logging.ERROR,
                **options,
            )
        except (OSError, RuntimeError, ValueError) as error:
            msg = f"no scheduler could be started here for Slurm's workers ({error}); check "
            msg += "--interface, which must name a network of this machine"
            raise LaunchError(msg) from error
        with cluster:
            yield cluster


def _job_options(jobs: Jobs) -> dict[str, Any]:
    environment = dask_cluster.spot_environment(settings.read())
    folder = certificates.folder()
    if folder:
        environment |= certificates.environment(folder)
    return {
        "cores": jobs.cores,
        "processes": jobs.cores,
        "memory": f"{jobs.cores * jobs.size.memory // _MIB} MiB",
        "queue": jobs.queue or None,
        "account": jobs.project or None,
        "walltime": jobs.walltime or None,
        "interface": jobs.interface or None,
        "python": jobs.python,
        "job_name": "nunatak",
        "job_extra_directives": jobs.directives(),
        "job_script_prologue": [f"export {n}={shlex.quote(t)}" for n, t in environment.items()],
    }


def _wait(cluster: Any, jobs: Jobs) -> None:
    """Wait for the first worker as long as Slurm has jobs for one."""
    said = time.monotonic() - _SAID_EVERY
    while not cluster.scheduler_info["workers"]:
        time.sleep(_LOOK_EVERY)
        known = [job.job_id for job in cluster.workers.values() if job.job_id]
        left = states(known) if known else ["being submitted"]
        if not left:
            msg = f"every job of Slurm ({', '.join(known)}) ended before a worker reached this "
            msg += f"machine; what they printed is in {jobs.logs}; check --python and --interface"
            raise LaunchError(msg)
        if time.monotonic() - said >= _SAID_EVERY:
            said = time.monotonic()
            logger.info("slurm: waiting for the first worker; jobs: %s", ", ".join(left))
