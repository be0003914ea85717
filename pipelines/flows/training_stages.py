"""The jobs of a training: rounds of steps, then scores of the tiles that were left out."""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cluster.ledger import KeyFailed, Receipt
from pipelines import stored
from pipelines.flows.network_inputs import TileSource, Weights
from pipelines.flows.training_rounds import Round

if TYPE_CHECKING:
    import zarr

    from pipelines.nets.segmentation_training import Tile
    from pipelines.settings_training import TrainingChoices

THRESHOLD = 0.5
"""Probability above which a pixel counts as damage [1]."""

SLOTS = 2
"""Places of a fold's bytes: a round reads what the one before wrote, and writes the other."""


@dataclass(frozen=True)
class TrainJob:
    """Keys ``train/FOLD/ROUND``: some steps from where the round before left the training.

    Attributes
    ----------
    choices : TrainingChoices
        Of the run.
    tiles : mapping of int to tuple of TileSource
        By fold, those to learn from.
    rounds : tuple of Round
        By number.
    start : Weights or None
        Where the first round begins.
    """

    choices: TrainingChoices
    tiles: Mapping[int, tuple[TileSource, ...]]
    rounds: tuple[Round, ...]
    start: Weights | None

    def opened(self, device: str) -> TrainOpened:
        """Return the job on a device; tiles are read when the first key of their fold comes."""
        return TrainOpened(self, device)


class TrainOpened:
    """A :class:`TrainJob` that keeps the tiles of the fold it worked on last."""

    def __init__(self, job: TrainJob, device: str) -> None:
        self._job = job
        self._device = device if job.choices.device == "cuda" else "cpu"
        self._tiles = functools.lru_cache(maxsize=1)(self._read)

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Train for a round."""
        from pipelines.flows import training_networks as networks

        _, fold, number = key.split("/")
        choices, turn = self._job.choices, self._job.rounds[int(number)]
        start = self._job.start.read() if self._job.start and turn.number == 0 else None
        network: Any = networks.built(choices, start)
        before = None
        if turn.number:
            held = kept(group, f"fold/{fold}/network", turn.number - 1)
            network = networks.with_weights(network, held)
        if not turn.opens:
            before = kept(group, f"fold/{fold}/training", turn.number - 1)
        curve: list[tuple[float, float]] = []
        began = time.perf_counter()
        try:
            after = networks.taught(
                network, before, turn, self._tiles(int(fold)), choices, fold=int(fold),
                device=self._device, on_step=lambda _, loss, rate: curve.append((loss, rate)),
            )  # fmt: skip
        except networks.REFUSALS as error:
            reason = f"{turn.phase} of fold {fold}: {error}"
            raise KeyFailed(reason) from error
        keep(group, f"fold/{fold}/training", turn.number, after)
        keep(group, f"fold/{fold}/network", turn.number, networks.network_bytes(network))
        self._note(group, fold, turn, curve, time.perf_counter() - began)
        return Receipt(key, "done", inputs=tuple(t.name for t in self._job.tiles[int(fold)]))

    def _note(
        self,
        group: zarr.Group,
        fold: str,
        turn: Round,
        curve: list[tuple[float, float]],
        seconds: float,
    ) -> None:
        length = stored.array(group, f"fold/{fold}/curve").shape[1]
        row = np.full((length, 2), np.nan, dtype=np.float32)
        row[: len(curve)] = np.asarray(curve, dtype=np.float32).reshape(-1, 2)
        stored.write(group, f"fold/{fold}/curve", row, turn.number)
        stored.write(group, f"fold/{fold}/seconds", np.asarray(seconds), turn.number)

    def _read(self, fold: int) -> list[Tile]:
        return [network_tile(tile, self._job.choices.channels) for tile in self._job.tiles[fold]]


def network_tile(tile: TileSource, channels: tuple[str, ...]) -> Tile:
    """Read a tile as networks take it, with the bands of the run."""
    from pipelines.nets.segmentation_training import Tile
    from stac.damage_labels import LabelError

    read = tile.read()
    try:
        image = read.seen_as(channels)
    except LabelError as error:
        reason = f"{tile.name}: {error}"
        raise KeyFailed(reason, (tile.name,)) from error
    return Tile(image.astype(np.float32), read.label, tile.region, tile.name)


def keep(group: zarr.Group, name: str, number: int, data: bytes) -> None:
    """Write bytes with their length before them, zeros behind, into the slot of a round."""
    room = stored.array(group, name).shape[1]
    text = len(data).to_bytes(8, "little") + data
    if len(text) > room:
        msg = f"{len(data)} bytes of {name} do not fit into {room}"
        raise ValueError(msg)
    row = np.zeros(room, dtype=np.uint8)
    row[: len(text)] = np.frombuffer(text, dtype=np.uint8)
    stored.write(group, name, row, number % SLOTS)


def kept(group: zarr.Group, name: str, number: int) -> bytes:
    """Return the bytes that a round wrote."""
    row = stored.values(group, name, number % SLOTS)
    length = int.from_bytes(row[:8].tobytes(), "little")
    return bytes(row[8 : 8 + length].tobytes())


@dataclass(frozen=True)
class ScoreJob:
    """Keys ``score/NUMBER``: a tile that a fold left out, as that fold's network sees it.

    Attributes
    ----------
    choices : TrainingChoices
        Of the run.
    tiles : tuple of (TileSource, int)
        Tiles and the folds that left them out.
    last : int
        Number of the last round.
    segmenter : Weights or None
        Of what judges restorers beside their PSNR.
    """

    choices: TrainingChoices
    tiles: tuple[tuple[TileSource, int], ...]
    last: int
    segmenter: Weights | None = None

    def opened(self, device: str) -> ScoreOpened:
        """Return the job on a device; a fold's network is read when its first tile comes."""
        return ScoreOpened(self, device)


