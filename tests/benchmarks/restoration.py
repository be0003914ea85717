"""Restored gaps: how good, and how fast, our mean restoration beside fills that learn nothing.

``python -m tests.benchmarks.restoration [--quick] [--weights PATH] [--segmenter PATH] [--device
cpu|cuda]``. All sides run in one process on one thread; the ratio is of processor time per
megapixel. With ``--device cuda`` a whole scene of 7000² pixels is restored instead, see
`whole_images`.

* ours: `patched_restoration` of a whole image by the mean network, patches of 256 with 64 shared.
* ``linear`` (shortest way across), ``telea``, ``navier-stokes`` (OpenCV), ``biharmonic``
  (scikit-image, by connected gaps): `gap_fill_baselines`.

``scores`` has an entry per method: the fills above, ``mean-net``, ``diffusion-mean`` (the mean of
samples), ``single-sample`` and ``second-scene``, each on ``modis`` (real tiles of 125 m, where the
data are; a third is missing) and ``landsat`` (Landsat 7 over a synthetic shelf, ``shelf``; left out
if one of the networks has learnt from it), as figures with 95 % intervals over patches. ``spread``
there is that the method itself states; ``miou`` is the agreement of a segmentation of the restored
image with that of the original, a single band being shown as each of the segmenter's.

Weights are the shipped ones of the ``lossless`` profile unless a path is given. Until there are
any, the networks' entries are left out and ``skipped`` says why; time is then that of an untrained
network of the same size, which is the same. Weights that saw the tiles they are scored on say
nothing: give those of a cross-validation, and the tiles that it held out by ``--tiles``; or two
folders, ``--weights RESTORERS --segmenter SEGMENTERS``, of which each fold's networks
(``*-fold0.safetensors``, …) restore and judge the MODIS tiles that neither has learnt from.

``max_relative_error`` is the largest difference of any result outside of gaps: none is allowed.
"""

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.flows import segmenting
from pipelines.flows.network_inputs import learnt_regions
from pipelines.flows.segmenting import BandPredictor
from pipelines.nets import models, simulated_gaps
from pipelines.nets.checkpoints import CheckpointError
from pipelines.nets.gap_fill_baselines import FILLS, second_scene
from pipelines.nets.patched_restoration import restored
from pipelines.nets.restoration_scores import RestorationScores, pooled, tile_sums
from pipelines.nets.restoration_sums import Pair
from pipelines.nets.restorer import Restorer, RestorerSpec
from tests.benchmarks import restoration_data, whole_images
from tests.benchmarks.restoration_data import Patch
from tests.benchmarks.statement import Statement, alternate, per_item
from tests.benchmarks.threads import on_one_thread

FLOAT32 = NDArray[np.float32]
SHIPPED, SEGMENTER = "restorer-lossless", "segmenter-b0"
PEERS = ("linear", "linear-columns", "telea", "navier-stokes", "biharmonic")
SAMPLES, STEPS = 4, 10
BATCH = 8
"""Patches shown to a network at once."""

Filled = tuple[FLOAT32, FLOAT32 | None]
"""An image without gaps, and the spread that its method states, if any."""


@dataclass(frozen=True)
class Group:
    """Patches, and the networks that restore them and judge what was restored."""

    patches: Sequence[Patch]
    restorer: Restorer | None
    predictor: BandPredictor | None


def main() -> None:
    """Score all methods, then time those that learn nothing beside ours."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a dozen patches, 512² pixels")
    parser.add_argument("--runs", type=int, default=3, help="timed, of the full size")
    parser.add_argument("--weights", type=Path, help="of a restorer, or a folder of folds")
    parser.add_argument("--segmenter", type=Path, help="weights, or a folder of folds")
    parser.add_argument("--tiles", nargs="*", default=(), help="MODIS tiles, by name; all if none")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    if options.device == "cuda":
        whole_images.require_cuda(parser)
        restorer = _network(options.weights, SHIPPED, "restoration", {})
        whole_images.restoration(restorer, quick=options.quick).tell()
        return
    folders = [each for each in (options.weights, options.segmenter) if each and each.is_dir()]
    if len(folders) == 1:
        parser.error("of folds give both folders, --weights and --segmenter")
    on_one_thread("tests.benchmarks.restoration")
    torch.set_num_threads(1)
    state(options).tell()


def state(options: argparse.Namespace) -> Statement:
    """Score, time and compare."""
    skipped = {"cuda": whole_images.why_not()}
    sets = patches(quick=options.quick, tiles=options.tiles, skipped=skipped)
    if options.weights is not None and options.weights.is_dir():
        groups = {"modis": of_folds(options, sets["modis"])}
        restorer = groups["modis"][0].restorer
    else:
        restorer = _network(options.weights, SHIPPED, "restoration", skipped)
        segmenter = _network(options.segmenter, SEGMENTER, "segmentation", skipped)
        without_learnt(sets, (restorer, segmenter), skipped)
        judge = predictor_of(segmenter)
        groups = {where: [Group(some, restorer, judge)] for where, some in sets.items()}
    scores, worst = scored_sets(groups)
    sides, megapixels = timed_sides(restorer, side=512 if options.quick else 1024)
    timings = alternate(sides, runs=1 if options.quick else options.runs)
    return Statement(
        "restoration",
        per_item(timings, megapixels),
        worst,
        {name: sum(len(each.patches) for each in some) for name, some in groups.items()}
        | {"timed_mpx": megapixels},
        unit="Mpx",
        clock="cpu",
        more={
            "scores": scores,
            "gain_over_biharmonic_db": gains(scores),
            "shelf": restoration_data.SHELF,
            "skipped": skipped,
            "weights": _card(restorer),
        },
    )


def of_folds(options: argparse.Namespace, some: Sequence[Patch]) -> list[Group]:
    """Give each fold's networks the patches of the tiles that neither has learnt from."""
    found: list[Group] = []
    for path in sorted(options.weights.glob("*-fold*.safetensors")):
        (beside,) = options.segmenter.glob(f"*{path.name[path.name.index('-fold') :]}")
        restorer = _network(path, "", "restoration", {})
        segmenter = _network(beside, "", "segmentation", {})
        learnt = learnt_regions(restorer.card) | learnt_regions(segmenter.card)
        mine = [patch for patch in some if patch.name.lower() not in learnt]
        if mine:
            some = [patch for patch in some if patch.name.lower() in learnt]
            found.append(Group(mine, restorer, predictor_of(segmenter)))
    return found


