"""Image files: which addresses pass, what is checked, and that every failure has words."""

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st

from stac import raster_access, raster_addresses
from stac.landsat_items import Asset
from stac.pixel_grids import PixelGrid, snapped
from stac.raster_access import RasterError
from tests.stac.landsat_rasters import pixels, write_cog

GRID = snapped((1_000_005.0, 400_005.0, 1_009_005.0, 409_005.0))


@pytest.fixture
def image(tmp_path: Path) -> Any:
    yield write_cog(tmp_path / "B4.tif", pixels(GRID.shape, seed=1), GRID)
    raster_access.close_idle()


def read(asset: Asset) -> Any:
    with raster_access.opened(asset) as dataset:
        return dataset.read(1)


class TestAddresses:
    @pytest.mark.parametrize(
        "href",
        [
            "/vsicurl/http://127.0.0.1/a.tif",
            "/vsimem/a.tif",
            "//vsizip//etc/a.zip",
            "/usr/../vsitar/a",
            "vsi.tif/../../../../../../../../../../vsimem/a.tif",
            "file:///vsis3/bucket/key.tif",
            "file://elsewhere/a.tif",
            "<VRTDataset rasterXSize='1' rasterYSize='1'/>",
            "GTIFF_DIR:1:/etc/passwd",
            "GTIFF_RAW:/etc/passwd",
            'NETCDF:"/etc/passwd":a',
            "WMS:http://127.0.0.1/",
            "PG:host=127.0.0.1",
            "ftp://host/a.tif",
            "zip+file:///a.zip!b.tif",
            "zip://a.zip!b.tif",
            "az://container/a.tif",
            "gs://bucket/a.tif",
            "s3://",
            "s3://bucket",
            "s3:///key",
            "s3://bucket/key?x=1",
            "https://",
            "http:///a.tif",
            "",
            "a\0b",
            "/dev/zero",
            "/etc",
            "https://host/a\n.tif",
        ],
    )
    def test_no_other_kind_of_name_reaches_gdal(self, href):
        with pytest.raises(RasterError):
            raster_addresses.gdal_path(href)

    @given(st.text())
    def test_any_text_is_refused_or_becomes_a_plain_path(self, text):
        try:
            path = raster_addresses.gdal_path(text)
        except RasterError:
            return
        plain = path.startswith(("/vsicurl/http://", "/vsicurl/https://", "/vsis3/"))
        assert plain or (Path(path).is_absolute() and Path(path).is_file())

    def test_paths_and_file_addresses_name_the_same_file(self, image, monkeypatch):
        monkeypatch.chdir(image.parent)
        odd = image.parent / "with space #1.tif"
        odd.write_bytes(image.read_bytes())
        quoted = "file://" + str(odd).replace(" ", "%20").replace("#", "%23")
        for href in (str(image), image.name, f"file://{image}", str(odd), quoted):
            assert read(Asset(href)).shape == GRID.shape

    def test_a_link_to_a_file_is_followed_as_in_a_catalogue(self, image, tmp_path):
        (tmp_path / "link.tif").symlink_to(image)
        assert read(Asset(str(tmp_path / "link.tif"))).shape == GRID.shape

    def test_signatures_and_passwords_are_not_shown(self):
        shown = raster_addresses.shown("cannot read https://u:pw@h/a.TIF?sig=S&se=2 and b?X-Amz=T.")
        assert shown == "cannot read https://h/a.TIF?... and b?..."


class TestOptions:
    @pytest.fixture(autouse=True)
    def _no_environment(self, monkeypatch):
        for name in list(os.environ):
            if name.startswith(("AWS_", "GDAL_", "FSSPEC_")):
                monkeypatch.delenv(name)

    def test_the_endpoint_of_the_environment_becomes_gdals(self, monkeypatch):
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:8333/")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-1")
        chosen = raster_addresses.options("s3://ice/a.tif")
        assert chosen["AWS_S3_ENDPOINT"] == "127.0.0.1:8333"
        assert chosen["AWS_HTTPS"] == "NO"
        assert chosen["AWS_VIRTUAL_HOSTING"] == "FALSE"
        assert chosen["AWS_REGION"] == "eu-1"
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://store.example")
        assert raster_addresses.options("s3://ice/a.tif")["AWS_HTTPS"] == "YES"

    def test_amazon_itself_needs_no_endpoint(self):
        assert "AWS_S3_ENDPOINT" not in raster_addresses.options("s3://ice/a.tif")

    def test_only_usgs_bucket_is_paid_by_the_requester(self):
        assert raster_addresses.options("s3://usgs-landsat/a")["AWS_REQUEST_PAYER"] == "requester"
        assert "AWS_REQUEST_PAYER" not in raster_addresses.options("s3://usgs-landsat-copy/a")

    def test_anonymous_reading_is_chosen_as_elsewhere(self, monkeypatch):
        assert "AWS_NO_SIGN_REQUEST" not in raster_addresses.options("s3://ice/a")
        monkeypatch.setenv("FSSPEC_S3_ANON", "true")
        assert raster_addresses.options("s3://ice/a")["AWS_NO_SIGN_REQUEST"] == "YES"

    def test_patience_may_be_set_by_gdals_own_variables_and_safety_may_not(self, monkeypatch):
        monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "9")
        monkeypatch.setenv("GDAL_DISABLE_READDIR_ON_OPEN", "FALSE")
        chosen = raster_addresses.options("https://host/a.tif")
        assert chosen["GDAL_HTTP_MAX_RETRY"] == "9"
        assert chosen["GDAL_DISABLE_READDIR_ON_OPEN"] == "EMPTY_DIR"

    def test_an_endpoint_that_is_no_address_is_refused(self, monkeypatch):
        monkeypatch.setenv("AWS_ENDPOINT_URL", "127.0.0.1:8333")
        with pytest.raises(RasterError, match="http"):
            raster_addresses.options("s3://ice/a")


