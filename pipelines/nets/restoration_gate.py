"""Which stages of a restorer are used: those that an evaluation shows to be worth it.

An under-trained diffusion is worse than a mean network, and a mean network trained on other ice
may be worse than a smooth surface. Candidates are therefore judged on held-out tiles, from the
simplest on, and a later one is taken only if it gains and harms nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.nets.restoration_stage import RestorationError


@dataclass(frozen=True)
class Candidate:
    """One way to restore, and how it did.

    Attributes
    ----------
    name : str
        How it is called in tables: "biharmonic", "mean", "mean + harmoniser".
    psnr : float
        In gaps [dB].
    agreement : float
        Mean intersection over union of the segmentations of restored and original images [1];
        NaN if there was no segmenter.
    chain : tuple of str
        Stages of the restorer; empty for the first guess, and for what no restorer does.
    """

    name: str
    psnr: float
    agreement: float = math.nan
    chain: tuple[str, ...] = ()


@dataclass(frozen=True)
class SamplerCandidate:
    """One way to draw samples, and how it did.

    Attributes
    ----------
    sampler : str
        As in the specification of a restorer; "" draws nothing.
    texture : float
        Energy of texture in gaps of a sample, 1 is real [1].
    correlation : float
        Of spread and absolute error [1].
    """

    sampler: str
    texture: float
    correlation: float


@dataclass(frozen=True)
class Gate:
    """What counts as a gain, and what as harm.

    Attributes
    ----------
    gain_db : float
        Least gain of PSNR in gaps that is worth a stage [dB].
    gain_agreement : float
        Least gain of agreement that is worth one where PSNR does not suffer [1].
    loss_db, loss_agreement : float
        Loss of the one that a gain of the other does not excuse [dB], [1].
    least_correlation : float
        Of a spread that may be called one [1].
    """

    gain_db: float = 0.05
    gain_agreement: float = 0.005
    loss_db: float = 0.02
    loss_agreement: float = 0.005
    least_correlation: float = 0.1


@dataclass(frozen=True)
class Decision:
    """What is used, and the sentence that says why."""

    name: str
    chain: tuple[str, ...]
    sentence: str


@dataclass(frozen=True)
class SamplerDecision:
    """What draws samples, and the sentence that says why."""

    sampler: str
    sentence: str


def choose(candidates: Sequence[Candidate], gate: Gate | None = None) -> Decision:
    """Take the last candidate that gains over what was taken before it.

    A candidate gains if PSNR rises by `gain_db` and agreement falls by less than
    `loss_agreement`, or if agreement rises by `gain_agreement` and PSNR falls by less than
    `loss_db`. Where either has no agreement, PSNR decides alone.

    Parameters
    ----------
    candidates : sequence of Candidate
        From the simplest to the most complex; the first is the fallback of all.
    gate : Gate, optional
        Thresholds.

    Returns
    -------
    Decision
        The choice.

    Raises
    ------
    RestorationError
        No candidates, two of one name, or a fallback without a PSNR.
    """
    gate = gate or Gate()
    _require(candidates)
    best = candidates[0]
    refused = []
    for candidate in candidates[1:]:
        harm = _harm(candidate, best, gate)
        if harm:
            refused.append(f"{candidate.name} {harm}")
        else:
            best = candidate
    first = candidates[0]
    gained = best.psnr - first.psnr
    reason = f"{best.name} is used: {best.psnr:.2f} dB in gaps"
    if best is not first:
        reason += f", {gained:+.2f} dB over {first.name}"
    if not math.isnan(best.agreement):
        reason += f", segmentations agree by {best.agreement:.3f}"
    return Decision(best.name, best.chain, "; ".join([reason, *refused]))


def choose_sampler(
    candidates: Sequence[SamplerCandidate], gate: Gate | None = None
) -> SamplerDecision:
    """Take the sampler whose texture is nearest to real, of those whose spread follows errors.

    Nearest is the least |ln ratio|: half the energy is as wrong as twice.

    Parameters
    ----------
    candidates : sequence of SamplerCandidate
        In the order of preference where they are equal.
    gate : Gate, optional
        Thresholds.

    Returns
    -------
    SamplerDecision
        "" if no candidate may be used.
    """
    gate = gate or Gate()
    fit = [
        each
        for each in candidates
        if each.correlation >= gate.least_correlation and each.texture > 0.0
    ]
    if not fit:
        tried = ", ".join(f"{c.sampler} ({c.correlation:.2f})" for c in candidates) or "none"
        sentence = (
            "nothing draws samples: no spread correlates with errors by "
            f"{gate.least_correlation:.2f} or more; tried {tried}"
        )
        return SamplerDecision("", sentence)
    best = min(fit, key=lambda each: abs(math.log(each.texture)))
    others = [f"{c.sampler} keeps {c.texture:.2f}" for c in candidates if c is not best]
    reason = (
        f"{best.sampler} draws samples: they keep {best.texture:.2f} of the texture, and their "
        f"spread correlates with errors by {best.correlation:.2f}"
    )
    return SamplerDecision(best.sampler, "; ".join([reason, *others]))


def _harm(candidate: Candidate, best: Candidate, gate: Gate) -> str:
    """Say why a candidate is not taken; nothing if it is."""
    gain = candidate.psnr - best.psnr
    closer = candidate.agreement - best.agreement
    if not math.isfinite(candidate.psnr):
        return "is left out: it has no PSNR"
    if math.isnan(closer):
        if gain >= gate.gain_db:
            return ""
        return f"is left out: {gain:+.2f} dB against {best.name}, {gate.gain_db:+.2f} are needed"
    if gain >= gate.gain_db and closer > -gate.loss_agreement:
        return ""
    if closer >= gate.gain_agreement and gain > -gate.loss_db:
        return ""
    return f"is left out: {gain:+.2f} dB and {closer:+.3f} of agreement against {best.name}"


def _require(candidates: Sequence[Candidate]) -> None:
    names = [each.name for each in candidates]
    if not candidates or len(set(names)) < len(names) or not math.isfinite(candidates[0].psnr):
        msg = (
            f"found candidates {names}, expected at least one, each of its own name, the first "
            "with a finite PSNR to fall back to; evaluate a simple fill first"
        )
        raise RestorationError(msg)
