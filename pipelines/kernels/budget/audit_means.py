"""What columns of a table have to do with each other: means of epochs, balances, relative errors.

Nothing is assumed of a paper: weights and relative uncertainties are those, among small integers
and whole per cents, that reproduce most of what is printed.
"""

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipelines.kernels.budget.audit_findings import Finding, judged
from pipelines.kernels.budget.audit_groups import GROUPS, parts
from pipelines.kernels.budget.printed_numbers import (
    Column,
    Interval,
    Printed,
    can_be,
    combined,
    quadrature,
)

MEAN = "mean"
LARGEST_WEIGHT = 8
MOST_EPOCHS = 5
FEWEST_REGIONS = 5
"""Fewer regions than this find no rule."""


@dataclass(frozen=True)
class Weights:
    """Weights of epochs that reproduce a printed mean.

    Attributes
    ----------
    periods : tuple of str
        Epochs, in the order of the table.
    weights : tuple of int
        Smallest whole numbers.
    rms : float
        Deviation from the printed means [unit of the column].
    reproduced, regions : int
        How many printed means are within rounding, of how many.
    """

    periods: tuple[str, ...]
    weights: tuple[int, ...]
    rms: float
    reproduced: int
    regions: int

    def of(self, chosen: Sequence[str]) -> dict[str, float]:
        """Return the fractions that chosen epochs have of each other."""
        kept = {p: w for p, w in zip(self.periods, self.weights, strict=True) if p in chosen}
        return {period: weight / sum(kept.values()) for period, weight in kept.items()}


def epochs_of(columns: Sequence[Column], mean: Column) -> list[Column]:
    """Return the columns of a table that its mean may be the mean of."""
    return [
        each
        for each in columns
        if (each.table, each.quantity) == (mean.table, mean.quantity)
        and each.period.lower() != MEAN
        and set(each.values) & set(mean.values)
    ]


def find_weights(epochs: Sequence[Column], mean: Column) -> Weights | None:
    """Return the whole numbers that turn epochs into a printed mean, by least squares.

    Of all weights up to 8 that reproduce as many regions as any within rounding, those with the
    smallest rms deviation; None where nothing reproduces most regions.
    """
    shared = [set(each.values) for each in (*epochs, mean)]
    regions = sorted(set.intersection(*shared))
    if not 2 <= len(epochs) <= MOST_EPOCHS or len(regions) < FEWEST_REGIONS:
        return None
    values = np.array([[each.values[region].value for region in regions] for each in epochs])
    halves = np.array([[each.values[region].half for region in regions] for each in epochs])
    printed = np.array([mean.values[region].value for region in regions])
    own = np.array([mean.values[region].half for region in regions])
    numbers = range(1, LARGEST_WEIGHT + 1)
    tried = np.array(
        [each for each in itertools.product(numbers, repeat=len(epochs)) if math.gcd(*each) == 1]
    )
    share = tried / tried.sum(axis=1, keepdims=True)
    errors = share @ values - printed
    fits = (np.abs(errors) <= share @ halves + own + 1e-9).sum(axis=1)
    rms = np.sqrt(np.mean(errors**2, axis=1))
    best = int(np.lexsort((rms, -fits))[0])
    if 2 * fits[best] <= len(regions):
        return None
    return Weights(
        tuple(each.period for each in epochs),
        tuple(int(each) for each in tried[best]),
        float(rms[best]),
        int(fits[best]),
        len(regions),
    )


def mean_column(epochs: Sequence[Column], fractions: Mapping[str, float]) -> dict[str, Interval]:
    """Return the mean of epochs by region."""
    chosen = [each for each in epochs if each.period in fractions]
    regions = set.intersection(*(set(each.values) for each in chosen))
    return {
        region: combined([(fractions[each.period], each.values[region]) for each in chosen])
        for region in regions
    }


def means(epochs: Sequence[Column], mean: Column, weights: Weights) -> Iterator[Finding]:
    """Yield whether a printed mean, and its uncertainty, is that of the epochs.

    Epochs with the same method err alike: the uncertainty of a mean is the mean of uncertainties.
    """
    share = weights.of(weights.periods)
    words = " : ".join(map(str, weights.weights))
    for region, expected in mean_column(epochs, share).items():
        if region in mean.values:
            yield judged(
                "mean", mean, region, mean.values[region], expected,
                cause=f"weights {words}", strict=False,
            )  # fmt: skip
    for region, printed in mean.sigmas.items():
        if region not in GROUPS and all(region in each.sigmas for each in epochs):
            terms = [(share[each.period], each.sigmas[region]) for each in epochs]
            yield judged(
                "sigma of mean", mean, region, printed, combined(terms),
                cause=f"mean of uncertainties, weights {words}", strict=False,
            )  # fmt: skip


def constant_regions(epochs: Sequence[Column], others: Sequence[Column]) -> list[str]:
    """Return regions that never change while those of another quantity do: taken from elsewhere."""
    if len(epochs) < 2 or not others:
        return []
    shared = set.intersection(*(set(each.values) for each in (*epochs, *others)))

    def still(columns: Sequence[Column], region: str) -> bool:
        return len({each.values[region].value for each in columns}) == 1

    return sorted(r for r in shared if still(epochs, r) and not still(others, r))


def relative_sigma(column: Column) -> tuple[float, int, int] | None:
    """Return the whole per cent of the value that uncertainties are, and for how many of how many.

    None unless nine in ten regions, groups apart, follow one.
    """
    pairs = [
        (column.values[region], sigma)
        for region, sigma in column.sigmas.items()
        if region not in GROUPS and region in column.values
    ]
    if len(pairs) < FEWEST_REGIONS or all(sigma.value == 0.0 for _, sigma in pairs):
        return None
    tried = [percent / 100.0 for percent in range(1, 101)]
    counts = [sum(can_be(sigma, _share(value, r)) for value, sigma in pairs) for r in tried]
    most = max(counts)
    if 10 * most < 9 * len(pairs):
        return None

    def misfit(ratio: float) -> float:
        return sum((sigma.value - ratio * abs(value.value)) ** 2 for value, sigma in pairs)

    best = min((r for r, count in zip(tried, counts, strict=True) if count == most), key=misfit)
    return best, most, len(pairs)


