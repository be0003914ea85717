"""The factor of uncertainty of restored scenes, fitted to what an evaluation found.

λ = precision / recall of the segmentation of restored images, by how much was missing around: see
:mod:`pipelines.nets.restoration_uncertainty`. It is told of the chain that the restorer uses.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines import tables
from pipelines.flows.network_results import score_row
from pipelines.nets import restoration_uncertainty
from pipelines.nets.restoration_scores import Figures, RestorationScores
from pipelines.nets.restoration_stage import RestorationError
from pipelines.nets.restoration_uncertainty import UncertaintyFactor

if TYPE_CHECKING:
    from pipelines.settings import Run

TABLE = "tables/uncertainty.csv"
NAME = "uncertainty_factor"
"""Of the quantity in the table, and of the property of the item."""


@dataclass(frozen=True)
class Told:
    """The factor of a method, or why there is none."""

    method: str
    factor: UncertaintyFactor | None
    reason: str = ""

    def properties(self) -> dict[str, Any]:
        """Return what the item of the product holds: method, fractions, factors."""
        if self.factor is None:
            return {}
        return {NAME: {"method": self.method, **self.factor.to_json()}}

    def rows(self, run: Run) -> list[tables.Row]:
        """Return a row for each local gap fraction; one without a number says why."""
        note = f"method={self.method}"
        if self.factor is None:
            nothing = math.nan
            said = self.reason.replace(";", ",")
            return [score_row(run, NAME, "pooled", nothing, nothing, note=f"{note};{said}")]
        pairs = zip(self.factor.fractions, self.factor.factors, strict=True)
        return [
            score_row(run, NAME, "pooled", factor, math.nan, note=f"{note};gap_fraction={at:g}")
            for at, factor in pairs
        ]


def told(method: str, scores: RestorationScores) -> Told:
    """Return the factor of a method, fitted to its bins of local gap fraction."""
    bins = scores.by_gap_fraction
    try:
        fitted = restoration_uncertainty.fitted(bins, [_value(b.scores, "lambda") for b in bins])
    except RestorationError as error:
        return Told(method, None, str(error))
    return Told(method, fitted)


def chosen(
    chains: Sequence[tuple[str, tuple[str, ...], str]],
    used: Sequence[str],
    scores: Mapping[str, RestorationScores],
) -> str:
    """Return the name of the chain that weights use; if it was not tried, of the best.

    Parameters
    ----------
    chains : sequence of (name, stages, sampler)
        That were tried.
    used : sequence of str
        Stages of the weights' own chain.
    scores : mapping of str to RestorationScores
        By name of the chain.
    """
    for name, stages, _ in chains:
        if tuple(stages) == tuple(used):
            return name
    # A figure that is not there loses against any number.
    return max(
        (name for name, _, _ in chains),
        key=lambda name: _value(scores[name].gaps, "psnr", -math.inf),
    )


def _value(figures: Figures, name: str, otherwise: float = math.nan) -> float:
    return figures[name].value if name in figures else otherwise
