"""The review sheet: every candidate has its card, and the choice is seen without reading."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from pipelines.figures import canvas, review_candidates, review_panels, review_sheet
from tests.fixtures import pictures

NX, NY = 60, 48
X = -2.4e6 + 900.0 * np.arange(NX)
Y = 1.3e6 - 900.0 * np.arange(NY)
OUTLINE = (X[[5, 50, 50, 5, 5]], Y[[5, 5, 40, 40, 5]])


def candidate(n: int, *, rank: int = 0, order: int = 0, valid: float = 0.5, reason: str = "") -> (
    review_sheet.Candidate
):  # fmt: skip
    day = date(2012, 11, 3) + timedelta(days=3 * n)
    return review_sheet.Candidate(
        name=f"{day}", day=day, platforms=("landsat-8",), path_rows=((217, 106), (217, 107)),
        valid=valid, valid_fast=valid / 2, cloud=1 - valid, gap=0.0, saturated=0.01,
        sun_elevation=20.0, rank=rank, order=order, reason=reason,
    )  # fmt: skip


def sheet(*candidates: review_sheet.Candidate, **changes) -> review_sheet.Sheet:
    thumbnails = np.full((len(candidates), NY, NX, 3), 180, np.uint8)
    thumbnails[:, :, :30] = (40, 60, 90)
    supplies = np.zeros((NY, NX), int)
    supplies[:, :20] = int(any(one.order for one in candidates))
    made = review_sheet.Sheet(
        "Larsen B, summer 2012–13", candidates, thumbnails, X, Y, supplies,
        (date(2012, 11, 1), date(2013, 3, 31)), [OUTLINE], None, "A note.",
    )  # fmt: skip
    return replace(made, **changes)


CHOSEN = candidate(5, rank=2, order=1, valid=0.8, reason="chosen 1st: clears 80 %")
SPARE = candidate(2, rank=1, valid=0.9, reason="not needed")
CLOUDY = candidate(9, valid=0.0, reason="rejected: 100 % cloud by QA_PIXEL")


def test_a_page_is_twelve_inches_wide_and_as_long_as_its_cards_need():
    few = pictures.pixels(review_sheet.review_sheet(sheet(CHOSEN, SPARE, CLOUDY)))
    many = pictures.pixels(review_sheet.review_sheet(sheet(*[candidate(n) for n in range(12)])))

    assert few.shape[1] == many.shape[1] == 2400
    assert few.shape[0] < many.shape[0] < 4000
    assert few.std() > 5.0


def test_the_same_sheet_is_the_same_picture():
    one, other = (review_sheet.review_sheet(sheet(CHOSEN, CLOUDY)) for _ in range(2))
    assert one == other


def test_only_a_chosen_scene_has_a_frame_and_a_part_of_the_map():
    colour = review_panels.colour(1)
    bare = replace(CHOSEN, order=0)

    chosen = pictures.count(review_sheet.review_sheet(sheet(CHOSEN, SPARE)), colour)
    none = pictures.count(review_sheet.review_sheet(sheet(bare, SPARE)), colour)

    # a third of the map of 450 dots, at least, and the frame
    assert chosen - none > 450 * 360 // 4
    assert none < 100


def test_the_picture_is_shown_in_its_own_colours_north_up():
    thumbnails = np.zeros((1, NY, NX, 3), np.uint8)
    thumbnails[:, :16] = (12, 200, 34)
    thumbnails[:, 16:] = (201, 30, 180)
    page = pictures.pixels(
        review_sheet.review_sheet(sheet(SPARE, thumbnails=thumbnails, outlines=[]))
    )

    north = np.argwhere((np.abs(page - (12, 200, 34)) < 3).all(axis=-1))
    south = np.argwhere((np.abs(page - (201, 30, 180)) < 3).all(axis=-1))
    assert north[:, 0].max() < south[:, 0].min() + 3
    assert len(south) / len(north) == pytest.approx(2.0, abs=0.1)


def test_where_there_is_no_data_the_card_is_hatched_and_not_grey():
    """Neither black, which might be sea, nor a plain grey, which might be cloud."""
    nothing = np.zeros((1, NY, NX, 3), np.uint8)
    page = pictures.pixels(review_sheet.review_sheet(sheet(SPARE, thumbnails=nothing, outlines=[])))
    card = page[900:1200, 100:400]

    assert (card == 255).all(axis=-1).mean() > 0.3
    assert 0.05 < (card < 200).all(axis=-1).mean() < 0.6


def test_cards_come_chosen_first_then_by_rank_then_the_rejected_by_day():
    early = candidate(1)
    second = candidate(0, rank=3, order=2)
    found = review_candidates.in_order([CLOUDY, SPARE, early, second, CHOSEN])
    assert found == [4, 3, 1, 2, 0]


def test_clear_fractions_are_read_back_from_the_time_axis():
    axes = pictures.axes()
    review_panels.draw_times(axes, sheet(CHOSEN, SPARE, CLOUDY))

    points = {
        (float(line.get_xdata()[-1]), round(float(line.get_ydata()[-1]), 6))
        for line in axes.get_lines()
    }
    assert points == {(one.day.toordinal(), 100.0 * one.valid) for one in (CHOSEN, SPARE, CLOUDY)}
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == ["1 Nov 2012", "1 Dec", "1 Jan 2013", "1 Feb", "1 Mar", "1 Apr"]


def test_what_each_scene_gives_is_read_back_from_the_map():
    axes = pictures.axes()
    supplies = np.zeros((NY, NX), int)
    supplies[:24], supplies[24:, :15] = 1, 2
    both = (CHOSEN, candidate(7, rank=1, order=2))

    review_panels.draw_supplies(axes, sheet(*both, supplies=supplies))

    shown = np.asarray(axes.get_images()[0].get_array())
    for order in (1, 2):
        cells = np.isclose(shown, review_panels.rgb(review_panels.colour(order))).all(axis=-1)
        np.testing.assert_array_equal(cells, supplies == order)
    words = " ".join(text.get_text() for text in axes.texts)
    assert f"{CHOSEN.day}  L8  80 %" in words
    assert f"{both[1].day}  L8  20 %" in words


def test_the_arrow_points_away_from_the_pole():
    """The region lies in the upper left of the map of Antarctica: north is up and left."""
    axes = pictures.axes()
    review_panels.draw_supplies(axes, sheet(CHOSEN))
    arrow = next(text for text in axes.texts if getattr(text, "arrow_patch", None) is not None)
    (tail_x, tail_y), (tip_x, tip_y) = arrow.xyann, arrow.xy
    east, north = (tip_x - tail_x) * NX, (tip_y - tail_y) * NY
    assert east < 0.0 < north
    assert np.arctan2(north, east) == pytest.approx(np.arctan2(Y.mean(), X.mean()), abs=1e-6)


def test_the_fast_part_is_drawn_dashed_in_its_own_colour():
    fast = np.zeros((NY, NX), bool)
    fast[10:30, 10:40] = True

    plain, drawn = (
        pictures.count(review_sheet.review_sheet(sheet(SPARE, fast=part)), review_panels.FAST)
        for part in (None, fast)
    )
    assert drawn > plain + 300


def test_neighbouring_colours_differ_for_people_who_see_no_red_or_no_green():
    """Vienot et al. (1999) in linear light, protanopia and deuteranopia; 7 colours."""
    to_cone = {
        "protan": [[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]],
        "deutan": [[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]],
    }
    linear = np.array([review_panels.rgb(name) ** 2.2 for name in review_panels.CHOSEN])
    for matrix in to_cone.values():
        seen = np.clip(linear @ np.array(matrix).T, 0.0, 1.0) ** (1 / 2.2)
        apart = np.linalg.norm(seen[1:] - seen[:-1], axis=1)
        assert apart.min() > 0.2


def test_forty_candidates_fill_a_page_and_the_next_begins_another():
    assert review_candidates.pages(sheet(*[candidate(n) for n in range(40)])) == 1
    assert review_candidates.pages(sheet(*[candidate(n % 40) for n in range(41)])) == 2
    two = sheet(*[candidate(n % 40) for n in range(42)])

    last = pictures.pixels(review_sheet.review_sheet(two, page=2))

    assert last.shape[0] < 1700  # two cards


def test_a_summer_without_candidates_still_has_a_page():
    page = pictures.pixels(review_sheet.review_sheet(sheet()))
    assert page.shape[1] == 2400


def test_numbers_that_are_missing_do_not_hinder():
    odd = replace(
        SPARE, valid=np.nan, valid_fast=np.nan, sun_elevation=np.nan, path_rows=(), platforms=()
    )
    assert review_sheet.review_sheet(sheet(odd)).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"thumbnails": np.zeros((2, NY, NX, 3), np.uint8)}, "thumbnails of shape"),
        ({"supplies": np.zeros((NX, NY), int)}, "supplies of shape"),
        ({"fast": np.zeros((3, 3), bool)}, "fast of shape"),
        ({"rejected": np.zeros((NY, NX), bool)}, "rejected of shape"),
        ({"y": Y[::-1]}, "y to decrease"),
        ({"candidates": (replace(CHOSEN, order=2),)}, "orders"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(canvas.FigureError, match=message):
        review_sheet.review_sheet(sheet(CHOSEN, **changes))


def test_a_page_that_does_not_exist_is_refused():
    with pytest.raises(canvas.FigureError, match="page 2, expected 1 to 1"):
        review_sheet.review_sheet(sheet(CHOSEN), page=2)


def test_what_qa_rejects_is_hatched_thinly_and_named():
    """Hatching covers little, so that the picture is still seen; elsewhere nothing changes."""
    rejected = np.zeros((1, NY, NX), bool)
    rejected[:, 8:40, 10:45] = True
    plain, none, some = (
        review_sheet.review_sheet(sheet(SPARE, rejected=part))
        for part in (None, rejected & False, rejected)
    )

    legend = pictures.count(none, review_panels.REJECTED) - pictures.count(
        plain, review_panels.REJECTED
    )
    drawn = pictures.pixels(some) != pictures.pixels(none)
    touched = np.argwhere(drawn.any(axis=-1))
    box = np.prod(np.ptp(touched, axis=0) + 1)

    assert legend > 50
    assert 0.1 < len(touched) / box < 0.6
    # 35 of 60 cells of a card that is 2.73 inches wide
    assert np.ptp(touched[:, 1]) == pytest.approx(35 / 60 * 2.73 * 200, abs=6)


def test_stripes_without_data_do_not_cut_the_hatching():
    there = np.ones((40, 40), bool)
    there[:, ::4] = False
    cloud = np.zeros((40, 40), bool)
    cloud[10:20, 10:30] = True

    shown = review_panels.legible(cloud & there, there)

    assert shown[10:20, 11:29].all()
    assert shown.sum() <= cloud.sum() + 2 * 10


def test_far_from_data_nothing_is_rejected():
    there = np.zeros((30, 30), bool)
    there[:, 0] = True
    shown = review_panels.legible(there, there)
    assert shown[:, :4].all()
    assert not shown[:, 4:].any()


@pytest.mark.parametrize("shape", [(60, 48), (130, 40), (1030, 1700), (2, 500)])
def test_hatching_is_no_finer_than_can_be_drawn_and_keeps_its_share(shape):
    cloud = np.zeros(shape, bool)
    cloud[:, : shape[1] // 2] = True
    shown = review_panels.legible(cloud, np.ones(shape, bool))
    assert max(shown.shape) <= 128
    assert shown.mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("shape", [(240, 60), (48, 60), (20, 120)])
def test_words_beside_and_below_the_map_do_not_touch_on_narrow_and_wide_regions(shape):
    x, y = 300.0 * np.arange(shape[1]), -300.0 * np.arange(shape[0])
    orders = tuple(candidate(n, rank=1, order=n + 1) for n in range(12))
    cells = sheet(*orders, x=x, y=y, supplies=np.ones(shape, int), outlines=[])
    axes = pictures.axes()
    review_panels.draw_supplies(axes, cells)

    renderer = axes.figure.canvas.get_renderer()
    axes.figure.draw(renderer)
    words = [text for text in axes.texts if text.get_text()]
    boxes = [text.get_window_extent(renderer) for text in words]

    assert len(boxes) >= 26
    touching = [
        (words[i].get_text(), words[j].get_text())
        for i in range(len(boxes)) for j in range(i) if boxes[i].overlaps(boxes[j])
    ]  # fmt: skip
    assert not touching
