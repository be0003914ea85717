"""What the numbers of a report say, in plain words, each number with the row that it stands in.

Nothing is called a loss, a gain, a growth or a disagreement that is not beyond two standard
deviations; what is not is said to be so.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pipelines.kernels.comparison.attribution import BY_CHANCE
from pipelines.report import methods
from pipelines.report.material import KINDS
from pipelines.report.methods import Rate
from pipelines.report.rounding import SIGNIFICANT, counted, pair, rounded, verdict
from pipelines.report.sheets import Cited
from pipelines.summary_page import Link, Sentence
from pipelines.tables import Row, summer_name

Part = str | Link

NAMES = {
    "AIS": "the Antarctic ice sheet",
    "EAIS": "East Antarctica",
    "WAIS": "West Antarctica",
    "AP": "the Antarctic Peninsula",
}
BY = {"combination": "gravimetry and altimetry combined", "mass budget": "the mass budget"}
GT = "\N{NO-BREAK SPACE}Gt/yr"
MOST_SHELVES = 4
"""Shelves that have a sentence of their own."""
MOST_DISAGREEMENTS = 3
CHANCE = 0.05
"""Probability below which a correlation is not left to chance."""


@dataclass(frozen=True)
class Facts:
    """Numbers that a summary is made from.

    Attributes
    ----------
    rates : sequence of Rate
        Of groups of regions: those of a comparison if there is one.
    differences : sequence of Cited
    combined : sequence of Cited
        Combined estimates of a comparison.
    budget : sequence of Cited
        Surface mass balance, discharge and sea level of the whole ice sheet.
    shelves : sequence of (first, last, change)
        Damage fractions of shelves and how they changed.
    single : sequence of Cited
        Damage fractions of shelves that have one summer alone.
    causes, dynamics : sequence of Cited
        Evidence for causes of disagreement, and lagged correlations.
    synthetic : bool
        Whether the inputs are the demo's.
    apart : bool
        Whether a comparison has methods that could not be brought to its period.
    """

    rates: Sequence[Rate] = ()
    differences: Sequence[Cited] = ()
    combined: Sequence[Cited] = ()
    budget: Sequence[Cited] = ()
    shelves: Sequence[tuple[Cited, Cited, Cited]] = ()
    single: Sequence[Cited] = ()
    causes: Sequence[Cited] = ()
    dynamics: Sequence[Cited] = ()
    synthetic: bool = False
    apart: bool = False


def summary(facts: Facts) -> tuple[Sentence, ...]:
    """Return paragraphs: mass, damage, how to read both; none of what there is nothing of."""
    mass = [*_whole(facts), *_agreement(facts), *_combined(facts), *_groups(facts),
            *_budget(facts), *_cause(facts)]  # fmt: skip
    damage = [*_shelves(facts), *_dynamics(facts)]
    paragraphs = [_paragraph(each) for each in (mass, damage) if each]
    if not paragraphs:
        nothing = (
            "The methods of the comparison could not be brought to one period: nothing is compared."
            if facts.apart else "No product here tells a mass balance or damage of ice shelves."
        )  # fmt: skip
        return (Sentence((nothing,)),)
    if facts.synthetic:
        told = "These are numbers of the demo\N{RIGHT SINGLE QUOTATION MARK}s synthetic ice sheet, "
        paragraphs[0] = Sentence((f"{told}not of Antarctica. ", *paragraphs[0].parts))
    return (*paragraphs, Sentence((_reading(bool(mass)),)))


def _paragraph(sentences: Iterable[list[Part]]) -> Sentence:
    parts: list[Part] = []
    for each in sentences:
        parts += [*([" "] if parts else []), *each]
    return Sentence(tuple(parts))


def _reading(mass: bool) -> str:  # noqa: FBT001 - one caller, one line above
    told = (
        "After ± stands one standard deviation: where errors are as they are thought to be, the "
        "truth is nearer than that two times in three. A change is called one only beyond two of "
        "them. Each number leads to the row that it stands in."
    )
    unit = "A gigatonne (Gt) is the mass of a cubic kilometre of water; 362 of them raise the sea "
    return f"{told} {unit}by a millimetre." if mass else told


def number(
    of: Cited, *, scale: float = 1.0, unit: str = "", size: bool = False, signed: bool = False
) -> Link:
    """Return a row's number with its standard deviation and unit; ``size`` leaves out the sign."""
    value = scale * (abs(of.row.value) if size else of.row.value)
    shown = pair(value, scale * of.row.uncertainty, signed=signed)
    return Link(f"{_bracketed(shown, unit)}{unit}", of.href)


