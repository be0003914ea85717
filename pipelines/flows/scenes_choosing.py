"""Choosing: the smallest set of scenes that covers a ROI, closest in time, and its replacements.

The first round chooses from all candidates that pass the limits. When a chosen scene turns out to
be unreadable, its place stays empty, its key has a failed receipt, and the next round chooses again
from the rest, with what is stored taken as given.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import Receipt
from pipelines import stored
from pipelines.flows import scenes_arrays, scenes_candidates
from pipelines.flows.scenes_arrays import SCORES, Places
from pipelines.flows.scenes_candidates import Scene
from pipelines.kernels.imagery import scene_choice, scene_scores
from pipelines.settings_scenes import Override, SceneChoice

if TYPE_CHECKING:
    import zarr

FLOAT = NDArray[np.float64]
BOOL = NDArray[np.bool_]
MOST_CELLS = 20_000
"""Cells on which sets of scenes are compared; finer ones are joined, clear where half is."""


@dataclass(frozen=True)
class Rules:
    """What decides which candidates are chosen."""

    choice: SceneChoice
    reject: int
    least_valid: float
    least_sun_degrees: float
    most_saturated: float
    overrides: tuple[Override, ...] = ()

    def override(self, shelf: str, year: int) -> Override | None:
        """Return what a person decided for a shelf's summer; names are ids by now."""
        return next((o for o in self.overrides if (o.shelf, o.summer) == (shelf, year)), None)


@dataclass(frozen=True)
class Judged:
    """Candidates of a summer as they stand before the choice.

    Attributes
    ----------
    scenes : tuple of Scene
        Candidates.
    scores : ndarray, shape (candidate, quantity)
        Rows of ``score``; NaN for one that could not be read.
    reasons : tuple of str
        Why one is out; empty if it is in.
    """

    scenes: tuple[Scene, ...]
    scores: FLOAT
    reasons: tuple[str, ...]

    @property
    def quality(self) -> FLOAT:
        """Worth of each in one number, 0 to 1; 0 for one that is out."""
        return np.array(
            [
                0.0 if reason else scene_scores.quality(_scores(row), sun_elevation=float(row[-1]))
                for row, reason in zip(self.scores, self.reasons, strict=True)
            ]
        )


def judge(group: zarr.Group, rules: Rules) -> Judged:
    """Return the candidates of a summer's group with the reasons that keep some out."""
    scenes = scenes_candidates.read(group)
    rows = stored.read(group, "score")[: len(scenes)]
    reasons = tuple(_reason(row, rules) for row in rows)
    return Judged(scenes, rows, reasons)


def _reason(row: FLOAT, rules: Rules) -> str:
    if math.isnan(row[0]):
        return "could not be read; its receipt says why"
    if row[-1] < rules.least_sun_degrees:
        low, least = float(row[-1]), rules.least_sun_degrees
        return f"the sun stands at {low:.1f} degrees, expected at least {least:g}"
    limits = scene_scores.Limits(rules.least_valid, rules.most_saturated)
    return scene_scores.rejection(_scores(row), limits)


def _scores(row: FLOAT) -> scene_scores.Scores:
    known = dict(zip(SCORES, map(float, row), strict=True))
    known.pop("sun_elevation")
    return scene_scores.Scores(**known)


