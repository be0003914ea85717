"""Maps, series, animations and review sheets of damage: what they show, and what they refuse."""

import datetime as dt
import io

import numpy as np
import pytest

from pipelines.figures import canvas, damage_animation, damage_panels, damage_review, damage_series
from pipelines.figures.damage_panels import DamageMap
from pipelines.figures.damage_review import ReviewedScene, ReviewedSummer
from pipelines.figures.damage_series import Series
from tests.fixtures import pictures

NX, NY = 50, 40
X = -2.3e6 + 240.0 * np.arange(NX)
Y = 1.3e6 - 240.0 * np.arange(NY)
EXTENT = np.zeros((NY, NX), bool)
EXTENT[5:35, :40] = True
DAMAGE = np.where(EXTENT, 0.0, np.nan)
DAMAGE[10:14, 8:30] = 0.7
DAMAGE[20:26, 10:16] = np.nan
MAP = DamageMap("2004/05", DAMAGE, EXTENT)
YEARS = np.arange(1999, 2009)


def series(name="Alder", years=YEARS, values=None, **changes):
    values = np.linspace(0.05, 0.1, len(years)) if values is None else values
    given = {"lower": values * 0.9, "upper": values * 1.1, "slc_off": years >= 2003} | changes
    return Series(name, years, values, **given)


def luminance(colours):
    """Return the relative luminance of sRGB colours (WCAG 2.1)."""
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def test_more_damage_is_ever_darker_so_hue_is_not_needed():
    shades = damage_panels.colours()(np.linspace(0.0, 1.0, 64))[:, :3]

    assert (np.diff(luminance(shades)) < 0).all()
    assert luminance(shades[0]) / luminance(shades[-1]) > 20


def test_a_map_tells_damage_intact_ice_what_is_not_known_and_what_is_no_shelf():
    shown = damage_panels.picture(MAP)

    np.testing.assert_allclose(shown[0, 0], 1.0)
    np.testing.assert_allclose(shown[6, 1], [0xDB / 255, 0xE7 / 255, 0xF0 / 255], atol=1 / 255)
    np.testing.assert_allclose(shown[22, 12], [0xC9 / 255, 0xCE / 255, 0xD3 / 255], atol=1e-9)
    assert luminance(shown[12, 10]) < 0.25


@pytest.mark.parametrize("count", [1, 3, 5, 8])
def test_panels_are_sensible_and_the_same_each_time(count):
    coast = [(2e6 * np.cos(t := np.linspace(0, 6.3, 40)), 2e6 * np.sin(t))]

    one, other = (damage_panels.panels([MAP] * count, X, Y, title="Alder", coast=coast)
                  for _ in range(2))  # fmt: skip

    assert one == other
    assert pictures.pixels(one).shape[1] == 1440
    assert pictures.count(one, damage_panels.INTACT) > 1000


def test_panels_refuse_what_does_not_fit():
    short = DamageMap("a", DAMAGE[1:], EXTENT)
    for maps, message in (
        ([], "found 0 maps"), ([MAP] * 9, "expected 1 to 8"), ([short], "expected \\(40, 50\\)"),
    ):  # fmt: skip
        with pytest.raises(canvas.FigureError, match=message):
            damage_panels.panels(maps, X, Y, title="")


def test_a_year_that_lacks_cuts_the_line():
    one = series(years=np.array([1999, 2000, 2003]), values=np.array([1.0, 2.0, 3.0]))

    cut = damage_series._with_gaps(one, one.values)

    np.testing.assert_array_equal(cut, [1.0, 2.0, np.nan, 3.0])


def test_markers_of_years_with_the_broken_corrector_are_hollow():
    axes = pictures.axes()

    damage_series._panel(axes, [series()], "", scale=1.0)

    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "white"]
    assert [line.get_xdata().tolist() for line in hollow] == [list(range(2003, 2009))]


def test_bounds_are_shaded():
    axes = pictures.axes()

    damage_series._panel(axes, [series()], "", scale=100.0)

    (shade,) = [c for c in axes.collections if type(c).__name__ == "FillBetweenPolyCollection"]
    corners = shade.get_paths()[0].vertices
    assert corners[:, 1].max() == pytest.approx(11.0)
    assert corners[:, 1].min() == pytest.approx(4.5)


def test_series_of_many_shelves_take_pages():
    shelves = [series(f"Shelf {n}") for n in range(11)]

    one = damage_series.chart(shelves, shelves)
    two = damage_series.chart(shelves, shelves, page=2)

    assert pictures.is_sensible(one)
    assert pictures.is_sensible(two)
    assert one != two


def test_areas_that_differ_much_have_a_logarithmic_axis_and_zero_has_none():
    small, large = series(values=np.full(10, 3.0)), series("Amery", values=np.full(10, 2000.0))

    assert damage_series._unlike([small, large])
    assert not damage_series._unlike([small, series("B", values=np.full(10, 30.0))])
    assert not damage_series._unlike([series(values=np.zeros(10)), large])


