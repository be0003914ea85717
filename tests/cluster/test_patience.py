"""Answers of a store that end in the middle are asked for again, and never become numbers."""

import json
import pickle
from typing import Any

import icechunk
import numpy as np
import pytest
import zarr

from cluster import geozarr, object_store, patience, work
from cluster.crew import perform
from cluster.ledger import Receipt
from cluster.store_errors import StoreError
from cluster.zarr_sink import Repository, Version
from tests.fixtures.faulty_proxy import FaultyProxy

pytestmark = pytest.mark.services

KEYS = [str(n) for n in range(6)]
SIDE = 48  # 18 kB a chunk: an object of its own


@pytest.fixture(autouse=True)
def _shorter_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_PAUSE", 0.001)


def field_of(key: str) -> np.ndarray:
    return np.random.default_rng(int(key)).random((SIDE, SIDE))


def template(group: zarr.Group) -> None:
    group.attrs["spatial_ref"] = ""
    group.create_array(
        "field", shape=(len(KEYS), SIDE, SIDE), chunks=(1, SIDE, SIDE), dtype="f8",
        compressors=None, fill_value=np.nan,
    )  # fmt: skip


def write(key: str, group: zarr.Group) -> Receipt:
    group["field"][int(key)] = field_of(key)
    return Receipt(key, "done")


def made(url: str) -> Version:
    """Make the whole product."""
    version = Repository.open(url).begin("broken")
    version.initialise(template)
    work.process(KEYS, write, version=version, batch=2)
    version.publish()
    return version


def require_whole(group: zarr.Group) -> None:
    for key in KEYS:
        np.testing.assert_array_equal(group["field"][int(key)], field_of(key))


def test_a_product_is_made_and_read_through_answers_cut_short(faulty_proxy: FaultyProxy) -> None:
    url = "s3://ice/cut"
    # The probe of the store's conditional writes is of its own kind: what is cut there is told.
    Repository.open(url)
    faulty_proxy.begin(cut_share=0.1, path="/ice/cut/")

    version = made(url)
    geozarr.export_geozarr(version.group(), "s3://ice/cut/copy", snapshot=version.tip)

    assert faulty_proxy.cut >= 5
    assert sorted(Repository.open(url, read_only=True).find("broken").receipts()) == KEYS
    require_whole(zarr.open_group(Repository.open(url, read_only=True).read(), mode="r"))
    faulty_proxy.begin()
    require_whole(version.group())
    for key in KEYS:
        copied = object_store.read_bytes(f"s3://ice/cut/copy/field/c/{key}/0/0")
        assert copied == field_of(key).tobytes()


def test_a_worker_reads_and_writes_through_an_answer_cut_short(faulty_proxy: FaultyProxy) -> None:
    sent = pickle.dumps(made("s3://ice/worker").fork())

    def add(key: str, group: zarr.Group) -> Receipt:
        np.testing.assert_array_equal(group["field"][1], field_of("1"))
        np.testing.assert_array_equal(group["field"][2], field_of("2"))
        group["field"][0] = 1.0
        return Receipt(key, "done")

    for cut_at in range(1, 5):  # snapshot, manifest, and the two chunks
        faulty_proxy.begin(cut_at=cut_at)
        outcome = perform("again", add, pickle.loads(sent))  # noqa: S301 our own bytes

        assert faulty_proxy.cut == 1
        assert outcome.receipt.state == "done"


def test_a_chunk_read_before_all_else_is_right(faulty_proxy: FaultyProxy) -> None:
    """As a Dask graph of our arrays does on its workers."""
    made("s3://ice/graph")
    store = Repository.open("s3://ice/graph").read()
    sent = pickle.dumps(zarr.open_group(store, mode="r")["field"])
    for cut_at in (1, 2, 3):  # snapshot, manifest, chunk
        faulty_proxy.begin(cut_at=cut_at)
        fresh: Any = pickle.loads(sent)  # noqa: S301 our own bytes
        np.testing.assert_array_equal(fresh[3], field_of("3"))
        assert faulty_proxy.cut == 1


def test_who_reads_without_our_store_gets_an_error_and_no_fill_value(
    faulty_proxy: FaultyProxy,
) -> None:
    made("s3://ice/graph")
    store = Repository.open("s3://ice/graph").read().session.store
    sent = pickle.dumps(zarr.open_group(store, mode="r")["field"])
    for cut_at, told in ((1, True), (2, True), (3, False)):  # snapshot, manifest, chunk
        faulty_proxy.begin(cut_at=cut_at)
        fresh: Any = pickle.loads(sent)  # noqa: S301 our own bytes
        if told:
            with pytest.raises(icechunk.IcechunkError) as error:
                fresh[3]
            assert patience.is_broken(error.value)
        np.testing.assert_array_equal(fresh[3], field_of("3"))
        assert faulty_proxy.cut == 1


def test_a_version_is_never_left_out_of_the_history(faulty_proxy: FaultyProxy) -> None:
    """Icechunk's own list of tags leaves out those that it cannot read, and says nothing."""
    repository = Repository.open("s3://ice/tags")
    for run in ("one", "two"):
        version = repository.begin(run, fresh=True)
        version.initialise(template)
        version.publish()
    for cut_at in range(1, 12):
        faulty_proxy.begin(cut_at=cut_at)
        assert [each.tag for each in repository.history()] == ["v1", "v2"]
    faulty_proxy.begin(cut_at=2)
    assert version.publish() == "v2"


