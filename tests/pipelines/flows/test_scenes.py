"""Scenes from catalogue to stack: every pixel computed again from the files, the set by hand."""

import json
from pathlib import Path

import geopandas as gpd
import matplotlib.image
import numpy as np
import pystac
import pytest
import rasterio
import shapely
import xarray as xr
import yaml

from pipelines import tables
from pipelines.kernels.imagery import quality_bits as bits

from .scenes_world import (
    CLEAR,
    CLOUD,
    ROI,
    SHADOW,
    Bay,
    Done,
    Shot,
    bay,
    carried_out,
    choose,
    counts,
    part,
    pixels,
)

FULL = Shot("2014-12-10T12:00:00", cloud=lambda r, c: (r < 40) & (c < 40), seed=1)
LEFT = Shot("2014-12-03T12:00:00", path=8, cloud=lambda _, c: c > 200, seed=2)
RIGHT = Shot("2014-12-05T12:00:00", path=9, cloud=lambda _, c: c < 200, seed=3)
CLOUDED = Shot("2014-12-20T12:00:00", path=10, cloud=lambda r, _: r > -99, cover=79.0, seed=4)
OVERCAST = Shot("2014-12-22T12:00:00", path=11, cloud=lambda r, _: r > -99, cover=81.0, seed=5)
WEST = Shot("2015-12-03T12:00:00", path=8, grid=part((-20, 340), (-20, 190)), seed=6)
EAST = Shot("2015-12-05T12:00:00", path=9, grid=part((-20, 340), (170, 340)), seed=7)
LATER = Shot("2016-03-01T12:00:00", path=9, grid=part((-20, 340), (150, 340)), seed=8)
SHOTS = [FULL, LEFT, RIGHT, CLOUDED, OVERCAST, WEST, EAST, LATER]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bay:
    return bay(tmp_path_factory.mktemp("bay"), SHOTS)


@pytest.fixture(scope="module")
def done(made: Bay, tmp_path_factory: pytest.TempPathFactory) -> Done:
    document = made.document(2014, period=["2014-11-01", "2016-03-31"])
    return carried_out(document, tmp_path_factory.mktemp("run"))


def test_one_clear_scene_is_enough_and_two_halves_are_taken_near_in_time(done: Done) -> None:
    assert done.outcome.failed == done.outcome.left == 0
    assert done.chosen("rowan/2014") == ["2014-12-10"]
    assert sorted(done.chosen("rowan/2015")) == ["2015-12-03", "2015-12-05"]


def test_stored_counts_are_reflectance_computed_from_files_and_mtl_pixel_for_pixel(
    done: Done, made: Bay
) -> None:
    for path, shot in (("rowan/2014", FULL), ("rowan/2015", WEST), ("rowan/2015", EAST)):
        stored = done.counts(path, shot.start[:10])
        exact = counts(made, shot)
        assert np.array_equal(stored == 0, exact == 0)
        # Single precision is a tenth of a count of this.
        assert np.abs(stored.astype(float) - exact).max() <= 1
        assert (stored != exact).mean() < 0.005


def test_mask_is_qa_pixel_bit_for_bit_with_saturation_from_qa_radsat(done: Done, made: Bay) -> None:
    for path, shot in (("rowan/2014", FULL), ("rowan/2015", WEST)):
        mask = done.mask(path, shot.start[:10])
        quality = pixels(made.file(shot, "qa_pixel"), fill=1)
        radsat = pixels(made.file(shot, "qa_radsat"))
        assert np.array_equal(mask & 0xFF, quality & 0xFF)
        assert np.array_equal((mask & bits.SATURATED) != 0, (radsat & 0b1110) != 0)
        assert np.array_equal((mask & bits.SATURATED_ALL) != 0, (radsat & 0b1110) == 0b1110)
        assert set(np.unique(quality)) >= {CLEAR, SHADOW}
        assert not (mask & (bits.GAP | bits.OPINION | bits.SEAM)).any()
    assert (pixels(made.file(FULL, "qa_pixel")) == CLOUD).any()


