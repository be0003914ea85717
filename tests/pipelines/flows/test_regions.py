"""Polygons as operators on spherical harmonics: kernels, groups, labels."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from scipy.special import eval_legendre

from pipelines.flows import regions
from pipelines.kernels.constants import MEAN_RADIUS
from pipelines.kernels.gravity import sphere

from .conftest import harmonics_at, on_sphere

FLOAT = NDArray[np.float64]
DEGREE = 40


def table(shapes: dict[str, shapely.Geometry], groups: list[str] | None = None) -> gpd.GeoDataFrame:
    names = list(shapes)
    return gpd.GeoDataFrame(
        {"region": names, "group": groups or [""] * len(names)},
        geometry=list(shapes.values()),
        crs="EPSG:3031",
    )


def cap(radius: float) -> shapely.Geometry:
    """Return a disc about the pole, 1440 corners on its rim [m]."""
    return shapely.Point(0.0, 0.0).buffer(radius, quad_segs=360)


def kernels(
    polygons: gpd.GeoDataFrame, *, reading: sphere.Reading = "geocentric", degree: int = DEGREE,
    orders: range | None = None, spacing_m: float = 2_000.0,
) -> FLOAT:  # fmt: skip
    return regions.polygon_kernels(
        polygons, spacing_m=spacing_m, degree=degree, reading=reading, orders=orders
    )


def test_a_cap_about_the_pole_weighs_what_its_closed_form_says() -> None:
    radius = 1_500e3
    edge, _ = on_sphere(np.array([radius]), np.array([0.0]))
    cosine = -np.sin(np.radians(edge[0]))
    j = np.arange(1, DEGREE + 1)

    found = kernels(table({"cap": cap(radius)}))[0]

    area = 2.0 * np.pi * MEAN_RADIUS**2 * (1.0 - cosine)
    assert found[0, 0, 0] == pytest.approx(area, rel=2e-4)
    low, high = eval_legendre(j - 1, cosine), eval_legendre(j + 1, cosine)
    of_degree = (low - high) / np.sqrt(2 * j + 1) * (-1.0) ** j  # the cap is about the south pole
    expected = 2.0 * np.pi * MEAN_RADIUS**2 * of_degree
    np.testing.assert_allclose(found[0, 1:, 0], expected, atol=5e-4 * area)
    assert np.abs(found[:, :, 1:]).max() < 1e-3 * area


def test_a_small_square_is_its_area_times_the_harmonics_at_its_middle() -> None:
    x, y = -1_400e3, 500e3
    square = table({"square": shapely.box(x - 20e3, y - 20e3, x + 20e3, y + 20e3)})

    found = kernels(square, spacing_m=1_000.0)[0]

    at = harmonics_at(*on_sphere(np.array([x]), np.array([y])), j_max=DEGREE)[0]
    # 40 km under a wave of 1000 km: 0.3 %, and points binned to a lattice of 5.6 km.
    np.testing.assert_allclose(found / found[0, 0, 0], at, atol=0.01 * np.abs(at).max())


def test_orders_one_block_at_a_time_are_those_of_all() -> None:
    polygons = table({"1": shapely.box(0.0, 0.0, 9e5, 7e5), "2": shapely.box(-9e5, 0.0, 0.0, 7e5)})

    whole = kernels(polygons)
    parts = [kernels(polygons, orders=range(i, min(i + 16, DEGREE + 1))) for i in (0, 16, 32)]

    np.testing.assert_allclose(np.concatenate(parts, axis=-1), whole, rtol=1e-12, atol=1e-3)
    m = np.arange(DEGREE + 1)
    assert (whole[:, :, m[:, None] < m] == 0.0).all()
    assert (whole[:, 1, :, 0] == 0.0).all()


def test_kernels_of_neighbours_add_up_to_that_of_both() -> None:
    left, right = shapely.box(-8e5, -6e5, 1e5, 6e5), shapely.box(1e5, -6e5, 8e5, 6e5)

    apart = kernels(table({"left": left, "right": right}))
    joined = kernels(table({"both": shapely.union(left, right)}))

    assert np.abs(apart.sum(axis=0) - joined[0]).max() < 1e-9 * joined[0, 0, 0, 0]


def test_above_degree_180_the_lattice_is_finer() -> None:
    """At degree 200 a wave has 200 km: the fine lattice follows the middle of a small square."""
    x, y = 1_600e3, 1_100e3
    square = table({"square": shapely.box(x - 4e3, y - 4e3, x + 4e3, y + 4e3)})

    found = kernels(square, degree=200, spacing_m=500.0)[0]

    at = harmonics_at(*on_sphere(np.array([x]), np.array([y])), j_max=200)[0]
    size = np.abs(at[:, 150:]).max()
    assert np.abs(found / found[0, 0, 0] - at)[:, 150:].max() < 0.02 * size


def test_a_cap_read_as_geographic_lies_elsewhere_with_the_same_area_on_the_ellipsoid() -> None:
    polygons = table({"cap": cap(1_500e3)})

    geocentric, geographic = (
        kernels(polygons, reading=reading, spacing_m=10_000.0)
        for reading in ("geocentric", "geographic")
    )

    assert geographic[0, 0, 10, 0] != pytest.approx(geocentric[0, 0, 10, 0], rel=1e-4)
    assert geographic[0, 0, 0, 0] == pytest.approx(geocentric[0, 0, 0, 0], rel=0.02)


def test_labels_say_which_polygon_holds_a_point() -> None:
    polygons = table({"a": shapely.box(0.0, 0.0, 1e5, 1e5), "b": shapely.box(1e5, 0.0, 2e5, 1e5)})

    x = np.array([[5e4, 1.5e5], [3e5, -1e7]])
    y = np.full((2, 2), 5e4)

    assert regions.labels_at(polygons, x, y).tolist() == [[0, 1], [-1, -1]]


def test_groups_have_rows_where_polygons_name_them() -> None:
    shapes = {name: shapely.box(0.0, 0.0, 1.0, 1.0) for name in ("1", "2", "3")}

    plain = table(shapes)
    grouped = table(shapes, ["EAIS", "AP", "EAIS"])

    assert regions.groups_of(plain) == {"AIS": ["1", "2", "3"]}
    assert regions.groups_of(grouped) == {
        "EAIS": ["1", "3"], "AP": ["2"], "AIS": ["1", "2", "3"],
    }  # fmt: skip
    assert regions.region_names(grouped) == ("1", "2", "3", "EAIS", "AP", "AIS", "AIS_buffered")


@pytest.mark.parametrize(
    ("key", "expected"),
    [("kernels", range(513)), ("kernels/64-128", range(64, 128)), ("orders/0-1", range(1))],
)
def test_a_key_names_orders_or_means_all(key: str, expected: range) -> None:
    assert regions.orders_of(key, degree=512) == expected
