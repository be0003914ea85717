"""Altimetry from catalogue to tables, on the small synthetic world: every number twice."""

import dataclasses
import json
import warnings
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyproj
import pytest
import shapely
import xarray as xr
import zarr
from numpy.typing import NDArray

from cluster.ledger import KeyFailed
from pipelines import settings, stored
from pipelines.flows.catalogue_inputs import InputError
from pipelines.kernels.constants import KG_PER_GT, MEAN_RADIUS
from pipelines.settings_altimetry import Cells
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.elevation_files import AltimetryFiles, write_altimetry
from stac import contracts
from stac.catalogue import open_catalogue
from stac.ingest import ingest

from .conftest import (
    PERIOD,
    RESULT_DEGREE,
    SPACING_KM,
    Document,
    Products,
    added,
    altimetry_document,
    harmonics_at,
    labels,
    on_sphere,
    opened,
    plan_of,
    rows,
    worked,
)

FLOAT = NDArray[np.float64]
ICE, MEAN_DENSITY, SNOW = 910.0, 650.0, 300.0
GROUPS = ("EAIS", "WAIS", "AP", "AIS")


@pytest.fixture(scope="module")
def product(products: Products) -> zarr.Group:
    return opened(products.altimetry)


def true_areas(x: FLOAT, y: FLOAT) -> FLOAT:
    """Integrate the areal scale of PROJ over square pixels, 4 × 4 Gauss points each [m²]."""
    node, weight = np.polynomial.legendre.leggauss(4)
    half = abs(x[1] - x[0]) / 2.0
    to_geographic = pyproj.Transformer.from_crs(3031, 4326, always_xy=True)
    polar = pyproj.Proj(3031)
    area = np.zeros((len(y), len(x)))
    for u, w_u in zip(node, weight, strict=True):
        for v, w_v in zip(node, weight, strict=True):
            at = to_geographic.transform(*np.meshgrid(x + half * u, y + half * v))
            area += w_u * w_v * half**2 / polar.get_factors(*at).areal_scale
    return area


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


def part_held(polygons: gpd.GeoDataFrame, x: FLOAT, y: FLOAT) -> FLOAT:
    """Return the part of each cell that polygons hold, from 8 × 8 points in it, flattened."""
    union = polygons.union_all()
    shapely.prepare(union)
    step = abs(x[1] - x[0])
    offset = step * ((np.arange(8) + 0.5) / 8 - 0.5)
    fine_x, fine_y = (np.add.outer(axis, offset).ravel() for axis in (x, y))
    held = shapely.contains_xy(union, *np.meshgrid(fine_x, fine_y))
    return np.asarray(held.reshape(len(y), 8, len(x), 8).mean(axis=(1, 3)).ravel())


def members_of(product: zarr.Group, name: str) -> FLOAT:
    """Write out all members of a basis."""
    return np.tensordot(stored.read(product, "mixing"), stored.read(product, name), axes=1)


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


@pytest.fixture
def small(altimetry_catalogue: Path) -> Document:
    """A run of one re-tracker's four rates, regions read off a coarse raster."""
    document = altimetry_document(str(altimetry_catalogue), "out")
    document["inputs"]["elevation_rate"] = "rates/elevation_rate_TFMRA"
    document["altimetry"] |= {"region_spacing_km": 50, "j_max": 20, "cells": {"step_degrees": 2.0}}
    return document


def test_one_density_model_needs_no_field_and_mixes_the_rates_alone(
    small: Document, tmp_path: Path
) -> None:
    del small["inputs"]["velocity"], small["inputs"]["surface_processes"]
    small["altimetry"]["density"] = {"models": ["mean"]}
    plan = plan_of(small, tmp_path)

    group = worked(plan)

    assert "density" not in [stage.name for stage in plan.stages]
    assert labels(group, "member") == [f"TFMRA/M{i}:mean" for i in range(1, 5)]
    # The basis holds rates of ice: the mixing has no unit.
    np.testing.assert_allclose(stored.read(group, "mixing"), 650.0 / 910.0 * np.eye(4), rtol=1e-15)
    pixels = stored.read(group, "elevation_rate") * 650.0
    area = true_areas(stored.read(group, "x_grid"), stored.read(group, "y_grid"))
    expected = np.tensordot(pixels, area, axes=2)
    total = members_of(group, "region_mass_rate_basis")[:, -1]
    np.testing.assert_allclose(total, expected, rtol=1e-10)


