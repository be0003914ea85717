"""The mosaic of a summer: each place shows its scene, and one contrast serves all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pipelines.figures import canvas, review_panels, scene_mosaic
from tests.fixtures import pictures

NX, NY = 60, 48
X = -2.4e6 + 300.0 * np.arange(NX)
Y = 1.3e6 - 300.0 * np.arange(NY)
SUPPLIER = np.ones((NY, NX), int)
SUPPLIER[:, 30:] = 2
SUPPLIER[40:] = 0
rng = np.random.default_rng(7)
SCENES = np.stack([rng.integers(150, 180, (NY, NX, 3)), rng.integers(180, 210, (NY, NX, 3))])
SCENES = SCENES.astype(np.uint8)
LABELS = ("2012-12-03, L7", "2013-01-20, L8")


def draw(scenes=SCENES, supplier=SUPPLIER, x=X, y=Y, **changes) -> bytes:
    given = {"title": "Larsen B, summer 2012/13", "labels": LABELS, "outlines": ()} | changes
    return scene_mosaic.mosaic(scenes, supplier, x, y, **given)


def seams_one_by_one(supplier: np.ndarray) -> set[tuple[tuple[int, int], tuple[int, int]]]:
    """Return each edge of a cell across which one scene meets another, as (column, row) ends."""
    rows, columns = supplier.shape
    found = set()
    for i in range(rows):
        for j in range(columns):
            for di, dj, ends in ((0, 1, ((j + 1, i), (j + 1, i + 1))),
                                 (1, 0, ((j, i + 1), (j + 1, i + 1)))):  # fmt: skip
                if i + di < rows and j + dj < columns:
                    one, other = supplier[i, j], supplier[i + di, j + dj]
                    if one and other and one != other:
                        found.add(ends)
    return found


def test_a_page_is_sensible_and_the_same_each_time():
    one, other = draw(), draw()
    assert pictures.is_sensible(one)
    assert one == other


def test_each_cell_has_the_colours_of_its_supplier():
    colours, shown = scene_mosaic.laid(SCENES, SUPPLIER)

    np.testing.assert_array_equal(colours[:40, :30], SCENES[0, :40, :30])
    np.testing.assert_array_equal(colours[:40, 30:], SCENES[1, :40, 30:])
    np.testing.assert_array_equal(shown, SUPPLIER > 0)
    assert not colours[40:].any()


def test_a_supplier_without_data_shows_nothing():
    """Gaps of the scan-line corrector stay gaps: no grey, no black."""
    striped = SCENES.copy()
    striped[0, :, ::4] = 0
    _, shown = scene_mosaic.laid(striped, SUPPLIER)
    np.testing.assert_array_equal(shown[:40, :30], np.tile(np.arange(30) % 4 != 0, (40, 1)))


def test_dark_sea_takes_no_contrast_from_the_ice():
    """Half of the cells are open water of reflectance 0.05: the stretch is that of the ice."""
    ice = rng.integers(120, 230, (NY, NX, 3)).astype(np.uint8)
    sea = np.where(np.arange(NX)[:, None] < 30, np.uint8(12), ice)
    everywhere = np.ones((NY, NX), bool)

    low, high, words = scene_mosaic.contrast(sea, everywhere)

    bright = (ice[:, 30:].astype(float) - 1.0) / 254.0 * 1.2
    assert low == pytest.approx(np.quantile(bright, 0.02))
    assert high == pytest.approx(np.quantile(bright, 0.995))
    assert f"{low:.2f}" in words
    assert f"{high:.2f}" in words
    assert "brighter than 0.3" in words


def test_where_there_is_no_ice_all_cells_set_the_contrast():
    sea = np.full((NY, NX, 3), 20, np.uint8)
    low, high, words = scene_mosaic.contrast(sea, np.ones((NY, NX), bool))
    assert low < 19 / 254 * 1.2 < high
    assert "brighter" not in words


def test_a_flat_picture_is_not_stretched_to_noise():
    flat = np.full((NY, NX, 3), 170, np.uint8)
    low, high, _ = scene_mosaic.contrast(flat, np.ones((NY, NX), bool))
    assert high - low == pytest.approx(0.15)


def test_the_stretch_is_the_same_for_all_colours_and_transparent_for_none():
    colours = np.array([[[128, 255, 1], [0, 0, 0]]], np.uint8)
    rgba = scene_mosaic.stretched(colours, np.array([[True, False]]), 0.3, 0.9)
    # (0.6 − 0.3) / 0.6 = 1/2, 1.2 is above, and 0 below
    assert rgba[0, 0].tolist() == pytest.approx([127.5, 255, 0, 255], abs=0.6)
    assert rgba[0, 1, 3] == 0


@given(arrays.arrays(np.int64, arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=7),
                     elements=st.integers(0, 3)))  # fmt: skip
def test_seams_are_the_edges_between_two_scenes(supplier):
    single = set()
    for (x0, y0), (x1, y1) in scene_mosaic.seams(supplier):
        assert (x0 == x1) != (y0 == y1)
        if x0 == x1:
            single |= {((x0, y), (x0, y + 1)) for y in range(y0, y1)}
        else:
            single |= {((x, y0), (x + 1, y0)) for x in range(x0, x1)}
    assert single == seams_one_by_one(supplier)


def test_a_straight_seam_is_one_line_at_the_edge_of_its_cells():
    axes = pictures.axes()
    cells = scene_mosaic.Cells(X, Y)
    scene_mosaic.draw_seams(axes, cells, SUPPLIER)

    (lines,) = axes.collections
    ((west, top), (east, bottom)) = lines.get_segments()[0]
    assert len(lines.get_segments()) == 1
    assert west == pytest.approx(east)
    assert west == pytest.approx((X[29] + X[30]) / 2e3)
    assert (top, bottom) == pytest.approx(((Y[0] + 150.0) / 1e3, (Y[39] - 150.0) / 1e3))


def test_only_two_scenes_have_a_line_between_them_and_numbers_have_their_colours():
    both, one = draw(), draw(supplier=np.minimum(SUPPLIER, 1))
    colour = review_panels.colour(2)
    assert pictures.count(both, scene_mosaic.SEAM) > 300 + pictures.count(one, scene_mosaic.SEAM)
    # on the map and in the list, against the list alone
    assert pictures.count(both, colour) > 1.5 * pictures.count(one, colour) > 0


@pytest.mark.parametrize(
    ("x", "y"),
    [(X[:6], Y), (X, Y[:6]), (X[:2], Y[:2]), (X, 1.3e6 - 300.0 * np.arange(600))],
)
def test_narrow_wide_and_small_regions_have_pages_of_one_width(x, y):
    shape = (len(y), len(x))
    page = pictures.pixels(
        draw(np.full((1, *shape, 3), 170, np.uint8), np.ones(shape, int), x, y, labels=["only"])
    )
    assert page.shape[1] == 1440
    assert page.shape[0] < 2300


def test_many_scenes_make_the_page_longer():
    many = np.repeat(SCENES, 6, axis=0)
    longer = pictures.pixels(draw(many, labels=[f"2013-01-{n:02d}, L8" for n in range(1, 13)]))
    assert longer.shape[0] > pictures.pixels(draw()).shape[0] + 100


def test_a_summer_without_a_scene_has_a_hatched_page():
    page = pictures.pixels(
        draw(np.zeros((0, NY, NX, 3), np.uint8), np.zeros((NY, NX), int), labels=[])
    )
    middle = page[300:900, 400:1000]
    assert (middle == 255).all(axis=-1).mean() > 0.5
    assert 0.05 < (middle < 240).all(axis=-1).mean() < 0.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ["one"]}, "quicklooks of shape .* with 1 labels"),
        ({"supplier": SUPPLIER.T}, "supplier of shape"),
        ({"supplier": SUPPLIER + 1}, "suppliers from 1 to 3, expected 0 to 2"),
        ({"supplier": SUPPLIER - 1}, "suppliers from -1"),
        ({"y": Y[::-1]}, "y to decrease"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(canvas.FigureError, match=message):
        draw(**changes)
