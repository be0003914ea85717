"""Stripes of a scene: found where the granule lies in a large ROI, and told for what they are."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest

from pipelines.flows import scenes_gaps, scenes_reading
from pipelines.flows.scenes_arrays import GAP_QUANTITIES, GAP_SOURCES
from pipelines.flows.scenes_candidates import Scene
from pipelines.flows.scenes_gaps import Gaps, most_striped, reached
from pipelines.flows.scenes_reading import Reading
from pipelines.kernels.imagery import scanline_gaps, stripes
from pipelines.kernels.imagery.stripes import Stripes
from stac.landsat_items import Asset, Granule
from stac.pixel_grids import PixelGrid

WIDE = PixelGrid("roi", "EPSG:3031", 15.0, 180_015.0, 30.0, 7000, 6000)
SMALL = WIDE.window(slice(0, 600), slice(0, 500))
DRAWN = Stripes(
    azimuth_deg=188.0, period_px=33.03, phase_px=7.0, width_px=14.0, narrowing=4.26, edge_px=-200.0
)
"""Their edge lies 200 columns into the ROI, nadir 3,300 columns further on."""


def granule(start: str = "2008-01-05T12:00:00Z", **changes: object) -> Granule:
    """Return a granule of Landsat 7 that reaches 2,500 columns into the ROI."""
    usual: dict[str, object] = {
        "id": f"LE07_{start[:10]}", "platform": "landsat-7", "start": start, "path": 1, "row": 1,
        "category": "T1", "collection_number": 2, "level": 1, "sun_elevation": 20.0,
        "sun_azimuth": 50.0, "cloud_cover": 1.0, "code": WIDE.code, "shape": (6000, 3000),
        "transform": (30.0, 0.0, 15.0 - 500 * 30.0, 0.0, -30.0, 180_015.0),
        "assets": {"red": Asset("/red.tif")}, "service": "catalogue",
    }  # fmt: skip
    return Granule(**{**usual, **changes})  # type: ignore[arg-type]


def no_stripes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=bool)


def striped(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return stripes.edge_distance(DRAWN, x, y) < 0


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[PixelGrid]]:
    """Let granules have gaps by their id, on the columns that their files hold."""

    def laid(gaps: dict[str, object], *, last: int = 2500) -> list[PixelGrid]:
        asked: list[PixelGrid] = []

        def found(which: Granule, grid: PixelGrid) -> tuple[np.ndarray, np.ndarray]:
            asked.append(grid)
            x = ((grid.x - WIDE.west) / 30.0 - 0.5)[None, :]
            y = ((WIDE.north - grid.y) / 30.0 - 0.5)[:, None]
            rule = gaps.get(which.id, no_stripes)
            assert callable(rule)
            empty = rule(x, y) | (x >= last)
            gap = scanline_gaps.gap_mask(empty, spacing=grid.spacing)
            return gap & (x < last), ~empty

        monkeypatch.setattr(scenes_reading, "found_gaps", found)
        return asked

    return laid


def told(gaps: Gaps) -> dict[str, float]:
    return dict(zip(GAP_QUANTITIES, gaps.row(), strict=True))


def source(gaps: Gaps) -> str:
    return GAP_SOURCES[int(told(gaps)["source"])]


def test_stripes_are_measured_where_the_granule_lies_not_in_the_middle_of_a_large_region(seen):
    one = granule()
    asked = seen({one.id: striped})

    gaps = Gaps.of(Scene("a", (one,)), WIDE, Reading())

    record = told(gaps)
    assert record["period_m"] == pytest.approx(33.03 * 30.0, abs=1.0)
    assert record["off_by_date"] == record["off_by_gaps"] == 1.0
    assert source(gaps) == "fill"
    assert gaps.note == ""
    # Only where the file reaches; then one window, at the edge of the swath, where gaps are wide.
    assert [grid.spacing for grid in asked] == [300.0, 30.0]
    assert asked[0].nx == 250
    assert asked[1].west == WIDE.west
    # The stripes are told on pixels of the ROI.
    x, y = np.arange(0.0, 800.0)[None, :], np.arange(4000.0, 4500.0)[:, None]
    drawn = stripes.edge_distance(gaps.drawn.stripes[one.id], x, y) < 0
    both = np.count_nonzero(drawn & striped(x, y))
    assert both > 0.97 * np.count_nonzero(drawn | striped(x, y))
    truth = striped(np.arange(2500.0)[None, :], np.arange(0.0, 6000.0, 7.0)[:, None]).mean()
    assert record["fraction"] == pytest.approx(truth, abs=0.003)


def test_none_and_zero_are_of_scenes_whose_corrector_worked(seen):
    seen({})
    early, other = granule("2001-01-05T12:00:00Z"), granule(id="LC08", platform="landsat-8")

    gaps = Gaps.of(Scene("a", (early, other)), WIDE, Reading(gaps="file"))

    assert gaps.record is None
    assert gaps.note == ""
    assert source(gaps) == "none"
    record = told(gaps)
    assert [record[name] for name in ("fraction", "off_by_date", "off_by_gaps")] == [0.0, 0.0, 0.0]
    assert math.isnan(record["period_m"])


@pytest.mark.parametrize("outside", [True, False], ids=["not reached", "without data"])
def test_a_striped_granule_that_shows_nothing_here_has_no_numbers_but_a_source(seen, outside):
    seen({}, last=0)
    away = (30.0, 0.0, -900_000.0, 0.0, -30.0, 180_015.0)
    one = granule(transform=away) if outside else granule()

    gaps = Gaps.of(Scene("a", (one,)), WIDE, Reading())

    record = told(gaps)
    assert math.isnan(record["fraction"])
    assert math.isnan(record["period_m"])
    assert source(gaps) == "fill"
    assert (record["off_by_date"], record["off_by_gaps"]) == (1.0, 0.0)


def test_of_two_striped_granules_the_one_with_most_gaps_is_recorded(seen):
    near, far = granule(id="nadir"), granule(id="edge")
    seen({"nadir": lambda x, y: striped(x + 1500.0, y), "edge": striped})

    gaps = [Gaps.of(Scene("a", pair), SMALL, Reading()) for pair in ((near, far), (far, near))]

    np.testing.assert_array_equal(gaps[0].row(), gaps[1].row())
    assert told(gaps[0])["width_edge_m"] == pytest.approx(30.0 * 14.85, abs=10.0)
    assert set(gaps[0].drawn.stripes) == {"nadir", "edge"}


def test_gaps_and_dates_that_disagree_are_noted(seen):
    early, late = granule("2001-01-05T12:00:00Z"), granule()
    seen({early.id: striped})

    before = Gaps.of(Scene("a", (early,)), SMALL, Reading())
    after = Gaps.of(Scene("a", (late,)), SMALL, Reading())

    assert before.note == f"{early.id}: stripes, but taken before the scan line corrector failed"
    assert (before.by_date, before.by_gaps) == (False, True)
    assert after.note == f"{late.id}: no gaps here, but taken after the scan line corrector failed"
    assert (after.by_date, after.by_gaps) == (True, False)
    assert told(after)["fraction"] == 0.0


@pytest.mark.parametrize(
    ("asked", "files", "rule", "known", "note"),
    [
        ("file", True, striped, "file", ""),
        ("file", False, striped, "fill", "no gap-mask file"),
        ("auto", False, striped, "fill", ""),
        ("auto", True, striped, "file", ""),
        ("geometry", True, striped, "geometry", ""),
        ("geometry", False, lambda x, y: (x % 5 < 2) & (y % 7 < 2), "fill", "no stripes could"),
    ],
)
def test_the_source_is_what_gaps_were_known_from_and_a_note_says_if_not_as_asked(
    seen, asked, files, rule, known, note
):
    one = granule()
    if files:
        one = dataclasses.replace(one, assets={"gap_red": Asset("/GM_B3.TIF.gz")})
    seen({one.id: rule})

    gaps = Gaps.of(Scene("a", (one,)), SMALL, Reading(gaps=asked))

    assert source(gaps) == known
    assert gaps.note.startswith(f"{one.id}: {note}") if note else gaps.note == ""


def test_the_window_with_most_swath_and_gaps_is_taken():
    gap, valid = np.zeros((2, 40, 60), dtype=bool)
    assert most_striped(gap, valid, size=20) is None
    valid[:, 10:] = True
    gap[::3, 40:] = True
    gap[:, :2] = True
    valid &= ~gap
    assert most_striped(gap, valid, size=20) == (0, 40)
    assert most_striped(gap, valid, size=100) == (0, 0)


def test_whole_cells_are_reached_within_the_region():
    rows, columns = reached(granule(), WIDE)
    assert (rows, columns) == (slice(0, 6000), slice(0, 2500))
    odd = WIDE.window(slice(3, 2050), slice(7, 4000))
    assert reached(granule(code="EPSG:32613"), odd) == (slice(0, 2040), slice(0, 3990))
    assert reached(granule(shape=(), transform=()), odd) == (slice(0, 2040), slice(0, 3990))
    south = (30.0, 0.0, 15.0, 0.0, -30.0, 180_015.0 - 5_995 * 30.0)
    assert reached(granule(transform=south), WIDE)[0] == slice(5990, 6000)
    assert scenes_gaps.CELL_PX * 30.0 <= scanline_gaps.UNBIASED_M
