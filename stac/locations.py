"""Addresses of catalogue files: what may be followed, and writes that are all or nothing.

An address is a local path, ``file://``, ``s3://`` or (to read only) ``http(s)://``. Local files are
replaced by renaming a finished one over them, under a lock file where several processes meet;
objects are replaced by one conditional PUT, repeated when somebody else was faster. So a reader
finds the old bytes or the new ones, and two writers never lose each other's work. A store that
ignores ``If-Match`` voids the second promise (the catalogue then heals itself from its listing).
"""

import errno
import fcntl
import os
import posixpath
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from io import FileIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import fsspec

from stac.origins import is_same_server

CONNECT_SECONDS = 3
READ_SECONDS = 60
ATTEMPTS = 2
CONDITIONAL_TRIES = 40
REQUESTER_PAYS = "usgs-landsat"
"""Bucket whose readers pay for what they read."""
READING = frozenset({"read", "list", "open"})
CHUNK = 2**20
"""Bytes read at once of what may be larger than it should be."""
LOST_RACE = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict", "409"})


class CatalogueError(LookupError):
    """The catalogue, or something that it should hold, cannot be found or followed."""


class UnreachableError(CatalogueError):
    """The place where the catalogue should be does not answer, or refuses."""


class EscapeError(CatalogueError):
    """An address inside the catalogue points outside it."""


def normalise(url: str) -> str:
    """Return one spelling of an address: absolute local path, or URL, without a trailing slash.

    >>> normalise("s3://ice/antarctica/")
    's3://ice/antarctica'
    >>> normalise("file:///data/a/../b")
    '/data/b'
    """
    scheme = urlsplit(url).scheme if "://" in url else ""
    if scheme == "file":
        return str(Path(os.path.abspath(unquote(urlsplit(url).path))))  # noqa: PTH100 links stay
    if not scheme:
        return os.path.abspath(Path(url).expanduser())  # noqa: PTH100 links stay
    return url.rstrip("/")


def is_local(url: str) -> bool:
    """Tell whether a normalised address is a path on this machine."""
    return "://" not in url


def join(folder: str, *parts: str) -> str:
    """Append path parts to a normalised address."""
    return "/".join([folder.rstrip("/"), *parts])


def parent(url: str) -> str:
    """Return the folder of a normalised address."""
    return url.rsplit("/", 1)[0] or "/"


def resolve(href: str, *, folder: str, root: str) -> str:
    """Return the address that a link found in `folder` names, if it lies under `root`.

    Raises
    ------
    EscapeError
        If the link, followed through ``..`` and through symbolic links, leaves the catalogue.
    """
    if "://" in href:
        target = normalise(href)
    elif is_local(folder):
        target = os.path.abspath(os.path.join(folder, href))  # noqa: PTH100, PTH118 links stay
    else:
        scheme, rest = folder.split("://", 1)
        target = f"{scheme}://" + posixpath.normpath(posixpath.join(rest, href))
    if not _lies_under(target, root):
        msg = (
            f"the catalogue at {root} links to {href!r}, which is outside it; links must stay "
            "under its folder: move the data there, or open the catalogue that really holds it"
        )
        raise EscapeError(msg)
    return target


def _lies_under(target: str, root: str) -> bool:
    if is_local(target) != is_local(root):
        return False
    if not is_local(root):
        # Clients of HTTP read %2e%2e as the folder above, and some servers \\ as a slash.
        steps = unquote(target.split("://", 1)[1]).replace("\\", "/").split("/")
        return ".." not in steps and target.startswith(root + "/")
    return Path(os.path.realpath(target)).is_relative_to(os.path.realpath(root))


def storage_options(url: str) -> dict[str, Any]:
    """Return what fsspec needs to reach an address; an S3 endpoint comes from the environment only.

    The credentials are repeated here because fsspec keeps one connection per set of options, and
    two endpoints in one process must not share it.
    """
    if not url.startswith(("s3://", "s3a://")):
        return {}
    environment = os.environ
    options: dict[str, Any] = {
        "endpoint_url": environment.get("AWS_ENDPOINT_URL_S3")
        or environment.get("AWS_ENDPOINT_URL"),
        "key": environment.get("AWS_ACCESS_KEY_ID"),
        "secret": environment.get("AWS_SECRET_ACCESS_KEY"),
        "token": environment.get("AWS_SESSION_TOKEN"),
    }
    if url.split("://", 1)[1].startswith(f"{REQUESTER_PAYS}/"):
        options["requester_pays"] = True
    return {name: value for name, value in options.items() if value} | {
        "use_listings_cache": False,
        "config_kwargs": {
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": READ_SECONDS,
            "retries": {"max_attempts": ATTEMPTS, "mode": "standard"},
        },
    }


