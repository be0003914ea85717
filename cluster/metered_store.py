"""A store around one key's fork: counts its bytes and holds it to whole chunks.

Equal arrays after any crash, in any order and on any number of workers rest on one rule: a key
writes whole stored chunks that no other key writes, and nothing else. A chunk that is read before
it is written was meant to be changed in part; metadata that change belong in the template. Both
are refused where they happen, on the worker.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

from zarr.abc.buffer import Buffer, BufferPrototype
from zarr.abc.store import ByteRequest, Store

from cluster.patient_store import PatientStore


class WholeChunkError(ValueError):
    """A job writes something else than whole chunks of its own."""


class MeteredStore(PatientStore):
    """Count bytes and refuse writes that are not whole chunks.

    Parameters
    ----------
    store : Store
        The store of one fork.
    hashed : bool
        Whether to take the SHA-256 of each chunk on its way, for :meth:`digest`.

    Attributes
    ----------
    bytes_read, bytes_written : int
        Bytes of chunks moved through the store, compressed.
    chunks : set of str
        Names of the chunks written, or cleared because they hold nothing but the fill value.
    """

    def __init__(self, store: Store, *, hashed: bool = False) -> None:
        super().__init__(store)
        self._hashed = hashed
        self.renew()

    def renew(self) -> None:
        """Count from nothing again, for the next key."""
        self.bytes_read = 0
        self.bytes_written = 0
        self.chunks: set[str] = set()
        self._looked_at: set[str] = set()
        self._hashes: dict[str, str] | None = {} if self._hashed else None

    def digest(self) -> str:
        """Return the SHA-256 of what was written: lines ``name sha256``, sorted by name.

        A chunk that was cleared has the hash of no bytes. Empty if the chunks were not hashed.
        """
        if self._hashes is None:
            return ""
        lines = "".join(f"{name} {self._hashes[name]}\n" for name in sorted(self._hashes))
        return hashlib.sha256(lines.encode()).hexdigest()

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Read an object and count it."""
        found = await super().get(key, prototype, byte_range)
        if not _is_metadata(key):
            self._looked_at.add(key)
            self.bytes_read += 0 if found is None else len(found)
        return found

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Read parts of objects and count them."""
        return [await self.get(key, prototype, part) for key, part in key_ranges]

    async def set(self, key: str, value: Buffer) -> None:
        """Write one whole chunk."""
        self._claim(key)
        self._hash(key, value)
        await super().set(key, value)
        self.bytes_written += len(value)

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Write one whole chunk unless it is there."""
        self._claim(key)
        self._hash(key, value)
        await super().set_if_not_exists(key, value)

    async def _set_many(self, values: Iterable[tuple[str, Buffer]]) -> None:
        for key, value in values:
            await self.set(key, value)

    async def delete(self, key: str) -> None:
        """Clear one whole chunk: all of it is the fill value."""
        self._claim(key)
        self._hash(key, None)
        await super().delete(key)

    async def delete_dir(self, prefix: str) -> None:
        """Refuse: arrays are made and removed by the template only."""
        msg = f"a job removes {prefix!r}; make and remove arrays in the template of the version"
        raise WholeChunkError(msg)

    def _with_store(self, store: Store) -> Any:
        msg = f"a metered store counts for one fork and takes no other ({store})"
        raise WholeChunkError(msg)

    def _hash(self, key: str, value: Buffer | None) -> None:
        if self._hashes is not None:
            stored = b"" if value is None else value.as_buffer_like()
            self._hashes[key] = hashlib.sha256(stored).hexdigest()

    def _claim(self, key: str) -> None:
        if _is_metadata(key):
            msg = (
                f"a job writes {key!r}; a key writes chunks only, so make arrays and set "
                "attributes in the template of the version"
            )
            raise WholeChunkError(msg)
        if key in self._looked_at and key not in self.chunks:
            msg = (
                f"a job changes a part of chunk {key!r}; write whole chunks: align the key with "
                "the chunks of the array, or cut the array's chunks to fit the key"
            )
            raise WholeChunkError(msg)
        self.chunks.add(key)


def _is_metadata(key: str) -> bool:
    return key.rsplit("/", 1)[-1] == "zarr.json"
