"""Which bytes of a file a request asks for (RFC 9110, section 14)."""

import re

LARGEST = 64 * 2**20
"""Bytes of one range. A reader asks for a range to hold it in memory: chunks and tiles of our
products have a few MiB, so more is a mistake, and out of a bucket a costly one. Whole files are not
limited: they are streamed, a piece at a time."""

_ONE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class RangeError(ValueError):
    """A range that is not answered; the message says why."""


def wanted(header: str | None, size: int) -> range | None:
    """Return the bytes that a ``Range`` header asks for, None for the whole file.

    Parameters
    ----------
    header : str or None
        As it came; a unit other than bytes is none of ours and is passed over.
    size : int
        Of the file [bytes].

    Raises
    ------
    RangeError
        Several ranges, none that lies in the file, or one of more than :data:`LARGEST` bytes.

    Examples
    --------
    >>> wanted("bytes=2-5", 10), wanted("bytes=7-", 10), wanted("bytes=-4", 10), wanted(None, 10)
    (range(2, 6), range(7, 10), range(6, 10), None)
    """
    if header is None or not header.startswith("bytes="):
        return None
    if "," in header:
        msg = "several ranges at once are not answered; ask for one after the other"
        raise RangeError(msg)
    found = _ONE.fullmatch(header.replace(" ", ""))
    if found is None or found.groups() == ("", ""):
        msg = f"found {header!r}, expected such as bytes=0-1023"
        raise RangeError(msg)
    first, last = found.groups()
    if first:
        start, stop = int(first), min(int(last) + 1, size) if last else size
    else:
        start, stop = max(0, size - int(last)), size
    if start >= stop:
        msg = f"found {header!r}, expected bytes within 0-{size - 1}, the first before the last"
        raise RangeError(msg)
    if stop - start > LARGEST:
        msg = f"found a range of {stop - start} bytes, expected {LARGEST} at the most: ask for it "
        raise RangeError(msg + "in parts, or for the whole file without a range")
    return range(start, stop)
