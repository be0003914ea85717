"""Errors that methods share, and what gravimetry does not see: against members written out.

24 members of gravimetry and 112 of altimetry make 2688 combined ones, each summed over all rows.
What gravimetry sees of a member of altimetry is made on a grid by pyshtools: the field to degree
30, times the mask, to degree 60.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyshtools
import pytest
import zarr
from numpy.typing import NDArray
from zarr.storage import MemoryStore

from pipelines import stored
from pipelines.kernels.constants import KG_PER_GT
from tests.fixtures.comparison import Altered, Common, Done, plan_of, worked

from .conftest import DEGREE, RESULT_DEGREE, Products, labels, opened, rows
from .test_comparison_ground import anomalies
from .written_out import Ensembles, close

FLOAT = NDArray[np.float64]
MIDDLE = 2012.0 + 31.0 / 365.0
"""Of February 2011 to January 2013, as a decimal year."""
GRID = 96
"""Degree of the Gauss-Legendre grid: a product of degrees 30 and 60 against degree 60 is exact."""


@dataclass(frozen=True)
class Written:
    """Rates of all rows by member [kg yr⁻¹]: (24, row), (112, row), and the parts of a pair."""

    gravimetry: FLOAT
    altimetry: FLOAT
    parts: tuple[FLOAT, FLOAT]
    seen: FLOAT

    @property
    def lost(self) -> FLOAT:
        return self.altimetry - self.seen

    def pairs(self, one: FLOAT, other: FLOAT) -> FLOAT:
        """Return what a pair has, (24 · 112, row), from what its two members have."""
        return (one[:, None] + other[None]).reshape(-1, one.shape[1])


def through_the_mask(fields: FLOAT, mask: FLOAT, *, degree: int) -> FLOAT:
    """Return fields (…, 2, J + 1, J + 1) as gravimetry would show them."""
    zero, weight = pyshtools.expand.SHGLQ(GRID)
    over = pyshtools.expand.MakeGridGLQ(mask, zero, lmax=GRID)
    shown = np.empty((len(fields), 2, RESULT_DEGREE + 1, RESULT_DEGREE + 1))
    for number, field in enumerate(fields):
        cut = field[:, : degree + 1, : degree + 1]
        grid = pyshtools.expand.MakeGridGLQ(cut, zero, lmax=GRID) * over
        shown[number] = pyshtools.expand.SHExpandGLQ(grid, weight, zero, lmax_calc=RESULT_DEGREE)
    return shown


@pytest.fixture(scope="module")
def brute(common: Common) -> Written:
    products = Products(common.products, common.catalogue)
    both = Ensembles.of(products)
    kernels = stored.read(opened(products.altimetry), "region_kernel")[:-1]
    mask = stored.read(opened(products.gravimetry), "mask")

    def summed(fields: FLOAT) -> FLOAT:
        return np.asarray(np.tensordot(fields, kernels, axes=([1, 2, 3], [1, 2, 3])))

    weight = both.weight()
    return Written(
        summed(both.gravimetry), summed(both.altimetry),
        (summed(weight * both.gravimetry), summed((1.0 - weight) * both.altimetry)),
        summed(through_the_mask(both.altimetry, mask, degree=DEGREE)),
    )  # fmt: skip


@pytest.fixture(scope="module")
def plain(common: Common, tmp_path_factory: pytest.TempPathFactory) -> Done:
    document = common.document(inputs={"gia": ["gia"]})
    return worked(document, tmp_path_factory.mktemp("plain"))


def covariance(one: FLOAT, other: FLOAT) -> FLOAT:
    """Return the population covariance of two sets of sums (member, row), row by row."""
    return np.asarray((one - one.mean(axis=0)).T @ (other - other.mean(axis=0)) / len(one))


def shared(done: Done, one: str, other: str) -> FLOAT:
    names = done.labels("method")
    return np.asarray(done["mass_rate_shared"][names.index(one), names.index(other)])


def test_what_gravimetry_does_not_see_is_what_the_mask_and_the_degree_take(
    plain: Done, brute: Written
) -> None:
    lost = plain.of("mass_rate_lost", "gravimetry")

    close(lost, brute.lost.mean(axis=0), part=1e-9)
    close(plain.of("mass_rate", "gravimetry"), (brute.gravimetry.mean(axis=0) + lost), part=1e-9)
    # Basin 22 has the most mass at its coast, of which a field of degree 30 shows much at sea.
    assert lost[plain.labels("row").index("22")] < -10.0 * KG_PER_GT


def residual_sigma(epoch: FLOAT, series: FLOAT) -> float:
    """Return the standard deviation of the trend from the series' own residuals, by NumPy."""
    t = epoch - MIDDLE
    waves = [2.0 * np.pi * t * 365.25 / days for days in (365.25, 161.0, 171.0)]
    design = np.column_stack([np.ones_like(t), t, 0.5 * t**2,
                              *(f(wave) for wave in waves for f in (np.cos, np.sin))])  # fmt: skip
    found, *_ = np.linalg.lstsq(design, series, rcond=None)
    left = series - design @ found
    variance = left @ left / (len(t) - design.shape[1])
    return float(np.sqrt(variance * np.linalg.inv(design.T @ design)[1, 1]))


