"""One scene on request: probabilities lie where the image does; what is no image is refused."""

import hashlib
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile
from rasterio.transform import Affine

from cluster.ledger import KeyFailed
from pipelines.cli import main
from pipelines.flows import scene_service, segmenting
from pipelines.flows.network_inputs import Weights
from pipelines.flows.scene_service import RequestError, SegmentService
from pipelines.nets import backends, inference, models
from pipelines.nets.segmenter import SegmenterSpec

from . import networks_world as world

PLACE = Affine(30.0, 0.0, -1_500_015.0, 0.0, -30.0, 400_005.0)
TILE = world.drawn("scene", "amery", side=80)


def tiff(values: NDArray[Any], *, tags: dict[str, str] | None = None, **profile: Any) -> bytes:
    """Return a GeoTIFF in the polar stereographic grid, or as the profile says."""
    bands, ny, nx = values.shape
    about = {"crs": "EPSG:3031", "transform": PLACE, "dtype": values.dtype.name, **profile}
    with warnings.catch_warnings(), MemoryFile() as memory:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with memory.open(driver="GTiff", height=ny, width=nx, count=bands, **about) as file:
            file.write(values)
            file.update_tags(**(tags or {}))
        return bytes(memory.read())


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    data = world.segmenter_bytes()
    path = tmp_path_factory.mktemp("weights") / "net.safetensors"
    path.write_bytes(data)
    return Weights("nets/net", str(path), hashlib.sha256(data).hexdigest())


@pytest.fixture(scope="module")
def service(weights: Weights) -> scene_service.SegmentAnswering:
    return SegmentService(weights).opened("cpu")


def test_probabilities_lie_where_the_image_does_and_are_nan_where_nothing_was_measured(
    service, weights
):
    with MemoryFile(service.answer(tiff(TILE.image))) as memory, memory.open() as file:
        found = file.read(1)
        assert (file.count, file.dtypes, file.crs) == (1, ("float32",), "EPSG:3031")
        assert file.transform == PLACE
        assert np.isnan(file.nodata)
        assert file.tags()["MODEL_SHA256"] == weights.sha256
    np.testing.assert_array_equal(np.isnan(found), np.isnan(TILE.image[0]))

    network: Any = models.opened(world.segmenter_bytes(), name="s")
    reference = backends.predictor(network, device="cpu", backend="torch", threads=1)
    expected = inference.blended(reference, TILE.image, tile=96, overlap=48)
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_counts_with_their_scale_say_the_same_as_reflectance(service):
    scaled = tiff(TILE.counts, tags={"SCALE": str(world.COUNT)}, nodata=0)

    answers = []
    for data in (scaled, tiff(TILE.image)):
        with MemoryFile(service.answer(data)) as memory, memory.open() as file:
            answers.append(file.read(1))
    np.testing.assert_allclose(*answers, atol=1e-5)


def test_one_band_stands_for_all(service):
    grey = TILE.image[:1]

    assert service.answer(tiff(grey)) == service.answer(tiff(np.repeat(grey, 3, axis=0)))


def test_an_image_without_a_place_is_answered_without_one(service):
    data = tiff(TILE.image, crs=None, transform=Affine.identity())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with MemoryFile(service.answer(data)) as memory, memory.open() as file:
            assert file.crs is None


FLOATS = np.full((3, 40, 40), 0.6, np.float32)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (pickle.dumps({"a": 1}), "expected a GeoTIFF"),
        (b"", "expected a GeoTIFF"),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "expected a GeoTIFF"),
        (tiff(FLOATS)[:400], "cannot be read"),
        (tiff(FLOATS[:2]), "2 bands, expected red, green, blue, or one"),
        (tiff((FLOATS * 1e4).astype(np.uint16)), "without a tag SCALE"),
        (
            tiff((FLOATS * 1e4).astype(np.uint16), tags={"SCALE": "many"}),
            "tag SCALE 'many', expected a number",
        ),
        (
            tiff((FLOATS * 1e4).astype(np.uint16), tags={"SCALE": "-1e-4"}),
            "tag SCALE '-1e-4', expected a number",
        ),
        (tiff(FLOATS * 1e4), "reaches 6000, expected reflectances"),
        (tiff(np.full((3, 40, 40), np.nan, np.float32)), "no pixel that was measured"),
        (tiff(FLOATS.astype(np.complex64)), "holds complex64"),
    ],
    ids=[
        "pickle", "empty", "png", "cut off", "two bands", "no scale", "bad scale", "negative scale",
        "no reflectance", "all missing", "complex",
    ],
)  # fmt: skip
def test_what_is_no_image_of_reflectance_is_refused(service, data, told):
    with pytest.raises(RequestError, match=told):
        service.answer(data)


def test_an_image_too_large_is_refused_before_it_is_read(service, monkeypatch):
    monkeypatch.setattr(scene_service, "MOST_PX", 79)

    with pytest.raises(RequestError, match="80 × 80 pixels, expected 79 at most"):
        service.answer(tiff(TILE.image))


