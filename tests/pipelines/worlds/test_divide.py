"""Coordinates along the flow lines: inverse, conformal, and with the right areas."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipelines.worlds.divide import Divide

DIVIDE = Divide(west=-1000e3 - 280e3j, east=1100e3 + 250e3j)
ALONG = st.floats(0.05, 2.0)
ACROSS = st.floats(-3.1, 3.1).filter(lambda nu: abs(nu) > 0.02)


@given(mu=ALONG, nu=ACROSS)
def test_coordinates_invert_positions(mu: float, nu: float) -> None:
    along, across = DIVIDE.coordinates(DIVIDE.position(np.array(mu), np.array(nu)))

    assert abs(along - mu) < 1e-9
    assert abs(across - nu) < 1e-9


@given(mu=ALONG, nu=ACROSS)
def test_the_tangent_is_the_derivative_and_its_square_the_area(mu: float, nu: float) -> None:
    step = 1e-6
    forward = DIVIDE.position(np.array(mu + step), np.array(nu))
    backward = DIVIDE.position(np.array(mu - step), np.array(nu))

    tangent = DIVIDE.tangent(np.array(mu), np.array(nu))

    assert abs((forward - backward) / (2.0 * step) - tangent) < 1e-5 * abs(tangent)
    area = DIVIDE.jacobian(np.array(mu), np.array(nu))
    np.testing.assert_allclose(abs(tangent) ** 2, area, rtol=1e-12)


def test_the_area_within_is_the_integral_of_the_jacobian() -> None:
    u, w = np.polynomial.legendre.leggauss(40)
    mu, nu = 1.4, np.linspace(-3.0, 3.0, 7)
    nodes = mu * (u[:, None] + 1.0) / 2.0

    integral = (mu / 2.0) * (w @ DIVIDE.jacobian(nodes, nu))

    np.testing.assert_allclose(DIVIDE.area_within(np.array(mu), nu), integral, rtol=1e-13)
