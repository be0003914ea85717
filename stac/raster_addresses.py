"""Addresses of image files: which may be opened, and how GDAL reaches them.

GDAL takes far more than addresses: a name may be a program of its own (``<VRTDataset>``,
``/vsicurl?...``, ``NETCDF:...``, ``GTIFF_RAW:...``) that reads any file of this machine. An address
out of a catalogue is somebody else's text, so only four plain kinds pass, and GDAL's own name of
the file is made here, from the parts.
"""

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

from stac import locations

REQUESTER_PAYS = frozenset({"usgs-landsat"})
CONNECT_SECONDS = 10
STALLED_SECONDS = 20
RETRY_CODES = (429, 500, 502, 503, 504)
# Retries wait 0.5 s, then about 2.25 times as long each: some 45 s in all (S3 asks for patience).
PATIENCE: Mapping[str, str] = MappingProxyType(
    {
        "GDAL_HTTP_MAX_RETRY": "6",
        "GDAL_HTTP_RETRY_DELAY": "0.5",
        "GDAL_HTTP_RETRY_CODES": ",".join(map(str, RETRY_CODES)),
        "GDAL_HTTP_CONNECTTIMEOUT": str(CONNECT_SECONDS),
        "GDAL_HTTP_LOW_SPEED_TIME": str(STALLED_SECONDS),
        "GDAL_HTTP_LOW_SPEED_LIMIT": "1000",
    }
)
"""What the environment may override, under the same names."""
CACHE_BYTES = 1 << 27
"""For decoded blocks, in the whole process from the first read on; GDAL's own choice is a twentieth
of the machine's memory. In bytes: of 128, which GDAL takes for MiB, rasterio makes 128 bytes, and
every block is then decoded again for each line."""
FIXED: Mapping[str, str] = MappingProxyType(
    {
        # No look for .aux.xml, .ovr, .msk, .tfw beside the file: requests, and other people's data.
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "GDAL_PAM_ENABLED": "NO",
        # An address signed for GET answers 403 to HEAD.
        "CPL_VSIL_CURL_USE_HEAD": "NO",
        # Else GDAL remembers "404" until the process ends, also when the file has come.
        "CPL_VSIL_CURL_NON_CACHED": "/vsis3/:/vsicurl/",
        "GDAL_INGESTED_BYTES_AT_OPEN": "32768",
        "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
        "GDAL_HTTP_MULTIRANGE": "YES",
    }
)
_TRUE = frozenset({"1", "true", "yes", "on"})
_SECRET = re.compile(r"\?[^\s'\"<>]*")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.\-_]{1,62}", re.IGNORECASE)


class RasterError(ValueError):
    """An image file that cannot be read as its catalogue promises."""


@dataclass(frozen=True)
class Answer:
    """What the place of a file says about it.

    Attributes
    ----------
    code : int
        HTTP status; 200 also for a file on disk, 0 if nothing answered.
    reason : str
        Name of the error.
    size : int
        Size of the file [bytes]; -1 if not told.
    """

    code: int
    reason: str = ""
    size: int = -1


def shown(href: str) -> str:
    """Return an address as it may be shown and logged: without user, password and signature.

    >>> shown("https://me:pw@host/LC08_B4.TIF?sig=SECRET")
    'https://host/LC08_B4.TIF?...'
    """
    return _SECRET.sub("?...", re.sub(r"//[^/@\s]*@", "//", href))


def gdal_path(href: str) -> str:
    """Return GDAL's name of the file at an address.

    >>> gdal_path("s3://usgs-landsat/collection02/LC08_B4.TIF")
    '/vsis3/usgs-landsat/collection02/LC08_B4.TIF'

    Raises
    ------
    RasterError
        If it is none of: an existing file, ``file://``, ``s3://bucket/key``, ``http(s)://``.
    """
    scheme, separator, rest = href.partition("://")
    if any(ord(letter) < 32 for letter in href):
        raise _refused(href, "has control characters in it")
    if not separator or scheme == "file":
        return _local_path(href)
    if scheme in {"http", "https"} and urlsplit(href).hostname:
        return f"/vsicurl/{href}"
    if scheme in {"s3", "s3a"}:
        bucket, _, key = rest.partition("/")
        if _BUCKET.fullmatch(bucket) and key and "?" not in key:
            return f"/vsis3/{bucket}/{key}"
    raise _refused(href, "is no address of an image")


def require_plain(href: str) -> None:
    """Refuse what fsspec takes for more than an address: ``zip://a::b``, ``simplecache::b``.

    Raises
    ------
    RasterError
        If it is none of: a path, ``file://``, ``s3://bucket/key``, ``http(s)://``.
    """
    scheme, separator, _ = href.partition("://")
    plain = not separator or scheme in {"file", "s3", "s3a", "http", "https"}
    if not plain or "::" in href or any(ord(letter) < 32 for letter in href):
        raise _refused(href, "is no plain address of a file")


def is_local(href: str) -> bool:
    """Tell whether an address names a file on this machine."""
    return "://" not in href or href.startswith("file://")


