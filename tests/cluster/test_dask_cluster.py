"""One way to reach Dask: local processes, an address, and clear words when there is neither."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import dask
import pytest

from cluster import dask_cluster
from cluster.dask_cluster import ClusterError
from cluster.settings import ClusterSettings

GIB = 2**30


def _threads_started_by_a_product() -> int:
    def threads() -> set[str]:
        return {each.name for each in Path("/proc/self/task").iterdir()}

    import numpy as np

    before = threads()
    matrix = np.ones((600, 600))
    matrix @ matrix
    return len(threads() - before)


def _slow_square(number: int) -> int:
    time.sleep(0.1)
    return number * number


async def _told_of_heartbeat(fault, dask_worker):
    """Fail a worker's next heartbeat; return whether its log tells of it."""
    import logging
    from types import SimpleNamespace
    from unittest import mock

    log, told = logging.getLogger("distributed.worker"), []
    handler = logging.Handler()
    handler.emit = told.append
    gone = SimpleNamespace(heartbeat_worker=mock.AsyncMock(side_effect=fault))
    log.addHandler(handler)
    with (
        mock.patch.object(dask_worker, "scheduler", gone),
        mock.patch.object(dask_worker, "close", mock.AsyncMock()),
        contextlib.suppress(fault),
    ):
        await dask_worker.heartbeat()
    log.removeHandler(handler)
    return bool(told)


@pytest.fixture(scope="module")
def client():
    with dask_cluster.connect(workers=2) as found:
        yield found


