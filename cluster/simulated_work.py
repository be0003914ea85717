"""Keys of a simulated stage, and the lots in which its workers are given them.

A million keys on ten thousand workers must not take an hour to simulate. Where there are far more
tasks than :data:`MOST_LOTS`, several that one worker does in a row are one event: their service
times are those of all of them, so throughput and waiting stay, and only when exactly a single task
ends is lost. Towards the end of a stage tasks are single again, so that the last ones are exact.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cluster.crew import MOST_KEYS_PER_TASK, TASK_SECONDS, TASKS_TO_COME

MOST_LOTS = 20_000
LOTS_PER_WORKER = 4


@dataclass(frozen=True)
class Work:
    """Keys of a stage.

    Attributes
    ----------
    name : str
        What people call it.
    keys : int
        How many.
    seconds : tuple of float
        Samples of the time of a key, without reading and writing [s]; drawn from at random.
    waiting : float
        Share of that time that needs no core [1].
    bytes_read, bytes_written : float
        Of a key [B].
    reads, writes : float
        Requests of a key.
    """

    name: str
    keys: int
    seconds: tuple[float, ...]
    waiting: float = 0.0
    bytes_read: float = 0.0
    bytes_written: float = 0.0
    reads: float = 0.0
    writes: float = 0.0


@dataclass(eq=False)
class Lot:
    """Tasks that one worker does in a row; mostly a single one.

    Attributes
    ----------
    tasks, keys : int
        How many.
    seconds : float
        Time of all its keys that is left to do [s].
    work : Work
        Their stage.
    """

    tasks: int
    keys: int
    seconds: float
    work: Work


def lots_of(
    work: Work, workers: int, random: np.random.Generator, *, moving: float
) -> Iterator[Lot]:
    """Cut a stage into tasks as a crew does, and tasks into lots.

    Parameters
    ----------
    work : Work
        The stage.
    workers : int
        Of one thread each.
    random : numpy.random.Generator
        Draws the times of keys.
    moving : float
        Time of a key that its reading and writing take beside [s].
    """
    seconds = random.choice(np.asarray(work.seconds), size=work.keys)
    pace = float(seconds.mean()) + moving
    short = int(TASK_SECONDS / max(pace, TASK_SECONDS / MOST_KEYS_PER_TASK))
    first = 0
    most = max(MOST_LOTS, LOTS_PER_WORKER * workers)
    in_a_row = max(1, math.ceil(work.keys / max(1, short) / most))
    while first < work.keys:
        share = (work.keys - first) // (TASKS_TO_COME * workers)
        keys = max(1, min(short, share))
        tasks = max(1, min(in_a_row, (work.keys - first) // (2 * workers * keys)))
        part = seconds[first : first + tasks * keys]
        yield Lot(tasks, part.size, float(part.sum()), work)
        first += tasks * keys


def spread(mean: float, *, relative: float, count: int = 1000) -> tuple[float, ...]:
    """Return quantiles of a log-normal distribution, for keys whose times are not known one by one.

    Parameters
    ----------
    mean : float
        Mean of the times [s].
    relative : float
        Standard deviation over mean [1].
    count : int
        How many quantiles.

    Examples
    --------
    >>> times = spread(2.0, relative=0.5)
    >>> round(sum(times) / len(times), 2)
    2.0
    """
    from scipy.special import ndtri

    sigma = math.sqrt(math.log1p(relative**2))
    steps = (np.arange(count) + 0.5) / count
    drawn: NDArray[np.float64] = np.exp(sigma * ndtri(steps))
    return tuple((mean * drawn / drawn.mean()).tolist())
