"""Files below a folder or a bucket's prefix, a piece at a time, and never above it."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from pipelines.page_server.shown import PathError

if TYPE_CHECKING:
    from pathlib import Path

    from cluster.address import Address

PIECE = 256 * 1024
"""Bytes that an answer holds in memory."""


class ChangedError(OSError):
    """A file that was replaced after its size was told."""


class File(Protocol):
    """A file that is there."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def etag(self) -> str:
        """What changes with its bytes, in quotes."""

    @property
    def modified(self) -> str:
        """When it was written, as HTTP has it."""

    def pieces(self, part: range) -> Iterator[bytes]:
        """Return its bytes from ``part.start`` to ``part.stop``, a piece at a time.

        It is opened at once, so that what cannot be read is known before an answer begins.
        """


class Tree(Protocol):
    """Where files are."""

    def find(self, steps: tuple[str, ...]) -> File | None:
        """Return the file at a path, None where there is none.

        Raises
        ------
        PathError
            A link that leads out of the tree.
        """


def tree(address: str) -> Tree:
    """Return the files below an address: a path of this machine, or ``s3://bucket/prefix``."""
    from cluster import object_store

    place = object_store.parse(address)
    return Folder(place.local) if place.is_local else Prefix(place)


@dataclass(frozen=True)
class Folder:
    """A folder of this machine."""

    root: Path

    def find(self, steps: tuple[str, ...]) -> File | None:
        """Return a regular file; links are followed within the folder only."""
        try:
            path = self.root.joinpath(*steps).resolve(strict=True)
            status = path.stat()
        except (OSError, RuntimeError):  # missing, a file for a folder, too long; a ring of links
            return None
        if not path.is_relative_to(self.root.resolve()):
            msg = f"{'/'.join(steps)} is a link that leads out of its product"
            raise PathError(msg)
        if not stat.S_ISREG(status.st_mode):
            return None
        modified = formatdate(status.st_mtime, usegmt=True)
        return _Local(path, status.st_size, _etag(status), modified)


def _etag(status: os.stat_result) -> str:
    return f'"{status.st_mtime_ns:x}-{status.st_size:x}"'


@dataclass(frozen=True)
class _Local:
    path: Path
    size: int
    etag: str
    modified: str

    def pieces(self, part: range) -> Iterator[bytes]:
        """Return bytes of the file that was found; one that was replaced since is an error."""
        file = self.path.open("rb")
        if _etag(os.fstat(file.fileno())) != self.etag:
            file.close()
            msg = f"{self.path} was replaced while it was asked for; ask again"
            raise ChangedError(msg)
        return _read(file, part)


def _read(file: BinaryIO, part: range) -> Iterator[bytes]:
    """Yield a part of a file; one that has become shorter ends the answer early, which shows."""
    with file:
        file.seek(part.start)
        left = len(part)
        while left and (piece := file.read(min(PIECE, left))):
            left -= len(piece)
            yield piece


@dataclass(frozen=True)
class Prefix:
    """Objects of a bucket below a prefix."""

    address: Address

    def find(self, steps: tuple[str, ...]) -> File | None:
        """Return an object."""
        from botocore.exceptions import ClientError

        from cluster import s3_client

        place = self.address.join(*steps)
        with s3_client.s3_errors(place):
            try:
                head = s3_client.client().head_object(Bucket=place.bucket, Key=place.path)
            except ClientError as error:
                if str(error.response["Error"].get("Code")) in {"404", "NoSuchKey", "NotFound"}:
                    return None
                raise
        modified = formatdate(head["LastModified"].timestamp(), usegmt=True)
        return _Object(place, int(head["ContentLength"]), str(head["ETag"]), modified)


@dataclass(frozen=True)
class _Object:
    place: Address
    size: int
    etag: str
    modified: str

    def pieces(self, part: range) -> Iterator[bytes]:
        """Return bytes of the object that was found; one that was replaced since is an error."""
        from cluster import s3_client

        asked: dict[str, Any] = {"IfMatch": self.etag}
        if not part:
            return iter(())
        if len(part) < self.size:
            asked["Range"] = f"bytes={part.start}-{part.stop - 1}"
        with s3_client.s3_errors(self.place):
            answer = s3_client.client().get_object(
                Bucket=self.place.bucket, Key=self.place.path, **asked
            )
        return self._received(answer["Body"])

    def _received(self, body: Any) -> Iterator[bytes]:
        from cluster import s3_client

        with s3_client.s3_errors(self.place), contextlib.closing(body):
            yield from body.iter_chunks(PIECE)
