"""The jobs of an evaluation: a tile segmented by a network, a tile whose gaps are filled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cluster.ledger import KeyFailed, Receipt
from pipelines import stored
from pipelines.flows.network_inputs import TileSource, Weights, another_date, opening
from pipelines.flows.training_stages import network_tile

RADON_BANDS = (1, 3)
"""Numbers of bands of which there is a gray image for NeRD, the baseline."""

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.segmenting import Segmenting
    from pipelines.lifecycle import Job
    from pipelines.settings_evaluation import EvaluationChoices

STEP = 1.0 / 254.0
"""Probability of one count; 0 is none, 1 is probability 0."""


def counts_of(probability: Any) -> Any:
    """Return probabilities as bytes: 0 where nothing is known, 1 to 255 for 0 to 1.

    >>> counts_of(np.float32([0.0, 1.0, np.nan])).tolist()
    [1, 255, 0]
    """
    known = np.isfinite(probability)
    counts = np.rint(np.nan_to_num(probability) / STEP) + 1.0
    return np.where(known, counts, 0.0).astype(np.uint8)


@dataclass(frozen=True)
class SegmentJob:
    """Keys ``segment/NUMBER``: probabilities of a tile, and what they add to its scores.

    Attributes
    ----------
    weights : Weights
        Of the segmenter.
    tiles : tuple of TileSource
        By number.
    choices : EvaluationChoices
        Of the run.
    """

    weights: Weights
    tiles: tuple[TileSource, ...]
    choices: EvaluationChoices

    def opened(self, device: str) -> Job:
        """Return the job with the network in the memory of a device."""
        return opening(
            lambda: SegmentOpened(self, segmenter_of(self.weights, self.choices, device))
        )


def segmenter_of(weights: Weights, choices: EvaluationChoices, device: str) -> Segmenting:
    """Return what segments, on the actor's device if the run asks for its kind."""
    from pipelines.flows import segmenting

    return segmenting.of_bytes(
        weights.read(), name=weights.name, sha256=weights.sha256,
        device=device if choices.device == "cuda" else "cpu", backend=choices.backend,
        precision=choices.precision, threads=choices.threads,
    )  # fmt: skip