def test_gravimetry_errs_as_its_months_scatter_its_rebounds_differ_and_by_what_it_lost(
    plain: Done, brute: Written, common: Common
) -> None:
    folder = Path(common.address("gravimetry"))
    product = opened(folder)
    epoch = stored.read(product, "epoch")[np.isfinite(stored.read(product, "stokes")[:, 0, 2, 0])]
    own = anomalies(folder)
    formal = stored.read(product, "region_mass_rate_formal")[:-1] / KG_PER_GT
    rows = plain.labels("row")
    scale = np.array([
        max(1.0, residual_sigma(epoch, own[row].to_numpy()) / formal[i])
        for i, row in enumerate(rows)
    ])  # fmt: skip
    members = brute.gravimetry.reshape(12, 2, -1)
    perturbed, rebound = members.mean(axis=1), members.mean(axis=0)
    coast = 0.3 * brute.lost.mean(axis=0)  # how near the coast it lies, all members smooth alike

    expected = (
        covariance(perturbed, perturbed) * np.outer(scale, scale)
        + covariance(rebound, rebound)
        + covariance(brute.lost, brute.lost)
        + np.outer(coast, coast)
    )

    assert (scale > 1.0).any()
    close(plain.of("mass_rate_covariance", "gravimetry"), expected, part=1e-7)


def test_altimetry_and_combination_err_as_their_members_do(plain: Done, brute: Written) -> None:
    pairs = brute.pairs(*brute.parts)

    close(
        plain.of("mass_rate_covariance", "altimetry"), covariance(brute.altimetry, brute.altimetry)
    )
    close(plain.of("mass_rate_covariance", "combination"), covariance(pairs, pairs))
    close(plain.of("mass_rate", "combination"), pairs.mean(axis=0))


def test_gravimetry_shares_with_altimetry_what_altimetry_told_it(
    plain: Done, brute: Written
) -> None:
    close(
        shared(plain, "gravimetry", "altimetry"), covariance(brute.lost, brute.altimetry), part=1e-9
    )
    assert (shared(plain, "altimetry", "gravimetry") == 0.0).all()


def test_a_combination_shares_its_members_with_both_of_its_sources(
    plain: Done, brute: Written
) -> None:
    pairs = brute.pairs(*brute.parts)
    nothing = np.zeros_like(brute.gravimetry), np.zeros_like(brute.altimetry)
    alone = brute.pairs(nothing[0], brute.altimetry)
    told = brute.pairs(brute.gravimetry, brute.lost)

    close(shared(plain, "combination", "altimetry"), covariance(pairs, alone), part=1e-9)
    close(shared(plain, "combination", "gravimetry"), covariance(pairs, told), part=1e-9)
    held = plain["rate_covariance"]
    names = plain.labels("method")
    i, j = names.index("combination"), names.index("altimetry")
    close(held[:, i, j], np.diag(covariance(pairs, alone)), part=1e-9)
    np.testing.assert_array_equal(held, np.transpose(held, (0, 2, 1)))
    budget = names.index("mass_budget")
    assert (np.delete(held[:, budget], budget, axis=1) == 0.0).all()


