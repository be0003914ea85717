"""Damage of ice shelves beside discharge, over a dozen years made by hand."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray
from zarr.storage import MemoryStore

from pipelines import stored
from pipelines.flows import comparison_arrays, comparison_tables
from pipelines.flows.comparison_dynamics import DamageOf, DynamicsJob, discharge_behind
from pipelines.flows.product_arrays import labels
from pipelines.kernels.constants import KG_PER_GT
from pipelines.settings_comparison import Dynamics

from .test_mass_budget import QUANTITIES

FLOAT = NDArray[np.float64]
FIRST, YEARS, LAG = 2000, 14, 2
SUMMERS = tuple(range(FIRST, FIRST + YEARS))
ROWS = ("a", "b", "c", "AIS")
CHOICES = Dynamics(longest_lag=3, draws=2000, seed=7)
DAMAGE = 0.2 + 0.01 * np.arange(YEARS) + 0.02 * np.random.default_rng(5).standard_normal(YEARS)
FOLLOWS = np.concatenate([[0.19, 0.2], DAMAGE[:-LAG]])
"""What damage was two years before."""


@dataclass(frozen=True)
class Budget:
    """A mass budget of two members that its readers open in memory."""

    discharge: FLOAT
    spread: FLOAT
    starts: tuple[int, ...] = SUMMERS

    def open(self) -> zarr.Group:
        members, years, rows = self.discharge.shape
        group = zarr.open_group(MemoryStore(), mode="w")
        labels(group, "row", ROWS[:rows])
        at = QUANTITIES.index("discharge")
        budget = np.full((members, len(QUANTITIES), years, rows), np.nan)
        covariance = np.full((members, len(QUANTITIES), rows, years, years), np.nan)
        budget[:, at], covariance[:, at] = self.discharge, self.spread
        starts = np.array([f"{year}-07-01" for year in self.starts], "datetime64[D]")
        ends = np.array([f"{year + 1}-07-01" for year in self.starts], "datetime64[D]")
        for name, values in (
            ("budget", budget), ("budget_covariance", covariance),
            ("year_start", starts.astype("int64")), ("year_end", ends.astype("int64")),
        ):  # fmt: skip
            group.create_array(name, data=values)
        return group


def budget(*, starts: tuple[int, ...] = SUMMERS) -> Budget:
    """Return discharge of basin a that follows damage, of b and c that do not [kg yr⁻¹]."""
    rng, years = np.random.default_rng(6), len(starts)
    at = [SUMMERS.index(year) for year in starts]
    mean = np.stack([
        50.0 + 100.0 * FOLLOWS + 0.1 * rng.standard_normal(YEARS),
        30.0 + rng.standard_normal(YEARS), 10.0 + rng.standard_normal(YEARS),
        np.full(YEARS, 500.0),
    ], axis=1)[at] * KG_PER_GT  # fmt: skip
    members = np.stack([mean, 1.1 * mean])
    spread = np.zeros((2, len(ROWS), years, years))
    for member, row, year in np.ndindex(2, len(ROWS), years):
        spread[member, row, year, year] = ((1.0 + member) * (2.0 + row) * KG_PER_GT) ** 2
    return Budget(members, spread, starts)


def shelf(
    name: str, behind: tuple[str, ...], values: FLOAT, missing: tuple[int, ...] = ()
) -> DamageOf:
    kept = [i for i, year in enumerate(SUMMERS) if year not in missing]
    return DamageOf(
        name, behind, tuple(SUMMERS[i] for i in kept), tuple(values[kept].tolist()),
        (0.01,) * len(kept),
    )  # fmt: skip


UNRELATED = 0.1 + 0.05 * np.random.default_rng(11).standard_normal(YEARS)
SHELVES = (
    shelf("leader", ("a",), DAMAGE, missing=(2005,)),
    shelf("other one", ("b", "c"), UNRELATED),
    shelf("young", ("b",), UNRELATED, missing=tuple(range(2000, 2008))),
)


def layout(shelves: tuple[DamageOf, ...], lags: int = CHOICES.longest_lag):
    return comparison_arrays.Layout(
        methods=("mass_budget",), rows=ROWS, regions=3,
        months=np.arange("2000-01", "2000-03", dtype="datetime64[M]"), patterns=(),
        combined=("mass_budget",), mask_degree=0, shelves=shelves, longest_lag=lags, attributes={},
    )  # fmt: skip


def done(shelves: tuple[DamageOf, ...], source: Budget, choices: Dynamics = CHOICES):
    """Do the key; return the arrays and the note."""
    group = zarr.open_group(MemoryStore(), mode="w")
    comparison_arrays.create(group, layout=layout(shelves, choices.longest_lag))
    receipt = DynamicsJob(shelves, source, choices)("dynamics", group)  # type: ignore[arg-type]
    return group, receipt.note


@pytest.fixture(scope="module")
def worked():
    return done(SHELVES, budget())


def by_numpy(damage: FLOAT, discharge: FLOAT, lag: int) -> tuple[float, int]:
    """Correlate what is left of both after straight lines, discharge so many years later."""
    left = []
    for series in (damage, discharge):
        years = np.arange(len(series), dtype=float)
        there = np.isfinite(series)
        line = np.polyfit(years[there], series[there], 1)
        left.append(series - np.polyval(line, years))
    one, other = left[0][: len(damage) - lag], left[1][lag:]
    both = np.isfinite(one) & np.isfinite(other)
    return float(np.corrcoef(one[both], other[both])[0, 1]), int(both.sum())


def test_correlations_at_every_lag_are_those_of_numpy(worked) -> None:
    group, note = worked
    damage, discharge = (stored.read(group, n) for n in ("damage_fraction", "discharge_behind"))
    found = stored.read(group, "lagged_correlation")

    for number in (0, 1):
        for lag in range(4):
            expected, _ = by_numpy(damage[number], discharge[number], lag)
            assert found[number, lag] == pytest.approx(expected, abs=1e-9)
    assert np.isnan(found[2]).all()
    assert note == ("2 of 3 shelves are correlated; young: 6 years of both, expected 8 at least")


def test_discharge_that_follows_damage_by_two_years_is_found_and_is_no_chance(worked) -> None:
    lag, correlation, years, local, family = stored.read(worked[0], "lagged_correlation_found", 0)

    assert (lag, years) == (LAG, YEARS - LAG - 1)
    assert correlation > 0.9
    assert local <= family < 0.05
    # p is no smaller than one in all draws and the series itself.
    assert local >= 1.0 / (CHOICES.draws + 1)


def test_discharge_that_does_not_follow_is_no_more_than_chance(worked) -> None:
    lag, correlation, _, local, family = stored.read(worked[0], "lagged_correlation_found", 1)
    found = stored.read(worked[0], "lagged_correlation", 1)

    assert correlation == found[int(lag)] == found[np.argmax(np.abs(found))]
    assert family >= local > 0.05


def test_the_same_seed_gives_the_same_chances(worked) -> None:
    again, _ = done(SHELVES, budget())
    other, _ = done(SHELVES, budget(), dataclasses.replace(CHOICES, seed=8))

    name = "lagged_correlation_found"
    np.testing.assert_array_equal(stored.read(again, name), stored.read(worked[0], name))
    found = stored.read(other, name)
    assert (found[:2, 3] != stored.read(worked[0], name)[:2, 3]).any()
    np.testing.assert_array_equal(found[:2, :3], stored.read(worked[0], name)[:2, :3])


def test_discharge_of_basins_is_summed_member_by_member_and_errors_are_independent() -> None:
    source = budget()
    value, sigma = discharge_behind(source.open(), SHELVES[1], SUMMERS)

    for year in range(YEARS):
        members = source.discharge[:, year, 1] + source.discharge[:, year, 2]
        own = np.mean([
            source.spread[m, 1, year, year] + source.spread[m, 2, year, year] for m in (0, 1)
        ])  # fmt: skip
        assert value[year] == pytest.approx(members.mean())
        assert sigma[year] == pytest.approx(np.sqrt(own + members.var(ddof=1)))


def test_a_summer_in_no_year_of_the_budget_is_a_gap() -> None:
    starts = tuple(year for year in SUMMERS if year not in (2003, 2004))
    group, _ = done(SHELVES[:1], budget(starts=starts))

    gaps = [SUMMERS[i] for i in np.flatnonzero(np.isnan(stored.read(group, "discharge_behind")[0]))]
    assert gaps == [2003, 2004]
    lacking = np.flatnonzero(np.isnan(stored.read(group, "damage_fraction")[0]))
    assert [SUMMERS[i] for i in lacking] == [2005]
    years = stored.read(group, "lagged_correlation_found", 0)[2]
    assert years < YEARS - 3


def test_few_years_try_fewer_lags() -> None:
    source = budget()
    late = tuple(
        dataclasses.replace(
            each, summers=SUMMERS[:9], fraction=tuple(values[:9]), sigma=(0.01,) * 9
        )
        for each, values in ((SHELVES[0], DAMAGE), (SHELVES[1], UNRELATED))
    )

    group, _ = done(late, source)

    found = stored.read(group, "lagged_correlation")
    assert np.isfinite(found[:, :2]).all()
    assert np.isnan(found[:, 2:]).all()


def test_damage_that_does_not_vary_has_no_correlation() -> None:
    still = dataclasses.replace(SHELVES[1], fraction=(0.25,) * YEARS)

    group, note = done((still,), budget())

    assert note == (
        "nothing is correlated; other one: damage: a series does not vary about its straight line, "
        "so nothing can follow it"
    )
    assert np.isnan(stored.read(group, "lagged_correlation")).all()
    np.testing.assert_array_equal(stored.read(group, "damage_fraction"), [[0.25] * YEARS])
    _, note = done((still, SHELVES[0]), budget())
    assert note.startswith("1 of 2 shelves are correlated; other one: ")


def test_rows_tell_lag_years_and_both_chances(worked, tmp_path) -> None:
    from pipelines import settings

    text = settings.example("comparison")
    path = tmp_path / "run.yaml"
    path.write_text(text)
    run = settings.read(path)

    told = comparison_tables.damage_rows(worked[0], run, layout(SHELVES))

    found = [row for row in told if row.quantity == "lagged_correlation"]
    assert [row.region for row in found] == ["leader", "other_one"]
    values = stored.read(worked[0], "lagged_correlation_found", 0)
    assert found[0].value == values[1]
    assert found[0].told == {
        "lag": "2", "years": "11", "p_local": f"{values[3]:.4f}", "p_family": f"{values[4]:.4f}",
    }  # fmt: skip
    damage = [row for row in told if row.quantity == "damage_fraction"]
    assert len(damage) == 13 + 14 + 6
    assert {row.told["behind"] for row in damage if row.region == "other_one"} == {"b,c"}
