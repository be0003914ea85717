"""Functions that pages name as `file.py::name` are there, and every paper's equation is named."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, code_spans, pages

METHODS = ROOT / "docs" / "methods"
EQUATIONS = {
    "gravimetry.md": {1, 2},
    "combination.md": {3, 4, 5, 6},
    "mass_budget.md": set(range(1, 11)),
    "scenes_and_restoration.md": set(range(1, 10)),
    "shelf_damage.md": {14, 15},
    "consistency.md": {10, 11, 12, 13},
}
"""Numbered equations of the papers, by page: 6, 10 and 15 in all."""
_NAMED = re.compile(r"^([\w/]+\.py)::([\w.]+)$")


@cache
def defined(path: Path) -> frozenset[str]:
    """Names that a module defines at its top, and the methods of its classes."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{each.name}" for each in node.body if hasattr(each, "name")}
        if isinstance(node, ast.Assign):
            found |= {each.id for each in node.targets if isinstance(each, ast.Name)}
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return frozenset(found)


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_function_that_a_page_names_exists(page: Path) -> None:
    named = [found for span in code_spans(page) if (found := _NAMED.match(span))]

    missing = [
        found[0]
        for found in named
        if not (ROOT / found[1]).is_file() or found[2] not in defined(ROOT / found[1])
    ]

    assert not missing


@pytest.mark.parametrize("page", sorted(METHODS.glob("[a-z]*.md")), ids=lambda page: page.name)
def test_every_row_of_a_table_of_equations_names_its_function(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("|") and not line.endswith("| where |")]

    assert len(rows) > 5
    assert not [row for row in rows if "::" not in row and row.strip("|-")]


@pytest.mark.parametrize(("name", "numbers"), EQUATIONS.items())
def test_every_numbered_equation_has_a_row(name: str, numbers: set[int]) -> None:
    text = (METHODS / name).read_text(encoding="utf-8")
    first = [line.split("|")[1] for line in text.splitlines() if line.startswith("|")]

    found: set[int] = set()
    for cell in first:
        found |= {int(number) for number in re.findall(r"\((\d+)\)", cell)}
        for low, high in re.findall(r"\((\d+)\) to \((\d+)\)", cell):
            found |= set(range(int(low), int(high) + 1))

    assert numbers <= found
