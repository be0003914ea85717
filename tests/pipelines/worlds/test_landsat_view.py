"""What Landsat sees of a surface that is known: light, gaps, clouds, bits."""

import dataclasses

import numpy as np
import pytest

from pipelines.worlds import landsat_passes
from pipelines.worlds.landsat_sensors import BAND_NUMBERS
from pipelines.worlds.landsat_view import at_sensor, see

from .plain_ice import BANDS, PlainIce, seen_from, window

GAP_YEAR = 2005


def reflectance(seen, view, band):
    """Reflectance above the air, by published coefficients and the zenith angles in the file.

    OLI: 2e-5 and -0.1 for every band. ETM+: radiance by Chander et al. (2009), table 4, and their
    irradiances; π L d² / (E sin e), all of it apart from the code under test.
    """
    sine = np.cos(np.radians(seen.sza / 100.0))
    counts = seen.dn[band].astype(float)
    if view.platform != "landsat-7":
        return np.where(counts > 0, (2e-5 * counts - 0.1) / sine, np.nan)
    high = {"blue": (-6.2, 191.6), "green": (-6.4, 196.5), "red": (-5.0, 152.9)}
    low = {"blue": (-6.2, 293.7), "green": (-6.4, 300.9), "red": (-5.0, 234.4)}
    smallest, largest = (high if view.gain == "H" else low)[band]
    sun = {"blue": 2036.0, "green": 1856.0, "red": 1525.0}[band]
    day = view.start.timetuple().tm_yday
    distance = 1.0 - 0.01672 * np.cos(np.radians(0.9856 * (day - 4)))
    radiance = smallest + (largest - smallest) / 254.0 * (counts - 1.0)
    return np.where(counts > 0, np.pi * radiance * distance**2 / (sun * sine), np.nan)


@pytest.mark.parametrize(
    ("platform", "band"), [(p, b) for p in ("landsat-8", "landsat-9") for b in BANDS]
)
def test_counts_of_oli_give_the_light_back_within_their_noise(platform, band):
    ice = PlainIce(window())
    view = seen_from(platform, 2021, grid=ice.grid)
    seen = see(ice, view)

    sine = np.cos(np.radians(seen.sza / 100.0))
    error = reflectance(seen, view, band) * sine - at_sensor(ice, view)[band]

    assert abs(np.nanmean(error)) < 2e-5
    # 9 counts of noise, 3 of detectors: 2e-4; less on Landsat 9. SZA is rounded to 0.01°.
    assert 1e-4 < np.nanstd(error) < 3e-4


@pytest.mark.parametrize("band", ["blue", "green", "red"])
def test_counts_of_etm_give_the_light_back_within_a_count(band):
    ice = PlainIce(window())
    ice.reflectance[band] *= np.float32(0.6)
    view = seen_from("landsat-7", GAP_YEAR, grid=ice.grid)
    seen = see(ice, view)

    sine = np.cos(np.radians(seen.sza / 100.0))
    error = reflectance(seen, view, band) * sine - at_sensor(ice, view)[band]

    count = 1.9e-3  # reflectance of a count in low gain, by the tables above
    assert abs(np.nanmean(error)) < 0.2 * count
    # 0.6 counts of noise, 0.35 of detectors, 0.29 of rounding: 0.75.
    assert 0.5 * count < np.nanstd(error) < 1.0 * count


def test_high_gain_saturates_on_snow_and_says_so_bit_by_bit():
    ice = PlainIce(window(128))
    view = seen_from("landsat-7", GAP_YEAR, grid=ice.grid)
    seen = {gain: see(ice, dataclasses.replace(view, gain=gain)) for gain in "HL"}

    for each in seen.values():
        for band in BANDS:
            bit = (each.qa_radsat >> (BAND_NUMBERS["landsat-7"][band] - 1)) & 1
            np.testing.assert_array_equal(bit == 1, each.dn[band] == 255)
    valid = seen["H"].qa_pixel != 1
    assert (seen["H"].qa_radsat[valid] & 0b111 == 0b111).all()
    assert (seen["L"].qa_radsat[valid] & 0b111 == 0b111).mean() < 0.01