def test_scores_are_fractions_of_the_region_in_the_files(done: Done, made: Bay) -> None:
    roi = done.array("rowan/roi") > 0
    labels = done.words("rowan/2014/candidate")
    names, score = done.words("rowan/2014/quantity"), done.array("rowan/2014/score")
    for shot in (FULL, LEFT, RIGHT, CLOUDED):
        quality = pixels(made.file(shot, "qa_pixel"), fill=1)
        inside = np.kron(roi, np.ones((10, 10), dtype=bool))
        exact = {
            "valid": ((quality & (1 | 8 | 16)) == 0)[inside].mean(),
            "cloud": ((quality & 8) != 0)[inside].mean(),
            "shadow": ((quality & 16) != 0)[inside].mean(),
            "observed": ((quality & 1) == 0)[inside].mean(),
        }
        row = score[labels.index(shot.start[:10])]
        for name, value in exact.items():
            # One pixel stands for a hundred: an edge of cloud may be a cell off.
            assert row[names.index(name)] == pytest.approx(value, abs=0.035), (shot.start, name)


def test_the_region_is_the_outline_with_its_buffer_on_cells_of_300_m(done: Done) -> None:
    west, south, east, north = ROI.bounds
    inner = shapely.box(west + 605, south + 605, east - 605, north - 605).buffer(600.0)
    x, y = np.meshgrid(ROI.coarser(10).x, ROI.coarser(10).y)

    assert np.array_equal(done.array("rowan/roi"), shapely.contains_xy(inner, x, y))


def test_the_plain_copy_opens_in_xarray_as_reflectance_with_its_place(
    done: Done, made: Bay
) -> None:
    opened = xr.open_zarr(done.output / "product.zarr", group="rowan/2014")
    seen = opened.reflectance.isel(scene=done.place("rowan/2014", "2014-12-10"))

    exact = counts(made, FULL) * 2.5e-5
    np.testing.assert_allclose(seen, np.where(exact == 0, np.nan, exact), atol=2.6e-5)
    np.testing.assert_array_equal(opened.x, ROI.x)
    np.testing.assert_array_equal(opened.y, ROI.y)
    assert (np.diff(opened.y) == -30.0).all()
    assert opened.reflectance.attrs["grid_mapping"] == opened["mask"].attrs["grid_mapping"] == "crs"
    assert rasterio.CRS.from_wkt(opened.crs.attrs["crs_wkt"]).to_epsg() == 3031
    assert [int(m) for m in opened["mask"].attrs["flag_masks"]] == list(bits.FLAG_MASKS)
    assert opened["mask"].attrs["flag_meanings"].split()[3] == "cloud"


def test_places_that_no_scene_took_have_no_chunks(done: Done) -> None:
    for path, used in (("rowan/2014", {0}), ("rowan/2015", {0, 1})):
        for name in ("reflectance", "mask"):
            chunks = done.output / "product.zarr" / path / name / "c"
            assert {int(found.name) for found in chunks.iterdir()} == used


def test_every_key_has_one_done_receipt_naming_the_granules_it_read(done: Done) -> None:
    lines = (done.output / "receipts.jsonl").read_text().splitlines()
    receipts = {json.loads(line)["key"].partition("@")[0]: json.loads(line) for line in lines}

    assert len(receipts) == len(lines) == sum(len(stage.keys) for stage in done.plan.stages)
    assert {receipt["state"] for receipt in receipts.values()} == {"done"}
    assert receipts["store/rowan/2014/0"]["inputs"] == [FULL.id]
    assert receipts["store/rowan/2014/1"]["inputs"] == []
    screened = {
        name for key, receipt in receipts.items() if key.startswith("screen/")
        for name in receipt["inputs"]
    }  # fmt: skip
    assert screened == {shot.id for shot in SHOTS} - {OVERCAST.id}


def test_the_table_tells_what_each_candidate_shows_and_what_is_covered(done: Done) -> None:
    rows = tables.read_rows((done.output / "tables" / "scenes.csv").read_bytes())

    def of(quantity: str, *notes: str) -> list[float]:
        return [
            row.value for row in rows
            if row.quantity == quantity and all(note in row.note for note in notes)
        ]  # fmt: skip

    assert of("valid_fraction", "scene=2014-12-20") == [0.0]
    assert of("cloud_fraction", "scene=2014-12-20") == [pytest.approx(1.0, abs=0.04)]
    assert of("valid_fraction", "scene=2014-12-10", "chosen=1") == [pytest.approx(0.98, abs=0.02)]
    assert of("covered_fraction", "summer=2015") == [pytest.approx(0.97, abs=0.04)]
    assert of("time_spread", "summer=2015") == [pytest.approx(2.0)]
    assert of("time_spread", "summer=2014") == [0.0]
    assert "rejected: " in next(r.note for r in rows if "scene=2014-12-20" in r.note)