def options(href: str) -> dict[str, str | int]:
    """Return GDAL's configuration for reading an address, with the S3 store of the environment.

    Environment variables of GDAL win over `PATIENCE`; keys are left to GDAL itself, which looks
    where Amazon's tools do.
    """
    chosen: dict[str, str | int] = dict(FIXED)
    chosen |= {name: os.environ.get(name, value) for name, value in PATIENCE.items()}
    if "GDAL_CACHEMAX" not in os.environ:
        chosen["GDAL_CACHEMAX"] = CACHE_BYTES
    if not href.startswith(("s3://", "s3a://")):
        return chosen
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        parts = urlsplit(endpoint)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            msg = "AWS_ENDPOINT_URL is no address of a server; expected http(s)://host:port"
            raise RasterError(msg)
        chosen["AWS_S3_ENDPOINT"] = parts.netloc + parts.path.rstrip("/")
        chosen["AWS_HTTPS"] = "YES" if parts.scheme == "https" else "NO"
        chosen["AWS_VIRTUAL_HOSTING"] = "FALSE"
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if region:
        chosen["AWS_REGION"] = region
    if _is_on("FSSPEC_S3_ANON") or _is_on("AWS_NO_SIGN_REQUEST"):
        chosen["AWS_NO_SIGN_REQUEST"] = "YES"
    if _bucket(href) in REQUESTER_PAYS:
        chosen["AWS_REQUEST_PAYER"] = "requester"
    return chosen


def stamp(href: str) -> tuple[object, ...]:
    """Return what changes when the file, or the way to it, does.

    Raises
    ------
    RasterError
        If a file on disk is not there.
    """
    if is_local(href):
        found = Path(_local_path(href)).stat()
        return found.st_ino, found.st_size, found.st_mtime_ns
    settings = sorted((k, v) for k, v in os.environ.items() if k.startswith(("AWS_", "GDAL_")))
    return (hashlib.sha256(repr(settings).encode()).hexdigest(),)


def filesystem(href: str) -> tuple[Any, str]:
    """Return the fsspec filesystem of an address and the path in it."""
    require_plain(href)
    fs, path = locations.filesystem(locations.normalise(href) if is_local(href) else href)
    if not is_local(href) and _bucket(href) in REQUESTER_PAYS:
        fs.req_kw = {**fs.req_kw, "RequestPayer": "requester"}
    return fs, path


def ask(href: str) -> Answer:
    """Ask the place of a file, once and apart from GDAL, whether it is there and how large.

    GDAL's messages tell the text of an error but not its number, and after a failed read neither.
    """
    require_plain(href)
    if is_local(href):
        return Answer(200, size=Path(_local_path(href)).stat().st_size)
    return _ask_http(href) if href.startswith("http") else _ask_s3(href)


def _ask_http(href: str) -> Answer:
    request = Request(href, headers={"Range": "bytes=0-0"})  # noqa: S310 http(s) only
    try:
        with urlopen(request, timeout=STALLED_SECONDS) as answer:  # noqa: S310
            total = answer.headers.get("Content-Range", "").rpartition("/")[2]
            length = total if answer.status == 206 else answer.headers.get("Content-Length", "")
            return Answer(answer.status, size=int(length) if length.isdigit() else -1)
    except HTTPError as error:
        with error:
            return Answer(error.code, str(error.reason))
    except (OSError, HTTPException) as error:
        return Answer(0, shown(str(error)))


def _ask_s3(href: str) -> Answer:
    from botocore.exceptions import BotoCoreError

    try:
        fs, path = filesystem(href)
        bucket, _, key = path.partition("/")
        answer = fs.call_s3("head_object", fs.req_kw, Bucket=bucket, Key=key)
    except (OSError, BotoCoreError, locations.CatalogueError) as error:
        response = getattr(error.__cause__, "response", {})
        code = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = code or (404 if isinstance(error, FileNotFoundError) else 0)
        return Answer(code, shown(str(response.get("Error", {}).get("Message") or error)))
    return Answer(200, size=int(answer["ContentLength"]))


def _local_path(href: str) -> str:
    """Return the absolute path of an existing regular file that GDAL takes for nothing else."""
    parts = urlsplit(href) if href.startswith("file://") else None
    if parts is not None and parts.netloc not in {"", "localhost"}:
        raise _refused(href, f"names a file of another machine, {parts.netloc}")
    named = unquote(parts.path) if parts is not None else href
    path = os.path.abspath(named)  # noqa: PTH100 links stay
    if path.lstrip("/").startswith("vsi"):
        raise _refused(href, "would be taken by GDAL for one of its virtual file systems")
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 the name may be no path at all
    except (OSError, ValueError):
        msg = (
            f"{shown(href)} is not there; expected an image file: its catalogue may be older than "
            "the folder, so ingest again, or restore the file"
        )
        raise RasterError(msg) from None
    if not stat.S_ISREG(mode):
        raise _refused(href, "is no regular file")
    return path


def _bucket(href: str) -> str:
    return href.partition("://")[2].partition("/")[0]


def _is_on(name: str) -> bool:
    return os.environ.get(name, "").lower() in _TRUE


def _refused(href: str, why: str) -> RasterError:
    return RasterError(
        f"{shown(href)[:200]!r} {why}; images are read from files, file://, s3://bucket/key and "
        "http(s)://: correct the item, or store the image under such an address"
    )
