"""Run files of a comparison: the example, addresses, and mistakes told with their keys."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from pipelines import settings
from pipelines.settings import SettingsError
from pipelines.settings_comparison import METHODS, ComparisonChoices, Dynamics
from tests.fixtures.commands import nunatak

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write the example with sections added to; a section of None is left out."""

    def write(**changes: dict[str, object] | object) -> Path:
        document = yaml.safe_load(settings.example("comparison"))
        for key, value in changes.items():
            both = isinstance(document.get(key), dict) and isinstance(value, dict)
            document[key] = {**document[key], **value} if both else value
        path = tmp_path / "comparison.yaml"
        path.write_text(yaml.safe_dump(document))
        return path

    return write


def test_the_example_is_printed_and_is_a_run_file_with_the_defaults(tmp_path: Path) -> None:
    result = nunatak("plan", "--example", "comparison")

    assert result.exit_code == 0
    assert result.output == settings.example("comparison")
    path = tmp_path / "run.yaml"
    path.write_text(result.output)
    run = settings.read(path)
    assert run.product == "comparison"
    assert run.choices == ComparisonChoices()
    assert run.choices.dynamics == Dynamics()
    assert run.period == (dt.date(2011, 2, 1), dt.date(2017, 6, 30))
    assert run.inputs.grounded_ice is run.inputs.shelves is None
    assert (run.inputs.published, run.inputs.gia, run.inputs.shelf_damage) == ((), (), ())


def test_products_and_files_are_addresses_relative_to_the_run_file(
    write: Write, tmp_path: Path
) -> None:
    run = settings.read(write(inputs={
        "gravimetry": ["./out/one", "s3://bucket/two"], "mass_budget": "budget",
        "published": ["./imbie.csv"], "gia": ["ice6g-d"], "grounded_ice": "measures",
    }))  # fmt: skip

    assert run.inputs.gravimetry == (str(tmp_path / "out" / "one"), "s3://bucket/two")
    assert run.inputs.mass_budget == (str(tmp_path / "budget"),)
    assert run.inputs.published == (str(tmp_path / "imbie.csv"),)
    # Collections are no addresses.
    assert (run.inputs.gia, run.inputs.grounded_ice) == (("ice6g-d",), "measures")


def test_what_a_person_may_choose_is_read(write: Write) -> None:
    run = settings.read(write(comparison={
        "rate": "mean",
        "combine": ["gravimetry", "mass_budget"],
        "shared": [{"name": "rebound", "methods": ["a", "b", "c"], "shares": [0.5, -1, 1]}],
        "published_periods": [{"name": "t", "first": "2011-02", "last": "2011-02"}],
        "dynamics": {"behind": [{"shelf": "amery", "regions": ["10", "11"]}], "longest_lag": 0},
    }))  # fmt: skip

    assert run.choices.rate == "mean"
    assert run.choices.combine == ("gravimetry", "mass_budget")
    assert run.choices.shared[0].shares == (0.5, -1.0, 1.0)
    assert run.choices.published_periods[0].last == "2011-02"
    assert run.choices.dynamics.behind[0].regions == ("10", "11")
    assert run.choices.dynamics.draws == 4000


def test_moving_what_is_compared_and_committing_oftener_make_no_other_run(write: Write) -> None:
    here = settings.run_id(settings.read(write()), {})
    moved = write(inputs={"gravimetry": ["s3://bucket/gravimetry"]}, comparison={"batch": 1})
    assert settings.run_id(settings.read(moved), {}) == here
    assert settings.run_id(settings.read(write(comparison={"rate": "mean"})), {}) != here


NO_METHOD = {name: [] for name in METHODS}


def period(first: str, last: str) -> dict[str, object]:
    return {"comparison": {"published_periods": [{"name": "t", "first": first, "last": last}]}}


MISTAKES = {
    "no method": ({"inputs": NO_METHOD}, "inputs.gravimetry: found no method, expected outputs of"),
    "damage alone": (
        {"inputs": {**NO_METHOD, "shelf_damage": ["d"]}},
        "inputs.gravimetry: found no method",
    ),
    "another rate": ({"comparison": {"rate": "median"}}, "comparison.rate: found 'median'"),
    "a misspelt key": (
        {"comparison": {"combined": []}},
        "comparison.combined: unknown key; did you mean 'combine'?",
    ),
    "a role": ({"inputs": {"gravity": []}}, "inputs.gravity: unknown key"),
    "one method": (
        {"comparison": {"shared": [{"name": "s", "methods": ["a"], "shares": [1]}]}},
        "found 1 methods and 1 shares, expected as many of each, two at least",
    ),
    "fewer shares": (
        {"comparison": {"shared": [{"name": "s", "methods": ["a", "b"], "shares": [1]}]}},
        "found 2 methods and 1 shares",
    ),
    "a method shared twice": (
        {"comparison": {"shared": [{"name": "s", "methods": ["a", "a"], "shares": [1, 1]}]}},
        "comparison.shared[0].methods: found a, a, expected each method once",
    ),
    "more than all of it": (
        {"comparison": {"shared": [{"name": "s", "methods": ["a", "b"], "shares": [1, 1.1]}]}},
        "comparison.shared[0].shares[1]: found 1.1, expected a part of a standard deviation",
    ),
    "a method combined twice": (
        {"comparison": {"combine": ["a", "a"]}},
        "comparison.combine: found a, a, expected each method once",
    ),
    "months backwards": (
        period("2012-02", "2012-01"),
        "comparison.published_periods[0].last: found 2012-01, expected 2012-02 or later",
    ),
    "a month that is none": (
        period("2012-13", "2013-01"),
        "published_periods[0].first: found '2012-13', expected a month, YYYY-MM",
    ),
    "half of the ice": ({"comparison": {"mask_share": 0.6}}, "found 0.6, expected a share of the"),
    "no draws": (
        {"comparison": {"dynamics": {"draws": 10}}},
        "comparison.dynamics.draws: found 10, expected a number of draws from 100",
    ),
    "a shelf without basins": (
        {"comparison": {"dynamics": {"behind": [{"shelf": "amery"}]}}},
        "comparison.dynamics.behind[0].regions: is missing",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", MISTAKES)
def test_mistakes_name_their_key_and_what_was_expected(write: Write, what: str) -> None:
    changes, said = MISTAKES[what]

    with pytest.raises(SettingsError) as refused:
        settings.read(write(**changes))

    assert said in str(refused.value)
    assert "1 mistake(s) in the run file" in str(refused.value)
