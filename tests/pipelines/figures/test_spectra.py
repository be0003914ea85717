"""Curves by degree: sensors keep their colours, gaps stay gaps, crossings are found."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.figures import canvas, spectra
from tests.fixtures import pictures

FLOAT = NDArray[np.float64]

DEGREE = np.arange(129.0)
MEANS = {
    "altimetry": 3.0 / (1.0 + (DEGREE / 40.0) ** 2),
    "gravimetry": 4.0 / (1.0 + (DEGREE / 30.0) ** 4),
    "combination": 3.5 / (1.0 + (DEGREE / 40.0) ** 2),
}
SPREADS = {
    "altimetry": np.full(129, 0.1),
    "gravimetry": 1e-4 * np.exp(DEGREE / 8.0),
    "combination": np.full(129, 1e-3),
}
PARTS = {"altimetry": SPREADS["altimetry"], "GIA": np.zeros(129), "other": SPREADS["combination"]}
TAPER = (85, 90)
GAP = slice(20, 120)


def sensors(means: dict[str, FLOAT], spreads: dict[str, FLOAT]) -> bytes:
    return spectra.sensors(means, spreads, PARTS, taper=TAPER, title="Power")


def holed(values: FLOAT) -> FLOAT:
    values = values.copy()
    values[GAP] = np.nan
    return values


def test_all_sensors_are_there_in_their_colours() -> None:
    picture = sensors(MEANS, SPREADS)

    assert pictures.is_sensible(picture)
    for colour in canvas.SENSORS.values():
        assert pictures.count(picture, colour) > 500


def test_degrees_without_a_number_leave_gaps() -> None:
    means, spreads = ({**by, "combination": holed(by["combination"])} for by in (MEANS, SPREADS))

    whole, gappy = sensors(MEANS, SPREADS), sensors(means, spreads)

    assert pictures.count(gappy, canvas.GREEN) < 0.8 * pictures.count(whole, canvas.GREEN)


def test_nothing_measured_at_all_is_still_a_picture() -> None:
    nothing = {name: np.full(129, np.nan) for name in MEANS}

    assert pictures.is_sensible(spectra.sensors(nothing, nothing, nothing, taper=TAPER, title=""))
    assert pictures.is_sensible(spectra.error_by_degree(nothing, title=""))


def test_spreads_are_equal_where_the_exponential_crosses_the_constant() -> None:
    # 1e-4 exp(j / 8) = 0.1 at j = 8 ln 1000 = 55.26
    assert spectra.crossing(SPREADS["gravimetry"], SPREADS["altimetry"]) == 56
    assert spectra.crossing(SPREADS["altimetry"], np.full(129, 1.0)) is None


def test_single_degrees_above_are_no_crossing() -> None:
    rising = np.zeros(40)
    rising[[3, 9, 10]] = 2.0
    rising[20:] = 2.0

    assert spectra.crossing(rising, np.ones(40)) == 20


def test_other_degrees_and_other_sensors_are_refused() -> None:
    with pytest.raises(canvas.FigureError, match=r"variances of 'gravimetry' of shape \(100,\)"):
        sensors(MEANS, {**SPREADS, "gravimetry": np.ones(100)})
    with pytest.raises(canvas.FigureError, match="found spreads without"):
        sensors(MEANS, {"altimetry": SPREADS["altimetry"]})
    with pytest.raises(canvas.FigureError, match="found the sensor 'radar'"):
        sensors({"radar": np.ones(9)}, {"radar": np.ones(9)})
    with pytest.raises(canvas.FigureError, match="expected the lower one first"):
        spectra.sensors(MEANS, SPREADS, PARTS, taper=(90, 85), title="")


def test_one_ensemble_alone_has_its_power_drawn() -> None:
    assert pictures.is_sensible(
        spectra.degree_power(MEANS["gravimetry"], SPREADS["gravimetry"], title="Power")
    )


def shares(last: int) -> dict[str, FLOAT]:
    gravimetry = 1.0 / (1.0 + (np.arange(last + 1.0) / 150.0) ** 2)
    return {"gravimetry": gravimetry, "altimetry": 1.0 - gravimetry}


@pytest.mark.parametrize("last", [60, 512])
def test_contributions_are_drawn_whatever_the_last_degree(last: int) -> None:
    picture = spectra.contribution(shares(last), marks=(40, 150, 512), title="Shares")

    assert pictures.is_sensible(picture)
    assert pictures.count(picture, canvas.RED) > 500
    assert pictures.count(picture, canvas.BLUE) > 500


def test_shares_that_are_not_known_are_not_drawn() -> None:
    whole, gappy = shares(512), {name: share.copy() for name, share in shares(512).items()}
    gappy["altimetry"][100:] = np.nan

    few, many = (
        pictures.count(spectra.contribution(s, marks=(40, 150), title=""), canvas.BLUE)
        for s in (gappy, whole)
    )

    assert few < 0.7 * many


def test_shares_of_different_degrees_are_refused() -> None:
    with pytest.raises(canvas.FigureError, match=r"shape \(9,\), expected \(61,\)"):
        spectra.contribution({**shares(60), "altimetry": np.ones(9)}, marks=(), title="")
    with pytest.raises(canvas.FigureError, match="found no shares"):
        spectra.contribution({}, marks=(), title="")


def test_errors_are_drawn_beside_the_signal_and_gaps_stay() -> None:
    errors = {"signal": MEANS["altimetry"], **SPREADS}

    whole = spectra.error_by_degree(errors, title="Errors")
    gappy = spectra.error_by_degree(
        {**errors, "combination": holed(errors["combination"])}, title="Errors"
    )

    assert pictures.is_sensible(whole)
    assert pictures.count(gappy, canvas.GREEN) < 0.8 * pictures.count(whole, canvas.GREEN)


def test_running_means_keep_a_straight_line_and_each_gap() -> None:
    line = 3.0 + 2.0 * np.arange(30.0)

    smooth = spectra.running_mean(line)
    gappy = spectra.running_mean(np.where(np.arange(30) == 15, np.nan, 7.0))

    np.testing.assert_allclose(smooth, line, rtol=1e-12)
    assert np.isnan(gappy).nonzero()[0].tolist() == [15]
    np.testing.assert_allclose(np.delete(gappy, 15), 7.0, rtol=1e-12)
