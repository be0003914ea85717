"""Does a store keep the promises that transactions stand on? Ask it, before trusting it with data.

Concurrent writers of a versioned store meet at one small object, which each replaces only if nobody
else did meanwhile (``If-None-Match: *`` to create, ``If-Match: etag`` to replace). A store that
accepts these conditions and ignores them reports every write as done and loses some: of eight
concurrent commits on such a server all eight "succeeded" and four were there afterwards. So the
store is asked with a handful of tiny objects, which are removed again.
"""

import fcntl
import logging
import os
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Barrier

from cluster import s3_client
from cluster.address import Address, parse
from cluster.store_errors import TransactionError, local_errors

logger = logging.getLogger(__name__)

_RACERS = 8
# 412 by the standard; Amazon may answer 409 when two conditional writes meet in the same moment.
_REFUSALS = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict", "409"})
_NOT_BUILT = frozenset({"NotImplemented", "501", "InvalidArgument", "InvalidRequest", "400"})
_STALE = '"00000000000000000000000000000000"'

_trusted: set[tuple[str, ...]] = set()


@dataclass(frozen=True)
class Probe:
    """What a store did when it was asked for conditional writes.

    Attributes
    ----------
    url : str
        Where it was asked.
    conditional_create : bool
        A second creation of the same object was refused.
    conditional_update : bool
        Replacing an object that had changed meanwhile was refused, an unchanged one replaced.
    race : bool
        Of several writers at once exactly one won.
    reason : str
        What the store did instead; empty if it kept every promise.
    """

    url: str
    conditional_create: bool
    conditional_update: bool
    race: bool
    reason: str = ""

    @property
    def transactional(self) -> bool:
        """Whether concurrent transactions are safe on this store."""
        return self.conditional_create and self.conditional_update and self.race


def probe(url: str) -> Probe:
    """Ask a store whether it honours conditional writes; leaves nothing behind.

    Parameters
    ----------
    url : str
        Where transactional output would go.

    Raises
    ------
    StoreError
        If nothing can be written there at all.
    """
    address = parse(url)
    return _probe_local(address) if address.is_local else _probe_s3(address)


def require_transactional(url: str) -> Probe:
    """Refuse a store on which concurrent commits could be lost.

    A store that kept its promises once is not asked again by this process: the races take seconds
    on some servers.

    Raises
    ------
    TransactionError
        Saying what the store did, what is needed and what to do.
    """
    address = parse(url)
    kept = _kept_promises(address)
    if kept in _trusted:
        return Probe(address.url, conditional_create=True, conditional_update=True, race=True)
    answer = probe(url)
    if answer.transactional:
        _trusted.add(kept)
        return answer
    msg = (
        f"{answer.url}: {answer.reason}; transactional output needs a store that honours "
        "conditional writes (If-None-Match and If-Match), because without them concurrent commits "
        "report success and lose data; write to a local folder, or to a store that honours them, "
        "such as Amazon S3 or SeaweedFS 4.48"
    )
    raise TransactionError(msg)


def _kept_promises(address: Address) -> tuple[str, ...]:
    """Return what an answer holds for: one bucket of one store, or one folder."""
    if address.is_local:
        return ("file", address.path)
    return ("s3", s3_client.endpoint() or "", s3_client.region(), address.bucket)


def _probe_s3(address: Address) -> Probe:
    store = _ConditionalPuts(address)
    with s3_client.s3_errors(address), store.cleaned():
        store.require_bucket()
        findings = {
            "conditional_create": _refuses_second_creation(store),
            "conditional_update": _refuses_stale_update(store),
        }
        race = [] if any(findings.values()) else [_crowned(store)]
    failures = [text for text in (*findings.values(), *race) if text]
    return Probe(
        address.url,
        conditional_create=not findings["conditional_create"],
        conditional_update=not findings["conditional_update"],
        race=race == [""],
        reason="; ".join(failures),
    )


