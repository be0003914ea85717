"""Pictures of a comparison: marks at the numbers, gaps left open, both forms one drawing."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from pipelines.figures import canvas, comparison_curves, comparison_dynamics, comparison_rates
from pipelines.figures.comparison_curves import Curve
from pipelines.figures.comparison_dynamics import Beside
from tests.fixtures import pictures

REGIONS = ["AIS", "WAIS"]
RATES = {
    "gravimetry": (np.array([-100.0, -110.0]), np.array([4.0, 1.5])),
    "mass_budget": (np.array([-125.0, np.nan]), np.array([23.0, np.nan])),
}


@pytest.fixture
def caught(monkeypatch):
    """Collect figures instead of saving them."""
    held = []
    monkeypatch.setattr(canvas, "png", lambda made, dpi=200: held.append(made) or b"")
    return held


def marks(axes, label):
    line = next(line for line in axes.get_lines() if line.get_label() == label)
    return np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)


def test_marks_lie_at_the_rates_each_method_on_a_height_of_its_own(caught) -> None:
    together = (np.array([-104.0, -111.0]), np.array([3.9, 1.4]))
    comparison_rates.method_rates(REGIONS, RATES, combined=together, title="Rates")

    axes = caught[0].axes[0]
    heights = []
    for name, (values, _) in {**RATES, "combined estimate": together}.items():
        x, y = marks(axes, name.replace("_", " "))
        np.testing.assert_array_equal(x, values)
        heights.append(y[0])
    assert heights == sorted(set(heights))
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first region is above
    ends = np.concatenate([bar.get_paths()[0].vertices[:, 0] for bar in axes.collections])
    assert {-104.0, -96.0, -108.0, -92.0} <= set(np.round(ends, 6))  # one and two sigma of −100 ± 4


def test_differences_beyond_two_are_filled(caught) -> None:
    z = {"mass budget − gravimetry": np.array([-1.1, 2.6]), "a − b": np.array([np.nan, 1.9])}
    comparison_rates.standardised_differences(REGIONS, z, title="Differences")

    axes = caught[0].axes[0]
    hollow = [line for line in axes.get_lines() if line.get_markerfacecolor() == "white"]
    filled = [line for line in axes.get_lines()
              if line.get_marker() in "osD^" and line.get_markerfacecolor() != "white"]  # fmt: skip
    assert len(hollow) == 2
    assert [float(x) for line in filled for x in line.get_xdata()] == [2.6]
    assert axes.get_xlim() == (-3.0, 3.0)


def test_a_curve_is_open_where_months_lack(caught) -> None:
    months = np.delete(2011.0 + np.arange(24) / 12.0, [7, 8, 9])
    held = {"AIS": {"gravimetry": Curve(months, np.arange(21.0), np.ones(21))}}
    comparison_curves.cumulative_by_method(held, title="Mass")

    x, y = marks(caught[0].axes[0], "gravimetry")
    gap = np.flatnonzero(np.isnan(y))
    assert len(gap) == 1
    assert months[6] < x[gap[0]] < months[7]
    np.testing.assert_array_equal(y[~np.isnan(y)], np.arange(21.0))


def test_years_are_joined_as_years_and_a_lone_point_is_seen(caught) -> None:
    years = np.array([2011.0, 2012.0, 2013.0, 2016.0])
    held = {"AIS": {"mass budget": Curve(years, np.arange(4.0), np.ones(4))}}
    comparison_curves.cumulative_by_method(held, title="Mass")

    _, y = marks(caught[0].axes[0], "mass budget")
    assert np.isnan(y).tolist() == [False, False, False, True, False]
    alone = [line for line in caught[0].axes[0].get_lines() if line.get_marker() == "."]
    assert [float(x) for line in alone for x in line.get_xdata()] == [2016.0]


def test_damage_stands_above_discharge_in_percent(caught) -> None:
    years = np.array([2005.0, 2006.0, 2007.0])
    beside = Beside(
        Curve(years, np.array([0.1, 0.2, 0.3]), np.full(3, 0.01)),
        Curve(years, np.array([100.0, 110.0, 120.0]), np.full(3, 2.0)),
    )
    comparison_dynamics.damage_beside_discharge({"Alder": beside}, title="Damage")

    upper, lower = caught[0].axes
    np.testing.assert_allclose(upper.get_lines()[0].get_ydata(), [10.0, 20.0, 30.0])
    np.testing.assert_allclose(lower.get_lines()[0].get_ydata(), [100.0, 110.0, 120.0])


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda: comparison_rates.method_rates([], RATES, title=""), "no regions"),
        (lambda: comparison_rates.method_rates(["AIS"], RATES, title=""), "shape"),
        (lambda: comparison_rates.method_rates(REGIONS, {}, title=""), "no rates"),
        (lambda: comparison_rates.standardised_differences(["AIS"], {}, title=""), "no diff"),
        (lambda: comparison_curves.cumulative_by_method({}, title=""), "at least one region"),
        (lambda: comparison_curves.cumulative_by_method({"AIS": {}}, title=""), "a curve of each"),
        (lambda: Curve(np.arange(3.0), np.zeros(2), np.zeros(3)), "mass of shape"),
        (lambda: Curve(np.array([1.0, 1.0]), np.zeros(2), np.zeros(2)), "each once and in order"),
        (lambda: comparison_dynamics.damage_beside_discharge({}, title=""), "0 shelves"),
    ],
)  # fmt: skip
def test_what_makes_no_picture_is_refused(draw, said) -> None:
    with pytest.raises(canvas.FigureError, match=said):
        draw()


def rates() -> bytes:
    twice = {name: (np.tile(a, 2), np.tile(b, 2)) for name, (a, b) in RATES.items()}
    return comparison_rates.method_rates([*REGIONS, "EAIS", "AP"], twice, title="Rates")


def test_png_and_svg_are_one_drawing_without_a_date_and_the_same_each_time() -> None:
    first, second = canvas.drawing(rates), canvas.drawing(rates)

    assert pictures.is_sensible(first.png)
    assert first == second
    assert first.png == rates()  # what the flows write is not changed by asking for an SVG, too
    root = ET.fromstring(first.svg)  # noqa: S314 - our own
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    wide, high = (float(root.attrib[name].removesuffix("pt")) for name in ("width", "height"))
    rows, columns, _ = pictures.pixels(first.png).shape
    assert wide / high == pytest.approx(columns / rows, rel=2e-3)  # to the rounding to pixels
    text = first.svg.decode()
    assert "<text" not in text  # letters are outlines: no font is needed
    assert not re.search(r"dc:date|20\d\d-\d\d-\d\dT", text)
    assert "<script" not in text


def test_cells_of_a_map_stay_a_raster_in_svg() -> None:
    from pipelines.figures import maps

    x = y = np.linspace(-2e6, 2e6, 200)

    def draw() -> bytes:
        return maps.rate_map(x, y, np.outer(y, x) / 1e11, outlines=[], coast=[], title="Map",
                             diverging=True)  # fmt: skip

    made = canvas.drawing(draw)
    assert b"data:image/png;base64," in made.svg
    assert len(made.svg) < 1_500_000  # 40 000 cells as polygons would be ten times that


def test_only_one_picture_can_be_asked_for_at_once() -> None:
    def two() -> bytes:
        rates()
        return rates()

    with pytest.raises(canvas.FigureError, match="found 2 pictures"):
        canvas.drawing(two)
    with pytest.raises(canvas.FigureError, match="found 0 pictures"):
        canvas.drawing(lambda: b"")


def test_names_with_dollars_are_drawn_as_they_are() -> None:
    hostile = "$\\frac{a$ <b>\n\x00" + 80 * "x"
    shown = {hostile: RATES["gravimetry"]}

    picture = comparison_rates.method_rates(["$_{", "b"], shown, title="Rates")

    assert pictures.count(picture, comparison_rates.OTHERS[0].colour) > 100
