"""What a run has done, counted from receipts: the numbers behind its metrics.

Overall strategy: every number is a fold over receipts. At the start of a run those that earlier
runs committed are folded in, then each new one as it is committed. What counts events (keys, bytes,
seconds) therefore continues where the last driver stopped: a monitor that saw 1,000 keys done
before a crash sees 1,000 or a few more after it, never a reset, and its ``rate()`` is that of the
work. A failure is an event too and stays counted when the key succeeds later; how many keys are
failing *now* is a number of its own.
"""

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from cluster.ledger import Receipt
from cluster.prices import Prices

GIB = 2**30
OTHER = "other"
"""Stage of receipts whose key belongs to none: of an earlier release, say."""

BUCKETS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0)
"""Upper bounds of the histogram of seconds [s]: from a month of gravity to a summer of a shelf."""


@dataclass(frozen=True)
class StageFacts:
    """What a plan says of one stage.

    Attributes
    ----------
    name : str
    keys : int
        How many it has.
    cores : float
        Cores that one key keeps busy.
    seconds_per_key : float
        Expected time of one key [s].
    """

    name: str
    keys: int
    cores: float = 1.0
    seconds_per_key: float = 0.0


@dataclass(frozen=True)
class RunFacts:
    """What is known of a run before it works.

    Attributes
    ----------
    run_id, product, version : str
        Identity, what is made, and our release.
    stages : tuple of StageFacts
    stage_of : callable
        Name of the stage of a key, :data:`OTHER` if it has none.
    price : Prices
    reads, writes, bytes_in : int
        Requests, and bytes from elsewhere, that the plan expects of all its keys.
    """

    run_id: str
    product: str
    version: str
    stages: tuple[StageFacts, ...]
    stage_of: Callable[[str], str]
    price: Prices
    reads: int = 0
    writes: int = 0
    bytes_in: int = 0


@dataclass
class StageTally:
    """What was done of one stage, over all runs.

    Attributes
    ----------
    done, failed : int
        Receipts of either state: events, a key that failed for two reasons counts twice, and one
        that failed again for the same reason once, as in the ledger.
    left : int
        Keys that this run has still to try.
    failing : set of str
        Keys that failed in this run and did not succeed since.
    bytes_read, bytes_written : int
    seconds : float
        Of all keys together [s].
    counts : list of int
        Keys in each of :data:`BUCKETS`, and above the last.
    """

    done: int = 0
    failed: int = 0
    left: int = 0
    failing: set[str] = field(default_factory=set)
    bytes_read: int = 0
    bytes_written: int = 0
    seconds: float = 0.0
    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))

    def take(self, receipt: Receipt) -> None:
        """Count one receipt."""
        if receipt.state == "done":
            self.done += 1
        else:
            self.failed += 1
        self.bytes_read += receipt.bytes_read
        self.bytes_written += receipt.bytes_written
        self.seconds += receipt.seconds
        self.counts[bisect_left(BUCKETS, receipt.seconds)] += 1

    def cumulative(self) -> list[tuple[str, int]]:
        """Return how many keys took at most each bound, as Prometheus wants them."""
        total, found = 0, []
        for bound, count in zip((*map(_bound, BUCKETS), "+Inf"), self.counts, strict=True):
            total += count
            found.append((bound, total))
        return found


class RunTally:
    """The tallies of all stages, safe to read from another thread while receipts come.

    Parameters
    ----------
    facts : RunFacts
    earlier : iterable of Receipt
        What earlier runs of this version committed, failures included, oldest first.
    left : mapping of str to int
        Keys of each stage that are not done.
    """

    def __init__(
        self, facts: RunFacts, earlier: Iterable[Receipt], left: Mapping[str, int]
    ) -> None:
        self.facts = facts
        self._lock = threading.Lock()
        self._stages = {stage.name: StageTally(left=left[stage.name]) for stage in facts.stages}
        self._last = 0.0
        self._reasons: dict[str, str] = {}
        for receipt in earlier:
            self._count(receipt)

    def begins(self, stage: str, left: int) -> None:
        """Note that a stage begins, with so many keys to do."""
        with self._lock:
            tally = self._stages[stage]
            tally.left = left
            tally.failing.clear()

    def take(self, receipt: Receipt, now: float) -> None:
        """Count a receipt that was committed at ``now`` [s since 1970]."""
        with self._lock:
            tally = self._count(receipt)
            tally.left = max(0, tally.left - 1)
            if receipt.state == "failed":
                tally.failing.add(receipt.key)
            else:
                tally.failing.discard(receipt.key)
            self._last = now

    @property
    def last(self) -> float:
        """When this run committed a receipt last [s since 1970]; 0 before the first."""
        return self._last

    def read(self) -> dict[str, StageTally]:
        """Return a copy of the tallies by stage."""
        with self._lock:
            return {
                name: StageTally(
                    each.done, each.failed, each.left, set(each.failing), each.bytes_read,
                    each.bytes_written, each.seconds, list(each.counts),
                )
                for name, each in self._stages.items()
            }  # fmt: skip

    def _count(self, receipt: Receipt) -> StageTally:
        """Count a receipt unless it is no news to the ledger, which then does not keep it."""
        tally = self._stages.setdefault(self.facts.stage_of(receipt.key), StageTally())
        if receipt.state == "done" or self._reasons.get(receipt.key) != receipt.reason:
            tally.take(receipt)
        if receipt.state == "failed":
            self._reasons[receipt.key] = receipt.reason
        return tally


def core_seconds(facts: RunFacts, tallies: Mapping[str, StageTally]) -> float:
    """Return the work done [core s]: the seconds of every key times the cores it kept busy."""
    cores = {stage.name: stage.cores for stage in facts.stages}
    return sum(each.seconds * cores.get(name, 1.0) for name, each in tallies.items())


def core_seconds_left(facts: RunFacts, tallies: Mapping[str, StageTally]) -> float:
    """Return the work that is expected to be left [core s].

    The keys left of a stage count with the mean time of those that were done, and with the plan's
    where none was.
    """
    total = 0.0
    for stage in facts.stages:
        tally = tallies[stage.name]
        tried = tally.done + tally.failed
        each = tally.seconds / tried if tried else stage.seconds_per_key
        total += tally.left * each * stage.cores
    return total


def spent(facts: RunFacts, tallies: Mapping[str, StageTally]) -> float:
    """Return what the keys that were tried have cost [$].

    Receipts know seconds but neither requests nor whose bytes they read; those are the plan's, in
    proportion to the share f of its keys that were tried::

        $ = p_core Σ (seconds · cores) / 3600 + f (p_read reads + p_write writes) / 1000
            + f p_in bytes_in / GiB

    Not in it: machines that wait, work that was lost with a worker, and storage by the month.
    """
    price = facts.price
    planned = sum(stage.keys for stage in facts.stages)
    tried = sum(each.done + each.failed for each in tallies.values())
    share = min(1.0, tried / planned) if planned else 0.0
    requests = price.thousand_reads * facts.reads + price.thousand_writes * facts.writes
    inputs = price.gib_in * facts.bytes_in / GIB
    return (
        price.core_hour * core_seconds(facts, tallies) / 3600.0
        + share * requests / 1e3
        + share * inputs
    )


def _bound(seconds: float) -> str:
    return f"{seconds:.1f}"
