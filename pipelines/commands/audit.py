"""``nunatak audit``: whether what a table prints follows from what else it prints."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.commands import columns
from pipelines.commands.answers import Answer, common_options

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pipelines.imbie_check import Fault
    from pipelines.kernels.budget.audit_findings import Finding
    from pipelines.kernels.budget.printed_numbers import Column
    from pipelines.kernels.budget.table_audit import Audit

HEADER = ("table", "check", "column", "region", "printed", "expected", "rounding", "state", "cause")
NUMBERS = ("printed", "expected")
FAULTS = ("file", "line", "column", "found", "expected")


class AuditError(ValueError):
    """A file that cannot be audited."""


@click.command("audit")
@click.argument("tables", metavar="TABLE.csv...", nargs=-1, required=True)
@click.option("--all", "everything", is_flag=True, help="List what holds, too.")
@click.option("--dialect", metavar="NAME", help="imbie-3, imbie-2023 or imbie-2024; else guessed.")
@common_options
def audit_command(
    tables: tuple[str, ...],
    everything: bool,  # noqa: FBT001 - click passes options by name
    dialect: str | None,
) -> Answer:
    """Check the arithmetic of published tables by basin, and the form of IMBIE files.

    Tables given together are taken for one estimate and compared with each other. What does not
    hold is the answer, not an error: the exit status is 0.
    """
    printed: list[Column] = []
    faults: dict[str, list[Fault]] = {}
    for path in tables:
        name = _name(path, tables)
        read = _read(Path(path), name=name, dialect=dialect)
        if isinstance(read, tuple):
            faults[name] = list(read)
        else:
            printed += read
    facts: dict[str, Any] = {"tables": list(tables)}
    if faults:
        facts |= _tell_faults(faults)
    if printed:
        from pipelines.kernels.budget import table_audit

        facts |= _tell(table_audit.audit(printed), everything=everything)
    return Answer(facts=facts)


def _name(path: str, tables: Sequence[str]) -> str:
    """Return what to call a table: its file, with the folder only where two are called alike."""
    stem = Path(path).stem
    alike = sum(Path(other).stem == stem for other in tables) > 1
    return path if alike else stem


def _read(path: Path, *, name: str, dialect: str | None) -> list[Column] | tuple[Fault, ...]:
    """Return the columns of a table, or the faults of an IMBIE file."""
    from pipelines import imbie_check, imbie_names, published_tables

    try:
        data = path.read_bytes()
    except OSError as error:
        msg = f"{path}: {error.strerror}; expected a table in CSV"
        raise AuditError(msg) from error
    header, _ = published_tables.header_and_lines(data, name=str(path))
    if not imbie_check.is_imbie(header):
        return published_tables.read(data, name=name)
    chosen = imbie_names.dialect_of(dialect) if dialect else imbie_check.guess_dialect(header)
    return tuple(imbie_check.check(data, chosen))


def _tell_faults(faults: dict[str, list[Fault]]) -> dict[str, Any]:
    rows = [
        (name, str(each.line or ""), each.column, each.found, each.expected)
        for name, found in faults.items()
        for each in found
    ]
    if rows:
        columns.show(FAULTS, rows, numbers=("line",))
    for name, found in faults.items():
        click.echo(f"{name}: an IMBIE file, {len(found) or 'no'} fault{'s' * (len(found) != 1)}")
    return {"imbie": {name: [asdict(each) for each in found] for name, found in faults.items()}}


def _tell(found: Audit, *, everything: bool) -> dict[str, Any]:
    shown = [each for each in found.findings if everything or each.state != "holds"]
    if shown:
        columns.show(HEADER, [_row(each) for each in shown], numbers=NUMBERS)
        click.echo("")
    for rule in found.rules:
        click.echo(rule)
    counts = Counter(each.state for each in found.findings)
    click.echo(_counted(found.findings))
    click.echo(
        f"{len(found.findings)} checks: {counts['holds']} hold, {counts['doubtful']} doubtful, "
        f"{counts['fails']} fail"
    )
    return {
        "counts": {state: counts[state] for state in ("holds", "doubtful", "fails")},
        "rules": list(found.rules),
        "findings": [asdict(each) for each in found.findings],
    }


def _row(each: Finding) -> tuple[str, ...]:
    rounding = f"{each.low:.1f} … {each.high:.1f}"
    numbers = (f"{each.printed:g}", f"{each.expected:.1f}", rounding)
    return each.table, each.check, each.column, each.region, *numbers, each.state, each.cause


def _counted(findings: Iterable[Finding]) -> str:
    """Say of each check how many hold."""
    all_of: Counter[str] = Counter()
    held: Counter[str] = Counter()
    for each in findings:
        all_of[each.check] += 1
        held[each.check] += each.state == "holds"
    return "; ".join(f"{check} {held[check]}/{number}" for check, number in all_of.items())
