"""What to know before a number is used: what failed, lacks, does not fit together, or was noted.

Problems are results that are not whole; cautions are what limits the numbers that are there; notes
are what runs themselves wrote down.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cluster.redaction import redact
from pipelines.report import methods, totals
from pipelines.report.comparing import fine, pair_name
from pipelines.report.lineage import run_of
from pipelines.report.material import KINDS, is_synthetic, notes_of
from pipelines.report.reached import Reached
from pipelines.report.rounding import SIGNIFICANT, counted, rounded
from pipelines.summary_page import Link, Notice, Sentence
from pipelines.tables import summer_name

if TYPE_CHECKING:
    from pipelines.report.material import Material
    from pipelines.report.outputs import Output
    from pipelines.report.sheets import Cited
    from pipelines.tables import Row

MINUS = "\N{MINUS SIGN}"

PROBLEM, CAUTION, NOTE = "problem", "caution", "note"
LEVELS = (PROBLEM, CAUTION, NOTE)

MOST_REASONS = 5
"""Different reasons of failed keys that are told of each product."""
LONGEST_REASON = 300
LEAST_COVERED = 0.9
"""Part of a shelf that a map should know."""
LARGEST_GAP = 0.05
"""Part of a region's flux at its gate that may lack a velocity."""
MOST_FILLED = 0.5
"""Part of a region whose elevation rates may be filled in."""
LEAST_AGREEMENT = 0.756
"""Least rank correlation of summers that follow in Tang et al. (2026), once the ice has moved."""
MOST_NAMED = 6
"""Names that a warning lists."""


def cautions(of: Material, reached: Mapping[str, Sequence[Reached]]) -> list[Notice]:
    """Return everything to know, the worst first.

    Parameters
    ----------
    of : Material
    reached : mapping of str to sequence of Reached
        Which inputs of each output can be read from here, by its name.
    """
    found = [
        *_synthetic(of), *_failed(of), *_other_versions(of), *_unlike(of), *_misclosures(of),
        *_unseen(of), *_not_compared(of),
        *_months(of), *_missing(of), *_coverage(of), *_filled(of), *_damage(of),
        *_agreement(of), *_unreached(of, reached), *_left_out(of), *_notes(of),
    ]  # fmt: skip
    return sorted(found, key=lambda notice: LEVELS.index(notice.level))


def _unseen(of: Material) -> Iterator[Notice]:
    """Yield how much of a rate its method did not see, but took from another."""
    for each in methods.compared(of):
        share = _number(each.row.told.get("unseen", "0"))
        if each.region == "AIS" and math.inf > abs(share) > each.row.uncertainty:
            whole, part = (f"{value:+.0f}".replace("-", MINUS) for value in (each.row.value, share))
            rate = Link(f"{whole} Gt/yr", each.cited.href)
            yield _said(CAUTION, f"{each.method} did not see {part} of its ", rate,
                        " of AIS: altimetry tells that part, its errors are shared.")  # fmt: skip


def _not_compared(of: Material) -> Iterator[Notice]:
    """Yield the methods that cover too little of a comparison's period, and where."""
    found: dict[str, list[Row]] = {}
    for each in methods.not_compared(of):
        name = methods.words(each.row.told.get("method", "unnamed"))
        found.setdefault(name, []).append(each.row)
    own = {methods.days_of(output) for output in of.of("comparison")}
    for name, rows in found.items():
        regions = totals.ordered(row.region for row in rows)
        where = f"{counted(len(regions), 'region')} ({_named(regions)})"
        days = sorted({(row.period_start, row.period_end) for row in rows} - own)
        dates = "; its rates there are of " if days else ""
        dates += _named((f"{first} to {last}" for first, last in days), most=2)
        yield _said(CAUTION, f"{name} covers too little of the period to be compared in "
                    f"{where}{_covered(rows)}{dates}.")  # fmt: skip


def _covered(rows: Sequence[Row]) -> str:
    """Return how much of a period rates cover, from the least to the most."""
    told = [_number(row.told.get("covered")) for row in rows]
    known = sorted({f"{100.0 * part:.1f}" for part in told if math.isfinite(part)}, key=float)
    if not known:
        return ""
    parts = known[0] if len(known) == 1 else f"{known[0]} to {known[-1]}"
    return f": {parts}% of it"


