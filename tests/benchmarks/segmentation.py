"""Damage of a whole image by ours, against the authors' configuration, eager torch, and NeRD.

``python -m tests.benchmarks.segmentation [--quick] [--threads 2] [--device cpu|cuda]``. 3584²
pixels of three bands in tiles of 512; every side has the same threads. Costly sides do a part of
the image, the same in each run, and are scaled by how often they run the network, or by windows:
``parts`` says which part. With ``cuda`` b2 is timed on a GPU instead, see `whole_images`.

* ours: b0 blended (overlap 64, no flips) by the backend that `backends.predictor` chooses here.
* ``authors-b2``: b2 as the authors have it (`segmentation_sides.AuthorsPredictor`) over ours b2;
  ``authors-b2-to-b0``: the same over ours b0.
* ``naive-eager``: ours b0, its tiles and its blending, by eager torch in float32, tile by tile;
  ``ratio_naive_eager_b2`` is the same of b2.
* ``nerd-literal``: the published definition of NeRD window by window (the official code if
  ``NERD_HOME`` names a checkout, then ``nerd-official``) over the operator, both in processor time,
  as the former is one thread of Python.

Ours b2 is compared with the authors' on a part: in their own cut with four flips, in float32 (only
sums are ordered otherwise) and as timed (what bf16 changes), and in our cut (what fewer looks
change); the operator with the windows. Where no weights are shipped they are random, their log-odds
spread like those of a trained network; bf16 changes more of their classes than of a trained one's.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.kernels.imagery import radon_operator, tiling
from pipelines.nets import backends
from pipelines.nets.inference import blended, classes
from pipelines.nets.segmenter import SegmenterSpec, paper_spec
from tests.benchmarks import nerd_literal, whole_images
from tests.benchmarks.segmentation_sides import FLOAT, TILE, AuthorsPredictor, image, network
from tests.benchmarks.statement import Statement, Timing, alternate, peak_rss_mib
from tests.benchmarks.threads import on_threads

FLOAT64 = NDArray[np.float64]

MODULE = "tests.benchmarks.segmentation"
OVERLAP = 64
FORMS = {
    "b0": ("segmenter-b0", SegmenterSpec("b0")),
    "b2": ("segmenter-b2-paper", paper_spec()),
}
"""Name of the weights, if they are shipped, and form of each network."""
WINDOW = 5
"""Of NeRD [pixels], the paper's."""


@dataclass(frozen=True)
class Size:
    """What is computed.

    Attributes
    ----------
    side : int
        Of the image [pixels].
    authors, eager_b2 : int
        Sides of the parts that the authors' side and eager b2 do [pixels].
    windows : int
        Side of the square of windows that the literal NeRD does [windows].
    runs : int
        Timed runs.
    """

    side: int
    authors: int
    eager_b2: int
    windows: int
    runs: int


FULL = Size(side=3584, authors=768, eager_b2=960, windows=10, runs=3)
QUICK = Size(side=768, authors=512, eager_b2=512, windows=5, runs=1)


@dataclass(frozen=True)
class Pairs(Statement):
    """A statement whose peers are not all compared with the same side of ours.

    Attributes
    ----------
    stated : mapping
        Ratio by peer.
    """

    stated: Mapping[str, float] = field(default_factory=dict)

    @property
    def ratio(self) -> dict[str, float]:
        """Peer time divided by that of its counterpart of ours."""
        return {name: round(value, 2) for name, value in self.stated.items()}

    def table(self) -> str:
        """Return the table for people, with the ratios below."""
        ratios = "\n".join(f"{name}: {value} times ours" for name, value in self.ratio.items())
        return f"{super().table()}\n{ratios}"


