"""Keys that share tasks: the same arrays and receipts, whatever becomes of a task."""

import time
from collections import deque
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import zarr
from distributed.client import FutureCancelledError

from cluster import crew, work
from cluster.crew import Crew, Landing, TasksLost, WorkersLost, perform_all
from cluster.dask_crew import DaskWorkers, SchedulerLost
from cluster.ledger import Receipt
from cluster.metered_store import WholeChunkError
from cluster.work import process
from cluster.zarr_sink import Repository, Version
from tests.fixtures.products import Rows, Template, expected, keys, rows_of

COUNT = 120


@dataclass
class Inline:
    """Workers that carry tasks out here, and die of some keys.

    Their scheduler forgets all tasks and comes back when the tasks ``forgotten`` are to land,
    counted from the first one.
    """

    deadly: tuple[str, ...] = ()
    deaths: int = 10**6
    quarantines: bool = False
    most_keys: int = crew.MOST_KEYS_PER_TASK
    forgotten: tuple[int, ...] = ()
    slots: int = 1
    shipped: int = 0
    ended: int = 0
    most_flying: list[int] = field(default_factory=list)
    tasks: list[tuple[str, ...]] = field(default_factory=list)
    flying: deque[tuple[tuple[str, ...], Any, Any]] = field(default_factory=deque)

    def threads(self) -> int:
        return self.slots

    def ship(self, job: Any) -> Any:
        self.shipped += 1
        return job

    def submit(self, names: tuple[str, ...], shipped: Any, fork: Any) -> Any:
        task = (names, shipped, fork)
        self.tasks.append(names)
        self.flying.append(task)
        self.most_flying.append(len(self.flying))
        return id(task[2])

    def landed(self) -> Any:
        self.last = self.flying.popleft()
        return id(self.last[2])

    def outcome(self, task: Any) -> Landing | None:
        names, job, fork = self.last
        self.ended += 1
        if self.ended in self.forgotten:
            self.flying.clear()
            raise TasksLost
        if self.deaths and set(names) & set(self.deadly):
            self.deaths -= 1
            return None
        return perform_all(names, job, fork)

    def cancel(self) -> None:
        self.flying.clear()


@pytest.fixture
def version(tmp_path) -> Version:
    version = Repository.open(str(tmp_path / "product.icechunk")).begin("a")
    version.initialise(Template(COUNT))
    return version


@pytest.fixture
def team(monkeypatch):
    """Return workers that `process` takes for those of any client."""
    made = Inline()
    monkeypatch.setattr(work, "_team", lambda client: made)
    # What a task may take: the pace of this machine must not decide how keys are shared out.
    monkeypatch.setattr(crew, "TASK_SECONDS", 60.0)
    return made


def carry_out(version: Version, job: Any, **choices: Any) -> list[Receipt]:
    return process(keys(COUNT), job, version=version, client="any", **choices)  # type: ignore[arg-type]


def test_short_keys_share_tasks_and_the_last_ones_do_not(version, team):
    receipts = carry_out(version, Rows())

    np.testing.assert_array_equal(rows_of(version.group()), expected(COUNT, run="a"))
    assert [receipt.key for receipt in receipts] == keys(COUNT)
    sizes = [len(names) for names in team.tasks]
    assert max(sizes) > 8
    assert sizes[-4:] == [1, 1, 1, 1]
    assert len(sizes) < COUNT / 3


def test_long_keys_have_a_task_each(version, team, monkeypatch):
    monkeypatch.setattr(crew, "TASK_SECONDS", 1e-6)
    carry_out(version, Rows())

    assert {len(names) for names in team.tasks} == {1}


def test_bytes_and_time_are_those_of_each_key(version, team):
    alone = process(["key/0"], Rows(), version=version)[0]

    begun = time.perf_counter()
    receipts = carry_out(version, Rows(seconds=0.002))
    whole = time.perf_counter() - begun

    assert {receipt.bytes_read for receipt in receipts} == {7}
    for receipt in receipts[1:]:
        assert 0.9 < receipt.bytes_written / alone.bytes_written < 1.1
        assert receipt.seconds >= 0.002
    assert sum(receipt.seconds for receipt in receipts[1:]) <= whole


def test_a_key_that_fails_after_it_wrote_leaves_no_trace_in_the_task_it_shared(version, team):
    receipts = carry_out(version, Rows(bad=(3, 80, 81)))

    rows = rows_of(version.group())
    failed = [n for n, receipt in enumerate(receipts) if receipt.state == "failed"]
    assert failed == [3, 80, 81]
    assert np.isnan(rows[failed]).all()
    np.testing.assert_array_equal(
        np.delete(rows, failed, 0), np.delete(expected(COUNT, run="a"), failed, 0)
    )


def test_a_defect_in_a_shared_task_ends_the_run_and_leaves_no_chunk_without_receipt(version, team):
    with pytest.raises(ZeroDivisionError, match="a defect at key/70"):
        carry_out(version, Rows(broken=(70,)))

    done = {int(key.split("/")[1]) for key in version.receipts()}
    rows = rows_of(version.group())
    there = {n for n in range(COUNT) if not np.isnan(rows[n]).any()}
    assert there == done
    assert 70 not in done
    assert len(done) > 40


def test_a_chunk_of_two_keys_is_refused_though_they_share_a_task(version, team):
    def same(key: str, group: zarr.Group) -> None:
        group["rows"][0] = 1.0

    with pytest.raises(WholeChunkError, match="both write chunk 'rows/c/0/0'"):
        carry_out(version, same)


