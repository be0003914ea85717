"""Keys on actors: each holds one model; deaths cost time and no number, and no key for ever."""

import hashlib
import os
import re
import secrets
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from ray import cloudpickle

from cluster import dask_cluster, ray_cluster
from cluster.dask_cluster import ClusterError
from cluster.gpu_pool import GpuWorker, Needs, Pool, PoolError, rooms
from cluster.jobs import OPENED
from cluster.ledger import Receipt
from cluster.pool_crew import CRASHES, PoolWorkers
from cluster.work import WorkersLost, process
from cluster.zarr_sink import Repository, Version
from tests.fixtures import ray_head
from tests.fixtures.models import ToyModel
from tests.fixtures.products import Rows, Template, expected, keys, rows_of

COUNT = 12


def begin(path: Path) -> Version:
    version = Repository.open(str(path)).begin("a")
    version.initialise(Template(COUNT))
    return version


@pytest.fixture
def version(tmp_path) -> Version:
    return begin(tmp_path / "product.icechunk")


@pytest.fixture
def diary(tmp_path) -> Path:
    folder = tmp_path / "diary"
    folder.mkdir()
    return folder


def told(folder: Path, what: str) -> int:
    return len(list(folder.glob(f"{what}*")))


class TestWithoutRay:
    def test_a_worker_opens_its_model_once_and_its_receipts_tell_of_it(self, version, diary):
        worker = GpuWorker(ToyModel(diary=diary), "cuda")
        worker.open()
        outcomes = [worker.process(key, version.fork()) for key in keys(2)]

        assert told(diary, "opened") == told(diary, f"opened-cuda-{os.getpid()}") == 1
        assert {outcome.receipt.model for outcome in outcomes} == {"f" * 64}
        assert {outcome.receipt.snapshot for outcome in outcomes} == {"SNAPSHOT"}

    def test_the_hash_is_of_the_stored_chunks_in_the_order_of_their_names(self, version):
        (receipt,) = process(["key/3"], ToyModel(), version=version)

        stored = zarr.open_group(version.group().store, mode="r")["rows"]
        codecs = zarr.create_array(
            {}, shape=stored.shape, chunks=stored.chunks, dtype="f8", fill_value=float("nan")
        )
        codecs[3] = expected(COUNT, run="a")[3]
        (chunk,) = (
            bytes(value.to_bytes())
            for name, value in codecs.store._store_dict.items()
            if not name.endswith("zarr.json")
        )
        line = f"rows/c/3/0 {hashlib.sha256(chunk).hexdigest()}\n"
        assert receipt.output_sha256 == hashlib.sha256(line.encode()).hexdigest()

    def test_other_jobs_are_not_hashed(self, version):
        (receipt,) = process(["key/3"], Rows(), version=version)

        assert receipt.output_sha256 == receipt.model == ""
        assert "sha256" not in receipt.to_json()

    def test_this_process_opens_a_model_once_and_lets_it_go(self, version, diary):
        process(keys(COUNT), ToyModel(diary=diary), version=version)

        assert told(diary, f"opened-cpu-{os.getpid()}") == told(diary, "opened") == 1
        assert OPENED._job is None
        np.testing.assert_array_equal(rows_of(version.group()), expected(COUNT, run="a"))

    def test_a_job_that_came_with_another_key_is_known_again(self, diary):
        job = ToyModel(diary=diary)
        copies = [cloudpickle.loads(cloudpickle.dumps(job)) for _ in range(3)]
        opened = {id(OPENED.of(copy)) for copy in copies}

        other = OPENED.of(replace(job, fatal=(1,)))
        OPENED.forget()
        assert len(opened) == 1
        assert id(other) not in opened
        assert told(diary, "opened") == 2

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"gpus": 1.5}, "needs 1.5 GPUs; expected a share of one"),
            ({"cpus": -1.0}, "needs -1.0 cpus; expected 0 or more"),
            ({"resources": (("large", float("nan")),)}, "needs nan large; expected 0 or more"),
            ({"actors": 0}, "1 threads an actor and 0 actors; expected 1 or more"),
            ({"threads": 0}, "0 threads an actor"),
        ],
    )
    def test_needs_that_no_actor_can_have_are_refused(self, wrong, message):
        with pytest.raises(PoolError, match=re.escape(message)):
            Needs(**wrong)

    @given(share=st.sampled_from([0.1, 0.2, 0.25, 0.3, 0.5, 0.7, 1.0, 2.0]), gpus=st.integers(0, 8))
    def test_room_is_what_filling_the_gpus_one_by_one_finds(self, share, gpus):
        free, actors = [1.0] * gpus, 0
        if share <= 1.0:
            for gpu in range(gpus):
                while free[gpu] >= share - 1e-6:
                    free[gpu] -= share
                    actors += 1
        else:
            actors = gpus // int(share)

        needs = Needs(cpus=0.0, gpus=share)
        assert rooms(needs.demand(), {"CPU": 1.0, "GPU": float(gpus)}) == actors

    def test_the_scarcest_resource_says_how_many_actors_there_is_room_for(self):
        demand = Needs(cpus=2.0, memory=3 * 2**30, resources=(("large", 1.0),)).demand()
        node = {"CPU": 8.0, "memory": 10.0 * 2**30, "large": 5.0}

        assert rooms(demand, node) == 3
        assert rooms(demand, {**node, "CPU": 3.9}) == 1
        assert rooms(demand, {"CPU": 8.0, "memory": 10.0 * 2**30}) == 0


