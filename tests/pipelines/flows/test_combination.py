"""The combination from two finished products: every number against all 2688 members, one by one.

The oracle writes out 24 members of gravimetry and 112 of altimetry, combines every pair as
equations 3 to 5 of Sasgen et al. (2019) are printed, and takes moments over all pairs.
"""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pyproj
import pytest
import shapely
import zarr
from numpy.typing import NDArray

from pipelines import stored
from pipelines.flows import (
    combination_inputs,
    combination_results,
    finished_products,
    polar_maps,
)
from pipelines.flows.catalogue_inputs import InputError
from pipelines.flows.combination_members import MemberError, Members, open_members
from pipelines.flows.combination_spectra import Sources
from pipelines.kernels.constants import KG_PER_GT
from pipelines.kernels.gravity.combination import ad_hoc_correction
from stac import contracts
from stac.catalogue import open_catalogue

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

FLOAT = NDArray[np.float64]
WIDTH = 3
PAIRS = (24, 112)
ROWS, COLUMNS = np.array([0, 4, 11, 14, 18, 19, 25, 37]), np.array([37, 8, 20, 6, 19, 3, 30, 0])
"""Cells of the map that are looked at: sea, coasts, beside the pole, corners."""
DEGREES = np.arange(RESULT_DEGREE + 1)[:, None]


@dataclasses.dataclass(frozen=True)
class Ensembles:
    """Members written out: (k, 2, J + 1, J + 1) and (l, 2, J + 1, J + 1)."""

    gravimetry: FLOAT
    altimetry: FLOAT

    def weight(self, *, printed: bool = False) -> FLOAT:
        """Return w_G as equations 3 and 4 are printed, with 1 / v; altimetry has what is 0 / 0."""
        v_g, v_c = self.gravimetry.var(axis=0), self.altimetry.var(axis=0)
        taper = 1.0 - np.clip((DEGREES - (DEGREE - WIDTH)) / WIDTH, 0.0, 1.0) ** 2
        with np.errstate(divide="ignore", invalid="ignore"):
            if printed:  # the deviation of gravimetry times the taper, and none beyond its degree
                inverse = np.where(DEGREES <= DEGREE, 1.0 / (v_g * taper**2), 0.0)
            else:
                inverse = np.where(taper > 0.0, taper / v_g, 0.0)
            weight = inverse / (inverse + 1.0 / v_c)
        weight[np.isinf(inverse) & (v_c > 0.0)] = 1.0
        return np.nan_to_num(weight, nan=0.0)

    def combined(self, weight: FLOAT) -> FLOAT:
        """Return all pairs, equation 5, shape (k · l, 2, J + 1, J + 1)."""
        pairs = (weight * self.gravimetry)[:, None] + ((1.0 - weight) * self.altimetry)[None]
        return pairs.reshape(-1, *weight.shape)

    def mismatch(self) -> FLOAT:
        """Return the mean square difference of degrees 2 to 30 over both variances, (k, l)."""
        both = self.gravimetry.var(axis=0) + self.altimetry.var(axis=0)
        counted = (both > 0.0) & (DEGREES >= 2) & (DEGREES <= DEGREE)
        return np.array([
            np.mean(np.square(g - self.altimetry)[:, counted] / both[counted], axis=1)
            for g in self.gravimetry
        ])  # fmt: skip


@pytest.fixture(scope="module")
def ensembles(products: Products) -> Ensembles:
    gravimetry, altimetry = opened(products.gravimetry), opened(products.altimetry)
    rate, perturbations, rebounds = (
        stored.read(gravimetry, name)
        for name in ("mass_rate_coefficients", "mass_rate_perturbation", "mass_rate_gia")
    )
    return Ensembles(
        np.array([rate + p - g for p in perturbations for g in rebounds]),
        np.tensordot(
            stored.read(altimetry, "mixing"), stored.read(altimetry, "mass_rate_basis"), axes=1
        ),
    )


