"""Runs of damage maps: what their tables say, and what is refused before anything is read."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
import zarr
from scipy import stats

from pipelines import settings, tables
from pipelines.flows.catalogue_inputs import InputError
from pipelines.flows.shelf_damage_arrays import SUMS, UNKNOWN, scenes_of, summers
from pipelines.lifecycle import Plan
from pipelines.settings import SettingsError

from . import networks_world as networks
from . import shelf_damage_world as world
from .conftest import opened
from .shelf_damage_world import Bay

PATH = "cedar/2010"
RATIO = 0.8 / 0.9
"""Precision over recall of the card."""


@pytest.fixture(scope="module")
def bay(tmp_path_factory: pytest.TempPathFactory) -> Bay:
    return world.bay(tmp_path_factory.mktemp("bay"), summers=(2010, 2012))


@pytest.fixture(scope="module")
def plan(bay: Bay, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Return a plan of which 2012 will not be covered enough."""
    folder = tmp_path_factory.mktemp("run")
    return bay.plan(folder, shelf_damage={"least_covered": 0.5, "overrides": [
        {"shelf": "Cedar", "summer": 2012, "reason": "too hazy", "publish": False},
    ]})  # fmt: skip


@pytest.fixture(scope="module")
def output(plan: Plan) -> Path:
    outcome = networks.executed(plan)
    assert (outcome.failed, outcome.left) == (0, 0), outcome.failures
    return Path(plan.output)


@pytest.fixture(scope="module")
def group(output: Path) -> zarr.Group:
    return opened(output)


def rows(output: Path, name: str) -> list[tables.Row]:
    return tables.read_rows((output / "tables" / f"{name}.csv").read_bytes())


def sums(group: zarr.Group, path: str = PATH) -> dict[str, float]:
    total = group[path]["block_sums"][...][:, :, 0].sum(axis=(0, 1))
    return dict(zip(SUMS, total.tolist(), strict=True))


def test_a_published_summer_has_its_area_its_fraction_and_the_area_of_its_shelf(output, group):
    found = {row.quantity: row for row in rows(output, "shelves")}
    told = sums(group)

    assert list(found) == ["damage_area", "damage_fraction", "shelf_area"]
    assert {row.unit for row in found.values()} == {"km2", "1"}
    assert {row.region for row in found.values()} == {"Cedar"}
    assert {row.region_set for row in found.values()} == {"fronts"}
    assert 0.0 < told["damage"] < told["known"]
    assert found["damage_area"].value == pytest.approx(told["damage"] / 1e6)
    assert found["damage_fraction"].value == pytest.approx(told["damage"] / told["known"])
    assert found["shelf_area"].value == pytest.approx(told["extent"] / 1e6)
    days = [each["label"] for each in scenes_of(group[PATH])]
    assert [found["damage_area"].period_start, found["damage_area"].period_end] == [
        type(found["damage_area"].period_start).fromisoformat(day) for day in sorted(days)
    ]


def test_bounds_are_those_of_equation_14_and_one_sigma_is_that_of_the_card(output, group):
    area, fraction = rows(output, "shelves")[:2]
    told = sums(group)
    note = area.told
    mapped = stats.t.ppf(0.5 + 0.5 * 0.682689492137, 1) * abs(math.log(RATIO))
    # and what nobody saw, as if it were like the rest
    sigma = math.hypot(mapped, (told["extent"] - told["known"]) / told["known"])

    assert float(note["lower"]) == pytest.approx(RATIO * area.value, abs=1e-4)
    # One evaluation bounds one side, the map itself the other.
    assert float(note["upper"]) == pytest.approx(area.value, abs=1e-4)
    assert area.uncertainty == pytest.approx(sigma * area.value)
    assert fraction.uncertainty == pytest.approx(sigma * fraction.value)
    assert float(note["expected"]) == pytest.approx(told["expected"] / 1e6, abs=1e-4)
    assert float(note["covered"]) == pytest.approx(told["known"] / told["extent"], abs=1e-4)
    assert note["extent"] == "front product"
    lower = float(fraction.told["lower"])
    assert lower == pytest.approx(RATIO * fraction.value, abs=1e-6)


