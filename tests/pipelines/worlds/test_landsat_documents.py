"""Metadata files and items of synthetic products, read as those of the real services are."""

import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pyproj
import pystac
import pytest
import shapely

from pipelines.worlds import landsat_dialects
from pipelines.worlds.landsat_documents import Product, encodings, metadata
from stac import landsat_items, landsat_metadata

from .plain_ice import seen_from, window

PLATFORMS = {"landsat-7": 2005, "landsat-8": 2019, "landsat-9": 2022}


def product(platform: str = "landsat-8") -> Product:
    grid = window(128)
    return Product(seen_from(platform, PLATFORMS[platform], grid=grid), grid, 12.5)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_three_encodings_say_the_same(platform):
    made = product(platform)
    files = encodings(made)

    expected = metadata(made)

    assert json.loads(files["mtl.json"])["LANDSAT_METADATA_FILE"] == expected
    tree = ET.fromstring(files["mtl.xml"])  # noqa: S314 - our own
    assert {group.tag: {key.tag: key.text for key in group} for group in tree} == expected
    text = files["mtl.txt"].decode()
    pairs = re.findall(r"^    (\w+) = \"?(.*?)\"?$", text, flags=re.MULTILINE)
    assert pairs == [pair for group in expected.values() for pair in group.items()]
    assert 'SCENE_CENTER_TIME = "' in text
    assert "DATE_ACQUIRED = 2" in text


@pytest.mark.parametrize("kind", ["json", "xml", "txt"])
@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_reader_of_real_metadata_reads_them(platform, kind):
    made = product(platform)

    read = landsat_metadata.read(encodings(made)[f"mtl.{kind}"], name=made.files[f"mtl.{kind}"])

    assert (read.product_id, read.platform, read.level) == (made.id, platform, 1)
    assert (read.path, read.row, read.start) == (made.view.path, made.view.row, made.view.start)
    assert read.shape == made.grid.shape
    # The upper left corner is the CENTRE of a pixel: a multiple of 30 m, as in real scenes.
    assert read.corner == (made.grid.west + 15.0, made.grid.north - 15.0)
    assert all(edge % 30.0 == 0.0 for edge in read.corner)
    assert read.sun_elevation == pytest.approx(made.view.sun_elevation, abs=1e-7)
    assert set(read.files.values()) <= set(made.files.values())


def test_latitudes_of_corners_are_those_of_their_coordinates():
    group = metadata(product())["PROJECTION_ATTRIBUTES"]
    to_degrees = pyproj.Transformer.from_crs(3031, 4326, always_xy=True)

    for corner in ("UL", "UR", "LL", "LR"):
        place = [float(group[f"CORNER_{corner}_PROJECTION_{axis}_PRODUCT"]) for axis in "XY"]
        degrees = [float(group[f"CORNER_{corner}_{axis}_PRODUCT"]) for axis in ("LON", "LAT")]
        np.testing.assert_allclose(to_degrees.transform(*place), degrees, atol=1e-5)


@pytest.mark.parametrize("dialect", landsat_dialects.DIALECTS)
def test_items_of_every_dialect_mean_the_same_granule(dialect):
    made = product()
    hrefs = {name: f"/data/{file}" for name, file in made.files.items()}

    granule = landsat_items.granule(landsat_dialects.item(made, hrefs, dialect=dialect))

    assert (granule.platform, granule.path, granule.row) == (
        "landsat-8",
        made.view.path,
        made.view.row,
    )
    assert granule.start[:10] == f"{made.view.start:%Y-%m-%d}"
    assert granule.sun_elevation == pytest.approx(made.view.sun_elevation)
    assert granule.cloud_cover == 12.5
    for name in (*("red", "green", "blue"), "qa_pixel", "qa_radsat"):
        assert granule.assets[name].href == hrefs[name]
    if dialect != landsat_dialects.USGS_OLD:
        assert (granule.code, granule.shape) == ("EPSG:3031", made.grid.shape)
        assert granule.transform == made.grid.transform


def test_a_bucket_is_the_alternate_of_a_usgs_address():
    made = product()
    hrefs = {"red": f"s3://usgs-landsat/collection02/level-1/{made.files['red']}"}

    asset = landsat_dialects.item(made, hrefs)["assets"]["red"]

    assert asset["alternate"]["s3"]["href"] == hrefs["red"]
    assert asset["href"].startswith("https://landsatlook.usgs.gov/data/collection02/level-1/")


def test_the_new_item_is_valid_stac_and_its_geometry_is_where_the_files_are():
    made = product()
    document = landsat_dialects.item(made, {name: f"./{f}" for name, f in made.files.items()})

    assert pystac.Item.from_dict(document).id == made.id
    ring = shapely.get_coordinates(shapely.geometry.shape(document["geometry"]))
    to_map = pyproj.Transformer.from_crs(4326, 3031, always_xy=True)
    area = shapely.Polygon(np.stack(to_map.transform(*ring.T), axis=1))
    assert area.symmetric_difference(shapely.box(*made.grid.bounds)).area < 1e-4 * area.area


def test_an_unknown_dialect_is_refused():
    with pytest.raises(landsat_dialects.DialectError, match="found dialect 'esa', expected one of"):
        landsat_dialects.item(product(), {}, dialect="esa")
