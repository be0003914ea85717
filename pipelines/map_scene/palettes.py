"""Colours of the map: those of the pictures, so that a page and its figures say the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pipelines.figures import canvas, consistency_changes, damage_panels, velocity_change

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

STEPS = 256
"""Colours of a ramp."""

RAMPS = {
    "rates": canvas.RATES,
    "spreads": canvas.SPREADS,
    "speeds": velocity_change.SPEEDS,
    "changes": velocity_change.CHANGES,
}
"""Ramps of the map and what matplotlib calls them."""


@dataclass(frozen=True)
class Scale:
    """How values become places in a ramp.

    Attributes
    ----------
    kind : {"linear", "log", "symlog"}
        Straight; by the logarithm; straight up to ``linear`` on both sides and then by it.
    low, high : float
        Values of the first and the last colour.
    linear : float
        Where a symlog scale stops to be straight.
    linscale : float
        Length of the straight part in decades, as matplotlib's ``SymLogNorm`` has it.
    """

    kind: Literal["linear", "log", "symlog"]
    low: float
    high: float
    linear: float = 0.0
    linscale: float = 0.0


@dataclass(frozen=True)
class Code:
    """What a number of a map of classes means: its colour and words."""

    value: int
    colour: str
    words: str


DAMAGE = (
    Code(0, damage_panels.INTACT, "no damage"),
    Code(1, damage_panels.DAMAGE[2], "damage"),
)
"""Codes of the release within the extent of a shelf; 255 is outside or not known."""

CHANGES = tuple(
    Code(int(code), colour, words)
    for _, codes, colour, words in consistency_changes.CLASSES
    for code in codes
)
"""Codes of what became of damage from one summer to the next."""

NOTHING = 255
"""Code of what is outside or not known, in maps of classes."""


def ramps() -> dict[str, str]:
    """Return the colours of every ramp as one hexadecimal text, six digits a colour.

    Examples
    --------
    >>> made = ramps()
    >>> sorted(made), len(made["rates"]) == 6 * STEPS, made["spreads"][:6]
    (['changes', 'rates', 'speeds', 'spreads'], True, 'f7fcfd')
    """
    import matplotlib as mpl

    return {name: _hexadecimal(mpl.colormaps[called]) for name, called in RAMPS.items()}


def _hexadecimal(colours: Any) -> str:
    import numpy as np

    table: NDArray[np.uint8] = colours(np.linspace(0.0, 1.0, STEPS), bytes=True)
    return table[:, :3].tobytes().hex()


def rate_scale(limit: float) -> Scale:
    """Return the scale of rates that is white at zero."""
    return Scale("linear", -limit, limit)


def spread_scale(limit: float) -> Scale:
    """Return the scale of standard deviations, white at none."""
    return Scale("linear", 0.0, limit)


def speed_scale(top: float) -> Scale:
    """Return the logarithmic scale of speeds [m yr⁻¹]."""
    slowest = velocity_change.SLOWEST
    return Scale("log", slowest, max(top, 10.0 * slowest))


def change_scale(top: float) -> Scale:
    """Return the scale of changes of speed [m yr⁻¹], straight where they are small."""
    linear = velocity_change.LINEAR
    end = max(top, 10.0 * linear)
    return Scale("symlog", -end, end, linear, 0.6)
