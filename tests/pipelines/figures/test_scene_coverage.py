"""The overview of all summers: colour, number and hatching say what is shown and what is not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.figures import canvas, scene_coverage
from tests.fixtures import pictures

SHELVES = ("Amery", "Brunt-Stancomb", "Larsen B")
SUMMERS = (2005, 2006, 2014, 2015)
SHOWN = np.array([[1.0, 0.5, 0.0, np.nan], [0.0, 0.83, 0.9, 0.2], [0.7, 0.7, 0.7, 0.7]])
SCENES = np.array([[3, 1, 0, 0], [0, 2, 12, 1], [1, 1, 1, 1]])
PLATFORMS = [["7", "7", "", ""], ["", "7", "8", "7+8"], ["7", "7", "8", "8"]]
FOUND = np.array([[9, 4, 6, 0], [0, 5, 20, 7], [2, 2, 2, 2]])


def draw(**changes) -> bytes:
    given = {
        "shelves": SHELVES, "summers": SUMMERS, "shown": SHOWN, "scenes": SCENES,
        "platforms": PLATFORMS,
    } | changes  # fmt: skip
    return scene_coverage.coverage(**given)


def code(fraction: float) -> str:
    """Return the colour of a fraction as #rrggbb."""
    rgb, _ = scene_coverage.colours_of(fraction)
    return "#" + "".join(f"{round(255 * part):02x}" for part in rgb)


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2.1 of #rrggbb."""
    parts = [int(colour[i : i + 2], 16) / 255.0 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_a_page_is_sensible_and_the_same_each_time():
    one, other = draw(found=FOUND), draw(found=FOUND)
    assert one == other
    page = pictures.pixels(one)
    assert page.shape[1] == 1440
    assert 500 < page.shape[0] < 800
    assert page.std() > 5.0


def test_a_cell_has_the_colour_of_what_is_shown():
    """Half a cell of 1 inch by 0.38, at the least: words take the rest."""
    page = draw()
    cell = 0.5 * 0.9 * 200 * 0.38 * 200
    for fraction in (0.5, 0.83, 0.2):
        assert pictures.count(page, code(fraction)) > cell
    assert pictures.count(page, code(0.7)) > 4 * cell
    assert pictures.count(page, code(0.35)) < cell / 4  # the scale of colours alone


def test_a_summer_of_which_all_is_rejected_is_not_one_without_scenes():
    told, untold = draw(found=FOUND), draw()
    cell = 0.5 * 0.9 * 200 * 0.38 * 200
    assert pictures.count(told, code(0.0)) > cell
    assert pictures.count(untold, code(0.0)) < cell / 4


def test_a_summer_not_asked_for_is_empty_and_one_without_scenes_hatched():
    one = {"shelves": ["A"], "summers": [2014], "scenes": np.array([[0]]), "platforms": [[""]]}
    ends = [pictures.pixels(draw(**one, shown=np.array([[value]]))) for value in (np.nan, 0.0)]
    dark = [(page[120:200, 130:300] < 200).all(axis=-1).mean() for page in ends]
    assert dark[0] == 0.0
    assert 0.1 < dark[1] < 0.5


@pytest.mark.parametrize("shape", [(1, 1), (12, 30), (1, 30), (12, 1)])
def test_letters_keep_their_size_in_tables_of_any_size(shape):
    """Cells are at least 0.34 inches wide, 24 points: room for two digits of 8.5 points."""
    shelves, summers = [f"Shelf number {n}" for n in range(shape[0])], range(1999, 1999 + shape[1])
    page = pictures.pixels(
        draw(
            shelves=shelves,
            summers=summers,
            shown=np.full(shape, 0.5),
            scenes=np.full(shape, 12),
            platforms=[["7+8+9"] * shape[1]] * shape[0],
        )
    )
    rows, columns, _ = page.shape
    assert columns >= max(1440, 68 * shape[1])
    assert rows >= 76 * shape[0]
    edges = np.concatenate([page[0], page[-1], page[:, 0], page[:, -1]])
    assert (edges == 255).all()


@given(st.floats(0.0, 1.0))
def test_letters_stand_out_on_every_colour(fraction):
    """At least 3 to 1, what WCAG 2.1 asks of large or bold letters."""
    _, letters = scene_coverage.colours_of(fraction)
    pair = sorted(luminance(c) for c in (code(fraction), letters.replace("white", "#ffffff")))
    assert (pair[1] + 0.05) / (pair[0] + 0.05) > 3.0


def test_more_shown_is_darker():
    light = [luminance(code(fraction)) for fraction in np.linspace(0.0, 1.0, 21)]
    assert (np.diff(light) < 0).all()


def test_years_that_are_left_out_are_a_pause():
    places = scene_coverage.columns(SUMMERS)
    assert np.diff(places)[[0, 2]].tolist() == [1.0, 1.0]
    assert np.diff(places)[1] > 1.2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shelves": ()}, "0 shelves and 4 summers"),
        ({"shown": SHOWN.T}, "shown of shape"),
        ({"scenes": SCENES[:2]}, "scenes of shape"),
        ({"platforms": PLATFORMS[:2]}, "platforms of shape"),
        ({"found": FOUND[:, :2]}, "found of shape"),
        ({"summers": (2005, 2006, 2015, 2014)}, "sort them"),
        ({"shown": 100.0 * SHOWN}, "to 100, expected fractions"),
        ({"shown": SHOWN - 0.5}, "shown from -0.5"),
    ],
)
def test_what_makes_no_table_is_refused(changes, message):
    with pytest.raises(canvas.FigureError, match=message):
        draw(**changes)
