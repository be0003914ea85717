"""What cannot be compared is refused when it is planned; what fails later fails its key alone."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.storage import MemoryStore

from cluster.ledger import KeyFailed
from pipelines import stored
from pipelines.flows import comparison_inputs, finished_products
from pipelines.flows.catalogue_inputs import InputError
from pipelines.flows.finished_products import Finished
from tests.fixtures.commands import nunatak
from tests.fixtures.comparison import Altered, Common, plan_of, worked, write_shelf_damage
from tests.fixtures.damaged_chunks import damaged_copy

from .conftest import opened, write_document

Alter = Callable[[Callable[[Finished], Mapping[str, Any]]], None]

TABLE = "basin,MB_2011-2012,MB_sigma_2011-2012\n22,-50,4\n"
UNDATED = "basin,mass_rate_grace,sigma_grace\n22,-50,4\n"


def refused(common: Common, folder: Path, match: str, *methods: str, **changes: Any) -> None:
    with pytest.raises(InputError, match=match):
        plan_of(common.document(*methods, **changes), folder)


@pytest.fixture
def alter(monkeypatch: pytest.MonkeyPatch) -> Alter:
    """Let finished products tell of another run than their own; making one would take a run."""

    def alter(change: Callable[[Finished], Mapping[str, Any]]) -> None:
        find = finished_products.find

        def found(address: str, *, role: str, product: str) -> Finished:
            held = find(address, role=role, product=product)
            return dataclasses.replace(held, run={**held.run, **change(held)})

        monkeypatch.setattr(comparison_inputs.finished_products, "find", found)

    return alter


def test_a_product_that_is_not_finished_is_refused(common: Common, tmp_path: Path) -> None:
    nothing = {"altimetry": [str(tmp_path / "nothing")]}
    match = r"inputs\.altimetry: .*holds no finished product; run altimetry to its end first"
    refused(common, tmp_path, match, "mass_budget", inputs=nothing)

    shutil.copytree(common.address("mass_budget"), tmp_path / "untold")
    (tmp_path / "untold" / "item.json").unlink()
    untold = {"mass_budget": [str(tmp_path / "untold")]}
    match = r"inputs\.mass_budget: .*untold holds no finished product"
    refused(common, tmp_path, match, "altimetry", inputs=untold)


def test_a_product_of_another_kind_is_refused(common: Common, tmp_path: Path) -> None:
    wrong = {"gravimetry": [common.address("altimetry")]}
    match = r"inputs\.gravimetry: .*holds 'altimetry', expected 'gravimetry'"
    refused(common, tmp_path, match, "mass_budget", inputs=wrong)
    damage = {"shelf_damage": [common.address("mass_budget")]}
    match = r"inputs\.shelf_damage: .*holds 'mass_budget', expected 'shelf_damage'"
    refused(common, tmp_path, match, "altimetry", inputs=damage)


def test_two_products_of_one_name_are_refused(common: Common, tmp_path: Path) -> None:
    shutil.copytree(common.address("mass_budget"), tmp_path / "other" / "mass_budget")
    both = [common.address("mass_budget"), str(tmp_path / "other" / "mass_budget")]
    match = "several methods are called mass_budget; put their outputs in folders of different"
    refused(common, tmp_path, match, "altimetry", inputs={"mass_budget": both})


def test_a_published_file_of_a_product_s_name_is_refused(common: Common, tmp_path: Path) -> None:
    (tmp_path / "altimetry.csv").write_text(TABLE)
    match = "several methods are called altimetry"
    refused(common, tmp_path, match, "altimetry", inputs={"published": ["altimetry.csv"]})


def test_two_products_of_one_kind_are_called_by_their_folders(
    common: Common, tmp_path: Path
) -> None:
    shutil.copytree(common.address("mass_budget"), tmp_path / "one gate; @b")
    both = [common.address("mass_budget"), str(tmp_path / "one gate; @b")]
    (tmp_path / "=SUM(A1), a@b.csv").write_text(TABLE)

    document = common.document(
        "altimetry", inputs={"mass_budget": both, "published": ["=SUM(A1), a@b.csv"]}
    )
    done = worked(document, tmp_path)

    # Nothing in a name can end a note, a key or a label, or begin a formula.
    assert done.labels("method") == [
        "altimetry", "mass_budget", "one_gate___b", "_SUM_A1___a_b",
    ]  # fmt: skip
    assert "sum/one_gate___b" in done.notes
    first, second = (done.of("mass_rate", name) for name in ("mass_budget", "one_gate___b"))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("choices", "match"),
    [
        ({"combine": ["gravity"]},
         r"comparison\.combine: no method gravity; there are altimetry, mass_budget"),
        ({"shared": [{"name": "snow", "methods": ["altimetry", "budget"], "shares": [0.5, 0.5]}]},
         r"comparison\.shared\.snow: no method budget; there are altimetry, mass_budget"),
        ({"published_periods": [{"name": "table", "first": "2011-01", "last": "2012-01"}]},
         r"comparison\.published_periods: found table; there is no file"),
    ],
)  # fmt: skip
def test_methods_and_files_that_are_not_there_are_refused(
    common: Common, tmp_path: Path, choices: dict[str, Any], match: str
) -> None:
    refused(common, tmp_path, match, "altimetry", "mass_budget", comparison=choices)


def test_a_published_file_that_cannot_be_read_is_refused_with_its_name(
    common: Common, tmp_path: Path
) -> None:
    files = {
        "undated": (UNDATED, r"undated: the table does not say of which years its rates are; give"),
        "damage": ("table,row,metric,value\n3,a,b,1\n", "damage: found the columns table, row"),
        "empty": ("", "empty has 0 lines"),
    }
    for name, (text, match) in files.items():
        (tmp_path / f"{name}.csv").write_text(text)
        named = {"published": [f"{name}.csv"]}
        refused(common, tmp_path, rf"inputs\.published: {match}", "altimetry", inputs=named)


def test_a_published_file_named_twice_is_refused(common: Common, tmp_path: Path) -> None:
    (tmp_path / "yang.csv").write_text(TABLE)
    named = {"published": ["yang.csv", "yang.csv"]}
    match = r"yang: region 22 has a rate of 2011-07-01 to 2012-07-01 after one .*named twice"
    refused(common, tmp_path, match, "altimetry", inputs=named)


def test_the_months_of_a_table_that_does_not_say_them_are_those_that_are_given(
    common: Common, tmp_path: Path
) -> None:
    (tmp_path / "sasgen 2019.csv").write_text(UNDATED)
    document = common.document(
        "altimetry", inputs={"published": ["sasgen 2019.csv"]},
        comparison={"published_periods":
                    [{"name": "sasgen_2019", "first": "2011-02", "last": "2013-01"}]},
    )  # fmt: skip

    done = worked(document, tmp_path)

    assert done.at("mass_rate", "sasgen_2019-grace", "22") == -50e12
    assert done.at("covered", "sasgen_2019-grace", "22") == pytest.approx(1.0)
    assert np.isnan(done.at("mass_rate", "sasgen_2019-grace", "21"))
    # Published rates count twice where there are products of ours.
    assert "combined: altimetry" in done.plan.notes[0]


def test_published_rates_alone_are_combined(common: Common, tmp_path: Path) -> None:
    for name, value in (("one", -50), ("other", -30)):
        (tmp_path / f"{name}.csv").write_text(TABLE.replace("-50", str(value)))
    inputs = {"published": ["one.csv", "other.csv"], "mass_budget": []}

    document = common.document("mass_budget", inputs=inputs, period=["2011-07-01", "2012-06-30"])
    done = worked(document, tmp_path)

    assert done.labels("method") == ["one", "other"]
    row = done.labels("row").index("22")
    assert done["combined"][0][row] == pytest.approx(-40e12)
    assert done["combined_sigma"][0][row] == pytest.approx(4e12 / np.sqrt(2.0))
    # One class of observations: more of it makes the error no smaller.
    assert done["combined_sigma"][1][row] == pytest.approx(4e12)
    assert done.notes["together"].startswith("no disagreement to explain")


def test_errors_without_a_number_are_no_part_of_closures(common: Common, tmp_path: Path) -> None:
    (tmp_path / "bare.csv").write_text("basin,MB_2011-2013\n22,-50\n")
    document = common.document("altimetry", inputs={"published": ["bare.csv"]})

    done = worked(document, tmp_path)

    assert done.at("mass_rate", "bare", "22") == -50e12
    assert np.isnan(done["closure"]).all()
    assert done.notes["together"].endswith("not compared for want of years or rates: bare")


def test_what_is_not_in_the_catalogue_is_refused(common: Common, tmp_path: Path) -> None:
    match = r"inputs\.regions: the catalogue .* has no collection 'basin'; did you mean 'basins'"
    refused(common, tmp_path, match, "altimetry", regions="basin")
    match = r"inputs\.regions: 'gia' holds GIA\.NUNAT of kind 'gia', expected basins or boundaries"
    refused(common, tmp_path, match, "altimetry", regions="gia")
    match = r"inputs\.gia: 'basins' holds .* of kind 'basins', expected gia"
    refused(common, tmp_path, match, "gravimetry", inputs={"gia": ["basins"]})
    match = r"inputs\.shelves: 'gia' holds .* expected ice-shelves or basins or boundaries"
    refused(common, tmp_path, match, "altimetry", inputs={"shelves": "gia"})


def test_a_shelf_without_basins_is_refused_and_says_what_to_do(
    common: Common, tmp_path: Path
) -> None:
    damage = {"shelf_damage": [common.address("shelf_damage")]}
    match = "which basins lie behind cedar is not known; name polygons of ice shelves as"
    refused(common, tmp_path, match, "mass_budget", inputs=damage)
    far = {"behind": [{"shelf": "CEDAR", "regions": ["22"]}]}
    match = "which basins lie behind Alder East is not known"
    refused(common, tmp_path, match, "mass_budget", inputs=damage, comparison={"dynamics": far})
    other = {"behind": [{"shelf": "Amery", "regions": ["10"]}]}
    match = r"dynamics\.behind: no shelf amery is mapped; there is cedar, alder east"
    refused(common, tmp_path, match, "mass_budget", inputs={**damage, "shelves": "shelves"},
            comparison={"dynamics": other})  # fmt: skip


def test_basins_that_a_person_names_are_those_behind(common: Common, tmp_path: Path) -> None:
    behind = [{"shelf": "Cedar", "regions": ["21", "22"]}]
    document = common.document(
        "mass_budget",
        inputs={"shelf_damage": [common.address("shelf_damage")], "shelves": "shelves"},
        comparison={"dynamics": {"behind": behind}},
    )

    found = plan_of(document, tmp_path).stages[-1].job.jobs["dynamics"].shelves  # type: ignore[union-attr]

    assert {each.shelf: each.behind for each in found} == {
        "cedar": ("21", "22"), "Alder East": ("21",),
    }  # fmt: skip


def test_basins_that_the_budget_has_not_are_refused(common: Common, tmp_path: Path) -> None:
    both = [{"shelf": name, "regions": ["22", "nowhere"]} for name in ("cedar", "Alder East")]
    damage = {"shelf_damage": [common.address("shelf_damage")]}
    match = r"comparison\.dynamics: the mass budget has no region nowhere behind cedar; it has 1, 2"
    refused(common, tmp_path, match, "mass_budget", inputs=damage,
            comparison={"dynamics": {"behind": both}})  # fmt: skip


def test_a_shelf_that_two_products_map_is_refused(common: Common, tmp_path: Path) -> None:
    other = write_shelf_damage(tmp_path / "again", {"Cedar": {2011: (0.2, 0.1)}})
    inputs = {
        "shelf_damage": [common.address("shelf_damage"), str(other)], "shelves": "shelves",
    }  # fmt: skip
    match = "several products map cedar; name one of each"
    refused(common, tmp_path, match, "mass_budget", inputs=inputs)


def test_a_table_of_damage_that_is_none_is_refused(common: Common, tmp_path: Path) -> None:
    made = write_shelf_damage(tmp_path / "damage")
    (made / "tables" / "shelves.csv").write_text("shelf,damage\ncedar,0.1\n")
    match = r"inputs\.shelf_damage: .*shelves\.csv: found columns shelf, damage; expected product"
    refused(common, tmp_path, match, "mass_budget", inputs={"shelf_damage": [str(made)]})


def test_a_combination_whose_sources_moved_needs_them_named(
    common: Common, tmp_path: Path, alter: Alter
) -> None:
    moved = {role: str(tmp_path / role) for role in ("gravimetry", "altimetry")}
    alter(lambda held: {"inputs": moved} if held.role == "combination" else {})

    match = r"inputs\.combination: .*was made of .*gravimetry, which cannot be opened .*name its"
    refused(common, tmp_path, match, "combination")
    match = r"was made of .*altimetry, which cannot be opened .*as inputs\.altimetry"
    refused(common, tmp_path, match, "combination", "gravimetry")
    done = worked(common.document("gravimetry", "altimetry", "combination"), tmp_path)
    assert np.isfinite(done.of("mass_rate", "combination")).all()
    names = done.labels("method")
    shared = done["mass_rate_shared"][names.index("combination"), names.index("altimetry")]
    assert np.abs(shared).max() > 0.0


def test_a_budget_whose_catalogue_is_gone_cannot_be_summed_over_other_regions(
    common: Common, tmp_path: Path, alter: Alter
) -> None:
    alter(lambda held: {"catalogue": str(tmp_path / "gone")} if held.role == "mass_budget" else {})

    same = worked(common.document("mass_budget"), tmp_path)
    assert np.isfinite(same.of("mass_rate", "mass_budget")).all()
    with pytest.raises(KeyFailed, match=r"its regions 'basins' are not to be had from .*gone"):
        worked(common.document("mass_budget", regions="few"), tmp_path)


def test_too_few_months_fail_gravimetry_and_say_how_many_there_are(
    common: Common, tmp_path: Path
) -> None:
    document = common.document("gravimetry", "altimetry", period=["2011-02-01", "2011-08-31"])

    with pytest.raises(KeyFailed, match=r"gravimetry: \d months in the common period \(\d epochs"):
        worked(document, tmp_path)
    document["period"] = ["2003-01-01", "2004-12-31"]
    with pytest.raises(KeyFailed, match="gravimetry: 0 months in the common period"):
        worked(document, tmp_path)


def test_a_total_that_was_corrected_cannot_be_summed_over_other_regions(
    common: Common, tmp_path: Path
) -> None:
    product = opened(Path(common.address("combination")))
    rate = stored.read(product, "region_mass_rate")
    corrected = Altered(product, arrays={"region_mass_rate": rate + 2e12})

    def sums(regions: str) -> zarr.Group:
        plan = plan_of(common.document("combination", regions=regions), tmp_path)
        job = plan.stages[0].job.jobs["sum/combination"]  # type: ignore[union-attr]
        method = dataclasses.replace(job.method, source=corrected)
        group = zarr.open_group(MemoryStore(), mode="w")
        plan.template(group)
        dataclasses.replace(job, method=method)("sum/combination", group)
        return group

    own = stored.read(sums("basins"), "mass_rate")[0]
    np.testing.assert_allclose(own, rate[:-1] + 2e12, rtol=1e-9)
    with pytest.raises(KeyFailed, match="its total was corrected over other regions; run combi"):
        sums("few")


def test_shares_that_are_more_than_all_of_an_error_say_to_lower_them(
    common: Common, tmp_path: Path
) -> None:
    both = {"name": "all", "methods": ["gravimetry", "altimetry"], "shares": [1.0, 1.0]}
    document = common.document("gravimetry", "altimetry", comparison={"shared": [both]})

    match = r"gravimetry, altimetry: the covariance is not positive definite .*lower the shares of"
    with pytest.raises(KeyFailed, match=match):
        worked(document, tmp_path)


def test_a_share_that_a_third_method_does_not_feel_costs_no_closure(
    common: Common, tmp_path: Path
) -> None:
    """What gravimetry does not see comes from altimetry, so it would feel altimetry's snow too."""
    snow = {"name": "snow", "methods": ["altimetry", "mass_budget"], "shares": [0.5, -0.4]}

    done = worked(common.document(comparison={"shared": [snow]}), tmp_path)

    assert np.isfinite(done["closure"]).all()
    names = done.labels("method")
    i, j = names.index("altimetry"), names.index("mass_budget")
    variance = done["rate_covariance"][:, [i, j], [i, j]]
    expected = -0.2 * np.sqrt(variance.prod(axis=1))
    np.testing.assert_allclose(done["rate_covariance"][:, i, j], expected)
    assert done.notes["together"].startswith("no cause is asked about: the covariance of 54")
    assert np.isnan(done["cause_evidence"]).all()