def in_the_buffer(common: Common) -> FLOAT:
    """Return what of gravimetry's field lies in its ocean buffer, by the rates of regions."""
    told = rows(Path(common.address("gravimetry")))
    rates = {row.region: row.value for row in told if row.quantity == "mass_rate"}
    (whole,) = (row.value for row in told if row.quantity == "mass_rate_buffered")
    table = common.polygons()
    size = {region: abs(rates[region]) for region in table.region}
    part = {region: (whole - rates["AIS"]) * size[region] / sum(size.values()) for region in size}
    groups = {name: table.region[table.group == name] for name in ("EAIS", "WAIS", "AP")}
    sums = [sum(part[region] for region in members) for members in groups.values()]
    return KG_PER_GT * np.array([*part.values(), *sums, sum(part.values())])


def test_without_altimetry_gravimetry_is_wrong_by_what_its_own_field_may_have_lost(
    common: Common, brute: Written, plain: Done, tmp_path: Path
) -> None:
    done = worked(common.document("gravimetry", "combination"), tmp_path)
    product = opened(Path(common.address("gravimetry")))
    products = Products(common.products, common.catalogue)
    field = Ensembles.of(products).gravimetry.mean(axis=0)
    kernels = stored.read(product, "region_kernel")[:-1]
    once = through_the_mask(field[None], stored.read(product, "mask"), degree=DEGREE)
    again = np.tensordot(once, kernels, axes=([1, 2, 3], [1, 2, 3]))[0]
    rate = brute.gravimetry.mean(axis=0)

    close(done.of("mass_rate", "gravimetry"), rate)
    assert (done.of("mass_rate_lost", "gravimetry") == 0.0).all()
    members = brute.gravimetry.reshape(12, 2, -1)
    rebound = covariance(members.mean(axis=0), members.mean(axis=0))
    buffer = in_the_buffer(common)
    own = np.outer(rate - again, rate - again) + np.outer(buffer, buffer)
    left = done.of("mass_rate_covariance", "gravimetry") - rebound - own
    perturbed = covariance(members.mean(axis=1), members.mean(axis=1))
    scale = np.sqrt(np.diag(left) / np.diag(perturbed))
    assert (scale > 1.0 - 1e-6).all()
    close(left, perturbed * np.outer(scale, scale), part=1e-7)
    for beside in (done, plain):
        # What it is when altimetry is left out is the same whether altimetry is there or not.
        close(beside.of("mass_rate_alone", "gravimetry"), rate)
        spread = beside.of("mass_rate_alone_sigma", "gravimetry") ** 2
        close(spread, np.diag(left + rebound + own), part=1e-7)
    # What the combination shares with it is its members alone: no altimetry told it anything.
    pairs = brute.pairs(*brute.parts)
    alone = brute.pairs(brute.gravimetry, np.zeros_like(brute.altimetry))
    close(shared(done, "combination", "gravimetry"), covariance(pairs, alone), part=1e-9)


def test_another_altimetry_tells_what_gravimetry_loses_but_is_no_part_of_the_combination(
    common: Common, brute: Written, tmp_path: Path
) -> None:
    """With two of them nobody can say which: gravimetry is left with its own error."""
    import shutil

    shutil.copytree(common.address("altimetry"), tmp_path / "another")
    both = [common.address("altimetry"), str(tmp_path / "another")]

    done = worked(common.document(inputs={"altimetry": both}), tmp_path)

    assert done.labels("method") == [
        "gravimetry", "altimetry", "another", "combination", "mass_budget",
    ]  # fmt: skip
    assert (done.of("mass_rate_lost", "gravimetry") == 0.0).all()
    assert (shared(done, "gravimetry", "altimetry") == 0.0).all()
    # Both are one product at one version, so the first of them is the combination's source.
    pairs = brute.pairs(*brute.parts)
    alone = brute.pairs(np.zeros_like(brute.gravimetry), brute.altimetry)
    close(shared(done, "combination", "altimetry"), covariance(pairs, alone), part=1e-9)
    assert (shared(done, "combination", "another") == 0.0).all()


