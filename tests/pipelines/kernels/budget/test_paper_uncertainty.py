"""Equations 4 to 10 as printed, against hand and table."""

import numpy as np
import pytest

from pipelines.kernels.budget.loadings import UncertaintyError
from pipelines.kernels.budget.paper_uncertainty import (
    balance_sigma,
    discharge_sigma,
    flux_sigma,
    total_discharge_sigma,
)

TWO = {
    "thickness": np.array([1000.0, 500.0]),
    "v_x": np.array([300.0, 0.0]),
    "v_y": np.array([400.0, 100.0]),
    "w_x": np.array([100.0, 0.0]),
    "w_y": np.array([0.0, 200.0]),
    "sigma_thickness": np.array([50.0, 30.0]),
    "sigma_speed": np.array([10.0, 5.0]),
    "density": 900.0,
    "sigma_density": 5.0,
    "region": np.array([0, 0]),
    "regions": 2,
}


def test_two_nodes_by_hand():
    """Speeds 500 and 100; widths across the flow 100 · 300/500 = 60 and 200."""
    found = flux_sigma(**TWO)

    assert found.thickness[0] == pytest.approx(
        900.0 * np.hypot(50.0 * 60.0 * 500.0, 30.0 * 200.0 * 100.0)
    )
    assert found.velocity[0] == pytest.approx(
        900.0 * np.hypot(10.0 * 1000.0 * 60.0, 5.0 * 500.0 * 200.0)
    )
    assert found.density[0] == pytest.approx(
        5.0 * np.hypot(500.0 * 1000.0 * 60.0, 100.0 * 500.0 * 200.0)
    )
    assert found.total[0] ** 2 == pytest.approx(
        found.thickness[0] ** 2 + found.velocity[0] ** 2 + found.density[0] ** 2
    )
    assert found.total[1] == 0.0


def test_years_go_before_nodes():
    years = {name: np.stack([TWO[name]] * 3) for name in ("v_x", "v_y")}
    found = flux_sigma(**(TWO | years))

    assert found.total.shape == (3, 2)
    np.testing.assert_allclose(found.total, np.stack([flux_sigma(**TWO).total] * 3))


def test_ice_that_stands_still_may_move_through_its_whole_width():
    found = flux_sigma(**(TWO | {"v_x": np.zeros(2), "v_y": np.zeros(2)}))

    assert found.velocity[0] == pytest.approx(
        900.0 * np.hypot(10.0 * 1000.0 * 100.0, 5.0 * 500.0 * 200.0)
    )
    assert found.thickness[0] == 0.0


def test_what_is_not_known_makes_its_region_unknown():
    found = flux_sigma(**(TWO | {"v_x": np.array([np.nan, 0.0]), "region": np.array([0, 1])}))

    np.testing.assert_array_equal(np.isnan(found.total), [True, False])


def test_equation_eight_takes_a_fifth_of_snow_and_two_fifths_of_volume():
    found = discharge_sigma(np.array([3.0]), np.array([-20.0]), np.array([30.0]))

    assert found.item() == 13.0  # √(3² + 4² + 12²)


def test_equations_nine_and_ten_make_the_papers_totals():
    """2013–2017: σ_D of EAIS, WAIS and AP (unswapped) make 51 (table 2), with 85 of snow 99."""
    sigma = np.array([39.2, 30.8, 12.2])
    snow = np.array([64.4, 49.3, 24.8])  # 20 % of 27 basins, in quadrature by region

    assert round(total_discharge_sigma(sigma).item()) == 51
    assert round(balance_sigma(sigma, snow / 0.2).item()) == 99


def test_nodes_outside_all_regions_are_refused():
    with pytest.raises(UncertaintyError, match="regions from -1 to 0"):
        flux_sigma(**(TWO | {"region": np.array([-1, 0])}))
