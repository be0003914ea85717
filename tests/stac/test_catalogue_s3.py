"""A catalogue in a bucket of a real S3 server is the same catalogue."""

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stac import stores
from stac.catalogue import CatalogueError, UnreachableError, open_catalogue
from stac.contracts import open_item, open_regions
from stac.ingest import ingest
from stac.locations import create_bytes, reaching, read_bytes, update_bytes
from stac.publish import Product, product_item, publish
from stac.registry import all_items, rebuild_index
from tests.fixtures.seaweed import S3Store
from tests.stac.conftest import Fill, square, write_geojson

pytestmark = pytest.mark.services


def test_a_bucket_holds_the_same_catalogue_as_a_folder(
    s3_environment: S3Store, fill: Fill, tmp_path: Path
):
    url = s3_environment.url("catalogue")

    fill(str(tmp_path / "local"))
    assert {done.state for done in fill(url)} == {"added"}
    assert {done.state for done in fill(url)} == {"present"}

    bucket, folder = open_catalogue(url), open_catalogue(str(tmp_path / "local"))
    assert bucket.collections() == folder.collections()
    for question in ({}, {"bbox": [170, -82, -170, -78]}, {"period": ("2011-02-01", "2011-02-28")}):
        ours = [(i.id, i.assets["data"].extra_fields) for i in bucket.search(**question)]
        assert ours == [(i.id, i.assets["data"].extra_fields) for i in folder.search(**question)]
    for name, opener in (("fields", open_item), ("regions", open_regions)):
        for there, here in zip(bucket.search(name), folder.search(name), strict=True):
            assert there.assets["data"].href.startswith(url)
            assert pickle.loads(pickle.dumps(opener(there))).equals(opener(here))  # noqa: S301 own


def test_concurrent_ingests_into_a_bucket_lose_no_item(s3_environment: S3Store, tmp_path: Path):
    url = s3_environment.url("shared")
    folders = []
    for writer in range(4):
        folder = tmp_path / str(writer)
        folder.mkdir()
        folders.append(folder)
        for k in range(3):
            where = square(-170.0 + 30.0 * k, -72.0 - writer)
            write_geojson(folder / f"w{writer}-{k}.geojson", {f"{writer}{k}": where})

    def run(folder: Path) -> list[str]:
        results = ingest("basins", [str(folder)], catalogue=url, collection="b")
        return [done.state for done in results]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, folders)) == [["added"] * 3] * 4

    document = json.loads(read_bytes(f"{url}/b/collection.json"))
    assert sum(link["rel"] == "item" for link in document["links"]) == 12
    assert len(all_items(url, "b")) == 12
    assert rebuild_index(url, "b") == 12


def test_a_swap_never_loses_an_update(s3_environment: S3Store):
    url = s3_environment.url("counter.json")

    def count(_: int) -> None:
        update_bytes(url, lambda old: json.dumps(json.loads(old or b"0") + 1).encode())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(16)))

    assert json.loads(read_bytes(url)) == 16


def test_of_two_creations_one_wins(s3_environment: S3Store):
    url = s3_environment.url("once.json")

    assert [create_bytes(url, b"1"), create_bytes(url, b"2")] == [True, False]
    assert read_bytes(url) == b"1"


def test_a_half_written_store_in_a_bucket_is_overwritten(
    s3_environment: S3Store, months: Path, monkeypatch: pytest.MonkeyPatch
):
    url = s3_environment.url("half")

    class Killed(BaseException):
        """Stands for a kill: no handler of ours may swallow it."""

    def die(source: Path, target: str) -> None:
        s3_environment.client().put_object(
            Bucket=s3_environment.bucket,
            Key=target.removeprefix(s3_environment.url()).lstrip("/") + "/stokes/zarr.json",
            Body=b"half",
        )
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(stores, "_upload", die)
        with pytest.raises(Killed):
            list(ingest("grace-l2", [str(months)], catalogue=url, collection="f"))

    assert [
        done.state for done in ingest("grace-l2", [str(months)], catalogue=url, collection="f")
    ] == ["added"] * 5
    for item in open_catalogue(url).search("f"):
        open_item(item).load()


def test_a_product_in_a_bucket_is_described(s3_environment: S3Store, catalogue: Path):
    url = s3_environment.url("product")
    for name in ("run.yaml", "tables/regions.csv", "product.zarr/zarr.json"):
        s3_environment.client().put_object(
            Bucket=s3_environment.bucket, Key=f"product/{name}", Body=b"{}"
        )
    (item, *_) = open_catalogue(str(catalogue)).search("regions", limit=1)
    assert item.geometry is not None
    product = Product("gravimetry", "t", "1", ("2011-01-01", "2011-12-31"), "l", item.geometry)

    made = product_item(url, product, inputs=[item])

    assert set(made.assets) == {"run.yaml", "tables/regions.csv", "product"}
    assert json.loads(read_bytes(publish(made, url)))["id"] == "gravimetry-1"


def test_a_bucket_that_is_not_there_is_told(s3_environment: S3Store):
    with pytest.raises(CatalogueError, match="s3://no-such-bucket"):
        open_catalogue("s3://no-such-bucket/c")


def test_a_write_to_nowhere_is_told_and_a_read_of_nothing_stays_a_missing_file():
    """SeaweedFS makes buckets as they are written; other servers say NoSuchBucket."""
    with pytest.raises(UnreachableError, match="cannot write s3://nowhere"):  # noqa: SIM117 two facts
        with reaching("s3://nowhere/x", to="write"):
            raise FileNotFoundError("The specified bucket does not exist")
    with pytest.raises(FileNotFoundError), reaching("s3://nowhere/x", to="read"):
        raise FileNotFoundError


def test_wrong_credentials_are_told(s3_environment: S3Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")

    with pytest.raises(CatalogueError, match="credentials"):
        open_catalogue(s3_environment.url("catalogue"))
