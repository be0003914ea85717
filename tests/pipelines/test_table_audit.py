"""The auditor on tables made up to be consistent, then broken in one place."""

import json
import math

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from pipelines import imbie, published_tables, tables
from pipelines.cli import main
from pipelines.kernels.budget.printed_numbers import Printed, can_be, combined, quadrature
from pipelines.kernels.budget.table_audit import audit

SHEET_OF = {i: "EAIS" if 2 <= i <= 17 else "AP" if i >= 24 else "WAIS" for i in range(1, 28)}
EPOCHS = ("2000", "2005-2009", "2010-2019")
WEIGHTS = (1, 2, 4)
GROUPS = ("EAIS", "WAIS", "AP", "Total")


def world(seed=3, ratio=0.15):
    """Return a consistent estimate: region -> column -> number, unrounded."""
    draw = np.random.default_rng(seed)
    rows = {}
    for basin, sheet in SHEET_OF.items():
        row = {"area_km2": float(draw.integers(50_000, 900_000)), "SMB_mean": draw.uniform(40, 90)}
        row["SMB_sigma_mean"] = ratio * row["SMB_mean"]
        for epoch in EPOCHS:
            row[f"D_{epoch}"] = draw.uniform(30, 100)
            row[f"D_sigma_{epoch}"] = draw.uniform(3, 6) * (3 if sheet == "WAIS" else 1)
        share = [weight / sum(WEIGHTS) for weight in WEIGHTS]
        mean = sum(s * row[f"D_{epoch}"] for s, epoch in zip(share, EPOCHS, strict=True))
        row["MB_mean"] = row["SMB_mean"] - mean
        for epoch in EPOCHS:
            row[f"MB_{epoch}"] = row["SMB_mean"] - row[f"D_{epoch}"]
        rows[str(basin)] = row
    for group in GROUPS:
        members = [rows[str(i)] for i, sheet in SHEET_OF.items() if group in {sheet, "Total"}]
        rows[group] = {
            name: math.hypot(*(m[name] for m in members))
            if "sigma" in name
            else sum(m[name] for m in members)
            for name in members[0]
        }
    return rows


def as_csv(rows, digits=0):
    """Print a wide table."""
    names = list(rows["1"])
    lines = [",".join(["basin", *names])]
    lines += [",".join([r, *(f"{row[n]:.{digits}f}" for n in names)]) for r, row in rows.items()]
    return "\n".join(lines).encode()


def found(rows, digits=1):
    """Audit a table; return what does not hold, and the rules."""
    answer = audit(published_tables.read(as_csv(rows, digits), name="made"))
    return [each for each in answer.findings if each.state != "holds"], answer


@pytest.mark.parametrize("seed", range(5))
def test_a_consistent_table_holds(seed):
    wrong, answer = found(world(seed))
    # One sum in twenty is doubted by chance, as the documentation says; nothing fails.
    assert all(each.state == "doubtful" for each in wrong)
    assert len(wrong) <= 0.1 * len(answer.findings)


def test_weights_and_relative_uncertainty_are_found():
    _, answer = found(world(ratio=0.15))
    rules = "\n".join(answer.rules)
    assert "weights 1 : 2 : 4" in rules
    assert "15 % of the value (27 of 27" in rules


def test_two_sheets_with_exchanged_uncertainties_are_named():
    rows = world()
    name = "D_sigma_2000"
    rows["EAIS"][name], rows["WAIS"][name] = rows["WAIS"][name], rows["EAIS"][name]
    wrong = [each for each in found(rows)[0] if each.check == "sigma"]
    assert {(each.region, each.cause.split(",")[0]) for each in wrong} == {
        ("EAIS", "exchanged with WAIS"),
        ("WAIS", "exchanged with EAIS"),
    }


@pytest.mark.parametrize(
    ("region", "column", "step", "check"),
    [
        ("7", "area_km2", 5000.0, "sum"),
        ("EAIS", "D_2000", 4.0, "sum"),
        ("AP", "D_sigma_2000", 5.0, "sigma"),
        ("12", "MB_mean", 5.0, "mean"),
        ("12", "MB_mean", 5.0, "balance"),
        ("3", "SMB_sigma_mean", 2.0, "relative sigma"),
        ("Total", "D_2010-2019", 6.0, "total"),
    ],
)
def test_a_number_that_is_moved_is_found(region, column, step, check):
    rows = world()
    rows[region][column] += step
    quantity = column.split("_")[0]
    wrong = [each for each in found(rows)[0] if each.check == check]
    named = {each.region for each in wrong if each.column.startswith(quantity)}
    group = {"7": "EAIS", "Total": "AIS"}.get(region, region)
    assert group in named


