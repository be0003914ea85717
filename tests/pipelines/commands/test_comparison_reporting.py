"""What a finished comparison prints, from tables written by hand."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipelines import tables
from pipelines.commands import comparison_reporting
from pipelines.tables import Row
from tests.fixtures.commands import nunatak

DAYS = dt.date(2011, 2, 1), dt.date(2013, 1, 31)
NAN = float("nan")


def row(quantity: str, region: str, value: float, sigma: float, **note: Any) -> Row:
    told = ";".join(f"{key}={held}" for key, held in note.items())
    return Row("comparison", quantity, "basins", region, *DAYS, value, sigma, "Gt yr-1", told)


RATES = [
    row("mass_balance", "22", -51.0, 4.0, method="gravimetry"),
    row("mass_balance", "WAIS", -124.24, 3.76, method="gravimetry", **{"class": "gravimetry"}),
    row("mass_balance", "AIS", -128.7, 10.1, method="gravimetry"),
    row("mass_balance", "AIS", -150.4, 23.2, method="mass_budget"),
    row("mass_balance", "AIS", -90.0, NAN, method="imbie-2021"),
    row("mass_balance_combined", "AIS", -130.6, 9.0, by="generalised_least_squares"),
    row("mass_balance_combined", "AIS", -132.9, 9.1, by="imbie"),
    row("mass_balance_combined", "AIS", -999.0, 9.1, by="generalised_least_squares",
        without="gravimetry"),
]  # fmt: skip
CLOSURES = [
    row("closure", "AIS", 21.7, 25.3, between="gravimetry-mass_budget", z="0.86"),
    row("closure", "WAIS", 30.0, 10.0, between="gravimetry-mass_budget", z="3.00"),
    row("closure", "EAIS", -20.0, 10.0, between="gravimetry-mass_budget", z="-2.00"),
    row("closure", "22", 99.0, 10.0, between="gravimetry-mass_budget", z="9.90"),
]
CAUSES = [
    row("cause_evidence", "all", 6.81, NAN, cause="gia:ice6g-d", method="gravimetry",
        amplitude="-0.756", prior="0.00"),
    row("cause_evidence", "all", 3.27, NAN, cause="mask", method="altimetry",
        amplitude="0.521", prior="0.00"),
    row("cause_evidence", "all", 0.14, NAN, cause="gate_correction", method="mass_budget",
        amplitude="0.472", prior="2.30"),
    row("cause_evidence", "all", 0.05, NAN, cause="fourth", method="mass_budget",
        amplitude="0.1", prior="0.00"),
    row("cause_evidence", "all", -1.9, NAN, cause="bed:a", method="mass_budget",
        amplitude="0.1", prior="0.00"),
    row("largest_mover", "AIS", -9.0, NAN, between="gravimetry-mass_budget", cause="mask",
        method="gravimetry"),
]  # fmt: skip


@pytest.fixture
def shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Write tables and return what is printed of them."""

    def show(comparison: list[Row], causes: list[Row]) -> list[str]:
        folder = tmp_path / "tables"
        folder.mkdir(exist_ok=True)
        for name, held in (("comparison", comparison), ("causes", causes)):
            (folder / f"{name}.csv").write_bytes(tables.write_rows(held))
        comparison_reporting.show_comparison(SimpleNamespace(output=str(tmp_path)))  # type: ignore[arg-type]
        return capsys.readouterr().out.splitlines()

    return show


def test_methods_stand_beside_each_other_with_the_combined_last(shown: Any) -> None:
    lines = shown(RATES + CLOSURES, CAUSES)

    assert lines[0] == "Mass balance by every method [Gt/yr], with one standard deviation:"
    header, west, whole = (line.split("  ") for line in lines[1:4])
    assert [cell.strip() for cell in header if cell] == [
        "region", "gravimetry", "mass_budget", "imbie-2021", "combined", "IMBIE_rule",
    ]  # fmt: skip
    assert [cell.strip() for cell in west if cell] == ["WAIS", "-124.2 ± 3.8", "-", "-", "-", "-"]
    assert [cell.strip() for cell in whole if cell] == [
        "AIS", "-128.7 ± 10.1", "-150.4 ± 23.2", "-90.0 ± nan", "-130.6 ± 9.0", "-132.9 ± 9.1",
    ]  # fmt: skip
    assert not any(line.startswith("22") for line in lines)


def test_differences_of_groups_beyond_two_sigma_are_open(shown: Any) -> None:
    lines = shown(RATES + CLOSURES, [])

    at = lines.index("closed within 2 sigma: 2 of 3 differences")
    assert lines[at + 1 :] == ["  open    WAIS: gravimetry-mass_budget +30.0 ± 10.0"]


def test_the_three_likeliest_causes_are_printed_if_anything_speaks_for_them(shown: Any) -> None:
    lines = shown(RATES + CLOSURES, CAUSES)

    causes = [line.strip() for line in lines if ": ln B" in line]
    assert causes == [
        "gia:ice6g-d of gravimetry: ln B 6.8, -0.756 plausible errors",
        "mask of altimetry: ln B 3.3, 0.521 plausible errors",
        "gate_correction of mass_budget: ln B 0.1, 0.472 plausible errors",
    ]
    assert not any("ln B" in line for line in shown(RATES, CAUSES[-2:]))


def test_one_method_alone_has_nothing_to_close(shown: Any) -> None:
    lines = shown(RATES[:3], [])

    assert lines[-1] == "closed within 2 sigma: 0 of 0 differences"
    assert lines[1].split() == ["region", "gravimetry"]


def test_a_table_asked_for_other_regions_has_those() -> None:
    header, lines = comparison_reporting.by_method(RATES, ("22", "21"))

    assert header[1] == "gravimetry"
    assert [line[:2] for line in lines] == [("22", "-51.0 ± 4.0")]


def test_the_example_names_every_product_that_can_be_compared() -> None:
    result = nunatak("plan", "--example", "comparison")

    assert result.exit_code == 0
    for role in ("gravimetry", "altimetry", "combination", "mass_budget", "shelf_damage"):
        assert f"\n  {role}: [" in result.output


def test_help_loads_nothing_heavy() -> None:
    """Commands are imported to print their help; arrays are not."""
    code = (
        "import sys; from pipelines.commands import comparison_reporting; "
        "print([m for m in ('numpy', 'zarr', 'xarray', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
