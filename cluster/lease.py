"""One driver an output: who works on it holds a lease, and a second one says so and leaves.

Two drivers of one run would lose nothing (a commit names its parent, a done key stays done), but
they would do most of the work twice. So each holds something that the other can see:

* on a local disk an exclusive ``flock``, which the kernel drops when its holder dies;
* in a bucket an object that is replaced every few seconds, always under ``If-Match``.

Clocks are never compared, since those of two hosts may differ by minutes: who finds the object of
another driver watches it by a clock of its own. If it changes, its holder lives; if it does not for
``NUNATAK_LEASE``, its holder is gone and the object is replaced. A holder that was only cut off or
stopped finds that out when it renews, and ends before the next commit; until it has renewed it may
commit once more, which harms nothing.
"""

import fcntl
import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from cluster import s3_client, settings
from cluster.address import Address, parse
from cluster.store_errors import StoreError, local_errors

logger = logging.getLogger(__name__)

NAME = ".product.icechunk.driver"
RENEWALS = 5  # within one lease
WATCHES = 10  # of another's object within one lease
_LARGEST_NOTE = 4096  # [bytes]; what stands there is written by anybody who may write the output
_REFUSALS = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict", "409"})
_MISSING = frozenset({"NoSuchKey", "404", "NotFound"})


class OutputHeld(ValueError):  # noqa: N818 - says what was found
    """Another driver works on this output."""


class LeaseLost(ValueError):  # noqa: N818 - says what happened
    """Another driver took this one for dead, and works on its output now."""


class Lease(Protocol):
    """What a driver holds."""

    def require(self) -> None:
        """Raise :class:`LeaseLost` if another driver has taken the output over."""


@dataclass(frozen=True)
class Process:
    """A process, told apart from every other one of any host.

    Attributes
    ----------
    host : str
        What people call the host.
    boot, namespace : str
        Which start of which kernel, and which of its process namespaces: containers of one host
        count their processes apart.
    pid, started : int
        Number of the process there, and when it began [ticks since the start of the kernel].
    """

    host: str
    boot: str
    namespace: str
    pid: int
    started: int

    @property
    def is_dead(self) -> bool:
        """Whether it is known to have ended; of another host nothing is known."""
        if not self.boot or (self.boot, self.namespace) != _here():
            return False
        return _start_of(self.pid) != self.started


def this_process() -> Process:
    """Return the process that asks."""
    boot, namespace = _here()
    return Process(socket.gethostname(), boot, namespace, os.getpid(), _start_of(os.getpid()))


@contextmanager
def held(output: str, *, run_id: str) -> Iterator[Lease]:
    """Hold an output while the block lasts.

    Parameters
    ----------
    output : str
        Address of a product.
    run_id : str
        Told to whoever asks for it too.

    Yields
    ------
    Lease
        Ask it before each commit; it knows what the last renewal found.

    Raises
    ------
    OutputHeld
        If another driver works on it; after ``NUNATAK_LEASE`` at the latest.
    """
    address = parse(output)
    if address.is_local:
        with _held_on_disk(address.local, run_id) as lease:
            yield lease
        return
    renewed = _Renewed(_Note(address.join(NAME)), run_id, settings.read().lease)
    renewed.take()
    try:
        yield renewed
    finally:
        renewed.release()


class _OnDisk:
    """A lease that the kernel keeps."""

    def require(self) -> None:
        """Nothing can take it away."""


@contextmanager
def _held_on_disk(folder: Path, run_id: str) -> Iterator[_OnDisk]:
    path = folder / NAME
    with local_errors(path):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _refusal(folder, _parsed(os.read(descriptor, _LARGEST_NOTE))) from None
        with local_errors(path):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, _written("held", "", run_id), 0)
        yield _OnDisk()
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


class _Note:
    """The object of a lease in a bucket; every change of it names the state it replaces."""

    def __init__(self, address: Address) -> None:
        self.address = address

    def read(self) -> tuple[dict[str, Any], str] | None:
        """Return what the note says and its etag; None if there is none."""
        from botocore.exceptions import ClientError

        with s3_client.s3_errors(self.address):
            try:
                answer = s3_client.client().get_object(
                    Bucket=self.address.bucket, Key=self.address.path
                )
            except ClientError as error:
                if str(error.response["Error"].get("Code", "")) in _MISSING:
                    return None
                raise
            with answer["Body"] as body:
                return _parsed(body.read(_LARGEST_NOTE)), str(answer["ETag"])

    def replace(self, text: bytes, etag: str | None) -> str | None:
        """Replace the note that had this etag (None: that was not there).

        Returns
        -------
        str or None
            The new etag; None if the note is another one by now.
        """
        from botocore.exceptions import ClientError

        condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
        with s3_client.s3_errors(self.address):
            try:
                answer = s3_client.client().put_object(
                    Bucket=self.address.bucket, Key=self.address.path, Body=text, **condition
                )
            except ClientError as error:
                if str(error.response["Error"].get("Code", "")) not in _REFUSALS | _MISSING:
                    raise
                return self._mine(text)
        return str(answer["ETag"])

    def _mine(self, text: bytes) -> str | None:
        """Return the etag of the note if it says ``text``.

        A request whose answer was lost is sent again, and then meets what it wrote itself.
        """
        found = self.read()
        return found[1] if found and found[0] == _parsed(text) else None