@lru_cache(maxsize=1)
def _staying() -> Any:
    """Return what tells aiohttp to refuse answers that send the reader to another server."""
    from aiohttp import TraceConfig, TraceRequestRedirectParams
    from yarl import URL

    async def refuse(_session: Any, _context: Any, asked: TraceRequestRedirectParams) -> None:
        to = asked.url.join(URL(asked.response.headers.get("Location", "")))
        is_downgrade = asked.url.scheme == "https" and to.scheme == "http"
        if is_same_server(str(to), str(asked.url)) and not is_downgrade:
            return
        asked.response.close()
        msg = f"{asked.url} sends its readers to {to.origin()}, which is outside the catalogue; "
        raise EscapeError(msg + "if you trust that server, open the catalogue that it holds")

    tracing = TraceConfig()
    tracing.on_request_redirect.append(refuse)
    return tracing


def filesystem(url: str, *, confined: bool = False) -> tuple[Any, str]:
    """Return the fsspec filesystem of an address and the path in it.

    Parameters
    ----------
    url : str
        A normalised address.
    confined : bool
        Whether a web server that sends the reader elsewhere is refused instead of followed.
    """
    options = storage_options(url)
    if confined and url.startswith(("http://", "https://")):
        options = {**options, "client_kwargs": {"trace_configs": [_staying()]}}
    try:
        fs, path = fsspec.core.url_to_fs(url, **options)
    except (ValueError, ImportError) as error:
        msg = f"{url}: {error}; use a path, file://, s3:// or http(s)://"
        raise CatalogueError(msg) from error
    return fs, str(path)


def _storage_errors() -> tuple[type[Exception], ...]:
    from aiohttp import ClientError as HttpClientError
    from botocore.exceptions import BotoCoreError, ClientError

    return (OSError, BotoCoreError, ClientError, HttpClientError)


@contextmanager
def reaching(url: str, *, to: str) -> Iterator[None]:
    """Turn what storage libraries raise into one message; a missing file to read stays as it is."""
    try:
        yield
    except _storage_errors() as error:
        if isinstance(error, FileNotFoundError) and to in READING:
            raise
        remedy = "check the address, the endpoint (AWS_ENDPOINT_URL) and the credentials"
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            remedy = "make room and repeat the command; what was written before is intact"
        elif is_local(url):
            remedy = "check the path and its permissions"
        elif url.startswith(("http://", "https://")):
            remedy = "check the address and the network"
        reason = str(error) or type(error).__name__
        msg = f"cannot {to} {url}: {reason}; {remedy}"
        raise UnreachableError(msg) from error


def read_bytes(url: str, *, confined: bool = False, largest: int | None = None) -> bytes:
    """Read a whole file or object; `confined` as of :func:`filesystem`.

    Raises
    ------
    FileNotFoundError
        If there is none.
    CatalogueError
        If it is larger than `largest` bytes, of which little more is read, or cannot be read.
    """
    fs, path = filesystem(url, confined=confined)
    with reaching(url, to="read"):
        data = bytes(fs.cat_file(path)) if largest is None else _first_bytes(fs, url, path, largest)
    if largest is not None and len(data) > largest:
        msg = (
            f"{url} is larger than {largest:,} bytes, the most that such a document may have; "
            "is it one? split its collection, or open the catalogue that you meant"
        )
        raise CatalogueError(msg)
    return data


def _first_bytes(fs: Any, url: str, path: str, largest: int) -> bytes:
    """Return a file or object whole, or more than `largest` bytes of it."""
    if url.startswith(("s3://", "s3a://")):
        return _first_range(fs, path, largest)
    # Without size and block size an HTTP file asks for its head first, and for ranges after.
    more = {"block_size": 0, "size": 1} if url.startswith(("http://", "https://")) else {}
    data = bytearray()
    with fs.open(path, "rb", **more) as file:
        while len(data) <= largest and (chunk := file.read(CHUNK)):
            data += chunk
    return bytes(data)


