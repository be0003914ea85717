import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import icechunk
import numpy as np
import pytest
import zarr

from cluster import releases
from cluster.ledger import Receipt
from cluster.work import perform, process
from cluster.zarr_sink import (
    NoRepository,
    NoVersion,
    Repository,
    VersionConflict,
    receipts_of,
)
from tests.fixtures.products import (
    COUNT,
    Rows,
    Template,
    expected,
    finished,
    keys,
    rows_of,
    shown,
)


@pytest.fixture
def url(tmp_path) -> str:
    return str(tmp_path / "out" / "product.icechunk")


@pytest.fixture
def repository(url) -> Repository:
    return Repository.open(url)


def test_readers_see_nothing_before_the_first_publication(repository):
    version = repository.begin("a")
    version.initialise(Template(COUNT))
    process(keys(COUNT), Rows(), version=version)

    assert repository.published() is None
    assert repository.history() == []
    with pytest.raises(NoVersion, match="no complete version yet"):
        repository.read()


def test_a_published_version_is_whole_tagged_and_finished(repository):
    version = finished(repository, "a")

    (published,) = repository.history()
    assert (published.tag, published.run_id, published.current) == ("v1", "a", True)
    assert published.snapshot == repository.published() == version.tip
    assert version.finished
    np.testing.assert_array_equal(shown(repository), expected(COUNT, run="a"))


def test_publishing_twice_changes_nothing(repository):
    version = finished(repository, "a")

    assert version.publish() == "v1"
    assert len(repository.history()) == 1


def test_the_same_run_continues_where_it_stood(url):
    version = Repository.open(url).begin("a")
    version.initialise(Template(COUNT))
    process(keys(2), Rows(), version=version)

    resumed = Repository.open(url).begin("a")

    assert resumed.branch == version.branch
    assert sorted(resumed.receipts()) == keys(2)
    assert not resumed.finished


def test_another_run_is_refused_with_both_identities_and_what_changed(repository):
    repository.begin("aaaa", describe={"gravimetry.members": "30", "seed": "1"})

    with pytest.raises(VersionConflict) as refusal:
        repository.begin("bbbb", describe={"gravimetry.members": "60", "seed": "1"})

    assert "run aaaa, and this is run bbbb (gravimetry.members: 30 -> 60)" in str(refusal.value)
    assert "--fresh" in str(refusal.value)


def test_differences_are_told_also_after_work_was_committed(repository):
    version = repository.begin("aaaa", describe={"seed": "1"})
    version.initialise(Template(COUNT))
    process(keys(2), Rows(), version=version)

    with pytest.raises(VersionConflict, match="seed: 1 -> none; start: none -> 2011"):
        repository.begin("bbbb", describe={"start": "2011"})


def test_a_fresh_version_leaves_the_published_one_until_it_is_published_itself(repository):
    finished(repository, "a")

    version = repository.begin("b", fresh=True)
    version.initialise(Template(COUNT))
    process(keys(3), Rows(run="b"), version=version)
    np.testing.assert_array_equal(shown(repository), expected(COUNT, run="a"))
    process(keys(COUNT), Rows(run="b"), version=version)
    version.publish()

    np.testing.assert_array_equal(shown(repository), expected(COUNT, run="b"))
    np.testing.assert_array_equal(shown(repository, "v1"), expected(COUNT, run="a"))
    assert [each.tag for each in repository.history()] == ["v1", "v2"]


def test_fresh_starts_from_nothing_even_for_the_same_run(repository):
    first = finished(repository, "a")

    second = repository.begin("a", fresh=True)

    assert (first.branch, second.branch) == ("work-a", "work-a-2")
    assert second.receipts() == {}
    assert repository.begin("a").branch == "work-a-2"
    assert not second.initialised


