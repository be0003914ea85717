"""A budget's snow by months: by years where one lacks, and nowhere if a balance is elsewhere's."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray
from zarr.storage import MemoryStore

from pipelines import stored
from pipelines.flows import comparison_snow, comparison_tables
from pipelines.flows.product_arrays import labels as write_labels
from pipelines.kernels.constants import KG_PER_GT
from tests.fixtures.comparison import Altered, Common, Done, worked

from . import budget_world
from .conftest import changed, labels, opened
from .conftest import plan_of as plan_of_product
from .test_mass_budget import QUANTITIES

FLOAT = NDArray[np.float64]
READINGS = ("mean", "trend")
ELSEWHERE = {"22": (-40.0, 13.0), "25": (-10.0, 10.0)}
"""Balance and standard deviation of basins that are taken from elsewhere [Gt yr⁻¹]."""
CAUSES = ("gate_correction", "surface_mass_balance")


@pytest.fixture(scope="module")
def replaced(budget: budget_world.BudgetWorld, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a budget is of which two basins are replaced, the same as the other but for that."""
    folder = tmp_path_factory.mktemp("replaced")
    given = [
        {"region": name, "value": value, "uncertainty": sigma, "source": "altimetry"}
        for name, (value, sigma) in ELSEWHERE.items()
    ]
    document = changed(budget.document("mass_budget"), mass_budget={"replacements": given})
    outcome = plan_of_product(document, folder).execute(None)
    assert (outcome.failed, outcome.left) == (0, 0), outcome.failures
    return folder / "mass_budget"


@pytest.fixture(scope="module", params=READINGS)
def both(
    request: pytest.FixtureRequest,
    common: Common,
    replaced: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Done, Done]:
    """The comparison of the budget as it is, and of that with replaced basins."""
    folder, choices = tmp_path_factory.mktemp("both"), {"rate": request.param}
    return tuple(
        worked(
            common.document("mass_budget", inputs={"mass_budget": [address]}, comparison=choices),
            folder / name,
        )
        for name, address in (
            ("plain", common.address("mass_budget")),
            ("replaced", str(replaced)),
        )
    )


def moved(rows: list[str], plain: FLOAT, own: FLOAT) -> FLOAT:
    """Return values of rows in which those of the replaced basins are other ones, groups too.

    ``plain`` of shape (row, ...), ``own`` of shape (replaced basin, ...).
    """
    expected = plain.copy()
    for name, value in zip(ELSEWHERE, own, strict=True):
        apart = value - plain[rows.index(name)]
        # Basin 25 is of the Peninsula, 22 of West Antarctica.
        for row in (name, "AIS", "AP" if name == "25" else "WAIS"):
            expected[rows.index(row)] += apart
    return expected


def test_a_balance_from_elsewhere_is_not_moved_by_the_snow_of_the_months(
    both: tuple[Done, Done],
) -> None:
    plain, done = both
    rows = plain.labels("row")
    values = np.array([value for value, _ in ELSEWHERE.values()]) * KG_PER_GT

    rate = done.of("mass_rate", "mass_budget")

    for name, (value, sigma) in ELSEWHERE.items():
        assert rate[rows.index(name)] / KG_PER_GT == pytest.approx(value, rel=1e-12)
        at = rows.index(name)
        spread = done.of("mass_rate_covariance", "mass_budget")[at, at]
        assert spread**0.5 / KG_PER_GT == pytest.approx(sigma)
    expected = moved(rows, plain.of("mass_rate", "mass_budget"), values)
    np.testing.assert_allclose(rate, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


def test_the_curve_of_a_balance_from_elsewhere_is_a_straight_line(both: tuple[Done, Done]) -> None:
    plain, done = both
    rows, months = plain.labels("row"), stored.read(plain.group, "month")
    years = (months - months.mean()) / 365.25
    lines = np.array([value * KG_PER_GT * years for value, _ in ELSEWHERE.values()])

    expected = moved(rows, plain.of("mass", "mass_budget"), lines)

    found = done.of("mass", "mass_budget")
    np.testing.assert_allclose(found, expected, atol=1e-9 * np.abs(expected).max())


def test_snow_and_discharge_of_replaced_basins_are_told_and_are_not_their_balance(
    both: tuple[Done, Done],
) -> None:
    plain, done = both

    np.testing.assert_allclose(
        done.of("term", "mass_budget"), plain.of("term", "mass_budget"), rtol=1e-12
    )
    said = done.notes["sum/mass_budget"]
    assert said.startswith("snow by months; the balance of 22, 25 is from elsewhere")
    assert "is from elsewhere" not in plain.notes["sum/mass_budget"]


def test_errors_of_snow_do_not_move_a_balance_from_elsewhere(both: tuple[Done, Done]) -> None:
    plain, done = both
    rows = plain.labels("row")

    for cause in CAUSES:
        own = plain.effect(cause, "mass_budget")
        expected = moved(rows, own, np.zeros(len(ELSEWHERE)))
        found = done.effect(cause, "mass_budget")
        assert [found[rows.index(name)] for name in ELSEWHERE] == [0.0, 0.0]
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * np.abs(own).max())
        assert all(own[rows.index(name)] != 0.0 for name in ELSEWHERE)