def test_people_see_words_and_no_traceback(common: Common, tmp_path: Path) -> None:
    path = write_document(
        tmp_path, common.document("altimetry", inputs={"published": ["nowhere.csv"]})
    )

    for command in ("plan", "run", "status"):
        result = nunatak(command, path)
        assert result.exit_code == 2
        assert "nowhere.csv: there is nothing at this address; check it" in result.output
        assert "Traceback" not in result.output
    result = nunatak("plan", path, "--set", "inputs.published=[]", "--json",
                     "--set", "comparison.combine=[altimetri]")  # fmt: skip
    assert result.exit_code == 2
    said = json.loads(result.stdout.splitlines()[-1])
    assert said["error"] == "InputError"
    assert said["message"].startswith("comparison.combine: no method altimetri")


def test_a_damaged_chunk_of_one_product_costs_its_method_and_the_others_are_compared(
    common: Common, tmp_path: Path
) -> None:
    chunk = "mass_rate_perturbation/c/0/0/0/0"
    copy = damaged_copy(Path(common.address("gravimetry")), tmp_path / "gravimetry", chunk)
    document = common.document("altimetry", "mass_budget", inputs={"gravimetry": [str(copy)]})
    outcome = plan_of(document, tmp_path).execute(None)

    reasons = {key.partition("@")[0]: why for key, why in outcome.failures}
    assert "a chunk of mass_rate_perturbation in" in reasons["sum/gravimetry"]
    assert not {"sum/altimetry", "sum/mass_budget"} & set(reasons)
    assert outcome.done >= 2