class TestLocalProcesses:
    def test_they_are_processes_of_one_thread_each(self, client):
        assert set(client.nthreads().values()) == {1}
        pids = set(client.run(os.getpid).values())
        assert len(pids) == 2
        assert os.getpid() not in pids

    def test_linear_algebra_has_one_thread_too(self, client):
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            assert set(client.run(os.environ.get, name).values()) == {"1"}

    def test_a_product_of_matrices_starts_no_further_thread(self, client):
        assert set(client.run(_threads_started_by_a_product).values()) == {0}

    def test_nothing_listens_beyond_the_loopback(self, client):
        import psutil

        pids = [os.getpid(), *client.run(os.getpid).values()]
        listening = [
            connection.laddr.ip
            for pid in pids
            for connection in psutil.Process(pid).net_connections(kind="inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert listening
        assert set(listening) == {"127.0.0.1"}

    def test_the_smallest_worker_counts_for_planning(self, client):
        expected = dask_cluster.local_shape(ClusterSettings(), 2)[1]
        assert dask_cluster.worker_memory(client) == pytest.approx(expected, rel=0.01)

    def test_computations_find_the_client_by_themselves(self, client):
        lazy = dask.delayed(os.getpid)()
        assert lazy.compute() in set(client.run(os.getpid).values())

    @pytest.mark.parametrize(("fault", "told"), [(OSError, False), (ValueError, True)])
    def test_of_heartbeats_that_nobody_heard_nothing_is_said(self, client, fault, told):
        assert set(client.run(_told_of_heartbeat, fault).values()) == {told}

    def test_workers_log_as_the_driver_does(self, client):
        def handlers() -> list[str]:
            import logging

            return [type(each).__name__ for each in logging.getLogger().handlers]

        assert all("_StandardErrorHandler" in names for names in client.run(handlers).values())


def test_a_worker_that_is_killed_is_replaced_and_its_tasks_are_not_blamed():
    with dask_cluster.connect(workers=2) as client:
        futures = client.map(_slow_square, range(30))
        for _ in range(2):
            time.sleep(0.3)
            os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
        assert client.gather(futures) == [number**2 for number in range(30)]


def test_nothing_is_left_when_the_block_ends(monkeypatch):
    monkeypatch.setenv("NUNATAK_ALLOWED_FAILURES", "31")
    before = threading.active_count()
    failures = dask.config.get("distributed.scheduler.allowed-failures")
    with dask_cluster.connect(workers=1) as client:
        pid = next(iter(client.run(os.getpid).values()))
        assert dask.config.get("distributed.scheduler.allowed-failures") == 31
    assert not Path(f"/proc/{pid}").exists()
    assert dask.config.get("distributed.scheduler.allowed-failures") == failures != 31
    assert threading.active_count() <= before + 2  # Dask keeps its event loop and one offload


def test_settings_of_the_environment_shape_the_local_cluster(monkeypatch):
    monkeypatch.setenv("NUNATAK_WORKERS", "1")
    monkeypatch.setenv("NUNATAK_WORKER_MEMORY", "700MiB")
    with dask_cluster.connect() as client:
        assert len(client.nthreads()) == 1
        assert dask_cluster.worker_memory(client) == 700 * 2**20


class TestShape:
    def test_there_is_one_process_per_core_while_memory_lasts(self, monkeypatch):
        monkeypatch.setattr("dask.system.CPU_COUNT", 8)
        monkeypatch.setattr("distributed.system.MEMORY_LIMIT", 40 * GIB)
        assert dask_cluster.local_shape(ClusterSettings(), None) == (8, 4 * GIB)

    def test_little_memory_means_fewer_processes(self, monkeypatch):
        monkeypatch.setattr("dask.system.CPU_COUNT", 8)
        monkeypatch.setattr("distributed.system.MEMORY_LIMIT", 5 * GIB)
        count, memory = dask_cluster.local_shape(ClusterSettings(), None)
        assert count == 4
        assert memory == GIB

    def test_many_cores_are_capped_and_one_is_the_least(self, monkeypatch):
        monkeypatch.setattr("dask.system.CPU_COUNT", 256)
        monkeypatch.setattr("distributed.system.MEMORY_LIMIT", 1024 * GIB)
        assert dask_cluster.local_shape(ClusterSettings(), None)[0] == 16
        monkeypatch.setattr("distributed.system.MEMORY_LIMIT", GIB // 2)
        assert dask_cluster.local_shape(ClusterSettings(), None)[0] == 1

    def test_what_is_asked_for_is_given(self):
        asked = ClusterSettings(worker_memory=3 * GIB)
        assert dask_cluster.local_shape(asked, 5) == (5, 3 * GIB)


class TestAddress:
    def test_a_running_scheduler_is_reached_and_left_running(self, client):
        with dask_cluster.connect(client.scheduler.address) as second:
            assert second.submit(_slow_square, 7).result() == 49
        assert client.submit(_slow_square, 8).result() == 64

    @pytest.mark.parametrize("address", ["here", "tcp://", "tcp://host", "http://host:80", ""])
    def test_what_is_no_address_is_refused(self, address):
        with (
            pytest.raises(ClusterError, match="expected tcp://host:port or tls://host:port"),
            dask_cluster.connect(address),
        ):
            pass

    def test_nobody_there_is_reported_in_bounded_time(self, monkeypatch):
        monkeypatch.setenv("NUNATAK_CONNECT_TIMEOUT", "1")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
            started = time.monotonic()
            with (
                pytest.raises(ClusterError, match=f"{address}: Timed out.*check the address"),
                dask_cluster.connect(address),
            ):
                pass
        assert time.monotonic() - started < 25.0

    def test_a_scheduler_without_enough_workers_is_reported_in_bounded_time(
        self, client, monkeypatch
    ):
        monkeypatch.setenv("NUNATAK_CONNECT_TIMEOUT", "1")
        with (
            pytest.raises(ClusterError, match=r"gave no 3 worker\(s\) within 1 s; check that"),
            dask_cluster.connect(client.scheduler.address, workers=3),
        ):
            pass

    def test_encryption_without_certificates_says_which_settings_hold_them(self, monkeypatch):
        monkeypatch.setenv("NUNATAK_CONNECT_TIMEOUT", "1")
        with (
            pytest.raises(ClusterError, match=r"distributed\.comm\.tls"),
            dask_cluster.connect("tls://127.0.0.1:9"),
        ):
            pass


class _Answering:
    """A client whose worker tells of other software."""

    def __init__(self, **other: str) -> None:
        ours = {"nunatak": "0.1.0", "python": "3.11.7.final.0", "numpy": "2.4.6", "zarr": "3.1.6"}
        self._answer = {
            "client": {"packages": ours},
            "workers": {"tcp://a": {"packages": ours}, "tcp://b": {"packages": {**ours, **other}}},
        }

    def get_versions(self, packages: list[str]) -> dict[str, object]:
        return self._answer


class TestSoftware:
    def test_equal_software_passes_silently(self, caplog):
        dask_cluster._compare_software(_Answering(python="3.11.9.final.0"))
        assert caplog.text == ""

    def test_another_library_is_reported_with_both_versions(self, caplog):
        dask_cluster._compare_software(_Answering(zarr="3.4.2"))
        assert "zarr 3.1.6 here and 3.4.2 there" in caplog.text
        assert "same image or constraints.txt" in caplog.text

    @pytest.mark.parametrize(("name", "found"), [("nunatak", "0.2.0"), ("python", "3.12.1.final")])
    def test_another_nunatak_or_python_is_refused(self, name, found):
        with pytest.raises(ClusterError, match=f"{name} .* here and {found[:3]}"):
            dask_cluster._compare_software(_Answering(**{name: found}))

    def test_a_worker_without_nunatak_is_refused(self):
        with pytest.raises(ClusterError, match=r"nunatak 0\.1\.0 here and none there"):
            dask_cluster._compare_software(_Answering(nunatak=""))


def test_the_configuration_travels_as_environment_variables():
    choices = ClusterSettings(worker_ttl=15.0, tcp_timeout=12.0, allowed_failures=7)
    environment = dask_cluster.spot_environment(choices)
    program = (
        "import dask, distributed\n"
        "print(dask.config.get('distributed.scheduler.worker-ttl'),"
        " dask.config.get('distributed.comm.timeouts.tcp'),"
        " dask.config.get('distributed.scheduler.allowed-failures'))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == ["15s", "12s", "7"]
    assert environment["OMP_NUM_THREADS"] == "1"


def test_an_interrupted_driver_ends_its_workers_at_once_and_in_silence(tmp_path):
    script = tmp_path / "interrupted.py"
    script.write_text(
        "import os, sys, time\n"
        "from cluster import dask_cluster, telemetry\n"
        "if __name__ == '__main__':\n"
        "    telemetry.configure_logging()\n"
        "    try:\n"
        "        with dask_cluster.connect(workers=2) as client:\n"
        "            print(*client.run(os.getpid).values(), flush=True)\n"
        "            client.gather(client.map(time.sleep, [0.5 + n / 1e3 for n in range(100)]))\n"
        "    except KeyboardInterrupt:\n"
        "        sys.exit(130)\n"
    )
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as driver:
        assert driver.stdout is not None
        workers = driver.stdout.readline().split()
        time.sleep(0.5)
        os.killpg(driver.pid, signal.SIGINT)  # as Ctrl-C does: to the workers as well
        _, said = driver.communicate(timeout=30)

    assert driver.returncode == 130
    assert said == ""
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]


def test_a_script_without_a_main_guard_ends_with_the_remedy_and_does_not_hang(tmp_path):
    script = tmp_path / "unguarded.py"
    script.write_text(
        "from cluster import dask_cluster\n"
        "with dask_cluster.connect(workers=1) as client:\n"
        "    print(client.submit(sum, [1, 2]).result())\n"
    )
    run = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=60
    )
    assert run.returncode != 0
    assert "if __name__ == '__main__'" in run.stderr


def test_a_cluster_that_ran_here_leaves_the_configuration_of_the_next_alone():
    before = dask_cluster.spot_environment(ClusterSettings())
    with dask_cluster.connect(None, workers=1):
        pass
    assert dask_cluster.spot_environment(ClusterSettings()) == before
