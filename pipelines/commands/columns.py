"""Tables that people read: drawn on a terminal, plain aligned text in files and pipes."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence

import click


def show(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Collection[str] = ()
) -> None:
    """Print a table on standard output.

    Parameters
    ----------
    header : sequence of str
        Names of the columns.
    rows : sequence of sequence of str
        Cells, a row each.
    numbers : collection of str
        Columns that are aligned on the right.
    """
    if sys.stdout.isatty():
        _draw(header, rows, numbers)
    else:
        click.echo("\n".join(aligned(header, rows, numbers=numbers)))


def aligned(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Collection[str] = ()
) -> list[str]:
    """Return a table as lines of plain text, the names of the columns first.

    Examples
    --------
    >>> aligned(["region", "rate"], [["AIS", "-72.6"], ["22", "4.0"]], numbers=["rate"])
    ['region   rate', 'AIS     -72.6', '22        4.0']
    """
    lines = [header, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return ["  ".join(_cells(line, header, widths, numbers)).rstrip() for line in lines]


def _cells(
    line: Sequence[str], header: Sequence[str], widths: Sequence[int], numbers: Collection[str]
) -> list[str]:
    return [
        cell.rjust(width) if name in numbers else cell.ljust(width)
        for cell, name, width in zip(line, header, widths, strict=True)
    ]


def _draw(header: Sequence[str], rows: Sequence[Sequence[str]], numbers: Collection[str]) -> None:
    """Draw with rich; cells are text, never markup, and long ones are folded, never cut."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    for name in header:
        table.add_column(
            Text(name), justify="right" if name in numbers else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)
