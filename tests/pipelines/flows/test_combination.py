"""The combination from two finished products: every number against all 2688 members, one by one.

The oracle writes out 24 members of gravimetry and 112 of altimetry, combines every pair as
equations 3 to 5 of Sasgen et al. (2019) are printed, and takes moments over all pairs.
"""

import json
from pathlib import Path

import numpy as np
import pyproj
import pytest
import shapely
import zarr
from numpy.typing import NDArray

from pipelines import stored
from pipelines.flows import (
    combination_results,
    polar_maps,
)
from pipelines.kernels.constants import KG_PER_GT
from pipelines.kernels.gravity.combination import ad_hoc_correction
from stac import contracts
from stac.catalogue import open_catalogue
from tests.fixtures.damaged_chunks import damaged_copy

from .conftest import (
    DEGREE,
    RESULT_DEGREE,
    Document,
    Products,
    changed,
    harmonics_at,
    labels,
    on_sphere,
    opened,
    plan_of,
    rows,
    worked,
)
from .written_out import COLUMNS, PAIRS, ROWS, Brute, Ensembles, choose, close, harmonics_on_map

FLOAT = NDArray[np.float64]


@pytest.fixture(scope="module")
def ensembles(products: Products) -> Ensembles:
    return Ensembles.of(products)


@pytest.fixture(scope="module")
def product(products: Products) -> zarr.Group:
    return opened(products.combination)


@pytest.fixture(scope="module")
def brute(products: Products, ensembles: Ensembles) -> Brute:
    return Brute.of(ensembles.combined(ensembles.weight()), products)


@pytest.fixture
def document(products: Products) -> Document:
    """A run file of the combination whose output is not the finished one, without quantiles."""
    return choose(products.document("again"), quantiles=[])


def test_weights_are_those_of_equations_3_and_4(product: zarr.Group, ensembles: Ensembles) -> None:
    found = stored.read(product, "weight_gravimetry")
    expected = ensembles.weight()

    close(found, expected[:, : DEGREE + 1, : DEGREE + 1])
    assert (expected[:, DEGREE:] == 0.0).all()
    assert 0.0 < expected[0, 10, 3] < 1.0
    assert (found[1, :, 0] == 0.0).all()


def test_moments_of_coefficients_regions_and_map_are_those_of_all_pairs(
    product: zarr.Group, brute: Brute
) -> None:
    assert len(brute.regions) == PAIRS[0] * PAIRS[1]
    brute.assert_moments(product)


def test_members_of_regions_are_outer_sums(product: zarr.Group, brute: Brute) -> None:
    parts = (stored.read(product, f"region_mass_rate_{of}") for of in ("gravimetry", "altimetry"))
    gravimetry, altimetry = parts

    found = gravimetry[:, None] + altimetry[None]

    assert found.shape == (*PAIRS, len(labels(product, "region")))
    close(found.reshape(brute.regions.shape), brute.regions)


def test_quantiles_are_those_of_all_pairs(product: zarr.Group, brute: Brute) -> None:
    found = stored.read(product, "mass_rate_quantile")[:, ROWS, COLUMNS]

    close(found, np.quantile(brute.nodes, [0.05, 0.5, 0.95], axis=0))


def test_maps_of_each_mission_alone_are_those_of_its_members(
    products: Products, product: zarr.Group, ensembles: Ensembles
) -> None:
    harmonics = harmonics_on_map(products)
    for name in ("gravimetry", "altimetry"):
        members = getattr(ensembles, name)
        values = np.tensordot(members, harmonics, axes=([1, 2, 3], [1, 2, 3]))
        found = stored.read(product, f"{name}_mass_rate")[ROWS, COLUMNS]
        spread = stored.read(product, f"{name}_mass_rate_sigma")[ROWS, COLUMNS]
        close(found, values.mean(axis=0))
        close(spread, values.std(axis=0))


