"""What runs a segmenter gives what torch gives in float32, and says what it runs on."""

import copy
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch

from pipelines.nets import models, openvino_predictor, quiet_openvino
from pipelines.nets.backends import (
    LEAST_AGREEMENT,
    BackendError,
    agreement,
    engine,
    predictor,
)
from pipelines.nets.inference import Engine, InferenceError, blended
from pipelines.nets.losses import bce_dice
from pipelines.nets.segmenter import Segmenter, SegmenterSpec
from pipelines.nets.torch_predictor import TorchPredictor
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.labelled_tiles import tile_shelves, write_tiles

GPU = pytest.mark.gpu
F32 = {"precision": "f32", "threads": 1}
EAGER = {"backend": "torch", "device": "cpu"} | F32


def tiny(seed: int = 0, **choices) -> Segmenter:
    torch.manual_seed(seed)
    return Segmenter(SegmenterSpec("tiny", **choices)).eval()


def scene(side: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Dark bars on a bright, noisy ground, with a corner missing; and where the bars are."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    turn = rng.uniform(0, np.pi)
    across = x * np.cos(turn) + y * np.sin(turn)
    dark = ((across + rng.uniform(0, 40)) % 40 < 12) & (np.hypot(x - side / 2, y - side / 2) < side)
    image = rng.normal(0.8 - 0.4 * dark, 0.03, (3, side, side)).astype(np.float32)
    image[:, : side // 8, : side // 5] = np.nan
    return image, dark


@cache
def trained() -> Segmenter:
    """A tiny network that has learned the bars: 40 steps, a few seconds."""
    module = tiny().train()
    optimiser = torch.optim.AdamW(module.parameters(), lr=3e-3)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    for step in range(40):
        image, dark = scene(64, step)
        valid = np.isfinite(image).all(axis=0)
        tensors = [torch.from_numpy(each)[None] for each in (np.nan_to_num(image), valid, dark)]
        mask = tensors[1][:, None].float()
        loss = bce_dice(module(tensors[0], mask), tensors[2].to(torch.uint8), mask)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    torch.set_num_threads(before)
    return module.eval()


def tiles(shape, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Random tiles with a hole in each."""
    rng = np.random.default_rng(seed)
    image = rng.random(shape, dtype=np.float32)
    valid = np.ones((shape[0], *shape[2:]), bool)
    valid[:, 5:15, 7:20] = False
    return image * valid[:, None], valid


def probability_of(module: Segmenter, image, valid) -> np.ndarray:
    with torch.inference_mode():
        logits = module(torch.from_numpy(image), torch.from_numpy(valid)[:, None].float())
    return 1.0 / (1.0 + np.exp(-logits.numpy().astype(float)))


@cache
def by_openvino():
    """The tiny network, converted once for all tests that only look at it."""
    return predictor(tiny(), backend="openvino", **F32)


@pytest.mark.parametrize("backend", ["torch", "openvino"])
@pytest.mark.parametrize("shape", [(3, 3, 64, 64), (1, 3, 96, 32), (2, 3, 50, 71)])
def test_every_backend_gives_the_network_itself(backend, shape):
    image, valid = tiles(shape)
    ours = by_openvino() if backend == "openvino" else predictor(tiny(), **EAGER)
    found = ours.predict(image, valid)
    assert found.dtype == np.float32
    # Other orders of float32 sums.
    np.testing.assert_allclose(found, probability_of(tiny(), image, valid), atol=1e-5)


@pytest.mark.parametrize(
    ("extras", "choices"),
    [((), {"detail": 0, "valid_channel": False}), (("nerd",), {"detail": 8, "magnify": 2})],
)
def test_openvino_serves_every_form_of_the_network(extras, choices):
    module = tiny(channels=("nir08",), extras=extras, **choices)
    image, valid = tiles((1, 1 + len(extras), 64, 96))
    found = predictor(module, backend="openvino", **F32).predict(image, valid)
    np.testing.assert_allclose(found, probability_of(module, image, valid), atol=1e-5)


def test_openvino_compiles_a_size_of_tile_once():
    ours = by_openvino()
    first = ours.predict(*tiles((2, 3, 64, 64)))
    compiled = ours._compiled[64, 64]
    ours.predict(*tiles((1, 3, 32, 64)))
    again = ours.predict(*tiles((2, 3, 64, 64)))
    assert ours._compiled[64, 64] is compiled
    assert ours._compiled[32, 64] is not compiled
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_a_predictor_does_not_see_later_training_nor_change_its_network(backend):
    module = tiny().train()
    ours = predictor(module, backend=backend, device="cpu", **F32)
    before = ours.predict(*tiles((1, 3, 64, 64)))
    assert module.training
    assert all(weight.requires_grad for weight in module.parameters())
    with torch.no_grad():
        for weight in module.parameters():
            weight.mul_(2.0)
    np.testing.assert_array_equal(ours.predict(*tiles((1, 3, 64, 64))), before)


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_views_and_arrays_that_may_not_be_written_are_read(backend):
    ours = by_openvino() if backend == "openvino" else predictor(tiny(), **EAGER)
    image, valid = tiles((1, 3, 64, 64))
    expected = ours.predict(image, valid)
    turned, mask = image.astype(float)[..., ::-1].copy(), valid[..., ::-1].copy()
    turned.flags.writeable = mask.flags.writeable = False
    found = ours.predict(turned[..., ::-1], mask[..., ::-1])
    np.testing.assert_array_equal(found, expected)


def test_what_was_not_measured_may_hold_anything():
    ours = by_openvino()
    image, valid = tiles((1, 3, 64, 64))
    other = image.copy()
    other[:, :, ~valid[0]] = 7.0
    np.testing.assert_array_equal(ours.predict(image, valid), ours.predict(other, valid))


@pytest.mark.parametrize("backend", ["torch", "openvino"])
@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_a_trained_network_gives_the_same_classes_on_every_backend(backend, precision):
    if backend == "openvino" and precision == "bf16" and not openvino_predictor.has_bf16():
        pytest.skip("this processor has no bf16")
    reference = predictor(trained(), **EAGER)
    ours = predictor(trained(), backend=backend, device="cpu", precision=precision, threads=1)
    images = [scene(128, seed)[0] for seed in (100, 101)]
    damaged = np.mean([blended(reference, image, tile=128) >= 0.5 for image in images])
    assert 0.1 < damaged < 0.6
    assert agreement(ours, reference, images) >= LEAST_AGREEMENT


def test_the_shipped_network_gives_the_same_classes_in_the_precision_chosen_here(tmp_path):
    module = models.opened(models.shipped("segmenter-b0"), name="segmenter-b0")
    shelves = [each for each in tile_shelves(Antarctica()) if each.id == "cedar"]
    images = []
    for tile in list(write_tiles(tmp_path, shelves=shelves, views=1))[:3]:
        with rasterio.open(tile.image) as file:
            counts = file.read()
        images.append(np.where(counts, counts * np.float32(2.5e-5), np.float32(np.nan)))
    reference = predictor(module, **EAGER)
    ours = predictor(module, device="cpu", threads=1)
    assert agreement(ours, reference, images) >= LEAST_AGREEMENT


@GPU
@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_a_gpu_gives_the_classes_of_the_processor(precision):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    reference = predictor(trained(), **EAGER)
    ours = predictor(trained(), device="cuda", precision=precision)
    images = [scene(128, seed)[0] for seed in (100, 101)]
    assert agreement(ours, reference, images) >= LEAST_AGREEMENT


def test_agreement_counts_measured_pixels_of_equal_class():
    class Constant:
        def __init__(self, value):
            self.value = np.asarray(value, np.float32)

        def predict(self, image, valid):
            return np.broadcast_to(self.value, valid.shape)

    image = np.ones((1, 2, 4), np.float32)
    image[0, 0, 0] = np.nan
    left = Constant([0.1, 0.6, 0.6, 0.1])
    right = Constant([0.9, 0.9, 0.4, 0.2])
    # Of seven pixels the first column is one, the third two: three differ.
    assert agreement(left, right, [image]) == pytest.approx(4 / 7)
    assert agreement(left, right, [image], threshold=0.95) == 1.0
    with pytest.raises(BackendError, match="no measured pixel"):
        agreement(left, right, [np.full((1, 2, 4), np.nan)])


class Forgetful(Segmenter):
    """A network whose device runs out of memory with more tiles than some."""

    def forward(self, image, valid):
        self.seen.append(len(image))
        if len(image) > self.room:
            raise torch.OutOfMemoryError("tried to allocate too much")
        return super().forward(image, valid)


def forgetful(room: int) -> TorchPredictor:
    torch.manual_seed(0)
    module = Forgetful(SegmenterSpec("tiny"))
    module.room, module.seen = room, []
    return TorchPredictor(module, Engine("torch", "cpu", "f32", 1))


def test_out_of_memory_the_batch_is_halved_and_stays_so():
    ours = forgetful(room=3)
    image, valid = tiles((10, 3, 32, 32))
    found = ours.predict(image, valid)
    assert ours.module.seen == [10, 5, 2, 2, 2, 2, 2]
    np.testing.assert_allclose(found, probability_of(tiny(), image, valid), atol=1e-5)
    ours.module.seen.clear()
    ours.predict(image[:4], valid[:4])
    assert ours.module.seen == [2, 2]


def test_a_single_tile_that_does_not_fit_is_refused_with_a_way_out():
    with pytest.raises(InferenceError, match=r"3 bands and 32 x 48 pixels; take smaller tiles"):
        forgetful(room=0).predict(*tiles((4, 3, 32, 48)))


def test_the_threads_of_torch_are_given_back():
    before = torch.get_num_threads()
    during = []
    module = copy.deepcopy(tiny())
    module.register_forward_hook(lambda *_: during.append(torch.get_num_threads()))
    ours = TorchPredictor(module, Engine("torch", "cpu", "f32", before + 1))
    ours.predict(*tiles((1, 3, 32, 32)))
    assert during == [before + 1]
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_another_number_of_bands_is_refused(backend):
    ours = by_openvino() if backend == "openvino" else predictor(tiny(), **EAGER)
    with pytest.raises(InferenceError, match="tiles of 1 band; the network was made for 3"):
        ours.predict(*tiles((1, 1, 32, 32)))
    image, valid = tiles((2, 3, 32, 32))
    with pytest.raises(InferenceError, match=r"expected \(2, 32, 32\)"):
        ours.predict(image, valid[:1])


def test_the_choice_is_a_gpu_then_openvino_then_torch(monkeypatch):
    fast = "bf16" if openvino_predictor.has_bf16() else "f32"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert engine() == Engine("torch", "cuda", "bf16")
    assert engine("cpu", threads=2) == Engine("openvino", "cpu", fast, 2)
    assert engine(backend="openvino") == Engine("openvino", "cpu", fast)
    assert engine(precision="f32").precision == "f32"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert engine() == Engine("openvino", "cpu", fast)
    monkeypatch.setattr(quiet_openvino, "is_installed", lambda: False)
    assert engine() == Engine("torch", "cpu", "f32")
    assert str(engine()) == "torch on cpu in f32"


def test_without_the_arithmetic_bf16_is_neither_chosen_nor_granted(monkeypatch):
    monkeypatch.setattr(openvino_predictor, "has_bf16", lambda: False)
    assert engine("cpu").precision == "f32"
    with pytest.raises(BackendError, match="OPTIMIZATION_CAPABILITIES"):
        engine("cpu", "openvino", "bf16")


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"device": "cuda"}, "torch finds no GPU"),
        ({"backend": "onnxruntime"}, "no backend 'onnxruntime'; choose"),
        ({"backend": "torch", "precision": "int8"}, "no precision 'int8'; choose"),
        ({"threads": 0}, "found 0 threads"),
        ({"device": "tpu"}, "no device 'tpu'; choose"),
    ],
)
def test_what_the_machine_or_the_code_does_not_have_is_refused(choices, message, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BackendError, match=message):
        engine(**choices)


def test_processors_libraries_are_refused_on_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(BackendError, match="take backend 'torch'"):
        engine("cuda", "openvino")


def test_missing_openvino_is_said_when_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(quiet_openvino, "is_installed", lambda: False)
    with pytest.raises(BackendError, match="needs openvino, which is not installed"):
        engine("cpu", "openvino")


def test_openvino_is_imported_where_it_is_silenced_and_nowhere_else():
    root = Path(__file__).parents[3]
    direct = re.compile(r"^\s*(import|from) openvino\b", re.MULTILINE)
    folders = ("pipelines", "cluster", "stac", "tests")
    files = [path for folder in folders for path in (root / folder).rglob("*.py")]
    assert len(files) > 100
    assert [path for path in files if direct.search(path.read_text("utf-8"))] == []


QUIET = """
import socket, sys, urllib.request
{before}
def refused(*given, **named):
    print("SENT", given)
    raise OSError
import multiprocessing
multiprocessing.Process.start = refused
socket.socket.connect = socket.create_connection = urllib.request.urlopen = refused
import numpy as np, torch
from pipelines.nets.quiet_openvino import openvino
example = torch.zeros(1, 3)
graph = openvino().convert_model(torch.nn.Linear(3, 2), example_input=example)
run = openvino().Core().compile_model(graph, "CPU", {{"INFERENCE_NUM_THREADS": 1}})
print("done" if run([example.numpy()])[0].shape == (1, 2) else "wrong")
"""


@pytest.mark.parametrize("before", ["", "import openvino_telemetry"])
def test_openvino_sends_nothing_and_writes_nothing(before, tmp_path):
    # CI=true would silence telemetry by itself.
    quiet = {name: value for name, value in os.environ.items() if name not in {"CI", "TF_BUILD"}}
    root = Path(__file__).parents[3]
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", QUIET.format(before=before)],
        env=quiet | {"HOME": str(tmp_path), "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.split() == ["done"]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_left_alone_openvino_would_write(tmp_path):
    # Shows that the test above can fail; the network does not exist where tests run in a sandbox.
    code = "import multiprocessing; multiprocessing.Process.start = print\nimport openvino"
    quiet = {name: value for name, value in os.environ.items() if name not in {"CI", "TF_BUILD"}}
    subprocess.run(
        [sys.executable, "-c", code], env=quiet | {"HOME": str(tmp_path)}, check=True, timeout=60,
        capture_output=True,
    )  # fmt: skip
    if not (tmp_path / "intel").exists():
        pytest.skip("this OpenVINO has no telemetry")
    assert (tmp_path / "intel" / "openvino_ga_cid").is_file()
