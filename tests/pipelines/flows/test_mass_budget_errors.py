"""The paper's uncertainty beside ours: equations 8 to 10 written out by hand."""

import math
from pathlib import Path

import numpy as np
import pytest
import zarr

from pipelines import stored, tables
from pipelines.flows import mass_budget_errors, mass_budget_tables
from pipelines.kernels.constants import KG_PER_GT
from pipelines.settings import read

from .budget_world import BudgetWorld
from .conftest import changed, plan_of, worked

TERMS = {"smb_gate_to_grounding_line": 1, "dynamic_volume_change": 2, "surface_mass_balance": 5}
"""Places of these terms among the budget's, as docs/mass_budget.md lists them."""


def told_by(document: dict[str, object], folder: Path) -> mass_budget_tables.Told:
    plan = plan_of(document, folder)
    group = worked(plan)
    layout = plan.tell.keywords["layout"]  # type: ignore[attr-defined]
    return mass_budget_tables.Told(group, read(folder / "mass_budget.yaml"), layout)


@pytest.fixture(scope="module")
def two_beds(budget: BudgetWorld, tmp_path_factory: pytest.TempPathFactory):
    """Two members of other errors, and a mean of years of other weights."""
    choices = {**budget.document()["mass_budget"], "uncertainty": {
        "surface_mass_balance": 0.3, "dynamic_volume": 0.5, "members": 0,
    }}  # fmt: skip
    return told_by(changed(budget.document(), mass_budget=choices), tmp_path_factory.mktemp("run"))


def by_hand(
    group: zarr.Group, member: int, case: int, regions: list[int], weights: list[float]
) -> dict[str, float]:
    """Return sigma of discharge and balance of some regions together [Gt/yr], year by year."""
    by_source = stored.read(group, "case_paper_sigma", case)
    budget = stored.read(group, "budget", member)
    mean = {"discharge": 0.0, "mass_balance": 0.0}
    for year, weight in enumerate(weights):
        discharge = balance = 0.0
        for region in regions:
            sliver, dynamic, snow = (budget[TERMS[name], year, region] for name in TERMS)
            flux = sum(by_source[term, region, year] ** 2 for term in range(3))
            discharge += flux + (0.3 * sliver) ** 2 + (0.5 * dynamic) ** 2
            balance += (0.3 * snow) ** 2
        mean["discharge"] += weight * math.sqrt(discharge) / KG_PER_GT
        mean["mass_balance"] += weight * math.sqrt(discharge + balance) / KG_PER_GT
    return mean


def test_discharge_and_balance_have_the_papers_sigma_beside_ours(two_beds):
    of = two_beds
    rows = [row for row in mass_budget_errors.uncertainties(of) if "term=all;" in row.note]
    members = tables.read_rows(tables.write_rows(mass_budget_tables.members(of)))
    span = mass_budget_tables.epochs.spans(of.run.choices, of.layout.years)[-1]
    inside = [[i] for i in range(len(of.layout.regions))]
    inside += [[of.layout.regions.index(r) for r in names] for _, names in of.layout.places.groups]
    ours = {
        (row.quantity, row.region, row.note.partition("member=")[2]): row.uncertainty
        for row in members
    }

    assert len(rows) == 2 * len(of.layout.members) * len(of.layout.rows)
    for row in rows:
        note = dict(part.split("=", 1) for part in row.note.split(";"))
        names = [of.layout.member_name(m) for m in range(len(of.layout.members))]
        member = names.index(note["member"])
        at = [name.replace("_", " ") for name in of.layout.rows].index(row.region)
        case = of.layout.members[member][0]
        quantity = row.quantity.removesuffix("_uncertainty")
        expected = by_hand(of.group, member, case, inside[at], list(span.weights))[quantity]
        # The note has four decimals, tables three.
        assert float(note["paper_mode"]) == pytest.approx(expected, abs=6e-5)
        told = ours[quantity, row.region, note["member"]]
        assert row.value == pytest.approx(told, abs=2e-3)
    assert np.ptp([float(row.note.split("paper_mode=")[1].split(";")[0]) for row in rows]) > 0.01


def test_without_snow_only_discharge_has_one(budget: BudgetWorld, tmp_path: Path):
    document = budget.document()
    inputs = {name: each for name, each in document["inputs"].items() if name not in
              ("surface_mass_balance", "reanalysis", "elevation_rate")}  # fmt: skip
    of = told_by({**document, "inputs": inputs}, tmp_path)
    rows = [row for row in mass_budget_errors.uncertainties(of) if "term=all;" in row.note]

    assert {row.quantity for row in rows} == {"discharge_uncertainty"}
