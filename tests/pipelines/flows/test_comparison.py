"""A comparison from run file to tables: what it prints, and every row against NumPy and pandas."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
import zarr
from numpy.typing import NDArray

from pipelines import published_rates, stored, tables
from pipelines.geometry import margins
from pipelines.kernels.constants import KG_PER_GT
from tests.fixtures.commands import last_line, nunatak
from tests.fixtures.comparison import (
    FIRST,
    FRACTIONS,
    LAST,
    METHODS,
    SHELF_OF,
    Common,
    worked,
)
from tests.fixtures.pictures import pixels

from .conftest import labels, opened, rows
from .test_comparison_ground import integral, mean_field

FLOAT = NDArray[np.float64]
PUBLISHED = "imbie_dmdt"
OWN = ("gravimetry", "altimetry", "mass_budget")
"""Methods of the combined estimate: a combination and published rates would count twice."""

SHARED = {"name": "one budget", "methods": ["mass_budget", PUBLISHED], "shares": [0.9, 1.0]}


@dataclass(frozen=True)
class Finished:
    """A comparison that `nunatak run` has made, and what it printed."""

    folder: Path
    said: str
    facts: dict[str, Any]

    @property
    def group(self) -> zarr.Group:
        return opened(self.folder)

    def __getitem__(self, name: str) -> FLOAT:
        return stored.read(self.group, name)

    def labels(self, name: str) -> list[str]:
        return labels(self.group, name)

    def table(self, name: str, quantity: str = "") -> list[tables.Row]:
        found = rows(self.folder, f"{name}.csv")
        return [row for row in found if quantity in ("", row.quantity)]

    def rates(self) -> dict[str, dict[str, tables.Row]]:
        """Return the rates that the table tells, by region and method."""
        found: dict[str, dict[str, tables.Row]] = {}
        for row in self.table("comparison", "mass_balance"):
            found.setdefault(row.region, {})[row.told["method"]] = row
        return found


@pytest.fixture(scope="module")
def finished(common: Common, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """All methods, published rates, damage, and a cause of errors that two methods share."""
    folder = tmp_path_factory.mktemp("finished")
    published = str(Path(common.address("mass_budget")) / "tables" / f"{PUBLISHED}.csv")
    document = common.document(
        inputs={
            "published": [published], "shelves": "shelves",
            "shelf_damage": [common.address("shelf_damage")],
        },
        comparison={"shared": [SHARED]},
    )  # fmt: skip
    path = folder / "comparison.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    result = nunatak("run", path, "--json")
    assert result.exit_code == 0, result.output
    return Finished(folder / "out", result.stdout, last_line(result))


QUANTITIES = {
    "comparison": {
        "mass_balance": {"method", "class", "mask", "rate", "covered", "unseen", "signal"},
        "surface_mass_balance": {"method"},
        "discharge": {"method"},
        "mass_balance_combined": {"by", "chi_square", "freedom", "birge", "weights"},
        "closure": {"between", "first", "second", "z", "correlation"},
    },
    "series": {"cumulative_mass": {"method"}},
    "causes": {
        "cause_evidence": {"cause", "method", "amplitude", "sigma", "explained", "prior"},
        "largest_mover": {"between", "first", "second", "cause", "method"},
    },
    "damage": {
        "damage_fraction": {"shelf", "summer", "behind"},
        "discharge": {"shelf", "summer", "behind"},
    },
}
"""Quantities of each table and what their notes tell, as docs/contracts.md has them."""


@pytest.mark.parametrize("name", QUANTITIES)
def test_tables_follow_the_schema_and_the_contract(finished: Finished, name: str) -> None:
    found = finished.table(name)

    assert {row.quantity for row in found} == set(QUANTITIES[name])
    assert {(row.product, row.region_set) for row in found} == {("comparison", "basins")}
    for row in found:
        always = set(row.told) - {"without", "snow", "replaced"}
        assert always == QUANTITIES[name][row.quantity], row
        assert row.note.count(";") == len(row.told) - 1, row
    period = {(row.period_start.isoformat(), row.period_end.isoformat()) for row in found}
    if name in ("comparison", "causes"):
        assert period == {(FIRST, LAST)}
    if name == "comparison":
        assert {row.unit for row in found} == {"Gt yr-1"}
        assert all(np.isfinite([row.value, row.uncertainty]).all() for row in found)
        which = ("method", "between", "by", "without")
        keys = [(r.quantity, r.region, *map(r.told.get, which)) for r in found]
        assert len(set(keys)) == len(keys)


def test_every_region_has_every_method_with_what_it_sees(finished: Finished) -> None:
    rates = finished.rates()

    assert list(rates) == finished.labels("row")
    for methods in rates.values():
        assert list(methods) == [*METHODS, PUBLISHED]
    of = rates["AIS"]
    assert [of[m].told["class"] for m in of] == [*METHODS, "mass_budget"]
    assert of[PUBLISHED].told["mask"] == "as published"
    assert {of[m].told["mask"] for m in METHODS} == {"common"}
    assert of["gravimetry"].told["signal"].startswith("all mass that moves: ice, firn, basal melt")
    assert of["altimetry"].told["signal"].startswith("height of firn and ice")


@pytest.fixture(scope="module")
def covariances(finished: Finished) -> FLOAT:
    """Covariance of all methods at every row, from what each wrote, (row, m, m) [Gt² yr⁻²]."""
    own, lean = finished["mass_rate_covariance"], np.nan_to_num(finished["mass_rate_shared"])
    names = finished.labels("method")
    i, j = (names.index(name) for name in SHARED["methods"])
    found = []
    for row in range(own.shape[-1]):
        held = lean[:, :, row, row] + lean[:, :, row, row].T
        np.fill_diagonal(held, own[:, row, row])
        part = SHARED["shares"][0] * SHARED["shares"][1] * np.sqrt(held[i, i] * held[j, j])
        held[i, j] += part
        held[j, i] += part
        found.append(held / KG_PER_GT**2)
    return np.stack(found)


def test_closures_are_differences_with_what_methods_share(
    finished: Finished, covariances: FLOAT
) -> None:
    names, regions = finished.labels("method"), finished.labels("row")
    rates = finished.rates()
    closures = {(r.region, r.told["between"]): r for r in finished.table("comparison", "closure")}
    assert len(closures) == len(regions) * 10

    for (i, one), (j, other) in itertools.combinations(enumerate(names), 2):
        for number, region in enumerate(regions):
            row = closures[region, f"{one}-{other}"]
            both = covariances[number]
            sigma = np.sqrt(both[i, i] + both[j, j] - 2.0 * both[i, j])
            assert row.value == pytest.approx(
                rates[region][one].value - rates[region][other].value, abs=1e-9
            )
            assert row.uncertainty == pytest.approx(sigma, rel=1e-9)
            assert float(row.told["z"]) == pytest.approx(row.value / sigma, abs=0.0051)
            expected = both[i, j] / np.sqrt(both[i, i] * both[j, j])
            assert float(row.told["correlation"]) == pytest.approx(expected, abs=0.00051)
    # The budget and its own file; the combination and what it is made of.
    assert closures["AIS", f"mass_budget-{PUBLISHED}"].told["correlation"] == "0.900"
    assert float(closures["AIS", "altimetry-combination"].told["correlation"]) > 0.05


def combined(finished: Finished) -> dict[tuple[str, str, str], tables.Row]:
    return {
        (row.region, row.told["by"], row.told.get("without", "")): row
        for row in finished.table("comparison", "mass_balance_combined")
    }


def weights_of(row: tables.Row) -> dict[str, float]:
    pairs = (each.split(":") for each in row.told["weights"].split(","))
    return {name: float(weight) for name, weight in pairs}


@pytest.mark.parametrize("left_out", ["", *OWN])
def test_the_combined_estimate_is_that_of_least_squares(
    finished: Finished, covariances: FLOAT, left_out: str
) -> None:
    names, rates, told = finished.labels("method"), finished.rates(), combined(finished)
    kept = [name for name in OWN if name != left_out]
    at = [names.index(name) for name in kept]
    alone, sigma = (finished[f"mass_rate_alone{of}"][0] / KG_PER_GT for of in ("", "_sigma"))

    for number, region in enumerate(finished.labels("row")):
        row = told[region, "generalised_least_squares", left_out]
        values = np.array([rates[region][name].value for name in kept])
        both = covariances[number][np.ix_(at, at)]
        if left_out == "altimetry":
            # What gravimetry did not see is altimetry's word: without it, it is not told.
            values[0], both[0, 0] = alone[number], sigma[number] ** 2
            assert (both[0, 1:] == 0.0).all()
        inverse = np.linalg.inv(both)
        weights = inverse.sum(axis=0) / inverse.sum()
        mean = weights @ values
        chi_square = (values - mean) @ inverse @ (values - mean)
        assert row.value == pytest.approx(mean, rel=1e-7, abs=1e-9)
        assert row.uncertainty == pytest.approx(inverse.sum() ** -0.5, rel=1e-7)
        assert weights_of(row) == pytest.approx(dict(zip(kept, weights, strict=True)), abs=0.00051)
        assert float(row.told["chi_square"]) == pytest.approx(chi_square, abs=0.0051)
        assert row.told["freedom"] == str(len(kept) - 1)
        birge = max(1.0, np.sqrt(chi_square / (len(kept) - 1)))
        assert float(row.told["birge"]) == pytest.approx(birge, abs=0.0051)


def test_gravimetry_alone_is_its_own_table(finished: Finished, common: Common) -> None:
    own = {row.region: row for row in rows(Path(common.address("gravimetry")))
           if row.quantity == "mass_rate"}  # fmt: skip

    alone, sigma = (finished[f"mass_rate_alone{of}"][0] / KG_PER_GT for of in ("", "_sigma"))

    for number, region in enumerate(finished.labels("row")):
        assert alone[number] == pytest.approx(own[region].value, rel=1e-9)
        assert sigma[number] > own[region].uncertainty


def test_imbie_s_rule_takes_three_classes_as_independent(finished: Finished) -> None:
    told = combined(finished)

    for region, methods in finished.rates().items():
        row = told[region, "imbie", ""]
        each = np.array([[methods[m].value, methods[m].uncertainty] for m in OWN])
        weights = each[:, 1] ** -2 / (each[:, 1] ** -2).sum()
        assert row.value == pytest.approx(weights @ each[:, 0], rel=1e-9, abs=1e-9)
        assert row.uncertainty == pytest.approx((each[:, 1] ** -2).sum() ** -0.5, rel=1e-9)


def by_day(region: str, folder: Path) -> tuple[float, float, float]:
    """Return rate, error and share of the period of the years that a budget prints."""
    years = pd.read_csv(folder / "tables" / "years.csv", dtype={"region": str})
    years = years[(years.quantity == "mass_balance") & (years.region == region)]
    days = pd.date_range(FIRST, LAST, freq="D")
    s = (np.arange(len(days)) + 0.5) / len(days)
    w = 6.0 * s * (1.0 - s) / len(days)
    start, end = (pd.to_datetime(years[f"period_{edge}"]).to_numpy() for edge in ("start", "end"))
    held = [(days >= a) & (days <= b) for a, b in zip(start, end, strict=True)]
    own = np.array([w[each].sum() for each in held])
    value, sigma = (own @ years[name].to_numpy() / own.sum() for name in ("value", "uncertainty"))
    return float(value), float(sigma), float(np.mean(np.any(held, axis=0)))


def test_the_file_that_a_budget_writes_for_imbie_is_read_as_its_years(
    finished: Finished, common: Common
) -> None:
    folder, rates = Path(common.address("mass_budget")), finished.rates()

    for region in ("3", "22", "EAIS", "AP", "AIS"):
        row = rates[region][PUBLISHED]
        value, sigma, covered = by_day(region, folder)
        # Decimal years of four digits are days to an hour; the file has four digits of a gigaton.
        assert row.value == pytest.approx(value, abs=2e-4 + 1e-4 * abs(value))
        assert row.uncertainty == pytest.approx(sigma, abs=2e-4 + 1e-4 * sigma)
        assert float(row.told["covered"]) == pytest.approx(covered, abs=1e-3)


KNOWN = {*map(str, range(1, 28)), "EAIS", "WAIS", "AP", "AIS"}
"""Regions that IMBIE has names of: no sectors of the sea."""


def test_all_four_files_that_a_budget_writes_for_imbie_are_its_years(common: Common) -> None:
    folder = Path(common.address("mass_budget")) / "tables"
    years = [row for row in tables.read_rows((folder / "years.csv").read_bytes())
             if row.quantity == "mass_balance" and row.region in KNOWN]  # fmt: skip
    assert len(years) == 31 * 3
    for name in ("imbie_dmdt", "imbie_dmdt_2024", "imbie_dm", "imbie_dm_2024"):
        (series,) = published_rates.read((folder / f"{name}.csv").read_bytes(), name=name)

        assert series.kind == "mass_budget"
        held = {(each.region, each.first): each for each in series.intervals}
        assert len(held) == len(series.intervals) == 31 * 3
        for row in years:
            each = held[row.region, row.period_start]
            assert each.after == row.period_end + dt.timedelta(days=1)
            # Decimal years have four digits; a mass is a rate times years of 365.25 days.
            assert each.value == pytest.approx(row.value, rel=2e-3, abs=2e-3)
            if "dmdt" in name:
                assert each.sigma == pytest.approx(row.uncertainty, abs=1e-4)


def test_terms_of_the_budget_make_its_balance(finished: Finished) -> None:
    held = {(row.quantity, row.region): row for row in finished.table("comparison")}

    for region, methods in finished.rates().items():
        snow, out = (held[name, region] for name in ("surface_mass_balance", "discharge"))
        assert snow.value - out.value == pytest.approx(methods["mass_budget"].value, abs=1e-9)
        assert snow.told == out.told == {"method": "mass_budget", "snow": "months"}


def test_series_are_curves_beside_their_mean_with_no_row_in_a_gap(finished: Finished) -> None:
    held = finished.table("series")
    months = {row.period_start for row in held}
    assert len(months) == 24

    for method in (*METHODS, PUBLISHED):
        own = [row for row in held if row.told["method"] == method and row.region == "AIS"]
        days = [(row.period_start.day, (row.period_end + dt.timedelta(days=1)).day) for row in own]
        assert set(days) == {(1, 1)}
        assert sum(row.value for row in own) == pytest.approx(0.0, abs=1e-4)
        # What is published begins in July 2011; three months of gravity were not measured.
        assert len(own) == {"gravimetry": 21, PUBLISHED: 19}.get(method, 24)
        assert {row.unit for row in own} == {"Gt"}
    assert all(np.isfinite([row.value, row.uncertainty]).all() for row in held)


def test_causes_are_told_with_the_likeliest_first(finished: Finished) -> None:
    found = finished.table("causes", "cause_evidence")

    likely = [row.value + float(row.told["prior"]) for row in found]
    assert likely == sorted(likely, reverse=True)
    told = {(row.told["cause"], row.told["method"]) for row in found}
    assert {("gia:GIA.NUNAT", "gravimetry"), ("gate_correction", "mass_budget"),
            ("density:ice", "altimetry")} <= told  # fmt: skip
    assert {method for _, method in told} == set(OWN)
    said = f"  {found[0].told['cause']} of {found[0].told['method']}: ln B {found[0].value:.1f}, "
    assert said in finished.said


def test_what_moves_a_difference_most_is_the_largest_effect_on_either(finished: Finished) -> None:
    names, causes = finished.labels("method"), finished.labels("cause")
    effect = finished["cause_effect"] / KG_PER_GT
    found = {(row.told["between"], row.region): row
             for row in finished.table("causes", "largest_mover")}  # fmt: skip

    for one, other in itertools.combinations(names, 2):
        for number, region in enumerate(finished.labels("row")):
            # Errors of altimetry move what gravimetry takes from it as well.
            moved = {
                cause: effect[names.index(one), n, number] - effect[names.index(other), n, number]
                for n, cause in enumerate(causes)
            }
            if not any(moved.values()):
                assert (f"{one}-{other}", region) not in found
                continue
            row = found[f"{one}-{other}", region]
            assert row.value == pytest.approx(max(moved.values(), key=abs))
            assert moved[f"{row.told['cause']}@{row.told['method']}"] == row.value


def test_a_narrower_mask_takes_a_share_of_the_area_and_what_lies_there(
    common: Common, tmp_path: Path
) -> None:
    document = common.document(
        "altimetry", "mass_budget", regions="few", comparison={"mask_share": 0.02}
    )
    done = worked(document, tmp_path)
    shapes = common.polygons("few").set_index("region").geometry
    whole, regions = shapes.union_all(), done.labels("row")

    area = dict(zip(regions, done["mask_area"], strict=True))
    assert area["AIS"] / whole.area == pytest.approx(0.02, rel=1e-3)
    assert area["AIS"] == pytest.approx(sum(area[row] for row in shapes.index))
    strip = shapes["22"].difference(margins.narrowed(whole, share=0.02))
    assert strip.area == pytest.approx(area["22"], rel=1e-3)
    found = dict(zip(regions, done.effect("mask", "altimetry"), strict=True))
    # A strip of 15 km on a raster of 2 km, whose edge is known to half a cell.
    assert found["22"] == pytest.approx(-integral(mean_field(common), strip), rel=0.05)
    budget, fallen = done.effect("mask", "mass_budget"), done.of("term", "mass_budget")[0]
    assert (budget < 0.0).all()
    # Less ice receives less snow: some percent of it for two percent of the area at the coast.
    assert 0.005 < -budget[-1] / fallen[-1] < 0.1


def test_damage_stands_beside_the_discharge_of_the_year_around_the_summer(
    finished: Finished, common: Common
) -> None:
    years = pd.read_csv(
        Path(common.address("mass_budget")) / "tables" / "years.csv", dtype={"region": str}
    )
    years = years[years.quantity == "discharge"].set_index(["region", "period_start"])
    found = {(row.quantity, row.told["shelf"], int(row.told["summer"])): row
             for row in finished.table("damage")}  # fmt: skip

    damaged = {key: row for key, row in found.items() if key[0] == "damage_fraction"}
    assert {
        (s.replace("_", " "), y): (r.value, r.uncertainty) for (_, s, y), r in damaged.items()
    } == {(shelf, year): held for shelf, by in FRACTIONS.items() for year, held in by.items()}
    discharge = {key[1:]: row for key, row in found.items() if key[0] == "discharge"}
    # Years of flow begin with July 2011: no discharge of the summers before, gaps in between.
    assert set(discharge) == {(shelf.replace(" ", "_"), year) for shelf in FRACTIONS
                              for year in (2011, 2012, 2013)}  # fmt: skip
    for (shelf, summer), row in discharge.items():
        basin = SHELF_OF[shelf.replace("_", " ")]
        own = years.loc[basin, f"{summer}-07-01"]
        assert (row.value, row.uncertainty) == (
            pytest.approx(own.value), pytest.approx(own.uncertainty)
        )  # fmt: skip
        assert row.told["behind"] == basin
        assert (row.period_start, row.period_end) == (
            dt.date(summer, 11, 1), dt.date(summer + 1, 3, 31)
        )  # fmt: skip
        assert row.unit == "Gt yr-1"
    assert "nothing is correlated" in finished.said


def test_pictures_show_something_and_the_item_names_what_was_compared(finished: Finished) -> None:
    shown = {path.name: path.read_bytes() for path in (finished.folder / "figures").iterdir()}
    item = json.loads((finished.folder / "item.json").read_text())
    kept = yaml.safe_load((finished.folder / "run.yaml").read_text())

    assert {"groups.png", "regions.png", "closures.png", "cumulative.png", "damage.png"} == set(
        shown
    )
    assert all(pixels(data).std() > 5.0 for data in shown.values())
    assert item["properties"]["nunatak:methods"] == [*METHODS, PUBLISHED]
    links = [link for link in item["links"] if link["rel"] == "derived_from"]
    assert len(links) == 7  # four products, damage, two sets of polygons
    assert kept["comparison"]["gia_share"] == 0.3
    assert kept["comparison"]["shared"] == [SHARED]
    held = finished.group.attrs["nunatak:methods"]
    assert held == {**{name: name for name in METHODS}, PUBLISHED: "mass_budget"}


def test_a_run_prints_groups_by_every_method_and_what_is_open(finished: Finished) -> None:
    lines = finished.said.splitlines()
    rates, told = finished.rates(), combined(finished)

    start = lines.index("Mass balance by every method [Gt/yr], with one standard deviation:")
    header = lines[start + 1].split()
    assert header == ["region", *METHODS, PUBLISHED, "combined", "IMBIE_rule"]
    shown = {line.split()[0]: line for line in lines[start + 2 : start + 6]}
    assert list(shown) == ["EAIS", "WAIS", "AP", "AIS"]
    for region, line in shown.items():
        numbers = line.split()[1:]
        value, sigma = numbers[0], numbers[2]
        row = rates[region]["gravimetry"]
        assert (value, sigma) == (f"{row.value:.1f}", f"{row.uncertainty:.1f}")
        assert numbers[-3] == f"{told[region, 'imbie', ''].value:.1f}"
    groups = [row for row in finished.table("comparison", "closure")
              if row.region in shown]  # fmt: skip
    wide = [row for row in groups if abs(round(row.value / row.uncertainty, 2)) > 2.0]
    said = f"closed within 2 sigma: {len(groups) - len(wide)} of {len(groups)} differences"
    assert said in lines
    assert sum(line.startswith("  open  ") for line in lines) == len(wide)
    assert finished.facts["done"] == 7  # five methods, together, dynamics
    assert finished.facts["failed"] == 0


def test_a_finished_run_is_not_done_again(finished: Finished) -> None:
    again = nunatak("run", finished.folder.parent / "comparison.yaml", "--json")

    assert again.exit_code == 0
    assert last_line(again)["done"] == 7
    assert "Mass balance by every method" in again.stdout


def test_the_plan_says_what_it_will_compare_and_computes_nothing(
    common: Common, tmp_path: Path
) -> None:
    path = tmp_path / "comparison.yaml"
    document = common.document(comparison={"mask_share": 0.02})
    path.write_text(yaml.safe_dump(document), encoding="utf-8")

    result = nunatak("plan", path)

    assert result.exit_code == 0, result.output
    for said in (
        "comparison: 5 catalogue items into",
        "  do    ground          1 tasks",
        "  do    sum             4 tasks",
        "  do    together        1 tasks",
        f"methods: {', '.join(METHODS)}; combined: gravimetry, altimetry, mass_budget",
        "mass_budget: its own sums; it covers 2011-02-01 to 2014-12-31",
    ):
        assert said in result.output
    assert not (tmp_path / "out").exists()


def test_damage_without_a_budget_is_said_to_have_nothing_beside_it(
    common: Common, tmp_path: Path
) -> None:
    path = tmp_path / "comparison.yaml"
    inputs = {"shelf_damage": [common.address("shelf_damage")], "shelves": "shelves"}
    document = common.document("altimetry", inputs=inputs)
    path.write_text(yaml.safe_dump(document), encoding="utf-8")

    result = nunatak("plan", path)

    assert "no mass budget is named, so damage has no discharge beside it" in result.output


@pytest.mark.slow
def test_one_bad_method_fails_alone_and_the_rest_is_compared(
    common: Common, tmp_path: Path
) -> None:
    """Its file is well made, of regions and years that are none of these."""
    (tmp_path / "other.csv").write_text("basin,MB_2011-2012,MB_sigma_2011-2012\nXX,1,2\n")
    path = tmp_path / "comparison.yaml"
    document = common.document("altimetry", "mass_budget", inputs={"published": ["other.csv"]})
    path.write_text(yaml.safe_dump(document), encoding="utf-8")

    result = nunatak("run", path, "--json")

    assert result.exit_code == 3
    facts = last_line(result)
    (failure,) = facts["failures"]
    assert failure["key"].partition("@")[0] == "sum/other"
    assert "other: has no rate of 1, 2, 3, 4, 5 … between 2011-02-01" in failure["reason"]
    told = rows(tmp_path / "out", "comparison.csv")
    assert {r.told["method"] for r in told if r.quantity == "mass_balance"} == {
        "altimetry", "mass_budget",
    }  # fmt: skip
    closures = {r.told["between"] for r in told if r.quantity == "closure"}
    assert closures == {"altimetry-mass_budget"}
    assert (tmp_path / "out" / "item.json").exists()
    assert "not compared for want of years or rates: other" in result.stdout
