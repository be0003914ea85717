"""The fourth stage of damage maps: which summers are covered well enough to be published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cluster.ledger import Receipt
from pipelines import stored
from pipelines.flows.shelf_damage_arrays import SUMS
from pipelines.flows.shelf_damage_extents import of_summer, source_of
from pipelines.stored import group_at

if TYPE_CHECKING:
    import zarr

    from pipelines.settings_shelf_damage import ShelfDamageChoices


@dataclass(frozen=True)
class JudgeJob:
    """Keys ``judge/SHELF/SUMMER``: whether a map covers enough of its shelf to be published.

    Attributes
    ----------
    choices : ShelfDamageChoices
        Of the run.
    """

    choices: ShelfDamageChoices

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Judge a summer; one that is not published says why."""
        _, shelf, summer = key.split("/")
        made = group_at(group, f"{shelf}/{summer}")
        reason = unpublished(made, self.choices)
        stored.write(made, "published", np.array([not reason], np.uint8))
        return Receipt(key, "done", note=f"not published: {reason}" if reason else "")


def unpublished(made: zarr.Group, choices: ShelfDamageChoices) -> str:
    """Return why the map of a summer is not published; empty if it is."""
    for each in of_summer(choices.overrides, made.path.strip("/")):
        if each.publish is not None:
            return "" if each.publish else f"a person decided so: {each.reason}"
    sums = stored.read(made, "block_sums")[:, :, 0]
    lacking = int(np.isnan(sums).any(axis=-1).sum())
    if lacking:
        return f"{lacking} blocks could not be merged, see receipts.jsonl"
    if source_of(made) == "none":
        return "no extent was found, see the receipt of its shelf"
    told = dict(zip(SUMS, sums.sum(axis=(0, 1)).tolist(), strict=True))
    share = covered(told, source=source_of(made))
    if share >= choices.least_covered:
        return ""
    least = f"{100 * choices.least_covered:.0f} %"
    return f"{100 * share:.1f} % of the shelf is covered, at least {least} is asked for"


def covered(sums: Mapping[str, float], *, source: str) -> float:
    """Return the part of an extent that is seen clearly or under water [1]; 0 of no extent.

    A pond hides what lies under it, and no other scene would help. An extent that is all that is
    seen would cover itself: it is held against the whole region.
    """
    whole = sums["region"] if source == "all that is seen" else sums["extent"]
    return (sums["clear"] + sums["water"]) / whole if whole else 0.0
