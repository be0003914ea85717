"""Sums over polygons in bands: each cell's share by shapely, however the bands are cut."""

import geopandas as gpd
import numpy as np
import pytest
import scipy.sparse
import shapely
import xarray as xr

from pipelines.flows import mass_budget_fields as fields
from pipelines.flows.catalogue_inputs import Source
from pipelines.flows.mass_budget_fields import Field, field_sums
from pipelines.kernels import geodesy

SPACING = 10_000.0
X = -1.6e6 + SPACING * np.arange(24)
Y = 0.4e6 - SPACING * np.arange(31)
SHAPES = [
    shapely.Polygon([(-1.59e6, 0.39e6), (-1.45e6, 0.36e6), (-1.5e6, 0.2e6)]),
    shapely.box(-1.44e6, 0.12e6, -1.402e6, 0.331e6),
    shapely.box(-1.6e6, 0.098e6, -1.55e6, 0.1e6),  # on the last row alone
    shapely.box(-1.61e6, 0.3e6, -1.58e6, 0.35e6),  # reaches beyond the grid
    shapely.box(1.0e6, 1.0e6, 1.1e6, 1.1e6),  # nowhere near it
]


class Held(Source):
    """A source whose arrays are here."""

    def open(self) -> xr.Dataset:
        return DATA


RNG = np.random.default_rng(5)
VALUES = RNG.normal(size=(3, Y.size, X.size))
VALUES[:, 12:15, 3:9] = np.nan
VALUES[1, 5, :] = np.nan
DATA = xr.Dataset(
    {"rate": (("member", "y", "x"), VALUES), "alone": (("y", "x"), VALUES[0])},
    coords={"x": X, "y": Y},
)


@pytest.fixture
def source() -> Source:
    return Held("rates", "elevation_rate", "nowhere")


@pytest.fixture
def polygons() -> gpd.GeoDataFrame:
    table = gpd.GeoDataFrame({"region": list("aabcd")}, geometry=SHAPES, crs="EPSG:3031")
    table["area_km2"] = [true_area(shape) for shape in SHAPES]
    return table


def true_area(shape: shapely.Geometry) -> float:
    """Return the area by the scale at the centre of a polygon, near enough for a share [km²]."""
    latitude, _ = geodesy.inverse_polar_stereographic(*np.array(shape.centroid.coords[0]))
    return float(shape.area / geodesy.map_scale(latitude) ** 2 / 1e6)


def by_shapely(values: np.ndarray, shape: shapely.Geometry) -> tuple[float, float]:
    """Return the sum over a polygon's measured cells and their area, a cell at a time."""
    amount = area = 0.0
    for row, column in np.argwhere(np.isfinite(values)):
        x, y = X[column], Y[row]
        half = SPACING / 2
        part = shape.intersection(shapely.box(x - half, y - half, x + half, y + half)).area
        true = part / SPACING**2 * float(geodesy.cell_areas(np.array(x), np.array(y), SPACING))
        amount, area = amount + true * values[row, column], area + true
    return amount, area


@pytest.mark.parametrize("cells", [1, 100, 24 * 7, 10**6])
@pytest.mark.parametrize("name", ["rate", "alone"])
def test_bands_of_any_size_give_the_sums_of_shapely(source, polygons, monkeypatch, cells, name):
    monkeypatch.setattr(fields, "CELLS_AT_ONCE", cells)
    mean = VALUES[0]
    if name == "rate":
        count = np.isfinite(VALUES).sum(axis=0)
        mean = np.where(count > 0, np.nansum(VALUES, axis=0) / np.maximum(count, 1), np.nan)
    single = scipy.sparse.eye_array(len(polygons), format="csr")

    sums, missing = field_sums(source, name, polygons, single)

    for i, shape in enumerate(polygons.geometry):
        amount, area = by_shapely(mean, shape)
        whole = 1e6 * polygons.area_km2[i]
        if area == 0.0:
            assert np.isnan(sums[i])
            assert missing[i] == 1.0
        else:
            share = min(area / whole, 1.0)
            assert missing[i] == pytest.approx(1.0 - share, abs=1e-9)
            assert sums[i] == pytest.approx(amount / share, rel=1e-9)


def test_a_band_has_whole_chunks_where_they_fit_and_two_rows_at_least(source):
    def rows(chunk: int, columns: int) -> int:
        return Field(source, "rate", X, Y, 3, chunk).rows_at_once(columns)

    assert rows(512, 3_000) == 512
    assert rows(512, 1_000) == 1536
    assert rows(512, 10_000) == 200
    assert rows(512, 10**8) == 2


def test_memory_is_that_of_a_band_however_large_the_field():
    wide = np.arange(12_000.0)
    small, large = (
        Field(Source("a", "", ""), "rate", wide, np.arange(float(n)), 1, 512).bytes()
        for n in (3_000, 12_000)
    )

    assert large == small < 512 * 2**20
    # A window's width rounds to chunks otherwise than the whole width.
    narrow = Field(Source("a", "", ""), "rate", np.arange(1955.0), np.arange(9000.0), 1, 512)
    assert narrow.rows_at_once(1953) * 1953 * fields.BYTES_PER_CELL <= narrow.bytes()


def test_a_region_without_any_value_is_not_known_and_pieces_stand_for_each_other(source, polygons):
    together, alone = (
        scipy.sparse.csr_array(np.array([signs]))
        for signs in ([1.0, -1.0, 0, 0, 1.0], [0, 0, 0, 0, 1.0])
    )
    each, _ = field_sums(source, "alone", polygons, scipy.sparse.eye_array(5, format="csr"))

    sums, _ = field_sums(source, "alone", polygons, together)
    nothing, missing = field_sums(source, "alone", polygons, alone)

    area = polygons.area_km2.to_numpy()
    rate = (each[0] + each[1]) / (area[0] + area[1])
    assert sums[0] == pytest.approx(each[0] - each[1] + rate * area[4])
    assert np.isnan(nothing[0])
    assert missing[0] == 1.0


@pytest.mark.parametrize("shape", [shapely.box(1e6, 0.2e6, 1.1e6, 0.3e6), SHAPES[4]])
def test_a_field_beside_all_polygons_has_no_value_for_them(source, shape):
    """East of the grid at its height, and beyond it both ways."""
    table = gpd.GeoDataFrame({"area_km2": [1e4]}, geometry=[shape], crs="EPSG:3031")

    sums, missing = field_sums(source, "rate", table, scipy.sparse.eye_array(1, format="csr"))

    assert np.isnan(sums[0])
    assert missing[0] == 1.0


def test_without_a_field_there_is_no_such_term(polygons):
    sums, missing = field_sums(None, "rate", polygons, scipy.sparse.eye_array(5, format="csr"))

    assert (sums == 0.0).all()
    assert (missing == 0.0).all()