def _synthetic(of: Material) -> Iterator[Notice]:
    if is_synthetic(of.outputs):
        yield _said(CAUTION, "These products were made from the demo's synthetic observations: "
                    "they tell nothing of the real Antarctica.")  # fmt: skip


def _said(level: str, *parts: str | Link) -> Notice:
    return Notice(level, Sentence(parts))


def receipts(output: Output) -> list[dict[str, Any]]:
    """Return what became of each key of a product; empty where its file is not there.

    Of keys that are done and have no note, which are the most, the state alone is kept.
    """
    from cluster.object_store import MissingObjectError

    try:
        lines = io.BytesIO(output.read("receipts.jsonl"))
    except MissingObjectError:
        return []
    found = []
    for line in lines:
        try:
            receipt = json.loads(line.decode(errors="replace"))
        except ValueError:
            continue
        if isinstance(receipt, dict):
            plain = receipt.get("state") == "done" and not receipt.get("note")
            found.append(_DONE if plain else receipt)
    return found


_DONE = {"state": "done"}


def _failed(of: Material) -> Iterator[Notice]:
    """Yield the failed keys of each product with their reasons, alike ones together."""
    for output in of.outputs:
        held = receipts(output)
        reasons = Counter(
            redact(str(each.get("reason", "")))[:LONGEST_REASON]
            for each in held if each.get("state") == "failed"
        )  # fmt: skip
        total = reasons.total()
        for reason, count in reasons.most_common(MOST_REASONS):
            keys = counted(count, "key")
            yield _said(PROBLEM, f"{of.label(output)}: {keys} of {len(held):,} failed: {reason}")
        more = total - sum(count for _, count in reasons.most_common(MOST_REASONS))
        if more:
            keys = counted(more, "more key")
            yield _said(PROBLEM, f"{of.label(output)}: {keys} failed for other reasons")


def _other_versions(of: Material) -> Iterator[Notice]:
    """Yield products that were made from another version of one that is beside them here."""
    here = {output.product: output.item.get("id") for output in of.outputs}
    snapshots = {
        output.item.get("id"): output.item["properties"].get("nunatak:snapshot")
        for output in of.outputs
    }
    for output in of.outputs:
        used = of.groups.of(output).attrs.get("nunatak:inputs")
        for key, version in used.items() if isinstance(used, dict) else ():
            kind = next((p for p in here if f"/{p}-" in str(key)), None)
            if kind is None or len(of.of(kind)) > 1:
                continue
            name = str(key).partition("/")[2]
            same_run = name.startswith(str(here[kind]))
            if not same_run or version != snapshots.get(here[kind]):
                told = f"{of.label(output)} was made from another version of {kind} than is here"
                yield _said(CAUTION, f"{told}; run it again to bring them together.")


def _unlike(of: Material) -> Iterator[Notice]:
    """Yield periods and region sets that differ between products that tell a mass balance."""
    shown = [output for output in of.outputs if output.product in KINDS]
    rates = methods.rates(of)
    days = {
        label: next((each.period for each in rates if each.method == label), None)
        for label in (of.label(output) for output in shown)
    }
    periods = {label: each for label, each in days.items() if each is not None}
    if len(set(periods.values())) > 1:
        told = "; ".join(f"{label} {first} to {last}" for label, (first, last) in periods.items())
        end = "; the comparison brings them to one" if of.of("comparison") else ""
        yield _said(CAUTION, f"The products are of different periods: {told}{end}.")
    sets = {of.label(output): str(run_of(output).get("regions", "")) for output in shown}
    if len(set(sets.values())) > 1:
        told = "; ".join(f"{label} {name}" for label, name in sets.items())
        yield _said(CAUTION, f"The products are of different sets of regions: {told}; regions of "
                    "one name need not be one region.")  # fmt: skip