def relative_sigmas(column: Column, ratio: float) -> Iterator[Finding]:
    """Yield whether each region's uncertainty is that share of its value."""
    for region, sigma in column.sigmas.items():
        if region in column.values and region not in GROUPS:
            yield judged(
                "relative sigma", column, region, sigma, _share(column.values[region], ratio),
                cause=f"{100.0 * ratio:.0f} % of the value", strict=False,
            )  # fmt: skip


def _share(value: Printed, ratio: float) -> Interval:
    return combined([(ratio, Printed(abs(value.value), value.half))])


def balances(
    balance: Column, smb: Column, discharge: Mapping[str, Interval], *, elsewhere: Sequence[str]
) -> Iterator[Finding]:
    """Yield whether ``MB = SMB − D``, with what regions from elsewhere do to their groups."""
    for region in balance.values:
        if region not in smb.values or region not in discharge:
            continue
        snow, out = combined([(1.0, smb.values[region])]), discharge[region]
        expected = Interval(
            snow.centre - out.centre, snow.low - out.high, snow.high - out.low,
            math.hypot(snow.spread, out.spread),
        )  # fmt: skip
        finding = judged("balance", balance, region, balance.values[region], expected, strict=False)
        held = [each for each in elsewhere if each in GROUPS.get(region, (region,))]
        off = finding.printed - finding.expected
        if finding.state != "holds" and held:
            words = f"off by {off:+.3g}: {', '.join(held)} taken from another method"
            yield replace(finding, cause=words)
        else:
            yield replace(finding, cause="" if finding.state == "holds" else f"off by {off:+.3g}")


def sigmas_of_balance(
    balance: Column, discharge: Column, ratio: float, *, elsewhere: Sequence[str]
) -> Iterator[Finding]:
    """Yield whether ``σ_MB² = σ_D² + (r SMB)²`` with the SMB that MB and D imply."""
    shared = balance.sigmas.keys() & discharge.sigmas.keys() & balance.values.keys()
    for region in sorted(shared & discharge.values.keys(), key=lambda r: (len(r), r)):
        if region in GROUPS or region in elsewhere:
            continue
        snow = combined([(1.0, balance.values[region]), (1.0, discharge.values[region])])
        half = (snow.high - snow.low) / 2.0 * ratio
        terms = [discharge.sigmas[region], Printed(ratio * abs(snow.centre), half)]
        yield judged(
            "sigma of balance", balance, region, balance.sigmas[region], quadrature(terms),
            cause=f"√(σ_D² + ({100 * ratio:.0f} % of MB + D)²)", strict=False,
        )  # fmt: skip


def named_means(
    columns: Sequence[Column], weights: Mapping[tuple[str, str], Weights]
) -> Iterator[Finding]:
    """Yield whether a quantity named by its years is the mean of epochs in those years.

    A column is taken for one only if every region of it agrees: other methods have other numbers.
    """
    for column in columns:
        years = re.findall(r"(?:19|20)\d\d", column.quantity)
        for (table, quantity), found in weights.items() if len(years) == 2 else ():
            epochs = [e for e in columns if (e.table, e.quantity) == (table, quantity)]
            chosen = [e for e in epochs if _within(e.period, years)]
            if chosen:
                yield from _named_mean(column, chosen, found)


def _within(period: str, years: Sequence[str]) -> bool:
    own = re.findall(r"(?:19|20)\d\d", period)
    return bool(own) and years[0] <= own[0] and own[-1] <= years[1]


def _named_mean(column: Column, chosen: Sequence[Column], weights: Weights) -> Iterator[Finding]:
    share = weights.of([each.period for each in chosen])
    expected = mean_column(chosen, share)
    shared = [region for region in column.values if region in expected]
    # The weighted mean of rounded groups, which may themselves be a unit off their members.
    agree = [abs(column.values[r].value - expected[r].centre) <= 1.01 * _reach(column, r)
             for r in shared]  # fmt: skip
    if len(shared) < 3 or not all(agree):
        return
    source = f"{chosen[0].table} {chosen[0].quantity}, {' and '.join(share)}"
    for region in shared:
        yield judged(
            "mean of epochs", column, region, column.values[region], expected[region],
            cause=f"mean of {source}", strict=False,
        )  # fmt: skip
        if region in column.sigmas and all(region in parts(each.sigmas) for each in chosen):
            members = GROUPS[region]
            each_epoch = [quadrature([e.sigmas[m] for m in members]) for e in chosen]
            fractions = [share[e.period] for e in chosen]
            pairs = zip(fractions, each_epoch, strict=True)
            least = math.hypot(*(fraction * each.centre for fraction, each in pairs))
            yield judged(
                "sigma of mean of epochs", column, region, column.sigmas[region],
                _mean_of(fractions, each_epoch),
                cause=f"{source} as epochs that err alike; independent ones give {least:.1f}",
                strict=False,
            )  # fmt: skip


def _reach(column: Column, region: str) -> float:
    return 2.0 * column.values[region].half


def _mean_of(fractions: Sequence[float], terms: Sequence[Interval]) -> Interval:
    def of(name: str) -> float:
        return math.fsum(f * getattr(t, name) for f, t in zip(fractions, terms, strict=True))

    return Interval(of("centre"), of("low"), of("high"), of("spread"))