def test_power_by_degree_and_shares_are_those_of_equation_6(
    products: Products, product: zarr.Group, ensembles: Ensembles, brute: Brute
) -> None:
    weight = ensembles.weight()
    fields = (
        weight * ensembles.gravimetry.mean(axis=0),
        (1.0 - weight) * ensembles.altimetry.mean(axis=0),
        brute.coefficients.mean(axis=0),
    )

    p_g, p_c, p = (np.cumsum(np.square(field).sum(axis=(0, 2))) for field in fields)

    found = stored.read(product, "cumulative_power_fraction")
    close(found, np.array([p_g / (p_g + p_c), p_c / (p_g + p_c), (p_g + p_c) / p - 1.0]))
    for i, members in enumerate((ensembles.gravimetry, ensembles.altimetry, brute.coefficients)):
        power = np.square(members.mean(axis=0)).sum(axis=(0, 2))
        close(stored.read(product, "degree_power")[i], power)
        spread = members.var(axis=0).sum(axis=(0, 2))
        close(stored.read(product, "degree_power_spread")[i], spread)
    table = rows(products.combination, "contribution.csv")
    assert [row.region for row in table] == [f"degree:{j}" for j in (10, 10, 30, 30, 60, 60)]
    for one, other in zip(table[::2], table[1::2], strict=True):
        assert one.value + other.value == pytest.approx(1.0, abs=1e-12)
        degree = int(one.region.partition(":")[2])
        assert one.value == pytest.approx((p_g / (p_g + p_c))[degree], rel=1e-9)


def test_leakage_is_what_lies_outside_the_regions(
    products: Products, product: zarr.Group, brute: Brute
) -> None:
    names = labels(product, "region")
    total, whole = names.index("AIS"), names.index("AIS_buffered")
    outside = brute.regions[:, whole] - brute.regions[:, total]

    rate, sigma = (stored.read(product, f"ocean_leakage{of}") for of in ("", "_sigma"))

    close(rate[2], outside.mean(), part=1e-9)
    close(sigma[2], outside.std(), part=1e-7)
    for i, folder in enumerate((products.gravimetry, products.altimetry)):
        alone = stored.read(opened(folder), "region_mass_rate")
        close(rate[i], alone[whole] - alone[total])
    table = [row for row in rows(products.combination) if row.quantity == "ocean_leakage"]
    assert [row.note for row in table] == ["of=gravimetry", "of=altimetry", "of=combination"]
    np.testing.assert_allclose([row.value for row in table], rate / KG_PER_GT, rtol=1e-9)


def test_the_table_has_a_row_for_every_region_and_for_the_total(
    products: Products, product: zarr.Group, brute: Brute
) -> None:
    table = rows(products.combination)
    rates = {row.region: row for row in table if row.quantity == "mass_rate"}

    assert set(rates) == set(labels(product, "region")) - {"AIS_buffered"}
    for name, row in rates.items():
        column = labels(product, "region").index(name)
        assert row.value == pytest.approx(brute.regions[:, column].mean() / KG_PER_GT, rel=1e-9)
        assert row.uncertainty == pytest.approx(
            brute.regions[:, column].std() / KG_PER_GT, rel=1e-9
        )
        assert row.note == "total_correction=+0.000"
    told = {row.quantity: row for row in table}
    assert told["total_correction"].note.startswith("not applied;weight_gravimetry=0.")
    assert "effective=2688" in told["least_member_mismatch"].note


def test_mismatches_are_those_of_every_pair(product: zarr.Group, ensembles: Ensembles) -> None:
    close(stored.read(product, "member_mismatch"), ensembles.mismatch())
    assert (stored.read(product, "member_weight") == 1.0 / (PAIRS[0] * PAIRS[1])).all()


def test_the_printed_taper_lifts_gravimetry_to_one_and_drops_it(
    document: Document, tmp_path: Path, ensembles: Ensembles, products: Products
) -> None:
    group = worked(plan_of(choose(document, taper={"reading": "printed"}), tmp_path))

    weight = ensembles.weight(printed=True)
    close(stored.read(group, "weight_gravimetry"), weight[:, : DEGREE + 1, : DEGREE + 1])
    assert weight[0, DEGREE, 5] == 1.0
    assert (weight[:, DEGREE + 1 :] == 0.0).all()
    Brute.of(ensembles.combined(weight), products).assert_moments(group)


