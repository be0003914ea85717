"""Sections of a report: budgets, comparisons, warnings of every kind, the command, a bucket."""

from __future__ import annotations

import datetime as dt
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from pipelines.report import build, cautions, material, methods, outputs, reached, series
from pipelines.report.pictures import png_size
from pipelines.tables import Row
from tests.fixtures.commands import last_line, nunatak

from . import report_products as made
from .test_report import page

YEARS = [(dt.date(2010 + n, 7, 1), dt.date(2011 + n, 6, 30)) for n in range(3)]
ROWS = ("22", "AIS", "WAIS", "Amundsen", "Ross")
BALANCE = {"22": -40.0, "AIS": -90.0, "WAIS": -100.0, "Amundsen": -70.0, "Ross": 5.0}
NAN = math.nan


def opened(*products: Path) -> tuple[outputs.Output, ...]:
    return outputs.open_outputs([str(each) for each in products])


def gathered(*products: Path) -> material.Material:
    found = material.gather(opened(*products))
    own = methods.own_sheet(found, methods.rates(found))
    return found if own is None else found.with_sheet(own)


def said(*products: Path) -> list[tuple[str, str]]:
    of = gathered(*products)
    states = {each.name: reached.reached(each, of.outputs) for each in of.outputs}
    return [(each.level, each.said.text) for each in cautions.cautions(of, states)]


def budget_rows(**more: Any) -> list[Row]:
    """Return epochs and their mean: discharge rises by 3 Gt/yr from one epoch to the next."""
    rows = []
    whole = (YEARS[0][0], YEARS[-1][1])
    for epoch, days, rise in (("early", YEARS[0], 0.0), ("late", (YEARS[1][0], YEARS[2][1]), 3.0),
                              ("mean", whole, 2.0)):  # fmt: skip
        for region in ROWS:
            for quantity, value, sigma in (
                ("discharge", 500.0 + rise, 6.0), ("surface_mass_balance", 400.0, 9.0),
                ("mass_balance", BALANCE[region], 11.0),
            ):  # fmt: skip
                rows.append(made.row("mass_budget", quantity, region, value, sigma, period=days,
                                     note=f"epoch={epoch};members=4", **more))  # fmt: skip
    sea = made.row("mass_budget", "sea_level_rate", "AIS", 0.25, 0.03, unit="mm yr-1",
                   period=whole, note="epoch=mean;of=mass_balance")  # fmt: skip
    return [*rows, sea]


def year_rows() -> list[Row]:
    return [
        made.row("mass_budget", quantity, region, value + n, 5.0, period=days,
                 note=f"year={days[0].year}-{days[1].year}")
        for n, days in enumerate(YEARS) for region in ROWS
        for quantity, value in (("discharge", 500.0), ("surface_mass_balance", 400.0),
                                ("mass_balance", BALANCE[region]))
    ]  # fmt: skip


def fill_budget(group: zarr.Group) -> None:
    epoch = dt.date(1970, 1, 1)
    labels = [f"{first.year}-{last.year}" for first, last in YEARS]
    made.put(group, "year", np.arange(3, dtype="i4"), ["year"], flag_meanings=" ".join(labels))
    made.put(group, "year_start", [(days[0] - epoch).days for days in YEARS], ["year"])
    made.put(group, "year_end", [(days[1] - epoch).days + 1 for days in YEARS], ["year"])
    made.put(group, "row", np.arange(5, dtype="i4"), ["row"], flag_meanings=" ".join(ROWS))
    made.put(group, "quantity", np.arange(1, dtype="i4"), ["quantity"], flag_meanings="discharge")
    made.put(group, "x", 4e5 * (np.arange(12) - 5.5), ["x"])
    made.put(group, "y", 4e5 * (4.5 - np.arange(10)), ["y"])
    speed = np.full((3, 10, 12), 100.0)
    speed[1:] += 30.0  # the years of the later epoch
    made.put(group, "speed", speed, ["year", "y", "x"])
    balance = np.array([[[BALANCE[name] for name in ROWS]] * 3]) * 1e12
    made.put(group, "replaced_mass_balance", balance, ["member", "year", "row"])
    spread = np.broadcast_to(np.full((3, 3), 25e24), (1, 5, 3, 3)).copy()  # wholly correlated
    made.put(group, "replaced_covariance", spread, ["member", "row", "year", "year_2"])
    apart = np.broadcast_to(4e24 * np.eye(3), (1, 1, 5, 3, 3)).copy()  # each year by itself
    made.put(group, "budget_covariance", apart, ["member", "quantity", "row", "year", "year_2"])


