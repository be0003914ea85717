"""What became of each candidate of a summer, in words and numbers, from the arrays alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipelines import stored
from pipelines.flows import scenes_arrays, scenes_choosing
from pipelines.flows.scenes_arrays import Layout, Summer
from pipelines.flows.scenes_choosing import Judged, Rules
from pipelines.settings_scenes import Override

if TYPE_CHECKING:
    import zarr

ORDINALS = ("1st", "2nd", "3rd")


@dataclass(frozen=True)
class Story:
    """What became of each candidate of a summer, from the arrays alone.

    Attributes
    ----------
    summer : Summer
        The summer.
    judged : Judged
        Its candidates with scores and reasons.
    places : dict of int to int
        Candidate to place, of those that are stored, in the order in which they are laid.
    gives : dict of int to float
        Part of the ROI that a chosen one gives, where those laid above it are not clear [1].
    would_add : ndarray
        Weighted part of the ROI that any other would add [1].
    covered : float
        Part of the ROI that the chosen ones show, by area [1].
    lost : tuple of int
        Candidates that were chosen and could not be stored.
    cells : int
        Cells of the ROI.
    override : Override or None
        What a person decided.
    """

    summer: Summer
    judged: Judged
    places: dict[int, int]
    gives: dict[int, float]
    would_add: np.ndarray
    covered: float
    lost: tuple[int, ...]
    cells: int
    override: Override | None = None

    def reason(self, candidate: int) -> str:
        """Return in words why a candidate was or was not chosen."""
        rejected = self.judged.reasons[candidate]
        label = self.judged.scenes[candidate].label
        used = self.override.use if self.override else ()
        because = f" ({self.override.reason})" if self.override else ""
        if candidate in self.places:
            order = list(self.places).index(candidate)
            nth = ORDINALS[order] if order < len(ORDINALS) else f"{order + 1}th"
            given = f"gives {100.0 * self.gives.get(candidate, 0.0):.1f} % of the ROI"
            if label not in used:
                return f"chosen {nth}: {given}"
            although = f", although {rejected}" if rejected else ""
            return f"chosen {nth} by hand{because}: {given}{although}"
        if candidate in self.lost:
            return "was chosen, but could not be read; its receipt says why"
        if self.override and (used or label in self.override.drop):
            return f"left out by hand{because}"
        if rejected:
            return f"rejected: {rejected}"
        added = 100.0 * float(self.would_add[candidate])
        return f"not needed: would add {added:.1f} %, less than it costs"

    @property
    def spread_days(self) -> float:
        """Days between the first and the last chosen scene."""
        days = [self.judged.scenes[i].day for i in self.places]
        return max(days) - min(days) if days else math.nan


def story(group: zarr.Group, summer: Summer, layout: Layout, rules: Rules) -> Story:
    """Read what became of the candidates of a summer."""
    made = stored.group_at(group, summer.path)
    places = layout.places
    candidate_of = stored.values(made, "candidate_of")
    kept = {int(c) - 1: slot for slot, c in enumerate(candidate_of) if c > 0}
    chosen = scenes_arrays.chosen_so_far(made, places, places.rounds)
    supplier = stored.values(made, "supplier")
    roi = stored.values(stored.group_at(group, summer.shelf), "roi") > 0
    added = stored.values(made, "would_add")
    return Story(
        summer=summer,
        judged=scenes_choosing.judge(made, rules),
        places=kept,
        gives={c: float(np.mean(supplier[roi] == slot + 1)) for c, slot in kept.items()},
        would_add=np.nanmin(np.where(np.isnan(added), np.inf, added), axis=0),
        covered=float(np.count_nonzero(supplier[roi]) / np.count_nonzero(roi)),
        lost=tuple(sorted(set(chosen.values()) - set(kept))),
        cells=int(np.count_nonzero(roi)),
        override=rules.override(summer.shelf, summer.year),
    )