@dataclass(frozen=True)
class ChooseJob:
    """Key ``choose/SHELF/SUMMER/ROUND``: candidates for the places of a round."""

    rules: Rules
    places: Places

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Choose; a later round replaces chosen scenes that are not stored."""
        _, shelf, year, last = key.split("/")
        turn = int(last.partition("+")[0].partition("~")[0])
        made = stored.group_at(group, f"{shelf}/{year}")
        ground = stored.group_at(group, shelf)
        judged = judge(made, self.rules)
        standing = standing_places(made, self.places, turn)
        note = ""
        row = np.zeros(self.places.count, dtype=np.int32)
        gain = np.full(self.places.count, np.nan)
        added = np.full(max(len(judged.scenes), 1), np.nan)
        covered = 0.0
        if judged.scenes:
            cells, weight = cover_cells(made, ground, self.rules, judged)
            found = self._choose(cells, weight, judged, standing, shelf, int(year))
            news = [index for index in found.chosen if index not in standing.kept]
            slots = self.places.slots(turn)
            for slot, index in zip(slots, news if standing.wanted else (), strict=False):
                row[slot] = index + 1
                gain[slot] = float(found.gains[list(found.chosen).index(index)])
            added[:] = _would_add(cells, weight, found.chosen)
            covered = float(found.covered)
            note = "" if found.exact else "chosen step by step: too many scenes for the exact set"
        held = (stored.values(made, "stored") > 0).astype(np.uint8)
        stored.write(made, "held", held, turn)
        stored.write(made, "chosen", row, turn)
        stored.write(made, "gain", gain, turn)
        stored.write(made, "would_add", added, turn)
        stored.write(made, "covered", np.asarray(covered), turn)
        return Receipt(key, "done", note=note)

    def _choose(
        self,
        cells: BOOL,
        weight: FLOAT,
        judged: Judged,
        standing: Standing,
        shelf: str,
        year: int,
    ) -> scene_choice.Choice:
        labels = [scene.label for scene in judged.scenes]
        override = self.rules.override(shelf, year)
        wanted = {labels.index(name) for name in override.use} if override else set()
        dropped = {labels.index(name) for name in override.drop} if override else set()
        out = {i for i, reason in enumerate(judged.reasons) if reason and i not in wanted}
        # What could not be read has no pixels to lay, whoever wants it.
        out |= {i for i, row in enumerate(judged.scores) if math.isnan(row[0])} | standing.lost
        if wanted:
            dropped = set(range(len(labels))) - wanted
        choice = self.rules.choice
        return scene_choice.choose(
            cells,
            weight=weight,
            day=np.array([scene.day for scene in judged.scenes]),
            quality=judged.quality,
            least_gain=choice.least_gain,
            days_per_scene=choice.days_per_scene,
            most=choice.most,
            required=tuple(sorted((wanted | standing.kept) - out)),
            forbidden=tuple(sorted((out | dropped) - standing.kept)),
        )


@dataclass(frozen=True)
class Standing:
    """What earlier rounds have left: candidates stored, candidates lost, and whether any is."""

    kept: frozenset[int]
    lost: frozenset[int]
    wanted: bool


def standing_places(group: zarr.Group, places: Places, turn: int) -> Standing:
    """Return what the rounds before ``turn`` chose and what of it is stored."""
    kept = frozenset(scenes_arrays.kept_so_far(group, places, turn).values())
    lost = frozenset(scenes_arrays.chosen_so_far(group, places, turn).values()) - kept
    return Standing(kept, lost, wanted=turn == 0 or bool(lost))


def cover_cells(
    group: zarr.Group, ground: zarr.Group, rules: Rules, judged: Judged
) -> tuple[BOOL, FLOAT]:
    """Return which cells each candidate shows, and what each cell weighs.

    Cells are squares of the screening grid, joined until there are few enough.

    Returns
    -------
    clear : ndarray of bool, shape (candidate, cell)
    weight : ndarray, shape (cell,)
        Summing to 1.
    """
    roi, fast = (stored.values(ground, name) > 0 for name in ("roi", "fast"))
    weights = scene_scores.cell_weights(roi, fast, fast_weight=1.0 + rules.choice.fast_weight)
    step = max(1, math.ceil(math.sqrt(np.count_nonzero(roi) / MOST_CELLS)))
    total = _joined(weights, step)
    held = total > 0.0
    clear = np.zeros((len(judged.scenes), int(held.sum())), dtype=bool)
    for i, row in enumerate(judged.scores):
        if not math.isnan(row[0]):
            mask = stored.values(group, "screen_mask", i)
            seen = scene_scores.clear_cells(mask, reject=rules.reject)
            clear[i] = (_joined(weights * seen, step)[held] / total[held]) >= 0.5
    return clear, total[held] / total.sum()


def _joined(values: FLOAT, step: int) -> FLOAT:
    """Return sums over squares of ``step`` cells, the last ones cut."""
    padded = np.pad(values, [(0, -size % step) for size in values.shape])
    rows, columns = (size // step for size in padded.shape)
    return np.asarray(padded.reshape(rows, step, columns, step).sum(axis=(1, 3)))


def _would_add(clear: BOOL, weight: FLOAT, chosen: tuple[int, ...]) -> FLOAT:
    """Return the weighted part of the ROI that each candidate has and the chosen ones have not."""
    held = clear[list(chosen)].any(axis=0) if chosen else np.zeros(weight.size, dtype=bool)
    return np.asarray((clear & ~held) @ weight)


@dataclass(frozen=True)
class CloseJob:
    """Key ``close/SHELF/SUMMER``: which places are the set, and which lies uppermost where."""

    rules: Rules
    places: Places

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Settle a summer from what is stored."""
        _, shelf, year = key.split("/")
        made = stored.group_at(group, f"{shelf}/{year}")
        kept = scenes_arrays.kept_so_far(made, self.places, self.places.rounds)
        selected = np.zeros(self.places.count, dtype=np.uint8)
        candidate = np.zeros(self.places.count, dtype=np.int32)
        roi = stored.values(stored.group_at(group, shelf), "roi") > 0
        supplier = np.zeros(roi.shape, dtype=np.int16)
        time = np.full(self.places.count, np.nan)
        scenes = scenes_candidates.read(made)
        for slot, index in kept.items():
            selected[slot], candidate[slot] = 1, index + 1
            time[slot] = 86_400.0 * scenes[index].day
            seen = scene_scores.clear_cells(
                stored.values(made, "screen_mask", index), reject=self.rules.reject
            )
            supplier[roi & seen & (supplier == 0)] = slot + 1
        stored.write(made, "selected", selected)
        stored.write(made, "time", time)
        stored.write(made, "candidate_of", candidate)
        stored.write(made, "supplier", supplier)
        return Receipt(key, "done")
