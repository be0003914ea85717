"""What a launch will create, for how long, and what that costs, said before anything is created.

Nothing here knows a target. A plan becomes :class:`Work` (how many tasks, how long, how large); a
worker is sized by the largest of them; a target answers with :class:`Piece` after piece (workers,
schedulers, heads), and :class:`Launch` adds them up at the prices of :mod:`cluster.prices`.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cluster.memory import DEFAULT_MARGIN, mebibytes
from cluster.prices import Prices

_GIB = 2**30
_STEP = 256 * 2**20  # memory is asked for in steps, so that people can read it [bytes]
_RANGE = re.compile(r"(\d{1,6})(?:\.\.(\d{1,6}))?")


class LaunchError(ValueError):
    """A launch that cannot be made, or did not become what it should."""


@dataclass(frozen=True)
class Work:
    """One stage, as machines see it.

    Attributes
    ----------
    name : str
        What people call it.
    tasks : int
        How many.
    seconds : float
        Time of one [s].
    memory : int
        The most that one holds [bytes].
    cpus, gpus : float
        What an actor of it needs; 0 cores for a stage without actors, which is Dask's.
    reserved : int
        Memory that an actor asks for itself [bytes].
    """

    name: str
    tasks: int
    seconds: float
    memory: int
    cpus: float = 0.0
    gpus: float = 0.0
    reserved: int = 0

    @property
    def of_ray(self) -> bool:
        """Whether actors do it."""
        return self.cpus > 0 or self.gpus > 0


@dataclass(frozen=True)
class Size:
    """Cores, memory [bytes] and GPUs of one worker."""

    cores: float
    memory: int
    gpus: float = 0.0

    def words(self) -> str:
        """Return the size as people read it.

        >>> Size(1, 2**31, 1).words()
        '1 core, 2.0 GiB, 1 GPU'
        """
        cores = f"{self.cores:g} core" + ("" if self.cores == 1 else "s")
        gpus = f", {self.gpus:g} GPU" + ("" if self.gpus == 1 else "s") if self.gpus else ""
        return f"{cores}, {mebibytes(self.memory)}{gpus}"


@dataclass(frozen=True)
class Count:
    """How many workers: from ``least`` to ``most``, as the work asks for them.

    Examples
    --------
    >>> Count.read("4"), Count.read("2..40")
    (Count(least=4, most=4), Count(least=2, most=40))
    """

    least: int
    most: int

    @classmethod
    def read(cls, text: str) -> "Count":
        """Read ``N`` or ``MIN..MAX``.

        Raises
        ------
        LaunchError
            It is neither, or ends before it begins, or is none.
        """
        match = _RANGE.fullmatch(text.strip())
        least, most = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if most < 1 or most < least:
            msg = f"found {text!r} workers; expected a number such as 8, or a range such as 2..40"
            raise LaunchError(msg)
        return cls(least, most)

    def words(self) -> str:
        """Return the count as people read it."""
        return str(self.most) if self.least == self.most else f"{self.least} to {self.most}"


@dataclass(frozen=True)
class Piece:
    """Things of one kind that a launch creates.

    Attributes
    ----------
    name : str
        ``Dask worker``, ``driver`` and so on.
    count : Count
        How many.
    size : Size
        Of each.
    ours : bool
        Whether they cost nothing more: processes of a machine that is there anyway.
    """

    name: str
    count: Count
    size: Size
    ours: bool = False


@dataclass(frozen=True)
class Launch:
    """Everything that a target will create for a run.

    Attributes
    ----------
    target : str
        ``kubernetes``, ``ssh`` and so on, with the name of the cluster where it has one.
    pieces : tuple of Piece
        What.
    seconds : float
        How long the plan expects to take with the most workers [s], without their start.
    notes : tuple of str
        What a person should know before.
    """

    target: str
    pieces: tuple[Piece, ...]
    seconds: float
    notes: tuple[str, ...] = ()

    def hourly(self, price: Prices) -> tuple[float, float]:
        """Return what an hour costs with the least and with the most workers [$]."""
        each = [
            (p.count, price.machine_hour(p.size.cores, p.size.memory, p.size.gpus))
            for p in self.pieces
            if not p.ours
        ]
        return sum(c.least * cost for c, cost in each), sum(c.most * cost for c, cost in each)

    def dollars(self, price: Prices) -> float:
        """Return what the machines cost for the whole expected time [$]."""
        return self.hourly(price)[1] * self.seconds / 3600.0

    def lines(self, price: Prices) -> Iterator[str]:
        """Yield what will be created and what it costs, one fact a line."""
        yield f"launch on {self.target}:"
        for piece in self.pieces:
            owned = "; on machines that are there" if piece.ours else ""
            count = piece.count.words()
            yield f"  create {piece.name:<14}{count:>8} × {piece.size.words()}{owned}"
        least, most = self.hourly(price)
        hourly = f"${most:,.2f}" if least == most else f"${least:,.2f} to ${most:,.2f}"
        yield (
            f"  time   {duration(self.seconds)} expected once all of them work, from the plan's "
            "own figures"
        )
        yield (
            f"  cost   {hourly} an hour, ${self.dollars(price):,.2f} for the run at "
            f"${price.core_hour:g} a core-hour with 4 GiB"
            + (f" and ${price.gpu_hour:g} a GPU-hour" if self._has_gpus() else "")
        )
        yield from (f"  note   {note}" for note in self.notes)

    def facts(self, price: Prices) -> dict[str, Any]:
        """Return the same for a script."""
        least, most = self.hourly(price)
        return {
            "target": self.target,
            "pieces": [
                {
                    "name": p.name,
                    "least": p.count.least,
                    "most": p.count.most,
                    "cores": p.size.cores,
                    "memory_bytes": p.size.memory,
                    "gpus": p.size.gpus,
                }
                for p in self.pieces
            ],
            "expected_seconds": round(self.seconds, 1),
            "dollars_an_hour": [round(least, 4), round(most, 4)],
            "dollars": round(self.dollars(price), 4),
            "notes": list(self.notes),
        }

    def _has_gpus(self) -> bool:
        return any(piece.size.gpus for piece in self.pieces)


def dask_size(works: Sequence[Work]) -> Size | None:
    """Return the size of a Dask worker for the largest task; None if Ray does everything."""
    largest = [work.memory for work in works if not work.of_ray]
    return Size(1.0, _room(max(largest))) if largest else None


def ray_size(works: Sequence[Work]) -> Size | None:
    """Return the size of a Ray node that holds one actor of every stage; None without actors.

    Ray plans with an equal share of memory for each core, so that each share has to fit the task.
    """
    actors = [work for work in works if work.of_ray]
    if not actors:
        return None
    cores = max(1, math.ceil(max(work.cpus for work in actors)))
    memory = max(max(work.reserved, cores * _room(work.memory)) for work in actors)
    return Size(float(cores), _stepped(memory), math.ceil(max(work.gpus for work in actors)))


def expected_seconds(works: Sequence[Work], *, dask: int, ray: int) -> float:
    """Return how long stages take, one after another, on so many workers [s].

    Examples
    --------
    >>> works = [Work("fit", 10, 2.0, 1), Work("segment", 5, 3.0, 1, cpus=1)]
    >>> expected_seconds(works, dask=4, ray=2)
    15.0
    """
    rounds = [
        (work, math.ceil(work.tasks / max(1, ray if work.of_ray else dask))) for work in works
    ]
    return float(sum(count * work.seconds for work, count in rounds))


def duration(seconds: float) -> str:
    """Return a time as people read it.

    >>> duration(42.2), duration(600), duration(9000)
    ('42 s', '10 min', '2.5 h')
    """
    if seconds < 120.0:
        return f"{seconds:.0f} s"
    return f"{seconds / 60.0:.0f} min" if seconds < 7200.0 else f"{seconds / 3600.0:.1f} h"


def missing_package(name: str, extra: str) -> LaunchError:
    """Return the error about a package that an extra brings."""
    msg = f"--on {extra} needs the package {name}; install it: pip install 'nunatak[{extra}]'"
    return LaunchError(msg)


def _room(task: int) -> int:
    return _stepped(max(_GIB, task / DEFAULT_MARGIN))


def _stepped(memory: float) -> int:
    return math.ceil(memory / _STEP) * _STEP
