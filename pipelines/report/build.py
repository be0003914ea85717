"""Write a report of finished products: a page that needs no server and no network.

Overall strategy: tables and pictures are written first, each when it is made, and the page last, so
that memory holds one picture at a time and a page is there only once all it links to is.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pipelines.report import cautions, methods, page, provenance, reached, sheets, style
from pipelines.report import material as gathering
from pipelines.report.folder import INDEX, MAP, MAP_PAGE, Folder, locate
from pipelines.report.material import Material
from pipelines.report.outputs import Output, ReportError
from pipelines.report.summary import summary
from pipelines.summary_page import POLICY, Notice, Part, Sentence

if TYPE_CHECKING:
    from pipelines.report.pictures import Picture

logger = logging.getLogger(__name__)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Facts:
    """What was made.

    Attributes
    ----------
    page : str
        Address of the page.
    products : tuple of str
        Names of the outputs.
    summary : tuple of str
        Its paragraphs.
    warnings : mapping of str to int
        How many of each level.
    figures, tables, rows, files, bytes : int
    left_out : tuple of str
        Sections that there is nothing for.
    map_page : str
        Address of the map, relative to the page; empty without one.
    seconds : float
    """

    page: str
    products: tuple[str, ...]
    summary: tuple[str, ...]
    warnings: Mapping[str, int]
    figures: int
    tables: int
    rows: int
    files: int
    bytes: int
    left_out: tuple[str, ...]
    map_page: str
    seconds: float

    def document(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        return asdict(self)


@dataclass
class _Gallery:
    """Draws pictures one by one and keeps their files."""

    folder: Folder
    say: Say
    count: int = 0
    failures: list[Notice] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def draw(self, pictures: Iterable[Picture]) -> list[Part]:
        """Return pictures as parts of the page; one that cannot be drawn becomes a warning."""
        from pipelines.figures.canvas import FigureError

        parts: list[Part] = []
        for given in pictures:
            picture = replace(given, name=self._unlike(given.name))
            try:
                drawing = picture.drawn()
            except FigureError as error:
                text = f"The picture {picture.name} could not be drawn: {error}"
                self.failures.append(Notice(cautions.CAUTION, Sentence((text,))))
                continue
            self.count += 1
            self.folder.write(f"figures/{picture.name}.png", drawing.png)
            self.folder.write(f"figures/{picture.name}.svg", drawing.svg)
            self.say(f"drawn: {picture.name}")
            parts.append(picture.figure(self.count, drawing))
        return parts

    def _unlike(self, name: str) -> str:
        """Return a name that no picture has yet."""
        found, n = name, 1
        while found.lower() in self.names:
            n += 1
            found = f"{name}-{n}"
        self.names.add(found.lower())
        return found


def build(
    outputs: Sequence[Output],
    to: str,
    *,
    map_page: bool = True,
    locate_product: Callable[[Output], str] | None = None,
    title: str = "",
    say: Say = logger.info,
) -> Facts:
    """Write a report.

    Parameters
    ----------
    outputs : sequence of Output
        Finished products, any of them.
    to : str
        Folder or bucket prefix; an earlier report there is replaced.
    map_page : bool
        Whether to write the map, too.
    locate_product : callable, optional
        Where the map is to ask for a product, absolute or relative to ``map/index.html``; else by
        where they lie.
    title : str
        Of the page; else what the products are.
    say : callable
        Told of each step.

    Returns
    -------
    Facts

    Raises
    ------
    ReportError
        A product between two versions, a table that is not as its item tells, or a folder that
        holds something else.
    """
    started = time.perf_counter()
    folder = Folder(to)
    _require_apart(outputs, folder.address)
    _require_one_comparison(outputs)
    of = _gathered(outputs)
    folder.begin()
    _write_tables(of, folder, say)
    gallery, rates = _Gallery(folder, say), methods.rates(of)
    middle, left_out = page.sections(of, rates, gallery.draw)
    told = _write_provenance(of, folder)
    where = _write_map(of, folder, locate_product or locate(to), left_out) if map_page else ""
    states = {each.output.name: each.reached for each in told}
    notices = [*gallery.failures, *cautions.cautions(of, states)]
    notices.sort(key=lambda notice: cautions.LEVELS.index(notice.level))
    contents = page.Contents(title or page.title_of(of), notices, summary(page.facts(of, rates)),
                             middle, left_out, told, where)  # fmt: skip
    whole = page.assemble(of, contents)
    folder.finish(whole, {"page": INDEX, "products": [each.name for each in outputs]})
    return _facts(of, folder, contents, gallery.count, time.perf_counter() - started)


def _gathered(outputs: Sequence[Output]) -> Material:
    """Return the products with the report's own table of what no product tells."""
    of = gathering.gather(outputs)
    own = methods.own_sheet(of, methods.rates(of))
    return of if own is None else of.with_sheet(own)