def test_two_rows_of_a_pass_have_the_same_pixels_where_they_overlap():
    grid = window(384)
    ice = PlainIce(grid)
    first = seen_from("landsat-7", GAP_YEAR, grid=grid, cloudiness=0.4, haze=0.2)
    across, along = first.swath.frame(grid.x[None, :], grid.y[:, None])
    middle = float(along.mean())
    rows = [
        dataclasses.replace(first, first=middle - 180e3 + 1500.0, last=middle + 1500.0),
        dataclasses.replace(first, first=middle - 1500.0, last=middle + 180e3, row=first.row + 1),
    ]
    north, south = (see(ice, each) for each in rows)

    for band in BANDS:
        both = (north.dn[band] > 0) & (south.dn[band] > 0)
        either = (north.dn[band] > 0) | (south.dn[band] > 0)
        assert 0.02 < both.sum() / either.sum() < 0.5
        np.testing.assert_array_equal(north.dn[band][both], south.dn[band][both])
        assert not (north.dn[band] > 0).all()
    both = (north.qa_pixel != 1) & (south.qa_pixel != 1)
    np.testing.assert_array_equal(north.qa_pixel[both], south.qa_pixel[both])
    assert abs(across).max() < 92.5e3


def test_a_window_of_a_scene_has_the_pixels_of_the_whole():
    grid = window(256)
    whole = PlainIce(grid)
    view = seen_from("landsat-8", 2019, grid=grid, cloudiness=0.5, haze=0.3)
    part = PlainIce(grid.window(slice(40, 200), slice(16, 240)))

    one, other = see(whole, view), see(part, view)

    # The sun is linear between a window's corners, so counts may round to a neighbour; blur and the
    # dilation of clouds look 3 pixels beyond the edge.
    for band in BANDS:
        inner = one.dn[band][44:196, 20:236].astype(int) - other.dn[band][4:-4, 4:-4]
        assert np.abs(inner).max() <= 6
    np.testing.assert_allclose(one.cloud[44:196, 20:236], other.cloud[4:-4, 4:-4])
    assert (one.qa_pixel[44:196, 20:236] != other.qa_pixel[4:-4, 4:-4]).mean() < 1e-3


def test_gaps_are_fill_with_no_counts_and_only_since_the_corrector_failed():
    ice = PlainIce(window())
    broken, sound = (
        see(ice, seen_from("landsat-7", y, grid=ice.grid, nth=2)) for y in (2005, 2002)
    )

    assert 0.05 < broken.gap.mean() < 0.45
    assert (broken.qa_pixel[broken.gap] == 1).all()
    assert (np.stack([broken.dn[band] for band in BANDS]).min(axis=0)[broken.gap] == 0).all()
    assert (broken.qa_radsat[np.stack(list(broken.dn.values())).max(axis=0) == 0] == 0).all()
    assert not sound.gap.any()
    assert (sound.qa_pixel == 13664).all()  # clear snow of Landsat 7


def test_clear_snow_of_landsat_8_is_30048_and_water_is_water():
    ice = PlainIce(window(64))
    ice.kind[:, :20] = 0
    seen = see(ice, seen_from("landsat-8", 2019, grid=ice.grid))

    assert (seen.qa_pixel[:, 20:] == 30048).all()
    assert (seen.qa_pixel[:, :20] == 21952).all()


