"""Who works on an output holds its lease: others say so, and the dead are replaced."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from cluster import lease, object_store
from cluster.lease import OutputHeld
from cluster.store_errors import StoreError
from tests.fixtures.faulty_proxy import FaultyProxy
from tests.fixtures.seaweed import S3Store

SECONDS = 1.5
LONG = 6.0
"""A lease that no busy machine lets run out: whoever lives renews it three times before."""
HOLDER = """
import sys, time
from cluster import lease
try:
    with lease.held(sys.argv[1], run_id="other") as held:
        print("held", flush=True)
        while True:
            time.sleep(0.05)
            held.require()
except lease.LeaseLost as lost:
    print(lost, flush=True)
    sys.exit(2)
"""


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUNATAK_LEASE", f"{SECONDS:g}")


@pytest.fixture
def _long(_short: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUNATAK_LEASE", f"{LONG:g}")


@contextmanager
def another_driver(output: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, output], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def elsewhere(output: str) -> None:
    """Let the note of an output tell of another host, whose processes nobody here can see."""
    address = object_store.join(output, lease.NAME)
    note = json.loads(object_store.read_bytes(address))
    note["process"] |= {"host": "elsewhere", "boot": "another"}
    object_store.write_bytes(address, json.dumps(note).encode())


@pytest.fixture(params=["disk", "bucket"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "disk":
        return str(tmp_path / "out")
    store: S3Store = request.getfixturevalue("s3_environment")
    return store.url(tmp_path.name)


@pytest.mark.services
class TestAnyStore:
    @pytest.mark.usefixtures("_long")
    def test_a_second_driver_is_told_who_holds_the_output(self, output: str) -> None:
        with another_driver(output) as other:
            expected = rf"process {other.pid} of \S+ \(run other\); wait for it, or end it"
            with pytest.raises(OutputHeld, match=expected), lease.held(output, run_id="mine"):
                pytest.fail("two drivers held one output")

    @pytest.mark.usefixtures("_long")
    def test_what_was_let_go_is_free_at_once(self, output: str) -> None:
        started = time.monotonic()
        for _ in range(3):
            with lease.held(output, run_id="mine") as held:
                held.require()
        assert time.monotonic() - started < LONG

    def test_an_error_within_lets_go_too(self, output: str) -> None:
        with pytest.raises(ZeroDivisionError), lease.held(output, run_id="mine"):
            raise ZeroDivisionError
        with lease.held(output, run_id="mine"):
            pass

    @pytest.mark.usefixtures("_long")
    def test_a_driver_killed_on_this_host_is_replaced_at_once(self, output: str) -> None:
        with another_driver(output) as other:
            other.kill()
            other.wait()
            started = time.monotonic()
            with lease.held(output, run_id="mine"):
                assert time.monotonic() - started < LONG

    @pytest.mark.usefixtures("_long")
    def test_of_many_at_once_one_holds_it(self, output: str) -> None:
        refused = threading.Semaphore(0)

        def attempt(number: int) -> bool:
            try:
                with lease.held(output, run_id=str(number)):
                    return all(refused.acquire(timeout=60.0) for _ in range(5))
            except OutputHeld:
                refused.release()
                return False

        with ThreadPoolExecutor(6) as drivers:
            assert sum(drivers.map(attempt, range(6))) == 1


@pytest.mark.services
class TestBucket:
    def test_a_silent_driver_elsewhere_is_replaced_after_a_lease(
        self, s3_environment: S3Store, tmp_path: Path
    ) -> None:
        output = s3_environment.url(tmp_path.name)
        with another_driver(output) as other:
            other.send_signal(signal.SIGSTOP)
            elsewhere(output)
            started = time.monotonic()
            with lease.held(output, run_id="mine") as held:
                assert time.monotonic() - started >= SECONDS
                other.send_signal(signal.SIGCONT)
                assert other.stdout is not None
                assert f"taken over by process {os.getpid()} of" in other.stdout.readline()
                assert other.wait(20) == 2
                held.require()

    @pytest.mark.usefixtures("_long")
    def test_a_living_driver_is_seen_within_a_lease_whatever_the_clocks_say(
        self, s3_environment: S3Store, tmp_path: Path
    ) -> None:
        output = s3_environment.url(tmp_path.name)
        with another_driver(output):
            started = time.monotonic()
            with pytest.raises(OutputHeld), lease.held(output, run_id="mine"):
                pytest.fail("two drivers held one output")
            assert time.monotonic() - started < LONG

    def test_a_lease_outlives_a_store_that_is_away_for_a_while(
        self, faulty_proxy: FaultyProxy, s3_environment: S3Store, tmp_path: Path
    ) -> None:
        output = s3_environment.url(tmp_path.name)
        with lease.held(output, run_id="mine") as held:
            s3_environment.kill()
            time.sleep(2 * SECONDS)
            s3_environment.restart()
            time.sleep(SECONDS)
            held.require()

    def test_a_note_that_nobody_of_ours_wrote_is_watched_and_then_replaced(
        self, s3_environment: S3Store, tmp_path: Path
    ) -> None:
        output = s3_environment.url(tmp_path.name)
        for text in (b"", b"\xff\x00", b"[1]", b'{"state": "held", "process": {"pid": "1"}}'):
            object_store.write_bytes(object_store.join(output, lease.NAME), text)
            with lease.held(output, run_id="mine") as held:
                held.require()

    def test_a_renewal_whose_answer_was_lost_is_recognised(
        self, s3_environment: S3Store, tmp_path: Path
    ) -> None:
        note = lease._Note(object_store.parse(s3_environment.url(tmp_path.name)).join(lease.NAME))
        text = lease._written("held", "me", "mine")
        first = note.replace(text, None)
        # The same request once more, as botocore sends it when the first answer does not come.
        assert note.replace(text, None) == first
        assert note.replace(lease._written("held", "you", "other"), None) is None


@pytest.mark.services
@pytest.mark.parametrize("how", ["written", "not written"])
def test_a_driver_does_not_take_itself_for_dead(
    s3_environment: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """A renewal whose answer is lost may have been written: the next one names an old state."""
    replace, renewals = lease._Note.replace, []

    def without_answer(note: lease._Note, text: bytes, etag: str | None) -> str | None:
        renewals.append(text)
        if len(renewals) == 3:
            if how == "written":
                replace(note, text, etag)
            raise StoreError("no answer")
        return replace(note, text, etag)

    monkeypatch.setattr(lease._Note, "replace", without_answer)
    with lease.held(s3_environment.url(tmp_path.name), run_id="mine") as held:
        while len(renewals) < 6:
            time.sleep(0.05)
        held.require()


def test_a_process_is_not_taken_for_another_one_with_its_number() -> None:
    here = lease.this_process()
    assert not here.is_dead
    assert dataclasses.replace(here, started=here.started + 1).is_dead
    assert not dataclasses.replace(here, boot="of another host", started=1).is_dead
