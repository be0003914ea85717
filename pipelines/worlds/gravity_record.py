"""The measured record of the synthetic world: monthly coefficients before they become files."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.gravity import love_numbers, stokes
from pipelines.worlds import gravity_noise, months
from pipelines.worlds.earth import kelvin_love_numbers
from pipelines.worlds.months import Window
from pipelines.worlds.signals import signals

if TYPE_CHECKING:
    from pipelines.worlds.antarctica import Antarctica

MEAN_C20, MEAN_C30 = -4.841694573200e-4, 9.571647583412e-7
"""Zero tide; what TN-14 refers its anomalies to [1]."""
KAULA = 1e-5
"""Kaula's rule: coefficients of degree j spread by 10⁻⁵ / j² [1]."""

DEGREE_ONE_SIGMA = 1.5e-11
C20_SIGMA, C30_SIGMA = 0.8e-11, 1.0e-11
"""Errors of the geocentre and of laser ranging, as published beside the values [1]."""

BAD_C20 = (2.0e-10, 3.0e-11, 2.5e-11)
BAD_C30 = (8.0e-11, 2.5e-11, 3.0e-11)
"""Bias [1], drift [yr⁻¹] and noise [1] of the fields' own C20 and C30: they must be replaced."""

REFERENCE_DAYS = 30.0


@dataclass(frozen=True)
class Record:
    """What the satellites and the auxiliary centres give.

    Attributes
    ----------
    windows : tuple of Window
        Months, shape (n,).
    epoch : float
        Middle of the record: when the trend is the truth's [yr].
    fields : ndarray, shape (n, 2, J + 1, J + 1)
        Stokes coefficients as delivered: C00 = 1, degree 1 zero, C20 and C30 bad.
    formal : ndarray, shape (n, 2, J + 1, J + 1)
        Formal sigmas.
    degree_one : ndarray, shape (n, 3)
        C10, C11, S11 of the geocentre series, in the frame CF.
    low_degrees : ndarray, shape (n, 2)
        C20 and C30 from laser ranging; C30 NaN before :data:`months.FIRST_C30`.
    rebound : ndarray, shape (2, J + 1, J + 1)
        Rates of glacial isostatic adjustment [yr⁻¹].
    """

    windows: tuple[Window, ...]
    epoch: float
    fields: NDArray[np.float64]
    formal: NDArray[np.float64]
    degree_one: NDArray[np.float64]
    low_degrees: NDArray[np.float64]
    rebound: NDArray[np.float64]


def measure(world: Antarctica, *, start: str, span: int, j_max: int) -> Record:
    """Let the satellites fly over a world.

    Parameters
    ----------
    world : Antarctica
        What they fly over; its seed draws the errors.
    start : str
        First month, such as ``2011-02``.
    span : int
        Calendar months.
    j_max : int
        Maximum degree J.

    Returns
    -------
    Record
        Months with errors, and what must replace their low degrees.
    """
    windows = months.windows(start, months=span)
    epoch = _middle(start, span)
    generator = np.random.default_rng([world.seed, 1])
    truth, rebound = true_fields(world, windows, epoch=epoch, j_max=j_max)
    formal = gravity_noise.spreads(j_max)[1]
    loudness = np.sqrt(REFERENCE_DAYS / np.array([w.days for w in windows]))
    noise = gravity_noise.errors(len(windows), j_max, generator)
    fields = truth + loudness[:, None, None, None] * noise
    since = _years(windows)[0] - epoch
    fields[:, 0, 2, 0] = truth[:, 0, 2, 0] + _bad(BAD_C20, since, generator)
    late = np.array([w.start >= months.FIRST_C30 for w in windows])
    bad_c30 = truth[:, 0, 3, 0] + _bad(BAD_C30, since, generator)
    fields[late, 0, 3, 0] = bad_c30[late]
    fields[:, :, 1] = 0.0
    return Record(
        windows,
        epoch,
        fields,
        np.multiply.outer(loudness, formal),
        _degree_one(truth, generator),
        _low_degrees(truth, late, generator),
        rebound,
    )