def without_learnt(
    sets: dict[str, list[Patch]], networks: Sequence[Any | None], skipped: dict[str, str]
) -> None:
    """Leave the synthetic shelf out if a network has learnt from it, and say so."""
    for network in networks:
        if network is not None and restoration_data.SHELF in learnt_regions(network.card):
            sets.pop("landsat", None)
            skipped["landsat"] = (
                f"the {network.card.task} weights have learnt from {restoration_data.SHELF}, "
                "by their card"
            )


def scored_sets(groups: Mapping[str, Sequence[Group]]) -> tuple[dict[str, dict[str, Any]], float]:
    """Return scores by method and set, and the largest difference outside of gaps."""
    scores: dict[str, dict[str, Any]] = {}
    worst = 0.0
    for where, some in groups.items():
        ways = [(group, methods(group.restorer, group.patches)) for group in some]
        for method in ways[0][1]:
            sums: list[Any] = []
            for group, way in ways:
                both = list(zip(group.patches, way[method](group.patches), strict=True))
                worst = max(worst, *(apart(patch, result) for patch, (result, _) in both))
                sums += [
                    tile_sums(Pair(p.image, result, p.gap, spread), predictor=group.predictor)
                    for p, (result, spread) in both
                ]
            found = pooled(*(np.stack(each) for each in zip(*sums, strict=True)))
            scores.setdefault(method, {})[where] = plain(found)
            tell_row(where, method, found)
    return scores, worst


def patches(
    *, quick: bool, tiles: Sequence[str], skipped: dict[str, str]
) -> dict[str, list[Patch]]:
    """Return what is restored, by data set."""
    real = restoration_data.modis(most=8 if quick else 999, tiles=tiles)
    drawn = restoration_data.landsat(most=4 if quick else 999)
    if not real:
        skipped["modis"] = "no real tiles; set NUNATAK_DATA to where they are"
    sets = {"modis": real, "landsat": drawn}
    return {name: some for name, some in sets.items() if some}


def methods(
    restorer: Restorer | None, some: Sequence[Patch]
) -> dict[str, Callable[[Sequence[Patch]], list[Filled]]]:
    """Return what can fill the gaps of some patches."""
    found = {
        name: lambda those, fill=fill: [(fill(p.holed, p.gap), None) for p in those]
        for name, fill in FILLS.items()
    }
    if all(patch.other is not None for patch in some):
        found["second-scene"] = lambda those: [
            (second_scene(p.holed, p.other, p.gap), None) for p in those if p.other is not None
        ]
    if restorer is not None:
        found |= {name: lambda those, name=name: by_network(restorer, those, name)
                  for name in ("mean-net", "diffusion-mean", "single-sample")
                  if name == "mean-net" or restorer.diffusion is not None}  # fmt: skip
        found["textured-sample"] = lambda those: by_network(restorer, those, "textured-sample")
    return found


