"""Annotated tiles are stored as what they mean: 255 is damage in one product, none in another."""

import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine

from stac import damage_labels, relative_counts
from stac.catalogue import open_catalogue
from stac.damage_labels import LabelError, open_tile, read_labels
from stac.field_units import FieldFormatError
from stac.ingest import ingest

PLACE = {"crs": "EPSG:3031", "transform": Affine(30.0, 0.0, 15.0, 0.0, -30.0, 1_000_015.0)}
COUNT = 2.5e-5


def write(
    path: Path, values: NDArray[Any], *, tags: dict[str, str] | None = None,
    names: tuple[str, ...] = (), **profile: Any,
) -> Path:  # fmt: skip
    """Write a GeoTIFF; without a place unless the profile has one."""
    values = values if values.ndim == 3 else values[None]
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = {"count": values.shape[0], "height": values.shape[1], "width": values.shape[2]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver="GTiff", dtype=values.dtype, **shape, **profile) as f:
            f.write(values)
            f.update_tags(**(tags or {}))
            for number, name in enumerate(names, start=1):
                f.set_band_description(number, name)
    return path


def parts_of(image: Path) -> dict[str, bytes]:
    mask = image.with_name(f"{image.stem}_mask.tif")
    return {".tif": image.read_bytes(), "_mask.tif": mask.read_bytes()}


def synthetic(folder: Path, *, labels: NDArray[np.uint8] | None = None, **tags: str) -> Path:
    """Write a tile as the synthetic shelves have it: 12 x 16 pixels of three bands."""
    counts = np.arange(3 * 12 * 16, dtype=np.uint16).reshape(3, 12, 16) * 50 + 10_000
    counts[1, 0, :4] = 0
    drawn = np.zeros((12, 16), np.uint8) if labels is None else labels
    tags = {"REGION": "amery", "SCALE": str(COUNT)} | tags
    names = ("red", "green", "blue")
    write(folder / "t_mask.tif", drawn, nodata=255, **PLACE)
    return write(folder / "t.tif", counts, tags=tags, names=names, nodata=0, **PLACE)


@pytest.fixture
def modis(tmp_path: Path) -> Path:
    """Write a tile as Lai et al. have it: no place, 0 for sea and for shadow, 255 for damage."""
    rng = np.random.default_rng(4)
    counts = rng.integers(5_000, 60_000, (96, 80)).astype(np.uint16)
    counts[:40] = 0
    counts[60, 10:30] = 0
    counts[70, 5] = 65_535
    mask = np.zeros((96, 80), np.uint8)
    mask[60, 10:30] = 255
    mask[3, 3] = 255
    write(tmp_path / "fracture_9x9_mask.tif", mask)
    return write(tmp_path / "fracture_9x9.tif", counts)


def test_a_synthetic_tile_comes_back_as_reflectances_and_its_own_labels(tmp_path: Path):
    labels = np.zeros((12, 16), np.uint8)
    labels[5:7, 2:9], labels[11] = 1, 255
    image = synthetic(tmp_path / "in", labels=labels, DATETIME="2015-12-01T14:00:00Z")

    (done,) = ingest("damage-labels", [str(tmp_path / "in")], catalogue=str(tmp_path / "c"),
                     collection="tiles")  # fmt: skip
    (item,) = open_catalogue(str(tmp_path / "c")).search("tiles")
    tile = open_tile(item)

    assert (done.state, done.source) == ("added", str(image))
    assert (tile.region, tile.bands, tile.spacing_m) == ("amery", ("red", "green", "blue"), 30.0)
    assert tile.image.dtype == np.float32
    assert tile.image[0, 0, 5] == np.float32((10_000 + 5 * 50) * COUNT)
    np.testing.assert_array_equal(np.argwhere(np.isnan(tile.image)), [[1, 0, i] for i in range(4)])
    expected = labels.copy()
    expected[0, :4] = 255
    np.testing.assert_array_equal(tile.label, expected)
    assert item.properties["nunatak:damage_fraction"] == round(14 / (192 - 16 - 4), 6)
    assert item.properties["nunatak:labelled_fraction"] == round(1 - 20 / 192, 6)
    assert item.properties["start_datetime"] == "2015-12-01T14:00:00Z"
    assert item.properties["proj:code"] == "EPSG:3031"
    assert (item.properties["nunatak:rows"], item.properties["nunatak:columns"]) == (12, 16)


def test_a_mask_of_0_and_255_is_unknown_with_a_scale_and_damage_without(tmp_path: Path, modis):
    labels = np.zeros((12, 16), np.uint8)
    labels[4:] = 255

    ours = read_labels(parts_of(synthetic(tmp_path, labels=labels)), name="t.tif")
    theirs = read_labels(parts_of(modis), name=modis.name)

    assert set(np.unique(ours["label"])) == {0, 255}
    assert Counter(theirs["label"].to_numpy().ravel().tolist()) == {
        0: 56 * 80 - 20, 1: 20, 255: 40 * 80,
    }  # fmt: skip


