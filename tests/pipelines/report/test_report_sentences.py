"""What a report says of the right thing: regions, methods, periods, and what is left out."""

from __future__ import annotations

import datetime as dt
import json
import math
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
from shapely.geometry import box

from pipelines.kernels.comparison.attribution import BY_CHANCE
from pipelines.map_scene import writing
from pipelines.report import (
    build,
    cautions,
    comparing,
    maps,
    material,
    methods,
    outputs,
    page,
    totals,
)
from pipelines.report.reached import Reached
from pipelines.report.rounding import rounded, verdict
from pipelines.report.sheets import Cited
from pipelines.report.summary import Facts
from pipelines.summary_page import Link, Sentence
from pipelines.tables import Row

from . import report_products as made
from .test_report_sections import budget_rows, fill_budget, gathered, opened, year_rows
from .test_report_words import difference, rate, text_of

NAN = math.nan
BAD = r"$\bad{$"
"""What matplotlib takes for a formula that it cannot read."""


def cited(quantity: str, region: str, value: float, sigma: float = NAN, **more: Any) -> Cited:
    return Cited(made.row("x", quantity, region, value, sigma, **more), f"t.html#{quantity}")


def compared(folder: Path, rows: list[Row], **more: Any) -> Path:
    return made.product(folder / "comparison", "comparison", {"comparison": rows}, **more)


def warned(of: material.Material) -> list[str]:
    return [each.said.text for each in cautions.cautions(of, {})]


class TestDemo:
    @pytest.mark.parametrize(
        "more",
        [
            {"regions": "demo-basins"},
            {"inputs": {"gravity": ["demo-gravity"]}},
            {"inputs": {"velocity": [{"maps": "demo-velocity"}]}},
            {"links": [{"rel": "derived_from", "href": "x", "nunatak:collection": "demo-gia"}]},
        ],
    )
    def test_page_and_map_know_it_by_one_rule(self, more: dict[str, Any], tmp_path: Path) -> None:
        rows = [made.row("comparison", "mass_balance", "AIS", -99.0, 4.0, note="method=gravimetry")]
        of = gathered(compared(tmp_path, rows, **more))

        assert text_of(page.facts(of, [])).startswith("These are numbers of the demo’s synthetic")
        assert "tell nothing of the real Antarctica" in warned(of)[0]
        assert "tell nothing of the real Antarctica" in writing._synthetic(of.outputs)[0]

    def test_other_products_are_none(self, tmp_path: Path) -> None:
        of = gathered(compared(tmp_path, [], inputs={"gravimetry": ["/data/demo-run/gravimetry"]}))

        assert not material.is_synthetic(of.outputs)
        assert writing._synthetic(of.outputs) == []


class TestRegionsOfOneName:
    @pytest.fixture
    def two_sets(self, tmp_path: Path) -> material.Material:
        first = {"regions": made.rate_rows("gravimetry", {"1": (-10.0, 1.0), "2": (5.0, 1.0)})}
        other = {"regions": made.rate_rows("altimetry", {"1": (-500.0, 1.0)}, regions="measures")}
        return gathered(
            made.product(tmp_path / "gravimetry", "gravimetry", first),
            made.product(tmp_path / "altimetry", "altimetry", other, regions="measures"),
        )

    def test_maps_show_rates_of_the_polygons_alone(self, two_sets: material.Material) -> None:
        side = 1e6
        squares = [box(0.0, n * side, side, (n + 1) * side) for n in range(2)]
        polygons = gpd.GeoDataFrame({"region": ["1", "2"]}, geometry=squares, crs="EPSG:3031")
        two_sets.__dict__["basins"] = polygons  # as if they had been read

        (found,) = maps.pictures(two_sets, methods.rates(two_sets))

        assert found.alt == (
            "Maps of basins. gravimetry: least −10.0 in basin 1, most 5.0 in 2 Gt yr⁻¹."
        )

    def test_tables_do_not_put_them_in_one_row(self, two_sets: material.Material) -> None:
        table = totals.basin_table(two_sets, methods.rates(two_sets))

        assert table is not None
        shown = {str(row[0]): [each.text if isinstance(each, Link) else each for each in row[1:]]
                 for row in table.rows[1:]}  # fmt: skip
        assert list(shown) == ["1 (test-basins)", "1 (measures)", "2"]
        assert shown["1 (test-basins)"][1] == ""
        assert shown["1 (measures)"][0] == ""


