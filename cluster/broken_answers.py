"""Answers of a store that break off in the middle: asked for again, and told if they stay so.

Icechunk asks again for chunks whose answers break off. For its own metadata (snapshots, manifests)
it does not: that is an error, or, where the first thing asked of a session is the metadata of a
group or an array, "there is no such key", which Zarr takes for a group that does not exist. No
chunk is ever taken for missing in this way, so no number becomes a fill value.

Reading changes nothing, and each reader here starts anew from what the store holds, so asking again
is safe. What was read whole meanwhile is kept by Icechunk, so each try gets further than the last.
"""

import random
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeVar

import icechunk
import zarr
from zarr.errors import GroupNotFoundError

from cluster.store_errors import StoreError

Result = TypeVar("Result")

TRIES = 8
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
# How the first line of Icechunk's error begins or ends where bytes are missing from an answer.
_SIGNS = ("streaming error", "I/O error")


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


def asked_again(ask: Callable[[], Result]) -> Result:
    """Return what ``ask`` returns, asking again while answers break off.

    ``ask`` must look at the store anew each time.

    Raises
    ------
    icechunk.IcechunkError
        The last one, if every answer broke off.
    """
    for pause in pauses():
        try:
            return ask()
        except icechunk.IcechunkError as error:
            if not is_broken(error):
                raise
        time.sleep(pause)
    return ask()


def root_group(store: Any, mode: Literal["r", "r+"]) -> zarr.Group:
    """Open the root group of a session, which every version has.

    Raises
    ------
    StoreError
        If its metadata cannot be read whole.
    """
    for pause in pauses():
        try:
            return asked_again(lambda: zarr.open_group(store, mode=mode))
        except GroupNotFoundError:
            time.sleep(pause)
    try:
        return zarr.open_group(store, mode=mode)
    except GroupNotFoundError as error:
        msg = (
            f"the metadata of the version could not be read in {TRIES} tries: the store's answers "
            "break off, or its objects were removed; what was committed before is as it was; once "
            "the store answers whole, run the same command again"
        )
        raise StoreError(msg) from error
