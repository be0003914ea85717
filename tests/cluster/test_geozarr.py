import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from pyproj import CRS

from cluster import geozarr, object_store
from cluster.geozarr import GeoZarrError, export_geozarr
from cluster.work import process
from cluster.zarr_sink import Repository, Version
from tests.fixtures.products import Rows, Template, expected, keys, rows_of

COUNT = 6


def maps(group: zarr.Group) -> None:
    """Arrays with and without a place on the map, one of them sharded, one in a group."""
    Template(COUNT)(group)
    group.attrs.update(
        {
            "proj:code": "EPSG:3031",
            "spatial:dimensions": ["y", "x"],
            "spatial:transform": [5000.0, 0.0, -10_000.0, 0.0, -5000.0, 10_000.0],
        }
    )
    for name, chunks, shards in (("rate", (2, 3), None), ("sigma", (2, 2), (4, 4))):
        array = group.create_array(
            name, shape=(5, 7), chunks=chunks, shards=shards, dtype="f4", fill_value=np.nan,
            dimension_names=("y", "x"),
        )  # fmt: skip
        array[1:5, 2:] = np.arange(20).reshape(4, 5)
    group.create_group("notes").create_array("n", shape=(3,), dtype="i2")[:] = [1, 2, 3]


@pytest.fixture
def version(tmp_path) -> Version:
    version = Repository.open(str(tmp_path / "product.icechunk")).begin("a")
    version.initialise(maps)
    process(keys(COUNT), Rows(), version=version)
    version.publish()
    return version


@pytest.fixture
def url(tmp_path) -> str:
    return str(tmp_path / "out" / "product.zarr")


def export(version: Version, url: str) -> bool:
    return export_geozarr(version.group(), url, snapshot=version.tip)


def same(copy: zarr.Group, group: zarr.Group) -> None:
    for name in ("rows", "rate", "sigma", "notes/n"):
        original, copied = group[name], copy[name]
        assert copied.metadata.chunk_grid == original.metadata.chunk_grid
        assert copied.metadata.codecs == original.metadata.codecs
        assert copied.metadata.dimension_names == original.metadata.dimension_names
        np.testing.assert_array_equal(copied[...], original[...])


def test_a_plain_reader_finds_every_array_bit_for_bit(version, url):
    assert export(version, url)

    same(zarr.open_group(url, mode="r"), version.group())
    same(zarr.open_consolidated(url), version.group())
    np.testing.assert_array_equal(rows_of(zarr.open_group(url)), expected(COUNT, run="a"))


def test_every_array_and_group_is_in_the_consolidated_metadata(version, url):
    export(version, url)

    root = json.loads((Path(url) / "zarr.json").read_text())
    assert sorted(root["consolidated_metadata"]["metadata"]) == sorted(
        ["crs", "notes", "notes/n", "rate", "rows", "sigma"]
    )
    for name, document in root["consolidated_metadata"]["metadata"].items():
        assert json.loads((Path(url) / name / "zarr.json").read_text()) == document


def test_maps_refer_to_a_grid_mapping_that_names_the_projection(version, url):
    export(version, url)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = xr.open_zarr(url, consolidated=True, decode_coords="all")
    assert CRS.from_cf(dataset["crs"].attrs).to_epsg() == 3031
    assert CRS.from_wkt(dataset["crs"].attrs["crs_wkt"]).to_epsg() == 3031
    assert dataset["rate"].encoding["grid_mapping"] == "crs"
    assert "grid_mapping" not in dataset["rows"].encoding


def test_the_conventions_that_are_used_are_registered_once(version, url):
    export(version, url)

    attributes = dict(zarr.open_group(url).attrs)
    assert [each["name"] for each in attributes["zarr_conventions"]] == ["proj:", "spatial:"]
    assert attributes["proj:code"] == "EPSG:3031"
    assert attributes["spatial:transform"][0] == 5000.0


def test_a_grid_mapping_that_is_given_is_taken_as_it_is(version, url):
    export_geozarr(
        version.group(), url, snapshot=version.tip, grid_mapping={"crs_wkt": "LOCAL_CS[]"}
    )

    assert dict(zarr.open_group(url)["crs"].attrs) == {"crs_wkt": "LOCAL_CS[]"}


def test_an_unknown_projection_is_refused_before_anything_is_written(tmp_path, url):
    version = Repository.open(str(tmp_path / "other.icechunk")).begin("a")
    version.initialise(lambda group: group.attrs.update({"proj:code": "EPSG:wrong"}))

    with pytest.raises(GeoZarrError, match=r"'EPSG:wrong'.*EPSG:3031"):
        export(version, url)

    assert not Path(url).exists()


def test_copying_the_same_version_again_does_nothing(version, url):
    export(version, url)
    before = {path: path.stat().st_mtime_ns for path in Path(url).rglob("*")}

    assert not export(version, url)

    assert {path: path.stat().st_mtime_ns for path in Path(url).rglob("*")} == before


