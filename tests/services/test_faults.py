"""Workers, schedulers and drivers that go in the middle of a run: the numbers are those of one
process, nothing is lost, nothing is written twice.
"""

from pathlib import Path

import pytest

from tests.services import clocks
from tests.services.conftest import MakeWork, Work
from tests.services.datacentre import Datacentre, Driver

pytestmark = [
    pytest.mark.services, pytest.mark.network, pytest.mark.long, pytest.mark.timeout(400),
]  # fmt: skip

SOME = 10
"""Committed keys, of 65, when something goes wrong."""


@pytest.fixture
def gravimetry(centre: Datacentre, work: MakeWork) -> Work:
    centre.start_dask()
    return work("gravimetry")


@pytest.fixture
def running(
    centre: Datacentre, gravimetry: Work, request: pytest.FixtureRequest
) -> tuple[Driver, Path, str]:
    """Return a run in its middle: its driver, its run file, its output."""
    path, output = gravimetry.run_file(centre, request.node.name)
    driver = centre.drive(path, "--scheduler", centre.scheduler)
    centre.wait_for_keys(output, SOME, driver)
    return driver, path, output


def test_a_worker_is_killed(centre, gravimetry, running):
    driver, _, output = running
    centre.kill("worker1")

    assert driver.ended() == 0, driver.text()
    gravimetry.require_equal(centre.audit(output))


def test_the_link_of_a_worker_is_cut(centre, gravimetry, running):
    driver, _, output = running
    centre.network.cut("worker1")
    try:
        assert driver.ended() == 0, driver.text()
        gravimetry.require_equal(centre.audit(output))
    finally:
        centre.network.mend("worker1")
        centre.kill("worker1")


def test_the_scheduler_is_killed_and_the_command_repeated(centre, gravimetry, running):
    driver, path, output = running
    centre.kill("scheduler")

    assert driver.ended() == 130, driver.text()
    assert "Dask scheduler is gone" in driver.text().splitlines()[-1]
    for host in ("worker1", "worker2"):
        centre.kill(host)
    centre.start_dask()
    again = centre.drive(path, "--scheduler", centre.scheduler)
    assert again.ended() == 0, again.text()
    gravimetry.require_equal(centre.audit(output))


def test_the_driver_is_killed_and_the_command_repeated(centre, gravimetry, running):
    driver, path, output = running
    driver.kill()

    again = centre.drive(path, "--scheduler", centre.scheduler)

    assert again.ended() == 0, again.text()
    gravimetry.require_equal(centre.audit(output))


def test_of_two_drivers_of_one_run_file_one_wins_and_the_other_says_so(centre, gravimetry):
    path, output = gravimetry.run_file(centre, "twice")
    drivers = [
        centre.drive(path, "--scheduler", centre.scheduler, host=host) for host in ("desk", "desk2")
    ]

    ended = {driver.ended(): driver for driver in drivers}

    assert ended.keys() == {0, 2}, [driver.text() for driver in drivers]
    said = ended[2].text().splitlines()[-1]
    assert f"{output} is being worked on by process {ended[0].process.pid} of" in said
    gravimetry.require_equal(centre.audit(output))


def test_the_clocks_of_the_hosts_differ_by_minutes(
    centre: Datacentre, gravimetry: Work, tmp_path: Path
):
    for host, minutes in {"worker1": 9, "worker2": -9, "desk": 4}.items():
        centre.preloaded[host] = clocks.skewing_library(60 * minutes, tmp_path)
        centre.kill(host)
    try:
        centre.start_dask()
        assert float(centre.ask("desk", "tests.services.clocks")) > 200.0
        path, output = gravimetry.run_file(centre, "skewed")
        driver = centre.drive(path, "--scheduler", centre.scheduler)
        assert driver.ended() == 0, driver.text()
    finally:
        centre.preloaded.clear()
        for host in ("worker1", "worker2"):
            centre.kill(host)
    gravimetry.require_equal(centre.audit(output))
