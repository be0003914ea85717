"""A second opinion on cloud over ice: bright at 1.6 µm is cloud, dark is snow."""

from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.kernels.imagery import cloud_opinion, quality_bits, radiometry

CLEAR = np.zeros(1, np.uint16)
LEVEL_2 = {"mult": 2.75e-5, "add": -0.2}


def says(green: float, swir16: float, mask: int = 0) -> bool:
    bands = {"green": np.full(1, green, np.float32), "swir16": np.full(1, swir16, np.float32)}
    word = np.full(1, mask, np.uint16)
    return bool(cloud_opinion.opinion("snow_index")(bands, word)[0])


@pytest.mark.parametrize(
    ("surface", "green", "swir16", "cloudy"),
    [
        ("fine cold snow of the plateau", 0.94, 0.137, False),
        ("coarse snow in summer", 0.90, 0.03, False),
        ("blue ice", 0.65, 0.01, False),
        ("melt pond", 0.30, 0.005, False),
        ("sea", 0.04, 0.002, False),
        ("rock in the sun", 0.15, 0.25, False),
        ("snow in a shadow", 0.25, 0.01, False),
        ("cloud of droplets", 0.92, 0.55, True),
        ("cloud of ice crystals", 0.92, 0.30, True),
        ("snow at a sun so low that it reflects more than 1", 1.15, 0.10, False),
    ],
)
def test_what_lies_on_an_ice_sheet(surface, green, swir16, cloudy):
    assert says(green, swir16) is cloudy, surface


def test_nothing_is_said_where_nothing_was_measured():
    assert says(0.92, 0.5)
    assert not says(0.92, 0.5, quality_bits.FILL)
    assert not says(0.92, 0.5, quality_bits.GAP)
    assert not says(np.nan, 0.5)
    assert not says(0.92, np.nan)


@given(st.floats(0.36, 1.5), st.floats(0.0, 0.9), st.floats(0.0, 0.3))
def test_more_light_at_1_6_micrometres_never_makes_a_cloud_vanish(green, swir16, more):
    assert says(green, swir16 + more) or not says(green, swir16)


@given(st.floats(-0.1, 1.5), st.floats(-0.1, 1.0))
def test_the_index_is_that_of_the_definition(green, swir16):
    green, swir16 = float(np.float32(green)), float(np.float32(swir16))
    rule = cloud_opinion.SnowIndex()
    index = (green - swir16) / (green + swir16) if green + swir16 else np.nan
    if abs(index - rule.ndsi) > 1e-5:
        bright = swir16 > np.float32(rule.swir16) and green > np.float32(rule.green)
        assert says(green, swir16) == (bright and index < rule.ndsi)


def test_no_opinion_needs_nothing_and_says_nothing():
    none = cloud_opinion.opinion("none")
    assert none.needs == ()
    assert not none({}, np.zeros((2, 3), np.uint16)).any()
    assert isinstance(none, cloud_opinion.Opinion)


def test_a_missing_band_is_named():
    with pytest.raises(cloud_opinion.CloudOpinionError, match="expected also swir16"):
        cloud_opinion.SnowIndex()({"green": np.ones(1, np.float32)}, CLEAR)


def test_an_unknown_opinion_is_refused_with_the_known_ones():
    with pytest.raises(cloud_opinion.CloudOpinionError, match="none, snow_index"):
        cloud_opinion.opinion("oracle")


class Everywhere:
    """An opinion that another package brings."""

    needs = ("red",)

    def __call__(self, reflectance, mask):
        return np.ones(mask.shape, bool)


NOT_AN_OPINION = 3


def installed(name: str) -> metadata.EntryPoints:
    """Entry points as importlib would find them, one of them here."""
    value = f"{__name__}:{name}"
    return metadata.EntryPoints([metadata.EntryPoint("extra", value, cloud_opinion.ENTRY_POINTS)])


def test_an_installed_opinion_is_found_by_its_name(monkeypatch):
    entry = installed("Everywhere")
    monkeypatch.setattr(metadata, "entry_points", lambda *, group: entry)
    monkeypatch.setattr(metadata.EntryPoint, "load", lambda self: Everywhere)

    assert "extra" in cloud_opinion.known()
    assert cloud_opinion.opinion("extra")({}, CLEAR).all()
    assert cloud_opinion.opinion("extra").needs == ("red",)


def test_an_entry_point_that_is_no_opinion_is_refused(monkeypatch):
    entry = installed("NOT_AN_OPINION")
    monkeypatch.setattr(metadata, "entry_points", lambda *, group: entry)
    monkeypatch.setattr(metadata.EntryPoint, "load", lambda self: NOT_AN_OPINION)

    with pytest.raises(cloud_opinion.CloudOpinionError, match="NOT_AN_OPINION"):
        cloud_opinion.opinion("extra")


def scene(data_root: Path, place: str) -> tuple[dict, np.ndarray]:
    import rasterio

    folder = next(data_root.glob(f"optical/imagery/*{place}*"))
    read = {}
    for name, file in (("green", "SR_B3"), ("swir16", "SR_B6"), ("qa", "QA_PIXEL")):
        with rasterio.open(next(folder.glob(f"*_{file}.TIF"))) as band:
            read[name] = band.read(1)
    qa = read.pop("qa")
    return {k: radiometry.surface_reflectance(v, **LEVEL_2) for k, v in read.items()}, qa


@pytest.mark.realdata
def test_in_greenland_the_opinion_agrees_with_what_qa_is_sure_of(data_root: Path):
    bands, qa = scene(data_root, "greenland")
    mask = quality_bits.flags(qa, collection=2, platform="landsat-8")

    cloudy = cloud_opinion.opinion("snow_index")(bands, mask)

    sure = (quality_bits.confidence(qa, "cloud") == 3) & (qa != 1)
    assert cloudy[sure].mean() > 0.90
    assert cloudy[qa == 30048].mean() < 0.01
    assert not cloudy[qa == 1].any()


@pytest.mark.realdata
def test_on_the_plateau_the_opinion_doubts_that_all_is_cloud(data_root: Path):
    """QA_PIXEL calls every pixel of 099/120 cloud and cirrus; its snow index is 0.71 to 0.77."""
    bands, qa = scene(data_root, "antarctica")
    mask = quality_bits.flags(qa, collection=2, platform="landsat-8")

    cloudy = cloud_opinion.opinion("snow_index")(bands, mask)

    assert quality_bits.rejected(mask, quality_bits.PAPER).all()
    assert cloudy[qa != 1].mean() < 0.01
