"""Bytes of published gravity files to text, rows and numbers; nothing in them is trusted.

Rows of one width, as the centres write them, are cut at the columns that are blank in all of them,
and each column is converted at once. Anything else is split at blanks, row by row.
"""

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

FLOAT = NDArray[np.float64]
INT = NDArray[np.int64]
BYTES = NDArray[np.uint8]

LARGEST_TEXT = 64 * 2**20
"""Most that one file may hold after decompression [B]; a field of degree 360 takes 7 MB."""

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eEdD][+-]?\d+)?")

_GZIP = b"\x1f\x8b"
_SPACE, _NEWLINE, _PLUS = 32, 10, 43


class GravityFormatError(ValueError):
    """A file that is not what it should be: what was found, what was expected, what to do."""


def text_of(data: bytes, *, name: str) -> bytes:
    """Return the content of a file that may be compressed by gzip.

    Raises
    ------
    GravityFormatError
        Nothing in it, a stream that ends early or is damaged, more than `LARGEST_TEXT`.
    """
    text = _unpacked(data, name=name) if data.startswith(_GZIP) else data
    if len(text) > LARGEST_TEXT:
        msg = (
            f"{name}: holds more than {LARGEST_TEXT} bytes, expected one gravity file of a few MB; "
            "check what it is"
        )
        raise GravityFormatError(msg)
    if not text[:4096].strip() and not text.strip():
        msg = f"{name}: is empty, expected a gravity file; fetch it again"
        raise GravityFormatError(msg)
    _require_whole_end(text, name=name)
    return text


def _require_whole_end(text: bytes, *, name: str) -> None:
    """Refuse a last line that stops short of its even neighbours: a number may lack digits."""
    if text.endswith(b"\n"):
        return
    widths = [len(line.rstrip()) for line in text.rsplit(b"\n", 3)[1:]]
    if len(widths) == 3 and widths[0] == widths[1] > widths[2]:
        msg = (
            f"{name}: the last line stops after {widths[2]} characters without a line feed, "
            f"expected {widths[1]} as above it; the file is cut off, fetch it again"
        )
        raise GravityFormatError(msg)


def _unpacked(data: bytes, *, name: str) -> bytes:
    """Decompress all members of a gzip file, never beyond `LARGEST_TEXT` and a byte."""
    parts: list[bytes] = []
    size = 0
    while size <= LARGEST_TEXT:
        stream = zlib.decompressobj(wbits=31)
        try:
            parts.append(stream.decompress(data, LARGEST_TEXT + 1 - size))
        except zlib.error as error:
            msg = f"{name}: is a damaged gzip stream ({error}); fetch the file again"
            raise GravityFormatError(msg) from error
        size += len(parts[-1])
        if size <= LARGEST_TEXT and not stream.eof:
            msg = (
                f"{name}: the gzip stream ends early, after {size} bytes of text; expected its end "
                "mark; fetch the file again"
            )
            raise GravityFormatError(msg)
        data = stream.unused_data
        if not data.strip(b"\0"):
            break
    return b"".join(parts)


@dataclass(frozen=True)
class Rows:
    """Rows of a table, cut into columns.

    Attributes
    ----------
    name : str
        File, for messages.
    cells : list of ndarray of uint8, each shape (rows, width)
        The columns in order; characters, padded with blanks.
    lines : ndarray of int64, shape (rows,)
        Where each row stands in the file, from 1.
    """

    name: str
    cells: list[BYTES]
    lines: INT

    def __len__(self) -> int:
        return len(self.lines)

    def text(self, column: int, row: int = 0) -> str:
        """Return one cell."""
        cell: bytes = self.cells[column][row].tobytes()
        return cell.decode("latin-1").strip()

    def texts(self, column: int) -> list[str]:
        """Return one column, shape (rows,)."""
        return [self.text(column, row) for row in range(len(self))]

    def constant(self, column: int) -> bool:
        """Say whether all cells of a column are the same."""
        return bool((self.cells[column] == self.cells[column][0]).all())

    def whole(self, column: int, what: str) -> INT:
        """Return a column of whole numbers, shape (rows,)."""
        found: INT = self._numbers(column, pa.int64(), what)
        return found

    def real(self, column: int, what: str) -> FLOAT:
        """Return a column of numbers, shape (rows,); Fortran's ``D`` exponents are understood.

        Each is the float64 nearest to the printed decimal.
        """
        found: FLOAT = self._numbers(column, pa.float64(), what)
        return found

    def _numbers(self, column: int, kind: pa.DataType, what: str) -> NDArray:  # type: ignore[type-arg]
        cells = self.cells[column]
        try:
            return _converted(cells, kind)
        except pa.ArrowInvalid:
            cells = _plain(cells)
        try:
            return _converted(cells, kind)
        except pa.ArrowInvalid as error:
            row = next(i for i in range(len(self)) if not _converts(cells[i : i + 1], kind))
            expected = "a whole number" if kind == pa.int64() else "a number"
            msg = (
                f"{self.name}: line {self.lines[row]}: found {self.text(column, row)!r} for "
                f"{what}, expected {expected}; the file is damaged or of another layout, fetch it "
                "again"
            )
            raise GravityFormatError(msg) from error


def _converted(cells: BYTES, kind: pa.DataType) -> NDArray:  # type: ignore[type-arg]
    count, width = cells.shape
    cells = np.ascontiguousarray(cells)
    offsets = np.arange(0, (count + 1) * width, width, dtype=np.int32)
    text = pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(cells))
    if cells.min() <= _SPACE:
        text = pc.ascii_trim_whitespace(text)
    numbers: NDArray = pc.cast(text, kind).to_numpy()  # type: ignore[type-arg]
    return numbers