def true_fields(
    world: Antarctica, windows: tuple[Window, ...], *, epoch: float, j_max: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the Stokes coefficients of every month without any error, and of the rebound.

    Parameters
    ----------
    world : Antarctica
        Whose gravity.
    windows : tuple of Window
        Months, shape (n,).
    epoch : float
        When changes are zero [yr].
    j_max : int
        Maximum degree J.

    Returns
    -------
    fields : ndarray, shape (n, 2, J + 1, J + 1)
        Mean field and changes, degree 1 in the frame CF [1].
    rebound : ndarray, shape (2, J + 1, J + 1)
        Rates of glacial isostatic adjustment [yr⁻¹].
    """
    changing = signals(world, j_max=j_max)
    load, rebounded = changing.mean_over(*_years(windows), epoch=epoch)
    h, shear, k = kelvin_love_numbers(j_max)
    in_cf = love_numbers.in_frame(h, shear, k, frame="CF")
    factors = love_numbers.stokes_factors(in_cf, j_max=j_max)[:, None]
    mean = mean_field(j_max, np.random.default_rng([world.seed, 2]))
    return mean + (load + rebounded) * factors, changing.rebound * factors


def mean_field(j_max: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Draw a static field of true magnitude.

    Parameters
    ----------
    j_max : int
        Maximum degree J.
    generator : numpy.random.Generator
        Where the draws come from.

    Returns
    -------
    ndarray, shape (2, J + 1, J + 1)
        Stokes coefficients: C00 = 1, no degree 1, C20 and C30 of the Earth, Kaula's rule [1].
    """
    j = np.arange(j_max + 1.0)[:, None]
    exists = np.broadcast_to(np.tri(j_max + 1, dtype=bool), (2, j_max + 1, j_max + 1)).copy()
    exists[:, :2] = False
    exists[1, :, 0] = False
    draws = generator.standard_normal((2, j_max + 1, j_max + 1))
    field = np.where(exists, draws * KAULA / np.maximum(j, 1.0) ** 2, 0.0)
    field[0, 0, 0], field[0, 2, 0], field[0, 3, 0] = 1.0, MEAN_C20, MEAN_C30
    return np.asarray(field)


def _middle(start: str, span: int) -> float:
    """Middle of the record, gaps included, as the flow takes the middle of a period [yr]."""
    first = np.datetime64(months.first_day(start), "s")
    after = np.datetime64(months.month_after(months.first_day(start), span), "s")
    return float(stokes.mid_epochs(np.array([first]), np.array([after]))[0])


def _years(windows: tuple[Window, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Start and stop of windows as decimal years [yr]."""

    def decimal(days: list[dt.date]) -> NDArray[np.float64]:
        return stokes.decimal_years(np.array(days, dtype="datetime64[s]"))

    return decimal([w.start for w in windows]), decimal([w.stop for w in windows])


def _bad(
    model: tuple[float, float, float], since: NDArray[np.float64], generator: np.random.Generator
) -> NDArray[np.float64]:
    """Bias, drift and noise of a coefficient that GRACE measures badly, shape (n,) [1]."""
    bias, drift, noise = model
    return np.asarray(bias + drift * since + noise * generator.standard_normal(since.size))


def _degree_one(truth: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.float64]:
    exact = np.stack([truth[:, 0, 1, 0], truth[:, 0, 1, 1], truth[:, 1, 1, 1]], axis=-1)
    return np.asarray(exact + DEGREE_ONE_SIGMA * generator.standard_normal(exact.shape))


def _low_degrees(
    truth: NDArray[np.float64], late: NDArray[np.bool_], generator: np.random.Generator
) -> NDArray[np.float64]:
    noise = generator.standard_normal((len(truth), 2)) * (C20_SIGMA, C30_SIGMA)
    values = truth[:, 0, 2:4, 0] + noise
    values[~late, 1] = np.nan
    return np.asarray(values)
