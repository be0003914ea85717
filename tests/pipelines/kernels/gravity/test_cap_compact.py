"""Compact kernels: fewer rows, the same values."""

import numpy as np
import pytest

from pipelines.kernels.gravity import cap_compact, cap_kernel
from pipelines.kernels.gravity.cap_grid import cap_grid

GRID = cap_grid(0.5, north=-60.0)


@pytest.mark.parametrize("quadrature", ["cell", "fejer", "exact"])
@pytest.mark.parametrize("m", [0, 1, 30, 120])
def test_a_compact_kernel_has_the_values_of_the_whole(quadrature, m):
    (block,) = cap_kernel.blocks(GRID, j_max=300, quadrature=quadrature, orders=range(m, m + 1))
    weight = cap_kernel.row_weights(GRID, quadrature)
    compact = cap_compact.compact(block, weight)
    rng = np.random.default_rng(m)
    columns = rng.standard_normal((block.values.shape[1], 6))
    coefficients = rng.standard_normal((block.values.shape[0], 6))
    found, expected = np.empty((2, len(block.values), 6))
    compact.to_degrees(columns * weight[block.row :, None], found)
    block.to_degrees(columns, expected)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14 * np.abs(expected).max())
    rows, wanted = np.empty((2, block.values.shape[1], 6))
    compact.to_rows(coefficients, rows)
    block.to_rows(coefficients, wanted)
    wanted /= weight[block.row :, None]
    np.testing.assert_allclose(rows, wanted, rtol=0, atol=1e-13 * np.abs(wanted).max())


def test_a_third_of_the_work_is_saved_at_the_degree_of_the_paper():
    grid = cap_grid(0.2, north=-60.0)
    weight = cap_kernel.row_weights(grid, "fejer")
    whole = compact = 0
    for m in range(0, 300, 30):
        (block,) = cap_kernel.blocks(grid, j_max=512, quadrature="fejer", orders=range(m, m + 1))
        whole += sum(block.values[p.degrees, p.rows].size for p in block.by_degree)
        compact += cap_compact.compact(block, weight).size
    assert compact < 0.65 * whole


def test_rows_serve_as_they_are_where_they_are_hardly_enough():
    grid = cap_grid(2.0, north=-60.0)
    (block,) = cap_kernel.blocks(grid, j_max=90, orders=range(1))
    compact = cap_compact.compact(block, cap_kernel.row_weights(grid, "cell"))
    assert compact.combine is None
    assert compact.size <= block.values.size
