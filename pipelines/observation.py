"""What watches a run: the metrics that it serves, and the summary page that it leaves.

Neither can stop it: a port that is taken or a page that cannot be written is a warning. Only a
``NUNATAK_METRICS`` that makes no sense is refused, before anything is computed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cluster import commit_log, metrics, object_store
from cluster.lease import LeaseLost
from cluster.run_tally import RunTally
from cluster.store_errors import StoreError
from pipelines import run_facts, run_summary

if TYPE_CHECKING:
    from cluster.ledger import Receipt
    from cluster.version import Version
    from pipelines.lifecycle import Plan, Stage

logger = logging.getLogger(__name__)


class Observation:
    """Counts the receipts of a run as they are committed, and passes them on.

    Parameters
    ----------
    tally : RunTally or None
        What is served; None where no metrics are.
    on_receipt : callable or None
        Who else wants to know.
    """

    def __init__(
        self, tally: RunTally | None, on_receipt: Callable[[Receipt], None] | None
    ) -> None:
        self._tally = tally
        self._on_receipt = on_receipt
        self.has_worked = False

    def begins(self, stage: Stage, left: int) -> None:
        """Note that a stage begins, with so many keys to do."""
        if self._tally is not None:
            self._tally.begins(stage.name, left)

    def take(self, receipt: Receipt) -> None:
        """Count a receipt that was committed just now."""
        self.has_worked = True
        if self._tally is not None:
            self._tally.take(receipt, time.time())
        if self._on_receipt is not None:
            self._on_receipt(receipt)


@contextmanager
def observed(
    plan: Plan, version: Version, on_receipt: Callable[[Receipt], None] | None
) -> Iterator[Observation]:
    """Serve the metrics of a run while the block lasts, and leave its summary at the end.

    The summary is written however the block ends, unless its store is out of reach or another
    driver has taken the output over.
    """
    with ExitStack() as stack:
        watch = Observation(_served(stack, plan, version), on_receipt)
        try:
            yield watch
        except (StoreError, LeaseLost):
            raise
        except BaseException as error:
            if watch.has_worked:
                _summarise(plan, version, _words(error))
            raise
        if watch.has_worked or not _has_summary(plan):
            _summarise(plan, version, "")


def _served(stack: ExitStack, plan: Plan, version: Version) -> RunTally | None:
    where = metrics.place()
    if where is None:
        return None
    earlier = (each for commit in commit_log.commits(version) for each in commit.receipts)
    tally = RunTally(run_facts.of(plan), earlier, run_facts.left(plan, version.receipts()))
    try:
        address = stack.enter_context(metrics.serving(tally, where, started=time.time()))
    except OSError as error:
        logger.warning(
            "no metrics of this run: nobody can listen at %s port %d (%s); choose another with %s",
            where.host, where.port, error, metrics.VARIABLE,
        )  # fmt: skip
        return None
    logger.info("metrics at %s", address)
    return tally


def _has_summary(plan: Plan) -> bool:
    return object_store.exists(object_store.join(plan.output, run_summary.NAME))


def _summarise(plan: Plan, version: Version, ending: str) -> None:
    """Write the page; it is never the reason why a run fails."""
    try:
        receipts = version.receipts()
        told = run_summary.Told(
            plan=plan,
            commits=commit_log.commits(version),
            receipts=receipts,
            ending=ending or run_summary.ending(plan, receipts),
            written=datetime.now(UTC),
        )
        page = run_summary.page(told)
        object_store.write_bytes(object_store.join(plan.output, run_summary.NAME), page)
    except Exception as error:  # noqa: BLE001 - arrays and receipts are safe; this only tells of them
        logger.warning("no summary page of this run: %s", error)


def _words(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return f"ended by {type(error).__name__}"
