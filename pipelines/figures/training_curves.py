"""Losses of a training, step by step: whether it had learnt what it could when it ended."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas

FLOAT = NDArray[np.float64]
WINDOW = 50
"""Steps that the smooth line is a mean of."""


def losses(curves: Sequence[FLOAT], phases: Sequence[str]) -> bytes:
    """Draw the loss of every fold, a panel for each phase.

    Parameters
    ----------
    curves : sequence of ndarray, shape (round, step, 2)
        Of each fold: loss and learning rate of each step, NaN behind the last step of a round.
    phases : sequence of str
        What each round taught.

    Returns
    -------
    bytes
        PNG.
    """
    drawn = [name for name in dict.fromkeys(phases) if _of(curves[0], phases, name).size]
    made = canvas.figure(canvas.PAGE, 2.6 * max(1, len(drawn)))
    for n, name in enumerate(drawn):
        axes = made.add_subplot(len(drawn), 1, n + 1)
        for fold, curve in enumerate(curves):
            loss = _of(curve, phases, name)
            shade = canvas.FAINT if len(curves) == 1 else canvas.GRID
            axes.plot(np.arange(1, loss.size + 1), loss, color=shade, linewidth=0.5, zorder=1)
            smooth = _smooth(loss)
            first = (loss.size - smooth.size) // 2 + 1
            label = "mean of 50 steps" if fold == 0 else None
            axes.plot(
                np.arange(first, first + smooth.size), smooth, color=canvas.BLUE, linewidth=1.2,
                label=label, zorder=2,
            )  # fmt: skip
        canvas.tidy(axes)
        axes.set_xlabel("step")
        axes.set_ylabel("loss [1]")
        held = "one training" if len(curves) == 1 else f"{len(curves)} folds"
        canvas.heading(axes, name, right=held)
        axes.legend(frameon=False, loc="upper right")
    return canvas.png(made)


def _of(curve: FLOAT, phases: Sequence[str], name: str) -> FLOAT:
    """Return the losses of a phase in order of its steps."""
    chosen = np.array([phase == name for phase in phases])
    loss = curve[chosen][..., 0].ravel()
    return np.asarray(loss[np.isfinite(loss)], dtype=np.float64)


def _smooth(loss: FLOAT) -> FLOAT:
    width = min(WINDOW, max(1, loss.size))
    sums = np.cumsum(np.concatenate([[0.0], loss]))
    return np.asarray((sums[width:] - sums[:-width]) / width)