def test_a_part_of_a_chunk_is_refused_though_the_group_was_open(version, team):
    def second_part(key: str, group: zarr.Group) -> Receipt:
        number = int(key.split("/")[1])
        if number == 60:
            group["rows"][60, :7] = 1.0
            return Receipt(key, "done")
        return Rows()(key, group)

    with pytest.raises(WholeChunkError, match="a part of chunk 'rows/c/60/0'"):
        carry_out(version, second_part)


def test_of_a_task_that_ends_its_workers_only_the_deadly_key_ends_the_run(version, team):
    team.deadly = ("key/70",)
    with pytest.raises(WorkersLost, match="key 'key/70' died"):
        carry_out(version, Rows())

    alone = [names for names in team.tasks if names == ("key/70",)]
    assert len(alone) == 1
    assert len(next(names for names in team.tasks if "key/70" in names)) > 1


@pytest.mark.parametrize("retries", [0, 1, 2])
def test_keys_that_shared_a_task_with_a_lost_worker_are_all_done(version, team, retries):
    team.deadly, team.deaths = ("key/70",), 1
    receipts = carry_out(version, Rows(), retries=retries)

    assert {receipt.state for receipt in receipts} == {"done"}
    np.testing.assert_array_equal(rows_of(version.group()), expected(COUNT, run="a"))


def test_a_scheduler_that_comes_back_costs_no_key_its_company_and_blames_none(version, team):
    team.slots, team.forgotten, team.most_keys = 4, (3, 9), 3
    receipts = carry_out(version, Rows(), retries=0)

    assert [receipt.key for receipt in receipts] == keys(COUNT)
    assert {receipt.state for receipt in receipts} == {"done"}
    np.testing.assert_array_equal(rows_of(version.group()), expected(COUNT, run="a"))
    # At once after either return as many tasks were under way as before, the same ones.
    full = 2 * team.slots
    assert team.most_flying.count(full) > len(team.tasks) - 3 * full
    first = team.tasks[2 : full + 2]
    assert team.tasks[full + 2 : 2 * full + 2] == first
    assert team.shipped == 3


def test_a_suspect_whose_trial_a_scheduler_forgot_is_tried_alone_again(version, team):
    # The second task ends its workers, the third is done, the fourth is the trial of the second.
    team.deadly, team.deaths, team.forgotten = ("key/1",), 1, (4,)
    receipts = carry_out(version, Rows(), retries=1)

    assert {receipt.state for receipt in receipts} == {"done"}
    trials = [n for n, names in enumerate(team.tasks) if names == ("key/1",)]
    assert trials == [1, 3, 4]
    assert [team.most_flying[n] for n in trials[1:]] == [1, 1]


class Gone:
    """A client that gave up its scheduler."""

    status, loop = "closed", object()

    def cancel(self, futures: Any) -> None:
        raise RuntimeError("Client is closed. Can't send cancel-keys message.")


class Forgotten:
    """A future of a scheduler that is no more."""

    def result(self) -> Any:
        raise FutureCancelledError("perform_all-1", "scheduler-connection-lost")


def test_a_scheduler_that_does_not_come_back_is_told_of_in_its_own_words():
    workers = DaskWorkers(Gone())  # type: ignore[arg-type]

    with pytest.raises(SchedulerLost, match="the Dask scheduler is gone") as caught:
        workers.outcome(Forgotten())
    assert caught.value.resumable
    workers.cancel()


def test_in_quarantine_a_key_leaves_the_others_of_its_task_alone(version, team):
    team.deadly, team.quarantines = ("key/70",), True
    receipts = carry_out(version, Rows())

    assert [r.key for r in receipts if r.state == "failed"] == ["key/70"]
    assert "quarantined" in receipts[70].reason


def test_commits_keep_to_their_share_of_the_time(version, monkeypatch):
    """By a clock on which a key takes 0.05 s and a commit 0.03 s."""
    clock, commit, spent = [0.0], version.commit, []

    @dataclass(frozen=True)
    class OnTheClock(Rows):
        def __call__(self, key, group):
            clock[0] += 0.05
            return super().__call__(key, group)

    def on_the_clock(*given):
        clock[0] += 0.03
        spent.append(0.03)
        return commit(*given)

    monkeypatch.setattr(work, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(version, "commit", on_the_clock)
    receipts = process(keys(COUNT), OnTheClock(), version=version, batch=1)

    assert {receipt.state for receipt in receipts} == {"done"}
    # The first and the last are due whatever they take; each other one after its share of the rest.
    assert 0.8 * work.COMMIT_SHARE * clock[0] < sum(spent[1:-1]) <= work.COMMIT_SHARE * clock[0]
    np.testing.assert_array_equal(rows_of(version.group()), expected(COUNT, run="a"))


def test_asking_whether_a_key_is_left_does_not_read_the_whole_ledger(version, monkeypatch):
    looked = []
    receipts = Version.receipts
    monkeypatch.setattr(Version, "receipts", lambda self: looked.append(1) or receipts(self))

    process(keys(COUNT), Rows(), version=version)

    assert len(looked) == 1


def test_a_crew_asks_for_keys_only_when_it_has_room(version):
    asked = []

    def lazy():
        for name in keys(COUNT):
            asked.append(name)
            yield name

    team = Inline()
    outcomes = Crew(team, Rows(), version, 1).outcomes(lazy(), COUNT)
    next(outcomes)

    assert len(asked) <= crew.TASKS_PER_THREAD + 1
    outcomes.close()
    assert not team.flying