def test_fast_or_lowering_alone_mixes_no_plain_rates(small: Document, tmp_path: Path) -> None:
    del small["inputs"]["surface_processes"]
    small["altimetry"]["density"] = {"models": ["fast_or_lowering"], "fast_m_per_yr": 80.0}

    group = worked(plan_of(small, tmp_path), before="analyse")

    np.testing.assert_array_equal(stored.read(group, "mixing"), np.eye(4))
    inside = stored.read(group, "is_grounded") > 0
    assert set(np.unique(stored.read(group, "density")[inside])) == {SNOW, ICE}
    lowering = stored.read(group, "elevation_rate").mean(axis=0) <= -0.3
    assert (stored.read(group, "density")[lowering & inside] == ICE).all()


def test_bilinear_regridding_is_close_and_conservative_alone_is_exact(
    small: Document, tmp_path: Path
) -> None:
    small["altimetry"] |= {"density": {"models": ["ice"]}, "cells": {"step_degrees": 0.5}}
    exact = worked(plan_of(small, tmp_path))

    small["altimetry"]["regridding"] = "bilinear"
    close = worked(plan_of(small, tmp_path))

    totals = [members_of(g, "region_mass_rate_basis")[:, -1] for g in (exact, close)]
    relative = np.abs(totals[1] / totals[0] - 1.0)
    assert 1e-6 < relative.max() < 0.05
    low = [stored.read(g, "mass_rate_basis")[:, :, :11] for g in (exact, close)]
    assert np.abs(low[1] - low[0]).max() < 0.05 * np.abs(low[0]).max()


@pytest.mark.parametrize("quadrature", ["fejer", "exact"])
def test_other_quadratures_agree_at_low_degrees(
    small: Document, tmp_path: Path, quadrature: str
) -> None:
    small["altimetry"] |= {"density": {"models": ["ice"]}, "cells": {"step_degrees": 0.5}}
    cell = worked(plan_of(small, tmp_path), before="sums")

    small["altimetry"]["quadrature"] = quadrature
    other = worked(plan_of(small, tmp_path), before="sums")

    low = [stored.read(g, "mass_rate_basis")[:, :, :11] for g in (cell, other)]
    assert np.abs(low[1] - low[0]).max() < 0.01 * np.abs(low[0]).max()


