"""Products on disk: their form, their place, and that writing twice changes nothing."""

import hashlib
import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio

from pipelines.worlds import landsat_plan, landsat_record
from pipelines.worlds.landsat_plan import KINDS, PlanError
from pipelines.worlds.landsat_record import big_stack, write_landsat
from pipelines.worlds.shelves import demo_shelves
from stac import landsat_files, landsat_stack
from stac.landsat_items import granule

from .plain_ice import PlainIce

SIZE = 256
SUMMERS = (2005, 2021)


@pytest.fixture(scope="module")
def plain_shelves():
    """Draw plain ice in place of the world's shelves, which have tests of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(landsat_record, "surface", lambda _world, shelf, *, day: PlainIce(shelf.grid))
        yield


@pytest.fixture(scope="module")
def shelves(world):
    return demo_shelves(world, size=SIZE)[:1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("record")


@pytest.fixture(scope="module")
def record(world, shelves, folder, plain_shelves):
    return write_landsat(world, folder, shelves=shelves, summers=SUMMERS, days_per_summer=6)


def modified(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_a_summer_has_days_of_every_kind(record):
    for summer in SUMMERS:
        kinds = [
            record.kinds[path.parent.name] for path in record.scenes if f"/{summer}/" in str(path)
        ]
        assert set(kinds) == {kind.name for kind in KINDS[:6]}
        assert kinds.count("two rows") == 2


def test_images_are_tiled_cogs_on_landsats_lattice(record, shelves):
    west, south, east, north = shelves[0].grid.bounds
    for scene in record.scenes:
        for path in scene.parent.glob("*.TIF"):
            with rasterio.open(path) as image:
                assert image.driver == "GTiff"
                assert image.crs.to_epsg() == 3031
                assert (image.transform.a, image.transform.e) == (30.0, -30.0)
                assert (image.transform.c - 15.0) % 30.0 == 0.0
                assert (image.transform.f - 15.0) % 30.0 == 0.0
                assert image.overviews(1)[:2] == [2, 4]
                assert image.profile["compress"] == "deflate"
                assert image.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
                bounds = image.bounds
            assert west <= bounds.left < bounds.right <= east
            assert south <= bounds.bottom < bounds.top <= north


def test_counts_are_8_bits_on_landsat_7_and_16_after(record):
    for scene in record.scenes:
        product = scene.parent.name
        with rasterio.open(next(scene.parent.glob("*_B3.TIF"))) as image:
            assert image.dtypes[0] == ("uint8" if product.startswith("LE07") else "uint16")
            assert image.nodata == 0
        with rasterio.open(next(scene.parent.glob("*_QA_PIXEL.TIF"))) as image:
            assert (image.dtypes[0], image.nodata) == ("uint16", 1)


def test_platforms_are_those_that_flew(record):
    flown = {summer: set() for summer in SUMMERS}
    for scene in record.scenes:
        flown[int(scene.parent.parent.name)].add(scene.name[:4])

    assert flown[2005] == {"LE07"}
    assert flown[2021] <= {"LC08", "LC09"}


def test_the_ingest_of_real_products_takes_them(record):
    files = landsat_files.scene(str(record.scenes[0]))

    assert files.metadata.product_id == record.scenes[0].parent.name


def test_items_say_sizes_and_checksums_of_their_files(record):
    for path in record.items[:2]:
        for asset in json.loads(path.read_text())["assets"].values():
            data = (path.parent / asset["href"]).read_bytes()
            assert asset["file:size"] == len(data)
            assert asset["file:checksum"] == f"1220{hashlib.sha256(data).hexdigest()}"


def test_pixels_are_read_back_as_they_lie(record, shelves):
    path = record.items[-1]
    document = json.loads(path.read_text())
    for asset in document["assets"].values():
        asset["href"] = str(path.parent / asset["href"])
    scene = granule(document)

    grid = shelves[0].grid
    fill = landsat_stack.read(scene, "qa_pixel", grid) == 1

    assert landsat_stack.alignment(scene, grid) == "aligned"
    with np.load(record.skies[path.parent.name]) as truth:
        np.testing.assert_array_equal(fill, truth["fill"])


def test_truth_is_on_the_grid_of_the_shelf(record, shelves):
    for path in record.truth.values():
        with np.load(path) as archive:
            assert archive["damage"].shape == archive["kind"].shape == shelves[0].grid.shape
    for scene in record.scenes:
        with np.load(record.skies[scene.parent.name]) as sky:
            assert sky["cloud"].shape == sky["gap"].shape == shelves[0].grid.shape
            assert not (sky["gap"] & ~sky["fill"]).any()
            if not scene.name.startswith("LE07"):
                assert not sky["gap"].any()


def test_outlines_have_the_columns_of_measures(record, shelves):
    table = gpd.read_file(record.shelves)

    assert list(table["NAME"]) == [shelf.name for shelf in shelves]
    assert set(table["TYPE"]) == {"FL"}
    assert table.crs.to_epsg() == 3031


def test_writing_twice_changes_nothing(record, world, shelves, folder):
    before = modified(folder)

    again = write_landsat(world, folder, shelves=shelves, summers=SUMMERS, days_per_summer=6)

    assert again == record
    assert modified(folder) == before


def test_a_product_that_lost_a_file_is_written_again_alike(record, world, shelves, folder):
    lost = next(record.scenes[1].parent.glob("*_B3.TIF"))
    data, before = lost.read_bytes(), modified(folder)
    lost.unlink()

    write_landsat(world, folder, shelves=shelves, summers=SUMMERS, days_per_summer=6)

    assert lost.read_bytes() == data
    after = modified(folder)
    assert {path for path in after if after[path] != before[path]} == set(lost.parent.iterdir())


def test_another_seed_writes_other_weather(record, world, shelves, tmp_path, plain_shelves):
    other = write_landsat(
        world, tmp_path, shelves=shelves, summers=(2005,), days_per_summer=1, seed=2
    )

    same = next(path for path in record.scenes if path.name == other.scenes[0].name)
    one, two = (next(path.parent.glob("*_B3.TIF")).read_bytes() for path in (same, other.scenes[0]))
    assert one != two


def test_more_days_than_passes_are_refused(shelves):
    with pytest.raises(PlanError, match=r"found passes on \d+ days of summer 2005, expected 151"):
        landsat_plan.days(shelves[0].grid, 2005, count=151, seed=1)


def test_large_scenes_are_whole_and_kept(world, shelves, tmp_path, plain_shelves):
    scenes = big_stack(world, tmp_path, shelf=shelves[0], size=600, scenes=3)
    before = modified(tmp_path)

    assert big_stack(world, tmp_path, shelf=shelves[0], size=600, scenes=3) == scenes
    assert modified(tmp_path) == before
    assert len(set(scenes)) == 3
    with rasterio.open(next(scenes[0].parent.glob("*_B4.TIF"))) as image:
        assert image.shape == (600, 600)
        assert (image.read(1) > 0).mean() > 0.5