@pytest.fixture(scope="module")
def mass_budget(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("budget") / "mass_budget"
    tables = {"regions": budget_rows(), "years": year_rows()}
    written = made.product(folder, "mass_budget", tables, fill=fill_budget)
    labels = [f"{first.year}-{last.year}" for first, last in YEARS]
    run = {"product": "mass_budget", "regions": made.REGIONS, "mass_budget": {
        "mean": "years",
        "epochs": [{"name": "early", "years": labels[:1], "weights": []},
                   {"name": "late", "years": labels[1:], "weights": []}]}}  # fmt: skip
    made.change_item(written, lambda held: held["properties"].update(
        {"processing:lineage": json.dumps(run)}))  # fmt: skip
    return written


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two methods that agree on the whole and disagree in the west, beside two shelves."""

    def one(quantity: str, region: str, value: float, sigma: float, note: str, **more: Any) -> Row:
        return made.row("comparison", quantity, region, value, sigma, note=note, **more)

    rows = [
        one("mass_balance", "AIS", -99.0, 4.0, "method=gravimetry;class=gravimetry"),
        one("mass_balance", "AIS", -90.0, 11.0, "method=mass_budget;class=mass_budget"),
        one("mass_balance", "WAIS", -130.0, 3.0, "method=gravimetry;class=gravimetry"),
        one("mass_balance", "WAIS", -100.0, 5.0, "method=mass_budget;class=mass_budget"),
        one("mass_balance", "22", -46.0, 2.0, "method=gravimetry;class=gravimetry"),
        one("mass_balance_combined", "AIS", -98.0, 3.5,
            "by=generalised_least_squares;birge=1.02;weights=gravimetry:0.9,mass_budget:0.1"),
        one("mass_balance_combined", "AIS", -97.0, 3.9, "by=imbie"),
        one("mass_balance_combined", "AIS", -90.0, 11.0,
            "by=generalised_least_squares;without=gravimetry"),
        one("closure", "AIS", 9.0, 11.7, "between=mass_budget-gravimetry;z=0.77;correlation=0.0"),
        one("closure", "WAIS", 30.0, 5.8, "between=mass_budget-gravimetry;z=5.14;correlation=0.0"),
        one("closure", "22", 10.0, 2.0, "between=mass_budget-gravimetry;z=5.00;correlation=0.0"),
        one("surface_mass_balance", "AIS", 1900.0, 20.0, "method=mass_budget"),
        one("discharge", "AIS", 1990.0, 12.0, "method=mass_budget"),
    ]  # fmt: skip
    months = [made.month_rows("comparison", ["AIS"], lacking=["2011-06", "2011-07"])]
    curves = [
        Row("comparison", "cumulative_mass", each.region_set, "AIS", each.period_start,
            each.period_end, each.value, 3.0, "Gt", "method=gravimetry") for each in months[0]
    ]  # fmt: skip
    causes = [
        one("cause_evidence", "all", 42.0, NAN, "cause=gia:ice6g-d;method=gravimetry;amplitude=1.1",
            unit="1"),
        one("cause_evidence", "all", -0.4, NAN, "cause=mask;method=altimetry", unit="1"),
    ]  # fmt: skip
    damage = [
        one(quantity, shelf, value + 0.01 * n, 0.02, f"shelf={shelf}", unit="1",
            period=(dt.date(2005 + n, 11, 1), dt.date(2006 + n, 3, 31)))
        for shelf in ("Alder", "Cedar") for n in range(3)
        for quantity, value in (("damage_fraction", 0.1), ("discharge", 100.0))
    ] + [one("lagged_correlation", "Alder", 0.8, NAN,
             "shelf=Alder;lag=1;years=9;p_local=0.01;p_family=0.3", unit="1")]  # fmt: skip
    tables = {"comparison": rows, "series": curves, "causes": causes, "damage": damage}
    folder = tmp_path_factory.mktemp("comparison") / "comparison"
    return made.product(folder, "comparison", tables)


def report(to: Path, *products: Path) -> build.Facts:
    return build.build(opened(*products), str(to), map_page=False)


@pytest.fixture(scope="module")
def of_budget(mass_budget: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("reports") / "report"
    report(to, mass_budget)
    return to


@pytest.fixture(scope="module")
def of_comparison(comparison: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("reports") / "report"
    report(to, comparison)
    return to


class TestMassBudget:
    def test_pictures_tell_what_the_arrays_hold(self, of_budget: Path) -> None:
        alt = {held["src"]: held["alt"] for held in page(of_budget).named("img")}

        assert "130 to 130" not in alt["figures/ice-speed.png"]
        assert "120 to 120 m yr⁻¹" in alt["figures/ice-speed.png"]  # mean of 100, 130, 130
        assert "early to late: 30 to 30 m yr⁻¹" in alt["figures/speed-change.png"]
        assert "Amundsen 500 to 503; Ross 500 to 503" in alt["figures/sectors.png"]
        assert "AIS: snow 400 to 402, discharge 500 to 502" in alt["figures/budget.png"]
        # three years of −90 Gt/yr from zero, less their mean over the whole
        assert "AIS by mass budget from 135 to −135 Gt" in alt["figures/mass-by-method.png"]

    def test_the_summary_tells_snow_against_discharge_and_the_sea(self, of_budget: Path) -> None:
        words = page(of_budget).words.replace("\N{NO-BREAK SPACE}", " ")

        assert (
            "From July 2010 to June 2013, snow brought 400 ± 9 Gt/yr, less what melted and blew "
            "away, and 502 ± 6 Gt/yr of ice flowed over the grounding line." in words
        )
        assert "the difference raises the sea by 0.250 ± 0.030 mm/yr" in words

    def test_tables_have_snow_and_discharge_beside_the_balance(self, of_budget: Path) -> None:
        rows = page(of_budget).rows[""]
        at = rows.index("22")
        assert [cell.replace("\N{NO-BREAK SPACE}", " ") for cell in rows[at + 1 : at + 4]] == [
            "−40 ± 11", "400.0 ± 9.0", "502.0 ± 6.0",
        ]  # fmt: skip

    def test_sums_know_that_errors_of_years_are_shared(self, mass_budget: Path) -> None:
        of = gathered(mass_budget)
        curve = series._sums(of, of.outputs[0], "AIS")
        assert curve is not None
        lengths = np.diff(curve.times)
        np.testing.assert_allclose(np.diff(curve.mass), -90.0 * lengths)
        # of wholly correlated years of 5 Gt/yr, errors add up
        np.testing.assert_allclose(curve.sigma[1:], 5.0 * np.cumsum(lengths))


class TestComparison:
    def test_every_section_that_it_feeds_is_there(self, of_comparison: Path) -> None:
        found = page(of_comparison)
        sections = [held["id"] for held in found.named("section") if "id" in held]
        assert sections == ["warnings", "summary", "totals", "basins", "series", "comparison",
                            "dynamics", "provenance", "tables", "left-out"]  # fmt: skip
        names = [held["src"] for held in found.named("img")]
        wanted = ("mass-by-method", "rates-by-method", "differences", "damage-and-discharge")
        assert names == [f"figures/{name}.png" for name in wanted]

    def test_totals_have_the_combined_estimate_and_the_largest_difference(
        self, of_comparison: Path
    ) -> None:
        rows = [cell.replace("\N{NO-BREAK SPACE}", " ") for cell in page(of_comparison).rows[""]]
        at = rows.index("AIS")
        assert rows[at + 1 : at + 5] == [
            "−99.0 ± 4.0", "−90 ± 11", "−98.0 ± 3.5",
            "mass budget − gravimetry: 9 ± 12, 0.8 σ",
        ]  # fmt: skip

    def test_the_summary_tells_it(self, of_comparison: Path) -> None:
        words = page(of_comparison).words.replace("\N{NO-BREAK SPACE}", " ")
        assert (
            "agree within their uncertainties; the mass budget less gravimetry is +9 ± 12" in words
        )
        assert "they give together −98.0 ± 3.5 Gt/yr" in words
        assert "snow brought 1,900 ± 20 Gt/yr" in words
        assert "gia:ice6g-d of gravimetry is the most evident" in words
        assert (
            "Of no shelf does damage go with or against discharge beyond chance (Alder: " in words
        )
        assert "r = 0.80 with discharge 1 year later, p = 0.3, all shelves" in words

    def test_misclosures_are_warned_of(self, comparison: Path) -> None:
        found = [text.replace("\N{NO-BREAK SPACE}", " ") for level, text in said(comparison)
                 if level == cautions.CAUTION]  # fmt: skip
        west = "WAIS: the methods disagree, mass budget − gravimetry is 30.0 ± 5.8 Gt/yr, 5.1 "
        assert found == [
            f"{west}standard deviations.",
            "The methods disagree in 1 more region: 22.",
        ]

    def test_curves_of_a_comparison_leave_the_months_out_that_lack(self, comparison: Path) -> None:
        from pipelines.figures.comparison_curves import broken

        curves, _ = series._curves(gathered(comparison))
        curve = curves["AIS"]["gravimetry"]
        assert len(curve.times) == 22
        assert int(np.isnan(broken(curve)[1]).sum()) == 1


class TestWarnings:
    def test_what_a_mass_budget_lacks(self, tmp_path: Path) -> None:
        rows = [
            made.row("mass_budget", "mass_balance", "3", NAN, NAN, note="epoch=mean;missing=snow"),
            made.row("mass_budget", "discharge", "4", 5.0, 1.0,
                     note="epoch=mean;without=dynamic_volume_change"),
        ]  # fmt: skip
        holes = [
            made.row("mass_budget", "coverage", "7", part, 0.0, unit="1",
                     note=f"year=2011-2012;layer={layer};by=flux")
            for layer, part in (("none", 0.31), ("maps", 0.69))
        ]  # fmt: skip
        found = said(made.product(tmp_path / "b", "mass_budget",
                                  {"regions": rows, "coverage": holes}))  # fmt: skip
        holey = "mass budget: no velocity for more than 5% of the flux of 7 in 1 case, 31% at the"
        assert found == [
            ("problem", "mass budget: no balance of 3: snow."),
            ("caution", "mass budget: discharge is without dynamic volume change."),
            ("caution", f"{holey} most."),
        ]  # fmt: skip

    def test_maps_that_know_little_and_summers_without_one(self, tmp_path: Path) -> None:
        low = made.row("shelf_damage", "damage_fraction", "Alder", 0.1, 0.01, unit="1",
                       note="summer=2005;covered=0.61")  # fmt: skip
        lost = made.row("shelf_damage", "covered_fraction", "Cedar", 0.1, NAN, unit="1",
                        note="summer=2006;covered 0.1 of 0.5 needed")  # fmt: skip
        found = said(made.product(tmp_path / "d", "shelf_damage",
                                  {"shelves": [low], "unpublished": [lost]}))  # fmt: skip
        assert found == [
            ("problem", "shelf damage: no map of Cedar 2006/07: covered 0.1 of 0.5 needed."),
            (
                "caution",
                "shelf damage: maps know less than 90% of the shelf: Alder 2005/06 (0.61).",
            ),
        ]

    def test_agreement_below_the_published_one(self, tmp_path: Path) -> None:
        rows = [
            made.row("consistency", "spearman", shelf, value, NAN, unit="1",
                     note=f"advection={way};median=pairs;pairs=3")
            for shelf, way, value in (("alder", "no", 0.6), ("alder", "yes", 0.7),
                                      ("cedar", "no", 0.9), ("cedar", "yes", 0.8))
        ]  # fmt: skip
        found = said(made.product(tmp_path / "c", "consistency", {"consistency": rows}))
        assert [text.split(":")[0] for _, text in found] == ["alder", "cedar"]
        assert "agree less once the ice has moved than before" in found[1][1]
        assert "0.700 only, less than 0.756" in found[0][1]

    def test_products_of_other_periods_regions_and_versions(self, tmp_path: Path) -> None:
        gravimetry = made.gravimetry(tmp_path)
        other = [made.row("altimetry", "mass_rate", "AIS", -90.0, 9.0, regions="other",
                          period=(dt.date(2010, 1, 1), dt.date(2012, 12, 31)))]  # fmt: skip
        altimetry = made.product(tmp_path / "altimetry", "altimetry", {"regions": other},
                                 regions="other")  # fmt: skip
        combination = made.product(
            tmp_path / "combination", "combination",
            {"regions": made.rate_rows("combination", {"AIS": (-95.0, 3.0)})},
            attributes={"nunatak:inputs": {"gravimetry/gravimetry-zzz": "OLD"}},
        )  # fmt: skip
        found = [text for _, text in said(gravimetry, altimetry, combination)]
        assert "gravimetry 2011-02-01 to 2013-01-31; altimetry 2010-01-01 to 2012-12-31" in found[1]
        assert "combination was made from another version of gravimetry" in found[0]
        assert "different sets of regions: gravimetry test-basins; altimetry other" in found[2]

    def test_the_demos_observations_are_named_as_what_they_are(self, tmp_path: Path) -> None:
        product = made.altimetry(tmp_path, inputs={"elevation_rate": ["demo-elevation-rate"]})
        of = gathered(product)
        assert material.is_synthetic(of.outputs)
        assert "tell nothing of the real Antarctica" in said(product)[0][1]
        assert not material.is_synthetic(gathered(made.gravimetry(tmp_path)).outputs)

    def test_secrets_in_reasons_are_hidden(self, tmp_path: Path) -> None:
        failed = {"key": "a", "state": "failed", "reason": "PUT http://ann:hunter2@store/x"}
        product = made.altimetry(tmp_path, receipts=[failed])
        assert said(product)[0] == (
            "problem", "altimetry: 1 key of 1 failed: PUT http://***@store/x")  # fmt: skip

    def test_addresses_of_the_web_are_not_asked(self) -> None:
        assert reached.state("https://example.org/item.json") == "not asked"
        assert reached.state("javascript:alert(1)") == "gone"
        assert reached.state(str(Path(__file__))) == "there"


def test_a_footprint_is_joined_where_it_was_cut() -> None:
    from shapely.geometry import Polygon

    lines = material.coast_of(made.footprint())
    assert len(lines) == 1
    ring = Polygon(np.stack(lines[0], axis=1))
    assert ring.contains(Polygon([(-1e5, -1e6), (1e5, -1e6), (0.0, -1.1e6)]))  # across 180°
    assert material.coast_of({"type": "Nonsense"}) == []
    assert material.coast_of(None) == []


def test_png_size() -> None:
    from tests.fixtures import pictures

    made_of = pictures.axes().figure
    from pipelines.figures import canvas

    assert png_size(canvas.png(made_of)) == (800, 600)


class TestCommand:
    def test_it_says_what_it_will_do_and_where_the_page_is(self, tmp_path: Path) -> None:
        product = made.altimetry(tmp_path)
        result = nunatak("report", product, "--to", tmp_path / "report", "--title", "a < b",
                         "--json")  # fmt: skip

        assert result.exit_code == 0, result.output
        lines = result.stdout.splitlines()
        assert lines[0] == f"report of altimetry, to {tmp_path / 'report'}"
        assert lines[-2] == f"open {tmp_path / 'report' / 'index.html'}"
        assert "drawn: mass-rate-maps" in result.stderr
        facts = last_line(result)
        assert facts["exit_status"] == 0
        assert facts["products"] == ["altimetry"]
        assert facts["page"] == str(tmp_path / "report" / "index.html")
        assert facts["warnings"] == {"problem": 0, "caution": 0, "note": 0}
        assert "<h1>a &lt; b</h1>" in (tmp_path / "report" / "index.html").read_text()
        size = sum(each.stat().st_size for each in (tmp_path / "report").rglob("*")
                   if each.is_file()
                   and each.name != "report.json")  # fmt: skip
        assert facts["bytes"] == size

    @pytest.mark.parametrize("arguments", [[], ["--to", "gopher://x"]])
    def test_mistakes_are_told_without_a_traceback(
        self, arguments: list[str], tmp_path: Path
    ) -> None:
        result = nunatak("report", tmp_path / "nothing", *arguments)

        assert result.exit_code == 2
        assert "holds no finished product" in result.output
        assert "Traceback" not in result.output


def test_a_report_in_a_bucket_is_the_same(s3_environment: Any, tmp_path: Path) -> None:
    product = made.altimetry(tmp_path)
    to = s3_environment.url("reports/one")
    for _ in range(2):  # a second one replaces the first
        facts = build.build(opened(product), to, map_page=False)
    report(tmp_path / "local", product)

    assert facts.page == f"{to}/index.html"
    client = s3_environment.client()
    found = client.list_objects_v2(Bucket=s3_environment.bucket, Prefix="reports/one/")["Contents"]
    names = {each["Key"].removeprefix("reports/one/") for each in found}
    local = {str(each.relative_to(tmp_path / "local"))
             for each in (tmp_path / "local").rglob("*") if each.is_file()}  # fmt: skip
    assert names == local
    held = client.get_object(Bucket=s3_environment.bucket, Key="reports/one/index.html")
    assert held["Body"].read() == (tmp_path / "local" / "index.html").read_bytes()