def test_series_refuse_what_does_not_fit():
    with pytest.raises(canvas.FigureError, match="expected each once and in order"):
        series(years=YEARS[::-1])
    with pytest.raises(canvas.FigureError, match="expected \\(10,\\)"):
        series(lower=np.zeros(3))
    with pytest.raises(canvas.FigureError, match="the same shelves"):
        damage_series.chart([series()], [series("Birch")])
    with pytest.raises(canvas.FigureError, match="expected 1 to 1"):
        damage_series.chart([series()], [series()], page=2)


def animated(**changes):
    missing = DamageMap("2005/06", np.full_like(DAMAGE, np.nan), np.zeros_like(EXTENT), "no map")
    given = {"title": "Alder", "years": [2004, 2005, 2006],
             "fractions": np.array([0.1, np.nan, 0.2])} | changes  # fmt: skip
    return damage_animation.animation([MAP, missing, MAP], X, Y, **given)


def test_an_animation_has_a_frame_for_each_year_and_is_the_same_each_time():
    from PIL import Image

    one = animated()

    assert one == animated()
    opened = Image.open(io.BytesIO(one))
    assert opened.n_frames == 3
    assert opened.info["loop"] == 0
    ice = []
    for n in range(3):
        opened.seek(n)
        shown = np.asarray(opened.convert("RGB"), dtype=int)
        ice.append(int((np.abs(shown - [0xDB, 0xE7, 0xF0]) <= 6).all(axis=-1).sum()))
    assert ice[0] > 10_000
    assert ice[1] < 0.02 * ice[0]
    assert ice[2] == pytest.approx(ice[0], rel=0.01)


def test_an_animation_refuses_other_numbers_of_years():
    with pytest.raises(canvas.FigureError, match="3 maps, 2 years"):
        animated(years=[2004, 2005])


def reviewed(**changes):
    scenes = tuple(
        ReviewedScene(n, f"2005-12-0{n}", "LE07", dt.date(2005, 12, n), 0.5, 0.9, ("sun 24°",),
                      np.where(np.isnan(DAMAGE), np.nan, DAMAGE),
                      np.full((20, 25, 3), 200, np.uint8) if n == 1 else None)
        for n in (1, 2)
    )  # fmt: skip
    supplier = np.where(np.arange(NX) < 25, 1, 2) * np.ones((NY, 1), int)
    supplier[:3] = 0
    given = {"title": "Alder, summer 2005/06", "scenes": scenes, "x": X, "y": Y,
             "supplier": supplier, "damage": np.nan_to_num(DAMAGE), "extent": EXTENT,
             "facts": ("covered: 97.0 % of the extent", "extent from: imagery")}  # fmt: skip
    return ReviewedSummer(**(given | changes))


def test_a_sheet_is_as_wide_as_its_page_and_the_same_each_time():
    one = damage_review.sheet(reviewed(note="to decide otherwise"))

    assert pictures.pixels(one).shape[1] == damage_review.WIDTH * damage_review.DPI
    assert one == damage_review.sheet(reviewed(note="to decide otherwise"))


def test_a_sheet_says_that_a_map_is_not_published():
    shown = damage_review.sheet(reviewed(unpublished="71.0 % of the shelf is covered"))

    assert pictures.count(shown, canvas.RED) > 50
    assert pictures.count(damage_review.sheet(reviewed()), canvas.RED) == 0


def test_the_map_of_a_sheet_has_its_suppliers_and_its_damage():
    shown = damage_review.over_suppliers(reviewed())

    assert shown[0, 0, 3] == 0.0
    assert shown[6, 1, 2] > shown[6, 1, 0]  # scene 1 is blue
    assert shown[6, 39, 0] > shown[6, 39, 2]  # scene 2 is orange
    np.testing.assert_allclose(shown[12, 10, :3], [0x3B / 255, 0x10 / 255, 0x03 / 255])


def test_only_what_counts_as_damage_covers_the_picture_of_a_scene():
    with_picture, without = (damage_review.found(one) for one in reviewed().scenes)

    assert with_picture[6, 1, 3] == 0.0
    assert with_picture[12, 10, 3] == 1.0
    assert without[6, 1, 3] == 1.0
    assert without[22, 12, 3] == 0.0


def test_sheets_refuse_arrays_that_do_not_fit():
    with pytest.raises(canvas.FigureError, match="found extent of shape"):
        damage_review.sheet(reviewed(extent=EXTENT[1:]))
    with pytest.raises(canvas.FigureError, match="suppliers \\[7\\]"):
        damage_review.sheet(reviewed(supplier=np.full((NY, NX), 7)))
