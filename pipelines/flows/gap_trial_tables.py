"""Scores of restorations from the sums of their trials: rows of tables, and what is to be used."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipelines import stored, tables
from pipelines.flows.gap_trials import array_name
from pipelines.flows.network_results import NAMES, score_row
from pipelines.nets import restoration_gate, restoration_scores
from pipelines.nets.restoration_scores import Figures, Interval, RestorationScores

if TYPE_CHECKING:
    import zarr

    from pipelines.settings import Run

SIGMAS_OF_INTERVAL = 2 * 1.959964
"""Width of a 95 % interval in standard deviations, if the figure scatters normally."""


@dataclass(frozen=True)
class Decided:
    """Which way to restore is used, and why."""

    name: str
    chain: tuple[str, ...]
    sampler: str
    sentence: str


def scores_of(
    group: zarr.Group, method: str, *, seed: int, tiles: Sequence[int] | None = None
) -> RestorationScores:
    """Return the scores of a method, of all tiles or of some; failed ones are left out."""
    sums = stored.read(group, array_name(method))
    pixels = stored.values(group, "trial_pixels").astype(np.int64)
    tried = range(len(sums)) if tiles is None else tiles
    chosen = [n for n in tried if np.isfinite(sums[n]).all()]
    if not chosen:
        return RestorationScores(0, {}, {})
    return restoration_scores.pooled(sums[chosen], pixels[chosen], seed=seed)


def decided(
    chains: Sequence[tuple[str, tuple[str, ...], str]], scores: Mapping[str, RestorationScores]
) -> Decided:
    """Return the chain that gains most without harm, and the sampler that keeps texture.

    Parameters
    ----------
    chains : sequence of (name, stages, sampler)
        Of a restorer, the simplest first, which is the fallback.
    scores : mapping of str to RestorationScores
        By name of the chain, and by that of its samples.
    """
    tried = [
        restoration_gate.Candidate(
            name, _value(scores[name].gaps, "psnr"), _value(scores[name].full, "miou"), chain
        )
        for name, chain, _ in chains
    ]
    choice = restoration_gate.choose(tried)
    samplers = [
        restoration_gate.SamplerCandidate(
            sampler,
            _value(scores[f"{name}-sample"].gaps, "texture"),
            _value(scores[name].gaps, "spread_cc"),
        )
        for name, chain, sampler in chains
        if sampler and _serves(sampler, choice.chain) and f"{name}-sample" in scores
    ]
    unique = list({each.sampler: each for each in reversed(samplers)}.values())
    draws = restoration_gate.choose_sampler(unique)
    sentence = f"{choice.sentence}. {draws.sentence[:1].upper()}{draws.sentence[1:]}."
    if all(math.isnan(each.agreement) for each in tried):
        sentence += " No segmenter found damage to compare; PSNR alone decided."
    sentence += " Chosen on the tiles that were left out, of which the scores are too."
    return Decided(choice.name, choice.chain, draws.sampler, sentence)


def _serves(sampler: str, chain: Sequence[str]) -> bool:
    """Return whether a sampler has the networks of a chain to draw around."""
    return ("latent" if sampler == "latent" else "mean") in chain


def _value(figures: Figures, name: str) -> float:
    return figures[name].value if name in figures else float("nan")


def short(scores: RestorationScores) -> dict[str, float]:
    """Return the pooled figures by the names of tables."""
    full = {NAMES[name]: each.value for name, each in scores.full.items()}
    gaps = {f"{NAMES[name]}_gaps": each.value for name, each in scores.gaps.items()}
    return {name: round(value, 6) for name, value in (full | gaps).items() if np.isfinite(value)}


def rows(
    run: Run, method: str, scores: RestorationScores, *, region: str = "pooled"
) -> Iterator[tables.Row]:
    """Yield rows of a method: whole images, gaps alone, and by local gap fraction."""
    note = f"method={method};tiles={scores.tiles}"
    for name, each in scores.full.items():
        yield _row(run, NAMES[name], region, each, note, tiles=scores.tiles)
    for name, each in scores.gaps.items():
        yield _row(run, f"{NAMES[name]}_gaps", region, each, note, tiles=scores.tiles)
    if region != "pooled":
        return
    for part in scores.by_gap_fraction:
        where = f"method={method};gap_fraction={part.least:g}..{part.most:g};pixels={part.pixels}"
        for name, each in part.scores.items():
            yield _row(
                run, f"{NAMES[name]}_by_gap_fraction", region, each, where, tiles=scores.tiles
            )


def _row(
    run: Run, quantity: str, region: str, each: Interval, note: str, *, tiles: int
) -> tables.Row:
    sigma, bounds = told_interval(each.low, each.high, tiles=tiles)
    return score_row(run, quantity, region, each.value, sigma, note=note + bounds)


def told_interval(low: float, high: float, *, tiles: int) -> tuple[float, str]:
    """Return standard deviation and bounds, for a note, of an interval from drawing tiles again.

    A single tile drawn again is itself: then neither is known.

    >>> told_interval(0.2, 0.4, tiles=1), told_interval(0.2, 0.4, tiles=2)[1]
    ((nan, ''), ';lower=0.2;upper=0.4')
    """
    if tiles < 2:
        return math.nan, ""
    sigma = max((high - low) / SIGMAS_OF_INTERVAL, 0.0)
    return sigma, f";lower={low:.6g};upper={high:.6g}"
