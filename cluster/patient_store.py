"""A Zarr store over Icechunk's that asks again and gives up in words (:mod:`cluster.patience`)."""

import asyncio
import builtins
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import icechunk
from zarr.abc.buffer import Buffer, BufferPrototype
from zarr.abc.store import ByteRequest, Store
from zarr.storage import WrapperStore

from cluster import patience

Result = TypeVar("Result")


class PatientStore(WrapperStore[Store]):
    """The store of one session, for readers and workers.

    Parameters
    ----------
    store : icechunk.IcechunkStore
        What is asked.
    told_as : str
        Address of the product that is read, for messages; empty in a session that works on one.
    """

    def __init__(self, store: Store, *, told_as: str = "") -> None:
        super().__init__(store)
        self.told_as = told_as

    @property
    def session(self) -> icechunk.Session:
        """The session behind the store."""
        store: Any = self._store
        session: icechunk.Session = store.session
        return session

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Read an object, or a part of it."""
        return await _answered(lambda: self._store.get(key, prototype, byte_range))

    async def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        return await _answered(lambda: self._store.exists(key))

    async def set(self, key: str, value: Buffer) -> None:
        """Write an object; written again, it is the same."""
        await _answered(lambda: self._store.set(key, value), size=len(value))

    async def delete(self, key: str) -> None:
        """Remove an object."""
        await _answered(lambda: self._store.delete(key))

    async def list(self) -> AsyncIterator[str]:
        """List all objects."""
        for name in await _answered(lambda: _all(self._store.list())):
            yield name

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """List the objects below a prefix."""
        for name in await _answered(lambda: _all(self._store.list_prefix(prefix))):
            yield name

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """List what lies right below a prefix."""
        for name in await _answered(lambda: _all(self._store.list_dir(prefix))):
            yield name


async def _all(names: AsyncIterator[str]) -> builtins.list[str]:
    return [name async for name in names]


async def _answered(ask: Callable[[], Awaitable[Result]], *, size: int = 0) -> Result:
    """Await an answer, asking again where it breaks off or does not come."""
    limit, silences = patience.longest_silence() + size / patience.LEAST_RATE, 0
    for pause in (*patience.pauses(), None):
        try:
            async with asyncio.timeout(limit):
                return await ask()
        except icechunk.IcechunkError as error:
            if pause is None or not patience.is_broken(error):
                raise
        except TimeoutError:
            silences += 1
            if silences == patience.SILENCES or pause is None:
                raise patience.silent(limit, silences) from None
        await asyncio.sleep(pause)
    raise AssertionError
