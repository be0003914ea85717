"""What pages point at is there: links, anchors, pictures, files named in code."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs import pages as pages_of
from tests.docs.pages import ROOT, anchors, code_spans, links, pages

PAGES = pages()
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:")
_OURS = re.compile(r"(?:pipelines|cluster|stac|tests|infra|docs)/[\w./-]+")
_SUFFIX = re.compile(r"\.(?:py|md|ya?ml|json|toml|txt|png|csv|ipynb|geojson|tf)$|/$")


def names(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    broken = []
    for link in links(page):
        if _ELSEWHERE.match(link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            broken.append(f"{link}: no such file")
        elif anchor and target.suffix == ".md" and anchor not in anchors(target):
            broken.append(f"{link}: no such heading among {sorted(anchors(target))}")

    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_no_link_leaves_the_repository(page: Path) -> None:
    for link in links(page):
        path = unquote(link).partition("#")[0]
        if path and not _ELSEWHERE.match(link):
            assert (page.parent / path).resolve().is_relative_to(ROOT), link


@pytest.mark.parametrize("page", [p for p in PAGES if p.name != "CHANGELOG.md"], ids=names)
def test_files_of_ours_that_a_page_names_exist(page: Path) -> None:
    """`path` and `path::name`; a name with a star or in capitals stands for several files."""
    named = {
        match.rstrip("/.")
        for span in code_spans(page)
        if (match := _named(span)) and not re.search(r"[*{<]|[A-Z]{4}", span)
    }

    assert not sorted(name for name in named if not (ROOT / name).exists())


def _named(span: str) -> str:
    found = _OURS.match(span)
    return found[0] if found and _SUFFIX.search(found[0]) else ""


def test_links_and_anchors_are_found(tmp_path: Path) -> None:
    """The finder itself: code is no link, blocks have no headings, repeated ones are numbered."""
    page = tmp_path / "page.md"
    page.write_text(
        "# A *B* (c), ± d\n[one](x.md#y) `[no](z)` ![p](<i.png>)\n```sh\n# not a heading\n```\n"
        "## Same\n## Same\n"
    )

    assert links(page) == ["x.md#y", "i.png"]
    assert anchors(page) == {"a-b-c--d", "same", "same-1"}
    assert [block.text for block in pages_of.blocks(page)] == ["# not a heading\n"]