def _bracketed(shown: str, unit: str) -> str:
    return f"({shown})" if unit.endswith("%") and "±" in shown else shown


def listed(items: Sequence[list[Part]]) -> list[Part]:
    """Return items with commas, the last two joined by "and".

    >>> listed([["a"], ["b"], ["c"]])
    ['a', ', ', 'b', ' and ', 'c']
    """
    parts: list[Part] = []
    for n, item in enumerate(items):
        between = "" if n == 0 else " and " if n == len(items) - 1 else ", "
        parts += [*([between] if between else []), *item]
    return parts


def month(day: dt.date) -> str:
    """Return a month in words.

    >>> month(dt.date(2011, 2, 1))
    'February 2011'
    """
    return f"{_MONTHS[day.month - 1]} {day.year}"


_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September",
           "October", "November", "December")  # fmt: skip


def period(days: tuple[dt.date, dt.date]) -> str:
    """Return a period in words."""
    first, last = (month(day) for day in days)
    return first if first == last else f"{first} to {last}"


def by(rate: Rate, usual: tuple[dt.date, dt.date]) -> str:
    """Return the method of a rate, and its period if that is not the ``usual`` one."""
    name = BY.get(rate.method, rate.method)
    same = (month(rate.period[0]), month(rate.period[1])) == (month(usual[0]), month(usual[1]))
    return f"by {name}" if same else f"by {name} ({period(rate.period)})"


def _whole(facts: Facts) -> Iterator[list[Part]]:
    """Yield what every method says of the largest group that has numbers."""
    region = _largest(facts)
    here = [each for each in facts.rates if each.region == region]
    if here:
        usual = here[0].period
        start: list[Part] = [f"From {period(usual)}, {NAMES[region]} "]
        yield [*start, *_verdicts(here, usual), "."]


def _largest(facts: Facts) -> str:
    """Return the largest group that has numbers; the whole if none has."""
    held = {each.region for each in facts.rates}
    return next((region for region in methods.GROUPS if region in held), methods.GROUPS[0])


def _verdicts(rates: Sequence[Rate], usual: tuple[dt.date, dt.date]) -> list[Part]:
    """Return what methods say of one region, those of one mind together."""
    clauses: list[list[Part]] = []
    for kind, verb in (("loss", "lost "), ("gain", "gained ")):
        mine = [each for each in rates if _verdict(each.row) == kind]
        told: list[list[Part]] = [
            [number(each.cited, unit=GT if n == 0 else "", size=True), f" {by(each, usual)}"]
            for n, each in enumerate(mine)
        ]
        if told:
            clauses.append([verb, *listed(told)])
    for kind, said in (
        ("unclear", "shows no sure change "),
        ("unstated", "has a change whose uncertainty is not told "),
    ):
        mine = [each for each in rates if _verdict(each.row) == kind]
        told = [[f"{by(each, usual)} (", number(each.cited, unit=GT), ")"] for each in mine]
        if told:
            clauses.append([said, *listed(told)])
    parts = list(clauses[0])
    for clause in clauses[1:]:
        parts += ["; it ", *clause]
    return parts


def _verdict(row: Row) -> str:
    return verdict(row.value, row.uncertainty)


def _agreement(facts: Facts) -> Iterator[list[Part]]:
    """Yield whether the methods agree on the largest group, or else on each that has two."""
    whole = _largest(facts)
    said = _agreement_on(whole, facts.differences)
    parts = [] if said else [
        _agreement_on(region, facts.differences) for region in methods.GROUPS if region != whole
    ]  # fmt: skip
    yield from (each for each in (said, *parts) if each)


