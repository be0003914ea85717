"""Landsat products become items of the services' form; their files stay where they are."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from rasterio.warp import transform as warp

from stac.catalogue import open_catalogue
from stac.ingest import Ingested, ingest
from stac.landsat_files import chosen
from stac.landsat_ingest import footprint
from stac.landsat_items import granule
from stac.locations import EscapeError, write_bytes
from stac.static_catalogue import StaticCatalogue
from tests.fixtures.seaweed import S3Store
from tests.stac.landsat_mtl_files import CORNER, SHAPE, write_image, write_scene
from tests.stac.scripted_server import ScriptedServer, scripted

PRODUCT = "LC08_L1GT_099120_20191129_20201016_02_T2"
OTHER = "LC08_L1GT_098120_20191122_20201016_02_T2"
BEGIN = {"west": CORNER[0] - 15.0, "north": CORNER[1] + 15.0}


def add(source: Path | str, catalogue: Path) -> list[Ingested]:
    return list(ingest("landsat", [str(source)], catalogue=str(catalogue), collection="scenes"))


def item_file(catalogue: Path, product: str = PRODUCT) -> dict:
    return json.loads((catalogue / "scenes" / product / f"{product}.json").read_text())


def test_a_product_becomes_an_item_that_the_reader_of_all_services_understands(tmp_path: Path):
    write_scene(tmp_path / "scene")

    (found,) = add(tmp_path / "scene", tmp_path / "c")

    assert (found.state, found.item_id) == ("added", PRODUCT)
    (item,) = open_catalogue(str(tmp_path / "c")).search("scenes")
    scene = granule(item)
    assert (scene.platform, scene.path, scene.row, scene.level) == ("landsat-8", 99, 120, 1)
    assert (scene.category, scene.collection_number) == ("T2", 2)
    assert (scene.sun_elevation, scene.cloud_cover) == (20.5, 12.34)
    assert (scene.code, scene.shape) == ("EPSG:3031", SHAPE)
    assert scene.transform == (30.0, 0.0, BEGIN["west"], 0.0, -30.0, BEGIN["north"])
    assert scene.start == "2019-11-29T01:00:37.576470Z"
    assert set(scene.assets) == {
        "red", "green", "blue", "nir08", "swir16", "swir22", "qa_pixel", "qa_radsat", "mtl",
    }  # fmt: skip


def test_sizes_and_checksums_are_those_of_the_files_in_place(tmp_path: Path):
    write_scene(tmp_path / "scene")
    add(tmp_path / "scene", tmp_path / "c")

    for asset in item_file(tmp_path / "c")["assets"].values():
        data = Path(asset["href"]).read_bytes()
        assert asset["file:size"] == len(data)
        assert asset["file:checksum"] == "1220" + hashlib.sha256(data).hexdigest()
    assert not list((tmp_path / "c").rglob("*.TIF"))


def test_hrefs_are_relative_under_the_catalogue_and_absolute_outside(tmp_path: Path):
    catalogue = tmp_path / "c"
    write_scene(catalogue / "images")
    write_scene(tmp_path / "elsewhere", product=OTHER)
    add(catalogue / "images", catalogue)
    add(tmp_path / "elsewhere", catalogue)

    inside = item_file(catalogue)["assets"]["red"]["href"]
    outside = item_file(catalogue, OTHER)["assets"]["red"]["href"]

    assert inside == f"../../images/{PRODUCT}_B4.TIF"
    assert outside == str(tmp_path / "elsewhere" / f"{OTHER}_B4.TIF")
    found = {i.id: i.assets["red"].href for i in open_catalogue(str(catalogue)).search()}
    assert found == {PRODUCT: str(catalogue / "images" / f"{PRODUCT}_B4.TIF"), OTHER: outside}


def test_only_items_that_say_so_may_lead_out_of_a_catalogue_and_none_by_dots(tmp_path: Path):
    write_scene(tmp_path / "scene")
    add(tmp_path / "scene", tmp_path / "c")
    (tmp_path / "c" / "scenes" / "items.parquet").unlink()
    file = tmp_path / "c" / "scenes" / PRODUCT / f"{PRODUCT}.json"
    document = json.loads(file.read_text())

    file.write_text(json.dumps(document | {"properties": document["properties"]
                                           | {"nunatak:referenced": False}}))  # fmt: skip
    with pytest.raises(EscapeError, match="outside it"):
        list(StaticCatalogue(str(tmp_path / "c")).search())
    document["assets"]["red"]["href"] = "../../../../etc/x.TIF"
    file.write_text(json.dumps(document))
    with pytest.raises(EscapeError, match="outside it"):
        list(StaticCatalogue(str(tmp_path / "c")).search())


def test_repeating_changes_nothing_under_whichever_encoding(tmp_path: Path):
    write_scene(tmp_path / "scene", suffixes=(".txt", ".xml", ".json"))
    (first,) = add(tmp_path / "scene", tmp_path / "c")
    before = {p: p.read_bytes() for p in (tmp_path / "c").rglob("*.json")}

    files = [tmp_path / "scene" / f"{PRODUCT}_MTL.{suffix}" for suffix in ("txt", "xml", "json")]
    again = [each for file in files for each in add(file, tmp_path / "c")]

    assert [each.state for each in again] == ["present"] * 3
    assert {each.checksum for each in again} == {first.checksum}
    assert {p: p.read_bytes() for p in (tmp_path / "c").rglob("*.json")} == before


def test_changed_images_of_a_known_product_are_refused(tmp_path: Path):
    write_scene(tmp_path / "scene")
    add(tmp_path / "scene", tmp_path / "c")
    write_scene(tmp_path / "scene", seed=1)

    (found,) = add(tmp_path / "scene", tmp_path / "c")

    assert found.state == "failed"
    assert "items never change" in found.reason


def test_a_broken_product_fails_alone_with_its_reason(tmp_path: Path):
    write_scene(tmp_path / "scenes" / "good")
    cases = {
        "missing": "lacks green",
        "elsewhere": "lies within",
        "projection": "EPSG:32655, the MTL EPSG:3031",
        "none": "no projection",
        "floats": "holds float32",
        "cut": "cannot be read as GeoTIFF",
        "text": "cannot be read as GeoTIFF",
        "metadata": "is no JSON",
        "night": "the sun has no reflectance",
    }
    for number, name in enumerate(cases):
        product = PRODUCT.replace("099", f"{number + 1:03d}")
        elevation = -2.0 if name == "night" else 20.5
        folder = tmp_path / "scenes" / name
        mtl = write_scene(folder, product=product, sun_elevation=elevation)
        spoil(name, folder / f"{product}_B3.TIF", mtl)

    found = add(tmp_path / "scenes", tmp_path / "c")

    reasons = {Path(each.source).parent.name: each.reason for each in found if each.reason}
    assert [each.item_id for each in found if each.state == "added"] == [PRODUCT]
    assert set(reasons) == set(cases)
    for name, words in cases.items():
        assert words in reasons[name]


def spoil(name: str, green: Path, mtl: Path) -> None:
    counts = np.ones(SHAPE, np.uint16)
    if name == "missing":
        green.unlink()
    elif name == "elsewhere":
        write_image(green, counts, west=BEGIN["west"] + 15.0 + 1.0, north=BEGIN["north"])
    elif name == "projection":
        write_image(green, counts, **BEGIN, code=32655)
    elif name == "none":
        write_image(green, counts, **BEGIN, code=None)
    elif name == "floats":
        write_image(green, counts.astype(np.float32), **BEGIN)
    elif name == "cut":
        green.write_bytes(green.read_bytes()[:100])
    elif name == "text":
        green.write_text("<VRTDataset/>")
    elif name == "metadata":
        mtl.write_bytes(mtl.read_bytes()[:-9])


def test_images_of_reduced_resolution_are_told_by_a_remark_and_by_their_own_grid(tmp_path: Path):
    folder = tmp_path / "scene"
    write_scene(folder)
    for file in folder.glob("*.TIF"):
        write_image(file, np.ones((4, 5), np.uint16), **BEGIN, spacing=300.0)

    (found,) = add(folder, tmp_path / "c")

    properties = item_file(tmp_path / "c")["properties"]
    assert found.state == "added"
    assert properties["proj:shape"] == [4, 5]
    assert properties["proj:transform"][0] == 300.0
    assert "images of (4, 5) pixels, where the MTL has (40, 50)" in properties["processing:lineage"]


def test_images_in_strips_are_not_called_cloud_optimised(tmp_path: Path):
    write_scene(tmp_path / "small")
    write_scene(tmp_path / "large", product=OTHER, shape=(600, 601))
    for folder in ("small", "large"):
        add(tmp_path / folder, tmp_path / "c")

    small, large = (item_file(tmp_path / "c", name) for name in (PRODUCT, OTHER))

    assert small["properties"]["nunatak:cloud_optimised"] is True
    assert large["properties"]["nunatak:cloud_optimised"] is False
    assert "not cloud-optimised" in large["properties"]["processing:lineage"]
    assert large["assets"]["red"]["type"] == "image/tiff; application=geotiff"


def test_the_footprint_is_around_the_pixels_that_hold_a_count(tmp_path: Path):
    folder = tmp_path / "scene"
    write_scene(folder)
    counts = np.zeros(SHAPE, np.uint16)
    counts[10:20, 30:40] = 7
    write_image(folder / f"{PRODUCT}_B4.TIF", counts, **BEGIN)
    add(folder, tmp_path / "c")

    longitude, latitude = shapely.get_coordinates(
        shapely.geometry.shape(item_file(tmp_path / "c")["geometry"])
    ).T
    x, y = warp("EPSG:4326", "EPSG:3031", longitude, latitude)

    columns = (np.array(x) - BEGIN["west"]) / 30.0
    rows = (BEGIN["north"] - np.array(y)) / 30.0
    # Pixel centres 10.5..19.5 and 30.5..39.5, one pixel wider on each side.
    assert (rows.min(), rows.max()) == pytest.approx((9.5, 20.5), abs=0.01)
    assert (columns.min(), columns.max()) == pytest.approx((29.5, 40.5), abs=0.01)


def test_a_footprint_of_utm_across_the_antimeridian_is_split_there():
    # Zone 60 is centred at 177° E: 500 km east of its centre line is beyond 180°.
    outline = shapely.box(400_000.0, 100_000.0, 900_000.0, 200_000.0)

    polygons = shapely.get_parts(shapely.geometry.shape(footprint(outline, "EPSG:32660")))

    boxes = sorted(tuple(part.bounds) for part in polygons)
    assert len(boxes) == 2
    assert boxes[0][0] == -180.0
    assert boxes[1][2] == 180.0
    assert max(east - west for west, _, east, _ in boxes) < 5.0


def test_of_one_product_in_a_folder_one_metadata_file_is_taken_and_no_image():
    names = ["A_MTL.xml", "A_MTL.txt", "A_B4.TIF", "A_stac.json", "A_SR_stac.json", "B_MTL.txt",
             "C_stac.json", "collection.json"]  # fmt: skip

    found = chosen([f"/x/{name}" for name in names])

    assert found == ["/x/A_MTL.xml", "/x/B_MTL.txt", "/x/C_stac.json"]


def test_gap_masks_of_collection_1_are_named_beside_the_bands(tmp_path: Path):
    product = "LE07_L1GT_099120_20191129_20201016_02_T2"
    write_scene(tmp_path / "scene", platform="LANDSAT_7", product=product)
    (tmp_path / "scene" / "gap_mask").mkdir()
    for number in (1, 2, 3, 4):
        (tmp_path / "scene" / "gap_mask" / f"{product}_GM_B{number}.TIF.gz").write_bytes(b"mask")
    add(tmp_path / "scene", tmp_path / "c")

    assets = item_file(tmp_path / "c", product)["assets"]

    assert {name for name in assets if name.startswith("gap")} == {
        "gap_blue", "gap_green", "gap_red",
    }  # fmt: skip
    assert assets["gap_red"]["href"].endswith("GM_B3.TIF.gz")
    assert assets["gap_red"]["type"] == "application/gzip"


def test_an_item_document_of_a_service_is_taken_with_the_files_it_names(tmp_path: Path):
    bands = {f"SR_B{n}.TIF": f"https://landsatlook.usgs.gov/data/x_SR_B{n}.TIF" for n in (2, 3, 4)}
    document = {
        "type": "Feature", "stac_version": "0.7.0", "id": PRODUCT.replace("L1GT", "L2SR"),
        "geometry": {
            "type": "Polygon", "coordinates": [[[70, -80], [75, -81], [63, -82], [70, -80]]],
        },
        "properties": {"datetime": "2019-11-29", "eo:sun_elevation": 20.5},
        "assets": {name: {"href": href} for name, href in bands.items()}
        | {"QA_PIXEL.TIF": {"href": "./x_QA_PIXEL.TIF"}},
        "links": [],
    }  # fmt: skip
    file = tmp_path / "in" / "x_stac.json"
    file.parent.mkdir()
    file.write_text(json.dumps(document))
    (file.parent / "x_QA_PIXEL.TIF").write_bytes(b"12345")

    (found,) = add(file.parent, tmp_path / "c")

    assert found.state == "added"
    (item,) = open_catalogue(str(tmp_path / "c")).search("scenes", bbox=[64, -82, 70, -81])
    scene = granule(item)
    assert scene.assets["red"].href == "s3://usgs-landsat/x_SR_B4.TIF"
    assert (scene.assets["qa_pixel"].href, scene.assets["qa_pixel"].size) == (
        str(file.parent / "x_QA_PIXEL.TIF"), 5,
    )  # fmt: skip
    assert (scene.level, scene.code) == (2, "")


def served_document(server: ScriptedServer, **hrefs: str) -> dict[str, Any]:
    """Serve the document of a product whose bands lie beside it, but for those that are given."""
    names = {"blue": "SR_B2", "green": "SR_B3", "red": "SR_B4", "qa_pixel": "QA_PIXEL"}
    assets = {
        f"{name}.TIF": {"href": hrefs.get(each, f"./x_{name}.TIF")} for each, name in names.items()
    }
    document = {
        "type": "Feature", "stac_version": "0.7.0", "id": PRODUCT.replace("L1GT", "L2SR"),
        "geometry": {
            "type": "Polygon", "coordinates": [[[70, -80], [75, -81], [63, -82], [70, -80]]],
        },
        "properties": {"datetime": "2019-11-29", "eo:sun_elevation": 20.5},
        "assets": assets, "links": [],
    }  # fmt: skip
    server.routes["/x_stac.json"] = document
    return document


@pytest.mark.parametrize("href", ["/etc/hostname", "file:///etc/hostname", "local:///etc/x"])
def test_a_document_elsewhere_names_no_file_of_this_machine(tmp_path: Path, href: str):
    with scripted() as server:
        served_document(server, red=href)

        (found,) = add(f"{server.url}/x_stac.json", tmp_path / "c")

    assert found.state == "failed"
    assert f"names '{href}', a file of this machine" in found.reason
    assert not list((tmp_path / "c").rglob("L*.json"))


def test_a_document_elsewhere_names_the_files_beside_it(tmp_path: Path):
    with scripted() as server:
        served_document(server, red="https://landsatlook.usgs.gov/data/x_SR_B4.TIF")

        (found,) = add(f"{server.url}/x_stac.json", tmp_path / "c")

        assert found.state == "added", found.reason
        assets = item_file(tmp_path / "c", PRODUCT.replace("L1GT", "L2SR"))["assets"]
        assert assets["green"]["href"] == f"{server.url}/./x_SR_B3.TIF"


@pytest.mark.parametrize("name", ["../../outside", "/outside", "a/b", "..", "a\nb"])
def test_the_id_of_a_document_stays_inside_its_collection(tmp_path: Path, name: str):
    (tmp_path / "in").mkdir()
    with scripted() as server:
        document = served_document(server)
    properties = document["properties"] | {
        "landsat:product_id": document["id"], "landsat:wrs_path": "099", "landsat:wrs_row": "120",
        "landsat:collection_category": "T2", "platform": "LANDSAT_8",
    }  # fmt: skip
    text = json.dumps(document | {"id": name, "properties": properties})
    (tmp_path / "in" / "x_stac.json").write_text(text)

    (found,) = add(tmp_path / "in", tmp_path / "c")

    assert found.state == "failed"
    assert "must be letters, digits" in found.reason
    assert not list(tmp_path.rglob("outside*"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"type": "Collection"}', "expected a STAC item"),
        ("[1]", "expected a STAC item"),
        ('{"type": "Feat', "is no JSON"),
        ('{"type": "Feature", "id": "x", "properties": {}, "assets": {}}', "x"),
    ],
)
def test_documents_that_are_no_item_of_a_product_are_refused(
    tmp_path: Path, text: str, reason: str
):
    (tmp_path / "x_stac.json").write_text(text)

    (found,) = add(tmp_path / "x_stac.json", tmp_path / "c")

    assert found.state == "failed"
    assert reason in found.reason


@pytest.mark.realdata
def test_the_real_scenes_are_catalogued_and_found_where_they_lie(data_root: Path, tmp_path: Path):
    found = add(data_root / "optical" / "imagery", tmp_path / "c")
    slc_off = add(data_root / "optical" / "slc_off", tmp_path / "c")

    states = {Path(each.source).name[:10]: each.state for each in found}
    assert states == {
        "LC08_L2SR_": "added", "LC08_L2SP_": "added", "LC09_L2SP_": "failed",
        "LE07_L2SP_": "failed",
    }  # fmt: skip
    assert all("lacks green" in each.reason for each in slc_off)
    assert all("fetch the scene of Collection 2" in each.reason for each in slc_off)
    catalogue = open_catalogue(str(tmp_path / "c"))
    place = {"type": "Point", "coordinates": [68.0, -81.5]}
    (polar,) = catalogue.search("scenes", intersects=place, period=("2019-11-01", "2020-03-31"))
    (green,) = catalogue.search("scenes", bbox=[-45.0, 70.0, -35.0, 74.0])
    assert polar.properties["proj:code"] == "EPSG:3031"
    assert green.properties["proj:code"] == "EPSG:32624"
    assert granule(polar).assets["red"].scale == 2.75e-5


@pytest.mark.realdata
def test_the_real_footprint_is_that_of_the_agency(data_root: Path, tmp_path: Path):
    folder = data_root / "optical" / "imagery" / "landsat8_antarctica_099120_20191129"
    (document,) = folder.glob("*_stac.json")
    add(folder, tmp_path / "c")

    polygons = [
        shapely.transform(
            shapely.segmentize(shapely.geometry.shape(geometry), 0.1),
            lambda p: np.column_stack(warp("EPSG:4326", "EPSG:3031", p[:, 0], p[:, 1])),
        )
        for geometry in (
            json.loads(document.read_text())["geometry"],
            item_file(tmp_path / "c", "LC08_L2SR_099120_20191129_20201016_02_T2")["geometry"],
        )
    ]

    # Ours is a coarse pixel (1 km) wider; the agency's is of four corners only.
    agency, ours = polygons
    assert agency.intersection(ours).area / agency.union(ours).area > 0.93


def test_narrow_images_in_tiles_are_cloud_optimised(tmp_path: Path):
    folder = tmp_path / "scene"
    write_scene(folder, shape=(600, 100))
    for file in folder.glob("*.TIF"):
        with rasterio.open(file) as source:
            counts = source.read(1)
        write_image(file, counts, **BEGIN, tiled=True, blockxsize=256, blockysize=256)
        with rasterio.open(file, "r+") as target:
            target.build_overviews([2])
    add(folder, tmp_path / "c")

    assert item_file(tmp_path / "c")["properties"]["nunatak:cloud_optimised"] is True


@pytest.mark.services
def test_a_product_in_a_bucket_is_catalogued_in_the_bucket(s3_environment: S3Store, tmp_path: Path):
    write_scene(tmp_path / "scene")
    url = s3_environment.url("landsat")
    for file in (tmp_path / "scene").iterdir():
        write_bytes(f"{url}/images/{file.name}", file.read_bytes())

    (here,) = add(tmp_path / "scene", tmp_path / "c")
    (there,) = ingest("landsat", [f"{url}/images"], catalogue=url, collection="scenes")

    assert (there.state, there.checksum) == ("added", here.checksum)
    (item,) = open_catalogue(url).search("scenes")
    assert item.assets["red"].href == f"{url}/images/{PRODUCT}_B4.TIF"
    assert item.geometry == item_file(tmp_path / "c")["geometry"]
