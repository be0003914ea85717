"""The pages of the repository: their links, headings, blocks of code and names of files."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_NOT_OURS = {".venv", "node_modules", "nunatak-demo", "build", "dist"}
_FENCE = re.compile(r"^\s*(```+|~~~+)\s*(\S*)")
_LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
_CODE = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text and the line that it begins on."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Every page of the repository, without what tools put beside it."""
    return sorted(
        path
        for path in ROOT.rglob("*.md")
        if not any(
            part in _NOT_OURS or part.startswith(".") for part in path.relative_to(ROOT).parts
        )
    )


def blocks(page: Path) -> Iterator[Block]:
    inside: tuple[str, str, int, list[str]] | None = None
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        fence = _FENCE.match(line)
        if inside and fence and line.strip().startswith(inside[0]) and not fence[2]:
            yield Block(page, inside[2], inside[1], "\n".join(inside[3]) + "\n")
            inside = None
        elif inside:
            inside[3].append(line)
        elif fence:
            inside = fence[1], fence[2], number, []


def prose(page: Path) -> str:
    """The text outside of fenced blocks, line by line as it stands."""
    lines, fence = [], ""
    for line in page.read_text(encoding="utf-8").splitlines():
        found = _FENCE.match(line)
        if fence and found and line.strip().startswith(fence):
            fence = ""
        elif found and not fence:
            fence = found[1]
        elif not fence:
            lines.append(line)
    return "\n".join(lines)


def links(page: Path) -> list[str]:
    return _LINK.findall(_CODE.sub("", prose(page)))


def code_spans(page: Path) -> list[str]:
    return _CODE.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """The anchors of headings as GitHub and GitLab make them; a repeated one has a number."""
    found: dict[str, int] = {}
    made = set()
    for line in prose(page).splitlines():
        heading = re.match(r"#{1,6}\s+(.*?)\s*#*$", line)
        if heading:
            slug = _slug(heading[1])
            count = found.get(slug, 0)
            found[slug] = count + 1
            made.add(f"{slug}-{count}" if count else slug)
    return made


def _slug(heading: str) -> str:
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    kept = (
        letter
        for letter in plain
        if letter in " -_" or unicodedata.category(letter)[0] in {"L", "N", "M"}
    )
    return "".join(kept).replace(" ", "-")