class TestOpening:
    def test_files_beside_an_image_are_not_looked_at(self, image):
        image.with_suffix(".tif.ovr").write_bytes(b"<VRTDataset/>")
        Path(f"{image}.aux.xml").write_text("<PAMDataset><SRS>EPSG:4326</SRS></PAMDataset>")
        with raster_access.opened(Asset(str(image))) as dataset:
            assert dataset.crs.to_epsg() == 3031

    def test_an_open_file_is_lent_again_but_to_one_reader_at_a_time(self, image):
        asset = Asset(str(image))
        with raster_access.opened(asset) as first, raster_access.opened(asset) as second:
            assert first is not second
        with raster_access.opened(asset) as third:
            assert third in (first, second)

    def test_many_threads_read_the_same_pixels(self, image):
        expected, found = read(Asset(str(image))), []

        def read_often():
            found.extend(np.array_equal(read(Asset(str(image))), expected) for _ in range(10))

        threads = [threading.Thread(target=read_often) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [True] * 80

    def test_options_of_one_thread_do_not_reach_another(self, image):
        opened, looked = threading.Event(), threading.Event()

        def hold():
            before = rasterio.env.hasenv()
            with raster_access.opened(Asset(str(image))):
                option = rasterio.env.getenv()["GDAL_DISABLE_READDIR_ON_OPEN"]
                opened.set()
                looked.wait(30.0)
            return before, option, rasterio.env.hasenv()

        def look():
            opened.wait(30.0)
            seen = rasterio.env.hasenv()
            looked.set()
            return seen

        # Both threads are new: what other tests left behind in this one says nothing.
        with ThreadPoolExecutor(2) as threads:
            holding, looking = threads.submit(hold), threads.submit(look)
            assert looking.result(60.0) is False
            assert holding.result(60.0) == (False, "EMPTY_DIR", False)

    def test_the_cache_of_blocks_is_bounded_and_holds_blocks(self, image, monkeypatch):
        from rasterio._env import get_gdal_config

        monkeypatch.delenv("GDAL_CACHEMAX", raising=False)
        read(Asset(str(image)))
        assert get_gdal_config("GDAL_CACHEMAX") == raster_addresses.CACHE_BYTES == 128 * 1024**2

    def test_an_error_of_the_caller_passes_as_it_is(self, image):
        with pytest.raises(KeyError), raster_access.opened(Asset(str(image))):
            raise KeyError


class TestFailures:
    def test_a_missing_file(self, tmp_path):
        with pytest.raises(RasterError, match="is not there; expected an image"):
            read(Asset(str(tmp_path / "no.tif")))

    def test_a_file_cut_off_fails_on_reading_not_on_opening(self, image):
        data = image.read_bytes()
        cut = image.with_name("cut.tif")
        cut.write_bytes(data[: len(data) // 2])
        with raster_access.opened(Asset(str(cut))):
            pass
        with pytest.raises(RasterError, match="damaged or cut off"):
            read(Asset(str(cut)))
        expected = f"{len(data) // 2} bytes, its catalogue promises {len(data)}"
        with pytest.raises(RasterError, match=expected):
            read(Asset(str(cut), size=len(data)))

    @pytest.mark.parametrize("data", [b"", b"<html>please log in</html>", b"II*\0" + b"\xff" * 50])
    def test_other_things_than_images(self, tmp_path, data):
        (tmp_path / "page.tif").write_bytes(data)
        with pytest.raises(RasterError, match="is no GeoTIFF"):
            read(Asset(str(tmp_path / "page.tif")))

    def test_an_image_of_another_format_is_no_geotiff(self, tmp_path):
        vrt = "<VRTDataset rasterXSize='1' rasterYSize='1'><VRTRasterBand band='1'/></VRTDataset>"
        (tmp_path / "a.tif").write_text(vrt)
        with pytest.raises(RasterError, match="is no GeoTIFF"):
            read(Asset(str(tmp_path / "a.tif")))

    @pytest.mark.parametrize(("count", "kind"), [(3, "uint8"), (1, "float32"), (1, "uint32")])
    def test_bands_that_are_not_landsats(self, tmp_path, count, kind):
        profile = {"width": 8, "height": 8, "count": count, "dtype": kind, "driver": "GTiff"}
        profile |= {"crs": "EPSG:3031", "transform": rasterio.Affine(30, 0, 15, 0, -30, 15)}
        with rasterio.open(tmp_path / "a.tif", "w", **profile):
            pass
        with pytest.raises(RasterError, match=f"{count} bands of {kind}"):
            read(Asset(str(tmp_path / "a.tif")))

    def test_blocks_too_large_to_hold_are_refused_before_reading(self, tmp_path):
        grid = PixelGrid("", "EPSG:3031", 15.0, 15.0, 30.0, 20_000, 20_000)
        profile = {"width": grid.nx, "height": grid.ny, "count": 1, "dtype": "uint8"}
        with rasterio.open(
            tmp_path / "bomb.tif",
            "w",
            driver="GTiff",
            crs=grid.code,
            transform=rasterio.Affine(*grid.transform),
            tiled=True,
            blockxsize=16_384,
            blockysize=16_384,
            sparse_ok=True,
            compress="deflate",
            **profile,
        ):
            pass
        with pytest.raises(RasterError, match="blocks of 16384 x 16384"):
            read(Asset(str(tmp_path / "bomb.tif")))

    def test_a_server_that_is_not_there(self, monkeypatch):
        monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "0")
        with pytest.raises(RasterError, match=r"cannot be reached \(no answer") as caught:
            read(Asset("http://127.0.0.1:1/a.tif?sig=SECRET"))
        assert "SECRET" not in str(caught.value)


class TestVerify:
    def test_what_is_promised_is_compared_and_no_more(self, image):
        data = image.read_bytes()
        for code, name in (("1220", "sha256"), ("1340", "sha512")):
            checksum = code + hashlib.new(name, data).hexdigest()
            asset = Asset(str(image), size=len(data), checksum=checksum)
            for how in ("none", "size", "full"):
                assert raster_access.verify(asset, how) == how
        assert raster_access.verify(Asset(str(image)), "full") == "none"
        assert raster_access.verify(Asset(str(image), size=len(data)), "full") == "size"
        assert raster_access.verify(Asset(str(image), checksum=checksum), "size") == "none"

    def test_one_changed_bit_is_found(self, image):
        data = bytearray(image.read_bytes())
        asset = Asset(str(image), len(data), "1220" + hashlib.sha256(data).hexdigest())
        data[len(data) // 2] ^= 1
        image.write_bytes(data)
        assert raster_access.verify(asset, "size") == "size"
        with pytest.raises(RasterError, match="checksum"):
            raster_access.verify(asset, "full")

    def test_a_wrong_size_names_both(self, image):
        size = image.stat().st_size
        with pytest.raises(RasterError, match=f"has {size} bytes, its catalogue promises 12"):
            raster_access.verify(Asset(str(image), size=12))

    @pytest.mark.parametrize("checksum", ["d50110" + "0" * 32, "1220abcd", "zz"])
    def test_checksums_of_other_kinds_are_refused(self, image, checksum):
        with pytest.raises(RasterError, match="no multihash"):
            raster_access.verify(Asset(str(image), checksum=checksum), "full")

    def test_a_missing_file_is_told(self, tmp_path):
        with pytest.raises(RasterError, match="is not there"):
            raster_access.verify(Asset(str(tmp_path / "no.tif"), size=3))


@pytest.mark.parametrize(
    "href",
    ["simplecache::file:///a", "zip://a.tif::/b.zip", "ftp://host/a.tif", "memory://a", "a\nb"],
)
def test_addresses_that_are_more_than_addresses_are_refused_for_any_file(href: str) -> None:
    with pytest.raises(RasterError, match="is no plain address"):
        raster_addresses.require_plain(href)


def test_plain_addresses_pass_whether_or_not_there_is_a_file() -> None:
    for href in ("/a/b_MTL.json", "file:///a", "s3://bucket/key", "https://host/a?sig=b"):
        raster_addresses.require_plain(href)
