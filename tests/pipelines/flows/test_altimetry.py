"""Altimetry from catalogue to tables, on the small synthetic world: every number twice."""

import dataclasses
import json
import warnings
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
import xarray as xr
import zarr
from numpy.typing import NDArray

from pipelines import stored
from pipelines.kernels.constants import KG_PER_GT, MEAN_RADIUS
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.elevation_files import AltimetryFiles
from stac import contracts
from stac.catalogue import open_catalogue

from .conftest import (
    RESULT_DEGREE,
    Products,
    harmonics_at,
    labels,
    on_sphere,
    opened,
    rows,
)
from .pixels import members_of, part_held, true_areas

FLOAT = NDArray[np.float64]
ICE, MEAN_DENSITY, SNOW = 910.0, 650.0, 300.0
GROUPS = ("EAIS", "WAIS", "AP", "AIS")


@pytest.fixture(scope="module")
def product(products: Products) -> zarr.Group:
    return opened(products.altimetry)


def members_on_pixels(product: zarr.Group) -> FLOAT:
    """Write out σ of all members (model, rate, y, x) from rates and fields: appendix A, A1."""
    h = stored.read(product, "elevation_rate")
    rho, constant = (stored.read(product, n) for n in ("density", "surface_process_rate"))
    return np.stack([ICE * h, MEAN_DENSITY * h, rho * h, ICE * h + constant])


@dataclasses.dataclass(frozen=True)
class ByHand:
    """All members as sums over pixels, without a cell, an FFT or a basis.

    ``region`` (112, r) are masses of the pixels of a region, ``whole`` (112,) of all of them
    [kg yr⁻¹]; ``coefficients`` (112, 2, J + 1, J + 1) and ``kernels`` (r, 2, J + 1, J + 1) are sums
    over their centres. Their 40 km under a wave of 660 km make 0.6 % at the highest degree.
    """

    region: FLOAT
    whole: FLOAT
    coefficients: FLOAT
    kernels: FLOAT


@pytest.fixture(scope="module")
def by_hand(product: zarr.Group, altimetry_catalogue: Path) -> ByHand:
    x, y = (stored.read(product, name) for name in ("x_grid", "y_grid"))
    area = true_areas(x, y).ravel()
    mass = members_on_pixels(product).reshape(112, -1) * area
    polygons = basins_of(altimetry_catalogue)
    held = np.stack([
        part_held(polygons[polygons.region.isin(names)], x, y)
        for names in names_by_region(polygons).values()
    ])  # fmt: skip
    sums = np.zeros((112 + len(held), 2 * (RESULT_DEGREE + 1) ** 2))
    stacked = np.concatenate([mass, held * area])
    latitude, longitude = on_sphere(*(axis.ravel() for axis in np.meshgrid(x, y)))
    for points in np.array_split(np.flatnonzero(np.abs(stacked).sum(axis=0)), 4):
        harmonics = harmonics_at(latitude[points], longitude[points], j_max=RESULT_DEGREE)
        sums += stacked[:, points] @ harmonics.reshape(len(points), -1)
    sums = sums.reshape(-1, 2, RESULT_DEGREE + 1, RESULT_DEGREE + 1)
    sphere = 4.0 * np.pi * MEAN_RADIUS**2
    return ByHand(mass @ held.T, mass.sum(axis=1), sums[:112] / sphere, sums[112:])


def basins_of(catalogue: Path) -> gpd.GeoDataFrame:
    return contracts.open_regions(next(iter(open_catalogue(str(catalogue)).search("basins"))))


def names_by_region(polygons: gpd.GeoDataFrame) -> dict[str, list[str]]:
    single = {name: [name] for name in polygons.region}
    groups = {g: list(polygons.region[polygons.group == g]) for g in GROUPS[:3]}
    return single | groups | {"AIS": list(polygons.region)}


def test_112_members_mix_57_fields(product: zarr.Group) -> None:
    basis = stored.read(product, "mass_rate_basis")

    assert stored.read(product, "mixing").shape == (112, 57)
    assert np.linalg.matrix_rank(basis.reshape(57, -1)) == 57
    names = labels(product, "member")
    assert len(set(names)) == 112
    assert names[0] == "AWI_ICE2/M1:ice"
    assert names[-1] == "TFMRA/M4:surface_processes"
    assert product.attrs["nunatak:member_dimensions"] == "retracker/fit/density"


def test_the_total_of_every_member_is_the_mass_of_its_pixels(
    product: zarr.Group, by_hand: ByHand
) -> None:
    found = members_of(product, "region_mass_rate_basis")[:, -1]

    assert labels(product, "region")[-1] == "AIS_buffered"
    # Gauss points of PROJ's areal scale and our exact areas agree to 5e-11.
    np.testing.assert_allclose(found, by_hand.whole, rtol=1e-10)