def summed(
    done: Done, product: zarr.Group, *, lost: FLOAT | None = None, **arrays: FLOAT
) -> tuple[Done, str]:
    """Sum a budget with other arrays; return what was found, and what its receipt says."""
    job = next(s.job for s in done.plan.stages if s.name == "sum").jobs["sum/mass_budget"]  # type: ignore[union-attr]
    method = dataclasses.replace(job.method, source=Altered(product, arrays))
    group = zarr.open_group(MemoryStore(), mode="w")
    done.plan.template(group)
    if lost is not None:
        stored.write(group, "mask_area", lost)
    receipt = dataclasses.replace(job, method=method)("sum/mass_budget", group)
    return Done(done.plan, group, {}), receipt.note


def test_no_snow_of_any_month_moves_a_balance_from_elsewhere(
    both: tuple[Done, Done], replaced: Path
) -> None:
    product = opened(replaced)
    months = stored.read(product, "record_smb")
    names = labels(product, "region")
    for name in ELSEWHERE:
        months[:, :, names.index(name)] *= 1.0 + 0.5 * np.sin(np.arange(months.shape[1]))

    done, _ = summed(both[1], product, record_smb=months)

    for name in ("mass_rate", "mass", "cause_effect"):
        np.testing.assert_array_equal(done.of(name, "mass_budget"), both[1].of(name, "mass_budget"))
    terms = [each.of("term", "mass_budget")[0] for each in (done, both[1])]
    differ = {row for row, one, other in zip(done.labels("row"), *terms, strict=True)
              if abs(one - other) > 1e-3 * KG_PER_GT}  # fmt: skip
    assert differ == {*ELSEWHERE, "AP", "WAIS", "AIS"}


@pytest.mark.parametrize("where", ["replaced", "others"])
def test_a_narrower_mask_takes_nothing_from_a_balance_from_elsewhere(
    common: Common, replaced: Path, tmp_path: Path, where: str
) -> None:
    from tests.fixtures.comparison import plan_of

    document = common.document(
        "mass_budget", inputs={"mass_budget": [str(replaced)]}, comparison={"mask_share": 0.02}
    )
    plan = plan_of(document, tmp_path)
    template = zarr.open_group(MemoryStore(), mode="w")
    plan.template(template)
    rows = labels(template, "row")
    lost = np.zeros(len(rows))
    taken = {"replaced": (("22", "WAIS"), ("25", "AP")), "others": (("21", "WAIS"), ("24", "AP"))}
    for names in taken[where]:
        for row in (*names, "AIS"):
            lost[rows.index(row)] += 1e9

    done, _ = summed(Done(plan, template, {}), opened(replaced), lost=lost)

    found = {row for row, effect in zip(rows, done.effect("mask", "mass_budget"), strict=True)
             if effect != 0.0}  # fmt: skip
    assert found == (set() if where == "replaced" else {"21", "24", "WAIS", "AP", "AIS"})


def without(product: zarr.Group, month: str, region: str | slice) -> FLOAT:
    """Return the records of snow of which one month of a region, or of several, is lacking."""
    records = stored.read(product, "record_smb")
    days = stored.values(product, "month").astype("datetime64[D]").astype("datetime64[M]")
    at = int(np.flatnonzero(days == np.datetime64(month))[0])
    names = labels(product, "region")
    records[:, at, region if isinstance(region, slice) else names.index(region)] = np.nan
    return records


