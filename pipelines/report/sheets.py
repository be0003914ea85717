"""Tables of products as a report shows them: the CSV unchanged, and pages with a name for each row.

A number in the report links to the row that it was read from, so the pages are made from the same
bytes as the copies.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipelines import tables
from pipelines.report.outputs import Output, ReportError
from pipelines.summary_page import Cell, Link, Page, Part, Section, Sentence, Table
from pipelines.tables import Row

PER_PAGE = 2000
"""Rows of a page: more make browsers slow."""

_NAME = re.compile(r"tables/([A-Za-z0-9_-]{1,80})\.csv")
_UNFIT = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True)
class Cited:
    """A row and where the report shows it.

    Attributes
    ----------
    row : Row
    href : str
        Relative to ``index.html``.
    """

    row: Row
    href: str


@dataclass(frozen=True)
class Sheet:
    """A table of a product.

    Attributes
    ----------
    folder, stem : str
        Its pages are ``tables/FOLDER/STEM.html`` and on.
    title : str
        Which product's it is.
    header : tuple of str
    length : int
        How many lines the file has below its header.
    rows : tuple of Row
        Its lines, read; empty of a table of another schema, such as IMBIE's.
    data : bytes
        The file.
    """

    folder: str
    stem: str
    title: str
    header: tuple[str, ...]
    length: int
    rows: tuple[Row, ...]
    data: bytes

    @property
    def lines(self) -> tuple[tuple[str, ...], ...]:
        """Cells as they stand in the file, read anew each time: all tables at once fill memory."""
        return tuple(_lines(self.data))[1:]

    @property
    def csv(self) -> str:
        """Where the report keeps the file."""
        return f"tables/{self.folder}/{self.stem}.csv"

    def page(self, number: int) -> str:
        """Return where a page of rows is, counted from 1."""
        more = "" if number == 1 else f".page-{number}"
        return f"tables/{self.folder}/{self.stem}{more}.html"

    @property
    def pages(self) -> int:
        """How many pages there are, one at least."""
        return max(1, -(-self.length // PER_PAGE))

    def href(self, number: int) -> str:
        """Return the address of a row, counted from 1."""
        return f"{self.page(1 + (number - 1) // PER_PAGE)}#row-{number}"

    @property
    def cited(self) -> list[Cited]:
        """Its rows with their addresses."""
        return [Cited(row, self.href(n)) for n, row in enumerate(self.rows, start=1)]


@dataclass(frozen=True)
class Library:
    """All tables of a report.

    Attributes
    ----------
    sheets : tuple of Sheet
    left_out : tuple of str
        Assets that pass for tables and are none that can be shown.
    """

    sheets: tuple[Sheet, ...]
    left_out: tuple[str, ...] = ()

    def of(self, folder: str, stem: str) -> list[Cited]:
        """Return the rows of a table with their addresses; none where there is no such table."""
        for sheet in self.sheets:
            if (sheet.folder, sheet.stem) == (folder, stem):
                return sheet.cited
        return []


def folders(outputs: Sequence[Output], *, taken: Sequence[str] = ()) -> dict[str, str]:
    """Return a folder of the report for each output by its name: letters that every disk takes.

    Parameters
    ----------
    outputs : sequence of Output
    taken : sequence of str
        Folders that are not to be used.
    """
    found: dict[str, str] = {}
    used = {name.lower() for name in taken}
    for output in outputs:
        plain = _UNFIT.sub("_", output.name).lstrip(".")[:60] or "product"
        folder, n = plain, 1
        while folder.lower() in used:
            n += 1
            folder = f"{plain}_{n}"
        used.add(folder.lower())
        found[output.name] = folder
    return found


def read(outputs: Sequence[Output], in_folder: dict[str, str]) -> Library:
    """Read the tables of all outputs.

    Raises
    ------
    ReportError
        A file that is not the one that the item tells of, or does not follow the schema.
    """
    found, left_out = [], []
    for output in outputs:
        for path in output.files("tables/*"):
            name = _NAME.fullmatch(path)
            if name is None:
                left_out.append(f"{output.name}: {path}")
                continue
            data = checked(output, path)
            found.append(sheet(in_folder[output.name], name[1], output.name, data))
    return Library(tuple(found), tuple(left_out))


def checked(output: Output, path: str) -> bytes:
    """Return a file of a product.

    Raises
    ------
    ReportError
        It is not the one that the item tells of.
    """
    from cluster.object_store import MissingObjectError

    try:
        data = output.read(path)
    except MissingObjectError as error:
        msg = f"{output.address} has lost {path}; run {output.product} again"
        raise ReportError(msg) from error
    told = str(output.item["assets"][path].get("file:checksum", ""))
    if told and not told.endswith(hashlib.sha256(data).hexdigest()):
        msg = (
            f"{output.address}/{path} is not the file that item.json tells of: a run is "
            f"publishing, or it was changed by hand; run {output.product} again"
        )
        raise ReportError(msg)
    return data


def sheet(folder: str, stem: str, title: str, data: bytes) -> Sheet:
    """Return a table from its bytes.

    Raises
    ------
    ReportError
        Not CSV, or our columns with a line that does not follow the schema.
    """
    try:
        found = _lines(data)
        header = next(found, ())
        length = sum(1 for _ in found)
        rows = tuple(tables.read_rows(data)) if header == tables.COLUMNS else ()
    except (UnicodeDecodeError, csv.Error, tables.TableError) as error:
        msg = f"{title}: tables/{stem}.csv: {error}"
        raise ReportError(msg) from error
    return Sheet(folder, stem, title, header, length, rows, data)


def _lines(data: bytes) -> Iterator[tuple[str, ...]]:
    return (tuple(line) for line in csv.reader(io.StringIO(data.decode())))


def pages(of: Sheet, *, style: str, policy: str) -> Iterator[tuple[str, bytes]]:
    """Yield the pages of a table by their path in the report."""
    lines = of.lines
    same, shown = _constant(of.header, lines)
    told = "; ".join(f"{of.header[i]}: {lines[0][i]}" for i in same)
    numbers = tuple(of.header[i] for i in shown if of.header[i] in {"value", "uncertainty"})
    header = ("row", *(of.header[i] for i in shown))
    for number in range(1, of.pages + 1):
        first = (number - 1) * PER_PAGE
        part = lines[first : first + PER_PAGE]
        table = Table(
            header,
            tuple(_cells(line, shown, first + n) for n, line in enumerate(part, start=1)),
            caption=f"{of.title}, tables/{of.stem}.csv",
            numbers=("row", *numbers),
            anchors=tuple(f"row-{first + n}" for n in range(1, len(part) + 1)),
            headed=True,
        )
        above = Sentence((Link("← report", "../../index.html"),))
        told_of = Sentence((f"{of.length:,} rows. ", Link("Download as CSV", f"{of.stem}.csv")))
        said: tuple[Part, ...] = (told,) if told else ()
        body: tuple[Part, ...] = (*said, told_of, *_turning(of, number), table)
        page = Page(
            f"{of.title}: {of.stem}", "", (Section("", body),),
            style=style, policy=policy, above=above,
        )  # fmt: skip
        yield of.page(number), page.html().encode()


def _cells(line: tuple[str, ...], shown: Sequence[int], number: int) -> tuple[Cell, ...]:
    own: Cell = Link(str(number), f"#row-{number}")
    return (own, *(line[i] if i < len(line) else "" for i in shown))


def _constant(
    header: Sequence[str], lines: Sequence[tuple[str, ...]]
) -> tuple[list[int], list[int]]:
    """Return which columns say the same in every row, which is told once, and the others."""
    columns = range(len(header))
    if len(lines) < 2:
        return [], list(columns)
    same = [
        i for i in columns
        if header[i] not in {"region", "value", "uncertainty"}
        and len({line[i] if i < len(line) else "" for line in lines}) == 1
    ]  # fmt: skip
    return [i for i in same if lines[0][i : i + 1] not in {(), ("",)}], [
        i for i in columns if i not in same
    ]


def _turning(of: Sheet, number: int) -> Iterator[Sentence]:
    """Yield links to the other pages."""
    if of.pages == 1:
        return
    parts: list[str | Link] = ["Pages: "]
    for each in range(1, of.pages + 1):
        name = of.page(each).rsplit("/", 1)[-1]
        parts += [str(each) if each == number else Link(str(each), name), " "]
    yield Sentence(tuple(parts))