@pytest.mark.parametrize("rule", ["inverse_mismatch", "exponential"])
def test_weighted_members_have_the_weighted_moments_of_all_pairs(
    document: Document, tmp_path: Path, ensembles: Ensembles, brute: Brute, rule: str
) -> None:
    group = worked(plan_of(choose(document, members={"weights": rule}), tmp_path))

    score = ensembles.mismatch()
    omega = 1.0 / score if rule == "inverse_mismatch" else np.exp(-score / 2.0)
    omega /= omega.sum()
    close(stored.read(group, "member_weight"), omega)
    brute.assert_moments(group, omega.ravel())
    uniform = brute.regions.mean(axis=0)
    assert np.abs(stored.read(group, "region_mass_rate") - uniform).max() > 1e-3 * KG_PER_GT
    weight = ensembles.weight()
    g = weight * np.tensordot(omega.sum(axis=1), ensembles.gravimetry, axes=1)
    c = (1.0 - weight) * np.tensordot(omega.sum(axis=0), ensembles.altimetry, axes=1)
    p_g, p_c = (np.cumsum(np.square(field).sum(axis=(0, 2))) for field in (g, c))
    close(stored.read(group, "cumulative_power_fraction")[0], p_g / (p_g + p_c))


def test_the_correction_closes_the_total_on_the_ice_alone(
    document: Document, tmp_path: Path, products: Products, product: zarr.Group
) -> None:
    asked = choose(document, total_correction="ad_hoc", quantiles=[0.05, 0.5, 0.95])
    plan = plan_of(asked, tmp_path)
    group = worked(plan)

    names = labels(product, "region")
    total, whole = names.index("AIS"), names.index("AIS_buffered")
    area = stored.read(opened(products.altimetry), "region_area")
    gravimetry, altimetry = (
        (
            stored.read(opened(folder), "region_mass_rate")[i],
            np.sqrt(stored.read(opened(folder), "region_mass_rate_covariance")[i, i]),
        )
        for folder, i in ((products.gravimetry, whole), (products.altimetry, total))
    )
    uncorrected = stored.read(product, "region_mass_rate")
    expected = ad_hoc_correction(
        float(uncorrected[total]),
        float(gravimetry[0]),
        float(altimetry[0]),
        gravimetry_sigma=float(gravimetry[1]),
        altimetry_sigma=float(altimetry[1]),
        area=float(area[total]),
    )

    close(stored.read(group, "total_correction"), np.array(expected))
    close(stored.read(product, "total_correction"), np.array(expected))
    corrected = stored.read(group, "region_mass_rate")
    close(corrected, uncorrected + expected.density * area)
    assert corrected[total] == pytest.approx(expected.target, rel=1e-12)
    added = stored.read(group, "mass_rate") - stored.read(product, "mass_rate")
    on_ice = grounded_at(products, stored.read(product, "x"), stored.read(product, "y"))
    # Two runs differ by rounding where nothing is added; what is added is the whole density.
    corrected_cells = np.abs(added) > 0.5 * abs(expected.density)
    assert (corrected_cells == on_ice).mean() > 0.995  # outlines read off a 2 km raster
    rounding = 1e-12 * np.abs(stored.read(product, "mass_rate")).max()
    np.testing.assert_allclose(added[corrected_cells], expected.density, atol=rounding)
    np.testing.assert_allclose(added[~corrected_cells], 0.0, atol=rounding)
    lifted = [stored.read(each, "mass_rate_quantile") for each in (group, product)]
    close(lifted[0] - lifted[1], np.broadcast_to(added, lifted[0].shape), part=1e-8)
    held = plan.tell.keywords  # type: ignore[attr-defined]
    notes = {
        row.region: row
        for row in combination_results.region_rows(group, held["run"], held["layout"])
    }
    assert notes["AIS"].note == f"total_correction={expected.total / KG_PER_GT:+.3f}"


def grounded_at(products: Products, x: FLOAT, y: FLOAT) -> NDArray[np.bool_]:
    """Say which cells of a map have their centre on grounded ice inside the regions."""
    found = np.ones((len(y), len(x)), dtype=bool)
    for name in ("grounded", "basins"):
        item = next(iter(open_catalogue(str(products.catalogue)).search(name)))
        union = contracts.open_regions(item).union_all()
        found &= shapely.contains_xy(union, *np.meshgrid(x, y))
    return found


def test_no_correction_leaves_maps_and_tables_as_they_are(product: zarr.Group) -> None:
    rates = stored.read(product, "region_mass_rate")

    np.testing.assert_array_equal(rates, stored.read(product, "region_mass_rate_uncorrected"))
    assert abs(stored.read(product, "total_correction")[0]) > 0.1


