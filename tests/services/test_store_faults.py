"""A store that dies, throttles, dawdles, cuts its answers short or is full, in the middle of a run:
the numbers are those of one process, nothing is lost, nothing is written twice.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.small_disks import small_disk
from tests.services import datacentre
from tests.services.conftest import MakeWork, Work
from tests.services.datacentre import Datacentre

pytestmark = [
    pytest.mark.services, pytest.mark.network, pytest.mark.long, pytest.mark.timeout(400),
]  # fmt: skip

SOME = 10
"""Committed keys, of 65, when something goes wrong."""
EVERYTHING = ("GET", "HEAD", "PUT", "POST", "DELETE")
SMALL_DISK = 2**30  # of sixteen volumes of the server


@pytest.fixture
def gravimetry(centre: Datacentre, work: MakeWork) -> Iterator[Work]:
    centre.start_dask()
    yield work("gravimetry")
    centre.faults()


def test_the_store_is_killed_and_started_again(centre: Datacentre, gravimetry: Work) -> None:
    path, output = gravimetry.run_file(centre, "killed")
    driver = centre.drive(path, "--scheduler", centre.scheduler)
    centre.wait_for_keys(output, SOME, driver)
    centre.kill("weed")
    centre.start_store()

    ended = driver.ended()

    # Requests wait for a while and not for ever: a run that gave up says so and is resumed.
    assert ended in {0, 2}, driver.text()
    if ended == 2:
        assert "nothing answers at http" in driver.text()
        again = centre.drive(path, "--scheduler", centre.scheduler)
        assert again.ended() == 0, again.text()
    gravimetry.require_equal(centre.audit(output))


@pytest.mark.parametrize(
    "faults",
    [
        {"every": 4, "methods": EVERYTHING},
        {"delay": 0.2, "methods": EVERYTHING},
        {"cut_every": 5},
    ],
    ids=["each fourth request throttled", "slow", "answers cut short"],
)
def test_a_run_outlasts_a_store_that_misbehaves(
    centre: Datacentre, gravimetry: Work, faults: dict[str, object]
) -> None:
    path, output = gravimetry.run_file(centre, "-".join(faults))
    driver = centre.drive(path, "--scheduler", centre.scheduler)
    centre.wait_for_keys(output, SOME, driver)
    centre.faults(**faults)

    assert driver.ended() == 0, driver.text()
    assert centre.wrong() >= 10
    centre.faults()
    gravimetry.require_equal(centre.audit(output))


def test_a_run_resumes_after_a_store_that_was_away(centre: Datacentre, gravimetry: Work) -> None:
    """Every request is refused for longer than anybody tries again."""
    path, output = gravimetry.run_file(centre, "away")
    driver = centre.drive(path, "--scheduler", centre.scheduler)
    centre.wait_for_keys(output, SOME, driver)
    centre.faults(every=1, methods=EVERYTHING)

    assert driver.ended() == 2, driver.text()
    assert "asks for fewer requests" in driver.text() or "SlowDown" in driver.text()
    assert centre.wrong() >= 10
    centre.faults()
    again = centre.drive(path, "--scheduler", centre.scheduler)
    assert again.ended() == 0, again.text()
    gravimetry.require_equal(centre.audit(output))


def test_the_disk_of_the_store_is_full(work: MakeWork, tmp_path: Path) -> None:
    made = work("gravimetry")
    (tmp_path / "centre").mkdir()
    with (
        small_disk(tmp_path / "disk", size=SMALL_DISK) as disk,
        datacentre.opened(tmp_path / "centre", shift=7) as centre,
    ):
        (centre.folder / "weed").symlink_to(disk)
        centre.start_store()
        centre.start_dask()
        path, output = made.run_file(centre, "full")
        centre.faults(delay=0.05, methods=EVERYTHING)  # that there is a middle of the run
        driver = centre.drive(path, "--scheduler", centre.scheduler)
        centre.wait_for_keys(output, SOME, driver)
        filler = disk / "filler"
        _fill(filler)

        assert driver.ended() == 2, driver.text()
        filler.unlink()
        centre.kill("weed")  # it looks at its disk when it starts
        centre.start_store()
        again = centre.drive(path, "--scheduler", centre.scheduler)
        assert again.ended() == 0, again.text()
        made.require_equal(centre.audit(output))


def _fill(path: Path) -> None:
    """Write until nothing more goes onto the disk."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        free = shutil.disk_usage(path.parent).free
        os.posix_fallocate(file.fileno(), 0, max(1, free - 8 * 2**20))
        file.seek(0, os.SEEK_END)
        while True:  # what the store takes meanwhile is not ours to have
            file.write(bytes(2**16))
