"""Choices and terms: each choice has its spread, shares sum to one, unknown is told."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from pipelines.figures import canvas, ensemble
from tests.fixtures import pictures

FLOAT = NDArray[np.float64]

OPTIONS = (("paper", "1 km", "3 km"), ("bedmachine", "bedmap"), ("annual",), ("racmo", "mar"))
LABELS = [":".join(chosen) for chosen in itertools.product(*OPTIONS)]
GATE, BED = np.array([0.0, 10.0, -40.0]), np.array([0.0, 50.0])
TOTALS = 1900.0 + (GATE[:, None, None] + BED[:, None] + np.zeros(2)).ravel()
ROWS = ("AIS", "EAIS", "WAIS")
VARIANCES = {
    "thickness": np.array([900.0, 400.0, 500.0]),
    "SMB": np.array([7000.0, 3600.0, 2300.0]),
    "melt": np.array([100.0, 0.0, np.nan]),
}


def sensitivity(totals: FLOAT, labels: list[str] = LABELS) -> bytes:
    return ensemble.sensitivity(
        labels, totals, np.full(len(totals), 40.0), quantity="discharge", title="Choices"
    )


def shares(variances: dict[str, FLOAT]) -> bytes:
    return ensemble.variance_shares(ROWS, variances, quantity="mass balance", title="Terms")


def test_varied_choices_have_their_colours_and_others_no_panel() -> None:
    picture = sensitivity(TOTALS)

    assert pictures.is_sensible(picture)
    assert pictures.count(picture, canvas.BLUE) > 500
    assert pictures.count(picture, canvas.PURPLE) > 200
    assert pictures.count(picture, canvas.GREEN) < 200  # one mosaic: no points


def test_an_ensemble_of_one_member_is_still_a_picture() -> None:
    assert pictures.is_sensible(sensitivity(TOTALS[:1], LABELS[:1]))


def test_spreads_of_an_additive_ensemble_are_those_of_its_parts() -> None:
    found = ensemble.spreads(LABELS, TOTALS)

    assert found["gate"] == pytest.approx(np.std(GATE))
    assert found["bed"] == pytest.approx(25.0)
    assert found["mosaic"] == 0.0
    assert found["model"] == pytest.approx(0.0, abs=1e-9)
    assert found["all members"] == pytest.approx(np.hypot(np.std(GATE), 25.0))


@given(npst.arrays(np.float64, 12, elements=st.floats(-1e3, 1e3)))
def test_no_choices_together_spread_more_than_the_members(totals: FLOAT) -> None:
    found = ensemble.spreads(LABELS, totals)

    parts = sum(found[choice] ** 2 for choice in ensemble.CHOICES)
    assert parts <= found["all members"] ** 2 * (1.0 + 1e-9) + 1e-9


def test_members_stand_in_the_column_of_their_option_with_its_mean() -> None:
    axes = pictures.axes()
    options = ensemble.parts(LABELS)[0]

    ensemble.draw_members(axes, options, TOTALS, np.full(12, 40.0), colour=canvas.BLUE)

    points = np.concatenate([line.get_xydata() for line in axes.get_lines()])
    np.testing.assert_allclose(points[:, 1], TOTALS)
    np.testing.assert_array_equal(np.round(points[:, 0]), np.repeat([0.0, 1.0, 2.0], 4))
    assert [label.get_text() for label in axes.get_xticklabels()] == list(OPTIONS[0])
    means = [held.lines[0].get_ydata() for held in axes.containers]
    assert len(means) == 3


def test_members_without_a_total_are_left_out() -> None:
    axes = pictures.axes()
    holed = TOTALS.copy()
    holed[:5] = np.nan

    options = ensemble.parts(LABELS)[0]
    ensemble.draw_members(axes, options, holed, np.full(12, 40.0), colour=canvas.BLUE)

    assert sum(len(line.get_xydata()) for line in axes.get_lines()) == 7
    assert pictures.is_sensible(sensitivity(np.full(12, np.nan)))
    assert all(np.isnan(value) for value in ensemble.spreads(LABELS, np.full(12, np.nan)).values())


def test_labels_of_other_parts_and_other_members_are_refused() -> None:
    with pytest.raises(canvas.FigureError, match=r"found members \['a:b'\].*gate:bed:mosaic:model"):
        sensitivity(TOTALS[:1], ["a:b"])
    with pytest.raises(canvas.FigureError, match=r"totals' of shape \(11,\), expected \(12,\)"):
        sensitivity(TOTALS[1:])
    with pytest.raises(canvas.FigureError, match="expected at least one"):
        sensitivity(np.empty(0), [])


def test_bars_are_shares_that_end_at_a_hundred_percent() -> None:
    axes = pictures.axes()

    ensemble.draw_shares(axes, ROWS, VARIANCES)

    widths = np.array([bar.get_width() for bar in axes.patches]).reshape(3, 3)
    np.testing.assert_allclose(widths.sum(axis=0), 100.0)
    np.testing.assert_allclose(widths[:, 0], [11.25, 87.5, 1.25])


def test_standard_deviations_stand_beside_the_bars_and_unknown_terms_are_named() -> None:
    axes = pictures.axes()

    ensemble.draw_shares(axes, ROWS, VARIANCES)

    beside = [text.get_text() for text in axes.texts if text.get_text().startswith("σ")]
    assert beside == [
        "σ = 89.4 Gt yr⁻¹", "σ = 63.2 Gt yr⁻¹", "σ ≥ 52.9 Gt yr⁻¹\nunknown: melt",
    ]  # fmt: skip


def test_terms_have_a_colour_each_known_or_not() -> None:
    names = [*ensemble.TERMS, "advection", "grounding line"]
    axes = pictures.axes()

    ensemble.draw_shares(axes, ("AIS",), {name: np.ones(1) for name in names})

    assert len({bar.get_facecolor() for bar in axes.patches}) == len(names)
    assert pictures.is_sensible(shares(VARIANCES))


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_no_variance_and_none_known_are_still_pictures(value: float) -> None:
    assert pictures.is_sensible(shares({"thickness": np.full(3, value)}))


def test_negative_variances_and_other_rows_are_refused() -> None:
    with pytest.raises(canvas.FigureError, match=r"below zero of \['SMB'\]"):
        shares({**VARIANCES, "SMB": -VARIANCES["SMB"]})
    with pytest.raises(canvas.FigureError, match=r"variances of 'SMB' of shape \(2,\)"):
        shares({**VARIANCES, "SMB": np.ones(2)})
    with pytest.raises(canvas.FigureError, match="found no variances"):
        shares({})