def test_transects_show_all_three_along_their_lines_and_end_with_missing_values(
    document: Document, tmp_path: Path, ensembles: Ensembles
) -> None:
    lines = [
        {"name": "short", "longitudes": [-107.0, -107.0], "latitudes": [-74.0, -80.0]},
        {"name": "long", "longitudes": [30.0, 90.0], "latitudes": [-75.0, -70.0]},
    ]

    group = worked(plan_of(choose(document, transects=lines), tmp_path))

    latitude, longitude = (stored.read(group, f"transect_{n}") for n in ("latitude", "longitude"))
    rate, sigma = (stored.read(group, f"transect_mass_rate{of}") for of in ("", "_sigma"))
    assert labels(group, "transect") == ["short", "long"]
    there = np.isfinite(latitude)
    assert there.sum(axis=1).tolist()[0] < latitude.shape[1] == there.sum(axis=1).tolist()[1]
    for name in ("longitude", "grounded"):
        np.testing.assert_array_equal(np.isfinite(stored.read(group, f"transect_{name}")), there)
    for curves in (rate, sigma):
        np.testing.assert_array_equal(np.isfinite(curves), np.broadcast_to(there, curves.shape))
    forward = pyproj.Geod(ellps="WGS84").inv(
        longitude[0, 0], latitude[0, 0], longitude[0, 1], latitude[0, 1]
    )
    assert forward[2] == pytest.approx(100e3, rel=1e-3)
    plane = pyproj.Transformer.from_crs(4326, 3031, always_xy=True)
    x, y = plane.transform(longitude[there], latitude[there])
    at = harmonics_at(*on_sphere(np.array(x), np.array(y)), j_max=RESULT_DEGREE)
    weight = ensembles.weight()
    parts = (ensembles.gravimetry, ensembles.altimetry)
    over = ([1, 2, 3], [1, 2, 3])
    alone = [np.tensordot(each, at, axes=over) for each in parts]
    weighed = [
        np.tensordot(w * each, at, axes=over)
        for w, each in zip((weight, 1.0 - weight), parts, strict=True)
    ]
    members = [*alone, (weighed[0][:, None] + weighed[1][None]).reshape(-1, len(x))]
    for i, values in enumerate(members):
        close(rate[i][there], values.mean(axis=0))
        close(sigma[i][there], values.std(axis=0))


def test_a_map_coarser_than_the_end_of_gravimetry_shows_what_it_can(
    document: Document, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Maps as coarse as run files allow, 500 km, show degree 41: beyond this small gravimetry.
    monkeypatch.setattr(polar_maps, "degree_of", lambda _spacing, *, j_max: min(j_max, 20))

    group = worked(plan_of(document, tmp_path))

    x, y = stored.read(group, "x"), stored.read(group, "y")
    at = harmonics_at(*on_sphere(x[[3, 8]], y[[5, 7]]), j_max=20)
    mean = stored.read(group, "mass_rate_coefficients")[:, :21, :21]
    expected = np.tensordot(at, mean, axes=([1, 2, 3], [0, 1, 2]))
    close(stored.read(group, "mass_rate")[[5, 7], [3, 8]], expected)


def test_the_product_tells_what_it_was_made_from(products: Products) -> None:
    item = json.loads((products.combination / "item.json").read_text())
    figures = {path.name for path in (products.combination / "figures").iterdir()}

    assert item["properties"]["nunatak:members"] == PAIRS[0] * PAIRS[1]
    assert len([link for link in item["links"] if link["rel"] == "derived_from"]) == 4
    made_from = opened(products.combination).attrs["nunatak:products"]
    assert set(made_from) == {"gravimetry", "altimetry"}
    assert {"degree_power.png", "mass_rate_map.png", "transects.png", "basins.png"} <= figures


@pytest.mark.parametrize(
    ("product", "chunk", "failed"),
    [
        ("gravimetry", "mass_rate_perturbation/c/0/0/0/0", "weights"),
        ("altimetry", "region_kernel/c/0/0/0/0", "regions"),
    ],
)
def test_a_damaged_chunk_of_a_product_fails_the_key_that_needs_it(
    document: Document, products: Products, tmp_path: Path, product: str, chunk: str, failed: str
) -> None:
    copy = damaged_copy(products.folder / product, tmp_path / product, chunk)
    outcome = plan_of(changed(document, inputs={product: str(copy)}), tmp_path).execute(None)

    assert outcome.failed == 1
    key, reason = outcome.failures[0]
    assert key.partition("@")[0] == failed
    assert f"a chunk of {chunk.partition('/')[0]} in" in reason