def _converts(cells: BYTES, kind: pa.DataType) -> bool:
    try:
        _converted(cells, kind)
    except pa.ArrowInvalid:
        return False
    return True


def _plain(cells: BYTES) -> BYTES:
    """Rewrite Fortran's ``D`` exponents and leading plus signs."""
    plain = np.where(np.isin(cells, (ord("D"), ord("d"))), np.uint8(ord("E")), cells)
    before = np.pad(plain[:, :-1], ((0, 0), (1, 0)), constant_values=_SPACE)
    plain[(plain == _PLUS) & (before <= _SPACE)] = _SPACE
    return plain


def cut_even(text: bytes, start: int, *, name: str) -> Rows | None:
    """Cut all that follows a position in a text, if its rows are of one width and layout."""
    ended = text if text.endswith(b"\n") else text + b"\n"
    cells = _at_blank_columns(ended, start)
    if not cells:
        return None
    first = text.count(b"\n", 0, start) + 1
    return Rows(name, cells, np.arange(first, first + len(cells[0])))


def cut_lines(numbered: Iterable[tuple[int, bytes]], *, name: str) -> Rows:
    """Cut chosen lines, each with its number in the file, into columns.

    Raises
    ------
    GravityFormatError
        No rows, rows with different numbers of fields.
    """
    chosen = [(number, line) for number, line in numbered if line.strip()]
    if not chosen:
        msg = f"{name}: has no rows of numbers after its header; fetch the file again"
        raise GravityFormatError(msg)
    numbers = np.array([number for number, _ in chosen], dtype=np.int64)
    cells = _at_blank_columns(b"\n".join([*(line for _, line in chosen), b""]))
    if cells is None:
        cells = _at_blanks(chosen, name=name)
    return Rows(name, cells, numbers)


def table_lines(
    lines: list[tuple[int, bytes]], start: re.Pattern[bytes], row: re.Pattern[bytes], *, name: str
) -> list[tuple[int, bytes]]:
    """Return the rows of a table that stands below a heading, to the end of the file.

    It begins after the line that `start` matches, or else with the first that `row` matches; from
    there every line must be a row or blank. Nothing is returned if there is no row at all.

    Raises
    ------
    GravityFormatError
        A line among the rows that is none: it would else be lost without a word.
    """
    first = next((i for i, (_, line) in enumerate(lines) if row.match(line)), len(lines))
    headed = next((i + 1 for i, (_, line) in enumerate(lines[:first]) if start.match(line)), first)
    if first == len(lines):
        return []
    body = [(number, line) for number, line in lines[headed:] if line.strip()]
    for number, line in body:
        if not row.match(line):
            found = line[:60].decode("latin-1").strip()
            msg = (
                f"{name}: line {number}: found {found!r}, expected a row like line "
                f"{lines[first][0]}; the file is damaged, fetch it again"
            )
            raise GravityFormatError(msg)
    return body


def numbered_lines(text: bytes) -> Iterable[tuple[int, bytes]]:
    """Return the lines of a text with their numbers, from 1."""
    return enumerate(text.split(b"\n"), start=1)


def _at_blank_columns(text: bytes, start: int = 0) -> list[BYTES] | None:
    """Cut rows of one width, if they are that and all hold the same columns."""
    width = text.find(b"\n", start) + 1 - start
    if width < 1 or (len(text) - start) % width:
        return None
    table = np.frombuffer(text, dtype=np.uint8, offset=start).reshape(-1, width)
    inside = _over_rows(np.minimum, table)[:-1] <= _NEWLINE
    if (table[:, -1] != _NEWLINE).any() or (table[:, :-1][:, inside] == _NEWLINE).any():
        return None
    blank = _over_rows(np.maximum, table) <= _SPACE
    edges = np.flatnonzero(np.diff(np.concatenate([[True], blank, [True]]).astype(np.int8)))
    spans = edges.reshape(-1, 2)
    if len(spans) != len(text[start : start + width].split()):
        return None
    return [table[:, first:stop] for first, stop in spans]


def _over_rows(extreme: np.ufunc, table: BYTES) -> BYTES:
    """Return the least or greatest of each column, shape (width,).

    Rows are short: folding 64 of them into one first lets the inner loop run over kilobytes.
    """
    width = table.shape[1]
    folded = len(table) // 64 * 64
    if folded:
        first = extreme.reduce(table[:folded].reshape(-1, 64 * width), axis=0)
        table = np.concatenate([first.reshape(64, width), table[folded:]])
    found: BYTES = extreme.reduce(table, axis=0)
    return found


def _at_blanks(lines: list[tuple[int, bytes]], *, name: str) -> list[BYTES]:
    fields = [line.split() for _, line in lines]
    odd = next((i for i, row in enumerate(fields) if len(row) != len(fields[0])), None)
    if odd is not None:
        msg = (
            f"{name}: line {lines[odd][0]} has {len(fields[odd])} fields, expected "
            f"{len(fields[0])} as line {lines[0][0]} has; the file may be cut off, fetch it again"
        )
        raise GravityFormatError(msg)
    cells = []
    for column in zip(*fields, strict=True):
        packed = np.array(column)
        letters = packed.view(np.uint8).reshape(len(column), -1)
        cells.append(np.where(letters == 0, np.uint8(_SPACE), letters))
    return cells


def number(text: str, *, name: str, what: str) -> float:
    """Return a number written by Fortran or C.

    Raises
    ------
    GravityFormatError
        If it is none.
    """
    if not NUMBER.fullmatch(text.strip()):
        msg = f"{name}: found {text!r} for {what}, expected a number; correct the header"
        raise GravityFormatError(msg)
    return float(text.upper().replace("D", "E"))