def test_formulas_in_names_of_epochs_and_years_are_drawn_as_they_are(tmp_path: Path) -> None:
    def hostile(row: Row, key: str) -> Row:
        told = row.told[key]
        named = told if told == "mean" else f"{BAD}{told}"
        return Row(**{**row.__dict__, "note": row.note.replace(told, named)})

    labels = ["2010-2011", "2011-2012", "2012-2013"]
    tables = {"regions": [hostile(row, "epoch") for row in budget_rows()],
              "years": [hostile(row, "year") for row in year_rows()]}  # fmt: skip
    product = made.product(tmp_path / "b", "mass_budget", tables, fill=fill_budget)
    run = {"regions": made.REGIONS, "mass_budget": {"epochs": [
        {"name": f"{BAD}early", "years": labels[:1]},
        {"name": f"{BAD}late", "years": labels[1:]}]}}  # fmt: skip
    made.change_item(product, lambda held: held["properties"].update(
        {"processing:lineage": json.dumps(run)}))  # fmt: skip

    facts = build.build(opened(product), str(tmp_path / "report"), map_page=False)

    assert facts.figures == 5
    drawn = {each.stem for each in (tmp_path / "report" / "figures").iterdir()}
    assert {"sectors", "speed-change", "budget", "ice-speed"} <= drawn


class TestAgreement:
    WEST = difference(9.0, region="WAIS")
    EAST = difference(1.0, region="EAIS")

    def test_it_is_said_of_the_region_that_was_named(self) -> None:
        rates = [rate("gravimetry", "AIS", -99.0, 4.0)]
        text = text_of(Facts(rates=rates, differences=[difference(0.5), self.WEST]))

        assert "For the Antarctic ice sheet the methods agree" in text
        assert "disagree" not in text

    def test_of_parts_each_is_named(self) -> None:
        rates = [rate("gravimetry", "AIS", -99.0, 4.0)]
        text = text_of(Facts(rates=rates, differences=[self.EAST, self.WEST]))

        assert "For East Antarctica the methods agree within their uncertainties" in text
        assert "For West Antarctica the methods disagree: the mass budget less gravimetry" in text
        assert "ice sheet the methods" not in text

    @pytest.mark.parametrize(("count", "end"), [
        (4, "; 1 more difference is beyond two."), (5, "; 2 more differences are beyond two."),
        (3, "3.0 standard deviations."),
    ])  # fmt: skip
    def test_more_differences_are_beyond_two_not_as_large(self, count: int, end: str) -> None:
        rates = [rate("gravimetry", "AIS", -99.0, 4.0)]
        text = text_of(Facts(rates=rates, differences=[difference(3.0)] * count))

        assert f"{end} After" in text

    def test_methods_without_a_day_in_common_are_not_subtracted(self, tmp_path: Path) -> None:
        def of(altimetry: tuple[dt.date, dt.date]) -> list[Cited]:
            root = tmp_path / altimetry[0].isoformat()
            early = (dt.date(2002, 1, 1), dt.date(2008, 12, 31))
            old = made.rate_rows("gravimetry", {"AIS": (-50.0, 4.0)}, period=early)
            new = made.rate_rows("altimetry", {"AIS": (-150.0, 4.0)}, period=altimetry)
            return methods.differences(gathered(
                made.product(root / "gravimetry", "gravimetry", {"regions": old}),
                made.product(root / "altimetry", "altimetry", {"regions": new})))  # fmt: skip

        assert of((dt.date(2015, 1, 1), dt.date(2020, 12, 31))) == []
        (found,) = of((dt.date(2008, 12, 31), dt.date(2020, 12, 31)))
        assert found.row.period_start == found.row.period_end == dt.date(2008, 12, 31)