def _misclosures(of: Material) -> Iterator[Notice]:
    """Yield where methods disagree: the groups one by one, other regions together."""
    beyond = [
        (abs(methods.standardised(each.row)), each)
        for each in methods.differences(of)
        if abs(methods.standardised(each.row)) > SIGNIFICANT
    ]
    for z, each in beyond:
        if each.row.region in methods.GROUPS:
            yield _said(CAUTION, f"{each.row.region}: the methods disagree, {pair_name(each)} is ",
                        Link(f"{fine(each)} Gt/yr", each.href),
                        f", {rounded(z, 1)} standard deviations.")  # fmt: skip
    others = [each.row.region for _, each in beyond if each.row.region not in methods.GROUPS]
    if others:
        named = _named(totals.ordered(others), most=20)
        named_before = len(others) < len(beyond)
        more = counted(len(set(others)), "more region" if named_before else "region")
        yield _said(CAUTION, f"The methods disagree in {more}: {named}.")


def _months(of: Material) -> Iterator[Notice]:
    """Yield the months of its period that gravimetry does not have."""
    for output in of.of("gravimetry"):
        rows = [
            each.row for each in of.rows(output, "series") if each.row.quantity == "mass_anomaly"
        ]
        regions = list(dict.fromkeys(row.region for row in rows))
        if not regions:
            continue
        mine = [row for row in rows if row.region == regions[-1] and row.note != "buffered"]
        held = {_month(row.period_start + (row.period_end - row.period_start) / 2) for row in mine}
        first, last = methods.days_of(output)
        wanted = list(_calendar(first, last))
        lacking = [each for each in wanted if each not in held]
        if lacking:
            told = f"{of.label(output)}: {len(lacking)} of {len(wanted)} months lack"
            yield _said(CAUTION, f"{told}: {_named(lacking, most=12)}.")


def _month(day: dt.date) -> str:
    return f"{day:%Y-%m}"


def _calendar(first: dt.date, last: dt.date) -> Iterator[str]:
    day = first.replace(day=1)
    while day <= last:
        yield _month(day)
        day = (day + dt.timedelta(days=32)).replace(day=1)


