"""The policy table at work: which low degrees each month takes from where, and in which frame.

What a source gives is brought to the run's frame and to the zero-tide system before it is used:
a series in another frame or tide system, mixed in for a part of the period, would make a trend.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.gravity import love_numbers, low_degrees, stokes

if TYPE_CHECKING:
    import xarray as xr

    from pipelines.settings_gravimetry import GravimetryChoices, LowDegreePolicy

DATES = NDArray[np.datetime64]
FLOAT = NDArray[np.float64]


class PolicyError(ValueError):
    """A policy asks a source for what it does not hold."""


@dataclass
class LowDegrees:
    """What one month takes from the sources, and what is to be said about it."""

    values: dict[str, float] = field(default_factory=dict)
    sigmas: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)

    def told(self) -> str:
        """Return the notes in one line."""
        return "; ".join((*self.dropped, *self.notes))


def tide_shift(system: str) -> float:
    """Return what brings C20 of a tide system to zero tide, that of TN-14 and Level-2 fields.

    An unknown one is taken as zero tide.

    Parameters
    ----------
    system : str
        ``zero_tide``, ``tide_free``, ``mean_tide`` or ``unknown``.

    Returns
    -------
    float
        Correction [1].
    """
    if system == "tide_free":
        return low_degrees.permanent_tide_c20(from_system="tide_free", to_system="zero_tide")
    if system == "mean_tide":
        return low_degrees.permanent_tide_c20(from_system="mean_tide", to_system="zero_tide")
    return 0.0


def frame_factor(choices: GravimetryChoices, source_frame: str, load: xr.Dataset) -> float:
    """Return what brings degree-1 coefficients of one frame to the run's.

    A surface load σ_1m makes C_1m = σ_1m (1 + k₁) / (a ρ_e), and only k₁ depends on the frame
    (Blewitt, 2003), so the coefficients scale with 1 + k₁.

    Parameters
    ----------
    choices : GravimetryChoices
        The frame wanted, and its k₁ where the run file gives one.
    source_frame : str
        Frame of the series.
    load : xarray.Dataset
        Load Love numbers, CE.

    Returns
    -------
    float
        Factor [1].

    Raises
    ------
    PolicyError
        A series in CM: there degree 1 is zero by definition and says nothing.
    """
    if source_frame == choices.frame:
        return 1.0
    if source_frame not in {"CE", "CF"}:
        msg = f"found degree 1 in the frame {source_frame!r}, expected CF or CE; use another series"
        raise PolicyError(msg)
    numbers = load.h.values, load.l.values, load.k.values
    wanted = love_numbers.in_frame(*numbers, frame=choices.frame, k_1=choices.k1)[1]
    given = love_numbers.in_frame(*numbers, frame="CE" if source_frame == "CE" else "CF")[1]
    return float((1.0 + wanted) / (1.0 + given))


def replacements(
    choices: GravimetryChoices,
    windows: tuple[DATES, DATES],
    series: Mapping[str, tuple[str, xr.Dataset]],
    load: xr.Dataset,
) -> list[LowDegrees]:
    """Return what each month takes from the sources under the policy table.

    Parameters
    ----------
    choices : GravimetryChoices
        The policy table and the frame.
    windows : tuple of ndarray, shape (n,)
        Start and exclusive end of the months.
    series : mapping of role to (id, xarray.Dataset)
        ``value`` and ``sigma`` (time, coefficient) [1] of each source.
    load : xarray.Dataset
        Load Love numbers, CE.

    Returns
    -------
    list of LowDegrees, length n

    Raises
    ------
    PolicyError, LowDegreeError
        A coefficient that the source does not hold; a missing month under ``refuse``.
    """
    months = [LowDegrees() for _ in windows[0]]
    for policy in choices.low_degrees:
        source, table = series[policy.source]
        answer = _resolve(choices, policy, windows, source, table, load)
        for month, state, value, sigma, note in zip(
            months, answer.state, answer.value, answer.sigma, answer.notes, strict=True
        ):
            if state in {"replaced", "interpolated"}:
                month.values.update(zip(policy.coefficients, value.tolist(), strict=True))
                month.sigmas.update(zip(policy.coefficients, sigma.tolist(), strict=True))
            if note:
                said = f"{state}: {' '.join(policy.coefficients)} of {source}: {note}"
                (month.dropped if state == "dropped" else month.notes).append(said)
    return months


def _resolve(
    choices: GravimetryChoices,
    policy: LowDegreePolicy,
    windows: tuple[DATES, DATES],
    source: str,
    table: xr.Dataset,
    load: xr.Dataset,
) -> low_degrees.Resolved:
    columns = _columns(policy.coefficients, table, source)
    first, last = table.time_start.values, table.time_end.values
    scale, shift = _reconciled(choices, policy.coefficients, table, load)
    return low_degrees.resolve(
        low_degrees.Policy(
            policy.coefficients, policy.source, policy.start, policy.end, policy.missing
        ),
        *windows,
        stokes.mid_epochs(*windows),
        first,
        last,
        stokes.mid_epochs(first, last),
        table.value.values[:, columns] * scale + shift,
        table.sigma.values[:, columns] * scale,
    )


def _reconciled(
    choices: GravimetryChoices, names: Sequence[str], table: xr.Dataset, load: xr.Dataset
) -> tuple[FLOAT, FLOAT]:
    """Return factor and addend of each coefficient, to the run's frame and tide system."""
    places = [low_degrees.parse_coefficient(name) for name in names]
    shift = tide_shift(str(table.attrs["tide_system"]))
    scale = [
        frame_factor(choices, str(table.attrs["frame"]), load) if degree == 1 else 1.0
        for _, degree, _ in places
    ]
    return np.array(scale), np.array([shift if place == (0, 2, 0) else 0.0 for place in places])


def _columns(names: Sequence[str], table: xr.Dataset, source: str) -> list[int]:
    """Return where a series holds the coefficients of a policy."""
    held = [str(name) for name in table.coefficient.values]
    lacking = [name for name in names if name not in held]
    if lacking:
        msg = (
            f"gravimetry.low_degrees: {source} holds {', '.join(held)}, the policy asks for "
            f"{', '.join(lacking)}; name another source or leave out that policy"
        )
        raise PolicyError(msg)
    return [held.index(name) for name in names]
