"""Values at nodes: what SciPy's interpolators give, and what they do not know about gaps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import RegularGridInterpolator
from scipy.ndimage import map_coordinates

from pipelines.kernels.budget.bilinear import GridError, at_nodes, interpolate, stencil

X = np.array([-4.0, -3.0, -1.5, 0.0, 2.0, 2.5, 6.0]) * 1e3
Y = np.array([5.0, 4.0, 1.0, 0.5, -2.0, -3.0]) * 1e3


def nodes(n: int = 300, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Points anywhere on the grid, some of them on its lines, its corners and its rim."""
    generator = np.random.default_rng(seed)
    x, y = generator.uniform(X.min(), X.max(), n), generator.uniform(Y.min(), Y.max(), n)
    x[: X.size], y[: Y.size] = X, Y
    x[10:20], y[20:30] = X[3], Y[-1]
    return x, y


def grids(*leading: int, seed: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(*leading, Y.size, X.size))


def sampled(grid: np.ndarray, x: np.ndarray, y: np.ndarray, **choices) -> np.ndarray:
    found = stencil(X, Y, x, y, method=choices.pop("method", "bilinear"))
    return interpolate(grid[..., found.rows, found.columns], found.weights, **choices)


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_values_at_nodes_are_those_of_scipy(method: str) -> None:
    (x, y), grid = nodes(), grids()
    names = {"bilinear": "linear", "nearest": "nearest"}
    oracle = RegularGridInterpolator((Y[::-1], X), grid[::-1], method=names[method])

    np.testing.assert_allclose(
        sampled(grid, x, y, method=method), oracle((y, x)), rtol=1e-12, atol=1e-12
    )


def test_values_on_an_even_grid_are_those_of_a_spline_of_degree_one() -> None:
    axis, generator = np.arange(40.0) * 500.0, np.random.default_rng(3)
    grid, (x, y) = generator.normal(size=(40, 40)), generator.uniform(0.0, 39 * 500.0, (2, 200))
    found = stencil(axis, axis, x, y)

    at = interpolate(grid[found.rows, found.columns], found.weights)

    oracle = map_coordinates(grid, [y / 500.0, x / 500.0], order=1)
    np.testing.assert_allclose(at, oracle, rtol=1e-10, atol=1e-10)


