"""Keys on Ray: the same numbers as here and on Dask, and the same promises when things go wrong."""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import zarr

from cluster import dask_cluster, ray_cluster
from cluster.dask_cluster import ClusterError
from cluster.ledger import Receipt
from cluster.metered_store import WholeChunkError
from cluster.ray_crew import RayWorkers
from cluster.work import WorkersLost, process
from cluster.zarr_sink import Repository, Version
from tests.fixtures.products import LENGTH, Rows, Template, expected, keys, rows_of

COUNT = 12


def begin(path: Path) -> Version:
    version = Repository.open(str(path)).begin("a")
    version.initialise(Template(COUNT))
    return version


@pytest.fixture
def version(tmp_path) -> Version:
    return begin(tmp_path / "product.icechunk")


@pytest.fixture(scope="class")
def ray():
    with ray_cluster.connect(workers=2) as found:
        yield found


@dataclass(frozen=True)
class Spectrum(Rows):
    """Linear algebra and sums, whose last bits tell of threads and of the order of terms."""

    table: np.ndarray = field(
        default_factory=lambda: np.random.default_rng(0).normal(size=(LENGTH, LENGTH))
    )

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        number = int(key.split("/")[1])
        rows = np.random.default_rng(number).normal(size=(LENGTH, LENGTH))
        group["rows"][number] = np.linalg.svd(rows @ self.table, compute_uv=False)
        return Receipt(key, "done")


