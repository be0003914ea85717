"""How every command ends: exit status, the JSON line, and words instead of tracebacks.

======= ==========================================================================
status  means
======= ==========================================================================
0       all done
1       a defect of ours; one line says so and names a file that holds the traceback
2       the request or an input is wrong; the message says what to change
3       the run ended with some failed keys; the results of the others are published
130     interrupted, by a person, by a scheduler that went, or because nobody reads the output
        any more; the same command resumes
======= ==========================================================================
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import click

DONE, DEFECT, MISTAKE, SOME_FAILED, INTERRUPTED = 0, 1, 2, 3, 130

OURS = ("stac.", "cluster.", "pipelines.")
"""Packages whose own exceptions speak to people; those of libraries are defects."""

OF_THE_MACHINE = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG}
)
"""What a disk may refuse through no fault of the program."""

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Answer:
    """What a command has to say to a script.

    Attributes
    ----------
    status : int
        Exit status, see the table of this module.
    facts : mapping
        What ``--json`` prints, beside the status.
    """

    status: int = DONE
    facts: Mapping[str, Any] = field(default_factory=dict)


def common_options(command: F) -> F:
    """Add the options that every command has; the group reads them."""
    for name, said in (
        ("--debug", "Show the traceback of any error."),
        ("--json", "End standard output with one JSON object."),
    ):
        command = click.option(name, is_flag=True, expose_value=False, help=said)(command)
    return command


class Commands(click.Group):
    """A group whose commands return an :class:`Answer` and raise what they cannot do."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Remember ``--json`` and ``--debug``, which also shape how a failure is told."""
        ctx.meta["nunatak.json"] = "--json" in args
        ctx.meta["nunatak.debug"] = "--debug" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> None:
        """Run the command and leave with its status."""
        try:
            answer = self._answer(ctx)
            _print_json(ctx, answer)
        except BrokenPipeError:
            if not _is_unread():
                raise
            _silence_output()
            answer = Answer(INTERRUPTED)
        ctx.exit(answer.status)

    def _answer(self, ctx: click.Context) -> Answer:
        """Run the command; what it raises becomes an answer, told on standard error."""
        try:
            with _terminated_as_interrupted():
                answer = super().invoke(ctx)
        except click.exceptions.Exit:
            raise
        except click.ClickException as error:
            vars(error).update(message=_redacted(error.message))  # click shows it
            _print_json(ctx, Answer(MISTAKE, _told(error, error.format_message())))
            raise
        except (KeyboardInterrupt, click.Abort):
            click.echo("interrupted; what is finished is kept, the same command resumes", err=True)
            return Answer(INTERRUPTED, {"error": "interrupted"})
        except Exception as error:  # nothing may reach people as a traceback
            if isinstance(error, BrokenPipeError) and _is_unread():
                raise
            return _failure(error, debug=ctx.meta["nunatak.debug"])
        return answer if isinstance(answer, Answer) else Answer()


def _is_unread() -> bool:
    """Whether whoever read standard output has gone, as ``head`` does."""
    try:
        output = sys.stdout.fileno()
    except (OSError, ValueError):  # not a file: a test, or a program that embeds this one
        return False
    watched = select.poll()
    watched.register(output, select.POLLOUT)
    return any(event & select.POLLERR for _, event in watched.poll(0))


def _silence_output() -> None:
    """Send to nowhere what nobody reads, or Python would complain of it when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Treat SIGTERM, which ends a job on a cluster, as Ctrl-C: commit what is finished."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not the main thread: a server has its own way to stop us
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _print_json(ctx: click.Context, answer: Answer) -> None:
    if ctx.meta["nunatak.json"]:
        document = {"exit_status": answer.status, **answer.facts}
        click.echo(json.dumps(document, ensure_ascii=False, default=str))


def _told(error: Exception, message: str) -> dict[str, str]:
    return {"error": type(error).__name__, "message": message}


def _failure(error: Exception, *, debug: bool) -> Answer:
    """Tell a mistake in its own words, a defect in one line."""
    if debug:
        click.echo(_redacted("".join(traceback.format_exception(error))), err=True)
    if is_mistake(error):
        message = _redacted(_words(error))
        click.echo(f"Error: {message}", err=True)
        # What a cluster took away under a run is no mistake: a job that starts again resumes it.
        resumable = getattr(error, "resumable", False)
        return Answer(INTERRUPTED if resumable else MISTAKE, _told(error, message))
    path = _kept_traceback("".join(traceback.format_exception(error)))
    first = _redacted(f"{type(error).__name__}: {error}").partition("\n")[0]
    click.echo(f"nunatak has a defect: {first}; please report it with {path}", err=True)
    return Answer(DEFECT, {**_told(error, first), "traceback": path})


def is_mistake(error: Exception) -> bool:
    """Return whether an error speaks of the request, an input or the machine, not of our code.

    Our packages raise classes of their own for what people can change; the same ``ValueError``
    out of a library means that we passed it nonsense.

    Examples
    --------
    >>> from pipelines.settings import SettingsError
    >>> is_mistake(SettingsError("members: found -1")), is_mistake(ValueError("axis 3"))
    (True, False)
    """
    if isinstance(error, OSError) and error.errno in OF_THE_MACHINE:
        return True
    return f"{type(error).__module__}.".startswith(OURS)


def _words(error: Exception) -> str:
    """Return the message; of a ``LookupError``, without the quotes that ``str`` may add."""
    if isinstance(error, OSError) and error.errno is not None:
        where = f"{error.filename}: " if error.filename else ""
        advice = "make room or choose another address, then run the same command again"
        return f"{where}{os.strerror(error.errno)}; {advice}"
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])
    return str(error)


def _redacted(text: str) -> str:
    from cluster.redaction import redact

    return redact(text)


def _kept_traceback(text: str) -> str:
    try:
        handle, path = tempfile.mkstemp(prefix="nunatak-defect-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(_redacted(f"{' '.join(sys.argv)}\n\n{text}"))
    except OSError:
        click.echo(_redacted(text), err=True)  # no disk to keep it on: better here than nowhere
        return "the lines above"
    return str(Path(path))
