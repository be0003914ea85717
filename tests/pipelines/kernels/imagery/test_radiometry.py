"""Digital numbers become reflectance as the handbook says, and snow keeps its texture."""

import json
from fractions import Fraction
from math import radians, sin
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.kernels.imagery import radiometry

OLI = {"mult": 2e-5, "add": -0.1}
ETM = {"mult": [1.3e-3, 1.4e-3, 1.2e-3], "add": [-0.011, -0.012, -0.010]}
EVERY = np.arange(65536, dtype=np.uint16).reshape(256, 256)


def exact(dn: int, mult: float, add: float, sun: float) -> float:
    """The equation in rational numbers, apart from the sine."""
    linear = Fraction(dn) * Fraction(mult) + Fraction(add)
    return float(linear / Fraction(sin(radians(sun))))


@given(
    st.integers(1, 65535),
    st.floats(1e-5, 3e-5),
    st.floats(-0.2, 0.0),
    st.floats(4.0, 90.0),
)
def test_reflectance_is_that_of_the_handbook_to_a_tenth_of_a_count(dn, mult, add, sun):
    numbers = np.full((1, 1), dn, np.uint16)
    found = radiometry.top_of_atmosphere(numbers, mult=mult, add=add, sun_elevation=sun)

    expected = exact(dn, mult, add, sun)
    assert abs(float(found[0, 0]) - expected) < 0.1 * radiometry.PER_COUNT * max(1.0, expected)


@given(st.floats(4.0, 90.0))
def test_a_sun_for_each_pixel_that_is_the_same_everywhere_changes_nothing(sun):
    one = radiometry.top_of_atmosphere(EVERY, **OLI, sun_elevation=sun)
    many = radiometry.top_of_atmosphere(EVERY, **OLI, sun_elevation=np.full(EVERY.shape, sun))

    assert one.dtype == many.dtype == np.float32
    np.testing.assert_allclose(many, one, rtol=1e-6, atol=1e-6)


def test_a_sun_for_each_pixel_takes_the_ramp_of_brightness_away():
    """A white plain under a sun of 5° in the south and 8° in the north, with DN as it would be."""
    sun = np.linspace(8.0, 5.0, 400)[:, None] * np.ones(300)
    dn = np.rint((0.8 * np.sin(np.radians(sun)) + 0.1) / 2e-5).astype(np.uint16)

    flat = radiometry.top_of_atmosphere(dn, **OLI, sun_elevation=sun)
    ramp = radiometry.top_of_atmosphere(dn, **OLI, sun_elevation=6.5)

    assert np.abs(flat - 0.8).max() < 1e-5 / sin(radians(5.0)) + 1e-6
    assert np.ptp(ramp) > 0.3


def test_each_band_has_its_own_coefficients_on_landsat_7():
    dn = np.random.default_rng(7).integers(1, 256, (2, 3, 5, 4)).astype(np.uint8)

    together = radiometry.top_of_atmosphere(dn, **ETM, sun_elevation=25.0)

    for band in range(3):
        apart = radiometry.top_of_atmosphere(
            dn[:, band], mult=ETM["mult"][band], add=ETM["add"][band], sun_elevation=25.0
        )
        np.testing.assert_array_equal(together[:, band], apart)


def test_level_2_knows_no_sun():
    np.testing.assert_allclose(
        radiometry.surface_reflectance(EVERY, mult=2.75e-5, add=-0.2).ravel()[1:],
        np.arange(1, 65536) * 2.75e-5 - 0.2,
        atol=3e-7,
    )


def test_fill_is_no_reflectance_and_no_count_and_no_byte():
    rho = radiometry.top_of_atmosphere(np.zeros((2, 3), np.uint16), **OLI, sun_elevation=20.0)

    assert np.isnan(rho).all()
    assert not radiometry.counts(rho).any()
    assert not radiometry.paper_bytes(rho).any()
    assert not radiometry.stretched_bytes(rho).any()


