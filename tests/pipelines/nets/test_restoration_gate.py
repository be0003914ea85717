"""The gate of stages, and the factor by gap fraction."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.nets import simulated_gaps
from pipelines.nets.restoration_gate import (
    Candidate,
    Gate,
    SamplerCandidate,
    choose,
    choose_sampler,
)
from pipelines.nets.restoration_scores import score
from pipelines.nets.restoration_stage import RestorationError
from pipelines.nets.restoration_sums import Pair
from pipelines.nets.restoration_uncertainty import UncertaintyFactor, fitted

# Table of science/damage.md 5.3: an under-trained diffusion is worse than the mean network.
PLATE = Candidate("biharmonic", 24.40, 0.839)
MEAN = Candidate("mean", 24.72, 0.845, ("mean",))
MEAN_OF_8 = Candidate("diffusion", 24.35, 0.845, ("mean", "diffusion"))


def test_an_under_trained_diffusion_falls_back_to_the_mean_network():
    decision = choose([PLATE, MEAN, MEAN_OF_8])

    assert decision.chain == ("mean",)
    assert "mean is used: 24.72 dB in gaps, +0.32 dB over biharmonic" in decision.sentence
    assert "diffusion is left out: -0.37 dB" in decision.sentence


def test_an_untrained_mean_network_falls_back_to_the_smooth_surface():
    assert choose([PLATE, Candidate("mean", 20.0, 0.7, ("mean",))]).name == "biharmonic"


def test_agreement_decides_between_equals_and_forbids_harm():
    better_maps = Candidate("harmonised", 24.71, 0.860, ("mean", "harmoniser"))
    worse_maps = Candidate("sharpened", 25.30, 0.820, ("mean", "harmoniser"))

    assert choose([PLATE, MEAN, better_maps]).name == "harmonised"
    assert choose([PLATE, MEAN, worse_maps]).name == "mean"


def test_without_a_segmenter_psnr_decides_alone():
    decision = choose([Candidate("a", 20.0), Candidate("b", 21.0, chain=("mean",))])
    assert decision.name == "b"
    assert "agree" not in decision.sentence


def test_a_stage_that_failed_is_left_out():
    assert choose([PLATE, Candidate("mean", math.nan)]).name == "biharmonic"
    assert "no PSNR" in choose([PLATE, Candidate("mean", math.inf)]).sentence


@given(st.lists(st.tuples(st.floats(10, 40), st.floats(0, 1)), min_size=1, max_size=6))
def test_the_choice_never_loses_more_than_the_gate_allows(scores: list[tuple[float, float]]):
    candidates = [Candidate(str(k), *score) for k, score in enumerate(scores)]
    chosen = candidates[int(choose(candidates).name)]
    gate, steps = Gate(), len(candidates) - 1

    assert chosen.psnr >= candidates[0].psnr - steps * gate.loss_db
    assert chosen.agreement >= candidates[0].agreement - steps * gate.loss_agreement


def test_candidates_that_cannot_be_compared_are_refused():
    for wrong in ([], [PLATE, PLATE], [Candidate("x", math.nan)]):
        with pytest.raises(RestorationError, match="finite PSNR to fall back to"):
            choose(wrong)


def test_the_sampler_with_real_texture_is_taken_if_its_spread_follows_errors():
    noisy = SamplerCandidate("diffusion", 1.85, 0.4)
    fine = SamplerCandidate("texture", 0.9, 0.5)
    blind = SamplerCandidate("latent", 1.0, 0.07)

    decision = choose_sampler([fine, noisy, blind])

    assert decision.sampler == "texture"
    assert "diffusion keeps 1.85" in decision.sentence
    assert choose_sampler([blind]).sampler == ""
    assert "tried latent (0.07)" in choose_sampler([blind]).sentence


@dataclass(frozen=True)
class Bin:
    fraction: float
    pixels: int


def test_the_factor_rises_with_the_gap_fraction_and_pools_what_chance_inverts():
    rows = [Bin(0.1, 100), Bin(0.3, 100), Bin(0.5, 300), Bin(math.nan, 0)]
    factor = fitted(rows, [1.0, 1.21, 1.1, math.nan])

    # Pooled in logarithms, 1 part of ln 1.21 = 2 ln 1.1 to 3 parts of ln 1.1: exp(1.25 ln 1.1).
    assert factor.factors == pytest.approx((1.0, 1.1**1.25, 1.1**1.25))
    assert factor(np.array([0.0, 0.2, 0.9])) == pytest.approx(
        [1.0, (1.0 + 1.1**1.25) / 2.0, 1.1**1.25]
    )
    assert math.isnan(factor(np.array([np.nan]))[0])
    assert UncertaintyFactor.from_json(factor.to_json()) == factor


def test_the_factor_of_the_densest_gaps_is_theirs_and_not_that_of_a_wider_bin():
    """The last bin reaches to 1, and nearly all of its pixels lie near 0.44."""
    rng = np.random.default_rng(4)
    gap = simulated_gaps.draw(rng, (256, 256), across=(0.9, 1.0))
    image = rng.random((1, 256, 256), dtype=np.float32)
    last = score([Pair(image, image, gap)], replicates=2).by_gap_fraction[-1]
    rows = [Bin(0.25, 100), Bin(0.35, 100), Bin(last.fraction, last.pixels)]

    factor = fitted(rows, [1.05, 1.15, 1.5])

    assert 0.4 < last.fraction < 0.5
    assert factor(np.array([last.fraction, 0.6])) == pytest.approx([1.5, 1.5])


@given(st.lists(st.floats(0.5, 3.0), min_size=1, max_size=8))
def test_the_factor_never_falls(values: list[float]):
    rows = [Bin(at, 10) for at in np.linspace(0.0, 1.0, len(values))]
    assert (np.diff(fitted(rows, values).factors) >= -1e-12).all()


def test_a_table_without_damage_has_no_factor():
    with pytest.raises(RestorationError, match="no λ in 1 bins"):
        fitted([Bin(0.5, 10)], [math.nan])
