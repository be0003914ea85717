"""What a plan says of itself: what it reads, writes, does and costs, one fact a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cluster import prices
from pipelines.lifecycle import GIB, MIB, core_seconds, dollars

if TYPE_CHECKING:
    from pipelines.lifecycle import InputItem, Plan


def _cost(plan: Plan) -> Iterator[str]:
    """Yield what a plan costs, and at which prices."""
    price = prices.read()
    seconds = core_seconds(plan)
    yield f"  cost  {seconds / 3600:.3f} core-hours expected ({seconds:.0f} s on one core)"
    if plan.traffic is None:
        return
    kept = price.gib_month * plan.bytes_to_write / GIB
    yield (
        f"  cost  ${dollars(plan, price):,.2f}: {plan.traffic.reads:,} reads of "
        f"{plan.bytes_to_read / GIB:,.2f} GiB, {plan.traffic.writes:,} writes; "
        f"keeping it ${kept:,.2f} a month before compression"
    )
    yield f"  cost  at {price.describe()}"


def lines(plan: Plan) -> Iterator[str]:
    """Yield what a plan reads, writes, does and costs, one fact a line."""
    kind = "estimated" if plan.estimated else "catalogue"
    yield f"{plan.product}: {len(plan.inputs)} {kind} items into {plan.output}"
    by_role: dict[str, list[InputItem]] = {}
    for item in plan.inputs:
        by_role.setdefault(item.role, []).append(item)
    for role, items in by_role.items():
        ids = items[0].id if len(items) == 1 else f"{items[0].id} … {items[-1].id}"
        size = sum(item.bytes for item in items) / MIB
        yield f"  read  {role:<13}{len(items):4d} items {size:8.1f} MiB  {ids}"
    yield f"  write {'arrays':<13}{'':10} {plan.bytes_to_write / MIB:8.1f} MiB before compression"
    for stage in plan.stages:
        memory = f"{stage.bytes_per_task / MIB:8.0f} MiB a task: {stage.reason}"
        yield f"  do    {stage.name:<13}{len(stage.keys):4d} tasks {memory}"
    yield from _cost(plan)
    yield from (f"  note  {note}" for note in plan.notes)