@dataclasses.dataclass(frozen=True)
class Brute:
    """All pairs of members, in every space: (pair, …)."""

    coefficients: FLOAT
    regions: FLOAT
    nodes: FLOAT

    def assert_moments(self, group: zarr.Group, omega: FLOAT | None = None) -> None:
        """Compare mean and variance of coefficients, regions and nodes, before any correction."""
        weights = np.full(len(self.regions), 1.0 / len(self.regions)) if omega is None else omega
        found = stored.read(group, "mass_rate_coefficients")
        mean, variance = moments(self.coefficients, weights)
        close(found, mean)
        close(stored.read(group, "mass_rate_variance"), variance)
        mean, _ = moments(self.regions, weights)
        close(stored.read(group, "region_mass_rate_uncorrected"), mean)
        covariance = np.cov(self.regions.T, aweights=weights, ddof=0)
        close(stored.read(group, "region_mass_rate_covariance"), covariance)
        mean, variance = moments(self.nodes, weights)
        close(stored.read(group, "mass_rate")[ROWS, COLUMNS], mean)
        close(stored.read(group, "mass_rate_sigma")[ROWS, COLUMNS], np.sqrt(variance))


def moments(members: FLOAT, weights: FLOAT) -> tuple[FLOAT, FLOAT]:
    mean = np.tensordot(weights, members, axes=1)
    return mean, np.tensordot(weights, np.square(members - mean), axes=1)


def close(found: FLOAT, expected: FLOAT, *, part: float = 1e-10) -> None:
    """Compare to a part of the largest: sums of 10⁴ products of both signs."""
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=part * np.abs(expected).max())


@pytest.fixture(scope="module")
def product(products: Products) -> zarr.Group:
    return opened(products.combination)


@pytest.fixture(scope="module")
def harmonics(product: zarr.Group) -> FLOAT:
    """Y at the cells that are looked at, by SciPy."""
    x, y = stored.read(product, "x"), stored.read(product, "y")
    return harmonics_at(*on_sphere(x[COLUMNS], y[ROWS]), j_max=RESULT_DEGREE)


@pytest.fixture(scope="module")
def expand(products: Products, ensembles: Ensembles, harmonics: FLOAT) -> Callable[[FLOAT], Brute]:
    kernels = stored.read(opened(products.altimetry), "region_kernel")

    def expanded(weight: FLOAT) -> Brute:
        pairs = ensembles.combined(weight)
        over = ([1, 2, 3], [1, 2, 3])
        return Brute(
            pairs,
            np.tensordot(pairs, kernels, axes=over),
            np.tensordot(pairs, harmonics, axes=over),
        )

    return expanded


@pytest.fixture(scope="module")
def brute(expand: Callable[[FLOAT], Brute], ensembles: Ensembles) -> Brute:
    return expand(ensembles.weight())


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
    product: zarr.Group, ensembles: Ensembles, harmonics: FLOAT
) -> None:
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


@pytest.fixture
def document(products: Products) -> Document:
    """A run file of the combination whose output is not the finished one, without quantiles."""
    return choose(products.document("again"), quantiles=[])


def choose(document: Document, **choices: object) -> Document:
    return changed(document, combination=changed(document["combination"], **choices))


def test_the_printed_taper_lifts_gravimetry_to_one_and_drops_it(
    document: Document, tmp_path: Path, ensembles: Ensembles, expand: Callable[[FLOAT], Brute]
) -> None:
    group = worked(plan_of(choose(document, taper={"reading": "printed"}), tmp_path))

    weight = ensembles.weight(printed=True)
    close(stored.read(group, "weight_gravimetry"), weight[:, : DEGREE + 1, : DEGREE + 1])
    assert weight[0, DEGREE, 5] == 1.0
    assert (weight[:, DEGREE + 1 :] == 0.0).all()
    expand(weight).assert_moments(group)


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
    assert ((np.abs(added) > 0.0) == on_ice).mean() > 0.995  # outlines read off a 2 km raster
    close(added[added != 0.0], np.array(expected.density))
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