def _require_apart(outputs: Sequence[Output], to: str) -> None:
    """Refuse to write a report into a product.

    Raises
    ------
    ReportError
        Such a folder.
    """
    for output in outputs:
        if f"{_followed(to)}/".startswith(f"{_followed(output.address).rstrip('/')}/"):
            msg = f"{to} lies in the product {output.address}; choose a folder beside it for --to"
            raise ReportError(msg)


def _followed(address: str) -> str:
    """Return an address without ``..`` and links, which two names of one folder may differ by."""
    from cluster import object_store

    place = object_store.parse(address)
    return str(place.local.resolve()) if place.is_local else place.url


def _require_one_comparison(outputs: Sequence[Output]) -> None:
    """Refuse several comparisons: their rates are of different grounds, side by side as of one.

    Raises
    ------
    ReportError
        Two or more of them.
    """
    found = [each.name for each in outputs if each.product == "comparison"]
    if len(found) > 1:
        msg = (
            f"found the comparisons {', '.join(found)}, expected one: each has regions and a "
            "period of its own; make a report of each"
        )
        raise ReportError(msg)


def _write_tables(of: Material, folder: Folder, say: Say) -> None:
    for sheet in of.library.sheets:
        folder.write(sheet.csv, sheet.data)
        for path, data in sheets.pages(sheet, style=style.PLAIN, policy=POLICY):
            folder.write(path, data)
    rows = sum(len(sheet.lines) for sheet in of.library.sheets)
    say(f"{len(of.library.sheets)} tables, {rows:,} rows")


def _write_provenance(of: Material, folder: Folder) -> list[provenance.Told]:
    states = {output.name: reached.reached(output, of.outputs) for output in of.outputs}
    found = provenance.told(of, states)
    for each in found:
        read = of.groups.of(each.output).attrs.get("nunatak:inputs")
        versions = read if isinstance(read, dict) else {}
        data = provenance.page(each, style=style.PLAIN, policy=POLICY, versions=versions)
        folder.write(each.path, data)
    return found


def _write_map(
    of: Material, folder: Folder, where: Callable[[Output], str], left_out: list[str]
) -> str:
    """Write the map beside the page; return its address, empty where its page is not built."""
    from pipelines.map_scene import writing

    try:
        files = writing.files(of.outputs, locate=where)
    except writing.BundleError:
        left_out.append("Map: needs the page that `make viewer` builds.")
        return ""
    for name, data in files.items():
        folder.write(f"{MAP}/{name}", data)
    return MAP_PAGE


def _facts(
    of: Material, folder: Folder, contents: page.Contents, figures: int, seconds: float
) -> Facts:
    return Facts(
        page=f"{folder.address}/{INDEX}",
        products=tuple(each.name for each in of.outputs),
        summary=tuple(each.text for each in contents.paragraphs),
        warnings=cautions.told(contents.notices),
        figures=figures,
        tables=len(of.library.sheets),
        rows=sum(len(each.lines) for each in of.library.sheets),
        files=len(folder.written),
        bytes=sum(folder.written.values()),
        left_out=tuple(contents.left_out),
        map_page=contents.map_page,
        seconds=round(seconds, 2),
    )
