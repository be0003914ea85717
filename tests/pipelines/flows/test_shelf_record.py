"""The record of synthetic shelves that other tests stand on: what it holds is what it says."""

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from pipelines.flows import finished_products, restoration_inputs
from pipelines.flows.scenes_candidates import read
from pipelines.kernels.imagery import quality_bits
from stac import contracts, ice_shelves
from stac.catalogue import open_catalogue
from tests.fixtures import shelf_catalogue, shelf_scenes, shelf_series
from tests.fixtures.shelf_catalogue import Known
from tests.fixtures.shelf_scenes import Record

SUMMERS = (2002, 2005, 2014)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    return shelf_scenes.write_scenes(
        tmp_path_factory.mktemp("record") / "scenes", ("birch", "cedar"), summers=SUMMERS,
        size=shelf_scenes.SMALL, striped=("cedar",),
    )  # fmt: skip


@pytest.fixture(scope="module")
def known(record: Record, tmp_path_factory: pytest.TempPathFactory) -> Known:
    return shelf_catalogue.write_catalogue(tmp_path_factory.mktemp("known"), record)


@pytest.fixture(scope="module")
def group(record: Record):
    return finished_products.find(str(record.output), role="scenes", product="scenes").source.open()


def test_each_summer_has_a_clear_and_a_cloudier_scene_of_its_satellite(record, group):
    for summer, platform in ((2002, "landsat-7"), (2005, "landsat-7"), (2014, "landsat-8")):
        made = group[f"cedar/{summer}"]
        candidates = read(made)
        cloud = [(mask & quality_bits.CLOUD != 0).mean() for mask in made["mask"][...]]

        assert [each.platforms for each in candidates] == [platform, platform]
        assert abs(candidates[0].day - candidates[1].day) >= shelf_scenes.APART
        assert min(cloud) < 0.1 < max(cloud)
        red = made["reflectance"][:, 0, ...][:, record.truth["cedar", summer].afloat]
        assert 0.5 < np.median(red[red > 0]) * 2.5e-5 < 1.1


def test_gaps_begin_in_2003_on_the_shelves_that_are_to_have_them(group):
    gaps = {
        path: (group[path]["mask"][...] & quality_bits.GAP != 0).mean()
        for path in (f"{shelf}/{summer}" for shelf in ("birch", "cedar") for summer in SUMMERS)
    }

    assert gaps.pop("cedar/2005") > 0.05
    assert set(gaps.values()) == {0.0}
    striped = restoration_inputs._striped(group["cedar/2005"], "cedar", 2005)
    assert striped.places == (0, 1)


def test_the_truth_is_that_of_the_world_on_the_day_of_the_clear_scene(record):
    for (name, summer), truth in record.truth.items():
        shelf = shelf_scenes.window_of(name, shelf_scenes.SMALL)
        middle = dt.date(summer + 1, 1, 15)

        assert abs((truth.day - middle).days) <= 16
        assert truth.totals == shelf_series.totals(shelf.world, shelf, truth.day)
        # The scale of the map is within 3 % there.
        area = truth.afloat.sum() * 9e-4
        assert truth.totals.extent_km2 == pytest.approx(area, rel=0.06)


def test_fronts_of_every_summer_are_those_of_the_world(record, known):
    (item,) = open_catalogue(known.address).search(known.fronts)
    regions = ice_shelves.shelf_regions(contracts.open_regions(item), buffer_m=0.0)

    assert {name: region.years for name, region in regions.items()} == {
        "birch": SUMMERS, "cedar": SUMMERS,
    }  # fmt: skip
    for (name, summer), truth in record.truth.items():
        # A front drawn along flow lines 120 m apart cuts pixels.
        drawn = regions[name].extents[summer].area / 1e6
        assert drawn == pytest.approx(truth.afloat.sum() * 9e-4, rel=0.02)


@pytest.mark.slow
def test_gaps_are_filled_in_a_real_run(record: Record, tmp_path: Path):
    outcome = shelf_catalogue.restore(tmp_path / "restored", record, patch=192, samples=1)
    made = finished_products.find(
        str(tmp_path / "restored"), role="restoration", product="restoration"
    ).source.open()["cedar/2005"]

    assert (outcome.failed, outcome.left) == (0, 0), outcome.failures
    assert (made["reflectance"][...] > 0).mean() > 0.99
    assert made["restored"][...].mean() > 0.05