def test_runs_whose_identities_begin_alike_are_told_apart(repository):
    first = repository.begin("0123456789ab" + "x")
    second = repository.begin("0123456789ab" + "y", fresh=True)

    assert second.branch == f"{first.branch}-2"
    with pytest.raises(VersionConflict):
        repository.begin(first.run_id)


def test_rolling_back_shows_an_older_version_and_deletes_nothing(repository):
    finished(repository, "a")
    newer = finished(repository, "b", fresh=True)

    repository.roll_back("v1")

    np.testing.assert_array_equal(shown(repository), expected(COUNT, run="a"))
    assert [each.current for each in repository.history()] == [True, False]
    assert repository.begin("a").finished
    assert newer.publish() == "v2"
    np.testing.assert_array_equal(shown(repository), expected(COUNT, run="b"))


def test_a_version_that_grew_is_published_under_a_new_tag(repository):
    version = repository.begin("a")
    version.initialise(Template(COUNT))
    process(keys(COUNT), Rows(bad=(2,)), version=version)
    version.publish()

    process(keys(COUNT), Rows(), version=version)

    assert not version.finished
    assert version.publish() == "v2"
    assert np.isnan(shown(repository, "v1")[2]).all()
    np.testing.assert_array_equal(shown(repository), expected(COUNT, run="a"))


def test_what_another_driver_commits_after_the_ledger_was_read_is_not_published(repository):
    mine, theirs = repository.begin("a"), repository.begin("a")
    mine.initialise(Template(COUNT))
    process(keys(COUNT), Rows(bad=(2,)), version=mine)
    process(["key/2"], Rows(), version=theirs)

    assert mine.publish() == "v1"

    assert np.isnan(shown(repository)[2]).all()
    assert not mine.finished
    assert theirs.publish() == "v2"
    np.testing.assert_array_equal(shown(repository), expected(COUNT, run="a"))


def test_an_unknown_tag_is_refused_with_those_there_are(repository):
    with pytest.raises(NoVersion, match="nothing is published yet"):
        repository.roll_back("v1")
    finished(repository, "a")
    with pytest.raises(NoVersion, match="no version 'v7'; choose one of v1"):
        repository.roll_back("v7")
    with pytest.raises(NoVersion, match="no version 'v7'; choose one of v1"):
        repository.read("v7")


def test_killed_between_tag_and_main_the_version_is_published_by_the_next_run(
    repository, monkeypatch
):
    finished(repository, "a")
    version = repository.begin("b", fresh=True)
    version.initialise(Template(COUNT))
    process(keys(COUNT), Rows(run="b"), version=version)
    with monkeypatch.context() as patch:
        patch.setattr(releases, "show", _killed)
        with pytest.raises(KeyboardInterrupt):
            version.publish()
    np.testing.assert_array_equal(shown(repository), expected(COUNT, run="a"))

    again = repository.begin("b")

    assert not again.finished
    assert again.publish() == "v2"
    np.testing.assert_array_equal(shown(repository), expected(COUNT, run="b"))


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_arrays_are_made_once(repository):
    made = []

    def template(group: zarr.Group) -> None:
        made.append(group)
        Template(COUNT)(group)

    version, other = repository.begin("a"), repository.begin("a")
    version.initialise(template)
    version.initialise(template)
    other.initialise(template)

    assert len(made) == 1


def test_a_commit_whose_answer_was_lost_is_not_made_twice(repository, monkeypatch):
    version = repository.begin("a")
    version.initialise(Template(COUNT))
    outcome = perform("key/0", Rows(), version.fork())
    commit, calls = icechunk.Session.commit, []

    def lost_answer(session: icechunk.Session, *args: object) -> str:
        calls.append(args)
        commit(session, *args)
        raise icechunk.ConflictError("the parent", "our own commit")

    monkeypatch.setattr(icechunk.Session, "commit", lost_answer)
    kept = version.commit([outcome.fork], [outcome.receipt])

    assert kept == []
    assert len(calls) == 1
    assert list(version.receipts()) == ["key/0"]


