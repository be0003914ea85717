"""What an evaluation tells of maps that the same weights will make: the errors of their areas.

Precision and recall of each region bound areas as Tang et al. (2026, equation 14) have it; beyond
that the temperature that calibrates probabilities, the length over which their errors are alike,
and how far areas of tiles lie from labelled ones (:mod:`pipelines.kernels.damage.area_errors`).
Damage maps read all of it from the item of the evaluation.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines import stored
from pipelines.kernels.damage import area_errors, area_factors, correlated_sums
from pipelines.kernels.damage.area_errors import AreaErrors, AreaErrorsError
from pipelines.kernels.damage.area_factors import Factors

if TYPE_CHECKING:
    import zarr

    from pipelines import tables
    from pipelines.flows.network_inputs import TileSource

NAME = "damage_errors"
"""Of the property of the item."""
STEP = 4
"""Every so many rows and columns of a tile tell the temperature."""
NOT_LABELLED = 255
SPACING_M = 30.0
"""Width of a pixel of a tile of no certain place [m]."""

PROBABILITY = NDArray[np.float64]
LABEL = NDArray[np.uint8]


@dataclass(frozen=True)
class Judged:
    """Precision and recall in one region.

    Attributes
    ----------
    region : str
        Of the tiles.
    precision, recall : float
        Of damage [1].
    seen : bool
        Whether the weights learnt from this region.
    """

    region: str
    precision: float
    recall: float
    seen: bool = False

    @property
    def factor(self) -> float:
        """λ, see :func:`pipelines.kernels.damage.area_factors.precision_over_recall`."""
        return area_factors.precision_over_recall(self.precision, self.recall)


@dataclass(frozen=True)
class DamageErrors:
    """What is known of the errors of a segmenter.

    Attributes
    ----------
    judged : tuple of Judged
        Regions with labelled damage, some of which the network finds.
    areas : AreaErrors
        Of mapped areas.
    temperature : float
        That calibrates probabilities [1].
    length_m : float
        Correlation length of errors of pixels [m].
    restoration : tuple of (fraction, factor)
        λ of restored pixels by local gap fraction; empty where nothing tells it.
    """

    judged: tuple[Judged, ...]
    areas: AreaErrors
    temperature: float = 1.0
    length_m: float = 0.0
    restoration: tuple[tuple[float, float], ...] = ()

    @property
    def factors(self) -> Factors:
        """The least and the largest λ (equation 14).

        A single evaluation bounds one side; the mapped area itself is the other.
        """
        found = area_factors.factors((each.precision, each.recall) for each in self.judged)
        if len(self.judged) > 1:
            return found
        return Factors(min(found.low, 1.0), max(found.high, 1.0))

    def restored_factor(self, gap_fraction: float, *, assumed: float) -> float:
        """Return λ of restored pixels where this much was missing around them [1]."""
        if not self.restoration:
            return assumed
        at, factor = zip(*self.restoration, strict=True)
        return float(np.interp(gap_fraction, at, factor))

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "regions": [dataclasses.asdict(each) for each in self.judged],
            "areas": dataclasses.asdict(self.areas),
            "temperature": self.temperature,
            "length_m": self.length_m,
        }

    @classmethod
    def from_json(
        cls, plain: Mapping[str, Any], factor: Mapping[str, Any] | None = None
    ) -> DamageErrors:
        """Return what :meth:`to_json` came from, with a restorer's factor of uncertainty."""
        told = factor or {}
        pairs = zip(told.get("fractions", ()), told.get("factors", ()), strict=True)
        return cls(
            tuple(Judged(**each) for each in plain["regions"]), AreaErrors(**plain["areas"]),
            float(plain["temperature"]), float(plain["length_m"]),
            tuple((float(at), float(value)) for at, value in pairs),
        )  # fmt: skip


def told(
    group: zarr.Group,
    tiles: Sequence[TileSource],
    rows: Sequence[tables.Row],
    seen: Collection[str],
) -> dict[str, Any]:
    """Return the property of the item of an evaluation; nothing where labels do not tell it.

    Parameters
    ----------
    group : Group
        The evaluation.
    tiles : sequence of TileSource
        By number.
    rows : sequence of Row
        Scores of the segmenter.
    seen : collection of str
        Regions that it learnt from.
    """
    from pipelines.nets import calibration

    judged = tuple(_judged(rows, seen))
    try:
        temperature = _temperature(group, len(tiles))
        sums = np.array([_sums(*each, temperature) for each in _tiles(group, len(tiles))])
        areas = area_errors.fitted(*sums.T)
    except (AreaErrorsError, calibration.CalibrationError):
        return {}
    if not judged:
        return {}
    length = _length(group, tiles, temperature)
    return {NAME: DamageErrors(judged, areas, temperature, length).to_json()}


def _judged(rows: Sequence[tables.Row], seen: Collection[str]) -> Iterator[Judged]:
    """Yield precision and recall of the segmenter itself, not of a baseline or a restoration."""
    own: dict[str, dict[str, float]] = {}
    for row in rows:
        if not any(word in row.note for word in ("method=", "baseline=")):
            own.setdefault(row.region, {})[row.quantity] = row.value
    for region, found in own.items():
        precision, recall = found.get("precision", math.nan), found.get("recall", math.nan)
        if region != "pooled" and precision > 0.0 and recall > 0.0:
            yield Judged(region, precision, recall, region in seen)


def _tiles(group: zarr.Group, count: int, step: int = 1) -> Iterator[tuple[PROBABILITY, LABEL]]:
    """Yield probabilities and labels of tiles, one after the other."""
    every = (slice(None, None, step), slice(None, None, step))
    for number in range(count):
        counts = stored.values(group, f"tiles/{number}/probability", every)
        probability = np.where(counts > 0, (counts - 1.0) / 254.0, np.nan)
        yield probability, stored.values(group, f"tiles/{number}/label", every)


def _temperature(group: zarr.Group, count: int) -> float:
    from pipelines.nets import calibration

    pairs = list(_tiles(group, count, STEP))
    probability, label = (np.concatenate([pair[n].ravel() for pair in pairs]) for n in (0, 1))
    return calibration.temperature(probability, label)


def _sums(probability: PROBABILITY, label: LABEL, temperature: float) -> tuple[float, ...]:
    """Return mapped, labelled, unsure and seen pixels of a tile."""
    from pipelines.nets import calibration

    known = np.isfinite(probability) & (label != NOT_LABELLED)
    p = calibration.calibrated(probability[known], temperature).astype(np.float64)
    return (
        float((p >= 0.5).sum()), float((label[known] == 1).sum()), float((p * (1.0 - p)).sum()),
        float(known.sum()),
    )  # fmt: skip


def _length(group: zarr.Group, tiles: Sequence[TileSource], temperature: float) -> float:
    """Return the correlation length of errors, tiles weighted by their errors [m]."""
    from pipelines.nets import calibration

    lengths, weights = [0.0], [0.0]
    for tile, (probability, label) in zip(tiles, _tiles(group, len(tiles)), strict=True):
        known = np.isfinite(probability) & (label != NOT_LABELLED)
        p = calibration.calibrated(probability, temperature)
        error = np.where(known, (label == 1) - p, 0.0)
        spacing = abs(tile.place[0]) if tile.place else SPACING_M
        try:
            found = correlated_sums.measured_length(error, known, spacing=spacing)
        except correlated_sums.CorrelationError:
            continue
        if math.isfinite(found):
            lengths.append(found)
            weights.append(float(np.sum(error**2)))
    return float(np.average(lengths, weights=weights)) if sum(weights) else 0.0
