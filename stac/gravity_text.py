"""Bytes of published gravity files to text and rows of numbers; nothing in them is trusted."""

import re
import zlib
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FLOAT = NDArray[np.float64]

LARGEST_TEXT = 64 * 2**20
"""Most that one file may hold after decompression [B]; degree 360 takes 15 MB."""

_GZIP = b"\x1f\x8b"
_NEWLINE = 10
_SPACE = 32


class GravityFormatError(ValueError):
    """A file that is not what it should be: what was found, what was expected."""


@dataclass(frozen=True)
class Columns:
    """Rows of a table as bytes, split into columns.

    Attributes
    ----------
    names : list of ndarray of bytes, each shape (rows,)
        The columns, in order.
    """

    fields: list[NDArray[np.bytes_]]

    def whole(self, index: int, *, name: str, what: str) -> NDArray[np.int64]:
        """Return a column of whole numbers, shape (rows,)."""
        return self._converted(index, np.int64, name=name, what=what)

    def real(self, index: int, *, name: str, what: str) -> FLOAT:
        """Return a column of numbers, shape (rows,); Fortran's ``D`` exponents are understood."""
        return self._converted(index, np.float64, name=name, what=what)

    def _converted(self, index: int, kind: type, *, name: str, what: str) -> NDArray:  # type: ignore[type-arg]
        column = self.fields[index]
        with suppress(ValueError):
            return column.astype(kind)
        column = np.char.replace(np.char.upper(column), b"D", b"E")
        with suppress(ValueError):
            return column.astype(kind)
        row = next(i for i, cell in enumerate(column) if not _converts(cell, kind))
        text = self.fields[index][row].decode("latin-1")
        msg = f"{name}: row {row + 1}: found {text!r} for {what}, expected a number"
        raise GravityFormatError(msg)


def _converts(cell: bytes, kind: type) -> bool:
    try:
        np.array([cell]).astype(kind)
    except ValueError:
        return False
    return True


def text_of(data: bytes, *, name: str) -> bytes:
    """Return the content of a file that may be compressed by gzip.

    Raises
    ------
    GravityFormatError
        Nothing in it, a stream that ends early or is damaged, more than `LARGEST_TEXT`.
    """
    if not data.startswith(_GZIP):
        text = data
    else:
        stream = zlib.decompressobj(wbits=31)
        try:
            text = stream.decompress(data, LARGEST_TEXT + 1)
        except zlib.error as error:
            msg = f"{name}: damaged gzip stream ({error}); fetch the file again"
            raise GravityFormatError(msg) from error
        if len(text) <= LARGEST_TEXT and not stream.eof:
            msg = f"{name}: the gzip stream ends early after {len(text)} bytes; fetch it again"
            raise GravityFormatError(msg)
    if len(text) > LARGEST_TEXT:
        msg = f"{name}: holds more than {LARGEST_TEXT} bytes, no monthly field is that large"
        raise GravityFormatError(msg)
    if not text.strip():
        msg = f"{name}: is empty, expected a gravity file; fetch it again"
        raise GravityFormatError(msg)
    return text


def split_rows(block: bytes, *, name: str) -> Columns:
    """Split rows of equal layout into columns.

    Rows of one width, as the centres write them, are cut at the blank columns that all rows share;
    anything else is split at blanks, row by row.

    Raises
    ------
    GravityFormatError
        No rows, or rows with different numbers of fields.
    """
    rows = block.strip(b"\r\n")
    if not rows:
        msg = f"{name}: found no rows of coefficients after the header; fetch the file again"
        raise GravityFormatError(msg)
    return _split_fixed(rows + b"\n") or _split_free(rows, name=name)


def _split_fixed(rows: bytes) -> Columns | None:
    width = rows.index(b"\n") + 1
    if len(rows) % width:
        return None
    table = np.frombuffer(rows, dtype=np.uint8).reshape(-1, width)
    if not (table[:, -1] == _NEWLINE).all() or (table[:, :-1] == _NEWLINE).any():
        return None
    blank = (table <= _SPACE).all(axis=0)
    edges = np.flatnonzero(np.diff(np.concatenate([[True], blank, [True]]).astype(np.int8)))
    spans = edges.reshape(-1, 2)
    if len(spans) != len(rows[:width].split()):
        return None
    cells = [np.ascontiguousarray(table[:, a:b]).view(f"S{b - a}")[:, 0] for a, b in spans]
    return Columns([np.char.strip(c) if (c == b"").any() else c for c in cells])