class ScoreOpened:
    """A :class:`ScoreJob` that keeps the network it used last, told by its bytes."""

    def __init__(self, job: ScoreJob, device: str) -> None:
        self._job = job
        self._device = device if job.choices.device == "cuda" else "cpu"
        self._held: tuple[str, Any] = ("", None)
        self._judge: Any = None

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Score one tile."""
        from pipelines.flows import training_networks as networks

        number = int(key.rpartition("/")[2])
        tile, fold = self._job.tiles[number]
        read = network_tile(tile, self._job.choices.channels)
        network = self._network(group, fold)
        segments = self._job.choices.task == "segmentation"
        try:
            (self._segment if segments else self._restore)(group, number, read, network)
        except networks.REFUSALS as error:
            reason = f"{tile.name}: {error}"
            raise KeyFailed(reason, (tile.name,)) from error
        return Receipt(key, "done", inputs=(tile.name,), model=self._held[0])

    def _network(self, group: zarr.Group, fold: int) -> Any:
        from pipelines.flows import training_networks as networks

        data = kept(group, f"fold/{fold}/network", self._job.last)
        digest = hashlib.sha256(data).hexdigest()
        if self._held[0] != digest:
            network = networks.with_weights(networks.built(self._job.choices), data).eval()
            self._held = (digest, network.to(self._device))
        return self._held[1]

    def _segment(self, group: zarr.Group, number: int, tile: Tile, network: Any) -> None:
        from pipelines.flows import segmenting, tile_scores

        segmenter = segmenting.of_network(
            network, device=self._device, backend="torch", threads=self._job.choices.threads,
            precision=self._job.choices.precision,
        )  # fmt: skip
        probability = segmenter.probability(tile.image, flips=self._job.choices.flips)
        tile_scores.write(group, number, probability, tile.label, threshold=THRESHOLD)

    def _restore(self, group: zarr.Group, number: int, tile: Tile, network: Any) -> None:
        from pipelines.flows import gap_trials as trials

        sums = trials.of_stages(
            network, tile, seed=self._job.choices.seed, device=self._device,
            predictor=self._predictor(),
        )  # fmt: skip
        for name, values in sums.items():
            stored.write(group, name, values, number)

    def _predictor(self) -> Any:
        """Return what segments restored images, opened once; None without a segmenter."""
        from pipelines.flows import segmenting

        weights = self._job.segmenter
        if weights is not None and self._judge is None:
            judge = segmenting.of_bytes(
                weights.read(), name=weights.name, sha256=weights.sha256, device=self._device,
                backend="torch", threads=self._job.choices.threads,
            )  # fmt: skip
            self._judge = segmenting.BandPredictor(judge)
        return self._judge
