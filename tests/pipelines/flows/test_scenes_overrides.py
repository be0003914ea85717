"""A person's decision: taken as the whole set, told with its reason, redone alone, taken back."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from pipelines import tables
from pipelines.lifecycle import Stage, dated_keys

from .scenes_world import Bay, Done, Shot, bay, carried_out, choose, part

WEST = Shot("2018-11-10T12:00:00", path=8, grid=part((-20, 340), (-20, 200)), seed=1)
WHOLE = Shot("2018-11-20T12:00:00", path=9, seed=2)
OTHER = Shot("2019-11-20T12:00:00", path=9, seed=3)
WHY = "the front had moved by then; looked at both"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bay:
    return bay(tmp_path_factory.mktemp("bay"), [WEST, WHOLE, OTHER])


def run(made: Bay, folder: Path, **override: object) -> Done:
    document = made.document(2018, period=["2018-11-01", "2020-03-31"])
    if override:
        given = {"shelf": "Rowan", "summer": 2018, "reason": WHY, **override}
        document = choose(document, overrides=[given])
    return carried_out(document, folder)


def test_a_decision_redoes_its_summer_only_and_can_be_taken_back(made: Bay, tmp_path: Path) -> None:
    first = run(made, tmp_path)
    pixels = first.counts("rowan/2018", "2018-11-20")
    assert first.chosen("rowan/2018") == ["2018-11-20"]

    second = run(made, tmp_path, use=["2018-11-10"])
    assert second.chosen("rowan/2018") == ["2018-11-10"]
    redone = {receipt.key.partition("@")[0] for receipt in second.receipts}
    assert redone
    assert not any("2019" in key or key.startswith(("screen", "ground")) for key in redone)

    third = run(made, tmp_path)
    assert third.chosen("rowan/2018") == ["2018-11-20"]
    assert np.array_equal(third.counts("rowan/2018", "2018-11-20"), pixels)
    assert not run(made, tmp_path).receipts
    fourth = run(made, tmp_path, use=["2018-11-10"])
    assert fourth.chosen("rowan/2018") == ["2018-11-10"]


def test_what_a_person_used_and_left_out_is_told_with_the_reason(made: Bay, tmp_path: Path) -> None:
    done = run(made, tmp_path, use=["2018-11-10"])

    notes = {
        row.note.split(";")[1]: row.note
        for row in tables.read_rows((done.output / "tables" / "scenes.csv").read_bytes())
        if row.quantity == "valid_fraction"
    }
    assert f"chosen 1st by hand ({WHY.replace(';', ',')})" in notes["scene=2018-11-10"]
    assert f"left out by hand ({WHY.replace(';', ',')})" in notes["scene=2018-11-20"]
    (entry, _) = yaml.safe_load((done.output / "review.yaml").read_text())["overrides"]
    assert [str(day) for day in entry["use"]] == ["2018-11-10"]
    assert entry["reason"] == WHY
    again = run(made, tmp_path, use=entry["use"], drop=entry["drop"])
    assert not again.receipts


def test_a_dropped_scene_stays_dropped_in_the_entry_to_copy(made: Bay, tmp_path: Path) -> None:
    done = run(made, tmp_path, drop=["2018-11-20"])

    assert done.chosen("rowan/2018") == ["2018-11-10"]
    text = (done.output / "review.yaml").read_text()
    assert f"2018-11-20  landsat-8  left out by hand ({WHY})" in text
    (entry, _) = yaml.safe_load(text)["overrides"]
    assert [str(day) for day in entry["drop"]] == ["2018-11-20"]


def test_of_two_decisions_the_one_done_last_counts_as_done() -> None:
    from cluster.ledger import Receipt

    def stages(decision: str) -> tuple[Stage, ...]:
        def job(key: str, group: object) -> Receipt:
            return Receipt(key, "done")

        return (Stage("choose", (f"choose/0{decision}",), job, 1, 1.0, "", decided=True),)

    ledger: dict[str, Receipt] = {}
    seen = []
    for decision in ("", "+ab", "", "", "+ab", "+cd"):
        ((key,),) = dated_keys(stages(decision), ledger)
        seen.append(key)
        ledger.setdefault(key, Receipt(key, "done"))
    assert seen == [
        "choose/0", "choose/0+ab~1", "choose/0~2", "choose/0~2", "choose/0+ab~3", "choose/0+cd~4",
    ]  # fmt: skip
