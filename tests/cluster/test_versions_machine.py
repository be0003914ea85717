"""Any sequence of begin, write, commit, crash, race, publish and roll back against a plain model.

The model is a list of versions, each a dictionary from key to state, and copies of them made when
they were published. It knows nothing of branches, snapshots, forks or chunks. Set NUNATAK_EXPLORE
to try other sequences than the pinned ones.
"""

import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from cluster.ledger import Receipt
from cluster.work import Outcome, perform
from cluster.zarr_sink import Repository, Version, VersionConflict
from tests.fixtures.products import LENGTH, Rows, Template, row, rows_of

COUNT = 4
NUMBERS = st.integers(0, COUNT - 1)
RUNS = st.sampled_from("ab")


@dataclass(eq=False)
class Model:
    """One version as the model knows it."""

    run: str
    states: dict[str, str] = field(default_factory=dict)
    commits: int = 0

    def take(self, outcomes: list[Outcome]) -> list[str]:
        """Apply a commit and return the keys that are news."""
        news = []
        for key, state in ((o.receipt.key, o.receipt.state) for o in outcomes):
            held = self.states.get(key)
            if held not in {"done", state} and key not in news:
                news.append(key)
        self.states |= {o.receipt.key: o.receipt.state for o in outcomes if o.receipt.key in news}
        self.commits += bool(news)
        return news

    def rows(self) -> np.ndarray:
        rows = np.full((COUNT, LENGTH), np.nan)
        for key, state in self.states.items():
            if state == "done":
                number = int(key.split("/")[1])
                rows[number] = row(number, run=self.run)
        return rows


@dataclass(eq=False)
class Driver:
    """A process at work: its handle on a version, what it has not committed, and the model."""

    version: Version
    model: Model
    pending: list[Outcome] = field(default_factory=list)

    def write(self, number: int, *, bad: bool) -> None:
        key = f"key/{number}"
        job = Rows(run=self.model.run, bad=(number,) if bad else ())
        self.pending = [outcome for outcome in self.pending if outcome.receipt.key != key]
        self.pending.append(perform(key, job, self.version.fork()))

    def commit(self) -> list[Receipt]:
        pending, self.pending = self.pending, []
        return self.version.commit([o.fork for o in pending], [o.receipt for o in pending])


class Versions(RuleBasedStateMachine):
    """Rules act on the repository and on the model alike; invariants compare them."""

    drivers = Bundle("drivers")

    @initialize()
    def make(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.url = str(self.folder / "product.icechunk")
        self.repository = Repository.open(self.url)
        self.versions: list[Model] = []
        self.tags: list[tuple[Model, int, np.ndarray]] = []
        self.shown: int | None = None

    @rule(target=drivers, run=RUNS, fresh=st.booleans())
    def begin(self, run: str, fresh: bool) -> object:
        model = None if fresh else self._continued(run)
        if model is None and self.versions and not fresh:
            with pytest.raises(VersionConflict, match="--fresh"):
                self.repository.begin(run)
            return multiple()
        version = self.repository.begin(run, fresh=fresh)
        if model is None:
            model = Model(run)
            self.versions.append(model)
        version.initialise(Template(COUNT))
        return Driver(version, model)

    def _continued(self, run: str) -> Model | None:
        candidates = self.versions[-1:]
        if self.shown is not None:
            model, commits, _ = self.tags[self.shown]
            candidates += [model] if model.commits == commits else []
        return next((model for model in candidates if model.run == run), None)

    @rule(driver=drivers, number=NUMBERS, bad=st.booleans())
    def write(self, driver: Driver, number: int, bad: bool) -> None:
        driver.write(number, bad=bad)

    @rule(driver=drivers)
    def commit(self, driver: Driver) -> None:
        news = driver.model.take(driver.pending)

        assert [receipt.key for receipt in driver.commit()] == news

    @rule(one=drivers, other=drivers, number=NUMBERS, bad=st.booleans())
    def commit_at_once(self, one: Driver, other: Driver, number: int, bad: bool) -> None:
        """Two drivers, often of one version, often with the same keys, commit in the same moment.

        Either may come first, but a key that either brings as done ends as done.
        """
        racers = [one] if one is other else [one, other]
        for racer in racers:
            racer.write(number, bad=bad)
        start = Barrier(len(racers))
        brought = [(racer.model, racer.pending) for racer in racers]

        def race(driver: Driver) -> list[Receipt]:
            start.wait()
            return driver.commit()

        with ThreadPoolExecutor(len(racers)) as pool:
            kept = list(pool.map(race, racers))

        if one.model is other.model and len(racers) == 2:
            done = [r.key for receipts in kept for r in receipts if r.state == "done"]
            assert len(done) == len(set(done))
            one.model.commits += sum(map(bool, kept))
            self._merge(one.model, [outcome for _, pending in brought for outcome in pending])
        else:
            for (model, pending), receipts in zip(brought, kept, strict=True):
                assert [receipt.key for receipt in receipts] == model.take(pending)

    def _merge(self, model: Model, outcomes: list[Outcome]) -> None:
        for state in ("failed", "done"):
            for outcome in outcomes:
                key = outcome.receipt.key
                if outcome.receipt.state == state and model.states.get(key) != "done":
                    model.states[key] = state

    @rule(driver=consumes(drivers))
    def crash(self, driver: Driver) -> None:
        """The process is gone, with all it had not committed; another opens the repository."""
        driver.pending.clear()
        self.repository = Repository.open(self.url)

    @rule(driver=drivers)
    def publish(self, driver: Driver) -> None:
        model = driver.model
        driver.version.receipts()
        known = [(tagged, commits) for tagged, commits, _ in self.tags]
        if (model, model.commits) not in known:
            self.tags.append((model, model.commits, model.rows()))
            known.append((model, model.commits))
        self.shown = next(
            place
            for place, (tagged, commits) in enumerate(known)
            if tagged is model and commits == model.commits
        )

        assert driver.version.publish() == f"v{self.shown + 1}"
        assert driver.version.finished

    @precondition(lambda self: self.tags)
    @rule(data=st.data())
    def roll_back(self, data: st.DataObject) -> None:
        self.shown = data.draw(st.integers(0, len(self.tags) - 1))
        self.repository.roll_back(f"v{self.shown + 1}")

    @invariant()
    def readers_see_the_version_that_was_published_last_and_all_of_it(self) -> None:
        if self.shown is None:
            assert self.repository.published() is None
        else:
            group = zarr.open_group(self.repository.read(), mode="r")
            np.testing.assert_array_equal(rows_of(group), self.tags[self.shown][2])

    @invariant()
    def every_published_version_stays_as_it_was(self) -> None:
        history = self.repository.history()
        assert [each.current for each in history] == [
            place == self.shown for place in range(len(self.tags))
        ]
        for each, (model, _, rows) in zip(history, self.tags, strict=True):
            group = zarr.open_group(self.repository.read(each.tag), mode="r")
            np.testing.assert_array_equal(rows_of(group), rows)
            assert each.run_id == model.run

    @rule(driver=drivers)
    def look(self, driver: Driver) -> None:
        """Data and ledger agree with the model, and so with each other."""
        states = {key: receipt.state for key, receipt in driver.version.receipts().items()}
        assert states == driver.model.states
        np.testing.assert_array_equal(rows_of(driver.version.group()), driver.model.rows())

    def teardown(self) -> None:
        shutil.rmtree(getattr(self, "folder", ""), ignore_errors=True)


TestVersions = Versions.TestCase
TestVersions.settings = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    derandomize="NUNATAK_EXPLORE" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
