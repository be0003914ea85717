"""Whole images by a GPU: what ``--device cuda`` of `segmentation` and `restoration` states.

* ``segmentation``: 3584² pixels by b2, from an array on the host to one on the host, against the
  22 s that Tang et al. (2026) state for the same size on a GPU of theirs.
* ``restoration``: a Landsat 7 scene of 7000² pixels with the gaps of its failed mirror, against the
  three minutes that this project allows itself: `BUDGET`.

The peer's time is a number, not a run. ``max_relative_error`` compares a part with a processor in
float32. One run warms the GPU up; the median of the next three counts.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.nets import backends, simulated_gaps
from pipelines.nets.inference import blended
from pipelines.nets.patched_restoration import restored
from pipelines.nets.restorer import Restorer, RestorerSpec
from pipelines.nets.segmenter import paper_spec
from tests.benchmarks import segmentation_sides
from tests.benchmarks.statement import Statement, Timing

FLOAT32 = NDArray[np.float32]
PAPER, BUDGET = 22.0, 180.0
"""Seconds of the paper's segmentation, and that a restoration may take [s]."""
SCENE_PX, IMAGE_PX, PART_PX = 7000, 3584, 512
"""Sides of a scene, of the paper's image, and of what a processor computes too [pixels]."""
RUNS = 3


def why_not() -> str:
    """Return why nothing of a GPU is stated by a run on a processor."""
    if torch.cuda.is_available():
        return "run with --device cuda"
    return "torch finds no CUDA device on this machine"


def require_cuda(parser: argparse.ArgumentParser) -> None:
    """End the program in words where there is no GPU."""
    if not torch.cuda.is_available():
        parser.error(f"--device cuda: {why_not()}; leave it out, and the GPU figures are skipped")


def segmentation(*, quick: bool, device: Any = "cuda", side: int = IMAGE_PX) -> Statement:
    """Segment the paper's image with the paper's network."""
    image = segmentation_sides.image(side)
    sample = image[:, -PART_PX:, -PART_PX:]
    module, weights = segmentation_sides.network("segmenter-b2-paper", paper_spec(), sample)
    ours = backends.predictor(module, device=device, backend="torch")
    exact = backends.predictor(module, device="cpu", backend="torch", precision="f32")
    timing = timed("ours-b2", lambda: blended(ours, image), runs=1 if quick else RUNS)
    error = apart(blended(ours, sample), blended(exact, sample))
    return stated("segmentation", timing, Timing("paper", PAPER, PAPER, 1), error, side,
                  more={"weights": weights, "backend": str(ours.engine)})  # fmt: skip


def restoration(
    restorer: Restorer | None, *, quick: bool, device: str = "cuda", side: int = SCENE_PX
) -> Statement:
    """Restore a whole scene; without weights by an untrained network of the same size."""
    network = restorer or Restorer(RestorerSpec()).eval()
    bands = len(network.spec.channels)
    gap = simulated_gaps.fixed(7, (side, side), bands=bands)
    image = waves(side, bands)
    part = (slice(None), slice(0, PART_PX), slice(0, PART_PX))
    exact = restored(network, image[part], gap[part[1:]], samples=0).mean
    network = network.to(device)

    def ours(pixels: FLOAT32, holes: NDArray[np.bool_], *, half: bool) -> FLOAT32:
        return restored(network, pixels, holes, samples=0, device=device, half=half, batch=32).mean

    half = device != "cpu"
    timing = timed("ours", lambda: ours(image, gap, half=half), runs=1 if quick else RUNS)
    error = apart(ours(image[part], gap[part[1:]], half=half), exact)
    return stated("restoration", timing, Timing("budget", BUDGET, BUDGET, 1), error, side,
                  more={"gap_fraction": round(float(gap.mean()), 4)})  # fmt: skip


def waves(side: int, bands: int) -> FLOAT32:
    """Return an image that is smooth along rows [1]."""
    rng = np.random.default_rng(7)
    steps = rng.standard_normal((bands, side, side), dtype=np.float32)
    found: FLOAT32 = np.float32(0.5) + np.float32(0.1) * np.tanh(0.01 * np.cumsum(steps, axis=2))
    return found


def timed(name: str, work: Callable[[], object], *, runs: int) -> Timing:
    """Return the median time of some runs after one that does not count."""
    work()
    wall, cpu = [], []
    for _ in range(runs):
        start, start_cpu = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - start_cpu)
    return Timing(name, statistics.median(wall), statistics.median(cpu), runs)


def apart(found: FLOAT32, expected: FLOAT32) -> float:
    """Return the largest difference over the largest value [1]."""
    return float(np.nanmax(np.abs(found - expected)) / np.nanmax(np.abs(expected)))


def stated(
    name: str, ours: Timing, peer: Timing, error: float, side: int, *, more: dict[str, Any]
) -> Statement:
    """Return the statement of an image, with what it ran on and its seconds."""
    cuda = torch.cuda.is_available()
    told = {
        "seconds": round(ours.wall, 3),
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "peak_device_mib": round(torch.cuda.max_memory_allocated() / 2**20) if cuda else 0,
    }
    return Statement(name, [ours, peer], error, {"side": side}, unit="image", more=told | more)
