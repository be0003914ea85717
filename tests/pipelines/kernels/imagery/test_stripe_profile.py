"""Gaps across the track: their share grows from nadir to both edges, as in a real scene."""

import gzip
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.kernels.imagery.scanline_gaps import GapError, has_stripes, slc_state
from pipelines.kernels.imagery.stripe_geometry import Stripes, measure, render
from pipelines.kernels.imagery.stripe_profile import (
    across_track,
    between_edges,
    record,
    scan_azimuth,
)

STRIPES = Stripes(
    azimuth_deg=20.0, period_px=33.0, phase_px=3.0, width_px=14.0, narrowing=28.0, edge_px=500.0
)


def parallelogram(shape: tuple[int, int], *, azimuth_deg: float) -> np.ndarray:
    """Return a swath about nadir u = 0: 1000 along scans, 900 along the track."""
    t = math.radians(azimuth_deg)
    y, x = np.indices(shape) - np.reshape(shape, (2, 1, 1)) / 2
    u, v = x * math.cos(t) + y * math.sin(t), y * math.cos(t) - x * math.sin(t)
    return (np.abs(u + 0.06 * v) < 500) & (np.abs(v) < 420)


def scene(azimuth_deg: float) -> tuple[np.ndarray, np.ndarray]:
    """Return gaps and data of a small scene whose nadir is its middle."""
    inside = parallelogram((1300, 1300), azimuth_deg=azimuth_deg)
    stripes = replace(STRIPES, azimuth_deg=azimuth_deg)
    gap = render(stripes, inside.shape, origin=(-650, -650)) & inside
    return gap, inside & ~gap


@pytest.mark.parametrize("azimuth", [0.0, 20.0, 75.0, 160.0])
def test_shares_grow_from_nadir_to_both_edges(azimuth):
    gap, valid = scene(azimuth)

    profile = across_track(gap, valid, azimuth_deg=azimuth, bins=10)

    # Width over period, 28 pixels lost per 1000: 14/33 at the edges. The sides lean by 25 pixels,
    # 2.5 % of the swath, so that nadir is not in the middle of every line.
    expected = np.abs(profile.position - 0.5) * 2 * 14.0 / 33.0
    np.testing.assert_allclose(profile.fraction, expected, atol=0.025)
    assert profile.pixels.sum() == pytest.approx((gap | valid).sum(), rel=0.01)


@pytest.mark.parametrize("azimuth", [0.0, 20.0, 75.0, 160.0])
def test_the_outline_tells_the_direction_of_scans(azimuth):
    _, valid = scene(azimuth)
    off = abs((scan_azimuth(valid) - azimuth + 90.0) % 180.0 - 90.0)
    assert off < 1.0


def test_gaps_between_edges_are_what_is_missing_inside():
    gap, valid = scene(20.0)
    found = between_edges(valid, azimuth_deg=20.0, lines_px=33.0)
    # The first and last lines may hold nothing but gaps; sides lean by 2 pixels within a line.
    y, x = np.indices(gap.shape) - 650
    core = np.abs(y * math.cos(math.radians(20)) - x * math.sin(math.radians(20))) < 380
    assert ((found ^ gap) & core).sum() < 0.02 * gap.sum()


def test_a_record_says_what_was_measured():
    gap, valid = scene(20.0)
    stripes = measure(gap, valid, origin=(-650, -650))

    said = record(gap, valid, stripes, source="fill", origin=(-650, -650)).to_dict()

    assert said["fraction"] == pytest.approx(gap.sum() / (gap | valid).sum())
    assert said["period_m"] == pytest.approx(990.0, abs=0.5)
    assert said["azimuth_deg"] % 180 == pytest.approx(20.0, abs=0.02)
    assert said["width_edge_m"] == pytest.approx(30 * 14.0, rel=0.1)
    assert said["width_nadir_m"] < 30.0
    assert said["source"] == "fill"


def test_a_record_without_stripes_says_none():
    valid = np.ones((30, 30), dtype=bool)
    said = record(~valid, valid, None, source="file").to_dict()
    assert said == {
        "fraction": 0.0,
        "period_m": None,
        "azimuth_deg": None,
        "width_edge_m": None,
        "width_nadir_m": None,
        "source": "file",
    }


def test_what_cannot_be_profiled_is_refused():
    valid = np.ones((30, 30), dtype=bool)
    with pytest.raises(GapError, match="fill, file, geometry"):
        record(~valid, valid, None, source="guess")
    with pytest.raises(GapError, match="no valid pixel"):
        across_track(valid, ~valid, azimuth_deg=0.0)
    with pytest.raises(GapError, match="one shape"):
        across_track(valid, valid[1:], azimuth_deg=0.0)
    with pytest.raises(GapError, match="0 bins"):
        across_track(~valid, valid, azimuth_deg=0.0, bins=0)
    with pytest.raises(GapError, match="one line"):
        scan_azimuth(np.eye(30, dtype=bool))


def real_band(data_root: Path, scene: str) -> np.ndarray:
    import rasterio

    folder = data_root / "optical/slc_off" / f"wagl_LE07_092084_{scene}"
    with rasterio.open(next(folder.glob("*_B3.TIF"))) as source:
        return source.read(1) > 0


@pytest.mark.realdata
@pytest.mark.parametrize("source", ["fill", "file"])
def test_the_profile_of_a_real_scene_is_recovered(data_root: Path, source):
    from rasterio.io import MemoryFile

    valid = real_band(data_root, "20110809")
    if source == "file":
        name = "*_GM_B3.TIF.gz"
        path = next((data_root / "optical/slc_off/wagl_LE07_092084_20110809").rglob(name))
        with MemoryFile(gzip.decompress(path.read_bytes())) as memory, memory.open() as mask:
            valid = mask.read(1) == 1
    azimuth = scan_azimuth(valid)
    gap = between_edges(valid, azimuth_deg=azimuth)

    profile = across_track(gap, valid, azimuth_deg=azimuth)

    assert azimuth == pytest.approx(9.7, abs=0.3)
    assert profile.fraction[9:11].max() < 0.03
    # The data's description says 0.32 and 0.35 at the edges, not how wide an edge is. Here the
    # outermost 5 %, where scans end raggedly, lack 0.39; these are the bins inside of them.
    assert profile.fraction[1:3].mean() == pytest.approx(0.32, abs=0.02)
    assert profile.fraction[-2] == pytest.approx(0.35, abs=0.03)
    # A straight wedge: 4.2 pixels per 1000, over 3334 pixels from nadir, by a period of 32.4.
    wedge = np.abs(profile.position - 0.5) * 2 * 3.334 * 4.2 / 32.4
    away = np.abs(profile.position - 0.5) > 0.1
    np.testing.assert_allclose(profile.fraction[away], wedge[away], atol=0.04)
    gaps, pixels = int(gap.sum()), int((gap | valid).sum())
    assert slc_state("landsat-7", "2011-08-09", gap_pixels=gaps, swath_pixels=pixels).agrees


@pytest.mark.realdata
def test_the_scene_of_1999_has_no_gaps(data_root: Path):
    valid = real_band(data_root, "19990925")
    azimuth = scan_azimuth(valid)
    gap = between_edges(valid, azimuth_deg=azimuth)
    gaps, pixels = int(gap.sum()), int((gap | valid).sum())

    assert across_track(gap, valid, azimuth_deg=azimuth).fraction.max() < 0.006
    assert not has_stripes(gaps, pixels)
    assert slc_state("landsat-7", "1999-09-25", gap_pixels=gaps, swath_pixels=pixels).agrees
