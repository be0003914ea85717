"""Read and write bytes by address: local folders and S3 buckets behind the same few calls.

The credentials, the region and the endpoint of S3 come only from the environment
(``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_REGION``, ``AWS_ENDPOINT_URL``), so that a
run file serves any store. Every request is bounded in time, and every failure is a
:class:`StoreError` that says what was found, what is needed and what to do.

A write is atomic in both kinds of store: a reader finds the old bytes or the new ones. On a local
disk they are written aside, synchronised and renamed; on S3 they are one PUT.
"""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cluster import s3_client
from cluster.address import SUPPORTED, Address, is_local, join, parse
from cluster.conditional_writes import Probe, probe, require_transactional
from cluster.media_types import media_type
from cluster.patience import asked_again
from cluster.store_errors import (
    MissingObjectError,
    StoreError,
    TransactionError,
    local_errors,
)

__all__ = [
    "SUPPORTED",
    "Address",
    "MissingObjectError",
    "Probe",
    "StoreError",
    "TransactionError",
    "delete",
    "exists",
    "filesystem",
    "is_local",
    "join",
    "list_folders",
    "list_objects",
    "parse",
    "probe",
    "read_bytes",
    "require_transactional",
    "store_errors",
    "write_bytes",
]

# Ends the name of a file that is being written; one that a crash left behind is no object.
_PART = ".part"


def filesystem(url: str | Path) -> tuple[Any, str]:
    """Return fsspec's filesystem for ``url`` and the path within it.

    For libraries that want one (Zarr, pyarrow). Wrap its use in :func:`store_errors`.
    """
    import fsspec

    address = parse(url)
    if address.is_local:
        return fsspec.filesystem("file", auto_mkdir=True), address.path
    options = s3_client.filesystem_options()
    return fsspec.filesystem("s3", **options), f"{address.bucket}/{address.path}".rstrip("/")


@contextlib.contextmanager
def store_errors(url: str | Path) -> Iterator[None]:
    """Turn errors of the store behind ``url`` within the block into :class:`StoreError`."""
    address = parse(url)
    with local_errors(address.local) if address.is_local else s3_client.s3_errors(address):
        yield


def read_bytes(url: str | Path) -> bytes:
    """Return the content of one object.

    Raises
    ------
    MissingObjectError
        If there is none.
    StoreError
        If it cannot be read.
    """
    address = parse(url)
    with store_errors(address.url):
        return address.local.read_bytes() if address.is_local else _downloaded(address)


def write_bytes(url: str | Path, data: bytes) -> None:
    """Write one object, replacing it at once if it exists; folders above it are made.

    Raises
    ------
    StoreError
        If it cannot be written; what was there before is intact.
    """
    address = parse(url)
    with store_errors(address.url):
        if address.is_local:
            _replace(address.local, data)
        else:
            s3_client.client().put_object(
                Bucket=address.bucket,
                Key=address.path,
                Body=data,
                ContentType=media_type(address.path),
            )


def exists(url: str | Path) -> bool:
    """Whether there is an object, or anything below it, at ``url``."""
    address = parse(url)
    if address.is_local:
        with local_errors(address.local):
            return address.local.exists()
    with s3_client.s3_errors(address):
        if address.path and _is_object(address):
            return True
        prefix = f"{address.path}/" if address.path else ""
        page = s3_client.client().list_objects_v2(Bucket=address.bucket, Prefix=prefix, MaxKeys=1)
        return bool(page.get("KeyCount"))


def list_objects(url: str | Path) -> list[str]:
    """Return the names of all objects below ``url``, relative to it, sorted.

    A folder or prefix that does not exist holds none; a missing bucket is an error.
    """
    address = parse(url)
    with store_errors(address.url):
        if address.is_local:
            files = [each for each in address.local.rglob("*") if each.is_file()]
            whole = [each for each in files if each.suffix != _PART]
            return sorted(str(each.relative_to(address.local)) for each in whole)
        prefix = f"{address.path}/" if address.path else ""
        pages = s3_client.client().get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=address.bucket, Prefix=prefix)
        keys = [entry["Key"] for page in found for entry in page.get("Contents", [])]
        return sorted(key.removeprefix(prefix) for key in keys)


def list_folders(url: str | Path) -> list[str]:
    """Return the names of the folders right below ``url``, sorted; the first thousand of a bucket.

    A folder or prefix that does not exist holds none; a missing bucket is an error.
    """
    address = parse(url)
    with store_errors(address.url):
        if address.is_local:
            below = address.local.iterdir() if address.local.is_dir() else ()
            return sorted(each.name for each in below if each.is_dir())
        prefix = f"{address.path}/" if address.path else ""
        page = s3_client.client().list_objects_v2(
            Bucket=address.bucket, Prefix=prefix, Delimiter="/"
        )
        found = [str(entry["Prefix"]) for entry in page.get("CommonPrefixes", [])]
        return sorted(each.removeprefix(prefix).rstrip("/") for each in found)


def delete(url: str | Path) -> None:
    """Remove one object; nothing happens if there is none."""
    address = parse(url)
    with store_errors(address.url):
        if address.is_local:
            address.local.unlink(missing_ok=True)
        else:
            s3_client.client().delete_object(Bucket=address.bucket, Key=address.path)


def _downloaded(address: Address) -> bytes:
    """Return the content of an object of S3; botocore asks again for all but a body's rest."""
    from botocore.exceptions import IncompleteReadError, ResponseStreamingError

    def ask() -> bytes:
        answer = s3_client.client().get_object(Bucket=address.bucket, Key=address.path)
        with contextlib.closing(answer["Body"]) as body:
            return bytes(body.read())

    broken = (IncompleteReadError, ResponseStreamingError)
    return asked_again(ask, breaks=lambda error: isinstance(error, broken))


def _is_object(address: Address) -> bool:
    from botocore.exceptions import ClientError

    try:
        s3_client.client().head_object(Bucket=address.bucket, Key=address.path)
    except ClientError as error:
        if str(error.response["Error"].get("Code")) in {"404", "NoSuchKey", "NotFound"}:
            return False
        raise
    return True


def _replace(path: Path, data: bytes) -> None:
    """Write aside, synchronise, rename, and synchronise the folder that holds the new name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}{_PART}")
    try:
        with aside.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    _synchronise(path.parent)


def _synchronise(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