class _Renewed:
    """A lease in a bucket, renewed by a thread."""

    def __init__(self, note: _Note, run_id: str, seconds: float) -> None:
        self._note = note
        self._run_id = run_id
        self._seconds = seconds
        self._holder = uuid.uuid4().hex
        self._etag = ""
        self._lost: dict[str, Any] | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew_until_ended, name="lease", daemon=True)

    def require(self) -> None:
        """Raise if another driver has taken the output over."""
        if self._lost is not None:
            msg = f"{self._output} was taken over by {_told(self._lost)}, because this driver had "
            msg += f"not been heard of for {self._seconds:g} s; let that one finish: what this one "
            raise LeaseLost(msg + "had committed is kept")

    def take(self) -> None:
        """Take what is free, or what its holder has left; watch it for as long as a lease."""
        while True:
            found = self._note.read()
            if found is not None and not _is_free(found[0]):
                self._watch(*found)
            if self._replace(found[1] if found else None, "held"):
                self._thread.start()
                return

    def release(self) -> None:
        """Say that the output is free; without an answer the lease runs out by itself."""
        self._ended.set()
        self._thread.join()
        if self._lost is None:
            try:
                self._replace(self._etag, "free")
            except StoreError as error:
                logger.warning("the lease of %s runs out by itself: %s", self._output, error)

    @property
    def _output(self) -> str:
        return self._note.address.url.rpartition("/")[0]

    def _replace(self, etag: str | None, state: str) -> bool:
        new = self._note.replace(_written(state, self._holder, self._run_id), etag)
        self._etag = new or self._etag
        return new is not None

    def _watch(self, note: Mapping[str, Any], etag: str) -> None:
        """Wait until nobody can be alive behind a note.

        Raises
        ------
        OutputHeld
            If it is renewed meanwhile.
        """
        logger.info(
            "%s is held by %s; waiting up to %g s to see whether it lives",
            self._output, _told(note), self._seconds,
        )  # fmt: skip
        deadline = time.monotonic() + self._seconds
        while time.monotonic() < deadline:
            time.sleep(self._seconds / WATCHES)
            now = self._note.read()
            if now is None or _is_free(now[0]):
                return
            if now[1] != etag:
                raise _refusal(self._output, now[0])
        logger.warning("%s is silent; its output is taken over", _told(note))

    def _look(self) -> None:
        """Find out whose note refused a renewal.

        It is ours where the answer to an earlier renewal was lost: that one was written.
        """
        found = self._note.read()
        if found is not None and found[0].get("holder") == self._holder:
            self._etag = found[1]
        else:
            self._lost = found[0] if found else {}

    def _renew_until_ended(self) -> None:
        while self._lost is None and not self._ended.wait(self._seconds / RENEWALS):
            try:
                if not self._replace(self._etag, "held"):
                    self._look()
            except StoreError as error:
                # The run meets the same store, and says so if it does not come back.
                logger.debug("the lease of %s was not renewed: %s", self._output, error)


def _written(state: str, holder: str, run_id: str) -> bytes:
    """Return the text of a note; each is another, so that each renewal changes the etag."""
    note = {
        "state": state,
        "holder": holder,
        "run_id": run_id,
        "process": vars(this_process()),
        "renewed": datetime.now(UTC).isoformat(),
        "renewal": uuid.uuid4().hex,
    }
    return json.dumps(note).encode()


def _parsed(text: bytes) -> dict[str, Any]:
    """Return what a note says; nothing of one that nobody of ours has written."""
    try:
        note = json.loads(text)
    except ValueError:
        return {}
    return note if isinstance(note, dict) else {}


def _is_free(note: Mapping[str, Any]) -> bool:
    process = _process(note)
    return note.get("state") == "free" or (process is not None and process.is_dead)


def _process(note: Mapping[str, Any]) -> Process | None:
    try:
        return Process(**note["process"])
    except (KeyError, TypeError):
        return None


def _told(note: Mapping[str, Any]) -> str:
    process = _process(note)
    if process is None:
        return "another driver"
    return f"process {process.pid} of {process.host} (run {note.get('run_id', 'unknown')})"


def _refusal(output: str | Path, note: Mapping[str, Any]) -> OutputHeld:
    msg = f"{output} is being worked on by {_told(note)}; wait for it, or end it and run again"
    return OutputHeld(msg)


def _here() -> tuple[str, str]:
    """Return which kernel since which start, and which process namespace; empty if not known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return boot, str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return "", ""


def _start_of(pid: int) -> int:
    """Return when a process of this host began [ticks]; 0 if there is none, or no way to know."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    # The name in brackets may hold anything; state is the first field after it, the start the 20th.
    fields = text.rpartition(")")[2].split()
    return 0 if fields[0] == "Z" else int(fields[19])
