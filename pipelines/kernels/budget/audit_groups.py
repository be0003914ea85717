"""Whether groups of regions are the sums of their members, and their uncertainties the quadrature.

Membership is that of the 27 basins of Zwally et al. (2012), see :mod:`.balance`; it is used only
where a table prints every member.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from pipelines.kernels.budget import balance
from pipelines.kernels.budget.audit_findings import Finding, judged
from pipelines.kernels.budget.printed_numbers import (
    Column,
    Interval,
    Printed,
    can_be,
    combined,
    quadrature,
)

ALIASES: Mapping[str, str] = {
    "TOTAL": "AIS", "ANTARCTICA": "AIS", "ALL": "AIS", "APIS": "AP", "PENINSULA": "AP",
}  # fmt: skip
"""Other names of groups, in capitals."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    **{name: tuple(map(str, ids)) for name, ids in {**balance.SHEETS, **balance.SECTORS}.items()},
    balance.ALL: tuple(str(number) for ids in balance.SHEETS.values() for number in ids),
}
"""Basins of each ice sheet, sector of the sea, and of all."""

AREA = "area"


def canonical(region: str) -> str:
    """Return the name of a region by which groups are known.

    Examples
    --------
    >>> [canonical(name) for name in (" Total", "APIS", "22", "B7")]
    ['AIS', 'AP', '22', '7']
    """
    cell = region.strip()
    number = cell[1:] if cell[:1] in "Bb" and cell[1:].isdigit() else cell
    if number.isdigit():
        return str(int(number))
    return ALIASES.get(cell.upper(), cell.upper() if cell.upper() in GROUPS else cell)


def parts(printed: Mapping[str, Printed]) -> dict[str, tuple[str, ...]]:
    """Return the groups of a column with all their members printed."""
    return {
        name: members
        for name, members in GROUPS.items()
        if name in printed and printed.keys() >= set(members)
    }


def sums(column: Column) -> Iterator[Finding]:
    """Yield whether groups are sums of basins, and the whole of its ice sheets."""
    for check, group, members in _splits(column.values):
        expected = combined([(1.0, column.values[each]) for each in members])
        finding = judged(check, column, group, column.values[group], expected)
        yield replace(finding, cause=_why_sum(finding, column))


def _splits(printed: Mapping[str, Printed]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    for group, members in parts(printed).items():
        yield "sum", group, members
    if printed.keys() >= {balance.ALL, *balance.SHEETS}:
        yield "total", balance.ALL, tuple(balance.SHEETS)


def _why_sum(finding: Finding, column: Column) -> str:
    if finding.state == "holds":
        return ""
    off = finding.printed - finding.expected
    if finding.check == "sum" and finding.region == balance.ALL:
        sheets = [column.values[name] for name in balance.SHEETS if name in column.values]
        if len(sheets) == 3 and can_be(
            column.values[balance.ALL], combined([(1.0, s) for s in sheets])
        ):
            return f"off by {off:+.3g}: follows the printed ice sheets, not the basins"
    return f"off by {off:+.3g}: members changed after they were summed, or a misprint"


def sigmas(columns: Sequence[Column]) -> Iterator[Finding]:
    """Yield whether uncertainties of groups follow from those of members.

    Independent members add in quadrature, members that err alike add as they are. A collection of
    tables in which most groups follow the quadrature is held to it, exchanged groups apart. In
    any other members are correlated: shared errors may add or cancel, but a group's uncertainty
    is never above the linear sum.
    """
    cases = [
        (column, check, group, quadrature([column.sigmas[each] for each in members]), members)
        for column in columns
        for check, group, members in _splits(column.sigmas)
        if column.quantity.lower() != AREA
    ]
    exchanged = {(column.table, column.name): swapped(column) for column in columns}
    follow = sum(
        can_be(column.sigmas[group], expected) or group in exchanged[column.table, column.name]
        for column, _, group, expected, _ in cases
    )
    independent = 2 * follow > len(cases)
    for column, check, group, expected, members in cases:
        at_most = combined([(1.0, column.sigmas[each]) for each in members])
        allowed = expected
        if not independent:
            allowed = Interval(expected.centre, 0.0, at_most.high, expected.spread)
        yield _judged_sigma(
            column, check, group, allowed, at_most, other=exchanged[column.table, column.name]
        )


def _judged_sigma(
    column: Column,
    check: str,
    group: str,
    expected: Interval,
    at_most: Interval,
    *,
    other: Mapping[str, str],
) -> Finding:
    """Compare one uncertainty, and say what it would be instead."""
    kind = "sigma" if check == "sum" else "sigma of total"
    printed = column.sigmas[group]
    finding = judged(kind, column, group, printed, expected, strict=False)
    if check == "sum" and group in other:
        cause = f"exchanged with {other[group]}, whose members give {printed.value:g}"
        return replace(finding, state="fails", cause=cause)
    if finding.state == "holds":
        return finding
    if can_be(printed, at_most):
        return replace(finding, cause="the linear sum of members, while others are quadratures")
    return replace(finding, cause="neither quadrature nor linear sum of members, nor of a group")


def swapped(column: Column) -> dict[str, str]:
    """Return which groups carry each other's uncertainty, by what their members give.

    Two groups are exchanged if each printed number can be the quadrature of the other's members
    and not both can be that of their own.
    """
    given = {
        group: quadrature([column.sigmas[each] for each in members])
        for group, members in parts(column.sigmas).items()
    }
    found: dict[str, str] = {}
    for one, two in combinations(given, 2):
        first, second = column.sigmas[one], column.sigmas[two]
        own = can_be(first, given[one]) and can_be(second, given[two])
        if not own and can_be(first, given[two]) and can_be(second, given[one]):
            found |= {one: two, two: one}
    return found