def test_region_sums_of_every_member_are_those_of_its_pixels_cut_at_degree_60(
    product: zarr.Group, by_hand: ByHand
) -> None:
    found = members_of(product, "region_mass_rate_basis")[:, :-1]
    expected = by_hand.coefficients.reshape(112, -1) @ by_hand.kernels.reshape(31, -1).T

    # Cells of 0.5° and pixels of 40 km blur edges: 1 to 3 % of a region's own size.
    size = np.sqrt(np.square(expected).mean(axis=0))
    assert (np.abs(found - expected) < 0.04 * size).all()
    total = labels(product, "region").index("AIS")
    assert np.abs(found[:, total] - expected[:, total]).max() < 1.0 * KG_PER_GT
    np.testing.assert_allclose(found.std(axis=0), expected.std(axis=0), rtol=0.015)


def test_region_sums_follow_the_pixels_where_degree_60_can_tell_regions_apart(
    product: zarr.Group, by_hand: ByHand
) -> None:
    """A wave of 660 km blurs the Peninsula away, not East or West Antarctica."""
    names = labels(product, "region")
    found = members_of(product, "region_mass_rate_basis")

    for name, part in (("EAIS", 0.02), ("WAIS", 0.1)):
        column = names.index(name)
        direct = by_hand.region[:, column]
        size = np.sqrt(np.square(direct).mean())
        assert abs(found[:, column].mean() - direct.mean()) < part * size
        assert found[:, column].std() == pytest.approx(direct.std(), rel=part)


def test_coefficients_of_every_member_are_sums_over_its_pixels(
    product: zarr.Group, by_hand: ByHand
) -> None:
    found = members_of(product, "mass_rate_basis")[:, :, :21]
    expected = by_hand.coefficients[:, :, :21]

    # A cell of 0.5° moves mass by 20 km at most; at degree 20 that is 1.5 % of the largest.
    size = np.abs(expected).max(axis=(1, 3), keepdims=True)
    assert (np.abs(found - expected) < 0.02 * size).all()


def test_kernels_weigh_a_unit_of_every_coefficient(product: zarr.Group, by_hand: ByHand) -> None:
    found = stored.read(product, "region_kernel")

    size = np.abs(by_hand.kernels).max(axis=(1, 2, 3), keepdims=True)
    # Pixels of 40 km that a region holds in part stand at their centres.
    assert (np.abs(found[:-1] - by_hand.kernels) < 0.02 * size).all()


def test_rows_of_the_table_are_moments_of_the_112_members(
    products: Products, product: zarr.Group
) -> None:
    members = members_of(product, "region_mass_rate_basis") / KG_PER_GT
    names = labels(product, "region")
    table = {r.region: r for r in rows(products.altimetry) if r.quantity == "mass_rate"}

    assert set(table) == set(names) - {"AIS_buffered"}
    for column, name in enumerate(names[:-1]):
        assert table[name].value == pytest.approx(members[:, column].mean(), rel=1e-9, abs=1e-9)
        assert table[name].uncertainty == pytest.approx(members[:, column].std(), rel=1e-9)
    covariance = stored.read(product, "region_mass_rate_covariance") / KG_PER_GT**2
    expected = np.cov(members.T, ddof=0)
    np.testing.assert_allclose(covariance, expected, rtol=0, atol=1e-10 * expected.max())


def test_members_are_filled_inside_the_ice_and_zero_outside(
    product: zarr.Group, elevation_files: AltimetryFiles
) -> None:
    files = sorted(elevation_files.elevation_rate)
    given = np.concatenate([xr.load_dataset(path).elevation_rate.values[0] for path in files])
    inside = stored.read(product, "is_grounded") > 0
    rate, is_filled = (stored.read(product, name) for name in ("elevation_rate", "is_filled"))

    lacking = np.isnan(given)
    assert (is_filled[:, inside] == lacking[:, inside]).all()
    assert 0.05 < is_filled[0, inside].mean() < 0.3
    kept = inside & ~lacking
    np.testing.assert_array_equal(rate[kept], given[kept])
    assert (rate[:, ~inside] == 0.0).all()
    assert np.isfinite(rate).all()


