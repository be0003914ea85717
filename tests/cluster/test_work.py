import logging
from dataclasses import dataclass, field

import numpy as np
import pytest
import zarr

from cluster import dask_cluster, work
from cluster.ledger import Receipt
from cluster.metered_store import WholeChunkError
from cluster.work import WorkersLost, process
from cluster.zarr_sink import Repository, Version
from tests.fixtures.products import LENGTH, Rows, Template, expected, keys, rows_of

COUNT = 12


@pytest.fixture
def version(tmp_path) -> Version:
    return begin(tmp_path / "product.icechunk")


def begin(path, run="a", count=COUNT) -> Version:
    version = Repository.open(str(path)).begin(run)
    version.initialise(Template(count))
    return version


def commits(version: Version) -> int:
    return sum(1 for _ in version._repository.ancestry(branch=version.branch))


@pytest.fixture(scope="module")
def client():
    with dask_cluster.connect(workers=2) as client:
        yield client


def test_neither_order_nor_batch_shows_in_the_arrays(tmp_path):
    for name, order, batch in (("a", 1, 5), ("b", -1, 1), ("c", -1, 100)):
        version = begin(tmp_path / name)
        process(keys(COUNT)[::order], Rows(), version=version, batch=batch)

        np.testing.assert_array_equal(rows_of(version.group()), expected(COUNT, run="a"))


def test_two_worker_processes_write_what_one_process_writes(version, client):
    receipts = process(keys(COUNT), Rows(), version=version, client=client, batch=5)

    np.testing.assert_array_equal(rows_of(version.group()), expected(COUNT, run="a"))
    assert [receipt.key for receipt in receipts] == keys(COUNT)


def test_time_and_bytes_are_measured_around_the_job(version):
    (receipt,) = process(["key/0"], Rows(seconds=0.05), version=version)

    # Noise does not compress below its entropy, nor does it grow by much.
    assert 0.05 <= receipt.seconds < 5.0
    assert 0.8 * 8 * LENGTH < receipt.bytes_written < 1.2 * 8 * LENGTH
    assert receipt.bytes_read == 7
    assert receipt.inputs == ("item-0",)


def test_bad_input_fails_its_key_alone_and_leaves_no_trace_in_the_arrays(version):
    receipts = process(keys(COUNT), Rows(bad=(3,)), version=version, batch=4)

    rows = rows_of(version.group())
    assert [r.key for r in receipts if r.state == "failed"] == ["key/3"]
    assert receipts[3].reason == "the input of key/3 is truncated"
    assert receipts[3].inputs == ("item-3",)
    assert np.isnan(rows[3]).all()
    np.testing.assert_array_equal(np.delete(rows, 3, 0), np.delete(expected(12, run="a"), 3, 0))


def test_a_done_key_is_skipped_and_a_failed_one_is_tried_again(version):
    process(keys(COUNT), Rows(bad=(3,)), version=version)
    told = []

    receipts = process(keys(COUNT), Rows(broken=(0, 1, 2)), version=version, on_receipt=told.append)

    assert [receipt.key for receipt in told] == ["key/3"]
    assert {receipt.state for receipt in receipts} == {"done"}
    np.testing.assert_array_equal(rows_of(version.group()), expected(COUNT, run="a"))


def test_failing_again_for_the_same_reason_makes_no_new_version(version):
    process(keys(COUNT), Rows(bad=(3,)), version=version)
    tag, before = version.publish(), version.tip

    process(keys(COUNT), Rows(bad=(3,)), version=version)

    assert version.tip == before
    assert version.finished
    assert version.publish() == tag


def test_failures_alone_are_committed_too(version):
    receipts = process(keys(3), Rows(bad=(0, 1, 2)), version=version, batch=2)

    assert version.receipts() == {receipt.key: receipt for receipt in receipts}
    assert {receipt.state for receipt in receipts} == {"failed"}


def test_a_defect_ends_the_run_after_what_is_done_is_committed(version):
    with pytest.raises(ZeroDivisionError, match="a defect at key/7"):
        process(keys(COUNT), Rows(broken=(7,)), version=version, batch=5)

    assert sorted(version.receipts()) == sorted(keys(7))
    np.testing.assert_array_equal(rows_of(version.group())[:7], expected(7, run="a"))


