"""The summary of a run: one page that says what was done, how long it took and what it cost.

Overall strategy: everything on it is read from the ledger and the plan, so that a page written
after the tenth resume tells of all ten runs, and one written after a crash tells what is there. The
page holds no script, loads nothing and escapes whatever comes from inputs.
"""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cluster import prices
from cluster.ledger import Receipt
from cluster.redaction import redact
from cluster.run_tally import RunTally, core_seconds, spent
from pipelines import lifecycle, run_facts
from pipelines.figures import run_timeline
from pipelines.figures.run_timeline import span
from pipelines.lifecycle import GIB, MIB, Plan
from pipelines.summary_page import Cell, Link, Page, Section, Svg, Table

if TYPE_CHECKING:
    from cluster.commit_log import Commit

NAME = "summary.html"
SOFTWARE = ("nunatak", "numpy", "scipy", "zarr", "icechunk", "dask", "ray", "torch")
SLOWEST = 10
MOST_FAILURES = 200
LONGEST_REASON = 600


@dataclass(frozen=True)
class Told:
    """What the page tells.

    Attributes
    ----------
    plan : Plan
    commits : sequence of Commit
        All that carry receipts, oldest first.
    receipts : mapping of str to Receipt
        The ledger.
    ending : str
        How the last driver ended, in words.
    written : datetime
        Now (UTC).
    """

    plan: Plan
    commits: Sequence[Commit]
    receipts: Mapping[str, Receipt]
    ending: str
    written: datetime


def page(told: Told) -> bytes:
    """Return the page."""
    sections = [
        _about(told),
        _stages(told),
        *_timeline(told),
        _costs(told),
        *_failures(told),
        *_slowest(told),
        _inputs(told),
        _results(told),
    ]
    title = f"{told.plan.product}: {told.ending}"
    subtitle = f"run {told.plan.run_id}, {_moment(told.written)}"
    return Page(title, subtitle, tuple(sections)).html().encode()


def ending(plan: Plan, receipts: Mapping[str, Receipt]) -> str:
    """Return how far a run came, in words, from its ledger alone."""
    wanted = [key for keys in lifecycle.dated_keys(plan.stages, receipts) for key in keys]
    states = [receipts[key].state for key in wanted if key in receipts]
    failed, missing = states.count("failed"), len(wanted) - len(states)
    if not failed and not missing:
        return f"all {len(wanted):,} keys done"
    return f"{states.count('done'):,} keys done, {failed:,} failed, {missing:,} left"


def _about(told: Told) -> Section:
    plan = told.plan
    rows: list[tuple[Cell, ...]] = [
        ("product", plan.product),
        ("run", plan.run_id),
        ("output", redact(plan.output)),
    ]
    if told.commits:
        rows.append(("first commit", _moment(told.commits[0].time)))
        rows.append(("last commit", _moment(told.commits[-1].time)))
        rows.append(("commits", f"{len(told.commits):,}"))
    rows.append(("software", ", ".join(f"{name} {found}" for name, found in _software())))
    return Section("", (Table((), tuple(rows)),))


def _software() -> Iterator[tuple[str, str]]:
    yield "python", platform.python_version()
    for name in SOFTWARE:
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue


