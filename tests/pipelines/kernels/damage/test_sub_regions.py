"""The part of a shelf near its front reaches as far back as asked."""

import numpy as np
import pytest

from pipelines.kernels.damage import sub_regions
from pipelines.kernels.damage.sub_regions import SubRegionError

CELL, SHAPE = 300.0, (60, 90)
ROW, COLUMN = np.indices(SHAPE)
ROI = np.ones(SHAPE, bool)
GROUNDED = COLUMN < 10
SHELF = (COLUMN >= 10) & (COLUMN < 50) & (ROW >= 10) & (ROW < 50)


def test_the_part_near_the_front_is_as_long_as_asked():
    whole_width = (COLUMN >= 10) & (COLUMN < 50)

    made = sub_regions.near_front(whole_width, ROI, GROUNDED, distance=10 * CELL, spacing=CELL)

    np.testing.assert_array_equal(made, whole_width & (COLUMN >= 39))


def test_the_edge_of_the_region_is_no_front():
    roi = ROW >= 10

    front = sub_regions.front_cells(SHELF, roi, GROUNDED)

    np.testing.assert_array_equal(front, SHELF & ((COLUMN == 49) | (ROW == 49)))


def test_a_shelf_without_a_front_is_refused():
    with pytest.raises(SubRegionError, match="the region reach beyond"):
        sub_regions.near_front(SHELF, SHELF, GROUNDED, distance=1.0, spacing=1.0)
    with pytest.raises(SubRegionError, match="expected one"):
        sub_regions.front_cells(SHELF, ROI[:5], GROUNDED)
