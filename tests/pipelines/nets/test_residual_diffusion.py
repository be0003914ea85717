"""Diffusion of residuals in latents without loss."""

import numpy as np
import pytest
import torch

from pipelines.nets.mean_restorer import Estimate
from pipelines.nets.noise_schedule import draw_steps
from pipelines.nets.residual_diffusion import (
    ResidualDiffusion,
    diffusion_loss,
    standardised,
)


def patch(side: int = 32) -> tuple[Estimate, torch.Tensor]:
    known = torch.ones(1, 1, side, side)
    known[..., 8:20, :] = 0.0
    return Estimate(torch.zeros(1, 2, side, side), 0.3 * (1.0 - known).expand(1, 2, -1, -1)), known


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def test_an_untrained_network_draws_noise_of_the_right_strength():
    estimate, known = patch(64)
    net = ResidualDiffusion(2, (8, 8)).eval()

    drawn = net.draw(estimate, known, samples=4, steps=10, generators=generators(1))

    gap = drawn[..., 8:20, :]
    # 10 rotations by a right angle shared out shrink noise to ∏ cos: within a third of full.
    assert 0.6 < float(gap.std() / (0.3 * np.sqrt(2.0))) < 1.1
    assert float(drawn[..., :8, :].abs().max()) == 0.0


def test_a_perfect_velocity_gives_the_truth_back():
    # An oracle instead of a network: it knows the residual and the noise level of each step.
    estimate, known = patch()
    truth = 0.2 * torch.randn(1, 2, 32, 32, generator=generators(3)[0])
    missing = 1.0 - known
    residual = standardised(estimate, truth, missing)

    class Oracle(ResidualDiffusion):
        def forward(self, noisy, step, estimate, known):
            from diffusers import DPMSolverMultistepScheduler

            table = DPMSolverMultistepScheduler(beta_schedule="squaredcos_cap_v2").alphas_cumprod
            alpha, sigma = table[step[0]].sqrt(), (1 - table[step[0]]).sqrt()
            return (alpha * (noisy - alpha * residual) / sigma - sigma * residual) * (1 - known)

    drawn = Oracle(2, (8, 8)).draw(estimate, known, samples=1, steps=8, generators=generators(0))

    assert torch.allclose(drawn[0] * missing, truth * missing, atol=0.02)


def test_the_loss_of_a_silent_network_is_the_variance_of_velocities():
    estimate, known = patch(64)
    net = ResidualDiffusion(2, (8, 8))
    spread = estimate.spread
    rng = torch.Generator().manual_seed(0)
    truth = spread * torch.randn(1, 2, 64, 64, generator=rng)
    noise = torch.randn(1, 2, 64, 64, generator=rng)

    loss = diffusion_loss(net, estimate, truth, known, 1.0 - known, noise, torch.tensor([400]))

    assert float(loss.detach()) == pytest.approx(1.0, abs=0.1)


def test_patches_of_any_size_and_noise_of_their_own():
    estimate, known = patch(30)
    net = ResidualDiffusion(2, (8, 8)).eval()
    twice = Estimate(*(torch.cat([part, part]) for part in estimate))

    both = net.draw(twice, torch.cat([known, known]), samples=2, steps=2,
                    generators=generators(7, 8))  # fmt: skip
    second = net.draw(estimate, known, samples=2, steps=2, generators=generators(8))

    assert both.shape == (2, 2, 2, 30, 30)
    assert not torch.equal(both[:, 0], both[:, 1])
    # Convolutions may sum in another order in a larger batch.
    assert torch.allclose(both[:, 1], second[:, 0], atol=1e-5)


def test_steps_of_a_batch_cover_the_schedule():
    steps = np.sort(draw_steps(np.random.default_rng(0), 10).numpy())
    assert (steps // 100).tolist() == list(range(10))