def test_another_model_of_rebound_moves_gravimetry_by_what_it_differs(
    plain: Done, common: Common
) -> None:
    product = opened(Path(common.address("gravimetry")))
    kernels = stored.read(product, "region_kernel")[:-1]
    models = np.tensordot(
        stored.read(product, "mass_rate_gia"), kernels, axes=([1, 2, 3], [1, 2, 3])
    )
    names = labels(product, "gia")
    assert len(names) == 2

    for name, rate in zip(names, models, strict=True):
        # Whoever removes too little rebound finds too much mass: if this one is right, the rate
        # that was told is too large by what it has more than the mean that was removed.
        close(plain.effect(f"gia:{name}", "gravimetry"), rate - models.mean(axis=0), part=1e-9)
    assert plain.labels("cause")[:2] == [f"gia:{name}@gravimetry" for name in names]
    assert plain.effect(f"gia:{names[0]}", "gravimetry")[-1] > 0.0
    assert plain.effect(f"gia:{names[1]}", "gravimetry")[-1] < 0.0
    assert (plain.of("cause_effect", "altimetry")[:2] == 0.0).all()


def test_a_single_model_of_rebound_may_err_by_a_part_of_itself(
    common: Common, tmp_path: Path
) -> None:
    product = opened(Path(common.address("gravimetry")))
    only = Altered(
        product,
        arrays={"mass_rate_gia": stored.read(product, "mass_rate_gia", slice(0, 1))},
        labels={"gia": ["only"]},
    )
    document = common.document("gravimetry", inputs={"gia": ["gia"]}, comparison={"gia_share": 0.4})
    plan = plan_of(document, tmp_path)
    job = plan.stages[0].job.jobs["sum/gravimetry"]  # type: ignore[union-attr]
    group = zarr.open_group(MemoryStore(), mode="w")
    plan.template(group)
    group["cause"].attrs["flag_meanings"] = "gia:only@gravimetry gia:GIA.NUNAT@gravimetry"

    altered = dataclasses.replace(job.method, source=only)
    dataclasses.replace(job, method=altered)("sum/gravimetry", group)

    kernels = stored.read(product, "region_kernel")[:-1]
    rebound = np.tensordot(stored.read(product, "mass_rate_gia", 0), kernels,
                           axes=([0, 1, 2], [1, 2, 3]))  # fmt: skip
    effect = stored.read(group, "cause_effect")[0]
    close(effect[0], -0.4 * rebound, part=1e-9)
    # The other model is the very one that was removed: read anew it differs by rounding.
    assert np.abs(effect[1]).max() < 1e-6 * np.abs(rebound).max()


def test_another_density_moves_altimetry_to_the_members_that_have_it(
    plain: Done, brute: Written, common: Common
) -> None:
    product = opened(Path(common.address("altimetry")))
    densities = [label.rpartition(":")[2] for label in labels(product, "member")]
    assert len(set(densities)) == 4

    for name in set(densities):
        chosen = [each == name for each in densities]
        # If this one is right, the rate that was told has what the mean has more than it.
        expected = brute.altimetry.mean(axis=0) - brute.altimetry[chosen].mean(axis=0)
        close(plain.effect(f"density:{name}", "altimetry"), expected, part=1e-9)
        # Gravimetry takes from altimetry what it does not see, right or wrong.
        slot = plain.labels("cause").index(f"density:{name}@altimetry")
        moved = brute.lost.mean(axis=0) - brute.lost[chosen].mean(axis=0)
        close(plain.of("cause_effect", "gravimetry")[slot], moved, part=1e-9)
        for other in ("mass_budget", "combination"):
            assert (plain.of("cause_effect", other)[slot] == 0.0).all()


def test_a_correction_that_is_missing_leaves_the_balance_too_high(
    plain: Done, common: Common
) -> None:
    """Snow that falls below the gates leaves the ice too: without it discharge is too small."""
    from .test_mass_budget import QUANTITIES

    product = opened(Path(common.address("mass_budget")))
    at = QUANTITIES.index("smb_gate_to_grounding_line")
    below = stored.read(product, "budget")[0, at, :, :27].mean(axis=0)
    effect = plain.effect("gate_correction", "mass_budget")[:27]

    assert (below > 0.0).sum() > 20
    assert (effect[below > 0.0] > 0.0).all()
    # One plausible error is a part of the correction, alike everywhere but for years' weights.
    part = effect[below > 0.1 * below.max()] / below[below > 0.1 * below.max()]
    np.testing.assert_allclose(part, np.median(part), rtol=0.1)
    assert 0.0 < np.median(part) <= 1.0