def test_a_defect_on_a_worker_ends_the_run_likewise(version, client):
    with pytest.raises(ZeroDivisionError, match="a defect at key/7"):
        process(keys(COUNT), Rows(broken=(7,)), version=version, client=client)

    done = sorted(int(key.split("/")[1]) for key in version.receipts())
    rows = rows_of(version.group())
    assert 7 not in done
    np.testing.assert_array_equal(rows[done], expected(COUNT, run="a")[done])


def test_an_interrupted_run_keeps_what_it_finished(version):
    def interrupted(key: str, group: zarr.Group) -> Receipt:
        if key == "key/4":
            raise KeyboardInterrupt
        return Rows()(key, group)

    with pytest.raises(KeyboardInterrupt):
        process(keys(COUNT), interrupted, version=version)

    assert sorted(version.receipts()) == sorted(keys(4))


def test_receipts_are_told_once_each_and_only_when_committed(version):
    told = []

    def check(receipt: Receipt) -> None:
        assert version.receipts()[receipt.key] == receipt
        told.append(receipt.key)

    process([*keys(COUNT), *keys(3)], Rows(bad=(1,)), version=version, batch=4, on_receipt=check)

    assert told == keys(COUNT)


def test_who_may_not_commit_any_more_commits_nothing_more(version, monkeypatch):
    monkeypatch.setattr(work, "COMMIT_SHARE", 1.0)
    asked = []

    def allowed() -> None:
        asked.append(len(version.receipts()))
        if len(asked) > 2:
            raise PermissionError("taken over")

    with pytest.raises(PermissionError, match="taken over") as caught:
        process(keys(COUNT), Rows(), version=version, batch=2, before_commit=allowed)

    assert asked[0] == 0
    assert len(version.receipts()) == asked[2] < COUNT
    assert "could not be committed" in caught.value.__notes__[0]


def test_no_more_than_two_tasks_per_thread_are_under_way(version, client, monkeypatch):
    futures, most = [], []
    submit = client.submit

    def counted(*args, **kwargs):
        most.append(1 + sum(not future.done() for future in futures))
        futures.append(submit(*args, **kwargs))
        return futures[-1]

    monkeypatch.setattr(client, "submit", counted)
    process(keys(COUNT), Rows(seconds=0.02), version=version, client=client)

    assert len(futures) == COUNT
    assert max(most) <= 4


@dataclass(frozen=True)
class Heavy(Rows):
    """Carries a table of 24 MiB along."""

    table: np.ndarray = field(default_factory=lambda: np.ones(3 * 2**20))

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        assert self.table.sum() == self.table.size
        return super().__call__(key, group)


@pytest.mark.parametrize("dies", [False, True])
def test_a_job_with_large_tables_is_sent_to_the_workers_once(version, client, tmp_path, dies):
    job = Heavy(fatal=tmp_path / "died-once" if dies else None)

    process(keys(COUNT), job, version=version, client=client)

    np.testing.assert_array_equal(rows_of(version.group()), expected(COUNT, run="a"))


def test_a_client_that_loses_its_scheduler_and_finds_it_again_goes_on(
    version, client, caplog, monkeypatch
):
    monkeypatch.setattr(work, "COMMIT_SHARE", 1.0)
    caplog.set_level(logging.WARNING, logger="cluster.dask_crew")
    told = []

    def cut(receipt: Receipt) -> None:
        told.append(receipt.key)
        if len(told) == 2:
            client.loop.add_callback(client.scheduler_comm.comm.abort)

    job = Heavy(seconds=0.02)
    process(keys(COUNT), job, version=version, client=client, batch=2, retries=0, on_receipt=cut)

    assert "is back without its tasks" in caplog.text
    assert sorted(told) == sorted(keys(COUNT))
    np.testing.assert_array_equal(rows_of(version.group()), expected(COUNT, run="a"))


def sum_of_rows(key: str, group: zarr.Group) -> Receipt:
    group["total"][...] = rows_of(group).sum(axis=0)
    return Receipt(key, "done")


def with_total(group: zarr.Group) -> None:
    Template(COUNT)(group)
    group.create_array("total", shape=(LENGTH,), chunks=(LENGTH,), dtype="f8", fill_value=0.0)


def test_a_stage_reads_what_the_stage_before_it_wrote_on_workers(tmp_path, client):
    version = Repository.open(str(tmp_path / "product.icechunk")).begin("a")
    version.initialise(with_total)

    process(keys(COUNT), Rows(), version=version, client=client)
    process(["total"], sum_of_rows, version=version, client=client)

    total = expected(COUNT, run="a").sum(axis=0)
    np.testing.assert_array_equal(version.group()["total"][...], total)