def tiled(values: NDArray[Any], side: int) -> bytes:
    return tiff(values, tiled=True, blockxsize=side, blockysize=side)


def test_an_image_that_takes_too_much_memory_is_refused_before_it_is_read(service, monkeypatch):
    """80² pixels of 3 bands: 6 planes of float32, two windows, and a block of the file."""
    held = 4 * 6 * 80 * 80 + 2 * 3200 + 3 * 4 * 96**2
    monkeypatch.setattr(scene_service, "WINDOW_BYTES", 3200)
    monkeypatch.setattr(scene_service, "MOST_BYTES", held - 1)

    assert service.answer(tiled(TILE.image, 16))
    with pytest.raises(RequestError, match="would take 0 MiB, expected 0 at most; cut it"):
        service.answer(tiled(TILE.image, 96))


@given(st.integers(1, 8000), st.sampled_from([16, 32, 96]))
def test_the_size_of_windows_changes_no_pixel(window: int, block: int):
    data = tiled(TILE.image.astype(np.float64), block)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scene_service, "WINDOW_BYTES", window)
        found, _ = scene_service._read(data, SegmenterSpec("tiny"))
    np.testing.assert_array_equal(found, TILE.image)


def declared(values: Any, nodata: float | None, dtype: str) -> bytes:
    scale = {} if dtype == "float32" else {"SCALE": str(world.COUNT)}
    return tiff(values.astype(dtype), tags=scale, nodata=nodata)


@pytest.mark.parametrize(
    ("dtype", "fill", "nodata"),
    [
        ("uint16", 65_535, 65_535), ("int32", -9999, None), ("int32", -9999, -9999),
        ("uint16", 0, None), ("float32", 0.0, 0.0), ("float32", -9999.0, -9999.0),
        ("float32", np.inf, None),
    ],
)  # fmt: skip
def test_what_the_file_says_was_not_measured_is_unknown(service, dtype, fill, nodata):
    counts = world.drawn("whole", "amery", side=64, missing=0.0).counts.astype(np.float64)
    values = counts if dtype != "float32" else counts * world.COUNT
    values[1, 10:30, 20:40] = fill

    with MemoryFile(service.answer(declared(values, nodata, dtype))) as memory, memory.open() as f:
        unknown = np.isnan(f.read(1))

    expected = np.zeros((64, 64), bool)
    expected[10:30, 20:40] = True
    np.testing.assert_array_equal(unknown, expected)


def test_slightly_negative_reflectances_are_measured_and_others_are_refused(service):
    dark = FLOATS.copy()
    dark[0, 5, 5] = -0.01
    with MemoryFile(service.answer(tiff(dark))) as memory, memory.open() as file:
        assert np.isfinite(file.read(1)).all()

    dark[0, 5, 5] = -0.9999
    with pytest.raises(RequestError, match=r"reaches -0\.9999, .* declare what stands for no data"):
        service.answer(tiff(dark))


def test_a_saturated_image_is_answered(service):
    """Clouds and snow may fill all bands at the highest count."""
    white = np.full((3, 40, 40), 65_535, np.uint16)

    answer = service.answer(tiff(white, tags={"SCALE": str(world.COUNT)}))

    with MemoryFile(answer) as memory, memory.open() as file:
        assert np.isfinite(file.read(1)).all()


def test_an_image_that_makes_the_model_give_nan_is_refused_by_its_place(service, monkeypatch):
    class Spoilt:
        def predict(self, image: Any, valid: Any) -> Any:
            return np.full(valid.shape, np.nan, np.float32)

    answering = scene_service.SegmentAnswering(
        segmenting.Segmenting(Spoilt(), SegmenterSpec("tiny")), ""
    )
    with pytest.raises(RequestError, match="not finite"):
        answering.answer(tiff(TILE.image))


def test_the_command_refuses_what_it_cannot_serve_before_anything_starts(tmp_path):
    world.add_weights(tmp_path / "c", world.restorer_bytes(), "filler", tmp_path / "in")
    answers = {
        "nets/filler": "task is restoration, expected segmentation",
        "nets/absent": "nets/absent",
        "shipped:absent": "shipped:absent",
    }
    for name, told in answers.items():
        command = ["serve-model", name, "--catalogue", str(tmp_path / "c")]
        answer = CliRunner().invoke(main, command)

        assert answer.exit_code == 2, answer.output
        assert told in answer.output


def test_weights_that_changed_since_they_were_found_are_not_opened(weights: Weights):
    Path(weights.href).with_name("other.safetensors").write_bytes(world.segmenter_bytes(seed=9))
    other = Weights(weights.name, weights.href.replace("net.", "other."), weights.sha256)

    with pytest.raises(KeyFailed, match="run again"):
        SegmentService(other).opened("cpu")