def test_a_summer_without_a_map_says_why_and_how_much_is_covered(output, group):
    (row,) = rows(output, "unpublished")
    told = sums(group, "cedar/2012")

    assert row.quantity == "covered_fraction"
    assert row.note == "summer=2012;a person decided so: too hazy"
    assert row.value == pytest.approx((told["clear"] + told["water"]) / told["extent"])
    assert group["cedar/2012/published"][0] == 0


def test_the_share_of_each_scene_is_what_it_supplied_of_the_shelf(output, group):
    found = [row for row in rows(output, "scenes") if row.told["summer"] == "2010"]
    made = group[PATH]
    supplied = made["supplier"][...][made["extent"][...] > 0]

    assert [row.quantity for row in found] == ["supplied_fraction"] * 2
    for number, row in enumerate(found, start=1):
        assert row.value == pytest.approx((supplied == number).mean())
        assert row.told["sensors"] == "LE07"
        assert row.told["slc_off"] == "1"


def test_the_product_says_what_it_was_made_from(output, group):
    told = group.attrs["nunatak:uncertainty"]

    assert group.attrs["nunatak:product"] == "shelf_damage"
    assert told["source"] == "the card of nets/tiny"
    assert summers(group, "cedar") == (2010, 2012)
    packing = dict(group[PATH]["probability"].attrs)
    assert packing["scale_factor"] == 1 / 250
    assert packing["_FillValue"] == UNKNOWN
    for name in ("item.json", "run.yaml", "receipts.jsonl", "review.yaml"):
        assert (output / name).exists(), name


def test_receipts_tell_the_scene_and_the_model(output, plan):
    found = networks.receipts(output)
    keys = {key for stage in plan.stages for key in stage.keys}

    assert set(found) == keys
    first = found[f"segment/{PATH}/0/0/0"]
    assert first.model == plan.stages[0].job.weights.sha256
    assert len(first.inputs[0]) == len("2011-01-01")


def test_a_run_that_is_done_does_nothing_more(bay, plan, output):
    worked: list[str] = []
    with networks.here():
        plan.execute(on_receipt=lambda receipt: worked.append(receipt.key))

    assert worked == []


def test_a_plan_tells_its_scenes_its_weights_and_its_fronts(plan):
    assert "4 scenes of 2 summers of 1 shelves" in plan.notes
    assert any("errors of areas are from the card of nets/tiny" in note for note in plan.notes)
    assert "fronts are given for 2 of 2 summers" in plan.notes
    assert {stage.name for stage in plan.stages} == {"segment", "extent", "merge", "judge"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"inputs": {"scenes": None}}, r"inputs\.scenes: found neither of scenes and images"),
        ({"inputs": {"images": ["pictures"]}}, r"inputs\.scenes: found both of scenes and images"),
        (
            {"inputs": {"scenes": None, "images": ["pictures"], "restoration": "x"}},
            "found without scenes; name the scenes that it restored",
        ),
        ({"shelf_damage": {"tiles": {"tile": 100}}}, "found 100, expected a multiple of 32"),
        ({"shelf_damage": {"tiles": {"tile": 96, "overlap": 64}}}, "at most half a tile, 48"),
        ({"shelf_damage": {"parts": [{"shelf": "Cedar", "name": "a b", "within_km": 1}]}},
         "letters, digits and underscores"),
        ({"shelf_damage": {"overrides": [{"shelf": "Cedar", "summer": 2010, "reason": "x"}]}},
         "neither drop nor publish is given"),
    ],
)  # fmt: skip
def test_run_files_that_contradict_themselves_are_refused(bay, tmp_path, changes, said):
    with pytest.raises(SettingsError, match=said):
        bay.plan(tmp_path, **changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"inputs": {"scenes": "/nowhere"}}, "holds no finished product"),
        ({"shelf_damage": {"shelves": ["Ross"]}}, "the scenes hold no ross; they hold cedar"),
        ({"shelf_damage": {"summers": [2003]}}, "no chosen scene lies in the period"),
        ({"period": ["2015-01-01", "2016-01-01"]}, "no chosen scene lies in the period"),
        ({"shelf_damage": {"tiles": {"tile": 160, "overlap": 0}}},
         r"advance by 160 pixels, which does not divide blocks of 2048"),
        ({"shelf_damage": {"parts": [{"shelf": "Ross", "name": "front", "within_km": 9}]}},
         r"parts\[0\]: no shelf 'Ross' in this run, which has cedar"),
        ({"shelf_damage": {"parts": [{"shelf": "Cedar", "name": "front", "within_km": 9}]}},
         "cannot be told without grounded ice"),
        ({"shelf_damage": {"parts": [{"shelf": "Cedar", "name": "front", "within_km": n}
                                     for n in (1, 2)]}}, "has a part 'front' already"),
    ],
)  # fmt: skip
def test_runs_that_do_not_fit_what_there_is_are_refused(bay, tmp_path, changes, said):
    with pytest.raises(InputError, match=said):
        bay.plan(tmp_path, **changes)


