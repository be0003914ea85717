"""A store whose answers break off, or never come: asked again, and then told.

Icechunk asks again for chunks whose answers break off. For its own metadata (snapshots, manifests)
it does not: that is an error, or, where the first thing asked of a session is the metadata of a
group or an array, "there is no such key", which Zarr takes for a group that does not exist. No
chunk is ever taken for missing in this way, so no number becomes a fill value. And where a server
keeps the connection and stays silent, as one does whose power was cut, Icechunk waits for ever.

What only reads is asked again. What changes a repository is asked once: a call that waits inside
Icechunk cannot be ended, only left behind, and what was left behind may take effect late. So a
change that is not answered ends the run, and whoever comes next looks at what the store holds.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Literal, TypeVar

import icechunk
import zarr
from zarr.errors import GroupNotFoundError

from cluster import settings
from cluster.store_errors import StoreError

Result = TypeVar("Result")

TRIES = 8
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
SILENCES = 2
"""How often a store may stay silent before it counts as gone."""
CHANGE_PATIENCE = 10.0
"""A commit reads and writes lists of chunks; it may take so many times as long as other calls."""
LEAST_RATE = 32 * 1024
"""A chunk on its way may take as long as at this rate, beside the limit of any call [bytes/s]."""
# How the first line of Icechunk's error begins or ends where bytes are missing from an answer.
_SIGNS = ("streaming error", "I/O error")
# A store that restarts is back within this half minute and more. By default the pauses grow to
# minutes: a run would sleep long after the store has come back.
REQUEST_TRIES = 12
LONGEST_BACKOFF_MS = 8_000
_LONGEST_RETRYING = 46.0  # all pauses of those tries together, at their longest [s]


def retries() -> icechunk.StorageRetriesSettings:
    """Return how often Icechunk itself sends a request again that was refused or not connected."""
    return icechunk.StorageRetriesSettings(
        max_tries=REQUEST_TRIES, initial_backoff_ms=100, max_backoff_ms=LONGEST_BACKOFF_MS
    )


def longest_silence() -> float:
    """Return how long one call of Icechunk may take, its own tries included [s]."""
    return _LONGEST_RETRYING + settings.read().store_timeout


def silent(seconds: float, times: int) -> StoreError:
    """Return the error of a store that keeps connections and does not answer."""
    often = f", {times} times" if times > 1 else ""
    return StoreError(
        f"the store keeps its connections and has not answered for {seconds:.0f} s{often}; what "
        "was committed before is intact; once the store answers again, run the same command again "
        "(NUNATAK_STORE_TIMEOUT says how long to wait for an answer)"
    )


def is_broken(error: BaseException) -> bool:
    """Whether an error of Icechunk says that an answer broke off."""
    if not isinstance(error, icechunk.IcechunkError):
        return False
    first = next((line for line in str(error).splitlines() if line.strip()), "")
    return any(sign in first for sign in _SIGNS)


def pauses() -> Iterator[float]:
    """Yield how long to wait before each further try [s], at random and longer each time."""
    for number in range(TRIES - 1):
        yield random.uniform(0.5, 1.0) * min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**number)  # noqa: S311


def asked_again(
    ask: Callable[[], Result], *, breaks: Callable[[Exception], bool] = is_broken
) -> Result:
    """Return what ``ask`` returns, asking again while answers break off.

    Parameters
    ----------
    ask : callable
        Must look at the store anew each time.
    breaks : callable
        Whether an error of ``ask`` says that an answer broke off. The last one is raised if every
        answer did, and any other at once.
    """
    for pause in pauses():
        try:
            return ask()
        except Exception as error:
            if not breaks(error):
                raise
        time.sleep(pause)
    return ask()


def read(call: Callable[[], Result], *, limited: bool = True) -> Result:
    """Return what one reading call of Icechunk returns, made again if it is not answered in time.

    Not ``limited``, as on a local disk, it is made as it is.

    Raises
    ------
    StoreError
        If it is not answered :data:`SILENCES` times.
    """
    if not limited:
        return call()
    limit = longest_silence()
    for _ in range(SILENCES):
        with suppress(_SilentError):
            return _within(limit, call)
    raise silent(limit, SILENCES)


def change(call: Callable[[], Result], *, limited: bool = True) -> Result:
    """Return what one changing call of Icechunk returns; it is made once.

    Not ``limited``, as on a local disk, it is waited for.

    Raises
    ------
    StoreError
        If it is not answered in time. It may take effect later.
    """
    if not limited:
        return call()
    limit = CHANGE_PATIENCE * longest_silence()
    try:
        return _within(limit, call)
    except _SilentError:
        raise silent(limit, 1) from None


class _SilentError(Exception):
    """A call took too long."""


def _within(seconds: float, call: Callable[[], Result]) -> Result:
    """Return what a call returns, or raise what it raises, if it does so in time.

    It runs in a thread of its own, which is left behind if it takes longer.
    """
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:  # noqa: BLE001 - raised where it was asked for
            errors.append(error)

    thread = threading.Thread(target=run, name="store", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise _SilentError
    return results[0]


def root_group(store: Any, mode: Literal["r", "r+"]) -> zarr.Group:
    """Open the root group of a session, which every version has.

    Raises
    ------
    StoreError
        If its metadata cannot be read whole.
    """
    try:
        return asked_again(
            lambda: zarr.open_group(store, mode=mode),
            breaks=lambda error: isinstance(error, GroupNotFoundError),
        )
    except GroupNotFoundError as error:
        msg = (
            f"the metadata of the version could not be read in {TRIES} tries: the store's answers "
            "break off, or its objects were removed; what was committed before is as it was; once "
            "the store answers whole, run the same command again"
        )
        raise StoreError(msg) from error