def _first_range(fs: Any, path: str, largest: int) -> bytes:
    try:
        return bytes(fs.cat_file(path, start=0, end=largest + 1))
    except OSError as error:
        response = getattr(error.__cause__, "response", {})
        if response.get("Error", {}).get("Code") == "InvalidRange":
            # An empty object has no first byte to ask for.
            return b""
        raise


def list_folders(url: str) -> list[str]:
    """Return the names of the folders directly under an address, sorted; none over http."""
    if url.startswith(("http://", "https://")):
        return []
    fs, path = filesystem(url)
    try:
        with reaching(url, to="list"):
            found = fs.ls(path, detail=True)
    except FileNotFoundError:
        return []
    names = (str(entry["name"]).rstrip("/").rsplit("/", 1)[-1] for entry in found
             if entry["type"] == "directory")  # fmt: skip
    return sorted(name for name in names if not name.startswith("."))


def write_bytes(url: str, data: bytes) -> None:
    """Put a whole file or object in place at once: a renamed temporary file, or one PUT."""
    fs, path = filesystem(url)
    with reaching(url, to="write"):
        if is_local(url):
            _replace_file(Path(path), data)
        else:
            fs.pipe_file(path, data)


def create_bytes(url: str, data: bytes) -> bool:
    """Write a file or object that must not exist yet; False, and nothing written, if it does."""
    fs, path = filesystem(url)
    with reaching(url, to="write"):
        if not is_local(url):
            return _put(fs, path, data, {"IfNoneMatch": "*"})
        if Path(path).exists():
            return False
        _replace_file(Path(path), data)
        return True


def update_bytes(url: str, change: Callable[[bytes | None], bytes]) -> None:
    """Replace a file by ``change(old)`` so that concurrent updates all take effect.

    On local disk the caller holds :func:`locked`. On S3 the PUT names the version that was read
    (compare and swap) and `change` is called again when another writer came first.
    """
    fs, path = filesystem(url)
    with reaching(url, to="update"):
        if is_local(url):
            old = Path(path).read_bytes() if Path(path).exists() else None
            new = change(old)
            if new != old:
                _replace_file(Path(path), new)
            return
        for attempt in range(CONDITIONAL_TRIES):
            tag, old = _read_version(fs, path)
            new = change(old)
            condition = {"IfMatch": tag} if tag else {"IfNoneMatch": "*"}
            if new == old or _put(fs, path, new, condition):
                return
            time.sleep(min(0.02 * (attempt + 1), 0.5) * (0.5 + secrets.randbelow(1000) / 1000))
    msg = (
        f"{url} changed {CONDITIONAL_TRIES} times while it was being updated; nothing is lost: "
        "repeat the command when fewer ingests run at once"
    )
    raise UnreachableError(msg)


def _read_version(fs: Any, path: str) -> tuple[str | None, bytes | None]:
    """Return ETag and bytes. The tag is asked first: newer bytes with an older tag fail the PUT."""
    try:
        return str(fs.info(path)["ETag"]), bytes(fs.cat_file(path))
    except FileNotFoundError:
        return None, None


def _put(fs: Any, path: str, data: bytes, condition: Mapping[str, str]) -> bool:
    bucket, _, key = path.partition("/")
    if not hasattr(fs, "call_s3"):
        fs.pipe_file(path, data)
        return True
    try:
        fs.call_s3("put_object", Bucket=bucket, Key=key, Body=data, **condition)
    except OSError as error:
        response = getattr(error.__cause__, "response", {})
        if response.get("Error", {}).get("Code") in LOST_RACE:
            return False
        raise
    return True


def _replace_file(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            aside.unlink()
        raise


@contextmanager
def locked(folder: str) -> Iterator[FileIO | None]:
    """Hold the lock file of a local folder, and give it; object stores have none and need none.

    The lock belongs to the open file, so the system drops it when its holder dies. What is written
    into the file is appended, unbuffered.
    """
    if not is_local(folder):
        yield None
        return
    with reaching(folder, to="lock"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        file = (Path(folder) / ".lock").open("a+b", buffering=0)
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
