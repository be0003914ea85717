"""Where bytes live: a path on this machine, or a bucket and a prefix on S3."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote, unquote, urlsplit

from cluster.redaction import redact
from cluster.store_errors import StoreError

SUPPORTED = "a plain path, file:///path or s3://bucket/prefix"

# The rules of S3 for names of buckets, less the rare ones (no address-like names, no "..").
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True)
class Address:
    """One place in a store.

    Attributes
    ----------
    protocol : {"file", "s3"}
        Which kind of store.
    bucket : str
        The bucket on S3; empty on a local disk.
    path : str
        The absolute local path, or the key within the bucket without slashes at its ends.
    """

    protocol: Literal["file", "s3"]
    bucket: str
    path: str

    @property
    def is_local(self) -> bool:
        """Whether it is a path on this machine (or on a disk that it mounts)."""
        return self.protocol == "file"

    @property
    def url(self) -> str:
        """The address as text: an absolute path, or ``s3://bucket/key``."""
        if self.is_local:
            return self.path
        return f"s3://{self.bucket}/{self.path}".rstrip("/")

    @property
    def uri(self) -> str:
        """The address with its scheme, for links: ``file:///path`` or ``s3://bucket/key``."""
        return "file://" + quote(self.path) if self.is_local else self.url

    @property
    def local(self) -> Path:
        """The path of a local address."""
        if not self.is_local:
            msg = f"{self.url} is not on this machine; expected a path"
            raise StoreError(msg)
        return Path(self.path)

    def join(self, *parts: str) -> "Address":
        """Return the place ``parts`` below this one; no part may climb out of it."""
        steps = [step for part in parts for step in part.split("/") if step not in {"", "."}]
        if ".." in steps or any(part.startswith("/") for part in parts):
            msg = f"{'/'.join(parts)!r} leads out of {self.url}; expected names below it"
            raise StoreError(msg)
        if self.is_local:
            return Address("file", "", str(self.local.joinpath(*steps)))
        return Address("s3", self.bucket, "/".join([*filter(None, [self.path]), *steps]))


def parse(url: str | Path) -> Address:
    """Return the place that ``url`` names.

    Parameters
    ----------
    url : str or Path
        A plain path (relative to the working folder), ``file:///path`` or ``s3://bucket/prefix``.

    Raises
    ------
    StoreError
        If it is of another kind, or carries credentials.

    Examples
    --------
    >>> parse("s3://ice/out/").join("product.zarr", "zarr.json").url
    's3://ice/out/product.zarr/zarr.json'
    >>> parse("file:///data/a%20b").url
    '/data/a b'
    """
    text = str(url)
    if not text.strip():
        msg = f"the address is empty; expected {SUPPORTED}"
        raise StoreError(msg)
    scheme = text.partition(":")[0].lower() if "://" in text or text.startswith("file:") else ""
    if scheme == "":
        return Address("file", "", str(Path(text).expanduser().absolute()))
    if scheme == "file":
        return _file(text)
    if scheme == "s3":
        return _s3(text)
    msg = f"{redact(text)!r} is no address that can be read or written; expected {SUPPORTED}"
    raise StoreError(msg)


def join(url: str | Path, *parts: str) -> str:
    """Return the address ``parts`` below ``url``, as text."""
    return parse(url).join(*parts).url


def is_local(url: str | Path) -> bool:
    """Whether ``url`` is a path on this machine."""
    return parse(url).is_local


def _file(text: str) -> Address:
    parts = urlsplit(text)
    path = unquote(text.split(":", 1)[1].removeprefix("//").removeprefix(parts.netloc))
    if parts.netloc not in {"", "localhost"} or not path.startswith("/"):
        msg = f"{redact(text)!r} names no path of this machine; expected file:///absolute/path"
        raise StoreError(msg)
    return Address("file", "", str(Path(path)))


def _s3(text: str) -> Address:
    bucket, _, key = text.split(":", 1)[1].removeprefix("//").partition("/")
    if "@" in bucket:
        msg = (
            "an s3:// address holds credentials; remove them from the address and set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead"
        )
        raise StoreError(msg)
    if not _BUCKET.fullmatch(bucket):
        msg = f"{text!r} names the bucket {bucket!r}, which is no bucket name; expected {SUPPORTED}"
        raise StoreError(msg)
    steps = [step for step in key.split("/") if step]
    if {".", ".."} & set(steps):
        msg = f"{text!r} climbs with '.' or '..', which S3 keys cannot; write the whole prefix"
        raise StoreError(msg)
    return Address("s3", bucket, "/".join(steps))