@given(st.floats(2.0**-16, 1.625, width=32))
def test_counts_bring_back_reflectance_to_half_a_count(reflectance):
    there = np.full(1, reflectance, np.float32)
    back = radiometry.reflectance_of(radiometry.counts(there))

    assert abs(float(back[0]) - float(there[0])) <= 0.5001 * radiometry.PER_COUNT + 2e-7


def test_every_count_comes_back_as_itself():
    again = radiometry.counts(radiometry.reflectance_of(EVERY))
    np.testing.assert_array_equal(again, EVERY)


def test_what_was_measured_is_never_stored_as_nothing():
    dark = np.array([-0.2, -1e-9, 0.0, 1e-6, 50.0, np.inf], np.float32)

    np.testing.assert_array_equal(radiometry.counts(dark), [1, 1, 1, 1, 65535, 65535])
    assert (radiometry.stretched_bytes(dark) > 0).all()


@pytest.mark.parametrize("sun", [4.0, 12.0, 33.3, None])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_the_table_stores_what_the_two_steps_store_bit_for_bit(kind, sun):
    dn = np.random.default_rng(3).integers(0, np.iinfo(kind).max + 1, (3, 40, 50)).astype(kind)
    slow = (
        radiometry.surface_reflectance(dn, **ETM)
        if sun is None
        else radiometry.top_of_atmosphere(dn, **ETM, sun_elevation=sun)
    )

    fast = radiometry.scene_counts(dn, **ETM, sun_elevation=sun)

    assert fast.dtype == np.uint16
    np.testing.assert_array_equal(fast, radiometry.counts(slow))