def test_objects_that_were_removed_are_an_error_and_no_fill_value(
    faulty_proxy: FaultyProxy,
) -> None:
    made("s3://ice/removed")
    array = zarr.open_group(Repository.open("s3://ice/removed").read(), mode="r")["field"]
    sent = pickle.dumps(array)
    for lost in ("chunks", "manifests", "snapshots"):
        for name in object_store.list_objects(f"s3://ice/removed/{lost}"):
            object_store.delete(f"s3://ice/removed/{lost}/{name}")

        fresh: Any = pickle.loads(sent)  # noqa: S301 our own bytes
        with pytest.raises(icechunk.IcechunkError, match=lost.removesuffix("s")):
            fresh[3]


def test_a_version_whose_metadata_never_arrive_is_told_as_the_stores_fault(
    faulty_proxy: FaultyProxy,
) -> None:
    sent = pickle.dumps(made("s3://ice/never").fork())
    faulty_proxy.begin(cut_every=1)
    with pytest.raises(StoreError, match=r"could not be read in 8 tries.*break off.*same command"):
        perform("0", write, pickle.loads(sent))  # noqa: S301 our own bytes
    assert faulty_proxy.cut >= patience.TRIES


class TestSilence:
    """A server that keeps its connections and does not answer, as one whose power was cut."""

    @pytest.fixture(autouse=True)
    def _impatience(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(patience, "longest_silence", lambda: 3.0)

    def test_a_worker_asks_again(self, faulty_proxy: FaultyProxy) -> None:
        sent = pickle.dumps(made("s3://ice/still").fork())
        faulty_proxy.begin(silent=1)
        outcome = perform("0", write, pickle.loads(sent))  # noqa: S301 our own bytes
        assert outcome.receipt.state == "done"
        assert faulty_proxy.silenced == 1
        faulty_proxy.begin(silent=1, methods=("PUT",))
        perform("1", write, pickle.loads(sent))  # noqa: S301 our own bytes
        assert faulty_proxy.silenced == 1

    def test_a_driver_reads_again_and_changes_once(
        self, faulty_proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(patience, "CHANGE_PATIENCE", 1.0)
        version = made("s3://ice/still")
        faulty_proxy.begin(silent=1)
        assert sorted(version.receipts()) == KEYS
        assert faulty_proxy.silenced == 1
        failed = Receipt("lost", "failed", reason="no such scene")
        faulty_proxy.begin(silent=1, methods=("PUT", "POST"))
        with pytest.raises(StoreError, match=r"not answered for 3 s; .* intact"):
            version.commit([None], [failed])
        version.commit([None], [failed])
        assert sorted(told("s3://ice/still")) == [*KEYS, "lost"]

    def test_who_never_hears_anything_says_so(self, faulty_proxy: FaultyProxy) -> None:
        version = made("s3://ice/still")
        sent = pickle.dumps(version.fork())
        faulty_proxy.begin(silent=1000, methods=("GET", "HEAD", "PUT", "POST"))
        words = r"has not answered for 3 s, 2 times; .* intact; .*same command.*STORE_TIMEOUT"
        with pytest.raises(StoreError, match=words):
            version.receipts()
        with pytest.raises(StoreError, match=words):
            perform("0", write, pickle.loads(sent))  # noqa: S301 our own bytes


def told(url: str) -> list[str]:
    """Return the key of every receipt in the history, without our ledger, which drops doubles."""
    held = Repository.open(url, read_only=True).find("broken")
    assert held is not None
    history = held._repository.ancestry(branch=held.branch)
    return [json.loads(line)["key"] for i in history for line in i.metadata.get("receipts", [])]


@pytest.mark.parametrize("path", ["refs/branch.work", "refs/tag", "refs/branch.main", "/chunks/"])
def test_what_took_place_although_its_answer_was_lost_is_not_done_twice(
    faulty_proxy: FaultyProxy, path: str
) -> None:
    url = "s3://ice/lost"
    version = Repository.open(url).begin("broken")
    version.initialise(template)
    faulty_proxy.begin(lost=1, path=path, methods=("PUT",))
    work.process(KEYS, write, version=version, batch=2)
    tag = version.publish()
    assert faulty_proxy.requests > 1

    assert tag == version.publish() == "v1"
    assert sorted(told(url)) == KEYS
    fresh = Repository.open(url, read_only=True)
    assert [(each.tag, each.current) for each in fresh.history()] == [("v1", True)]
    require_whole(zarr.open_group(fresh.read(), mode="r"))


def test_an_object_is_read_whole_through_answers_cut_short(faulty_proxy: FaultyProxy) -> None:
    object_store.write_bytes("s3://ice/one", b"0123456789" * 1000)
    faulty_proxy.begin(cut_every=2)
    for _ in range(4):
        assert object_store.read_bytes("s3://ice/one") == b"0123456789" * 1000
    faulty_proxy.begin(cut_every=1)
    with pytest.raises(StoreError):
        object_store.read_bytes("s3://ice/one")
    assert faulty_proxy.cut == patience.TRIES