@pytest.fixture(scope="module")
def members(products: Products) -> Members:
    return open_members(str(products.combination))


def test_there_are_as_many_members_as_pairs_and_each_has_its_labels(members: Members) -> None:
    assert members.shape == PAIRS
    assert members.gravimetry[:2] == ("0:GIA.NUNAT", "0:GIA.WEAKER")
    one = members.coefficients(3, -1)
    assert str(one.gravimetry_member.values) == "1:GIA.WEAKER"
    assert (
        str(one.altimetry_member.values)
        == labels(opened(Path(members.sources.altimetry.address)), "member")[-1]
    )


@pytest.mark.parametrize(("k", "l"), [(0, 0), (7, 40), (-1, -1), (23, 55)])
def test_coefficients_of_any_member_are_those_of_equation_5(
    members: Members,
    ensembles: Ensembles,
    k: int,
    l: int,  # noqa: E741
) -> None:
    weight = ensembles.weight()

    found = members.coefficients(k, l)

    assert found.dims == ("part", "degree", "order")
    expected = weight * ensembles.gravimetry[k] + (1.0 - weight) * ensembles.altimetry[l]
    close(found.compute().values, expected)


def test_the_map_of_any_member_is_its_coefficients_at_its_cells(
    members: Members, brute: Brute, product: zarr.Group
) -> None:
    found = members.map(5, 77)

    close(found.compute().values[ROWS, COLUMNS], brute.nodes[5 * PAIRS[1] + 77])
    np.testing.assert_array_equal(found.x, stored.read(product, "x"))
    np.testing.assert_array_equal(found.y, stored.read(product, "y"))
    assert found.attrs["units"] == "kg m-2 yr-1"
    assert pyproj.CRS.from_cf(found.crs.attrs) == pyproj.CRS.from_epsg(3031)


