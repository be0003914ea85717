"""A static page of headings, tables, sentences and drawings: one file that runs nothing.

Text is escaped here, once, whatever it is; only a drawing of ours (:class:`Svg`) passes as it is.
An address that is neither relative nor of the web becomes text, so that no link runs a script.
A policy in the head forbids scripts and addresses, in case something slips through.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
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

WITH_IMAGES = f"{POLICY}; img-src 'self' file:"
"""For a page with pictures beside it. Of a page that is opened from a disk, not every browser takes
the disk for ``'self'``."""

_WEB = re.compile(r"https?://[^\s\\]+", re.IGNORECASE)
_RELATIVE = re.compile(r"(?!/)[^\s\\:]*|[^\s\\:/]*/[^\s\\]*")


@dataclass(frozen=True)
class Link:
    """A link to something beside the page, or to an address of the web; any other is text.

    Attributes
    ----------
    text, target : str
    """

    text: str
    target: str

    @property
    def leads(self) -> bool:
        """Whether its address is one that a page may have.

        >>> [Link("", at).leads for at in ("./a.csv#row-2", "https://a.b/c", "figures/a:b.png")]
        [True, True, True]
        >>> [Link("", at).leads for at in ("javascript:x()", " data:,x", "//a.b/c", "/etc/hosts")]
        [False, False, False, False]
        """
        relative = _RELATIVE.fullmatch(self.target) and not self.target.startswith("/")
        return bool(relative or _WEB.fullmatch(self.target))


@dataclass(frozen=True)
class Svg:
    """A drawing that is markup already, its texts escaped."""

    markup: str


@dataclass(frozen=True)
class Sentence:
    """Words with links among them."""

    parts: tuple[str | Link, ...]

    @property
    def text(self) -> str:
        r"""Its words alone, for a terminal: without characters that would steer it.

        >>> Sentence(("An\x1b[2Jna ", Link("3 Gt", "t.html"))).text
        'An[2Jna 3 Gt'
        """
        words = "".join(each if isinstance(each, str) else each.text for each in self.parts)
        return "".join(c for c in words if unicodedata.category(c)[0] != "C")


Cell = str | int | Link | Sentence


@dataclass(frozen=True)
class Table:
    """Rows under a header; no header without names.

    Attributes
    ----------
    header : tuple of str
    rows : tuple of tuples
        Whole numbers stand to the right.
    caption : str
        What it shows; with one, the table can be scrolled by keys.
    numbers : tuple of str
        Columns, by their header, that stand to the right, too.
    anchors : tuple of str
        Names of the rows that links may lead to.
    headed : bool
        Whether the first cell of a row names it.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    numbers: tuple[str, ...] = ()
    anchors: tuple[str, ...] = ()
    headed: bool = False


@dataclass(frozen=True)
class Figure:
    """A picture beside the page.

    Attributes
    ----------
    source : str
        Its address.
    alt : str
        What it shows, for those who do not see it.
    size : (int, int)
        Width and height [px], so that the page does not jump.
    caption : Sentence
    """

    source: str
    alt: str
    size: tuple[int, int]
    caption: Sentence


@dataclass(frozen=True)
class Notice:
    """Something to know before the rest.

    Attributes
    ----------
    level : str
        A word for how bad it is, which the page's style may colour.
    said : Sentence
    """

    level: str
    said: Sentence


@dataclass(frozen=True)
class Folded:
    """Parts under a heading that is opened by who wants them."""

    heading: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Verbatim:
    """Text as it is in a file."""

    text: str


@dataclass(frozen=True)
class Section:
    """A heading, empty for none, and what stands below it; text is a sentence.

    Attributes
    ----------
    heading : str
    parts : tuple
    anchor : str
        Its name in links; with one, it stands in the contents.
    """

    heading: str
    parts: tuple[Part, ...]
    anchor: str = ""


Part = Table | Svg | str | Sentence | Figure | Notice | Folded | Verbatim | Section


@dataclass(frozen=True)
class Page:
    """A whole page.

    Attributes
    ----------
    title, subtitle : str
    sections : tuple of Section
    style, policy : str
        Its CSS, and what browsers may load for it.
    contents : str
        Heading of a list of the sections with anchors; none without one.
    above : Sentence
        Links above the title.
    """

    title: str
    subtitle: str
    sections: tuple[Section, ...]
    style: str = STYLE
    policy: str = POLICY
    contents: str = ""
    above: Sentence | None = None

    def html(self) -> str:
        """Return the page as HTML.

        Examples
        --------
        >>> page = Page("a <b>", "", (Section("", ("1 & 2",)),)).html()
        >>> "<h1>a &lt;b&gt;</h1>" in page, "<p>1 &amp; 2</p>" in page
        (True, True)
        """
        body = "\n".join(_section(each, level=2) for each in self.sections)
        above = f'<p class="above">{_inline(self.above)}</p>\n' if self.above else ""
        below = f"<p>{escape(self.subtitle)}</p>\n" if self.subtitle else ""
        head = f"<h1>{escape(self.title)}</h1>\n{below}"
        if self.contents:
            skip = '<a class="skip" href="#content">Skip to the content</a>\n'
            top = f"{skip}<header>\n{above}{head}</header>\n{self._nav()}"
            body = f'{top}\n<main id="content">\n{body}\n</main>'
        else:
            body = f"{above}{head}{body}"
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{escape(self.policy)}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{escape(self.title)}</title>\n<style>{self.style}</style>\n</head>\n<body>\n"
            f"{body}\n</body>\n</html>\n"
        )

    def _nav(self) -> str:
        entries = "\n".join(
            f'<li><a href="#{escape(each.anchor)}">{escape(each.heading)}</a></li>'
            for each in self.sections if each.anchor
        )  # fmt: skip
        name = escape(self.contents)
        return f'<nav aria-label="{name}">\n<p>{name}</p>\n<ol>\n{entries}\n</ol>\n</nav>'