@pytest.fixture(scope="module")
def gappy(
    world: Antarctica, altimetry_catalogue: Path, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """A collection of four rates that lack different cells."""
    files = write_altimetry(
        world,
        tmp_path_factory.mktemp("gappy"),
        spacing_km=SPACING_KM,
        period=PERIOD,
        different_gaps=True,
    )
    added("elevation-rate", [files.elevation_rate[-1]], altimetry_catalogue, "gappy")
    return "gappy"


def test_members_with_different_gaps_are_refused_with_the_choices_there_are(
    small: Document, gappy: str, tmp_path: Path, workers: str
) -> None:
    small["inputs"]["elevation_rate"] = gappy

    outcome = plan_of(small, tmp_path).execute(workers)

    assert [key.partition("@")[0] for key, _ in outcome.failures] == ["gaps"]
    assert outcome.left > 0
    reason = outcome.failures[0][1]
    assert reason.startswith("altimetry.gaps: members have different gaps: ")
    assert "/M4 " in reason
    assert "choose union" in reason
    assert not (tmp_path / "out" / "product.zarr").exists()
    receipts = (tmp_path / "out" / "receipts.jsonl").read_text()
    assert "members have different gaps" in receipts


@pytest.mark.parametrize("policy", ["union", "each"])
def test_different_gaps_are_filled_together_or_apart(
    small: Document, gappy: str, tmp_path: Path, policy: str
) -> None:
    small["inputs"]["elevation_rate"] = gappy
    small["altimetry"] |= {"gaps": policy, "density": {"models": ["ice"]}}

    group = worked(plan_of(small, tmp_path))

    inside = stored.read(group, "is_grounded") > 0
    lacking = np.isnan(stored.read(group, "elevation_rate_measured")) & inside
    if policy == "union":
        lacking[:] = lacking.any(axis=0)
    is_filled = stored.read(group, "is_filled") > 0
    np.testing.assert_array_equal(is_filled, lacking)
    fraction = stored.read(group, "region_filled_fraction")[:, -1]
    assert (np.ptp(fraction) == 0.0) == (policy == "union")
    assert np.isfinite(stored.read(group, "region_mass_rate")).all()


def test_a_member_that_cannot_be_read_stops_the_run_and_is_named(
    small: Document,
    elevation_files: AltimetryFiles,
    altimetry_catalogue: Path,
    tmp_path: Path,
    workers: str,
) -> None:
    added("elevation-rate", [elevation_files.elevation_rate[0]], altimetry_catalogue, "damaged")
    small["inputs"]["elevation_rate"] = "damaged"
    chunks = list((altimetry_catalogue / "damaged").glob("*/*.zarr/elevation_rate/c/**/*"))
    for path in (each for each in chunks if each.is_file()):
        path.write_bytes(b"no chunk")

    outcome = plan_of(small, tmp_path).execute(workers)

    assert outcome.left > 0
    assert {key.partition("/")[0] for key, _ in outcome.failures} == {"read"}
    item = elevation_files.elevation_rate[0].stem
    assert outcome.failures[0][1].startswith(f"{item}: its values cannot be read (")
    assert not (tmp_path / "out" / "product.zarr").exists()


@pytest.mark.parametrize(
    ("kind", "part", "role"),
    [
        ("velocity", "velocity", "velocity"),
        ("surface-processes", "surface_processes", "surface_processes"),
    ],
)
def test_a_damaged_field_of_a_density_model_fails_and_is_named(
    small: Document,
    elevation_files: AltimetryFiles,
    altimetry_catalogue: Path,
    tmp_path: Path,
    kind: str,
    part: str,
    role: str,
) -> None:
    (path,) = getattr(elevation_files, part)
    added(kind, [path], altimetry_catalogue, f"damaged-{kind}")
    small["inputs"][role] = f"damaged-{kind}"
    for chunk in (altimetry_catalogue / f"damaged-{kind}").glob("*/*.zarr/[vs]*_*/c/*/*"):
        chunk.write_bytes(b"no chunk")

    with pytest.raises(KeyFailed, match=f"{path.stem}: its values cannot be read"):
        worked(plan_of(small, tmp_path), before="rows")


def test_a_member_without_any_rate_stops_the_run_before_holes_are_spread(
    small: Document,
    elevation_files: AltimetryFiles,
    altimetry_catalogue: Path,
    tmp_path: Path,
    workers: str,
) -> None:
    data = xr.load_dataset(elevation_files.elevation_rate[-1])
    data.elevation_rate[0, 2] = np.nan
    data.elevation_rate[0, 2, 0, 0] = 1.0  # at sea
    data.to_netcdf(tmp_path / "empty.nc")
    added("elevation-rate", [tmp_path / "empty.nc"], altimetry_catalogue, "empty")
    small["inputs"]["elevation_rate"] = "empty"
    small["altimetry"]["gaps"] = "each"

    outcome = plan_of(small, tmp_path).execute(workers)

    assert [key.partition("@")[0] for key, _ in outcome.failures] == ["height/2"]
    assert "leave this member out" in outcome.failures[0][1]
    assert outcome.left > 0
    assert not (tmp_path / "out" / "product.zarr").exists()


def test_cells_that_end_south_of_the_ice_are_refused_with_what_to_change(
    small: Document, tmp_path: Path
) -> None:
    small["altimetry"]["cells"] = {"step_degrees": 2.0, "north": -74.0}

    with pytest.raises(InputError, match=r"cells\.north: found -74, but .* move it north of that"):
        plan_of(small, tmp_path)


def test_a_pixel_that_reaches_beyond_the_cells_fails_and_ends_the_run(
    small: Document, tmp_path: Path
) -> None:
    plan = plan_of(small, tmp_path)
    group = worked(plan, before="rows")
    stage = next(each for each in plan.stages if each.name == "rows")
    too_few = dataclasses.replace(stage.job.choices, cells=Cells(2.0, north=-74.0))  # type: ignore[attr-defined]

    with pytest.raises(KeyFailed, match=r"^altimetry\.cells\.north: .*move the northern edge"):
        dataclasses.replace(stage.job, choices=too_few)("rows/0", group)  # type: ignore[type-var]

    assert stage.required == stage.keys


def test_a_degree_that_the_rates_do_not_carry_is_refused(small: Document, tmp_path: Path) -> None:
    small["altimetry"] |= {"j_max": 501, "cells": {"step_degrees": 0.2}}

    with pytest.raises(InputError, match=r"rates every 40 km carry degrees up to .* = 500"):
        plan_of(small, tmp_path)


def test_members_on_another_grid_are_refused_at_planning(
    small: Document, elevation_files: AltimetryFiles, altimetry_catalogue: Path, tmp_path: Path
) -> None:
    part = xr.load_dataset(elevation_files.elevation_rate[0]).isel(x=slice(10, -10))
    part.to_netcdf(tmp_path / "part.nc")
    added("elevation-rate", [tmp_path / "part.nc"], altimetry_catalogue, "part")
    small["inputs"]["elevation_rate"] = ["rates/elevation_rate_TFMRA", "part"]

    with pytest.raises(InputError, match=r"part has another grid than .*regrid one of them"):
        plan_of(small, tmp_path)


def test_rates_on_an_unknown_grid_are_refused_at_ingest(
    elevation_files: AltimetryFiles, tmp_path: Path
) -> None:
    lost = tmp_path / "lost.nc"
    data = xr.load_dataset(elevation_files.elevation_rate[0]).drop_vars("spatial_ref")
    del data.elevation_rate.attrs["grid_mapping"]
    for axis in "xy":
        data[axis].attrs.pop("long_name")
    data.to_netcdf(lost)

    done = next(
        ingest("elevation-rate", [str(lost)], catalogue=str(tmp_path / "c"), collection="r")
    )

    assert done.state == "failed"
    assert "EPSG:3031" in done.reason


def test_the_same_member_twice_is_refused(small: Document, tmp_path: Path) -> None:
    small["inputs"]["elevation_rate"] = ["rates", "rates/elevation_rate_TFMRA"]

    with pytest.raises(InputError, match=r"TFMRA/M1.* come more than once"):
        plan_of(small, tmp_path)


@pytest.mark.parametrize(
    ("role", "model", "kind"),
    [
        ("velocity", "fast_or_lowering", "velocity"),
        ("surface_processes", "surface_processes", "surface-processes"),
    ],
)
def test_a_model_without_its_field_is_refused_with_what_to_name_or_leave_out(
    small: Document, tmp_path: Path, role: str, model: str, kind: str
) -> None:
    del small["inputs"][role]
    expected = rf"'{model}' needs inputs\.{role}, .* of kind '{kind}', or keep models \[ice, mean"

    with pytest.raises(InputError, match=expected):
        plan_of(small, tmp_path)


def test_trends_that_miss_the_ice_fail_the_constant(
    small: Document, elevation_files: AltimetryFiles, altimetry_catalogue: Path, tmp_path: Path
) -> None:
    data = xr.load_dataset(elevation_files.surface_processes[0])
    data.where(data.x > 0.0).to_netcdf(tmp_path / "half.nc")
    added("surface-processes", [tmp_path / "half.nc"], altimetry_catalogue, "half")
    small["inputs"]["surface_processes"] = "half"

    with pytest.raises(KeyFailed, match=r"half: lacks \d+ of \d+ cells.*leave out the model"):
        worked(plan_of(small, tmp_path))


def test_a_degree_that_the_cells_do_not_carry_is_refused_by_the_settings(
    small: Document, tmp_path: Path
) -> None:
    small["altimetry"] |= {"j_max": 90, "cells": {"step_degrees": 2.0}}

    with pytest.raises(
        settings.SettingsError, match=r"up to 89; lower j_max or cells\.step_degrees"
    ):
        plan_of(small, tmp_path)


def test_rates_of_a_period_some_days_off_are_noted(small: Document, tmp_path: Path) -> None:
    small["period"] = ["2011-02-01", "2013-01-15"]

    (note,) = plan_of(small, tmp_path).notes

    assert note.startswith("elevation_rate_TFMRA: rates of 2011-02-01 to 2013-01-31, ")
    assert note.endswith("2011-02-01 to 2013-01-15")


def test_rates_of_other_years_are_another_trend(small: Document, tmp_path: Path) -> None:
    small["period"] = ["2011-02-01", "2012-01-31"]

    with pytest.raises(InputError, match="elevation_rate_TFMRA holds rates of 2011-02-01 to 2013"):
        plan_of(small, tmp_path)


def test_polygons_of_another_ice_sheet_hold_no_rate(small: Document, tmp_path: Path) -> None:
    plan = plan_of(small, tmp_path)
    group = zarr.open_group(zarr.storage.MemoryStore(), mode="w")
    plan.template(group)
    group["x_grid"][:] = stored.read(group, "x_grid") + 2e7

    with pytest.raises(KeyFailed, match=r"no cell of the elevation rates .*same ice sheet"):
        plan.stages[0].job("grounded", group)