def by_network(restorer: Restorer, some: Sequence[Patch], method: str) -> list[Filled]:
    """Restore patches by some stages of a restorer; one band is shown as all of its bands."""
    drawn = {"diffusion-mean": "diffusion", "single-sample": "diffusion"}.get(method, "texture")
    chosen = restorer.with_chain(("mean",), drawn)
    bands = len(restorer.spec.channels)
    out: list[Filled] = []
    for first in range(0, len(some), BATCH):
        batch = some[first : first + BATCH]
        images = np.stack([np.where(p.gap, np.float32(0), p.image) for p in batch])
        known = torch.from_numpy(np.stack([~p.gap for p in batch])[:, None].astype(np.float32))
        shown = torch.from_numpy(images).expand(-1, bands, -1, -1).contiguous()
        found = chosen.restore(
            shown, known, samples=0 if method == "mean-net" else SAMPLES,
            seed=list(range(first, first + len(batch))), steps=STEPS,
        )  # fmt: skip
        filled, spread = found.mean, found.spread
        if found.samples is not None:
            filled = found.samples.mean(dim=0) if method == "diffusion-mean" else found.samples[0]
        keep = images.shape[1]
        pairs = zip(_bands(filled, keep), _bands(spread, keep), batch, strict=True)
        # One band shown as three comes back as three; what was known is not averaged.
        out += [(np.where(p.gap, fill, p.image), width) for fill, width, p in pairs]
    return out


def predictor_of(segmenter: Any | None) -> BandPredictor | None:
    """Return what segments for the agreement, if anything does."""
    if segmenter is None:
        return None
    return BandPredictor(segmenting.of_network(segmenter, device="cpu", backend="torch", threads=1))


def apart(patch: Patch, result: FLOAT32) -> float:
    """Return the largest difference outside of gaps, over the largest value [1]."""
    known = ~patch.gap
    return float(np.abs(result - patch.image)[:, known].max() / np.abs(patch.image).max())


def timed_sides(
    restorer: Restorer | None, *, side: int
) -> tuple[Mapping[str, Callable[[], object]], float]:
    """Return functions that each fill one image, ours first, and its size [Mpx]."""
    network = restorer or Restorer(RestorerSpec()).eval()
    ours = network.with_chain(("mean",), "")
    bands = len(network.spec.channels)
    gap = simulated_gaps.fixed(7, (side, side), bands=1)
    rng = np.random.default_rng(7)
    waves = np.cumsum(rng.normal(0, 0.01, (bands, side, side)), axis=2, dtype=np.float32)
    image = np.where(gap, np.float32(np.nan), np.float32(0.5) + 0.1 * np.tanh(waves))
    sides: dict[str, Callable[[], object]] = {
        "ours": lambda: restored(ours, image, gap, samples=0, batch=BATCH)
    }
    sides |= {name: lambda fill=FILLS[name]: fill(image, gap) for name in PEERS}
    return sides, side * side / 1e6


def plain(found: RestorationScores) -> dict[str, Any]:
    """Return scores as JSON holds them: value and bounds, null where there is no number."""

    def of(figures: Mapping[str, Any]) -> dict[str, list[float | None]]:
        return {
            name: [_number(each.value), _number(each.low), _number(each.high)]
            for name, each in figures.items()
        }

    bins = [
        {"from": row.least, "to": row.most, "pixels": row.pixels}
        | {name: _number(each.value) for name, each in row.scores.items()}
        for row in found.by_gap_fraction
        if row.scores
    ]
    return {"gaps": of(found.gaps), "full": of(found.full), "by_gap_fraction": bins}


def gains(scores: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return how much PSNR in gaps each method gains over the biharmonic fill [dB]."""
    base = {where: of["gaps"]["psnr"][0] for where, of in scores.get("biharmonic", {}).items()}
    return {
        method: {where: round(of["gaps"]["psnr"][0] - base[where], 3) for where, of in each.items()}
        for method, each in scores.items()
    }


def tell_row(where: str, method: str, found: RestorationScores) -> None:
    """Print a row for people."""
    named = {"psnr": "PSNR {:6.2f}", "ssim": "SSIM {:.3f}", "uiqi": "UIQI {:.3f}",
             "rmse": "RMSE {:.4f}", "cc": "CC {:.4f}", "texture": "texture {:5.2f}",
             "spread_cc": "spread {:.2f}"}  # fmt: skip
    told = [form.format(found.gaps[name].value) for name, form in named.items()
            if name in found.gaps]  # fmt: skip
    full = f"full PSNR {found.full['psnr'].value:.2f}"
    if "miou" in found.full:
        full += f"  agreement {found.full['miou'].value:.3f}"
    print(f"{where:8s} {method:16s} {'  '.join(told)}  {full}", flush=True)


def _network(path: Path | None, name: str, task: str, skipped: dict[str, str]) -> Any | None:
    """Open weights from a path or the shipped ones; say why there are none."""
    try:
        data = path.read_bytes() if path else models.shipped(name)
        return models.opened(data, name=str(path or name), task=task)
    except CheckpointError as error:
        if path:
            raise
        skipped[task] = str(error)
        return None


def _card(restorer: Any | None) -> str:
    if restorer is None:
        return "none: an untrained network was timed"
    card = restorer.card
    return f"{card.architecture} on {card.data}, {card.split}"


def _bands(images: torch.Tensor, keep: int) -> FLOAT32:
    """Return the bands that there were, of one band shown as several their mean."""
    array: FLOAT32 = images.numpy()
    return array if array.shape[1] == keep else array.mean(axis=1, keepdims=True)


def _number(value: float) -> float | None:
    return round(value, 5) if math.isfinite(value) else None


if __name__ == "__main__":
    main()