def test_a_region_taken_from_elsewhere_is_named():
    rows = world()
    for epoch in EPOCHS:
        rows["25"][f"MB_{epoch}"] = -10.0
    rows["25"]["MB_mean"] = -10.0
    _, answer = found(rows)
    assert any(rule.startswith("MB of 25 is the same in every epoch") for rule in answer.rules)


def test_members_that_err_alike_are_no_fault_where_no_group_is_a_quadrature():
    rows = world()
    for column in [name for name in rows["1"] if "sigma" in name]:
        for group in GROUPS:
            members = [rows[str(i)] for i, s in SHEET_OF.items() if group in {s, "Total"}]
            rows[group][column] = 0.8 * sum(m[column] for m in members)
    assert not [each for each in found(rows)[0] if each.check == "sigma"]


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30), st.integers(0, 2))
def test_the_rounded_sum_of_rounded_numbers_is_always_possible(numbers, digits):
    half = 0.5 * 10.0**-digits
    terms = [(1.0, Printed(round(each, digits), half)) for each in numbers]
    assert can_be(Printed(round(math.fsum(numbers), digits), half), combined(terms))
    sigmas = [Printed(abs(round(each, digits)), half) for each in numbers]
    assert can_be(Printed(round(math.hypot(*numbers), digits), half), quadrature(sigmas))


def test_our_own_table_is_read_with_notes_that_differ(tmp_path):
    import datetime as dt

    day = dt.date(2011, 2, 1)
    rows = [
        tables.Row("mass_budget", "discharge", "zwally2012", region, day, day, value, 1.0,
                   "Gt yr-1", f"coverage={value}")
        for region, value in [*((str(i), 10.0) for i in SHEET_OF), ("EAIS", 160.0), ("WAIS", 70.0),
                              ("AP", 40.0), ("AIS", 271.0)]
    ]  # fmt: skip
    (column,) = published_tables.read(tables.write_rows(rows), name="regions")
    assert (column.quantity, len(column.values)) == ("D", 31)
    wrong = [each.region for each in audit([column]).findings if each.check in {"sum", "total"}
             and each.state != "holds"]  # fmt: skip
    assert wrong == ["AIS", "AIS"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "0 lines"),
        ("a,b\n1,2\n", "expected one of basin, region"),
        ("basin,D_2000\n1,many\n", "expected a number"),
        ("basin,D_2000\n1,2\n1,3\n", "a second time"),
        ("basin,D_2000\n1,2,3\n", "has 3 cells"),
        ("basin,D_sigma_2000\n1,2\n", "no values"),
        ("basin,D_2000\n1,\n", "found no number"),
    ],
)
def test_what_is_no_table_ends_with_status_2(tmp_path, text, said):
    path = tmp_path / "table.csv"
    path.write_text(text)
    result = CliRunner().invoke(main, ["audit", str(path)])
    assert result.exit_code == 2
    assert said in result.output


def test_a_file_that_is_not_there_ends_with_status_2(tmp_path):
    result = CliRunner().invoke(main, ["audit", str(tmp_path / "none.csv")])
    assert (result.exit_code, "expected a table in CSV" in result.output) == (2, True)


def test_the_command_lists_what_does_not_hold_and_ends_with_0(tmp_path):
    rows = world()
    rows["EAIS"]["D_2000"] += 40.0
    path = tmp_path / "made.csv"
    path.write_bytes(as_csv(rows))
    result = CliRunner().invoke(main, ["audit", str(path), "--json"])
    assert result.exit_code == 0
    *told, last = result.stdout.splitlines()
    facts = json.loads(last)
    assert facts["counts"]["fails"] >= 1
    assert any("EAIS" in line and "fails" in line for line in told)
    assert sum(facts["counts"].values()) == len(facts["findings"])


def test_a_file_of_imbie_is_checked_as_one(tmp_path):
    rate = imbie.Rate("22", 213744.0, 200000.0, 2013.5, 2017.5, -46.0, 18.0)
    data = imbie.dmdt([rate], dialect="imbie-3", contributor="Yang", region_set="zwally2012")
    path = tmp_path / "rates.csv"
    path.write_bytes(data.replace(b",22,", b",28,"))
    result = CliRunner().invoke(main, ["audit", str(path), "--json"])
    assert result.exit_code == 0
    assert "an IMBIE file, 1 fault\n" in result.stdout
    assert "expected" in json.loads(result.stdout.splitlines()[-1])["imbie"]["rates"][0]
    assert CliRunner().invoke(main, ["audit", str(path), "--dialect", "x"]).exit_code == 2