def test_nothing_of_a_member_is_read_before_it_is_computed(
    members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[slice] = []
    orders = Sources.altimetry_orders

    def noted(sources: Sources, part: slice) -> Any:
        read.append(part)
        return orders(sources, part)

    monkeypatch.setattr(Sources, "altimetry_orders", noted)

    lazy = members.coefficients(1, 2), members.map(1, 2)

    assert all(isinstance(each.data, da.Array) for each in lazy)
    assert not read
    lazy[0].sel(degree=2).sum().compute(scheduler="synchronous")
    assert read == [slice(0, RESULT_DEGREE + 1)]


def test_a_member_that_is_not_there_is_refused_with_how_many_there_are(members: Members) -> None:
    with pytest.raises(MemberError, match=r"k = 24 .*expected -24 to 23: it combines 24 members"):
        members.coefficients(24, 0)
    with pytest.raises(MemberError, match="l = -113"):
        members.map(0, -113)


def test_members_are_of_a_combination(products: Products, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds 'altimetry', expected 'combination'"):
        open_members(str(products.altimetry))
    with pytest.raises(InputError, match="holds no finished product"):
        open_members(str(tmp_path))


def refused(document: Document, folder: Path, match: str) -> None:
    with pytest.raises(InputError, match=match):
        plan_of(document, folder)


def test_a_product_that_is_not_finished_is_refused(
    document: Document, products: Products, tmp_path: Path
) -> None:
    nothing = changed(document, inputs={"altimetry": str(tmp_path / "nothing")})
    refused(nothing, tmp_path, r"inputs\.altimetry: .*holds no finished product; run altimetry")

    shutil.copytree(products.altimetry, tmp_path / "untold")
    (tmp_path / "untold" / "item.json").unlink()
    untold = changed(document, inputs={"altimetry": str(tmp_path / "untold")})
    refused(untold, tmp_path, r"inputs\.altimetry: .*holds no finished product")


def test_a_product_between_two_versions_is_refused(
    document: Document, products: Products, tmp_path: Path
) -> None:
    shutil.copytree(products.gravimetry, tmp_path / "between")
    path = tmp_path / "between" / "item.json"
    item = json.loads(path.read_text())
    item["properties"]["nunatak:snapshot"] = "AAAAAAAAAAAAAAAAAAAA"
    path.write_text(json.dumps(item))

    between = changed(document, inputs={"gravimetry": str(tmp_path / "between")})

    refused(between, tmp_path, "are of different versions.*run gravimetry again")


def test_exchanged_products_are_refused(
    document: Document, products: Products, tmp_path: Path
) -> None:
    exchanged = changed(
        document,
        inputs={"gravimetry": str(products.altimetry), "altimetry": str(products.gravimetry)},
    )

    refused(exchanged, tmp_path, "holds 'altimetry', expected 'gravimetry'; exchange the inputs")


def test_products_by_other_regions_are_refused(document: Document, tmp_path: Path) -> None:
    document["regions"] = "grounded"

    refused(document, tmp_path, "by regions 'basins', the run by 'grounded'; run gravimetry with")


def test_products_of_another_period_are_refused(document: Document, tmp_path: Path) -> None:
    document["period"] = ["2011-08-01", "2013-01-31"]

    refused(document, tmp_path, "rates of 2011-02-01 to 2013-01-31, the run 2011-08-01")


def test_products_some_days_off_are_noted(document: Document, tmp_path: Path) -> None:
    document["period"] = ["2011-02-01", "2013-01-15"]

    assert len(plan_of(document, tmp_path).notes) == 2


def test_a_degree_beyond_what_a_product_carries_is_refused(
    document: Document, tmp_path: Path
) -> None:
    beyond = choose(document, taper={"degree": RESULT_DEGREE + 1})

    refused(beyond, tmp_path, r"ends at degree 30, but combination\.taper\.degree is 61; lower it")


def test_other_ice_than_that_of_altimetry_is_refused(document: Document, tmp_path: Path) -> None:
    document["inputs"]["grounded_ice"] = "basins"

    refused(document, tmp_path, "found 'basins', but altimetry was made with 'grounded'")


def test_an_output_that_is_an_input_is_refused(
    document: Document, products: Products, tmp_path: Path
) -> None:
    document["output"] = str(products.altimetry)

    refused(document, tmp_path, r"is inputs\.altimetry; write the combination somewhere else")


@pytest.fixture
def altered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let a product tell of another run than its own; making one would take a run more."""

    def alter(role: str, **choices: object) -> None:
        find = finished_products.find

        def found(address: str, *, role: str, product: str) -> finished_products.Finished:
            held = find(address, role=role, product=product)
            if role != altered_role:
                return held
            run = {**held.run, role: {**held.run[role], **choices}}
            return dataclasses.replace(held, run=run)

        altered_role = role
        monkeypatch.setattr(finished_products, "find", found)

    return alter


def test_latitudes_that_are_read_otherwise_are_refused(
    document: Document, tmp_path: Path, altered: Callable[..., None]
) -> None:
    altered("altimetry", latitude="geographic")

    refused(document, tmp_path, "gravimetry reads latitude as geocentric, altimetry as geographic")


def test_products_with_other_polygons_of_one_name_are_refused(
    document: Document, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = iter([("1", "2", "AIS"), ("1", "AIS")])
    monkeypatch.setattr(combination_inputs, "labels_of", lambda group, name: next(sets))

    refused(document, tmp_path, "different polygons in 'basins': 2 in one of them only")


def test_the_product_tells_what_it_was_made_from(products: Products) -> None:
    item = json.loads((products.combination / "item.json").read_text())
    figures = {path.name for path in (products.combination / "figures").iterdir()}

    assert item["properties"]["nunatak:members"] == PAIRS[0] * PAIRS[1]
    assert len([link for link in item["links"] if link["rel"] == "derived_from"]) == 4
    made_from = opened(products.combination).attrs["nunatak:products"]
    assert set(made_from) == {"gravimetry", "altimetry"}
    assert {"degree_power.png", "mass_rate_map.png", "transects.png", "basins.png"} <= figures