def test_kernels_leave_their_inputs_alone_and_need_twice_their_output_at_most():
    import tracemalloc

    dn = np.full((3, 512, 512), 20000, np.uint16)
    rho = radiometry.top_of_atmosphere(dn, **OLI, sun_elevation=20.0)
    before = rho.copy()
    tracemalloc.start()
    radiometry.counts(rho)
    radiometry.top_of_atmosphere(dn, **OLI, sun_elevation=20.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    np.testing.assert_array_equal(rho, before)
    assert (dn == 20000).all()
    assert peak < 2 * rho.nbytes


def test_snow_at_sun_12_is_brighter_than_white_and_keeps_its_texture_in_our_bytes_only():
    """Crevasses of ±4 % on snow that reflects 1.08 at the top of the atmosphere."""
    columns = np.arange(64)
    rho = 1.08 * (1.0 + 0.04 * np.sin(2.0 * np.pi * columns / 16.0)) * np.ones((64, 1))
    dn = np.rint((rho * sin(radians(12.0)) + 0.1) / 2e-5).astype(np.uint16)

    seen = radiometry.top_of_atmosphere(dn, **OLI, sun_elevation=12.0)

    assert seen.min() > 1.0
    assert np.unique(radiometry.paper_bytes(seen)).tolist() == [255]
    texture = radiometry.stretched_bytes(seen).astype(float)
    assert np.ptp(texture) > 15
    assert np.corrcoef(texture.ravel(), rho.ravel())[0, 1] > 0.99
    kept = radiometry.reflectance_of(radiometry.counts(seen))
    assert np.abs(kept - rho).max() < 2e-5 / sin(radians(12.0))


@given(st.lists(st.floats(-1.0, 3.0, width=32), min_size=1, max_size=20))
def test_bytes_of_the_paper_are_clamped_and_cut_not_rounded(values):
    found = radiometry.paper_bytes(np.array(values, np.float32))

    expected = [int(min(max(np.float32(v) * np.float32(255.0), 0.0), 255.0)) for v in values]
    assert found.tolist() == expected


@given(st.floats(-0.2, 0.5), st.floats(0.05, 2.0))
def test_the_stretch_is_monotonic_and_reaches_both_ends(low, width):
    rho = np.linspace(low, low + width, 999, dtype=np.float32)
    shown = radiometry.stretched_bytes(rho, low=low, high=low + width).astype(int)

    assert shown[0] == 1
    assert shown[-1] == 255
    assert (np.diff(shown) >= 0).all()


@pytest.mark.parametrize("sun", [0.0, -3.0, 90.5, np.nan])
def test_a_scene_without_sun_is_refused(sun):
    with pytest.raises(radiometry.RadiometryError, match="expected above 0°"):
        radiometry.top_of_atmosphere(EVERY, **OLI, sun_elevation=sun)


def test_a_pixel_below_the_horizon_is_refused_and_one_without_an_angle_has_no_reflectance():
    sun = np.full(EVERY.shape, 10.0)
    sun[3, 4] = np.nan
    found = radiometry.top_of_atmosphere(EVERY, **OLI, sun_elevation=sun)
    assert np.isnan(found[3, 4])
    assert np.isnan(found).sum() == 2  # and the one fill

    sun[5, 6] = -0.1
    with pytest.raises(radiometry.RadiometryError, match="elevation"):
        radiometry.top_of_atmosphere(EVERY, **OLI, sun_elevation=sun)


@pytest.mark.parametrize("mult", [0.0, -2e-5, np.nan, np.inf])
def test_a_factor_that_is_not_positive_is_refused(mult):
    with pytest.raises(radiometry.RadiometryError, match="M > 0"):
        radiometry.surface_reflectance(EVERY, mult=mult, add=-0.1)


def test_coefficients_of_other_bands_are_refused():
    with pytest.raises(radiometry.RadiometryError, match="one for each band"):
        radiometry.surface_reflectance(np.ones((2, 4, 4), np.uint8), **ETM)
    with pytest.raises(radiometry.RadiometryError, match="one for each band"):
        radiometry.surface_reflectance(np.ones((4, 4), np.uint8), **ETM)
    with pytest.raises(radiometry.RadiometryError, match="one for each band"):
        radiometry.scene_counts(np.ones((2, 4, 4), np.uint8), **ETM, sun_elevation=20.0)


def test_floats_have_no_table_and_a_stretch_has_a_width():
    with pytest.raises(radiometry.RadiometryError, match="uint8 or uint16"):
        radiometry.scene_counts(np.ones((4, 4)), **OLI, sun_elevation=20.0)  # type: ignore[arg-type]
    with pytest.raises(radiometry.RadiometryError, match="stretch"):
        radiometry.stretched_bytes(np.ones(3, np.float32), low=0.5, high=0.5)


@pytest.mark.realdata
def test_the_real_greenland_scene_is_bright_snow(data_root: Path):
    """Its own level-2 coefficients; clear snow of QA_PIXEL reflects 0.97 in green."""
    import rasterio

    folder = data_root / "optical/imagery/landsat8_greenland_005009_20150710"
    name = "LC08_L2SP_005009_20150710_20200908_02_T2"
    document = json.loads((folder / f"{name}_MTL.json").read_text())
    level_2 = document["LANDSAT_METADATA_FILE"]["LEVEL2_SURFACE_REFLECTANCE_PARAMETERS"]
    with rasterio.open(folder / f"{name}_SR_B3.TIF") as green:
        dn = green.read(1)
    with rasterio.open(folder / f"{name}_QA_PIXEL.TIF") as band:
        snow = band.read(1) == 30048

    rho = radiometry.surface_reflectance(
        dn,
        mult=float(level_2["REFLECTANCE_MULT_BAND_3"]),
        add=float(level_2["REFLECTANCE_ADD_BAND_3"]),
    )

    assert np.isnan(rho).sum() == (dn == 0).sum()
    assert np.median(rho[snow]) == pytest.approx(0.967, abs=0.001)
    # what the paper's bytes lose here, under a sun of 40°
    assert (radiometry.paper_bytes(rho[snow]) == 255).mean() == pytest.approx(0.185, abs=0.002)