def test_filled_fractions_are_those_that_counting_gives(
    products: Products, product: zarr.Group, altimetry_catalogue: Path
) -> None:
    x, y = stored.read(product, "x_grid"), stored.read(product, "y_grid")
    polygons = basins_of(altimetry_catalogue)
    area = true_areas(x, y)
    on_ice = area * (stored.read(product, "is_grounded") > 0)
    filled = area * stored.read(product, "is_filled", 0)
    found, areas = (
        dict(zip(labels(product, "region"), values, strict=True))
        for values in (
            stored.read(product, "region_filled_fraction")[0],
            stored.read(product, "region_area"),
        )
    )

    for name, of in names_by_region(polygons).items():
        union = polygons[polygons.region.isin(of)].union_all()
        here = shapely.contains_xy(union, *np.meshgrid(x, y))
        # The flow reads polygons off a 2 km raster: pixels at a border may fall to either side.
        some = 4.0 * area.max()
        assert areas[name] == pytest.approx(on_ice[here].sum(), abs=some)
        assert found[name] * areas[name] == pytest.approx(filled[here].sum(), abs=some)
    table = {r.region: r for r in rows(products.altimetry) if r.quantity == "filled_fraction"}
    assert table["AIS"].value == pytest.approx(found["AIS"], rel=1e-9)


def test_power_by_degree_is_that_of_the_expanded_members(product: zarr.Group) -> None:
    members = members_of(product, "mass_rate_basis")
    by_model = members.reshape(4, 28, *members.shape[1:])

    def power(field: FLOAT) -> FLOAT:
        return np.asarray(np.square(field).sum(axis=(-3, -1)))

    for name, expected in (
        ("degree_power", power(members.mean(axis=0))),
        ("degree_power_spread", members.var(axis=0).sum(axis=(0, 2))),
        ("degree_power_spread_heights", by_model.mean(axis=0).var(axis=0).sum(axis=(0, 2))),
        ("degree_power_spread_models", by_model.mean(axis=1).var(axis=0).sum(axis=(0, 2))),
    ):
        np.testing.assert_allclose(stored.read(product, name), expected, rtol=1e-9)


def test_the_map_is_mean_and_spread_of_the_members_at_its_nodes(product: zarr.Group) -> None:
    x, y = stored.read(product, "x"), stored.read(product, "y")
    row, column = np.array([0, 5, 11, 18, 19, 37]), np.array([37, 8, 20, 19, 3, 0])
    harmonics = harmonics_at(*on_sphere(x[column], y[row]), j_max=RESULT_DEGREE)
    members = members_of(product, "mass_rate_basis")

    values = np.tensordot(members, harmonics, axes=([1, 2, 3], [1, 2, 3]))

    for name, expected in (
        ("mass_rate", values.mean(axis=0)),
        ("mass_rate_sigma", values.std(axis=0)),
    ):
        found = stored.read(product, name)[row, column]
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8 * np.abs(values).max())


def test_the_truth_is_within_what_degree_60_and_four_densities_allow(
    products: Products, world: Antarctica
) -> None:
    truth = world.basin_mass_rates()
    table = {r.region: r for r in rows(products.altimetry) if r.quantity == "mass_rate"}

    for name in ("EAIS", "WAIS", "AIS"):
        assert abs(table[name].value - truth[name]) < 2.0 * table[name].uncertainty, name


def test_receipts_figures_and_the_item_tell_the_run(products: Products) -> None:
    lines = (products.altimetry / "receipts.jsonl").read_text().splitlines()
    receipts = {r["key"].partition("@")[0]: r for r in map(json.loads, lines)}
    item = json.loads((products.altimetry / "item.json").read_text())

    assert len(receipts) == 71
    assert {r["state"] for r in receipts.values()} == {"done"}
    assert "cells lack a rate" in receipts["gaps"]["note"]
    assert receipts["read/27"]["inputs"] == ["elevation_rate_TFMRA"]
    figures = {path.name for path in (products.altimetry / "figures").iterdir()}
    assert figures == {"mass_rate_map.png", "spread_map.png", "degree_power.png"}
    assert item["properties"]["nunatak:members"] == 112
    assert len([link for link in item["links"] if link["rel"] == "derived_from"]) == 11


def test_the_product_opens_with_xarray_and_carries_units_and_grid(products: Products) -> None:
    with warnings.catch_warnings():
        # zarr-python warns that consolidated metadata is not yet in the v3 specification.
        warnings.simplefilter("ignore")
        data = xr.open_zarr(products.altimetry / "product.zarr")

    assert data.mass_rate.attrs["units"] == "kg m-2 yr-1"
    assert data.mass_rate.attrs["grid_mapping"] in data.variables
    assert data.mass_rate_basis.dims == ("basis", "part", "degree", "order")
    assert data.mixing.dims == ("member", "basis")
