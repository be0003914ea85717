"""What runs of networks print, and that a product is shown although some of its keys failed."""

import dataclasses
import datetime as dt
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cluster.ledger import Receipt
from pipelines import lifecycle, tables
from pipelines.commands import network_reporting, reporting
from pipelines.lifecycle import Outcome, Stage, dated_keys

DAY = dt.date(2011, 2, 1)
NAN = float("nan")


def row(quantity: str, value: float, note: str, region: str = "pooled") -> tables.Row:
    unit = "dB" if "psnr" in quantity else "1"
    return tables.Row("evaluation", quantity, "tiles", region, DAY, DAY, value, NAN, unit, note)


def plan_with(folder: Path, name: str, *rows: tables.Row) -> Any:
    (folder / "tables").mkdir()
    (folder / "tables" / name).write_bytes(tables.write_rows(rows))
    return SimpleNamespace(output=str(folder))


def test_pooled_scores_are_printed_with_their_intervals(tmp_path, capsys):
    plan = plan_with(
        tmp_path, "scores.csv",
        row("miou", 0.81234, "threshold=0.5;tiles=4;pixels=9;lower=0.7;upper=0.9"),
        row("miou", 0.1, "threshold=0.5", "amery"),
        row("expected_calibration_error", 0.05, "bins=20"),
        row("near_things", 0.2, ""),
    )  # fmt: skip
    network_reporting.show_scores(plan)
    told = capsys.readouterr().out

    assert "0.812" in told
    assert "0.700 to 0.900" in told
    assert "0.050" in told
    assert "0.100" not in told
    assert "Gaps" not in told


def test_each_way_to_fill_gaps_has_a_line_and_shares_of_gaps_have_none(tmp_path, capsys):
    plan = plan_with(
        tmp_path, "scores.csv",
        row("psnr_gaps", 31.5, "method=linear;lower=30;upper=33"),
        row("miou", 0.9, "method=mean+harmoniser-sample;lower=0.8;upper=1"),
        row("psnr_by_gap_fraction", 12.0, "method=linear;gap_fraction=0..0.1;pixels=3"),
    )  # fmt: skip
    network_reporting.show_scores(plan)
    told = capsys.readouterr().out

    assert "Damage" not in told
    lines = {line.split()[0]: line for line in told.splitlines() if line.split()}
    assert "31.500" in lines["linear"]
    assert "0.900" in lines["mean+harmoniser-sample"]
    assert "12.000" not in told


def test_nothing_is_printed_of_an_empty_table(tmp_path, capsys):
    network_reporting.show_scores(plan_with(tmp_path, "scores.csv"))

    assert capsys.readouterr().out == ""


def test_scenes_are_printed_with_what_was_missing(tmp_path, capsys):
    note = "summer=2011;scene=2011-12-05"
    plan = plan_with(
        tmp_path, "restoration.csv",
        row("gap_fraction", 0.22, note, "amery"),
        row("filled_fraction_of_gaps", 1.0, note, "amery"),
        row("spread_of_filled", 0.015, note, "amery"),
        row("gap_fraction", 0.31, "summer=2011;scene=2011-12-21", "amery"),
    )  # fmt: skip
    network_reporting.show_restored(plan)
    lines = capsys.readouterr().out.splitlines()

    assert [part for part in lines[-2].split() if part[0].isdigit()] == [
        "2011-12-05", "0.220", "1.000", "0.015",
    ]  # fmt: skip
    assert "nan" in lines[-1]


KEYS = ("segment/0", "segment/1")


def stages(*, partial: bool) -> tuple[Stage, ...]:
    return (
        Stage("segment", KEYS, lambda key, _: Receipt(key, "done"), 0, 0.0, "", partial=partial),
    )


def ledger(*states: str) -> dict[str, Receipt]:
    made = [
        Receipt(key, state, reason="spoilt" if state == "failed" else "")
        for key, state in zip(KEYS, states, strict=False)
    ]
    return {receipt.key: receipt for receipt in made}


@pytest.mark.parametrize(
    ("states", "partial", "whole"),
    [
        (("done", "done"), (True), True),
        (("done", "failed"), True, True),
        (("done", "failed"), False, False),
        (("failed", "failed"), True, False),
        (("done",), True, False),
    ],
)
def test_a_partial_stage_makes_a_product_of_the_keys_that_are_done(states, partial, whole):
    made, receipts = stages(partial=partial), ledger(*states)
    assert dated_keys(made, receipts)[-1] == KEYS

    assert lifecycle.is_whole(made, receipts) is whole
    failures = tuple((r.key, r.reason) for r in receipts.values() if r.state == "failed")
    done = sum(r.state == "done" for r in receipts.values())
    outcome = Outcome(done, len(failures), len(KEYS) - len(receipts), failures)
    plan: Any = SimpleNamespace(stages=made)
    assert reporting.is_shown(plan, outcome) is whole


def test_stages_are_whole_or_nothing_unless_they_say_otherwise():
    assert {field.name: field.default for field in dataclasses.fields(Stage)}["partial"] is False
