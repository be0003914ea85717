"""A plan as the work of a simulated run: keys, times, bytes and requests of every stage."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.ledger import Receipt, ReceiptError

if TYPE_CHECKING:
    from cluster.simulated_work import Work
    from pipelines.lifecycle import Plan

SPREAD = 0.5
"""Standard deviation over mean of the times of keys, where no receipts tell of them [1]."""

REQUESTS_PER_KEY = 8.0
"""Reads and writes each, of a plan that does not say how many it makes."""


class ScaleError(ValueError):
    """Figures from which no run can be simulated."""


def works(plan: Plan, times: Mapping[str, Sequence[float]] | None = None) -> list[Work]:
    """Return the stages of a plan as work to simulate.

    Parameters
    ----------
    plan : Plan
        The run. What it reads, writes and asks of stores is split among its stages by their
        expected time, since a plan tells of the whole.
    times : mapping of str to sequence of float, optional
        Seconds of keys of a stage in a finished run (:func:`times_of`); for other stages the
        plan's own figure, spread log-normally by :data:`SPREAD`.
    """
    from cluster.simulated_work import Work, spread

    known = times or {}
    expected = {stage.name: len(stage.keys) * stage.seconds_per_task for stage in plan.stages}
    whole = sum(expected.values()) or 1.0
    count = sum(len(stage.keys) for stage in plan.stages)
    reads = plan.traffic.reads if plan.traffic else REQUESTS_PER_KEY * count
    writes = plan.traffic.writes if plan.traffic else REQUESTS_PER_KEY * count
    found = []
    for stage in plan.stages:
        if not stage.keys:
            continue
        share = expected[stage.name] / whole / len(stage.keys)
        found.append(
            Work(
                stage.name,
                len(stage.keys),
                tuple(known.get(stage.name, ())) or spread(stage.seconds_per_task, relative=SPREAD),
                bytes_read=plan.bytes_to_read * share,
                bytes_written=plan.bytes_to_write * share,
                reads=reads * share,
                writes=writes * share,
            )
        )
    return found


def times_of(path: Path, plan: Plan) -> dict[str, list[float]]:
    """Return the seconds of keys by stage, from ``receipts.jsonl`` of a finished run.

    The run need not be of this plan: keys are told by their first part (``merge/3`` is a
    ``merge``), so that a small run on this machine tells of a large one.

    Raises
    ------
    ScaleError
        If the file cannot be read, or tells of no stage of the plan.
    """
    stage_of = {key.partition("/")[0]: stage.name for stage in plan.stages for key in stage.keys}
    times: defaultdict[str, list[float]] = defaultdict(list)
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            receipt = Receipt.from_json(line)
            name = stage_of.get(receipt.key.partition("/")[0].partition("@")[0])
            if receipt.state == "done" and name is not None:
                times[name].append(receipt.seconds)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, ReceiptError) as error:
        msg = f"{path} cannot be read as receipts: {error}; name the receipts.jsonl of a run"
        raise ScaleError(msg) from error
    if not times:
        kinds = ", ".join(sorted(stage_of))
        msg = f"{path} has no done key of {plan.product} (expected keys of {kinds})"
        raise ScaleError(msg)
    return dict(times)