def _stages(told: Told) -> Section:
    header = (
        "stage", "keys", "done", "failed", "left", "mean", "longest", "expected", "read", "written",
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    dated = lifecycle.dated_keys(told.plan.stages, told.receipts)
    for stage, keys in zip(told.plan.stages, dated, strict=True):
        known = [told.receipts[key] for key in keys if key in told.receipts]
        failed = sum(each.state == "failed" for each in known)
        seconds = [each.seconds for each in known]
        rows.append((
            stage.name,
            len(keys),
            len(known) - failed,
            failed,
            len(keys) - len(known),
            span(sum(seconds) / len(seconds)) if seconds else "",
            span(max(seconds)) if seconds else "",
            span(stage.seconds_per_task) if stage.seconds_per_task else "",
            size(sum(each.bytes_read for each in known)),
            size(sum(each.bytes_written for each in known)),
        ))  # fmt: skip
    said = "Mean and longest are times of one key; expected is what the plan said of one."
    return Section("Keys by stage", (Table(header, tuple(rows)), said))


def _timeline(told: Told) -> Iterator[Section]:
    if not told.commits:
        return
    stage_of = run_facts.stage_of(told.plan)
    moments = [
        run_timeline.Moment(
            time=commit.time.timestamp(),
            done=sum(each.state == "done" for each in commit.receipts),
            failed=sum(each.state == "failed" for each in commit.receipts),
            stages=tuple(dict.fromkeys(stage_of(each.key) for each in commit.receipts)),
        )
        for commit in told.commits
    ]
    longest = max(each.seconds for commit in told.commits for each in commit.receipts)
    said = "Each tick is a commit; a key ended shortly before the commit that holds it."
    drawn = run_timeline.draw(moments, longest_key=longest)
    yield Section("When", (Svg(drawn), said))


def _costs(told: Told) -> Section:
    """Compare what was measured with what the plan expected."""
    facts, price = run_facts.of(told.plan), prices.read()
    everything = [each for commit in told.commits for each in commit.receipts]
    tally = RunTally(facts, everything, run_facts.left(told.plan, told.receipts)).read()
    work, expected = core_seconds(facts, tally), lifecycle.core_seconds(told.plan)
    rows: tuple[tuple[Cell, ...], ...] = (
        ("core-hours", f"{work / 3600:,.3f}", f"{expected / 3600:,.3f}"),
        ("dollars", f"${spent(facts, tally):,.4f}", f"${lifecycle.dollars(told.plan, price):,.4f}"),
        ("read", size(sum(each.bytes_read for each in everything)), size(told.plan.bytes_to_read)),
        (
            "written",
            size(sum(each.bytes_written for each in everything)),
            f"{size(told.plan.bytes_to_write)} before compression",
        ),
    )
    said = (
        "Measured: the seconds of every key, failed ones too, times its cores; requests are the "
        "plan's, in proportion to the keys tried. Machines that waited are not in it. At "
        f"{price.describe()}."
    )
    return Section("Cost", (Table(("", "all runs", "expected by the plan"), rows), said))


def _failures(told: Told) -> Iterator[Section]:
    wanted = [k for keys in lifecycle.dated_keys(told.plan.stages, told.receipts) for k in keys]
    failed = [
        told.receipts[key]
        for key in wanted
        if key in told.receipts and told.receipts[key].state == "failed"
    ]
    if not failed:
        return
    rows = tuple(
        (_bare(each.key), _shortened(each.reason), ", ".join(each.inputs[:3]))
        for each in failed[:MOST_FAILURES]
    )
    parts: list[Table | Svg | str] = [Table(("key", "reason", "inputs"), rows)]
    if len(failed) > len(rows):
        parts.append(f"{len(failed) - len(rows):,} more are in receipts.jsonl.")
    parts.append("The next run tries these keys again.")
    yield Section(f"Failed keys ({len(failed):,})", tuple(parts))


def _slowest(told: Told) -> Iterator[Section]:
    slow = sorted(told.receipts.values(), key=lambda each: -each.seconds)[:SLOWEST]
    if not slow:
        return
    rows = tuple(
        (_bare(each.key), span(each.seconds), size(each.bytes_read), size(each.bytes_written))
        for each in slow
    )
    yield Section("Slowest keys", (Table(("key", "time", "read", "written"), rows),))


def _inputs(told: Told) -> Section:
    roles: dict[str, list[int]] = {}
    for item in told.plan.inputs:
        roles.setdefault(item.role, []).append(item.bytes)
    rows: list[tuple[Cell, ...]] = [
        (role, len(found), size(sum(found))) for role, found in roles.items()
    ]
    total = sum(item.bytes for item in told.plan.inputs)
    rows.append(("all", len(told.plan.inputs), size(total)))
    return Section("Inputs", (Table(("role", "items", "size"), tuple(rows)),))


def _results(told: Told) -> Section:
    if not lifecycle.is_whole(told.plan.stages, told.receipts):
        said = "There is no whole product of this run yet; the same command continues it."
        return Section("Results", (said,))
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (Link(name, f"./{name}"),) for name in told.plan.results if name != NAME
    )
    said = f"Beside this page, in {redact(told.plan.output)}."
    return Section("Results", (Table((), rows), said))


def size(count: int) -> str:
    """Return bytes in words.

    >>> size(0), size(1536), size(3 * 2**30)
    ('0 B', '1.5 KiB', '3 GiB')
    """
    for unit, least in (("GiB", GIB), ("MiB", MIB), ("KiB", 1024)):
        if count >= least:
            share = count / least
            return f"{share:.3g} {unit}" if share < 100.0 else f"{share:,.0f} {unit}"
    return f"{count} B"


def _shortened(reason: str) -> str:
    text = redact(reason)
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]} …"


def _bare(key: str) -> str:
    return key.partition("@")[0]


def _moment(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
