"""The two real Landsat 8 scenes go through: one is masked as its QA says, one is all cloud."""

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import zarr

from pipelines import settings, tables
from pipelines.flows import scenes, scenes_reading
from pipelines.kernels.imagery import quality_bits
from pipelines.lifecycle import Outcome
from stac.catalogue import open_catalogue
from stac.ingest import ingest
from stac.landsat_items import granule
from stac.pixel_grids import PixelGrid

pytestmark = pytest.mark.realdata

GREENLAND = "landsat8_greenland_005009_20150710"
ANTARCTICA = "landsat8_antarctica_099120_20191129"
PLACE = shapely.box(850_000.0, 340_000.0, 880_000.0, 370_000.0)
"""30 km of the middle of the Antarctic scene, EPSG:3031 [m]."""


def scene_of(root: Path, folder: str, catalogue: Path) -> str:
    source = str(root / "optical" / "imagery" / folder)
    (found,) = ingest("landsat", [source], catalogue=str(catalogue), collection="landsat")
    assert found.state == "added", found.reason
    return found.item_id


def test_the_greenland_scene_is_masked_as_its_qa_says(data_root: Path, tmp_path: Path) -> None:
    name = scene_of(data_root, GREENLAND, tmp_path)
    (item,) = open_catalogue(str(tmp_path)).search("landsat", ids=[name])
    read = granule(item)
    folder = data_root / "optical" / "imagery" / GREENLAND
    with rasterio.open(folder / f"{name}_QA_PIXEL.TIF") as source:
        qa, transform = source.read(1), source.transform
    with rasterio.open(folder / f"{name}_SR_B4.TIF") as source:
        red = source.read(1)
    grid = PixelGrid("utm", "EPSG:32624", 420_000.0, 8_100_000.0, 600.0, 200, 200)

    seen = scenes_reading.look(read, grid, scenes_reading.Reading(), sun=None)

    columns = np.floor((grid.x - transform.c) / transform.a).astype(int)
    rows = np.floor((grid.y - transform.f) / transform.e).astype(int)
    flags = qa[np.ix_(rows, columns)]
    assert np.array_equal(seen.mask & 0xFE, flags & 0xFE)
    assert 0.05 < ((seen.mask & quality_bits.CLOUD) != 0).mean() < 0.95
    # Level 2: reflectance is 2.75e-5 Q - 0.2, and a count of ours 2.5e-5.
    rho = red[np.ix_(rows, columns)] * 2.75e-5 - 0.2
    held = seen.counts[0] > 1
    assert held.mean() > 0.9
    assert np.abs(seen.counts[0][held] * 2.5e-5 - rho[held]).max() <= 1.3e-5


@pytest.fixture(scope="module")
def cloudy(
    data_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Outcome, settings.Run]:
    home = tmp_path_factory.mktemp("cloudy")
    catalogue = home / "catalogue"
    scene_of(data_root, ANTARCTICA, catalogue)
    outline = gpd.GeoDataFrame({"name": ["Plateau"]}, geometry=[PLACE], crs="EPSG:3031")
    outline.to_file(home / "place.gpkg", driver="GPKG")
    source = [str(home / "place.gpkg")]
    (added,) = ingest("ice-shelves", source, catalogue=str(catalogue), collection="places")
    assert added.state == "added", added.reason
    text = (
        "product: scenes\ncatalogue: ./catalogue\noutput: ./out\n"
        "period: [2019-11-01, 2020-03-31]\nregions: places\ninputs: {landsat: landsat}\n"
        "scenes: {most_cloud: 100, buffer_km: 0}\n"
    )
    (home / "run.yaml").write_text(text)
    run = settings.read(home / "run.yaml")
    return home / "out", scenes.plan(run).execute(), run


def test_the_cloudy_antarctic_scene_is_rejected_with_its_reason(
    cloudy: tuple[Path, Outcome, settings.Run],
) -> None:
    output, outcome, _ = cloudy
    assert outcome.failed == outcome.left == 0
    group = zarr.open_group(str(output / "product.zarr"), mode="r")
    assert not np.asarray(group["plateau/2019/selected"]).any()
    rows = tables.read_rows((output / "tables" / "scenes.csv").read_bytes())
    (covered,) = [row for row in rows if row.quantity == "covered_fraction"]
    (cloud,) = [row for row in rows if row.quantity == "cloud_fraction"]
    assert covered.value == 0.0
    assert cloud.value == 1.0
    assert "rejected: 0.0 % of the ROI is clear (QA_PIXEL calls 100.0 % cloud)" in cloud.note
    assert "rejected" in (output / "review.yaml").read_text()


def test_a_search_that_heeds_cloud_cover_does_not_even_look_at_it(
    cloudy: tuple[Path, Outcome, settings.Run],
) -> None:
    output, _, _ = cloudy
    run = settings.read(output.parent / "run.yaml", ["scenes.most_cloud=80"])
    assert not any(key for stage in scenes.plan(run).stages[1:2] for key in stage.keys)
    assert json.loads((output / "item.json").read_text())["properties"]["nunatak:scenes"] == 0
