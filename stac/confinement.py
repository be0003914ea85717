"""What a catalogue elsewhere may name: other servers' data, never files of this machine."""

from urllib.parse import urlsplit

from stac.locations import EscapeError, normalise

REMOTE = frozenset({"http", "https", "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"})
"""Schemes that name no file of this machine, nor a program that may read one."""


ELSEWHERE = frozenset({"ftp", "ftps", "sftp", "hdfs", "oss", "obs", "swift", "gsiftp", "globus"})
"""Schemes of other servers that nobody here reads."""


def is_near(url: str) -> bool:
    """Tell whether a catalogue lies, or answers, on this machine, so that it may name its files.

    >>> is_near("/data/catalogue"), is_near("http://127.0.0.1:8080"), is_near("https://a.org/stac")
    (True, True, False)
    """
    if "://" not in url:
        return True
    parts = urlsplit(url)
    return parts.scheme == "file" or parts.hostname in {"localhost", "127.0.0.1", "::1"}


def is_unread(href: str) -> bool:
    """Tell whether an address names another server in a way that we do not read, such as FTP.

    >>> is_unread("ftp://a.org/x.tif"), is_unread("file:///x"), is_unread("zip://x::file:///y")
    (True, False, False)
    """
    scheme, separator, _ = href.partition("://")
    return bool(separator) and "::" not in href and scheme.lower() in ELSEWHERE


def remote(href: str, *, root: str) -> str:
    """Return the address that a catalogue elsewhere names, if it is not of this machine.

    >>> remote("s3://bucket/scene.TIF", root="https://a.org/stac")
    's3://bucket/scene.TIF'

    Raises
    ------
    EscapeError
        If it is a path, ``file://``, or what fsspec reads through a program of its own.
    """
    scheme, separator, _ = href.partition("://")
    if separator and scheme.lower() in REMOTE:
        return href if "?" in href else normalise(href)  # what is signed stays as it stands
    msg = (
        f"the catalogue at {root} links to {href!r}, which is outside it: on this machine, or "
        "nowhere; a catalogue elsewhere names https:// or s3:// addresses: tell its keeper, or "
        "copy the catalogue to this machine if its files are here"
    )
    raise EscapeError(msg)