def _agreement_on(region: str, differences: Sequence[Cited]) -> list[Part]:
    """Return whether the methods agree on a group; nothing where no difference is known."""
    mine = [each for each in differences if each.row.region == region]
    # A combination holds the two it is made of: how others differ says more.
    apart = [each for each in mine if KINDS["combination"] not in methods.between(each.row)]
    here = [(abs(methods.standardised(each.row)), each) for each in apart or mine]
    known = sorted((pair for pair in here if math.isfinite(pair[0])), key=lambda pair: -pair[0])
    if not known:
        return []
    beyond = [each for z, each in known if z > SIGNIFICANT]
    if beyond:
        return _apart(NAMES[region], beyond)
    largest = known[0][1]
    which = "" if len(known) == 1 else "the largest difference, "
    less = _less(largest.row) if len(known) == 1 else f"{_less(largest.row)},"
    said = f"For {NAMES[region]} the methods agree within their uncertainties; {which}{less} is "
    z = rounded(known[0][0], 1)
    return [said, number(largest, unit=GT, signed=True), f", {z} standard deviations."]


def _apart(where: str, apart: Sequence[Cited]) -> list[Part]:
    told: list[list[Part]] = []
    for each in apart[:MOST_DISAGREEMENTS]:
        z = rounded(abs(methods.standardised(each.row)), 1)
        found = number(each, unit=GT, signed=True)
        told.append([f"{_less(each.row)} is ", found, f", {z} standard deviations"])
    more = len(apart) - len(told)
    verb = "is" if more == 1 else "are"
    end = f"; {counted(more, 'more difference')} {verb} beyond two" if more > 0 else ""
    return [f"For {where} the methods disagree: ", *listed(told), f"{end}."]


def _less(row: Row) -> str:
    first, second = methods.between(row)
    return f"{BY.get(first, first)} less {BY.get(second, second)}"


def _combined(facts: Facts) -> Iterator[list[Part]]:
    for each in facts.combined:
        told = each.row.told.get("by", "")
        if each.row.region == "AIS" and told == "generalised_least_squares":
            yield ["Weighted by their errors and what these share, they give together ",
                   number(each, unit=GT, signed=True), "."]  # fmt: skip
            return


def _groups(facts: Facts) -> Iterator[list[Part]]:
    """Yield what one method says of the parts of the ice sheet: of all, the surest."""
    by_method: dict[str, list[Rate]] = {}
    for each in facts.rates:
        if each.region in methods.GROUPS[1:] and 0.0 < each.row.uncertainty < math.inf:
            by_method.setdefault(each.method, []).append(each)
    if not by_method:
        return
    most = max(len(found) for found in by_method.values())
    surest = min(
        (found for found in by_method.values() if len(found) == most),
        key=lambda found: sum(each.row.uncertainty**2 for each in found),
    )
    told: list[list[Part]] = [_group(each, n) for n, each in enumerate(surest)]
    yield [f"By {BY.get(surest[0].method, surest[0].method)}, ", *listed(told), "."]


def _group(rate: Rate, place: int) -> list[Part]:
    unit = GT if place == 0 else ""
    kind = _verdict(rate.row)
    if kind in {"loss", "gain"}:
        verb = "lost" if kind == "loss" else "gained"
        return [f"{NAMES[rate.region]} {verb} ", number(rate.cited, unit=unit, size=True)]
    return [f"{NAMES[rate.region]} shows no sure change (", number(rate.cited, unit=unit), ")"]


def _budget(facts: Facts) -> Iterator[list[Part]]:
    held = {each.row.quantity: each for each in facts.budget if math.isfinite(each.row.value)}
    snow, out = held.get("surface_mass_balance"), held.get("discharge")
    if snow is not None and out is not None:
        days = period((out.row.period_start, out.row.period_end))
        yield [f"From {days}, snow brought ", number(snow, unit=GT),
               ", less what melted and blew away, and ", number(out, unit=GT),
               " of ice flowed over the grounding line."]  # fmt: skip
    sea = held.get("sea_level_rate")
    if sea is not None and verdict(sea.row.value, sea.row.uncertainty) in {"loss", "gain"}:
        verb = "raises" if sea.row.value > 0.0 else "lowers"
        yield [f"By the mass budget, the difference {verb} the sea by ",
               number(sea, unit="\N{NO-BREAK SPACE}mm/yr", size=True), "."]  # fmt: skip


