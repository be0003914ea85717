"""Each row of the table of features names what shows it."""

import re

import pytest

from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "features.md"
_FILE = re.compile(r"`([\w/.]+\.py)`")
_LINK = re.compile(r"\]\(([^)#]+)")


def rows() -> list[str]:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return [
        line for line in lines if line.startswith("|") and not re.search(r"^\|-|shown by \|$", line)
    ]


@pytest.mark.parametrize("row", rows())
def test_a_row_is_shown_by_something_that_exists(row: str) -> None:
    last = row.strip("|").split("|")[-1]

    files = [ROOT / name for name in _FILE.findall(last)]
    files += [PAGE.parent / name for name in _LINK.findall(last)]

    assert files
    assert all(path.is_file() for path in files)


@pytest.mark.parametrize("row", rows())
def test_what_is_not_there_is_shown_by_its_limit_or_its_measure(row: str) -> None:
    """A feature that we lack never points at a test of ours as if it had one."""
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    if cells[3] == "○":
        assert "limits.md" in cells[4]
