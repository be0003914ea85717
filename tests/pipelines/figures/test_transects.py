"""Transects: curves with bands in their colours, gaps, grey ground, refusals."""

from dataclasses import replace

import numpy as np
import pytest

from pipelines.figures import canvas
from pipelines.figures.transects import Profile, profiles
from tests.fixtures import pictures

DISTANCE = np.arange(0.0, 2000.0, 5.0)


def profile(name: str) -> Profile:
    wave = np.sin(DISTANCE / 150.0)
    curves = {
        sensor: (size * wave, np.full(400, 10.0 + size / 10.0))
        for sensor, size in (("altimetry", 90.0), ("gravimetry", 50.0), ("combination", 80.0))
    }
    return Profile(name, DISTANCE, curves, np.ones(400), places=((500.0, "Totten"),))


LINE = profile("AA'")


@pytest.mark.parametrize("count", [1, 3])
def test_any_number_of_transects_makes_a_picture(count: int) -> None:
    picture = profiles([profile(f"{n}{n}'") for n in range(count)], title="Transects")

    assert pictures.pixels(picture).shape[1] == 1440
    for colour in canvas.SENSORS.values():
        assert pictures.count(picture, colour) > 300


def test_points_without_a_rate_leave_a_gap() -> None:
    mean, spread = (values.copy() for values in LINE.curves["gravimetry"])
    mean[100:300] = np.nan
    gappy = replace(LINE, curves={**LINE.curves, "gravimetry": (mean, spread)})

    few, many = (pictures.count(profiles([each], title=""), canvas.RED) for each in (gappy, LINE))

    assert few < 0.7 * many


def test_ground_that_is_not_grounded_ice_is_shaded() -> None:
    at_sea = replace(LINE, grounded=np.where(DISTANCE > 1000.0, 0.0, 1.0))

    shaded, plain = (
        pictures.count(profiles([each], title=""), canvas.SHADE) for each in (at_sea, LINE)
    )

    assert shaded > plain + 50_000


def test_curves_that_lack_points_are_refused() -> None:
    mean, spread = LINE.curves["altimetry"]
    with pytest.raises(canvas.FigureError, match=r"altimetry along AA'.*\(399,\), expected \(400,"):
        profiles([replace(LINE, curves={"altimetry": (mean[1:], spread)})], title="")
    with pytest.raises(canvas.FigureError, match="found grounded points"):
        profiles([replace(LINE, grounded=np.ones(9))], title="")


def test_distances_must_increase_and_there_must_be_a_line() -> None:
    with pytest.raises(canvas.FigureError, match="do not increase"):
        profiles([replace(LINE, distance_km=DISTANCE[::-1])], title="")
    with pytest.raises(canvas.FigureError, match="found no transects"):
        profiles([], title="")