def _cause(facts: Facts) -> Iterator[list[Part]]:
    found = [each for each in facts.causes if math.isfinite(each.row.value)]
    if not found:
        return
    evident = [each for each in found if each.row.value > BY_CHANCE]
    best = max(evident or found, key=methods.likelihood)
    told = best.row.told
    name = f"{told.get('cause', 'unnamed')} of {told.get('method', 'a method')}"
    if evident:
        said = f"Of the causes tried, {name} is the most evident for what the methods disagree on"
    else:
        said = f"No cause tried stands out where the methods differ; the likeliest is {name}"
    prior = methods.likelihood(best) - best.row.value
    before = f", likelihood before {rounded(prior, 1, signed=True)}" if abs(prior) >= 0.05 else ""
    yield [f"{said} (ln B ", Link(rounded(best.row.value, 1), best.href), f"{before})."]


def _shelves(facts: Facts) -> Iterator[list[Part]]:
    """Yield what became of the damage of each shelf, the surest changes first."""
    ordered = sorted(facts.shelves, key=lambda shelf: -abs(_or_zero(shelf[2].row)))
    for first, last, change in ordered[:MOST_SHELVES]:
        kind = verdict(change.row.value, change.row.uncertainty)
        ends: list[Part] = ["from ", _share(first), f" of its area in {_summer(first.row)} to ",
                            _share(last), f" in {_summer(last.row)}"]  # fmt: skip
        name = change.row.region.replace("_", " ")
        if kind in {"gain", "loss"}:
            verb = "grew" if kind == "gain" else "shrank"
            yield [f"Damage of {name} {verb} ", *ends, "."]
        else:
            why = ("a change within two standard deviations" if kind == "unclear"
                   else "a change of unknown uncertainty")  # fmt: skip
            yield [f"Damage of {name} went ", *ends, ", ",
                   Link(why, change.href), "."]  # fmt: skip
    room = max(MOST_SHELVES - len(ordered), 0)
    for each in facts.single[:room]:
        name = each.row.region.replace("_", " ")
        yield [f"Damage of {name} was ", _share(each), f" of its area in {_summer(each.row)}."]
    more = len(ordered) + len(facts.single) - MOST_SHELVES
    if more > 0:
        yield [f"{more} more {'shelf is' if more == 1 else 'shelves are'} in the tables."]


def _share(of: Cited) -> Link:
    return number(of, scale=100.0, unit="\N{NO-BREAK SPACE}%")


def _summer(row: Row) -> str:
    """Return the summer of a row; a note that is no year leaves its first day."""
    told = row.told.get("summer", "")
    if told.isdecimal() and len(told) == 4:
        return summer_name(int(told))
    return row.period_start.isoformat()


def _or_zero(row: Row) -> float:
    z = methods.standardised(row)
    return z if math.isfinite(z) else 0.0


def _dynamics(facts: Facts) -> Iterator[list[Part]]:
    """Yield whether damage goes with discharge beyond chance, all shelves and lags counted."""
    found = [(chance(each.row, "p_family"), each) for each in facts.dynamics]
    known = [(p, each) for p, each in found if math.isfinite(p) and math.isfinite(each.row.value)]
    if not known:
        return
    p, best = min(known, key=lambda pair: pair[0])
    name = best.row.told.get("shelf", best.row.region).replace("_", " ")
    told = Link(f"r = {rounded(best.row.value, 2)}", best.href)
    tried = f"{_later(best.row)}, p = {p:.2g}, all shelves and lags that were tried counted)."
    if p < CHANCE:
        way = "with" if best.row.value > 0.0 else "against"
        yield [f"Damage of {name} goes {way} the discharge behind it beyond chance (", told, tried]
    else:
        yield [f"Of no shelf does damage go with or against discharge beyond chance ({name}: ",
               told, tried]  # fmt: skip


def _later(row: Row) -> str:
    """Return by how many years the discharge of a correlation follows the damage."""
    lag = row.told.get("lag", "")
    if not lag.isdecimal():
        return ""
    return f" with discharge {counted(int(lag), 'year')} later" if int(lag) else " of the same year"


def chance(row: Row, name: str) -> float:
    """Return a probability that a note tells; NaN if it tells none."""
    try:
        return float(row.told.get(name, "nan"))
    except ValueError:
        return math.nan
