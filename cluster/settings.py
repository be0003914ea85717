"""Choices about the machine, read from ``NUNATAK_*`` environment variables.

What is computed stands in the run file; where and how patiently it is computed stands here, so that
one run file serves a laptop, a cluster and a bucket. Every value has a default that suits a laptop.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

Value = TypeVar("Value")

_UNITS = {
    "": 1,
    "B": 1,
    **{f"{letter}B": 1000**power for power, letter in enumerate("kMGT", start=1)},
    **{f"{letter}iB": 1024**power for power, letter in enumerate("KMGT", start=1)},
}
_SECONDS = {"": 1.0, "ms": 1e-3, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}
_QUANTITY = re.compile(r"\s*([0-9]*\.?[0-9]+)\s*([A-Za-z]*)\s*")

# distributed divides this timeout into keepalive probes of at least one second each and dies with
# "Timeout too low" below eleven; twelve leaves it one to spare.
SHORTEST_TCP_TIMEOUT = 12.0


class EnvironmentSettingError(ValueError):
    """An environment variable of ours holds a value that cannot be used."""


@dataclass(frozen=True)
class ClusterSettings:
    """How many workers, how much memory, and how long to wait for machines.

    Attributes
    ----------
    workers : int or None
        Processes of the local cluster; None means one per available core.
    worker_memory : int or None
        Memory of each local worker [bytes]; None means an equal share of this machine.
    connect_timeout : float
        How long to wait for a scheduler and its first worker [s].
    worker_ttl : float
        Silence after which the scheduler gives a worker up [s].
    tcp_timeout : float
        Silence after which a connection counts as cut [s], at least 12.
    allowed_failures : int
        How many workers may die under one task before the task is blamed.
    store_timeout : float
        How long one request to an object store may stay without an answer [s].
    lease : float
        Silence after which a driver counts as gone and another may take its output over [s].
    """

    workers: int | None = None
    worker_memory: int | None = None
    connect_timeout: float = 30.0
    worker_ttl: float = 60.0
    tcp_timeout: float = 30.0
    allowed_failures: int = 30
    store_timeout: float = 20.0
    lease: float = 30.0


def byte_count(text: str) -> int:
    """Return the number of bytes that ``text`` names, at least one.

    >>> byte_count("2 GiB"), byte_count("500MB"), byte_count("1024")
    (2147483648, 500000000, 1024)
    """
    count = int(_quantity(text, _UNITS))
    if count < 1:
        msg = "less than one byte"
        raise ValueError(msg)
    return count


def duration(text: str) -> float:
    """Return the seconds that ``text`` names, more than zero.

    >>> duration("1.5 min"), duration("20"), duration("250ms")
    (90.0, 20.0, 0.25)
    """
    seconds = _quantity(text, _SECONDS)
    if seconds <= 0.0:
        msg = "not longer than zero"
        raise ValueError(msg)
    return seconds


def read(environment: Mapping[str, str] | None = None) -> ClusterSettings:
    """Read the settings from the environment of this process.

    Parameters
    ----------
    environment : mapping of str to str, optional
        Read instead of ``os.environ``.

    Raises
    ------
    EnvironmentSettingError
        If a variable holds something else than what it stands for.

    Examples
    --------
    >>> read({"NUNATAK_WORKERS": "4", "NUNATAK_WORKER_MEMORY": "2GiB"}).worker_memory
    2147483648
    """
    source = os.environ if environment is None else environment
    base = ClusterSettings()

    def value(name: str, parse: Callable[[str], Value], expected: str, default: Value) -> Value:
        text = source.get(name, "").strip()
        return _parsed(name, text, parse, expected) if text else default

    size, seconds = "a size such as 4GiB or 500MB", "a time such as 30, 45s or 2min"
    return ClusterSettings(
        workers=value("NUNATAK_WORKERS", _positive, "a whole number, 1 or more", None),
        worker_memory=value("NUNATAK_WORKER_MEMORY", byte_count, size, None),
        connect_timeout=value("NUNATAK_CONNECT_TIMEOUT", duration, seconds, base.connect_timeout),
        worker_ttl=value("NUNATAK_WORKER_TTL", duration, seconds, base.worker_ttl),
        tcp_timeout=value(
            "NUNATAK_TCP_TIMEOUT",
            _tcp_timeout,
            f"{seconds}, {SHORTEST_TCP_TIMEOUT:.0f} s or longer",
            base.tcp_timeout,
        ),
        allowed_failures=value(
            "NUNATAK_ALLOWED_FAILURES",
            _positive,
            "a whole number, 1 or more",
            base.allowed_failures,
        ),
        store_timeout=value("NUNATAK_STORE_TIMEOUT", duration, seconds, base.store_timeout),
        lease=value("NUNATAK_LEASE", duration, seconds, base.lease),
    )


def _parsed(name: str, text: str, parse: Callable[[str], Value], expected: str) -> Value:
    try:
        return parse(text)
    except ValueError as error:
        msg = f"{name} is {text!r}; expected {expected}; correct it or unset it for the default"
        raise EnvironmentSettingError(msg) from error


def _quantity(text: str, units: Mapping[str, float]) -> float:
    match = _QUANTITY.fullmatch(text)
    if match is None or match[2] not in units:
        msg = f"{text!r} is not a number with one of the units {', '.join(filter(None, units))}"
        raise ValueError(msg)
    return float(match[1]) * units[match[2]]


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        msg = "less than one"
        raise ValueError(msg)
    return number


def _tcp_timeout(text: str) -> float:
    seconds = duration(text)
    if seconds < SHORTEST_TCP_TIMEOUT:
        msg = "too short for distributed"
        raise ValueError(msg)
    return seconds