@pytest.mark.ray
class TestKeysOnRay:
    @pytest.mark.slow
    def test_here_dask_and_ray_write_the_same_bits(self, tmp_path, ray):
        found = {}
        with dask_cluster.connect(workers=2) as client:
            for name, workers in (("here", None), ("dask", client), ("ray", ray)):
                version = begin(tmp_path / name)
                process(keys(COUNT), Spectrum(), version=version, client=workers, batch=5)
                found[name] = rows_of(version.group())

        assert np.isfinite(found["ray"]).all()
        assert found["dask"].tobytes() == found["ray"].tobytes()
        # This process may have more threads for linear algebra than the workers' one.
        np.testing.assert_allclose(found["here"], found["ray"], rtol=1e-10)

    def test_rows_without_linear_algebra_are_those_of_one_process_to_the_bit(self, version, ray):
        receipts = process(keys(COUNT), Rows(), version=version, client=ray, batch=5)

        np.testing.assert_array_equal(rows_of(version.group()), expected(COUNT, run="a"))
        assert [receipt.key for receipt in receipts] == keys(COUNT)

    def test_bad_input_fails_its_key_alone(self, version, ray):
        receipts = process(keys(COUNT), Rows(bad=(3,)), version=version, client=ray, batch=4)

        rows = rows_of(version.group())
        assert [r.key for r in receipts if r.state == "failed"] == ["key/3"]
        assert receipts[3].reason == "the input of key/3 is truncated"
        assert receipts[3].inputs == ("item-3",)
        assert np.isnan(rows[3]).all()
        np.testing.assert_array_equal(np.delete(rows, 3, 0), np.delete(expected(12, run="a"), 3, 0))

    def test_a_defect_ends_the_run_as_what_the_job_raised(self, version, ray):
        with pytest.raises(ZeroDivisionError, match=r"^a defect at key/7") as caught:
            process(keys(COUNT), Rows(broken=(7,)), version=version, client=ray)

        done = sorted(int(key.split("/")[1]) for key in version.receipts())
        assert 7 not in done
        np.testing.assert_array_equal(rows_of(version.group())[done], expected(12, run="a")[done])
        assert "on a Ray worker" in caught.value.__notes__[0]

    def test_a_part_of_a_chunk_is_refused_likewise(self, version, ray):
        def part(key: str, group: zarr.Group) -> None:
            group["rows"][0, : LENGTH // 2] = 1.0

        with pytest.raises(WholeChunkError, match="a part of chunk 'rows/c/0/0'"):
            process(keys(1), part, version=version, client=ray)

    def test_a_worker_that_is_killed_costs_time_and_no_number(self, version, ray, tmp_path):
        fatal = tmp_path / "died-once"
        process(keys(COUNT), Rows(fatal=fatal), version=version, client=ray)

        assert fatal.exists()
        np.testing.assert_array_equal(rows_of(version.group()), expected(COUNT, run="a"))

    def test_a_key_that_ends_every_worker_is_named_and_the_others_are_kept(
        self, version, ray, monkeypatch
    ):
        def deadly(key: str, group: zarr.Group) -> Receipt:
            if key == "key/5":
                os.kill(os.getpid(), signal.SIGKILL)
            return Rows()(key, group)

        monkeypatch.setenv("NUNATAK_ALLOWED_FAILURES", "1")
        with pytest.raises(WorkersLost, match="worker that was given key 'key/5' died"):
            process(keys(COUNT), deadly, version=version, client=ray, batch=2)

        done = sorted(int(key.split("/")[1]) for key in version.receipts())
        assert 5 not in done
        np.testing.assert_array_equal(rows_of(version.group())[done], expected(12, run="a")[done])

    def test_an_interruption_keeps_what_is_finished_and_ends_what_is_not(
        self, version, ray, tmp_path
    ):
        started = tmp_path / "started"
        started.mkdir()

        def slow(key: str, group: zarr.Group) -> Receipt:
            (started / key.replace("/", "-")).touch()
            if key != "key/0":
                time.sleep(60.0)
            return Rows()(key, group)

        def interrupt(receipt: Receipt) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            process(keys(4), slow, version=version, client=ray, batch=1, on_receipt=interrupt)

        assert sorted(version.receipts()) == ["key/0"]
        again = time.monotonic()
        process(keys(COUNT), Rows(), version=version, client=ray)
        assert time.monotonic() - again < 40.0
        np.testing.assert_array_equal(rows_of(version.group()), expected(COUNT, run="a"))

    def test_no_more_than_two_tasks_per_core_are_under_way(self, version, ray, monkeypatch):
        most = []
        start = RayWorkers._start

        def counted(self, task):
            start(self, task)
            most.append(len(self._flying))

        monkeypatch.setattr(RayWorkers, "_start", counted)
        process(keys(COUNT), Rows(seconds=0.02), version=version, client=ray)

        assert len(most) == COUNT
        assert max(most) <= 4

    def test_a_large_job_is_put_into_the_store_once(self, version, ray, monkeypatch):
        import ray as library

        put, times = library.put, []
        monkeypatch.setattr(library, "put", lambda job: times.append(job) or put(job))
        process(keys(COUNT), Spectrum(), version=version, client=ray)

        assert len(times) == 1

    def test_linear_algebra_has_one_thread(self, version, ray):
        def check(key: str, group: zarr.Group) -> Receipt:
            assert {os.environ[name] for name in dask_cluster.ONE_THREAD} == {"1"}
            return Rows()(key, group)

        process(keys(2), check, version=version, client=ray)

    def test_nothing_listens_beyond_the_loopback(self, ray):
        import psutil

        family = [psutil.Process(), *psutil.Process().children(recursive=True)]
        listening = {
            connection.laddr.ip.removeprefix("::ffff:")
            for process_ in family
            for connection in process_.net_connections(kind="inet")
            if connection.status == psutil.CONN_LISTEN
        }
        assert listening == {"127.0.0.1"}

    def test_memory_and_cores_are_those_of_local_workers(self, ray):
        assert ray.threads() == 2
        shape = dask_cluster.local_shape(dask_cluster.settings.ClusterSettings(), 2)
        assert ray.worker_memory() == pytest.approx(shape[1], rel=0.01)

    def test_a_second_connection_in_a_process_is_refused(self, ray):
        with pytest.raises(ClusterError, match="connected to Ray already"), ray_cluster.connect():
            pass


def test_a_node_that_does_not_start_in_time_is_told_as_the_clusters_fault(monkeypatch):
    """Ray raises a bare Exception then, which would be taken for a defect of ours."""
    import ray

    def init(**_: object) -> None:
        raise Exception("The current node timed out during startup.")  # noqa: TRY002 as Ray does

    monkeypatch.setattr(ray, "init", init)
    with (
        pytest.raises(ClusterError, match=r"timed out during startup.*expected 1 cores"),
        ray_cluster.connect(workers=1),
    ):
        pass


@pytest.mark.ray
@pytest.mark.slow
def test_an_interrupted_driver_leaves_neither_process_nor_folder(tmp_path):
    script = tmp_path / "interrupted.py"
    script.write_text(
        "import signal, sys, tempfile, time\n"
        "tempfile.tempdir = sys.argv[1]\n"
        "from cluster import ray_cluster\n"
        "handler = signal.getsignal(signal.SIGTERM)\n"
        "try:\n"
        "    with ray_cluster.connect(workers=1):\n"
        "        assert signal.getsignal(signal.SIGTERM) is handler\n"
        "        import psutil\n"
        "        print(*(c.pid for c in psutil.Process().children(True)), flush=True)\n"
        "        time.sleep(60)\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(130)\n"
    )
    base = Path("/tmp") / f"n{os.getpid()}"  # noqa: S108 - a socket's path must be short
    base.mkdir()
    with subprocess.Popen(
        [sys.executable, str(script), str(base)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as driver:
        assert driver.stdout is not None
        children = driver.stdout.readline().split()
        os.killpg(driver.pid, signal.SIGINT)
        _, said = driver.communicate(timeout=60)

    assert (driver.returncode, said) == (130, "")
    assert children
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    base.rmdir()  # fails if anything is left in it


class TestAddress:
    @pytest.mark.parametrize("address", ["here", "ray://", "tcp://host:80", "host:", ""])
    def test_what_is_no_address_is_refused(self, address):
        with (
            pytest.raises(ClusterError, match="expected local, host:port or ray://host:port"),
            ray_cluster.connect(address),
        ):
            pass

    @pytest.mark.parametrize("scheme", ["", "ray://"])
    def test_nobody_there_is_reported_at_once(self, scheme):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            address = f"{scheme}127.0.0.1:{taken.getsockname()[1]}"
            with (
                pytest.raises(ClusterError, match=f"{address}: .*refused; expected a Ray cluster"),
                ray_cluster.connect(address),
            ):
                pass

    def test_something_that_is_no_ray_is_reported_in_bounded_time(self, monkeypatch):
        monkeypatch.setenv("NUNATAK_CONNECT_TIMEOUT", "2")
        started = time.monotonic()
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            with (
                pytest.raises(ClusterError, match="no Ray head node of our release within 2 s"),
                ray_cluster.connect(f"127.0.0.1:{other.getsockname()[1]}"),
            ):
                pass
        assert time.monotonic() - started < 60.0


def test_little_shared_memory_moves_the_store_into_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(ray_cluster, "_SHARED_MEMORY", tmp_path / "absent")
    assert ray_cluster._store_folder("/somewhere") == "/somewhere"
