"""Epochs: years of ice flow put together by explicit weights, and the changes between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FLOAT = NDArray[np.float64]
Mean = Literal["years", "epochs"]
Change = Literal["successive", "since_first"]


class EpochError(ValueError):
    """Years or weights that make no epoch."""


def weighted_sums(weights: FLOAT, values: FLOAT) -> FLOAT:
    """Sum over time by weights; what is not measured counts only where it has a weight.

    ::

        S_kr = Σ_t w_kt a_tr

    Parameters
    ----------
    weights : ndarray, shape (k, time)
        Weights of months in years, or of years in epochs.
    values : ndarray, shape (..., time, r)
        Amounts or rates, NaN where not measured.

    Returns
    -------
    ndarray, shape (..., k, r)
        Sums in the unit of the values, NaN where a value with a weight is.

    Raises
    ------
    EpochError
        Different numbers of times.
    """
    if values.ndim < 2 or weights.shape[-1] != values.shape[-2]:
        msg = (
            f"found weights {weights.shape} and values {values.shape}, expected (k, time) and "
            "(..., time, region)"
        )
        raise EpochError(msg)
    unknown = np.isnan(values)
    sums = weights @ np.where(unknown, 0.0, values)
    hit = (weights != 0.0).astype(np.float64) @ unknown.astype(np.float64)
    return np.where(hit > 0.0, np.nan, sums)


@dataclass(frozen=True)
class Epoch:
    """Some years together.

    Attributes
    ----------
    name : str
        Its name in tables.
    years : tuple of str
        Labels of its years.
    weights : tuple of float
        What each year counts [1]; empty for 1 each.
    """

    name: str
    years: tuple[str, ...]
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.years or len(set(self.years)) < len(self.years):
            msg = f"epoch {self.name!r}: found years {self.years}, expected one at least, each once"
            raise EpochError(msg)
        if self.weights and len(self.weights) != len(self.years):
            found = f"{len(self.weights)} weights for {len(self.years)} years"
            msg = f"epoch {self.name!r}: found {found}, expected one each, or none"
            raise EpochError(msg)
        weights = np.array(self.weights or (1.0,))
        if not (np.all(np.isfinite(weights)) and np.all(weights >= 0.0) and weights.sum() > 0.0):
            msg = (
                f"epoch {self.name!r}: found weights {self.weights}, expected none below zero and "
                "one above it"
            )
            raise EpochError(msg)

    @property
    def counts(self) -> FLOAT:
        """What each of its years counts, shape (year of the epoch,) [1]."""
        return np.array(self.weights or (1.0,) * len(self.years))


PAPER_EPOCHS = (
    Epoch("2000", ("2000-2001",)),
    Epoch("2007-2011", ("2007-2008", "2008-2009", "2010-2011")),
    Epoch("2013-2017", ("2013-2014", "2014-2015", "2015-2016", "2016-2017")),
    Epoch("2017-2020", ("2017-2018", "2018-2019", "2019-2020")),
)
"""Yang et al. (2023), table 1: eleven annual mosaics; 2009-2010 is not among them."""


def weight_matrix(epochs: Sequence[Epoch], years: Sequence[str]) -> FLOAT:
    """Return the weights of years in the mean of each epoch.

    Parameters
    ----------
    epochs : sequence of Epoch, length e
        Epochs; a year may be in several.
    years : sequence of str, length y
        Labels of the years that a run has.

    Returns
    -------
    ndarray, shape (e, y)
        Weights, each row sums to 1 [1].

    Raises
    ------
    EpochError
        An epoch weighs a year that the run has not.
    """
    column = {label: i for i, label in enumerate(years)}
    matrix = np.zeros((len(epochs), len(years)))
    for row, epoch in zip(matrix, epochs, strict=True):
        weighed = [pair for pair in zip(epoch.years, epoch.counts, strict=True) if pair[1] > 0.0]
        absent = [label for label, _ in weighed if label not in column]
        if absent:
            msg = (
                f"epoch {epoch.name!r} needs {', '.join(absent)}, the run has {', '.join(years)}; "
                "give it velocities of these years, or take them out of the epoch"
            )
            raise EpochError(msg)
        for label, weight in weighed:
            row[column[label]] = weight / epoch.counts.sum()
    return matrix


def mean_weights(epochs: Sequence[Epoch], *, of: Mean = "years") -> FLOAT:
    """Return the weights of epochs in the mean of the whole study.

    Parameters
    ----------
    epochs : sequence of Epoch, length e
        Epochs.
    of : {"years", "epochs"}
        Every year counts what it counts in its epoch, as in the paper, whose mean of 2000 to 2020
        is that of eleven mosaics; or every epoch counts the same.

    Returns
    -------
    ndarray, shape (e,)
        Weights, their sum is 1 [1]. Those of years are this times :func:`weight_matrix`.

    Raises
    ------
    EpochError
        No epoch, an unknown choice, or epochs that share a year, which would count twice.

    Examples
    --------
    >>> mean_weights(PAPER_EPOCHS) * 11.0
    array([1., 3., 4., 3.])
    """
    if not epochs or of not in {"years", "epochs"}:
        msg = f"found {len(epochs)} epochs and the mean of {of!r}, expected 'years' or 'epochs'"
        raise EpochError(msg)
    labels = [label for epoch in epochs for label in epoch.years]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice and of == "years":
        msg = (
            f"epochs share {', '.join(twice)}, which would count twice in the mean of years; take "
            "them out of one epoch, or take the mean of epochs"
        )
        raise EpochError(msg)
    counts = np.array([epoch.counts.sum() if of == "years" else 1.0 for epoch in epochs])
    return np.asarray(counts / counts.sum())


def change_matrix(epochs: Sequence[Epoch], *, of: Change = "successive") -> FLOAT:
    """Return the matrix C of changes between epochs: ``Δ = C a``, ``cov Δ = C cov(a) Cᵀ``.

    Parameters
    ----------
    epochs : sequence of Epoch, length e
        Epochs in order of time.
    of : {"successive", "since_first"}
        Each epoch less the one before it, or less the first.

    Returns
    -------
    ndarray, shape (e − 1, e)
        Differences [1].

    Raises
    ------
    EpochError
        An unknown choice.
    """
    if of not in {"successive", "since_first"}:
        msg = f"found changes {of!r}, expected 'successive' or 'since_first'"
        raise EpochError(msg)
    later = np.eye(len(epochs))[1:]
    if of == "successive":
        return later - np.eye(len(epochs))[:-1]
    return later - np.eye(len(epochs))[:1]
