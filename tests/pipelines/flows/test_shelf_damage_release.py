"""The release: the paper's files and names, readable by others, written once, told in full."""

import csv
import hashlib
import io
import json
import struct

import numpy as np
import pystac
import pytest
import rasterio
from pystac.validation.local_validator import get_local_schema_cache
from pystac.validation.stac_validator import JsonSchemaSTACValidator

from cluster import object_store
from pipelines.flows import shelf_damage_arrays, shelf_damage_release, shelf_damage_release_names
from pipelines.kernels.damage import release_names
from tests.pipelines.flows import damage_product
from tests.pipelines.flows.damage_product import NX, NY, drawn, scene

CELLS = -(-NY // shelf_damage_arrays.CELL), -(-NX // shelf_damage_arrays.CELL)
NOVEMBER = 1_130_803_200.0
"""1 November 2005."""


def two_scenes():
    return [scene(1, "2005-12-01", NOVEMBER + 30 * 86400, "LE07", slc_off=True, restored=True),
            scene(2, "2006-01-15", NOVEMBER + 75 * 86400, "LC08"),
            scene(3, "2006-02-15", NOVEMBER + 106 * 86400, "LC09")]  # fmt: skip


def filled(group, *, growth=0.0, published=1, unknown=None, front=None):
    """Add the summer 2005 of a shelf with a part; the first scene supplies the western half."""
    damage, extent = drawn(5, growth=growth)
    supplier = np.where(np.arange(NX)[None, :] < NX // 2, 1, 2) * np.ones((NY, 1), int)
    near = np.zeros(CELLS, bool)
    near[:, 70:110] = True
    return damage, extent, damage_product.summer(
        group, "larsen-b", 2005, name="Larsen B", damage=damage, extent=extent,
        scenes=two_scenes(), supplier=supplier, parts={"front": near if front is None else front},
        published=published, unknown=np.zeros_like(damage) if unknown is None else unknown,
    )  # fmt: skip


@pytest.fixture
def group():
    return damage_product.product()


EXTENT = "Larsen_B/2005/LE07_LC08_Larsen_B_2005_slc_off_Nunatak_damage_map.tif"
REGION = "Larsen_B/2005/LE07_LC08_Larsen_B_2005_slc_off_Nunatak_damage.tif"
FRONT = "Larsen_B_front/2005/LC08_Larsen_B_front_2005_damage_map.tif"


def files(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_the_files_are_those_of_the_paper(group, tmp_path):
    damage, extent, _ = filled(group)

    written = shelf_damage_release.write(group, str(tmp_path))

    assert set(written) == {EXTENT, REGION, FRONT}
    assert files(tmp_path) == sorted([
        *written, "Larsen_B/2005/item.json", "Larsen_B_front/2005/item.json", "collection.json",
        "metadata.csv",
    ])  # fmt: skip
    with rasterio.open(tmp_path / EXTENT) as file:
        codes = file.read(1)
        assert (file.dtypes, file.nodata, file.crs.to_epsg()) == (("uint8",), 255.0, 3031)
        assert file.transform[:6] == (30.0, 0.0, damage_product.WEST, 0.0, -30.0,
                                      damage_product.NORTH)  # fmt: skip
        assert file.compression.value == "LZW"
    np.testing.assert_array_equal(codes, release_names.extent_codes(damage, extent | True, extent))
    with rasterio.open(tmp_path / REGION) as file:
        assert file.nodata is None
        np.testing.assert_array_equal(file.read(1), np.where(damage, 255, 0))


def test_a_part_has_a_folder_and_shows_nothing_outside_its_cells(group, tmp_path):
    damage, extent, _ = filled(group)

    shelf_damage_release.write(group, str(tmp_path))

    with rasterio.open(tmp_path / FRONT) as file:
        codes = file.read(1)
    inside = np.zeros((NY, NX), bool)
    inside[:, 70 * shelf_damage_arrays.CELL : 110 * shelf_damage_arrays.CELL] = True
    known = np.ones_like(damage)
    np.testing.assert_array_equal(codes, release_names.extent_codes(damage, known, extent & inside))


def directories(data: bytes) -> list[dict[int, tuple]]:
    """Return the tags of each directory of a little-endian TIFF, with its place as tag 0."""
    assert data[:4] == b"II*\0"
    (at,) = struct.unpack_from("<I", data, 4)
    found = []
    while at:
        (count,) = struct.unpack_from("<H", data, at)
        tags = {0: (at,)}
        for n in range(count):
            tag, kind, size, value = struct.unpack_from("<HHII", data, at + 2 + 12 * n)
            width = {3: 2, 4: 4}.get(kind)
            if width:
                place = at + 10 + 12 * n if size * width <= 4 else value
                tags[tag] = struct.unpack_from(f"<{size}{'H' if kind == 3 else 'I'}", data, place)
        found.append(tags)
        (at,) = struct.unpack_from("<I", data, at + 2 + 12 * count)
    return found


@pytest.mark.parametrize("path", [EXTENT, REGION])
def test_a_map_is_laid_out_for_the_cloud(group, tmp_path, path):
    """Directories first, from the map to the coarsest overview; then tiles, overviews' first."""
    filled(group)
    shelf_damage_release.write(group, str(tmp_path))
    data = (tmp_path / path).read_bytes()

    told = directories(data)

    sizes = [(tags[256][0], tags[257][0]) for tags in told]
    assert sizes == [(1100, 720), (550, 360), (275, 180)][: len(sizes)]
    assert len(sizes) >= 2
    assert all((tags[322][0], tags[323][0]) == (512, 512) for tags in told)
    assert all(tags[259][0] == 5 for tags in told)  # LZW
    places = [tags[0][0] for tags in told]
    tiles = [[at for at in tags[324] if at] for tags in told]
    assert places == sorted(places)
    assert max(places) < min(min(each) for each in tiles if each)
    assert min(tiles[0]) > max(tiles[1])


def test_overviews_keep_codes_and_the_share_of_damage(group, tmp_path):
    damage, extent, _ = filled(group, growth=1.0)
    shelf_damage_release.write(group, str(tmp_path))

    with rasterio.open(tmp_path / EXTENT, overview_level=0) as file:
        codes = file.read(1)

    assert set(np.unique(codes)) <= {0, 1, 255}
    # a quarter of about 5e5 pixels in bodies of some 100: the share is told to a few per cent
    assert (codes == 1).sum() / (codes != 255).sum() == pytest.approx(
        (damage & extent).sum() / extent.sum(), rel=0.05
    )


def test_only_what_changed_is_written_again(group, tmp_path):
    filled(group)
    shelf_damage_release.write(group, str(tmp_path))
    stamps = {path: (tmp_path / path).stat().st_mtime_ns for path in (EXTENT, REGION, FRONT)}

    assert shelf_damage_release.write(group, str(tmp_path)) == ()
    assert stamps == {path: (tmp_path / path).stat().st_mtime_ns for path in stamps}

    (tmp_path / REGION).unlink()
    assert shelf_damage_release.write(group, str(tmp_path)) == (REGION,)

    made = group["larsen-b/2005"]
    made["damage"][0, 0] = 1
    assert shelf_damage_release.write(group, str(tmp_path)) == (EXTENT,)


def test_a_write_cut_off_before_its_item_is_done_again(group, tmp_path):
    filled(group)
    shelf_damage_release.write(group, str(tmp_path))
    whole = {path: (tmp_path / path).read_bytes() for path in files(tmp_path)}
    for name in ("Larsen_B/2005/item.json", "Larsen_B_front/2005/item.json", "metadata.csv"):
        (tmp_path / name).unlink()
    (tmp_path / EXTENT).write_bytes(b"half")

    shelf_damage_release.write(group, str(tmp_path))

    assert {path: (tmp_path / path).read_bytes() for path in files(tmp_path)} == whole


def test_a_spoilt_item_promises_nothing(group, tmp_path):
    filled(group)
    shelf_damage_release.write(group, str(tmp_path))
    (tmp_path / "Larsen_B/2005/item.json").write_text('{"assets": {"extent": {}}}')

    assert set(shelf_damage_release.write(group, str(tmp_path))) == {EXTENT, REGION}


def test_what_is_not_published_is_not_there_and_a_persons_files_stay(group, tmp_path):
    filled(group)
    shelf_damage_release.write(group, str(tmp_path))
    (tmp_path / "Larsen_B/2005/notes.txt").write_text("seen on 3 March")
    group["larsen-b/2005"]["published"][0] = 0

    assert shelf_damage_release.write(group, str(tmp_path)) == ()

    assert [path for path in files(tmp_path) if path.startswith("Larsen_B")] == [
        "Larsen_B/2005/notes.txt"
    ]
    lines = (tmp_path / "metadata.csv").read_text().splitlines()
    assert lines == [",".join(shelf_damage_release.COLUMNS)]


def test_a_name_follows_the_scenes_that_show_something(group, tmp_path):
    filled(group)
    shelf_damage_release.write(group, str(tmp_path))
    group["larsen-b/2005"]["supplier"][...] = 3

    written = shelf_damage_release.write(group, str(tmp_path))

    assert "Larsen_B/2005/LC09_Larsen_B_2005_damage_map.tif" in written
    assert not (tmp_path / EXTENT).exists()


def test_the_table_tells_what_each_map_was_made_from(group, tmp_path):
    filled(group)
    shelf_damage_release.write(group, str(tmp_path))

    rows = list(csv.DictReader(io.StringIO((tmp_path / "metadata.csv").read_text())))

    assert [row["file"] for row in rows] == [EXTENT, REGION, FRONT]
    assert rows[0]["acquisition_dates"] == "2005-12-01;2006-01-15"
    assert rows[0]["sensors"] == "LC08+LE07"
    assert rows[0]["supplied_fractions"] == "0.5000;0.5000"
    assert (rows[0]["slc_off"], rows[0]["restored"]) == ("1;0", "1;0")
    assert rows[0]["scene_ids"] == "LE07_L1GT_20051201;LC08_L1GT_20060115"
    assert rows[0]["extent_source"] == "imagery"
    assert (rows[2]["acquisition_dates"], rows[2]["supplied_fractions"]) == ("2006-01-15", "1.0000")


def test_items_and_collection_are_valid_and_tell_their_files(group, tmp_path):
    filled(group)
    shelf_damage_release.write(group, str(tmp_path))
    validator = JsonSchemaSTACValidator()
    validator.schema_cache |= get_local_schema_cache()

    item = json.loads((tmp_path / "Larsen_B/2005/item.json").read_text())
    collection = json.loads((tmp_path / "collection.json").read_text())

    validator.validate_core(item, pystac.STACObjectType.ITEM, "1.1.0")
    validator.validate_core(collection, pystac.STACObjectType.COLLECTION, "1.1.0")
    assert item["properties"]["proj:shape"] == [NY, NX]
    assert item["properties"]["start_datetime"] == "2005-12-01T00:00:00Z"
    assert item["properties"]["nunatak:scenes"] == {"2005-12-01": 0.5, "2006-01-15": 0.5}
    for asset, path in (("extent", EXTENT), ("region", REGION)):
        told = item["assets"][asset]
        assert f"Larsen_B/2005/{told['href'].removeprefix('./')}" == path
        assert told["file:size"] == (tmp_path / path).stat().st_size
        assert told["file:checksum"] == "1220" + hashlib.sha256(
            (tmp_path / path).read_bytes()).hexdigest()  # fmt: skip
    opened = pystac.Collection.from_file(str(tmp_path / "collection.json"))
    assert {each.id for each in opened.get_items()} == {"Larsen_B-2005", "Larsen_B_front-2005"}
    for each in opened.get_items():
        assert each.get_collection().id == opened.id


def test_a_picture_without_a_place_is_released_without_one(group, tmp_path):
    damage, extent = drawn(1, ny=64, nx=80)
    damage_product.summer(
        group, "pig", 2019, name="Pine Island", damage=damage, extent=extent, code=None,
        scenes=[scene(1, "2019-12-01", NOVEMBER, "S2")],
    )  # fmt: skip

    written = shelf_damage_release.write(group, str(tmp_path))

    assert written[0] == "Pine_Island/2019/S2_Pine_Island_2019_damage_map.tif"
    item = json.loads((tmp_path / "Pine_Island/2019/item.json").read_text())
    assert item["geometry"] is None
    assert "bbox" not in item
    with rasterio.open(tmp_path / written[0]) as file:
        assert file.crs is None


def test_a_part_that_has_calved_away_has_no_map(group, tmp_path):
    filled(group, front=np.zeros(CELLS, bool))

    assert set(shelf_damage_release.write(group, str(tmp_path))) == {EXTENT, REGION}


def test_two_shelves_of_one_folder_are_refused(group, tmp_path):
    damage, extent = drawn(1, ny=64, nx=80)
    for shelf, name in (("a", "Pine Island"), ("b", "Pine_Island")):
        damage_product.summer(group, shelf, 2019, name=name, damage=damage, extent=extent,
                              scenes=[scene(1, "2019-12-01", NOVEMBER, "LC08")])  # fmt: skip

    with pytest.raises(shelf_damage_release_names.ReleaseError, match="both released in Pine_Isl"):
        shelf_damage_release.write(group, str(tmp_path))


def test_names_of_nothing_legal_and_parts_without_a_mask_are_refused(group, tmp_path):
    with pytest.raises(shelf_damage_release_names.ReleaseError, match="cannot name files"):
        shelf_damage_release_names.folder_of("…")
    _, _, made = filled(group)
    del made["part_front"]
    with pytest.raises(shelf_damage_release_names.ReleaseError, match="no mask part_front"):
        shelf_damage_release.write(group, str(tmp_path))


def test_no_more_than_a_tile_is_read_at_once(group, tmp_path, monkeypatch):
    filled(group)
    largest = []
    read = shelf_damage_release.stored.values

    def counted(made, name, at=...):
        found = read(made, name, at)
        largest.append(found.size)
        return found

    monkeypatch.setattr(shelf_damage_release.stored, "values", counted)
    shelf_damage_release.write(group, str(tmp_path))

    assert max(largest) == shelf_damage_release.TILE**2


@pytest.mark.services
def test_a_bucket_holds_the_same_files(group, tmp_path, s3_environment):
    filled(group)
    root = s3_environment.url("release")

    there = shelf_damage_release.write(group, root)
    here = shelf_damage_release.write(group, str(tmp_path))

    assert there == here
    assert object_store.list_objects(root) == files(tmp_path)
    for path in files(tmp_path):
        data = object_store.read_bytes(object_store.join(root, path))
        assert data == (tmp_path / path).read_bytes()
    assert shelf_damage_release.write(group, root) == ()
    group["larsen-b/2005"]["published"][0] = 0
    shelf_damage_release.write(group, root)
    assert object_store.list_objects(root) == ["metadata.csv"]
