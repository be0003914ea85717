"""Which basins lie behind an ice shelf, and their discharge of a whole ice year."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
import zarr
from zarr.storage import MemoryStore

from pipelines import settings
from pipelines.flows import comparison_dynamics, comparison_inputs
from pipelines.flows.catalogue_inputs import InputError
from pipelines.flows.comparison_dynamics import discharge_behind, ice_year_weights
from pipelines.flows.comparison_inputs import Method
from pipelines.flows.product_arrays import labels
from pipelines.kernels.constants import KG_PER_GT
from tests.fixtures.comparison import SHELF_OF, Common, write_shelf_damage

from .test_comparison_dynamics import SHELVES, SUMMERS, UNRELATED, budget, done, shelf
from .test_mass_budget import QUANTITIES

NEAR = {name: (basin,) for name, basin in SHELF_OF.items()}


def behind(
    common: Common, folder: Path, *methods: Method, **changes: Any
) -> dict[str, tuple[str, ...]]:
    """Return the basins behind each shelf by name, of other methods if any is given."""
    inputs = {
        "shelf_damage": [common.address("shelf_damage")], "shelves": "shelves",
        **changes.pop("inputs", {}),
    }  # fmt: skip
    path = folder / "comparison.yaml"
    path.write_text(yaml.safe_dump(common.document("mass_budget", inputs=inputs, **changes)))
    run = settings.read(path)
    found = comparison_inputs.resolve(run)
    shelves = comparison_dynamics.resolve(
        found.damage, found.ground, found.shelves, run.choices.dynamics, methods or found.methods
    )
    return {each.shelf: each.behind for each in shelves}


def test_basins_near_a_shelf_are_found_though_a_mask_clips_regions(
    common: Common, tmp_path: Path
) -> None:
    assert behind(common, tmp_path, inputs={"grounded_ice": "grounded"}) == NEAR


def test_basins_near_a_shelf_are_those_of_the_budget_where_it_has_others(
    common: Common, tmp_path: Path
) -> None:
    """Basin 21 is none of the five that are compared."""
    assert behind(common, tmp_path, regions="few") == NEAR


def test_a_published_budget_leaves_the_common_basins(common: Common, tmp_path: Path) -> None:
    published = Method(
        "rignot", "mass_budget", None, {}, same_regions=False,
        first=dt.date(2011, 1, 1), last=dt.date(2013, 1, 1),
    )  # fmt: skip

    assert behind(common, tmp_path, published) == NEAR
    assert comparison_dynamics.budget_of([published]) is None


def test_a_shelf_of_which_there_is_no_polygon_is_told_of_which_there_are(
    common: Common, tmp_path: Path
) -> None:
    write_shelf_damage(tmp_path / "other", {"Getz": {2011: (0.1, 0.1)}})
    match = (
        r"which basins lie behind Getz is not known: inputs\.shelves has cedar, alder east; say "
        r"comparison\.dynamics\.behind: \[\{shelf: Getz, regions"
    )
    with pytest.raises(InputError, match=match):
        behind(common, tmp_path, inputs={"shelf_damage": [str(tmp_path / "other")]})


def test_a_shelf_with_no_basin_near_says_to_look_further() -> None:
    said = comparison_dynamics._untold("Getz", object(), {"getz": ()}, 20.0)  # type: ignore[arg-type]

    assert "none is within 20 km of it; raise comparison.dynamics.reach_km, or say" in said
    assert "name polygons" not in said


def monthly(first: str, months: int) -> tuple[np.ndarray, np.ndarray]:
    start = np.arange(np.datetime64(first, "M"), np.datetime64(first, "M") + months)
    return start.astype("datetime64[D]"), (start + 1).astype("datetime64[D]")


def test_months_make_the_ice_year_by_their_days() -> None:
    start, end = monthly("2011-05", 20)

    found = ice_year_weights(start, end, 2011)

    days = np.array([31, 31, 30, 31, 30, 31, 31, 29, 31, 30, 31, 30]) / 366.0
    np.testing.assert_allclose(found, np.r_[0.0, 0.0, days, np.zeros(6)], atol=1e-15)


@pytest.mark.parametrize("lacking", [2, 7, 13])
def test_eleven_months_are_no_ice_year(lacking: int) -> None:
    start, end = (np.delete(days, lacking) for days in monthly("2011-05", 20))

    assert (ice_year_weights(start, end, 2011) == 0.0).all()


@pytest.mark.parametrize(
    ("start", "end", "weight"),
    [
        ("2011-07-01", "2012-07-01", 1.0),
        ("2012-01-01", "2013-01-01", 1.0),
        ("2009-07-01", "2014-07-01", 1.0),
        ("2012-01-01", "2012-02-01", 0.0),
        ("2011-01-01", "2012-01-01", 0.0),
    ],
)
def test_the_year_that_holds_the_middle_of_the_summer_stands_for_it(
    start: str, end: str, weight: float
) -> None:
    days = (np.array([each], "datetime64[D]") for each in (start, end))

    assert ice_year_weights(*days, 2011).tolist() == [weight]


def test_discharge_of_months_is_their_mean_over_the_ice_year_with_its_error() -> None:
    start, end = monthly("2011-07", 13)
    rng = np.random.default_rng(2)
    values = (100.0 + rng.standard_normal((3, 13, 2))) * KG_PER_GT
    factor = rng.standard_normal((3, 2, 13, 13))
    spread = np.einsum("mrik,mrjk->mrij", factor, factor) * KG_PER_GT**2
    group = zarr.open_group(MemoryStore(), mode="w")
    labels(group, "row", ("a", "b"))
    at, shape = QUANTITIES.index("discharge"), (3, len(QUANTITIES))
    held = np.full((*shape, 13, 2), np.nan), np.full((*shape, 2, 13, 13), np.nan)
    held[0][:, at], held[1][:, at] = values, spread
    for name, data in (
        ("budget", held[0]), ("budget_covariance", held[1]),
        ("year_start", start.astype("int64")), ("year_end", end.astype("int64")),
    ):  # fmt: skip
        group.create_array(name, data=data)

    of = dataclasses.replace(SHELVES[0], behind=("a", "b"))
    value, sigma = discharge_behind(group, of, (2011, 2012))

    w = (end - start).astype(float)[:12] / 366.0
    members = np.array([sum(w @ values[m, :12, r] for r in (0, 1)) for m in range(3)])
    own = np.mean([
        sum(w @ spread[m, r, :12, :12] @ w for r in (0, 1)) for m in range(3)
    ])  # fmt: skip
    assert value[0] == pytest.approx(members.mean())
    assert sigma[0] == pytest.approx((own + members.var(ddof=1)) ** 0.5)
    assert np.isnan([value[1], sigma[1]]).all()


def test_a_receipt_says_why_a_shelf_is_not_correlated() -> None:
    """Every second summer has no neighbour, which is another reason than too few years."""
    second = shelf("second", ("b",), UNRELATED, missing=SUMMERS[1:10:2])
    still = dataclasses.replace(SHELVES[1], fraction=(0.25,) * len(SUMMERS))
    held = (second, still, SHELVES[2], SHELVES[0])

    _, said = done(held, budget())

    assert said == (
        "1 of 4 shelves are correlated; second: damage: a series has 3 pairs of neighbouring years,"
        " which do not tell how it resembles itself; expected 4 at least; other one: damage: a "
        "series does not vary about its straight line, so nothing can follow it; young: 6 years of "
        "both, expected 8 at least"
    )


def test_of_many_shelves_a_receipt_says_of_some_why() -> None:
    many = tuple(dataclasses.replace(SHELVES[2], shelf=f"s{n}") for n in range(8))

    _, said = done(many, budget())

    assert said.startswith("nothing is correlated; s0: 6 years of both, expected 8 at least; s1: ")
    assert said.endswith("; s4: 6 years of both, expected 8 at least; and 3 more")