def test_a_stage_reads_what_another_driver_wrote_while_this_one_lost_every_race(tmp_path):
    repository = Repository.open(str(tmp_path / "product.icechunk"))
    mine, theirs = repository.begin("a"), repository.begin("a")
    mine.initialise(with_total)

    def overtaken(key: str, group: zarr.Group) -> Receipt:
        process(keys(COUNT), Rows(), version=theirs)
        return Rows()(key, group)

    process(keys(COUNT), overtaken, version=mine, batch=1)
    process(["total"], sum_of_rows, version=mine)

    total = expected(COUNT, run="a").sum(axis=0)
    np.testing.assert_array_equal(mine.group()["total"][...], total)


def test_keys_that_another_driver_did_meanwhile_are_not_done_again(tmp_path):
    repository = Repository.open(str(tmp_path / "product.icechunk"))
    mine, theirs = repository.begin("a"), repository.begin("a")
    mine.initialise(Template(COUNT))
    carried_out, told = [], []

    def job(key: str, group: zarr.Group) -> Receipt:
        carried_out.append(key)
        if key == "key/3":
            process(keys(COUNT)[6:], Rows(), version=theirs)
        return Rows()(key, group)

    process(keys(COUNT), job, version=mine, batch=4, on_receipt=lambda r: told.append(r.key))

    assert carried_out == keys(6)
    assert sorted(told) == sorted(keys(COUNT))
    np.testing.assert_array_equal(rows_of(mine.group()), expected(COUNT, run="a"))


def part_of_a_chunk(key: str, group: zarr.Group) -> None:
    group["rows"][0, : LENGTH // 2] = 1.0


def new_array(key: str, group: zarr.Group) -> None:
    group.create_array("other", shape=(1,), dtype="f8")


def new_attribute(key: str, group: zarr.Group) -> None:
    group.attrs["seen"] = key


def the_first_row(key: str, group: zarr.Group) -> None:
    group["rows"][0] = float(key.split("/")[1])


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (part_of_a_chunk, "a part of chunk 'rows/c/0/0'"),
        (new_array, "set attributes in the template"),
        (new_attribute, "set attributes in the template"),
        (the_first_row, "'key/0' and 'key/1' both write chunk 'rows/c/0/0'"),
    ],
)
def test_a_key_that_writes_anything_but_whole_chunks_of_its_own_is_refused(version, job, message):
    with pytest.raises(WholeChunkError, match=message):
        process(keys(2), job, version=version)


def test_chunks_at_the_edge_and_chunks_of_the_fill_value_are_whole(tmp_path):
    version = Repository.open(str(tmp_path / "product.icechunk")).begin("a")

    def template(group: zarr.Group) -> None:
        group.create_array("edge", shape=(5,), chunks=(2,), dtype="f8", fill_value=0.0)

    def job(key: str, group: zarr.Group) -> None:
        start = 2 * int(key)
        group["edge"][start : start + 2] = float(key)

    version.initialise(template)
    process(["0", "1", "2"], job, version=version)

    np.testing.assert_array_equal(version.group()["edge"][...], [0, 0, 1, 1, 2])


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_of_a_key_changes_no_number(version, tmp_path):
    fatal = tmp_path / "died-once"
    with dask_cluster.connect(workers=2) as client:
        process(keys(COUNT), Rows(seconds=0.05, fatal=fatal), version=version, client=client)

    assert fatal.exists()
    np.testing.assert_array_equal(rows_of(version.group()), expected(COUNT, run="a"))


class Deadly(Rows):
    """Key 5 ends every process that tries it."""

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        if key == "key/5":
            import os
            import signal

            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(key, group)


@pytest.mark.slow
def test_a_key_that_ends_every_worker_is_named_and_the_others_are_kept(
    version, monkeypatch, caplog
):
    caplog.set_level(logging.CRITICAL)
    monkeypatch.setenv("NUNATAK_ALLOWED_FAILURES", "1")
    with (
        dask_cluster.connect(workers=2) as client,
        pytest.raises(WorkersLost, match="worker that was given key 'key/5' died"),
    ):
        process(keys(COUNT), Deadly(), version=version, client=client, batch=2, retries=1)

    done = sorted(int(key.split("/")[1]) for key in version.receipts())
    np.testing.assert_array_equal(rows_of(version.group())[done], expected(12, run="a")[done])
