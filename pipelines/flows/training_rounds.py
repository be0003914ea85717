"""How a training is cut into rounds: what a kill costs at most, phase after phase.

A segmenter has one phase. The networks of a restorer are trained one after the other, each on what
those before it say; the texture is not trained but measured, in one round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.settings_training import PHASES

if TYPE_CHECKING:
    from pipelines.settings_training import TrainingChoices

SEGMENTER, TEXTURE = "segmenter", "texture"


@dataclass(frozen=True)
class Round:
    """Steps that are taken in one go.

    Attributes
    ----------
    number : int
        Counted from 0 over all phases.
    phase : str
        What is trained.
    steps, total : int
        Steps of this round, and of the whole phase.
    opens, closes : bool
        Whether it is the first or the last round of its phase.
    """

    number: int
    phase: str
    steps: int
    total: int
    opens: bool
    closes: bool


def phases_of(choices: TrainingChoices) -> tuple[tuple[str, int], ...]:
    """Return phases with their steps, those without steps left out."""
    if choices.task == "segmentation":
        return ((SEGMENTER, choices.steps),)
    named = ((name, getattr(choices.restorer_steps, name)) for name in PHASES[choices.network])
    return tuple((name, steps) for name, steps in named if steps)


def rounds_of(phases: Sequence[tuple[str, int]], *, rounds: int) -> tuple[Round, ...]:
    """Cut phases into about so many rounds, in proportion to their steps, one each at least.

    Examples
    --------
    >>> [(r.phase, r.steps) for r in rounds_of([("mean", 10), ("texture", 4)], rounds=4)]
    [('mean', 4), ('mean', 3), ('mean', 3), ('texture', 4)]
    """
    total = sum(steps for _, steps in phases)
    found: list[Round] = []
    for phase, steps in phases:
        count = 1 if phase == TEXTURE else max(1, min(steps, round(rounds * steps / total)))
        for n in range(count):
            share = steps // count + (n < steps % count)
            found.append(Round(len(found), phase, share, steps, n == 0, n == count - 1))
    return tuple(found)


def folds_of(regions: Sequence[str], *, folds: int, holdout: Sequence[str]) -> tuple[set[str], ...]:
    """Return the regions that each fold leaves out; one fold without cross-validation.

    Regions are dealt out in their order, so that a fold is the same whatever else a run chooses.

    >>> [sorted(fold) for fold in folds_of(["a", "b", "c"], folds=2, holdout=())]
    [['a', 'c'], ['b']]
    """
    if not folds:
        return (set(holdout),)
    return tuple(set(regions[n::folds]) for n in range(folds))