class SegmentOpened:
    """A :class:`SegmentJob` with its network."""

    def __init__(self, job: SegmentJob, segmenter: Segmenting) -> None:
        self._job = job
        self._segmenter = segmenter

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Segment a tile; a network that answers with NaN fails the key."""
        from pipelines.flows import segmenting, tile_scores
        from pipelines.nets import inference

        number = int(key.rpartition("/")[2])
        source, cut = self._job.tiles[number], self._job.choices.cut
        tile = network_tile(source, self._segmenter.channels)
        try:
            probability = self._segmenter.probability(
                tile.image, tile=cut.tile, overlap=cut.overlap, flips=cut.flips
            )
        except inference.InferenceError as error:
            reason = f"{source.name}: {error}"
            raise KeyFailed(reason, (source.name,)) from error
        stored.write(group, f"tiles/{number}/probability", counts_of(probability))
        stored.write(group, f"tiles/{number}/label", tile.label)
        threshold = self._job.choices.threshold
        tile_scores.write(group, number, probability, tile.label, threshold=threshold)
        if len(tile.image) in RADON_BANDS:
            damage = segmenting.radon_damage(tile.image)
            tile_scores.write_baseline(group, number, damage, tile.label)
        return Receipt(key, "done", inputs=(source.name,), model=self._job.weights.sha256)


@dataclass(frozen=True)
class RestoreJob:
    """Keys ``restore/NUMBER``: gaps drawn into a tile, filled by every method, scored.

    Attributes
    ----------
    restorer, segmenter : Weights
        Of the restorer, and of what segments original and restored images.
    tiles : tuple of TileSource
        By number.
    choices : EvaluationChoices
        Of the run.
    lpips : Weights, optional
        The backbone of LPIPS.
    """

    restorer: Weights
    segmenter: Weights
    tiles: tuple[TileSource, ...]
    choices: EvaluationChoices
    lpips: Weights | None = None

    def opened(self, device: str) -> Job:
        """Return the job with its networks in the memory of a device."""
        return opening(lambda: self._opened(device))

    def _opened(self, device: str) -> RestoreOpened:
        from pipelines.flows import segmenting
        from pipelines.nets import models, perceptual_distance

        where = device if self.choices.device == "cuda" else "cpu"
        network: Any = models.opened(
            self.restorer.read(), name=self.restorer.name, sha256=self.restorer.sha256,
            task="restoration", device=where,
        )  # fmt: skip
        judge = segmenting.BandPredictor(segmenter_of(self.segmenter, self.choices, device))
        seen = None
        if self.lpips is not None:
            made = perceptual_distance.of_bytes(self.lpips.read(), name=self.lpips.name)
            seen = made.of_reflectance
        return RestoreOpened(self, network, judge, where, seen)


class RestoreOpened:
    """A :class:`RestoreJob` with its networks."""

    def __init__(
        self, job: RestoreJob, network: Any, predictor: Any, device: str, lpips: Any
    ) -> None:
        self._job = job
        self._network = network
        self._predictor = predictor
        self._device = device
        self._lpips = lpips

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Try every method on a tile."""
        from pipelines.flows import gap_trials as trials
        from pipelines.nets.perceptual_distance import PerceptualDistanceError

        number = int(key.rpartition("/")[2])
        source, choices = self._job.tiles[number], self._job.choices
        tile = network_tile(source, tuple(self._network.spec.channels))
        drawn = trials.trial(tile, seed=choices.seed, edge=choices.across == "edge")
        methods = methods_of(self._network, choices, device=self._device)
        try:
            methods += self._second_scene(source, drawn)
            for name, fill in methods:
                sums, pixels = trials.sums_of(
                    drawn, fill, predictor=self._predictor, threshold=choices.threshold,
                    lpips=self._lpips,
                )  # fmt: skip
                stored.write(group, trials.array_name(name), sums, number)
                stored.write(group, "trial_pixels", pixels, number)
        except (*trials.REFUSALS, PerceptualDistanceError) as error:
            reason = f"{source.name}: {error}"
            raise KeyFailed(reason, (source.name,)) from error
        return Receipt(key, "done", inputs=(source.name,), model=self._job.restorer.sha256)

    def _second_scene(self, source: TileSource, drawn: Any) -> list[Any]:
        """Return the fill from another date of the tile's pixels, if the run has one."""
        from pipelines.flows import gap_trials as trials

        other = another_date(source, self._job.tiles)
        if trials.SECOND_SCENE not in self._job.choices.baselines or other is None:
            return []
        rows, columns = drawn.window
        image = network_tile(other, tuple(self._network.spec.channels)).image[:, rows, columns]
        # Another date of the same years has gaps of its own, which lie elsewhere.
        choices = self._job.choices
        edge = choices.across == "edge"
        gap = trials.gaps_of(other.name, drawn.gap.shape, seed=choices.seed, edge=edge)
        image = np.where(gap, np.float32(np.nan), image)
        shared = np.isfinite(image).all(axis=0) & np.isfinite(drawn.image).all(axis=0) & ~drawn.gap
        # Clouds over all of one of the two leave nothing to match them by.
        return [(trials.SECOND_SCENE, trials.from_second_scene(image))] if shared.any() else []


def methods_of(network: Any, choices: EvaluationChoices, *, device: str = "cpu") -> Any:
    """Return the ways to restore that a run compares, by name."""
    from pipelines.flows import gap_trials as trials

    how: Mapping[str, Any] = {
        "baselines": choices.baselines, "patch": choices.patch, "samples": choices.samples,
        "steps": choices.sampler_steps, "seed": choices.seed, "device": device,
    }  # fmt: skip
    return list(trials.fills(network, **how))