def _split_free(rows: bytes, *, name: str) -> Columns:
    lines = [line.split() for line in rows.splitlines() if line.strip()]
    counts = {len(line) for line in lines}
    if len(counts) > 1:
        odd = next(i for i, line in enumerate(lines) if len(line) != len(lines[0]))
        msg = (
            f"{name}: row {odd + 1} has {len(lines[odd])} fields, expected {len(lines[0])} as in "
            "the first; the file may be cut off, fetch it again"
        )
        raise GravityFormatError(msg)
    return Columns([np.array(column) for column in zip(*lines, strict=True)])


def header_value(header: bytes, pattern: str, *, name: str, what: str) -> str:
    """Return what a pattern finds in a header.

    Raises
    ------
    GravityFormatError
        If the header does not say it.
    """
    found = optional_value(header, pattern)
    if not found:
        msg = f"{name}: the header says nothing of {what}; expected it in a Level-2 header"
        raise GravityFormatError(msg)
    return found


def optional_value(header: bytes, pattern: str) -> str:
    """Return what a pattern finds in a header, or an empty text."""
    match = re.search(pattern.encode(), header, flags=re.MULTILINE)
    return match.group(1).decode("latin-1").strip() if match else ""


def number(text: str, *, name: str, what: str) -> float:
    """Return a number written by Fortran or C.

    Raises
    ------
    GravityFormatError
        If it is none.
    """
    try:
        return float(text.upper().replace("D", "E"))
    except ValueError as error:
        msg = f"{name}: found {text!r} for {what}, expected a number"
        raise GravityFormatError(msg) from error


def triangle(
    degree: NDArray[np.int64],
    order: NDArray[np.int64],
    values: list[FLOAT],
    *,
    j_max: int,
    first: int,
    name: str,
) -> list[FLOAT]:
    """Put columns of coefficients into squares, shape (j_max + 1, j_max + 1) each.

    Parameters
    ----------
    degree, order : ndarray, shape (rows,)
        j and m of each row.
    values : list of ndarray, shape (rows,)
        Columns to place.
    j_max, first : int
        Degrees ``first`` to ``j_max`` must be complete; lower ones may be absent and are zero.
    name : str
        File, for messages.

    Raises
    ------
    GravityFormatError
        Orders above their degree, degrees beyond j_max, doubles, gaps, values not finite.
    """
    wrong = (order < 0) | (order > degree) | (degree > j_max)
    if wrong.any():
        i = int(np.flatnonzero(wrong)[0])
        msg = f"{name}: found degree {degree[i]}, order {order[i]}; expected 0 ≤ m ≤ j ≤ {j_max}"
        raise GravityFormatError(msg)
    count = np.zeros((j_max + 1, j_max + 1), dtype=np.int64)
    np.add.at(count, (degree, order), 1)
    if (count > 1).any():
        j, m = np.argwhere(count > 1)[0]
        msg = f"{name}: degree {j}, order {m} comes {count[j, m]} times, expected once"
        raise GravityFormatError(msg)
    wanted = np.tri(j_max + 1, dtype=bool)
    wanted[:first] = False
    if (wanted & (count == 0)).any():
        j, m = np.argwhere(wanted & (count == 0))[0]
        msg = (
            f"{name}: found {degree.size} coefficients, expected every order of degrees {first} to "
            f"{j_max}; the first missing is degree {j}, order {m}; the file is cut off or its "
            "header names another degree"
        )
        raise GravityFormatError(msg)
    squares = []
    for column in values:
        if not np.isfinite(column).all():
            i = int(np.flatnonzero(~np.isfinite(column))[0])
            msg = f"{name}: degree {degree[i]}, order {order[i]} is {column[i]}, expected a number"
            raise GravityFormatError(msg)
        square = np.zeros((j_max + 1, j_max + 1))
        square[degree, order] = column
        squares.append(square)
    return squares