def test_outside_a_granule_there_is_nothing():
    grid = window(256)
    view = seen_from("landsat-8", 2019, grid=grid)
    _, along = view.swath.frame(grid.x[None, :], grid.y[:, None])
    seen = see(PlainIce(grid), dataclasses.replace(view, first=float(along.mean())))

    outside = seen.qa_pixel == 1
    assert 0.2 < outside.mean() < 0.8
    nothing = np.stack(list(seen.dn.values())).max(axis=0) == 0
    assert (nothing <= outside).all()
    assert (seen.qa_radsat[nothing] == 0).all()
    # Bands end at different lines.
    assert {int((seen.dn[band] > 0).sum()) for band in BANDS}.__len__() == 6


@pytest.fixture(scope="module")
def cloudy():
    """Truth and QA of 24 days of a window of 46 km, a pixel in four: enough clouds for rates."""
    totals = np.zeros(3)
    for seed in range(24):
        grid = dataclasses.replace(window(384), spacing=120.0)
        view = seen_from("landsat-8", 2019, grid=grid, cloudiness=0.4, seed=seed)
        seen = see(PlainIce(grid), view)
        valid = seen.qa_pixel != 1
        called = (seen.qa_pixel & 8) != 0
        totals += [
            (called & seen.cloud & valid).sum(),
            (called & valid).sum(),
            (seen.cloud & valid).sum(),
        ]
    return totals


def test_cfmask_errs_over_ice_as_measured(cloudy):
    right, called, cloud = cloudy

    # Stillinger et al. (2019): precision 0.70, recall 0.86. Days differ in cloudiness, and the two
    # dozen of them hold a few hundred independent patches.
    assert right / cloud == pytest.approx(0.86, abs=0.04)
    assert right / called == pytest.approx(0.70, abs=0.06)


def test_clouds_are_as_bright_as_snow_but_at_1600_nm():
    ice = PlainIce(window(384))
    view = seen_from("landsat-8", 2019, grid=ice.grid, cloudiness=0.5, seed=3)
    seen = see(ice, view)
    core = seen.cloud & ~seen.shadow
    clear = ~seen.cloud & ~seen.shadow

    medians = {
        band: [np.nanmedian(reflectance(seen, view, band)[where]) for where in (core, clear)]
        for band in ("red", "swir16")
    }

    assert 0.1 < seen.cloud.mean() < 0.9
    assert medians["red"][0] / medians["red"][1] == pytest.approx(1.0, abs=0.25)
    assert medians["swir16"][0] > 1.8 * medians["swir16"][1]


def test_shadows_of_clouds_are_dark_and_lie_away_from_the_sun():
    ice = PlainIce(window(512))
    view = seen_from("landsat-8", 2019, grid=ice.grid, cloudiness=0.3, seed=8)
    seen = see(ice, view)
    red = reflectance(seen, view, "red")

    assert seen.shadow.mean() > 0.02
    assert not (seen.shadow & seen.cloud).any()
    assert np.nanmedian(red[seen.shadow]) < 0.85 * np.nanmedian(red[~seen.shadow & ~seen.cloud])


def test_cirrus_is_a_bit_of_landsat_8_and_9_only():
    ice = PlainIce(window(128))
    bits = {}
    for platform, year in (("landsat-7", 2002), ("landsat-8", 2019)):
        days = [
            see(ice, seen_from(platform, year, grid=ice.grid, cloudiness=0.9, seed=seed)).qa_pixel
            for seed in range(6)
        ]
        bits[platform] = np.bitwise_or.reduce([day & 0b1100000000000100 for day in days]).max()

    assert bits == {"landsat-7": 0, "landsat-8": 0b1100000000000100}


def test_a_view_knows_its_footprint_and_sun():
    grid = window(64)
    view = seen_from("landsat-8", 2019, grid=grid)
    corners = np.array(view.corners)
    sides = np.hypot(*np.diff(np.vstack([corners, corners[:1]]), axis=0).T)

    np.testing.assert_allclose(sides, [185e3, 180e3, 185e3, 180e3])
    assert 20.0 < view.sun_elevation < 40.0
    assert view.swath.row_moment(view.row) == view.start
    assert view.path == view.swath.path
    assert view.row <= landsat_passes.LAST_ROW