def test_weights_of_other_bands_are_refused(bay, tmp_path):
    data = world.segmenter(channels=("red",), mean=(0.75,), std=(0.2,))
    name = networks.add_weights(Path(bay.known.address), data, "narrow", tmp_path / "in")

    with pytest.raises(InputError, match=r"nets/narrow looks at red, expected red, green, blue"):
        bay.plan(tmp_path, inputs={"segmenter": name})


def test_scenes_of_bytes_and_restorations_of_other_scenes_are_refused(bay, tmp_path):
    networks.write_scenes(tmp_path / "bytes", networks.stored_scenes(), encoding="paper")
    inputs = {"scenes": str(tmp_path / "bytes")}
    with pytest.raises(InputError, match=r"as paper, expected reflectance"):
        bay.plan(tmp_path, inputs=inputs)

    folder = write_restoration(tmp_path / "restored", {"scenes/scenes": "another snapshot"})
    with pytest.raises(InputError, match="was made from another version of the scenes than"):
        bay.plan(tmp_path, inputs={"restoration": folder})


def write_restoration(output: Path, inputs: dict[str, str]) -> str:
    """Write an empty finished restoration that was made from something."""
    import json

    from cluster.zarr_sink import Repository

    def template(group: zarr.Group) -> None:
        run = yaml.safe_dump({"product": "restoration", "restoration": {}})
        group.attrs.update({"nunatak:product": "restoration", "nunatak:run": run,
                            "nunatak:inputs": inputs})  # fmt: skip

    output.mkdir()
    repository = Repository.open(str(output / "product.icechunk"))
    version = repository.begin("drawn")
    version.initialise(template)
    snapshot = repository.read(version.publish()).session.snapshot_id
    corners = [[0, -80], [1, -80], [1, -79], [0, -79], [0, -80]]
    item: dict[str, Any] = {
        "type": "Feature", "stac_version": "1.1.0", "id": "r", "bbox": [0, -80, 1, -79],
        "geometry": {"type": "Polygon", "coordinates": [corners]}, "links": [], "assets": {},
        "properties": {"datetime": "2011-12-05T13:00:00Z", "nunatak:snapshot": snapshot},
    }  # fmt: skip
    (output / "item.json").write_text(json.dumps(item))
    return str(output)


def test_shelves_whose_names_are_no_names_of_files_are_refused(bay, tmp_path):
    from pipelines.flows import shelf_damage, shelf_damage_inputs

    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(bay.document()))
    found = shelf_damage_inputs.resolve(settings.read(path))
    named = tuple(dataclasses.replace(each, name="LE07") for each in found.summers)
    with pytest.raises(InputError, match=r"^regions: "):
        shelf_damage._require_names(dataclasses.replace(found, summers=named))


def test_the_memory_of_a_block_grows_with_its_tiles_and_not_with_its_scenes(bay, tmp_path):
    few, many = (
        {stage.name: stage.bytes_per_task for stage in bay.plan(tmp_path, **changes).stages}
        for changes in ({}, {"shelf_damage": {"tiles": {"tile": 128, "overlap": 64}}})
    )

    assert many["segment"] > few["segment"]
    assert many["merge"] == few["merge"]
    assert np.all([value > 0 for value in few.values()])