class TestDynamics:
    @staticmethod
    def told(r: float, lag: str = "2") -> str:
        note = f"shelf=Amery;lag={lag};p_family=0.001"
        return text_of(Facts(dynamics=[cited("lagged_correlation", "Amery", r, note=note)]))

    def test_the_sign_of_a_correlation_is_told(self) -> None:
        end = "the discharge behind it beyond chance (r = "
        assert self.told(0.93).startswith(f"Damage of Amery goes with {end}0.93 ")
        assert self.told(-0.93).startswith(f"Damage of Amery goes against {end}−0.93 ")
        assert self.told(NAN).startswith("No product")

    def test_the_lag_is_told(self) -> None:
        assert "(r = 0.93 with discharge 2 years later, p = 0.001, all" in self.told(0.93)
        assert "(r = 0.93 of the same year, p" in self.told(0.93, "0")
        assert "(r = 0.93, p" in self.told(0.93, "nonsense")


class TestBudget:
    def test_what_is_not_known_is_not_told(self, tmp_path: Path) -> None:
        rows = [
            made.row("mass_budget", "surface_mass_balance", "AIS", 1900.0, 20.0, note="epoch=mean"),
            made.row("mass_budget", "discharge", "AIS", NAN, NAN, note="epoch=mean;missing=map"),
        ]
        of = gathered(made.product(tmp_path / "b", "mass_budget", {"regions": rows}))

        assert page.facts(of, []).budget == []
        text = text_of(Facts(budget=[Cited(row, "t.html") for row in rows]))
        assert "not known" not in text
        assert verdict(NAN, 1.0) == "unstated"

    def test_the_sea_rises_by_the_difference_that_is_told(self, tmp_path: Path) -> None:
        rows = budget_rows()
        rows.append(made.row("mass_budget", "sea_level_rate", "AIS", 0.499, 0.03, unit="mm yr-1",
                             note="epoch=mean;of=mass_balance_replaced"))  # fmt: skip
        of = gathered(made.product(tmp_path / "b", "mass_budget", {"regions": rows}))

        text = text_of(page.facts(of, []))
        assert "the difference raises the sea by 0.250" in text
        assert "0.499" not in text


class TestCombined:
    @pytest.mark.parametrize(
        ("weights", "together"),
        [("gravimetry:1.000", False), ("gravimetry:0.900,altimetry:0.100", True)],
    )
    def test_one_method_alone_is_together_with_none(
        self, weights: str, together: bool, tmp_path: Path
    ) -> None:
        note = f"by=generalised_least_squares;weights={weights}"
        rows = [
            made.row("comparison", "mass_balance", "AIS", -99.0, 4.0, note="method=gravimetry"),
            made.row("comparison", "mass_balance_combined", "AIS", -98.0, 3.0, note=note),
        ]
        of = gathered(compared(tmp_path, rows))

        assert ("they give together" in text_of(page.facts(of, []))) is together

    def test_an_uncertainty_of_zero_is_not_the_surest(self) -> None:
        rates = [rate("published", "WAIS", -100.0, 0.0), rate("gravimetry", "WAIS", -110.4, 1.34)]

        assert "By gravimetry, West Antarctica lost 110.4 ± 1.3 Gt/yr." in text_of(Facts(rates))


class TestCauses:
    @staticmethod
    def told(*causes: tuple[str, float, float]) -> str:
        return text_of(Facts(causes=[
            cited("cause_evidence", "all", evidence, note=f"cause={name};method=m;prior={prior}")
            for name, evidence, prior in causes
        ]))  # fmt: skip

    def test_strong_evidence_is_not_passed_over_for_what_was_likelier_before(self) -> None:
        text = self.told(("gia", 60.0, -40.0), ("mask", BY_CHANCE - 2.0, 0.0))

        assert text.startswith("Of the causes tried, gia of m is the most evident")
        assert "(ln B 60.0, likelihood before −40.0)." in text

    def test_among_evident_ones_what_was_likely_before_counts(self) -> None:
        assert "mask of m is the most" in self.told(("gia", 60.0, -40.0), ("mask", 30.0, 0.0))
        assert self.told(("gia", 4.0, 0.0)).startswith("No cause tried stands out")


