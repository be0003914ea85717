"""Whose line it is: the run, the product and the key that a log line belongs to.

A process works for one run at a time, mostly: that is kept for the whole process, so that lines of
threads of libraries carry it too. A Dask worker may be lent to two runs at once, so each key brings
its own :class:`RunContext` along, and that one counts for the lines within the key.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

VARIABLE: Final = "NUNATAK_RUN_ID"
"""Names the run before its run file is read, where a launcher knows it already."""


@dataclass(frozen=True)
class RunContext:
    """Which run a process works for; it travels to the workers.

    Attributes
    ----------
    run_id, product : str
        Empty where they are not known.
    structured : bool
        Whether the driver writes JSON; workers without a choice of their own do as it does.
    origin : str
        The process that made this.
    """

    run_id: str = ""
    product: str = ""
    structured: bool = False
    origin: str = ""

    @property
    def is_from_here(self) -> bool:
        """Whether this process made it."""
        return self.origin == _here()


class _Process:
    """The context of the whole process."""

    def __init__(self) -> None:
        self.context = RunContext()


_PROCESS = _Process()
_TASK: ContextVar[RunContext | None] = ContextVar("nunatak_run", default=None)
_KEY: ContextVar[str] = ContextVar("nunatak_key", default="")


def made(run_id: str, product: str) -> RunContext:
    """Return the context of a run that this process drives."""
    structured = os.environ.get("NUNATAK_LOG", "").lower() == "json"
    return RunContext(run_id, product, structured, _here())


def current() -> RunContext:
    """Return the context of the key under way, or else of the process."""
    return _TASK.get() or _PROCESS.context


def adopt(context: RunContext) -> None:
    """Let the whole process work for a run, until it adopts another."""
    _PROCESS.context = context


@contextmanager
def running(context: RunContext) -> Iterator[None]:
    """Let the whole process work for a run while the block lasts."""
    before = _PROCESS.context
    adopt(context)
    try:
        yield
    finally:
        adopt(before)


@contextmanager
def working_on(key: str, context: RunContext) -> Iterator[None]:
    """Let the lines of this thread belong to a key of a run while the block lasts."""
    run, name = _TASK.set(context), _KEY.set(key)
    try:
        yield
    finally:
        _KEY.reset(name)
        _TASK.reset(run)


def fields() -> dict[str, str]:
    """Return what a log line written here and now says of its run.

    Examples
    --------
    >>> with working_on("month/2011-02", RunContext("3fa8", "gravimetry")):
    ...     fields()
    {'run_id': '3fa8', 'product': 'gravimetry', 'key': 'month/2011-02'}
    """
    context = current()
    named = {
        "run_id": context.run_id or os.environ.get(VARIABLE, ""),
        "product": context.product,
        "key": _KEY.get(),
    }
    return {name: value for name, value in named.items() if value}


def _here() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
