"""Counts of a run: folds over receipts, the same whether one driver or three did the work."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.ledger import Receipt
from cluster.prices import Prices
from cluster.run_tally import (
    OTHER,
    RunFacts,
    RunTally,
    StageFacts,
    StageTally,
    core_seconds,
    core_seconds_left,
    spent,
)

FACTS = RunFacts(
    run_id="3fa8",
    product="gravimetry",
    version="1",
    stages=(StageFacts("read", 8, 1.0, 2.0), StageFacts("infer", 2, 4.0, 10.0)),
    stage_of=lambda key: {"r": "read", "i": "infer"}.get(key[0], OTHER),
    price=Prices(core_hour=3.6, thousand_reads=1.0, thousand_writes=10.0, gib_in=2.0),
    reads=1000,
    writes=100,
    bytes_in=2**30,
)
LEFT = {"read": 8, "infer": 2}


def receipts() -> st.SearchStrategy[list[Receipt]]:
    done = st.builds(
        lambda n, s, b: Receipt(f"r{n}", "done", s, b, 2 * b),
        st.integers(0, 99), st.floats(0.0, 2e4), st.integers(0, 10**9),
    )  # fmt: skip
    failed = st.builds(
        lambda n, s: Receipt(f"i{n}", "failed", s, reason="bad"),
        st.integers(0, 99), st.floats(0.0, 2e4),
    )  # fmt: skip
    return st.lists(done | failed, max_size=30)


@given(receipts(), st.integers(0, 30))
def test_a_resumed_run_counts_as_one_that_was_never_interrupted(
    made: list[Receipt], cut: int
) -> None:
    whole = RunTally(FACTS, (), LEFT)
    for receipt in made:
        whole.take(receipt, 1.0)
    resumed = RunTally(FACTS, made[:cut], LEFT)
    before = resumed.read()
    for receipt in made[cut:]:
        resumed.take(receipt, 1.0)

    for name, after in resumed.read().items():
        same = whole.read()[name]
        assert (after.done, after.failed, after.counts) == (same.done, same.failed, same.counts)
        assert after.bytes_read == same.bytes_read
        assert after.seconds == pytest.approx(same.seconds)
        # What a monitor sees of a counter never falls.
        was = before.get(name, StageTally())
        assert (after.done, after.failed) >= (was.done, was.failed)
        assert after.bytes_written >= was.bytes_written


def test_a_key_that_fails_and_then_succeeds_is_a_failure_that_was_and_is_none_now() -> None:
    tally = RunTally(FACTS, (Receipt("r0", "failed", reason="truncated"),), LEFT)
    tally.begins("read", 8)
    assert (tally.read()["read"].failed, tally.read()["read"].failing) == (1, set())

    tally.take(Receipt("r0", "failed", reason="still truncated"), 5.0)
    assert tally.read()["read"].failing == {"r0"}
    tally.take(Receipt("r0", "done"), 6.0)

    read = tally.read()["read"]
    assert (read.done, read.failed, read.failing, read.left) == (1, 2, set(), 6)
    assert tally.last == 6.0


def test_a_failure_that_the_ledger_does_not_keep_twice_is_not_counted_twice() -> None:
    failed = Receipt("r0", "failed", 3.0, reason="truncated")
    tally = RunTally(FACTS, (failed,), LEFT)

    tally.take(failed, 5.0)  # of the next run: no commit holds it

    read = tally.read()["read"]
    assert (read.failed, read.seconds, read.failing, read.left) == (1, 3.0, {"r0"}, 7)


@given(st.lists(st.floats(0.0, 1e5), min_size=1, max_size=40))
def test_buckets_count_keys_at_most_so_long(seconds: list[float]) -> None:
    tally = StageTally()
    for number, each in enumerate(seconds):
        tally.take(Receipt(str(number), "done", each))

    for bound, count in tally.cumulative():
        assert count == sum(each <= float(bound) for each in seconds)


def test_dollars_are_cores_and_the_plans_requests_in_proportion() -> None:
    tally = RunTally(FACTS, (), LEFT)
    for number in range(4):
        tally.take(Receipt(f"r{number}", "done", 100.0), 1.0)
    tally.take(Receipt("i0", "failed", 50.0, reason="bad"), 1.0)
    tallies = tally.read()

    # 4 · 100 s on one core and 50 s on four; half of the ten keys are tried.
    assert core_seconds(FACTS, tallies) == 600.0
    requests = (1000 * 1.0 + 100 * 10.0) / 1000.0
    assert spent(FACTS, tallies) == pytest.approx(3.6 * 600 / 3600 + 0.5 * requests + 0.5 * 2.0)


def test_what_is_left_is_expected_at_the_pace_of_what_was_done() -> None:
    tally = RunTally(FACTS, (), LEFT)
    assert core_seconds_left(FACTS, tally.read()) == 8 * 2.0 + 2 * 10.0 * 4.0

    for number in range(4):
        tally.take(Receipt(f"r{number}", "done", 100.0), 1.0)

    assert core_seconds_left(FACTS, tally.read()) == 4 * 100.0 + 2 * 10.0 * 4.0


def test_receipts_of_no_stage_are_counted_apart() -> None:
    tally = RunTally(FACTS, (Receipt("x", "done", 1.0),), LEFT)

    assert tally.read()[OTHER].done == 1
    assert core_seconds(FACTS, tally.read()) == 1.0
