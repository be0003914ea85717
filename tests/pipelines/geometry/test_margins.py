"""Coasts that are moved inwards until a share of the area is gone."""

import math

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from pipelines.geometry.margins import SIMPLIFIED_M, MarginError, narrowed

KM = 1e3
FINE = 128
"""Segments of a quarter of a circle; its area is that of the circle to 3e-5."""


def lost(shape: shapely.Geometry, share: float) -> float:
    return 1.0 - narrowed(shape, share=share).area / shape.area


@given(radius=st.floats(300.0, 3000.0), share=st.floats(0.005, 0.5))
def test_a_disc_becomes_the_disc_of_the_radius_that_leaves_the_rest(
    radius: float, share: float
) -> None:
    disc = shapely.Point(4e5, -2e5).buffer(radius * KM, quad_segs=FINE)

    left = narrowed(disc, share=share)

    # Corners of the simplified coast lie up to 1 km inside the circle.
    away = shapely.Point(4e5, -2e5).distance(left.exterior)
    wanted = radius * KM * math.sqrt(1.0 - share)
    assert away == pytest.approx(wanted, abs=2.0 * SIMPLIFIED_M)
    assert disc.covers(left)


@pytest.mark.parametrize("share", [0.01, 0.02, 0.1, 0.3])
def test_an_annulus_loses_the_share_from_both_of_its_coasts(share: float) -> None:
    """π (R − d)² − π (r + d)² = (1 − share) π (R² − r²), which is linear in d."""
    outer, inner = 2000.0 * KM, 800.0 * KM
    ring = shapely.Point(0.0, 0.0).buffer(outer, quad_segs=FINE)
    ring = ring.difference(shapely.Point(0.0, 0.0).buffer(inner, quad_segs=FINE))
    d = share * (outer - inner) / 2.0

    left = narrowed(ring, share=share)

    near, far = (shapely.Point(0.0, 0.0).distance(left), left.hausdorff_distance(
        shapely.Point(0.0, 0.0)))  # fmt: skip
    assert near == pytest.approx(inner + d, abs=2.0 * SIMPLIFIED_M)
    assert far == pytest.approx(outer - d, abs=2.0 * SIMPLIFIED_M)
    # Two kilometres of coast simplified against the strip that goes.
    assert lost(ring, share) == pytest.approx(share, rel=0.02)


def test_islands_lose_a_strip_of_one_width_and_a_small_one_is_gone() -> None:
    large = shapely.box(0.0, 0.0, 1000 * KM, 1000 * KM)
    small = shapely.box(1500 * KM, 0.0, 1560 * KM, 60 * KM)
    tiny = shapely.box(1700 * KM, 0.0, 1708 * KM, 8 * KM)
    islands = shapely.MultiPolygon([large, small, tiny])

    left = narrowed(islands, share=0.02)

    assert 1.0 - left.area / islands.area == pytest.approx(0.02, rel=1e-3)
    widths = [left.intersection(each).bounds[0] - each.bounds[0] for each in (large, small)]
    assert widths[0] == pytest.approx(widths[1], abs=1.0)
    # 4 d of 1000 km and of 60 km: 0.02 of all, less the corners.
    assert widths[0] == pytest.approx(4_770.0, rel=0.01)
    assert left.intersection(tiny).is_empty


def test_half_of_a_square_goes_when_it_is_asked_for() -> None:
    square = shapely.box(0.0, 0.0, 100 * KM, 100 * KM)

    left = narrowed(square, share=0.5)

    side = 100 * KM / math.sqrt(2.0)
    assert left.bounds[2] - left.bounds[0] == pytest.approx(side, rel=1e-3)


def test_a_ragged_coast_loses_the_share_though_its_detail_is_left_out() -> None:
    """Fjords of 10 km by 2 km along a coast: four times its length."""
    points = []
    for n in range(200):
        x = 5.0 * n
        points += [(x, 1000.0), (x + 2.0, 1000.0), (x + 3.0, 990.0), (x + 4.0, 990.0)]
    coast = shapely.Polygon([(0.0, 0.0), *points[::1], (1000.0, 0.0)]).buffer(0.0)
    shape = shapely.transform(coast, lambda xy: xy * KM)

    assert lost(shape, 0.02) == pytest.approx(0.02, rel=0.02)


@given(side=st.floats(1.0, 20_000.0), share=st.floats(0.005, 0.5))
def test_a_square_of_any_size_loses_what_is_asked_for(side: float, share: float) -> None:
    """Of one smaller than the detail that is left out of a coast, half was lost before it moved."""
    square = shapely.box(7e5, -3e5, 7e5 + side, -3e5 + side)

    left = narrowed(square, share=share)

    assert 1.0 - left.area / square.area == pytest.approx(share, rel=5e-3)
    assert left.bounds[0] - square.bounds[0] == pytest.approx(
        side * (1.0 - math.sqrt(1.0 - share)) / 2.0, rel=5e-3
    )


@pytest.mark.parametrize("share", [0.0, -0.1, 0.51, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(MarginError, match=r"a share of .*, expected 0 to 0\.5"):
        narrowed(shapely.box(0.0, 0.0, 1e5, 1e5), share=share)


@pytest.mark.parametrize("shape", [shapely.Polygon(), shapely.Point(0.0, 0.0)])
def test_a_shape_without_area_is_refused(shape: shapely.Geometry) -> None:
    with pytest.raises(MarginError, match="found an area of 0 m²"):
        narrowed(shape, share=0.02)
