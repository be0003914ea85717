"""QA_RADSAT: one bit for each band, and another band for each colour on each platform."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.kernels.imagery import quality_bits, saturation

ANY, ALL = quality_bits.SATURATED, quality_bits.SATURATED_ALL


@given(st.integers(0, 65535), st.sampled_from(sorted(saturation.RGB)))
def test_a_pixel_is_saturated_where_the_digits_of_its_bands_say_so(word, platform):
    digits = f"{word:016b}"[::-1]
    of_bands = [digits[band - 1] == "1" for band in saturation.RGB[platform]]

    found = saturation.saturated(np.array([word], np.uint16), bands=saturation.RGB[platform])

    assert int(found[0]) == (ANY if any(of_bands) else 0) | (ALL if all(of_bands) else 0)


def test_the_same_word_is_another_colour_on_another_platform():
    """Bits 0 to 2: all of RGB on ETM+; coastal, blue and green on OLI."""
    word = np.array([0b111], np.uint16)
    assert saturation.saturated(word, bands=saturation.RGB["landsat-7"]).tolist() == [ANY | ALL]
    assert saturation.saturated(word, bands=saturation.RGB["landsat-9"]).tolist() == [ANY]
    assert saturation.saturated(np.array([1]), bands=saturation.RGB["landsat-8"]).tolist() == [0]


def test_what_lies_beside_the_bands_is_not_saturation():
    words = np.array([saturation.DROPPED, saturation.OCCLUDED], np.uint16)

    for platform, bands in saturation.RGB.items():
        assert not saturation.saturated(words, bands=bands).any()
        assert saturation.dropped(words, platform=platform).tolist() == [
            platform == "landsat-7", False]  # fmt: skip
        assert saturation.occluded(words, platform=platform).tolist() == [
            False, platform != "landsat-7"]  # fmt: skip


@pytest.mark.parametrize("bands", [(), (0, 1, 2), (4, 3, 17)])
def test_bands_that_do_not_exist_are_refused(bands):
    with pytest.raises(saturation.SaturationError, match="expected numbers from 1"):
        saturation.saturated(np.array([0]), bands=bands)


def test_other_platforms_are_refused():
    with pytest.raises(saturation.SaturationError, match="sentinel-2"):
        saturation.dropped(np.array([0]), platform="sentinel-2")
    with pytest.raises(saturation.SaturationError, match="landsat-5"):
        saturation.occluded(np.array([0]), platform="landsat-5")


@pytest.mark.realdata
def test_the_real_greenland_scene_has_five_hidden_pixels_and_no_saturated_one(data_root: Path):
    import rasterio

    path = next(data_root.glob("optical/imagery/*greenland*/*QA_RADSAT.TIF"))
    with rasterio.open(path) as band:
        radsat = band.read(1)

    assert not saturation.saturated(radsat, bands=saturation.RGB["landsat-8"]).any()
    assert int(saturation.occluded(radsat, platform="landsat-8").sum()) == 5