def test_the_loser_of_a_race_for_the_same_key_drops_it(repository):
    mine, theirs = repository.begin("a"), repository.begin("a")
    mine.initialise(Template(COUNT))
    ours = [perform(key, Rows(), mine.fork()) for key in keys(3)]
    others = [perform(key, Rows(), theirs.fork()) for key in keys(COUNT)[1:]]

    kept_by_others = theirs.commit([o.fork for o in others], [o.receipt for o in others])
    kept_by_us = mine.commit([o.fork for o in ours], [o.receipt for o in ours])

    assert [receipt.key for receipt in kept_by_others] == keys(COUNT)[1:]
    assert [receipt.key for receipt in kept_by_us] == ["key/0"]
    assert mine.receipts() == theirs.receipts()
    np.testing.assert_array_equal(rows_of(mine.group()), expected(COUNT, run="a"))


def test_eight_drivers_on_threads_lose_no_commit(url):
    _eight_drivers(url)


@pytest.mark.slow
@pytest.mark.services
def test_eight_drivers_lose_no_commit_on_s3(s3_environment):
    _eight_drivers(s3_environment.url("eight/product.icechunk"))


def _eight_drivers(url: str) -> None:
    drivers, count = 8, 24
    start = Barrier(drivers)

    def drive(number: int) -> None:
        start.wait()
        version = Repository.open(url).begin("a")
        version.initialise(Template(count))
        shuffled = np.random.default_rng(number).permutation(keys(count))
        process([str(key) for key in shuffled], Rows(), version=version, batch=2)

    with ThreadPoolExecutor(drivers) as pool:
        list(pool.map(drive, range(drivers)))

    repository = Repository.open(url)
    version = repository.begin("a")
    version.publish()
    done = [
        Receipt.from_json(line).key
        for info in version._repository.ancestry(branch=version.branch)
        for line in info.metadata.get("receipts", [])
    ]
    assert sorted(done) == sorted(keys(count))
    np.testing.assert_array_equal(shown(repository), expected(count, run="a"))


@pytest.mark.slow
def test_two_driver_processes_share_one_version(url):
    command = [sys.executable, "-m", "tests.fixtures.products", url, "a", "--keys=16", "--batch=2"]
    root = Path(__file__).resolve().parents[2]
    drivers = [
        subprocess.Popen([*command, *extra], stdout=subprocess.PIPE, cwd=root)
        for extra in ([], ["--reverse"])
    ]
    tags = [driver.communicate(timeout=120)[0].decode().split() for driver in drivers]

    repository = Repository.open(url)
    assert [driver.returncode for driver in drivers] == [0, 0]
    assert tags == [["v1"], ["v1"]]
    np.testing.assert_array_equal(shown(repository), expected(16, run="a"))


def test_asking_for_the_status_of_nothing_creates_nothing(url):
    assert receipts_of(url, "a") == {}
    with pytest.raises(NoRepository, match="run its run file first"):
        Repository.open(url, read_only=True)

    assert not Path(url).parent.exists()


def test_a_status_tells_the_receipts_of_its_own_run_only(repository, url):
    version = finished(repository, "a")

    assert receipts_of(url, "a") == version.receipts()
    assert receipts_of(url, "b") == {}


@pytest.mark.parametrize("run_id", ["", "a/b", "a b", "é"])
def test_a_run_id_that_cannot_name_a_branch_is_refused(repository, run_id):
    with pytest.raises(ValueError, match="letters and digits"):
        repository.begin(run_id)


def test_a_conflict_is_told_without_beginning_anything(repository):
    assert repository.conflict("a") == ""
    repository.begin("a", describe={"members": "30"})
    assert repository.conflict("a") == ""
    said = repository.conflict("b", {"members": "60"})
    assert "holds the work of run a" in said
    assert "members: 30 -> 60" in said
    assert repository.find("b") is None
