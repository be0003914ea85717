"""Cells of a cap: areas that add up, and refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.kernels.gravity.cap_grid import CapGrid, CapGridError, cap_grid


@given(rows=st.integers(1, 60), globe=st.sampled_from([90, 180, 360, 900]))
def test_cells_fill_the_cap(rows, globe):
    grid = cap_grid(180.0 / globe, north=-90.0 + rows * 180.0 / globe)
    area = 2.0 * np.pi * 2.0 * np.sin(np.radians(rows * 180.0 / globe) / 2.0) ** 2
    assert grid.solid_angles.shape == (rows,)
    assert grid.n_lon * grid.solid_angles.sum() == pytest.approx(area, rel=1e-13)


def test_the_grid_of_the_paper_reaches_degree_899():
    grid = cap_grid()
    assert (len(grid.latitude), grid.n_lon, grid.globe_rows, grid.highest_degree) == (
        160,
        1800,
        900,
        899,
    )
    np.testing.assert_allclose(grid.latitude[[0, -1]], [-89.9, -58.1])
    np.testing.assert_allclose(grid.longitude[[0, -1]], [0.1, 359.9])


@pytest.mark.parametrize(("step", "north"), [(0.7, -60.0), (0.2, -59.9), (0.2, -95.0), (0.0, -60)])
def test_steps_that_do_not_fit_are_refused(step, north):
    with pytest.raises(CapGridError, match="choose 180° over a whole number"):
        cap_grid(step, north=north)


@pytest.mark.parametrize(
    "edges", [[-90.0], [-89.0, -88.0], [-90.0, -89.0, -87.0], [-90.0, -91.0], [-90.0, 90.0]]
)
def test_edges_that_are_no_cap_are_refused(edges):
    with pytest.raises(CapGridError, match="expected equally spaced edges from −90° northward"):
        CapGrid(np.array(edges), 360)


def test_a_grid_without_columns_is_refused():
    with pytest.raises(CapGridError, match="0 columns"):
        CapGrid(np.array([-90.0, -89.0]), 0)
