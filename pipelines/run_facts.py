"""What monitors and the summary page are told of a plan: stages, cores, expected traffic."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from cluster import prices
from cluster.run_tally import OTHER, RunFacts, StageFacts
from pipelines.lifecycle import Plan, Traffic, dated_keys, is_done

if TYPE_CHECKING:
    from cluster.ledger import Receipt
    from pipelines.lifecycle import Stage


def of(plan: Plan) -> RunFacts:
    """Return the facts of a plan, at the prices of the environment."""
    traffic = plan.traffic or Traffic(plan.bytes_to_read, 0, 0)
    return RunFacts(
        run_id=plan.run_id,
        product=plan.product,
        version=importlib.metadata.version("nunatak"),
        stages=tuple(
            StageFacts(s.name, len(s.keys), cores(s), s.seconds_per_task) for s in plan.stages
        ),
        stage_of=stage_of(plan),
        price=prices.read(),
        reads=traffic.reads,
        writes=traffic.writes,
        bytes_in=traffic.bytes_read,
    )


def cores(stage: Stage) -> float:
    """Return how many cores a key of a stage keeps busy."""
    return stage.actors.cpus if stage.actors is not None else 1.0


def left(plan: Plan, receipts: Mapping[str, Receipt]) -> dict[str, int]:
    """Return how many keys of each stage are not done.

    What a key of an earlier stage will change about later ones, if it is done now, is not known
    before: later stages are counted anew when they begin.
    """
    dated = dated_keys(plan.stages, receipts)
    return {
        stage.name: sum(not is_done(receipts, key) for key in keys)
        for stage, keys in zip(plan.stages, dated, strict=True)
    }


def stage_of(plan: Plan) -> Callable[[str], str]:
    """Return what names the stage of a key, whatever its date and decision."""
    names = {_bare(key): stage.name for stage in plan.stages for key in stage.keys}

    def named(key: str) -> str:
        return names.get(_bare(key), OTHER)

    return named


def _bare(key: str) -> str:
    """Return a key without its date, its number and what it decided.

    >>> _bare("choose/amery/2006~2+1a2b@3c4d")
    'choose/amery/2006'
    """
    return key.partition("@")[0].partition("~")[0].partition("+")[0]
