from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
import xarray as xr
import zarr
from click.testing import CliRunner

from pipelines.kernels import geodesy
from pipelines.kernels.constants import MEAN_RADIUS
from pipelines.worlds import matching_altimetry
from pipelines.worlds.point_masses import real_harmonics

DEGREE = 12


@pytest.fixture(scope="module")
def coefficients() -> tuple[np.ndarray, np.ndarray]:
    """Trend and three models of rebound, as a gravimetry run stores them."""
    generator = np.random.default_rng(2)
    drawn = generator.standard_normal((4, 2, DEGREE + 1, DEGREE + 1))
    drawn *= np.tri(DEGREE + 1)
    drawn[:, 1, :, 0] = 0.0
    return 10.0 * drawn[0], drawn[1:]


@pytest.fixture(scope="module")
def product(coefficients, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("gravimetry") / "product.zarr"
    group = zarr.open_group(path, mode="w")
    for name, values in zip(("mass_rate_coefficients", "mass_rate_gia"), coefficients, strict=True):
        group.create_array(name, data=values)
    group.attrs["nunatak:run"] = "product: gravimetry\ngravimetry:\n  latitude: geocentric\n"
    return path


@pytest.fixture(scope="module")
def grounded(tmp_path_factory) -> Path:
    """A square about the pole, in geographic coordinates of its own file."""
    path = tmp_path_factory.mktemp("polygons") / "square.gpkg"
    square = shapely.segmentize(shapely.box(-1.5e6, -1.0e6, 0.5e6, 1.2e6), 5e4)
    table = gpd.GeoDataFrame({"region": ["ice"]}, geometry=[square], crs="EPSG:3031")
    table.to_file(path, driver="GPKG")
    return path


def test_the_trend_of_a_product_is_its_mean_member_as_mass_per_true_area(product, coefficients):
    x, y = np.array([0.0, 1.03e6, -2.4e6]), np.array([-0.31e6, 0.77e6, 1.1e6])
    latitude, longitude = geodesy.inverse_polar_stereographic(x, y)
    psi = geodesy.geocentric_latitude(latitude)
    mean = coefficients[0] - coefficients[1].mean(axis=0)
    harmonics = real_harmonics(psi, longitude, j_max=DEGREE)
    on_sphere = np.tensordot(mean, harmonics, axes=3)
    # A patch of the ellipsoid at radius r fills A cos(φ − ψ) / r².
    a, b = 6378137.0, 6356752.314245
    p = np.radians(psi)
    radius = a * b / np.hypot(b * np.cos(p), a * np.sin(p))
    expected = on_sphere * np.cos(np.radians(latitude - psi)) * (MEAN_RADIUS / radius) ** 2

    found = matching_altimetry.trend_of(product)(x, y)

    # Cubic between points 20 km apart; waves of degree 12 are 3300 km long: (2π 20/3300)⁴ / 16.
    assert found == pytest.approx(expected, abs=1e-4 * np.abs(expected).max())


def test_smoothing_takes_away_from_high_degrees(product):
    x, y = (a.ravel() for a in np.meshgrid(*2 * [np.linspace(-2e6, 2e6, 21)]))

    plain = matching_altimetry.trend_of(product)(x, y)
    smooth = matching_altimetry.trend_of(product, smoothing_km=800.0)(x, y)

    assert smooth.std() < 0.8 * plain.std()


def test_the_command_writes_rates_on_the_given_ice_only(product, grounded, tmp_path):
    arguments = [str(product), str(tmp_path), "--grounded", str(grounded), "--spacing-km", "80"]

    result = CliRunner().invoke(matching_altimetry.main, arguments)

    assert result.exit_code == 0, result.output
    assert len(result.output.splitlines()) == 9
    with xr.open_dataset(tmp_path / "elevation_rate_ESA_ICE.nc") as data:
        seen = np.isfinite(data.elevation_rate.values[0, 0])
        x, y = np.meshgrid(data.x.values, data.y.values)
    inside = (x > -1.5e6) & (x < 0.5e6) & (y > -1.0e6) & (y < 1.2e6)
    assert not seen[~inside].any()
    assert seen[inside].mean() > 0.8


def test_a_folder_that_is_no_gravimetry_product_is_refused(grounded, tmp_path):
    zarr.open_group(tmp_path / "other.zarr", mode="w")
    arguments = [str(tmp_path / "other.zarr"), str(tmp_path), "--grounded", str(grounded)]

    result = CliRunner().invoke(matching_altimetry.main, arguments)

    assert result.exit_code == 1
    assert "has no array mass_rate_coefficients; expected product.zarr" in result.output


def test_polygons_without_a_projection_are_refused(tmp_path):
    path = tmp_path / "nowhere.shp"
    table = gpd.GeoDataFrame({"region": ["ice"]}, geometry=[shapely.box(0, 0, 1, 1)])
    with pytest.warns(UserWarning, match="crs"):
        table.to_file(path)

    with pytest.raises(ValueError, match="names no projection"):
        matching_altimetry.inside_of(path)
