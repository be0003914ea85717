"""Landsat's files on a real S3 server behind a proxy that throttles, cuts and counts."""

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stac import landsat_items, landsat_stack, raster_access
from stac.pixel_grids import PixelGrid, snapped
from stac.raster_access import RasterError
from tests.fixtures.faulty_proxy import ALWAYS, FaultyProxy
from tests.stac.landsat_rasters import granule, pixels, write_cog

pytestmark = pytest.mark.services

GRID = snapped((1_000_005.0, 400_005.0, 1_045_005.0, 445_005.0))


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Wait as production does, a tenth as long."""
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.05")
    raster_access.close_idle()
    yield
    raster_access.close_idle()


@pytest.fixture(scope="module")
def scene_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    values = pixels(GRID.shape, seed=1)
    return write_cog(tmp_path_factory.mktemp("cog") / "B4.tif", values, GRID), values


def uploaded(proxy: FaultyProxy, path: Path, key: str, grid: PixelGrid) -> landsat_items.Granule:
    proxy.store.client().upload_file(str(path), proxy.store.bucket, key)
    return granule("LC08_far", {"red": f"s3://{proxy.store.bucket}/{key}"}, grid)


def test_without_faults_the_pixels_are_those_of_the_file(faulty_proxy, scene_file):
    path, values = scene_file
    one = uploaded(faulty_proxy, path, "plain/B4.tif", GRID)
    faulty_proxy.begin()
    np.testing.assert_array_equal(landsat_stack.read(one, "red", GRID), values)
    assert faulty_proxy.throttled == 0


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_a_store_that_asks_to_slow_down_for_a_while_gives_the_same_pixels(
    faulty_proxy, scene_file, code
):
    path, values = scene_file
    one = uploaded(faulty_proxy, path, f"slow/{code}.tif", GRID)
    window = GRID.window(slice(200, 900), slice(100, 1400))
    faulty_proxy.begin(first=3, code=code)
    np.testing.assert_array_equal(landsat_stack.read(one, "red", window), values[200:900, 100:1400])
    assert faulty_proxy.throttled == 3


def test_a_lazy_stack_survives_a_store_that_refuses_every_third_request(faulty_proxy, scene_file):
    path, values = scene_file
    one = uploaded(faulty_proxy, path, "third/B4.tif", GRID)
    faulty_proxy.begin(every=3)
    lazy = landsat_stack.stack([one], bands=["red"], grid=GRID, chunk=512)
    loaded = lazy.compute(scheduler="threads", num_workers=4)
    np.testing.assert_array_equal(loaded.values[0, 0], values)
    assert faulty_proxy.throttled >= 3


def test_an_answer_that_breaks_off_is_asked_for_again(faulty_proxy, scene_file):
    path, values = scene_file
    one = uploaded(faulty_proxy, path, "cut/B4.tif", GRID)
    for at in (1, 2):
        raster_access.close_idle()
        faulty_proxy.begin(cut_at=at)
        np.testing.assert_array_equal(landsat_stack.read(one, "red", GRID), values)
        assert faulty_proxy.cut == 1


def test_answers_that_always_break_off_are_an_error_and_never_pixels(faulty_proxy, scene_file):
    path, _ = scene_file
    one = uploaded(faulty_proxy, path, "cuts/B4.tif", GRID)
    faulty_proxy.begin(cut_every=1)
    with pytest.raises(RasterError, match="LC08_far, red: s3://ice/cuts"):
        landsat_stack.read(one, "red", GRID)


def test_a_store_that_never_gives_in_ends_in_an_error_that_says_503_and_how_long(
    faulty_proxy, scene_file, monkeypatch
):
    path, _ = scene_file
    one = uploaded(faulty_proxy, path, "never/B4.tif", GRID)
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "4")
    faulty_proxy.begin(first=ALWAYS)
    started = time.monotonic()
    with pytest.raises(RasterError, match=r"LC08_far, red: .*503.* after \d+\.\d s") as caught:
        landsat_stack.read(one, "red", GRID)
    assert time.monotonic() - started < 30.0
    assert "GDAL_HTTP_MAX_RETRY" in str(caught.value)


def test_throttling_that_begins_after_opening_is_named_and_not_taken_for_damage(
    faulty_proxy, scene_file, monkeypatch
):
    path, _ = scene_file
    one = uploaded(faulty_proxy, path, "late/B4.tif", GRID)
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "2")

    def read_when_throttled():
        with raster_access.opened(one.assets["red"]) as dataset:
            faulty_proxy.begin(first=ALWAYS)
            dataset.read(1)

    with pytest.raises(RasterError, match="503") as caught:
        read_when_throttled()
    assert "damaged" not in str(caught.value)


def test_an_object_that_vanished_is_told_and_found_again_when_it_is_back(faulty_proxy, scene_file):
    path, values = scene_file
    name = f"s3://{faulty_proxy.store.bucket}/back/B4.tif"
    one = granule("LC08_far", {"red": name}, GRID)
    with pytest.raises(RasterError, match=r"is not there \(404"):
        landsat_stack.read(one, "red", GRID)
    uploaded(faulty_proxy, path, "back/B4.tif", GRID)
    np.testing.assert_array_equal(landsat_stack.read(one, "red", GRID), values)


def test_an_object_cut_off_on_upload_is_named_by_both_sizes(faulty_proxy, scene_file):
    path, _ = scene_file
    data = path.read_bytes()
    store = faulty_proxy.store
    store.client().put_object(Bucket=store.bucket, Key="half.tif", Body=data[: len(data) // 2])
    asset = landsat_items.Asset(f"s3://{store.bucket}/half.tif", size=len(data))
    one = dataclasses.replace(granule("half", {}, GRID), assets={"red": asset})
    expected = f"{len(data) // 2} bytes, its catalogue promises {len(data)}"
    with pytest.raises(RasterError, match=expected):
        landsat_stack.read(one, "red", GRID)
    with pytest.raises(RasterError, match=expected):
        raster_access.verify(asset, "size")


def test_checksums_of_objects_are_compared(faulty_proxy, scene_file):
    import hashlib

    path, _ = scene_file
    one = uploaded(faulty_proxy, path, "sum/B4.tif", GRID)
    data = path.read_bytes()
    right = "1340" + hashlib.sha512(data).hexdigest()
    asset = dataclasses.replace(one.assets["red"], size=len(data), checksum=right)
    assert raster_access.verify(asset, "full") == "full"
    assert raster_access.verify(asset) == "size"
    wrong = dataclasses.replace(asset, checksum="1340" + "0" * 128)
    with pytest.raises(RasterError, match="checksum"):
        raster_access.verify(wrong, "full")


def test_a_signed_address_is_read_and_its_signature_never_shown(faulty_proxy, scene_file):
    import boto3

    path, values = scene_file
    uploaded(faulty_proxy, path, "signed/B4.tif", GRID)
    environment = faulty_proxy.store.environment
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=faulty_proxy.endpoint,
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )
    wanted = {"Bucket": faulty_proxy.store.bucket, "Key": "signed/B4.tif"}
    url = client.generate_presigned_url("get_object", Params=wanted)
    one = granule("LC08_signed", {"red": url}, GRID)
    np.testing.assert_array_equal(landsat_stack.read(one, "red", GRID), values)
    spoilt = granule("LC08_signed", {"red": url.replace("Signature=", "Signature=a")}, GRID)
    with pytest.raises(RasterError, match=r"refused \(403") as caught:
        landsat_stack.read(spoilt, "red", GRID)
    values_in_url = [pair.partition("=")[2] for pair in url.partition("?")[2].split("&")]
    assert not any(value in str(caught.value) for value in values_in_url)


def test_wrong_keys_are_refused_in_words(faulty_proxy, scene_file, monkeypatch):
    path, _ = scene_file
    one = uploaded(faulty_proxy, path, "keys/B4.tif", GRID)
    from tests.fixtures.seaweed import forget_filesystems

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x" * 40)
    forget_filesystems()
    with pytest.raises(RasterError, match="credentials"):
        landsat_stack.read(one, "red", GRID)


def test_a_window_of_a_large_scene_costs_its_blocks_only(faulty_proxy, tmp_path):
    grid = snapped((1_000_005.0, 400_005.0, 1_270_005.0, 670_005.0))
    assert grid.shape == (9000, 9000)
    values = np.tile(pixels((1000, 1000), seed=2, kind="uint8"), (9, 9))
    path = write_cog(tmp_path / "large.tif", values, grid, compress="none", overviews="none")
    one = uploaded(faulty_proxy, path, "large/B4.tif", grid)
    window = grid.window(slice(4096, 5120), slice(5120, 6144))
    faulty_proxy.begin()
    found = landsat_stack.read(one, "red", window)
    np.testing.assert_array_equal(found, values[4096:5120, 5120:6144])
    # Four blocks of 512 x 512 bytes, and the header; the whole file has 81 million.
    assert faulty_proxy.bytes_sent < 4 * 512 * 512 * 1.25 + 100_000
    assert faulty_proxy.requests <= 8
