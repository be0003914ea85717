"""Learning rates over a training, as factors of the peak and functions of the share done."""

import math
from collections.abc import Callable

PAPER_PEAK = 1e-4
"""Highest learning rate of Tang et al. (2026), section 2.3.3."""

PAPER_WARM, PAPER_COSINE = 20 / 200, 80 / 200
"""Shares of its 200 epochs spent warming up and falling; the last 100 are constant."""

PAPER_FIRST, PAPER_LAST = 1e-5 / PAPER_PEAK, 5e-5 / PAPER_PEAK
"""First and last learning rate as factors of the peak."""

SHORT_WARM = 0.05
"""Share of a short training spent warming up."""


class ScheduleError(ValueError):
    """No learning rate can be given for this point of a training."""


def paper(share: float) -> float:
    """Factor of the peak by Tang et al. (2026), section 2.3.3.

    Epochs 0 to 20 rise linearly from 1e-5 to 1e-4, 20 to 100 fall as a cosine to 5e-5, 100 to
    200 stay there; ``share`` is the epoch divided by 200.

    >>> [round(paper(epoch / 200) * PAPER_PEAK, 7) for epoch in (0, 20, 60, 100, 200)]
    [1e-05, 0.0001, 7.5e-05, 5e-05, 5e-05]
    """
    if share < PAPER_WARM:
        return PAPER_FIRST + (1.0 - PAPER_FIRST) * share / PAPER_WARM
    fallen = min((share - PAPER_WARM) / PAPER_COSINE, 1.0)
    return PAPER_LAST + (1.0 - PAPER_LAST) * 0.5 * (1.0 + math.cos(math.pi * fallen))


def short(share: float) -> float:
    """Factor of the peak for small budgets: 5 % of linear warm-up, then a cosine to 0.

    >>> [round(short(share), 3) for share in (0.0, 0.05, 0.525, 1.0)]
    [0.0, 1.0, 0.5, 0.0]
    """
    if share < SHORT_WARM:
        return share / SHORT_WARM
    return 0.5 * (1.0 + math.cos(math.pi * min((share - SHORT_WARM) / (1.0 - SHORT_WARM), 1.0)))


def constant(share: float) -> float:  # noqa: ARG001 - one signature for all schedules
    """Factor 1 throughout."""
    return 1.0


SCHEDULES: dict[str, Callable[[float], float]] = {
    "paper": paper,
    "short": short,
    "constant": constant,
}
"""Schedules by the names that run files use."""


def rate(step: int, *, steps: int, schedule: str, peak: float) -> float:
    """Learning rate of one step.

    Parameters
    ----------
    step, steps : int
        Steps done before this one, and of the whole training.
    schedule : str
        Of :data:`SCHEDULES`.
    peak : float
        Highest learning rate.

    Returns
    -------
    float
        Taken at the middle of the step, so that no step stands still.
    """
    if schedule not in SCHEDULES:
        msg = f"no schedule {schedule!r}; choose from {', '.join(SCHEDULES)}"
        raise ScheduleError(msg)
    if not 0 <= step < steps:
        msg = f"step {step} lies outside a training of {steps} steps"
        raise ScheduleError(msg)
    return peak * SCHEDULES[schedule]((step + 0.5) / steps)