def _named(names: Iterable[str], *, most: int = MOST_NAMED) -> str:
    """Return names with commas, and how many more there are.

    >>> _named(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    found = list(names)
    if len(found) <= most:
        return ", ".join(found)
    return f"{', '.join(found[:most])} and {len(found) - most} more"


def _missing(of: Material) -> Iterator[Notice]:
    """Yield numbers of a mass budget that are not known, and terms that it lacks."""
    for output in of.of("mass_budget"):
        rows = [each.row for each in of.rows(output, "regions")]
        reasons: dict[str, list[str]] = {}
        for row in rows:
            if "missing" in row.told and row.quantity == "mass_balance":
                reasons.setdefault(row.told["missing"], []).append(row.region)
        for reason, regions in reasons.items():
            named = _named(dict.fromkeys(regions))
            yield _said(PROBLEM, f"{of.label(output)}: no balance of {named}: {reason}.")
        absent = dict.fromkeys(row.told["without"] for row in rows if "without" in row.told)
        for terms in absent:
            told = terms.replace("_", " ")
            yield _said(CAUTION, f"{of.label(output)}: discharge is without {told}.")


def _coverage(of: Material) -> Iterator[Notice]:
    """Yield regions a part of whose gates no velocity map covers."""
    for output in of.of("mass_budget"):
        none = [
            each.row for each in of.rows(output, "coverage")
            if each.row.told.get("layer") == "none" and each.row.told.get("by") == "flux"
            and each.row.value > LARGEST_GAP
        ]  # fmt: skip
        if none:
            named = _named(dict.fromkeys(row.region for row in none))
            worst = max(row.value for row in none)
            cases = counted(len(none), "case")
            yield _said(CAUTION, f"{of.label(output)}: no velocity for more than "
                        f"{LARGEST_GAP:.0%} of the flux of {named} in {cases}, "
                        f"{worst:.0%} at the most.")  # fmt: skip


def _filled(of: Material) -> Iterator[Notice]:
    for output in of.of("altimetry"):
        rows = [each.row for each in of.rows(output, "regions")]
        high = [
            row for row in rows if row.quantity == "filled_fraction" and row.value > MOST_FILLED
        ]
        if high:
            named = _named(f"{row.region} ({row.value:.0%})" for row in high)
            yield _said(CAUTION, f"{of.label(output)}: elevation rates of more than "
                        f"{MOST_FILLED:.0%} of the area are filled in: {named}.")  # fmt: skip


def _damage(of: Material) -> Iterator[Notice]:
    """Yield summers without a map, and maps that know little of their shelf."""
    for output in of.of("shelf_damage"):
        lost: dict[str, list[str]] = {}
        for each in of.rows(output, "unpublished"):
            reason = each.row.note.partition(";")[2] or "no reason told"
            lost.setdefault(reason, []).append(f"{each.row.region} {_summer(each)}")
        for reason, summers in lost.items():
            named = _named(dict.fromkeys(summers))
            yield _said(PROBLEM, f"{of.label(output)}: no map of {named}: {reason}.")
        low = [each for each in of.rows(output, "shelves")
               if each.row.quantity == "damage_fraction"
               and _number(each.row.told.get("covered")) < LEAST_COVERED]  # fmt: skip
        if low:
            named = _named(f"{each.row.region} {_summer(each)} ({each.row.told['covered']})"
                           for each in low)  # fmt: skip
            yield _said(CAUTION, f"{of.label(output)}: maps know less than {LEAST_COVERED:.0%} of "
                        f"the shelf: {named}.")  # fmt: skip


def _summer(of: Cited) -> str:
    told = of.row.told.get("summer", "")
    return summer_name(int(told)) if told.isdecimal() else of.row.period_start.isoformat()


def _number(told: str | None) -> float:
    try:
        return math.inf if told is None else float(told)
    except ValueError:
        return math.inf


def _agreement(of: Material) -> Iterator[Notice]:
    """Yield shelves whose maps of summers that follow agree less than published ones do."""
    for output in of.of("consistency"):
        held = {
            (each.row.region, each.row.told.get("advection")): each
            for each in of.rows(output, "consistency")
            if each.row.quantity == "spearman" and "median" in each.row.told
        }  # fmt: skip
        for (region, way), each in held.items():
            if way == "yes" and each.row.value < LEAST_AGREEMENT:
                yield _said(CAUTION, f"{region}: maps of summers that follow agree with a rank "
                            "correlation of ", Link(rounded(each.row.value, 3), each.href),
                            f" only, less than {LEAST_AGREEMENT}, the least of Tang et al. "
                            "(2026).")  # fmt: skip
            before = held.get((region, "no"))
            if way == "yes" and before is not None and each.row.value < before.row.value:
                yield _said(CAUTION, f"{region}: maps agree less once the ice has moved than "
                            "before: the velocity may not be that of these years.")  # fmt: skip
        why = Counter(each.row.told["reason"] for each in of.rows(output, "consistency")
                      if "reason" in each.row.told)  # fmt: skip
        for reason, count in why.items():
            told = reason.replace("_", " ")
            yield _said(CAUTION, f"{of.label(output)}: {count} numbers are not known: {told}.")


def _unreached(of: Material, reached: Mapping[str, Sequence[Reached]]) -> Iterator[Notice]:
    """Yield the collections whose first input is gone: of the others nothing is known."""
    for output in of.outputs:
        gone = [each for each in reached.get(output.name, []) if each.state == "gone"]
        if gone:
            named = _named(f"{each.collection} ({counted(each.items, 'input')})" for each in gone)
            yield _said(CAUTION, f"{of.label(output)}: the first input of {named} cannot be read "
                        "from here any more; of each collection one is asked.")  # fmt: skip


def _left_out(of: Material) -> Iterator[Notice]:
    for name in of.library.left_out:
        yield _said(CAUTION, f"A file is not shown, its name is none of a table: {name}")


def _notes(of: Material) -> Iterator[Notice]:
    """Yield what runs told before they began, and noted of their keys, alike ones once."""
    for output in of.outputs:
        for note in notes_of(output):
            yield _said(NOTE, f"{of.label(output)}, its plan: {redact(note)[:LONGEST_REASON]}")
        found = Counter(redact(str(each["note"]))[:LONGEST_REASON]
                        for each in receipts(output) if each.get("note"))  # fmt: skip
        for note, count in found.most_common():
            times = f" ({count} times)" if count > 1 else ""
            yield _said(NOTE, f"{of.label(output)}: {note}{times}")


def told(found: Sequence[Notice]) -> dict[str, int]:
    """Return how many there are of each level."""
    return {level: sum(each.level == level for each in found) for level in LEVELS}
