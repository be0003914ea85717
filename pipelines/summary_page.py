"""A static page of headings, tables, sentences and drawings: one file that loads nothing.

Text is escaped here, once, whatever it is; only a drawing of ours (:class:`Svg`) passes as it is.
A policy in the head forbids scripts and every address, in case something slips through.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; color: #1b2733; background: #fff;
  max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 .4rem; border-bottom: 1px solid #e3e7ea; }
p { margin: .4rem 0; color: #57636e; max-width: 46rem; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { text-align: left; vertical-align: top; padding: .2rem .9rem .2rem 0;
  border-bottom: 1px solid #f0f2f4; overflow-wrap: anywhere; }
th { color: #57636e; font-weight: 600; }
td:first-child { min-width: 6.5rem; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
svg { max-width: 100%; height: auto; font-family: inherit; }
a { color: #2166ac; }
"""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True)
class Link:
    """A link to something beside the page.

    Attributes
    ----------
    text, target : str
    """

    text: str
    target: str


@dataclass(frozen=True)
class Svg:
    """A drawing that is markup already, its texts escaped."""

    markup: str


Cell = str | int | Link


@dataclass(frozen=True)
class Table:
    """Rows under a header; no header without names.

    Attributes
    ----------
    header : tuple of str
    rows : tuple of tuples
        Whole numbers stand to the right.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Section:
    """A heading, empty for none, and what stands below it; text is a sentence."""

    heading: str
    parts: tuple[Table | Svg | str, ...]


@dataclass(frozen=True)
class Page:
    """A whole page.

    Attributes
    ----------
    title, subtitle : str
    sections : tuple of Section
    """

    title: str
    subtitle: str
    sections: tuple[Section, ...]

    def html(self) -> str:
        """Return the page as HTML.

        Examples
        --------
        >>> page = Page("a <b>", "", (Section("", ("1 & 2",)),)).html()
        >>> "<h1>a &lt;b&gt;</h1>" in page, "<p>1 &amp; 2</p>" in page
        (True, True)
        """
        body = "\n".join(_section(each) for each in self.sections)
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{escape(self.title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
            f"<h1>{escape(self.title)}</h1>\n<p>{escape(self.subtitle)}</p>\n{body}\n"
            "</body>\n</html>\n"
        )


def _section(section: Section) -> str:
    heading = f"<h2>{escape(section.heading)}</h2>\n" if section.heading else ""
    return f"<section>\n{heading}{chr(10).join(_part(each) for each in section.parts)}\n</section>"


def _part(part: Table | Svg | str) -> str:
    if isinstance(part, Svg):
        return f'<div class="wide">{part.markup}</div>'
    if isinstance(part, Table):
        return _table(part)
    return f"<p>{escape(part)}</p>"


def _table(table: Table) -> str:
    numbers = {
        column for row in table.rows for column, cell in enumerate(row) if isinstance(cell, int)
    }
    head = "".join(
        f"<th{_class(column, numbers)}>{escape(name)}</th>"
        for column, name in enumerate(table.header)
    )
    rows = "\n".join(
        f"<tr>{''.join(_cell(cell, _class(column, numbers)) for column, cell in enumerate(row))}"
        "</tr>"
        for row in table.rows
    )
    top = f"<thead><tr>{head}</tr></thead>\n" if head else ""
    return f'<div class="wide"><table>\n{top}<tbody>\n{rows}\n</tbody>\n</table></div>'


def _class(column: int, numbers: set[int]) -> str:
    return ' class="number"' if column in numbers else ""


def _cell(cell: Cell, shown: str) -> str:
    if isinstance(cell, Link):
        return f'<td><a href="{escape(cell.target)}">{escape(cell.text)}</a></td>'
    text = f"{cell:,}" if isinstance(cell, int) else cell
    return f"<td{shown}>{escape(text)}</td>"