class _ConditionalPuts:
    """Writes tiny objects under conditions, and remembers them for removal."""

    def __init__(self, address: Address) -> None:
        self._client = s3_client.client()
        self._single = s3_client.client(attempts=1)
        self._bucket = address.bucket
        self._folder = address.join(f".nunatak-probe-{uuid.uuid4().hex}")
        self._written: set[str] = set()

    def require_bucket(self) -> None:
        """Fail for a bucket that does not exist: some servers would make one of a misspelt name."""
        self._client.list_objects_v2(Bucket=self._bucket, MaxKeys=1)

    def new_key(self) -> str:
        """Return the key of an object that does not exist yet."""
        return self._folder.join(uuid.uuid4().hex).path

    def put(self, key: str, body: bytes, *, once: bool = False, **condition: str) -> str | None:
        """Return the etag of the object now written, or None if the condition was refused."""
        from botocore.exceptions import ClientError

        client = self._single if once else self._client
        try:
            answer = client.put_object(Bucket=self._bucket, Key=key, Body=body, **condition)
        except ClientError as error:
            code = str(error.response["Error"].get("Code", ""))
            if condition and code in _REFUSALS | {"NoSuchKey", "404"}:
                return None
            if condition and code in _NOT_BUILT:
                raise _NotBuilt(code) from error
            raise
        self._written.add(key)
        return str(answer["ETag"])

    @contextmanager
    def cleaned(self) -> Iterator[None]:
        """Remove every object at the end, and say which could not be removed."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        finally:
            for key in self._written:
                try:
                    self._client.delete_object(Bucket=self._bucket, Key=key)
                except (BotoCoreError, ClientError) as error:
                    logger.warning(
                        "s3://%s/%s could not be removed (%s); remove it by hand",
                        self._bucket,
                        key,
                        type(error).__name__,
                    )


class _NotBuilt(Exception):  # noqa: N818
    """The store says that it knows no such condition; carries its code."""


def _refuses_second_creation(store: _ConditionalPuts) -> str:
    """Return what went wrong when one object was created twice, or nothing."""
    key = store.new_key()
    try:
        if store.put(key, b"first", IfNoneMatch="*") is None:
            return "the store refused If-None-Match: * although the object did not exist"
        if store.put(key, b"second", IfNoneMatch="*") is not None:
            return "the store ignored If-None-Match: * and created the same object twice"
    except _NotBuilt as error:
        return f"the store does not know If-None-Match (it answered {error})"
    return ""


def _refuses_stale_update(store: _ConditionalPuts) -> str:
    """Return what went wrong when one object was replaced under a condition, or nothing."""
    key = store.new_key()
    current = store.put(key, b"first")
    try:
        if store.put(key, b"second", IfMatch=_STALE) is not None:
            return "the store ignored If-Match and replaced an object that had changed meanwhile"
        if store.put(key, b"third", IfMatch=str(current)) is None:
            return "the store refused If-Match although the object had not changed"
    except _NotBuilt as error:
        return f"the store does not know If-Match (it answered {error})"
    return ""


def _crowned(store: _ConditionalPuts) -> str:
    """Return what went wrong when several writers raced, or nothing if one won each time."""
    key, current = store.new_key(), ""
    for name in ("If-None-Match", "If-Match"):
        condition = {"IfMatch": current} if current else {"IfNoneMatch": "*"}
        etags = _race(partial(_raced_put, store, key, condition))
        if len(etags) != 1:
            return f"{len(etags)} of {_RACERS} writers at once won a race with {name}, not 1"
        current = etags[0]
    return ""


def _raced_put(
    store: _ConditionalPuts, key: str, condition: dict[str, str], racer: int
) -> str | None:
    return store.put(key, f"{uuid.uuid4()} {racer}".encode(), once=True, **condition)


def _race(attempt: Callable[[int], str | None]) -> list[str]:
    """Let every racer try at the same moment; return what the winners brought."""
    start = Barrier(_RACERS)

    def run(number: int) -> str | None:
        start.wait()
        return attempt(number)

    with ThreadPoolExecutor(_RACERS) as racers:
        return [won for won in racers.map(run, range(_RACERS)) if won is not None]


def _probe_local(address: Address) -> Probe:
    # The nearest folder that exists is on the same disk; making folders could race with others.
    folder = next(each for each in (address.local, *address.local.parents) if each.is_dir())
    name = folder / f".nunatak-probe-{uuid.uuid4().hex}"
    with local_errors(folder):
        try:
            created = _creates_once(name)
            locked = _locks_once(name)
            winners = _race(lambda n: _exclusive(name.with_suffix(".race"), str(n)))
        finally:
            for each in (name, name.with_suffix(".race"), name.with_suffix(".new")):
                each.unlink(missing_ok=True)
    raced = "" if len(winners) == 1 else f"{len(winners)} of {_RACERS} writers created one file"
    return Probe(
        address.url,
        conditional_create=not created,
        conditional_update=not locked,
        race=not raced,
        reason="; ".join(filter(None, (created, locked, raced))),
    )


def _exclusive(path: Path, text: str) -> str | None:
    """Create a file that must not exist; return its text, or None if it existed."""
    try:
        with path.open("x") as file:
            file.write(text)
    except FileExistsError:
        return None
    return text


def _creates_once(path: Path) -> str:
    first, second = _exclusive(path, "first"), _exclusive(path, "second")
    if first is None or second is not None or path.read_text() != "first":
        return "the disk created the same file twice (O_EXCL is ignored)"
    aside = path.with_suffix(".new")
    aside.write_text("renamed")
    aside.replace(path)
    if path.read_text() != "renamed" or aside.exists():
        return "the disk did not replace a file by renaming another over it"
    return ""


def _locks_once(path: Path) -> str:
    """Return what went wrong when two holders asked for one exclusive lock, or nothing.

    A local folder has no If-Match; writers take turns behind an exclusive lock instead.
    """
    with path.open("r+") as first, path.open("r+") as second:
        try:
            fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return f"the disk offers no file locks ({os.strerror(error.errno or 0)})"
        try:
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return ""
    return "the disk gave one exclusive lock to two holders"