def test_wide_zeros_are_missing_and_narrow_ones_are_shadow(modis: Path):
    image = read_labels(parts_of(modis), name=modis.name)["image"].to_numpy()[0]

    assert np.isnan(image[:40]).all()
    assert np.isfinite(image[40:]).all()
    assert (image[60, 10:30] == image[40:].min()).all()
    assert image[70, 5] == image[40:].max()
    assert 0.0 <= image[40:].min() < 0.1
    assert 1.1 < image[40:].max() <= 1.2


def test_stretching_maps_the_percentiles_of_measured_pixels(modis: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        counts = rasterio.open(modis).read(1)
    usable = counts[(counts > 0) & (counts < 65_535)]
    low, high = np.percentile(usable, [1, 99])

    found = read_labels(parts_of(modis), name=modis.name)

    assert (found.attrs["count_low"], found.attrs["count_high"]) == (low, high)
    at = float(found["image"][0, 80, 40])
    assert at == pytest.approx(0.1 + (counts[80, 40] - low) / (high - low), rel=1e-6)


def test_a_tile_without_a_place_covers_the_ice_sheet_and_knows_its_spacing(tmp_path, modis: Path):
    (done,) = ingest("damage-labels", [str(modis)], catalogue=str(tmp_path / "c"), collection="t")
    (item,) = open_catalogue(str(tmp_path / "c")).search("t")
    tile = open_tile(item)

    assert (done.item_id, tile.region, tile.bands) == ("fracture_9x9", "fracture_9x9", ("gray",))
    assert (tile.spacing_m, item.properties["nunatak:licence"]) == (125.0, "GPL-3.0")
    assert item.bbox[3] < -50.0
    assert "own corner" in item.properties["processing:lineage"]
    assert tile.seen_as(("red", "green", "blue")).shape == (3, 96, 80)


def test_other_bytes_of_a_mask_are_another_source(tmp_path: Path, modis: Path):
    url = str(tmp_path / "c")
    (first,) = ingest("damage-labels", [str(modis)], catalogue=url, collection="t")
    (again,) = ingest("damage-labels", [str(modis)], catalogue=url, collection="t")
    write(tmp_path / "fracture_9x9_mask.tif", np.zeros((96, 80), np.uint8))
    (changed,) = ingest("damage-labels", [str(modis)], catalogue=url, collection="t")

    assert (first.state, again.state, changed.state) == ("added", "present", "failed")
    assert "items never change" in changed.reason


def test_bands_are_chosen_by_name(tmp_path: Path):
    found = read_labels(parts_of(synthetic(tmp_path)), name="t.tif")
    image = found["image"].to_numpy()
    tile = damage_labels.LabelledTile(
        image, found["label"].to_numpy(), "t", "amery", ("red", "green", "blue"), 30.0
    )

    np.testing.assert_array_equal(tile.seen_as(("blue", "red")), image[[2, 0]])
    with pytest.raises(LabelError, match=r"not \['nir08'\]"):
        tile.seen_as(("red", "nir08"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": np.full((12, 16), 7, np.uint8)}, r"holds \[7\].*0 intact, 1 damage"),
        ({"labels": np.zeros((12, 15), np.uint8)}, r"\(12, 16\) pixels, its mask \(12, 15\)"),
        ({"SCALE": "many"}, "SCALE is 'many'"),
        ({"SCALE": "1.0"}, "expected reflectances"),
    ],
)
def test_tiles_that_mean_nothing_are_refused(tmp_path: Path, change: dict[str, Any], words: str):
    with pytest.raises(LabelError, match=words):
        read_labels(parts_of(synthetic(tmp_path, **change)), name="t.tif")


def test_an_all_missing_tile_is_refused(tmp_path: Path):
    write(tmp_path / "a_mask.tif", np.zeros((40, 40), np.uint8))
    image = write(tmp_path / "a.tif", np.zeros((40, 40), np.uint16), tags={"SPACING_M": "125"})

    with pytest.raises(LabelError, match="no measured pixel"):
        read_labels(parts_of(image), name="a.tif")


@pytest.mark.parametrize(
    "image", [np.full((8, 8), 9, np.uint16), np.uint8([[0, 255], [255, 255]]).repeat(40, 0)]
)
def test_a_tile_of_one_count_is_refused_as_a_mask_would_be(tmp_path: Path, image):
    write(tmp_path / "a_mask.tif", np.zeros(image.shape, np.uint8))
    path = write(tmp_path / "a.tif", image, tags={"SPACING_M": "125"})

    with pytest.raises(LabelError, match=r"a\.tif holds no counts but .*, as a mask does"):
        read_labels(parts_of(path), name="a.tif")


def test_a_tile_of_unknown_spacing_is_refused(tmp_path: Path):
    write(tmp_path / "a_mask.tif", np.zeros((8, 8), np.uint8))
    image = write(tmp_path / "a.tif", np.full((8, 8), 9, np.uint16))

    with pytest.raises(LabelError, match="no tag SPACING_M"):
        read_labels(parts_of(image), name="a.tif")


def test_placeholders_are_refused_and_masks_alone_too(tmp_path: Path):
    write(tmp_path / "in" / "frac_ross_mask.tif", np.zeros((8, 8), np.uint8))
    write(tmp_path / "in" / "frac_ross.tif", np.full((8, 8), 9, np.uint16))
    write(tmp_path / "in" / "lonely.tif", np.full((8, 8), 9, np.uint16))
    mask = tmp_path / "in" / "frac_ross_mask.tif"

    done = ingest("damage-labels", [str(tmp_path / "in"), str(mask)],
                  catalogue=str(tmp_path / "c"), collection="t")  # fmt: skip
    reasons = [each.reason for each in done]

    assert len(reasons) == 3
    assert "empty placeholder" in reasons[0]
    assert "lonely_mask.tif" in reasons[1]
    assert "is a mask; give the image" in reasons[2]


def test_files_of_other_formats_are_refused_by_the_driver(tmp_path: Path, modis: Path):
    """GDAL would follow a VRT to any file; only GeoTIFF is opened."""
    vrt = b"<VRTDataset rasterXSize='8' rasterYSize='8'></VRTDataset>"

    with pytest.raises(FieldFormatError, match="cannot be read as GeoTIFF"):
        read_labels(parts_of(modis) | {".tif": vrt}, name=modis.name)


@given(st.integers(1, 60), st.integers(1, 60))
def test_zeros_are_missing_where_they_fill_more_than_the_widest_shadow(rows: int, columns: int):
    zero = np.zeros((64, 64), bool)
    zero[:rows, :columns] = True
    zero[63, 63] = True

    wide = relative_counts.wide_zeros(zero)

    assert wide.sum() == (rows * columns if rows * columns > 1024 else 0)


def test_what_a_file_declares_to_be_no_data_is_missing(tmp_path: Path):
    """In counts of a known scale and in reflectances; without a declaration 0 is reflectance 0."""
    counts = np.full((3, 8, 8), 20_000, np.int32)
    counts[:, 0], counts[1, 1, 1], counts[2, 2, 2] = 65_535, 0, -9999
    light = np.full((3, 8, 8), 0.6, np.float32)
    light[:, 0], light[0, 3, 3] = 0.0, np.nan
    names, mask = ("red", "green", "blue"), np.zeros((8, 8), np.uint8)
    for name, values, nodata in (("a", counts, 65_535), ("b", light, 0.0), ("c", light, None)):
        tags = {"SCALE": str(COUNT)} if values is counts else {}
        write(tmp_path / f"{name}_mask.tif", mask, **PLACE)
        write(tmp_path / f"{name}.tif", values, tags=tags, names=names, nodata=nodata, **PLACE)

    found = {n: read_labels(parts_of(tmp_path / f"{n}.tif"), name=f"{n}.tif") for n in "abc"}

    np.testing.assert_array_equal(np.isnan(found["a"]["image"]), (counts != 20_000))
    np.testing.assert_array_equal(np.isnan(found["b"]["image"]), light != np.float32(0.6))
    np.testing.assert_array_equal(np.isnan(found["c"]["image"]), np.isnan(light))
    assert (found["a"]["label"][0] == 255).all()


def test_shadows_of_relative_counts_stay_where_0_is_declared_to_be_no_data(modis: Path):
    plain = read_labels(parts_of(modis), name=modis.name)["image"].to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(modis) as file:
            counts = file.read()
    write(modis, counts, nodata=0)

    found = read_labels(parts_of(modis), name=modis.name)["image"].to_numpy()

    np.testing.assert_array_equal(found, plain)


def test_an_empty_file_is_refused_as_empty(modis: Path):
    with pytest.raises(FieldFormatError, match="is empty"):
        read_labels(parts_of(modis) | {".tif": b""}, name=modis.name)


@pytest.mark.realdata
def test_real_modis_tiles_are_read_and_ross_is_refused(data_root: Path, tmp_path: Path):
    folder = data_root / "optical" / "damage" / "lai2020_moa125m"
    chosen = [folder / "train" / f"fracture_{n}.tif" for n in ("6x3", "4x6", "7x2")]
    ross = folder / "ross" / "nonfrac_ross.tif"

    done = list(ingest("damage-labels", [str(p) for p in (*chosen, ross)],
                       catalogue=str(tmp_path / "c"), collection="lai"))  # fmt: skip
    items = {item.id: item for item in open_catalogue(str(tmp_path / "c")).search("lai")}
    tile = open_tile(items["fracture_6x3"])

    assert [each.state for each in done] == ["added", "added", "added", "failed"]
    assert tile.image.shape == (1, 1000, 1000)
    damage = {name: item.properties["nunatak:damage_fraction"] for name, item in items.items()}
    assert damage["fracture_4x6"] == 0.0
    assert 0.04 < damage["fracture_7x2"] < 0.06
    assert (tile.label == 1).sum() == pytest.approx(48_663, rel=0.01)
    assert 0.3 < np.nanmedian(tile.image) < 0.8