def _section(section: Section, *, level: int) -> str:
    heading = f"<h{level}>{escape(section.heading)}</h{level}>\n" if section.heading else ""
    named = f' id="{escape(section.anchor)}"' if section.anchor else ""
    return f"<section{named}>\n{heading}{_parts(section.parts, level=level)}\n</section>"


def _parts(parts: tuple[Part, ...], *, level: int) -> str:
    """Return parts one after the other; notices that follow each other are one list."""
    lines: list[str] = []
    for part in parts:
        if isinstance(part, Notice):
            name = f"<strong>{escape(part.level.capitalize())}:</strong>"
            entry = f'<li class="{escape(part.level)}">{name} {_inline(part.said)}</li>'
            if lines and lines[-1].startswith('<ul class="notices">'):
                lines[-1] = lines[-1].removesuffix("</ul>") + f"{entry}\n</ul>"
            else:
                lines.append(f'<ul class="notices">\n{entry}\n</ul>')
        else:
            lines.append(_part(part, level=level))
    return "\n".join(lines)


def _part(part: Part, *, level: int) -> str:
    match part:
        case Section():
            text = _section(part, level=level + 1)
        case Svg():
            text = f'<div class="wide">{part.markup}</div>'
        case Table():
            text = _table(part)
        case Figure():
            text = _figure(part)
        case Verbatim():
            text = f'<pre tabindex="0">{escape(part.text)}</pre>'
        case Folded():
            inner = _parts(part.parts, level=level)
            text = f"<details>\n<summary>{escape(part.heading)}</summary>\n{inner}\n</details>"
        case _:
            text = f"<p>{_inline(part) if isinstance(part, Sentence) else escape(str(part))}</p>"
    return text


def _figure(figure: Figure) -> str:
    wide, high = figure.size
    image = (
        f'<img src="{escape(figure.source)}" alt="{escape(figure.alt)}" width="{wide}" '
        f'height="{high}" loading="lazy">'
    )
    return f"<figure>\n{image}\n<figcaption>{_inline(figure.caption)}</figcaption>\n</figure>"


def _inline(sentence: Sentence) -> str:
    return "".join(
        _link(each) if isinstance(each, Link) else escape(each) for each in sentence.parts
    )


def _link(link: Link) -> str:
    if not link.leads:
        return escape(link.text)
    return f'<a href="{escape(link.target)}">{escape(link.text)}</a>'


def _table(table: Table) -> str:
    right = {
        column for row in table.rows for column, cell in enumerate(row) if isinstance(cell, int)
    } | {column for column, name in enumerate(table.header) if name in table.numbers}
    head = "".join(
        f"<th{_class(column, right)}{_scope(table, 'col')}>{escape(name)}</th>"
        for column, name in enumerate(table.header)
    )
    rows = "\n".join(_rows(table, right))
    top = f"<thead><tr>{head}</tr></thead>\n" if head else ""
    caption, keys = "", ""
    if table.caption:
        caption = f"<caption><span>{escape(table.caption)}</span></caption>\n"
        keys = f' tabindex="0" role="region" aria-label="{escape(table.caption)}"'
    whole = f"<table>\n{caption}{top}<tbody>\n{rows}\n</tbody>\n</table>"
    return f'<div class="wide"{keys}>{whole}</div>'


def _rows(table: Table, right: set[int]) -> Iterator[str]:
    for n, row in enumerate(table.rows):
        named = f' id="{escape(table.anchors[n])}"' if table.anchors else ""
        cells = "".join(
            _cell(cell, _class(column, right), header=table.headed and column == 0)
            for column, cell in enumerate(row)
        )
        yield f"<tr{named}>{cells}</tr>"


def _scope(table: Table, scope: str) -> str:
    return f' scope="{scope}"' if table.headed else ""


def _class(column: int, right: set[int]) -> str:
    return ' class="number"' if column in right else ""


def _cell(cell: Cell, shown: str, *, header: bool = False) -> str:
    if isinstance(cell, Link):
        inner = _link(cell)
    elif isinstance(cell, Sentence):
        inner = _inline(cell)
    else:
        inner = escape(f"{cell:,}" if isinstance(cell, int) else cell)
    if header:
        return f'<th scope="row"{shown}>{inner}</th>'
    return f"<td{shown}>{inner}</td>"
