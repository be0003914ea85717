"""What a run says while it works: logs and progress, on standard error only.

Standard output belongs to results: with ``--json`` its last line is one JSON object, and nothing
here may get between a script and that line. On a terminal, progress is a bar; everywhere else (a
job log, a pod, a pipe) it is a plain line every few seconds. ``NUNATAK_LOG=json`` makes each log
line one JSON object that names its run, its product and its key (:mod:`cluster.log_context`), on
the workers too. Secrets never reach either form.
"""

import json as json_format
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

from cluster import log_context
from cluster.log_context import RunContext
from cluster.redaction import HIDDEN, is_secret, redact

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

OUR_PACKAGES: Final = ("cluster", "stac", "pipelines", "nunatak")

_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

logger = logging.getLogger(__name__)


class _PlainFormatter(logging.Formatter):
    """One line: time, level, logger, message; a traceback only for defects."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        return datetime.fromtimestamp(record.created, UTC).strftime(datefmt or "%Y-%m-%dT%H:%M:%SZ")

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class _JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, whose it is, and any ``extra``."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        entry.update({name: redact(value) for name, value in log_context.fields().items()})
        for name, value in vars(record).items():
            if name not in _STANDARD_FIELDS:
                entry[name] = _without_secrets(name, value)
        if record.exc_info:
            entry["exception"] = redact(self.formatException(record.exc_info))
        return json_format.dumps(entry, ensure_ascii=False, default=str)


def _without_secrets(name: str, value: object) -> object:
    if is_secret(name):
        return HIDDEN
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact(str(value))


def _worth_saying(record: logging.LogRecord) -> bool:
    """Whether people want to read it: libraries speak from warnings upwards, Dask from errors.

    Dask reports each machine that comes and goes as a warning, and sets its own levels when it is
    imported, so the choice is made here and not by levels of loggers.
    """
    package = record.name.partition(".")[0]
    if package in OUR_PACKAGES:
        return True
    if package == "asyncio" and record.exc_info and record.exc_info[0] is not None:
        # Of an interrupted gather, once for every task: says that the gather was interrupted.
        return record.exc_info[0].__name__ != "AllExit"
    if package == "distributed" and record.exc_info and record.exc_info[0] is not None:
        # How a connection broke, seen from within; that it did is said where it matters.
        return record.exc_info[0].__name__ not in {"CommClosedError", "CancelledError"}
    return record.levelno >= (logging.ERROR if package == "distributed" else logging.WARNING)


class _StandardErrorHandler(logging.StreamHandler[Any]):
    """Writes to whatever ``sys.stderr`` is now, not to what it was when logging was set up."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.addFilter(_worth_saying)

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def configure_logging(*, json: bool | None = None, level: int = logging.INFO) -> None:
    """Send the logs of our packages to standard error, redacted.

    Repeating the call replaces the earlier choice. Libraries speak from warnings upwards.

    Parameters
    ----------
    json : bool, optional
        One JSON object a line, or plain lines; None asks ``NUNATAK_LOG`` (``json`` or ``plain``).
    level : int
        Least level of ``cluster``, ``stac`` and ``pipelines``.
    """
    structured = os.environ.get("NUNATAK_LOG", "").lower() == "json" if json is None else json
    handler = _StandardErrorHandler()
    handler.setFormatter(_JsonFormatter() if structured else _PlainFormatter())
    root = logging.getLogger()
    for former in [each for each in root.handlers if isinstance(each, _StandardErrorHandler)]:
        root.removeHandler(former)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for package in OUR_PACKAGES:
        logging.getLogger(package).setLevel(level)


@contextmanager
def working_on(key: str, context: RunContext | None) -> Iterator[None]:
    """Let what is logged while the block lasts name its key, wherever the block is.

    A worker process that nobody prepared (Ray starts its own) is prepared by the first key that
    comes: it logs as the driver does.

    Parameters
    ----------
    key : str
        Empty for what belongs to no key, such as opening a model.
    context : RunContext or None
        The run, as its driver made it; None names nothing.
    """
    if context is None:
        yield
        return
    if not context.is_from_here:
        join(context)
    with log_context.working_on(key, context):
        yield


def join(context: RunContext) -> None:
    """Let this worker process log for a run: redacted, in the form that its driver uses."""
    if log_context.current().run_id == context.run_id and _is_configured():
        return
    if not _is_configured():
        configure_logging(json=None if os.environ.get("NUNATAK_LOG") else context.structured)
    log_context.adopt(context)


def _is_configured() -> bool:
    return any(isinstance(each, _StandardErrorHandler) for each in logging.getLogger().handlers)


class Progress(Protocol):
    """Counts finished pieces of work."""

    def advance(self, n: int = 1, note: str | None = None) -> None:
        """Count ``n`` more pieces as finished, with a word about the last."""


@contextmanager
def progress(total: int, label: str, *, every: float = 5.0) -> Iterator[Progress]:
    """Show how far a stage is: a bar on a terminal, plain log lines elsewhere.

    Parameters
    ----------
    total : int
        Number of pieces of work.
    label : str
        What is being done.
    every : float
        Least time between two log lines [s]; there is always one at the end.

    Yields
    ------
    Progress
        Call its ``advance`` for each finished piece, from one thread or many.
    """
    if sys.stderr.isatty() and not os.environ.get("NUNATAK_LOG"):
        with _bar() as display:
            yield _Bar(display, display.add_task(label, total=total, note=""))
        return
    lines = _Lines(total, label, every)
    try:
        yield lines
    finally:
        lines.close()


def _bar() -> "RichProgress":
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=Console(stderr=True),
    )


class _Bar:
    def __init__(self, display: "RichProgress", task: "TaskID") -> None:
        self._display = display
        self._task = task

    def advance(self, n: int = 1, note: str | None = None) -> None:
        """Move the bar."""
        if note is not None:
            self._display.update(self._task, note=redact(note))
        self._display.advance(self._task, n)


class _Lines:
    def __init__(self, total: int, label: str, every: float) -> None:
        self._total = total
        self._label = label
        self._every = every
        self._done = 0
        self._told = -1
        self._note: str | None = None
        self._started = self._reported = time.monotonic()

    def advance(self, n: int = 1, note: str | None = None) -> None:
        """Count, and speak when the last line is old enough."""
        self._done += n
        self._note = note if note is not None else self._note
        if time.monotonic() - self._reported >= self._every:
            self.report()

    def close(self) -> None:
        """Report the end, unless the last line was of it."""
        if self._done != self._told:
            self.report()

    def report(self) -> None:
        """Log one line: what, how many of how many, for how long, the last note."""
        self._told = self._done
        self._reported = time.monotonic()
        seconds = self._reported - self._started
        note = f", {self._note}" if self._note else ""
        logger.info(
            "%s: %d of %d in %.0f s%s",
            self._label,
            self._done,
            self._total,
            seconds,
            note,
            extra={"done": self._done, "total": self._total, "seconds": round(seconds, 3)},
        )
