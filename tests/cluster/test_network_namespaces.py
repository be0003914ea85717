"""Two worker processes on two hosts, one cut off in the middle: the same numbers come out."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cluster import dask_cluster
from cluster.settings import ClusterSettings
from tests.fixtures import interrupted_job
from tests.fixtures.namespaces import Network

pytestmark = [pytest.mark.services]

LIMIT = 90.0  # [s] for the whole job, from the cut to the last key
CUT_AFTER = 8  # keys
PATIENCE = ClusterSettings(worker_ttl=15.0, tcp_timeout=12.0, connect_timeout=20.0)
DASK = [sys.executable, "-m", "dask"]


def _listener(network: Network, host: str, log: Path) -> "subprocess.Popen[str]":
    program = (
        "import socket\n"
        f"server = socket.create_server(('{network.address[host]}', 9000))\n"
        "print('ready', flush=True)\n"
        "while True: server.accept()[0].close()\n"
    )
    process = network.start(
        host, [sys.executable, "-c", program], environment={}, log=log, listen=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _reaches(network: Network, source: str, target: str, log: Path) -> bool:
    program = (
        "import socket\n"
        f"socket.create_connection(('{network.address[target]}', 9000), timeout=2).close()\n"
    )
    process = network.start(source, [sys.executable, "-c", program], environment={}, log=log)
    return process.wait(timeout=20) == 0


def test_hosts_reach_each_other_until_the_cable_is_pulled(network: Network, tmp_path: Path):
    log = tmp_path / "log"
    _listener(network, "c", log)

    assert _reaches(network, "a", "c", log)
    network.cut("c")
    assert not _reaches(network, "a", "c", log)
    network.mend("c")
    assert _reaches(network, "b", "c", log)


def _start_cluster(network: Network, folder: Path) -> str:
    """Start a scheduler on host a and a worker on b and on c; return the scheduler's address."""
    environment = dask_cluster.spot_environment(PATIENCE)
    address = f"tcp://{network.address['a']}:8786"
    network.start(
        "a",
        [*DASK, "scheduler", "--host", network.address["a"], "--port", "8786", "--no-dashboard"],
        environment=environment,
        log=folder / "scheduler.log",
    )
    for host in ("b", "c"):
        network.start(
            host,
            [
                *DASK,
                "worker",
                address,
                *("--host", network.address[host]),
                *("--nthreads", "1"),
                *("--local-directory", str(folder / host)),
                "--no-dashboard",
            ],
            environment={
                **environment,
                "NUNATAK_TEST_HOST": host,
                "NUNATAK_TEST_SECONDS": "0.25",
            },
            log=folder / f"worker-{host}.log",
        )
    return address


@pytest.mark.slow
@pytest.mark.timeout(150)
@pytest.mark.long
def test_a_worker_cut_off_in_the_middle_changes_no_number(network: Network, tmp_path: Path):
    undisturbed, disturbed = str(tmp_path / "undisturbed"), str(tmp_path / "disturbed")
    interrupted_job.run(None, undisturbed)
    scheduler = _start_cluster(network, tmp_path)
    driver = network.start(
        "a",
        [sys.executable, "-m", "tests.fixtures.interrupted_job", scheduler, disturbed],
        environment={
            "NUNATAK_TCP_TIMEOUT": f"{PATIENCE.tcp_timeout:g}",
            "NUNATAK_CONNECT_TIMEOUT": f"{PATIENCE.connect_timeout:g}",
        },
        log=tmp_path / "driver.log",
        listen=True,
    )
    assert driver.stdout is not None
    before = [driver.stdout.readline().split() for _ in range(CUT_AFTER)]
    assert all(before), (tmp_path / "driver.log").read_text()
    started = time.monotonic()
    network.cut("c")
    after = [line.split() for line in driver.stdout]

    assert driver.wait(timeout=LIMIT) == 0, (tmp_path / "driver.log").read_text()
    assert time.monotonic() - started < LIMIT
    assert {host for _, host in before} == {"b", "c"}
    assert [host for _, host in after].count("c") <= 2  # on its way when the cable was pulled
    assert sorted(key for key, _ in before + after) == sorted(interrupted_job.KEYS)
    np.testing.assert_array_equal(
        interrupted_job.field(disturbed), interrupted_job.field(undisturbed), strict=True
    )
