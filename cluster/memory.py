"""Memory promised when the work is planned, refused when it cannot fit, then measured.

A task that outgrows its worker is killed, retried elsewhere and killed again; hours later the run
fails without a reason. So every stage says beforehand how many bytes one task needs at most, the
plan is refused while nothing has been computed, and receipts say afterwards what was really used.
"""

import resource
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# Share of a worker's limit that tasks may promise: Dask starts to spill at 0.6 to 0.7 of the limit
# and pauses a worker at 0.8, and the interpreter with its libraries takes part of it.
DEFAULT_MARGIN = 0.7

_MIB = 1024.0**2


class MemoryRefused(ValueError):  # noqa: N818
    """A planned task needs more memory than a worker has."""


@dataclass(frozen=True)
class TaskMemory:
    """The most that one task of a stage holds in memory at once.

    Attributes
    ----------
    stage : str
        What the tasks do, in the words of the plan.
    tasks : int
        How many of them there are.
    bytes_per_task : int
        Peak of one task beyond an idle worker [bytes].
    reason : str
        What takes the memory and which setting makes it smaller.
    """

    stage: str
    tasks: int
    bytes_per_task: int
    reason: str


def require_fits(
    projections: Iterable[TaskMemory], worker_bytes: int, *, margin: float = DEFAULT_MARGIN
) -> None:
    """Refuse a plan whose tasks outgrow a worker.

    Parameters
    ----------
    projections : iterable of TaskMemory
        Every stage of the plan.
    worker_bytes : int
        Memory limit of the smallest worker [bytes], see
        :func:`cluster.dask_cluster.worker_memory`.
    margin : float
        Share of the limit that a task may take [1].

    Raises
    ------
    MemoryRefused
        Naming every stage that does not fit, what it needs, what there is and what to change.

    Examples
    --------
    >>> require_fits([TaskMemory("fit", 8, 10**8, "monthly fields")], 4 * 10**9)
    """
    usable = margin * worker_bytes
    refused = [each for each in projections if each.bytes_per_task > usable]
    if not refused:
        return
    needs = "; ".join(
        f"{each.stage} needs {mebibytes(each.bytes_per_task)} in each of {each.tasks} tasks "
        f"({each.reason})"
        for each in refused
    )
    least = max(each.bytes_per_task for each in refused) / margin
    msg = (
        f"{needs}; but the smallest worker has {mebibytes(worker_bytes)}, of which a task may take "
        f"{margin:.0%} = {mebibytes(usable)}; give each worker at least {mebibytes(least)} "
        "(fewer workers on this machine: NUNATAK_WORKERS, or NUNATAK_WORKER_MEMORY, or larger "
        "nodes) or make the task smaller as said in brackets"
    )
    raise MemoryRefused(msg)


def mebibytes(count: float) -> str:
    """Return ``count`` [bytes] as people read it.

    >>> mebibytes(5 * 1024**2), mebibytes(1536 * 1024**2), mebibytes(1)
    ('5 MiB', '1.5 GiB', '1 MiB')
    """
    if count >= 1024.0 * _MIB:
        return f"{count / (1024.0 * _MIB):.1f} GiB"
    return f"{max(1.0, count / _MIB):.0f} MiB"


def measured_peak() -> int:
    """Return the most resident memory that this process ever held [bytes].

    To be compared with a promise after the fact; it includes the interpreter and its libraries.

    >>> measured_peak() > 1024**2
    True
    """
    if sys.platform == "linux":
        # What getrusage says survives exec: a worker would begin with the peak of its parent.
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux KiB


def current_use() -> int:
    """Return the resident memory that this process holds now [bytes]."""
    import psutil

    return int(psutil.Process().memory_info().rss)
