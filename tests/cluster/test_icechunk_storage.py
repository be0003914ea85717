"""Where a repository lies: made once, on disks that fill up, with short lists of chunks."""

import errno
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import icechunk
import numpy as np
import pytest
import zarr

from cluster import icechunk_storage
from cluster.address import parse
from cluster.object_store import StoreError
from cluster.work import process
from cluster.zarr_sink import Repository
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
from tests.fixtures.small_disks import small_disk


@pytest.fixture
def url(tmp_path) -> str:
    return str(tmp_path / "out" / "product.icechunk")


def test_a_repository_whose_maker_was_killed_is_made_again(url, monkeypatch):
    monkeypatch.setattr(icechunk_storage, "CREATION_SECONDS", 0.0)
    snapshots = Path(url) / "snapshots"
    snapshots.mkdir(parents=True)
    (snapshots / icechunk_storage.ROOT_SNAPSHOT).write_bytes(b"half")

    finished(Repository.open(url), "a")

    np.testing.assert_array_equal(shown(Repository.open(url)), expected(COUNT, run="a"))


@pytest.mark.services
def test_a_repository_whose_maker_was_killed_is_made_again_on_s3(s3_environment, monkeypatch):
    monkeypatch.setattr(icechunk_storage, "CREATION_SECONDS", 1.0)
    url = s3_environment.url("torn/product.icechunk")
    s3_environment.client().put_object(
        Bucket=s3_environment.bucket,
        Key=f"torn/product.icechunk/snapshots/{icechunk_storage.ROOT_SNAPSHOT}",
        Body=b"half",
    )

    finished(Repository.open(url), "a")

    np.testing.assert_array_equal(shown(Repository.open(url)), expected(COUNT, run="a"))


def test_a_place_with_files_of_others_is_refused_and_left_alone(url):
    letter = Path(url) / "letter.txt"
    letter.parent.mkdir(parents=True)
    letter.write_text("dear")

    with pytest.raises(StoreError, match=r"letter\.txt"):
        Repository.open(url)

    assert letter.read_text() == "dear"


def test_a_full_disk_is_said_and_what_was_committed_stays(url, monkeypatch):
    version = Repository.open(url).begin("a")
    version.initialise(Template(COUNT))
    process(keys(2), Rows(), version=version)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(icechunk.Session, "commit", full)
        with pytest.raises(StoreError, match=r"no space is left.*before is intact.*free or add"):
            process(keys(COUNT), Rows(), version=version)

    assert sorted(version.receipts()) == keys(2)
    process(keys(COUNT), Rows(), version=version)
    np.testing.assert_array_equal(rows_of(version.group()), expected(COUNT, run="a"))


def test_a_small_disk_fills_up_and_the_run_is_resumed_when_there_is_room(tmp_path):
    with small_disk(tmp_path / "small", size=256 * 1024) as small:
        _fill_and_resume(small)


def _fill_and_resume(small: Path) -> None:
    """Fill the disk half-way with something else, run into its end, make room, run again."""
    ballast = small / "ballast"
    ballast.write_bytes(bytes(190 * 1024))
    version = Repository.open(str(small / "product.icechunk")).begin("a")
    count = 24
    version.initialise(Template(count))

    with pytest.raises(StoreError, match=r"no space is left.*run the same command again"):
        process(keys(count), Rows(), version=version, batch=2)

    done = sorted(int(key.split("/")[1]) for key in version.receipts())
    assert 0 < len(done) < count
    np.testing.assert_array_equal(rows_of(version.group())[done], expected(count, run="a")[done])
    ballast.unlink()
    process(keys(count), Rows(), version=version, batch=8)
    np.testing.assert_array_equal(rows_of(version.group()), expected(count, run="a"))


def test_local_commits_are_made_one_at_a_time(url):
    address = parse(url)
    inside, most = [], []

    def enter(_: int) -> None:
        with icechunk_storage.guard(address):
            inside.append(1)
            most.append(len(inside))
            inside.pop()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(enter, range(64)))

    assert max(most) == 1


def test_manifests_stay_short_and_old_products_are_continued(tmp_path):
    """Products were made before manifests were split; either kind is read whole by the other."""
    storage = icechunk_storage.storage(parse(str(tmp_path / "old")))
    icechunk_storage.quiet()
    old = icechunk.Repository.create(storage)

    def write(repository: icechunk.Repository, first: int, last: int) -> list[int]:
        session = repository.writable_session("main")
        rows = zarr.open_group(session.store, mode="r+")["rows"]
        rows[first:last] = np.arange(first, last)
        written = repository.lookup_snapshot(session.commit(f"to {last}")).manifests
        return sorted(manifest.num_chunk_refs for manifest in written)

    session = old.writable_session("main")
    zarr.open_group(session.store, mode="w").create_array(
        "rows", shape=(1700,), chunks=(1,), dtype="f8", fill_value=-1.0
    )
    session.commit("arrays")
    assert write(old, 0, 600) == [600]

    new = icechunk.Repository.open(storage, icechunk_storage.configuration())
    assert write(new, 600, 1650) == [114, 256, 256, 256, 256, 256, 256]
    for repository in (old, new):
        rows = zarr.open_group(repository.readonly_session("main").store, mode="r")["rows"]
        np.testing.assert_array_equal(rows[:], np.r_[np.arange(1650.0), np.full(50, -1.0)])
