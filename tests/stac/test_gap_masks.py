"""Official gap-mask files: what they say, and what is refused."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from rasterio.io import MemoryFile
from rasterio.transform import Affine

from stac import gap_masks
from stac.gap_masks import GapMaskError

NAME = "LE07_L1TP_092084_20110809_20161206_01_T1_GM_B3.TIF.gz"
PRESENT = np.array([[0, 1, 1], [1, 0, 1]], dtype=np.uint8)


def tiff(values: np.ndarray = PRESENT, *, bands: int = 1, placed: bool = True) -> bytes:
    place = {"crs": "EPSG:3031", "transform": Affine(30, 0, -15, 0, -30, 45)} if placed else {}
    ny, nx = values.shape
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff", width=nx, height=ny, count=bands, dtype=values.dtype, **place
        ) as out:
            for band in range(1, bands + 1):
                out.write(values, band)
        return bytes(memory.read())


@pytest.mark.parametrize("packed", [False, True])
def test_a_mask_says_where_the_ground_was_seen(packed):
    data = gzip.compress(tiff()) if packed else tiff()

    mask = gap_masks.read(data, name=NAME)

    np.testing.assert_array_equal(mask.present, PRESENT == 1)
    assert mask.transform == (30.0, 0.0, -15.0, 0.0, -30.0, 45.0)
    assert mask.code == "EPSG:3031"


def test_names_tell_the_band():
    assert [gap_masks.band_of(f"X_GM_B{n}.TIF") for n in (1, 8)] == [1, 8]
    assert gap_masks.band_of(NAME.lower()) == 3
    with pytest.raises(GapMaskError, match="_GM_B3"):
        gap_masks.band_of("LE07_B3.TIF")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "expected a GeoTIFF"),
        (b"<VRTDataset/>", "expected a GeoTIFF"),
        (gzip.compress(b"<VRTDataset/>", mtime=0), "expected a GeoTIFF"),
        (tiff()[:60], "damaged"),
        (gzip.compress(tiff(), mtime=0)[:-20], "ends early"),
        (b"\x1f\x8b\x08 nothing", "damaged gzip"),
        (tiff(bands=2), "expected one of uint8"),
        (tiff(PRESENT.astype(np.uint16)), "expected one of uint8"),
        (tiff(PRESENT * 2), "values up to 2"),
    ],
)
def test_what_is_no_gap_mask_is_refused(data, said):
    with pytest.raises(GapMaskError, match=said):
        gap_masks.read(data, name=NAME)


def test_a_mask_without_a_place_is_refused():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = tiff(placed=False)
    with pytest.raises(GapMaskError, match="expected a projection"):
        gap_masks.read(data, name=NAME)


def test_a_small_file_cannot_unpack_to_fill_the_memory(monkeypatch):
    monkeypatch.setattr(gap_masks, "LARGEST_BYTES", 10_000)
    with pytest.raises(GapMaskError, match="unpacks to more than 10000 bytes"):
        gap_masks.read(gzip.compress(b"II*\0" + bytes(1_000_000)), name=NAME)


def test_a_mask_larger_than_any_scene_is_refused_before_it_is_read(monkeypatch):
    monkeypatch.setattr(gap_masks, "LARGEST_PIXELS", 5)
    with pytest.raises(GapMaskError, match="2 × 3 pixels"):
        gap_masks.read(tiff(), name=NAME)


@pytest.mark.realdata
def test_the_real_masks_hold_data_where_the_band_does(data_root: Path):
    import rasterio

    folder = data_root / "optical/slc_off/wagl_LE07_092084_20110809"
    for path in sorted((folder / "gap_mask").glob("*.gz")):
        mask = gap_masks.read(path.read_bytes(), name=path.name)
        band = next(folder.glob(f"*_B{gap_masks.band_of(path.name)}.TIF"))
        with rasterio.open(band) as source:
            filled = source.read(1) > 0
            assert mask.code == str(source.crs)
            assert mask.transform == tuple(source.transform)[:6]
        # The band fills gaps under 1.5 pixels near nadir, which the official mask keeps.
        assert (mask.present == filled).mean() > 0.99
        assert not (mask.present & ~filled).mean() > 0.001
