"""Pictures of any sensor: what their file does not tell is told beside them, or they fail."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine

from stac.catalogue import open_catalogue
from stac.contracts import open_item
from stac.field_units import FieldFormatError
from stac.imagery import read_imagery
from stac.imagery_notes import ImageryError, parse_note, parse_world_file
from stac.ingest import ingest

PLACE = {"crs": "EPSG:3031", "transform": Affine(100.0, 0.0, -1_650_000.0, 0.0, -100.0, -230_000.0)}
NOTE = "sensor: S2\nday: 2020-01-15\nspacing_m: 100\n"
NAME = "pig.png"


def write(path: Path, values: NDArray[Any], *, driver: str = "GTiff", **profile: Any) -> Path:
    """Write a picture (band, y, x); tags are given as ``tags``."""
    tags = profile.pop("tags", {})
    shape = {"count": values.shape[0], "height": values.shape[1], "width": values.shape[2]}
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver=driver, dtype=values.dtype, **shape, **profile) as f:
            f.write(values)
            f.update_tags(**tags)
    return path


def drawn(bands: int = 3, rows: int = 60, columns: int = 50) -> NDArray[np.uint8]:
    """Return counts 60 to 200; a sea of 0 in the south-west, wider than any shadow; one shadow."""
    counts = np.random.default_rng(5).integers(60, 201, (bands, rows, columns)).astype(np.uint8)
    counts[:, -30:, :40] = 0
    counts[:, 5, 5:8] = 0
    return counts


def png(folder: Path, values: NDArray[Any] | None = None) -> bytes:
    return write(folder / NAME, drawn() if values is None else values, driver="PNG").read_bytes()


def read(picture: bytes, note: str = NOTE, **more: bytes):
    return read_imagery({".png": picture, ".imagery.yaml": note.encode(), **more}, name=NAME)


def test_a_picture_with_a_note_becomes_an_item_with_sensor_day_and_place(tmp_path: Path):
    write(tmp_path / "in" / "pig.jpeg", drawn(), driver="JPEG", quality=100)
    note = "sensor: S2\ndays: [2019-12-01, 2020-03-01]\nregion: Pine Island\nspacing_m: 100\n"
    note += "corner: [-1650000, -230000]\nmissing_up_to: 12\ngray: true\n"
    (tmp_path / "in" / "pig.imagery.yaml").write_text(note)
    where = str(tmp_path / "c")

    (done,) = ingest("imagery", [str(tmp_path / "in")], catalogue=where, collection="p")
    (again,) = ingest("imagery", [str(tmp_path / "in")], catalogue=where, collection="p")
    (item,) = open_catalogue(where).search("p")
    held = open_item(item)

    assert (done.state, again.state, done.item_id) == ("added", "present", "pig")
    told = {key: item.properties[f"nunatak:{key}"] for key in ("sensor", "region", "place")}
    assert told == {"sensor": "S2", "region": "Pine Island", "place": "EPSG:3031"}
    assert item.properties["start_datetime"] == "2019-12-01T00:00:00Z"
    assert item.properties["end_datetime"] == "2020-02-29T23:59:59Z"
    assert item.properties["proj:transform"][2::3] == [-1_650_000.0, -230_000.0]
    assert held["image"].dtype == np.float32
    assert held["image"].dims == ("band", "y", "x")
    assert held["band"].to_numpy().tolist() == ["gray"]
    assert float(held["y"][0]) == -230_050.0


def test_a_note_that_changes_makes_another_source(tmp_path: Path):
    png(tmp_path / "in")
    note = tmp_path / "in" / "pig.imagery.yaml"
    note.write_text(NOTE)
    list(ingest("imagery", [str(tmp_path / "in")], catalogue=str(tmp_path / "c"), collection="p"))

    note.write_text(NOTE.replace("100", "90"))
    (done,) = ingest("imagery", [str(tmp_path / "in")], catalogue=str(tmp_path / "c"),
                     collection="p")  # fmt: skip

    assert done.state == "failed"


def test_wide_darkness_is_missing_and_narrow_darkness_is_shadow(tmp_path: Path):
    image = read(png(tmp_path))["image"].to_numpy()

    assert np.isnan(image[:, -30:, :40]).all()
    assert np.isfinite(image[:, :30]).all()
    assert (image[:, 5, 5:8] <= image[:, :30].min()).all()


def test_relative_counts_are_stretched_between_their_percentiles(tmp_path: Path):
    counts = drawn(1)
    image = read(png(tmp_path, counts))["image"].to_numpy()[0]
    used = counts[0][np.isfinite(image) & (counts[0] > 0)].astype(float)
    low, high = np.quantile(used, [0.01, 0.99])
    expected = np.clip(0.1 + (counts[0] - low) / (high - low), 0.0, 1.2)

    np.testing.assert_allclose(image, np.where(np.isfinite(image), expected, np.nan), atol=1e-6)


def test_a_window_is_cut_out_and_the_corner_is_that_of_the_window(tmp_path: Path):
    counts = drawn()
    note = NOTE + "corner: [-1000, 2000]\nwindow: {rows: [2, 20], columns: [3, 30]}\nscaling: 0.005"
    held = read(png(tmp_path, counts), note)

    assert held["image"].shape == (3, 18, 27)
    cut = counts[:, 2:20, 3:30]
    expected = np.where(cut > 0, cut * 0.005, np.nan)
    np.testing.assert_allclose(held["image"], expected, rtol=1e-6)
    assert (float(held["x"][0]), float(held["y"][0])) == (-950.0, 1950.0)
    assert held.attrs["scaling"] == "reflectance"


def test_a_geotiff_tells_by_its_tags_what_others_need_a_note_for(tmp_path: Path):
    tags = {"SENSOR": "S2", "DATETIME": "2020-01-15T13:00:00Z", "REGION": "PIG", "SCALE": "1e-4"}
    counts = np.full((1, 4, 5), 8000, np.uint16)
    counts[0, 0, 0] = 0
    path = write(tmp_path / "a.tif", counts, tags=tags, **PLACE)

    held = read_imagery({".tif": path.read_bytes()}, name="a.tif")

    assert held["image"].to_numpy().ravel()[1:].tolist() == [np.float32(0.8)] * 19
    assert np.isnan(held["image"][0, 0, 0])
    assert (held.attrs["sensor"], held.attrs["region"]) == ("S2", "PIG")
    assert held.attrs["time_end"] == "2020-01-15T13:00:01"
    assert (held.attrs["spacing_m"], float(held["x"][0])) == (100.0, -1_649_950.0)


def test_a_window_of_a_placed_geotiff_moves_with_its_first_pixel(tmp_path: Path):
    path = write(tmp_path / "a.tif", drawn(), **PLACE)
    note = NOTE + "window: {rows: [10, 20], columns: [4, 9]}"

    held = read_imagery({".tif": path.read_bytes(), ".imagery.yaml": note.encode()}, name="a.tif")

    assert (float(held["x"][0]), float(held["y"][0])) == (-1_649_550.0, -231_050.0)


def test_a_world_file_gives_the_place_where_the_note_gives_coordinates(tmp_path: Path):
    world = b"100\n0\n0\n-100\n-1649950\n-230050\n"

    held = read(png(tmp_path), NOTE + "crs: EPSG:3031", **{".pgw": world})

    assert (float(held["x"][0]), float(held["y"][0])) == (-1_649_950.0, -230_050.0)
    with pytest.raises(ImageryError, match="not in which coordinates"):
        read(png(tmp_path), **{".pgw": world})


def test_a_picture_without_a_place_is_local_and_may_lie_anywhere(tmp_path: Path):
    png(tmp_path / "in")
    (tmp_path / "in" / "pig.imagery.json").write_text(
        '{"sensor": "S2", "day": "2020-01-15", "spacing_m": 100}'
    )
    list(ingest("imagery", [str(tmp_path / "in")], catalogue=str(tmp_path / "c"), collection="p"))

    (item,) = open_catalogue(str(tmp_path / "c")).search("p")

    assert item.properties["nunatak:place"] == "local"
    assert "proj:transform" not in item.properties
    assert float(open_item(item)["x"][0]) == 50.0


def test_transparent_pixels_are_missing(tmp_path: Path):
    counts = np.concatenate([drawn(), np.full((1, 60, 50), 255, np.uint8)])
    counts[3, 0, 0] = 0

    image = read(png(tmp_path, counts))["image"].to_numpy()

    assert image.shape == (3, 60, 50)
    assert np.isnan(image[:, 0, 0]).all()
    assert np.isfinite(image[:, 0, 1]).all()


@pytest.mark.parametrize(
    ("note", "said"),
    [
        ("day: 2020-01-15\nspacing_m: 100", "its sensor is ''"),
        ("sensor: S-2\nday: 2020-01-15\nspacing_m: 100", "letters and digits"),
        ("sensor: S2\nspacing_m: 100", "its day is not known"),
        ("sensor: S2\nday: 2020-01-15", "side of its pixels is not known"),
        (NOTE + "window: {rows: [0, 61], columns: [0, 9]}", "ends at 61 and 9"),
        (NOTE + "window: {rows: [30, 60], columns: [0, 40]}", "no measured pixel"),
        (NOTE + "scaling: 1", "tell the scaling"),
    ],
)
def test_a_picture_of_which_too_little_is_told_is_refused(tmp_path: Path, note: str, said: str):
    with pytest.raises(ImageryError, match=said):
        read(png(tmp_path), note)


@pytest.mark.parametrize(
    ("note", "said"),
    [
        ("- S2", "expected keys"),
        ("sensor: [", "no YAML"),
        ("sensor: 2", "quotation marks"),
        ("sensors: S2", "has sensors"),
        ("crs: EPSG:32713", "warp"),
        ("spacing_m: 0", "above 0"),
        ("spacing_m: wide", "expected a number"),
        ("corner: [1]", "two numbers"),
        ("corner: [1, null]", "two numbers"),
        ("window: {rows: [3, 3], columns: [0, 9]}", "window.rows"),
        ("window: [0, 9]", "window is"),
        ("day: yesterday", "a day such as"),
        ("days: [2020-03-01, 2019-12-01]", "second to be later"),
        ("days: [2020-03-01]", "the one after the last"),
        ("day: 2020-01-15\ndays: [2019-12-01, 2020-03-01]", "both day and days"),
        ("gray: 3", "true or false"),
    ],
)
def test_a_note_that_means_nothing_is_refused(note: str, said: str):
    with pytest.raises(ImageryError, match=said):
        parse_note(note.encode(), name="pig.imagery.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"100 0 0 -100 5", "six numbers"),
        (b"100 0 0 -x 5 5", "six numbers"),
        (b"100 3 3 -100 5 5", "rotations 3"),
        (b"100 0 0 -90 5 5", "100 by 90 m"),
        (b"100 0 0 100 5 5", "north up"),
    ],
)
def test_a_world_file_of_other_than_square_pixels_north_up_is_refused(text: bytes, said: str):
    with pytest.raises(ImageryError, match=said):
        parse_world_file(text, name="pig.pgw")


def test_files_that_are_no_pictures_fail_alone(tmp_path: Path):
    with pytest.raises(ImageryError, match="empty"):
        read(b"")
    with pytest.raises(ImageryError, match="cannot be read as PNG"):
        read(b"no picture")
    path = write(tmp_path / "a.tif", drawn(), crs="EPSG:32713", transform=PLACE["transform"])
    with pytest.raises(FieldFormatError):
        read_imagery({".tif": path.read_bytes(), ".imagery.yaml": NOTE.encode()}, name="a.tif")
    two = write(tmp_path / "b.tif", drawn(2), **PLACE)
    with pytest.raises(ImageryError, match="describe each"):
        read_imagery({".tif": two.read_bytes(), ".imagery.yaml": NOTE.encode()}, name="b.tif")