class TestNotCompared:
    @staticmethod
    def rows(period: tuple[dt.date, dt.date] = made.PERIOD) -> list[Row]:
        return [
            made.row("comparison", "mass_balance_not_compared", name, -9.0, 4.0, period=period,
                     note=f"method=imbie-2021;covered={covered}")
            for name, covered in (("22", "0.749"), ("WAIS", "0.42"))
        ]  # fmt: skip

    def test_regions_and_what_is_covered_are_told(self, tmp_path: Path) -> None:
        said = "imbie-2021 covers too little of the period to be compared in "
        assert warned(gathered(compared(tmp_path / "a", self.rows()))) == [
            f"{said}2 regions (WAIS, 22): 42.0 to 74.9% of it."
        ]
        assert warned(gathered(compared(tmp_path / "b", self.rows()[:1]))) == [
            f"{said}1 region (22): 74.9% of it."
        ]

    def test_days_are_told_where_they_are_not_the_runs(self, tmp_path: Path) -> None:
        found = self.rows((dt.date(2003, 1, 1), dt.date(2009, 12, 31)))
        assert warned(gathered(compared(tmp_path, found)))[0].endswith(
            "% of it; its rates there are of 2003-01-01 to 2009-12-31."
        )

    def test_a_comparison_of_nothing_says_so(self, tmp_path: Path) -> None:
        facts = build.build(opened(compared(tmp_path, self.rows())), str(tmp_path / "to"),
                            map_page=False)  # fmt: skip

        said = (
            "The methods of the comparison could not be brought to one period: nothing is compared."
        )
        assert facts.summary == (said,)
        needed = "two methods of one period: those of the comparison could not be brought to one."
        assert f"Methods compared: needs {needed}" in facts.left_out
        assert not [each for each in facts.left_out if "or a comparison" in each]


@pytest.mark.parametrize("smoothed", [False, True])
def test_maps_say_what_is_smoothed(smoothed: bool, tmp_path: Path) -> None:
    def fill(group: Any) -> None:
        made.maps(group)
        if smoothed:
            made.put(group, "mass_rate_gaussian", group["mass_rate"][...] / 2.0, ["y", "x"])

    rates = {"regions": made.rate_rows("gravimetry", made.GRAVIMETRY)}
    of = gathered(made.product(tmp_path / "gravimetry", "gravimetry", rates, fill=fill))
    found = next(maps.pictures(of, []))

    said = "gravimetry is smoothed for display, its standard deviation is that of the rate before"
    assert (said in found.caption) is smoothed
    assert ("smooth" in found.caption) is smoothed


def test_of_inputs_no_more_is_said_than_was_asked(tmp_path: Path) -> None:
    of = gathered(made.altimetry(tmp_path))
    states = {"altimetry": [Reached("months", 60, "gone"), Reached("masks", 7, "there")]}

    (said,) = [each.said.text for each in cautions.cautions(of, states)]
    assert said == (
        "altimetry: the first input of months (60 inputs) cannot be read from here any more; of "
        "each collection one is asked."
    )


def test_what_moves_a_disagreement_may_be_not_known() -> None:
    assert rounded(NAN, 1) == rounded(-math.inf, 0) == "not known"
    assert comparing.mover_table([cited("largest_mover", "AIS", NAN, note="cause=gia")])


def test_words_for_a_terminal_do_not_steer_it() -> None:
    hostile = "Al\x1b]0;title\x07der\u202e\n, 3\N{NO-BREAK SPACE}Gt"
    found = Sentence((hostile, Link("−4\x9b2J", "t.html"))).text

    assert found == "Al]0;titleder, 3\N{NO-BREAK SPACE}Gt−42J"


def test_the_printed_summary_does_not_steer_the_terminal(tmp_path: Path) -> None:
    rows = [made.row("shelf_damage", "damage_fraction", "Al\x1b[2Jder", 0.1, 0.01, unit="1",
                     note="summer=2005")]  # fmt: skip
    product = made.product(tmp_path / "d", "shelf_damage", {"shelves": rows})
    facts = build.build(outputs.open_outputs([str(product)]), str(tmp_path / "to"), map_page=False)

    assert "Damage of Al[2Jder was" in facts.summary[0]