@given(st.tuples(*[st.floats(-3.0, 3.0) for _ in range(4)]), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_a_bilinear_field_is_met_exactly(factors: tuple[float, ...], seed: int) -> None:
    a, b, c, d = factors
    x, y = nodes(50, seed)

    def field(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return a + b * x / 1e3 + c * y / 1e3 + d * x * y / 1e6

    found = sampled(field(X, Y[:, None]), x, y)

    np.testing.assert_allclose(found, field(x, y), rtol=0.0, atol=1e-11)


def test_leading_axes_are_sampled_one_by_one() -> None:
    (x, y), grid = nodes(), grids(2, 3)

    together = sampled(grid, x, y)

    assert together.shape == (2, 3, x.size)
    np.testing.assert_array_equal(together[1, 2], sampled(grid[1, 2], x, y))


def test_flipping_the_grid_changes_no_bit() -> None:
    (x, y), grid = nodes(), grids(3)
    grid[1, 2:4, 1:3] = np.nan
    found = stencil(X[::-1], Y[::-1], x, y)
    flipped = grid[..., ::-1, ::-1]

    np.testing.assert_array_equal(
        interpolate(flipped[..., found.rows, found.columns], found.weights), sampled(grid, x, y)
    )


def test_transposing_the_grid_changes_rounding_only() -> None:
    (x, y), grid = nodes(), grids()
    found = stencil(Y, X, y, x)

    at = interpolate(grid.T[found.rows, found.columns], found.weights)

    np.testing.assert_allclose(at, sampled(grid, x, y), rtol=1e-12, atol=1e-14)


@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0]))
@settings(max_examples=60, deadline=None)
def test_gaps_are_left_out_of_the_mean_or_make_a_gap(seed: int, least: float) -> None:
    generator = np.random.default_rng(seed)
    values, weights = generator.normal(size=(3, 20, 4)), generator.dirichlet(np.ones(4), 20)
    values[generator.random(values.shape) < 0.3] = np.nan
    weights[:4] = np.eye(4)
    kept = interpolate(values, weights, missing="renormalise", least=least)
    strict = interpolate(values, weights, missing="propagate")

    for member, node in np.ndindex(3, 20):
        v, w = values[member, node], weights[node]
        there = ~np.isnan(v) & (w > 0)
        whole = there.sum() == (w > 0).sum()
        enough = whole or (there.any() and w[there].sum() >= least)
        mean = np.average(v[there], weights=w[there]) if enough else np.nan
        np.testing.assert_allclose(kept[member, node], mean, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(
            strict[member, node], mean if whole else np.nan, rtol=1e-12, atol=1e-14
        )


def test_a_constant_stays_what_it_is_along_its_coast() -> None:
    (x, y), grid = nodes(), np.full((Y.size, X.size), 700.0)
    grid[:3, :3] = np.nan

    found = sampled(grid, x, y)

    np.testing.assert_allclose(found[~np.isnan(found)], 700.0, rtol=1e-14)
    assert 0 < np.isnan(found).sum() < np.isnan(sampled(grid, x, y, missing="propagate")).sum()


def test_half_the_weight_is_enough_where_half_is_asked() -> None:
    values = np.array([[1.0, np.nan, 3.0, np.nan]])

    assert interpolate(values, np.full((1, 4), 0.25), least=0.5) == 2.0
    assert np.isnan(interpolate(values, np.full((1, 4), 0.25), least=0.51))


def test_nothing_measured_is_never_zero() -> None:
    nowhere = np.full((5, 4), np.nan)

    assert np.isnan(interpolate(nowhere, np.full((5, 4), 0.25), least=0.0)).all()


def test_a_node_on_a_cell_asks_for_no_other_cell() -> None:
    grid = np.full((Y.size, X.size), np.nan)
    grid[2, 3] = 5.0
    found = stencil(X, Y, X[3:4], Y[2:3])

    assert set(found.rows.ravel()) == {2}
    assert set(found.columns.ravel()) == {3}
    for missing in ("renormalise", "propagate"):
        assert sampled(grid, X[3:4], Y[2:3], missing=missing) == 5.0


def test_nodes_outside_are_missing_even_over_gaps() -> None:
    x, y = np.array([0.0, 6001.0, 0.0, np.nan]), np.array([0.0, 0.0, -3001.0, 0.0])
    grid = np.full((Y.size, X.size), np.nan)
    grid[:, 2:5] = 1.0
    found = stencil(X, Y, x, y)

    assert found.outside.tolist() == [False, True, True, True]
    assert np.isnan(sampled(grid, x, y)).tolist() == [False, True, True, True]


def test_nearest_reaches_half_a_cell_beyond_the_last_centre() -> None:
    edge = np.array([7_700.0, 7_800.0])  # the last two centres are 3.5 km apart

    outside = stencil(X, Y, edge, np.zeros(2), method="nearest").outside

    assert outside.tolist() == [False, True]


@given(st.integers(0, 10_000), st.booleans())
@settings(max_examples=30, deadline=None)
def test_a_table_of_cells_gives_the_same_bits(seed: int, single: bool) -> None:
    generator = np.random.default_rng(seed)
    x, y = generator.uniform(-7e3, 7e3, (2, 40))
    grid = grids(3, 2, seed=seed).astype(np.float32 if single else np.float64)
    grid[generator.random(grid.shape) < 0.2] = np.nan
    found = stencil(X, Y, x, y)
    cells = np.moveaxis(grid.reshape(3, 2, -1), -1, 0)
    corners = found.rows * X.size + found.columns

    for missing in ("renormalise", "propagate"):
        np.testing.assert_array_equal(
            at_nodes(cells, corners, found.weights, missing=missing),
            interpolate(grid[..., found.rows, found.columns], found.weights, missing=missing),
        )


def test_single_precision_is_interpolated_in_double() -> None:
    (x, y), grid = nodes(), grids().astype(np.float32)

    np.testing.assert_array_equal(sampled(grid, x, y), sampled(grid.astype(np.float64), x, y))


def test_inputs_are_left_as_they_were() -> None:
    values, weights = np.array([[1.0, np.nan, 3.0, 4.0]]), np.full((1, 4), 0.25)

    interpolate(values, weights)

    np.testing.assert_array_equal(values, [[1.0, np.nan, 3.0, 4.0]])
    np.testing.assert_array_equal(weights, 0.25)


def test_nodes_outside_are_refused_with_their_number_and_the_bounds() -> None:
    x, y = np.array([0.0, 9e3, 8e3]), np.zeros(3)

    with pytest.raises(GridError, match=r"2 of 3 nodes .*x -4000 to 6000 m, y -3000 to 5000 m"):
        stencil(X, Y, x, y, outside="refuse")
    stencil(X, Y, x[:1], y[:1], outside="refuse")


@pytest.mark.parametrize(
    ("x_axis", "said"),
    [
        (np.array([0.0, 1.0, 1.0]), "stands still between cells 1 and 2"),
        (np.array([0.0, 1.0, 0.5]), "turns"),
        (np.array([0.0, np.nan, 2.0]), "axis x"),
        (np.array([0.0]), "at least two"),
    ],
)
def test_an_axis_that_is_none_is_refused(x_axis: np.ndarray, said: str) -> None:
    with pytest.raises(GridError, match=said):
        stencil(x_axis, Y, np.zeros(1), np.zeros(1))


def test_misspelt_choices_and_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(GridError, match="'cubic', expected one of bilinear, nearest"):
        stencil(X, Y, np.zeros(1), np.zeros(1), method="cubic")
    with pytest.raises(GridError, match="'drop', expected one of renormalise, propagate"):
        interpolate(np.zeros((1, 4)), np.zeros((1, 4)), missing="drop")
    with pytest.raises(GridError, match=r"\(2, 4\)"):
        interpolate(np.zeros((3, 4)), np.zeros((2, 4)))
    with pytest.raises(GridError, match=r"expected \(n,\) for both"):
        stencil(X, Y, np.zeros(2), np.zeros(1))
