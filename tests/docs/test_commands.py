"""Every `nunatak` command that a page shows exists, with these options, kinds and products."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from pipelines.cli import main
from pipelines.settings import PRODUCTS
from stac.ingest import KINDS
from tests.docs.pages import ROOT, blocks, code_spans, pages

SHELLS = {"sh", "bash", "console", "text", ""}
"""Languages of blocks that may hold commands."""
_COMMAND = re.compile(r"(?:^|&&|;|\||\$\()\s*(?:\w+=\S*\s+)*nunatak\s+([^#;|&>)]*)")
_PLACEHOLDER = re.compile(r"^[A-Z_./\d-]+$|^\.\.\.$|…|\*$")


def shown(page: Path) -> Iterator[str]:
    """The arguments of each command, with continued lines joined."""
    for block in blocks(page):
        if block.language in SHELLS:
            for line in re.sub(r"\\\n\s*", " ", block.text).splitlines():
                yield from _COMMAND.findall(line.removeprefix("$ "))
    for span in code_spans(page):
        if span.startswith("nunatak "):
            yield from _COMMAND.findall(span.replace("\\|", "/"))


def mistakes(arguments: str) -> list[str]:
    """What is wrong with one command; brackets of what is optional, and names in capitals, are."""
    plain = re.sub(r"\[([^\]]*)\](?!['\"])", r"\1", arguments).replace("...", " ")
    words = shlex.split(plain, comments=True)
    if not words or not re.fullmatch(r"[a-z][a-z-]*", words[0]):
        return []
    command = main.commands.get(words[0])
    if command is None:
        return [f"no command {words[0]!r}"]
    options = {name: option for option in command.params for name in option.opts}
    wrong = [
        f"{words[0]} has no option {word}"
        for word in (each.split("=")[0].split("/")[0] for each in words[1:])
        if word.startswith("--") and word not in options and word != "--help"
    ]
    return wrong + _wrong_names(words, command)


def _wrong_names(words: list[str], command: click.Command) -> list[str]:
    if command.name == "ingest" and len(words) > 1 and not _PLACEHOLDER.search(words[1]):
        return [] if words[1] in KINDS else [f"no kind {words[1]!r}"]
    if "--example" in words and len(words) > (at := words.index("--example") + 1):
        name = words[at]
        known = name in PRODUCTS or _PLACEHOLDER.search(name)
        return [] if known else [f"no product {name!r}"]
    return []


# History names what was: the changelog may speak of commands that are gone.
NOW = [page for page in pages() if page.name != "CHANGELOG.md"]


@pytest.mark.parametrize("page", NOW, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_can_be_typed(page: Path) -> None:
    found = {arguments: mistakes(arguments) for arguments in shown(page)}

    assert not {arguments: wrong for arguments, wrong in found.items() if wrong}


def test_the_tutorial_and_the_how_tos_show_commands() -> None:
    for page in [ROOT / "docs/tutorial.md", *(ROOT / "docs/howto").glob("[a-z]*.md")]:
        assert any(shown(page)), page


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        ("run a.yaml --fresh", []),
        ("run RUN.yaml [--scheduler ADDRESS] [--set KEY=VALUE ...]", []),
        ("run a.yaml --frsh", ["run has no option --frsh"]),
        ("ingest velocities x.nc --catalogue c --collection d", ["no kind 'velocities'"]),
        ("ingest KIND SOURCE... --catalogue URL --collection NAME", []),
        ("plan --example gravimetri", ["no product 'gravimetri'"]),
        ("make", ["no command 'make'"]),
    ],
)
def test_mistakes_are_found(arguments: str, wrong: list[str]) -> None:
    assert mistakes(arguments) == wrong
