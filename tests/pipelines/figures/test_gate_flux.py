"""Flux along gates: in and out differ in hue, most flux is on top, unknown is grey."""

import numpy as np
import pytest
from matplotlib import colormaps
from numpy.typing import NDArray

from pipelines.figures import canvas, gate_flux, maps
from tests.fixtures import pictures

FLOAT = NDArray[np.float64]

ANGLE = np.linspace(0.0, -2.0 * np.pi, 3000, endpoint=False)
X, Y = 2.0e6 * np.cos(ANGLE), 1.8e6 * np.sin(ANGLE)
COAST: list[maps.Outline] = [(1.05 * X, 1.05 * Y)]
FLUX = 1e7 * 10.0 ** (2.0 * np.sin(9.0 * ANGLE))


def draw(flux: FLOAT, x: FLOAT = X) -> bytes:
    return gate_flux.gate_flux(
        x, Y, flux, total=(1940.0, 37.0), outlines=[], coast=COAST, title="Flux"
    )


def nodes(flux: FLOAT) -> tuple[FLOAT, FLOAT]:
    """Return places [km] and colours of the known nodes, in the order they are drawn."""
    axes = pictures.axes()
    gate_flux.draw_nodes(axes, X[: flux.size], Y[: flux.size], flux)
    drawn = axes.collections[-1]
    return np.asarray(drawn.get_offsets(), float), np.asarray(drawn.get_facecolors(), float)


def test_flux_is_a_map_of_a_pages_width() -> None:
    assert pictures.is_sensible(draw(FLUX))


def test_nodes_lie_at_their_places_in_kilometres_with_the_most_flux_on_top() -> None:
    places, _ = nodes(np.array([5.0, -700.0, 0.1]))

    np.testing.assert_allclose(places * 1e3, np.stack([X, Y], axis=1)[[2, 0, 1]])


def test_outward_is_warm_and_inward_is_blue() -> None:
    _, (out, inward) = nodes(np.array([100.0, -101.0]))

    assert out[0] > out[2]
    assert inward[2] > inward[0]


def test_colours_are_logarithmic_over_four_decades() -> None:
    _, colours = nodes(np.array([1e-1, 1e1, 1e3, 1e3]))

    ramp = colormaps[gate_flux.OUTWARD](np.linspace(gate_flux.PALEST, 1.0, 256))
    np.testing.assert_allclose(colours, ramp[[0, 128, 255, 255]])


def test_no_flux_at_all_is_pale_and_not_missing() -> None:
    _, colours = nodes(np.array([0.0, 10.0]))

    assert len(colours) == 2
    np.testing.assert_allclose(colours[0], colormaps[gate_flux.OUTWARD](gate_flux.PALEST))


def test_nodes_without_data_are_grey() -> None:
    holed = FLUX.copy()
    holed[:1000] = np.nan

    assert pictures.count(draw(holed), canvas.FAINT) > 1000 + pictures.count(
        draw(FLUX), canvas.FAINT
    )


@pytest.mark.parametrize("flux", [np.full(3000, np.nan), np.zeros(3000), -FLUX])
def test_nothing_known_nothing_flowing_and_all_inward_are_still_pictures(flux: FLOAT) -> None:
    assert pictures.is_sensible(draw(flux))


def test_a_kilogram_a_metre_is_a_millionth_of_a_megatonne_a_kilometre() -> None:
    # 917 kg m⁻³ × 1000 m × 1000 m yr⁻¹ through a kilometre: 0.917 Gt yr⁻¹
    flux = 917.0 * 1e3 * 1e3

    assert flux * gate_flux.MT_PER_KM == pytest.approx(917.0)


def test_nodes_without_places_and_no_nodes_are_refused() -> None:
    with pytest.raises(canvas.FigureError, match=r"of 'x' of shape \(2999,\), expected \(3000,\)"):
        draw(FLUX, X[1:])
    empty = np.empty(0)
    with pytest.raises(canvas.FigureError, match="found no nodes of gates"):
        gate_flux.gate_flux(empty, empty, empty, total=(0, 0), outlines=[], coast=[], title="")