def test_a_model_on_dask_is_opened_once_in_each_process(version, diary):
    with dask_cluster.connect(workers=2) as client:
        process(keys(COUNT), ToyModel(diary=diary), version=version, client=client)

    assert told(diary, "opened-cpu") <= 2
    np.testing.assert_array_equal(rows_of(version.group()), expected(COUNT, run="a"))


@pytest.fixture(scope="class")
def cluster():
    """Two cores and, in Ray's books only, one GPU."""
    with ray_cluster.connect(workers=2, gpus=1) as found:
        yield found


@pytest.mark.ray
@pytest.mark.slow
class TestActors:
    def test_each_opens_its_model_once_and_they_write_what_one_process_writes(
        self, version, cluster, diary
    ):
        job = ToyModel(diary=diary, company=2)
        receipts = process(keys(COUNT), job, version=version, client=Pool(cluster), batch=5)

        here = begin(diary / "here")
        alone = process(keys(COUNT), ToyModel(), version=here)
        assert rows_of(version.group()).tobytes() == rows_of(here.group()).tobytes()
        assert told(diary, "opened-cpu") == 2
        assert [r.output_sha256 for r in receipts] == [r.output_sha256 for r in alone]
        assert all(len(receipt.output_sha256) == 64 for receipt in receipts)

    def test_an_actor_that_is_killed_is_replaced_and_the_bytes_are_the_same(
        self, version, cluster, diary
    ):
        job = ToyModel(diary=diary, fatal_once=(5, 9))
        receipts = process(keys(COUNT), job, version=version, client=Pool(cluster))

        assert told(diary, "key-5") == told(diary, "key-9") == 2
        assert {receipt.state for receipt in receipts} == {"done"}
        np.testing.assert_array_equal(rows_of(version.group()), expected(COUNT, run="a"))

    def test_a_key_that_kills_every_actor_is_quarantined_and_the_others_are_done(
        self, version, cluster, diary
    ):
        job = ToyModel(diary=diary, fatal=(5,))
        receipts = process(keys(COUNT), job, version=version, client=Pool(cluster))

        failed = [receipt for receipt in receipts if receipt.state == "failed"]
        assert [receipt.key for receipt in failed] == ["key/5"]
        assert failed[0].reason.startswith("quarantined: every worker that was given this key died")
        assert told(diary, "key-5") == CRASHES
        rows = rows_of(version.group())
        assert np.isnan(rows[5]).all()
        np.testing.assert_array_equal(np.delete(rows, 5, 0), np.delete(expected(12, run="a"), 5, 0))

    @pytest.mark.long
    def test_keys_that_all_kill_their_actors_speak_against_the_job(
        self, version, cluster, monkeypatch
    ):
        monkeypatch.setenv("NUNATAK_ALLOWED_FAILURES", "1")
        job = ToyModel(fatal=tuple(range(COUNT)))

        with pytest.raises(WorkersLost, match="each of the first 3 keys ended every worker"):
            process(keys(COUNT), job, version=version, client=Pool(cluster), batch=1)

    def test_a_model_that_cannot_be_opened_ends_the_run_with_its_error(
        self, version, cluster, diary
    ):
        job = ToyModel(diary=diary, opens="never")

        with pytest.raises(ValueError, match=r"^the weights have another hash") as caught:
            process(keys(COUNT), job, version=version, client=Pool(cluster))

        assert "on a Ray worker" in caught.value.__notes__[0]
        assert version.receipts() == {}
        assert told(diary, "opened") <= 2

    def test_a_model_that_kills_who_opens_it_ends_the_run_and_blames_no_key(
        self, version, cluster, diary
    ):
        job = ToyModel(diary=diary, opens="dies")

        with pytest.raises(WorkersLost, match="the actors die while they open the model"):
            process(keys(COUNT), job, version=version, client=Pool(cluster))

        assert version.receipts() == {}
        assert CRASHES <= told(diary, "opened") <= CRASHES + 2

    def test_bad_input_fails_its_key_and_a_defect_ends_the_run(self, version, cluster):
        job = ToyModel(Rows(bad=(3,), broken=(7,)))

        with pytest.raises(ZeroDivisionError, match=r"^a defect at key/7"):
            process(keys(COUNT), job, version=version, client=Pool(cluster), batch=1)

        receipts = version.receipts()
        assert receipts["key/3"].reason == "the input of key/3 is truncated"
        assert "key/7" not in receipts

    def test_an_interruption_keeps_what_is_finished_and_ends_the_actors(
        self, version, cluster, diary
    ):
        def interrupt(receipt: Receipt) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            process(
                keys(COUNT),
                ToyModel(Rows(seconds=0.2), diary=diary),
                version=version,
                client=Pool(cluster),
                batch=1,
                on_receipt=interrupt,
            )

        assert len(version.receipts()) == 1
        actors = [path.name.split("-")[2].split(".")[0] for path in diary.glob("opened-*")]
        deadline = time.monotonic() + 60.0
        while any(Path(f"/proc/{pid}").exists() for pid in actors):
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def test_no_more_than_two_keys_are_under_way_at_an_actor(self, version, cluster, monkeypatch):
        most, of_one = [], []
        deal = PoolWorkers._deal

        def counted(self):
            deal(self)
            flights = [len(actor.flights) for actor in self._actors]
            most.append(len(self._queue) + sum(flights))
            of_one.append(max(flights, default=0))

        monkeypatch.setattr(PoolWorkers, "_deal", counted)
        process(keys(COUNT), ToyModel(Rows(seconds=0.02)), version=version, client=Pool(cluster))

        assert max(most) == 4
        assert max(of_one) == 2

    def test_what_passes_through_the_driver_is_small_whatever_the_chunks_hold(
        self, tmp_path, cluster, monkeypatch
    ):
        """16 MiB a key, and less than 16 KiB of messages: the stated bound is 64 KiB."""
        sent, received = [], []
        submit, outcome = PoolWorkers.submit, PoolWorkers.outcome

        def submitted(self, key, shipped, fork):
            sent.append(len(cloudpickle.dumps((key, fork))))
            return submit(self, key, shipped, fork)

        def landed(self, task):
            result = outcome(self, task)
            received.append(len(cloudpickle.dumps(result)))
            return result

        monkeypatch.setattr(PoolWorkers, "submit", submitted)
        monkeypatch.setattr(PoolWorkers, "outcome", landed)
        version = Repository.open(str(tmp_path / "product.icechunk")).begin("a")
        version.initialise(large_arrays)
        receipts = process(keys(4), LargeRows(), version=version, client=Pool(cluster))

        assert min(receipt.bytes_written for receipt in receipts) > 12 * 2**20
        assert len(sent) == len(received) == 4
        assert max(sent + received) < LARGEST_MESSAGE

    def test_two_pools_with_shares_of_one_gpu_work_side_by_side(self, tmp_path, cluster, diary):
        found = {}

        def work(name: str, needs: Needs) -> None:
            version = begin(tmp_path / name)
            job = ToyModel(diary=diary, company=3)
            process(keys(COUNT), job, version=version, client=Pool(cluster, needs))
            found[name] = rows_of(version.group())

        assert Pool(cluster, Needs(cpus=0.5, gpus=0.25)).size() == 4
        assert Pool(cluster, Needs(cpus=0.5, gpus=0.3)).size() == 3
        threads = [
            threading.Thread(target=work, args=("small", Needs(0.25, gpus=0.25, actors=2))),
            threading.Thread(target=work, args=("large", Needs(0.5, gpus=0.5, actors=1))),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert told(diary, "opened-cuda") == 3
        for rows in found.values():
            np.testing.assert_array_equal(rows, expected(COUNT, run="a"))

    def test_an_actor_has_the_threads_of_its_needs(self, version, cluster):
        pool = Pool(cluster, Needs(cpus=2.0, threads=2))
        assert pool.size() == 1

        process(["key/0"], two_threads, version=version, client=pool)

    def test_needs_beyond_every_node_are_told_at_once_on_this_machine(self, version, cluster):
        pool = Pool(cluster, Needs(gpus=2.0, label="restoration"))
        started = time.monotonic()

        with pytest.raises(ClusterError, match=r"pool 'restoration' needs .*'GPU': 2.* no node of"):
            process(keys(COUNT), ToyModel(), version=version, client=pool)

        assert time.monotonic() - started < 25.0


LARGEST_MESSAGE = 64 * 2**10


def large_arrays(group: zarr.Group) -> None:
    group.create_array("rows", shape=(4, 2**21), chunks=(1, 2**19), dtype="f8", fill_value=0.0)


class LargeRows(ToyModel):
    """Four chunks of 4 MiB a key that do not compress."""

    def opened(self, device: str):
        return large_row


def large_row(key: str, group: zarr.Group) -> None:
    number = int(key.split("/")[1])
    group["rows"][number] = np.random.default_rng(number).normal(size=2**21)


def two_threads(key: str, group: zarr.Group) -> None:
    assert {os.environ[name] for name in dask_cluster.ONE_THREAD} == {"2"}
    Rows()(key, group)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.long
def test_a_node_that_is_lost_is_done_without_and_changes_no_byte(tmp_path, monkeypatch, diary):
    """A second node joins the head, has the only actors, and loses all its processes at once."""
    token = secrets.token_hex(32)
    ray_head.use(monkeypatch, token)
    monkeypatch.setenv("NUNATAK_CONNECT_TIMEOUT", "2min")
    version = begin(tmp_path / "product.icechunk")
    seats = '{"seat": 1}'
    with ray_head.started(cpus=1, token=token) as head:
        lost = head.join(cpus=1, resources=seats)
        with ray_cluster.connect(head.address) as cluster:

            def cut(receipt: Receipt) -> None:
                if receipt.key == "key/2":
                    ray_head.kill(lost)
                    head.join(cpus=1, resources=seats)

            process(
                keys(COUNT),
                ToyModel(Rows(seconds=0.3), diary=diary),
                version=version,
                client=Pool(cluster, Needs(resources=(("seat", 1.0),))),
                batch=1,
                on_receipt=cut,
            )

    assert told(diary, "opened") == 2
    np.testing.assert_array_equal(rows_of(version.group()), expected(COUNT, run="a"))