@pytest.mark.slow
def test_the_review_can_be_pasted_into_the_run_file_and_chooses_the_same(
    done: Done, made: Bay, tmp_path: Path
) -> None:
    text = (done.output / "review.yaml").read_text()
    overrides = yaml.safe_load(text)["overrides"]

    assert [(o["shelf"], o["summer"]) for o in overrides] == [("rowan", 2014), ("rowan", 2015)]
    assert [str(label) for label in overrides[0]["use"]] == ["2014-12-10"]
    assert all(shot.start[:10] in text for shot in SHOTS if shot is not OVERCAST)
    usual = made.document(2014, period=["2014-11-01", "2016-03-31"])
    again = carried_out(choose(usual, overrides=overrides), tmp_path)
    for path in ("rowan/2014", "rowan/2015"):
        assert again.chosen(path) == done.chosen(path)


def test_a_review_sheet_is_drawn_of_each_summer(done: Done) -> None:
    for year in (2014, 2015):
        picture = matplotlib.image.imread(done.output / "figures" / f"rowan_{year}_review.png")
        assert min(picture.shape[:2]) > 300
        assert picture[..., 0].std() > 0.05


def test_items_tell_which_scene_lies_where_and_validate_without_a_network(done: Done) -> None:
    found = sorted((done.output / "items").rglob("*.json"))

    assert [path.stem for path in found] == ["2014-12-10", "2015-12-03", "2015-12-05"]
    for path in found:
        item = pystac.Item.from_file(str(path))
        year = path.parent.name
        assert item.properties["proj:shape"] == [320, 320]
        assert item.properties["proj:transform"] == list(ROI.transform)
        assert item.datetime is not None
        assert item.datetime.date().isoformat() == path.stem
        for asset in item.assets.values():
            where = Path(asset.get_absolute_href() or "")
            assert (
                where.resolve()
                == (done.output / "product.zarr" / "rowan" / year / where.name).resolve()
            )
            assert where.is_dir()
        assert shapely.geometry.shape(item.geometry).is_valid
        sources = [link.extra_fields["nunatak:id"] for link in item.get_links("derived_from")]
        assert sources == [shot.id for shot in SHOTS if shot.start.startswith(path.stem)]


def test_the_product_item_links_to_the_outlines_and_names_its_snapshot(done: Done) -> None:
    item = pystac.Item.from_file(str(done.output / "item.json"))

    assert item.properties["nunatak:shelves"] == ["rowan"]
    assert item.properties["nunatak:scenes"] == 3
    assert item.properties["nunatak:snapshot"] == done.group.attrs["nunatak:snapshot"]
    assert item.get_links("derived_from")


def test_regions_and_search_are_written_for_others(done: Done) -> None:
    rois = gpd.read_file(done.output / "rois" / "rois.gpkg", layer="rois")
    search = json.loads((done.output / "search.json").read_bytes())

    assert list(rois["region"]) == ["rowan"]
    assert rois.crs.to_epsg() == 3031
    np.testing.assert_allclose(rois.total_bounds, ROI.bounds, atol=6.0)
    assert {each["id"] for each in search["features"]} == {s.id for s in SHOTS} - {OVERCAST.id}


def test_a_granule_of_another_scene_supplies_each_cell_once(done: Done) -> None:
    supplier = done.array("rowan/2015/supplier")
    west, east = (done.place("rowan/2015", shot.start[:10]) + 1 for shot in (WEST, EAST))

    # Where both see the ice, the one that is laid first is uppermost.
    first = done.chosen("rowan/2015")[0]
    uppermost = west if first == "2015-12-03" else east
    roi = done.array("rowan/roi") > 0
    clear = roi.copy()
    clear[15:18] = False
    assert set(np.unique(supplier[clear])) == {west, east}
    both = np.zeros_like(roi)
    both[:, 17:19] = True
    assert (supplier[clear & both] == uppermost).all()