def test_a_new_version_replaces_the_copy_whole(tmp_path, version, url):
    export(version, url)
    newer = Repository.open(str(tmp_path / "product.icechunk")).begin("b", fresh=True)
    newer.initialise(Template(2))
    process(keys(2), Rows(run="b"), version=newer)

    assert export(newer, url)

    copy = zarr.open_group(url, mode="r")
    assert sorted(copy) == ["rows"]
    assert copy.attrs["nunatak:snapshot"] == newer.tip
    np.testing.assert_array_equal(rows_of(copy), expected(2, run="b"))
    assert sorted(each.name for each in Path(url).parent.iterdir()) == [
        ".product.zarr.lock",
        "product.zarr",
    ]


class Killed(BaseException):
    """Stands for the end of the process."""


def _killed_at(count: int):
    """Return `_read` that ends the process at the ``count``-th object."""
    read, calls = geozarr._read, []

    def reading(store: object, name: str) -> bytes:
        calls.append(name)
        if len(calls) == count:
            raise Killed
        return read(store, name)

    return reading


@pytest.mark.parametrize("moment", [1, 8, 12])
def test_a_copy_that_is_cut_short_leaves_the_old_one_whole(
    tmp_path, version, url, monkeypatch, moment
):
    export(version, url)
    newer = Repository.open(str(tmp_path / "product.icechunk")).begin("b", fresh=True)
    newer.initialise(maps)
    process(keys(COUNT), Rows(run="b"), version=newer)
    with monkeypatch.context() as patch:
        patch.setattr(geozarr, "_read", _killed_at(moment))
        with pytest.raises(Killed):
            export(newer, url)

    same(zarr.open_consolidated(url), version.group())
    assert export(newer, url)
    same(zarr.open_consolidated(url), newer.group())


def test_leftovers_of_a_killed_copy_are_cleared_away(version, url):
    aside = Path(url).with_name(".product.zarr.tmp")
    (aside / "rows").mkdir(parents=True)
    (aside / "rows" / "stale").write_text("half")

    export(version, url)

    assert not aside.exists()
    assert not (Path(url) / "rows" / "stale").exists()


def test_a_group_inside_a_store_is_refused(version, url):
    with pytest.raises(GeoZarrError, match="'notes' is not the root"):
        export_geozarr(version.group()["notes"], url, snapshot=version.tip)


@pytest.mark.services
def test_on_s3_the_root_goes_first_and_comes_last(tmp_path, version, s3_environment, monkeypatch):
    url = s3_environment.url("plain/product.zarr")
    export(version, url)
    newer = Repository.open(str(tmp_path / "product.icechunk")).begin("b", fresh=True)
    newer.initialise(Template(COUNT))
    process(keys(COUNT), Rows(run="b"), version=newer)
    root, done = f"{url}/zarr.json", []
    for name in ("delete", "write_bytes"):
        original = getattr(object_store, name)

        def recorded(url: str, *args: object, _original=original, _name=name) -> None:
            _original(url, *args)
            done.append((_name, url))

        monkeypatch.setattr(object_store, name, recorded)

    assert export(newer, url)

    assert done[0] == ("delete", root)
    assert done[-1] == ("write_bytes", root)
    assert [entry for entry in done if entry[1] == root] == [done[0], done[-1]]
    assert object_store.list_objects(url) == sorted(
        ["zarr.json", "rows/zarr.json", *(f"rows/c/{number}/0" for number in range(COUNT))]
    )
    assert not export(newer, url)


@pytest.mark.services
def test_a_plain_reader_finds_the_copy_on_s3(version, s3_environment):
    url = s3_environment.url("plain-read/product.zarr")
    export(version, url)

    for name in ("rows", "rate", "sigma"):
        chunks = [each for each in object_store.list_objects(url) if each.startswith(f"{name}/c")]
        assert chunks
    filesystem, path = object_store.filesystem(url)
    local = Path(s3_environment.folder) / "download.zarr"
    filesystem.get(path, str(local), recursive=True)
    same(zarr.open_consolidated(str(local)), version.group())


@pytest.mark.services
def test_a_copy_to_s3_that_is_cut_short_cannot_be_opened(
    tmp_path, version, s3_environment, monkeypatch
):
    url = s3_environment.url("plain-cut/product.zarr")
    export(version, url)
    newer = Repository.open(str(tmp_path / "product.icechunk")).begin("b", fresh=True)
    newer.initialise(maps)
    process(keys(COUNT), Rows(run="b"), version=newer)
    with monkeypatch.context() as patch:
        patch.setattr(geozarr, "_read", _killed_at(12))
        with pytest.raises(Killed):
            export(newer, url)

    assert not object_store.exists(f"{url}/zarr.json")
    assert export(newer, url)
    assert object_store.exists(f"{url}/zarr.json")