def test_a_region_that_lacks_a_month_stays_by_years_and_no_other(
    both: tuple[Done, Done], common: Common
) -> None:
    plain, product = both[0], opened(Path(common.address("mass_budget")))
    rows = plain.labels("row")
    every = without(product, "2012-05", slice(0, None, 2))
    every = np.minimum(every, without(product, "2012-06", slice(1, None, 2)))
    years, said_years = summed(plain, product, record_smb=every)

    done, said = summed(plain, product, record_smb=without(product, "2012-05", "3"))

    assert said_years.startswith("snow by years; ")
    assert said.startswith("snow by months, by years in 3 where months lack; ")
    for name in ("mass_rate", "mass"):
        found, by_months, by_years = (each.of(name, "mass_budget") for each in (done, plain, years))
        expected = by_months.copy()
        apart = (by_years - by_months)[rows.index("3")]
        for row in ("3", "EAIS", "AIS"):
            expected[rows.index(row)] += apart
        np.testing.assert_allclose(found, expected, atol=1e-9 * np.nanmax(np.abs(expected)))
        assert np.abs(apart).max() > 0.01 * KG_PER_GT


def test_snow_by_years_is_that_of_the_nearest_years_of_ice_flow(
    common: Common, tmp_path: Path
) -> None:
    """To June 2012 are 516 days, and 215 of the year after it; none of the third."""
    product = opened(Path(common.address("mass_budget")))
    plain = worked(common.document("mass_budget", comparison={"rate": "mean"}), tmp_path)

    done, _ = summed(plain, product, record_smb=without(product, "2012-05", "3"))

    snow = stored.read(product, "budget")[0, QUANTITIES.index("surface_mass_balance")]
    own = snow[:, labels(product, "region").index("3")]
    expected = (516.0 * own[0] + 215.0 * own[1]) / 731.0
    found = done.of("term", "mass_budget")[0][plain.labels("row").index("3")]
    assert found == pytest.approx(expected, rel=1e-9)


def noted(
    by_months: list[float], replaced: list[float], *, names: tuple[str, ...] = ("a", "b")
) -> list[list[str]]:
    group = zarr.open_group(MemoryStore(), mode="w")
    write_labels(group, "method", ("gravimetry", "mass_budget"))
    write_labels(group, "row", names)
    for name, held in zip(comparison_snow.SHARES, (by_months, replaced), strict=True):
        group.create_array(name, data=np.array([np.full(len(held), np.nan), held]))
    return comparison_snow.notes(group)


def test_notes_say_how_snow_was_summed_and_what_is_from_elsewhere() -> None:
    found = noted([1.0, 0.0, 0.96], [0.0, 0.25, 1.0], names=("a", "b", "c"))

    assert found == [
        ["", "", ""],
        [";snow=months", ";snow=years;replaced=0.250", ";snow=both;replaced=1.000"],
    ]


def test_a_version_begun_before_says_nothing() -> None:
    group = zarr.open_group(MemoryStore(), mode="w")
    write_labels(group, "method", ("mass_budget",))
    write_labels(group, "row", ("a", "b"))

    assert comparison_snow.notes(group) == [["", ""]]


def test_rows_of_the_table_tell_snow_by_months_from_snow_by_years(
    both: tuple[Done, Done], replaced: Path
) -> None:
    product = opened(replaced)
    done, _ = summed(both[1], product, record_smb=without(product, "2012-05", "3"))
    held = done.plan.tell.keywords  # type: ignore[attr-defined]

    told = comparison_tables.comparison_rows(both[1].group, held["run"], held["found"])
    lacking = comparison_tables._by_method(done.group, held["run"], held["found"])

    rates = {row.region: row.told for row in told if row.quantity == "mass_balance"}
    assert {row["snow"] for row in rates.values()} == {"months"}
    shares = {name: float(row["replaced"]) for name, row in rates.items() if "replaced" in row}
    area = dict(zip(labels(product, "row"), stored.read(product, "region_area"), strict=True))
    assert shares == pytest.approx({
        "22": 1.0, "25": 1.0, "WAIS": area["22"] / area["WAIS"], "AP": area["25"] / area["AP"],
        "AIS": (area["22"] + area["25"]) / sum(area[name] for name in labels(product, "region")),
    }, abs=6e-4)  # fmt: skip
    terms = [row for row in told if row.quantity in comparison_tables.TERMS]
    assert {row.region for row in terms if "replaced" in row.told} == set(shares)
    snow = {row.region: row.told["snow"] for row in lacking}
    apart = {"3": "years", "EAIS": "both", "AIS": "both"}
    assert snow == {name: apart.get(name, "months") for name in rates}