def main() -> None:
    """Make networks and an image, compare all sides."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="768² pixels, smaller parts, one run")
    parser.add_argument("--threads", type=int, default=2, help="of every side")
    parser.add_argument("--alone", type=Path, help="an image: ours b0 only, tell its memory")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    if options.device == "cuda":
        whole_images.require_cuda(parser)
        whole_images.segmentation(quick=options.quick).tell()
        return
    on_threads(MODULE, options.threads)
    torch.set_num_threads(options.threads)
    size = QUICK if options.quick else FULL
    if options.alone:
        pixels = np.load(options.alone, mmap_mode="r")
        Problem(size, options.threads, pixels, names=("b0",)).ours("b0")
        print(own_peak_mib())
        return
    state(Problem(size, options.threads, image(size.side))).tell()


class Problem:
    """An image, networks on their backends, and what each side does with them."""

    def __init__(
        self, size: Size, threads: int, image: FLOAT, names: Sequence[str] = tuple(FORMS)
    ) -> None:
        self.size, self.threads, self.image = size, threads, image
        made = {name: network(*FORMS[name], self.image[:, -TILE:, -TILE:]) for name in names}
        self.networks = {name: module for name, (module, _) in made.items()}
        self.weights = {name: weights for name, (_, weights) in made.items()}
        self.fast = {
            name: backends.predictor(module, device="cpu", threads=threads)
            for name, module in self.networks.items()
        }
        eager = partial(backends.predictor, device="cpu", backend="torch", precision="f32")
        self.eager = {
            name: eager(module, threads=threads) for name, module in self.networks.items()
        }

    def part(self, side: int) -> FLOAT:
        """Return a measured square of the image, from its last corner."""
        return self.image[:, -side:, -side:]

    @cached_property
    def gray(self) -> FLOAT64:
        """Luminance, in which NeRD looks for crevasses [1]."""
        return radon_operator.luminance(self.image.astype(float))

    def ours(self, name: str, side: int | None = None) -> FLOAT:
        """Predict the image, or a part of it, with our backend."""
        part = self.part(side or self.size.side)
        return blended(self.fast[name], part, tile=TILE, overlap=OVERLAP)

    def naive(self, name: str, side: int | None = None) -> FLOAT:
        """Predict with eager torch, tile by tile."""
        part = self.part(side or self.size.side)
        return blended(self.eager[name], part, tile=TILE, overlap=OVERLAP, batch=1)

    def tiles(self, side: int) -> int:
        """Count the tiles of a square part."""
        return len(tiling.windows((side, side), tile=TILE, stride=TILE - OVERLAP))

    def windows(self) -> list[FLOAT]:
        """Return the windows that the literal NeRD does."""
        firsts = [self.size.side - WINDOW * k for k in range(1, self.size.windows + 1)]
        return [self.gray[i : i + WINDOW, j : j + WINDOW] for i in firsts for j in firsts]


def state(problem: Problem) -> Statement:
    """Time and compare all sides."""
    size = problem.size
    nerd = nerd_literal.official()
    peer = "nerd-official" if nerd else "nerd-literal"
    kept: dict[str, Any] = {}
    sides = sides_of(problem, kept, peer, nerd or nerd_literal.literal_signal)
    timings = scaled(alternate(sides, runs=size.runs), problem, peer)
    found = compared(problem, kept)
    more = ratios_and_costs(timings) | found | {
        "nerd_windows": size.windows**2,
        "parts": parts(problem, peer),
        "weights": problem.weights,
        "backend": {name: str(each.engine) for name, each in problem.fast.items()},
        "threads": problem.threads,
        "skipped": {"cuda": whole_images.why_not()},
    }  # fmt: skip
    errors = ("naive_eager_probability", "authors_cut_probability", "nerd_signal")
    image = {"side": size.side, "bands": 3, "tile": TILE, "overlap": OVERLAP}
    return Pairs(
        "segmentation",
        timings,
        max(found["differences"][name] for name in errors),
        image | {"threads": problem.threads},
        unit="image",
        more=more,
        peak_mib=memory_alone(problem),
        stated=ratios(timings, peer),
    )


def sides_of(
    problem: Problem, kept: dict[str, Any], peer: str, literal: Callable[[Any], Any]
) -> dict[str, Callable[[], object]]:
    """Return what is timed, by name, ours first; results to compare go into ``kept``."""
    size = problem.size
    authors = AuthorsPredictor(problem.networks["b2"])
    return {
        "ours": lambda: kept.update(ours=problem.ours("b0")),
        "ours-b2": lambda: problem.ours("b2"),
        "authors-b2": lambda: kept.update(authors=authors.predict(problem.part(size.authors))),
        "naive-eager": lambda: kept.update(naive=problem.naive("b0")),
        "naive-eager-b2": lambda: problem.naive("b2", size.eager_b2),
        "nerd-operator": lambda: kept.update(
            nerd=radon_operator.signals(problem.gray, WINDOW, origin=size.side % WINDOW)
        ),
        peer: lambda: kept.update(literal=[literal(each) for each in problem.windows()]),
    }


def scaled(timings: list[Timing], problem: Problem, peer: str) -> list[Timing]:
    """Scale the sides that did a part to the whole image."""
    size = problem.size
    forwards = AuthorsPredictor.forwards
    factor = {
        "authors-b2": forwards(size.side) / forwards(size.authors),
        "naive-eager-b2": problem.tiles(size.side) / problem.tiles(size.eager_b2),
        peer: (size.side // WINDOW) ** 2 / size.windows**2,
    }
    return [
        Timing(each.name, each.wall * by, each.cpu * by, each.runs)
        for each in timings
        for by in (factor.get(each.name, 1.0),)
    ]


def parts(problem: Problem, peer: str) -> dict[str, str]:
    """Say what part of the image the scaled sides did."""
    size = problem.size
    forwards = AuthorsPredictor.forwards
    return {
        "authors-b2": f"{forwards(size.authors)} of {forwards(size.side)} runs of the network",
        "naive-eager-b2": f"{problem.tiles(size.eager_b2)} of {problem.tiles(size.side)} tiles",
        peer: f"{size.windows**2} of {(size.side // WINDOW) ** 2} windows",
    }


def ratios(timings: list[Timing], peer: str) -> dict[str, float]:
    """Return what is claimed: wall time of networks, processor time of NeRD."""
    wall = {each.name: each.wall for each in timings}
    cpu = {each.name: each.cpu for each in timings}
    return {
        "authors-b2": wall["authors-b2"] / wall["ours-b2"],
        "authors-b2-to-b0": wall["authors-b2"] / wall["ours"],
        "naive-eager": wall["naive-eager"] / wall["ours"],
        peer: cpu[peer] / cpu["nerd-operator"],
    }


def ratios_and_costs(timings: list[Timing]) -> dict[str, Any]:
    """Return the ratios again in processor time, that of b2, and what each side took."""
    wall = {each.name: each.wall for each in timings}
    cpu = {each.name: each.cpu for each in timings}
    return {
        "ratio_naive_eager_b2": round(wall["naive-eager-b2"] / wall["ours-b2"], 2),
        "ratio_cpu": {
            "authors-b2": round(cpu["authors-b2"] / cpu["ours-b2"], 2),
            "authors-b2-to-b0": round(cpu["authors-b2"] / cpu["ours"], 2),
            "naive-eager": round(cpu["naive-eager"] / cpu["ours"], 2),
            "naive-eager-b2": round(cpu["naive-eager-b2"] / cpu["ours-b2"], 2),
        },
        "wall_s": {name: round(seconds, 2) for name, seconds in wall.items()},
        "cpu_s": {name: round(seconds, 2) for name, seconds in cpu.items()},
    }


def compared(problem: Problem, kept: Mapping[str, Any]) -> dict[str, Any]:
    """Compare results: differences of probability and signal, agreement of classes."""
    part = problem.part(problem.size.authors)
    flips = ("lr", "ud", "both")
    same_cut = blended(problem.fast["b2"], part, tile=TILE, overlap=TILE // 2, flips=flips)
    our_cut = problem.ours("b2", problem.size.authors)
    exact_b2 = backends.predictor(problem.networks["b2"], device="cpu", precision="f32")
    in_f32 = blended(exact_b2, part, tile=TILE, overlap=TILE // 2, flips=flips)
    count = problem.size.windows
    exact = kept["nerd"].signal[-1 : -count - 1 : -1, -1 : -count - 1 : -1].ravel()
    literal = np.array([signal for signal, _ in kept["literal"]])
    differences = {
        "naive_eager_probability": largest(kept["ours"], kept["naive"]),
        "authors_cut_probability": largest(same_cut, kept["authors"]),
        "authors_cut_probability_in_f32": largest(in_f32, kept["authors"]),
        "our_cut_probability": largest(our_cut, kept["authors"]),
        "nerd_signal": float(np.abs(exact - literal).max() / np.abs(literal).max()),
    }
    agreements = {
        "naive_eager": agreement(kept["ours"], kept["naive"]),
        "authors_cut": agreement(same_cut, kept["authors"]),
        "our_cut": agreement(our_cut, kept["authors"]),
    }
    return {"differences": differences, "class_agreement": agreements}


def largest(found: FLOAT, expected: FLOAT) -> float:
    """Return the largest difference over the largest value [1]; gaps must be the same."""
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    return float(np.nanmax(np.abs(found - expected)) / np.nanmax(expected))


def agreement(found: FLOAT, expected: FLOAT) -> float:
    """Return the fraction of measured pixels of the same class [1]."""
    measured = np.isfinite(expected)
    return float((classes(found) == classes(expected))[measured].mean())


def memory_alone(problem: Problem) -> float:
    """Return the most memory of ours b0 in a process of its own, libraries included [MiB]."""
    quick = ["--quick"] if problem.size == QUICK else []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.npy"
        np.save(path, problem.image)
        command = [sys.executable, "-m", MODULE, "--alone", str(path), *quick]
        command += ["--threads", str(problem.threads)]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def own_peak_mib() -> float:
    """Return the most memory of this program; `ru_maxrss` has that of who started it in [MiB]."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return peak_rss_mib()
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text("utf-8"))
    return int(found[1]) / 2**10 if found else peak_rss_mib()


if __name__ == "__main__":
    main()
